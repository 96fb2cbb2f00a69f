package plan

import (
	"strconv"
	"strings"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// expr binds an expression that gives one value: a set-returning function in it is an
// error.
func (k *block) expr(e sql.Expr) (Expr, error) {
	saved := k.setOK
	k.setOK = false
	x, err := k.exprAllowingSet(e)
	k.setOK = saved
	return x, err
}

func (k *block) exprs(list []sql.Expr) ([]Expr, error) {
	out := make([]Expr, len(list))
	for i, e := range list {
		x, err := k.exprAllowingSet(e)
		if err != nil {
			return nil, err
		}
		out[i] = x
	}
	return out, nil
}

// condition binds an expression that must be boolean.
func (k *block) condition(e sql.Expr, what string) (Expr, error) {
	x, err := k.expr(e)
	if err != nil {
		return nil, err
	}
	return k.convert(x, boolType, "argument of "+what+" must be type boolean, not type %s", e.Pos())
}

// convert coerces x implicitly for a clause that wants one type; message has one %s
// for the type found.
func (k *block) convert(x Expr, want types.Type, message string, pos int) (Expr, error) {
	out, err := k.implicit(x, want)
	if err != nil {
		if _, ok := x.(*Const); !ok || x.Type().OID != types.UnknownOID {
			err = types.Errorf("42804", message, types.FormatType(x.Type()))
		}
		return nil, errorAt(err, sql.At(pos))
	}
	return out, nil
}

// exprAllowingSet binds any expression. A set-returning call in it is a setRef where
// the block allows them.
func (k *block) exprAllowingSet(e sql.Expr) (Expr, error) {
	if err := k.b.deeper(); err != nil {
		return nil, err
	}
	x, err := k.bindExpr(e)
	k.b.depth--
	if err != nil {
		return nil, errorAt(err, sql.At(e.Pos()))
	}
	return x, nil
}

func (k *block) bindExpr(e sql.Expr) (Expr, error) {
	switch e := e.(type) {
	case *sql.Literal:
		return k.literal(e)
	case *sql.Param:
		return k.param(e.N)
	case *sql.ColumnRef:
		c, err := k.columnRef(e)
		if err != nil {
			return nil, err
		}
		return c.expr, nil
	case *sql.FuncCall:
		return k.funcCall(e)
	case *sql.Op:
		return k.opExpr(e)
	case *sql.And:
		args, err := k.conditions(e.Args, "AND")
		return &And{args}, err
	case *sql.Or:
		args, err := k.conditions(e.Args, "OR")
		return &Or{args}, err
	case *sql.Not:
		arg, err := k.conditionArg(e.Arg, "NOT")
		return &Not{arg}, err
	case *sql.In:
		return k.in(e)
	case *sql.Between:
		return k.between(e)
	case *sql.AnyAll:
		return k.anyAll(e)
	case *sql.Subquery:
		return k.subquery(e)
	case *sql.Cast:
		return k.cast(e)
	case *sql.Collate:
		return k.collate(e)
	case *sql.CurrentValue:
		return k.currentValue(e)
	case *sql.Default:
		return nil, types.Errorf("42601", "DEFAULT is not allowed in this context")
	}
	return k.bindTest(e)
}

// bindTest binds tests, conditionals and constructors.
func (k *block) bindTest(e sql.Expr) (Expr, error) {
	switch e := e.(type) {
	case *sql.IsNull:
		arg, err := k.exprAllowingSet(e.Arg)
		if err != nil {
			return nil, err
		}
		return &IsNull{k.settle(arg), e.Not}, nil
	case *sql.BoolTest:
		arg, err := k.conditionArg(e.Arg, "IS "+upper(e.Test))
		return &BoolTest{arg, e.Test, e.Not}, err
	case *sql.IsDistinct:
		return k.isDistinct(e)
	case *sql.Case:
		return k.caseExpr(e)
	case *sql.Coalesce:
		args, typ, err := k.unified(e.Args, "COALESCE")
		return &Coalesce{args, typ}, err
	case *sql.MinMax:
		name := "GREATEST"
		if e.Least {
			name = "LEAST"
		}
		args, typ, err := k.unified(e.Args, name)
		if err == nil {
			err = sortable(typ)
		}
		return &MinMax{e.Least, args, typ}, err
	case *sql.NullIf:
		return k.nullIf(e)
	case *sql.ArrayExpr:
		return k.array(e)
	case *sql.RowExpr:
		return k.row(e)
	case *sql.Subscript:
		return k.subscript(e)
	case *sql.Field:
		return k.field(e)
	case *sql.GroupingSet, *sql.GroupingCall:
		return nil, types.Errorf("0A000", "GROUPING SETS, ROLLUP and CUBE are not supported").
			WithHint("Use UNION ALL of several GROUP BY queries.")
	}
	return nil, types.Errorf("0A000", "this expression is not supported")
}

func (k *block) conditions(list []sql.Expr, what string) ([]Expr, error) {
	out := make([]Expr, len(list))
	for i, e := range list {
		x, err := k.conditionArg(e, what)
		if err != nil {
			return nil, err
		}
		out[i] = x
	}
	return out, nil
}

func (k *block) conditionArg(e sql.Expr, what string) (Expr, error) {
	x, err := k.exprAllowingSet(e)
	if err != nil {
		return nil, err
	}
	return k.convert(x, boolType, "argument of "+what+" must be type boolean, not type %s", e.Pos())
}

// literal gives a constant; a quoted string has type unknown until its use decides.
func (k *block) literal(e *sql.Literal) (Expr, error) {
	switch e.Kind {
	case 's':
		c := &Const{types.Text(e.Text), types.T(types.UnknownOID)}
		k.b.literals[c] = e.At
		return c, nil
	case 'n':
		return &Const{types.Null, types.T(types.UnknownOID)}, nil
	case 'b':
		return &Const{types.Bool(e.Text == "true" || e.Text == "t"), boolType}, nil
	case 'i', 'f':
		return numberLiteral(e.Text)
	case 'x':
		return bitLiteral(e.Text)
	}
	return nil, types.Errorf("0A000", "this kind of constant is not supported")
}

// numberLiteral is int4, int8 or numeric: the first that holds the number.
func numberLiteral(text string) (Expr, error) {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		if int64(int32(i)) == i {
			return &Const{types.Int(i), types.T(types.Int4OID)}, nil
		}
		return &Const{types.Int(i), types.T(types.Int8OID)}, nil
	}
	v, err := types.ParseText(types.T(types.NumericOID), text, nil)
	return &Const{v, types.T(types.NumericOID)}, err
}

// bitLiteral is B'…' or X'…', as the parser hands it on: b or x, then the digits.
func bitLiteral(text string) (Expr, error) {
	info := types.LookupName("bit")
	if info == nil {
		return nil, types.Errorf("0A000", "bit strings are not supported")
	}
	if rest, ok := strings.CutPrefix(text, "x"); ok {
		var b strings.Builder
		for _, d := range rest {
			n, err := strconv.ParseUint(string(d), 16, 8)
			if err != nil {
				return nil, types.Errorf("22P02", "%q is not a valid hexadecimal digit", string(d))
			}
			b.WriteString(strconv.FormatUint(n+16, 2)[1:])
		}
		text = "b" + b.String()
	}
	digits := strings.TrimPrefix(text, "b")
	v, err := types.ParseText(types.T(info.OID), digits, nil)
	return &Const{v, types.Type{OID: info.OID, Mod: int32(len(digits))}}, err
}

// param gives $N with its type so far.
func (k *block) param(n int) (Expr, error) {
	if n < 1 || n > 65535 {
		return nil, types.Errorf("42P02", "there is no parameter $%d", n)
	}
	for len(k.b.params) < n {
		k.b.params = append(k.b.params, 0)
	}
	if t := k.b.params[n-1]; t != 0 {
		return &Param{n, types.T(t)}, nil
	}
	return &Param{n, types.T(types.UnknownOID)}, nil
}

func (k *block) columnRef(e *sql.ColumnRef) (*scopeCol, error) {
	if e.Star {
		return nil, types.Errorf("42601", "row expansion via \"*\" is not supported here").At(int(e.At) + 1)
	}
	c, err := k.resolve(e.Parts)
	if err == nil && c == nil {
		err = k.noColumn(e.Parts)
	}
	return c, errorAt(err, e.At)
}

// opExpr binds an operator; over two rows field by field.
func (k *block) opExpr(e *sql.Op) (Expr, error) {
	right, err := k.exprAllowingSet(e.Right)
	if err != nil {
		return nil, err
	}
	if e.Left == nil {
		return k.prefixOperator(e.Name, e.Schema, right)
	}
	left, err := k.exprAllowingSet(e.Left)
	if err != nil {
		return nil, err
	}
	lrow, lok := left.(*Row)
	rrow, rok := right.(*Row)
	if lok && rok {
		return k.rowCompare(e.Name, e.Schema, lrow.Fields, rrow.Fields)
	}
	return k.operator(e.Name, e.Schema, left, right)
}

// rowCompare compares two rows field by field, as the standard says.
func (k *block) rowCompare(op, schema string, l, r []Expr) (Expr, error) {
	if len(l) != len(r) {
		return nil, types.Errorf("42601", "unequal number of entries in row expressions")
	}
	if len(l) == 0 {
		return nil, types.Errorf("0A000", "cannot compare rows of zero length")
	}
	each := func(op string, i int) (Expr, error) { return k.operator(op, schema, l[i], r[i]) }
	switch op {
	case "=", "<>", "!=":
		var args []Expr
		for i := range l {
			x, err := each(op, i)
			if err != nil {
				return nil, err
			}
			args = append(args, x)
		}
		if op == "=" {
			return conjoin(args), nil
		}
		if len(args) == 1 {
			return args[0], nil
		}
		return &Or{args}, nil
	case "<", "<=", ">", ">=":
		// (a,b) < (c,d)  is  a < c OR (a = c AND b < d)
		last, err := each(op, len(l)-1)
		if err != nil {
			return nil, err
		}
		for i := len(l) - 2; i >= 0; i-- {
			strict, err := each(op[:1], i)
			if err != nil {
				return nil, err
			}
			same, err := each("=", i)
			if err != nil {
				return nil, err
			}
			last = &Or{[]Expr{strict, &And{[]Expr{same, last}}}}
		}
		return last, nil
	}
	return nil, types.Errorf("0A000", "could not determine interpretation of row comparison operator %s", op)
}

func (k *block) between(e *sql.Between) (Expr, error) {
	list, err := k.exprs([]sql.Expr{e.Arg, e.Low, e.High})
	if err != nil {
		return nil, err
	}
	inside := func(low, high Expr) (Expr, error) {
		a, err := k.compare(">=", list[0], low)
		if err != nil {
			return nil, err
		}
		b, err := k.compare("<=", list[0], high)
		if err != nil {
			return nil, err
		}
		return &And{[]Expr{a, b}}, nil
	}
	x, err := inside(list[1], list[2])
	if err != nil {
		return nil, err
	}
	if e.Symmetric {
		y, err := inside(list[2], list[1])
		if err != nil {
			return nil, err
		}
		x = &Or{[]Expr{x, y}}
	}
	if e.Not {
		x = &Not{x}
	}
	return x, nil
}

// compare binds an operator over values or rows.
func (k *block) compare(op string, l, r Expr) (Expr, error) {
	lrow, lok := l.(*Row)
	rrow, rok := r.(*Row)
	if lok && rok {
		return k.rowCompare(op, "", lrow.Fields, rrow.Fields)
	}
	return k.operator(op, "", l, r)
}

// in binds [NOT] IN over a list or a subquery.
func (k *block) in(e *sql.In) (Expr, error) {
	if e.Query != nil {
		x, err := k.quantified("=", "", false, e.Left, e.Query)
		if err != nil {
			return nil, err
		}
		if e.Not {
			return &Not{x}, nil
		}
		return x, nil
	}
	left, err := k.exprAllowingSet(e.Left)
	if err != nil {
		return nil, err
	}
	items, err := k.exprs(e.List)
	if err != nil {
		return nil, err
	}
	op := "="
	if e.Not {
		op = "<>"
	}
	if x, ok := k.inArray(op, e.Not, left, items); ok {
		return x, nil
	}
	var args []Expr
	for _, item := range items {
		x, err := k.compare(op, left, item)
		if err != nil {
			return nil, err
		}
		args = append(args, x)
	}
	switch {
	case len(args) == 1:
		return args[0], nil
	case e.Not:
		return &And{args}, nil
	}
	return &Or{args}, nil
}

// inArray binds a list of several values of one type as op ANY/ALL (ARRAY[…]).
func (k *block) inArray(op string, all bool, left Expr, items []Expr) (Expr, bool) {
	if _, ok := left.(*Row); ok || len(items) < 2 {
		return nil, false
	}
	list := append([]Expr{left}, items...)
	typs := make([]types.Type, len(list))
	for i, x := range list {
		if _, ok := x.(*Row); ok {
			return nil, false
		}
		typs[i] = x.Type()
	}
	typ, err := commonType(typs, "IN")
	if err != nil || types.ArrayOf(typ.OID) == 0 {
		return nil, false
	}
	typ.Mod = -1
	elems := make([]Expr, len(items))
	for i, x := range items {
		if elems[i], err = k.implicit(x, typ); err != nil {
			return nil, false
		}
	}
	array := &ArrayExpr{Elems: elems, Typ: types.T(types.ArrayOf(typ.OID))}
	x, err := k.arrayOperator(op, "", all, left, array)
	return x, err == nil
}

func (k *block) anyAll(e *sql.AnyAll) (Expr, error) {
	if e.Query != nil {
		return k.quantified(e.Op, e.Schema, e.All, e.Left, e.Query)
	}
	left, err := k.exprAllowingSet(e.Left)
	if err != nil {
		return nil, err
	}
	array, err := k.exprAllowingSet(e.Array)
	if err != nil {
		return nil, err
	}
	return k.arrayOperator(e.Op, e.Schema, e.All, left, array)
}

func (k *block) collate(e *sql.Collate) (Expr, error) {
	arg, err := k.exprAllowingSet(e.Arg)
	if err != nil {
		return nil, err
	}
	arg = k.settle(arg)
	switch name := e.Name[len(e.Name)-1]; name {
	case "default", "C", "POSIX", "ucs_basic":
	default:
		return nil, types.Errorf("42704", "collation %q for encoding \"UTF8\" does not exist", name)
	}
	if info := types.Lookup(arg.Type().OID); info == nil || info.Collation == 0 {
		return nil, types.Errorf("42804", "collations are not supported by type %s", types.FormatType(arg.Type()))
	}
	return arg, nil
}
