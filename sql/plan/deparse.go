package plan

import (
	"math"
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// printFragment writes a plan as one SQL statement; $1… are args.
func printFragment(n Node) (text string, args []Expr, err error) {
	d := &deparser{numbers: make(map[string]int)}
	stmt := d.statement(n)
	if d.err != nil {
		return "", nil, d.err
	}
	return sql.Print(stmt), d.args, nil
}

// deparser turns plan nodes into syntax trees.
type deparser struct {
	args    []Expr
	numbers map[string]int // of args, by key
	aliases int
	err     error
}

func (d *deparser) fail(what string) {
	if d.err == nil {
		d.err = types.Errorf("XX000", "%s cannot be sent to a shard", what)
	}
}

func (d *deparser) alias(prefix string) string {
	d.aliases++
	return prefix + itoa(d.aliases)
}

// stage is how much of a SELECT is written: the clauses that are evaluated before.
type stage byte

const (
	stageRows     stage = iota // FROM and WHERE
	stageGrouped               // GROUP BY and HAVING
	stageDistinct              // DISTINCT
	stageSorted                // ORDER BY
	stageLimited               // LIMIT
)

// query is a SELECT in the making; cols are its output columns.
type query struct {
	sel   *sql.Select
	cols  []sql.Expr
	stage stage
}

// statement is the whole fragment: a SELECT or a writing statement.
func (d *deparser) statement(n Node) sql.Statement {
	switch n := n.(type) {
	case *Update:
		return d.update(n)
	case *Delete:
		return d.delete(n)
	}
	return d.finish(d.node(n), n.Cols())
}

// finish writes the select list.
func (d *deparser) finish(q *query, cols []Col) *sql.Select {
	q.sel.At = -1
	for i, c := range q.cols {
		t := sql.Target{Expr: c}
		if ref, ok := c.(*sql.ColumnRef); !ok || ref.Parts[len(ref.Parts)-1] != cols[i].Name {
			if t.Alias = cols[i].Name; t.Alias == "?column?" || t.Alias == "" {
				t.Alias = "c" + itoa(i+1)
			}
		}
		q.sel.Targets = append(q.sel.Targets, t)
	}
	return q.sel
}

// wrap makes a query a subquery in FROM, so that more can be put over it.
func (d *deparser) wrap(q *query) *query {
	name := d.alias("s")
	out := &query{sel: &sql.Select{}}
	var columns []string
	for i, c := range q.cols {
		columns = append(columns, "c"+itoa(i+1))
		q.sel.Targets = append(q.sel.Targets, sql.Target{Expr: c, Alias: columns[i]})
		out.cols = append(out.cols, &sql.ColumnRef{Parts: sql.Name{name, columns[i]}, At: -1})
	}
	q.sel.At = -1
	out.sel.From = []sql.TableExpr{&sql.Derived{Query: q.sel, Alias: &sql.Alias{Name: name}}}
	return out
}

// upTo gives the query of n at most at a stage, as a subquery if it is beyond. One that
// locks takes ORDER BY and LIMIT only: a join would lose the clause, groups refuse it.
func (d *deparser) upTo(n Node, s stage) *query {
	q := d.node(n)
	if q.stage > s || s < stageSorted && len(q.sel.Locking) > 0 {
		return d.wrap(q)
	}
	return q
}

func (d *deparser) node(n Node) *query {
	switch n := n.(type) {
	case *Scan:
		return d.scan(n)
	case *Filter:
		q := d.upTo(n.Input, stageGrouped)
		cond := d.expr(n.Cond, q.cols)
		if q.stage == stageGrouped {
			q.sel.Having = both(q.sel.Having, cond)
		} else {
			q.sel.Where = both(q.sel.Where, cond)
		}
		return q
	case *Project:
		q := d.node(n.Input)
		if q.stage == stageDistinct || q.stage > stageDistinct && q.sel.Distinct {
			q = d.wrap(q)
		}
		q.cols = d.exprs(n.Exprs, q.cols)
		return q
	case *Sort:
		q := d.upTo(n.Input, stageGrouped)
		for _, k := range n.Keys {
			q.sel.OrderBy = append(q.sel.OrderBy, d.sortItem(k, q.cols))
		}
		q.stage = stageSorted
		return q
	case *Limit:
		return d.limit(n)
	case *Aggregate:
		return d.aggregate(n)
	case *Distinct:
		q := d.upTo(n.Input, stageGrouped)
		q.sel.Distinct, q.stage = true, stageDistinct
		if len(n.On) > 0 {
			d.fail("DISTINCT ON")
		}
		return q
	case *Join:
		return d.join(n)
	case *SetOp:
		return d.setOp(n)
	case *Lock:
		q := d.node(n.Input)
		q.sel.Locking = append(q.sel.Locking, sql.Locking{Strength: n.Strength, Wait: n.Wait})
		return q
	}
	d.fail("this part of the plan")
	return &query{sel: &sql.Select{}, cols: make([]sql.Expr, len(n.Cols()))}
}

// lockable tells whether rows can be locked where a plan runs: no grouping in it.
func lockable(n Node) bool {
	switch n := n.(type) {
	case *Scan:
		return true
	case *Filter:
		return lockable(n.Input)
	case *Project:
		return lockable(n.Input)
	case *Sort:
		return lockable(n.Input)
	}
	return false
}

func both(a, b sql.Expr) sql.Expr {
	if a == nil {
		return b
	}
	return &sql.And{Args: append(sqlConjuncts(a), sqlConjuncts(b)...), At: -1}
}

func sqlConjuncts(e sql.Expr) []sql.Expr {
	if and, ok := e.(*sql.And); ok {
		return slices.Clone(and.Args)
	}
	return []sql.Expr{e}
}

func (d *deparser) table(rel *catalog.Relation, alias string) *sql.Table {
	return &sql.Table{Name: sql.Name{rel.Schema, rel.Name}, Alias: &sql.Alias{Name: alias}, At: -1}
}

// columns are the references to a scan's output columns.
func scanColumns(n *Scan, alias string) []sql.Expr {
	var cols []sql.Expr
	for _, attr := range n.Attrs {
		var name string
		switch attr {
		case AttrSlot:
			name = "helios_slot"
		case AttrTableOID:
			name = "tableoid"
		default:
			name = n.Rel.Columns[attr].Name
		}
		cols = append(cols, &sql.ColumnRef{Parts: sql.Name{alias, name}, At: -1})
	}
	return cols
}

func (d *deparser) scan(n *Scan) *query {
	alias := d.alias("t")
	q := &query{sel: &sql.Select{From: []sql.TableExpr{d.table(n.Rel, alias)}}}
	q.cols = scanColumns(n, alias)
	for i, attr := range n.Attrs {
		if attr >= 0 && n.Rel.Columns[attr].Dropped { // its value is NULL for ever
			q.cols[i] = &sql.Cast{Arg: &sql.Literal{Kind: 'n', At: -1}, Type: d.typeName(types.T(types.TextOID)), At: -1}
		}
	}
	if n.Filter != nil {
		q.sel.Where = d.expr(n.Filter, q.cols)
	}
	return q
}

func (d *deparser) limit(n *Limit) *query {
	q := d.upTo(n.Input, stageSorted)
	if n.Count != nil {
		q.sel.Limit = d.count(n.Count)
	}
	if n.Offset != nil {
		q.sel.Offset = d.count(n.Offset)
	}
	q.sel.WithTies = len(n.Ties) > 0
	q.stage = stageLimited
	return q
}

// count writes an argument of LIMIT or OFFSET: no shard has to compute it.
func (d *deparser) count(e Expr) sql.Expr {
	if c, ok := e.(*Const); ok && !c.Value.IsNull() && c.Value.AsInt() >= 0 && c.Value.AsInt() <= math.MaxInt32 {
		return &sql.Literal{Kind: 'i', Text: itoa(int(c.Value.AsInt())), At: -1}
	}
	if _, ok := e.(*Const); ok {
		return d.expr(e, nil)
	}
	return &sql.Cast{Arg: &sql.Param{N: d.number(e), At: -1}, Type: d.typeName(e.Type()), At: -1}
}

func (d *deparser) sortItem(k SortKey, cols []sql.Expr) sql.SortItem {
	item := sql.SortItem{Expr: d.expr(k.Expr, cols), Desc: k.Desc}
	if lit, ok := item.Expr.(*sql.Literal); ok { // a bare number would be an ordinal
		item.Expr = &sql.Cast{Arg: lit, Type: d.typeName(k.Expr.Type()), At: -1}
	}
	if k.NullsFirst != k.Desc {
		item.NullsFirst, item.NullsLast = k.NullsFirst, !k.NullsFirst
	}
	return item
}

func (d *deparser) aggregate(n *Aggregate) *query {
	q := d.upTo(n.Input, stageRows)
	below := q.cols
	q.cols = nil
	for _, g := range n.Group {
		x := d.expr(g, below)
		if lit, ok := x.(*sql.Literal); ok {
			x = &sql.Cast{Arg: lit, Type: d.typeName(g.Type()), At: -1}
		}
		q.sel.GroupBy = append(q.sel.GroupBy, x)
		q.cols = append(q.cols, x)
	}
	for _, a := range n.Aggs {
		q.cols = append(q.cols, d.aggCall(a, below))
	}
	if len(n.Group) == 0 && len(n.Aggs) == 0 {
		q.sel.Having = &sql.Literal{Kind: 'b', Text: "true", At: -1}
	}
	q.stage = stageGrouped
	return q
}

func (d *deparser) aggCall(a AggCall, cols []sql.Expr) sql.Expr {
	f := &sql.FuncCall{Name: sql.Name{a.Agg.Name}, Star: a.Star, Distinct: a.Distinct, Args: d.exprs(a.Args, cols), At: -1}
	if a.Star {
		f.Args = nil
	}
	for _, k := range a.OrderBy {
		f.OrderBy = append(f.OrderBy, d.sortItem(k, cols))
	}
	if a.Filter != nil {
		f.Filter = d.expr(a.Filter, cols)
	}
	return f
}

// join writes a join of two FROM items. A side with more than FROM and WHERE becomes a
// subquery, and so does one that would change its meaning outside.
func (d *deparser) join(n *Join) *query {
	l, r := d.upTo(n.Left, stageRows), d.upTo(n.Right, stageRows)
	if (n.Kind == RightJoin || n.Kind == FullJoin) && !l.extends() || len(l.sel.From) != 1 {
		l = d.wrap(l)
	}
	if (n.Kind == LeftJoin || n.Kind == FullJoin) && !r.extends() || len(r.sel.From) != 1 {
		r = d.wrap(r)
	}
	semi := n.Kind == SemiJoin || n.Kind == AntiJoin
	cols := slices.Concat(l.cols, r.cols)
	var on sql.Expr
	for _, k := range n.Keys {
		eq := &sql.Op{Name: "=", Left: d.expr(k.Left, l.cols), Right: d.expr(k.Right, r.cols), At: -1}
		on = both(on, eq)
	}
	if n.Cond != nil {
		on = both(on, d.expr(n.Cond, cols))
	}
	if semi {
		if on != nil {
			r.sel.Where = both(r.sel.Where, on)
		}
		r.sel.Targets, r.sel.At = []sql.Target{{Expr: &sql.Literal{Kind: 'i', Text: "1", At: -1}}}, -1
		var test sql.Expr = &sql.Subquery{Kind: 'e', Query: r.sel, At: -1}
		if n.Kind == AntiJoin {
			test = &sql.Not{Arg: test, At: -1}
		}
		l.sel.Where = both(l.sel.Where, test)
		return l
	}
	j := &sql.Join{Kind: joinWords[n.Kind], Left: l.sel.From[0], Right: r.sel.From[0], On: on}
	if on == nil {
		if j.Kind == "inner" {
			j.Kind = "cross"
		} else {
			j.On = &sql.Literal{Kind: 'b', Text: "true", At: -1}
		}
	}
	out := &query{sel: &sql.Select{From: []sql.TableExpr{j}, Where: l.sel.Where}, cols: cols}
	if r.sel.Where != nil {
		out.sel.Where = both(out.sel.Where, r.sel.Where)
	}
	return out
}

// extends tells whether a query's FROM may stand by itself on the side of an outer join
// that gives NULLs: a condition would drop them, and what is computed from them need not
// be NULL.
func (q *query) extends() bool {
	return q.sel.Where == nil && !slices.ContainsFunc(q.cols, func(c sql.Expr) bool {
		_, plain := c.(*sql.ColumnRef)
		return !plain
	})
}

var joinWords = map[JoinKind]string{InnerJoin: "inner", LeftJoin: "left", RightJoin: "right", FullJoin: "full"}

func (d *deparser) setOp(n *SetOp) *query {
	l := d.finish(d.plain(n.Left), n.Left.Cols())
	r := d.finish(d.plain(n.Right), n.Right.Cols())
	name := d.alias("s")
	both := &sql.Select{SetOp: n.Op, SetAll: n.All, Left: l, Right: r, At: -1}
	q := &query{sel: &sql.Select{}}
	alias := &sql.Alias{Name: name}
	for i := range n.Columns {
		alias.Columns = append(alias.Columns, "c"+itoa(i+1))
		q.cols = append(q.cols, &sql.ColumnRef{Parts: sql.Name{name, alias.Columns[i]}, At: -1})
	}
	q.sel.From = []sql.TableExpr{&sql.Derived{Query: both, Alias: alias}}
	return q
}

// plain is a query without ORDER BY and LIMIT of its own.
func (d *deparser) plain(n Node) *query { return d.upTo(n, stageDistinct) }

func (d *deparser) update(n *Update) sql.Statement {
	scan := n.Source.(*Scan)
	alias := d.alias("t")
	cols := scanColumns(scan, alias)
	u := &sql.Update{Table: d.table(n.Rel, alias)}
	for _, a := range n.Set {
		c := n.Rel.Columns[a.Attr]
		var value sql.Expr = &sql.Default{At: -1}
		if c.Generated == 0 {
			x := a.Expr
			if cast, ok := x.(*Cast); ok && !cast.Explicit {
				x = cast.Arg // the assignment casts again
			}
			value = d.expr(x, cols)
		}
		u.Set = append(u.Set, sql.Assign{Columns: []string{c.Name}, Value: value, At: -1})
	}
	if scan.Filter != nil {
		u.Where = d.expr(scan.Filter, cols)
	}
	u.Returning = d.returning(n.Returning, n.Columns, cols)
	return u
}

func (d *deparser) delete(n *Delete) sql.Statement {
	scan := n.Source.(*Scan)
	alias := d.alias("t")
	cols := scanColumns(scan, alias)
	s := &sql.Delete{Table: d.table(n.Rel, alias)}
	if scan.Filter != nil {
		s.Where = d.expr(scan.Filter, cols)
	}
	s.Returning = d.returning(n.Returning, n.Columns, cols)
	return s
}

func (d *deparser) returning(list []Expr, names []Col, cols []sql.Expr) []sql.Target {
	var out []sql.Target
	for i, e := range list {
		alias := names[i].Name
		if alias == "?column?" {
			alias = "c" + itoa(i+1)
		}
		out = append(out, sql.Target{Expr: d.expr(e, cols), Alias: alias})
	}
	return out
}
