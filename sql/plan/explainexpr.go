package plan

import (
	"fmt"
	"strings"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// exprPrinter prints expressions for EXPLAIN: short, casts only where they were written.
type exprPrinter struct {
	names []string // of the input columns
}

// printer prints expressions over the rows of some inputs, side by side.
func (x *explainer) printer(inputs ...Node) *exprPrinter {
	p := &exprPrinter{}
	for _, in := range inputs {
		for i := range in.Cols() {
			p.names = append(p.names, origin(in, i, len(inputs) > 1))
		}
	}
	return p
}

// origin names column i of a node's output as the table column it comes from.
func origin(n Node, i int, qualify bool) string {
	switch n := n.(type) {
	case *Scan:
		name := sql.QuoteIdent(n.Columns[i].Name)
		if qualify {
			return sql.QuoteIdent(n.Alias) + "." + name
		}
		return name
	case *Filter:
		return origin(n.Input, i, qualify)
	case *Sort:
		return origin(n.Input, i, qualify)
	case *Limit:
		return origin(n.Input, i, qualify)
	case *Project:
		p := &exprPrinter{}
		for c := range n.Input.Cols() {
			p.names = append(p.names, origin(n.Input, c, qualify))
		}
		return p.expr(n.Exprs[i])
	case *Aggregate:
		p := &exprPrinter{}
		for c := range n.Input.Cols() {
			p.names = append(p.names, origin(n.Input, c, qualify))
		}
		if i < len(n.Group) {
			return p.expr(n.Group[i])
		}
		a := n.Aggs[i-len(n.Group)]
		if a.Star {
			return a.Agg.Name + "(*)"
		}
		return a.Agg.Name + "(" + p.list(a.Args) + ")"
	case *Join:
		left := len(n.Left.Cols())
		if i < left {
			return origin(n.Left, i, true)
		}
		return origin(n.Right, i-left, true)
	case *Gather:
		return origin(n.Fragment, i, qualify)
	}
	return sql.QuoteIdent(n.Cols()[i].Name)
}

func (p *exprPrinter) list(list []Expr) string {
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = p.expr(e)
	}
	return strings.Join(parts, ", ")
}

func (p *exprPrinter) keys(keys []SortKey) string {
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = p.expr(k.Expr)
		if k.Desc {
			parts[i] += " DESC"
		}
		if k.NullsFirst != k.Desc {
			parts[i] += map[bool]string{true: " NULLS FIRST", false: " NULLS LAST"}[k.NullsFirst]
		}
	}
	return strings.Join(parts, ", ")
}

func (p *exprPrinter) expr(e Expr) string {
	switch e := e.(type) {
	case nil:
		return ""
	case *Const:
		return printConst(e)
	case *Param:
		return fmt.Sprintf("$%d", e.N)
	case *Outer:
		if e.Name != "" {
			return sql.QuoteIdent(e.Name)
		}
		return fmt.Sprintf("outer%d", e.Index+1)
	case *Column:
		if e.Index < len(p.names) {
			return p.names[e.Index]
		}
		return e.Name
	case *Call:
		return p.call(e)
	case *And:
		return "(" + p.joined(e.Args, " AND ") + ")"
	case *Or:
		return "(" + p.joined(e.Args, " OR ") + ")"
	case *Not:
		return "(NOT " + p.expr(e.Arg) + ")"
	case *IsNull:
		if e.Not {
			return "(" + p.expr(e.Arg) + " IS NOT NULL)"
		}
		return "(" + p.expr(e.Arg) + " IS NULL)"
	case *AnyAll:
		word := "ANY"
		if e.All {
			word = "ALL"
		}
		return fmt.Sprintf("(%s %s %s (%s))", p.expr(e.Left), e.Op, word, p.expr(e.Array))
	case *Cast:
		if !e.Explicit {
			return p.expr(e.Arg)
		}
		return "(" + p.expr(e.Arg) + ")::" + types.FormatType(e.Typ)
	}
	return p.rare(e)
}

func (p *exprPrinter) rare(e Expr) string {
	switch e := e.(type) {
	case *BoolTest:
		return "(" + p.expr(e.Arg) + " IS " + not(e.Not) + upper(e.Test) + ")"
	case *IsDistinct:
		return "(" + p.expr(e.Left) + " IS " + not(e.Not) + "DISTINCT FROM " + p.expr(e.Right) + ")"
	case *Case:
		out := "CASE"
		for _, w := range e.Whens {
			out += " WHEN " + p.expr(w.Cond) + " THEN " + p.expr(w.Result)
		}
		if e.Else != nil {
			out += " ELSE " + p.expr(e.Else)
		}
		return out + " END"
	case *Coalesce:
		return "COALESCE(" + p.list(e.Args) + ")"
	case *MinMax:
		if e.Least {
			return "LEAST(" + p.list(e.Args) + ")"
		}
		return "GREATEST(" + p.list(e.Args) + ")"
	case *NullIf:
		return "NULLIF(" + p.expr(e.Left) + ", " + p.expr(e.Right) + ")"
	case *ArrayExpr:
		return "ARRAY[" + p.list(e.Elems) + "]"
	case *Row:
		return "ROW(" + p.list(e.Fields) + ")"
	case *Subscript:
		return p.expr(e.Arg) + "[…]"
	case *Field:
		return "(" + p.expr(e.Arg) + ")." + sql.QuoteIdent(e.Name)
	case *SubPlan:
		return "(SubPlan)"
	case *InitValue:
		return "(InitPlan " + itoa(e.Index+1) + ")"
	}
	return "?"
}

func not(yes bool) string {
	if yes {
		return "NOT "
	}
	return ""
}

func (p *exprPrinter) joined(list []Expr, word string) string {
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = p.expr(e)
	}
	return strings.Join(parts, word)
}

func (p *exprPrinter) call(e *Call) string {
	switch {
	case e.Op != "" && len(e.Args) == 1:
		return "(" + e.Op + " " + p.expr(e.Args[0]) + ")"
	case e.Op != "":
		return "(" + p.expr(e.Args[0]) + " " + e.Op + " " + p.expr(e.Args[1]) + ")"
	}
	return e.Fn.Name + "(" + p.list(e.Args) + ")"
}

// maxConst is how much of a constant EXPLAIN shows.
const maxConst = 120

func printConst(c *Const) string {
	if c.Value.IsNull() {
		return "NULL::" + types.FormatType(c.Typ)
	}
	text := types.ToText(types.T(c.Typ.OID), c.Value)
	if len(text) > maxConst {
		text = strings.ToValidUTF8(text[:maxConst], "") + "…"
	}
	switch c.Typ.OID {
	case types.BoolOID:
		return map[bool]string{true: "true", false: "false"}[c.Value.AsBool()]
	case types.Int4OID:
		if c.Value.AsInt() >= 0 {
			return text
		}
		return "'" + text + "'::integer"
	}
	return sql.QuoteLiteral(text) + "::" + types.FormatType(c.Typ)
}

// access prints the conditions that an index scan uses.
func (p *exprPrinter) access(n *Scan) string {
	a := n.Access
	nums, _ := a.Index.Columns()
	var parts []string
	name := func(i int) string { return sql.QuoteIdent(n.Rel.Columns[nums[i]-1].Name) }
	for i, k := range a.Prefix {
		switch {
		case k.Array != nil:
			parts = append(parts, fmt.Sprintf("(%s = ANY (%s))", name(i), p.expr(k.Array)))
		case len(k.Values) == 1:
			parts = append(parts, fmt.Sprintf("(%s = %s)", name(i), p.expr(k.Values[0])))
		default:
			parts = append(parts, fmt.Sprintf("(%s = ANY (ARRAY[%s]))", name(i), p.list(k.Values)))
		}
	}
	bound := func(b *Bound, op string) {
		if b == nil {
			return
		}
		if b.Inclusive {
			op += "="
		}
		parts = append(parts, fmt.Sprintf("(%s %s %s)", name(len(a.Prefix)), op, p.expr(b.Value)))
	}
	bound(a.Low, ">")
	bound(a.High, "<")
	return strings.Join(parts, " AND ")
}
