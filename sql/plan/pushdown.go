package plan

import "slices"

// push moves conditions, which are over n's output row, as far down as they may go,
// together with those of the filters and joins on the way.
func push(n Node, conds []Expr) Node {
	switch n := n.(type) {
	case *Filter:
		return push(n.Input, slices.Concat(conjuncts(n.Cond), conds))
	case *Project:
		return pushProject(n, conds)
	case *Join:
		return pushJoin(n, conds)
	case *Scan:
		return pushScan(n, conds)
	case *Aggregate:
		return pushAggregate(n, conds)
	case *Sort:
		return &Sort{push(n.Input, conds), n.Keys, n.Bound}
	case *Distinct:
		if len(n.On) == 0 {
			return &Distinct{push(n.Input, conds), nil}
		}
	case *SetOp:
		c := *n
		c.Left, c.Right = push(n.Left, conds), push(n.Right, conds)
		if slices.ContainsFunc(conds, fixed) {
			c.Left, c.Right = push(n.Left, nil), push(n.Right, nil)
			return filtered(&c, conds)
		}
		return &c
	case *ProjectSet:
		width := len(n.Input.Cols())
		down, rest := split(conds, func(e Expr) bool { return readsBetween(e, 0, width) && !fixed(e) })
		return filtered(&ProjectSet{push(n.Input, down), n.Funcs, n.Columns}, rest)
	}
	return filtered(withInputs(n, func(in Node) Node { return push(in, nil) }), conds)
}

// fixed tells that a condition stays where it is: it runs a plan or is volatile.
func fixed(e Expr) bool { return hasSubPlan(e) || isVolatile(e) }

func filtered(n Node, conds []Expr) Node {
	if len(conds) == 0 {
		return n
	}
	return &Filter{n, conjoin(conds)}
}

// split divides conditions in those for which f holds and the others.
func split(conds []Expr, f func(Expr) bool) (yes, no []Expr) {
	for _, c := range conds {
		if f(c) {
			yes = append(yes, c)
		} else {
			no = append(no, c)
		}
	}
	return yes, no
}

func pushProject(n *Project, conds []Expr) Node {
	down, rest := split(conds, func(e Expr) bool {
		if fixed(e) {
			return false
		}
		for i := range columnsOf(e) {
			if fixed(n.Exprs[i]) {
				return false
			}
		}
		return true
	})
	for i, c := range down {
		down[i] = substitute(c, n.Exprs)
	}
	return filtered(&Project{push(n.Input, down), n.Exprs, n.Columns}, rest)
}

// pushScan puts conditions into the scan, those that run plans stay above it.
func pushScan(n *Scan, conds []Expr) Node {
	in, above := split(conds, func(e Expr) bool { return !fixed(e) })
	s := *n
	s.Filter = conjoin(slices.Concat(conjuncts(n.Filter), in))
	return filtered(&s, above)
}

// pushAggregate moves conditions on grouping columns below the aggregate.
func pushAggregate(n *Aggregate, conds []Expr) Node {
	groups := len(n.Group)
	down, rest := split(conds, func(e Expr) bool {
		if fixed(e) || groups == 0 || !readsBetween(e, 0, groups) || !readsColumn(e) {
			return false
		}
		for i := range columnsOf(e) {
			if fixed(n.Group[i]) {
				return false
			}
		}
		return true
	})
	for i, c := range down {
		down[i] = substitute(c, n.Group)
	}
	return filtered(&Aggregate{push(n.Input, down), n.Group, n.Aggs, n.Columns, n.extra}, rest)
}

// pushJoin sorts the conditions above a join and its own into those of one side, equal
// keys and the rest.
func pushJoin(n *Join, above []Expr) Node {
	j := *n
	width := len(n.Left.Cols())
	total := width + len(n.Right.Cols())
	onLeft := func(e Expr) bool { return readsBetween(e, 0, width) && !fixed(e) }
	onRight := func(e Expr) bool { return readsBetween(e, width, total) && !fixed(e) && readsColumn(e) }
	on := conjuncts(n.Cond)
	for _, k := range n.Keys {
		on = append(on, &Call{Fn: k.Eq, Op: "=", Args: []Expr{k.Left, shift(k.Right, width)}, Typ: boolType})
	}
	j.Keys, j.Cond = nil, nil
	if n.Kind == InnerJoin {
		on, above = slices.Concat(on, above), nil
	}
	var left, right, rest []Expr
	switch n.Kind {
	case InnerJoin:
		left, on = split(on, onLeft)
		right, on = split(on, onRight)
	case LeftJoin:
		left, above = split(above, onLeft)
		right, on = split(on, onRight)
	case RightJoin:
		right, above = split(above, onRight)
		left, on = split(on, onLeft)
	case SemiJoin:
		left, above = split(above, onLeft)
		right, on = split(on, onRight)
	case AntiJoin:
		left, above = split(above, onLeft)
		right, on = split(on, onRight)
	}
	for i := range right {
		right[i] = shift(right[i], -width)
	}
	if n.Lateral { // the right side runs in a frame of its own
		for _, e := range right {
			on = append(on, shift(e, width))
		}
		right, rest = nil, on
	} else {
		j.Keys, rest = joinKeys(on, width, total)
	}
	j.Cond = conjoin(rest)
	j.Left, j.Right = push(n.Left, left), push(n.Right, right)
	j.spreadConstants()
	return filtered(&j, above)
}

// joinKeys takes left = right out of conditions: over values of one type, so that
// equal values have equal hash keys.
func joinKeys(conds []Expr, width, total int) (keys []JoinKey, rest []Expr) {
	for _, c := range conds {
		call, ok := c.(*Call)
		if !ok || call.Op != "=" || len(call.Args) != 2 || fixed(c) || !hashable(call) {
			rest = append(rest, c)
			continue
		}
		l, r := call.Args[0], call.Args[1]
		if !readsBetween(l, 0, width) {
			l, r = r, l
		}
		if !readsBetween(l, 0, width) || !readsBetween(r, width, total) || !readsColumn(l) || !readsColumn(r) {
			rest = append(rest, c)
			continue
		}
		keys = append(keys, JoinKey{l, shift(r, -width), call.Fn})
	}
	return keys, rest
}

// hashable tells whether an equality means equal key encodings: both sides of one
// family of types.
func hashable(eq *Call) bool {
	return sameFamily(eq.Args[0].Type().OID, eq.Args[1].Type().OID)
}
