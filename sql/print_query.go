package sql

import "strings"

func (p *Printer) query(s *Select) {
	p.with(s.With)
	switch {
	case s.SetOp != "":
		p.subquery(s.Left)
		p.w(" ", strings.ToUpper(s.SetOp))
		p.wIf(s.SetAll, " ALL")
		p.w(" ")
		p.subquery(s.Right)
	case len(s.Values) > 0:
		p.w("VALUES ")
		p.list(len(s.Values), func(i int) { p.wordCall("", s.Values[i]) })
	default:
		p.selectCore(s)
	}
	p.orderBy(s.OrderBy)
	p.limit(s)
	for _, l := range s.Locking {
		p.w(" FOR ", strings.ToUpper(l.Strength))
		if len(l.Of) > 0 {
			p.w(" OF ")
			p.idents(l.Of)
		}
		p.wIf(l.Wait != "", " "+strings.ToUpper(l.Wait))
	}
}

func (p *Printer) selectCore(s *Select) {
	p.w("SELECT")
	p.wIf(s.Distinct, " DISTINCT")
	if len(s.DistinctOn) > 0 {
		p.w(" DISTINCT ON (")
		p.exprs(s.DistinctOn)
		p.w(")")
	}
	p.wIf(len(s.Targets) > 0, " ")
	p.targets(s.Targets)
	p.from(" FROM ", s.From)
	p.clause(" WHERE ", s.Where)
	if len(s.GroupBy) > 0 {
		p.w(" GROUP BY ")
		p.exprs(s.GroupBy)
	}
	p.clause(" HAVING ", s.Having)
	for i := range s.Windows {
		p.w([]string{" WINDOW ", ", "}[min(i, 1)], QuoteIdent(s.Windows[i].Name), " AS ")
		p.window(&s.Windows[i])
	}
}

func (p *Printer) limit(s *Select) {
	if s.Offset != nil {
		p.w(" OFFSET ")
		p.expr(s.Offset, 0)
	}
	switch {
	case s.Limit == nil:
	case s.WithTies:
		p.w(" FETCH FIRST (")
		p.expr(s.Limit, 0)
		p.w(") ROWS WITH TIES")
	default:
		p.w(" LIMIT ")
		p.expr(s.Limit, 0)
	}
}

func (p *Printer) with(w *With) {
	if w == nil {
		return
	}
	p.w("WITH ")
	p.wIf(w.Recursive, "RECURSIVE ")
	p.list(len(w.CTEs), func(i int) {
		c := w.CTEs[i]
		p.ident(c.Name)
		p.columns(c.Columns)
		p.w(" AS ", map[string]string{"yes": "MATERIALIZED ", "no": "NOT MATERIALIZED "}[c.Materialized], "(")
		p.statement(c.Query)
		p.w(")")
	})
	p.w(" ")
}

func (p *Printer) targets(list []Target) {
	p.list(len(list), func(i int) {
		p.expr(list[i].Expr, 0)
		p.wIf(list[i].Alias != "", " AS "+QuoteIdent(list[i].Alias))
	})
}

func (p *Printer) from(word string, items []TableExpr) {
	if len(items) > 0 {
		p.w(word)
		p.list(len(items), func(i int) { p.fromItem(items[i]) })
	}
}

func (p *Printer) fromItem(t TableExpr) {
	switch t := t.(type) {
	case *Table:
		p.table(t)
	case *Join:
		p.join(t)
	case *Derived:
		p.wIf(t.Lateral, "LATERAL ")
		p.subquery(t.Query)
		p.alias(t.Alias)
	case *FuncTable:
		p.funcTable(t)
	}
}

func (p *Printer) table(t *Table) {
	p.wIf(t.Only, "ONLY ")
	p.name(t.Name)
	p.alias(t.Alias)
}

func (p *Printer) alias(a *Alias) {
	if a != nil {
		p.w(" AS ", QuoteIdent(a.Name))
		p.columns(a.Columns)
	}
}

// join writes a join, in brackets if it has an alias; joins below it always are.
func (p *Printer) join(j *Join) {
	p.wIf(j.Alias != nil, "(")
	p.joinSide(j.Left)
	p.wIf(j.Natural, " NATURAL")
	p.w(" ", strings.ToUpper(j.Kind), " JOIN ")
	p.joinSide(j.Right)
	if len(j.Using) > 0 {
		p.w(" USING")
		p.columns(j.Using)
	}
	p.clause(" ON ", j.On)
	if j.Alias != nil {
		p.w(")")
		p.alias(j.Alias)
	}
}

func (p *Printer) joinSide(t TableExpr) {
	if j, ok := t.(*Join); ok && j.Alias == nil {
		p.w("(")
		p.join(j)
		p.w(")")
		return
	}
	p.fromItem(t)
}

func (p *Printer) funcTable(t *FuncTable) {
	p.wIf(t.Lateral, "LATERAL ")
	p.wIf(t.Rows, "ROWS FROM (")
	p.list(len(t.Funcs), func(i int) { p.tableFunc(t.Funcs[i]) })
	p.wIf(t.Rows, ")")
	p.wIf(t.Ordinality, " WITH ORDINALITY")
	if len(t.Columns) == 0 {
		p.alias(t.Alias)
		return
	}
	p.w(" AS ")
	if t.Alias != nil {
		p.w(QuoteIdent(t.Alias.Name), " ")
	}
	p.w("(")
	p.list(len(t.Columns), func(i int) { p.columnDef(t.Columns[i]) })
	p.w(")")
}

// tableFunc writes a function of FROM, where a cast has to look like a call.
func (p *Printer) tableFunc(e Expr) {
	if c, ok := e.(*Cast); ok {
		p.w("CAST(")
		p.expr(c.Arg, 0)
		p.w(" AS ")
		p.typeName(c.Type)
		p.w(")")
		return
	}
	p.expr(e, 0)
}

func (p *Printer) insert(s *Insert) {
	p.with(s.With)
	p.w("INSERT INTO ")
	p.table(s.Table)
	p.columns(s.Columns)
	p.wIf(s.Overriding != "", " OVERRIDING "+strings.ToUpper(s.Overriding)+" VALUE")
	if s.Query == nil {
		p.w(" DEFAULT VALUES")
	} else {
		p.w(" ")
		p.query(s.Query)
	}
	if s.OnConflict != nil {
		p.onConflict(s.OnConflict)
	}
	p.returning(s.Returning)
}

func (p *Printer) onConflict(o *OnConflict) {
	p.w(" ON CONFLICT")
	if len(o.Columns) > 0 {
		p.w(" (")
		p.list(len(o.Columns), func(i int) { p.inferred(o.Columns[i]) })
		p.w(")")
		p.clause(" WHERE ", o.Where)
	}
	p.wIf(o.Constraint != "", " ON CONSTRAINT "+QuoteIdent(o.Constraint))
	if !o.DoUpdate {
		p.w(" DO NOTHING")
		return
	}
	p.w(" DO UPDATE SET ")
	p.assigns(o.Set)
	p.clause(" WHERE ", o.SetWhere)
}

// inferred writes an index column of ON CONFLICT: a name, a collated one, or (expr).
func (p *Printer) inferred(e Expr) {
	switch e := e.(type) {
	case *ColumnRef:
		p.columnRef(e)
	case *Collate:
		p.inferred(e.Arg)
		p.w(" COLLATE ")
		p.name(e.Name)
	default:
		p.keyExpr(e)
	}
}

func (p *Printer) assigns(list []Assign) {
	p.list(len(list), func(i int) {
		a := list[i]
		if len(a.Columns) == 1 {
			p.ident(a.Columns[0])
		} else {
			p.w("(")
			p.idents(a.Columns)
			p.w(")")
		}
		p.clause(" = ", a.Value)
	})
}

func (p *Printer) returning(list []Target) {
	if len(list) > 0 {
		p.w(" RETURNING ")
		p.targets(list)
	}
}

func (p *Printer) update(s *Update) {
	p.with(s.With)
	p.w("UPDATE ")
	p.table(s.Table)
	p.w(" SET ")
	p.assigns(s.Set)
	p.from(" FROM ", s.From)
	p.clause(" WHERE ", s.Where)
	p.returning(s.Returning)
}

func (p *Printer) delete(s *Delete) {
	p.with(s.With)
	p.w("DELETE FROM ")
	p.table(s.Table)
	p.from(" USING ", s.Using)
	p.clause(" WHERE ", s.Where)
	p.returning(s.Returning)
}
