package storage

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Export calls begin with the position of one consistent state of the store and then put
// with every pair of it, in key order, as it is kept: for a base copy. Neither may keep
// what it is given.
func (s *Store) Export(begin func(Position) error, put func(key, value []byte) error) (err error) {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
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
// and makes it durable. all calls put with each pair; its error, such as a copy that
// broke off, is returned, and what was made is no store.
func Import(opts Options, all func(put func(key, value []byte) error) error) (err error) {
	s, err := Open(opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	b := s.db.NewBatch()
	defer func() { err = errors.Join(err, b.Close()) }()
	put := func(key, value []byte) error {
		if len(key) < 2 {
			return fmt.Errorf("%w: a copied key of %d bytes", ErrCorrupt, len(key))
		}
		if err := b.Set(key, value, nil); err != nil || b.Len() < importBytes {
			return err
		}
		if err := b.Commit(pebble.NoSync); err != nil {
			return err
		}
		b.Reset()
		return nil
	}
	if err := all(put); err != nil {
		return err
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return err
	}
	return s.Flush()
}
