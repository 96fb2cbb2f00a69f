package sql

import (
	"math/big"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

func (c *converter) exprs(list []*pg.Node) []Expr {
	var out []Expr
	for _, n := range list {
		out = append(out, c.expr(n))
	}
	return out
}

// expr converts an expression; nil stays nil.
func (c *converter) expr(n *pg.Node) Expr {
	if n == nil || n.Node == nil {
		return nil
	}
	c.enter()
	defer c.leave()
	switch x := n.Node.(type) {
	case *pg.Node_AConst:
		return c.literal(x.AConst)
	case *pg.Node_ParamRef:
		return &Param{N: int(x.ParamRef.Number), At: c.at(x.ParamRef.Location)}
	case *pg.Node_ColumnRef:
		return c.columnRef(x.ColumnRef)
	case *pg.Node_AExpr:
		return c.operator(x.AExpr)
	case *pg.Node_BoolExpr:
		return c.boolean(x.BoolExpr)
	case *pg.Node_FuncCall:
		return c.call(x.FuncCall)
	case *pg.Node_SubLink:
		return c.sublink(x.SubLink)
	case *pg.Node_TypeCast:
		return &Cast{Arg: c.expr(x.TypeCast.Arg), Type: c.typeName(x.TypeCast.TypeName), At: c.at(x.TypeCast.Location)}
	case *pg.Node_AIndirection:
		return c.indirection(x.AIndirection)
	case *pg.Node_CaseExpr:
		return c.caseExpr(x.CaseExpr)
	}
	return c.rareExpr(n)
}

func (c *converter) rareExpr(n *pg.Node) Expr {
	switch x := n.Node.(type) {
	case *pg.Node_NullTest:
		return &IsNull{
			Arg: c.expr(x.NullTest.Arg),
			Not: x.NullTest.Nulltesttype == pg.NullTestType_IS_NOT_NULL, At: c.at(x.NullTest.Location),
		}
	case *pg.Node_BooleanTest:
		t := x.BooleanTest.Booltesttype
		return &BoolTest{
			Arg: c.expr(x.BooleanTest.Arg), Test: boolTests[t].test, Not: boolTests[t].not,
			At: c.at(x.BooleanTest.Location),
		}
	case *pg.Node_CoalesceExpr:
		return &Coalesce{Args: c.exprs(x.CoalesceExpr.Args), At: c.at(x.CoalesceExpr.Location)}
	case *pg.Node_MinMaxExpr:
		return &MinMax{
			Least: x.MinMaxExpr.Op == pg.MinMaxOp_IS_LEAST,
			Args:  c.exprs(x.MinMaxExpr.Args), At: c.at(x.MinMaxExpr.Location),
		}
	case *pg.Node_CollateClause:
		return &Collate{Arg: c.expr(x.CollateClause.Arg), Name: strs(x.CollateClause.Collname), At: c.at(x.CollateClause.Location)}
	case *pg.Node_AArrayExpr:
		return &ArrayExpr{Elems: c.exprs(x.AArrayExpr.Elements), At: c.at(x.AArrayExpr.Location)}
	case *pg.Node_RowExpr:
		return &RowExpr{
			Fields:   c.exprs(x.RowExpr.Args),
			Explicit: x.RowExpr.RowFormat == pg.CoercionForm_COERCE_EXPLICIT_CALL, At: c.at(x.RowExpr.Location),
		}
	case *pg.Node_SqlvalueFunction:
		return c.currentValue(x.SqlvalueFunction)
	case *pg.Node_SetToDefault:
		return &Default{At: c.at(x.SetToDefault.Location)}
	case *pg.Node_GroupingSet:
		return &GroupingSet{
			Kind: groupingKinds[x.GroupingSet.Kind], Items: c.exprs(x.GroupingSet.Content), At: c.at(x.GroupingSet.Location),
		}
	case *pg.Node_GroupingFunc:
		return &GroupingCall{Args: c.exprs(x.GroupingFunc.Args), At: c.at(x.GroupingFunc.Location)}
	case *pg.Node_CurrentOfExpr:
		unsupported("WHERE CURRENT OF")
	case *pg.Node_XmlExpr, *pg.Node_XmlSerialize:
		unsupported("XML functions")
	case *pg.Node_JsonIsPredicate, *pg.Node_JsonObjectConstructor, *pg.Node_JsonArrayConstructor,
		*pg.Node_JsonArrayQueryConstructor, *pg.Node_JsonObjectAgg, *pg.Node_JsonArrayAgg, *pg.Node_JsonFuncExpr,
		*pg.Node_JsonParseExpr, *pg.Node_JsonScalarExpr, *pg.Node_JsonSerializeExpr:
		unsupported("SQL/JSON syntax")
	}
	unsupported("this expression (" + nodeWhat(n) + ")")
	return nil
}

var groupingKinds = map[pg.GroupingSetKind]string{
	pg.GroupingSetKind_GROUPING_SET_EMPTY:  "empty",
	pg.GroupingSetKind_GROUPING_SET_ROLLUP: "rollup",
	pg.GroupingSetKind_GROUPING_SET_CUBE:   "cube",
	pg.GroupingSetKind_GROUPING_SET_SETS:   "sets",
}

var boolTests = map[pg.BoolTestType]struct {
	test string
	not  bool
}{
	pg.BoolTestType_IS_TRUE: {"true", false}, pg.BoolTestType_IS_NOT_TRUE: {"true", true},
	pg.BoolTestType_IS_FALSE: {"false", false}, pg.BoolTestType_IS_NOT_FALSE: {"false", true},
	pg.BoolTestType_IS_UNKNOWN: {"unknown", false}, pg.BoolTestType_IS_NOT_UNKNOWN: {"unknown", true},
}

func (c *converter) literal(k *pg.A_Const) *Literal {
	at := c.at(k.Location)
	if k.Isnull {
		return &Literal{Kind: 'n', At: at}
	}
	switch v := k.Val.(type) {
	case *pg.A_Const_Ival:
		return &Literal{Kind: 'i', Text: strconv.Itoa(int(v.Ival.GetIval())), At: at}
	case *pg.A_Const_Fval:
		return number(v.Fval.GetFval(), at)
	case *pg.A_Const_Boolval:
		return &Literal{Kind: 'b', Text: strconv.FormatBool(v.Boolval.GetBoolval()), At: at}
	case *pg.A_Const_Bsval:
		return &Literal{Kind: 'x', Text: v.Bsval.GetBsval(), At: at}
	case *pg.A_Const_Sval:
		return &Literal{Kind: 's', Text: v.Sval.GetSval(), At: at}
	}
	return &Literal{Kind: 'i', Text: "0", At: at} // a zero is sent as an absent value
}

// number makes a literal of a number that the parser left as text: with a point or
// exponent, or an integer (decimal, hex, octal, binary) that did not fit an int4.
func number(text string, at At) *Literal {
	text = strings.ReplaceAll(text, "_", "")
	if i, ok := new(big.Int).SetString(text, 0); ok && !leadingZero(text) {
		text = i.String()
	}
	if i, err := strconv.ParseInt(text, 10, 32); err == nil {
		return &Literal{Kind: 'i', Text: strconv.FormatInt(i, 10), At: at}
	}
	return &Literal{Kind: 'f', Text: text, At: at}
}

// leadingZero tells a decimal such as 007, which big.Int would take for octal.
func leadingZero(text string) bool {
	text = strings.TrimPrefix(text, "-")
	return len(text) > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9'
}

func (c *converter) columnRef(r *pg.ColumnRef) *ColumnRef {
	out := &ColumnRef{At: c.at(r.Location)}
	for _, f := range r.Fields {
		if f.GetAStar() != nil {
			out.Star = true
		} else {
			out.Parts = append(out.Parts, f.GetString_().GetSval())
		}
	}
	return out
}

func operatorName(list []*pg.Node) (schema, name string) {
	parts := strs(list)
	if len(parts) == 0 {
		return "", ""
	}
	return strings.Join(parts[:len(parts)-1], "."), parts[len(parts)-1]
}

func (c *converter) operator(x *pg.A_Expr) Expr {
	schema, name := operatorName(x.Name)
	at := c.at(x.Location)
	switch x.Kind {
	case pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL:
		return &AnyAll{
			Schema: schema, Op: name, All: x.Kind == pg.A_Expr_Kind_AEXPR_OP_ALL,
			Left: c.expr(x.Lexpr), Array: c.expr(x.Rexpr), At: at,
		}
	case pg.A_Expr_Kind_AEXPR_DISTINCT, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT:
		return &IsDistinct{
			Left: c.expr(x.Lexpr), Right: c.expr(x.Rexpr),
			Not: x.Kind == pg.A_Expr_Kind_AEXPR_NOT_DISTINCT, At: at,
		}
	case pg.A_Expr_Kind_AEXPR_NULLIF:
		return &NullIf{Left: c.expr(x.Lexpr), Right: c.expr(x.Rexpr), At: at}
	case pg.A_Expr_Kind_AEXPR_IN:
		return &In{Left: c.expr(x.Lexpr), List: c.exprs(x.Rexpr.GetList().GetItems()), Not: name == "<>", At: at}
	case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN,
		pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		ends := c.exprs(x.Rexpr.GetList().GetItems())
		return &Between{
			Arg: c.expr(x.Lexpr), Low: ends[0], High: ends[1], At: at,
			Not:       strings.HasPrefix(name, "NOT "),
			Symmetric: strings.HasSuffix(name, "SYMMETRIC"),
		}
	}
	return &Op{Schema: schema, Name: name, Left: c.expr(x.Lexpr), Right: c.expr(x.Rexpr), At: at}
}

func (c *converter) boolean(x *pg.BoolExpr) Expr {
	at := c.at(x.Location)
	switch x.Boolop {
	case pg.BoolExprType_AND_EXPR:
		return &And{Args: c.flatten(x.Args, x.Boolop), At: at}
	case pg.BoolExprType_OR_EXPR:
		return &Or{Args: c.flatten(x.Args, x.Boolop), At: at}
	}
	arg := c.expr(x.Args[0])
	if in, ok := arg.(*In); ok && in.Query != nil && !in.Not { // the parser's form of NOT IN (query)
		in.Not = true
		return in
	}
	return &Not{Arg: arg, At: at}
}

// flatten converts the arguments of AND or OR, those of nested ones of its kind included.
func (c *converter) flatten(args []*pg.Node, op pg.BoolExprType) []Expr {
	c.enter()
	defer c.leave()
	var out []Expr
	for _, a := range args {
		if b := a.GetBoolExpr(); b != nil && b.Boolop == op {
			out = append(out, c.flatten(b.Args, op)...)
		} else {
			out = append(out, c.expr(a))
		}
	}
	return out
}

func (c *converter) call(x *pg.FuncCall) *FuncCall {
	f := &FuncCall{
		Name: strs(x.Funcname), Star: x.AggStar, Distinct: x.AggDistinct, Variadic: x.FuncVariadic,
		OrderBy: c.sortItems(x.AggOrder), Within: x.AggWithinGroup,
		Filter: c.expr(x.AggFilter), At: c.at(x.Location),
	}
	for i, a := range x.Args {
		if named := a.GetNamedArgExpr(); named != nil {
			if f.ArgNames == nil {
				f.ArgNames = make([]string, len(x.Args))
			}
			f.ArgNames[i] = named.Name
			a = named.Arg
		}
		f.Args = append(f.Args, c.expr(a))
	}
	if x.Over != nil {
		w := c.window(x.Over)
		w.Ref = x.Over.Name != ""
		f.Over = &w
	}
	return f
}

func (c *converter) sublink(x *pg.SubLink) Expr {
	at := c.at(x.Location)
	q := c.subquery(x.Subselect)
	switch x.SubLinkType {
	case pg.SubLinkType_EXISTS_SUBLINK:
		return &Subquery{Kind: 'e', Query: q, At: at}
	case pg.SubLinkType_ARRAY_SUBLINK:
		return &Subquery{Kind: 'a', Query: q, At: at}
	case pg.SubLinkType_ANY_SUBLINK, pg.SubLinkType_ALL_SUBLINK:
		if len(x.OperName) == 0 {
			return &In{Left: c.expr(x.Testexpr), Query: q, At: at}
		}
		schema, name := operatorName(x.OperName)
		return &AnyAll{
			Schema: schema, Op: name, All: x.SubLinkType == pg.SubLinkType_ALL_SUBLINK,
			Left: c.expr(x.Testexpr), Query: q, At: at,
		}
	}
	return &Subquery{Kind: 's', Query: q, At: at}
}

func (c *converter) indirection(x *pg.A_Indirection) Expr {
	e := c.expr(x.Arg)
	at := At(e.Pos())
	chained := false
	for _, n := range x.Indirection {
		switch i := n.Node.(type) {
		case *pg.Node_AStar:
			e = &Field{Arg: e, Star: true, At: at}
			chained = false
		case *pg.Node_String_:
			e = &Field{Arg: e, Name: i.String_.Sval, At: at}
			chained = false
		case *pg.Node_AIndices:
			s := &Subscript{Arg: e, Slice: i.AIndices.IsSlice, Chained: chained, At: at}
			if s.Slice {
				s.Low, s.High = c.expr(i.AIndices.Lidx), c.expr(i.AIndices.Uidx)
			} else {
				s.Low = c.expr(i.AIndices.Uidx)
			}
			e = s
			chained = true
		}
		c.enter() // a chain is as deep as it is long
		defer c.leave()
	}
	return e
}

func (c *converter) caseExpr(x *pg.CaseExpr) *Case {
	out := &Case{Arg: c.expr(x.Arg), Else: c.expr(x.Defresult), At: c.at(x.Location)}
	for _, n := range x.Args {
		w := n.GetCaseWhen()
		out.Whens = append(out.Whens, When{Cond: c.expr(w.Expr), Result: c.expr(w.Result)})
	}
	return out
}

func (c *converter) currentValue(x *pg.SQLValueFunction) *CurrentValue {
	name := strings.TrimPrefix(x.Op.String(), "SVFOP_")
	name, withPrecision := strings.CutSuffix(name, "_N")
	out := &CurrentValue{Name: strings.ToLower(name), Precision: -1, At: c.at(x.Location)}
	if withPrecision {
		out.Precision = int(x.Typmod)
	}
	return out
}

func (c *converter) sortItems(list []*pg.Node) []SortItem {
	var out []SortItem
	for _, n := range list {
		s := n.GetSortBy()
		item := SortItem{
			Expr: c.expr(s.Node), Desc: s.SortbyDir == pg.SortByDir_SORTBY_DESC,
			NullsFirst: s.SortbyNulls == pg.SortByNulls_SORTBY_NULLS_FIRST,
			NullsLast:  s.SortbyNulls == pg.SortByNulls_SORTBY_NULLS_LAST,
		}
		if schema, name := operatorName(s.UseOp); name != "" {
			item.Using = name
			if schema != "" && schema != "pg_catalog" {
				unsupported("ORDER BY USING an operator of another schema")
			}
		}
		out = append(out, item)
	}
	return out
}

// Frame option bits of PostgreSQL's parsenodes.h.
const (
	frameNonDefault = 0x1
	frameRange      = 0x2
	frameRows       = 0x4
	frameGroups     = 0x8
)

var frameStarts = map[int32]string{
	0x20: "unbounded preceding", 0x200: "current row", 0x800: "offset preceding", 0x2000: "offset following",
}

var frameEnds = map[int32]string{
	0x100: "unbounded following", 0x400: "current row", 0x1000: "offset preceding", 0x4000: "offset following",
}

var frameExcludes = map[int32]string{0x8000: "current row", 0x10000: "group", 0x20000: "ties"}

func (c *converter) window(x *pg.WindowDef) Window {
	w := Window{
		Name: x.Name, Base: x.Refname,
		PartitionBy: c.exprs(x.PartitionClause), OrderBy: c.sortItems(x.OrderClause),
	}
	o := x.FrameOptions
	if o&frameNonDefault == 0 {
		return w
	}
	f := &Frame{
		StartExpr: c.expr(x.StartOffset), EndExpr: c.expr(x.EndOffset),
		Start: bitName(frameStarts, o), End: bitName(frameEnds, o), Exclude: bitName(frameExcludes, o),
	}
	switch {
	case o&frameRows != 0:
		f.Mode = "rows"
	case o&frameGroups != 0:
		f.Mode = "groups"
	default:
		f.Mode = "range"
	}
	w.Frame = f
	return w
}

func bitName(names map[int32]string, options int32) string {
	for bit, name := range names {
		if options&bit != 0 {
			return name
		}
	}
	return ""
}
