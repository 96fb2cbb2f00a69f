package sql

import (
	"fmt"
	"strings"
)

// Printer writes trees as SQL. The zero Printer is ready; it is for one goroutine.
// What it writes parses back to the same tree.
type Printer struct {
	// Substitute gives expressions to write in place of parameters.
	Substitute map[int]Expr
	// Renumber numbers the remaining parameters from 1 in order of first use; Params
	// then tells their old numbers: Params[0] is what became $1. It grows over calls.
	Renumber bool
	Params   []int

	b strings.Builder
}

// Print writes a statement, expression, FROM item, type or name with a zero Printer.
func Print(node any) string { return new(Printer).Print(node) }

// PrintExpr writes an expression; "" for nil.
func PrintExpr(e Expr) string {
	if e == nil {
		return ""
	}
	return Print(e)
}

// Print writes a node. It panics if node is none: that is a bug of the caller.
func (p *Printer) Print(node any) string {
	p.b.Reset()
	switch n := node.(type) {
	case Statement:
		p.statement(n)
	case Expr:
		p.expr(n, 0)
	case TableExpr:
		p.fromItem(n)
	case TypeName:
		p.typeName(n)
	case *TypeName:
		p.typeName(*n)
	case Name:
		p.name(n)
	default:
		panic(fmt.Sprintf("sql: %T cannot be printed", node))
	}
	return p.b.String()
}

// w writes text as it is.
func (p *Printer) w(parts ...string) {
	for _, s := range parts {
		p.b.WriteString(s)
	}
}

// wIf writes text when cond holds.
func (p *Printer) wIf(cond bool, text string) {
	if cond {
		p.b.WriteString(text)
	}
}

func (p *Printer) ident(s string) { p.w(QuoteIdent(s)) }

func (p *Printer) name(n Name) { p.w(n.String()) }

// list writes n items with ", " between them.
func (p *Printer) list(n int, item func(i int)) {
	for i := range n {
		p.wIf(i > 0, ", ")
		item(i)
	}
}

func (p *Printer) idents(list []string) {
	p.list(len(list), func(i int) { p.ident(list[i]) })
}

func (p *Printer) names(list []Name) {
	p.list(len(list), func(i int) { p.name(list[i]) })
}

// columns writes (a, b), nothing for an empty list.
func (p *Printer) columns(list []string) {
	if len(list) > 0 {
		p.w(" (")
		p.idents(list)
		p.w(")")
	}
}

func (p *Printer) exprs(list []Expr) {
	p.list(len(list), func(i int) { p.expr(list[i], 0) })
}

// clause writes a keyword and an expression, nothing for nil.
func (p *Printer) clause(keyword string, e Expr) {
	if e != nil {
		p.w(keyword)
		p.expr(e, 0)
	}
}

// statement writes any statement.
func (p *Printer) statement(s Statement) {
	switch s := s.(type) {
	case *Select:
		p.query(s)
	case *Insert:
		p.insert(s)
	case *Update:
		p.update(s)
	case *Delete:
		p.delete(s)
	default:
		if !p.definition(s) && !p.utility(s) {
			panic(fmt.Sprintf("sql: %T cannot be printed", s))
		}
	}
}
