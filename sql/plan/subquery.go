package plan

import (
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/types"
)

// subPlan binds a query inside an expression; what it takes from this block becomes
// its Args.
func (k *block) subPlan(q *sql.Select) (*SubPlan, error) {
	in := k.framed(k.resolve)
	n, err := in.query(q, true)
	if err != nil {
		return nil, err
	}
	for _, a := range in.frame.args {
		if hasPlaceholder(a) {
			return nil, types.Errorf("0A000", "an aggregate of an outer query inside a subquery is not supported")
		}
	}
	return &SubPlan{Plan: n, Args: in.frame.args}, nil
}

// subquery binds a scalar subquery, EXISTS or ARRAY.
func (k *block) subquery(e *sql.Subquery) (Expr, error) {
	s, err := k.subPlan(e.Query)
	if err != nil {
		return nil, err
	}
	if e.Kind == 'e' {
		s.Kind, s.Typ = ExistsPlan, boolType
		return s, nil
	}
	cols := s.Plan.Cols()
	if len(cols) != 1 {
		return nil, types.Errorf("42601", "subquery must return only one column")
	}
	s.Kind, s.Typ = ScalarPlan, cols[0].Type
	if e.Kind == 'a' {
		s.Kind = ArrayPlan
		if !types.IsArray(s.Typ.OID) {
			s.Typ = types.T(types.ArrayOf(s.Typ.OID))
		}
		if s.Typ.OID == 0 {
			return nil, types.Errorf("42704", "could not find array type for data type %s", types.FormatType(cols[0].Type))
		}
	}
	return s, nil
}

// quantified binds left op ANY/ALL (query); IN is = ANY.
func (k *block) quantified(op, schema string, all bool, left sql.Expr, q *sql.Select) (Expr, error) {
	l, err := k.exprAllowingSet(left)
	if err != nil {
		return nil, err
	}
	list := []Expr{l}
	if row, ok := l.(*Row); ok {
		list = row.Fields
	}
	s, err := k.subPlan(q)
	if err != nil {
		return nil, err
	}
	cols := s.Plan.Cols()
	switch {
	case len(cols) < len(list):
		return nil, types.Errorf("42601", "subquery has too few columns")
	case len(cols) > len(list):
		return nil, types.Errorf("42601", "subquery has too many columns")
	case len(list) > 1 && op != "=" && op != "<>":
		return nil, types.Errorf("0A000", "row comparison %s with a subquery is not supported", op)
	}
	if op == "!=" {
		op = "<>"
	}
	s.Kind, s.Typ, s.Op = AnyPlan, boolType, op
	if all {
		s.Kind = AllPlan
	}
	want := make([]types.Type, len(cols))
	for i, c := range cols {
		x, err := k.operator(op, schema, list[i], &Column{i, c.Type, c.Name})
		if err != nil {
			return nil, err
		}
		call := x.(*Call)
		if call.Typ.OID != types.BoolOID {
			return nil, types.Errorf("42804", "operator %s must return type boolean", op)
		}
		s.Left = append(s.Left, call.Args[0])
		s.Fns = append(s.Fns, call.Fn)
		want[i] = call.Args[1].Type()
		if _, ok := call.Args[1].(*Column); !ok {
			continue
		}
		want[i] = c.Type
	}
	s.Plan, err = k.coerceOutput(s.Plan, want, "subquery")
	return s, err
}

// addSet registers a set-returning call of the select list.
func (k *block) addSet(call *Call) (Expr, error) {
	if !k.setOK {
		if k.clause == clauseFrom {
			return nil, types.Errorf("0A000", "set-returning functions must appear at top level of FROM")
		}
		return nil, types.Errorf("0A000", "set-returning functions are not allowed in %s", k.clause)
	}
	if k.inAgg {
		return nil, types.Errorf("0A000", "aggregate function calls cannot contain set-returning function calls")
	}
	k.sets = append(k.sets, call)
	return &setRef{len(k.sets) - 1, call.Typ}, nil
}

// aggCall binds the call of an aggregate, its arguments over the FROM row.
func (k *block) aggCall(f *sql.FuncCall) (AggCall, error) {
	a := AggCall{Star: f.Star, Distinct: f.Distinct}
	if f.Within {
		return a, types.Errorf("0A000", "WITHIN GROUP aggregates are not supported")
	}
	saved := k.inAgg
	k.inAgg = f.Over == nil // a window function's arguments may be aggregates
	defer func() { k.inAgg = saved }()
	args, err := k.exprs(f.Args)
	if err != nil {
		return a, err
	}
	if a.Agg, a.Args, a.Typ, err = k.resolveAggregate(f, args); err != nil {
		return a, err
	}
	for _, item := range f.OrderBy {
		x, err := k.exprAllowingSet(item.Expr)
		if err != nil {
			return a, err
		}
		key := SortKey{Expr: k.settle(x)}
		if err := sortable(key.Expr.Type()); err != nil {
			return a, err
		}
		if err := orderDirection(item, &key); err != nil {
			return a, err
		}
		if f.Distinct && !containsExpr(a.Args, key.Expr) {
			return a, types.Errorf("42P10", "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list")
		}
		a.OrderBy = append(a.OrderBy, key)
	}
	if f.Filter != nil {
		savedClause := k.clause
		k.clause = clauseFilter
		a.Filter, err = k.condition(f.Filter, "FILTER")
		k.clause = savedClause
	}
	return a, err
}

func containsExpr(list []Expr, e Expr) bool {
	key := Key(e)
	for _, x := range list {
		if Key(x) == key {
			return true
		}
	}
	return false
}

// addAggregate registers an aggregate of the block; equal ones share a place.
func (k *block) addAggregate(f *sql.FuncCall) (Expr, error) {
	switch {
	case k.inAgg:
		return nil, types.Errorf("42803", "aggregate function calls cannot be nested")
	case !k.clause.aggregates():
		return nil, types.Errorf("42803", "aggregate functions are not allowed in %s", k.clause)
	}
	a, err := k.aggCall(f)
	if err != nil {
		return nil, err
	}
	key := aggKey(a)
	i, ok := k.aggKeys[key]
	if !ok {
		if k.aggKeys == nil {
			k.aggKeys = make(map[string]int)
		}
		i = len(k.aggs)
		k.aggKeys[key] = i
		k.aggs = append(k.aggs, a)
	}
	return &aggRef{i, a.Typ}, nil
}

func aggKey(a AggCall) string {
	args := append([]Expr{}, a.Args...)
	for _, o := range a.OrderBy {
		args = append(args, o.Expr, &Const{types.Bool(o.Desc), boolType}, &Const{types.Bool(o.NullsFirst), boolType})
	}
	if a.Filter != nil {
		args = append(args, a.Filter)
	}
	key := Key(&Call{Fn: (*builtin.Func)(nil), Args: args, Typ: a.Typ})
	return a.name() + key + itoa(len(a.Args)) + boolText(a.Star) + boolText(a.Distinct) + boolText(a.Filter != nil)
}

func boolText(b bool) string {
	if b {
		return "t"
	}
	return "f"
}
