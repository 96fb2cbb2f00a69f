// Package txn is transactions on one shard: their writes before the commit, row and
// advisory locks, deadlocks, savepoints, conflicts with newer versions.
//
// A transaction keeps its writes in memory and locks every row it writes at the shard's
// primary. Under the lock the newest committed version is compared with the snapshot:
// the first committer wins. The shard turns the finished transaction into one log
// record; what is locked stays locked until that record is applied.
package txn

import (
	"context"
	"time"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/storage"
	"github.com/heliosdb/helios/types"
)

// Tx is one transaction's part on one shard. It is used by one goroutine at a time.
type Tx struct {
	ID ID

	store       *storage.Store
	locks       *Locks
	lockTimeout time.Duration
	buf         *buffer
	savepoints  []savepoint
	locked      map[string]Mode // rows locked, written or not, for a prepare
	maxBytes    int64
}

type savepoint struct {
	name  string
	undo  int
	locks int
}

// Options of a transaction. MaxBytes bounds its writes in memory (53200 beyond).
type Options struct {
	LockTimeout time.Duration
	MaxBytes    int64
}

// New begins a transaction.
func New(id ID, store *storage.Store, locks *Locks, o Options) *Tx {
	return &Tx{
		ID: id, store: store, locks: locks, buf: newBuffer(), locked: map[string]Mode{},
		lockTimeout: o.LockTimeout, maxBytes: o.MaxBytes,
	}
}

// SetLockTimeout changes the longest wait for a lock; 0 is none.
func (t *Tx) SetLockTimeout(d time.Duration) { t.lockTimeout = d }

// NewerError says that a row has a version newer than the snapshot: under READ COMMITTED
// the statement runs again above Time, under REPEATABLE READ it is 40001.
type NewerError struct{ Time hlc.Timestamp }

func (e *NewerError) Error() string { return "a newer version of the row was committed" }

// Lock locks a row (or any key). With at not 0 it then returns *NewerError if the row's
// content was written after at.
func (t *Tx) Lock(ctx context.Context, key []byte, mode Mode, wait Wait, at hlc.Timestamp) error {
	if err := t.locks.Acquire(ctx, t.ID, string(key), mode, wait, t.lockTimeout); err != nil {
		return err
	}
	t.locked[string(key)] = max(t.locked[string(key)], mode)
	if at == 0 {
		return nil
	}
	if _, own := t.buf.get(key); own {
		return nil
	}
	v, ok, err := t.store.Newest(key)
	if err != nil || !ok || v.WriteTime <= at {
		return err
	}
	return &NewerError{Time: v.Time}
}

// Newest is the latest committed version of a key, or the transaction's own write: what
// a uniqueness check looks at, under the key's lock. ok is false for a deleted row.
func (t *Tx) Newest(key []byte) (value []byte, ok bool, err error) {
	if w, own := t.buf.get(key); own {
		return w.value, !w.deleted, nil
	}
	v, ok, err := t.store.Newest(key)
	return v.Value, ok && !v.Tombstone, err
}

// Put writes a row that the transaction has locked. It keeps key and value.
func (t *Tx) Put(key, value []byte) error { return t.set(key, write{value: value}) }

// Delete removes a row that the transaction has locked.
func (t *Tx) Delete(key []byte) error { return t.set(key, write{deleted: true}) }

// PutMoved writes a row at its new place; its content was written at written.
func (t *Tx) PutMoved(key, value []byte, written hlc.Timestamp) error {
	return t.set(key, write{value: value, kept: written})
}

// DeleteMoved removes a row from the place it leaves.
func (t *Tx) DeleteMoved(key []byte, written hlc.Timestamp) error {
	return t.set(key, write{deleted: true, kept: written})
}

func (t *Tx) set(key []byte, w write) error {
	t.buf.set(string(key), w)
	if t.maxBytes > 0 && t.buf.bytes > t.maxBytes {
		return types.Errorf("53200", "transaction holds more than %d bytes of changes", t.maxBytes).
			WithHint("Commit more often, or use COPY in several parts.")
	}
	return nil
}

// Writes counts the keys written so far.
func (t *Tx) Writes() int { return t.buf.len() }

// Dirty tells whether the transaction has written or locked anything.
func (t *Tx) Dirty() bool { return t.buf.len() > 0 || len(t.locked) > 0 }

// Keys calls f with every key written.
func (t *Tx) Keys(f func(key []byte)) {
	for k := range t.buf.writes {
		f([]byte(k))
	}
}

// Batch gives the writes as a log record's payload; with withLocks also the rows locked
// without a write, which a prepared transaction has to go on holding.
func (t *Tx) Batch(withLocks bool) *storage.Batch {
	var b storage.Batch
	for _, k := range t.buf.keys(nil, nil) {
		w := t.buf.writes[k]
		switch key := []byte(k); {
		case w.deleted && w.kept != 0:
			b.DeleteMoved(key, w.kept)
		case w.deleted:
			b.Delete(key)
		case w.kept != 0:
			b.PutMoved(key, w.value, w.kept)
		default:
			b.Put(key, w.value)
		}
	}
	if withLocks {
		for k, mode := range t.locked {
			if _, written := t.buf.writes[k]; !written {
				b.Lock([]byte(k), uint8(mode))
			}
		}
	}
	return &b
}

// Savepoint marks the state that RollbackTo goes back to. A name may be used again: the
// newest one counts.
func (t *Tx) Savepoint(name string) {
	t.savepoints = append(t.savepoints, savepoint{name: name, undo: len(t.buf.undo), locks: t.locks.Mark(t.ID)})
}

// RollbackTo undoes what was written and locked after the savepoint, which stays; false
// if there is none of that name.
func (t *Tx) RollbackTo(name string) bool {
	if !t.UndoTo(name) {
		return false
	}
	for _, key := range t.locks.ReleaseSince(t.ID, t.savepoints[len(t.savepoints)-1].locks) {
		delete(t.locked, key) // another may have the row now: a prepare must not claim it
	}
	return true
}

// UndoTo is RollbackTo, but what was locked stays locked: for a statement that runs again.
func (t *Tx) UndoTo(name string) bool {
	i := t.find(name)
	if i < 0 {
		return false
	}
	t.savepoints = t.savepoints[:i+1]
	t.Undo(Mark{undo: t.savepoints[i].undo})
	return true
}

// Release forgets a savepoint and those after it; false if there is none of that name.
func (t *Tx) Release(name string) bool {
	i := t.find(name)
	if i < 0 {
		return false
	}
	t.savepoints = t.savepoints[:i]
	return true
}

func (t *Tx) find(name string) int {
	for i := len(t.savepoints) - 1; i >= 0; i-- {
		if t.savepoints[i].name == name {
			return i
		}
	}
	return -1
}

// Mark is a point in a transaction's writes.
type Mark struct{ undo int }

// Mark notes the writes so far, for Undo.
func (t *Tx) Mark() Mark { return Mark{undo: len(t.buf.undo)} }

// Undo takes back the writes since m and keeps the locks, as a statement that runs again does.
func (t *Tx) Undo(m Mark) { t.buf.rollback(m.undo) }

// End gives the locks back: the transaction's record is applied, or it is rolled back.
func (t *Tx) End() { t.locks.Release(t.ID) }
