package storage

import (
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
)

// Export calls begin with the position of one consistent state of the store and then put
// with every pair of it, in key order, as it is kept: for a base copy. Neither may keep
// what it is given.
func (s *Store) Export(begin func(Position) error, put func(key, value []byte) error) (err error) {
	s.apply.Lock()
	sn, at := s.db.NewSnapshot(), s.apply.applied
	s.apply.Unlock()
	defer func() { err = errors.Join(err, sn.Close()) }()
	if err := begin(at); err != nil {
		return err
	}
	it, err := sn.NewIter(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := put(it.Key(), value); err != nil {
			return err
		}
	}
	return it.Error()
}

// importBytes is how much of a base copy is written at once.
const importBytes = 1 << 20

// Import makes a store in opts.Dir, which must not exist, of the pairs that Export gave,
// and makes it durable.
func Import(opts Options, pairs iter.Seq2[[]byte, []byte]) (err error) {
	s, err := Open(opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	b := s.db.NewBatch()
	defer func() { err = errors.Join(err, b.Close()) }()
	for key, value := range pairs {
		if len(key) < 2 {
			return fmt.Errorf("%w: a copied key of %d bytes", ErrCorrupt, len(key))
		}
		if err := b.Set(key, value, nil); err != nil {
			return err
		}
		if b.Len() < importBytes {
			continue
		}
		if err := b.Commit(pebble.NoSync); err != nil {
			return err
		}
		b.Reset()
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return err
	}
	return s.Flush()
}
