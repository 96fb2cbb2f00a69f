package builtin

import (
	"math"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/heliosdb/helios/types"
)

// floatMoments are count, sum and sum of squared deviations of floats, updated as
// Youngs and Cramer do (PostgreSQL's float8_accum).
type floatMoments struct {
	n, sum, squares float64
}

func (m *floatMoments) add(x float64) error {
	n, sum := m.n+1, m.sum+x
	if m.n > 0 {
		deviation := x*n - sum
		m.squares += deviation * deviation / (n * m.n)
		if isInf(sum) || isInf(m.squares) {
			if !isInf(m.sum) && !isInf(x) {
				return errOverflow
			}
			m.squares = math.NaN()
		}
	} else if math.IsNaN(x) || isInf(x) {
		m.squares = math.NaN()
	}
	m.n, m.sum = n, sum
	return nil
}

// merge joins another shard's moments (float8_combine).
func (m *floatMoments) merge(o floatMoments) {
	switch {
	case o.n == 0:
		return
	case m.n == 0:
		*m = o
		return
	}
	difference := m.sum/m.n - o.sum/o.n
	n := m.n + o.n
	m.squares += o.squares + m.n*o.n*difference*difference/n
	m.n, m.sum = n, m.sum+o.sum
}

// varianceOf says which of the family a function is.
type varianceOf struct{ population, root bool }

func varianceKind(name string) varianceOf {
	return varianceOf{population: strings.HasSuffix(name, "_pop"), root: strings.HasPrefix(name, "stddev")}
}

func (k varianceOf) float(m *floatMoments) types.Value {
	divisor := m.n
	if !k.population {
		divisor--
	}
	if divisor <= 0 {
		return types.Null
	}
	variance := m.squares / divisor
	if k.root {
		variance = math.Sqrt(variance)
	}
	return types.Float(variance)
}

// floatVariance is variance and stddev over floats; merged, over (avg, count, var_pop) of shards.
type floatVariance struct {
	floatMoments
	kind   varianceOf
	merged bool
}

func (f *floatVariance) Add(_ *Context, a []types.Value) error {
	switch {
	case a[0].IsNull():
		return nil
	case !f.merged:
		return f.add(a[0].AsFloat())
	}
	n := float64(a[1].AsInt())
	f.merge(floatMoments{n, a[0].AsFloat() * n, a[2].AsFloat() * n})
	return nil
}

func (f *floatVariance) Result(*Context) (types.Value, error) {
	return f.kind.float(&f.floatMoments), nil
}

// exactVariance is variance and stddev over integers and numerics: N·Σx² − (Σx)².
type exactVariance struct {
	n            int64
	sum, squares bigSum
	kind         varianceOf
}

func (e *exactVariance) Add(ctx *Context, a []types.Value) error {
	if a[0].IsNull() {
		return nil
	}
	e.n++
	d := a[0]
	if d.Kind() == types.KindInt {
		d = types.NumericInt(d.AsInt())
	}
	square, err := mulNumeric(d.AsNumeric(), d.AsNumeric())
	if err != nil {
		return err
	}
	if err := e.sum.add(ctx, d); err != nil {
		return err
	}
	return e.squares.add(ctx, types.Numeric(square))
}

func (e *exactVariance) Result(*Context) (types.Value, error) {
	divisor := e.n
	if !e.kind.population {
		divisor--
	}
	if divisor <= 0 {
		return types.Null, nil
	}
	sum, squares := e.sum.decimal(), e.squares.decimal()
	if sum.Form != apd.Finite || squares.Form != apd.Finite {
		return types.CheckNumeric(numericNaN)
	}
	count := apd.New(e.n, 0)
	a, _ := mulNumeric(count, squares)
	b, _ := mulNumeric(sum, sum)
	numerator, _ := subNumeric(a, b)
	if numerator.Negative || numerator.IsZero() {
		return types.NumericInt(0), nil
	}
	var denominator *apd.Decimal
	if wide, ok := mulInt64(e.n, divisor); ok {
		denominator = apd.New(wide, 0)
	} else {
		denominator, _ = mulNumeric(count, apd.New(divisor, 0))
	}
	variance, err := divNumeric(numerator, denominator)
	if err == nil && e.kind.root {
		variance, err = sqrtNumeric(variance)
	}
	if err != nil {
		return types.Null, err
	}
	return types.CheckNumeric(variance)
}

func momentAggregates() map[string]aggFunc {
	m := make(map[string]aggFunc)
	for _, name := range []string{"variance", "var_samp", "var_pop", "stddev", "stddev_samp", "stddev_pop"} {
		kind := varianceKind(name)
		m[name] = func(fn *Func) *Aggregate {
			if fn.Args[0] == types.Float4OID || fn.Args[0] == types.Float8OID {
				return &Aggregate{
					Func: fn, SkipsNull: true,
					New: func([]types.Type) Accumulator { return &floatVariance{kind: kind} },
					Split: &Split{Partials: []string{"avg", "count", "var_pop"}, Merge: func([]types.Type) Accumulator {
						return &floatVariance{kind: kind, merged: true}
					}},
				}
			}
			return &Aggregate{Func: fn, SkipsNull: true, New: func([]types.Type) Accumulator {
				return &exactVariance{kind: kind}
			}}
		}
	}
	for _, name := range []string{
		"regr_count", "regr_sxx", "regr_syy", "regr_sxy", "regr_avgx", "regr_avgy",
		"regr_r2", "regr_slope", "regr_intercept", "covar_pop", "covar_samp", "corr",
	} {
		m[name] = func(fn *Func) *Aggregate {
			return &Aggregate{Func: fn, SkipsNull: true, New: func([]types.Type) Accumulator { return &regression{name: name} }}
		}
	}
	return m
}

// regression is the family of two-argument statistics (y, x).
type regression struct {
	name          string
	n, sx, sy     float64
	sxx, syy, sxy float64
}

func (r *regression) Add(_ *Context, a []types.Value) error {
	if a[0].IsNull() || a[1].IsNull() {
		return nil
	}
	y, x := a[0].AsFloat(), a[1].AsFloat()
	before := r.n
	r.n++
	r.sx += x
	r.sy += y
	if before > 0 {
		dx, dy := x*r.n-r.sx, y*r.n-r.sy
		scale := 1 / (r.n * before)
		r.sxx += dx * dx * scale
		r.syy += dy * dy * scale
		r.sxy += dx * dy * scale
	}
	return nil
}

func (r *regression) Result(*Context) (types.Value, error) {
	if r.name == "regr_count" {
		return types.Int(int64(r.n)), nil
	}
	if r.n < 1 || r.name == "covar_samp" && r.n < 2 {
		return types.Null, nil
	}
	switch r.name {
	case "regr_sxx":
		return types.Float(r.sxx), nil
	case "regr_syy":
		return types.Float(r.syy), nil
	case "regr_sxy":
		return types.Float(r.sxy), nil
	case "regr_avgx":
		return types.Float(r.sx / r.n), nil
	case "regr_avgy":
		return types.Float(r.sy / r.n), nil
	case "covar_pop":
		return types.Float(r.sxy / r.n), nil
	case "covar_samp":
		return types.Float(r.sxy / (r.n - 1)), nil
	}
	return r.fit(), nil
}

// fit gives what needs a spread in x: NULL without one.
func (r *regression) fit() types.Value {
	switch {
	case r.sxx == 0, r.name == "corr" && r.syy == 0:
		return types.Null
	case r.name == "corr":
		return types.Float(r.sxy / math.Sqrt(r.sxx*r.syy))
	case r.name == "regr_r2" && r.syy == 0:
		return types.Float(1)
	case r.name == "regr_r2":
		return types.Float(r.sxy * r.sxy / (r.sxx * r.syy))
	case r.name == "regr_slope":
		return types.Float(r.sxy / r.sxx)
	}
	return types.Float((r.sy - r.sx*r.sxy/r.sxx) / r.n)
}
