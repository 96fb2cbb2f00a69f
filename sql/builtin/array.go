package builtin

import (
	"slices"
	"strings"

	"github.com/heliosdb/helios/types"
)

func arrayFuncs() map[string]evalFunc {
	equal := func(a, b types.Value) bool {
		return a.IsNull() && b.IsNull() || !a.IsNull() && !b.IsNull() && types.Equal(a, b)
	}
	dimension := func(f func(a *types.Array, d int) int) evalFunc {
		return plain(func(a []types.Value) types.Value {
			array, d := a[0].AsArray(), a[1].AsInt()
			if d < 1 || d > int64(len(array.Dims)) || len(array.Elems) == 0 {
				return types.Null
			}
			return types.Int(int64(f(array, int(d-1))))
		})
	}
	return map[string]evalFunc{
		"array_length": dimension(func(a *types.Array, d int) int { return a.Dims[d] }),
		"array_lower":  dimension(func(a *types.Array, d int) int { return a.Lower[d] }),
		"array_upper":  dimension(func(a *types.Array, d int) int { return a.Lower[d] + a.Dims[d] - 1 }),
		"cardinality":  plain(func(a []types.Value) types.Value { return types.Int(int64(a[0].AsArray().Size())) }),
		"array_ndims": plain(func(a []types.Value) types.Value {
			if a[0].AsArray().Size() == 0 {
				return types.Null
			}
			return types.Int(int64(len(a[0].AsArray().Dims)))
		}),
		"array_dims": arrayDims,
		"array_cat":  func(_ *Context, a []types.Value) (types.Value, error) { return arrayCat(a[0], a[1]) },
		"array_remove": func(_ *Context, a []types.Value) (types.Value, error) {
			if a[0].IsNull() {
				return types.Null, nil
			}
			array := a[0].AsArray()
			if len(array.Dims) > 1 {
				return types.Null, types.Errorf("0A000", "removing elements from multidimensional arrays is not supported")
			}
			kept := slices.DeleteFunc(slices.Clone(array.Elems), func(e types.Value) bool { return equal(e, a[1]) })
			return types.NewArray(array.Elem, kept), nil
		},
		"array_replace": func(_ *Context, a []types.Value) (types.Value, error) {
			if a[0].IsNull() {
				return types.Null, nil
			}
			next := *a[0].AsArray()
			next.Elems = slices.Clone(next.Elems)
			for i, e := range next.Elems {
				if equal(e, a[1]) {
					next.Elems[i] = a[2]
				}
			}
			return types.ArrayValue(&next), nil
		},
		"array_position(anycompatiblearray,anycompatible)":      arrayPosition,
		"array_position(anycompatiblearray,anycompatible,int4)": arrayPosition,
		"array_positions":                arrayPositions,
		"array_to_string(anyarray,text)": arrayToString, "array_to_string(anyarray,text,text)": arrayToString,
		"string_to_array(text,text)": stringToArray, "string_to_array(text,text,text)": stringToArray,
		"trim_array":     trimArray,
		"arraycontains":  arrayTest(func(x, y []types.Value) bool { return containsAll(x, y) }),
		"arraycontained": arrayTest(func(x, y []types.Value) bool { return containsAll(y, x) }),
		"arrayoverlap": arrayTest(func(x, y []types.Value) bool {
			return slices.ContainsFunc(y, func(e types.Value) bool { return has(x, e) })
		}),
		"oidvectortypes": func(ctx *Context, a []types.Value) (types.Value, error) {
			var names []string
			for _, e := range a[0].AsArray().Elems {
				names = append(names, ctx.typeName(types.T(types.OID(e.AsInt()))))
			}
			return types.Text(strings.Join(names, ", ")), nil
		},
	}
}

func has(list []types.Value, v types.Value) bool {
	return !v.IsNull() && slices.ContainsFunc(list, func(e types.Value) bool { return !e.IsNull() && types.Equal(e, v) })
}

func containsAll(x, y []types.Value) bool {
	return !slices.ContainsFunc(y, func(e types.Value) bool { return !has(x, e) })
}

func arrayTest(test func(x, y []types.Value) bool) evalFunc {
	return plain(func(a []types.Value) types.Value {
		return types.Bool(test(a[0].AsArray().Elems, a[1].AsArray().Elems))
	})
}

func arrayDims(_ *Context, a []types.Value) (types.Value, error) {
	array := a[0].AsArray()
	if array.Size() == 0 {
		return types.Null, nil
	}
	var b strings.Builder
	for i, n := range array.Dims {
		b.WriteString("[" + intText(int64(array.Lower[i])) + ":" + intText(int64(array.Lower[i]+n-1)) + "]")
	}
	return types.Text(b.String()), nil
}

func intText(n int64) string { return types.ToText(types.T(types.Int8OID), types.Int(n)) }

// emptyLike gives the array behind v, an empty one for NULL.
func emptyLike(v types.Value, elem types.OID) *types.Array {
	if v.IsNull() {
		return &types.Array{Elem: elem}
	}
	return v.AsArray()
}

var errArrayAppend = types.Errorf("22000", "argument must be empty or one-dimensional array")

// typedArrayFuncs must know their element type, since the array may be NULL.
func typedArrayFuncs() map[string]typedFunc {
	fill := func(args []types.OID, _ bool) evalFunc {
		return func(_ *Context, a []types.Value) (types.Value, error) { return arrayFill(args[0], a) }
	}
	return map[string]typedFunc{
		"array_append": func(args []types.OID, _ bool) evalFunc {
			return func(_ *Context, a []types.Value) (types.Value, error) { return arrayAppend(args[1], a[0], a[1]) }
		},
		"array_prepend": func(args []types.OID, _ bool) evalFunc {
			return func(_ *Context, a []types.Value) (types.Value, error) { return arrayPrepend(args[0], a[0], a[1]) }
		},
		"array_fill(anyelement,_int4)": fill, "array_fill(anyelement,_int4,_int4)": fill,
	}
}

func arrayAppend(elem types.OID, array, v types.Value) (types.Value, error) {
	a := emptyLike(array, elem)
	if len(a.Dims) > 1 {
		return types.Null, errArrayAppend
	}
	next := &types.Array{Elem: a.Elem, Elems: append(slices.Clone(a.Elems), v), Dims: []int{len(a.Elems) + 1}, Lower: []int{1}}
	if len(a.Lower) == 1 {
		next.Lower = a.Lower
	}
	return types.ArrayValue(next), checkSize(int64(len(next.Elems)))
}

func arrayPrepend(elem types.OID, v, array types.Value) (types.Value, error) {
	a := emptyLike(array, elem)
	if len(a.Dims) > 1 {
		return types.Null, errArrayAppend
	}
	next := &types.Array{Elem: a.Elem, Elems: slices.Insert(slices.Clone(a.Elems), 0, v), Dims: []int{len(a.Elems) + 1}, Lower: []int{1}}
	if len(a.Lower) == 1 {
		next.Lower = a.Lower
	}
	return types.ArrayValue(next), checkSize(int64(len(next.Elems)))
}

// arrayCat joins arrays of equal shape along the first dimension, or adds an array of
// one dimension less as a member.
func arrayCat(x, y types.Value) (types.Value, error) {
	switch {
	case x.IsNull() || !y.IsNull() && x.AsArray().Size() == 0:
		return y, nil
	case y.IsNull() || y.AsArray().Size() == 0:
		return x, nil
	}
	a, b := x.AsArray(), y.AsArray()
	next := &types.Array{Elem: a.Elem, Elems: slices.Concat(a.Elems, b.Elems)}
	na, nb := len(a.Dims), len(b.Dims)
	switch {
	case na == nb && slices.Equal(a.Dims[1:], b.Dims[1:]):
		next.Dims, next.Lower = slices.Clone(a.Dims), a.Lower
		next.Dims[0] += b.Dims[0]
	case na == nb+1 && slices.Equal(a.Dims[1:], b.Dims):
		next.Dims, next.Lower = slices.Clone(a.Dims), a.Lower
		next.Dims[0]++
	case nb == na+1 && slices.Equal(b.Dims[1:], a.Dims):
		next.Dims, next.Lower = slices.Clone(b.Dims), b.Lower
		next.Dims[0]++
	case na != nb && na != nb+1 && nb != na+1:
		return types.Null, types.Errorf("2202E", "cannot concatenate incompatible arrays").
			WithDetail("Arrays of %d and %d dimensions are not compatible for concatenation.", na, nb)
	default:
		return types.Null, types.Errorf("2202E", "cannot concatenate incompatible arrays").
			WithDetail("Arrays with differing element dimensions are not compatible for concatenation.")
	}
	return types.ArrayValue(next), checkSize(int64(len(next.Elems)))
}

func arrayPosition(_ *Context, a []types.Value) (types.Value, error) {
	if a[0].IsNull() || len(a) > 2 && a[2].IsNull() {
		if !a[0].IsNull() {
			return types.Null, types.Errorf("22004", "initial position must not be null")
		}
		return types.Null, nil
	}
	array := a[0].AsArray()
	if len(array.Dims) > 1 {
		return types.Null, types.Errorf("0A000", "searching for elements in multidimensional arrays is not supported")
	}
	for i, e := range array.Elems {
		at := int64(array.Lower[0] + i)
		if len(a) > 2 && at < a[2].AsInt() {
			continue
		}
		if e.IsNull() && a[1].IsNull() || !e.IsNull() && !a[1].IsNull() && types.Equal(e, a[1]) {
			return types.Int(at), nil
		}
	}
	return types.Null, nil
}

func arrayPositions(_ *Context, a []types.Value) (types.Value, error) {
	if a[0].IsNull() {
		return types.Null, nil
	}
	array := a[0].AsArray()
	if len(array.Dims) > 1 {
		return types.Null, types.Errorf("0A000", "searching for elements in multidimensional arrays is not supported")
	}
	var out []types.Value
	for i, e := range array.Elems {
		if e.IsNull() && a[1].IsNull() || !e.IsNull() && !a[1].IsNull() && types.Equal(e, a[1]) {
			out = append(out, types.Int(int64(array.Lower[0]+i)))
		}
	}
	return types.NewArray(types.Int4OID, out), nil
}

func arrayToString(ctx *Context, a []types.Value) (types.Value, error) {
	if a[0].IsNull() || a[1].IsNull() {
		return types.Null, nil
	}
	array := a[0].AsArray()
	var parts []string
	for _, e := range array.Elems {
		switch {
		case !e.IsNull():
			parts = append(parts, ctx.Output(types.T(array.Elem), e))
		case len(a) > 2 && !a[2].IsNull():
			parts = append(parts, a[2].AsText())
		}
	}
	out := strings.Join(parts, a[1].AsText())
	return types.Text(out), checkSize(int64(len(out)))
}

// splitText is string_to_array's rule: a NULL separator splits into characters, an
// empty one not at all.
func splitText(a []types.Value) []types.Value {
	s := a[0].AsText()
	if s == "" {
		return nil
	}
	parts := []string{s}
	if a[1].IsNull() {
		parts = strings.Split(s, "")
	} else if by := a[1].AsText(); by != "" {
		parts = strings.Split(s, by)
	}
	out := make([]types.Value, len(parts))
	for i, p := range parts {
		if len(a) > 2 && !a[2].IsNull() && a[2].AsText() == p {
			continue
		}
		out[i] = types.Text(p)
	}
	return out
}

func stringToArray(_ *Context, a []types.Value) (types.Value, error) {
	if a[0].IsNull() {
		return types.Null, nil
	}
	return types.NewArray(types.TextOID, splitText(a)), nil
}

func arrayFill(elem types.OID, a []types.Value) (types.Value, error) {
	if len(a) > 2 && a[2].IsNull() || a[1].IsNull() {
		return types.Null, types.Errorf("22004", "dimension array or low bound array cannot be null")
	}
	next, size := &types.Array{Elem: elem}, int64(1)
	for i, d := range a[1].AsArray().Elems {
		if d.IsNull() {
			return types.Null, types.Errorf("22004", "dimension values cannot be null")
		}
		size *= max(0, d.AsInt())
		low := int64(1)
		if len(a) > 2 && i < a[2].AsArray().Size() {
			low = a[2].AsArray().Elems[i].AsInt()
		}
		next.Dims, next.Lower = append(next.Dims, int(d.AsInt())), append(next.Lower, int(low))
		if err := checkSize(size); err != nil || len(next.Dims) > 6 {
			return types.Null, types.Errorf("54000", "array size exceeds the maximum allowed (134217727)")
		}
	}
	if size == 0 || len(next.Dims) == 0 {
		return types.NewArray(next.Elem, nil), nil
	}
	next.Elems = slices.Repeat([]types.Value{a[0]}, int(size))
	return types.ArrayValue(next), nil
}

func trimArray(_ *Context, a []types.Value) (types.Value, error) {
	array, n := a[0].AsArray(), a[1].AsInt()
	first := 0
	if len(array.Dims) > 0 {
		first = array.Dims[0]
	}
	if n < 0 || n > int64(first) {
		return types.Null, types.Errorf("2202E", "number of elements to trim must be between 0 and %d", first)
	}
	if first == int(n) {
		return types.NewArray(array.Elem, nil), nil
	}
	next := *array
	next.Dims = slices.Clone(array.Dims)
	next.Dims[0] -= int(n)
	next.Elems = array.Elems[:len(array.Elems)/first*next.Dims[0]]
	return types.ArrayValue(&next), nil
}
