package storage

import (
	"github.com/cockroachdb/pebble/v2"
)

// Iterator walks over the rows of a snapshot, each key's visible version, in key order
// or against it. It sees one state of the store from its making to its close. It is
// used by one goroutine.
type Iterator struct {
	snap    *Snapshot
	it      *pebble.Iterator
	reverse bool
	begun   bool
	valid   bool // the Pebble iterator stands on something
	row     Version
	err     error

	prefix []byte // of the key at hand
	value  []byte // backing of row.Value when reversed
}

// Scan returns an iterator over the keys from lo to before hi; an empty hi means no
// end. It must be closed.
func (sn *Snapshot) Scan(lo, hi []byte, reverse bool) *Iterator {
	i := &Iterator{snap: sn, reverse: reverse}
	i.it, i.err = sn.iterator(&pebble.IterOptions{LowerBound: prefixOf(spaceData, lo), UpperBound: endOf(spaceData, hi)})
	return i
}

// Next moves to the next row, and reports whether there is one.
func (i *Iterator) Next() bool {
	if i.err != nil {
		return false
	}
	i.move()
	for i.valid && i.err == nil {
		var ok bool
		if i.reverse {
			ok = i.settleBackward()
		} else {
			ok = i.settleForward()
		}
		if ok {
			return true
		}
	}
	if i.err == nil {
		i.err = i.it.Error()
	}
	return false
}

// move leaves the row at hand.
func (i *Iterator) move() {
	switch {
	case !i.begun && i.reverse:
		i.valid = i.it.Last()
	case !i.begun:
		i.valid = i.it.First()
	case !i.reverse:
		i.leave()
	}
	i.begun = true
}

// leave moves a forward iterator behind the key at hand, unless it is there already.
func (i *Iterator) leave() {
	if i.valid && samePrefix(i.it.Key(), i.prefix) {
		i.valid = i.it.NextPrefix()
	}
}

// settleForward looks at the key under the iterator; ok says that it has a row.
func (i *Iterator) settleForward() (ok bool) {
	k := i.it.Key()
	i.prefix = append(i.prefix[:0], k[:split(k)]...)
	i.row, ok, i.err = i.snap.settle(i.it, i.prefix)
	i.valid = i.it.Valid()
	if i.err != nil {
		return false
	}
	if !ok || i.row.Tombstone {
		i.leave()
		return false
	}
	return true
}

// settleBackward looks at the key under the iterator from its oldest version on, and
// leaves the iterator before the key. The last candidate is the newest that the
// snapshot sees; intents come last.
func (i *Iterator) settleBackward() (ok bool) {
	k := i.it.Key()
	i.prefix = append(i.prefix[:0], k[:split(k)]...)
	for i.valid && samePrefix(i.it.Key(), i.prefix) {
		v, seen, err := i.look()
		if err != nil {
			i.err = err
			return false
		}
		if seen {
			i.value = append(i.value[:0], v.Value...)
			v.Key, v.Value = userKey(i.prefix), i.value
			i.row, ok = v, true
		}
		i.valid = i.it.Prev()
	}
	return ok && !i.row.Tombstone
}

// look returns the version or intent under the iterator if the snapshot sees it.
func (i *Iterator) look() (v Version, seen bool, err error) {
	k := i.it.Key()
	ts, isVersion := suffixTime(k[len(i.prefix):])
	if !isVersion {
		return i.snap.meet(i.it, i.prefix)
	}
	if ts > i.snap.at {
		i.snap.met(ts)
		return Version{}, false, nil
	}
	value, err := i.it.ValueAndErr()
	if err != nil {
		return Version{}, false, err
	}
	v, err = decodeVersion(nil, ts, value)
	return v, true, err
}

// Version returns the row at hand. Its bytes are valid until the next call of Next or
// Close.
func (i *Iterator) Version() Version { return i.row }

// Err returns what ended the walk early: ErrTooOld, the resolver's error, or a failed
// read.
func (i *Iterator) Err() error { return i.err }

// Close ends the iterator and returns Err or what failed on the way.
func (i *Iterator) Close() error {
	if i.it == nil {
		return i.err
	}
	err := i.snap.store.closeIter(i.it)
	i.it = nil
	if i.err == nil {
		i.err = err
	}
	return i.err
}
