package shard

import (
	"testing"

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
		if _, err := s.Seal(t.Context(), slots()); err != nil {
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
