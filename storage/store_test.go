package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/wal"
)

func openTest(t testing.TB, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open(Options{FS: fs, Dir: "db", CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeTest(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func batchOf(build func(b *Batch)) *Batch {
	b := new(Batch)
	build(b)
	return b
}

func mustApply(t testing.TB, s *Store, lsn wal.LSN, eff Effect) {
	t.Helper()
	if err := s.Apply(Position{Term: 1, LSN: lsn}, eff); err != nil {
		t.Fatal(err)
	}
}

func collect(t interface{ Fatal(...any) }, it *Iterator) (rows []Version) {
	for it.Next() {
		v := it.Version()
		v.Key, v.Value = bytes.Clone(v.Key), bytes.Clone(v.Value)
		rows = append(rows, v)
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestStoreIsItsModel holds that every read answers as a map of versions would, in both
// directions, over any bounds, with any decision about intents.
func TestStoreIsItsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := openTest(t, vfs.NewMem())
		defer closeTest(t, s)
		h, m := newHistory(), newModel()
		for lsn := range rapid.IntRange(1, 30).Draw(rt, "records") {
			r := h.next(rt)
			if err := s.Apply(Position{Term: 1, LSN: wal.LSN(lsn + 1)}, r.effect(rt)); err != nil {
				rt.Fatal(err)
			}
			m.apply(rt, r)
		}
		if rapid.Bool().Draw(rt, "flush") {
			if err := s.Flush(); err != nil {
				rt.Fatal(err)
			}
		}
		if got := s.Visible(); got != m.visible {
			rt.Fatalf("visible %d, want %d", got, m.visible)
		}
		commits := map[string]hlc.Timestamp{}
		for _, gid := range h.prepared {
			commits[gid] = rapid.SampledFrom([]hlc.Timestamp{0, h.clock + 1, h.clock + 5}).Draw(rt, gid)
		}
		for range 4 {
			compareAt(rt, s, m, hlc.Timestamp(rapid.Uint64Range(1, uint64(h.clock)+6).Draw(rt, "ts")), commits)
		}
		comparePoints(rt, s, m)
		comparePrepared(rt, s, m)
	})
}

// compareAt compares scans and gets at ts with the model.
func compareAt(rt *rapid.T, s *Store, m *model, ts hlc.Timestamp, commits map[string]hlc.Timestamp) {
	decide := func(gid string) hlc.Timestamp { return commits[gid] }
	resolve := func(in Intent) (hlc.Timestamp, error) { return decide(in.GID), nil }
	want, newer := m.at(ts, decide)
	for _, reverse := range []bool{false, true} {
		sn := s.Snapshot(ts, resolve)
		got := collect(rt, sn.Scan(nil, nil, reverse))
		if reverse {
			slices.Reverse(got)
		}
		if show(got) != show(want) {
			rt.Fatalf("scan at %d, reverse %v:\n%s, want\n%s", ts, reverse, show(got), show(want))
		}
		if sn.Newer() != newer {
			rt.Fatalf("at %d, reverse %v: met %d, want %d", ts, reverse, sn.Newer(), newer)
		}
		sn.Close()
	}
	sn := s.Snapshot(ts, resolve)
	defer sn.Close()
	lo, hi := newHistory().key(rt), newHistory().key(rt)
	in := slices.DeleteFunc(slices.Clone(want), func(v Version) bool {
		return bytes.Compare(v.Key, lo) < 0 || (len(hi) > 0 && bytes.Compare(v.Key, hi) >= 0)
	})
	if len(hi) == 0 || bytes.Compare(lo, hi) <= 0 {
		if got := collect(rt, sn.Scan(lo, hi, false)); show(got) != show(in) {
			rt.Fatalf("scan %x..%x at %d:\n%s, want\n%s", lo, hi, ts, show(got), show(in))
		}
	}
	for _, v := range want {
		got, ok, err := sn.Get(v.Key)
		if err != nil || !ok || show([]Version{got}) != show([]Version{v}) {
			rt.Fatalf("get %x at %d: %s %v %v, want %s", v.Key, ts, show([]Version{got}), ok, err, show([]Version{v}))
		}
	}
	if _, ok, err := sn.Get([]byte("absent")); ok || err != nil {
		rt.Fatalf("get of an absent key: %v %v", ok, err)
	}
}

// comparePoints compares Newest, IntentAt, meta rows and the full export.
func comparePoints(rt *rapid.T, s *Store, m *model) {
	var all []Version
	for _, k := range slices.Sorted(maps.Keys(m.rows)) {
		all = append(all, m.rows[k]...)
		got, ok, err := s.Newest([]byte(k))
		if want := m.rows[k][0]; err != nil || !ok || show([]Version{got}) != show([]Version{want}) {
			rt.Fatalf("newest of %x: %s %v %v, want %s", k, show([]Version{got}), ok, err, show([]Version{want}))
		}
	}
	for k, want := range m.intents {
		got, ok, err := s.IntentAt([]byte(k))
		if err != nil || !ok || got.GID != want.GID || got.Time != want.Time || string(got.Value) != string(want.Value) || got.Tombstone != want.Tombstone {
			rt.Fatalf("intent at %x: %v %v %v, want %v", k, got, ok, err, want)
		}
		if _, ok := m.rows[k]; !ok {
			if _, ok, err := s.Newest([]byte(k)); ok || err != nil {
				rt.Fatalf("newest of %x: %v %v beside its intent, want none", k, ok, err)
			}
		}
	}
	if _, ok, err := s.IntentAt([]byte("absent")); ok || err != nil {
		rt.Fatalf("intent at an absent key: %v %v", ok, err)
	}
	meta := map[string]string{}
	if err := s.MetaRange(nil, nil, func(k, v []byte) error { meta[string(k)] = string(v); return nil }); err != nil {
		rt.Fatal(err)
	}
	if !maps.Equal(meta, m.meta) {
		rt.Fatalf("meta %q, want %q", meta, m.meta)
	}
	if got := export(rt, s, Export{Above: s.Horizon(), Base: true}); show(got) != show(all) {
		rt.Fatalf("export\n%s, want\n%s", show(got), show(all))
	}
}

func comparePrepared(rt *rapid.T, s *Store, m *model) {
	prepared, err := s.Prepared()
	if err != nil {
		rt.Fatal(err)
	}
	if len(prepared) != len(m.prepared) {
		rt.Fatalf("%d prepared, want %d", len(prepared), len(m.prepared))
	}
	for _, p := range prepared {
		var keys [][]byte
		for op := range m.prepared[p.GID].Ops() {
			if op.Kind != OpLock && op.Kind != OpPutMeta {
				keys = append(keys, op.Key)
			}
		}
		if got, want := fmt.Sprintf("%x %v", p.Keys, p.Locks), fmt.Sprintf("%x %v", keys, []Lock{{Key: []byte("locked"), Strength: 3}}); got != want {
			rt.Fatalf("%s has %s, want %s", p.GID, got, want)
		}
	}
}

func export(t interface{ Fatal(...any) }, s *Store, e Export) (all []Version) {
	it := s.Versions(e)
	for it.Next() {
		v := it.Version()
		v.Key, v.Value = bytes.Clone(v.Key), bytes.Clone(v.Value)
		all = append(all, v)
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestRecoveredPrefix holds that a crash leaves exactly the records up to Applied, that
// DurableApplied never claims more, and that replay from there ends where the other
// store is.
func TestRecoveredPrefix(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		fs := vfs.NewCrashableMem()
		s := openTest(t, fs)
		h := newHistory()
		var records []record
		for range rapid.IntRange(1, 60).Draw(rt, "records") {
			r := h.next(rt)
			records = append(records, r)
			if err := s.Apply(Position{Term: 1, LSN: wal.LSN(len(records))}, r.effect(rt)); err != nil {
				rt.Fatal(err)
			}
			switch rapid.IntRange(0, 14).Draw(rt, "also") {
			case 0:
				if err := s.Flush(); err != nil {
					rt.Fatal(err)
				}
			case 1:
				if _, err := s.GC(t.Context(), nil, nil, 1); err != nil {
					rt.Fatal(err)
				}
			}
		}
		durable, err := s.DurableApplied()
		if err != nil {
			rt.Fatal(err)
		}
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rapid.IntRange(0, 100).Draw(rt, "unsynced"), RNG: rng})
		closeTest(t, s)
		s = openTest(t, crashed)
		defer closeTest(t, s)
		applied := s.Applied().LSN
		if applied < durable.LSN || applied > wal.LSN(len(records)) {
			rt.Fatalf("recovered up to %d, durable was %d", applied, durable.LSN)
		}
		m := newModel()
		for _, r := range records[:applied] {
			m.apply(rt, r)
		}
		compareAll(rt, s, m)
		for i, r := range records { // from the very first: what is there already does nothing
			if err := s.Apply(Position{Term: 1, LSN: wal.LSN(i + 1)}, r.effect(rt)); err != nil {
				rt.Fatal(err)
			}
			if wal.LSN(i) >= applied {
				m.apply(rt, r)
			}
		}
		compareAll(rt, s, m)
	})
}

func compareAll(rt *rapid.T, s *Store, m *model) {
	comparePoints(rt, s, m)
	comparePrepared(rt, s, m)
	if got := s.Visible(); got != m.visible {
		rt.Fatalf("visible %d, want %d", got, m.visible)
	}
}

// TestGCKeepsWhatCanBeRead holds that no read at or above the horizon changes, that
// nothing else stays, and that reads below are refused.
func TestGCKeepsWhatCanBeRead(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := openTest(t, vfs.NewMem())
		defer closeTest(t, s)
		h, m := newHistory(), newModel()
		for lsn := range rapid.IntRange(1, 40).Draw(rt, "records") {
			r := h.next(rt)
			if err := s.Apply(Position{Term: 1, LSN: wal.LSN(lsn + 1)}, r.effect(rt)); err != nil {
				rt.Fatal(err)
			}
			m.apply(rt, r)
		}
		horizon := hlc.Timestamp(rapid.Uint64Range(1, uint64(h.clock)).Draw(rt, "horizon"))
		if _, err := s.GC(t.Context(), nil, nil, horizon); err != nil {
			rt.Fatal(err)
		}
		for ts := horizon; ts <= h.clock; ts++ {
			compareScan(rt, s, m, ts)
		}
		for _, k := range slices.Collect(maps.Keys(m.rows)) {
			m.rows[k] = collectable(m.rows[k], horizon)
			if len(m.rows[k]) == 0 {
				delete(m.rows, k)
			}
		}
		var want []Version
		for _, k := range slices.Sorted(maps.Keys(m.rows)) {
			want = append(want, m.rows[k]...)
		}
		if got := export(rt, s, Export{Above: horizon, Base: true}); show(got) != show(want) {
			rt.Fatalf("left\n%s, want\n%s", show(got), show(want))
		}
		sn := s.Snapshot(horizon-1, nil)
		defer sn.Close()
		if _, _, err := sn.Get([]byte("a")); !errors.Is(err, ErrTooOld) {
			rt.Fatalf("get below the horizon: %v, want ErrTooOld", err)
		}
		if it := sn.Scan(nil, nil, false); it.Next() || !errors.Is(it.Close(), ErrTooOld) {
			rt.Fatal("a scan below the horizon was not refused")
		}
	})
}

func compareScan(rt *rapid.T, s *Store, m *model, ts hlc.Timestamp) {
	sn := s.Snapshot(ts, func(Intent) (hlc.Timestamp, error) { return 0, nil })
	defer sn.Close()
	want, _ := m.at(ts, func(string) hlc.Timestamp { return 0 })
	if got := collect(rt, sn.Scan(nil, nil, false)); show(got) != show(want) {
		rt.Fatalf("scan at %d\n%s, want\n%s", ts, show(got), show(want))
	}
}

// collectable returns what a clean-up leaves of a key's versions, newest first.
func collectable(rows []Version, horizon hlc.Timestamp) []Version {
	for i, v := range rows {
		if v.Time <= horizon {
			if v.Tombstone {
				return rows[:i]
			}
			return rows[:i+1]
		}
	}
	return rows
}

func TestGCStopsWithItsContext(t *testing.T) {
	s := openTest(t, vfs.NewMem())
	defer closeTest(t, s)
	mustApply(t, s, 1, Commit(5, batchOf(func(b *Batch) { b.Put([]byte("k"), nil) })))
	mustApply(t, s, 2, Commit(6, batchOf(func(b *Batch) { b.Put([]byte("k"), nil) })))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.GC(ctx, nil, nil, 7); !errors.Is(err, context.Canceled) {
		t.Errorf("GC = %v, want Canceled", err)
	}
	if got := len(export(t, s, Export{Above: 7})) + len(export(t, s, Export{Above: 7, Base: true})); got != 1 {
		t.Errorf("%d versions exported, want the base alone", got)
	}
}
