package shard

import (
	"context"
	"errors"
	"fmt"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/storage"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/wal"
)

// Floor prepares this node to lead: it gives the timestamp above which its clock starts,
// above all that a predecessor, of which ceiling is known, can have given or promised.
func (s *Shard) Floor(ceiling hlc.Timestamp) hlc.Timestamp {
	s.clock.Observe(max(ceiling, hlc.At(s.Visible().Millis()+ceilingAhead, 0)))
	return s.clock.Last()
}

// Beat appends a heartbeat, through the path that commits take, and gives its end.
func (s *Shard) Beat(context.Context) (wal.LSN, error) {
	end, _, err := s.appendRecord(wal.TypeHeartbeat, 0, func(ts hlc.Timestamp) ([]byte, error) {
		return heartbeat{Ceiling: hlc.At(ts.Millis()+ceilingAhead, 0), Closed: s.mu.closed, Horizon: s.store().Horizon()}.encode(), nil
	}, nil)
	return end, err
}

// Drain keeps new transactions out and returns when none is open; Resume lets them in
// again.
func (s *Shard) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.mu.draining = true
	s.mu.Unlock()
	return s.waitFor(ctx, func() (bool, error) { return s.mu.active == 0, nil })
}

// Resume ends Drain.
func (s *Shard) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.draining = false
	s.announce()
}

// enter counts a transaction that may write; it waits while the node drains.
func (s *Shard) enter(ctx context.Context) error {
	return s.waitFor(ctx, func() (bool, error) {
		if s.mu.draining && s.mu.leading {
			return false, nil
		}
		s.mu.active++
		return true, nil
	})
}

func (s *Shard) exit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.active--; s.mu.active == 0 {
		s.announce()
	}
}

// ClosedAt is Closed with the end of the log that goes with it: once everything below is
// applied, a standby may serve what is closed.
func (s *Shard) ClosedAt() (closed hlc.Timestamp, end wal.LSN, horizon hlc.Timestamp) {
	closed = s.Closed()
	return closed, s.log.End(), s.store().Horizon()
}

// OldestSnapshot is the oldest timestamp that is being read here, 0 for none.
func (s *Shard) OldestSnapshot() hlc.Timestamp {
	ts, _ := s.store().OldestSnapshot()
	return ts
}

// HoldSnapshot keeps the garbage horizon at or below what a standby reads; 0 ends it.
func (s *Shard) HoldSnapshot(node string, oldest hlc.Timestamp) { s.hold(node, hold{oldest: oldest}) }

// Export gives one consistent state of the store as pairs, for a base copy.
func (s *Shard) Export(_ context.Context, begin func(at wal.LSN) error, put func(key, value []byte) error) error {
	return s.store().Export(func(p storage.Position) error { return begin(p.LSN) }, put)
}

// Import replaces the store by a base copy taken at an LSN. The old one stands until the
// new one is complete on disk, and goes when nobody reads it any more; the caller resets
// the log.
func (s *Shard) Import(_ context.Context, at wal.LSN, all func(put func(key, value []byte) error) error) error {
	name := s.nextStore()
	dir := s.storeDir(name)
	if err := s.opts.FS.RemoveAll(dir); err != nil {
		return err
	}
	store, err := s.copied(name, at, all)
	if err != nil {
		return errors.Join(err, s.opts.FS.RemoveAll(dir))
	}
	return s.swap(name, store, at)
}

// copied makes a store of a base copy and opens it.
func (s *Shard) copied(name string, at wal.LSN, all func(put func(key, value []byte) error) error) (*storage.Store, error) {
	if err := storage.Import(storage.Options{FS: s.opts.FS, Dir: s.storeDir(name), Logger: s.logger}, all); err != nil {
		return nil, err
	}
	store, err := s.openStore(name)
	if err != nil {
		return nil, err
	}
	if got := store.Applied().LSN; got != at {
		return nil, errors.Join(types.Errorf("XX001", "a base copy at %v holds the state at %v", at, got), store.Close())
	}
	return store, nil
}

// swap puts a complete store in the place of the one in use. Once it has begun there is no
// way back: a failure ends the shard, and the next start finds either of the two.
func (s *Shard) swap(name string, store *storage.Store, at wal.LSN) error {
	s.upkeep.Lock()
	defer s.upkeep.Unlock()
	s.applying.Lock()
	defer s.applying.Unlock()
	if err := s.moveMarker(name); err != nil {
		err = errors.Join(fmt.Errorf("put a base copy in place: %w", err), store.Close())
		s.fail(err)
		return err
	}
	replaced := s.storeDir(s.stores.name)
	s.stores.name = name
	s.copies.Add(1)
	s.mu.Lock()
	old := s.data.Swap(store)
	s.mu.units, s.mu.catalogs = newUnits(), nil
	s.mu.decided, s.mu.prepared = map[string]decided{}, map[string]*preparedTx{}
	s.mu.inflight = nil
	clear(s.mu.marks)
	s.committed.Store(uint64(at))
	err := s.loadLocked()
	s.announce()
	s.mu.Unlock()
	old.Retire(func(error) {
		if err := s.opts.FS.RemoveAll(replaced); err != nil { // the next start tries again
			s.logger.Warn("remove a replaced store", "shard", s.opts.ID, "err", err)
		}
	})
	if err != nil {
		err = fmt.Errorf("load a base copy: %w", err)
		s.fail(err)
	}
	return err
}
