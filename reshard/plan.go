package reshard

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/hashring"
)

// UnitsPerMove bounds how many units one move takes along: small moves pause few rows
// for a short time, large ones need fewer cutovers.
const UnitsPerMove = 64

// Weights are the rows (or any measure of load) of a table's units; a missing unit
// counts as one.
type Weights map[Unit]int64

// Plan gives the moves that spread the cluster's units over shards. Slots follow the
// exact-quota planner with the fewest moves; the units of each table follow their
// weights: a unit moves only from a shard above its share to one below.
func Plan(m *cluster.Map, shards []hashring.Shard, weights Weights) ([]Move, error) {
	if len(shards) == 0 {
		return nil, errors.New("a cluster needs at least one shard")
	}
	var all []Move
	old := make([]cluster.ShardID, len(m.Slots))
	for i, o := range m.Slots {
		old[i] = o.Shard
	}
	_, slots, err := hashring.Plan(old, shards)
	if err != nil {
		return nil, fmt.Errorf("slots: %w", err)
	}
	moves := map[[2]cluster.ShardID][]Unit{}
	for _, s := range slots {
		pair := [2]cluster.ShardID{s.From, s.To}
		moves[pair] = append(moves[pair], Unit{N: uint32(s.Slot)})
	}
	tables := make([]uint32, 0, len(m.CellSets))
	for t := range m.CellSets {
		tables = append(tables, t)
	}
	slices.Sort(tables)
	for _, t := range tables {
		planCells(t, m.CellSets[t], shards, weights, moves)
	}
	pairs := make([][2]cluster.ShardID, 0, len(moves))
	for p := range moves {
		pairs = append(pairs, p)
	}
	slices.SortFunc(pairs, func(a, b [2]cluster.ShardID) int { return cmp.Or(cmp.Compare(a[1], b[1]), cmp.Compare(a[0], b[0])) })
	for _, p := range pairs {
		for chunk := range slices.Chunk(moves[p], UnitsPerMove) {
			all = append(all, Move{ID: len(all) + 1, From: p[0], To: p[1], Units: chunk, State: Planned})
		}
	}
	return all, nil
}

// planCells evens out one table: heaviest units first, from the shard most above its
// share to the one most below, while that brings the pair closer together.
func planCells(table uint32, set cluster.CellSet, shards []hashring.Shard, weights Weights, moves map[[2]cluster.ShardID][]Unit) {
	weight := func(cell uint32) float64 { return float64(max(1, weights[Unit{Space: table, N: cell}])) }
	share, load := map[cluster.ShardID]float64{}, map[cluster.ShardID]float64{}
	var total, parts float64
	for _, s := range shards {
		parts += float64(s.Weight)
	}
	held := map[cluster.ShardID][]cluster.CellOwner{}
	for _, c := range set.Cells {
		total += weight(c.Cell)
		load[c.Shard] += weight(c.Cell)
		held[c.Shard] = append(held[c.Shard], c)
	}
	for _, s := range shards {
		share[s.ID] = total * float64(s.Weight) / parts
	}
	for id := range held {
		slices.SortFunc(held[id], func(a, b cluster.CellOwner) int {
			return cmp.Or(cmp.Compare(weight(b.Cell), weight(a.Cell)), cmp.Compare(a.Cell, b.Cell))
		})
	}
	for {
		from, to := extremes(load, share, held, shards)
		cell, ok := takeCell(held[from], load[from]-share[from], share[to]-load[to], share[from] == 0, weight)
		if !ok || from == to {
			return
		}
		held[from] = slices.DeleteFunc(held[from], func(c cluster.CellOwner) bool { return c.Cell == cell })
		load[from] -= weight(cell)
		load[to] += weight(cell)
		pair := [2]cluster.ShardID{from, to}
		moves[pair] = append(moves[pair], Unit{Space: table, N: cell})
	}
}

// extremes finds the shard most above its share, one that must be emptied first, and the
// one most below.
func extremes(load, share map[cluster.ShardID]float64, held map[cluster.ShardID][]cluster.CellOwner, shards []hashring.Shard) (from, to cluster.ShardID) {
	over := func(id cluster.ShardID) float64 { return load[id] - share[id] }
	to = shards[0].ID
	for _, s := range shards {
		if s.Weight > 0 && (share[to] == 0 || over(s.ID) < over(to)) {
			to = s.ID
		}
	}
	ids := slices.Sorted(maps.Keys(held))
	if i := slices.IndexFunc(ids, func(id cluster.ShardID) bool { return share[id] == 0 && len(held[id]) > 0 }); i >= 0 {
		return ids[i], to
	}
	from = to
	for _, id := range ids {
		if over(id) > over(from) {
			from = id
		}
	}
	return from, to
}

// takeCell picks the heaviest unit whose move brings both shards closer to their shares;
// a shard without a share gives everything away.
func takeCell(held []cluster.CellOwner, excess, room float64, empty bool, weight func(uint32) float64) (uint32, bool) {
	for _, c := range held {
		if w := weight(c.Cell); empty || w < excess+room {
			return c.Cell, true
		}
	}
	return 0, false
}
