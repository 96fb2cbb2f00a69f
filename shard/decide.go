package shard

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/storage"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/wal"
)

// The value of a decision's meta row is the decision's payload without rows, behind the
// commit timestamp, u64.

func (s *Shard) loadDecision(gid string, value []byte) error {
	r := reader{b: value}
	ts := hlc.Timestamp(r.uint64())
	d, err := decodeDecision(r.b)
	if err == nil {
		err = r.err
	}
	s.mu.decided[gid] = decided{outcome: twophase.Outcome{State: d.State, Time: ts}, participants: d.Participants, since: time.Now()}
	return err
}

// Outcome tells what became of a distributed transaction that this shard owns, to a
// reader at timestamp at. Undecided is a promise: it will not commit at or below at. A
// commit record in flight is waited for.
func (s *Shard) Outcome(ctx context.Context, gid string, at hlc.Timestamp) (twophase.Outcome, error) {
	for {
		s.mu.Lock()
		if !s.mu.leading {
			s.mu.Unlock()
			return twophase.Outcome{}, errNotPrimary()
		}
		if d, ok := s.mu.decided[gid]; ok {
			s.mu.Unlock()
			return d.outcome, nil
		}
		_, flying := s.mu.deciding[gid]
		within := true
		if !flying {
			within = s.clock.Observe(at)
		}
		s.mu.Unlock()
		switch {
		case flying:
			err := s.waitFor(ctx, func() (bool, error) { _, still := s.mu.deciding[gid]; return !still, nil })
			if err != nil {
				return twophase.Outcome{}, err
			}
		case !within: // the promise must outlive this primary
			if err := s.raiseCeiling(ctx); err != nil {
				return twophase.Outcome{}, err
			}
			return twophase.Outcome{State: twophase.Undecided}, s.serving()
		default:
			return twophase.Outcome{State: twophase.Undecided}, s.serving()
		}
	}
}

// Decide gives the outcome of a transaction that this shard owns, and makes it aborted
// if nothing is logged of it: only a record in the owner's log aborts a transaction that
// is prepared elsewhere. Undecided is the answer while its client or its router has yet to
// decide.
func (s *Shard) Decide(ctx context.Context, gid string) (twophase.Outcome, error) {
	return s.decide(ctx, gid, false)
}

// Abandon is Decide for the router itself, which is done with the transaction.
func (s *Shard) Abandon(ctx context.Context, gid string) (twophase.Outcome, error) {
	return s.decide(ctx, gid, true)
}

func (s *Shard) decide(ctx context.Context, gid string, byRouter bool) (twophase.Outcome, error) {
	g, _ := twophase.ParseGID(gid)
	for {
		o, err := s.Outcome(ctx, gid, 0)
		if err != nil || o.State != twophase.Undecided {
			return o, err
		}
		_, err = s.logDecision(ctx, decision{GID: gid, State: twophase.Aborted}, func() error {
			if s.mu.prepared[gid] != nil && g.Own() {
				return errUndecided // its client alone ends it
			}
			if !byRouter && s.stillRunning(g) {
				return errUndecided
			}
			return nil
		})
		switch {
		case errors.Is(err, errUndecided):
			return o, nil
		case !errors.Is(err, errDecided):
			return twophase.Outcome{State: twophase.Aborted}, err
		}
	}
}

// logDecision logs a decision without rows. check runs under the log latch with mu held,
// before the gid is claimed.
func (s *Shard) logDecision(ctx context.Context, d decision, check func() error) (hlc.Timestamp, error) {
	return s.logRecord(ctx, wal.TypeDecision, 0, func(ts hlc.Timestamp) ([]byte, error) {
		if err := check(); err != nil {
			return nil, err
		}
		if err := s.claimDecision(d.GID); err != nil {
			return nil, err
		}
		if d.State == twophase.Aborted {
			ts = 0
		}
		var b storage.Batch
		b.PutMeta(decisionKey(d.GID), decisionValue(ts, d))
		d.Batch = b.Encode()
		return d.encode(), nil
	})
}

var errUndecided = errors.New("the transaction waits for its client")

var errDecided = errors.New("the transaction is decided already")

// claimDecision notes that a decision of gid is about to be logged; mu is held under
// the log latch, so of two decisions one finds the other.
func (s *Shard) claimDecision(gid string) error {
	if _, ok := s.mu.decided[gid]; ok {
		return errDecided
	}
	if _, ok := s.mu.deciding[gid]; ok {
		return errDecided
	}
	s.mu.deciding[gid] = struct{}{}
	return nil
}

func decisionKey(gid string) []byte { return append([]byte(decisionMeta), gid...) }

func decisionValue(ts hlc.Timestamp, d decision) []byte {
	d.Batch = nil
	return append(binary.LittleEndian.AppendUint64(nil, uint64(ts)), d.encode()...)
}

// ForgetDecisions drops decisions that nobody will ask about any more.
func (s *Shard) ForgetDecisions(ctx context.Context, gids []string) error {
	var b storage.Batch
	s.mu.Lock()
	for _, gid := range gids {
		if _, ok := s.mu.decided[gid]; ok {
			b.DeleteMeta(decisionKey(gid))
		}
	}
	s.mu.Unlock()
	if b.Count() == 0 {
		return nil
	}
	_, err := s.logRecord(ctx, wal.TypeDrop, 0, func(hlc.Timestamp) ([]byte, error) { return b.Encode(), nil })
	return err
}

// resolve finds what became of a transaction whose intent a reader at timestamp at has
// met. Undecided ones commit above at.
func (s *Shard) resolve(ctx context.Context, name string, at hlc.Timestamp) (twophase.Outcome, error) {
	if o, ok := s.resolved(name); ok {
		return o, nil
	}
	gid, err := twophase.ParseGID(name)
	if err != nil { // a client's own PREPARE TRANSACTION: the decision comes to this shard itself
		s.clock.Observe(at)
		return twophase.Outcome{State: twophase.Undecided}, nil
	}
	if gid.Owner == s.opts.ID {
		return s.Outcome(ctx, name, at)
	}
	if s.opts.Peers == nil {
		return twophase.Outcome{}, types.Errorf("57P03", "cannot ask shard %d about transaction %s", gid.Owner, name)
	}
	return s.opts.Peers.Outcome(ctx, gid, at)
}

// resolveFromOwner ends a prepared transaction as its owner decides.
func (s *Shard) resolveFromOwner(ctx context.Context, name string) error {
	gid, err := twophase.ParseGID(name)
	if err != nil {
		return nil // a client's own: only a client ends it
	}
	var o twophase.Outcome
	if gid.Owner == s.opts.ID {
		o, err = s.Decide(ctx, name)
	} else {
		o, err = s.opts.Peers.Decide(ctx, gid)
	}
	if err != nil {
		return err
	}
	if o.State == twophase.Undecided {
		return errUndecided
	}
	return s.ResolvePrepared(ctx, name, o)
}

// prepareTx logs a transaction as prepared and gives its prepare timestamp. Its locks
// stay until ResolvePrepared; the Tx itself is over.
func (s *Shard) prepareTx(ctx context.Context, gid string, x *Tx) (hlc.Timestamp, error) {
	t := x.tx
	if len(gid) > maxGID {
		return 0, types.Errorf("22023", "transaction identifier %q is too long", gid)
	}
	own, err := twophase.ParseGID(gid)
	if err != nil || own.Owner != s.opts.ID {
		own = twophase.GID{}
	}
	p := prepared{GID: gid, TxID: uint64(t.ID), Batch: t.Batch(true).Encode()}
	if err := fits(p.encode()); err != nil {
		return 0, err
	}
	return s.logRecord(ctx, wal.TypePrepare, p.TxID, func(hlc.Timestamp) ([]byte, error) {
		if _, ok := s.mu.prepared[gid]; ok {
			return nil, errGIDInUse(gid)
		}
		if _, _, ok := s.preparedAs(own.Name); ok && own.Own() {
			return nil, errGIDInUse(own.Name)
		}
		if s.mu.decided[gid].outcome.State == twophase.Aborted { // by a participant that has waited too long
			return nil, types.Errorf("40001", "could not prepare: the transaction was taken for abandoned and rolled back")
		}
		if err := x.mayCommit(); err != nil {
			return nil, err
		}
		s.mu.prepared[gid] = &preparedTx{locks: t.ID, since: time.Now()}
		return p.encode(), nil
	})
}

// maxGID bounds a gid: one of a client has at most 199 bytes, and 63 of the user's name,
// escaped.
const maxGID = 1024

// ResolvePrepared commits or rolls back a prepared transaction; 42704 if there is none.
func (s *Shard) ResolvePrepared(ctx context.Context, gid string, o twophase.Outcome) error {
	if o.State == twophase.Undecided {
		return types.Errorf("55000", "transaction %q is not decided yet", gid).
			WithHint("Its coordinator is still at work; ask again, or SELECT helios.resolve('%s') at the owner.", gid)
	}
	s.mu.Lock()
	p, ok := s.mu.prepared[gid]
	switch {
	case !ok:
		s.mu.Unlock()
		return types.Errorf("42704", "prepared transaction with identifier %q does not exist", gid)
	case p.resolving || p.time == 0: // another resolution, or the prepare itself, is in flight
		s.mu.Unlock()
		return s.waitFor(ctx, func() (bool, error) {
			_, still := s.mu.prepared[gid]
			if still && !s.mu.leading {
				return false, errNotPrimary()
			}
			return !still, nil
		})
	}
	p.resolving = true
	s.mu.Unlock()
	err := s.logResolution(ctx, gid, o)
	if err != nil {
		s.mu.Lock()
		p.resolving = false
		s.mu.Unlock()
	}
	return err
}

// logResolution logs a RESOLVE record. Its time is the commit timestamp, which may be
// below its neighbours': the clock is pushed above it, and the intents stood in for it.
func (s *Shard) logResolution(ctx context.Context, gid string, o twophase.Outcome) error {
	if o.State == twophase.Committed {
		s.clock.Observe(o.Time)
	}
	s.mu.Lock()
	term := s.mu.term
	s.mu.Unlock()
	answer := make(chan error, 1)
	_, err := s.log.Append(term, wal.TypeResolve, 0, 0, func(lsn wal.LSN) (uint64, []byte, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.mu.leading || s.mu.term != term {
			return 0, nil, errNotPrimary()
		}
		payload := resolution{GID: gid}.encode()
		s.mu.pending[lsn+wal.LSN(wal.HeaderBytes+len(payload))] = func(err error) { answer <- err }
		return uint64(o.Time), payload, nil
	})
	if err != nil {
		return err
	}
	s.counters.logWrites.Add(1)
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Prepared lists the prepared transactions, for pg_prepared_xacts.
func (s *Shard) Prepared() ([]storage.Prepared, error) { return s.store().Prepared() }
