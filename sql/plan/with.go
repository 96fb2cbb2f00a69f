package plan

import (
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// cteScope is the common table expressions that a block can name.
type cteScope struct {
	up      *cteScope
	cte     *CTE
	working bool // inside its own recursive part
}

func (s *cteScope) find(name string) *cteScope {
	for ; s != nil; s = s.up {
		if s.cte.Name == name {
			return s
		}
	}
	return nil
}

// with binds body with the expressions of a WITH clause around it.
func (k *block) with(w *sql.With, body func() (Node, error)) (Node, error) {
	if w == nil {
		return body()
	}
	saved := k.ctes
	defer func() { k.ctes = saved }()
	var list []*CTE
	for _, c := range w.CTEs {
		if slices.ContainsFunc(list, func(x *CTE) bool { return x.Name == c.Name }) {
			return nil, types.Errorf("42712", "WITH query name %q specified more than once", c.Name)
		}
		cte, err := k.cte(c, w.Recursive)
		if err != nil {
			return nil, err
		}
		list = append(list, cte)
		k.ctes = &cteScope{up: k.ctes, cte: cte}
	}
	n, err := body()
	if err != nil {
		return nil, err
	}
	return &With{CTEs: list, Body: n}, nil
}

func (k *block) cte(c sql.CTE, recursive bool) (*CTE, error) {
	cte := &CTE{Name: c.Name, Materialized: c.Materialized}
	if q, ok := c.Query.(*sql.Select); ok && recursive && mentions(q, c.Name) {
		return cte, k.recursiveCTE(cte, c, q)
	}
	in := k.inner()
	n, err := in.statement(c.Query, true)
	if err != nil {
		return nil, err
	}
	cte.Plan = n
	cte.Columns, err = cteColumns(c, n.Cols())
	return cte, err
}

func cteColumns(c sql.CTE, cols []Col) ([]Col, error) {
	if len(c.Columns) > len(cols) {
		return nil, types.Errorf("42P10", "WITH query %q has %d columns available but %d columns specified",
			c.Name, len(cols), len(c.Columns))
	}
	out := slices.Clone(cols)
	for i, name := range c.Columns {
		out[i].Name = name
	}
	return out, nil
}

// recursiveCTE binds first UNION [ALL] next, where next reads the expression itself.
func (k *block) recursiveCTE(cte *CTE, c sql.CTE, q *sql.Select) error {
	if q.SetOp != "union" || q.With != nil || len(q.OrderBy) > 0 || q.Limit != nil || q.Offset != nil {
		return types.Errorf("42P19", "recursive query %q does not have the form non-recursive-term UNION [ALL] recursive-term", c.Name)
	}
	if mentions(q.Left, c.Name) {
		return types.Errorf("42P19", "recursive reference to query %q must not appear within its non-recursive term", c.Name)
	}
	first, err := k.inner().query(q.Left, true)
	if err != nil {
		return err
	}
	cte.Plan, cte.All = first, q.SetAll
	if cte.Columns, err = cteColumns(c, first.Cols()); err != nil {
		return err
	}
	for i := range cte.Columns {
		cte.Columns[i].Table, cte.Columns[i].Num = 0, 0
	}
	in := k.inner()
	in.ctes = &cteScope{up: k.ctes, cte: cte, working: true}
	next, err := in.query(q.Right, false)
	if err != nil {
		return err
	}
	if len(next.Cols()) != len(cte.Columns) {
		return types.Errorf("42601", "each UNION query must have the same number of columns")
	}
	cte.Recursive, err = k.recursiveTypes(cte, next)
	return err
}

// recursiveTypes checks that the recursive term gives the types of the first.
func (k *block) recursiveTypes(cte *CTE, next Node) (Node, error) {
	want := make([]types.Type, len(cte.Columns))
	for i, c := range cte.Columns {
		want[i] = c.Type
		got := next.Cols()[i].Type
		if got.OID != c.Type.OID && got.OID != types.UnknownOID && !canImplicit(got.OID, c.Type.OID) {
			return nil, types.Errorf("42804", "recursive query %q column %d has type %s in non-recursive term but type %s overall",
				cte.Name, i+1, types.FormatType(c.Type), types.FormatType(got)).
				WithHint("Cast the output of the non-recursive term to the correct type.")
		}
	}
	return k.coerceOutput(next, want, "UNION")
}

// fromCTE finds a common table expression; nil when the name is none.
func (k *block) fromCTE(t *sql.Table) (Node, *scope, error) {
	c := k.ctes.find(t.Name[0])
	if c == nil {
		return nil, nil, nil
	}
	name := t.Name[0]
	if t.Alias != nil {
		name = t.Alias.Name
	}
	if len(c.cte.Columns) == 0 && !c.working {
		return nil, nil, errorAt(types.Errorf("0A000", "WITH query %q does not have a RETURNING clause", c.cte.Name), t.At)
	}
	var n Node
	if c.working {
		n = &WorkScan{CTE: c.cte, Alias: name, Columns: c.cte.Columns}
	} else {
		c.cte.refs++
		n = &CTEScan{CTE: c.cte, Alias: name, Columns: c.cte.Columns}
	}
	return k.aliased(n, tableScope(name, nil, c.cte.Columns), nil, t.Alias)
}

// mentions tells whether a query names a table that may be the CTE.
func mentions(q *sql.Select, name string) bool {
	found := false
	sql.Inspect(q, func(n any) bool {
		if t, ok := n.(*sql.Table); ok {
			found = found || len(t.Name) == 1 && t.Name[0] == name
		}
		return !found
	})
	return found
}
