package shard

import (
	"context"
	"errors"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/wal"
)

// errCeiling says that the clock has run ahead of what the committed log allows.
var errCeiling = errors.New("the clock is above its ceiling")

// appendRecord appends a record as primary. build runs under the log latch with mu
// held: it sees the timestamp, may still refuse, and gives the payload. done, if not
// nil, is called once, with mu held: when the record is applied, or with an error when
// this node stops being primary before that.
func (s *Shard) appendRecord(typ wal.Type, txid uint64, build func(ts hlc.Timestamp) ([]byte, error), done func(error)) (wal.LSN, hlc.Timestamp, error) {
	var ts hlc.Timestamp
	s.mu.Lock()
	term := s.mu.term
	s.mu.Unlock()
	end, err := s.log.Append(term, typ, 0, txid, func(lsn wal.LSN) (uint64, []byte, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.mu.leading || s.mu.term != term {
			return 0, nil, errNotPrimary()
		}
		var within bool
		if ts, within = s.clock.Next(); !within && typ != wal.TypeHeartbeat {
			return 0, nil, errCeiling
		}
		return s.record(lsn, ts, build, done)
	})
	if err == nil {
		s.counters.logWrites.Add(1)
	}
	return end, ts, err
}

// fits refuses a payload that no record can hold. Whoever changes memory with its record asks
// ahead of that: what is refused leaves nothing behind.
func fits(payload []byte) error {
	if len(payload) <= wal.MaxRecordBytes-wal.HeaderBytes {
		return nil
	}
	return types.Errorf("54000", "the change is too large to be logged: %d bytes", len(payload)).
		WithHint("Change fewer rows in one transaction.")
}

// record builds a record's payload and notes what waits for it; mu is held.
func (s *Shard) record(lsn wal.LSN, ts hlc.Timestamp, build func(hlc.Timestamp) ([]byte, error), done func(error)) (uint64, []byte, error) {
	payload, err := build(ts)
	if err == nil {
		err = fits(payload)
	}
	if err != nil {
		return 0, nil, err
	}
	end := lsn + wal.LSN(wal.HeaderBytes+len(payload))
	s.mu.inflight = append(s.mu.inflight, flight{time: ts, end: end})
	if done != nil {
		s.mu.pending[end] = done
	}
	return uint64(ts), payload, nil
}

// logRecord appends a record, again above a raised ceiling if need be, and waits until
// it is applied. A wait that is given up is an unknown outcome, 40003.
func (s *Shard) logRecord(ctx context.Context, typ wal.Type, txid uint64, build func(ts hlc.Timestamp) ([]byte, error)) (hlc.Timestamp, error) {
	for {
		answer := make(chan error, 1)
		_, ts, err := s.appendRecord(typ, txid, build, func(err error) { answer <- err })
		if errors.Is(err, errCeiling) {
			if err = s.raiseCeiling(ctx); err == nil {
				continue
			}
		}
		if err != nil {
			return 0, err
		}
		select {
		case err := <-answer:
			return ts, err
		case <-ctx.Done():
			return ts, types.Errorf("40003", "the outcome of the statement is unknown: %w", context.Cause(ctx)).
				WithHint("The change was logged and waits for the standby; it may still take effect.")
		}
	}
}

// raiseCeiling logs a heartbeat at the clock's time and waits until it is committed:
// after it the clock may give timestamps for another while.
func (s *Shard) raiseCeiling(ctx context.Context) error {
	answer := make(chan error, 1)
	_, _, err := s.appendRecord(wal.TypeHeartbeat, 0, func(ts hlc.Timestamp) ([]byte, error) {
		return heartbeat{Ceiling: hlc.At(ts.Millis()+ceilingAhead, 0), Closed: s.mu.closed, Horizon: s.store().Horizon()}.encode(), nil
	}, func(err error) { answer <- err })
	if err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// mayWrite checks ownership where it matters: under the log latch, against the units
// written. mu is held.
func (s *Shard) mayWrite(written map[placement.Unit]struct{}) error {
	for u := range written {
		if err := s.mu.units.may(u, true); err != nil {
			return types.Errorf("40001", "could not commit: %s moved to another shard", u).
				WithHint("Run the transaction again.")
		}
	}
	return nil
}

// sameShards holds, under the log latch, that what went to all shards went to all that
// there are now: reference tables and the catalog. version is that of the set of shards
// when the transaction first wrote such, 0 for none. mu is held.
func (s *Shard) sameShards(version uint64) error {
	if version != 0 && version != s.mu.members {
		return types.Errorf("40001", "could not commit: the set of shards has changed").WithHint("Run the transaction again.")
	}
	return nil
}
