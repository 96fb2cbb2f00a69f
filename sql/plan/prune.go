package plan

import "slices"

// pruneRoot drops columns that nothing reads, in the plan and in those inside it.
func pruneRoot(n Node) Node {
	out, _ := prune(n, allColumns(n))
	return out
}

// columnSet is a set of columns of a row.
type columnSet map[int]bool

func allColumns(n Node) columnSet {
	s := make(columnSet)
	for i := range n.Cols() {
		s[i] = true
	}
	return s
}

func (s columnSet) add(exprs ...Expr) columnSet {
	for _, e := range exprs {
		for i := range columnsOf(e) {
			s[i] = true
		}
	}
	return s
}

func (s columnSet) addKeys(keys []SortKey) columnSet {
	for _, k := range keys {
		s.add(k.Expr)
	}
	return s
}

func (s columnSet) clone() columnSet {
	c := make(columnSet, len(s))
	for i := range s {
		c[i] = true
	}
	return c
}

// mapping gives the new index of each old column.
type mapping map[int]int

func (m mapping) index(i int) int { return m[i] }

func identity(n Node) mapping {
	m := make(mapping)
	for i := range n.Cols() {
		m[i] = i
	}
	return m
}

// prune gives a plan whose output has at least the needed columns of n's, and where
// each of them is now.
func prune(n Node, need columnSet) (Node, mapping) {
	n = mapSubPlans(n, pruneRoot)
	switch n := n.(type) {
	case *Scan:
		return pruneScan(n, need)
	case *Filter:
		in, m := prune(n.Input, need.clone().add(n.Cond))
		return &Filter{in, remap(n.Cond, m.index)}, m
	case *Project:
		return pruneProject(n, need)
	case *Sort:
		in, m := prune(n.Input, need.clone().addKeys(n.Keys))
		return &Sort{in, remapKeys(n.Keys, m.index), n.Bound}, m
	case *Limit:
		in, m := prune(n.Input, need.clone().addKeys(n.Ties))
		return &Limit{in, n.Count, n.Offset, remapKeys(n.Ties, m.index)}, m
	case *Distinct:
		if len(n.On) > 0 {
			in, m := prune(n.Input, need.clone().add(n.On...))
			return &Distinct{in, remapAll(n.On, m.index)}, m
		}
	case *Aggregate:
		return pruneAggregate(n, need)
	case *Join:
		return pruneJoin(n, need)
	case *WindowAgg:
		return pruneWindow(n, need)
	case *ProjectSet:
		return pruneProjectSet(n, need)
	case *Lock:
		return pruneLock(n, need)
	case *Update, *Delete:
		return pruneChange(n)
	}
	return withInputs(n, pruneRoot), identity(n)
}

func pruneScan(n *Scan, need columnSet) (Node, mapping) {
	need = need.clone().add(n.Filter)
	s := *n
	s.Attrs, s.Columns = nil, nil
	m := make(mapping)
	for i, attr := range n.Attrs {
		if need[i] {
			m[i] = len(s.Attrs)
			s.Attrs = append(s.Attrs, attr)
			s.Columns = append(s.Columns, n.Columns[i])
		}
	}
	if n.Filter != nil {
		s.Filter = remap(n.Filter, m.index)
	}
	return &s, m
}

func pruneProject(n *Project, need columnSet) (Node, mapping) {
	p := &Project{}
	m := make(mapping)
	below := make(columnSet)
	for i, e := range n.Exprs {
		if !need[i] && !isVolatile(e) {
			continue
		}
		m[i] = len(p.Exprs)
		p.Exprs = append(p.Exprs, e)
		p.Columns = append(p.Columns, n.Columns[i])
		below.add(e)
	}
	in, inner := prune(n.Input, below)
	p.Input = in
	p.Exprs = remapAll(p.Exprs, inner.index)
	return p, m
}

func pruneAggregate(n *Aggregate, need columnSet) (Node, mapping) {
	a := &Aggregate{}
	m := make(mapping)
	below := make(columnSet)
	groups := len(n.Group)
	for i, g := range n.Group {
		if i >= groups-n.extra && !need[i] {
			continue
		}
		m[i] = len(a.Columns)
		a.Group, a.Columns = append(a.Group, g), append(a.Columns, n.Columns[i])
		below.add(g)
	}
	for i, g := range n.Aggs {
		if !need[groups+i] {
			continue
		}
		m[groups+i] = len(a.Columns)
		a.Columns = append(a.Columns, n.Columns[groups+i])
		a.Aggs = append(a.Aggs, g)
		below.add(g.Args...).add(g.Filter).addKeys(g.OrderBy)
	}
	in, inner := prune(n.Input, below)
	a.Input = in
	out := withExprs(a, func(e Expr) Expr { return remap(e, inner.index) })
	return out, m
}

func pruneJoin(n *Join, need columnSet) (Node, mapping) {
	width := len(n.Left.Cols())
	need = need.clone().add(n.Cond)
	left, right := make(columnSet), make(columnSet)
	for i := range need {
		if i < width {
			left[i] = true
		} else {
			right[i-width] = true
		}
	}
	left.add(n.Args...)
	for _, k := range n.Keys {
		left.add(k.Left)
		right.add(k.Right)
	}
	l, lm := prune(n.Left, left)
	r, rm := prune(n.Right, right)
	j := *n
	j.Left, j.Right = l, r
	lw := len(l.Cols())
	m := make(mapping)
	for i, to := range lm {
		m[i] = to
	}
	for i, to := range rm {
		m[width+i] = lw + to
	}
	if n.Cond != nil {
		j.Cond = remap(n.Cond, m.index)
	}
	j.Args = remapAll(n.Args, lm.index)
	j.Keys = slices.Clone(n.Keys)
	for i, k := range n.Keys {
		j.Keys[i] = JoinKey{remap(k.Left, lm.index), remap(k.Right, rm.index), k.Eq}
	}
	j.Columns = l.Cols()
	if n.Kind != SemiJoin && n.Kind != AntiJoin {
		j.Columns = slices.Concat(l.Cols(), r.Cols())
	}
	return &j, m
}

func pruneWindow(n *WindowAgg, need columnSet) (Node, mapping) {
	width := len(n.Input.Cols())
	below := make(columnSet).add(n.Partition...).addKeys(n.Order)
	for i := range need {
		if i < width {
			below[i] = true
		}
	}
	for _, f := range n.Funcs {
		below.add(f.Args...).add(f.Filter)
	}
	in, m := prune(n.Input, below)
	w := withExprs(n, func(e Expr) Expr { return remap(e, m.index) }).(*WindowAgg)
	w.Input = in
	return w, appendColumns(&w.Columns, n.Columns, in, m, width)
}

// appendColumns makes the columns of a node that adds some to its input's.
func appendColumns(to *[]Col, old []Col, in Node, m mapping, width int) mapping {
	*to = slices.Concat(in.Cols(), old[width:])
	out := make(mapping)
	for i, at := range m {
		out[i] = at
	}
	for i := range old[width:] {
		out[width+i] = len(in.Cols()) + i
	}
	return out
}

func pruneProjectSet(n *ProjectSet, need columnSet) (Node, mapping) {
	width := len(n.Input.Cols())
	below := make(columnSet).add(n.Funcs...)
	for i := range need {
		if i < width {
			below[i] = true
		}
	}
	in, m := prune(n.Input, below)
	p := &ProjectSet{Input: in, Funcs: remapAll(n.Funcs, m.index)}
	return p, appendColumns(&p.Columns, n.Columns, in, m, width)
}

func pruneLock(n *Lock, need columnSet) (Node, mapping) {
	need = need.clone()
	for _, t := range n.Targets {
		for _, k := range t.Key {
			need[k] = true
		}
		need[t.Slot] = true
	}
	in, m := prune(n.Input, need)
	l := &Lock{in, n.Strength, n.Wait, slices.Clone(n.Targets)}
	for i, t := range l.Targets {
		key := make([]int, len(t.Key))
		for j, k := range t.Key {
			key[j] = m[k]
		}
		l.Targets[i] = LockTarget{t.Rel, key, m[t.Slot]}
	}
	return l, m
}

// pruneChange keeps the whole old row and the slot in front, as Update and Delete say.
func pruneChange(n Node) (Node, mapping) {
	rel, source := relationOf(n)
	need := make(columnSet)
	for i := range len(rel.Columns) + 1 {
		need[i] = true
	}
	overRow := func(f func(Expr) Expr) Node { return withSourceExprs(n, f) }
	overRow(func(e Expr) Expr {
		need.add(e)
		return e
	})
	in, m := prune(source, need)
	out := overRow(func(e Expr) Expr { return remap(e, m.index) })
	return withInputs(out, func(Node) Node { return in }), identity(n)
}
