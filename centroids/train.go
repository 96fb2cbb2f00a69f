package centroids

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/heliosdb/helios/distance"
)

// Options says how to train. The zero value of a field is its default.
type Options struct {
	K          int             // number of cells; required
	Metric     distance.Metric // required
	Iterations int             // of Lloyd's algorithm; 12
	Seed       uint64
	MaxRatio   float64 // rows of the largest cell over the mean; 2
	Sample     int     // rows trained on; 256 for each cell, at least 10,000
	FirstID    uint32  // id of the first cell; 1
	Generation uint64  // of the set; 1
}

// balanceRounds bounds the repair of cells that are too large.
const balanceRounds = 40

// Train returns K cells for the vectors, balanced so that no cell has more than
// MaxRatio times the mean of the sample's rows if that can be reached, and fewer
// cells when there are fewer distinct vectors. All vectors have the same length.
// Rows with NaN or Infinity, and zero rows where directions count, are skipped.
// Equal input and seed give an equal set. It keeps none of the vectors.
//
// Outline:
//
//	sample the rows; k-means++ (Arthur, Vassilvitskii 2007) on a part of them
//	Lloyd: assign each row to its nearest centroid, move centroids to the mean
//	while a cell is too large: part it by 2-means, its second half takes the
//	    centroid of the smallest cell, one more step of Lloyd; keep the best
//	count rows and radius over all vectors
//
// Balance comes from where the centroids are, never from a penalty in the
// assignment: a row belongs to its nearest centroid, then and later.
func Train(vectors [][]float32, o Options) (*Set, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	dims := 0
	if len(vectors) > 0 {
		dims = len(vectors[0])
	}
	if dims < 1 || dims > MaxDims {
		return nil, fmt.Errorf("%w: %d vectors of %d dimensions", ErrInvalid, len(vectors), dims)
	}
	for _, v := range vectors {
		if len(v) != dims {
			return nil, &DimsError{dims, len(v)}
		}
	}
	rng := rand.New(rand.NewPCG(o.Seed, 0x68656c696f73))
	pts := samplePoints(vectors, o, rng)
	if pts.n == 0 {
		return nil, fmt.Errorf("%w: none of %d vectors can be trained on", ErrInvalid, len(vectors))
	}
	best := balance(lloyd(seed(pts, o.K, rng), pts, o.Iterations), pts, o, rng)
	set := &Set{Dims: dims, Metric: o.Metric, Generation: o.Generation, NextID: o.FirstID + uint32(best.k)}
	for c := range best.k {
		set.Cells = append(set.Cells, Cell{ID: o.FirstID + uint32(c), Centroid: slices.Clone(best.row(c)[:dims])})
	}
	if err := set.prepare(); err != nil {
		return nil, err
	}
	set.measure(vectors)
	return set, nil
}

func (o Options) withDefaults() (Options, error) {
	o.Iterations = cmp.Or(o.Iterations, 12)
	o.MaxRatio = cmp.Or(o.MaxRatio, 2)
	o.Sample = cmp.Or(o.Sample, max(256*o.K, 10_000))
	o.FirstID = cmp.Or(o.FirstID, 1)
	o.Generation = cmp.Or(o.Generation, 1)
	switch {
	case o.K < 1 || o.K > MaxCells:
		return o, fmt.Errorf("%w: %d cells, not 1 to %d", ErrInvalid, o.K, MaxCells)
	case !o.Metric.Valid():
		return o, fmt.Errorf("%w: %v", ErrInvalid, o.Metric)
	case o.Iterations < 0 || o.Iterations > 1000:
		return o, fmt.Errorf("%w: %d iterations, not 0 to 1000", ErrInvalid, o.Iterations)
	case !(o.MaxRatio >= 1):
		return o, fmt.Errorf("%w: a largest cell of %v times the mean", ErrInvalid, o.MaxRatio)
	case o.Sample < o.K:
		return o, fmt.Errorf("%w: %d rows for %d cells", ErrInvalid, o.Sample, o.K)
	case uint64(o.FirstID)+uint64(o.K) > math.MaxUint32:
		return o, fmt.Errorf("%w: cell ids are used up", ErrInvalid)
	}
	return o, nil
}

// samplePoints copies a random part of the rows that can be trained on.
func samplePoints(vectors [][]float32, o Options, rng *rand.Rand) *points {
	order := make([]int, len(vectors))
	for i := range order {
		order[i] = i
	}
	if len(order) > o.Sample {
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	pts := newPoints(len(vectors[0]), min(len(order), o.Sample))
	for _, i := range order {
		if pts.n == o.Sample {
			break
		}
		pts.add(vectors[i], spherical(o.Metric))
	}
	pts.spherical = spherical(o.Metric)
	return pts
}

// seed draws up to k distinct points by k-means++, each with a chance that
// grows with its squared distance to those drawn before.
func seed(pts *points, k int, rng *rand.Rand) *centers {
	if limit := max(16*k, 4096); pts.n > limit {
		pts = pts.head(limit) // the order is random already
	}
	cs := newCenters(pts, k)
	cs.push(pts.row(rng.IntN(pts.n)))
	nearest := make([]float64, pts.n)
	for i := range nearest {
		nearest[i] = math.Inf(1)
	}
	for cs.k < k {
		total := 0.0
		last := cs.row(cs.k - 1)
		for i := range nearest {
			square := float64(distance.L2Squared.Distance(pts.row(i), last))
			nearest[i] = min(nearest[i], square)
			total += nearest[i]
		}
		if total == 0 {
			break
		}
		at := rng.Float64() * total
		next := 0
		for next < pts.n-1 && (at >= nearest[next] || nearest[next] == 0) {
			at -= nearest[next]
			next++
		}
		if nearest[next] == 0 {
			next = slices.IndexFunc(nearest, func(d float64) bool { return d > 0 })
		}
		cs.push(pts.row(next))
	}
	return cs
}

// lloyd moves each centroid to the mean of its rows, iterations times, or until
// no row changes its cell.
func lloyd(cs *centers, pts *points, iterations int) *centers {
	for range iterations {
		changed := cs.assign(pts)
		cs.update(pts)
		if !changed {
			break
		}
	}
	cs.assign(pts)
	return cs
}

// balance repairs cells that are too large, and returns the best balanced
// centroids it met.
func balance(cs *centers, pts *points, o Options, rng *rand.Rand) *centers {
	best := cs.clone()
	for range balanceRounds {
		if best.ratio() <= o.MaxRatio || !cs.relocate(pts, o.MaxRatio, rng) {
			break
		}
		cs.assign(pts)
		cs.update(pts)
		cs.assign(pts)
		if cs.ratio() < best.ratio() {
			best = cs.clone()
		}
	}
	return best
}

// relocate gives centroids of the smallest cells to halves of those that are
// too large, and reports whether it could.
func (cs *centers) relocate(pts *points, maxRatio float64, rng *rand.Rand) bool {
	order := make([]int, cs.k)
	for c := range order {
		order[c] = c
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(cs.sizes[b], cs.sizes[a]), cmp.Compare(a, b)) })
	mean := float64(pts.n) / float64(cs.k)
	moved := false
	for i, j := 0, len(order)-1; i < j; i++ {
		large := order[i]
		if float64(cs.sizes[large]) <= maxRatio*mean {
			break
		}
		first, second, ok := halves(pts.members(cs.cell, large), rng)
		if !ok {
			continue
		}
		copy(cs.row(large), first)
		copy(cs.row(order[j]), second)
		moved = true
		j--
	}
	cs.measureNorms()
	return moved
}

// halves parts points in two by 2-means; it fails if all are equal.
func halves(pts *points, rng *rand.Rand) (first, second []float32, ok bool) {
	two := lloyd(seed(pts, 2, rng), pts, 6)
	if two.k < 2 || two.sizes[0] == 0 || two.sizes[1] == 0 {
		return nil, nil, false
	}
	return two.row(0), two.row(1), true
}

// measure counts rows, radius and spread over all vectors of the set.
func (s *Set) measure(vectors [][]float32) {
	near := make([]Neighbour, len(vectors))
	parallel(len(vectors), func(from, to int) {
		for i := from; i < to; i++ {
			n, err := s.Nearest(vectors[i])
			if err != nil {
				continue // not finite: skipped, its cell stays NoCell
			}
			near[i] = n
		}
	})
	rows, total := 0, 0.0
	for _, n := range near {
		i, ok := s.index(n.Cell)
		if !ok {
			continue
		}
		c := &s.Cells[i]
		c.Rows++
		c.Radius = max(c.Radius, n.Distance)
		total += n.Distance
		rows++
	}
	s.Spread = total / float64(max(rows, 1))
}
