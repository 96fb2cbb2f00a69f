package storage

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heliosdb/helios/hlc"
)

// Prepared is a transaction that was prepared and not yet resolved.
type Prepared struct {
	GID   string
	Time  hlc.Timestamp // prepare time
	Keys  [][]byte      // of its intents
	Locks []Lock        // that it holds besides
}

// Lock is a row lock without a write.
type Lock struct {
	Key      []byte
	Strength uint8
}

// Prepared returns all prepared transactions by gid: a new primary takes their locks
// again before it serves.
func (s *Store) Prepared() (all []Prepared, err error) {
	err = s.each(spacePrepared, nil, nil, func(gid, value []byte) error {
		ts, kept, err := decodePrepared(value)
		if err != nil {
			return err
		}
		p := Prepared{GID: string(gid), Time: ts}
		for op := range kept.Ops() {
			switch op.Kind {
			case opIntent:
				p.Keys = append(p.Keys, op.Key)
			case OpLock:
				p.Locks = append(p.Locks, Lock{Key: op.Key, Strength: op.Strength})
			}
		}
		all = append(all, p)
		return nil
	})
	return all, err
}

func decodePrepared(b []byte) (hlc.Timestamp, *Batch, error) {
	ts, rest, err := takeTime(b)
	if err != nil {
		return 0, nil, err
	}
	kept, err := decodeBatch(rest)
	return ts, kept, err
}

// Meta returns a meta row; the value is the caller's.
func (s *Store) Meta(key []byte) (value []byte, ok bool, err error) {
	return s.read(prefixOf(spaceMeta, key))
}

// MetaRange calls f with the meta rows from lo to before hi, in key order; an empty hi
// means no end. Key and value are the callee's. f's error ends the walk and is returned.
func (s *Store) MetaRange(lo, hi []byte, f func(key, value []byte) error) error {
	return s.each(spaceMeta, lo, hi, f)
}

// each walks over an unversioned space, handing out copies.
func (s *Store) each(space byte, lo, hi []byte, f func(key, value []byte) error) (err error) {
	it, err := s.newIter(&pebble.IterOptions{LowerBound: prefixOf(space, lo), UpperBound: endOf(space, hi)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.closeIter(it)) }()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		key := append([]byte{}, userKey(it.Key())...)
		if err := f(key, append([]byte{}, value...)); err != nil {
			return err
		}
	}
	return it.Error()
}
