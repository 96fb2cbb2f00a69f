package hashring

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func equalShards(n int) []Shard {
	shards := make([]Shard, n)
	for i := range shards {
		shards[i] = Shard{ShardID(i + 1), 100}
	}
	return shards
}

func mustPlan(t testing.TB, old []ShardID, shards []Shard) ([]ShardID, []Move) {
	t.Helper()
	table, moves, err := Plan(old, shards)
	if err != nil {
		t.Fatal(err)
	}
	return table, moves
}

// TestPlanMoves repeats the measured movements: the fraction moved is the
// theoretical minimum.
func TestPlanMoves(t *testing.T) {
	three, _ := mustPlan(t, make([]ShardID, 4096), equalShards(3))
	for _, c := range []struct {
		name   string
		shards []Shard
		moves  int
	}{
		{"nothing changed", equalShards(3), 0},
		{"3 to 4", equalShards(4), 1024},
		{"3 to 6", equalShards(6), 2047},
		{"one of weight 200", append(equalShards(3), Shard{4, 200}), 1639},
		{"100 to 200", []Shard{{1, 100}, {2, 100}, {3, 200}}, 683},
		{"3 to 2", equalShards(2), 1365},
		{"drain one", []Shard{{1, 100}, {2, 100}, {3, 0}}, 1365},
	} {
		if _, moves := mustPlan(t, three, c.shards); len(moves) < c.moves-1 || len(moves) > c.moves+1 {
			t.Errorf("%s: %d moves, want %d ± 1", c.name, len(moves), c.moves)
		}
	}
}

// TestPlanStartsFromRing: where the ring's own proposal needs no repair, it is
// kept.
func TestPlanStartsFromRing(t *testing.T) {
	table, moves := mustPlan(t, make([]ShardID, 1024), equalShards(3))
	ring, kept := New(), 0
	for i := range 3 {
		if err := ring.AddNode(fmt.Sprintf("shard-%d", i+1), 100); err != nil {
			t.Fatal(err)
		}
	}
	for slot, id := range table {
		if first, _ := SlotRange(slot, 1024); ring.at(first) == fmt.Sprintf("shard-%d", id) {
			kept++
		}
	}
	if kept < 900 {
		t.Errorf("%d of 1024 slots follow the ring, want at least 900", kept)
	}
	if len(moves) != 1024 || moves[0].From != None {
		t.Errorf("%d moves, the first from %d; want every slot from None", len(moves), moves[0].From)
	}
}

func TestPlanRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		slots  int
		shards []Shard
	}{
		"no slots":      {0, equalShards(1)},
		"not a power":   {1000, equalShards(1)},
		"too many":      {2 * MaxSlots, equalShards(1)},
		"no shards":     {8, nil},
		"id 0":          {8, []Shard{{0, 100}}},
		"twice":         {8, []Shard{{1, 100}, {1, 100}}},
		"negative":      {8, []Shard{{1, 100}, {2, -1}}},
		"all drained":   {8, []Shard{{1, 0}}},
		"weight beyond": {8, []Shard{{1, MaxWeight + 1}}},
	} {
		if _, _, err := Plan(make([]ShardID, c.slots), c.shards); !errors.Is(err, ErrBadPlan) {
			t.Errorf("%s: %v, want ErrBadPlan", name, err)
		}
	}
}

// TestPlanExact: from any table to any shards, the new table is exact, the
// moves are as few as can be, and no shard that stays gives up a slot unless it
// was over quota.
func TestPlanExact(t *testing.T) {
	weights := rapid.OneOf(rapid.Just(100), rapid.IntRange(0, 300))
	rapid.Check(t, func(t *rapid.T) {
		slots := 1 << rapid.IntRange(0, 9).Draw(t, "bits")
		old := rapid.SliceOfN(rapid.Uint16Range(0, 9), slots, slots).Draw(t, "old")
		var shards []Shard
		for i, w := range rapid.SliceOfN(weights, 1, 8).Draw(t, "weights") {
			shards = append(shards, Shard{ShardID(i + 2), w})
		}
		table, moves, err := Plan(old, shards)
		if err != nil {
			if slices.ContainsFunc(shards, func(s Shard) bool { return s.Weight > 0 }) {
				t.Fatal(err)
			}
			return
		}
		checkExact(t, table, shards)
		checkFewest(t, old, table, shards, moves)
		again, none, err := Plan(table, shards)
		if err != nil || len(none) != 0 || !slices.Equal(again, table) {
			t.Fatalf("planning an exact table again moved %v, %v", none, err)
		}
	})
}

func count(table []ShardID) map[ShardID]int {
	n := make(map[ShardID]int)
	for _, id := range table {
		n[id]++
	}
	return n
}

// share returns a shard's slots by weight, rounded down and up.
func share(s Shard, shards []Shard, slots int) (down, up int) {
	total := 0
	for _, s := range shards {
		total += s.Weight
	}
	down = slots * s.Weight / total
	return down, (slots*s.Weight + total - 1) / total
}

func checkExact(t *rapid.T, table []ShardID, shards []Shard) {
	held, sum := count(table), 0
	for _, s := range shards {
		down, up := share(s, shards, len(table))
		if held[s.ID] < down || held[s.ID] > up {
			t.Fatalf("shard %d of weight %d holds %d slots, want %d to %d", s.ID, s.Weight, held[s.ID], down, up)
		}
		sum += held[s.ID]
	}
	if sum != len(table) {
		t.Fatalf("%d of %d slots have an owner among the shards", sum, len(table))
	}
}

func checkFewest(t *rapid.T, old, table []ShardID, shards []Shard, moves []Move) {
	before, after := count(old), count(table)
	give, take, known := 0, 0, map[ShardID]bool{}
	for _, s := range shards {
		down, up := share(s, shards, len(table))
		give += max(0, before[s.ID]-up)
		take += max(0, down-before[s.ID])
		known[s.ID] = true
	}
	for id, n := range before {
		if !known[id] {
			give += n
		}
	}
	// A table without owners is first filled by the ring, all of it by moves.
	if got, want := len(moves), max(give, take); got != want {
		t.Fatalf("%d moves, the theoretical minimum is %d", got, want)
	}
	replay := slices.Clone(old)
	for _, m := range moves {
		if known[m.From] && before[m.From] <= after[m.From] {
			t.Fatalf("shard %d gave slot %d but was not over its quota", m.From, m.Slot)
		}
		if replay[m.Slot] != m.From {
			t.Fatalf("slot %d is owned by %d, the move says %d", m.Slot, replay[m.Slot], m.From)
		}
		replay[m.Slot] = m.To
	}
	if !slices.Equal(replay, table) {
		t.Fatal("the moves do not lead to the table")
	}
}

func BenchmarkPlan(b *testing.B) {
	for _, slots := range []int{1024, 16384} {
		b.Run(fmt.Sprintf("slots=%d/from=3/to=6", slots), func(b *testing.B) {
			old, _ := mustPlan(b, make([]ShardID, slots), equalShards(3))
			for b.Loop() {
				mustPlan(b, old, equalShards(6))
			}
		})
	}
}
