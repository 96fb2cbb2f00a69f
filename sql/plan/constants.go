package plan

// spreadConstants uses the keys of a join to carry a constant from one side to the
// other: a.id = 7 AND b.aid = a.id gives b.aid = 7, by which b is found and routed.
func (n *Join) spreadConstants() {
	if n.Lateral {
		return
	}
	toRight := n.Kind == InnerJoin || n.Kind == LeftJoin || n.Kind == SemiJoin || n.Kind == AntiJoin
	toLeft := n.Kind == InnerJoin || n.Kind == RightJoin || n.Kind == SemiJoin
	left, right := constants(n.Left), constants(n.Right)
	var newLeft, newRight []Expr
	for _, k := range n.Keys {
		l, lok := k.Left.(*Column)
		r, rok := k.Right.(*Column)
		if !lok || !rok || l.Typ.OID != r.Typ.OID {
			continue
		}
		known, there := left[l.Index], right[r.Index]
		switch {
		case known != nil && there == nil && toRight:
			newRight = append(newRight, &Call{Fn: known.Fn, Op: "=", Args: []Expr{r, known.Args[1]}, Typ: boolType})
		case known == nil && there != nil && toLeft:
			newLeft = append(newLeft, &Call{Fn: there.Fn, Op: "=", Args: []Expr{l, there.Args[1]}, Typ: boolType})
		}
	}
	if len(newLeft) > 0 {
		n.Left = push(n.Left, newLeft)
	}
	if len(newRight) > 0 {
		n.Right = push(n.Right, newRight)
	}
}

// constants gives the output columns that a plan's conditions fix: column = value.
func constants(n Node) map[int]*Call {
	switch n := n.(type) {
	case *Scan:
		return fixedBy(conjuncts(n.Filter), nil)
	case *Filter:
		return fixedBy(conjuncts(n.Cond), constants(n.Input))
	case *Project:
		below := constants(n.Input)
		out := make(map[int]*Call)
		for i, e := range n.Exprs {
			if c, ok := e.(*Column); ok && below[c.Index] != nil {
				out[i] = below[c.Index]
			}
		}
		return out
	case *Join:
		out := make(map[int]*Call)
		if n.Kind != RightJoin && n.Kind != FullJoin {
			for i, c := range constants(n.Left) {
				out[i] = c
			}
		}
		if n.Kind == InnerJoin || n.Kind == RightJoin {
			width := len(n.Left.Cols())
			for i, c := range constants(n.Right) {
				out[width+i] = c
			}
		}
		return out
	}
	return nil
}

// fixedBy adds the columns that conditions fix. A call in the result has the column
// first and the value second.
func fixedBy(conds []Expr, known map[int]*Call) map[int]*Call {
	out := make(map[int]*Call, len(known))
	for i, c := range known {
		out[i] = c
	}
	for _, c := range conds {
		call, ok := c.(*Call)
		if !ok || call.Op != "=" || len(call.Args) != 2 {
			continue
		}
		col, ok := call.Args[0].(*Column)
		if ok && !readsColumn(call.Args[1]) && !fixed(call.Args[1]) && !hasOuter(call.Args[1]) {
			out[col.Index] = call
		}
	}
	return out
}
