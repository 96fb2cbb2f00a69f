package plan

import (
	"math"

	"github.com/heliosdb/helios/types"
)

// optimize rewrites a bound plan: folds constants, puts small common table expressions
// in place, takes out sub-plans that run once, then rewrites what remains and them.
func (b *binder) optimize(root Node) Node {
	root = b.foldNode(root)
	root = inlineCTEs(root)
	l := &lifter{b: b}
	root = b.rewrite(l.lift(root))
	if len(l.plans) == 0 {
		return root
	}
	return &InitPlans{l.plans, root}
}

// rewrite turns subqueries into joins, pushes conditions down, drops columns that nothing
// reads and chooses access paths.
func (b *binder) rewrite(root Node) Node {
	root = b.deep(root, func(n Node) Node { return b.unnest(n) })
	root = b.deep(root, func(n Node) Node { return push(n, nil) })
	root = pruneRoot(root)
	root = b.deep(root, chooseAccess)
	return b.deep(root, boundSorts)
}

// deep applies a rewrite of whole trees to the plan and to every plan inside its
// expressions, innermost first.
func (b *binder) deep(n Node, f func(Node) Node) Node {
	var inside func(Node) Node
	inside = func(n Node) Node {
		return mapSubPlans(withInputs(n, inside), func(p Node) Node { return b.deep(p, f) })
	}
	return f(inside(n))
}

// foldNode folds every expression of a plan.
func (b *binder) foldNode(n Node) Node {
	n = withInputs(n, b.foldNode)
	n = mapSubPlans(n, b.foldNode)
	n = withExprs(n, b.fold)
	if f, ok := n.(*Filter); ok {
		if c, ok := f.Cond.(*Const); ok && !c.Value.IsNull() && c.Value.AsBool() {
			return f.Input
		}
	}
	return n
}

// inlineCTEs puts the plan of an expression that is read once in the place of its scan.
func inlineCTEs(n Node) Node {
	inline := make(map[*CTE]bool)
	EachNode(n, func(n Node) bool {
		if w, ok := n.(*With); ok {
			for _, c := range w.CTEs {
				inline[c] = inlinable(c)
			}
		}
		return true
	})
	var rewrite func(Node) Node
	rewrite = func(n Node) Node {
		switch n := n.(type) {
		case *CTEScan:
			if inline[n.CTE] {
				p := passThrough(rewrite(n.CTE.Plan))
				p.Columns = n.Columns
				return p
			}
		case *With:
			var keep []*CTE
			for _, c := range n.CTEs {
				if !inline[c] {
					keep = append(keep, c)
				}
			}
			if len(keep) == 0 {
				return rewrite(n.Body)
			}
			return mapSubPlans(withInputs(&With{keep, n.Body}, rewrite), rewrite)
		}
		return mapSubPlans(withInputs(n, rewrite), rewrite)
	}
	return rewrite(n)
}

// inlinable tells whether a common table expression may be computed where it is read:
// once, without side effects, and without values of the frame it was written in.
func inlinable(c *CTE) bool {
	if c.Recursive != nil || c.Materialized == "yes" || c.refs > 1 && c.Materialized != "no" {
		return false
	}
	return Repeatable(c.Plan) && readOnly(c.Plan) && !ReadsOuter(c.Plan)
}

// Repeatable tells whether running a plan again gives the same rows: it calls nothing
// volatile.
func Repeatable(n Node) bool {
	ok := true
	EachNode(n, func(n Node) bool {
		switch n.(type) {
		case *Insert, *Update, *Delete, *Lock:
			ok = false
		}
		eachExpr(n, func(e Expr) { ok = ok && !isVolatile(e) })
		return ok
	})
	return ok
}

// isVolatile tells whether an expression itself calls a volatile function; plans of
// its SubPlans count as well.
func isVolatile(e Expr) bool {
	return anyExpr(e, func(x Expr) bool {
		switch x := x.(type) {
		case *Call:
			return x.Fn.Volatility == 'v'
		case *SubPlan:
			return !Repeatable(x.Plan)
		}
		return false
	})
}

// ReadsOuter tells whether a plan reads values of the frame that it runs in.
func ReadsOuter(n Node) bool {
	found := false
	eachExpr(n, func(e Expr) { found = found || hasOuter(e) })
	if g, ok := n.(*Gather); ok {
		return ReadsOuter(g.Fragment)
	}
	if j, ok := n.(*Join); ok && j.Lateral {
		return found || ReadsOuter(j.Left)
	}
	for _, in := range n.Inputs() {
		found = found || ReadsOuter(in)
	}
	return found
}

// boundSorts tells each Sort right under a Limit how many rows are wanted, and each
// scan under a sort by distance that the nearest rows are.
func boundSorts(n Node) Node {
	n = withInputs(n, boundSorts)
	l, ok := n.(*Limit)
	if !ok || l.Count == nil || len(l.Ties) > 0 {
		return n
	}
	var between []*Project
	in := l.Input
	for {
		p, ok := in.(*Project)
		if !ok {
			break
		}
		between = append(between, p)
		in = p.Input
	}
	s, ok := in.(*Sort)
	if !ok {
		return n
	}
	bounded := &Sort{nearest(s, l), s.Keys, limitBound(l)}
	var out Node = bounded
	for i := len(between) - 1; i >= 0; i-- {
		out = &Project{out, between[i].Exprs, between[i].Columns}
	}
	return &Limit{out, l.Count, l.Offset, l.Ties}
}

// limitBound is LIMIT plus OFFSET or, where that is beyond a bigint, the greatest one; nil
// or NULL when there is no limit.
func limitBound(l *Limit) Expr {
	if l.Count == nil || l.Offset == nil {
		return l.Count
	}
	a, aok := l.Count.(*Const)
	b, bok := l.Offset.(*Const)
	if !aok || !bok {
		return cappedSum(l.Count, l.Offset)
	}
	if a.Value.IsNull() || b.Value.IsNull() || a.Value.AsInt() < 0 || b.Value.AsInt() < 0 {
		return l.Count
	}
	return &Const{types.Int(a.Value.AsInt() + min(b.Value.AsInt(), math.MaxInt64-a.Value.AsInt())), a.Typ}
}

// distanceOps are the operators of a nearest-neighbour search.
var distanceOps = map[string]bool{"<->": true, "<#>": true, "<=>": true, "<+>": true}

// nearest marks the scan under a sort by distance; it gives the sort's input.
func nearest(s *Sort, l *Limit) Node {
	key := s.Keys[0]
	if key.Desc || key.NullsFirst {
		return s.Input
	}
	x, in := key.Expr, s.Input
	var between []*Project
	for {
		p, ok := in.(*Project)
		if !ok {
			break
		}
		x = substitute(x, p.Exprs)
		between = append(between, p)
		in = p.Input
	}
	scan, ok := in.(*Scan)
	if !ok {
		return s.Input
	}
	k := knnOf(x, scan)
	if k == nil {
		return s.Input
	}
	k.K = limitBound(l)
	marked := *scan
	marked.Nearest = k
	var out Node = &marked
	for i := len(between) - 1; i >= 0; i-- {
		out = &Project{out, between[i].Exprs, between[i].Columns}
	}
	return out
}

// knnOf recognises column op query.
func knnOf(x Expr, scan *Scan) *KNN {
	call, ok := x.(*Call)
	if !ok || !distanceOps[call.Op] || len(call.Args) != 2 {
		return nil
	}
	for i, a := range call.Args {
		c, ok := a.(*Column)
		query := call.Args[1-i]
		if !ok || readsColumn(query) || hasSubPlan(query) || isVolatile(query) || scan.Attrs[c.Index] < 0 {
			continue
		}
		return &KNN{Column: scan.Rel.Columns[scan.Attrs[c.Index]].Num, Op: call.Op, Query: query}
	}
	return nil
}
