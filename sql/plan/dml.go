package plan

import (
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// writable finds the table that a statement writes.
func (k *block) writable(t *sql.Table, verb string) (*catalog.Relation, string, error) {
	if len(t.Name) == 1 && k.ctes.find(t.Name[0]) != nil {
		return nil, "", errorAt(types.Errorf("42P01", "relation %q cannot be the target of a modifying statement", t.Name[0]), t.At)
	}
	rel, err := k.b.relation(t.Name, t.At)
	if err != nil {
		return nil, "", err
	}
	switch {
	case rel.Kind == catalog.KindView:
		return nil, "", types.Errorf("55000", "cannot %s view %q", verb, rel.Name).
			WithDetail("Views are not automatically updatable in Helios.").WithHint("Write to the table behind the view.")
	case rel.Virtual:
		return nil, "", types.Errorf("42501", "permission denied: %q is a system catalog", rel.Name)
	}
	alias := rel.Name
	if t.Alias != nil {
		alias = t.Alias.Name
	}
	return rel, alias, nil
}

// insert binds INSERT: the source becomes whole rows of the relation, defaults filled in.
func (k *block) insert(s *sql.Insert) (Node, error) {
	rel, alias, err := k.writable(s.Table, "insert into")
	if err != nil {
		return nil, err
	}
	attrs, err := insertColumns(rel, s.Columns, s.Table.At)
	if err != nil {
		return nil, err
	}
	source, attrs, err := k.insertSource(s, rel, attrs)
	if err != nil {
		return nil, err
	}
	n := &Insert{Rel: rel}
	if n.Source, err = k.wholeRows(source, rel, attrs, s); err != nil {
		return nil, err
	}
	if n.Checks, err = k.checks(rel); err != nil {
		return nil, err
	}
	if n.OnConflict, err = k.onConflict(s.OnConflict, rel, alias); err != nil {
		return nil, err
	}
	k.scope = relationScope(rel, alias)
	n.Returning, n.Columns, err = k.returning(s.Returning)
	return n, err
}

// insertColumns gives the positions that the column list names; without a list all
// visible columns.
func insertColumns(rel *catalog.Relation, names []string, at sql.At) ([]int, error) {
	var attrs []int
	if len(names) == 0 {
		for _, c := range rel.Visible() {
			attrs = append(attrs, int(c.Num)-1)
		}
		return attrs, nil
	}
	for _, name := range names {
		c, ok := rel.Column(name)
		if !ok {
			return nil, errorAt(types.Errorf("42703", "column %q of relation %q does not exist", name, rel.Name), at)
		}
		attr := int(c.Num) - 1
		if slices.Contains(attrs, attr) {
			return nil, errorAt(types.Errorf("42701", "column %q specified more than once", name), at)
		}
		attrs = append(attrs, attr)
	}
	return attrs, nil
}

// insertSource binds what is inserted to a node whose column i goes to attrs[i].
func (k *block) insertSource(s *sql.Insert, rel *catalog.Relation, attrs []int) (Node, []int, error) {
	if s.Query == nil {
		return &Values{Rows: [][]Expr{{}}}, nil, nil
	}
	in := k.inner()
	if isPlainValues(s.Query) {
		n, err := in.insertValues(s, rel, attrs)
		if err != nil {
			return nil, nil, err
		}
		return n, attrs[:len(n.Columns)], nil
	}
	n, err := in.query(s.Query, false)
	if err != nil {
		return nil, nil, err
	}
	if err := checkWidth(len(n.Cols()), len(attrs), len(s.Columns) > 0); err != nil {
		return nil, nil, err
	}
	return n, attrs[:len(n.Cols())], nil
}

func isPlainValues(q *sql.Select) bool {
	return len(q.Values) > 0 && q.With == nil && len(q.OrderBy) == 0 && q.Limit == nil && q.Offset == nil
}

func checkWidth(got, want int, listed bool) error {
	switch {
	case got > want:
		return types.Errorf("42601", "INSERT has more expressions than target columns")
	case got < want && listed:
		return types.Errorf("42601", "INSERT has more target columns than expressions")
	}
	return nil
}

// insertValues binds VALUES lists straight to the types of the columns; DEFAULT is
// allowed in them.
func (k *block) insertValues(s *sql.Insert, rel *catalog.Relation, attrs []int) (*Values, error) {
	lists := s.Query.Values
	if err := checkWidth(len(lists[0]), len(attrs), len(s.Columns) > 0); err != nil {
		return nil, err
	}
	k.scope, k.clause = &scope{}, clauseValues
	n := &Values{}
	for i := range lists[0] {
		c := rel.Columns[attrs[i]]
		n.Columns = append(n.Columns, Col{Name: c.Name, Type: c.Type})
	}
	for _, list := range lists {
		if len(list) != len(lists[0]) {
			return nil, types.Errorf("42601", "VALUES lists must all be the same length").At(list[0].Pos() + 1)
		}
		row := make([]Expr, len(list))
		for i, e := range list {
			x, err := k.insertValue(e, rel, attrs[i], s.Overriding)
			if err != nil {
				return nil, errorAt(err, sql.At(e.Pos()))
			}
			row[i] = x
		}
		n.Rows = append(n.Rows, row)
	}
	return n, nil
}

func (k *block) insertValue(e sql.Expr, rel *catalog.Relation, attr int, overriding string) (Expr, error) {
	c := &rel.Columns[attr]
	if _, ok := e.(*sql.Default); ok {
		return k.defaultFor(rel, c)
	}
	if err := checkGenerated(c, overriding); err != nil {
		return nil, err
	}
	x, err := k.expr(e)
	if err != nil {
		return nil, err
	}
	return k.assign(x, c.Type, c.Name)
}

// checkGenerated refuses a value for a column that generates its own.
func checkGenerated(c *catalog.Column, overriding string) error {
	switch {
	case c.Generated != 0:
		return types.Errorf("428C9", "cannot insert a non-DEFAULT value into column %q", c.Name).
			WithDetail("Column %q is a generated column.", c.Name)
	case c.Identity == 'a' && overriding == "":
		return types.Errorf("428C9", "cannot insert a non-DEFAULT value into column %q", c.Name).
			WithDetail("Column %q is an identity column defined as GENERATED ALWAYS.", c.Name).
			WithHint("Use OVERRIDING SYSTEM VALUE to override.")
	}
	return nil
}

// wholeRows projects the source to rows of the relation: given columns by assignment
// cast, the others by default, generated columns last of all.
func (k *block) wholeRows(source Node, rel *catalog.Relation, attrs []int, s *sql.Insert) (Node, error) {
	p := &Project{Input: source}
	values := s.Query != nil && isPlainValues(s.Query)
	for i := range rel.Columns {
		c := &rel.Columns[i]
		p.Columns = append(p.Columns, Col{Name: c.Name, Type: c.Type})
		x, err := k.insertColumn(source, rel, i, slices.Index(attrs, i), values, s.Overriding)
		if err != nil {
			return nil, err
		}
		p.Exprs = append(p.Exprs, x)
	}
	return k.generate(p, rel)
}

// insertColumn is the value of column attr; from is its place in the source, or -1.
func (k *block) insertColumn(source Node, rel *catalog.Relation, attr, from int, checked bool, overriding string) (Expr, error) {
	c := &rel.Columns[attr]
	switch {
	case c.Dropped || c.Hidden && from < 0 || c.Generated != 0:
		return nullOf(c.Type), nil
	case from < 0:
		return k.defaultFor(rel, c)
	case overriding == "user" && c.Identity != 0:
		return k.defaultFor(rel, c)
	}
	in := source.Cols()[from]
	x := Expr(&Column{from, in.Type, in.Name})
	if checked {
		return x, nil
	}
	if err := checkGenerated(c, overriding); err != nil {
		return nil, err
	}
	if p, ok := source.(*Project); ok && in.Type.OID == types.UnknownOID {
		switch p.Exprs[from].(type) {
		case *Const, *Param:
			x = p.Exprs[from]
		}
	}
	return k.assign(x, c.Type, c.Name)
}

func nullOf(t types.Type) Expr { return &Const{types.Null, t} }

// generate adds the values of generated columns, computed from the others.
func (k *block) generate(n Node, rel *catalog.Relation) (Node, error) {
	p := passThrough(n)
	any := false
	for i := range rel.Columns {
		c := &rel.Columns[i]
		if c.Generated == 0 || c.Dropped {
			continue
		}
		x, err := k.generated(rel, c)
		if err != nil {
			return nil, err
		}
		p.Exprs[i], any = x, true
	}
	if !any {
		return n, nil
	}
	return p, nil
}

// generated binds the expression of a generated column over the relation's row.
func (k *block) generated(rel *catalog.Relation, c *catalog.Column) (Expr, error) {
	in := k.b.topBlock()
	in.scope = relationScope(rel, rel.Name)
	x, err := in.expr(c.DefaultExpr())
	if err != nil {
		return nil, err
	}
	return in.assign(x, c.Type, c.Name)
}

// defaultFor is the default of a column: its sequence, its expression, or NULL.
func (k *block) defaultFor(rel *catalog.Relation, c *catalog.Column) (Expr, error) {
	if c.Identity != 0 {
		return k.nextval(rel, c)
	}
	e := c.DefaultExpr()
	if e == nil || c.Generated != 0 {
		return nullOf(c.Type), nil
	}
	in := k.b.topBlock()
	in.scope = &scope{}
	x, err := in.expr(e)
	if err != nil {
		return nil, err
	}
	return in.assign(x, c.Type, c.Name)
}

// nextval is the default of an identity column.
func (k *block) nextval(rel *catalog.Relation, c *catalog.Column) (Expr, error) {
	for seq := range k.b.env.Catalog.Relations() {
		if s := seq.Sequence; s != nil && s.OwnerTable == rel.OID && s.OwnerColumn == c.Num {
			arg := &Const{types.Int(int64(seq.OID)), types.T(types.RegclassOID)}
			x, err := k.callNamed("nextval", arg)
			if err != nil {
				return nil, err
			}
			return k.assign(x, c.Type, c.Name)
		}
	}
	return nil, types.Errorf("55000", "no owned sequence found for column %q of %q", c.Name, rel.Name)
}

// checks binds NOT NULL and CHECK of a relation over its row.
func (k *block) checks(rel *catalog.Relation) ([]Check, error) {
	var out []Check
	for i, c := range rel.Columns {
		if c.NotNull && !c.Dropped && !c.Hidden {
			out = append(out, Check{Attr: i})
		}
	}
	in := k.b.topBlock()
	in.scope = relationScope(rel, rel.Name)
	for i := range rel.Constraints {
		con := &rel.Constraints[i]
		e := con.CheckExpr()
		if e == nil {
			continue
		}
		x, err := in.condition(e, "CHECK")
		if err != nil {
			return nil, err
		}
		out = append(out, Check{Name: con.Name, Attr: -1, Expr: x})
	}
	return out, nil
}

// returning binds RETURNING over the block's scope.
func (k *block) returning(list []sql.Target) ([]Expr, []Col, error) {
	if len(list) == 0 {
		return nil, nil, nil
	}
	targets, err := k.targets(list, clauseReturning)
	if err != nil {
		return nil, nil, err
	}
	p := projectTargets(nil, targets)
	for i := range p.Exprs {
		p.Exprs[i] = k.settle(p.Exprs[i])
		p.Columns[i].Type = p.Exprs[i].Type()
	}
	return p.Exprs, p.Columns, nil
}

// update binds UPDATE … FROM. The target is the first item of the row.
func (k *block) update(s *sql.Update) (Node, error) {
	rel, alias, err := k.writable(s.Table, "update")
	if err != nil {
		return nil, err
	}
	source, err := k.writeSource(rel, alias, s.Table, s.From, s.Where)
	if err != nil {
		return nil, err
	}
	n := &Update{Rel: rel, Source: source}
	k.clause = clauseSet
	if n.Set, err = k.assignments(s.Set, rel); err != nil {
		return nil, err
	}
	if n.Checks, err = k.checks(rel); err != nil {
		return nil, err
	}
	n.Returning, n.Columns, err = k.returning(s.Returning)
	return n, err
}

func (k *block) delete(s *sql.Delete) (Node, error) {
	rel, alias, err := k.writable(s.Table, "delete from")
	if err != nil {
		return nil, err
	}
	source, err := k.writeSource(rel, alias, s.Table, s.Using, s.Where)
	if err != nil {
		return nil, err
	}
	n := &Delete{Rel: rel, Source: source}
	n.Returning, n.Columns, err = k.returning(s.Returning)
	return n, err
}

// writeSource is the target table joined to the other items, filtered.
func (k *block) writeSource(rel *catalog.Relation, alias string, t *sql.Table, others []sql.TableExpr, where sql.Expr) (Node, error) {
	scan, sc := newScan(rel, alias), relationScope(rel, alias)
	var node Node = scan
	var err error
	for _, item := range others {
		if node, sc, err = k.crossJoin(node, sc, item); err != nil {
			return nil, err
		}
	}
	k.scope, k.hidden = sc, nil
	return k.where(node, where)
}

// assignments binds SET.
func (k *block) assignments(list []sql.Assign, rel *catalog.Relation) ([]Assign, error) {
	var out []Assign
	add := func(name string, at sql.At, value func(c *catalog.Column) (Expr, error)) error {
		c, ok := rel.Column(name)
		if !ok || c.Hidden {
			return errorAt(types.Errorf("42703", "column %q of relation %q does not exist", name, rel.Name), at)
		}
		attr := int(c.Num) - 1
		if slices.ContainsFunc(out, func(a Assign) bool { return a.Attr == attr }) {
			return errorAt(types.Errorf("42601", "multiple assignments to same column %q", name), at)
		}
		x, err := value(c)
		out = append(out, Assign{attr, x})
		return errorAt(err, at)
	}
	for _, a := range list {
		values, err := k.assignValues(a, rel)
		if err != nil {
			return nil, errorAt(err, a.At)
		}
		for i, name := range a.Columns {
			if err := add(name, a.At, values[i]); err != nil {
				return nil, err
			}
		}
	}
	return k.regenerate(out, rel)
}

// assignValues gives for each column of an assignment how its value is bound.
func (k *block) assignValues(a sql.Assign, rel *catalog.Relation) ([]func(*catalog.Column) (Expr, error), error) {
	one := func(e sql.Expr) func(*catalog.Column) (Expr, error) {
		return func(c *catalog.Column) (Expr, error) {
			if _, ok := e.(*sql.Default); ok {
				return k.defaultFor(rel, c)
			}
			if c.Generated != 0 || c.Identity == 'a' {
				return nil, types.Errorf("428C9", "column %q can only be updated to DEFAULT", c.Name)
			}
			x, err := k.expr(e)
			if err != nil {
				return nil, err
			}
			return k.assign(x, c.Type, c.Name)
		}
	}
	if len(a.Columns) == 1 {
		return []func(*catalog.Column) (Expr, error){one(a.Value)}, nil
	}
	var out []func(*catalog.Column) (Expr, error)
	switch e := a.Value.(type) {
	case *sql.RowExpr:
		if len(e.Fields) != len(a.Columns) {
			return nil, types.Errorf("42601", "number of columns does not match number of values")
		}
		for _, f := range e.Fields {
			out = append(out, one(f))
		}
		return out, nil
	case *sql.Subquery:
		return k.assignQuery(e, len(a.Columns))
	}
	return nil, types.Errorf("0A000", "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression")
}

// assignQuery binds (a, b) = (SELECT …): each column reads its field of the one row.
func (k *block) assignQuery(e *sql.Subquery, width int) ([]func(*catalog.Column) (Expr, error), error) {
	var out []func(*catalog.Column) (Expr, error)
	for i := range width {
		s, err := k.subPlan(e.Query)
		if err != nil {
			return nil, err
		}
		cols := s.Plan.Cols()
		if len(cols) != width {
			return nil, types.Errorf("42601", "number of columns does not match number of values")
		}
		s.Kind, s.Typ = ScalarPlan, cols[i].Type
		s.Plan = &Project{s.Plan, []Expr{&Column{i, cols[i].Type, cols[i].Name}}, []Col{cols[i]}}
		out = append(out, func(c *catalog.Column) (Expr, error) { return k.assign(s, c.Type, c.Name) })
	}
	return out, nil
}

// regenerate adds generated columns to the assignments, computed from the new row.
func (k *block) regenerate(set []Assign, rel *catalog.Relation) ([]Assign, error) {
	given := slices.Clone(set)
	for i := range rel.Columns {
		c := &rel.Columns[i]
		if c.Generated == 0 || c.Dropped {
			continue
		}
		x, err := k.generated(rel, c)
		if err != nil {
			return nil, err
		}
		x = Map(x, func(e Expr) (Expr, bool) {
			col, ok := e.(*Column)
			if !ok {
				return nil, false
			}
			for _, a := range given {
				if a.Attr == col.Index {
					return a.Expr, true
				}
			}
			return col, true
		})
		set = append(set, Assign{i, x})
	}
	return set, nil
}
