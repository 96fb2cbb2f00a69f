package txn

import (
	"slices"

	"github.com/heliosdb/helios/hlc"
)

// write is a pending change of one key. Kept is the original write timestamp of a row
// that only changed its place (a cell move), 0 otherwise.
type write struct {
	value   []byte
	deleted bool
	kept    hlc.Timestamp
}

// buffer holds a transaction's own writes in memory, in key order on demand, with an
// undo log for savepoints. It is used by one goroutine at a time.
type buffer struct {
	writes map[string]write
	sorted []string // keys in order
	fresh  []string // keys not yet in sorted
	undo   []undone
	bytes  int64
}

type undone struct {
	key     string
	old     write
	existed bool
}

func newBuffer() *buffer { return &buffer{writes: map[string]write{}} }

func (b *buffer) len() int { return len(b.writes) }

func (b *buffer) get(key []byte) (write, bool) {
	w, ok := b.writes[string(key)]
	return w, ok
}

func (b *buffer) set(key string, w write) {
	old, existed := b.writes[key]
	b.undo = append(b.undo, undone{key: key, old: old, existed: existed})
	if !existed {
		b.fresh = append(b.fresh, key)
		b.bytes += int64(len(key))
	}
	b.bytes += int64(len(w.value) - len(old.value))
	b.writes[key] = w
}

// rollback undoes every change after mark, a former len(b.undo).
func (b *buffer) rollback(mark int) {
	removed := false
	for i := len(b.undo) - 1; i >= mark; i-- {
		u := b.undo[i]
		b.bytes += int64(len(u.old.value) - len(b.writes[u.key].value))
		if u.existed {
			b.writes[u.key] = u.old
			continue
		}
		delete(b.writes, u.key)
		b.bytes -= int64(len(u.key))
		removed = true
	}
	b.undo = b.undo[:mark]
	if removed {
		gone := func(k string) bool { _, ok := b.writes[k]; return !ok }
		b.sorted = slices.DeleteFunc(b.sorted, gone)
		b.fresh = slices.DeleteFunc(b.fresh, gone)
	}
}

// keys gives the keys in [lo, hi) in order; hi nil means no upper bound. The slice is
// valid until the next change.
func (b *buffer) keys(lo, hi []byte) []string {
	if len(b.fresh) > 0 {
		slices.Sort(b.fresh)
		b.sorted = merge(b.sorted, b.fresh)
		b.fresh = b.fresh[:0]
	}
	i, _ := slices.BinarySearch(b.sorted, string(lo))
	j := len(b.sorted)
	if hi != nil {
		j, _ = slices.BinarySearch(b.sorted, string(hi))
	}
	return b.sorted[i:max(i, j)]
}

// merge joins two sorted slices without common elements.
func merge(a, c []string) []string {
	if len(a) == 0 || a[len(a)-1] < c[0] {
		return append(a, c...)
	}
	out := make([]string, 0, len(a)+len(c))
	for len(a) > 0 && len(c) > 0 {
		if a[0] < c[0] {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, c = append(out, c[0]), c[1:]
		}
	}
	return append(append(out, a...), c...)
}
