package bench

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/viterin/vek/vek32"
)

// Size of the made-up data.
const (
	madeUpRows, madeUpQueries, madeUpDims, madeUpClusters = 20_000, 200, 96, 200

	k = 10 // neighbours asked for
)

// vectors are rows, queries, and for each query the numbers of its k nearest rows by L2.
type vectors struct {
	rows, queries [][]float32
	nearest       [][]int64
}

// loadVectors reads HELIOS_BENCH_VECTORS, or makes clustered vectors up, the same each time.
func loadVectors(b *testing.B) vectors {
	b.Helper()
	dir := os.Getenv("HELIOS_BENCH_VECTORS")
	if dir == "" {
		return makeVectors()
	}
	v := vectors{
		rows:    readVecs(b, filepath.Join(dir, "base.fvecs"), math.Float32frombits),
		queries: readVecs(b, filepath.Join(dir, "query.fvecs"), math.Float32frombits),
		nearest: readVecs(b, filepath.Join(dir, "gt_l2.ivecs"), func(u uint32) int64 { return int64(int32(u)) }),
	}
	for i := range v.nearest {
		if len(v.nearest[i]) < k {
			b.Fatalf("gt_l2.ivecs has %d neighbours of query %d, want %d", len(v.nearest[i]), i, k)
		}
		v.nearest[i] = v.nearest[i][:k]
	}
	return v
}

// readVecs reads the TEXMEX formats .fvecs and .ivecs: for each row a little-endian int32
// with the dimension, then that many 32-bit values.
func readVecs[T any](b *testing.B, name string, value func(uint32) T) [][]T {
	b.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	var rows [][]T
	for len(data) >= 4 {
		dims := int(binary.LittleEndian.Uint32(data))
		if data = data[4:]; dims <= 0 || dims > 1<<16 || len(data) < 4*dims {
			b.Fatalf("%s: row %d is damaged", name, len(rows))
		}
		row := make([]T, dims)
		for i := range row {
			row[i] = value(binary.LittleEndian.Uint32(data[4*i:]))
		}
		rows, data = append(rows, row), data[4*dims:]
	}
	return rows
}

func makeVectors() vectors {
	random := rand.New(rand.NewPCG(7, 7))
	centres := make([][]float32, madeUpClusters)
	for i := range centres {
		centres[i] = around(random, make([]float32, madeUpDims), 1)
	}
	near := func(n int) [][]float32 {
		out := make([][]float32, n)
		for i := range out {
			out[i] = around(random, centres[random.IntN(len(centres))], 0.5)
		}
		return out
	}
	v := vectors{rows: near(madeUpRows), queries: near(madeUpQueries)}
	for _, q := range v.queries {
		v.nearest = append(v.nearest, exact(v.rows, q))
	}
	return v
}

func around(random *rand.Rand, centre []float32, spread float64) []float32 {
	out := make([]float32, len(centre))
	for i, c := range centre {
		out[i] = c + float32(random.NormFloat64()*spread)
	}
	return out
}

// exact gives the k rows nearest to a query.
func exact(rows [][]float32, query []float32) []int64 {
	type hit struct {
		row  int64
		dist float32
	}
	hits := make([]hit, len(rows))
	for i, r := range rows {
		hits[i] = hit{int64(i), vek32.Distance(query, r)}
	}
	slices.SortFunc(hits, func(a, b hit) int { return cmp.Or(cmp.Compare(a.dist, b.dist), cmp.Compare(a.row, b.row)) })
	out := make([]int64, k)
	for i := range out {
		out[i] = hits[i].row
	}
	return out
}

// recall is the share of the true neighbours that were found.
func recall(found, truth []int64) float64 {
	n := 0
	for _, id := range truth {
		if slices.Contains(found, id) {
			n++
		}
	}
	return float64(n) / float64(len(truth))
}

// literal is a vector as SQL text.
func literal(v []float32) string {
	out := []byte{'['}
	for i, x := range v {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendFloat(out, float64(x), 'g', -1, 32)
	}
	return string(append(out, ']'))
}

func TestMadeUpVectors(t *testing.T) {
	v := makeVectors()
	for i, q := range v.queries[:10] {
		far := vek32.Distance(q, v.rows[v.nearest[i][k-1]])
		closer := 0
		for _, r := range v.rows {
			if vek32.Distance(q, r) < far {
				closer++
			}
		}
		if closer != k-1 {
			t.Errorf("query %d: %d rows are closer than its last neighbour, want %d", i, closer, k-1)
		}
		if got := recall(v.nearest[i], v.nearest[i]); got != 1 {
			t.Errorf("recall of the truth is %g", got)
		}
	}
	if got, want := literal([]float32{1, -0.5}), "[1,-0.5]"; got != want {
		t.Errorf("literal %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(recall([]int64{1, 2, 9}, []int64{1, 2, 3, 4})), "0.5"; got != want {
		t.Errorf("recall %s, want %s", got, want)
	}
}
