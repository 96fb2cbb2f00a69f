package plan

import "github.com/heliosdb/helios/types"

// InitPlans is the root of a plan whose expressions use values of sub-plans that read
// nothing of the rows around them: InitValue N is the value of Plans[N]. Each is computed
// at most once in a run, when it is first asked for, at the statement's snapshot. So a
// router can send the value along with a fragment, find the shard by it, and look for its
// nearest neighbours.
type InitPlans struct {
	Plans []*SubPlan // scalar or array, without Args; later ones may use earlier ones
	Body  Node
}

// InitValue is the value of one of the plan's InitPlans.
type InitValue struct {
	Index int
	Typ   types.Type
}

// Type is the type of the value.
func (e *InitValue) Type() types.Type { return e.Typ }

// Cols gives the columns of the body.
func (n *InitPlans) Cols() []Col { return n.Body.Cols() }

// Inputs are the body and the plans.
func (n *InitPlans) Inputs() []Node {
	out := []Node{n.Body}
	for _, s := range n.Plans {
		out = append(out, s.Plan)
	}
	return out
}

func (n *InitPlans) withInputs(f func(Node) Node) Node {
	c := &InitPlans{Plans: make([]*SubPlan, len(n.Plans)), Body: f(n.Body)}
	for i, s := range n.Plans {
		p := *s
		p.Plan = f(s.Plan)
		c.Plans[i] = &p
	}
	return c
}

// lifter takes sub-plans out of the expressions over tables.
type lifter struct {
	b     *binder
	plans []*SubPlan
}

// lift puts values in the place of sub-plans that need to run only once. Where no table
// is read nothing would be gained: such expressions are evaluated in place.
func (l *lifter) lift(n Node) Node {
	n = withInputs(n, l.lift)
	n = mapSubPlans(n, l.lift)
	switch n.(type) {
	case *Filter, *Project, *Sort, *Aggregate, *Join, *Update, *Delete:
		if readsTable(n) {
			return withExprs(n, l.expr)
		}
	}
	return n
}

// readsTable tells whether a plan's inputs scan a stored table.
func readsTable(n Node) bool {
	found := false
	for _, in := range n.Inputs() {
		EachNode(in, func(n Node) bool {
			s, ok := n.(*Scan)
			found = found || ok && !s.Rel.Virtual
			return !found
		})
	}
	return found
}

// expr lifts the sub-plans of an expression that are evaluated whenever it is. In the
// branches that a CASE, a COALESCE or an OR may never reach they stay: their errors must
// not come up when nothing asks for them.
func (l *lifter) expr(e Expr) Expr {
	first := func(list []Expr) ([]Expr, bool) {
		x := l.expr(list[0])
		if x == list[0] {
			return list, false
		}
		return append([]Expr{x}, list[1:]...), true
	}
	switch e := e.(type) {
	case *SubPlan:
		if e.Kind == ScalarPlan && liftable(e) {
			return l.value(e)
		}
		return e
	case *AnyAll:
		// An array is worth sending to compare with, not to have it back with each row.
		if s, ok := e.Array.(*SubPlan); ok && s.Kind == ArrayPlan && liftable(s) {
			return &AnyAll{e.Op, e.Fn, e.All, l.expr(e.Left), l.value(s)}
		}
	case *Coalesce:
		if args, ok := first(e.Args); ok {
			return &Coalesce{args, e.Typ}
		}
		return e
	case *Or:
		if args, ok := first(e.Args); ok {
			return &Or{args}
		}
		return e
	case *Case:
		return e
	}
	return mapArgs(e, l.expr)
}

// value takes a sub-plan out and gives what stands for it.
func (l *lifter) value(s *SubPlan) Expr {
	c := *s
	c.Plan = l.b.rewrite(s.Plan)
	l.plans = append(l.plans, &c)
	return &InitValue{len(l.plans) - 1, c.Typ}
}

// liftable tells whether a sub-plan's value is one for the whole statement, and can be
// sent to a shard.
func liftable(s *SubPlan) bool {
	if len(s.Args) > 0 || s.Typ.OID == types.RecordOID || types.ElemOf(s.Typ.OID) == types.RecordOID {
		return false
	}
	return Repeatable(s.Plan) && readOnly(s.Plan) && !ReadsOuter(s.Plan) && ownCTEs(s.Plan)
}

// ownCTEs tells whether a plan reads only common table expressions of its own.
func ownCTEs(n Node) bool {
	own := make(map[*CTE]bool)
	ok := true
	EachNode(n, func(n Node) bool {
		switch n := n.(type) {
		case *With:
			for _, c := range n.CTEs {
				own[c] = true
			}
		case *CTEScan:
			ok = ok && own[n.CTE]
		case *WorkScan:
			ok = ok && own[n.CTE]
		}
		return ok
	})
	return ok
}
