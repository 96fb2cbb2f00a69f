package vectorpart

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/heliosdb/helios/centroids"
	"github.com/heliosdb/helios/cluster"
)

// Move takes one cell from its owner to another; From is None when nobody
// owned it.
type Move struct {
	Cell     uint32
	From, To cluster.ShardID
	Rows     uint64
}

// Rebalance returns the moves that make owned cells fit these shards, ascending
// by cell. Cells of shards that are gone or drained find new owners; beside them
// only a shard above its share gives, and only to one below its own, and only
// until both are within 5 % of it. So no row moves that need not, but for what
// one cell of each giver is too large. Among cells that serve as well, the one
// nearest to the taker's own goes.
func Rebalance(set *centroids.Set, current map[uint32]cluster.ShardID, shards []Shard) ([]Move, error) {
	g, err := newGrouping(set, shards)
	if err != nil {
		return nil, err
	}
	for cell := range current {
		if _, ok := set.Cell(cell); !ok {
			return nil, fmt.Errorf("%w: cell %d has an owner but is not in the set", ErrInvalid, cell)
		}
	}
	for i, c := range g.cells {
		at, ok := slices.BinarySearchFunc(g.shards, current[c.ID], func(s Shard, id cluster.ShardID) int { return cmp.Compare(s.ID, id) })
		if ok {
			g.group[i] = at
			g.load[at] += g.rows[i]
		}
	}
	g.centers = make([][]float32, len(g.shards))
	for s := range g.centers {
		g.centers[s] = make([]float32, set.Dims)
	}
	g.moveCenters()
	own := slices.Clone(g.group)
	for s := range g.shards {
		if g.excess(s) <= 0 {
			continue
		}
		for i := range own {
			if own[i] == s {
				own[i] = -1 // its shard is above its share: it may go
			}
		}
	}
	g.adopt()
	for range g.cells {
		if !g.relieve(own) {
			break
		}
	}
	var moves []Move
	for i, c := range g.cells {
		if to := g.shards[g.group[i]].ID; to != current[c.ID] {
			moves = append(moves, Move{c.ID, current[c.ID], to, c.Rows})
		}
	}
	return moves, nil
}

// adopt gives cells without an owner away, large ones first, each to the
// nearest shard with room, else to the emptiest.
func (g *grouping) adopt() {
	var orphans []int
	for i, s := range g.group {
		if s < 0 {
			orphans = append(orphans, i)
		}
	}
	slices.SortFunc(orphans, func(a, b int) int { return cmp.Or(cmp.Compare(g.rows[b], g.rows[a]), cmp.Compare(a, b)) })
	for _, i := range orphans {
		best, bestCost, emptiest := -1, math.Inf(1), 0
		for s := range g.shards {
			room := g.load[s]+g.rows[i] <= g.target[s]
			if c := g.distanceTo(i, s); room && c < bestCost {
				best, bestCost = s, c
			}
			if (g.load[s]+g.rows[i])/g.target[s] < (g.load[emptiest]+g.rows[i])/g.target[emptiest] {
				emptiest = s
			}
		}
		if best < 0 {
			best = emptiest
		}
		g.take(i, best)
	}
}

// relieve makes one move from a shard above its share to one below its own, the
// pair that is farthest apart first, and reports whether any move helps. Cells
// that a shard owns by right, by index of that shard, stay there.
func (g *grouping) relieve(own []int) bool {
	type pair struct{ giver, taker int }
	var pairs []pair
	for giver := range g.shards {
		for taker := range g.shards {
			slack := (slackRatio - 1) * min(g.target[giver], g.target[taker])
			if over, under := g.excess(giver), -g.excess(taker); over > 0 && under > 0 && max(over, under) > slack {
				pairs = append(pairs, pair{giver, taker})
			}
		}
	}
	gap := func(p pair) float64 { return g.excess(p.giver) - g.excess(p.taker) }
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(gap(b), gap(a)) })
	for _, p := range pairs {
		if i, ok := g.gift(p.giver, p.taker, own); ok {
			g.take(i, p.taker)
			return true
		}
	}
	return false
}

// gift finds the giver's cell nearest to the taker that brings both nearer to
// their shares and neither past the slack.
func (g *grouping) gift(giver, taker int, own []int) (best int, ok bool) {
	over, under := g.excess(giver), -g.excess(taker)
	slack := (slackRatio - 1) * min(g.target[giver], g.target[taker])
	nearest := math.Inf(-1)
	for i, s := range g.group {
		if s != giver || own[i] == giver || g.rows[i] > min(over, under)+slack {
			continue
		}
		if math.Abs(over-g.rows[i])+math.Abs(under-g.rows[i]) >= over+under {
			continue
		}
		if near := g.distanceTo(i, giver) - g.distanceTo(i, taker); near > nearest {
			best, nearest, ok = i, near, true
		}
	}
	return best, ok
}

// excess is how many rows a shard holds above its share.
func (g *grouping) excess(s int) float64 { return g.load[s] - g.target[s] }

// distanceTo is a cell's squared distance to the center of a shard, 0 for one
// without cells.
func (g *grouping) distanceTo(i, s int) float64 {
	if g.load[s] == 0 {
		return 0
	}
	return g.cost(i, s) / g.rows[i]
}

// take gives cell i to a shard and moves the centers along.
func (g *grouping) take(i, to int) {
	if was := g.group[i]; was >= 0 {
		g.load[was] -= g.rows[i]
	}
	g.group[i] = to
	g.load[to] += g.rows[i]
	g.moveCenters()
}
