// Package vectorpart places a vector in its cell, and tells which cells and
// shards are worth asking for a query's neighbours.
//
// A row is placed in the cell of its nearest centroid. Reads are routed by
// coverage: where the true neighbours of rows like the query were found to lie
// ([Learn]), not by bare distance, which asks about half as many cells again
// for the same recall.
package vectorpart

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/heliosdb/helios/centroids"
	"github.com/heliosdb/helios/cluster"
)

var (
	// ErrUntrained is returned by Place while a table has no centroids.
	ErrUntrained = errors.New("vector placement is not trained")
	// ErrInvalid is wrapped when parts of a placement contradict one another.
	ErrInvalid = errors.New("invalid vector placement")
)

// DimsError reports a vector of the wrong length.
type DimsError = centroids.DimsError

// Partitioner is the placement of one vector-placed table: its cells, who owns
// them, and what was learned of its neighbourhoods. It is immutable and may be
// used by any number of goroutines.
type Partitioner struct {
	set      *centroids.Set // nil while untrained
	coverage *Coverage      // nil while not learned
	owners   cluster.CellSet
	retired  []uint32 // cells with owner that the set no longer has
}

// Route is what to ask for the neighbours of a query.
type Route struct {
	Cells  []uint32          // to ask, most promising first
	Rest   []uint32          // all others, most promising first, for searches that come back short
	Shards []cluster.ShardID // owners of Cells, ascending
	Reason string            // why so many, for EXPLAIN
}

// New joins centroids, coverage and owners. A nil set means that nothing was
// trained yet, a nil coverage that nothing was learned. Every cell of the set
// must have an owner; an owned cell that the set no longer has still holds rows
// on their way to others, and is asked by every query.
func New(set *centroids.Set, coverage *Coverage, owners cluster.CellSet) (*Partitioner, error) {
	p := &Partitioner{set: set, coverage: coverage, owners: owners}
	if len(owners.Cells) == 0 {
		return nil, fmt.Errorf("%w: no cell has an owner", ErrInvalid)
	}
	if set == nil {
		if coverage != nil {
			return nil, fmt.Errorf("%w: coverage without centroids", ErrInvalid)
		}
		return p, nil
	}
	for _, c := range set.Cells {
		if o, ok := owners.Owner(c.ID); !ok || o.Shard == cluster.None {
			return nil, fmt.Errorf("%w: cell %d has no owner", ErrInvalid, c.ID)
		}
	}
	for _, o := range owners.Cells {
		if _, ok := set.Cell(o.Cell); !ok {
			p.retired = append(p.retired, o.Cell)
		}
	}
	if coverage != nil {
		if err := coverage.fits(set); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Set returns the centroids, nil while untrained.
func (p *Partitioner) Set() *centroids.Set { return p.set }

// WithOwners returns the same placement after cells changed owner.
func (p *Partitioner) WithOwners(owners cluster.CellSet) (*Partitioner, error) {
	return New(p.set, p.coverage, owners)
}

// Place returns the cell of a row's vector, the same one on every node. The
// errors are a *DimsError, centroids.ErrNotFinite and ErrUntrained.
func (p *Partitioner) Place(v []float32) (uint32, error) {
	if p.set == nil {
		return centroids.NoCell, ErrUntrained
	}
	near, err := p.set.Nearest(v)
	return near.Cell, err
}

// PlaceHash returns the cell of a row while nothing is trained: the hash of its
// primary key decides, its top bits as for slots.
func (p *Partitioner) PlaceHash(hash uint64) uint32 {
	i, _ := bits.Mul64(hash, uint64(len(p.owners.Cells)))
	return p.owners.Cells[i].Cell
}

// Owner returns the owner of a cell.
func (p *Partitioner) Owner(cell uint32) (cluster.Owner, bool) { return p.owners.Owner(cell) }

// Route chooses the cells to ask for the k nearest rows of q so that on average
// the share recall of them is found. A recall of 1 or more asks all cells, so
// the answer is exact. The errors are a *DimsError and centroids.ErrNotFinite.
func (p *Partitioner) Route(q []float32, k int, recall float64) (Route, error) {
	if p.set == nil {
		all := make([]uint32, len(p.owners.Cells))
		for i, o := range p.owners.Cells {
			all[i] = o.Cell
		}
		return p.finish(Route{Cells: all, Reason: "all cells: not trained yet"}), nil
	}
	near, err := p.set.Ranked(q, len(p.set.Cells))
	if err != nil {
		return Route{}, err
	}
	order := make([]uint32, len(near))
	for i, n := range near {
		order[i] = n.Cell
	}
	ask, reason := len(order), "all cells: exact"
	switch {
	case recall >= 1 || recall != recall:
	case p.coverage == nil:
		ask = int(math.Ceil(distanceShare(recall) * float64(len(order))))
		reason = fmt.Sprintf("%d nearest cells: coverage not learned", ask)
	default:
		order, ask, reason, err = p.coverage.choose(q, near, k, recall)
	}
	if err != nil {
		return Route{}, err
	}
	ask = max(1, min(ask, len(order)))
	// The nearest centroid's cell is always asked: a stored vector finds its own row.
	if at := slices.Index(order, near[0].Cell); at >= ask {
		order = slices.Insert(slices.Delete(order, at, at+1), ask, near[0].Cell)
		ask++
	}
	cells := slices.Concat(order[:ask:ask], p.retired)
	return p.finish(Route{Cells: cells, Rest: order[ask:], Reason: reason}), nil
}

// finish adds the shards.
func (p *Partitioner) finish(r Route) Route {
	for _, cell := range r.Cells {
		if o, ok := p.owners.Owner(cell); ok {
			r.Shards = append(r.Shards, o.Shard)
		}
	}
	slices.Sort(r.Shards)
	r.Shards = slices.Compact(r.Shards)
	return r
}

// distanceShare is the share of the cells, nearest centroids first, that reaches
// a recall when nothing was learned: measured on vectors without clusters, the
// hardest, so easier data is asked too much rather than found too little.
func distanceShare(recall float64) float64 {
	points := []struct{ recall, share float64 }{
		{0, 0.02}, {0.5, 0.1}, {0.8, 0.31}, {0.9, 0.48}, {0.95, 0.63}, {0.99, 0.84}, {1, 1},
	}
	i, found := slices.BinarySearchFunc(points, recall, func(p struct{ recall, share float64 }, r float64) int { return cmp.Compare(p.recall, r) })
	switch {
	case found:
		return points[i].share
	case i == 0:
		return points[0].share
	case i == len(points):
		return 1
	}
	a, b := points[i-1], points[i]
	return a.share + (b.share-a.share)*(recall-a.recall)/(b.recall-a.recall)
}
