package ddl

import (
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

func (a *applier) createView(s *sql.CreateView) error {
	if s.Temp {
		return notYet("a temporary view", "Create an ordinary view and drop it when done.")
	}
	for _, o := range s.Options {
		if o.Name != "security_barrier" && o.Name != "security_invoker" || o.Namespace != "" {
			return types.Errorf("22023", "unrecognized parameter %q", o.Name)
		}
	}
	schema, name, err := a.cat().ResolveNew(a.env.SearchPath, s.Name)
	if err != nil {
		return err
	}
	old, exists := a.cat().Relation(schema, types.TruncateName(name))
	if !exists || !s.Replace {
		if schema, name, _, err = a.newName(s.Name, false); err != nil {
			return err
		}
	}
	v := &catalog.Relation{Schema: schema, Name: name, Kind: catalog.KindView, Owner: a.user.OID, Options: s.Options}
	if err := a.defineView(v, s); err != nil {
		return err
	}
	if exists {
		return a.replaceView(old, v)
	}
	v.OID, v.RowType = a.edit.NextOID(), a.edit.NextOID()
	return a.edit.AddRelation(v)
}

// defineView binds the query for the view's columns and keeps its text, names in it
// qualified and * written out, so that it means the same whatever comes later.
func (a *applier) defineView(v *catalog.Relation, s *sql.CreateView) error {
	q, err := plan.Bind(s.Query, a.bind())
	if err != nil {
		return err
	}
	if len(s.Columns) > len(q.Columns) {
		return types.Errorf("42601", "CREATE VIEW specifies more column names than columns")
	}
	for i, c := range q.Columns {
		name := c.Name
		if i < len(s.Columns) {
			name = s.Columns[i]
		}
		if _, ok := v.Column(name); ok {
			return types.Errorf("42701", "column %q specified more than once", name)
		}
		t := c.Type
		if t.OID == types.UnknownOID {
			t = types.T(types.TextOID)
		}
		v.Columns = append(v.Columns, catalog.Column{Num: int16(i + 1), Name: name, Type: t})
	}
	text := sql.Clone(s.Query)
	e := expander{a, plan.Env{}}
	e.env = a.bind()
	if err := e.query(text, nil); err != nil {
		return err
	}
	v.View = sql.Print(text)
	return nil
}

// replaceView is CREATE OR REPLACE VIEW: columns may only be added at the end.
func (a *applier) replaceView(old, v *catalog.Relation) error {
	if old.Kind != catalog.KindView {
		return types.Errorf("42809", "%q is not a view", old.Name)
	}
	if err := a.owns(old.Owner, "view", old.Name); err != nil {
		return err
	}
	if len(v.Columns) < len(old.Columns) {
		return types.Errorf("42P16", "cannot drop columns from view")
	}
	for i, c := range old.Columns {
		switch now := v.Columns[i]; {
		case now.Name != c.Name:
			return types.Errorf("42P16", "cannot change name of view column %q to %q", c.Name, now.Name).
				WithHint("Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.")
		case now.Type != c.Type:
			return types.Errorf("42P16", "cannot change data type of view column %q from %s to %s", c.Name, types.FormatType(c.Type), types.FormatType(now.Type))
		}
	}
	v.OID, v.RowType, v.Owner, v.ACL, v.Comment = old.OID, old.RowType, old.Owner, old.ACL, old.Comment
	return a.edit.ReplaceRelation(v)
}

// expander qualifies the names of a view's query and writes out its stars.
type expander struct {
	*applier
	env plan.Env
}

// query expands one query; ctes are the names that WITH around it hides relations by.
func (e *expander) query(q *sql.Select, ctes []string) error {
	if q == nil {
		return nil
	}
	with := q.With
	if with != nil {
		for i := range with.CTEs {
			if with.Recursive {
				ctes = append(slices.Clone(ctes), with.CTEs[i].Name)
			}
		}
		for i := range with.CTEs {
			inner, ok := with.CTEs[i].Query.(*sql.Select)
			if !ok {
				return types.Errorf("0A000", "views must not contain data-modifying statements in WITH")
			}
			if err := e.query(inner, ctes); err != nil {
				return err
			}
			ctes = append(slices.Clone(ctes), with.CTEs[i].Name)
		}
	}
	if q.SetOp != "" {
		if err := e.query(q.Left, ctes); err != nil {
			return err
		}
		return e.query(q.Right, ctes)
	}
	if err := e.stars(q); err != nil {
		return err
	}
	for _, item := range q.From {
		if err := e.fromItem(item, ctes); err != nil {
			return err
		}
	}
	return e.subqueries(q, ctes)
}

// subqueries expands the queries inside the expressions of a query, and qualifies the
// relations that expressions name by text.
func (e *expander) subqueries(q *sql.Select, ctes []string) (err error) {
	shell := *q
	shell.With, shell.From = nil, nil
	visit := func(n any) bool {
		switch n := n.(type) {
		case *sql.Select:
			if n == &shell {
				return true
			}
			if err == nil {
				err = e.query(n, ctes)
			}
			return false
		case *sql.ColumnRef: // every table has an alias now, which hides its schema
			n.Parts = n.Parts[max(0, len(n.Parts)-2):]
		case *sql.Cast:
			if lit, ok := n.Arg.(*sql.Literal); ok && lit.Kind == 's' && isRegclass(n.Type) && err == nil {
				n.Arg = e.qualifyText(lit, &err)
			}
		}
		return err == nil
	}
	sql.Inspect(&shell, visit)
	for _, item := range q.From {
		eachExpr(item, func(x sql.Expr) { sql.Inspect(x, visit) })
	}
	return err
}

// eachExpr visits the expressions of a FROM item that are no queries in FROM.
func eachExpr(t sql.TableExpr, f func(sql.Expr)) {
	switch t := t.(type) {
	case *sql.Join:
		eachExpr(t.Left, f)
		eachExpr(t.Right, f)
		if t.On != nil {
			f(t.On)
		}
	case *sql.FuncTable:
		for _, x := range t.Funcs {
			f(x)
		}
	}
}

func (e *expander) fromItem(t sql.TableExpr, ctes []string) error {
	switch t := t.(type) {
	case *sql.Table:
		if len(t.Name) == 1 && slices.Contains(ctes, t.Name[0]) {
			return nil
		}
		r, err := e.cat().Resolve(e.env.SearchPath, t.Name)
		if err != nil {
			return err
		}
		if t.Alias == nil && r.Name != t.Name[len(t.Name)-1] {
			return types.Errorf("XX000", "relation %q is found as %q", t.Name, r.Name)
		}
		if t.Alias == nil {
			t.Alias = &sql.Alias{Name: r.Name}
		}
		t.Name = sql.Name{r.Schema, r.Name}
	case *sql.Join:
		if err := e.fromItem(t.Left, ctes); err != nil {
			return err
		}
		return e.fromItem(t.Right, ctes)
	case *sql.Derived:
		return e.query(t.Query, ctes)
	}
	return nil
}

// stars writes out * and t.* of a query. It asks the binder for the names of the
// columns, FROM item by FROM item, so that columns of equal names stay apart.
func (e *expander) stars(q *sql.Select) error {
	var out []sql.Target
	for _, t := range q.Targets {
		ref, ok := t.Expr.(*sql.ColumnRef)
		if !ok || !ref.Star {
			out = append(out, t)
			continue
		}
		owners := []sql.Name{ref.Parts}
		if len(ref.Parts) == 0 {
			if owners = aliases(q.From); owners == nil {
				owners = []sql.Name{nil}
			}
		}
		for _, owner := range owners {
			names, err := e.starNames(q, owner)
			if err != nil {
				return err
			}
			owner = owner[max(0, len(owner)-1):]
			for _, name := range names {
				out = append(out, sql.Target{Expr: &sql.ColumnRef{Parts: append(slices.Clone(owner), name), At: -1}})
			}
		}
	}
	q.Targets = out
	return nil
}

// aliases gives the names of FROM's items in order; nil where a join merges columns or
// an item has no name, so that * is more than their columns one after another.
func aliases(items []sql.TableExpr) []sql.Name {
	var out []sql.Name
	for _, t := range items {
		var one []sql.Name
		switch t := t.(type) {
		case *sql.Table:
			one = []sql.Name{t.Name[len(t.Name)-1:]}
			if t.Alias != nil {
				one = []sql.Name{{t.Alias.Name}}
			}
		case *sql.Join:
			if t.Natural || len(t.Using) > 0 {
				return nil
			}
			if t.Alias != nil {
				one = []sql.Name{{t.Alias.Name}}
			} else {
				one = aliases([]sql.TableExpr{t.Left, t.Right})
			}
		case *sql.Derived:
			if t.Alias != nil {
				one = []sql.Name{{t.Alias.Name}}
			}
		case *sql.FuncTable:
			if t.Alias != nil && t.Alias.Name != "" {
				one = []sql.Name{{t.Alias.Name}}
			} else if f, ok := t.Funcs[0].(*sql.FuncCall); ok && !t.Rows {
				one = []sql.Name{f.Name[len(f.Name)-1:]}
			}
		}
		if one == nil {
			return nil
		}
		out = append(out, one...)
	}
	return out
}

// starNames binds SELECT owner.* over a query's FROM for the names of its columns.
func (e *expander) starNames(q *sql.Select, owner sql.Name) ([]string, error) {
	probe := sql.Clone(&sql.Select{With: q.With, From: q.From, Targets: []sql.Target{{Expr: &sql.ColumnRef{Parts: owner, Star: true, At: -1}}}})
	bound, err := plan.Bind(probe, e.env)
	if err != nil {
		return nil, types.Errorf("0A000", "a star in this place of a view is not supported: %s", types.AsError(err).Message).
			WithHint("Name the columns.")
	}
	var names []string
	for _, c := range bound.Columns {
		if slices.Contains(names, c.Name) {
			return nil, types.Errorf("0A000", "a star over columns of equal names is not supported in a view").
				WithHint("Name the columns.")
		}
		names = append(names, c.Name)
	}
	return names, nil
}
