package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/wal"
)

// fill applies n commits of random rows and returns the last timestamp.
func fill(t testing.TB, s *Store, n int) hlc.Timestamp {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range n {
		mustApply(t, s, wal.LSN(i+1), Commit(hlc.Timestamp(i+1), batchOf(func(b *Batch) {
			key := fmt.Appendf(nil, "key%02d", rng.IntN(50))
			if rng.IntN(5) == 0 {
				b.Delete(key)
			} else {
				b.Put(key, fmt.Appendf(nil, "value%d", i))
			}
		})))
	}
	return hlc.Timestamp(n)
}

func mustDigest(t testing.TB, s *Store, lo, hi string, ts hlc.Timestamp) Digest {
	t.Helper()
	d, err := s.Digest([]byte(lo), []byte(hi), ts)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDigestsOfReplicas holds that two stores fed the same records agree whatever they
// flushed and cleaned up, and that one changed byte shows.
func TestDigestsOfReplicas(t *testing.T) {
	a, b := openTest(t, vfs.NewMem()), openTest(t, vfs.NewMem())
	defer closeTest(t, a)
	defer closeTest(t, b)
	ts := fill(t, a, 300)
	fill(t, b, 300)
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	if removed, err := b.GC(t.Context(), nil, nil, ts-10); err != nil || removed == 0 {
		t.Fatalf("GC removed %d, %v", removed, err)
	}
	for at := ts - 10; at <= ts; at++ {
		if da, db := mustDigest(t, a, "", "", at), mustDigest(t, b, "", "", at); da != db || da.Rows == 0 {
			t.Errorf("at %v: %v and %v", at, da, db)
		}
	}
	whole := mustDigest(t, a, "", "", ts)
	parts := mustDigest(t, a, "", "key20", ts).Add(mustDigest(t, a, "key20", "", ts))
	if parts != whole {
		t.Errorf("the parts add up to %v, the whole is %v", parts, whole)
	}
	mustApply(t, b, 1000, Commit(ts+1, batchOf(func(b *Batch) { b.Put([]byte("key07"), []byte("valuf")) })))
	if mustDigest(t, b, "", "", ts) != whole {
		t.Error("a later version changed an earlier digest")
	}
	mustApply(t, a, 1000, Commit(ts+1, batchOf(func(b *Batch) { b.Put([]byte("key07"), []byte("value")) })))
	if mustDigest(t, a, "", "", ts+1) == mustDigest(t, b, "", "", ts+1) {
		t.Error("different values, equal digests")
	}
}

func TestDigestCountsIntents(t *testing.T) {
	s := openTest(t, vfs.NewMem())
	defer closeTest(t, s)
	mustApply(t, s, 1, Prepare("g", 5, batchOf(func(b *Batch) { b.Put([]byte("k"), []byte("v")) })))
	if d := mustDigest(t, s, "", "", 4); d.Intents != 0 {
		t.Errorf("below the prepare: %d intents", d.Intents)
	}
	if d := mustDigest(t, s, "", "", 5); d.Intents != 1 || d.Rows != 0 {
		t.Errorf("at the prepare: %d intents, %d rows", d.Intents, d.Rows)
	}
}

// TestCopyThroughExport copies a range as a reshard does, breaking off in the middle,
// and compares donor and target.
func TestCopyThroughExport(t *testing.T) {
	donor, target := openTest(t, vfs.NewMem()), openTest(t, vfs.NewMem())
	defer closeTest(t, donor)
	defer closeTest(t, target)
	ts := fill(t, donor, 300)
	const above = 200
	var lsn wal.LSN
	take := func(lo []byte, limit int) []byte {
		it := donor.Versions(Export{Lo: lo, Above: above, Base: true})
		var b Batch
		for n := 0; n < limit && it.Next(); n++ {
			b.PutVersion(it.Version())
			lo = append(lo[:0], it.Version().Key...)
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
		lsn++
		mustApply(t, target, lsn, Commit(0, &b))
		return lo
	}
	last := take(nil, 40)
	take(last, 1<<30)
	for at := hlc.Timestamp(above); at <= ts; at += 5 {
		if d, e := mustDigest(t, donor, "", "", at), mustDigest(t, target, "", "", at); d != e {
			t.Errorf("at %v: donor %v, target %v", at, d, e)
		}
	}
	if got := target.Visible(); got != 0 {
		t.Errorf("a copy raised visible to %v", got)
	}
}

// TestCheckpoint holds that a checkpoint has what was only in memory, and goes its own
// way.
func TestCheckpoint(t *testing.T) {
	fs := vfs.NewMem()
	s := openTest(t, fs)
	defer closeTest(t, s)
	ts := fill(t, s, 100)
	want := mustDigest(t, s, "", "", ts)
	if err := s.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
	mustApply(t, s, 1000, Commit(ts+1, batchOf(func(b *Batch) { b.Put([]byte("later"), nil) })))
	copied, err := Open(Options{FS: fs, Dir: "copy"})
	if err != nil {
		t.Fatal(err)
	}
	defer closeTest(t, copied)
	if got := mustDigest(t, copied, "", "", ts+1); got != want {
		t.Errorf("the checkpoint has %v, want %v", got, want)
	}
	if got, want := copied.Applied(), (Position{Term: 1, LSN: 100}); got != want {
		t.Errorf("the checkpoint is at %v, want %v", got, want)
	}
}

// TestRestartDoesNotPileUpMemtables holds that reads after a start do not have to look
// into the many small memtables with which Pebble begins.
func TestRestartDoesNotPileUpMemtables(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t, vfs.NewMem())
		value := make([]byte, 4<<10)
		worst := int64(0)
		for i := range 2000 {
			mustApply(t, s, wal.LSN(i+1), Commit(hlc.Timestamp(i+1), batchOf(func(b *Batch) { b.Put(fmt.Appendf(nil, "%d", i), value) })))
			synctest.Wait() // flushes that were started are through
			worst = max(worst, s.Stats().MemTables)
		}
		if worst > rampMemTables+1 {
			t.Errorf("%d memtables at once in the first 8 MB, want at most %d", worst, rampMemTables+1)
		}
		closeTest(t, s)
	})
}

func TestSnapshotRegistry(t *testing.T) {
	s := openTest(t, vfs.NewMem())
	defer closeTest(t, s)
	if _, ok := s.OldestSnapshot(); ok {
		t.Error("a new store has a snapshot")
	}
	a, b, c := s.Snapshot(7, nil), s.Snapshot(5, nil), s.Snapshot(5, nil)
	b.Close()
	b.Close()
	if ts, ok := s.OldestSnapshot(); !ok || ts != 5 {
		t.Errorf("OldestSnapshot = %v, %v, want 5", ts, ok)
	}
	c.Close()
	if ts, ok := s.OldestSnapshot(); !ok || ts != 7 {
		t.Errorf("OldestSnapshot = %v, %v, want 7", ts, ok)
	}
	a.Close()
	if got := s.Stats().OpenSnapshots; got != 0 {
		t.Errorf("%d snapshots open", got)
	}
}

// TestApplyRefuses holds that a record which cannot have been written by a right primary
// is not applied, and leaves nothing behind.
func TestApplyRefuses(t *testing.T) {
	s := openTest(t, vfs.NewMem())
	defer closeTest(t, s)
	put := batchOf(func(b *Batch) { b.Put([]byte("k"), []byte("v")) })
	mustApply(t, s, 10, Prepare("g", 5, put))
	for _, c := range []struct {
		name string
		pos  Position
		eff  Effect
		want error
	}{
		{"an older term", Position{Term: 0, LSN: 20}, Pass(0), ErrEffect},
		{"a gid twice", Position{Term: 1, LSN: 20}, Prepare("g", 6, new(Batch)), ErrPrepared},
		{"another's intent", Position{Term: 1, LSN: 20}, Prepare("h", 6, put), ErrIntent},
		{"a prepare without gid", Position{Term: 1, LSN: 20}, Prepare("", 6, put), ErrEffect},
		{"a prepared clean-up", Position{Term: 1, LSN: 20}, Prepare("i", 6, batchOf(func(b *Batch) { b.DeleteRange(nil, nil) })), ErrEffect},
		{"rows without a timestamp", Position{Term: 1, LSN: 20}, Commit(0, put), ErrEffect},
		{"a timestamp out of range", Position{Term: 1, LSN: 20}, Commit(hlc.Max+1, put), ErrEffect},
		{"a resolve with rows", Position{Term: 1, LSN: 20}, Resolve("g", 7, put), ErrEffect},
	} {
		if err := s.Apply(c.pos, c.eff); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if got, want := s.Applied(), (Position{Term: 1, LSN: 10}); got != want {
		t.Errorf("applied %v, want %v", got, want)
	}
	if prepared, err := s.Prepared(); err != nil || len(prepared) != 1 {
		t.Errorf("prepared %v, %v", prepared, err)
	}
	mustApply(t, s, 10, Commit(9, put)) // at applied: does nothing
	if _, ok, err := s.Newest([]byte("k")); ok || err != nil {
		t.Errorf("a record at applied was applied again: %v %v", ok, err)
	}
}

func TestUnresolvedIntentEndsARead(t *testing.T) {
	s := openTest(t, vfs.NewMem())
	defer closeTest(t, s)
	mustApply(t, s, 1, Commit(3, batchOf(func(b *Batch) { b.Put([]byte("k"), []byte("old")) })))
	mustApply(t, s, 2, Prepare("g", 5, batchOf(func(b *Batch) { b.Put([]byte("k"), []byte("new")) })))
	read := func(ts hlc.Timestamp, r Resolver) (string, error) {
		sn := s.Snapshot(ts, r)
		defer sn.Close()
		v, _, err := sn.Get([]byte("k"))
		return string(v.Value), err
	}
	if got, err := read(4, nil); err != nil || got != "old" {
		t.Errorf("below the prepare: %q, %v", got, err)
	}
	var met *IntentError
	if _, err := read(5, nil); !errors.As(err, &met) || met.GID != "g" {
		t.Errorf("at the prepare: %v, want an IntentError of g", err)
	}
	failed := errors.New("the owner is away")
	if _, err := read(5, func(Intent) (hlc.Timestamp, error) { return 0, failed }); !errors.Is(err, failed) {
		t.Errorf("a failing resolver: %v", err)
	}
	if got, err := read(5, func(in Intent) (hlc.Timestamp, error) { return in.Time, nil }); err != nil || got != "new" {
		t.Errorf("committed: %q, %v", got, err)
	}
	for _, reverse := range []bool{false, true} {
		sn := s.Snapshot(9, nil)
		it := sn.Scan(nil, nil, reverse)
		if it.Next() || !errors.As(it.Err(), &met) || !errors.As(it.Close(), &met) {
			t.Errorf("a scan, reverse %v, passed an intent", reverse)
		}
		sn.Close()
	}
}

func TestAnotherFormatIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	s := openTest(t, fs)
	if err := s.db.Set(keyFormat, []byte{2, 0, 0, 0}, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	closeTest(t, s)
	if _, err := Open(Options{FS: fs, Dir: "db"}); !errors.Is(err, ErrFormat) {
		t.Errorf("Open = %v, want ErrFormat", err)
	}
}
