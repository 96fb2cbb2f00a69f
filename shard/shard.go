// Package shard is one shard's database on one node: the commit path, ownership of
// slots and cells, indexes, and background work.
//
// # The commit path
//
// A statement writes into its transaction's memory under row locks. COMMIT appends one
// record; under the log latch it draws the commit timestamp and checks that the shard
// still owns what is written. Replication says up to which LSN records are committed
// (Advance); one applier goroutine applies them in log order, on a primary and on a
// standby alike. Only then is the client answered and are the locks given back, so
// that nobody sees what could still be lost.
package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/storage"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/txn"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/wal"
)

// Shard is one node's copy of a shard. Its methods may be called by many goroutines.
//
// Threads: the applier applies committed records; the keeper collects garbage, releases
// log and, on a primary, logs heartbeats and settles transactions that their coordinator left.
// Open starts both, Close waits for both.
//
// Locks: applying and the log latch before mu; no log call while mu is held.
type Shard struct {
	opts   Options
	log    *wal.Log
	data   atomic.Pointer[storage.Store] // replaced by a base copy
	stores stores
	clock  *hlc.Clock
	locks  *txn.Locks
	logger *slog.Logger

	applying  sync.Mutex    // held while a record is applied, or a base copy put in place
	copies    atomic.Int64  // base copies put in place: what was read of the log before is void
	committed atomic.Uint64 // LSN: what is below may be applied
	advanced  chan struct{} // wakes the applier
	wake      chan struct{} // wakes the keeper
	ctx       context.Context
	cancel    context.CancelFunc
	threads   sync.WaitGroup
	txids     atomic.Uint64
	counters  counters

	lastCollect time.Time  // the keeper's
	upkeep      sync.Mutex // clean-up, or a new store in the place of the old one; before mu
	tables      sync.Map   // *catalog.Relation → *table

	mu struct {
		sync.Mutex
		leading   bool
		term      uint32
		permitted uint32 // the term in which this node may lead, 0 for none
		applied   wal.LSN
		moved     chan struct{} // closed and replaced at every apply and change of role
		inflight  []flight      // appended and not yet applied, in log order
		pending   map[wal.LSN]func(error)
		units     *units
		deciding  map[string]struct{} // gids whose decision record is in flight
		decided   map[string]decided
		prepared  map[string]*preparedTx
		open      map[string]*Tx // by gid: what a coordinator may still commit here
		flying    map[uint64]int // records of sessions that are not applied yet
		lost      map[uint64]struct{}
		recent    recent

		resolutions resolutions
		marks       map[types.OID]mark
		catalogs    []*catalog.Catalog // ascending by version
		adopted     uint64             // ownership version of the map adopted last
		members     uint64             // and the version in which its set of shards changed last
		closed      hlc.Timestamp
		horizon     hlc.Timestamp // the primary's for garbage, as a standby heard of it
		draining    bool
		active      int                  // transactions that are open
		holds       map[string]hold      // what standbys and routers read
		running     map[string]time.Time // transactions that their routers are at work on
		led         time.Time            // when this node became primary
		lossy       hlc.Timestamp        // snapshots below are not what they were
		err         error                // why nothing is applied any more
	}
}

// Options of a shard. All fields but those that say otherwise are needed.
type Options struct {
	ID     cluster.ShardID
	Slots  int    // size of the cluster's slot table
	FS     vfs.FS // vfs.Default if nil
	Dir    string // wal/ and the store lie under it
	Wall   func() int64
	Logger *slog.Logger

	CacheBytes   int64         // 64 MiB if 0
	SegmentBytes int64         // of the log, 64 MiB if 0
	LockTimeout  time.Duration // none if 0
	// Lease tells whether this node may still serve as primary; nil: always.
	Lease func() bool
	// Peers reaches other shards for the outcome of distributed transactions; nil when
	// the shard is a cluster of its own.
	Peers Peers
	// OnFlush is told what is durable on this node, in order; nil makes the shard
	// standalone: what is durable is committed.
	OnFlush func(wal.LSN)
	// Undo asks the control store to give units back whose move stands still after its
	// reads-off record; nil where nothing moves.
	Undo func(ctx context.Context, units []placement.Unit) error
	// OnApply is told that the applier got on; it must not block.
	OnApply func()
	// Relations are virtual relations that the node adds to every catalog.
	Relations []*catalog.Relation
	// Hold tells below which LSN others no longer need the log; nil: nobody needs it.
	Hold func() wal.LSN
	// Fatal is told once that the log or the store failed: the process must end.
	Fatal func(error)
}

// Peers reaches the primaries of other shards.
type Peers interface {
	// Outcome asks the owner what became of a distributed transaction; an undecided one
	// will not commit at or below at.
	Outcome(ctx context.Context, gid twophase.GID, at hlc.Timestamp) (twophase.Outcome, error)
	// Decide has the owner decide: committed, or aborted from now on.
	Decide(ctx context.Context, gid twophase.GID) (twophase.Outcome, error)
	// Resolve tells a participant the outcome.
	Resolve(ctx context.Context, shard cluster.ShardID, gid twophase.GID, o twophase.Outcome) error
}

// flight is a record that got its timestamp and is not applied yet.
type flight struct {
	time hlc.Timestamp
	end  wal.LSN
}

// decided is an entry of the decision table.
type decided struct {
	outcome      twophase.Outcome
	participants []twophase.ShardID // not known to have heard
	since        time.Time
}

// preparedTx is a transaction that waits for its decision and holds its locks.
type preparedTx struct {
	time      hlc.Timestamp
	locks     txn.ID
	since     time.Time
	resolving bool
}

// counters count what the promises about costs are made of.
type counters struct {
	logWrites atomic.Int64
	restarts  atomic.Int64
}

const (
	// ceilingAhead is how far beyond a committed record's time timestamps may be given
	// or promised: its successor starts above. It is implied by the record, not stored.
	ceilingAhead = 3000 // ms
	catalogsKept = 32
)

// Open opens or makes a shard's data on this node. It follows: Lead makes it primary.
func Open(o Options) (*Shard, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Shard{
		opts: o, logger: o.Logger, clock: hlc.New(o.Wall), locks: txn.NewLocks(time.Second),
		advanced: make(chan struct{}, 1), wake: make(chan struct{}, 1),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.mu.moved = make(chan struct{})
	s.mu.pending = map[wal.LSN]func(error){}
	s.mu.deciding = map[string]struct{}{}
	s.mu.decided = map[string]decided{}
	s.mu.prepared = map[string]*preparedTx{}
	s.mu.open = map[string]*Tx{}
	s.mu.flying, s.mu.lost = map[uint64]int{}, map[uint64]struct{}{}
	s.mu.marks = map[types.OID]mark{}
	s.mu.holds = map[string]hold{}
	s.mu.running = map[string]time.Time{}
	s.mu.units = newUnits()
	s.locks.Reset(errNotPrimary())
	if err := s.open(); err != nil {
		s.cancel()
		return nil, err
	}
	s.threads.Go(s.apply)
	s.threads.Go(s.keep)
	return s, nil
}

func (s *Shard) open() error {
	dir := func(name string) string { return s.opts.FS.PathJoin(s.opts.Dir, name) }
	if err := s.opts.FS.MkdirAll(s.opts.Dir, 0o700); err != nil {
		return err
	}
	if err := s.openStores(); err != nil {
		return err
	}
	store, err := s.openStore(s.stores.name)
	if err != nil {
		return errors.Join(err, s.stores.marker.Close())
	}
	s.data.Store(store)
	onFlush := s.opts.OnFlush
	if onFlush == nil {
		onFlush = s.Advance
	}
	s.log, err = wal.Open(wal.Options{
		FS: s.opts.FS, Dir: dir("wal"), SegmentBytes: s.opts.SegmentBytes, Logger: s.logger,
		OnFlush: onFlush, Fatal: s.fail,
	})
	if err == nil {
		err = s.load()
	}
	if err != nil {
		err = errors.Join(err, store.Close(), s.stores.marker.Close())
		if s.log != nil {
			err = errors.Join(err, s.log.Close())
		}
		return fmt.Errorf("open shard in %s: %w", path.Clean(s.opts.Dir), err)
	}
	if s.opts.OnFlush == nil {
		s.Advance(s.log.Flushed())
	}
	return nil
}

// Close stops the shard. What was appended is on disk afterwards; what is not applied
// is applied from the log at the next start.
func (s *Shard) Close() error {
	s.StepDown()
	s.cancel()
	s.threads.Wait()
	return errors.Join(s.log.Close(), s.store().Close(), s.stores.marker.Close())
}

// store is the store in use. A base copy may take its place meanwhile: the old one then
// answers as long as somebody is inside, and with storage.ErrClosed afterwards.
func (s *Shard) store() *storage.Store { return s.data.Load() }

// Log is the shard's log, for replication.
func (s *Shard) Log() *wal.Log { return s.log }

// ID is the shard's number.
func (s *Shard) ID() cluster.ShardID { return s.opts.ID }

// Clock is the shard's clock.
func (s *Shard) Clock() *hlc.Clock { return s.clock }

// Relations are the virtual relations that the shard adds to its catalogs.
func (s *Shard) Relations() []*catalog.Relation {
	return slices.Concat(ownRelations(), s.opts.Relations)
}

// WaitVisible returns when everything at or below ts is applied here.
func (s *Shard) WaitVisible(ctx context.Context, ts hlc.Timestamp) error {
	return s.waitFor(ctx, func() (bool, error) { return s.Visible() >= ts || s.mu.closed >= ts, nil })
}

// Applied is the LSN below which every record is applied.
func (s *Shard) Applied() wal.LSN {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.applied
}

// Visible is the greatest timestamp of what is applied.
func (s *Shard) Visible() hlc.Timestamp { return s.store().Visible() }

// Leading tells whether this node is primary, and in which term.
func (s *Shard) Leading() (term uint32, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.term, s.mu.leading
}

// Stats are counters that only grow while the process runs.
type Stats struct {
	LogWrites int64 // records appended as primary
	Restarts  int64 // statements that ran again above a newer version
	Log       wal.Stats
	Store     storage.Stats
}

// Stats returns the shard's counters.
func (s *Shard) Stats() Stats {
	return Stats{
		LogWrites: s.counters.logWrites.Load(), Restarts: s.counters.restarts.Load(),
		Log: s.log.Stats(), Store: s.store().Stats(),
	}
}

// fail stops the shard for good: memory and disk no longer agree.
func (s *Shard) fail(err error) {
	s.mu.Lock()
	first := s.mu.err == nil
	if first {
		s.mu.err = err
		s.announce()
	}
	s.mu.Unlock()
	if first && s.opts.Fatal != nil {
		s.opts.Fatal(err)
	}
}

// announce wakes everyone who waits for something to be applied; mu is held.
func (s *Shard) announce() {
	close(s.mu.moved)
	s.mu.moved = make(chan struct{})
}

// waitFor returns when cond, called with mu held, is true or fails.
func (s *Shard) waitFor(ctx context.Context, cond func() (bool, error)) error {
	for {
		s.mu.Lock()
		ok, err := cond()
		if err == nil && !ok {
			err = s.mu.err
		}
		moved := s.mu.moved
		s.mu.Unlock()
		if ok || err != nil {
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.ctx.Done():
			return types.Errorf("57P01", "terminating connection due to administrator command")
		}
	}
}

// waitApplied returns when every record below end is applied.
func (s *Shard) waitApplied(ctx context.Context, end wal.LSN) error {
	return s.waitFor(ctx, func() (bool, error) { return s.mu.applied >= end, nil })
}

// errNotPrimary is what a statement gets that needs the primary; a router looks for the
// new one and tries again.
func errNotPrimary() *types.Error {
	return types.Errorf("57P03", "this node is not the shard's primary").
		WithHint("Connect to a router: it finds the primary.")
}
