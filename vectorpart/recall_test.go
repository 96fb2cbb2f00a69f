package vectorpart

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/heliosdb/helios/centroids"
	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/distance"
)

// readVectors reads up to limit rows of a .fvecs file: each a little-endian
// int32 length and as many float32.
func readVectors(t testing.TB, path string, limit int) [][]float32 {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var vectors [][]float32
	for len(raw) >= 4 && len(vectors) < limit {
		dims := int(binary.LittleEndian.Uint32(raw))
		v := make([]float32, dims)
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4+4*i:]))
		}
		vectors, raw = append(vectors, v), raw[4+4*dims:]
	}
	return vectors
}

// clustered returns n vectors around random points of unequal weight.
func clustered(n, dims, groups int, seed uint64) [][]float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	gauss := func(scale float64) []float32 {
		v := make([]float32, dims)
		for i := range v {
			v[i] = float32(rng.NormFloat64() * scale)
		}
		return v
	}
	middles := make([][]float32, groups)
	for i := range middles {
		middles[i] = gauss(0.5)
	}
	vectors := make([][]float32, n)
	for i := range vectors {
		vectors[i] = gauss(1)
		for j, x := range middles[rng.IntN(1+rng.IntN(groups))] {
			vectors[i][j] += x
		}
	}
	return vectors
}

// ownersOf deals the cells of a set to shards in turn.
func ownersOf(set *centroids.Set, shards int) cluster.CellSet {
	owners := cluster.CellSet{Generation: set.Generation}
	for i, c := range set.Cells {
		owners.Cells = append(owners.Cells, cluster.CellOwner{
			Cell:  c.ID,
			Owner: cluster.Owner{Shard: cluster.ShardID(1 + i%shards), Epoch: 1},
		})
	}
	return owners
}

// search is a table of rows in cells, and queries with their true neighbours.
type search struct {
	queries [][]float32
	truth   [][]uint32         // by query: the cells of its k nearest rows
	rows    map[uint32]float64 // by cell, as a share of the table
}

func newSearch(t testing.TB, p *Partitioner, m distance.Metric, base, queries [][]float32, k int) search {
	t.Helper()
	s := search{queries: queries, rows: map[uint32]float64{}}
	cell := make([]uint32, len(base))
	for i, v := range base {
		var err error
		if cell[i], err = p.Place(v); err != nil {
			t.Fatal(err)
		}
		s.rows[cell[i]] += 1 / float64(len(base))
	}
	all := newExact(m, slices.Concat(base, queries))
	keys, dots := make([]float64, len(all.rows)), make([]float32, len(all.rows))
	for i := range queries {
		all.keys(len(base)+i, keys, dots)
		var cells []uint32
		for _, row := range smallest(keys[:len(base)], k) {
			cells = append(cells, cell[row])
		}
		s.truth = append(s.truth, cells)
	}
	return s
}

// measured is what queries found and what it cost, on average.
type measured struct{ recall, cells, shards, rows float64 }

// route routes the queries; the cells they choose are searched exactly.
func (s search) route(t testing.TB, p *Partitioner, target float64) (m measured) {
	t.Helper()
	n := float64(len(s.queries))
	for i, q := range s.queries {
		r, err := p.Route(q, len(s.truth[i]), target)
		if err != nil {
			t.Fatal(err)
		}
		for _, cell := range s.truth[i] {
			if slices.Contains(r.Cells, cell) {
				m.recall += 1 / n / float64(len(s.truth[i]))
			}
		}
		for _, cell := range r.Cells {
			m.rows += s.rows[cell] / n
		}
		m.cells += float64(len(r.Cells)) / n
		m.shards += float64(len(r.Shards)) / n
	}
	return m
}

// byDistance is the least that a rule by centroid distance alone pays for a
// recall: the cells nearest the query, as many for each.
func (s search) byDistance(t testing.TB, p *Partitioner, target float64) int {
	t.Helper()
	hits := make([]float64, len(p.set.Cells))
	for i, q := range s.queries {
		near, err := p.set.Ranked(q, len(p.set.Cells))
		if err != nil {
			t.Fatal(err)
		}
		for _, cell := range s.truth[i] {
			at := slices.IndexFunc(near, func(n centroids.Neighbour) bool { return n.Cell == cell })
			hits[at] += 1 / float64(len(s.queries)*len(s.truth[i]))
		}
	}
	recall := 0.0
	for n, h := range hits {
		if recall += h; recall >= target {
			return n + 1
		}
	}
	return len(hits)
}

// TestRecall: the recall asked for is the recall found, on clustered vectors
// and, when HELIOS_DATA names the folder of test data, on real word vectors.
// HELIOS_LONG takes 100,000 rows.
func TestRecall(t *testing.T) {
	if raceDetector {
		t.Skip("measured without the race detector, ten times faster; other tests learn under it")
	}
	const queries = 1000
	n := 20_000
	if os.Getenv("HELIOS_LONG") != "" {
		n = 100_000
	}
	metrics := []distance.Metric{distance.L2, distance.Cosine, distance.InnerProduct}
	for _, m := range metrics {
		t.Run(fmt.Sprintf("data=clustered/metric=%v", m), func(t *testing.T) {
			all := clustered(n+queries, 32, 100, 1)
			testRecall(t, m, all[:n], all[n:])
		})
	}
	folder := os.Getenv("HELIOS_DATA")
	if folder == "" {
		t.Log("HELIOS_DATA is not set: no real data")
		return
	}
	base := readVectors(t, filepath.Join(folder, "glove100", "base.fvecs"), n)
	real := readVectors(t, filepath.Join(folder, "glove100", "query.fvecs"), queries)
	for _, m := range metrics {
		t.Run(fmt.Sprintf("data=glove/metric=%v", m), func(t *testing.T) { testRecall(t, m, base, real) })
	}
}

func testRecall(t *testing.T, m distance.Metric, base, queries [][]float32) {
	set, err := centroids.Train(base, centroids.Options{K: 64, Metric: m, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	coverage, err := Learn(set, base, 1)
	if err != nil {
		t.Fatal(err)
	}
	owners := ownersOf(set, 4)
	learned, err := New(set, coverage, owners)
	if err != nil {
		t.Fatal(err)
	}
	bare, err := New(set, nil, owners)
	if err != nil {
		t.Fatal(err)
	}
	s := newSearch(t, learned, m, base, queries, 10)
	for _, target := range []float64{0.8, 0.9, 0.95, 0.99} {
		got := s.route(t, learned, target)
		t.Logf("target=%.2f recall@10=%.4f cells=%.1f (by distance %d) of 64, rows=%.3f, shape=%v",
			target, got.recall, got.cells, s.byDistance(t, learned, got.recall), got.rows, coverage.shape)
		allowance := 0.005 // sampling error of the queries
		if target == 0.95 {
			allowance = 0 // the default target is held without one
		}
		if got.recall < target-allowance {
			t.Errorf("recall@10 %.4f, asked for %.2f", got.recall, target)
		}
	}
	grouped, err := Assign(set, []Shard{{1, 100}, {2, 100}, {3, 100}, {4, 100}})
	if err != nil {
		t.Fatal(err)
	}
	near, err := learned.WithOwners(cellSet(grouped))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("shards asked of 4 at 0.95: dealt in turn %.2f, grouped %.2f", s.route(t, learned, 0.95).shards, s.route(t, near, 0.95).shards)
	without := s.route(t, bare, 0.95)
	t.Logf("not learned: recall@10=%.4f cells=%.1f", without.recall, without.cells)
	if without.recall < 0.95 {
		t.Errorf("not learned: recall@10 %.4f, asked for 0.95", without.recall)
	}
}
