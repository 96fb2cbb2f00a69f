package sql

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestRandomTrees holds that any tree, not only those that somebody wrote as SQL,
// survives printing and parsing.
func TestRandomTrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := grower{t}
		s := g.query(4)
		printed := Print(s)
		again, err := ParseOne(printed)
		if err != nil {
			t.Fatalf("%v: %s", err, printed)
		}
		if !Equal(s, again) {
			t.Fatalf("not the same tree: %s\n then %s", printed, Print(again))
		}
	})
}

// grower makes random trees in the form the parser gives.
type grower struct{ *rapid.T }

func pick[T any](g grower, from ...T) T { return rapid.SampledFrom(from).Draw(g.T, "pick") }

func (g grower) flip() bool { return rapid.Bool().Draw(g.T, "flip") }

func (g grower) count(from, to int) int { return rapid.IntRange(from, to).Draw(g.T, "count") }

func (g grower) ident() string {
	return pick(g, "a", "b", "t", "select", "Order", "left", "a b", `q"q`, "ü", "int", "user", "x$1", "_", "between", "true", "é'", "array", "time", "values")
}

func (g grower) name() Name {
	n := Name{g.ident()}
	if g.flip() {
		n = append(n, g.ident())
	}
	return n
}

func (g grower) literal() Expr {
	switch g.count(0, 5) {
	case 0:
		return &Literal{Kind: 'i', Text: pick(g, "0", "1", "-1", "2147483647", "-2147483648")}
	case 1:
		return &Literal{Kind: 'f', Text: pick(g, "1.5", "-0.5", "1e10", "99999999999", "-99999999999", ".5", "1e-7")}
	case 2:
		return &Literal{Kind: 'b', Text: pick(g, "true", "false")}
	case 3:
		return &Literal{Kind: 'n'}
	case 4:
		return &Literal{Kind: 'x', Text: pick(g, "b101", "x1F", "b")}
	}
	text := rapid.StringOf(rapid.SampledFrom([]rune("ab'\\\"\n$;-/*%ü🙂\tE"))).Draw(g.T, "text")
	return &Literal{Kind: 's', Text: text}
}

func (g grower) typeName() TypeName {
	t := pick(g,
		TypeName{Name: Name{"pg_catalog", "int4"}}, TypeName{Name: Name{"text"}}, TypeName{Name: Name{"s", "Type"}},
		TypeName{Name: Name{"pg_catalog", "timestamptz"}, Mods: []Expr{&Literal{Kind: 'i', Text: "3"}}},
		TypeName{Name: Name{"pg_catalog", "interval"}, Fields: "day to second"}, TypeName{Name: Name{"char"}},
		TypeName{Name: Name{"pg_catalog", "interval"}, Mods: []Expr{&Literal{Kind: 'i', Text: "2"}}},
		TypeName{Name: Name{"pg_catalog", "bpchar"}}, TypeName{Name: Name{"pg_catalog", "float8"}},
		TypeName{Name: Name{"pg_catalog", "bpchar"}, Mods: []Expr{&Literal{Kind: 'i', Text: "3"}}},
		TypeName{Name: Name{"vector"}, Mods: []Expr{&Literal{Kind: 'i', Text: "3"}}})
	t.Dims = g.count(0, 2)
	return t
}

func (g grower) list(depth, least int) []Expr {
	var out []Expr
	for range g.count(least, 3) {
		out = append(out, g.expr(depth-1))
	}
	return out
}

func (g grower) expr(depth int) Expr {
	if depth <= 0 {
		switch g.count(0, 2) {
		case 0:
			return &Param{N: g.count(1, 9)}
		case 1:
			return &ColumnRef{Parts: g.name()}
		}
		return g.literal()
	}
	switch g.count(0, 6) {
	case 0:
		return g.condition(depth)
	case 1:
		return g.call(depth)
	case 2:
		return g.access(depth)
	case 3:
		return g.constructor(depth)
	}
	return g.operator(depth)
}

var operators = []string{
	"+", "-", "*", "/", "%", "^", "||", "=", "<", ">", "<=", ">=", "<>", "~~", "!~~", "~~*", "!~~*", "<->", "<=>", "@>", "?", "->", "->>", "~", "&&", "|",
}

func (g grower) operator(depth int) Expr {
	switch g.count(0, 4) {
	case 0:
		op := &Op{Name: pick(g, "-", "+", "@", "~", "|/"), Right: g.expr(depth - 1)}
		if k, ok := op.Right.(*Literal); ok && (k.Kind == 'i' || k.Kind == 'f') && op.Name == "-" {
			return k // the grammar folds the sign into the number
		}
		return op
	case 1:
		return &Op{Schema: pick(g, "pg_catalog", "S"), Name: pick(g, "+", "~", "<->"), Left: g.expr(depth - 1), Right: g.expr(depth - 1)}
	case 2:
		return &Cast{Arg: g.expr(depth - 1), Type: g.typeName()}
	}
	return &Op{Name: pick(g, operators...), Left: g.expr(depth - 1), Right: g.expr(depth - 1)}
}

func (g grower) condition(depth int) Expr {
	switch g.count(0, 8) {
	case 0:
		args := g.list(depth, 2)
		for i, a := range args {
			if _, ok := a.(*And); ok {
				args[i] = g.literal()
			}
		}
		return &And{Args: args}
	case 1:
		args := g.list(depth, 2)
		for i, a := range args {
			if _, ok := a.(*Or); ok {
				args[i] = g.literal()
			}
		}
		return &Or{Args: args}
	case 2:
		arg := g.expr(depth - 1)
		if in, ok := arg.(*In); ok && in.Query != nil {
			return in // the grammar makes NOT (a IN (query)) of NOT IN, so one of them is enough
		}
		return &Not{Arg: arg}
	case 3:
		return &IsNull{Arg: g.expr(depth - 1), Not: g.flip()}
	case 4:
		return &BoolTest{Arg: g.expr(depth - 1), Test: pick(g, "true", "false", "unknown"), Not: g.flip()}
	case 5:
		return &IsDistinct{Left: g.expr(depth - 1), Right: g.expr(depth - 1), Not: g.flip()}
	case 6:
		return &Between{
			Arg: g.expr(depth - 1), Low: g.expr(depth - 1), High: g.expr(depth - 1), Not: g.flip(), Symmetric: g.flip(),
		}
	case 7:
		in := &In{Left: g.expr(depth - 1), Not: g.flip()}
		if g.flip() {
			in.Query = g.query(depth - 1)
		} else {
			in.List = g.list(depth, 2)
		}
		return in
	}
	any := &AnyAll{Op: pick(g, "=", "<", "~~", "<->"), All: g.flip(), Left: g.expr(depth - 1)}
	if g.flip() {
		any.Query = g.query(depth - 1)
	} else {
		any.Array = &ArrayExpr{Elems: g.list(depth, 0)}
	}
	return any
}

func (g grower) call(depth int) Expr {
	f := &FuncCall{Name: g.name()}
	switch g.count(0, 5) {
	case 0:
		f.Star = true
	case 1:
		f.Args, f.Distinct = g.list(depth, 1), true
		f.OrderBy = g.sortItems(depth)
	case 2:
		f.Args = g.list(depth, 1)
		f.Over = g.window(depth)
	case 3:
		f.Args = g.list(depth, 1)
		f.ArgNames = make([]string, len(f.Args))
		f.ArgNames[len(f.Args)-1] = g.ident()
	case 4:
		f.Args, f.Variadic = g.list(depth, 1), true
		f.Filter = g.expr(depth - 1)
	default:
		f.Args = g.list(depth, 0)
	}
	return f
}

func (g grower) window(depth int) *Window {
	if g.flip() {
		return &Window{Name: g.ident(), Ref: true}
	}
	w := &Window{PartitionBy: g.list(depth, 0), OrderBy: g.sortItems(depth)}
	if g.flip() {
		w.Frame = &Frame{
			Mode: pick(g, "rows", "range", "groups"), Start: "offset preceding", StartExpr: g.expr(depth - 1),
			End: pick(g, "current row", "unbounded following"), Exclude: pick(g, "", "ties", "group", "current row"),
		}
	}
	return w
}

func (g grower) sortItems(depth int) []SortItem {
	var out []SortItem
	for range g.count(0, 2) {
		s := SortItem{Expr: g.expr(depth - 1), Desc: g.flip(), NullsFirst: g.flip()}
		s.NullsLast = !s.NullsFirst && g.flip()
		out = append(out, s)
	}
	return out
}

func (g grower) access(depth int) Expr {
	switch g.count(0, 4) {
	case 0:
		return &Subscript{Arg: g.expr(depth - 1), Low: g.expr(depth - 1)}
	case 1:
		inner := &Subscript{Arg: g.expr(depth - 1), Slice: true, Low: g.expr(depth - 1)}
		return &Subscript{Arg: inner, Chained: true, Slice: true, High: g.expr(depth - 1)}
	case 2:
		return &Field{Arg: g.expr(depth - 1), Name: g.ident()}
	case 3:
		return &Collate{Arg: g.expr(depth - 1), Name: g.name()}
	}
	return &Subquery{Kind: pick[byte](g, 's', 'e', 'a'), Query: g.query(depth - 1)}
}

func (g grower) constructor(depth int) Expr {
	switch g.count(0, 6) {
	case 0:
		return &ArrayExpr{Elems: g.list(depth, 0)}
	case 1:
		row := &RowExpr{Fields: g.list(depth, 0)}
		row.Explicit = len(row.Fields) < 2 || g.flip()
		return row
	case 2:
		return &Coalesce{Args: g.list(depth, 1)}
	case 3:
		return &MinMax{Least: g.flip(), Args: g.list(depth, 1)}
	case 4:
		return &NullIf{Left: g.expr(depth - 1), Right: g.expr(depth - 1)}
	case 5:
		return &CurrentValue{Name: pick(g, "current_date", "current_user", "localtimestamp"), Precision: -1}
	}
	c := &Case{Whens: []When{{Cond: g.expr(depth - 1), Result: g.expr(depth - 1)}}}
	if g.flip() {
		c.Arg = g.expr(depth - 1)
	}
	if g.flip() {
		c.Else = g.expr(depth - 1)
	}
	return c
}

func (g grower) query(depth int) *Select {
	s := &Select{}
	switch {
	case depth > 1 && g.count(0, 4) == 0:
		s.SetOp, s.SetAll = pick(g, "union", "intersect", "except"), g.flip()
		s.Left, s.Right = g.query(depth-1), g.query(depth-1)
	case g.count(0, 4) == 0:
		s.Values = [][]Expr{g.list(depth, 1), {&Default{}}}
	default:
		g.core(s, depth)
	}
	s.OrderBy = g.sortItems(depth)
	if g.flip() {
		s.Limit = g.expr(depth - 1)
	}
	if g.flip() {
		s.Offset = g.expr(depth - 1)
	}
	return s
}

func (g grower) core(s *Select, depth int) {
	for range g.count(1, 2) {
		s.Targets = append(s.Targets, Target{Expr: g.expr(depth - 1), Alias: pick(g, "", g.ident())})
	}
	for range g.count(0, 2) {
		s.From = append(s.From, g.fromItem(depth-1))
	}
	if g.flip() {
		s.Where = g.expr(depth - 1)
	}
	if g.count(0, 3) == 0 {
		s.GroupBy = []Expr{&ColumnRef{Parts: g.name()}, &GroupingSet{Kind: pick(g, "rollup", "cube", "sets"), Items: g.list(depth, 1)}}
		s.Having = g.expr(depth - 1)
	}
	if depth > 1 && g.count(0, 3) == 0 {
		cte := CTE{Name: g.ident(), Query: g.query(depth - 1), Materialized: pick(g, "", "yes", "no")}
		s.With = &With{Recursive: g.flip(), CTEs: []CTE{cte}}
	}
}

func (g grower) fromItem(depth int) TableExpr {
	alias := &Alias{Name: g.ident()}
	if g.flip() {
		alias.Columns = []string{g.ident(), g.ident()}
	}
	if depth > 0 {
		switch g.count(0, 3) {
		case 0:
			return g.join(depth)
		case 1:
			return &Derived{Query: g.query(depth - 1), Lateral: g.flip(), Alias: alias}
		case 2:
			return &FuncTable{Funcs: []Expr{&FuncCall{Name: g.name(), Args: g.list(depth, 0)}}, Ordinality: g.flip(), Alias: alias}
		}
	}
	return &Table{Name: g.name(), Only: g.flip(), Alias: alias}
}

func (g grower) join(depth int) TableExpr {
	j := &Join{Kind: pick(g, "inner", "left", "right", "full", "cross"), Left: g.fromItem(depth - 1), Right: g.fromItem(depth - 1)}
	switch {
	case j.Kind == "cross":
	case g.flip():
		j.On = g.expr(depth - 1)
	case g.flip():
		j.Natural = true
	default:
		j.Using = strings.Split("a,select", ",")
	}
	if g.flip() {
		j.Alias = &Alias{Name: g.ident()}
	}
	return j
}
