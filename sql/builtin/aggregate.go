package builtin

import (
	"math"

	"github.com/cockroachdb/apd/v3"

	"github.com/heliosdb/helios/types"
)

// accumulate adapts two closures to an Accumulator.
type accumulate struct {
	add    func(ctx *Context, a []types.Value) error
	result func(ctx *Context) (types.Value, error)
}

func (a *accumulate) Add(ctx *Context, args []types.Value) error { return a.add(ctx, args) }
func (a *accumulate) Result(ctx *Context) (types.Value, error)   { return a.result(ctx) }

// counter is count; with over, it sums the counts that shards sent.
type counter struct {
	n    int64
	over bool
}

func (c *counter) Add(_ *Context, a []types.Value) error {
	if c.over {
		c.n += a[0].AsInt()
	} else {
		c.n++
	}
	return nil
}

func (c *counter) Result(*Context) (types.Value, error) { return types.Int(c.n), nil }

func countAggregates() map[string]aggFunc {
	return map[string]aggFunc{"count": func(fn *Func) *Aggregate {
		return &Aggregate{
			Func: fn, SkipsNull: len(fn.Args) > 0,
			New: func([]types.Type) Accumulator { return &counter{} },
			Split: &Split{Partials: []string{"count"}, Merge: func([]types.Type) Accumulator {
				return &counter{over: true}
			}},
		}
	}}
}

// folding is an aggregate that keeps one value: the first, then f of it and the next.
type folding struct {
	value types.Value
	f     func(ctx *Context, a, b types.Value) (types.Value, error)
}

func (f *folding) Add(ctx *Context, a []types.Value) error {
	if a[0].IsNull() {
		return nil
	}
	if f.value.IsNull() {
		f.value = a[0]
		return nil
	}
	var err error
	f.value, err = f.f(ctx, f.value, a[0])
	return err
}

func (f *folding) Result(*Context) (types.Value, error) { return f.value, nil }

// fold makes an aggregate that merges its parts as it adds values: min, max, bool_and …
func fold(f func(ctx *Context, a, b types.Value) (types.Value, error)) aggFunc {
	return func(fn *Func) *Aggregate {
		fresh := func([]types.Type) Accumulator { return &folding{f: f} }
		return &Aggregate{Func: fn, SkipsNull: true, New: fresh, Split: &Split{Partials: []string{fn.Name}, Merge: fresh}}
	}
}

func pickAggregates() map[string]aggFunc {
	extreme := func(sign int) aggFunc {
		return fold(func(_ *Context, a, b types.Value) (types.Value, error) {
			if types.Compare(a, b)*sign > 0 {
				return a, nil
			}
			return b, nil
		})
	}
	and := fold(func(_ *Context, a, b types.Value) (types.Value, error) {
		return types.Bool(a.AsBool() && b.AsBool()), nil
	})
	ints := func(f func(x, y int64) int64) aggFunc {
		return fold(func(_ *Context, a, b types.Value) (types.Value, error) {
			return types.Int(f(a.AsInt(), b.AsInt())), nil
		})
	}
	m := map[string]aggFunc{
		"max": extreme(1), "min": extreme(-1), "bool_and": and, "every": and,
		"bool_or": fold(func(_ *Context, a, b types.Value) (types.Value, error) {
			return types.Bool(a.AsBool() || b.AsBool()), nil
		}),
	}
	for _, t := range []string{"int2", "int4", "int8"} {
		m["bit_and("+t+")"] = ints(func(x, y int64) int64 { return x & y })
		m["bit_or("+t+")"] = ints(func(x, y int64) int64 { return x | y })
		m["bit_xor("+t+")"] = ints(func(x, y int64) int64 { return x ^ y })
	}
	return m
}

// adder sums one kind of value; it is the core of sum and avg.
type adder interface {
	add(ctx *Context, v types.Value) error
	sum() (types.Value, error)
}

// bigSum sums integers and finite numerics exactly, and remembers special values.
type bigSum struct {
	total            apd.BigInt // × 10^exponent
	exponent         int32
	nan, plus, minus bool
	small            int64 // pending integers at exponent 0
}

func (s *bigSum) add(_ *Context, v types.Value) error {
	if v.Kind() == types.KindInt {
		if next, err := addInts(s.small, v.AsInt(), types.Int8OID); err == nil {
			s.small = next.AsInt()
			return nil
		}
		s.addBig(apd.NewBigInt(v.AsInt()), 0)
		return nil
	}
	switch d := v.AsNumeric(); {
	case isNaN(d):
		s.nan = true
	case isInfinite(d) && d.Negative:
		s.minus = true
	case isInfinite(d):
		s.plus = true
	default:
		n := new(apd.BigInt).Set(&d.Coeff)
		if d.Negative {
			n.Neg(n)
		}
		s.addBig(n, d.Exponent)
	}
	return nil
}

// addBig adds n × 10^exponent.
func (s *bigSum) addBig(n *apd.BigInt, exponent int32) {
	if exponent < s.exponent {
		s.total.Mul(&s.total, types.PowerOfTen(int(s.exponent-exponent)))
		s.exponent = exponent
	} else if exponent > s.exponent {
		n.Mul(n, types.PowerOfTen(int(exponent-s.exponent)))
	}
	s.total.Add(&s.total, n)
}

func (s *bigSum) decimal() *apd.Decimal {
	if s.small != 0 {
		s.addBig(apd.NewBigInt(s.small), 0)
		s.small = 0
	}
	switch {
	case s.nan, s.plus && s.minus:
		return numericNaN
	case s.plus, s.minus:
		return infinity(s.minus)
	}
	return fromSigned(&s.total, s.exponent)
}

func (s *bigSum) sum() (types.Value, error) { return types.CheckNumeric(s.decimal()) }

// intSum is the sum of int2 and int4, an int8.
type intSum struct{ total int64 }

func (s *intSum) add(_ *Context, v types.Value) error {
	next, err := addInts(s.total, v.AsInt(), types.Int8OID)
	s.total = next.AsInt()
	return err
}

func (s *intSum) sum() (types.Value, error) { return types.Int(s.total), nil }

type floatSum struct {
	total  float64
	narrow bool
}

func (s *floatSum) add(_ *Context, v types.Value) error {
	f := v.AsFloat()
	next := s.total + f
	if s.narrow {
		next = float64(float32(next))
	}
	if isInf(next) && !isInf(f) && !isInf(s.total) {
		return errOverflow
	}
	s.total = next
	return nil
}

func (s *floatSum) sum() (types.Value, error) { return types.Float(s.total), nil }

type intervalSum struct{ total types.Interval }

func (s *intervalSum) add(_ *Context, v types.Value) (err error) {
	s.total, err = addIntervals(s.total, v.AsInterval())
	return err
}

func (s *intervalSum) sum() (types.Value, error) { return types.IntervalValue(s.total), nil }

// vectorSum is pgvector's sum and avg: in float64, rounded at the end.
type vectorSum struct{ total []float64 }

func (s *vectorSum) add(_ *Context, v types.Value) error {
	x := v.AsVector()
	if s.total == nil {
		s.total = make([]float64, len(x))
	}
	if len(s.total) != len(x) {
		return types.Errorf("22000", "expected %d dimensions, not %d", len(s.total), len(x))
	}
	for i, e := range x {
		s.total[i] += float64(e)
	}
	return nil
}

func (s *vectorSum) sum() (types.Value, error) { return s.scaled(1) }

func (s *vectorSum) scaled(by float64) (types.Value, error) {
	out := make([]float32, len(s.total))
	for i, x := range s.total {
		if out[i] = float32(x * by); math.IsInf(float64(out[i]), 0) {
			return types.Null, errOverflow
		}
	}
	return types.Vector(out), nil
}

func newAdder(arg, sumType types.OID) adder {
	switch {
	case arg == types.VectorOID:
		return &vectorSum{}
	case arg == types.IntervalOID || arg == types.TimeOID:
		return &intervalSum{}
	case arg == types.Float4OID || arg == types.Float8OID:
		return &floatSum{narrow: arg == types.Float4OID && sumType == types.Float4OID}
	case sumType == types.Int8OID:
		return &intSum{}
	}
	return &bigSum{}
}

// summing is sum: NULL over nothing.
type summing struct {
	adder
	seen bool
}

func (s *summing) Add(ctx *Context, a []types.Value) error {
	if a[0].IsNull() {
		return nil
	}
	s.seen = true
	return s.add(ctx, a[0])
}

func (s *summing) Result(*Context) (types.Value, error) {
	if !s.seen {
		return types.Null, nil
	}
	return s.sum()
}

// averaging is avg; merged, its input are sums and counts of shards.
type averaging struct {
	adder
	n      int64
	merged bool
}

func (g *averaging) Add(ctx *Context, a []types.Value) error {
	if a[0].IsNull() {
		return nil
	}
	if g.merged {
		g.n += a[1].AsInt()
	} else {
		g.n++
	}
	return g.add(ctx, a[0])
}

func (g *averaging) Result(*Context) (types.Value, error) {
	if g.n == 0 {
		return types.Null, nil
	}
	switch s := g.adder.(type) {
	case *vectorSum:
		return s.scaled(1 / float64(g.n))
	case *intervalSum:
		return divInterval(s.total, float64(g.n))
	case *floatSum:
		return types.Float(s.total / float64(g.n)), nil
	case *bigSum:
		d, err := divNumeric(s.decimal(), apd.New(g.n, 0))
		if err != nil {
			return types.Null, err
		}
		return types.CheckNumeric(d)
	}
	return types.Null, types.Errorf("XX000", "avg of an unexpected kind")
}

func sumAggregates() map[string]aggFunc {
	return map[string]aggFunc{
		"sum": func(fn *Func) *Aggregate {
			arg := fn.Args[0]
			return &Aggregate{
				Func: fn, SkipsNull: true,
				New: func([]types.Type) Accumulator { return &summing{adder: newAdder(arg, fn.Ret)} },
				Split: &Split{Partials: []string{"sum"}, Merge: func([]types.Type) Accumulator {
					return &summing{adder: newAdder(fn.Ret, fn.Ret)}
				}},
			}
		},
		"avg": func(fn *Func) *Aggregate {
			arg := fn.Args[0]
			sumType := types.NumericOID
			if arg == types.VectorOID || arg == types.IntervalOID || arg == types.Float8OID || arg == types.Float4OID {
				sumType = fn.Ret
			}
			// A shard's sum of float4 would be rounded to float4; it sends the float8 pieces of its variance instead.
			partials := []string{"sum", "count"}
			if arg == types.Float4OID {
				return &Aggregate{Func: fn, SkipsNull: true, New: func([]types.Type) Accumulator {
					return &averaging{adder: newAdder(arg, sumType)}
				}, Split: &Split{Partials: []string{"avg", "count"}, Merge: func([]types.Type) Accumulator { return &averageOfAverages{} }}}
			}
			return &Aggregate{
				Func: fn, SkipsNull: true,
				New: func([]types.Type) Accumulator { return &averaging{adder: newAdder(arg, sumType)} },
				Split: &Split{Partials: partials, Merge: func([]types.Type) Accumulator {
					return &averaging{adder: newAdder(sumType, sumType), merged: true}
				}},
			}
		},
	}
}

// averageOfAverages weighs shards' averages by their counts.
type averageOfAverages struct {
	sum float64
	n   int64
}

func (g *averageOfAverages) Add(_ *Context, a []types.Value) error {
	if !a[0].IsNull() {
		g.sum += a[0].AsFloat() * float64(a[1].AsInt())
		g.n += a[1].AsInt()
	}
	return nil
}

func (g *averageOfAverages) Result(*Context) (types.Value, error) {
	if g.n == 0 {
		return types.Null, nil
	}
	return types.Float(g.sum / float64(g.n)), nil
}
