package storage

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestUsers holds that a store which another one replaces is closed by its last user, and
// says so to whoever comes too late.
func TestUsers(t *testing.T) {
	open := func() *Store {
		s, err := Open(Options{FS: vfs.NewMem(), Dir: "db"})
		if err != nil {
			t.Fatal(err)
		}
		var b Batch
		b.Put([]byte("a"), []byte("1"))
		b.Put([]byte("b"), []byte("2"))
		if err := s.Apply(Position{Term: 1, LSN: 10}, Commit(5, &b)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	sn := s.Snapshot(5, nil)
	it := sn.Scan(nil, nil, false)
	versions := s.Versions(Export{})
	closed := 0
	s.Retire(func(err error) {
		if closed++; err != nil {
			t.Error(err)
		}
	})
	rows := 0
	for it.Next() {
		rows++
	}
	if rows != 2 || it.Err() != nil {
		t.Errorf("an iterator over a retired store gives %d rows, %v", rows, it.Err())
	}
	if _, ok, err := s.Newest([]byte("a")); !ok || err != nil {
		t.Errorf("a retired store that is in use refuses a read: %v", err)
	}
	sn.Close()
	for _, c := range []interface{ Close() error }{it, versions} {
		if closed != 0 {
			t.Fatal("closed under an iterator")
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if closed != 1 {
		t.Errorf("the last user closed the store %d times", closed)
	}
	sn = s.Snapshot(5, nil)
	defer sn.Close()
	for what, err := range map[string]error{
		"Get":    func() error { _, _, err := sn.Get([]byte("a")); return err }(),
		"Scan":   sn.Scan(nil, nil, false).Close(),
		"Newest": func() error { _, _, err := s.Newest([]byte("a")); return err }(),
		"Apply":  s.Apply(Position{Term: 1, LSN: 20}, Pass(6)),
		"Flush":  s.Flush(),
		"Close":  s.Close(),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s of a closed store: %v", what, err)
		}
	}
	if got := s.Stats(); got != (Stats{}) {
		t.Errorf("a closed store has the statistics %+v", got)
	}

	s = open()
	sn = s.Snapshot(5, nil)
	if err := s.Close(); err == nil {
		t.Error("a store closed under a snapshot without complaint")
	}
	sn.Close()
	if err := s.Flush(); !errors.Is(err, ErrClosed) {
		t.Errorf("its last user did not close it: %v", err)
	}
}
