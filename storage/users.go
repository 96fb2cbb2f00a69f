package storage

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// ErrClosed says that a store is closed: another one has taken its place, or the node stops.
var ErrClosed = errors.New("storage: the store is closed")

// users counts the owner of a store and whoever reads or writes it: the database under it is
// closed by the last one, so that nobody meets a closed one.
type users struct {
	count   atomic.Int64 // 0: closed
	closing atomic.Bool  // the owner has left
	last    func(error)  // told how closing went when the owner was not the last; may be nil
}

// enter counts a user in.
func (s *Store) enter() error {
	for {
		n := s.users.count.Load()
		if n == 0 {
			return ErrClosed
		}
		if s.users.count.CompareAndSwap(n, n+1) {
			return nil
		}
	}
}

// leave counts a user out.
func (s *Store) leave() {
	if s.users.count.Add(-1) > 0 {
		return
	}
	err := s.db.Close()
	if err != nil {
		s.logger.Error("close a store behind its last reader", "err", err)
	}
	if s.users.last != nil {
		s.users.last(err)
	}
}

// newIter opens an iterator that counts as a user; closeIter ends it.
func (s *Store) newIter(o *pebble.IterOptions) (*pebble.Iterator, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	it, err := s.db.NewIter(o)
	if err != nil {
		s.leave()
	}
	return it, err
}

func (s *Store) closeIter(it *pebble.Iterator) error {
	defer s.leave()
	return it.Close()
}

// Close flushes nothing: what is not on disk is replayed from the log. Whoever still uses
// the store is an error; the last of them closes it.
func (s *Store) Close() error {
	if s.users.closing.Swap(true) {
		return ErrClosed
	}
	if n := s.users.count.Add(-1); n > 0 {
		return fmt.Errorf("storage: closed while %d snapshots, iterators or calls are open", n)
	}
	return s.db.Close()
}

// Retire is Close for a store that another one has replaced: it closes when the last user
// has left, and then calls last, if not nil, from whatever goroutine that is.
func (s *Store) Retire(last func(error)) {
	s.users.last = last
	if !s.users.closing.Swap(true) {
		s.leave()
	}
}
