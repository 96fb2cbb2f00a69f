// Package consensus is the control store: who is primary of which shard under
// which term, the cluster map, registered nodes, router incarnations and
// reshard jobs. It is six calls over embedded etcd, over a named external etcd,
// or over a deterministic fake. It sees a few writes per failover and the
// renewals of leases; no statement ever waits for it.
package consensus

import (
	"context"
	"errors"
)

// Store is a small, linearizable key/value store. All calls may run at once.
// An error other than ErrConflict leaves the outcome of Swap unknown: it may
// have happened or may yet happen.
type Store interface {
	// Get returns the item at key, or one with Rev 0 if there is none.
	Get(ctx context.Context, key string) (Item, error)
	// Swap carries out all writes at one revision if each key still has the
	// revision its write expects, and none of them otherwise (ErrConflict).
	Swap(ctx context.Context, writes ...Write) (rev int64, err error)
	// List returns the items whose keys begin with prefix in key order, as of
	// one revision.
	List(ctx context.Context, prefix string) ([]Item, error)
	// Watch calls fn with the items whose keys begin with prefix, first those
	// there are (possibly none), then those that change, in order. A deleted
	// item has a nil Value. It rides out disconnections; values overwritten
	// meanwhile are skipped, the newest never is. It returns when ctx ends.
	Watch(ctx context.Context, prefix string, fn func([]Item)) error
	// Members returns the voters of the store itself.
	Members(ctx context.Context) ([]Member, error)
	// Close ends the client and, if embedded, the member in this process.
	Close() error
}

// ErrConflict says that a key had another revision than a write expected, and
// that nothing was written.
var ErrConflict = errors.New("consensus: another write came first")

// Item is one key with its value. The caller owns Value.
type Item struct {
	Key   string
	Value []byte
	Rev   int64 // revision of the last write; 0: the key is not there
}

// Write is one step of a Swap: made by Put, Delete or Check.
type Write struct {
	key   string
	value []byte
	rev   int64
	kind  writeKind
}

type writeKind uint8

const (
	put writeKind = iota
	remove
	check
)

// Put writes value at key if key is at rev; rev 0: if there is no such key.
func Put(key string, value []byte, rev int64) Write {
	return Write{key: key, value: value, rev: rev, kind: put}
}

// Delete removes key if it is at rev.
func Delete(key string, rev int64) Write { return Write{key: key, rev: rev, kind: remove} }

// Check writes nothing, but fails the Swap if key is not at rev.
func Check(key string, rev int64) Write { return Write{key: key, rev: rev, kind: check} }

// Member is one voter of the store.
type Member struct {
	Name    string
	Peers   []string // host:port among the members
	Clients []string // host:port for clients
}
