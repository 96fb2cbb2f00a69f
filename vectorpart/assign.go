package vectorpart

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/heliosdb/helios/centroids"
	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/distance"
)

// slackRatio is how many rows a shard may hold over its share by weight.
const slackRatio = 1.05

// groupRounds bounds the rounds of grouping and of improving a grouping.
const groupRounds = 12

// Shard is what Assign and Rebalance know of a shard. Weight 100 is the usual
// one; a shard of weight 0 keeps no cell, so it is drained.
type Shard struct {
	ID     cluster.ShardID
	Weight int
}

// Assign deals the cells of a set to shards so that cells near one another
// share a shard and no shard has more than 5 % over its share of the rows,
// unless single cells are too large for that. The result has every cell.
//
// Outline:
//
//	centers = k-means++ over centroids, farthest first
//	repeat: cells in order of what they lose by their second choice, each to
//	    the nearest center with room; centers move to the mean by rows
//	then single moves and swaps while they bring cells nearer within the cap
func Assign(set *centroids.Set, shards []Shard) (map[uint32]cluster.ShardID, error) {
	g, err := newGrouping(set, shards)
	if err != nil {
		return nil, err
	}
	g.seedCenters()
	for range groupRounds {
		before := slices.Clone(g.group)
		g.deal()
		g.moveCenters()
		if slices.Equal(before, g.group) {
			break
		}
	}
	g.improve()
	owners := make(map[uint32]cluster.ShardID, len(set.Cells))
	for i, c := range set.Cells {
		owners[c.ID] = g.shards[g.group[i]].ID
	}
	return owners, nil
}

// grouping is the cells while they are dealt to shards.
type grouping struct {
	cells   []centroids.Cell
	rows    []float64 // by cell, 1 at least: an empty cell costs something too
	shards  []Shard   // of weight above 0, ascending by ID
	target  []float64 // rows by shard at its exact share
	load    []float64 // rows by shard
	group   []int     // by cell, index of its shard, -1 for none
	centers [][]float32
}

func newGrouping(set *centroids.Set, shards []Shard) (*grouping, error) {
	g := &grouping{cells: set.Cells}
	seen, weights := map[cluster.ShardID]bool{}, 0
	for _, s := range shards {
		if s.ID == cluster.None || seen[s.ID] || s.Weight < 0 || s.Weight > 10_000 {
			return nil, fmt.Errorf("%w: shard %d of weight %d is reserved, there twice or out of range", ErrInvalid, s.ID, s.Weight)
		}
		seen[s.ID] = true
		weights += s.Weight
		if s.Weight > 0 {
			g.shards = append(g.shards, s)
		}
	}
	if weights == 0 {
		return nil, fmt.Errorf("%w: no shard has a weight above 0", ErrInvalid)
	}
	slices.SortFunc(g.shards, func(a, b Shard) int { return cmp.Compare(a.ID, b.ID) })
	total := 0.0
	for _, c := range g.cells {
		g.rows = append(g.rows, float64(max(c.Rows, 1)))
		total += g.rows[len(g.rows)-1]
		g.group = append(g.group, -1)
	}
	for _, s := range g.shards {
		g.target = append(g.target, total*float64(s.Weight)/float64(weights))
	}
	g.load = make([]float64, len(g.shards))
	return g, nil
}

// seedCenters takes the centroid with the most rows, then each time the one
// farthest from those taken.
func (g *grouping) seedCenters() {
	far := make([]float64, len(g.cells))
	next := 0
	for i, r := range g.rows {
		far[i] = math.Inf(1)
		if r > g.rows[next] {
			next = i
		}
	}
	for range g.shards {
		g.centers = append(g.centers, slices.Clone(g.cells[next].Centroid))
		for i := range far {
			far[i] = min(far[i], g.cost(i, len(g.centers)-1))
			if far[i] > far[next] {
				next = i
			}
		}
	}
}

// cost is what it costs to have cell i with the center of a shard.
func (g *grouping) cost(i, shard int) float64 {
	return g.rows[i] * distance.L2Squared.Distance(g.cells[i].Centroid, g.centers[shard])
}

// fits reports whether rows more keep a shard within its cap.
func (g *grouping) fits(shard int, rows float64) bool {
	return g.load[shard]+rows <= slackRatio*g.target[shard]
}

// deal gives each cell to the nearest center with room, those first that lose
// most if they are too late; where nobody has room, to the emptiest.
func (g *grouping) deal() {
	clear(g.load)
	order := make([]int, len(g.cells))
	regret := make([]float64, len(g.cells))
	for i := range order {
		order[i] = i
		first, second := math.Inf(1), math.Inf(1)
		for s := range g.shards {
			c := g.cost(i, s)
			first, second = min(first, c), min(second, max(first, c))
		}
		if len(g.shards) > 1 {
			regret[i] = second - first
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(regret[b], regret[a]), cmp.Compare(a, b)) })
	for _, i := range order {
		best, bestCost, emptiest := -1, math.Inf(1), 0
		for s := range g.shards {
			if c := g.cost(i, s); g.fits(s, g.rows[i]) && c < bestCost {
				best, bestCost = s, c
			}
			if g.load[s]/g.target[s] < g.load[emptiest]/g.target[emptiest] {
				emptiest = s
			}
		}
		if best < 0 {
			best = emptiest
		}
		g.group[i] = best
		g.load[best] += g.rows[i]
	}
}

// moveCenters moves each center to the mean of its cells by rows.
func (g *grouping) moveCenters() {
	for s, center := range g.centers {
		if g.load[s] == 0 {
			continue
		}
		sums := make([]float64, len(center))
		for i, c := range g.cells {
			if g.group[i] != s {
				continue
			}
			for d, x := range c.Centroid {
				sums[d] += g.rows[i] * float64(x)
			}
		}
		for d := range center {
			center[d] = float32(sums[d] / g.load[s])
		}
	}
}

// improve moves single cells, and swaps pairs, while that brings cells nearer
// to their centers and stays within the caps, or relieves a shard above its own.
func (g *grouping) improve() {
	for range groupRounds {
		changed := false
		for i := range g.cells {
			for to := range g.shards {
				changed = g.tryMove(i, to) || changed
			}
			for j := range i {
				changed = g.trySwap(i, j) || changed
			}
		}
		if !changed {
			return
		}
	}
}

func (g *grouping) tryMove(i, to int) bool {
	from := g.group[i]
	if from == to {
		return false
	}
	over := g.load[from] > slackRatio*g.target[from]
	relief := over && (g.load[to]+g.rows[i])/g.target[to] < g.load[from]/g.target[from]
	nearer := g.fits(to, g.rows[i]) && g.cost(i, to) < g.cost(i, from)*(1-1e-9)
	if !relief && !nearer {
		return false
	}
	g.group[i] = to
	g.load[from] -= g.rows[i]
	g.load[to] += g.rows[i]
	return true
}

func (g *grouping) trySwap(i, j int) bool {
	a, b := g.group[i], g.group[j]
	more := g.rows[i] - g.rows[j] // what b gains
	if a == b || (more > 0 && !g.fits(b, more)) || (more < 0 && !g.fits(a, -more)) {
		return false
	}
	if g.cost(i, b)+g.cost(j, a) >= (g.cost(i, a)+g.cost(j, b))*(1-1e-9) {
		return false
	}
	g.group[i], g.group[j] = b, a
	g.load[a] -= more
	g.load[b] += more
	return true
}
