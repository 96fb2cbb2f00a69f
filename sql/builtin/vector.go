package builtin

import (
	"math"

	"github.com/heliosdb/helios/distance"
	"github.com/heliosdb/helios/types"
)

// vectorFuncs are pgvector's, with its checks and error codes.
func vectorFuncs() map[string]evalFunc {
	metric := func(m distance.Metric, sign float64) evalFunc {
		return func(_ *Context, a []types.Value) (types.Value, error) {
			x, y := a[0].AsVector(), a[1].AsVector()
			if err := sameDims(x, y); err != nil {
				return types.Null, err
			}
			return types.Float(sign * m.Distance(x, y)), nil
		}
	}
	return map[string]evalFunc{
		"l2_distance": metric(distance.L2, 1), "l1_distance": metric(distance.L1, 1), "cosine_distance": metric(distance.Cosine, 1),
		"inner_product": vectorDot(1), "vector_negative_inner_product": vectorDot(-1),
		"vector_l2_squared_distance": metric(distance.L2Squared, 1),
		"vector_spherical_distance": func(_ *Context, a []types.Value) (types.Value, error) {
			x, y := a[0].AsVector(), a[1].AsVector()
			if err := sameDims(x, y); err != nil {
				return types.Null, err
			}
			return types.Float(math.Acos(min(max(float64(distance.Dot(x, y)), -1), 1)) / math.Pi), nil
		},
		"vector_dims":  plain(func(a []types.Value) types.Value { return types.Int(int64(len(a[0].AsVector()))) }),
		"vector_norm":  plain(func(a []types.Value) types.Value { return types.Float(vectorNorm(a[0].AsVector())) }),
		"l2_normalize": func(_ *Context, a []types.Value) (types.Value, error) { return normalizeVector(a[0].AsVector()) },
		"vector_add":   elementwise(func(x, y float32) float32 { return x + y }),
		"vector_sub":   elementwise(func(x, y float32) float32 { return x - y }),
		"vector_mul":   mulVectors,
		"vector_concat": func(_ *Context, a []types.Value) (types.Value, error) {
			x, y := a[0].AsVector(), a[1].AsVector()
			out := append(append(make([]float32, 0, len(x)+len(y)), x...), y...)
			return types.Vector(out), types.CheckVector(out)
		},
		"subvector": subvector,
		"binary_quantize": plain(func(a []types.Value) types.Value {
			out := make([]byte, len(a[0].AsVector()))
			for i, x := range a[0].AsVector() {
				out[i] = '0'
				if x > 0 {
					out[i] = '1'
				}
			}
			return types.Text(string(out))
		}),
		"hamming_distance": bitDistance(func(both, either, differ int) float64 { return float64(differ) }),
		"jaccard_distance": bitDistance(func(both, either, differ int) float64 {
			if both == 0 {
				return 1
			}
			return 1 - float64(both)/float64(either)
		}),
	}
}

func sameDims(x, y []float32) error {
	if len(x) != len(y) {
		return types.Errorf("22000", "different vector dimensions %d and %d", len(x), len(y))
	}
	return nil
}

func vectorDot(sign float64) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		x, y := a[0].AsVector(), a[1].AsVector()
		if err := sameDims(x, y); err != nil {
			return types.Null, err
		}
		return types.Float(sign * float64(distance.Dot(x, y))), nil
	}
}

// vectorNorm sums in float64, as pgvector's vector_norm does.
func vectorNorm(x []float32) float64 {
	sum := 0.0
	for _, e := range x {
		sum += float64(e) * float64(e)
	}
	return math.Sqrt(sum)
}

// normalizeVector divides by the norm; a zero vector stays as it is.
func normalizeVector(x []float32) (types.Value, error) {
	norm := vectorNorm(x)
	out := make([]float32, len(x))
	if norm > 0 {
		for i, e := range x {
			if out[i] = float32(float64(e) / norm); math.IsInf(float64(out[i]), 0) {
				return types.Null, errOverflow
			}
		}
	}
	return types.Vector(out), nil
}

func elementwise(f func(x, y float32) float32) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		x, y := a[0].AsVector(), a[1].AsVector()
		if err := sameDims(x, y); err != nil {
			return types.Null, err
		}
		out := make([]float32, len(x))
		for i := range x {
			if out[i] = f(x[i], y[i]); math.IsInf(float64(out[i]), 0) {
				return types.Null, errOverflow
			}
		}
		return types.Vector(out), nil
	}
}

func mulVectors(ctx *Context, a []types.Value) (types.Value, error) {
	v, err := elementwise(func(x, y float32) float32 { return x * y })(ctx, a)
	if err != nil {
		return types.Null, err
	}
	for i, e := range v.AsVector() {
		if e == 0 && a[0].AsVector()[i] != 0 && a[1].AsVector()[i] != 0 {
			return types.Null, errUnderflow
		}
	}
	return v, nil
}

// subvector gives count elements from start, counted from 1; what lies outside does not count.
func subvector(_ *Context, a []types.Value) (types.Value, error) {
	x, start, count := a[0].AsVector(), a[1].AsInt(), a[2].AsInt()
	if count < 1 {
		return types.Null, types.CheckVector(nil)
	}
	end := min(start+count, int64(len(x))+1)
	start = max(start, 1)
	if start > int64(len(x)) || end <= start {
		return types.Null, types.CheckVector(nil)
	}
	return types.Vector(x[start-1 : end-1]), nil
}

func bitDistance(f func(both, either, differ int) float64) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		x, y := a[0].AsText(), a[1].AsText()
		if len(x) != len(y) {
			return types.Null, types.Errorf("22000", "different bit lengths %d and %d", len(x), len(y))
		}
		both, either, differ := 0, 0, 0
		for i := range len(x) {
			one, two := x[i] == '1', y[i] == '1'
			if one && two {
				both++
			}
			if one || two {
				either++
			}
			if one != two {
				differ++
			}
		}
		return types.Float(f(both, either, differ)), nil
	}
}
