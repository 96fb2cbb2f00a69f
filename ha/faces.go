package ha

import (
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/heliosdb/helios/wal"
)

// Replicator is a primary's view of its log's way to the standbys.
type Replicator struct{ node *Node }

// Replicator returns the node's replicator.
func (n *Node) Replicator() Replicator { return Replicator{n} }

// Records yields every record of the log from an LSN on, in order and without a
// gap, as soon as it is appended, until ctx ends or the log is cut below.
func (r Replicator) Records(ctx context.Context, from wal.LSN) iter.Seq2[wal.Record, error] {
	return func(yield func(wal.Record, error) bool) {
		reader, err := r.node.opts.Log.ReadFrom(from)
		if err != nil {
			yield(wal.Record{}, err)
			return
		}
		defer reader.Close()
		for {
			record, err := reader.Next(ctx)
			if !yield(record, err) || err != nil {
				return
			}
		}
	}
}

// Standbys describes all standbys.
func (r Replicator) Standbys() []StandbyStatus { return r.node.Standbys() }

// Wait returns when a record that ends at end is committed; see Gate.
func (r Replicator) Wait(ctx context.Context, term uint32, end wal.LSN) error {
	return r.node.gate.Wait(ctx, term, end)
}

// Applicator feeds a log's committed records to a function, one after another.
// A shard's Applier embeds one: it has Advance and Applied.
type Applicator struct {
	log   *wal.Log
	bell  Bell
	apply func(wal.Record) error
	wake  chan struct{}
	mu    struct {
		sync.Mutex
		commit  wal.LSN
		applied wal.LSN
	}
}

// NewApplicator returns an applicator that goes on at applied. bell is rung
// after each record.
func NewApplicator(log *wal.Log, bell Bell, applied wal.LSN, apply func(wal.Record) error) *Applicator {
	a := &Applicator{log: log, bell: bell, apply: apply, wake: make(chan struct{}, 1)}
	a.mu.commit, a.mu.applied = applied, applied
	return a
}

// Advance says that records below commit are committed.
func (a *Applicator) Advance(commit wal.LSN, _ uint32) {
	a.mu.Lock()
	a.mu.commit = max(a.mu.commit, commit)
	a.mu.Unlock()
	signal(a.wake)
}

// Applied returns the LSN below which all records are applied.
func (a *Applicator) Applied() wal.LSN {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mu.applied
}

// Jump goes on at an LSN: the state was rewound, or replaced by a copy.
func (a *Applicator) Jump(to wal.LSN) {
	a.mu.Lock()
	a.mu.commit, a.mu.applied = to, to
	a.mu.Unlock()
	a.bell.Ring()
}

// Run applies until ctx ends (nil) or the log or apply fails.
func (a *Applicator) Run(ctx context.Context) error {
	for {
		err := a.drain(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, wal.ErrTruncated):
			// a Jump is due; wait for it
		case err != nil:
			return err
		}
		select {
		case <-a.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// drain applies what is committed now.
func (a *Applicator) drain(ctx context.Context) (err error) {
	at, commit := a.position()
	if at >= commit {
		return nil
	}
	reader, err := a.log.ReadFrom(at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	for {
		record, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		if now, commit := a.position(); now != record.LSN || record.End() > commit {
			return nil // a Jump, or the end
		}
		if err := a.apply(record); err != nil {
			return err
		}
		a.mu.Lock()
		if a.mu.applied == record.LSN {
			a.mu.applied = record.End()
		}
		done := a.mu.applied >= a.mu.commit
		a.mu.Unlock()
		a.bell.Ring()
		if done {
			return nil
		}
	}
}

func (a *Applicator) position() (applied, commit wal.LSN) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mu.applied, a.mu.commit
}

// FailoverWatcher tells of changes of the primary.
type FailoverWatcher struct{ node *Node }

// FailoverWatcher returns the node's watcher.
func (n *Node) FailoverWatcher() FailoverWatcher { return FailoverWatcher{n} }

// OnFailover lets hook be called once for every change of primary.
func (w FailoverWatcher) OnFailover(hook func(Failover)) { w.node.OnFailover(hook) }

// LSNManager tells how far this node's log is. All positions but Current grow
// through restarts and failovers; Current may lose what was never committed.
type LSNManager struct{ node *Node }

// LSNManager returns the node's positions.
func (n *Node) LSNManager() LSNManager { return LSNManager{n} }

// Current is the end of the log.
func (m LSNManager) Current() wal.LSN { return m.node.opts.Log.End() }

// Flushed is how much of it is on disk.
func (m LSNManager) Flushed() wal.LSN { return m.node.opts.Log.Flushed() }

// Committed is how much of it is committed, as far as this node knows.
func (m LSNManager) Committed() wal.LSN { return m.node.gate.Commit() }

// Applied is how much of it the shard shows.
func (m LSNManager) Applied() wal.LSN { return m.node.opts.Applier.Applied() }

// SplitBrainProtector answers whether this node may act as primary.
type SplitBrainProtector struct{ node *Node }

// SplitBrainProtector returns the node's protector.
func (n *Node) SplitBrainProtector() SplitBrainProtector { return SplitBrainProtector{n} }

// ErrNotPrimary says that this node may not serve writes or fresh reads now.
var ErrNotPrimary = errors.New("ha: this node is not the primary, or its lease has run out")

// Token returns the fencing token, a shard's term: whoever acts with a lower
// one than another has seen is refused there.
func (p SplitBrainProtector) Token() uint32 { return p.node.Term() }

// Check returns nil while this node is the only one that may serve. It is to
// be asked after a read chose its snapshot, not before.
func (p SplitBrainProtector) Check() error {
	if p.node.LeaseValid() {
		return nil
	}
	return ErrNotPrimary
}
