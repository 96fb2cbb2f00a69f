package txn

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/heliosdb/helios/types"
)

// Mode is the strength of a row lock, weakest first, with PostgreSQL's conflicts
// (documentation, table "Conflicting Row-Level Locks").
type Mode uint8

// Modes of row locks. A plain UPDATE or DELETE takes Update here: Helios' keys are
// part of the row's place, so the weaker NoKeyUpdate gains only against KeyShare.
const (
	KeyShare Mode = iota
	Share
	NoKeyUpdate
	Update
)

// conflicts[a][b] tells whether a lock of mode a keeps b out.
var conflicts = [4][4]bool{
	KeyShare:    {Update: true},
	Share:       {NoKeyUpdate: true, Update: true},
	NoKeyUpdate: {Share: true, NoKeyUpdate: true, Update: true},
	Update:      {KeyShare: true, Share: true, NoKeyUpdate: true, Update: true},
}

// Wait says what to do when a lock is not free.
type Wait uint8

// Ways to wait.
const (
	Block  Wait = iota
	NoWait      // 55P03 at once
	Skip        // ErrSkipped at once
)

// ErrSkipped is returned for Skip when the lock is not free.
var ErrSkipped = types.Errorf("55P03", "row is locked")

// ID names a transaction in the lock table; a prepared one keeps its ID.
type ID uint64

// Locks is the lock table of one shard's primary: rows, and advisory locks under keys
// of their own. Locks are granted first come, first served.
type Locks struct {
	deadlockAfter time.Duration
	mu            struct {
		sync.Mutex
		locks   map[string]*lock
		held    map[ID][]string // keys in order of first acquisition
		waiting map[ID]*waiter  // what a transaction waits for
		closed  error           // set by Reset: every waiter and caller gets it
		waits   uint64          // numbers them
	}
}

type lock struct {
	holders map[ID]Mode
	queue   []*waiter
}

type waiter struct {
	id    ID
	key   string
	mode  Mode
	n     uint64     // no other wait has the same
	ready chan error // buffered: nil when granted
}

// NewLocks makes an empty table. A waiter looks for a deadlock after deadlockAfter.
func NewLocks(deadlockAfter time.Duration) *Locks {
	l := &Locks{deadlockAfter: deadlockAfter}
	l.mu.locks = map[string]*lock{}
	l.mu.held = map[ID][]string{}
	l.mu.waiting = map[ID]*waiter{}
	return l
}

// Acquire locks key for id, or strengthens a lock it holds. It returns ErrSkipped,
// 55P03 (NoWait, or timeout passed; 0 means none), 40P01 when waiting would never end,
// or the context's cause.
func (l *Locks) Acquire(ctx context.Context, id ID, key string, mode Mode, wait Wait, timeout time.Duration) error {
	l.mu.Lock()
	if err := l.mu.closed; err != nil {
		l.mu.Unlock()
		return err
	}
	lk := l.mu.locks[key]
	if lk == nil {
		lk = &lock{holders: map[ID]Mode{}}
		l.mu.locks[key] = lk
	}
	held, holds := lk.holders[id]
	if holds && held >= mode {
		l.mu.Unlock()
		return nil
	}
	if lk.free(id, mode) && (holds || len(lk.queue) == 0) {
		l.grant(lk, key, id, mode)
		l.mu.Unlock()
		return nil
	}
	if wait != Block {
		l.mu.Unlock()
		if wait == Skip {
			return ErrSkipped
		}
		return types.Errorf("55P03", "could not obtain lock on row")
	}
	w := &waiter{id: id, key: key, mode: mode, ready: make(chan error, 1)}
	if holds { // an upgrade goes first: it blocks everyone behind it anyway
		lk.queue = append([]*waiter{w}, lk.queue...)
	} else {
		lk.queue = append(lk.queue, w)
	}
	l.mu.waits++
	w.n = l.mu.waits
	l.mu.waiting[id] = w
	l.mu.Unlock()
	return l.await(ctx, w, timeout)
}

// await waits for the grant; it looks for a cycle once, after deadlockAfter.
func (l *Locks) await(ctx context.Context, w *waiter, timeout time.Duration) error {
	check := time.NewTimer(l.deadlockAfter)
	defer check.Stop()
	var expired <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		expired = t.C
	}
	for {
		select {
		case err := <-w.ready:
			return err
		case <-check.C:
			if l.inCycle(w.id) && l.abandon(w) {
				return types.Errorf("40P01", "deadlock detected")
			}
		case <-expired:
			if l.abandon(w) {
				return types.Errorf("55P03", "canceling statement due to lock timeout")
			}
			expired = nil
		case <-ctx.Done():
			if l.abandon(w) {
				return context.Cause(ctx)
			}
			return <-w.ready
		}
	}
}

// free tells whether nobody but id holds a lock that keeps mode out.
func (lk *lock) free(id ID, mode Mode) bool {
	for h, m := range lk.holders {
		if h != id && conflicts[m][mode] {
			return false
		}
	}
	return true
}

func (l *Locks) grant(lk *lock, key string, id ID, mode Mode) {
	if _, holds := lk.holders[id]; !holds {
		l.mu.held[id] = append(l.mu.held[id], key)
	}
	lk.holders[id] = max(lk.holders[id], mode)
}

// abandon takes w out of its queue; false means that it was answered meanwhile.
func (l *Locks) abandon(w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	lk := l.mu.locks[w.key]
	if lk == nil || l.mu.waiting[w.id] != w {
		return false
	}
	for i, q := range lk.queue {
		if q == w {
			lk.queue = append(lk.queue[:i], lk.queue[i+1:]...)
			break
		}
	}
	delete(l.mu.waiting, w.id)
	l.wake(w.key, lk)
	return true
}

// wake grants from the head of the queue while it can, and drops an unused lock.
func (l *Locks) wake(key string, lk *lock) {
	for len(lk.queue) > 0 && lk.free(lk.queue[0].id, lk.queue[0].mode) {
		w := lk.queue[0]
		lk.queue = lk.queue[1:]
		l.grant(lk, key, w.id, w.mode)
		delete(l.mu.waiting, w.id)
		w.ready <- nil
	}
	if len(lk.queue) == 0 && len(lk.holders) == 0 {
		delete(l.mu.locks, key)
	}
}

// Mark is a point in a transaction's row of locks, for ReleaseSince.
func (l *Locks) Mark(id ID) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.mu.held[id])
}

// ReleaseSince gives back the locks first taken after mark, as ROLLBACK TO does, and tells
// which they were.
func (l *Locks) ReleaseSince(id ID, mark int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.mu.held[id]
	if mark >= len(held) {
		return nil
	}
	gone := held[mark:]
	for _, key := range gone {
		lk := l.mu.locks[key]
		delete(lk.holders, id)
		l.wake(key, lk)
	}
	if mark == 0 {
		delete(l.mu.held, id)
	} else {
		l.mu.held[id] = held[:mark:mark]
	}
	return gone
}

// Release gives back all locks of id.
func (l *Locks) Release(id ID) { l.ReleaseSince(id, 0) }

// ReleaseKey gives back one lock, as pg_advisory_unlock does; false if id did not hold it.
func (l *Locks) ReleaseKey(id ID, key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	lk := l.mu.locks[key]
	if lk == nil {
		return false
	}
	if _, holds := lk.holders[id]; !holds {
		return false
	}
	delete(lk.holders, id)
	held := l.mu.held[id]
	for i, k := range held {
		if k == key {
			l.mu.held[id] = append(held[:i], held[i+1:]...)
			break
		}
	}
	l.wake(key, lk)
	return true
}

// HeldByOther tells whether another transaction holds a lock on key that keeps mode out.
func (l *Locks) HeldByOther(id ID, key string, mode Mode) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	lk := l.mu.locks[key]
	return lk != nil && !lk.free(id, mode)
}

// Holders lists the transactions that hold a lock on key.
func (l *Locks) Holders(key string) []ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	lk := l.mu.locks[key]
	if lk == nil {
		return nil
	}
	return slices.Collect(maps.Keys(lk.holders))
}

// Waiting counts the transactions that wait for a lock.
func (l *Locks) Waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.mu.waiting)
}

// Edge says that one transaction waits for another. Number is that of the wait: the same
// two may wait again, for something else.
type Edge struct {
	Waiter, Holder ID
	Number         uint64
}

// Edges lists who waits for whom.
func (l *Locks) Edges() []Edge {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Edge
	for id, w := range l.mu.waiting {
		for _, holder := range l.mu.locks[w.key].blockers(w) {
			out = append(out, Edge{id, holder, w.n})
		}
	}
	return out
}

// Reset forgets every lock and answers every waiter with err: the node is no longer
// primary. With err nil the table is open again and empty.
func (l *Locks) Reset(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.closed = err
	for _, lk := range l.mu.locks {
		for _, w := range lk.queue {
			w.ready <- err
		}
	}
	clear(l.mu.locks)
	clear(l.mu.held)
	clear(l.mu.waiting)
}

// inCycle follows "waits for" edges from id and tells whether they lead back to it.
func (l *Locks) inCycle(id ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[ID]bool{}
	var reaches func(from ID) bool
	reaches = func(from ID) bool {
		w := l.mu.waiting[from]
		if w == nil || seen[from] {
			return false
		}
		seen[from] = true
		for _, next := range l.mu.locks[w.key].blockers(w) {
			if next == id || reaches(next) {
				return true
			}
		}
		return false
	}
	return reaches(id)
}

// blockers lists whom w waits for: holders that keep it out, and conflicting waiters ahead.
func (lk *lock) blockers(w *waiter) []ID {
	var out []ID
	for h, m := range lk.holders {
		if h != w.id && conflicts[m][w.mode] {
			out = append(out, h)
		}
	}
	for _, q := range lk.queue {
		if q == w {
			break
		}
		if q.id != w.id && conflicts[q.mode][w.mode] {
			out = append(out, q.id)
		}
	}
	return out
}
