package exec

import (
	"slices"
	"sync/atomic"

	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// compileAnyAll is left op ANY (array) or ALL (array) in three-valued logic.
func (env *Env) compileAnyAll(e *plan.AnyAll) (evaluator, error) {
	left, err := env.compile(e.Left)
	if err != nil {
		return nil, err
	}
	array, err := env.compile(e.Array)
	if err != nil {
		return nil, err
	}
	fn, all := e.Fn, e.All
	if fn.Eval == nil {
		return nil, types.Errorf("0A000", "operator %s is not supported for these types", e.Op)
	}
	each := compareEach(fn, all, left, array)
	if !env.run.once && plan.OneValue(e.Array) && comparesKeys(e) {
		return inSet(all, left, array, each), nil
	}
	return each, nil
}

// compareEach compares with one element after the other.
func compareEach(fn *builtin.Func, all bool, left, array evaluator) evaluator {
	return func(env *Env, row types.Row) (types.Value, error) {
		l, err := left(env, row)
		if err != nil {
			return types.Null, err
		}
		a, err := array(env, row)
		if err != nil || a.IsNull() {
			return types.Null, err
		}
		result := types.Bool(all)
		for _, r := range a.AsArray().Elems {
			if fn.Strict && (l.IsNull() || r.IsNull()) {
				result = types.Null
				continue
			}
			v, err := fn.Eval(env.Builtin, []types.Value{l, r})
			if err != nil {
				return types.Null, err
			}
			if v.IsNull() {
				result = types.Null
			} else if v.AsBool() != all {
				return types.Bool(!all), nil
			}
		}
		return result, nil
	}
}

// comparesKeys tells whether equal elements have equal keys: = ANY or <> ALL of two
// values of one type.
func comparesKeys(e *plan.AnyAll) bool {
	op := e.Op == "=" && !e.All || e.Op == "<>" && e.All
	return op && types.ElemOf(e.Array.Type().OID) == e.Left.Type().OID
}

// elemSet is [NOT] IN over an array that stays the same throughout a run; elems is nil
// for one that is NULL or short.
type elemSet struct {
	elems map[string]struct{}
	null  bool
}

// minSet is from how many elements on a hash table serves IN.
const minSet = 8

func newElemSet(array types.Value) *elemSet {
	s := &elemSet{}
	if array.IsNull() || len(array.AsArray().Elems) < minSet {
		return s
	}
	s.elems = make(map[string]struct{}, len(array.AsArray().Elems))
	for _, v := range array.AsArray().Elems {
		if v.IsNull() {
			s.null = true
			continue
		}
		s.elems[string(types.AppendKey(nil, v, false, false))] = struct{}{}
	}
	return s
}

// inSet looks elements up in a hash table, made when the array is first asked for.
func inSet(not bool, left, array, each evaluator) evaluator {
	var known atomic.Pointer[elemSet]
	return func(env *Env, row types.Row) (types.Value, error) {
		s := known.Load()
		if s == nil {
			a, err := array(env, row)
			if err != nil {
				return types.Null, err
			}
			s = newElemSet(a)
			known.Store(s)
		}
		if s.elems == nil {
			return each(env, row)
		}
		v, err := left(env, row)
		if err != nil || v.IsNull() {
			return types.Null, err
		}
		var room [64]byte
		_, found := s.elems[string(types.AppendKey(room[:0], v, false, false))]
		if !found && s.null {
			return types.Null, nil
		}
		return types.Bool(found != not), nil
	}
}

func (env *Env) compileArray(e *plan.ArrayExpr) (evaluator, error) {
	elems, err := env.compileAll(e.Elems)
	if err != nil {
		return nil, err
	}
	elem := types.ElemOf(e.Typ.OID)
	nested := e.Nested
	return func(env *Env, row types.Row) (types.Value, error) {
		values, err := evalRow(env, elems, row)
		if err != nil {
			return types.Null, err
		}
		if nested {
			return stack(elem, values)
		}
		return types.NewArray(elem, values), nil
	}, nil
}

// stack makes an array of one more dimension from arrays of equal shape; empty and
// NULL ones among them are left out when all are.
func stack(elem types.OID, values []types.Value) (types.Value, error) {
	var first *types.Array
	var all []types.Value
	count := 0
	for _, v := range values {
		if v.IsNull() || len(v.AsArray().Elems) == 0 {
			if first != nil {
				return types.Null, mismatch()
			}
			continue
		}
		a := v.AsArray()
		if first == nil {
			if count > 0 {
				return types.Null, mismatch()
			}
			first = a
		} else if !slices.Equal(a.Dims, first.Dims) {
			return types.Null, mismatch()
		}
		count++
		all = append(all, a.Elems...)
	}
	if first == nil {
		return types.NewArray(elem, nil), nil
	}
	if count != len(values) {
		return types.Null, mismatch()
	}
	return types.ArrayValue(&types.Array{
		Elem: elem, Elems: all,
		Dims:  append([]int{count}, first.Dims...),
		Lower: append([]int{1}, first.Lower...),
	}), nil
}

func mismatch() error {
	return types.Errorf("2202E", "multidimensional arrays must have array expressions with matching dimensions")
}

func (env *Env) compileRow(e *plan.Row) (evaluator, error) {
	fields, err := env.compileAll(e.Fields)
	if err != nil {
		return nil, err
	}
	typs := make([]types.Type, len(e.Fields))
	for i, f := range e.Fields {
		typs[i] = f.Type()
	}
	return func(env *Env, row types.Row) (types.Value, error) {
		values, err := evalRow(env, fields, row)
		if err != nil {
			return types.Null, err
		}
		switch {
		case e.OrNull && !slices.ContainsFunc(values, func(v types.Value) bool { return !v.IsNull() }):
			return types.Null, nil
		case e.Named:
			return types.RecordNamed(values, typs, e.Names), nil
		}
		return types.RecordOf(values, typs), nil
	}, nil
}

func (env *Env) compileField(e *plan.Field) (evaluator, error) {
	arg, err := env.compile(e.Arg)
	if err != nil {
		return nil, err
	}
	i := e.Index
	return func(env *Env, row types.Row) (types.Value, error) {
		v, err := arg(env, row)
		if err != nil || v.IsNull() {
			return types.Null, err
		}
		fields := v.AsRecord()
		if i >= len(fields) {
			return types.Null, types.Errorf("42804", "a row value has %d fields, not %d", len(fields), i+1)
		}
		return fields[i], nil
	}, nil
}

func (env *Env) compileSubscript(e *plan.Subscript) (evaluator, error) {
	arg, err := env.compile(e.Arg)
	if err != nil {
		return nil, err
	}
	type bounds struct{ low, high evaluator }
	index := make([]bounds, len(e.Index))
	slice := false
	for i, x := range e.Index {
		slice = slice || x.Slice
		for _, b := range []struct {
			from plan.Expr
			to   *evaluator
		}{{x.Low, &index[i].low}, {x.High, &index[i].high}} {
			if b.from != nil {
				if *b.to, err = env.compile(b.from); err != nil {
					return nil, err
				}
			}
		}
	}
	return func(env *Env, row types.Row) (types.Value, error) {
		v, err := arg(env, row)
		if err != nil || v.IsNull() {
			return types.Null, err
		}
		a := v.AsArray()
		ranges := make([][2]int, len(index))
		for i, b := range index {
			low, high := 1, 0
			if i < len(a.Dims) {
				low, high = a.Lower[i], a.Lower[i]+a.Dims[i]-1
			}
			if slice && !e.Index[i].Slice { // arr[1:2][3] means arr[1:2][1:3]
				low, b = 1, bounds{high: b.low}
			}
			for _, side := range []struct {
				f  evaluator
				to *int
			}{{b.low, &low}, {b.high, &high}} {
				if side.f == nil {
					continue
				}
				n, err := side.f(env, row)
				if err != nil || n.IsNull() {
					return types.Null, err
				}
				*side.to = int(n.AsInt())
			}
			ranges[i] = [2]int{low, high}
		}
		if slice {
			return sliceArray(a, ranges), nil
		}
		return elementAt(a, ranges), nil
	}, nil
}

// elementAt is arr[i][j]…; NULL outside the bounds or with too few subscripts.
func elementAt(a *types.Array, index [][2]int) types.Value {
	if len(index) != len(a.Dims) {
		return types.Null
	}
	at := 0
	for d, r := range index {
		i := r[0] - a.Lower[d]
		if i < 0 || i >= a.Dims[d] {
			return types.Null
		}
		at = at*a.Dims[d] + i
	}
	return a.Elems[at]
}

// sliceArray is arr[low:high]…, cut to the array's bounds; its lower bounds are 1.
func sliceArray(a *types.Array, ranges [][2]int) types.Value {
	if len(ranges) > len(a.Dims) {
		return types.NewArray(a.Elem, nil)
	}
	low, dims := make([]int, len(a.Dims)), make([]int, len(a.Dims))
	total := 1
	for d := range a.Dims {
		first, last := a.Lower[d], a.Lower[d]+a.Dims[d]-1
		if d < len(ranges) {
			first, last = max(first, ranges[d][0]), min(last, ranges[d][1])
		}
		if last < first {
			return types.NewArray(a.Elem, nil)
		}
		low[d], dims[d] = first-a.Lower[d], last-first+1
		total *= dims[d]
	}
	out := &types.Array{Elem: a.Elem, Dims: dims, Elems: make([]types.Value, total)}
	for range dims {
		out.Lower = append(out.Lower, 1)
	}
	for i := range out.Elems {
		at, rest, unit := 0, i, 1
		for d := len(dims) - 1; d >= 0; d-- {
			at += (rest%dims[d] + low[d]) * unit
			rest /= dims[d]
			unit *= a.Dims[d]
		}
		out.Elems[i] = a.Elems[at]
	}
	return types.ArrayValue(out)
}
