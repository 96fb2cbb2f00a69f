package shard

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/wal"
)

// slots are all slots of a test's shard.
func slots() []placement.Unit {
	var all []placement.Unit
	for n := range testSlots {
		all = append(all, placement.Unit{N: uint32(n)})
	}
	return all
}

// TestDrainedOfLocks holds that a prepared transaction which only locked rows keeps its
// units from moving: the new owner would not know of the locks.
func TestDrainedOfLocks(t *testing.T) {
	s := openSQL(t, syncedRoot(t))
	defer closeShard(t, s.Shard)
	a := s.session()
	a.run("CREATE TABLE t (id int PRIMARY KEY)")
	a.run("INSERT INTO t VALUES (1)")
	for i, c := range []struct {
		text string
		want bool
	}{
		{"SELECT FROM t FOR KEY SHARE", false},
		{"SELECT FROM t FOR UPDATE", false},
		{"UPDATE t SET id = 2", false},
		{"SELECT FROM t", true},
	} {
		a.run("BEGIN; " + c.text + "; PREPARE TRANSACTION 'a'")
		if err := s.setState(t.Context(), wal.TypeSeal, slots(), unitOwned, unitSealed); err != nil { // no deadline
			t.Fatal(err)
		}
		if got, err := s.Drained(slots()); got != c.want || err != nil {
			t.Errorf("%d: with a prepared %s drained is %v, %v", i, c.text, got, err)
		}
		if err := s.setState(t.Context(), wal.TypeSeal, slots(), unitSealed, unitOwned); err != nil {
			t.Fatal(err)
		}
		a.run("ROLLBACK PREPARED 'a'")
	}
}

// TestSealOutlivesProcess holds that what a dead process had sealed comes back under the
// next primary, which has no driver either.
func TestSealOutlivesProcess(t *testing.T) {
	fs := syncedRoot(t)
	s := openShard(t, fs)
	sealed, off := []placement.Unit{{N: 1}, {N: 2}}, []placement.Unit{{N: 3}}
	for _, units := range [][]placement.Unit{sealed, off} {
		if err := s.setState(t.Context(), wal.TypeSeal, units, unitOwned, unitSealed); err != nil { // no deadline
			t.Fatal(err)
		}
	}
	if _, err := s.ReadsOff(t.Context(), off); err != nil {
		t.Fatal(err)
	}
	after := crashed(fs)
	closeShard(t, s)

	undone := make(chan []placement.Unit, 1)
	s, err := Open(Options{
		ID: 1, Slots: testSlots, FS: after, Dir: "data", Wall: func() int64 { return time.Now().UnixMilli() },
		Undo: func(_ context.Context, units []placement.Unit) error {
			select {
			case undone <- units:
			default:
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer closeShard(t, s)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.waitFor(ctx, func() (bool, error) {
		return s.mu.units.state[sealed[0]].State == unitOwned && s.mu.units.state[sealed[1]].State == unitOwned, nil
	}); err != nil {
		t.Errorf("the seal stands: %v", err)
	}
	select {
	case got := <-undone:
		if !slices.Equal(got, off) {
			t.Errorf("the control store is asked for %v", got)
		}
	case <-ctx.Done():
		t.Error("nobody asks the control store for the units whose reads are off")
	}
}

// TestUnitsOfLostRecords holds that a node which leads again owns what its log says, not
// what it was about to log when it led last.
func TestUnitsOfLostRecords(t *testing.T) {
	s := openShard(t, syncedRoot(t))
	defer closeShard(t, s)
	u := placement.Unit{N: 1}
	s.mu.Lock()
	s.mu.units.state[u] = ownedUnit{Unit: u, Epoch: 7, State: unitGone}
	version := s.mu.units.version
	s.mu.Unlock()
	s.StepDown()
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := s.mu.units.state[u]; got.State != unitOwned || got.Epoch != 1 || s.mu.units.version != version {
		t.Errorf("the unit is %+v, the version %d; want %d", got, s.mu.units.version, version)
	}
}

// TestSealIsWhole holds that a seal which is refused for one unit leaves the others as they
// are: nobody would ever give them back.
func TestSealIsWhole(t *testing.T) {
	s := openShard(t, syncedRoot(t))
	defer closeShard(t, s)
	if err := s.setState(t.Context(), wal.TypeSeal, []placement.Unit{{N: 2}}, unitOwned, unitSealed); err != nil { // no deadline
		t.Fatal(err)
	}
	if _, err := s.Seal(t.Context(), []placement.Unit{{N: 1}, {N: 2}}, []uint32{1, 1}); !errors.Is(err, errUnitState) {
		t.Errorf("a second seal: %v", err)
	}
	if !s.Owns([]placement.Unit{{N: 1}}) {
		t.Error("the refused seal took effect")
	}
}

// TestDropInParts holds that a drop of many index entries is logged in small records, and
// leaves nothing of the units.
func TestDropInParts(t *testing.T) {
	s := openSQL(t, syncedRoot(t))
	defer closeShard(t, s.Shard)
	a := s.session()
	a.run("CREATE TABLE t (id int PRIMARY KEY, b text)")
	a.run("CREATE INDEX tb ON t (b)")
	a.run("INSERT INTO t SELECT g, repeat('x', 1000) || g FROM generate_series(1, 3000) g")
	var gone ownership
	for _, u := range slots() {
		gone.Units = append(gone.Units, ownedUnit{Unit: u, Epoch: 2, State: unitGone})
	}
	if _, err := s.logRecord(t.Context(), wal.TypeOwn, 0, func(hlc.Timestamp) ([]byte, error) { return gone.encode(), nil }); err != nil {
		t.Fatal(err)
	}
	before := s.Log().End()
	if err := s.DropUnits(t.Context(), slots()); err != nil {
		t.Fatal(err)
	}
	r, err := s.Log().ReadFrom(before)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	drops := 0
	for end := s.Log().End(); r.Pos() < end; {
		rec, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if rec.Type == wal.TypeDrop {
			drops++
		}
		if len(rec.Payload) > 2*dropBytes {
			t.Errorf("a record of %d bytes", len(rec.Payload))
		}
	}
	if drops < 3 {
		t.Errorf("%d records for all", drops)
	}
	sn := s.store().Snapshot(s.Visible(), nil)
	defer sn.Close()
	for _, prefix := range []byte{rowPrefix, 'i'} {
		it := sn.Scan([]byte{prefix}, []byte{prefix + 1}, false)
		if it.Next() {
			t.Errorf("%q is left", it.Version().Key)
		}
		if err := it.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSealAtTheEpochsOfTheFlip holds that a source which has not heard of its newest epoch
// does not seal: it would hear of it later, and take the units for given back.
func TestSealAtTheEpochsOfTheFlip(t *testing.T) {
	s := openShard(t, syncedRoot(t))
	defer closeShard(t, s)
	units := []placement.Unit{{Space: 9, N: 1}, {N: 2}, {N: 1}}
	own := func(o ownership) {
		t.Helper()
		if _, err := s.logRecord(t.Context(), wal.TypeOwn, 0, func(hlc.Timestamp) ([]byte, error) { return o.encode(), nil }); err != nil {
			t.Fatal(err)
		}
	}
	own(ownership{Version: 2, Units: []ownedUnit{{Unit: units[0], Epoch: 5, State: unitOwned}}})
	text := FormatEpochs(units, []uint32{5, 1, 3})
	if text != "3,1,5" {
		t.Errorf("the epochs of %s are %q", FormatUnits(units), text)
	}
	epochs, err := parseEpochs(text)
	if err != nil {
		t.Fatal(err)
	}
	sorted, err := ParseUnits(FormatUnits(units))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Seal(t.Context(), sorted, epochs); !errors.Is(err, errUnitState) {
		t.Errorf("sealed ahead of the map: %v", err)
	}
	own(ownership{Version: 3, Units: []ownedUnit{{Unit: units[2], Epoch: 4, State: unitOwned}}})
	if _, err := s.Seal(t.Context(), sorted, epochs); !errors.Is(err, errUnitState) {
		t.Errorf("sealed at a later epoch: %v", err)
	}
	epochs[0] = 4
	if _, err := s.Seal(t.Context(), sorted, epochs); err != nil {
		t.Error(err)
	}
}
