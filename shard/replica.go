package shard

import (
	"context"
	"errors"
	"time"

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
func (s *Shard) HoldSnapshot(node string, oldest hlc.Timestamp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if oldest == 0 {
		delete(s.mu.holds, node)
		return
	}
	s.mu.holds[node] = oldest
}

// Export gives one consistent state of the store as pairs, for a base copy.
func (s *Shard) Export(_ context.Context, begin func(at wal.LSN) error, put func(key, value []byte) error) error {
	return s.store().Export(func(p storage.Position) error { return begin(p.LSN) }, put)
}

// Import replaces the store by a base copy taken at an LSN. The old one stands until the
// new one is complete on disk; the caller resets the log.
func (s *Shard) Import(ctx context.Context, at wal.LSN, all func(put func(key, value []byte) error) error) error {
	fs, dir := s.opts.FS, s.opts.FS.PathJoin(s.opts.Dir, "db.new")
	if err := fs.RemoveAll(dir); err != nil {
		return err
	}
	if err := storage.Import(storage.Options{FS: fs, Dir: dir, Logger: s.logger}, all); err != nil {
		return errors.Join(err, fs.RemoveAll(dir))
	}
	for s.store().Stats().OpenSnapshots > 0 { // reads that began before end soon
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return s.swap(dir, at)
}

// swap puts a complete store in the place of the old one.
func (s *Shard) swap(dir string, at wal.LSN) error {
	s.upkeep.Lock()
	defer s.upkeep.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	fs, final := s.opts.FS, s.opts.FS.PathJoin(s.opts.Dir, "db")
	if err := s.store().Close(); err != nil {
		return err
	}
	if err := fs.Rename(final, final+".old"); err != nil {
		return err
	}
	if err := fs.Rename(dir, final); err != nil {
		return err
	}
	if err := fs.RemoveAll(final + ".old"); err != nil {
		return err
	}
	store, err := storage.Open(storage.Options{FS: fs, Dir: final, CacheBytes: s.opts.CacheBytes, Logger: s.logger})
	if err != nil {
		return err
	}
	if store.Applied().LSN != at {
		return errors.Join(types.Errorf("XX001", "a base copy at %v holds the state at %v", at, store.Applied().LSN), store.Close())
	}
	s.data.Store(store)
	s.mu.units, s.mu.catalogs = newUnits(), nil
	s.mu.decided, s.mu.prepared = map[string]decided{}, map[string]*preparedTx{}
	s.mu.inflight = nil
	s.committed.Store(uint64(at))
	return s.loadLocked()
}
