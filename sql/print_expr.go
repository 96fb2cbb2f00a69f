package sql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// How tightly an expression binds, loosest first. They follow the precedence table of
// PostgreSQL's grammar, coarser where a bracket too many does no harm.
const (
	bindOr = iota + 1
	bindAnd
	bindNot
	bindIs      // IS …
	bindCompare // = < > <= >= <>
	bindIn      // IN, BETWEEN, LIKE, = ANY
	bindOther   // any other operator, prefix operators, COLLATE
	bindAdd     // + -
	bindMul     // * / %
	bindPower   // ^
	bindCast    // ::
	bindAtom    // needs no brackets anywhere
)

func binding(e Expr) int {
	switch e := e.(type) {
	case *Or:
		return bindOr
	case *And:
		return bindAnd
	case *Not:
		return bindNot
	case *IsNull, *BoolTest, *IsDistinct:
		return bindIs
	case *In, *Between, *AnyAll:
		return bindIn
	case *Op:
		return e.binding()
	case *Collate:
		return bindOther
	case *Cast:
		return bindCast
	case *Literal:
		if strings.HasPrefix(e.Text, "-") && (e.Kind == 'i' || e.Kind == 'f') {
			return bindOther
		}
	}
	return bindAtom
}

func (o *Op) binding() int {
	if o.Left == nil || o.Schema != "" {
		return bindOther
	}
	switch o.Name {
	case "=", "<", ">", "<=", ">=", "<>":
		return bindCompare
	case "~~", "!~~", "~~*", "!~~*":
		return bindIn
	case "+", "-":
		return bindAdd
	case "*", "/", "%":
		return bindMul
	case "^":
		return bindPower
	}
	return bindOther
}

// expr writes e, in brackets if it binds looser than least.
func (p *Printer) expr(e Expr, least int) {
	if param, ok := e.(*Param); ok {
		if by, ok := p.Substitute[param.N]; ok {
			e = by
		}
	}
	if binding(e) < least {
		p.w("(")
		p.bare(e)
		p.w(")")
		return
	}
	p.bare(e)
}

func (p *Printer) bare(e Expr) {
	switch e := e.(type) {
	case *Literal:
		p.literal(e)
	case *Param:
		p.param(e.N)
	case *ColumnRef:
		p.columnRef(e)
	case *FuncCall:
		p.call(e)
	case *Op:
		p.op(e)
	case *And:
		p.chain(e.Args, " AND ", bindAnd)
	case *Or:
		p.chain(e.Args, " OR ", bindOr)
	case *Not:
		p.w("NOT ")
		p.expr(e.Arg, bindIs)
	case *Cast:
		p.expr(e.Arg, bindCast)
		p.w("::")
		p.typeName(e.Type)
	case *In:
		p.in(e)
	case *Subquery:
		p.w(map[byte]string{'e': "EXISTS ", 'a': "ARRAY"}[e.Kind])
		p.subquery(e.Query)
	case *Case:
		p.caseExpr(e)
	default:
		p.test(e)
	}
}

// test writes tests and comparisons that have words, and the rest.
func (p *Printer) test(e Expr) {
	switch e := e.(type) {
	case *IsNull:
		p.expr(e.Arg, bindOther)
		p.w(" IS ", not(e.Not), "NULL")
	case *BoolTest:
		p.expr(e.Arg, bindOther)
		p.w(" IS ", not(e.Not), strings.ToUpper(e.Test))
	case *IsDistinct:
		p.expr(e.Left, bindOther)
		p.w(" IS ", not(e.Not), "DISTINCT FROM ")
		p.expr(e.Right, bindOther)
	case *Between:
		p.expr(e.Arg, bindOther)
		p.w(" ", not(e.Not), "BETWEEN ")
		p.wIf(e.Symmetric, "SYMMETRIC ")
		p.expr(e.Low, bindAtom)
		p.w(" AND ")
		p.expr(e.High, bindAtom)
	case *AnyAll:
		p.anyAll(e)
	case *Collate:
		p.expr(e.Arg, bindAtom)
		p.w(" COLLATE ")
		p.name(e.Name)
	default:
		p.constructor(e)
	}
}

func not(yes bool) string {
	if yes {
		return "NOT "
	}
	return ""
}

// constructor writes expressions that look like calls, and access to parts.
func (p *Printer) constructor(e Expr) {
	switch e := e.(type) {
	case *Coalesce:
		p.wordCall("COALESCE", e.Args)
	case *MinMax:
		if e.Least {
			p.wordCall("LEAST", e.Args)
		} else {
			p.wordCall("GREATEST", e.Args)
		}
	case *NullIf:
		p.wordCall("NULLIF", []Expr{e.Left, e.Right})
	case *GroupingCall:
		p.wordCall("GROUPING", e.Args)
	case *GroupingSet:
		p.wordCall(map[string]string{"rollup": "ROLLUP ", "cube": "CUBE ", "sets": "GROUPING SETS "}[e.Kind], e.Items)
	case *ArrayExpr:
		p.w("ARRAY[")
		p.exprs(e.Elems)
		p.w("]")
	case *RowExpr:
		if e.Explicit || len(e.Fields) < 2 {
			p.w("ROW")
		}
		p.wordCall("", e.Fields)
	case *Subscript:
		p.subscript(e)
	case *Field:
		p.w("(")
		p.expr(e.Arg, 0)
		p.w(").")
		if e.Star {
			p.w("*")
		} else {
			p.ident(e.Name)
		}
	case *CurrentValue:
		p.w(strings.ToUpper(e.Name))
		p.wIf(e.Precision >= 0, "("+strconv.Itoa(e.Precision)+")")
	case *Default:
		p.w("DEFAULT")
	default:
		panic(fmt.Sprintf("sql: %T cannot be printed", e))
	}
}

func (p *Printer) wordCall(word string, args []Expr) {
	p.w(word, "(")
	p.exprs(args)
	p.w(")")
}

func (p *Printer) chain(args []Expr, word string, level int) {
	for i, a := range args {
		p.wIf(i > 0, word)
		p.expr(a, level+1)
	}
}

func (p *Printer) literal(e *Literal) {
	switch e.Kind {
	case 's':
		p.w(QuoteLiteral(e.Text))
	case 'n':
		p.w("NULL")
	case 'x': // b101 or x1f
		p.w(e.Text[:1], "'", e.Text[1:], "'")
	default:
		p.w(e.Text)
	}
}

func (p *Printer) param(n int) {
	if p.Renumber {
		i := slices.Index(p.Params, n)
		if i < 0 {
			i = len(p.Params)
			p.Params = append(p.Params, n)
		}
		n = i + 1
	}
	p.w("$", strconv.Itoa(n))
}

func (p *Printer) columnRef(e *ColumnRef) {
	p.name(e.Parts)
	if e.Star {
		p.wIf(len(e.Parts) > 0, ".")
		p.w("*")
	}
}

func (p *Printer) op(e *Op) {
	if e.Left == nil {
		p.operator(e.Schema, e.Name)
		p.w(" ")
		p.expr(e.Right, bindAtom)
		return
	}
	operand := max(e.binding()+1, bindOther+1)
	left := operand
	if l := e.binding(); l >= bindAdd && l <= bindMul { // these are left-associative
		left = l
	}
	p.expr(e.Left, left)
	p.w(" ")
	p.operator(e.Schema, e.Name)
	p.w(" ")
	p.expr(e.Right, operand)
}

// operator writes an operator's name; LIKE's operators as words read better.
func (p *Printer) operator(schema, name string) {
	if schema != "" {
		p.w("OPERATOR(", QuoteIdent(schema), ".", name, ")")
		return
	}
	switch name {
	case "~~":
		name = "LIKE"
	case "!~~":
		name = "NOT LIKE"
	case "~~*":
		name = "ILIKE"
	case "!~~*":
		name = "NOT ILIKE"
	}
	p.w(name)
}

func (p *Printer) in(e *In) {
	p.expr(e.Left, bindOther+1)
	p.w(" ", not(e.Not), "IN ")
	if e.Query != nil {
		p.subquery(e.Query)
		return
	}
	p.wordCall("", e.List)
}

func (p *Printer) anyAll(e *AnyAll) {
	p.expr(e.Left, bindOther+1)
	p.w(" ")
	p.operator(e.Schema, e.Op)
	if e.All {
		p.w(" ALL ")
	} else {
		p.w(" ANY ")
	}
	if e.Query != nil {
		p.subquery(e.Query)
		return
	}
	p.wordCall("", []Expr{e.Array})
}

func (p *Printer) subquery(q *Select) {
	p.w("(")
	p.query(q)
	p.w(")")
}

func (p *Printer) caseExpr(e *Case) {
	p.w("CASE")
	if e.Arg != nil {
		p.w(" ")
		p.expr(e.Arg, 0)
	}
	for _, w := range e.Whens {
		p.clause(" WHEN ", w.Cond)
		p.clause(" THEN ", w.Result)
	}
	p.clause(" ELSE ", e.Else)
	p.w(" END")
}

func (p *Printer) subscript(e *Subscript) {
	if inner, ok := e.Arg.(*Subscript); ok && e.Chained {
		p.subscript(inner)
	} else {
		p.w("(")
		p.expr(e.Arg, 0)
		p.w(")")
	}
	p.w("[")
	if e.Low != nil {
		p.expr(e.Low, bindAtom)
	}
	if e.Slice {
		p.w(" : ")
		if e.High != nil {
			p.expr(e.High, bindAtom)
		}
	}
	p.w("]")
}

func (p *Printer) call(e *FuncCall) {
	p.name(e.Name)
	p.w("(")
	p.wIf(e.Distinct, "DISTINCT ")
	p.wIf(e.Star, "*")
	p.list(len(e.Args), func(i int) {
		p.wIf(e.Variadic && i == len(e.Args)-1, "VARIADIC ")
		if e.ArgNames != nil && e.ArgNames[i] != "" {
			p.w(QuoteIdent(e.ArgNames[i]), " => ")
		}
		p.expr(e.Args[i], 0)
	})
	if e.Within {
		p.w(") WITHIN GROUP (ORDER BY ")
		p.sortItems(e.OrderBy)
	} else {
		p.orderBy(e.OrderBy)
	}
	p.w(")")
	if e.Filter != nil {
		p.clause(" FILTER (WHERE ", e.Filter)
		p.w(")")
	}
	if e.Over != nil {
		p.w(" OVER ")
		if e.Over.Ref {
			p.ident(e.Over.Name)
		} else {
			p.window(e.Over)
		}
	}
}

func (p *Printer) orderBy(items []SortItem) {
	if len(items) > 0 {
		p.w(" ORDER BY ")
		p.sortItems(items)
	}
}

func (p *Printer) sortItems(items []SortItem) {
	p.list(len(items), func(i int) {
		s := items[i]
		p.expr(s.Expr, 0)
		p.wIf(s.Desc, " DESC")
		p.wIf(s.Using != "", " USING "+s.Using)
		p.wIf(s.NullsFirst, " NULLS FIRST")
		p.wIf(s.NullsLast, " NULLS LAST")
	})
}

// window writes a window's definition in brackets.
func (p *Printer) window(w *Window) {
	sep := ""
	part := func(word string) {
		p.w(sep, word)
		sep = " "
	}
	p.w("(")
	if w.Base != "" {
		part(QuoteIdent(w.Base))
	}
	if len(w.PartitionBy) > 0 {
		part("PARTITION BY ")
		p.exprs(w.PartitionBy)
	}
	if len(w.OrderBy) > 0 {
		part("ORDER BY ")
		p.sortItems(w.OrderBy)
	}
	if f := w.Frame; f != nil {
		part(strings.ToUpper(f.Mode))
		p.w(" BETWEEN ")
		p.frameEnd(f.Start, f.StartExpr)
		p.w(" AND ")
		p.frameEnd(f.End, f.EndExpr)
		p.wIf(f.Exclude != "", " EXCLUDE "+strings.ToUpper(f.Exclude))
	}
	p.w(")")
}

func (p *Printer) frameEnd(end string, offset Expr) {
	if direction, ok := strings.CutPrefix(end, "offset "); ok {
		p.expr(offset, bindAtom)
		p.w(" ", strings.ToUpper(direction))
		return
	}
	p.w(strings.ToUpper(end))
}
