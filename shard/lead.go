package shard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/txn"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/wal"
)

// Permit lets this node lead in a term, until StepDown.
func (s *Shard) Permit(term uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.permitted = term
}

// Lead makes this node the shard's primary in a term that it is permitted and whose
// TERM_START record is in the log and committed. It returns when everything below is
// applied, the locks of prepared transactions are taken again and the clock stands above
// what any predecessor can have given or promised. Statements are served as soon as the
// first two are done: when only the clock is missing, Lead fails and is to be called again,
// which takes nothing from the transactions that are open by then.
//
// StepDown may come at any time. It takes the permission back, so that a Lead that is
// still on its way leads no more.
func (s *Shard) Lead(ctx context.Context, term uint32) error {
	if now, leading := s.Leading(); leading && now == term {
		return s.raiseCeiling(ctx)
	}
	if err := s.waitApplied(ctx, s.log.End()); err != nil {
		return err
	}
	// Nobody appends between the end above and here: the log belongs to this term.
	s.clock.Observe(hlc.At(s.store().Visible().Millis()+ceilingAhead, 0).Next())
	s.clock.SetCeiling(hlc.At(s.clock.Last().Millis()+ceilingAhead, 0))
	s.locks.Reset(nil)
	if err := s.relock(ctx); err != nil {
		s.locks.Reset(errNotPrimary())
		return err
	}
	if err := s.take(term); err != nil {
		return err
	}
	s.logger.Info("primary", "shard", s.opts.ID, "term", term, "visible", s.store().Visible())
	// The clock may have jumped over the ceiling that the old log allows.
	return s.raiseCeiling(ctx)
}

// take is the moment from which statements are served.
func (s *Shard) take(term uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.loadMarks()
	if s.mu.permitted != term {
		err = errNotPrimary()
	}
	if err == nil {
		err = s.takeUnits(term)
	}
	if err != nil {
		s.unlock()
		return err
	}
	s.mu.leading, s.mu.term = true, term
	s.mu.led = time.Now()
	s.mu.draining = false // a switchover away from this node, terms ago, is over
	s.announce()
	return nil
}

// Start makes a standalone shard primary: it claims the next term by itself.
func (s *Shard) Start(ctx context.Context) error {
	term := s.log.LastTerm() + 1
	end, err := s.log.Append(term, wal.TypeTermStart, 0, 0, func(wal.LSN) (uint64, []byte, error) { return 0, nil, nil })
	if err != nil {
		return err
	}
	if err := s.log.WaitFlushed(ctx, end); err != nil {
		return err
	}
	s.Permit(term)
	return s.Lead(ctx, term)
}

// relock takes the locks of unresolved prepared transactions before anyone else can: first
// those of the rows that they wrote, which no two have in common.
func (s *Shard) relock(ctx context.Context) error {
	all, err := s.store().Prepared()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]txn.ID, len(all))
	for i, p := range all {
		ids[i] = txn.ID(s.txids.Add(1))
		for _, k := range p.Keys {
			if err := s.locks.Acquire(ctx, ids[i], string(k), txn.Update, txn.NoWait, 0); err != nil {
				return fmt.Errorf("lock a row that %q has written: %w", p.GID, err)
			}
		}
		s.mu.prepared[p.GID] = &preparedTx{time: p.Time, locks: ids[i], since: time.Now()}
	}
	for i, p := range all {
		for _, l := range p.Locks {
			err := s.locks.Acquire(ctx, ids[i], string(l.Key), txn.Mode(l.Strength), txn.NoWait, 0)
			if err == nil {
				continue
			}
			if types.CodeOf(err) != "55P03" {
				return err
			}
			// The row stays another's: better than a shard that nobody can lead.
			s.logger.Warn("a prepared transaction lost a row lock that it had not written under",
				"shard", s.opts.ID, "gid", p.GID, "key", fmt.Sprintf("%x", l.Key))
		}
	}
	return nil
}

// loadMarks reads where sequences go on; mu is held.
func (s *Shard) loadMarks() error {
	clear(s.mu.marks)
	return s.store().MetaRange([]byte(sequenceMeta), prefixEnd([]byte(sequenceMeta)), s.loadMark)
}

func (s *Shard) loadMark(key, value []byte) error {
	if len(key) != len(sequenceMeta)+4 {
		return errPayload
	}
	m, err := readMark(value)
	s.mu.marks[types.OID(binary.BigEndian.Uint32(key[len(sequenceMeta):]))] = m
	return err
}

// StepDown ends this node's time as primary: open transactions fail, commits that wait
// have an unknown outcome, and only what is committed will be applied.
func (s *Shard) StepDown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.permitted = 0
	if !s.mu.leading {
		return
	}
	s.mu.leading = false
	for end, done := range s.mu.pending {
		delete(s.mu.pending, end)
		done(types.Errorf("40003", "the outcome of the statement is unknown: the node stopped being primary").
			WithHint("The change was logged; the new primary has it if the standby had received it."))
	}
	s.mu.inflight = nil
	clear(s.mu.deciding)
	clear(s.mu.lost) // a node that leads again has new sessions
	s.unlock()
	s.announce()
	s.logger.Info("stepped down", "shard", s.opts.ID, "term", s.mu.term)
}

// unlock takes all locks away; mu is held.
func (s *Shard) unlock() {
	s.locks.Reset(errNotPrimary())
	for gid, p := range s.mu.prepared {
		if p.locks = 0; p.time == 0 { // never applied
			delete(s.mu.prepared, gid)
		}
	}
}

// termNow is the term in which this node leads or led last.
func (s *Shard) termNow() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.term
}

// serving returns an error unless this node is primary and its lease holds. It is asked
// after a snapshot was chosen: a paused primary must not answer with it.
func (s *Shard) serving() error {
	s.mu.Lock()
	leading := s.mu.leading
	s.mu.Unlock()
	if !leading || s.opts.Lease != nil && !s.opts.Lease() {
		return errNotPrimary()
	}
	return nil
}

// Closed promises that this primary gives no timestamp at or below the result any more:
// what a standby may serve once it has applied everything sent before.
func (s *Shard) Closed() hlc.Timestamp {
	s.mu.Lock()
	defer s.mu.Unlock()
	closed := s.clock.Last()
	if len(s.mu.inflight) > 0 {
		closed = min(closed, s.mu.inflight[0].time-1)
	}
	s.mu.closed = max(s.mu.closed, min(closed, s.clock.Ceiling()))
	return s.mu.closed
}

// SetClosed notes the primary's promise on a standby; it counts once all that the
// primary had sent is applied. The primary's garbage horizon counts at once.
func (s *Shard) SetClosed(closed hlc.Timestamp, sent wal.LSN, horizon hlc.Timestamp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.leading {
		return
	}
	s.mu.horizon = max(s.mu.horizon, horizon)
	if s.mu.applied < sent {
		return
	}
	s.mu.closed = max(s.mu.closed, closed)
	s.announce()
}

// keep is the keeper: what a primary has to see to, and on every node the clean-up.
func (s *Shard) keep() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.wake:
		case <-s.ctx.Done():
			return
		}
		if s.serving() == nil {
			if s.opts.OnFlush == nil { // else replication sees to it
				s.heartbeat()
			}
			s.settle()
		}
		if time.Since(s.lastCollect) >= collectEvery {
			s.lastCollect = time.Now()
			s.collect()
		}
	}
}

// heartbeat keeps the ceiling of an idle primary ahead of its clock, through the real
// commit path.
func (s *Shard) heartbeat() {
	ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
	defer cancel()
	if err := s.raiseCeiling(ctx); err != nil && s.ctx.Err() == nil {
		s.logger.Debug("heartbeat", "shard", s.opts.ID, "err", err)
	}
}

const (
	abandonedAfter = 5 * time.Second  // a coordinator silent for so long is taken for dead
	tombstoneKept  = 10 * time.Minute // an abort is remembered at least so long
	forgetMax      = 10_000           // decisions dropped by one record
	collectEvery   = 30 * time.Second
	horizonBehind  = 60_000 // ms: no read at a younger timestamp is refused
)

// settle ends what coordinators left undone: a participant asks the owner, the owner
// tells participants that have not heard.
func (s *Shard) settle() {
	if s.opts.Peers == nil {
		return
	}
	type undelivered struct {
		gid twophase.GID
		d   decided
	}
	var ask []string
	var tell []undelivered
	var forget []string
	now := time.Now()
	s.mu.Lock()
	for gid, p := range s.mu.prepared {
		if now.Sub(p.since) >= abandonedAfter && !p.resolving {
			ask = append(ask, gid)
		}
	}
	for name, d := range s.mu.decided {
		gid, err := twophase.ParseGID(name)
		switch {
		case err != nil || now.Sub(d.since) < abandonedAfter || len(forget) == forgetMax:
		case d.outcome.State == twophase.Aborted && now.Sub(d.since) > tombstoneKept && s.mu.open[name] == nil,
			d.outcome.State == twophase.Committed && len(d.participants) == 0 && s.forgettable(d.outcome.Time):
			forget = append(forget, name)
		case d.outcome.State == twophase.Committed && len(d.participants) > 0:
			tell = append(tell, undelivered{gid, d})
		}
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(s.ctx, 3*time.Second)
	defer cancel()
	for _, gid := range ask {
		s.logger.Debug("asking for the outcome of a transaction that has been prepared for long", "gid", gid)
		if err := s.resolveFromOwner(ctx, gid); errors.Is(err, errUndecided) {
			s.askLater(gid)
		} else if err != nil {
			s.logger.Warn("abandoned transaction", "gid", gid, "err", err)
		}
	}
	for _, u := range tell {
		s.deliver(ctx, u.gid, u.d)
	}
	if len(forget) > 0 {
		if err := s.ForgetDecisions(ctx, forget); err != nil && !errors.Is(err, context.Canceled) {
			s.logger.Debug("forget", "err", err)
		}
	}
}

// askLater leaves a transaction in peace whose client has not decided.
func (s *Shard) askLater(gid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.mu.prepared[gid]; p != nil {
		p.since = time.Now()
	}
}

// deliver tells the participants of a committed transaction, and forgets it when all
// have heard.
func (s *Shard) deliver(ctx context.Context, gid twophase.GID, d decided) {
	for _, p := range d.participants {
		if err := s.opts.Peers.Resolve(ctx, p, gid, d.outcome); err != nil {
			s.logger.Debug("deliver", "gid", gid, "shard", p, "err", err)
			return
		}
	}
	s.Heard([]string{gid.String()})
}

// collect removes old versions behind the garbage horizon, and log that nobody needs. A
// base copy must not replace the store meanwhile.
func (s *Shard) collect() {
	s.upkeep.Lock()
	defer s.upkeep.Unlock()
	if horizon := s.garbageHorizon(); horizon > 0 {
		if _, err := s.store().GC(s.ctx, nil, nil, horizon); err != nil && s.ctx.Err() == nil {
			s.logger.Warn("garbage collection", "err", err)
		}
	}
	s.releaseLog()
}

// garbageHorizon is below what anyone reads: the primary chooses it, behind its clock and
// the snapshots that its standbys hold; a standby takes the primary's as far as it has
// applied the log. It is 0 when this node does not know, being a primary without a lease.
func (s *Shard) garbageHorizon() hlc.Timestamp {
	serving := s.serving() == nil
	s.mu.Lock()
	var horizon hlc.Timestamp
	switch {
	case serving:
		horizon = min(hlc.At(s.clock.Last().Millis()-horizonBehind, 0), s.heldSnapshot(time.Now()))
		if time.Since(s.mu.led) < holdSilence {
			horizon = 0 // routers have not told yet what they hold
		}
	case !s.mu.leading:
		horizon = min(s.mu.horizon, s.Visible())
	}
	s.mu.Unlock()
	if oldest, ok := s.store().OldestSnapshot(); ok {
		horizon = min(horizon, oldest)
	}
	prepared, err := s.store().Prepared()
	if err != nil {
		return 0
	}
	for _, p := range prepared {
		horizon = min(horizon, p.Time)
	}
	return horizon
}

// releaseLog lets go of log segments that a restart no longer needs. Replication keeps
// what its standbys still need by a hold.
func (s *Shard) releaseLog() {
	durable, err := s.store().DurableApplied()
	if err != nil {
		return
	}
	below := durable.LSN
	if s.opts.Hold != nil {
		below = min(below, s.opts.Hold())
	}
	if err := s.log.Release(below); err != nil && s.ctx.Err() == nil {
		s.logger.Warn("release log", "err", err)
	}
	if s.Applied()-durable.LSN > maxReplay {
		if err := s.store().Flush(); err != nil {
			s.logger.Warn("flush", "err", err)
		}
	}
}

// maxReplay is how much log a restart may have to apply again.
const maxReplay = 64 << 20
