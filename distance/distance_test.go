package distance

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var metrics = []Metric{L2, InnerProduct, Cosine, L1, L2Squared}

// TestDistance holds the metrics to what pgvector 0.8 answers.
func TestDistance(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		metric Metric
		a, b   []float32
		want   float64
	}{
		{L2, []float32{0, 0}, []float32{3, 4}, 5},
		{L2, []float32{0, 0}, []float32{0, 1}, 1},
		{L2, []float32{1, 2}, []float32{0, 3}, math.Sqrt2},
		{L2, []float32{3e38}, []float32{-3e38}, inf},
		{L2, []float32{1, 1, 1, 1, 1, 1, 1, 1, 1}, []float32{1, 1, 1, 1, 1, 1, 1, 4, 5}, 5},
		{L2, []float32{1}, []float32{1, 2}, nan},
		{L2Squared, []float32{0, 0}, []float32{3, 4}, 25},
		{InnerProduct, []float32{1, 2}, []float32{3, 4}, -11},
		{InnerProduct, []float32{3e38}, []float32{3e38}, -inf},
		{InnerProduct, []float32{1, 1, 1, 1, 1, 1, 1, 1, 1}, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9}, -45},
		{Cosine, []float32{1, 2}, []float32{2, 4}, 0},
		{Cosine, []float32{1, 2}, []float32{0, 0}, nan},
		{Cosine, []float32{1, 1}, []float32{1, 1}, 0},
		{Cosine, []float32{1, 0}, []float32{0, 2}, 1},
		{Cosine, []float32{1, 1}, []float32{-1, -1}, 2},
		{Cosine, []float32{1, 1}, []float32{1.1, 1.1}, 0},
		{Cosine, []float32{3e38}, []float32{3e38}, nan},
		{Cosine, []float32{1}, []float32{1, 2}, nan},
		{L1, []float32{0, 0}, []float32{3, 4}, 7},
		{L1, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9}, []float32{0, 3, 2, 5, 4, 7, 6, 9, 8}, 9},
		{L1, []float32{3e38}, []float32{-3e38}, inf},
		{Metric(0), []float32{1}, []float32{1}, nan},
		{Metric(99), []float32{1}, []float32{1}, nan},
	} {
		got := c.metric.Distance(c.a, c.b)
		if got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%v of %v and %v = %v, want %v", c.metric, c.a, c.b, got, c.want)
		}
	}
}

// TestInfinity: an overflow or a NaN anywhere, in a kernel's part or in its
// rest, ends as in plain Go.
func TestInfinity(t *testing.T) {
	for _, n := range []int{1, 7, 8, 31, 32, 33, 100, 127, 128} {
		for at := range n {
			a, b := make([]float32, n), make([]float32, n)
			a[at], b[at] = 3e38, -3e38
			for _, m := range []Metric{L2, L1, L2Squared} {
				if got := m.Distance(a, b); !math.IsInf(got, 1) {
					t.Fatalf("%v, overflow at %d of %d: %v", m, at, n, got)
				}
			}
			if got := InnerProduct.Distance(a, b); !math.IsInf(got, 1) {
				t.Fatalf("inner product, overflow at %d of %d: %v", at, n, got)
			}
			a[at] = float32(math.NaN())
			for _, m := range metrics {
				if got := m.Distance(a, b); !math.IsNaN(got) {
					t.Fatalf("%v, NaN at %d of %d: %v", m, at, n, got)
				}
			}
		}
	}
}

func TestParse(t *testing.T) {
	for _, m := range metrics {
		for _, name := range metricNames[m] {
			if got, err := Parse(name); err != nil || got != m {
				t.Errorf("Parse(%q) = %v, %v, want %v", name, got, err, m)
			}
		}
		if got, err := Parse(m.String()); err != nil || got != m {
			t.Errorf("Parse(%v) = %v, %v", m, got, err)
		}
	}
	if got, err := Parse("COSINE"); err != nil || got != Cosine {
		t.Errorf("Parse(COSINE) = %v, %v", got, err)
	}
	for _, name := range []string{"", "hamming", "metric(0)"} {
		if got, err := Parse(name); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", name, got)
		}
	}
	if got, want := Metric(0).String(), "metric(0)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLess(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	order := []float64{-inf, -1, 0, 1, inf, nan}
	for i, a := range order {
		for j, b := range order {
			if got, want := Less(a, b), i < j; got != want {
				t.Errorf("Less(%v, %v) = %v", a, b, got)
			}
		}
	}
	mixed := []float64{nan, 2, -inf, nan, 1}
	slices.SortFunc(mixed, Compare)
	if got, want := fmt.Sprint(mixed), "[-Inf 1 2 NaN NaN]"; got != want {
		t.Errorf("sorted %v, want %v", got, want)
	}
}

func TestNormalize(t *testing.T) {
	v := []float32{3, 4}
	if !Normalize(v) || v[0] != 0.6 || v[1] != 0.8 {
		t.Errorf("normalized to %v", v)
	}
	big := []float32{3e38, 3e38} // its norm is no float32, its direction is
	if !Normalize(big) || math.Abs(Norm(big)-1) > 1e-6 {
		t.Errorf("normalized to %v", big)
	}
	for _, v := range [][]float32{{}, {0, 0}, {float32(math.NaN())}, {float32(math.Inf(1))}} {
		if Normalize(v) {
			t.Errorf("normalized %v", v)
		}
	}
}

func TestFinite(t *testing.T) {
	if !Finite([]float32{0, -3e38, 1e-45}) || !Finite(nil) {
		t.Error("finite numbers are not finite")
	}
	if Finite([]float32{0, float32(math.NaN())}) || Finite([]float32{float32(math.Inf(-1))}) {
		t.Error("NaN or Infinity is finite")
	}
}

func TestBits(t *testing.T) {
	a := []byte{0b1111_0000, 1, 2, 3, 4, 5, 6, 7, 8, 0xff}
	b := []byte{0b1010_0000, 1, 2, 3, 4, 5, 6, 7, 8, 0x0f}
	if got, want := Hamming(a, b), 6.0; got != want {
		t.Errorf("Hamming = %v, want %v", got, want)
	}
	if got, want := Jaccard([]byte{0b1111_0000}, []byte{0b1010_1000}), 1-2.0/5; got != want {
		t.Errorf("Jaccard = %v, want %v", got, want)
	}
	if got := Jaccard([]byte{0}, []byte{0}); got != 1 {
		t.Errorf("Jaccard without a bit = %v, want 1", got)
	}
	if !math.IsNaN(Hamming(a, b[1:])) || !math.IsNaN(Jaccard(a, b[1:])) {
		t.Error("codes of unequal length have a distance")
	}
}

// near reports whether two sums of n float32 terms, whose sizes add up to
// scale, are equal but for rounding.
func near(got, want float32, n int, scale float64) bool {
	if got == want || (got != got && want != want) {
		return true
	}
	return math.Abs(float64(got)-float64(want)) <= float64(n+8)*scale*0x1p-23+1e-40
}

// twins compares each kernel with its plain twin on one pair of vectors.
func twins(a, b []float32) error {
	var products, squares, sizes float64
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		products += math.Abs(float64(a[i]) * float64(b[i]))
		squares += d * d
		sizes += math.Abs(d)
	}
	if got, want := squared(a, b), squaredPlain(a, b); !near(got, want, len(a), squares) {
		return fmt.Errorf("squared = %v, plain %v", got, want)
	}
	if got, want := manhattan(a, b), manhattanPlain(a, b); !near(got, want, len(a), sizes) {
		return fmt.Errorf("manhattan = %v, plain %v", got, want)
	}
	if got, want := dot(a, b), dotPlain(a, b); !near(got, want, len(a), products) {
		return fmt.Errorf("dot = %v, plain %v", got, want)
	}
	return nil
}

// TestTwins: kernels equal plain Go at every length and alignment.
func TestTwins(t *testing.T) {
	elements := rapid.Float32Range(-1e6, 1e6)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 200).Draw(t, "n")
		skip := rapid.IntRange(0, 7).Draw(t, "skip")
		a := rapid.SliceOfN(elements, n+skip, n+skip).Draw(t, "a")[skip:]
		b := rapid.SliceOfN(elements, n+skip, n+skip).Draw(t, "b")[skip:]
		if err := twins(a, b); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzTwins(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 8*33))
	f.Fuzz(func(t *testing.T, raw []byte) {
		n := len(raw) / 8
		a, b := make([]float32, n), make([]float32, n)
		for i := range n {
			a[i] = bounded(binary.LittleEndian.Uint32(raw[8*i:]))
			b[i] = bounded(binary.LittleEndian.Uint32(raw[8*i+4:]))
		}
		if err := twins(a, b); err != nil {
			t.Errorf("%v: %v, %v", err, a, b)
		}
	})
}

// bounded is the float of these bits, or 1 if sums over it might overflow in
// one order and not in another.
func bounded(bits uint32) float32 {
	x := math.Float32frombits(bits)
	if math.Abs(float64(x)) < 1e15 || x != x {
		return x
	}
	return 1
}

// TestDots: the batch equals one call per row, at every count, length and
// stride, and refuses rows that are not there.
func TestDots(t *testing.T) {
	elements := rapid.Float32Range(-100, 100)
	rapid.Check(t, func(t *rapid.T) {
		dims := rapid.IntRange(0, 70).Draw(t, "dims")
		stride := dims + rapid.IntRange(0, 9).Draw(t, "pad")
		count := rapid.IntRange(1, 11).Draw(t, "count")
		size := stride*(count-1) + dims
		q := rapid.SliceOfN(elements, dims, dims).Draw(t, "q")
		rows := rapid.SliceOfN(elements, size, size).Draw(t, "rows")
		dst := make([]float32, count)
		if !Dots(dst, q, rows, stride) {
			t.Fatal("refused")
		}
		for i, got := range dst {
			row := rows[i*stride : i*stride+dims]
			if want := dotPlain(q, row); !near(got, want, dims, 1e4*float64(dims)) {
				t.Fatalf("row %d: %v, want %v", i, got, want)
			}
		}
		if size > 0 && Dots(dst, q, rows[:size-1], stride) {
			t.Fatal("took rows that are too short")
		}
	})
	if !Dots(nil, []float32{1}, nil, 1) || Dots(make([]float32, 1), []float32{1, 2}, []float32{1, 2}, 1) {
		t.Error("no rows is fine, a stride below the dims is not")
	}
}

func BenchmarkDistance(b *testing.B) {
	for _, dims := range []int{3, 100, 768, 1536} {
		x, y := make([]float32, dims), make([]float32, dims)
		for i := range dims {
			x[i], y[i] = float32(i%7), float32(i%5)
		}
		for _, m := range metrics {
			b.Run(fmt.Sprintf("metric=%v/dims=%d", m, dims), func(b *testing.B) {
				for b.Loop() {
					m.Distance(x, y)
				}
			})
		}
	}
}

func BenchmarkDots(b *testing.B) {
	const rows = 64
	for _, dims := range []int{100, 768} {
		b.Run(fmt.Sprintf("dims=%d/rows=%d", dims, rows), func(b *testing.B) {
			q, all, dst := make([]float32, dims), make([]float32, rows*dims), make([]float32, rows)
			for b.Loop() {
				Dots(dst, q, all, dims)
			}
		})
	}
}
