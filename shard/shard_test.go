package shard

import (
	"context"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

const testSlots = 16

// openShard starts a shard that is a cluster of its own.
func openShard(t *testing.T, fs vfs.FS) *Shard {
	t.Helper()
	s, err := Open(Options{
		ID: 1, Slots: testSlots, FS: fs, Dir: "data",
		Wall:  func() int64 { return time.Now().UnixMilli() },
		Fatal: func(err error) { t.Errorf("the shard failed: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		s.Start(t.Context()), s.Bootstrap(t.Context(), "heliosdb", "helios", "verifier"), s.OwnAll(t.Context(), nil),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// crashed is what a power loss now would leave of a file system: what was synced.
func crashed(fs *vfs.MemFS) *vfs.MemFS { return fs.CrashClone(vfs.CrashCloneCfg{}) }

// syncedRoot is a file system with the data directory in place.
func syncedRoot(t *testing.T) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewCrashableMem()
	if err := fs.MkdirAll("data", 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := fs.OpenDir("")
	if err != nil {
		t.Fatal(err)
	}
	if err := root.Sync(); err != nil {
		t.Fatal(err)
	}
	return fs
}

func closeShard(t *testing.T, s *Shard) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestSequenceMarks holds that a mark outlives a crash, stands still while its slot is
// sealed, and goes on at the shard that takes the slot over.
func TestSequenceMarks(t *testing.T) {
	const seq types.OID = 17000
	ctx := context.Background()
	fs := syncedRoot(t)
	from := openShard(t, fs)
	if err := from.SetSequence(ctx, seq, 42, true, testSlots); err != nil {
		t.Fatal(err)
	}
	fs2 := crashed(fs)
	closeShard(t, from)

	from = openShard(t, fs2)
	defer func() { closeShard(t, from) }()
	unit := []placement.Unit{placement.SequenceUnit(seq, testSlots)}
	if got := from.SequenceMarks(unit, testSlots); got != "17000=42+" {
		t.Errorf("after a crash the marks are %q", got)
	}
	if _, err := from.Seal(ctx, unit, []uint32{1}); err != nil {
		t.Fatal(err)
	}
	if err := from.SetSequence(ctx, seq, 50, false, testSlots); types.CodeOf(err) != "ZH001" {
		t.Errorf("a sealed sequence moved on: %v", err)
	}
	others := []placement.Unit{{N: (unit[0].N + 1) % testSlots}}
	if got := from.SequenceMarks(others, testSlots); got != "" {
		t.Errorf("another slot has the marks %q", got)
	}

	to := openShard(t, syncedRoot(t))
	defer closeShard(t, to)
	for range 2 { // a step of a move may be repeated
		if err := to.AdoptSequences(ctx, from.SequenceMarks(unit, testSlots)); err != nil {
			t.Fatal(err)
		}
	}
	if got := to.SequenceMarks(unit, testSlots); got != "17000=42+" {
		t.Errorf("the target goes on with %q", got)
	}
	if err := to.AdoptSequences(ctx, "nonsense"); types.CodeOf(err) != "22023" {
		t.Errorf("nonsense was taken: %v", err)
	}
}

// TestUnits holds what may be done with a unit in each state, and what a map changes.
func TestUnits(t *testing.T) {
	u := newUnits()
	slot := placement.Unit{N: 1}
	check := func(state string, read, write bool) {
		t.Helper()
		if got := u.may(slot, false) == nil; got != read {
			t.Errorf("%s: may read %v, want %v", state, got, read)
		}
		if got := u.may(slot, true) == nil; got != write {
			t.Errorf("%s: may write %v, want %v", state, got, write)
		}
	}
	check("unknown", false, false)
	for _, s := range []struct {
		name        string
		state       unitState
		read, write bool
	}{
		{"owned", unitOwned, true, true},
		{"sealed", unitSealed, true, false},
		{"reads off", unitReadsOff, false, false},
		{"gone", unitGone, false, false},
	} {
		u.apply(ownership{Version: 3, Units: []ownedUnit{{Unit: slot, Epoch: 1, State: s.state}}})
		check(s.name, s.read, s.write)
	}
	if u.version != 3 {
		t.Errorf("version %d, want 3", u.version)
	}

	m, err := cluster.New("test", []cluster.Shard{{ID: 1, Weight: 1}, {ID: 2, Weight: 1}}, []cluster.ShardID{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	u = newUnits()
	own, lost := u.adopt(m, 1)
	if len(own.Units) != 1 || own.Units[0].N != 0 || len(lost.Units) != 0 {
		t.Errorf("a new shard takes %v and gives %v", own.Units, lost.Units)
	}
	u.apply(own)
	if own, lost = u.adopt(m, 1); len(own.Units)+len(lost.Units) != 0 {
		t.Errorf("the same map changes %v, %v", own.Units, lost.Units)
	}
	m, err = m.Edit(func(next *cluster.Map) error {
		next.Slots[0] = cluster.Owner{Shard: 2, Epoch: next.Slots[0].Epoch + 2}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if own, lost = u.adopt(m, 1); len(own.Units) != 0 || len(lost.Units) != 1 || lost.Units[0].State != unitGone {
		t.Errorf("a flip takes %v and gives %v", own.Units, lost.Units)
	}
}

// TestKeys holds that the rows of a unit lie in its range, and nothing else does.
func TestKeys(t *testing.T) {
	rel := &catalog.Relation{OID: 17000, Columns: []catalog.Column{{Num: 1, Name: "id", Type: types.T(types.Int8OID)}}}
	rel.PrimaryKey = &catalog.Index{Keys: []catalog.IndexKey{{Column: 1}}}
	lo, hi := unitRange(rel.OID, placement.Unit{N: 7})
	for _, unit := range []uint32{6, 7, 8} {
		for _, id := range []int64{-1 << 63, -1, 0, 1, 1<<63 - 1} {
			key := rowKey(rel, unit, types.Row{types.Int(id)})
			if inside := string(key) >= string(lo) && string(key) < string(hi); inside != (unit == 7) {
				t.Errorf("row %d of unit %d: inside %v", id, unit, inside)
			}
			if unitOfRowKey(key) != unit || tableOfRowKey(key) != rel.OID {
				t.Errorf("row %d of unit %d reads as unit %d of table %d", id, unit, unitOfRowKey(key), tableOfRowKey(key))
			}
		}
	}
	if end := prefixEnd([]byte{'r', 0xff, 0xff}); string(end) != "s" {
		t.Errorf("the end of r ff ff is %q", end)
	}
	if end := prefixEnd([]byte{0xff}); end != nil {
		t.Errorf("nothing lies behind ff, but %q", end)
	}
}
