package plan

import (
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// maxTargets is PostgreSQL's limit of a select list.
const maxTargets = 1664

// query binds a SELECT, VALUES or set operation with its WITH clause. settle gives
// columns of unknown type the type text; without it the caller decides.
func (k *block) query(q *sql.Select, settle bool) (Node, error) {
	if err := k.b.deeper(); err != nil {
		return nil, err
	}
	defer func() { k.b.depth-- }()
	n, err := k.with(q.With, func() (Node, error) {
		switch {
		case q.SetOp != "":
			return k.setOp(q)
		case len(q.Values) > 0:
			return k.valuesQuery(q)
		}
		return k.selectBlock(q)
	})
	if err != nil || !settle {
		return n, err
	}
	return k.settleOutput(n)
}

// target is an item of a select list, stars expanded.
type target struct {
	name   string
	expr   Expr
	from   Col
	hidden bool // only ORDER BY or a lock needs it
}

// selectBlock binds one SELECT … FROM … in PostgreSQL's order: FROM, WHERE, the select
// list, GROUP BY and HAVING, ORDER BY; then stacks the operators.
func (k *block) selectBlock(q *sql.Select) (Node, error) {
	k.named = q.Windows
	node, err := k.from(q.From)
	if err != nil {
		return nil, err
	}
	if node, err = k.where(node, q.Where); err != nil {
		return nil, err
	}
	targets, err := k.targets(q.Targets, clauseSelect)
	if err != nil {
		return nil, err
	}
	shown := len(targets)
	group, err := k.groupBy(q.GroupBy, targets)
	if err != nil {
		return nil, err
	}
	having, err := k.having(q.Having)
	if err != nil {
		return nil, err
	}
	keys, targets, err := k.orderBy(q, targets)
	if err != nil {
		return nil, err
	}
	on, targets, err := k.distinctOn(q, targets, keys)
	if err != nil {
		return nil, err
	}
	locks, targets, err := k.locking(q, targets, len(group) > 0 || len(k.aggs) > 0 || having != nil)
	if err != nil {
		return nil, err
	}
	if len(group) > 0 || len(k.aggs) > 0 || having != nil {
		if node, targets, err = k.aggregate(node, group, having, targets); err != nil {
			return nil, err
		}
	}
	if node, targets, err = k.windowed(node, targets); err != nil {
		return nil, err
	}
	if node, targets, err = k.projectSets(node, targets); err != nil {
		return nil, err
	}
	return k.finish(q, projectTargets(node, targets), shown, keys, on, locks)
}

// where binds a condition over the block's input.
func (k *block) where(node Node, where sql.Expr) (Node, error) {
	if where == nil {
		return node, nil
	}
	k.clause = clauseWhere
	cond, err := k.condition(where, "WHERE")
	if err != nil {
		return nil, err
	}
	return &Filter{node, cond}, nil
}

func (k *block) having(e sql.Expr) (Expr, error) {
	if e == nil {
		return nil, nil
	}
	k.clause = clauseHaving
	return k.condition(e, "HAVING")
}

func projectTargets(node Node, targets []target) *Project {
	p := &Project{Input: node}
	for _, t := range targets {
		p.Exprs = append(p.Exprs, t.expr)
		c := Col{Name: t.name, Type: t.expr.Type(), Table: t.from.Table, Num: t.from.Num, Fields: t.from.Fields}
		if c.Fields == nil {
			c.Fields = rowFields(t.expr)
		}
		p.Columns = append(p.Columns, c)
	}
	return p
}

// finish puts DISTINCT, ORDER BY, locks and LIMIT over the projected rows and drops
// the hidden columns again.
func (k *block) finish(q *sql.Select, p *Project, shown int, keys []SortKey, on []Expr, locks []*Lock) (Node, error) {
	var node Node = p
	if q.Distinct && len(q.DistinctOn) == 0 {
		if len(p.Exprs) > shown {
			return nil, types.Errorf("42P10", "for SELECT DISTINCT, ORDER BY expressions must appear in select list")
		}
		node = &Distinct{Input: node}
	}
	if len(keys) > 0 {
		node = &Sort{Input: node, Keys: keys}
	}
	if len(on) > 0 {
		node = &Distinct{Input: node, On: on}
	}
	for _, l := range locks {
		l.Input = node
		node = l
	}
	node, err := k.limit(q, node, keys)
	if err != nil {
		return nil, err
	}
	if len(p.Exprs) > shown {
		trim := passThrough(node)
		trim.Exprs, trim.Columns = trim.Exprs[:shown], trim.Columns[:shown]
		node = trim
	}
	return node, nil
}

// limit binds LIMIT, OFFSET and WITH TIES.
func (k *block) limit(q *sql.Select, node Node, keys []SortKey) (Node, error) {
	if q.Limit == nil && q.Offset == nil {
		return node, nil
	}
	l := &Limit{Input: node}
	saved := k.scope
	k.scope = &scope{}
	defer func() { k.scope = saved }()
	var err error
	if l.Count, err = k.rowCount(q.Limit, clauseLimit); err != nil {
		return nil, err
	}
	if l.Offset, err = k.rowCount(q.Offset, clauseOffset); err != nil {
		return nil, err
	}
	if q.WithTies {
		if len(keys) == 0 {
			return nil, types.Errorf("42601", "WITH TIES cannot be specified without ORDER BY clause")
		}
		l.Ties = keys
	}
	return l, nil
}

// rowCount binds an argument of LIMIT or OFFSET; nil means none.
func (k *block) rowCount(e sql.Expr, c clause) (Expr, error) {
	if e == nil {
		return nil, nil
	}
	k.clause = c
	x, err := k.expr(e)
	if err != nil {
		if code := types.CodeOf(err); code == "42703" {
			return nil, types.Errorf("42P10", "argument of %s must not contain variables", c).At(e.Pos() + 1)
		}
		return nil, err
	}
	if lit, ok := x.(*Const); ok && lit.Value.IsNull() {
		return nil, nil
	}
	return k.convert(x, types.T(types.Int8OID), "argument of "+string(c)+" must be type bigint, not type %s", e.Pos())
}

// targets binds a select list or RETURNING, stars expanded.
func (k *block) targets(list []sql.Target, c clause) ([]target, error) {
	k.clause = c
	var out []target
	for _, t := range list {
		if ref, ok := t.Expr.(*sql.ColumnRef); ok && ref.Star {
			cols, err := k.star(ref)
			if err != nil {
				return nil, errorAt(err, ref.At)
			}
			out = append(out, cols...)
			continue
		}
		if f, ok := t.Expr.(*sql.Field); ok && f.Star {
			cols, err := k.fieldStar(f)
			if err != nil {
				return nil, errorAt(err, f.At)
			}
			out = append(out, cols...)
			continue
		}
		one, err := k.target(t)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	if len(out) > maxTargets {
		return nil, types.Errorf("54011", "target lists can have at most %d entries", maxTargets)
	}
	return out, nil
}

func (k *block) target(t sql.Target) (target, error) {
	name := t.Alias
	if name == "" {
		name = targetName(t.Expr)
	}
	if ref, ok := t.Expr.(*sql.ColumnRef); ok {
		c, err := k.columnRef(ref)
		if err != nil {
			return target{}, err
		}
		return target{name: name, expr: c.expr, from: c.from}, nil
	}
	k.setOK = k.clause == clauseSelect
	x, err := k.exprAllowingSet(t.Expr)
	k.setOK = false
	if err != nil {
		return target{}, err
	}
	return target{name: name, expr: x}, nil
}

// star expands * or t.*.
func (k *block) star(ref *sql.ColumnRef) ([]target, error) {
	cols := k.scope.visible
	if len(ref.Parts) > 0 {
		t, err := k.scope.table(ref.Parts)
		if err != nil {
			return nil, err
		}
		if t == nil {
			return nil, types.Errorf("42P01", "missing FROM-clause entry for table %q", ref.Parts[len(ref.Parts)-1])
		}
		cols = shownCols(t.cols)
	} else if len(k.scope.tables) == 0 {
		return nil, types.Errorf("42601", "SELECT * with no tables specified is not valid")
	}
	var out []target
	for _, c := range cols {
		out = append(out, target{name: c.name, expr: c.expr, from: c.from})
	}
	return out, nil
}

// fieldStar expands (row).*.
func (k *block) fieldStar(f *sql.Field) ([]target, error) {
	arg, err := k.exprAllowingSet(f.Arg)
	if err != nil {
		return nil, err
	}
	fields := k.fieldsOf(f.Arg, arg)
	if len(fields) == 0 {
		return nil, types.Errorf("42809", "type %s is not composite", types.FormatType(arg.Type()))
	}
	var out []target
	for i, c := range fields {
		out = append(out, target{name: c.Name, expr: fieldOf(arg, i, c), from: Col{Fields: c.Fields}})
	}
	return out, nil
}

// fieldOf reads a field, directly when the row is built in place.
func fieldOf(arg Expr, i int, c Col) Expr {
	if row, ok := arg.(*Row); ok {
		return row.Fields[i]
	}
	return &Field{arg, i, c.Name, c.Type}
}

// targetName is the column name that PostgreSQL gives an unnamed select item.
func targetName(e sql.Expr) string {
	if name, strength := figureName(e); strength > 0 {
		return name
	}
	return "?column?"
}

// figureName gives a name and how good it is: 0 none, 1 a type's or CASE's, 2 one of its own.
func figureName(e sql.Expr) (name string, strength int) {
	switch e := e.(type) {
	case *sql.ColumnRef:
		return e.Parts[len(e.Parts)-1], 2
	case *sql.FuncCall:
		return e.Name[len(e.Name)-1], 2
	case *sql.Field:
		return e.Name, 2
	case *sql.Subscript:
		return figureName(e.Arg)
	case *sql.Collate:
		return figureName(e.Arg)
	case *sql.Cast:
		if name, strength := figureName(e.Arg); strength > 1 {
			return name, strength
		}
		return e.Type.Name[len(e.Type.Name)-1], 1
	case *sql.Case:
		if e.Else != nil {
			if name, strength := figureName(e.Else); strength > 1 {
				return name, strength
			}
		}
		return "case", 1
	case *sql.Coalesce:
		return "coalesce", 2
	case *sql.NullIf:
		return "nullif", 2
	case *sql.MinMax:
		if e.Least {
			return "least", 2
		}
		return "greatest", 2
	case *sql.ArrayExpr:
		return "array", 2
	case *sql.RowExpr:
		return "row", 2
	case *sql.CurrentValue:
		return e.Name, 2
	case *sql.Subquery:
		return subqueryName(e), 2
	}
	return "", 0
}

func subqueryName(e *sql.Subquery) string {
	switch e.Kind {
	case 'e':
		return "exists"
	case 'a':
		return "array"
	}
	q := e.Query
	for q.SetOp != "" {
		q = q.Left
	}
	if len(q.Values) > 0 {
		return "column1"
	}
	if len(q.Targets) == 1 {
		if t := q.Targets[0]; t.Alias != "" {
			return t.Alias
		}
		return targetName(q.Targets[0].Expr)
	}
	return "?column?"
}

// orderBy binds ORDER BY to keys over the projected row, adding hidden targets for
// expressions that are not in the select list.
func (k *block) orderBy(q *sql.Select, targets []target) ([]SortKey, []target, error) {
	var keys []SortKey
	shown := len(targets)
	for _, item := range q.OrderBy {
		i, more, err := k.findTarget(item.Expr, targets, shown, clauseOrderBy)
		if err != nil {
			return nil, nil, err
		}
		targets = more
		key, err := k.sortKey(item, &targets[i].expr, i, targets[i].name)
		if err != nil {
			return nil, nil, err
		}
		if !slices.ContainsFunc(keys, func(o SortKey) bool { return o.Expr.(*Column).Index == i }) {
			keys = append(keys, key)
		}
	}
	return keys, targets, nil
}

// sortKey makes a key for column i of the projected row, whose expression is x.
func (k *block) sortKey(item sql.SortItem, x *Expr, i int, name string) (SortKey, error) {
	*x = k.settle(*x)
	key := SortKey{Expr: &Column{i, (*x).Type(), name}}
	if err := sortable((*x).Type()); err != nil {
		return key, errorAt(err, sql.At(item.Expr.Pos()))
	}
	return key, orderDirection(item, &key)
}

func orderDirection(item sql.SortItem, key *SortKey) error {
	key.Desc = item.Desc
	switch item.Using {
	case "":
	case "<", "~<~":
	case ">", "~>~":
		key.Desc = true
	default:
		return types.Errorf("42809", "operator %s is not a valid ordering operator", item.Using)
	}
	key.NullsFirst = key.Desc
	if item.NullsFirst || item.NullsLast {
		key.NullsFirst = item.NullsFirst
	}
	return nil
}

// findTarget finds the select item that an item of ORDER BY, GROUP BY or DISTINCT ON
// means: an ordinal, an output name, or an expression, added as a hidden target when
// it is new.
func (k *block) findTarget(e sql.Expr, targets []target, shown int, c clause) (int, []target, error) {
	if lit, ok := e.(*sql.Literal); ok {
		i, err := ordinal(lit, shown, c)
		return i, targets, err
	}
	if ref, ok := e.(*sql.ColumnRef); ok && len(ref.Parts) == 1 && !ref.Star {
		i, err := k.targetByName(ref.Parts[0], targets[:shown], c)
		if err != nil {
			return 0, nil, errorAt(err, ref.At)
		}
		if i >= 0 {
			return i, targets, nil
		}
	}
	k.clause = c
	k.setOK = c != clauseGroupBy
	x, err := k.exprAllowingSet(e)
	k.setOK = false
	if err != nil {
		return 0, nil, err
	}
	key := Key(x)
	for i, t := range targets {
		if Key(t.expr) == key {
			return i, targets, nil
		}
	}
	return len(targets), append(targets, target{name: "?column?", expr: x, hidden: true}), nil
}

func ordinal(lit *sql.Literal, shown int, c clause) (int, error) {
	if lit.Kind != 'i' {
		return 0, types.Errorf("42601", "non-integer constant in %s", c).At(int(lit.At) + 1)
	}
	i := 0
	for _, d := range lit.Text {
		if i = i*10 + int(d-'0'); i > maxTargets {
			break
		}
	}
	if i < 1 || i > shown {
		return 0, types.Errorf("42P10", "%s position %s is not in select list", c, lit.Text).At(int(lit.At) + 1)
	}
	return i - 1, nil
}

// targetByName finds an output name; -1 when none has it. GROUP BY prefers a column
// of FROM over an output name, the others the reverse.
func (k *block) targetByName(name string, targets []target, c clause) (int, error) {
	if c == clauseGroupBy {
		if col, err := k.scope.find(sql.Name{name}); err != nil || col != nil {
			return -1, nil // bound as an expression
		}
	}
	found := -1
	for i, t := range targets {
		if t.name != name {
			continue
		}
		if found >= 0 && Key(targets[found].expr) != Key(t.expr) {
			return 0, types.Errorf("42702", "%s %q is ambiguous", c, name)
		}
		if found < 0 {
			found = i
		}
	}
	return found, nil
}

// distinctOn binds DISTINCT ON; its expressions must be the first keys of ORDER BY.
func (k *block) distinctOn(q *sql.Select, targets []target, keys []SortKey) ([]Expr, []target, error) {
	var on []Expr
	var cols []int
	shown := 0
	for _, t := range targets {
		if !t.hidden {
			shown++
		}
	}
	for _, e := range q.DistinctOn {
		i, more, err := k.findTarget(e, targets, shown, clauseDistinctOn)
		if err != nil {
			return nil, nil, err
		}
		targets = more
		targets[i].expr = k.settle(targets[i].expr)
		on = append(on, &Column{i, targets[i].expr.Type(), targets[i].name})
		cols = append(cols, i)
	}
	for n, key := range keys {
		if n >= len(cols) {
			break
		}
		if !slices.Contains(cols, key.Expr.(*Column).Index) {
			return nil, nil, types.Errorf("42P10", "SELECT DISTINCT ON expressions must match initial ORDER BY expressions")
		}
	}
	return on, targets, nil
}
