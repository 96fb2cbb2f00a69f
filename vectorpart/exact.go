package vectorpart

import (
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/heliosdb/helios/distance"
)

// exact searches all rows of a sample.
type exact struct {
	metric distance.Metric
	rows   [][]float32
	stride int
	packed []float32
	halves []float64 // half the squared length of each row
}

// newExact copies the rows, scaled to length 1 for cosine.
func newExact(metric distance.Metric, rows [][]float32) *exact {
	e := &exact{metric: metric, rows: rows, stride: (len(rows[0]) + 7) &^ 7, halves: make([]float64, len(rows))}
	e.packed = make([]float32, len(rows)*e.stride)
	for i, row := range rows {
		packed := e.row(i)
		copy(packed, row)
		if metric == distance.Cosine && !distance.Normalize(packed) {
			e.halves[i] = math.Inf(1) // a zero row is nobody's neighbour
			continue
		}
		e.halves[i] = float64(distance.Dot(packed, packed)) / 2
	}
	return e
}

func (e *exact) row(i int) []float32 { return e.packed[i*e.stride : (i+1)*e.stride] }

// nearest returns, for each of the rows from..to, the k other rows nearest to
// it, nearest first.
func (e *exact) nearest(from, to, k int) [][]int32 {
	out := make([][]int32, to-from)
	workers := min(runtime.GOMAXPROCS(0), len(out)/16+1)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			keys, dots := make([]float64, len(e.rows)), make([]float32, len(e.rows))
			for i := len(out) * w / workers; i < len(out)*(w+1)/workers; i++ {
				e.keys(from+i, keys, dots)
				keys[from+i] = math.Inf(1)
				out[i] = smallest(keys, min(k, len(keys)-1))
			}
		})
	}
	wg.Wait()
	return out
}

// keys writes for each row a number that orders it as its distance from row i.
func (e *exact) keys(i int, keys []float64, dots []float32) {
	if e.metric == distance.L1 {
		for j := range keys {
			keys[j] = distance.L1.Distance(e.rows[i], e.rows[j])
		}
		return
	}
	distance.Dots(dots, e.row(i), e.packed, e.stride)
	for j, d := range dots {
		keys[j] = -float64(d)
		if e.metric != distance.InnerProduct {
			keys[j] += e.halves[j]
		}
	}
}

// smallest returns the indexes of the k smallest keys, smallest first, the
// lower index where keys are equal.
func smallest(keys []float64, k int) []int32 {
	best := make([]int32, 0, k+1)
	for i, key := range keys {
		if len(best) == k && (k == 0 || !distance.Less(key, keys[best[k-1]])) {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, key, func(j int32, key float64) int {
			if distance.Less(key, keys[j]) {
				return 1
			}
			return -1
		})
		best = slices.Insert(best, at, int32(i))
		best = best[:min(k, len(best))]
	}
	return best
}
