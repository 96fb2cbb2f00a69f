package builtin

import (
	"math"

	"github.com/heliosdb/helios/types"
)

// orderedAggregates are the ordered-set aggregates. The caller feeds rows in the order
// of WITHIN GROUP: the direct argument first (percentiles), then the sorted value.
func orderedAggregates() map[string]aggFunc {
	ordered := func(result func(ctx *Context, fraction types.Value, sorted []types.Value) (types.Value, error)) aggFunc {
		return func(fn *Func) *Aggregate {
			return &Aggregate{Func: fn, Ordered: true, New: func([]types.Type) Accumulator {
				var sorted []types.Value
				var fraction types.Value
				return &accumulate{
					add: func(_ *Context, a []types.Value) error {
						if fraction = a[0]; !a[len(a)-1].IsNull() {
							sorted = append(sorted, a[len(a)-1])
						}
						return nil
					},
					result: func(ctx *Context) (types.Value, error) {
						if len(sorted) == 0 || fraction.IsNull() {
							return types.Null, nil
						}
						return result(ctx, fraction, sorted)
					},
				}
			}}
		}
	}
	return map[string]aggFunc{
		"percentile_disc(float8,anyelement)": ordered(func(_ *Context, f types.Value, sorted []types.Value) (types.Value, error) {
			if err := checkPercentile(f.AsFloat()); err != nil {
				return types.Null, err
			}
			return sorted[max(0, int(math.Ceil(f.AsFloat()*float64(len(sorted))))-1)], nil
		}),
		"percentile_cont(float8,float8)": ordered(func(_ *Context, f types.Value, sorted []types.Value) (types.Value, error) {
			low, high, weight, err := between(f.AsFloat(), sorted)
			return types.Float(low.AsFloat() + weight*(high.AsFloat()-low.AsFloat())), err
		}),
		"percentile_cont(float8,interval)": ordered(percentileInterval),
		"mode": ordered(func(_ *Context, _ types.Value, sorted []types.Value) (types.Value, error) {
			best, most, run := sorted[0], 0, 0
			for i, v := range sorted {
				if run++; i > 0 && !types.Equal(v, sorted[i-1]) {
					run = 1
				}
				if run > most {
					best, most = v, run
				}
			}
			return best, nil
		}),
	}
}

func checkPercentile(f float64) error {
	if f < 0 || f > 1 || math.IsNaN(f) {
		return types.Errorf("22003", "percentile value %g is not between 0 and 1", f)
	}
	return nil
}

// between finds the two sorted values around a fraction, and how far to go from the first to the second.
func between(f float64, sorted []types.Value) (low, high types.Value, weight float64, err error) {
	if err := checkPercentile(f); err != nil {
		return types.Float(0), types.Float(0), 0, err
	}
	at := f * float64(len(sorted)-1)
	i := int(math.Floor(at))
	return sorted[i], sorted[min(i+1, len(sorted)-1)], at - float64(i), nil
}

func percentileInterval(_ *Context, f types.Value, sorted []types.Value) (types.Value, error) {
	low, high, weight, err := between(f.AsFloat(), sorted)
	if err != nil {
		return types.Null, err
	}
	minus, err := negInterval(low.AsInterval())
	if err != nil {
		return types.Null, err
	}
	diff, err := addIntervals(high.AsInterval(), minus)
	if err != nil {
		return types.Null, err
	}
	part, err := mulInterval(diff, weight)
	if err != nil {
		return types.Null, err
	}
	sum, err := addIntervals(low.AsInterval(), part.AsInterval())
	return types.IntervalValue(sum), err
}
