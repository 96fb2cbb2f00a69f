package vectorpart

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/heliosdb/helios/centroids"
	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/distance"
)

// sealed appends the checksum that the body should have.
func sealed(body []byte) []byte {
	return binary.LittleEndian.AppendUint32(append([]byte{}, body...), crc32.Checksum(body, castagnoli))
}

// cellsAt is a set of cells on a line, with these rows.
func cellsAt(t interface{ Fatal(...any) }, rows []int) *centroids.Set {
	var cells []centroids.Cell
	for i, n := range rows {
		cells = append(cells, centroids.Cell{ID: uint32(i + 1), Centroid: []float32{float32(i), 0}, Rows: uint64(n)})
	}
	set, err := centroids.New(2, distance.L2, 1, cells)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func loads(set *centroids.Set, owners map[uint32]cluster.ShardID) map[cluster.ShardID]float64 {
	sum := map[cluster.ShardID]float64{}
	for _, c := range set.Cells {
		sum[owners[c.ID]] += float64(max(c.Rows, 1))
	}
	return sum
}

// TestAssign: cells near one another share a shard, within the cap.
func TestAssign(t *testing.T) {
	rows := make([]int, 48)
	for i := range rows {
		rows[i] = 90 + i%3*10
	}
	set := cellsAt(t, rows)
	owners, err := Assign(set, []Shard{{1, 100}, {2, 100}, {3, 200}})
	if err != nil {
		t.Fatal(err)
	}
	sum := loads(set, owners)
	for shard, share := range map[cluster.ShardID]float64{1: 1200, 2: 1200, 3: 2400} {
		if sum[shard] > 1.05*share || sum[shard] < 0.8*share {
			t.Errorf("shard %d has %v rows, its share is %v", shard, sum[shard], share)
		}
	}
	borders := 0
	for i := uint32(1); i < 48; i++ {
		if owners[i] != owners[i+1] {
			borders++
		}
	}
	if borders > 6 {
		t.Errorf("a line of 48 cells has %d borders between 3 shards", borders)
	}
}

// TestAssignFanOut: grouping asks fewer shards than dealing cells in turn.
func TestAssignFanOut(t *testing.T) {
	base := clustered(3000, 3, 30, 9)
	set, err := centroids.Train(base, centroids.Options{K: 48, Metric: distance.L2, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	coverage, err := Learn(set, base, 1)
	if err != nil {
		t.Fatal(err)
	}
	dealt, err := New(set, coverage, ownersOf(set, 4))
	if err != nil {
		t.Fatal(err)
	}
	grouped, err := Assign(set, []Shard{{1, 100}, {2, 100}, {3, 100}, {4, 100}})
	if err != nil {
		t.Fatal(err)
	}
	near, err := dealt.WithOwners(cellSet(grouped))
	if err != nil {
		t.Fatal(err)
	}
	s := newSearch(t, dealt, distance.L2, base[:2800], base[2800:], 10)
	was, is := s.route(t, dealt, 0.95), s.route(t, near, 0.95)
	t.Logf("shards asked of 4: dealt in turn %.2f, grouped %.2f", was.shards, is.shards)
	if is.shards > 0.8*was.shards {
		t.Errorf("grouping asks %.2f shards, dealing in turn %.2f", is.shards, was.shards)
	}
}

func cellSet(owners map[uint32]cluster.ShardID) cluster.CellSet {
	var set cluster.CellSet
	for id := range uint32(len(owners)) {
		set.Cells = append(set.Cells, cluster.CellOwner{Cell: id + 1, Owner: cluster.Owner{Shard: owners[id+1], Epoch: 1}})
	}
	return set
}

func TestAssignRefuses(t *testing.T) {
	set := cellsAt(t, []int{1, 2})
	for name, shards := range map[string][]Shard{
		"none": nil, "id 0": {{0, 1}}, "twice": {{1, 1}, {1, 1}}, "negative": {{1, -1}}, "all drained": {{1, 0}},
	} {
		if _, err := Assign(set, shards); !errors.Is(err, ErrInvalid) {
			t.Errorf("assign, %s: %v", name, err)
		}
		if _, err := Rebalance(set, nil, shards); !errors.Is(err, ErrInvalid) {
			t.Errorf("rebalance, %s: %v", name, err)
		}
	}
	if _, err := Rebalance(set, map[uint32]cluster.ShardID{9: 1}, []Shard{{1, 1}}); !errors.Is(err, ErrInvalid) {
		t.Errorf("unknown cell: %v", err)
	}
}

// TestRebalance: 3 shards to 4 and to 6 move the minimum but for a cell each.
func TestRebalance(t *testing.T) {
	rows := make([]int, 96)
	for i := range rows {
		rows[i] = 80 + i%5*10
	}
	set := cellsAt(t, rows)
	three := []Shard{{1, 100}, {2, 100}, {3, 100}}
	owners, err := Assign(set, three)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		shards []Shard
		least  float64 // fraction of rows that must move
	}{
		{"as it is", three, 0},
		{"3 to 4", append(three[:3:3], Shard{4, 100}), 0.25},
		{"3 to 6", append(three[:3:3], Shard{4, 100}, Shard{5, 100}, Shard{6, 100}), 0.5},
		{"3 to 2", three[:2], 0.333},
		{"drain", []Shard{{1, 100}, {2, 100}, {3, 0}}, 0.333},
	} {
		moves, err := Rebalance(set, owners, c.shards)
		if err != nil {
			t.Fatal(err)
		}
		moved := 0.0
		for _, m := range moves {
			moved += float64(m.Rows) / 9590
		}
		t.Logf("%s: %d moves, %.3f of the rows", c.name, len(moves), moved)
		if moved > c.least+0.06 {
			t.Errorf("%s: moved %.3f of the rows, %.3f would do", c.name, moved, c.least)
		}
	}
}

// TestRebalanceMinimal: only owners that must give do, each only while it is
// over its share, and what is left over is less than one cell.
func TestRebalanceMinimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.IntRange(0, 100), 1, 40).Draw(t, "rows")
		set := cellsAt(t, rows)
		current := map[uint32]cluster.ShardID{}
		for i := range rows {
			if id := rapid.Uint16Range(0, 5).Draw(t, "owner"); id > 0 {
				current[uint32(i+1)] = id
			}
		}
		var shards []Shard
		weights, total, largest := 0, 0.0, 1.0
		for i, w := range rapid.SliceOfN(rapid.IntRange(1, 200), 1, 5).Draw(t, "weights") {
			shards = append(shards, Shard{cluster.ShardID(i + 2), w})
			weights += w
		}
		for _, n := range rows {
			total += float64(max(n, 1))
			largest = max(largest, float64(n))
		}
		target := map[cluster.ShardID]float64{}
		for _, s := range shards {
			target[s.ID] = total * float64(s.Weight) / float64(weights)
		}
		moves, err := Rebalance(set, current, shards)
		if err != nil {
			t.Fatal(err)
		}
		before, after := loads(set, current), map[uint32]cluster.ShardID{}
		for cell, id := range current {
			after[cell] = id
		}
		for _, m := range moves {
			if m.From != current[m.Cell] || m.To == m.From || target[m.To] == 0 {
				t.Fatalf("move %+v of a cell owned by %d", m, current[m.Cell])
			}
			if share, stays := target[m.From]; stays && before[m.From] <= share {
				t.Fatalf("shard %d gave cell %d but had %v of %v rows", m.From, m.Cell, before[m.From], share)
			}
			after[m.Cell] = m.To
		}
		for id, load := range loads(set, after) {
			if target[id] == 0 {
				t.Fatalf("shard %d is gone but keeps cells", id)
			}
			if load-target[id] > largest+0.06*math.Max(load, target[id]) && load > before[id] {
				t.Fatalf("shard %d grew to %v rows, its share is %v, the largest cell %v", id, load, target[id], largest)
			}
		}
	})
}
