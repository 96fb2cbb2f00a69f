package plan

import (
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// from binds the items of FROM and sets the block's scope. Without items the input is
// one row without columns.
func (k *block) from(items []sql.TableExpr) (Node, error) {
	if len(items) == 0 {
		k.scope = &scope{}
		return &Values{Rows: [][]Expr{{}}}, nil
	}
	node, sc, err := k.fromItem(items[0], nil)
	if err != nil {
		return nil, err
	}
	for _, item := range items[1:] {
		if node, sc, err = k.crossJoin(node, sc, item); err != nil {
			return nil, err
		}
	}
	k.scope, k.hidden = sc, nil
	return node, nil
}

// crossJoin adds one more FROM item; a lateral one sees what stands left of it.
func (k *block) crossJoin(left Node, leftScope *scope, item sql.TableExpr) (Node, *scope, error) {
	r, err := k.side(item, leftScope)
	if err != nil {
		return nil, nil, err
	}
	sc, err := leftScope.beside(r.scope)
	if err != nil {
		return nil, nil, err
	}
	return newJoin(InnerJoin, left, r, nil), sc, nil
}

// side is a bound right side of a join.
type side struct {
	node  Node
	scope *scope
	args  []Expr // over the left row, when lateral
}

// side binds a FROM item that may refer to the items left of it.
func (k *block) side(item sql.TableExpr, left *scope) (side, error) {
	if !mayBeLateral(item) {
		hidden := k.hidden
		k.hidden = left
		n, sc, err := k.fromItem(item, nil)
		k.hidden = hidden
		return side{n, sc, nil}, err
	}
	in := k.framed(func(parts sql.Name) (*scopeCol, error) {
		c, err := left.find(parts)
		if err != nil || c != nil {
			return c, err
		}
		return k.frame.outer(parts)
	})
	n, sc, err := in.fromItem(item, left)
	if err != nil {
		return side{}, err
	}
	return side{n, sc, in.frame.args}, nil
}

// mayBeLateral tells whether an item can see the ones left of it: LATERAL is written,
// or it is a function, or a join that contains such an item.
func mayBeLateral(item sql.TableExpr) bool {
	switch t := item.(type) {
	case *sql.Derived:
		return t.Lateral
	case *sql.FuncTable:
		return true
	case *sql.Join:
		return mayBeLateral(t.Left) || mayBeLateral(t.Right)
	}
	return false
}

// newJoin makes a Join, lateral when the right side reads the left row.
func newJoin(kind JoinKind, left Node, right side, cond Expr) *Join {
	j := &Join{Kind: kind, Left: left, Right: right.node, Cond: cond, Args: right.args, Lateral: len(right.args) > 0}
	j.Columns = slices.Concat(left.Cols(), right.node.Cols())
	return j
}

// fromItem binds one item. left is what a lateral item sees, nil otherwise.
func (k *block) fromItem(item sql.TableExpr, left *scope) (Node, *scope, error) {
	if err := k.b.deeper(); err != nil {
		return nil, nil, err
	}
	defer func() { k.b.depth-- }()
	switch t := item.(type) {
	case *sql.Table:
		return k.fromTable(t)
	case *sql.Derived:
		return k.fromDerived(t)
	case *sql.FuncTable:
		return k.fromFunction(t)
	case *sql.Join:
		return k.fromJoin(t, left)
	}
	return nil, nil, types.Errorf("0A000", "FROM item is not supported")
}

// fromTable binds a table, view or common table expression.
func (k *block) fromTable(t *sql.Table) (Node, *scope, error) {
	if len(t.Name) == 1 {
		if n, sc, err := k.fromCTE(t); n != nil || err != nil {
			return n, sc, err
		}
	}
	rel, err := k.b.relation(t.Name, t.At)
	if err != nil {
		return nil, nil, err
	}
	alias := rel.Name
	if t.Alias != nil {
		alias = t.Alias.Name
	}
	if rel.Kind == catalog.KindView && !rel.Virtual {
		n, err := k.b.view(rel)
		if err != nil {
			return nil, nil, err
		}
		return k.aliased(n, tableScope(alias, rel, n.Cols()), rel, t.Alias)
	}
	scan := newScan(rel, alias)
	sc := relationScope(rel, alias)
	if t.Alias == nil {
		sc.tables[0].schema = rel.Schema
	}
	return k.aliased(scan, sc, rel, t.Alias)
}

// aliased gives the columns the names that the alias says.
func (k *block) aliased(n Node, sc *scope, rel *catalog.Relation, alias *sql.Alias) (Node, *scope, error) {
	if alias == nil || len(alias.Columns) == 0 {
		return n, sc, nil
	}
	t := sc.tables[0]
	t.cols = slices.Clone(t.cols)
	shown := 0
	for i := range t.cols {
		if t.cols[i].internal {
			continue
		}
		if shown < len(alias.Columns) {
			t.cols[i].name = alias.Columns[shown]
		}
		shown++
	}
	if len(alias.Columns) > shown {
		return nil, nil, types.Errorf("42P10", "table %q has %d columns available but %d columns specified",
			alias.Name, shown, len(alias.Columns))
	}
	sc.visible = shownCols(t.cols)
	return n, sc, nil
}

func shownCols(cols []scopeCol) []scopeCol {
	var out []scopeCol
	for _, c := range cols {
		if !c.internal {
			out = append(out, c)
		}
	}
	return out
}

// newScan reads every column of a relation and its system columns; prune drops what
// nothing reads.
func newScan(rel *catalog.Relation, alias string) *Scan {
	s := &Scan{Rel: rel, Alias: alias}
	for i, c := range rel.Columns {
		s.Attrs = append(s.Attrs, i)
		s.Columns = append(s.Columns, Col{Name: c.Name, Type: c.Type, Table: rel.OID, Num: c.Num})
	}
	s.Attrs = append(s.Attrs, AttrSlot, AttrTableOID)
	s.Columns = append(s.Columns,
		Col{Name: "helios_slot", Type: types.T(types.Int4OID)},
		Col{Name: "tableoid", Type: types.T(types.OIDOID), Table: rel.OID})
	return s
}

// relationScope is the scope of the row of newScan: columns in the order of the
// relation, then helios_slot and tableoid.
func relationScope(rel *catalog.Relation, alias string) *scope {
	t := &scopeTable{name: alias, rel: rel, system: make(map[string]scopeCol)}
	for i, c := range rel.Columns {
		if c.Dropped {
			continue
		}
		t.cols = append(t.cols, scopeCol{
			name: c.Name, internal: c.Hidden, expr: &Column{i, c.Type, c.Name},
			from: Col{Name: c.Name, Type: c.Type, Table: rel.OID, Num: c.Num},
		})
	}
	n := len(rel.Columns)
	slot, oid := types.T(types.Int4OID), types.T(types.OIDOID)
	t.system["helios_slot"] = scopeCol{name: "helios_slot", expr: &Column{n, slot, "helios_slot"}}
	t.system["tableoid"] = scopeCol{name: "tableoid", expr: &Column{n + 1, oid, "tableoid"}}
	if rel.PrimaryKey != nil && !rel.PrimaryKey.Hidden {
		if nums, ok := rel.PrimaryKey.Columns(); ok {
			for _, num := range nums {
				t.key = append(t.key, int(num)-1)
			}
		}
	}
	return &scope{tables: []*scopeTable{t}, visible: shownCols(t.cols), width: n + 2}
}

// view binds the query of a view in a block that sees nothing around it.
func (b *binder) view(rel *catalog.Relation) (Node, error) {
	if err := b.deeper(); err != nil {
		return nil, err
	}
	defer func() { b.depth-- }()
	q := rel.ViewQuery()
	if q == nil {
		return nil, types.Errorf("XX000", "view %q has no query", rel.Name)
	}
	n, err := b.topBlock().query(q, true)
	if err != nil {
		return nil, err
	}
	shown := rel.Visible()
	if len(shown) > len(n.Cols()) {
		return nil, types.Errorf("XX000", "view %q has more columns than its query", rel.Name)
	}
	p := passThrough(n)
	for i, c := range shown {
		p.Columns[i] = Col{Name: c.Name, Type: p.Columns[i].Type, Table: rel.OID, Num: c.Num}
	}
	return p, nil
}

// passThrough is a Project that keeps the row as it is.
func passThrough(n Node) *Project {
	p := &Project{Input: n, Columns: slices.Clone(n.Cols())}
	for i, c := range p.Columns {
		p.Exprs = append(p.Exprs, &Column{i, c.Type, c.Name})
	}
	return p
}

func (k *block) fromDerived(t *sql.Derived) (Node, *scope, error) {
	n, err := k.inner().query(t.Query, true)
	if err != nil {
		return nil, nil, err
	}
	name := ""
	if t.Alias != nil {
		name = t.Alias.Name
	}
	return k.aliased(n, tableScope(name, nil, n.Cols()), nil, t.Alias)
}

// fromJoin binds a join. outerLeft is what lateral items inside it see beyond it.
func (k *block) fromJoin(t *sql.Join, outerLeft *scope) (Node, *scope, error) {
	left, leftScope, err := k.fromItem(t.Left, outerLeft)
	if err != nil {
		return nil, nil, err
	}
	r, err := k.side(t.Right, leftScope)
	if err != nil {
		return nil, nil, err
	}
	kind, err := joinKind(t.Kind)
	if err != nil {
		return nil, nil, err
	}
	if len(r.args) > 0 && (kind == RightJoin || kind == FullJoin) {
		return nil, nil, types.Errorf("42P10", "invalid reference to FROM-clause entry").
			WithDetail("The combining JOIN type must be INNER or LEFT for a LATERAL reference.")
	}
	sc, err := leftScope.beside(r.scope)
	if err != nil {
		return nil, nil, err
	}
	cond, err := k.joinCond(t, kind, leftScope, r.scope, sc)
	if err != nil {
		return nil, nil, err
	}
	if t.Alias != nil {
		sc = aliasJoin(sc, t.Alias)
	}
	return newJoin(kind, left, r, cond), sc, nil
}

func joinKind(name string) (JoinKind, error) {
	switch name {
	case "inner", "cross":
		return InnerJoin, nil
	case "left":
		return LeftJoin, nil
	case "right":
		return RightJoin, nil
	case "full":
		return FullJoin, nil
	}
	return 0, types.Errorf("0A000", "%s join is not supported", name)
}

// aliasJoin hides the tables of a join behind one name.
func aliasJoin(sc *scope, alias *sql.Alias) *scope {
	cols := slices.Clone(sc.visible)
	for i := range cols {
		if i < len(alias.Columns) {
			cols[i].name = alias.Columns[i]
		}
	}
	return &scope{tables: []*scopeTable{{name: alias.Name, cols: cols}}, visible: cols, width: sc.width}
}

// joinCond binds ON, USING or NATURAL. For the latter two it merges the columns that
// a bare name finds in sc.
func (k *block) joinCond(t *sql.Join, kind JoinKind, left, right, sc *scope) (Expr, error) {
	using := t.Using
	if t.Natural {
		using = commonNames(left, right)
	}
	if t.Natural || len(using) > 0 {
		return k.joinUsing(using, kind, left, right, sc)
	}
	if t.On == nil {
		return nil, nil
	}
	saved, savedClause := k.scope, k.clause
	k.scope, k.clause = sc, clauseOn
	defer func() { k.scope, k.clause = saved, savedClause }()
	return k.condition(t.On, "JOIN/ON")
}

func commonNames(left, right *scope) []string {
	var names []string
	for _, c := range left.visible {
		if slices.ContainsFunc(right.visible, func(r scopeCol) bool { return r.name == c.name }) {
			names = append(names, c.name)
		}
	}
	return names
}

func (k *block) joinUsing(names []string, kind JoinKind, left, right, sc *scope) (Expr, error) {
	var conds []Expr
	var merged, rest []scopeCol
	for _, name := range names {
		l, err := usingColumn(left, name, "left")
		if err != nil {
			return nil, err
		}
		r, err := usingColumn(right, name, "right")
		if err != nil {
			return nil, err
		}
		rc := r.shifted(left.width)
		eq, err := k.operator("=", "", l.expr, rc.expr)
		if err != nil {
			return nil, err
		}
		conds = append(conds, eq)
		m, err := k.mergedColumn(kind, *l, rc)
		if err != nil {
			return nil, err
		}
		merged = append(merged, m)
	}
	for _, c := range sc.visible {
		if !slices.Contains(names, c.name) {
			rest = append(rest, c)
		}
	}
	sc.visible = slices.Concat(merged, rest)
	return conjoin(conds), nil
}

func usingColumn(s *scope, name, which string) (*scopeCol, error) {
	var found *scopeCol
	for i, c := range s.visible {
		if c.name != name {
			continue
		}
		if found != nil {
			return nil, types.Errorf("42702", "common column name %q appears more than once in %s table", name, which)
		}
		found = &s.visible[i]
	}
	if found == nil {
		return nil, types.Errorf("42703", "column %q specified in USING clause does not exist in %s table", name, which)
	}
	return found, nil
}

// mergedColumn is the one column that USING leaves of two.
func (k *block) mergedColumn(kind JoinKind, l, r scopeCol) (scopeCol, error) {
	args, typ, err := k.unify([]Expr{l.expr, r.expr}, "JOIN/USING")
	if err != nil {
		return scopeCol{}, err
	}
	m := scopeCol{name: l.name, from: Col{Name: l.name, Type: typ}}
	switch kind {
	case RightJoin:
		m.expr = args[1]
	case FullJoin:
		m.expr = &Coalesce{args, typ}
	default:
		m.expr = args[0]
		if args[0] == l.expr {
			m.from = l.from
		}
	}
	return m, nil
}
