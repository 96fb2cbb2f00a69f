package shard

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heliosdb/helios/txn"
	"github.com/heliosdb/helios/wal"
)

// openStandby opens a shard that follows; nothing is committed unless the test says so.
func openStandby(t *testing.T, fs vfs.FS) *Shard {
	t.Helper()
	s, err := Open(Options{
		ID: 1, Slots: testSlots, FS: fs, Dir: "data",
		Wall:    func() int64 { return time.Now().UnixMilli() },
		OnFlush: func(wal.LSN) {},
		Fatal:   func(err error) { t.Errorf("the shard failed: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// baseCopy is a state as Export gives it.
type baseCopy struct {
	at    wal.LSN
	pairs [][2][]byte
}

func exported(t *testing.T, s *Shard) *baseCopy {
	t.Helper()
	c := &baseCopy{}
	begin := func(at wal.LSN) error { c.at = at; return nil }
	if err := s.Export(t.Context(), begin, func(k, v []byte) error {
		c.pairs = append(c.pairs, [2][]byte{bytes.Clone(k), bytes.Clone(v)})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *baseCopy) all(put func(key, value []byte) error) error {
	for _, p := range c.pairs {
		if err := put(p[0], p[1]); err != nil {
			return err
		}
	}
	return nil
}

// storeDirs lists the directories that may hold a store.
func storeDirs(t *testing.T, fs vfs.FS) []string {
	t.Helper()
	all, err := fs.List("data")
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(name string) bool { return !strings.HasPrefix(name, "db") })
	slices.Sort(all)
	return all
}

// TestImportUnderReaders holds that a base copy takes the place of a store while a statement
// reads the old one to its end, that a crash leaves the old store or the new one, and that a
// copy which breaks off changes nothing.
func TestImportUnderReaders(t *testing.T) {
	p := openSQL(t, syncedRoot(t))
	defer closeShard(t, p.Shard)
	c := p.session()
	c.run("CREATE TABLE t (id int PRIMARY KEY)")
	c.run("INSERT INTO t SELECT generate_series(1, 1000)")
	first := exported(t, p.Shard)
	c.run("DELETE FROM t WHERE id <= 500")
	second := exported(t, p.Shard)
	rel, err := p.Catalog().Resolve([]string{"public"}, []string{"t"})
	if err != nil {
		t.Fatal(err)
	}
	lo := tablePrefix(rel.OID)
	count := func(it *txn.Iterator) (n int) {
		for it.Next() {
			n++
		}
		if err := it.Close(); err != nil {
			t.Error(err)
		}
		return n
	}

	fs := syncedRoot(t)
	s := openStandby(t, fs)
	if err := s.Import(t.Context(), first.at, first.all); err != nil {
		t.Fatal(err)
	}
	r, err := s.readStandby(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	it := txn.View{Snapshot: r.snap}.Scan(lo, prefixEnd(lo), false)
	if !it.Next() {
		t.Fatal("the copy has no rows")
	}

	broken := errors.New("the copy broke off")
	if err := s.Import(t.Context(), second.at, func(func(key, value []byte) error) error { return broken }); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if err := s.Import(t.Context(), second.at+1, second.all); err == nil {
		t.Error("a copy of another LSN was taken")
	}
	if got := s.Applied(); got != first.at {
		t.Errorf("broken copies left the store at %v, not %v", got, first.at)
	}
	before, copies := crashed(fs), s.copies.Load()
	if err := s.Import(t.Context(), second.at, second.all); err != nil {
		t.Fatal(err)
	}
	after := crashed(fs)
	stale := wal.Record{LSN: second.at, Type: wal.TypeDrop}
	if err := s.applyRecord(stale, copies); !errors.Is(err, errCopied) || s.Applied() != second.at {
		t.Errorf("a record read before the copy: %v, the store is at %v", err, s.Applied())
	}

	now, err := s.readStandby(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := count(txn.View{Snapshot: now.snap}.Scan(lo, prefixEnd(lo), false)); got != 500 {
		t.Errorf("a new statement reads %d rows of the new store, want 500", got)
	}
	now.close()
	if got := len(storeDirs(t, fs)); got != 2 {
		t.Errorf("the old store is gone under its reader: %v", storeDirs(t, fs))
	}
	if got := 1 + count(it); got != 1000 {
		t.Errorf("the old statement reads %d rows, want 1000", got)
	}
	r.close()
	if got := storeDirs(t, fs); len(got) != 1 {
		t.Errorf("the stores %v stay", got)
	}
	closeShard(t, s)

	for _, x := range []struct {
		fs   *vfs.MemFS
		want wal.LSN
	}{{before, first.at}, {after, second.at}} {
		s := openStandby(t, x.fs)
		if got := s.Applied(); got != x.want {
			t.Errorf("after a crash the store is at %v, want %v", got, x.want)
		}
		if got := storeDirs(t, x.fs); len(got) != 1 {
			t.Errorf("after a crash the stores %v stay", got)
		}
		closeShard(t, s)
	}
}
