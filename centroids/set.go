// Package centroids trains, splits, merges and watches a versioned set of
// cells by balanced k-means.
//
// A cell holds the rows whose nearest centroid is its own. Every node must find
// the same cell for the same row, so [Set.Nearest] settles close calls in
// arithmetic that rounds alike on every architecture.
//
// Distances to centroids are Euclidean in the placement space of the set's
// metric: the vectors themselves for L2 and L1, their directions (scaled to
// length 1) for cosine and inner product. So the triangle inequality holds for
// every metric: no row of a cell is nearer to a query than its centroid's
// distance less the cell's radius.
package centroids

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/heliosdb/helios/distance"
)

// Limits of a set.
const (
	MaxDims  = 16_000
	MaxCells = 1 << 20
)

// NoCell is no cell's id; ids start at 1 and are not reused when a cell is
// split, merged or trained anew.
const NoCell uint32 = 0

// ErrInvalid is wrapped when a set or its options contradict themselves.
var ErrInvalid = errors.New("invalid centroids")

// ErrNotFinite is wrapped when a vector holds NaN or Infinity.
var ErrNotFinite = errors.New("vector is not finite")

// DimsError reports a vector of the wrong length.
type DimsError struct{ Want, Got int }

// Error words it as pgvector does.
func (e *DimsError) Error() string {
	return fmt.Sprintf("expected %d dimensions, not %d", e.Want, e.Got)
}

// Set is one generation of cells. It is immutable: treat it and what hangs on
// it as read-only; any number of goroutines may use it.
type Set struct {
	Dims       int
	Metric     distance.Metric
	Generation uint64
	NextID     uint32  // the id of the next new cell, above every one before
	Spread     float64 // mean distance of trained rows to their centroid
	Cells      []Cell  // ascending by ID

	stride  int       // floats from one centroid to the next in packed
	packed  []float32 // all centroids behind each other
	norms   []float64 // squared length of each
	longest float64   // length of the longest
}

// Cell is the rows nearest one centroid.
type Cell struct {
	ID       uint32
	Centroid []float32 // of length Dims; of length 1 for cosine and inner product
	Radius   float64   // greatest distance of a row, when it was last measured
	Rows     uint64    // number of rows, when they were last counted
}

// Neighbour is a cell and the distance of its centroid.
type Neighbour struct {
	Cell     uint32
	Distance float64
}

// New checks a set and makes it ready; it takes over cells.
func New(dims int, metric distance.Metric, generation uint64, cells []Cell) (*Set, error) {
	s := &Set{Dims: dims, Metric: metric, Generation: generation, NextID: 1, Cells: cells}
	slices.SortFunc(cells, func(a, b Cell) int { return cmp.Compare(a.ID, b.ID) })
	if n := len(cells); n > 0 {
		s.NextID = cells[n-1].ID + 1
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	return s, nil
}

// prepare validates the set and lays the centroids out for the kernels.
func (s *Set) prepare() error {
	switch {
	case s.Dims < 1 || s.Dims > MaxDims:
		return fmt.Errorf("%w: %d dimensions, not 1 to %d", ErrInvalid, s.Dims, MaxDims)
	case !s.Metric.Valid():
		return fmt.Errorf("%w: %v", ErrInvalid, s.Metric)
	case len(s.Cells) < 1 || len(s.Cells) > MaxCells:
		return fmt.Errorf("%w: %d cells, not 1 to %d", ErrInvalid, len(s.Cells), MaxCells)
	case math.IsNaN(s.Spread) || math.IsInf(s.Spread, 0) || s.Spread < 0:
		return fmt.Errorf("%w: spread %v", ErrInvalid, s.Spread)
	}
	s.stride = strideOf(s.Dims)
	s.packed = make([]float32, len(s.Cells)*s.stride)
	s.norms = make([]float64, len(s.Cells))
	for i, c := range s.Cells {
		switch {
		case c.ID == NoCell || c.ID >= s.NextID || (i > 0 && s.Cells[i-1].ID >= c.ID):
			return fmt.Errorf("%w: cell id %d is 0, there twice or not below %d", ErrInvalid, c.ID, s.NextID)
		case len(c.Centroid) != s.Dims || !distance.Finite(c.Centroid):
			return fmt.Errorf("%w: centroid of cell %d is not %d finite numbers", ErrInvalid, c.ID, s.Dims)
		case math.IsNaN(c.Radius) || math.IsInf(c.Radius, 0) || c.Radius < 0:
			return fmt.Errorf("%w: cell %d has radius %v", ErrInvalid, c.ID, c.Radius)
		}
		copy(s.packed[i*s.stride:], c.Centroid)
		s.norms[i] = exactDot(c.Centroid, c.Centroid)
		s.longest = max(s.longest, math.Sqrt(s.norms[i]))
	}
	return nil
}

// strideOf pads a row to whole registers of 8 floats.
func strideOf(dims int) int { return (dims + 7) &^ 7 }

// spherical reports whether only directions count.
func spherical(m distance.Metric) bool { return m == distance.Cosine || m == distance.InnerProduct }

// Nearest returns the cell of v and the distance of its centroid, the lower id
// when two are equally far. Every node and architecture finds the same cell.
// The errors are a *DimsError and ErrNotFinite.
func (s *Set) Nearest(v []float32) (Neighbour, error) {
	near, err := s.Ranked(v, 1)
	if err != nil {
		return Neighbour{}, err
	}
	return near[0], nil
}

// Ranked returns the n cells nearest to v, nearest first; the slice is the
// caller's. Its first is what Nearest returns, the order of the others may
// differ between architectures where they are equally far but for rounding.
func (s *Set) Ranked(v []float32, n int) ([]Neighbour, error) {
	if len(v) != s.Dims {
		return nil, &DimsError{s.Dims, len(v)}
	}
	if !distance.Finite(v) {
		return nil, ErrNotFinite
	}
	q := s.query(v)
	squares := q.squares()
	n = max(1, min(n, len(squares)))
	limit := nthSmallest(squares, n)
	near := make([]Neighbour, 0, n+1)
	close := slices.Min(squares) + q.slack
	for i, square := range squares {
		if square <= close || q.unsure {
			near = append(near, Neighbour{s.Cells[i].ID, q.exact(i)})
		} else if square <= limit {
			near = append(near, Neighbour{s.Cells[i].ID, math.Sqrt(max(0, square))})
		}
	}
	slices.SortFunc(near, func(a, b Neighbour) int {
		return cmp.Or(cmp.Compare(a.Distance, b.Distance), cmp.Compare(a.Cell, b.Cell))
	})
	return near[:n], nil
}

// query is a vector on its way to the nearest centroids.
type query struct {
	set    *Set
	v      []float32
	norm   float64 // squared length of v
	scale  float64 // 1, or what brings v to length 1
	slack  float64 // above the error of any difference of two squares
	unsure bool    // float32 sums would overflow: everything is exact
}

func (s *Set) query(v []float32) query {
	q := query{set: s, v: v, norm: exactDot(v, v), scale: 1}
	length := math.Sqrt(q.norm)
	if spherical(s.Metric) {
		q.scale = 0
		if length > 0 {
			q.scale = 1 / length
		}
		q.norm = q.norm * q.scale * q.scale
	}
	q.slack = float64(s.Dims+8) * 0x1p-21 * length * q.scale * s.longest
	q.unsure = length > 1e18 || s.longest > 1e18
	return q
}

// squares returns the squared distance of each centroid, up to q.slack.
func (q query) squares() []float64 {
	s := q.set
	buf := make([]float32, len(s.Cells)+s.stride)
	dots, padded := buf[:len(s.Cells)], buf[len(s.Cells):]
	copy(padded, q.v)
	distance.Dots(dots, padded, s.packed, s.stride)
	squares := make([]float64, len(dots))
	for i, d := range dots {
		squares[i] = q.norm - 2*q.scale*float64(d) + s.norms[i]
	}
	return squares
}

// exact returns the distance of one centroid as every machine computes it.
func (q query) exact(i int) float64 {
	centroid := q.set.Cells[i].Centroid
	if spherical(q.set.Metric) {
		product := float64(2 * q.scale * exactDot(q.v, centroid))
		return math.Sqrt(max(0, float64(q.norm-product)+q.set.norms[i]))
	}
	sum := 0.0
	for j, x := range q.v {
		d := float64(x) - float64(centroid[j])
		sum += float64(d * d) // rounded here: no fused add
	}
	return math.Sqrt(sum)
}

// exactDot is the inner product in float64, in the order of the elements and
// without fused adds. The product of two float32 is exact.
func exactDot(a, b []float32) float64 {
	sum := 0.0
	for i, x := range a {
		sum += float64(float64(x) * float64(b[i]))
	}
	return sum
}

// nthSmallest returns the n-th smallest value, n from 1 to their number.
func nthSmallest(values []float64, n int) float64 {
	if n > 64 {
		sorted := slices.Clone(values)
		slices.Sort(sorted)
		return sorted[n-1]
	}
	smallest := make([]float64, 0, n+1) // ascending
	for _, v := range values {
		if len(smallest) == n && v >= smallest[n-1] {
			continue
		}
		at, _ := slices.BinarySearch(smallest, v)
		smallest = slices.Insert(smallest, at, v)
		smallest = smallest[:min(n, len(smallest))]
	}
	return smallest[n-1]
}

// Cell returns a cell by its id.
func (s *Set) Cell(id uint32) (Cell, bool) {
	i, ok := s.index(id)
	if !ok {
		return Cell{}, false
	}
	return s.Cells[i], true
}

func (s *Set) index(id uint32) (int, bool) {
	return slices.BinarySearchFunc(s.Cells, id, func(c Cell, id uint32) int { return cmp.Compare(c.ID, id) })
}
