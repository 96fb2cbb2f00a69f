package shard

import (
	"context"
	"errors"
	"slices"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/storage"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/wal"
)

// reading is the snapshot of one statement.
type reading struct {
	s     *Shard
	snap  *storage.Snapshot
	at    hlc.Timestamp
	seen  hlc.Timestamp // visible when the statement began here
	fixed bool          // a newer version is no reason to begin again

	// The shard chose the snapshot. Of the transactions that were prepared when the statement
	// began, decided is the greatest commit timestamp above the snapshot: the client may have
	// been answered before the statement began, so the statement must begin again above it.
	chosen  bool
	waiting []string
	decided hlc.Timestamp
}

// start is what a statement keeps of its first snapshot when it begins again.
type start struct {
	floor   hlc.Timestamp
	waiting []string // prepared when it began
	known   bool
}

// restart tells a router that the statement met a version that was there when it began,
// above its snapshot: it must run again at or above the timestamp in DETAIL.
func restart(ts hlc.Timestamp) *types.Error {
	return types.Errorf("ZH002", "a newer version was met: the statement has to run again").WithDetail("%d", uint64(ts))
}

// read opens a statement's snapshot. With at 0 the shard chooses what is visible now:
// nothing is in flight at or below it. Else the clock is pushed to at and commits in
// flight at or below it are waited for, so that nothing can appear under the reader. A
// snapshot that the shard chooses is not below the floor that from keeps.
func (s *Shard) read(ctx context.Context, at hlc.Timestamp, from *start, fixed bool) (*reading, error) {
	if at == 0 && !from.known {
		from.waiting, from.known = s.undecidedNow(), true
	}
	r := &reading{s: s, at: at, fixed: fixed, seen: s.store().Visible()}
	if at == 0 {
		r.at, r.fixed, r.chosen, r.waiting = max(r.seen, from.floor), true, true, from.waiting
	}
	if at == 0 && from.floor <= r.seen {
		if err := s.serving(); err != nil {
			return nil, err
		}
	} else if err := s.admit(ctx, r.at); err != nil {
		return nil, err
	}
	outcomes := map[string]twophase.Outcome{}
	r.snap = s.store().Snapshot(r.at, func(in storage.Intent) (hlc.Timestamp, error) {
		if r.fixed && in.Time > r.at {
			return 0, nil
		}
		o, known := outcomes[in.GID]
		if !known {
			var err error
			if o, err = s.resolve(ctx, in.GID, r.at); err != nil {
				return 0, err
			}
			outcomes[in.GID] = o
		}
		if o.State != twophase.Committed {
			return 0, nil
		}
		if r.chosen && o.Time > r.at && slices.Contains(r.waiting, in.GID) {
			r.decided = max(r.decided, o.Time)
		}
		return o.Time, nil
	})
	return r, nil
}

// admit makes at a timestamp that this node can serve.
func (s *Shard) admit(ctx context.Context, at hlc.Timestamp) error {
	if at < s.store().Horizon() {
		return types.Errorf("72000", "snapshot too old")
	}
	s.mu.Lock()
	if at < s.mu.lossy {
		floor := s.mu.lossy
		s.mu.Unlock()
		return errLossy(floor)
	}
	if !s.mu.leading {
		s.mu.Unlock()
		return s.admitStandby(ctx, at)
	}
	within := s.clock.Observe(at)
	var end wal.LSN
	for _, f := range s.mu.inflight {
		if f.time > at {
			break
		}
		end = f.end
	}
	s.mu.Unlock()
	if !within {
		if err := s.raiseCeiling(ctx); err != nil {
			return err
		}
	}
	if err := s.waitApplied(ctx, end); err != nil {
		return err
	}
	return s.serving()
}

// lossyError says that a snapshot is from before a failover that lost answered writes.
type lossyError struct{ floor hlc.Timestamp }

func errLossy(floor hlc.Timestamp) error { return &lossyError{floor} }

func (e *lossyError) Error() string { return "answered writes were lost since the snapshot" }

// admitStandby waits until the primary has closed at.
func (s *Shard) admitStandby(ctx context.Context, at hlc.Timestamp) error {
	return s.waitFor(ctx, func() (bool, error) { return s.mu.closed >= at, nil })
}

// readStandby opens a snapshot on a standby at what is applied here; with at not 0 it
// first waits until at is.
func (s *Shard) readStandby(ctx context.Context, at hlc.Timestamp) (*reading, error) {
	if at > 0 {
		if err := s.waitFor(ctx, func() (bool, error) { return s.store().Visible() >= at || s.mu.closed >= at, nil }); err != nil {
			return nil, err
		}
	}
	r := &reading{at: max(s.store().Visible(), at), fixed: true}
	r.snap = s.store().Snapshot(r.at, func(in storage.Intent) (hlc.Timestamp, error) {
		if in.Time > r.at {
			return 0, nil
		}
		o, err := s.resolve(ctx, in.GID, r.at)
		if err != nil || o.State != twophase.Committed {
			return 0, err
		}
		return o.Time, nil
	})
	return r, nil
}

// check is asked after rows were read: a fresh statement that met a version which was
// visible when it began must begin again above it.
func (r *reading) check() error {
	if r.snap.Newer() > 0 { // among what was passed over may be what has been resolved since
		for _, gid := range r.waiting {
			if o, ok := r.s.resolved(gid); ok && o.State == twophase.Committed && o.Time > r.at {
				r.decided = max(r.decided, o.Time)
			}
		}
	}
	if r.decided > 0 {
		return restart(r.decided)
	}
	if n := r.snap.Newer(); !r.fixed && n > 0 {
		return restart(max(n, r.seen))
	}
	return nil
}

// close ends the snapshot.
func (r *reading) close() { r.snap.Close() }

// sqlError words an error of the storage for clients.
func sqlError(err error) error {
	if errors.Is(err, storage.ErrTooOld) {
		return types.Errorf("72000", "snapshot too old").WithHint("Run the transaction again.")
	}
	if errors.Is(err, storage.ErrClosed) {
		return types.Errorf("40001", "could not go on: a base copy has replaced this node's data").WithHint("Run the transaction again.")
	}
	return err
}
