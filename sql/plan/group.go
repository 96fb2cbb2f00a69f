package plan

import (
	"fmt"
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// groupBy binds GROUP BY to expressions over the FROM row.
func (k *block) groupBy(items []sql.Expr, targets []target) ([]Expr, error) {
	var group []Expr
	seen := make(map[string]bool)
	for _, e := range items {
		i, more, err := k.findTarget(e, targets, len(targets), clauseGroupBy)
		if err != nil {
			return nil, err
		}
		x := k.settle(more[i].expr)
		if i < len(targets) {
			targets[i].expr = x
		}
		if hasPlaceholder(x) {
			return nil, errorAt(types.Errorf("42803", "aggregate functions are not allowed in GROUP BY"), sql.At(e.Pos()))
		}
		if err := sortable(x.Type()); err != nil {
			return nil, errorAt(err, sql.At(e.Pos()))
		}
		if key := Key(x); !seen[key] {
			seen[key] = true
			group = append(group, x)
		}
	}
	return group, nil
}

func hasPlaceholder(e Expr) bool {
	return anyExpr(e, func(x Expr) bool {
		switch x.(type) {
		case *aggRef, *windowRef:
			return true
		}
		return false
	})
}

// aggregate puts an Aggregate (and HAVING) over the input and rewrites the targets to
// read its output; 42803 for a column that is neither grouped nor aggregated.
func (k *block) aggregate(node Node, group []Expr, having Expr, targets []target) (Node, []target, error) {
	written := len(group)
	group = k.dependent(group)
	agg := &Aggregate{Input: node, Group: group, Aggs: k.aggs, extra: len(group) - written}
	for i, g := range group {
		c := Col{Name: columnName(g), Type: g.Type()}
		if col, ok := g.(*Column); ok {
			in := node.Cols()[col.Index]
			c.Table, c.Num = in.Table, in.Num
		}
		if c.Name == "" {
			c.Name = fmt.Sprintf("group%d", i+1)
		}
		agg.Columns = append(agg.Columns, c)
	}
	for i, a := range k.aggs {
		agg.Columns = append(agg.Columns, Col{Name: fmt.Sprintf("agg%d", i+1), Type: a.Typ})
	}
	g := &grouper{block: k, group: group, keys: make(map[string]int)}
	for i, x := range group {
		g.keys[Key(x)] = i
	}
	var out Node = agg
	if having != nil {
		out = &Filter{out, g.rewrite(having)}
	}
	rewritten := slices.Clone(targets)
	for i := range rewritten {
		rewritten[i].expr = g.rewrite(rewritten[i].expr)
	}
	for i := range k.windows {
		k.windows[i].rewrite(g.rewrite)
	}
	for i := range k.sets {
		k.sets[i] = g.rewrite(k.sets[i])
	}
	return out, rewritten, g.err
}

// grouper rewrites expressions over the FROM row to the row of the Aggregate.
type grouper struct {
	block *block
	group []Expr
	keys  map[string]int
	err   error
}

func (g *grouper) rewrite(e Expr) Expr {
	return Map(e, func(x Expr) (Expr, bool) {
		switch x := x.(type) {
		case *aggRef:
			return &Column{len(g.group) + x.Index, x.Typ, fmt.Sprintf("agg%d", x.Index+1)}, true
		case *Const, *Param, *Outer, *setRef, *windowRef:
			return x, true
		}
		if i, ok := g.keys[Key(x)]; ok {
			return &Column{i, x.Type(), columnName(g.group[i])}, true
		}
		if c, ok := x.(*Column); ok {
			if g.err == nil {
				g.err = types.Errorf("42803", "column %q must appear in the GROUP BY clause or be used in an aggregate function",
					g.block.qualified(c.Index))
			}
			return c, true
		}
		return nil, false
	})
}

// qualified names a FROM column as PostgreSQL's grouping error does.
func (k *block) qualified(index int) string {
	for _, t := range k.scope.tables {
		for _, c := range t.cols {
			if col, ok := c.expr.(*Column); ok && col.Index == index {
				if t.name == "" {
					return c.name
				}
				return t.name + "." + c.name
			}
		}
	}
	return "?column?"
}

// dependent adds to the grouping the columns that a grouped primary key determines.
func (k *block) dependent(group []Expr) []Expr {
	has := func(index int) bool {
		return slices.ContainsFunc(group, func(e Expr) bool {
			c, ok := e.(*Column)
			return ok && c.Index == index
		})
	}
	for _, t := range k.scope.tables {
		if len(t.key) == 0 || slices.ContainsFunc(t.key, func(i int) bool { return !has(i) }) {
			continue
		}
		for _, c := range t.cols {
			if col, ok := c.expr.(*Column); ok && !has(col.Index) {
				group = append(group, col)
			}
		}
	}
	return group
}

// projectSets runs the set-returning functions of the select list, those inside an
// argument of another first.
func (k *block) projectSets(node Node, targets []target) (Node, []target, error) {
	if len(k.sets) == 0 {
		return node, targets, nil
	}
	where := make([]int, len(k.sets)) // output column of each, -1 while pending
	for i := range where {
		where[i] = -1
	}
	ready := func(e Expr) bool {
		return !anyExpr(e, func(x Expr) bool {
			s, ok := x.(*setRef)
			return ok && where[s.Index] < 0
		})
	}
	resolve := func(e Expr) Expr {
		return Map(e, func(x Expr) (Expr, bool) {
			if s, ok := x.(*setRef); ok && where[s.Index] >= 0 {
				return &Column{where[s.Index], s.Typ, "set"}, true
			}
			return nil, false
		})
	}
	for done := 0; done < len(k.sets); {
		p := &ProjectSet{Input: node, Columns: slices.Clone(node.Cols())}
		var layer []int
		for i, f := range k.sets {
			if where[i] < 0 && ready(f) {
				layer = append(layer, i)
				p.Funcs = append(p.Funcs, resolve(f))
			}
		}
		for _, i := range layer {
			where[i] = len(p.Columns)
			p.Columns = append(p.Columns, Col{Name: "set", Type: k.sets[i].Type()})
		}
		done += len(layer)
		node = p
	}
	out := slices.Clone(targets)
	for i := range out {
		out[i].expr = resolve(out[i].expr)
	}
	return node, out, nil
}

// locking binds FOR UPDATE and its like: for each locked table the primary key and
// slot become hidden targets.
func (k *block) locking(q *sql.Select, targets []target, grouped bool) ([]*Lock, []target, error) {
	var locks []*Lock
	for _, l := range q.Locking {
		what := "FOR " + upper(l.Strength)
		switch {
		case q.Distinct || len(q.DistinctOn) > 0:
			return nil, nil, types.Errorf("0A000", "%s is not allowed with DISTINCT clause", what)
		case grouped:
			return nil, nil, types.Errorf("0A000", "%s is not allowed with GROUP BY clause or aggregate functions", what)
		case len(k.windows) > 0:
			return nil, nil, types.Errorf("0A000", "%s is not allowed with window functions", what)
		case len(k.sets) > 0:
			return nil, nil, types.Errorf("0A000", "%s is not allowed with set-returning functions in the target list", what)
		}
		lock := &Lock{Strength: l.Strength, Wait: l.Wait}
		tables, err := k.lockTables(l, what)
		if err != nil {
			return nil, nil, err
		}
		for _, t := range tables {
			var lt LockTarget
			if lt, targets, err = lockTarget(t, targets); err != nil {
				return nil, nil, err
			}
			lock.Targets = append(lock.Targets, lt)
		}
		if len(lock.Targets) > 0 {
			locks = append(locks, lock)
		}
	}
	return locks, targets, nil
}

// lockTables are the FROM items that a locking clause names, or all tables.
func (k *block) lockTables(l sql.Locking, what string) ([]*scopeTable, error) {
	var out []*scopeTable
	if len(l.Of) == 0 {
		for _, t := range k.scope.tables {
			if t.rel != nil && len(t.system) > 0 && !t.rel.Virtual {
				out = append(out, t)
			}
		}
		return out, nil
	}
	for _, name := range l.Of {
		t, err := k.scope.table(sql.Name{name})
		if err != nil {
			return nil, err
		}
		if t == nil {
			return nil, types.Errorf("42P01", "relation %q in %s clause not found in FROM clause", name, what)
		}
		if t.rel == nil || len(t.system) == 0 || t.rel.Virtual {
			return nil, types.Errorf("0A000", "%s cannot be applied to %q: it is not a table", what, name)
		}
		out = append(out, t)
	}
	return out, nil
}

func lockTarget(t *scopeTable, targets []target) (LockTarget, []target, error) {
	lt := LockTarget{Rel: t.rel}
	hide := func(c scopeCol) int {
		targets = append(targets, target{name: c.name, expr: c.expr, hidden: true})
		return len(targets) - 1
	}
	nums, ok := t.rel.PrimaryKey.Columns()
	if !ok {
		return lt, nil, types.Errorf("XX000", "primary key of %q has an expression", t.rel.Name)
	}
	first := t.system["helios_slot"].expr.(*Column).Index - len(t.rel.Columns)
	for _, num := range nums {
		c := t.rel.Columns[num-1]
		lt.Key = append(lt.Key, hide(scopeCol{name: c.Name, expr: &Column{first + int(num) - 1, c.Type, c.Name}}))
	}
	lt.Slot = hide(t.system["helios_slot"])
	return lt, targets, nil
}
