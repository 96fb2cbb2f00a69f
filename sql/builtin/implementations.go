package builtin

import (
	"iter"
	"maps"

	"github.com/heliosdb/helios/types"
)

type (
	evalFunc    = func(ctx *Context, args []types.Value) (types.Value, error)
	evalSetFunc = func(ctx *Context, args []types.Value) (iter.Seq2[types.Row, error], error)
	// typedFunc makes a function for the types of a call's arguments; variadic says that
	// the last one is an array written VARIADIC.
	typedFunc = func(args []types.OID, variadic bool) evalFunc
	retFunc   = func(args []types.Type) types.Type
	aggFunc   = func(fn *Func) *Aggregate
)

// implementations gathers what the files of this package build, by name or, where
// overloads differ, by signature: name(type,type) in the names of pg_type.
func implementations() (map[string]evalFunc, map[string]evalSetFunc, map[string]aggFunc, map[string]retFunc) {
	evals := make(map[string]evalFunc)
	for _, group := range []map[string]evalFunc{
		boolFuncs(), intFuncs(), floatFuncs(), mathFuncs(), numericFuncs(), textFuncs(), padFuncs(), likeFuncs(), regexpFuncs(), byteaFuncs(), bitFuncs(),
		dateFuncs(), intervalFuncs(), timeFieldFuncs(), toCharFuncs(), jsonFuncs(), jsonBuildFuncs(), jsonEditFuncs(),
		arrayFuncs(), vectorFuncs(), systemFuncs(), catalogFuncs(), sequenceFuncs(), miscFuncs(),
	} {
		maps.Copy(evals, group)
	}
	sets := make(map[string]evalSetFunc)
	for _, group := range []map[string]evalSetFunc{seriesFuncs(), jsonSetFuncs(), textSetFuncs(), catalogSetFuncs()} {
		maps.Copy(sets, group)
	}
	aggs := make(map[string]aggFunc)
	for _, group := range []map[string]aggFunc{countAggregates(), sumAggregates(), momentAggregates(), pickAggregates(), collectAggregates(), orderedAggregates()} {
		maps.Copy(aggs, group)
	}
	return evals, sets, aggs, retTypes()
}

// retTypes says where a result's modifier is that of an argument: without it,
// character(n) would lose its trailing blanks.
func retTypes() map[string]retFunc {
	first := func(args []types.Type) types.Type { return args[0] }
	return map[string]retFunc{"max(bpchar)": first, "min(bpchar)": first}
}

// The following adapt plain Go functions to evalFunc.

func onInt(f func(int64) (types.Value, error)) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) { return f(a[0].AsInt()) }
}

func onInts(f func(x, y int64) (types.Value, error)) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) { return f(a[0].AsInt(), a[1].AsInt()) }
}

func onFloat(f func(float64) (types.Value, error)) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) { return f(a[0].AsFloat()) }
}

func onFloats(f func(x, y float64) (types.Value, error)) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) { return f(a[0].AsFloat(), a[1].AsFloat()) }
}

func onText(f func(string) (types.Value, error)) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) { return f(a[0].AsText()) }
}

func onTexts(f func(s, t string) (types.Value, error)) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) { return f(a[0].AsText(), a[1].AsText()) }
}

// plain adapts a function of values that needs no context and cannot fail.
func plain(f func(a []types.Value) types.Value) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) { return f(a), nil }
}

// constant answers the same for all arguments.
func constant(v types.Value) evalFunc {
	return func(*Context, []types.Value) (types.Value, error) { return v, nil }
}
