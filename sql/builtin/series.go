package builtin

import (
	"iter"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/heliosdb/helios/types"
)

func seriesFuncs() map[string]evalSetFunc {
	m := map[string]evalSetFunc{
		"generate_series(numeric,numeric)": numericSeries, "generate_series(numeric,numeric,numeric)": numericSeries,
		"generate_series(timestamp,timestamp,interval)": func(_ *Context, a []types.Value) (iter.Seq2[types.Row, error], error) {
			return timeSeries(a, func(ts types.Value) (types.Value, error) { return addInterval(ts, a[2], 1) })
		},
		"generate_series(timestamptz,timestamptz,interval)": func(ctx *Context, a []types.Value) (iter.Seq2[types.Row, error], error) {
			return timeSeries(a, func(ts types.Value) (types.Value, error) { return addIntervalTZ(ctx, ts, a[2], 1) })
		},
		"generate_subscripts(anyarray,int4)": generateSubscripts, "generate_subscripts(anyarray,int4,bool)": generateSubscripts,
		"unnest(anyarray)": unnest,
	}
	for _, t := range []types.OID{types.Int4OID, types.Int8OID} {
		name := types.Lookup(t).Name
		m["generate_series("+name+","+name+")"] = intSeries
		m["generate_series("+name+","+name+","+name+")"] = intSeries
	}
	return m
}

var errStepZero = types.Errorf("22023", "step size cannot equal zero")

func intSeries(_ *Context, a []types.Value) (iter.Seq2[types.Row, error], error) {
	step := int64(1)
	if len(a) > 2 {
		step = a[2].AsInt()
	}
	if step == 0 {
		return nil, errStepZero
	}
	return func(yield func(types.Row, error) bool) {
		last := a[1].AsInt()
		for i := a[0].AsInt(); step > 0 && i <= last || step < 0 && i >= last; {
			if !yield(types.Row{types.Int(i)}, nil) {
				return
			}
			next := i + step
			if (next > i) != (step > 0) {
				return // past the end of the type
			}
			i = next
		}
	}, nil
}

func numericSeries(_ *Context, a []types.Value) (iter.Seq2[types.Row, error], error) {
	step := apd.New(1, 0)
	if len(a) > 2 {
		step = a[2].AsNumeric()
	}
	for i, what := range []string{"start value", "stop value", "step size"} {
		if i < len(a) && a[i].AsNumeric().Form != apd.Finite {
			if isNaN(a[i].AsNumeric()) {
				return nil, types.Errorf("22023", "%s cannot be NaN", what)
			}
			return nil, types.Errorf("22023", "%s cannot be infinity", what)
		}
	}
	if step.IsZero() {
		return nil, errStepZero
	}
	return func(yield func(types.Row, error) bool) {
		at, last := a[0].AsNumeric(), a[1].AsNumeric()
		for c := at.Cmp(last); !step.Negative && c <= 0 || step.Negative && c >= 0; c = at.Cmp(last) {
			v, err := types.CheckNumeric(at)
			if !yield(types.Row{v}, err) || err != nil {
				return
			}
			if at, err = addNumeric(at, step); err != nil {
				yield(nil, err)
				return
			}
		}
	}, nil
}

func timeSeries(a []types.Value, next func(types.Value) (types.Value, error)) (iter.Seq2[types.Row, error], error) {
	hi, lo := a[2].AsInterval().Span()
	if hi == 0 && lo == 0 {
		return nil, errStepZero
	}
	up := hi >= 0
	return func(yield func(types.Row, error) bool) {
		at, err := a[0], error(nil)
		for {
			if c := types.Compare(at, a[1]); up && c > 0 || !up && c < 0 {
				return
			}
			if !yield(types.Row{at}, nil) || types.IsInfinite(at) {
				return
			}
			if at, err = next(at); err != nil {
				yield(nil, err)
				return
			}
		}
	}, nil
}

func generateSubscripts(_ *Context, a []types.Value) (iter.Seq2[types.Row, error], error) {
	array, d := a[0].AsArray(), a[1].AsInt()
	if d < 1 || d > int64(len(array.Dims)) {
		return func(func(types.Row, error) bool) {}, nil
	}
	low, high, step := array.Lower[d-1], array.Lower[d-1]+array.Dims[d-1]-1, 1
	if len(a) > 2 && a[2].AsBool() {
		low, high, step = high, low, -1
	}
	return intSeries(nil, []types.Value{types.Int(int64(low)), types.Int(int64(high)), types.Int(int64(step))})
}

func unnest(_ *Context, a []types.Value) (iter.Seq2[types.Row, error], error) {
	return func(yield func(types.Row, error) bool) {
		for _, e := range a[0].AsArray().Elems {
			if !yield(types.Row{e}, nil) {
				return
			}
		}
	}, nil
}

// eachText yields texts as rows.
func eachText(parts []string) iter.Seq2[types.Row, error] {
	return func(yield func(types.Row, error) bool) {
		for _, p := range parts {
			if !yield(types.Row{types.Text(p)}, nil) {
				return
			}
		}
	}
}

// textSetFuncs are the functions that split text into rows.
func textSetFuncs() map[string]evalSetFunc {
	split := func(_ *Context, a []types.Value) (iter.Seq2[types.Row, error], error) {
		parts, err := regexpPieces(a, "regexp_split_to_table()")
		return eachText(parts), err
	}
	matches := func(_ *Context, a []types.Value) (iter.Seq2[types.Row, error], error) {
		flags := flagsOf(a, 2)
		re, err := compileRegexp(a[1].AsText(), flags)
		if err != nil {
			return nil, err
		}
		s, limit := a[0].AsText(), 1
		if strings.Contains(flags, "g") {
			limit = -1
		}
		return func(yield func(types.Row, error) bool) {
			for _, at := range re.FindAllStringSubmatchIndex(s, limit) {
				if !yield(types.Row{groups(s, at)}, nil) {
					return
				}
			}
		}, nil
	}
	toTable := func(_ *Context, a []types.Value) (iter.Seq2[types.Row, error], error) {
		var parts []types.Value
		if !a[0].IsNull() {
			parts = splitText(a)
		}
		return func(yield func(types.Row, error) bool) {
			for _, p := range parts {
				if !yield(types.Row{p}, nil) {
					return
				}
			}
		}, nil
	}
	return map[string]evalSetFunc{
		"regexp_split_to_table(text,text)": split, "regexp_split_to_table(text,text,text)": split,
		"regexp_matches(text,text)": matches, "regexp_matches(text,text,text)": matches,
		"string_to_table(text,text)": toTable, "string_to_table(text,text,text)": toTable,
	}
}
