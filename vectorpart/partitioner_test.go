package vectorpart

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/heliosdb/helios/centroids"
	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/distance"
)

// trained is a small table, made once for the tests that only read it.
var trained = sync.OnceValues(func() (fixture, error) {
	f := fixture{base: clustered(2000, 8, 20, 3)}
	var err error
	if f.set, err = centroids.Train(f.base, centroids.Options{K: 16, Metric: distance.L2, Seed: 1}); err != nil {
		return f, err
	}
	f.coverage, err = Learn(f.set, f.base, 1)
	return f, err
})

type fixture struct {
	base     [][]float32
	set      *centroids.Set
	coverage *Coverage
}

func fix(t testing.TB) (fixture, *Partitioner) {
	t.Helper()
	f, err := trained()
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(f.set, f.coverage, ownersOf(f.set, 4))
	if err != nil {
		t.Fatal(err)
	}
	return f, p
}

func TestPlace(t *testing.T) {
	f, p := fix(t)
	for _, v := range f.base[:200] {
		cell, err := p.Place(v)
		if err != nil {
			t.Fatal(err)
		}
		if near, err := f.set.Nearest(v); err != nil || near.Cell != cell {
			t.Fatalf("placed in %d, nearest is %v, %v", cell, near, err)
		}
		if o, ok := p.Owner(cell); !ok || o.Shard == cluster.None {
			t.Fatalf("cell %d has no owner", cell)
		}
	}
	var dims *DimsError
	if _, err := p.Place([]float32{1}); !errors.As(err, &dims) || dims.Want != 8 || dims.Got != 1 {
		t.Errorf("short vector: %v", err)
	}
	if _, err := p.Route([]float32{1}, 10, 0.9); !errors.As(err, &dims) {
		t.Errorf("short query: %v", err)
	}
	if _, err := p.Place([]float32{0, 0, 0, 0, 0, 0, 0, float32(math.Inf(1))}); !errors.Is(err, centroids.ErrNotFinite) {
		t.Errorf("infinite vector: %v", err)
	}
}

// TestRoute: cells and rest are all cells once, shards are the owners of cells,
// and a greater recall never asks less.
func TestRoute(t *testing.T) {
	f, learned := fix(t)
	bare, err := New(f.set, nil, ownersOf(f.set, 4))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom([]*Partitioner{learned, bare}).Draw(t, "partitioner")
		q := rapid.SliceOfN(rapid.Float32Range(-4, 4), 8, 8).Draw(t, "q")
		k := rapid.IntRange(-1, 3000).Draw(t, "k")
		before := 0
		for _, recall := range []float64{-1, 0, 0.5, 0.9, 0.95, 0.99, 0.9999, 1, 7} {
			r, err := p.Route(q, k, recall)
			if err != nil {
				t.Fatal(err)
			}
			all := slices.Concat(r.Cells, r.Rest)
			slices.Sort(all)
			if len(slices.Compact(all)) != 16 || len(r.Cells)+len(r.Rest) != 16 || len(r.Cells) == 0 {
				t.Fatalf("cells %v, rest %v", r.Cells, r.Rest)
			}
			for _, cell := range r.Cells {
				if o, _ := p.Owner(cell); !slices.Contains(r.Shards, o.Shard) {
					t.Fatalf("cell %d belongs to %v, shards are %v", cell, o, r.Shards)
				}
			}
			if len(r.Cells) < before || (recall >= 1 && len(r.Rest) > 0) || r.Reason == "" {
				t.Fatalf("recall %v asks %d cells, less asked %d: %q", recall, len(r.Cells), before, r.Reason)
			}
			before = len(r.Cells)
		}
	})
}

func TestRouteReasons(t *testing.T) {
	f, p := fix(t)
	for _, c := range []struct {
		k      int
		recall float64
		want   string
	}{
		{10, 1, "all cells: exact"},
		{10, math.NaN(), "all cells: exact"},
		{101, 0.9, "all cells: recall 0.9 of 101 rows is beyond what was learned"},
	} {
		r, err := p.Route(f.base[0], c.k, c.recall)
		if err != nil {
			t.Fatal(err)
		}
		if r.Reason != c.want || len(r.Rest) > 0 {
			t.Errorf("k=%d recall=%v: %q, rest %v, want %q", c.k, c.recall, r.Reason, r.Rest, c.want)
		}
	}
	r, err := p.Route(f.base[0], 10, 0.9)
	if err != nil || len(r.Rest) == 0 {
		t.Errorf("nothing is left out: %+v, %v", r, err)
	}
}

// TestUntrained: before training rows go by hash, and every query asks all.
func TestUntrained(t *testing.T) {
	owners := cluster.CellSet{Cells: []cluster.CellOwner{{Cell: 1, Owner: cluster.Owner{Shard: 1, Epoch: 1}}, {Cell: 2, Owner: cluster.Owner{Shard: 2, Epoch: 1}}}}
	p, err := New(nil, nil, owners)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Place([]float32{1}); !errors.Is(err, ErrUntrained) {
		t.Errorf("placed: %v", err)
	}
	if a, b := p.PlaceHash(0), p.PlaceHash(math.MaxUint64); a != 1 || b != 2 {
		t.Errorf("hashes go to cells %d and %d", a, b)
	}
	r, err := p.Route([]float32{1}, 10, 0.5)
	if err != nil || !slices.Equal(r.Cells, []uint32{1, 2}) || !slices.Equal(r.Shards, []uint16{1, 2}) {
		t.Errorf("route %+v, %v", r, err)
	}
}

// TestRetired: a cell that was split is asked until its rows are gone.
func TestRetired(t *testing.T) {
	f, p := fix(t)
	next, children, err := f.set.Split(1, f.base[:100])
	if err != nil {
		t.Fatal(err)
	}
	owners := ownersOf(f.set, 4)
	for _, id := range children {
		owners.Cells = append(owners.Cells, cluster.CellOwner{Cell: id, Owner: cluster.Owner{Shard: 1, Epoch: 1}})
	}
	if _, err := New(next, f.coverage, owners); !errors.Is(err, ErrInvalid) {
		t.Errorf("coverage of an older generation: %v", err)
	}
	if _, err := p.WithOwners(cluster.CellSet{Cells: owners.Cells[1:]}); !errors.Is(err, ErrInvalid) {
		t.Errorf("cell without owner: %v", err)
	}
	if _, err := New(nil, f.coverage, owners); !errors.Is(err, ErrInvalid) {
		t.Errorf("coverage without centroids: %v", err)
	}
	if p, err = New(next, nil, owners); err != nil {
		t.Fatal(err)
	}
	r, err := p.Route(f.base[0], 10, 0)
	if err != nil || len(r.Cells) != 2 || r.Cells[1] != 1 || slices.Contains(r.Rest, 1) {
		t.Errorf("route %+v, %v, want one cell and the retired cell 1", r, err)
	}
}

func TestLearnRefuses(t *testing.T) {
	f, _ := fix(t)
	if _, err := Learn(f.set, f.base[:50], 1); !errors.Is(err, ErrInvalid) {
		t.Errorf("small sample: %v", err)
	}
	short := slices.Concat(f.base[:200], [][]float32{{1}})
	var dims *DimsError
	if _, err := Learn(f.set, short, 1); !errors.As(err, &dims) {
		t.Errorf("short row: %v", err)
	}
}

// TestLearnOddData: equal rows, few rows and zero rows are learned from without
// harm.
func TestLearnOddData(t *testing.T) {
	equal := make([][]float32, 150)
	for i := range equal {
		equal[i] = []float32{1, 2}
	}
	zeros := clustered(150, 2, 3, 1)
	for i := range 20 {
		zeros[i*7] = []float32{0, 0}
	}
	for name, rows := range map[string][][]float32{"equal": equal, "zeros": zeros} {
		for _, m := range []distance.Metric{distance.L2, distance.Cosine, distance.InnerProduct, distance.L1} {
			set, err := centroids.Train(rows, centroids.Options{K: 4, Metric: m})
			if err != nil {
				t.Fatal(err)
			}
			c, err := Learn(set, rows, 1)
			if err != nil {
				t.Fatalf("%s, %v: %v", name, m, err)
			}
			p, err := New(set, c, ownersOf(set, 2))
			if err != nil {
				t.Fatal(err)
			}
			if r, err := p.Route([]float32{0, 0}, 5, 0.9); err != nil || len(r.Cells) == 0 {
				t.Errorf("%s, %v: %+v, %v", name, m, r, err)
			}
		}
	}
}

func TestEncode(t *testing.T) {
	f, _ := fix(t)
	for _, c := range []*Coverage{f.coverage, nil} {
		raw := Encode(f.set, c)
		set, back, err := Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(set, f.set) || !reflect.DeepEqual(back, c) {
			t.Errorf("decoding changed the set or its coverage")
		}
		for i := 0; i < len(raw); i += 1 + len(raw)/500 {
			raw[i] ^= 0x10
			if _, _, err := Decode(raw); !errors.Is(err, ErrInvalid) {
				t.Fatalf("byte %d changed: %v", i, err)
			}
			raw[i] ^= 0x10
			if _, _, err := Decode(raw[:i]); !errors.Is(err, ErrInvalid) {
				t.Fatalf("cut to %d: %v", i, err)
			}
		}
	}
}

// FuzzDecode mends the checksum, so that what lies behind it is tried.
func FuzzDecode(f *testing.F) {
	fx, err := trained()
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range []*Coverage{fx.coverage, nil} {
		raw := Encode(fx.set, c)
		f.Add(raw[:len(raw)-4])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		set, c, err := Decode(sealed(body))
		if err != nil {
			return
		}
		p, err := New(set, c, ownersOf(set, 2))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Route(make([]float32, set.Dims), 10, 0.9); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkRoute(b *testing.B) {
	base := clustered(8000, 100, 60, 1)
	for _, k := range []int{64, 512} {
		b.Run(fmt.Sprintf("cells=%d/dims=100", k), func(b *testing.B) {
			set, err := centroids.Train(base, centroids.Options{K: k, Metric: distance.L2, Iterations: 3})
			if err != nil {
				b.Fatal(err)
			}
			c, err := Learn(set, base, 1)
			if err != nil {
				b.Fatal(err)
			}
			p, err := New(set, c, ownersOf(set, 8))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := p.Route(base[0], 10, 0.95); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
