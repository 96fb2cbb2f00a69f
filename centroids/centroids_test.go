package centroids

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/heliosdb/helios/distance"
)

var metrics = []distance.Metric{distance.L2, distance.InnerProduct, distance.Cosine, distance.L1}

// clustered returns n vectors around as many random points as groups says.
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
		middles[i] = gauss(3)
	}
	vectors := make([][]float32, n)
	for i := range vectors {
		vectors[i] = gauss(1)
		for j, x := range middles[rng.IntN(1+rng.IntN(groups))] { // some groups are larger
			vectors[i][j] += x
		}
	}
	return vectors
}

func mustTrain(t testing.TB, vectors [][]float32, o Options) *Set {
	t.Helper()
	s, err := Train(vectors, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTrainBalances(t *testing.T) {
	for _, m := range metrics {
		for _, k := range []int{1, 2, 16, 64} {
			vectors := clustered(6000, 24, 20, 1)
			s := mustTrain(t, vectors, Options{K: k, Metric: m, Seed: 7})
			if len(s.Cells) != k || s.Generation != 1 || s.NextID != uint32(k+1) {
				t.Fatalf("%d cells, generation %d, next id %d", len(s.Cells), s.Generation, s.NextID)
			}
			rows, largest := uint64(0), uint64(0)
			for _, c := range s.Cells {
				rows += c.Rows
				largest = max(largest, c.Rows)
			}
			if rows != 6000 || float64(largest) > 2.05*6000/float64(k) {
				t.Errorf("metric=%v k=%d: %d rows, largest cell %d, mean %d", m, k, rows, largest, 6000/k)
			}
		}
	}
}

// TestTrainIsDeterministic: input and seed decide, not the processors.
func TestTrainIsDeterministic(t *testing.T) {
	vectors := clustered(3000, 17, 9, 2)
	train := func(seed uint64) []byte {
		return mustTrain(t, vectors, Options{K: 12, Metric: distance.L2, Seed: seed}).Encode()
	}
	first := train(5)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if !slices.Equal(train(5), first) {
		t.Error("one processor trains another set than several")
	}
	if slices.Equal(train(6), first) {
		t.Error("another seed trains the same set")
	}
}

func TestTrainSkips(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	vectors := [][]float32{{1, 0}, {nan, 1}, {0, 1}, {inf, 0}, {0, 0}, {1, 0}}
	s := mustTrain(t, vectors, Options{K: 4, Metric: distance.Cosine})
	if len(s.Cells) != 2 {
		t.Errorf("%d cells for two directions", len(s.Cells))
	}
	if s.Cells[0].Rows+s.Cells[1].Rows != 4 {
		t.Errorf("cells count %d and %d rows, want 4: the zero vector is placed, what is not finite is not",
			s.Cells[0].Rows, s.Cells[1].Rows)
	}
}

func TestTrainRefuses(t *testing.T) {
	good := [][]float32{{1, 2}, {3, 4}}
	for name, c := range map[string]struct {
		vectors [][]float32
		o       Options
	}{
		"no vectors":   {nil, Options{K: 1, Metric: distance.L2}},
		"no dims":      {[][]float32{{}}, Options{K: 1, Metric: distance.L2}},
		"no cells":     {good, Options{Metric: distance.L2}},
		"no metric":    {good, Options{K: 1}},
		"ratio":        {good, Options{K: 1, Metric: distance.L2, MaxRatio: math.NaN()}},
		"small sample": {good, Options{K: 5, Metric: distance.L2, Sample: 2}},
		"ids":          {good, Options{K: 5, Metric: distance.L2, FirstID: math.MaxUint32 - 2}},
		"all zero":     {[][]float32{{0, 0}}, Options{K: 1, Metric: distance.Cosine}},
	} {
		if s, err := Train(c.vectors, c.o); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, %v, want ErrInvalid", name, s, err)
		}
	}
	var dims *DimsError
	if _, err := Train([][]float32{{1}, {1, 2}}, Options{K: 1, Metric: distance.L2}); !errors.As(err, &dims) {
		t.Errorf("unequal vectors: %v, want a DimsError", err)
	}
}

// bruteNearest is Nearest by its definition.
func bruteNearest(s *Set, v []float32) Neighbour {
	best := Neighbour{NoCell, math.Inf(1)}
	for i, c := range s.Cells {
		if d := s.query(v).exact(i); d < best.Distance {
			best = Neighbour{c.ID, d}
		}
	}
	return best
}

// TestNearest: the fast path finds what exact arithmetic finds, also where
// centroids are a rounding error apart and where float32 overflows.
func TestNearest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom(metrics).Draw(t, "metric")
		dims := rapid.IntRange(1, 40).Draw(t, "dims")
		vectors := rapid.SliceOfN(rapid.OneOf(
			rapid.Float32Range(-10, 10), rapid.Float32Range(0.99999, 1.00001), rapid.SampledFrom([]float32{0, 1, 3e38, -3e38, 1e-30})), dims, dims)
		var cells []Cell
		for i, v := range rapid.SliceOfN(vectors, 1, 9).Draw(t, "centroids") {
			v = slices.Clone(v)
			if spherical(m) && !distance.Normalize(v) {
				v[0] = 1
			}
			cells = append(cells, Cell{ID: uint32(i + 1), Centroid: v})
		}
		s, err := New(dims, m, 1, cells)
		if err != nil {
			t.Fatal(err)
		}
		v := vectors.Draw(t, "v")
		got, err := s.Nearest(v)
		if err != nil {
			t.Fatal(err)
		}
		if want := bruteNearest(s, v); got != want {
			t.Fatalf("nearest %v, want %v", got, want)
		}
		n := rapid.IntRange(-1, 12).Draw(t, "n")
		ranked, err := s.Ranked(v, n)
		if err != nil {
			t.Fatal(err)
		}
		if len(ranked) != max(1, min(n, len(cells))) || ranked[0] != got {
			t.Fatalf("ranked %v, want %d of them, %v first", ranked, n, got)
		}
		if !slices.IsSortedFunc(ranked, func(a, b Neighbour) int { return distance.Compare(a.Distance, b.Distance) }) {
			t.Fatalf("ranked %v is out of order", ranked)
		}
	})
}

func TestNearestRefuses(t *testing.T) {
	s := mustTrain(t, clustered(50, 3, 2, 1), Options{K: 2, Metric: distance.L2})
	var dims *DimsError
	if _, err := s.Nearest([]float32{1, 2}); !errors.As(err, &dims) || err.Error() != "expected 3 dimensions, not 2" {
		t.Errorf("short vector: %v", err)
	}
	if _, err := s.Nearest([]float32{1, 2, float32(math.NaN())}); !errors.Is(err, ErrNotFinite) {
		t.Errorf("NaN: %v", err)
	}
}

// TestRadius: every row lies inside its cell's radius, as bounds need.
func TestRadius(t *testing.T) {
	for _, m := range metrics {
		vectors := clustered(2000, 12, 8, 3)
		s := mustTrain(t, vectors, Options{K: 8, Metric: m})
		for _, v := range vectors {
			near, err := s.Nearest(v)
			if err != nil {
				t.Fatal(err)
			}
			if c, _ := s.Cell(near.Cell); near.Distance > c.Radius {
				t.Fatalf("metric=%v: a row of cell %d lies at %v, its radius is %v", m, c.ID, near.Distance, c.Radius)
			}
		}
	}
}

// membersOf returns the vectors of one cell.
func membersOf(t testing.TB, s *Set, vectors [][]float32, cell uint32) (members [][]float32) {
	t.Helper()
	for _, v := range vectors {
		near, err := s.Nearest(v)
		if err != nil {
			t.Fatal(err)
		}
		if near.Cell == cell {
			members = append(members, v)
		}
	}
	return members
}

// TestSplit: the children share the parent's rows, and few other rows move.
func TestSplit(t *testing.T) {
	for _, m := range metrics {
		vectors := clustered(4000, 16, 10, 4)
		s := mustTrain(t, vectors, Options{K: 16, Metric: m})
		largest := slices.MaxFunc(s.Cells, func(a, b Cell) int { return int(a.Rows) - int(b.Rows) })
		members := membersOf(t, s, vectors, largest.ID)
		next, children, err := s.Split(largest.ID, members)
		if err != nil {
			t.Fatal(err)
		}
		if next.Generation != 2 || len(next.Cells) != 17 || children != [2]uint32{17, 18} || next.NextID != 19 {
			t.Errorf("generation %d, %d cells, children %v, next id %d", next.Generation, len(next.Cells), children, next.NextID)
		}
		if _, ok := next.Cell(largest.ID); ok || len(s.Cells) != 16 {
			t.Error("the parent stayed, or the set before changed")
		}
		one, _ := next.Cell(children[0])
		two, _ := next.Cell(children[1])
		if one.Rows+two.Rows != largest.Rows || one.Rows == 0 || two.Rows == 0 {
			t.Errorf("metric=%v: %d rows became %d and %d", m, largest.Rows, one.Rows, two.Rows)
		}
		moved := 0
		for _, v := range vectors {
			before, err := s.Nearest(v)
			if err != nil {
				t.Fatal(err)
			}
			after, err := next.Nearest(v)
			if err != nil {
				t.Fatal(err)
			}
			stayed := after.Cell == before.Cell || before.Cell == largest.ID && slices.Contains(children[:], after.Cell)
			if !stayed {
				moved++
			}
		}
		if moved > 3*int(largest.Rows) {
			t.Errorf("metric=%v: a split of %d rows moved %d others", m, largest.Rows, moved)
		}
	}
}

func TestSplitRefuses(t *testing.T) {
	s := mustTrain(t, clustered(50, 2, 2, 1), Options{K: 2, Metric: distance.L2})
	for name, members := range map[string][][]float32{
		"none": nil, "equal": {{1, 1}, {1, 1}}, "not finite": {{float32(math.NaN()), 1}},
	} {
		if _, _, err := s.Split(1, members); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if _, _, err := s.Split(9, [][]float32{{1, 1}, {2, 2}}); !errors.Is(err, ErrInvalid) {
		t.Errorf("unknown cell: %v", err)
	}
	var dims *DimsError
	if _, _, err := s.Split(1, [][]float32{{1}}); !errors.As(err, &dims) {
		t.Errorf("short member: %v", err)
	}
}

func TestMerge(t *testing.T) {
	for _, m := range metrics {
		vectors := clustered(2000, 10, 5, 5)
		s := mustTrain(t, vectors, Options{K: 6, Metric: m})
		next, child, err := s.Merge(2, 5)
		if err != nil {
			t.Fatal(err)
		}
		c, ok := next.Cell(child)
		if !ok || child != 7 || len(next.Cells) != 5 || c.Rows != s.Cells[1].Rows+s.Cells[4].Rows {
			t.Fatalf("cell %d %+v of %d", child, c, len(next.Cells))
		}
		for _, v := range append(membersOf(t, s, vectors, 2), membersOf(t, s, vectors, 5)...) {
			q := next.query(v)
			i, _ := next.index(child)
			if d := q.exact(i); d > c.Radius*(1+1e-6) {
				t.Fatalf("metric=%v: a row lies at %v of the merged cell, its radius is %v", m, d, c.Radius)
			}
		}
		for _, pair := range [][2]uint32{{1, 1}, {1, 99}, {99, 1}} {
			if _, _, err := s.Merge(pair[0], pair[1]); !errors.Is(err, ErrInvalid) {
				t.Errorf("merge %v: %v", pair, err)
			}
		}
	}
}

func TestEncode(t *testing.T) {
	for _, m := range metrics {
		s := mustTrain(t, clustered(300, 5, 4, 6), Options{K: 4, Metric: m, Generation: 9, FirstID: 100})
		raw := s.Encode()
		if got, want := len(raw), 44+4*(20+4*5)+4; got != want {
			t.Errorf("%d bytes, want %d", got, want)
		}
		back, err := Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(s, back) {
			t.Errorf("got %+v\nwant %+v", back, s)
		}
		for bit := range 8 * len(raw) { // any bit flipped, any length cut
			raw[bit/8] ^= 1 << (bit % 8)
			if _, err := Decode(raw); !errors.Is(err, ErrInvalid) {
				t.Fatalf("bit %d flipped: %v", bit, err)
			}
			raw[bit/8] ^= 1 << (bit % 8)
		}
		for n := range raw {
			if _, err := Decode(raw[:n]); !errors.Is(err, ErrInvalid) {
				t.Fatalf("cut to %d: %v", n, err)
			}
		}
	}
}

func TestManager(t *testing.T) {
	m, err := NewManager(8, Options{K: 4, Metric: distance.L2, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Place(make([]float32, 8)); !errors.Is(err, ErrUntrained) {
		t.Errorf("placed before training: %v", err)
	}
	vectors := clustered(1000, 8, 4, 7)
	first, err := m.Train(vectors)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		if _, err := m.Place(v); err != nil {
			t.Fatal(err)
		}
	}
	if d := m.Drift(); d.Inserts != 1000 || math.Abs(d.Growth-1) > 1e-6 {
		t.Errorf("drift of the trained vectors %+v", d)
	}
	second, children, err := m.Split(1, membersOf(t, first, vectors, 1))
	if err != nil || m.Set() != second || m.Drift().Inserts != 0 {
		t.Fatalf("split: %v, drift %+v", err, m.Drift())
	}
	for _, v := range clustered(200, 8, 3, 99) { // from elsewhere
		if _, err := m.Place(v); err != nil {
			t.Fatal(err)
		}
	}
	if d := m.Drift(); d.Growth < 1.2 {
		t.Errorf("drift of foreign vectors %+v", d)
	}
	third, child, err := m.Merge(children[0], children[1])
	if err != nil || third.Generation != 3 || child != 7 {
		t.Fatalf("merge: %v, generation %d, cell %d", err, third.Generation, child)
	}
	fourth, err := m.Train(vectors)
	if err != nil || fourth.Generation != 4 || fourth.Cells[0].ID != 8 {
		t.Fatalf("train again: %v, generation %d, first cell %d", err, fourth.Generation, fourth.Cells[0].ID)
	}
	if err := m.Restore(first); err != nil || m.Set() != first {
		t.Errorf("restore: %v", err)
	}
	if err := m.change(second, third); !errors.Is(err, ErrInvalid) {
		t.Errorf("a change of an old set: %v", err)
	}
	if _, err := m.Train([][]float32{{1}}); err == nil {
		t.Error("trained on vectors of other dimensions")
	}
}

func FuzzDecode(f *testing.F) {
	s, err := Train(clustered(20, 2, 2, 1), Options{K: 2, Metric: distance.L2})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := Decode(raw)
		if err != nil {
			return
		}
		if !slices.Equal(s.Encode(), raw) {
			t.Fatal("decoded set encodes differently")
		}
		if _, err := s.Nearest(make([]float32, s.Dims)); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkNearest(b *testing.B) {
	for _, k := range []int{64, 1024} {
		b.Run(fmt.Sprintf("cells=%d/dims=100", k), func(b *testing.B) {
			vectors := clustered(4096, 100, 50, 1)
			s := mustTrain(b, vectors, Options{K: k, Metric: distance.L2, Iterations: 1})
			for b.Loop() {
				if _, err := s.Nearest(vectors[0]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTrain(b *testing.B) {
	vectors := clustered(30_000, 100, 64, 1)
	b.Run("rows=30000/dims=100/cells=64", func(b *testing.B) {
		for b.Loop() {
			mustTrain(b, vectors, Options{K: 64, Metric: distance.L2})
		}
	})
}
