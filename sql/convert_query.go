package sql

import (
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// selectStatement converts SELECT; SELECT INTO is CREATE TABLE AS.
func (c *converter) selectStatement(x *pg.SelectStmt) Statement {
	if x.IntoClause == nil {
		return c.selectQuery(x)
	}
	into := x.IntoClause
	x.IntoClause = nil
	return c.createTableAs(into, c.selectQuery(x), false)
}

// subquery converts a SELECT that stands inside something else.
func (c *converter) subquery(n *pg.Node) *Select {
	x := n.GetSelectStmt()
	if x == nil {
		unsupported(nodeWhat(n) + " as a subquery")
	}
	return c.selectQuery(x)
}

func (c *converter) selectQuery(x *pg.SelectStmt) *Select {
	c.enter()
	defer c.leave()
	if x.IntoClause != nil {
		unsupported("SELECT INTO in a subquery")
	}
	if x.GroupDistinct {
		unsupported("GROUP BY DISTINCT")
	}
	s := &Select{
		With: c.with(x.WithClause), Targets: c.targets(x.TargetList), From: c.fromItems(x.FromClause),
		Where: c.expr(x.WhereClause), GroupBy: c.exprs(x.GroupClause), Having: c.expr(x.HavingClause),
		OrderBy: c.sortItems(x.SortClause), Limit: c.expr(x.LimitCount), Offset: c.expr(x.LimitOffset),
		WithTies: x.LimitOption == pg.LimitOption_LIMIT_OPTION_WITH_TIES, At: -1,
	}
	if len(x.DistinctClause) > 0 {
		if on := c.exprs(x.DistinctClause); on[0] != nil {
			s.DistinctOn = on
		} else {
			s.Distinct = true
		}
	}
	for _, n := range x.WindowClause {
		s.Windows = append(s.Windows, c.window(n.GetWindowDef()))
	}
	for _, n := range x.ValuesLists {
		s.Values = append(s.Values, c.exprs(n.GetList().GetItems()))
	}
	if op, ok := setOps[x.Op]; ok {
		s.SetOp, s.SetAll = op, x.All
		s.Left, s.Right = c.selectQuery(x.Larg), c.selectQuery(x.Rarg)
	}
	for _, n := range x.LockingClause {
		s.Locking = append(s.Locking, c.locking(n.GetLockingClause()))
	}
	return s
}

var setOps = map[pg.SetOperation]string{
	pg.SetOperation_SETOP_UNION: "union", pg.SetOperation_SETOP_INTERSECT: "intersect", pg.SetOperation_SETOP_EXCEPT: "except",
}

func (c *converter) locking(x *pg.LockingClause) Locking {
	l := Locking{Strength: map[pg.LockClauseStrength]string{
		pg.LockClauseStrength_LCS_FORKEYSHARE:    "key share",
		pg.LockClauseStrength_LCS_FORSHARE:       "share",
		pg.LockClauseStrength_LCS_FORNOKEYUPDATE: "no key update",
		pg.LockClauseStrength_LCS_FORUPDATE:      "update",
	}[x.Strength]}
	for _, n := range x.LockedRels {
		l.Of = append(l.Of, n.GetRangeVar().GetRelname())
	}
	switch x.WaitPolicy {
	case pg.LockWaitPolicy_LockWaitSkip:
		l.Wait = "skip locked"
	case pg.LockWaitPolicy_LockWaitError:
		l.Wait = "nowait"
	}
	return l
}

func (c *converter) with(x *pg.WithClause) *With {
	if x == nil {
		return nil
	}
	w := &With{Recursive: x.Recursive}
	for _, n := range x.Ctes {
		t := n.GetCommonTableExpr()
		if t.SearchClause != nil || t.CycleClause != nil {
			unsupported("SEARCH and CYCLE of recursive queries")
		}
		q := c.query(t.Ctequery)
		if q == nil {
			unsupported(nodeWhat(t.Ctequery) + " in WITH")
		}
		cte := CTE{Name: t.Ctename, Columns: strs(t.Aliascolnames), Query: q}
		switch t.Ctematerialized {
		case pg.CTEMaterialize_CTEMaterializeAlways:
			cte.Materialized = "yes"
		case pg.CTEMaterialize_CTEMaterializeNever:
			cte.Materialized = "no"
		}
		w.CTEs = append(w.CTEs, cte)
	}
	return w
}

func (c *converter) targets(list []*pg.Node) []Target {
	var out []Target
	for _, n := range list {
		r := n.GetResTarget()
		out = append(out, Target{Expr: c.expr(r.Val), Alias: r.Name})
	}
	return out
}

func (c *converter) fromItems(list []*pg.Node) []TableExpr {
	var out []TableExpr
	for _, n := range list {
		out = append(out, c.fromItem(n))
	}
	return out
}

func (c *converter) fromItem(n *pg.Node) TableExpr {
	c.enter()
	defer c.leave()
	switch x := n.Node.(type) {
	case *pg.Node_RangeVar:
		return c.table(x.RangeVar)
	case *pg.Node_JoinExpr:
		return c.join(x.JoinExpr)
	case *pg.Node_RangeSubselect:
		return &Derived{
			Query: c.subquery(x.RangeSubselect.Subquery), Lateral: x.RangeSubselect.Lateral,
			Alias: alias(x.RangeSubselect.Alias),
		}
	case *pg.Node_RangeFunction:
		return c.funcTable(x.RangeFunction)
	case *pg.Node_RangeTableSample:
		unsupported("TABLESAMPLE")
	case *pg.Node_RangeTableFunc:
		unsupported("XMLTABLE")
	case *pg.Node_JsonTable:
		unsupported("JSON_TABLE")
	}
	unsupported("this FROM item")
	return nil
}

func (c *converter) table(x *pg.RangeVar) *Table {
	return &Table{Name: rangeName(x), Only: !x.Inh, Alias: alias(x.Alias), At: c.at(x.Location)}
}

func alias(x *pg.Alias) *Alias {
	if x == nil {
		return nil
	}
	return &Alias{Name: x.Aliasname, Columns: strs(x.Colnames)}
}

func (c *converter) join(x *pg.JoinExpr) *Join {
	if x.JoinUsingAlias != nil {
		unsupported("an alias of JOIN USING")
	}
	j := &Join{
		Natural: x.IsNatural, Left: c.fromItem(x.Larg), Right: c.fromItem(x.Rarg),
		Using: strs(x.UsingClause), On: c.expr(x.Quals), Alias: alias(x.Alias),
	}
	switch x.Jointype {
	case pg.JoinType_JOIN_LEFT:
		j.Kind = "left"
	case pg.JoinType_JOIN_RIGHT:
		j.Kind = "right"
	case pg.JoinType_JOIN_FULL:
		j.Kind = "full"
	default:
		j.Kind = "inner"
		if !j.Natural && j.Using == nil && j.On == nil {
			j.Kind = "cross"
		}
	}
	return j
}

func (c *converter) funcTable(x *pg.RangeFunction) *FuncTable {
	f := &FuncTable{Rows: x.IsRowsfrom, Lateral: x.Lateral, Ordinality: x.Ordinality, Alias: alias(x.Alias)}
	for _, n := range x.Functions {
		pair := n.GetList().GetItems()
		if len(pair) > 1 && pair[1] != nil && len(pair[1].GetList().GetItems()) > 0 {
			unsupported("a column list inside ROWS FROM")
		}
		f.Funcs = append(f.Funcs, c.expr(pair[0]))
	}
	for _, n := range x.Coldeflist {
		f.Columns = append(f.Columns, c.columnDef(n.GetColumnDef()))
	}
	return f
}

func (c *converter) insert(x *pg.InsertStmt) *Insert {
	s := &Insert{
		With: c.with(x.WithClause), Table: c.table(x.Relation), Returning: c.targets(x.ReturningList),
	}
	for _, n := range x.Cols {
		s.Columns = append(s.Columns, plainTarget(n.GetResTarget()))
	}
	switch x.Override {
	case pg.OverridingKind_OVERRIDING_USER_VALUE:
		s.Overriding = "user"
	case pg.OverridingKind_OVERRIDING_SYSTEM_VALUE:
		s.Overriding = "system"
	}
	if x.SelectStmt != nil {
		s.Query = c.subquery(x.SelectStmt)
	}
	if x.OnConflictClause != nil {
		s.OnConflict = c.onConflict(x.OnConflictClause)
	}
	return s
}

// plainTarget is the column of a target that is a whole column.
func plainTarget(r *pg.ResTarget) string {
	if len(r.Indirection) > 0 {
		unsupported("assignment to an array element or a field")
	}
	return r.Name
}

func (c *converter) onConflict(x *pg.OnConflictClause) *OnConflict {
	o := &OnConflict{
		DoUpdate: x.Action == pg.OnConflictAction_ONCONFLICT_UPDATE,
		Set:      c.assigns(x.TargetList), SetWhere: c.expr(x.WhereClause),
	}
	if x.Infer == nil {
		return o
	}
	o.Constraint = x.Infer.Conname
	o.Where = c.expr(x.Infer.WhereClause)
	for _, n := range x.Infer.IndexElems {
		e := n.GetIndexElem()
		if len(e.Opclass) > 0 {
			unsupported("an operator class in ON CONFLICT")
		}
		key := c.expr(e.Expr)
		if e.Name != "" {
			key = &ColumnRef{Parts: Name{e.Name}, At: -1}
		}
		if len(e.Collation) > 0 {
			key = &Collate{Arg: key, Name: strs(e.Collation), At: -1}
		}
		o.Columns = append(o.Columns, key)
	}
	return o
}

// assigns converts a SET list. The parser repeats the source of (a, b) = … per column.
func (c *converter) assigns(list []*pg.Node) []Assign {
	var out []Assign
	for i := 0; i < len(list); i++ {
		r := list[i].GetResTarget()
		a := Assign{Columns: []string{plainTarget(r)}, At: c.at(r.Location)}
		multi := r.Val.GetMultiAssignRef()
		if multi == nil {
			a.Value = c.expr(r.Val)
			out = append(out, a)
			continue
		}
		a.Value = c.expr(multi.Source)
		for range int(multi.Ncolumns) - 1 {
			i++
			a.Columns = append(a.Columns, plainTarget(list[i].GetResTarget()))
		}
		if row, ok := a.Value.(*RowExpr); ok && len(a.Columns) == 1 && len(row.Fields) == 1 {
			a.Value = row.Fields[0]
		}
		out = append(out, a)
	}
	return out
}

func (c *converter) update(x *pg.UpdateStmt) *Update {
	return &Update{
		With: c.with(x.WithClause), Table: c.table(x.Relation), Set: c.assigns(x.TargetList),
		From: c.fromItems(x.FromClause), Where: c.expr(x.WhereClause), Returning: c.targets(x.ReturningList),
	}
}

func (c *converter) delete(x *pg.DeleteStmt) *Delete {
	return &Delete{
		With: c.with(x.WithClause), Table: c.table(x.Relation), Using: c.fromItems(x.UsingClause),
		Where: c.expr(x.WhereClause), Returning: c.targets(x.ReturningList),
	}
}

// typeName converts a type. The mods of interval carry its fields as a bit mask.
func (c *converter) typeName(x *pg.TypeName) TypeName {
	if x == nil {
		return TypeName{At: -1}
	}
	if x.PctType {
		unsupported("%TYPE")
	}
	t := TypeName{
		Name: strs(x.Names), Mods: c.exprs(x.Typmods), Dims: len(x.ArrayBounds), SetOf: x.Setof, At: c.at(x.Location),
	}
	if n := len(t.Name); n == 2 && t.Name[0] == "pg_catalog" && t.Name[1] == "interval" && len(t.Mods) > 0 {
		if mask, ok := t.Mods[0].(*Literal); ok && mask.Kind == 'i' {
			fields, known := intervalFields[mask.Text]
			if !known {
				unsupported("these fields of interval")
			}
			t.Fields, t.Mods = fields, t.Mods[1:]
		}
	}
	return t
}

// intervalFields are the masks of PostgreSQL's INTERVAL_MASK as the grammar makes them.
var intervalFields = func() map[string]string {
	bit := map[string]int{"month": 1, "year": 2, "day": 3, "hour": 10, "minute": 11, "second": 12}
	out := map[string]string{"32767": ""}
	for _, fields := range []string{
		"year", "month", "day", "hour", "minute", "second", "year to month", "day to hour", "day to minute",
		"day to second", "hour to minute", "hour to second", "minute to second",
	} {
		from, to, ranged := strings.Cut(fields, " to ")
		mask := 1 << bit[from]
		if ranged {
			order := []string{"year", "month", "day", "hour", "minute", "second"}
			on := false
			for _, f := range order {
				on = on || f == from
				if on {
					mask |= 1 << bit[f]
				}
				on = on && f != to
			}
		}
		out[fmt.Sprint(mask)] = fields
	}
	return out
}()
