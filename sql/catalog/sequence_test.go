package catalog

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// TestSequenceValues holds that the steps of a sequence are those of numbers without bounds.
func TestSequenceValues(t *testing.T) {
	value := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-20, 20), rapid.Int64Range(math.MinInt64, math.MinInt64+20), rapid.Int64Range(math.MaxInt64-20, math.MaxInt64))
	rapid.Check(t, func(t *rapid.T) {
		s := &Sequence{Min: value.Draw(t, "min"), Max: value.Draw(t, "max"), Increment: value.Filter(func(v int64) bool { return v != 0 }).Draw(t, "increment")}
		if s.Min > s.Max {
			s.Min, s.Max = s.Max, s.Min
		}
		v := value.Filter(func(v int64) bool { return v >= s.Min && v <= s.Max }).Draw(t, "v")
		n := rapid.Int64Range(1, 40).Draw(t, "n")
		inside := func(i int64) bool {
			x := new(big.Int).Mul(big.NewInt(s.Increment), big.NewInt(i))
			x.Add(x, big.NewInt(v))
			return x.Cmp(big.NewInt(s.Min)) >= 0 && x.Cmp(big.NewInt(s.Max)) <= 0
		}
		want := int64(0)
		for want < n && inside(want) {
			want++
		}
		if got := s.Values(v, n); got != want {
			t.Fatalf("%+v has %d values from %d on, want %d of %d", *s, got, v, want, n)
		}
		next, ok := s.After(v)
		if ok != inside(1) || ok && next != v+s.Increment {
			t.Fatalf("%+v goes on after %d with %d, %v", *s, v, next, ok)
		}
	})
}
