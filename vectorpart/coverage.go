package vectorpart

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/heliosdb/helios/centroids"
)

const (
	// blended is the number of landmarks whose tables a query blends, and the
	// rank of the cell whose distance is the unit of the distance rule.
	blended = 24
	// unseen is the share of the mass that goes by distance alone, so that
	// cells which no learned row led to keep an order, and none is impossible.
	unseen = 0.02
)

// Coverage is where neighbours were found: the sample is divided among
// landmarks, finer than cells, and for each landmark the table says what share
// of its rows' true neighbours lies in which cell. It belongs to one generation
// of a set and is immutable.
type Coverage struct {
	Generation uint64 // of the set it was learned for
	SampleRows uint64 // rows among which neighbours were sought
	TableRows  uint64 // rows of the set's cells at that time

	model
	curves []curve // ascending by k
}

// model predicts where the neighbours of a query lie.
type model struct {
	cells     []uint32 // ids of the set's cells, ascending
	landmarks *centroids.Set
	mass      [][]cellMass // by landmark, ascending by cell; sums to 1 or is empty
	shape     shape
}

// cellMass is the share of neighbours in one cell, by its index.
type cellMass struct {
	cell uint32
	mass float32
}

// shape is how a model weighs what it knows; held-out queries choose it.
type shape struct {
	sharpness float64 // how fast a landmark's weight falls with distance
	distance  float64 // weight of the distance rule beside the tables, 0 to 1
	reach     float64 // how fast the distance rule falls
}

// curve is what held-out queries found of their k nearest rows: recall[i] when
// cells were taken until thresholds[i] of the predicted mass was uncovered.
type curve struct {
	k      int
	recall []float64
}

// thresholds are the uncovered masses that calibration tries, descending.
var thresholds = func() (t []float64) {
	for x := 0.7; x > 2e-4; x *= 0.9 {
		t = append(t, x)
	}
	return t
}()

func (c *Coverage) fits(set *centroids.Set) error {
	same := slices.EqualFunc(c.cells, set.Cells, func(id uint32, cell centroids.Cell) bool { return id == cell.ID })
	if c.Generation != set.Generation || c.landmarks.Dims != set.Dims || c.landmarks.Metric != set.Metric || !same {
		return fmt.Errorf("%w: coverage of generation %d, %d dimensions, %v, %d cells for a set of generation %d, %d dimensions, %v, %d cells",
			ErrInvalid, c.Generation, c.landmarks.Dims, c.landmarks.Metric, len(c.cells),
			set.Generation, set.Dims, set.Metric, len(set.Cells))
	}
	return nil
}

// choose orders the cells by predicted mass and says how many to take; near are
// all cells by distance.
func (c *Coverage) choose(q []float32, near []centroids.Neighbour, k int, recall float64) (order []uint32, ask int, reason string, err error) {
	marks, err := c.landmarks.Ranked(q, blended)
	if err != nil {
		return nil, 0, "", err
	}
	predicted := c.predict(c.shape, marks, near)
	order = make([]uint32, len(predicted))
	for i, m := range predicted {
		order[i] = c.cells[m.cell]
	}
	threshold, ok := c.threshold(k, recall)
	if !ok {
		return order, len(order), fmt.Sprintf("all cells: recall %g of %d rows is beyond what was learned", recall, k), nil
	}
	ask = take(predicted, threshold)
	return order, ask, fmt.Sprintf("%d of %d cells: predicted uncovered share below %.2g", ask, len(order), threshold), nil
}

// predict returns all cells with their share of the neighbours, the greatest
// first; near are all cells by distance. The shares sum to 1 and are
//
//	tables^(1-d) × rule^d, d the weight of the distance rule, where
//	tables = landmarks' tables, each weighted by exp(-sharpness x)
//	rule   = exp(-reach x)
//
// and x is the squared distance above that of the nearest, in units of that of
// the farthest blended.
func (m *model) predict(s shape, marks, near []centroids.Neighbour) []cellMass {
	tables := m.blend(s, marks)
	rule := weights(near, s.reach)
	total, rules := 0.0, 0.0
	for _, w := range rule {
		rules += w
	}
	out := make([]cellMass, len(near))
	shares := make([]float64, len(near))
	for i, n := range near {
		cell, _ := slices.BinarySearch(m.cells, n.Cell)
		r := rule[i] / rules
		shares[i] = math.Exp((1-s.distance)*math.Log((1-unseen)*tables[cell]+unseen*r) + s.distance*math.Log(r))
		total += shares[i]
		out[i].cell = uint32(cell)
	}
	for i := range out {
		out[i].mass = float32(shares[i] / total)
	}
	slices.SortStableFunc(out, func(a, b cellMass) int { return cmp.Compare(b.mass, a.mass) })
	return out
}

// blend sums the landmarks' tables; the result is by cell and sums to 1, or is
// all 0 if no table has anything.
func (m *model) blend(s shape, marks []centroids.Neighbour) []float64 {
	tables, total := make([]float64, len(m.cells)), 0.0
	for i, w := range weights(marks, s.sharpness) {
		row := m.mass[marks[i].Cell-1]
		for _, cm := range row {
			tables[cm.cell] += w * float64(cm.mass)
		}
		if len(row) > 0 {
			total += w
		}
	}
	for cell := range tables {
		if total > 0 {
			tables[cell] /= total
		}
	}
	return tables
}

// weights returns exp(-fall x) of each, x from 0 at the nearest to 1 at the
// last blended and beyond, by squared distance. No weight is 0.
func weights(near []centroids.Neighbour, fall float64) []float64 {
	first, unit := square(near[0].Distance), square(near[min(blended, len(near))-1].Distance)
	out := make([]float64, len(near))
	for i, n := range near {
		x := 0.0
		if unit > first {
			x = (square(n.Distance) - first) / (unit - first)
		}
		out[i] = math.Exp(-min(fall*x, 200))
	}
	return out
}

func square(x float64) float64 { return x * x }

// take counts the cells until no more than threshold of the mass is uncovered.
func take(predicted []cellMass, threshold float64) int {
	uncovered := 1.0
	for i, m := range predicted {
		if uncovered <= threshold {
			return i
		}
		uncovered -= float64(m.mass)
	}
	return len(predicted)
}

// threshold returns the greatest uncovered mass with which held-out queries
// reached the recall, false if none did. In a sample neighbours lie farther
// apart than in the table, so k is scaled down to the sample.
func (c *Coverage) threshold(k int, recall float64) (float64, bool) {
	scaled := float64(k)
	if c.TableRows > c.SampleRows {
		scaled *= float64(c.SampleRows) / float64(c.TableRows)
	}
	for _, curve := range c.curves {
		if float64(curve.k) < scaled {
			continue
		}
		for i, r := range curve.recall {
			if r >= recall {
				return thresholds[i], true
			}
		}
		return 0, false
	}
	return 0, false
}
