package centroids

import (
	"runtime"
	"slices"
	"sync"

	"github.com/heliosdb/helios/distance"
)

// points are rows laid behind each other, padded to whole registers.
type points struct {
	n, dims, stride int
	data            []float32
	spherical       bool // rows have length 1, and so must means
}

func newPoints(dims, capacity int) *points {
	return &points{dims: dims, stride: strideOf(dims), data: make([]float32, 0, capacity*strideOf(dims))}
}

// add copies a row, scaled to length 1 if asked, unless it has no direction or
// is not finite.
func (p *points) add(v []float32, unit bool) {
	if !distance.Finite(v) {
		return
	}
	at := len(p.data)
	p.data = append(p.data, v...)
	if unit && !distance.Normalize(p.data[at:]) {
		p.data = p.data[:at]
		return
	}
	for len(p.data)%p.stride != 0 {
		p.data = append(p.data, 0)
	}
	p.n++
}

func (p *points) row(i int) []float32 { return p.data[i*p.stride : (i+1)*p.stride] }

// head is the first n points, over the same memory.
func (p *points) head(n int) *points {
	part := *p
	part.n, part.data = n, p.data[:n*p.stride]
	return &part
}

// members copies the points of one cell.
func (p *points) members(cell []int32, c int) *points {
	part := &points{dims: p.dims, stride: p.stride, spherical: p.spherical}
	for i, of := range cell {
		if int(of) == c {
			part.data = append(part.data, p.row(i)...)
			part.n++
		}
	}
	return part
}

// centers are centroids in training and the cell of each point.
type centers struct {
	k, stride int
	data      []float32
	halfNorms []float32 // half the squared length of each
	cell      []int32   // by point, after assign
	sizes     []int     // by center, after assign
}

func newCenters(pts *points, capacity int) *centers {
	return &centers{stride: pts.stride, data: make([]float32, 0, capacity*pts.stride)}
}

func (cs *centers) row(c int) []float32 { return cs.data[c*cs.stride : (c+1)*cs.stride] }

func (cs *centers) push(row []float32) {
	cs.data = append(cs.data, row...)
	cs.k++
	cs.halfNorms = append(cs.halfNorms, distance.Dot(row, row)/2)
}

func (cs *centers) clone() *centers {
	c := *cs
	c.data, c.halfNorms = slices.Clone(cs.data), slices.Clone(cs.halfNorms)
	c.cell, c.sizes = slices.Clone(cs.cell), slices.Clone(cs.sizes)
	return &c
}

// ratio is the largest cell over the mean.
func (cs *centers) ratio() float64 {
	return float64(slices.Max(cs.sizes)) * float64(cs.k) / float64(max(len(cs.cell), 1))
}

func (cs *centers) measureNorms() {
	for c := range cs.k {
		cs.halfNorms[c] = distance.Dot(cs.row(c), cs.row(c)) / 2
	}
}

// assign finds the nearest center of each point and reports whether any
// changed. With |p-c|² = |p|² - 2(pc - |c|²/2) the nearest is the greatest
// pc - |c|²/2, so one pass of inner products does.
func (cs *centers) assign(pts *points) bool {
	before := cs.cell
	cs.cell = make([]int32, pts.n)
	parallel(pts.n, func(from, to int) {
		dots := make([]float32, cs.k)
		for i := from; i < to; i++ {
			distance.Dots(dots, pts.row(i), cs.data, cs.stride)
			best := 0
			for c, d := range dots {
				if d-cs.halfNorms[c] > dots[best]-cs.halfNorms[best] {
					best = c
				}
			}
			cs.cell[i] = int32(best)
		}
	})
	cs.sizes = make([]int, cs.k)
	for _, c := range cs.cell {
		cs.sizes[c]++
	}
	return !slices.Equal(before, cs.cell)
}

// update moves each center with points to their mean. It sums in float64 in the
// order of the points, so the number of processors does not show.
func (cs *centers) update(pts *points) {
	sums := make([]float64, cs.k*cs.stride)
	for i, c := range cs.cell {
		sum := sums[int(c)*cs.stride : (int(c)+1)*cs.stride]
		for j, x := range pts.row(i) {
			sum[j] += float64(x)
		}
	}
	mean := make([]float32, cs.stride)
	for c, size := range cs.sizes {
		if size == 0 {
			continue
		}
		for j := range mean {
			mean[j] = float32(sums[c*cs.stride+j] / float64(size))
		}
		if pts.spherical && !distance.Normalize(mean) {
			continue // opposite directions: the center stays where it is
		}
		copy(cs.row(c), mean)
	}
	cs.measureNorms()
}

// parallel runs work over parts of 0..n-1, one on each processor, and waits.
func parallel(n int, work func(from, to int)) {
	workers := min(runtime.GOMAXPROCS(0), n/256+1)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { work(n*w/workers, n*(w+1)/workers) })
	}
	wg.Wait()
}
