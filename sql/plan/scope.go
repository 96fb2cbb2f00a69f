package plan

import (
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// scope is what names mean at one place of a statement: the items of FROM and the
// columns that a bare name or * finds. Its expressions are over the row of the FROM
// clause so far.
type scope struct {
	tables  []*scopeTable
	visible []scopeCol
	width   int // columns of the row
}

// scopeTable is one item of FROM under its name.
type scopeTable struct {
	name   string
	schema string // of a table named without alias
	rel    *catalog.Relation
	cols   []scopeCol
	system map[string]scopeCol // tableoid, helios_slot
	key    []int               // row columns of the primary key, for functional dependency
	scalar bool                // a function of one column: its name means the value
}

// scopeCol is a named column.
type scopeCol struct {
	name string
	expr Expr
	from Col
	// internal columns are found by name but not shown by *.
	internal bool
}

func (c scopeCol) shifted(n int) scopeCol {
	c.expr = shift(c.expr, n)
	return c
}

func shiftCols(cols []scopeCol, n int) []scopeCol {
	out := make([]scopeCol, len(cols))
	for i, c := range cols {
		out[i] = c.shifted(n)
	}
	return out
}

// shifted gives the scope for a row in which n columns come first.
func (s *scope) shifted(n int) *scope {
	if n == 0 {
		return s
	}
	out := &scope{visible: shiftCols(s.visible, n), width: s.width}
	for _, t := range s.tables {
		c := *t
		c.cols = shiftCols(t.cols, n)
		c.system = make(map[string]scopeCol, len(t.system))
		for k, v := range t.system {
			c.system[k] = v.shifted(n)
		}
		c.key = make([]int, len(t.key))
		for i, k := range t.key {
			c.key[i] = k + n
		}
		out.tables = append(out.tables, &c)
	}
	return out
}

// beside gives the scope of left ++ right; 42712 when both have a table of one name.
func (s *scope) beside(right *scope) (*scope, error) {
	r := right.shifted(s.width)
	out := &scope{width: s.width + right.width}
	out.tables = append(append(out.tables, s.tables...), r.tables...)
	out.visible = append(append(out.visible, s.visible...), r.visible...)
	for i, t := range out.tables {
		for _, u := range out.tables[:i] {
			if t.name != "" && t.name == u.name && (t.schema == u.schema || t.schema == "" || u.schema == "") {
				return nil, types.Errorf("42712", "table name %q specified more than once", t.name)
			}
		}
	}
	return out, nil
}

// tableScope is the scope of one FROM item whose row is cols.
func tableScope(name string, rel *catalog.Relation, cols []Col) *scope {
	t := &scopeTable{name: name, rel: rel}
	for i, c := range cols {
		t.cols = append(t.cols, scopeCol{name: c.Name, expr: &Column{i, c.Type, c.Name}, from: c})
	}
	return &scope{tables: []*scopeTable{t}, visible: t.cols, width: len(cols)}
}

// table finds the FROM item that a qualifier names.
func (s *scope) table(qualifier sql.Name) (*scopeTable, error) {
	if len(qualifier) == 3 {
		qualifier = qualifier[1:]
	}
	var found *scopeTable
	for _, t := range s.tables {
		switch {
		case t.name != qualifier[len(qualifier)-1], len(qualifier) == 2 && t.schema != qualifier[0]:
			continue
		case found != nil:
			return nil, types.Errorf("42P09", "table reference %q is ambiguous", t.name)
		}
		found = t
	}
	return found, nil
}

func (t *scopeTable) column(name string) (*scopeCol, error) {
	var found *scopeCol
	for i, c := range t.cols {
		if c.name != name {
			continue
		}
		if found != nil {
			return nil, types.Errorf("42702", "column reference %q is ambiguous", name)
		}
		found = &t.cols[i]
	}
	if found == nil {
		if c, ok := t.system[name]; ok {
			return &c, nil
		}
	}
	return found, nil
}

// wholeRow is the row of a table as one value.
func (t *scopeTable) wholeRow() Expr {
	if t.scalar {
		return t.cols[0].expr
	}
	row := &Row{Typ: types.T(types.RecordOID), Named: true, OrNull: t.rel != nil && t.rel.Kind == catalog.KindTable && neverNull(t.rel)}
	for _, c := range t.cols {
		if !c.internal {
			row.Fields = append(row.Fields, c.expr)
			row.Names = append(row.Names, c.name)
		}
	}
	return row
}

// neverNull tells whether a column of a relation is never NULL.
func neverNull(rel *catalog.Relation) bool {
	return slices.ContainsFunc(rel.Visible(), func(c *catalog.Column) bool { return c.NotNull })
}

// find looks a column up; nil when the scope does not know the name.
func (s *scope) find(parts sql.Name) (*scopeCol, error) {
	if s == nil {
		return nil, nil
	}
	name := parts[len(parts)-1]
	if len(parts) > 1 {
		return s.findIn(parts[:len(parts)-1], name)
	}
	var found *scopeCol
	for i, c := range s.visible {
		if c.name != name {
			continue
		}
		if found != nil {
			return nil, types.Errorf("42702", "column reference %q is ambiguous", name)
		}
		found = &s.visible[i]
	}
	if found == nil {
		for _, t := range s.tables {
			if c, ok := t.system[name]; ok {
				if found != nil {
					return nil, types.Errorf("42702", "column reference %q is ambiguous", name)
				}
				found = &c
			}
		}
	}
	if found == nil {
		t, err := s.table(parts)
		if err != nil || t == nil {
			return nil, err
		}
		return &scopeCol{name: name, expr: t.wholeRow()}, nil
	}
	return found, nil
}

// findIn looks up table.column; a table of that name without the column is an error.
func (s *scope) findIn(qualifier sql.Name, name string) (*scopeCol, error) {
	t, err := s.table(qualifier)
	if err != nil || t == nil {
		return nil, err
	}
	c, err := t.column(name)
	if err != nil || c != nil {
		return c, err
	}
	parts := append(slices.Clone(qualifier), name)
	return nil, s.suggest(parts, types.Errorf("42703", "column %s.%s does not exist", t.name, name))
}

// frame is the values that a plan gets from the row outside it. up resolves a name
// in the surrounding block; nil at the top of a statement.
type frame struct {
	up   func(parts sql.Name) (*scopeCol, error)
	args []Expr
	keys map[string]int
}

// outer resolves a name outside the frame to an Outer; nil when nothing there has it.
func (f *frame) outer(parts sql.Name) (*scopeCol, error) {
	if f.up == nil {
		return nil, nil
	}
	c, err := f.up(parts)
	if err != nil || c == nil {
		return nil, err
	}
	out := *c
	out.expr = f.pass(c.expr)
	return &out, nil
}

// pass makes a surrounding expression available inside.
func (f *frame) pass(e Expr) Expr {
	if row, ok := e.(*Row); ok {
		fields, _ := mapList(row.Fields, f.pass)
		return &Row{fields, row.Names, row.Typ, row.Named, row.OrNull}
	}
	key := Key(e)
	i, ok := f.keys[key]
	if !ok {
		if f.keys == nil {
			f.keys = make(map[string]int)
		}
		i = len(f.args)
		f.keys[key] = i
		f.args = append(f.args, e)
	}
	return &Outer{i, e.Type(), columnName(e)}
}

func columnName(e Expr) string {
	switch e := e.(type) {
	case *Column:
		return e.Name
	case *Outer:
		return e.Name
	}
	return ""
}

// resolve finds what a column reference means in this block or around it.
func (k *block) resolve(parts sql.Name) (*scopeCol, error) {
	c, err := k.scope.find(parts)
	if err != nil || c != nil {
		return c, err
	}
	return k.frame.outer(parts)
}

// noColumn is the error for a reference that nothing knows.
func (k *block) noColumn(parts sql.Name) error {
	name := parts[len(parts)-1]
	if len(parts) == 1 {
		e := types.Errorf("42703", "column %q does not exist", name)
		if k.scope == nil {
			return e
		}
		return k.scope.suggest(parts, e)
	}
	qualifier := parts[:len(parts)-1]
	e := types.Errorf("42P01", "missing FROM-clause entry for table %q", qualifier[len(qualifier)-1])
	if k.hidden != nil {
		if t, err := k.hidden.table(qualifier); err == nil && t != nil {
			return types.Errorf("42P01", "invalid reference to FROM-clause entry for table %q", t.name).
				WithHint("There is an entry for table %q, but it cannot be referenced from this part of the query.", t.name)
		}
	}
	return e
}
