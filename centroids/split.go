package centroids

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/heliosdb/helios/distance"
)

// Split returns the next generation, in which two new cells take the place of
// one. Members are vectors of its rows, all or a sample; they must hold two
// that differ. Rows near the border of the old cell may now be nearest to a
// neighbour's centroid, and rows of neighbours to one of the new ones.
func (s *Set) Split(cell uint32, members [][]float32) (next *Set, children [2]uint32, err error) {
	i, ok := s.index(cell)
	if !ok {
		return nil, children, fmt.Errorf("%w: no cell %d to split", ErrInvalid, cell)
	}
	if s.NextID > math.MaxUint32-2 || len(s.Cells) == MaxCells {
		return nil, children, fmt.Errorf("%w: cells or their ids are used up", ErrInvalid)
	}
	pts := newPoints(s.Dims, len(members))
	pts.spherical = spherical(s.Metric)
	for _, v := range members {
		if len(v) != s.Dims {
			return nil, children, &DimsError{s.Dims, len(v)}
		}
		pts.add(v, pts.spherical)
	}
	if pts.n == 0 {
		return nil, children, fmt.Errorf("%w: no members to split cell %d by", ErrInvalid, cell)
	}
	// The cell's own id is the seed: equal members part alike anywhere.
	first, second, ok := halves(pts, rand.New(rand.NewPCG(uint64(cell), s.Generation)))
	if !ok {
		return nil, children, fmt.Errorf("%w: the members of cell %d do not differ", ErrInvalid, cell)
	}
	pair, err := New(s.Dims, s.Metric, s.Generation+1, []Cell{
		{ID: s.NextID, Centroid: slices.Clone(first[:s.Dims])},
		{ID: s.NextID + 1, Centroid: slices.Clone(second[:s.Dims])},
	})
	if err != nil {
		return nil, children, err
	}
	pair.measure(members)
	if next, err = s.replace([]int{i}, pair.Cells); err != nil {
		return nil, children, err
	}
	return next, [2]uint32{s.NextID, s.NextID + 1}, nil
}

// Merge returns the next generation, in which one new cell takes the place of
// two: its centroid is their mean by rows, its radius a bound.
func (s *Set) Merge(a, b uint32) (next *Set, child uint32, err error) {
	i, ok := s.index(a)
	j, also := s.index(b)
	if !ok || !also || i == j {
		return nil, NoCell, fmt.Errorf("%w: no cells %d and %d to merge", ErrInvalid, a, b)
	}
	if s.NextID == math.MaxUint32 {
		return nil, NoCell, fmt.Errorf("%w: cell ids are used up", ErrInvalid)
	}
	one, two := s.Cells[i], s.Cells[j]
	share := 0.5
	if rows := one.Rows + two.Rows; rows > 0 {
		share = float64(one.Rows) / float64(rows)
	}
	mean := make([]float32, s.Dims)
	for d := range mean {
		mean[d] = float32(share*float64(one.Centroid[d]) + (1-share)*float64(two.Centroid[d]))
	}
	if spherical(s.Metric) && !distance.Normalize(mean) {
		copy(mean, one.Centroid) // opposite directions have no mean
	}
	reach := func(c Cell) float64 { return c.Radius + distance.L2.Distance(mean, c.Centroid) }
	merged := Cell{ID: s.NextID, Centroid: mean, Rows: one.Rows + two.Rows, Radius: max(reach(one), reach(two))}
	if next, err = s.replace([]int{i, j}, []Cell{merged}); err != nil {
		return nil, NoCell, err
	}
	return next, merged.ID, nil
}

// replace returns the next generation without the cells at some indexes and
// with new ones, whose ids are the next.
func (s *Set) replace(gone []int, cells []Cell) (*Set, error) {
	next := &Set{
		Dims: s.Dims, Metric: s.Metric, Generation: s.Generation + 1, Spread: s.Spread,
		NextID: s.NextID + uint32(len(cells)),
	}
	for i, c := range s.Cells {
		if !slices.Contains(gone, i) {
			next.Cells = append(next.Cells, c)
		}
	}
	next.Cells = append(next.Cells, cells...)
	if err := next.prepare(); err != nil {
		return nil, err
	}
	return next, nil
}
