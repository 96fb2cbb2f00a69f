package vectorpart

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/heliosdb/helios/centroids"
)

// Limits of what Learn looks at; it takes a random part of a larger sample.
const (
	maxBase     = 20_000 // rows among which neighbours are sought
	maxLearners = 8_000  // rows whose neighbours fill the tables
	maxHeldOut  = 1_000  // rows that only calibrate
	minSample   = 100
	learnedK    = 10 // neighbours that count as mass
)

// calibratedKs are the k for which held-out queries are counted.
var calibratedKs = []int{1, 10, 100}

// Learn finds where the neighbours of the table's rows lie. The sample is a
// random part of the rows, at least 100; it keeps none of it. Queries are taken
// to be like rows; where they are not, ask for a higher recall.
//
// Outline:
//
//	landmarks = finer centroids of the sample
//	the exact nearest rows of each learner, within the sample
//	table of a landmark = shares of its learners' 10 nearest rows, by cell
//	held-out rows choose the shape of the model (fewest cells for recall 0.95),
//	    and measure the recall of each threshold
//
// A threshold counts with the lower end of its confidence interval (three
// standard errors), so a target is met, not met half of the time.
func Learn(set *centroids.Set, sample [][]float32, seed uint64) (*Coverage, error) {
	l, err := newLearner(set, sample, seed)
	if err != nil {
		return nil, err
	}
	c := &Coverage{Generation: set.Generation, SampleRows: uint64(len(l.base))}
	for _, cell := range set.Cells {
		c.TableRows += cell.Rows
	}
	held := min(maxHeldOut, len(l.base)/5)
	learners := min(maxLearners, len(l.base)-held)
	for _, cell := range set.Cells {
		c.cells = append(c.cells, cell.ID)
	}
	if c.landmarks, err = l.trainLandmarks(held, held+learners, seed); err != nil {
		return nil, err
	}
	if c.mass, err = l.fill(c.landmarks, held, held+learners); err != nil {
		return nil, err
	}
	trials, err := l.trials(c.landmarks, held)
	if err != nil {
		return nil, err
	}
	c.shape = c.tune(trials)
	c.curves = c.calibrate(trials, len(l.base))
	return c, nil
}

// learner is the sample: rows in random order and the cell of each.
type learner struct {
	set  *centroids.Set
	base [][]float32
	cell []uint32 // by row, the index of its cell
	rows *exact
}

func newLearner(set *centroids.Set, sample [][]float32, seed uint64) (*learner, error) {
	rng := rand.New(rand.NewPCG(seed, 2))
	l := &learner{set: set}
	for _, i := range rng.Perm(len(sample)) {
		if len(l.base) == maxBase {
			break
		}
		near, err := set.Nearest(sample[i])
		if err != nil {
			return nil, err
		}
		at, _ := slices.BinarySearchFunc(set.Cells, near.Cell, func(c centroids.Cell, id uint32) int { return cmp.Compare(c.ID, id) })
		l.base, l.cell = append(l.base, sample[i]), append(l.cell, uint32(at))
	}
	if len(l.base) < minSample {
		return nil, fmt.Errorf("%w: learning needs %d rows, got %d", ErrInvalid, minSample, len(l.base))
	}
	l.rows = newExact(set.Metric, l.base)
	return l, nil
}

// trainLandmarks divides the learners base[from:to] into several landmarks for
// each cell, of some 30 learners each. Held-out rows stay out: they would draw
// landmarks nearer than a query finds them.
func (l *learner) trainLandmarks(from, to int, seed uint64) (*centroids.Set, error) {
	n := to - from
	k := max(min(8*len(l.set.Cells), n/30), min(len(l.set.Cells), n/4), 1)
	return centroids.Train(l.base[from:to], centroids.Options{K: k, Metric: l.set.Metric, Seed: seed, Iterations: 6, MaxRatio: 4})
}

// fill learns the tables from base[from:to].
func (l *learner) fill(landmarks *centroids.Set, from, to int) ([][]cellMass, error) {
	counts := make([]map[uint32]int, len(landmarks.Cells))
	neighbours := l.rows.nearest(from, to, learnedK)
	for i, near := range neighbours {
		mark, err := landmarks.Nearest(l.base[from+i])
		if err != nil {
			return nil, err
		}
		if counts[mark.Cell-1] == nil {
			counts[mark.Cell-1] = make(map[uint32]int)
		}
		for _, row := range near {
			counts[mark.Cell-1][l.cell[row]]++
		}
	}
	mass := make([][]cellMass, len(counts))
	for mark, cells := range counts {
		total := 0
		for _, n := range cells {
			total += n
		}
		for cell, n := range cells {
			mass[mark] = append(mass[mark], cellMass{cell, float32(n) / float32(total)})
		}
		slices.SortFunc(mass[mark], func(a, b cellMass) int { return cmp.Compare(a.cell, b.cell) })
	}
	return mass, nil
}

// trial is a held-out query: what prediction needs, and where its nearest rows
// truly lie.
type trial struct {
	marks, near []centroids.Neighbour
	truth       []uint32 // indexes of the cells of the nearest rows, nearest first
}

// trials makes held-out queries of base[:held].
func (l *learner) trials(landmarks *centroids.Set, held int) ([]trial, error) {
	trials := make([]trial, held)
	deepest := calibratedKs[len(calibratedKs)-1]
	for i, near := range l.rows.nearest(0, held, deepest) {
		t := &trials[i]
		var err error
		if t.marks, err = landmarks.Ranked(l.base[i], blended); err != nil {
			return nil, err
		}
		if t.near, err = l.set.Ranked(l.base[i], len(l.set.Cells)); err != nil {
			return nil, err
		}
		for _, row := range near {
			t.truth = append(t.truth, l.cell[row])
		}
	}
	return trials, nil
}

// ranks returns, for each true row, how many cells must be taken until its own
// is among them.
func (t trial) ranks(predicted []cellMass) []int {
	ranks := make([]int, len(t.truth))
	for i, cell := range t.truth {
		ranks[i] = 1 + slices.IndexFunc(predicted, func(m cellMass) bool { return m.cell == cell })
	}
	return ranks
}

// found returns the share of the first k true rows that n cells hold.
func found(ranks []int, n, k int) float64 {
	k = min(k, len(ranks))
	hit := 0
	for _, r := range ranks[:k] {
		if r <= n {
			hit++
		}
	}
	return float64(hit) / float64(max(k, 1))
}

// tune returns the shape that finds 95 % of the neighbours in the fewest cells:
// one part of it after the other, twice.
func (m *model) tune(trials []trial) shape {
	trials = trials[:min(len(trials), 400)]
	best := shape{sharpness: 3, distance: 0.5, reach: 4}
	fewest := m.cost(best, trials)
	try := func(s shape) {
		if cost := m.cost(s, trials); cost < fewest {
			best, fewest = s, cost
		}
	}
	for range 2 {
		for _, x := range []float64{0, 0.2, 0.4, 0.6, 0.8, 1} {
			try(shape{best.sharpness, x, best.reach})
		}
		for _, x := range []float64{2, 3, 4.5, 6.5, 9} {
			try(shape{best.sharpness, best.distance, x})
		}
		for _, x := range []float64{1, 2, 3, 4.5, 6.5, 9} {
			try(shape{x, best.distance, best.reach})
		}
	}
	return best
}

// cost is the mean number of cells with which the trials find 95 % of their
// neighbours.
func (m *model) cost(s shape, trials []trial) float64 {
	predicted, ranks := make([][]cellMass, len(trials)), make([][]int, len(trials))
	for i, t := range trials {
		predicted[i] = m.predict(s, t.marks, t.near)
		ranks[i] = t.ranks(predicted[i])
	}
	for _, threshold := range thresholds {
		cells, recall := 0, 0.0
		for i := range trials {
			n := take(predicted[i], threshold)
			cells += n
			recall += found(ranks[i], n, learnedK)
		}
		if recall >= 0.95*float64(len(trials)) {
			return float64(cells) / float64(len(trials))
		}
	}
	return math.Inf(1)
}

// calibrate measures the recall of each threshold, for each k that the sample
// has ten times the rows of.
func (m *model) calibrate(trials []trial, rows int) (curves []curve) {
	sums, squares := map[int][]float64{}, map[int][]float64{}
	for _, k := range calibratedKs {
		if 10*k <= rows {
			curves = append(curves, curve{k: k, recall: make([]float64, len(thresholds))})
			sums[k], squares[k] = make([]float64, len(thresholds)), make([]float64, len(thresholds))
		}
	}
	for _, t := range trials {
		predicted := m.predict(m.shape, t.marks, t.near)
		ranks := t.ranks(predicted)
		for i, threshold := range thresholds {
			n := take(predicted, threshold)
			for _, c := range curves {
				r := found(ranks, n, c.k)
				sums[c.k][i] += r
				squares[c.k][i] += r * r
			}
		}
	}
	n := float64(len(trials))
	for _, c := range curves {
		for i := range thresholds {
			mean := sums[c.k][i] / n
			c.recall[i] = mean - 3*math.Sqrt(max(0, squares[c.k][i]/n-mean*mean)/n)
		}
	}
	return curves
}
