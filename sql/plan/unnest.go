package plan

// unnest turns subqueries of WHERE into joins: x IN (query) into a semi join,
// [NOT] EXISTS (query) with conditions between the two into a semi or anti join.
func (b *binder) unnest(n Node) Node {
	n = withInputs(n, b.unnest)
	f, ok := n.(*Filter)
	if !ok {
		return n
	}
	input := f.Input
	var rest []Expr
	for _, c := range conjuncts(f.Cond) {
		if j := unnestOne(input, c); j != nil {
			input = j
		} else {
			rest = append(rest, c)
		}
	}
	return filtered(input, rest)
}

// unnestOne gives the join that stands for a condition over input; nil when it is not
// that simple.
func unnestOne(input Node, cond Expr) Node {
	not := false
	if n, ok := cond.(*Not); ok {
		not, cond = true, n.Arg
	}
	s, ok := cond.(*SubPlan)
	if !ok {
		return nil
	}
	switch {
	case s.Kind == AnyPlan && s.Op == "=" && !not && len(s.Args) == 0 && Repeatable(s.Plan):
		return semiJoinIn(input, s)
	case s.Kind == ExistsPlan && len(s.Args) > 0:
		kind := SemiJoin
		if not {
			kind = AntiJoin
		}
		return joinExists(input, s, kind)
	}
	return nil
}

func semiJoinIn(input Node, s *SubPlan) Node {
	width := len(input.Cols())
	var conds []Expr
	for i, l := range s.Left {
		if fixed(l) {
			return nil
		}
		c := s.Plan.Cols()[i]
		conds = append(conds, &Call{Fn: s.Fns[i], Op: "=", Args: []Expr{l, &Column{width + i, c.Type, c.Name}}, Typ: boolType})
	}
	return &Join{Kind: SemiJoin, Left: input, Right: s.Plan, Cond: conjoin(conds), Columns: input.Cols()}
}

// joinExists handles EXISTS (SELECT … FROM x WHERE conditions), where only the
// conditions read outer values.
func joinExists(input Node, s *SubPlan, kind JoinKind) Node {
	plan := s.Plan
	for {
		p, ok := plan.(*Project)
		if !ok {
			break
		}
		plan = p.Input
	}
	f, ok := plan.(*Filter)
	if !ok || ReadsOuter(f.Input) || !Repeatable(s.Plan) {
		return nil
	}
	width := len(input.Cols())
	var on, inside []Expr
	for _, c := range conjuncts(f.Cond) {
		if !hasOuter(c) {
			inside = append(inside, c)
			continue
		}
		if fixed(c) {
			return nil
		}
		on = append(on, Map(c, func(x Expr) (Expr, bool) {
			switch x := x.(type) {
			case *Outer:
				return s.Args[x.Index], true
			case *Column:
				return &Column{x.Index + width, x.Typ, x.Name}, true
			}
			return nil, false
		}))
	}
	for _, a := range s.Args {
		if fixed(a) {
			return nil
		}
	}
	return &Join{Kind: kind, Left: input, Right: filtered(f.Input, inside), Cond: conjoin(on), Columns: input.Cols()}
}
