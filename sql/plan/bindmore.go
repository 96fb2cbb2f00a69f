package plan

import (
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// unified binds expressions and brings them to one type.
func (k *block) unified(list []sql.Expr, context string) ([]Expr, types.Type, error) {
	args, err := k.exprs(list)
	if err != nil {
		return nil, types.Type{}, err
	}
	return k.unify(args, context)
}

// unify brings expressions to their common type (PostgreSQL: UNION, CASE and related
// constructs); unknown literals alone become text.
func (k *block) unify(list []Expr, context string) ([]Expr, types.Type, error) {
	typs := make([]types.Type, len(list))
	for i, x := range list {
		typs[i] = x.Type()
	}
	typ, err := commonType(typs, context)
	if err != nil {
		return nil, typ, err
	}
	out := make([]Expr, len(list))
	for i, x := range list {
		if out[i], err = k.implicit(x, typ); err != nil {
			if x.Type().OID != types.UnknownOID {
				err = noConversion(context, x.Type(), typ)
			}
			return nil, typ, err
		}
	}
	return out, typ, nil
}

func (k *block) caseExpr(e *sql.Case) (Expr, error) {
	c := &Case{}
	var arg Expr
	var err error
	if e.Arg != nil {
		if arg, err = k.exprAllowingSet(e.Arg); err != nil {
			return nil, err
		}
		arg = k.settle(arg)
	}
	results := make([]Expr, 0, len(e.Whens)+1)
	// As in PostgreSQL the ELSE result counts first when types are chosen.
	elseExpr := sql.Expr(&sql.Literal{Kind: 'n', At: -1})
	if e.Else != nil {
		elseExpr = e.Else
	}
	other, err := k.exprAllowingSet(elseExpr)
	if err != nil {
		return nil, err
	}
	results = append(results, other)
	for _, w := range e.Whens {
		cond, err := k.whenCond(arg, w.Cond)
		if err != nil {
			return nil, err
		}
		result, err := k.exprAllowingSet(w.Result)
		if err != nil {
			return nil, err
		}
		c.Whens = append(c.Whens, When{Cond: cond})
		results = append(results, result)
	}
	results, c.Typ, err = k.unify(results, "CASE")
	if err != nil {
		return nil, err
	}
	for i := range c.Whens {
		c.Whens[i].Result = results[i+1]
	}
	if e.Else != nil {
		c.Else = results[0]
	}
	return c, nil
}

func (k *block) whenCond(arg Expr, e sql.Expr) (Expr, error) {
	if arg == nil {
		return k.conditionArg(e, "CASE/WHEN")
	}
	x, err := k.exprAllowingSet(e)
	if err != nil {
		return nil, err
	}
	return k.compare("=", arg, x)
}

func (k *block) isDistinct(e *sql.IsDistinct) (Expr, error) {
	list, err := k.exprs([]sql.Expr{e.Left, e.Right})
	if err != nil {
		return nil, err
	}
	lrow, lok := list[0].(*Row)
	rrow, rok := list[1].(*Row)
	if !lok || !rok {
		return k.distinctPair(list[0], list[1], e.Not)
	}
	if len(lrow.Fields) != len(rrow.Fields) {
		return nil, types.Errorf("42601", "unequal number of entries in row expressions")
	}
	var args []Expr
	for i := range lrow.Fields {
		x, err := k.distinctPair(lrow.Fields[i], rrow.Fields[i], e.Not)
		if err != nil {
			return nil, err
		}
		args = append(args, x)
	}
	if e.Not {
		return conjoin(args), nil
	}
	if len(args) == 1 {
		return args[0], nil
	}
	return &Or{args}, nil
}

func (k *block) distinctPair(l, r Expr, not bool) (Expr, error) {
	eq, err := k.operator("=", "", l, r)
	if err != nil {
		return nil, err
	}
	c := eq.(*Call)
	return &IsDistinct{c.Args[0], c.Args[1], c.Fn, not}, nil
}

func (k *block) nullIf(e *sql.NullIf) (Expr, error) {
	list, err := k.exprs([]sql.Expr{e.Left, e.Right})
	if err != nil {
		return nil, err
	}
	eq, err := k.operator("=", "", list[0], list[1])
	if err != nil {
		return nil, err
	}
	c := eq.(*Call)
	return &NullIf{c.Args[0], c.Args[1], c.Fn}, nil
}

// array binds ARRAY[…]; elements that are arrays make a further dimension.
func (k *block) array(e *sql.ArrayExpr) (Expr, error) {
	if len(e.Elems) == 0 {
		return nil, types.Errorf("42P18", "cannot determine type of empty array").
			WithHint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
	}
	elems, typ, err := k.unified(e.Elems, "ARRAY")
	if err != nil {
		return nil, err
	}
	return arrayOf(elems, typ)
}

func arrayOf(elems []Expr, typ types.Type) (Expr, error) {
	if types.IsArray(typ.OID) {
		return &ArrayExpr{elems, true, types.T(typ.OID)}, nil
	}
	a := types.ArrayOf(typ.OID)
	if a == 0 {
		return nil, types.Errorf("42704", "could not find array type for data type %s", types.FormatType(typ))
	}
	return &ArrayExpr{elems, false, types.Type{OID: a, Mod: typ.Mod}}, nil
}

// arrayLiteral binds ARRAY[…]::type[]: the elements take the type's element.
func (k *block) arrayLiteral(e *sql.ArrayExpr, typ types.Type) (Expr, error) {
	elem := types.Type{OID: types.ElemOf(typ.OID), Mod: typ.Mod}
	out := &ArrayExpr{Typ: typ}
	for _, el := range e.Elems {
		if inner, ok := el.(*sql.ArrayExpr); ok {
			x, err := k.arrayLiteral(inner, typ)
			if err != nil {
				return nil, err
			}
			out.Nested = true
			out.Elems = append(out.Elems, x)
			continue
		}
		x, err := k.exprAllowingSet(el)
		if err != nil {
			return nil, err
		}
		if types.IsArray(x.Type().OID) {
			out.Nested = true
			x, err = k.explicit(x, typ)
		} else {
			x, err = k.explicit(x, elem)
		}
		if err != nil {
			return nil, errorAt(err, sql.At(el.Pos()))
		}
		out.Elems = append(out.Elems, x)
	}
	return out, nil
}

func (k *block) row(e *sql.RowExpr) (Expr, error) {
	r := &Row{Typ: types.T(types.RecordOID)}
	for _, f := range e.Fields {
		if ref, ok := f.(*sql.ColumnRef); ok && ref.Star {
			cols, err := k.star(ref)
			if err != nil {
				return nil, errorAt(err, ref.At)
			}
			for _, c := range cols {
				r.Fields = append(r.Fields, c.expr)
				r.Names = append(r.Names, "f"+itoa(len(r.Names)+1))
			}
			continue
		}
		x, err := k.exprAllowingSet(f)
		if err != nil {
			return nil, err
		}
		r.Fields = append(r.Fields, x)
		r.Names = append(r.Names, "f"+itoa(len(r.Names)+1))
	}
	return r, nil
}

// subscript binds arg[…]; brackets that follow one another are one subscript.
func (k *block) subscript(e *sql.Subscript) (Expr, error) {
	var chain []*sql.Subscript
	arg := sql.Expr(e)
	for {
		s, ok := arg.(*sql.Subscript)
		if !ok {
			break
		}
		chain = append(chain, s)
		arg = s.Arg
	}
	slices.Reverse(chain)
	x, err := k.exprAllowingSet(arg)
	if err != nil {
		return nil, err
	}
	x = k.settle(x)
	elem := types.ElemOf(x.Type().OID)
	if x.Type().OID == types.JSONBOID {
		return k.jsonSubscript(x, chain)
	}
	if elem == 0 {
		return nil, types.Errorf("42804", "cannot subscript type %s because it does not support subscripting",
			types.FormatType(x.Type()))
	}
	s := &Subscript{Arg: x, Typ: types.Type{OID: elem, Mod: x.Type().Mod}}
	for _, c := range chain {
		ix := SubscriptIndex{Slice: c.Slice}
		if ix.Low, err = k.subscriptBound(c.Low); err != nil {
			return nil, err
		}
		if ix.High, err = k.subscriptBound(c.High); err != nil {
			return nil, err
		}
		if c.Slice {
			s.Typ = x.Type()
		}
		s.Index = append(s.Index, ix)
	}
	return s, nil
}

func (k *block) subscriptBound(e sql.Expr) (Expr, error) {
	if e == nil {
		return nil, nil
	}
	x, err := k.exprAllowingSet(e)
	if err != nil {
		return nil, err
	}
	if x, err = k.assign(x, types.T(types.Int4OID), ""); err != nil {
		return nil, types.Errorf("42804", "array subscript must have type integer").At(e.Pos() + 1)
	}
	return x, nil
}

// jsonSubscript is jsonb[key], which is the operator ->.
func (k *block) jsonSubscript(x Expr, chain []*sql.Subscript) (Expr, error) {
	for _, c := range chain {
		if c.Slice {
			return nil, types.Errorf("42804", "jsonb subscript does not support slices")
		}
		i, err := k.exprAllowingSet(c.Low)
		if err != nil {
			return nil, err
		}
		if i.Type().OID == types.UnknownOID {
			i = k.settle(i)
		}
		if x, err = k.operator("->", "pg_catalog", x, i); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// field binds (row).name.
func (k *block) field(e *sql.Field) (Expr, error) {
	if e.Star {
		return nil, types.Errorf("42601", "row expansion via \"*\" is not supported here")
	}
	arg, err := k.exprAllowingSet(e.Arg)
	if err != nil {
		return nil, err
	}
	fields := k.fieldsOf(e.Arg, arg)
	if len(fields) == 0 && arg.Type().OID != types.RecordOID {
		return nil, types.Errorf("42809", "column notation .%s applied to type %s, which is not a composite type",
			e.Name, types.FormatType(arg.Type()))
	}
	i := slices.IndexFunc(fields, func(c Col) bool { return c.Name == e.Name })
	if i < 0 {
		return nil, types.Errorf("42703", "could not identify column %q in record data type", e.Name)
	}
	return fieldOf(arg, i, fields[i]), nil
}

// fieldsOf are the fields of a row value as far as the expression tells.
func (k *block) fieldsOf(e sql.Expr, x Expr) []Col {
	if ref, ok := e.(*sql.ColumnRef); ok {
		if c, err := k.resolve(ref.Parts); err == nil && c != nil && len(c.from.Fields) > 0 {
			return c.from.Fields
		}
	}
	if s, ok := x.(*setRef); ok {
		return rowFields(k.sets[s.Index])
	}
	return rowFields(x)
}

func rowFields(x Expr) []Col {
	switch x := x.(type) {
	case *Row:
		cols := make([]Col, len(x.Fields))
		for i, f := range x.Fields {
			cols[i] = Col{Name: x.Names[i], Type: f.Type()}
		}
		return cols
	case *Call:
		return OutColumns(x)
	}
	return nil
}

// currentValue binds CURRENT_DATE and its like to the functions behind them.
func (k *block) currentValue(e *sql.CurrentValue) (Expr, error) {
	now := func(oid types.OID) (Expr, error) {
		x, err := k.callNamed("now")
		if err != nil || oid == types.TimestampTZOID && e.Precision < 0 {
			return x, err
		}
		return k.explicit(x, types.Type{OID: oid, Mod: int32(e.Precision)})
	}
	switch e.Name {
	case "current_date":
		x, err := k.callNamed("now")
		if err != nil {
			return nil, err
		}
		return k.explicit(x, types.T(types.DateOID))
	case "current_timestamp":
		return now(types.TimestampTZOID)
	case "localtimestamp":
		return now(types.TimestampOID)
	case "current_time":
		return now(types.TimeTZOID)
	case "localtime":
		return now(types.TimeOID)
	case "current_catalog":
		return k.callNamed("current_database")
	case "current_role", "user":
		return k.callNamed("current_user")
	}
	return k.callNamed(e.Name)
}
