package plan

import "slices"

// withInputs gives a copy of n with f applied to each input.
func withInputs(n Node, f func(Node) Node) Node {
	switch n := n.(type) {
	case *With:
		c := &With{CTEs: n.CTEs, Body: f(n.Body)}
		for _, cte := range n.CTEs { // CTEScans point at them: changed in place
			cte.Plan = f(cte.Plan)
			if cte.Recursive != nil {
				cte.Recursive = f(cte.Recursive)
			}
		}
		return c
	case *InitPlans:
		return n.withInputs(f)
	case *Filter:
		return &Filter{f(n.Input), n.Cond}
	case *Project:
		return &Project{f(n.Input), n.Exprs, n.Columns}
	case *ProjectSet:
		return &ProjectSet{f(n.Input), n.Funcs, n.Columns}
	case *Sort:
		return &Sort{f(n.Input), n.Keys, n.Bound}
	case *Limit:
		return &Limit{f(n.Input), n.Count, n.Offset, n.Ties}
	case *Aggregate:
		return &Aggregate{f(n.Input), n.Group, n.Aggs, n.Columns, n.extra}
	case *Distinct:
		return &Distinct{f(n.Input), n.On}
	case *WindowAgg:
		return &WindowAgg{f(n.Input), n.Partition, n.Order, n.Funcs, n.Columns}
	case *Lock:
		return &Lock{f(n.Input), n.Strength, n.Wait, n.Targets}
	case *Join:
		c := *n
		c.Left, c.Right = f(n.Left), f(n.Right)
		if c.Right != n.Right {
			c.Probe = nil // it stood for the old right side
		}
		return &c
	case *SetOp:
		c := *n
		c.Left, c.Right = f(n.Left), f(n.Right)
		return &c
	case *Insert:
		c := *n
		c.Source = f(n.Source)
		return &c
	case *Update:
		c := *n
		c.Source = f(n.Source)
		return &c
	case *Delete:
		c := *n
		c.Source = f(n.Source)
		return &c
	}
	return n
}

// withExprs gives a copy of n with f applied to each of its own expressions; nil
// expressions are left out.
func withExprs(n Node, f func(Expr) Expr) Node {
	opt := func(e Expr) Expr {
		if e == nil {
			return nil
		}
		return f(e)
	}
	list := func(es []Expr) []Expr {
		out, _ := mapList(es, f)
		return out
	}
	keys := func(ks []SortKey) []SortKey {
		out := slices.Clone(ks)
		for i := range out {
			out[i].Expr = f(out[i].Expr)
		}
		return out
	}
	switch n := n.(type) {
	case *Values:
		c := &Values{Rows: make([][]Expr, len(n.Rows)), Columns: n.Columns}
		for i, r := range n.Rows {
			c.Rows[i] = list(r)
		}
		return c
	case *Scan:
		c := *n
		c.Filter = opt(n.Filter)
		c.Access = n.Access.mapExprs(f)
		return &c
	case *FuncScan:
		c := *n
		c.Funcs = list(n.Funcs)
		return &c
	case *Filter:
		return &Filter{n.Input, f(n.Cond)}
	case *Project:
		return &Project{n.Input, list(n.Exprs), n.Columns}
	case *ProjectSet:
		return &ProjectSet{n.Input, list(n.Funcs), n.Columns}
	case *Sort:
		return &Sort{n.Input, keys(n.Keys), opt(n.Bound)}
	case *Limit:
		return &Limit{n.Input, opt(n.Count), opt(n.Offset), keys(n.Ties)}
	case *Aggregate:
		return withAggExprs(n, list, keys, opt)
	case *Distinct:
		return &Distinct{n.Input, list(n.On)}
	case *WindowAgg:
		c := &WindowAgg{n.Input, list(n.Partition), keys(n.Order), slices.Clone(n.Funcs), n.Columns}
		for i, w := range c.Funcs {
			w.Args, w.Filter = list(w.Args), opt(w.Filter)
			c.Funcs[i] = w
		}
		return c
	case *Join:
		c := *n
		c.Cond, c.Args, c.Keys = opt(n.Cond), list(n.Args), slices.Clone(n.Keys)
		for i, k := range c.Keys {
			c.Keys[i] = JoinKey{f(k.Left), f(k.Right), k.Eq}
		}
		return &c
	case *Insert, *Update, *Delete:
		return withWriteExprs(n, f)
	}
	return n
}

func withAggExprs(n *Aggregate, list func([]Expr) []Expr, keys func([]SortKey) []SortKey, opt func(Expr) Expr) Node {
	c := &Aggregate{n.Input, list(n.Group), slices.Clone(n.Aggs), n.Columns, n.extra}
	for i, a := range c.Aggs {
		a.Args, a.OrderBy, a.Filter = list(a.Args), keys(a.OrderBy), opt(a.Filter)
		c.Aggs[i] = a
	}
	return c
}

func withWriteExprs(n Node, f func(Expr) Expr) Node {
	checks := func(cs []Check) []Check {
		out := slices.Clone(cs)
		for i := range out {
			if out[i].Expr != nil {
				out[i].Expr = f(out[i].Expr)
			}
		}
		return out
	}
	set := func(as []Assign) []Assign {
		out := slices.Clone(as)
		for i := range out {
			out[i].Expr = f(out[i].Expr)
		}
		return out
	}
	switch n := n.(type) {
	case *Insert:
		c := *n
		c.Checks = checks(n.Checks)
		c.Returning, _ = mapList(n.Returning, f)
		if n.OnConflict != nil {
			o := *n.OnConflict
			o.Set, o.Checks = set(o.Set), checks(o.Checks)
			if o.Where != nil {
				o.Where = f(o.Where)
			}
			c.OnConflict = &o
		}
		return &c
	case *Update:
		c := *n
		c.Set, c.Checks = set(n.Set), checks(n.Checks)
		c.Returning, _ = mapList(n.Returning, f)
		return &c
	case *Delete:
		c := *n
		c.Returning, _ = mapList(n.Returning, f)
		return &c
	}
	return n
}

func (a *Access) mapExprs(f func(Expr) Expr) *Access {
	if a == nil {
		return nil
	}
	c := *a
	c.Prefix = slices.Clone(a.Prefix)
	for i, k := range c.Prefix {
		c.Prefix[i] = k.mapExprs(f)
	}
	bound := func(b *Bound) *Bound {
		if b == nil {
			return nil
		}
		return &Bound{f(b.Value), b.Inclusive, b.source}
	}
	c.Low, c.High = bound(a.Low), bound(a.High)
	return &c
}

func (k KeyCond) mapExprs(f func(Expr) Expr) KeyCond {
	k.Values, _ = mapList(k.Values, f)
	if k.Array != nil {
		k.Array = f(k.Array)
	}
	return k
}

// eachExpr calls f for each expression of the node itself.
func eachExpr(n Node, f func(Expr)) {
	withExprs(n, func(e Expr) Expr {
		f(e)
		return e
	})
}

// EachNode visits every node of a plan top down, those inside SubPlans and Gathers
// included, while f gives true.
func EachNode(n Node, f func(Node) bool) {
	if n == nil || !f(n) {
		return
	}
	for _, in := range n.Inputs() {
		EachNode(in, f)
	}
	if g, ok := n.(*Gather); ok {
		EachNode(g.Fragment, f)
	}
	eachExpr(n, func(e Expr) {
		Walk(e, func(x Expr) bool {
			if s, ok := x.(*SubPlan); ok {
				EachNode(s.Plan, f)
			}
			return true
		})
	})
}

// mapSubPlans applies f to every plan inside the node's own expressions.
func mapSubPlans(n Node, f func(Node) Node) Node {
	has := false
	eachExpr(n, func(e Expr) { has = has || hasSubPlan(e) })
	if !has {
		return n
	}
	var rewrite func(Expr) Expr
	rewrite = func(e Expr) Expr {
		e = mapArgs(e, rewrite)
		if s, ok := e.(*SubPlan); ok {
			c := *s
			c.Plan = f(s.Plan)
			return &c
		}
		return e
	}
	return withExprs(n, rewrite)
}
