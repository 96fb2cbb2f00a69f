package txn

import (
	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/storage"
)

// View reads a snapshot with a transaction's own writes on top. A nil Tx reads the
// snapshot alone.
type View struct {
	Snapshot *storage.Snapshot
	Tx       *Tx
}

// Row is what a View finds. Its bytes are valid until the iterator moves on; Written is
// 0 for the transaction's own write.
type Row struct {
	Key, Value []byte
	Written    hlc.Timestamp
}

// Get finds the row of a key.
func (v View) Get(key []byte) (r Row, ok bool, err error) {
	if v.Tx != nil {
		if w, own := v.Tx.buf.get(key); own {
			return Row{Key: key, Value: w.value, Written: w.kept}, !w.deleted, nil
		}
	}
	s, ok, err := v.Snapshot.Get(key)
	return Row{Key: key, Value: s.Value, Written: s.WriteTime}, ok, err
}

// Scan walks over the rows from lo to before hi (nil: no end), in key order or against
// it. It sees the transaction's writes as they are now, not what is written while it
// walks. It must be closed.
func (v View) Scan(lo, hi []byte, reverse bool) *Iterator {
	it := &Iterator{stored: v.Snapshot.Scan(lo, hi, reverse), reverse: reverse}
	if v.Tx == nil {
		return it
	}
	for _, k := range v.Tx.buf.keys(lo, hi) {
		it.own = append(it.own, ownWrite{key: k, write: v.Tx.buf.writes[k]})
	}
	if reverse {
		for i, j := 0, len(it.own)-1; i < j; i, j = i+1, j-1 {
			it.own[i], it.own[j] = it.own[j], it.own[i]
		}
	}
	return it
}

// Iterator merges a stored scan with a transaction's own writes.
type Iterator struct {
	stored  *storage.Iterator
	own     []ownWrite
	reverse bool

	peeked   bool // stored has moved to the row after the one given last
	inStored bool // and there is one
	row      Row
}

type ownWrite struct {
	key string
	write
}

// Next moves to the next row.
func (it *Iterator) Next() bool {
	if !it.peeked {
		it.inStored, it.peeked = it.stored.Next(), true
	}
	for {
		switch {
		case it.ownFirst():
			w := it.own[0]
			it.own = it.own[1:]
			if !w.deleted {
				it.row = Row{Key: []byte(w.key), Value: w.value, Written: w.kept}
				return true
			}
		case it.inStored:
			v := it.stored.Version()
			it.row = Row{Key: v.Key, Value: v.Value, Written: v.WriteTime}
			it.peeked = false
			return true
		default:
			return false
		}
	}
}

// ownFirst tells whether the next row is an own write; the stored row of the same key is
// passed over.
func (it *Iterator) ownFirst() bool {
	if len(it.own) == 0 || !it.inStored {
		return len(it.own) > 0
	}
	own, stored := it.own[0].key, string(it.stored.Version().Key)
	if own == stored {
		it.inStored = it.stored.Next()
		return true
	}
	return (own < stored) != it.reverse
}

// Row is the row at hand.
func (it *Iterator) Row() Row { return it.row }

// Err tells what ended the walk early.
func (it *Iterator) Err() error { return it.stored.Err() }

// Close ends the walk.
func (it *Iterator) Close() error {
	it.own = nil
	return it.stored.Close()
}
