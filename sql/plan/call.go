package plan

import (
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/types"
)

func typeOIDs(list []Expr) []types.OID {
	out := make([]types.OID, len(list))
	for i, x := range list {
		out[i] = x.Type().OID
	}
	return out
}

func typesOf(list []Expr) []types.Type {
	out := make([]types.Type, len(list))
	for i, x := range list {
		out[i] = x.Type()
	}
	return out
}

// bareName gives the name to look up among the built-in functions; ok is false for a
// schema that has none.
func bareName(name sql.Name) (bare string, ok bool) {
	switch len(name) {
	case 1:
		return name[0], true
	case 2:
		return name[1], name[0] == "pg_catalog" || name[0] == "public" || name[0] == "information_schema"
	}
	return "", false
}

func noFunction(name sql.Name, args []Expr) error {
	text := name.String() + "("
	for i, x := range args {
		if i > 0 {
			text += ", "
		}
		text += types.FormatType(x.Type())
	}
	return types.Errorf("42883", "function %s) does not exist", text).
		WithHint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

// funcCall binds a call of a function, aggregate or window function.
func (k *block) funcCall(f *sql.FuncCall) (Expr, error) {
	if f.Over != nil {
		return k.windowCall(f)
	}
	name, system := bareName(f.Name)
	if system && isAggregate(name) {
		return k.addAggregate(f)
	}
	if _, rank := rankTypes[name]; rank && system {
		return nil, types.Errorf("42809", "window function %s requires an OVER clause", name)
	}
	what := ""
	switch {
	case f.Star:
		what = "(*)"
	case f.Distinct:
		what = "DISTINCT"
	case len(f.OrderBy) > 0:
		what = "ORDER BY"
	case f.Filter != nil:
		what = "FILTER"
	}
	if what != "" {
		return nil, types.Errorf("42809", "%s specified, but %s is not an aggregate function", what, f.Name)
	}
	saved := k.setOK
	k.setOK = saved && k.clause != clauseFrom
	args, err := k.exprs(f.Args)
	k.setOK = saved
	if err != nil {
		return nil, err
	}
	if x, err := k.extraCall(f.Name, args); x != nil || err != nil {
		return x, err
	}
	if !system {
		return nil, noFunction(f.Name, args)
	}
	call, err := builtin.ResolveCall(name, typeOIDs(args), builtin.Notation{Names: f.ArgNames, Variadic: f.Variadic})
	if err != nil {
		return nil, err
	}
	return k.resolved(call, args)
}

func isAggregate(name string) bool {
	return slices.ContainsFunc(builtin.FuncsByName(name), func(f *builtin.Func) bool { return f.Kind == 'a' })
}

// callNamed calls a built-in function that the binder itself needs.
func (k *block) callNamed(name string, args ...Expr) (Expr, error) {
	call, err := builtin.Resolve(name, typeOIDs(args))
	if err != nil {
		return nil, err
	}
	return k.resolved(call, args)
}

// resolved makes the expression of a resolved call: arguments cast, ordered, packed
// and completed by defaults.
func (k *block) resolved(call *builtin.Call, args []Expr) (Expr, error) {
	if call.CastTo != 0 {
		return k.explicit(args[0], types.T(call.CastTo))
	}
	out, err := k.callArgs(call, args)
	if err != nil {
		return nil, err
	}
	typ := types.T(call.Ret)
	if call.Func.RetType != nil {
		typ = call.Func.RetType(typesOf(out))
	}
	return k.finishCall(&Call{Fn: call.Func, Args: out, Typ: typ})
}

func (k *block) callArgs(call *builtin.Call, args []Expr) ([]Expr, error) {
	cast := make([]Expr, len(args))
	for i, x := range args {
		var err error
		if cast[i], err = k.implicit(x, types.T(call.Args[i])); err != nil {
			return nil, err
		}
	}
	fn := call.Func
	firstDefault := len(fn.Args) - len(call.Defaults)
	if call.Order != nil {
		out := make([]Expr, len(fn.Args))
		for i, at := range call.Order {
			if at >= 0 {
				out[i] = cast[at]
			} else {
				out[i] = &Const{call.Defaults[i-firstDefault], types.T(fn.Args[i])}
			}
		}
		return out, nil
	}
	if call.Pack >= 0 {
		elems := slices.Clone(cast[call.Pack:])
		array := &ArrayExpr{Elems: elems, Typ: types.T(types.ArrayOf(call.PackElem))}
		cast = append(cast[:call.Pack:call.Pack], array)
	}
	for i, v := range call.Defaults {
		cast = append(cast, &Const{v, types.T(fn.Args[firstDefault+i])})
	}
	return cast, nil
}

// finishCall notes what the call is and puts a set-returning one where it belongs.
func (k *block) finishCall(c *Call) (Expr, error) {
	if c.Fn.Volatility == 'v' {
		k.b.volatile = true
	}
	if !c.Fn.SRF {
		return c, nil
	}
	if k.clause == clauseFrom && k.setOK {
		return c, nil
	}
	return k.addSet(c)
}

// extraCall finds a function of the engine: by its qualified name, or bare in a schema
// of the search path.
func (k *block) extraCall(name sql.Name, args []Expr) (Expr, error) {
	var near *builtin.Func
	for _, fn := range k.b.env.Functions {
		if fn.Name != joinName(name) && !(len(name) == 1 && k.b.onPath(fn.Name, name[0])) {
			continue
		}
		near = fn
		if len(args) > len(fn.Args) || len(args) < len(fn.Args)-len(fn.Defaults) {
			continue
		}
		out := make([]Expr, 0, len(fn.Args))
		for i, x := range args {
			y, err := k.implicit(x, types.T(fn.Args[i]))
			if err != nil {
				break
			}
			out = append(out, y)
		}
		if len(out) < len(args) {
			continue
		}
		first := len(fn.Args) - len(fn.Defaults)
		for i := len(args); i < len(fn.Args); i++ {
			out = append(out, &Const{fn.Defaults[i-first], types.T(fn.Args[i])})
		}
		return k.finishCall(&Call{Fn: fn, Args: out, Typ: types.T(fn.Ret)})
	}
	if near != nil {
		return nil, noFunction(name, args)
	}
	return nil, nil
}

func joinName(name sql.Name) string {
	out := ""
	for i, p := range name {
		if i > 0 {
			out += "."
		}
		out += p
	}
	return out
}

// onPath tells whether a qualified function name is the bare one in a schema that the
// search path has.
func (b *binder) onPath(qualified, bare string) bool {
	return slices.ContainsFunc(b.env.SearchPath, func(s string) bool { return s+"."+bare == qualified })
}

// OutColumns are the columns of a function that returns rows; nil for one value.
func OutColumns(c *Call) []Col {
	if len(c.Fn.Columns) < 2 && (len(c.Fn.Columns) == 0 || c.Typ.OID != types.RecordOID) {
		return nil
	}
	cols := make([]Col, len(c.Fn.Columns))
	for i, o := range c.Fn.Columns {
		cols[i] = Col{Name: o.Name, Type: types.T(concrete(o.Type, c.Args))}
	}
	return cols
}

// concrete settles a polymorphic output column by the call's arguments.
func concrete(oid types.OID, args []Expr) types.OID {
	switch oid {
	case types.AnyElementOID, types.AnyNonArrayOID, types.AnyCompatibleOID:
		for _, a := range args {
			if elem := types.ElemOf(a.Type().OID); elem != 0 {
				return elem
			}
		}
		if len(args) > 0 {
			return args[0].Type().OID
		}
	case types.AnyArrayOID, types.AnyCompatibleArrayOID:
		for _, a := range args {
			if types.IsArray(a.Type().OID) {
				return a.Type().OID
			}
		}
	}
	return oid
}

// operator binds an infix operator.
func (k *block) operator(name, schema string, l, r Expr) (Expr, error) {
	if name == "!=" {
		name = "<>"
	}
	if schema != "" && schema != "pg_catalog" && schema != "public" {
		return nil, types.Errorf("42883", "operator does not exist: %s %s.%s %s",
			types.FormatType(l.Type()), schema, name, types.FormatType(r.Type()))
	}
	op, call, err := builtin.ResolveOperator(name, l.Type().OID, r.Type().OID)
	if err != nil {
		return nil, err
	}
	return k.operatorCall(name, op, call, []Expr{l, r})
}

func (k *block) prefixOperator(name, schema string, arg Expr) (Expr, error) {
	if schema != "" && schema != "pg_catalog" && schema != "public" {
		return nil, types.Errorf("42883", "operator does not exist: %s.%s %s", schema, name, types.FormatType(arg.Type()))
	}
	op, call, err := builtin.ResolveOperator(name, 0, arg.Type().OID)
	if err != nil {
		return nil, err
	}
	return k.operatorCall(name, op, call, []Expr{arg})
}

func (k *block) operatorCall(name string, op *builtin.Operator, call *builtin.Call, args []Expr) (Expr, error) {
	for i := range args {
		var err error
		if args[i], err = k.implicit(args[i], types.T(call.Args[i])); err != nil {
			return nil, err
		}
	}
	if op.Fn.Volatility == 'v' {
		k.b.volatile = true
	}
	typ := types.T(call.Ret)
	if op.Fn.RetType != nil {
		typ = op.Fn.RetType(typesOf(args))
	}
	return &Call{Fn: call.Func, Op: name, Args: args, Typ: typ}, nil
}

// arrayOperator binds left op ANY/ALL (array).
func (k *block) arrayOperator(name, schema string, all bool, left, array Expr) (Expr, error) {
	if name == "!=" {
		name = "<>"
	}
	elem := types.ElemOf(array.Type().OID)
	switch {
	case array.Type().OID == types.UnknownOID:
		elem = types.UnknownOID
	case elem == 0:
		return nil, types.Errorf("42809", "op ANY/ALL (array) requires array on right side")
	}
	_, call, err := builtin.ResolveOperator(name, left.Type().OID, elem)
	if err != nil {
		return nil, err
	}
	if call.Ret != types.BoolOID {
		return nil, types.Errorf("42809", "op ANY/ALL (array) requires operator to yield boolean")
	}
	if left, err = k.implicit(left, types.T(call.Args[0])); err != nil {
		return nil, err
	}
	if call.Args[1] != elem {
		if array, err = k.implicit(array, types.T(types.ArrayOf(call.Args[1]))); err != nil {
			return nil, err
		}
	}
	return &AnyAll{Op: name, Fn: call.Func, All: all, Left: left, Array: array}, nil
}

// resolveAggregate finds the aggregate of a call and casts its arguments.
func (k *block) resolveAggregate(f *sql.FuncCall, args []Expr) (*builtin.Aggregate, []Expr, types.Type, error) {
	name, ok := bareName(f.Name)
	if !ok || !isAggregate(name) {
		return nil, nil, types.Type{}, types.Errorf("42809", "%s is not a window function nor an aggregate function", f.Name)
	}
	call, err := builtin.ResolveCall(name, typeOIDs(args), builtin.Notation{Names: f.ArgNames, Variadic: f.Variadic, Star: f.Star})
	if err != nil {
		return nil, nil, types.Type{}, err
	}
	agg := builtin.AggregateOf(call.Func.OID)
	if agg == nil {
		return nil, nil, types.Type{}, types.Errorf("0A000", "aggregate %s is not supported", name)
	}
	if args, err = k.callArgs(call, args); err != nil {
		return nil, nil, types.Type{}, err
	}
	typ := types.T(call.Ret)
	if call.Func.RetType != nil {
		typ = call.Func.RetType(typesOf(args))
	}
	return agg, args, typ, nil
}

// name identifies the aggregate's function.
func (a *AggCall) name() string { return a.Agg.Name + "#" + itoa(int(a.Agg.OID)) }
