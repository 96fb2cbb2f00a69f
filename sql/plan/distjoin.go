package plan

import (
	"slices"

	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// join goes down whole where the partners of a row are on its shard: tables colocated
// and joined on their keys, or reference tables beside a sharded one.
func (d *distributor) join(n *Join) part {
	if n.Lateral {
		return d.inRouter(n)
	}
	l, r := d.part(n.Left), d.part(n.Right)
	exprs := []Expr{n.Cond}
	for _, k := range n.Keys {
		exprs = append(exprs, k.Left, k.Right)
	}
	c := *n
	c.Probe = nil
	if l.remote() && r.remote() && pushable(exprs...) {
		c.Left, c.Right = l.node, r.node
		if p, ok := joinable(n, l, r); ok {
			return p.with(&c)
		}
	}
	c.Left, c.Right = d.pull(l), d.pull(r)
	return part{node: mapSubPlans(&c, d.whole), site: router}
}

// joinable tells whether two parts can be joined where they are, and what the join is.
func joinable(n *Join, l, r part) (part, bool) {
	width := len(n.Left.Cols())
	left := part{site: l.site, pinned: l.pinned, group: l.group, keys: l.keys}
	right := part{site: r.site, pinned: r.pinned, group: r.group}
	if n.Kind != SemiJoin && n.Kind != AntiJoin {
		for _, k := range r.keys {
			right.keys = append(right.keys, k+width)
		}
	}
	switch {
	case l.site == anyShard && r.site == anyShard:
		return left, true
	case l.site == oneShard && (r.site == anyShard || r.site == oneShard && l.pinned == r.pinned):
		if n.Kind == RightJoin || n.Kind == FullJoin {
			left.keys = nil
		}
		return left, true
	case l.site == anyShard && r.site == oneShard:
		right.keys = nil
		return right, true
	case l.site == allShards && r.site == anyShard:
		return left, n.Kind == InnerJoin || n.Kind == LeftJoin || n.Kind == SemiJoin || n.Kind == AntiJoin
	case l.site == anyShard && r.site == allShards:
		return right, n.Kind == InnerJoin || n.Kind == RightJoin
	}
	if !onKeys(n, l, r) {
		return part{}, false
	}
	// One side may be fixed to one shard: an inner join then is as well.
	out := part{site: allShards, group: l.group, keys: left.keys}
	switch {
	case n.Kind == InnerJoin && l.site == oneShard, l.site == oneShard && n.Kind != RightJoin && n.Kind != FullJoin:
		out.site, out.pinned = oneShard, l.pinned
	case (n.Kind == InnerJoin || n.Kind == RightJoin) && r.site == oneShard:
		out.site, out.pinned = oneShard, r.pinned
	}
	switch n.Kind {
	case RightJoin:
		out.keys = right.keys
	case FullJoin:
		out.keys = nil
	}
	return out, true
}

// onKeys tells whether a join compares the shard keys of two colocated parts.
func onKeys(n *Join, l, r part) bool {
	if len(l.keys) == 0 || len(l.keys) != len(r.keys) || l.group != r.group {
		return false
	}
	for i := range l.keys {
		joined := slices.ContainsFunc(n.Keys, func(k JoinKey) bool {
			a, aok := unrelabel(k.Left).(*Column)
			b, bok := unrelabel(k.Right).(*Column)
			return aok && bok && a.Index == l.keys[i] && b.Index == r.keys[i]
		})
		if !joined {
			return false
		}
	}
	return true
}

// aggregate goes down whole where no group spans shards, else in two steps: partial
// aggregates on the shards, merged in the router.
func (d *distributor) aggregate(n *Aggregate) part {
	p := d.part(n.Input)
	if !p.remote() || !pushableAggregate(n) {
		return d.over(p, n, false)
	}
	grouped := func(key int) bool { return slices.ContainsFunc(n.Group, isColumn(key)) }
	if p.single() || len(p.keys) > 0 && !slices.ContainsFunc(p.keys, func(k int) bool { return !grouped(k) }) {
		return p.mapped(&Aggregate{p.node, n.Group, n.Aggs, n.Columns, n.extra}, func(old int) int {
			return slices.IndexFunc(n.Group, isColumn(old))
		})
	}
	partial, final := splitAggregate(n, p.node)
	if partial == nil {
		return d.over(p, n, false)
	}
	final.Input = d.gather(&Gather{Fragment: partial})
	return part{node: final, site: router}
}

func isColumn(index int) func(Expr) bool {
	return func(e Expr) bool {
		c, ok := e.(*Column)
		return ok && c.Index == index
	}
}

func pushableAggregate(n *Aggregate) bool {
	ok := pushable(n.Group...)
	for _, a := range n.Aggs {
		ok = ok && pushable(a.Args...) && pushable(a.Filter) && pushableKeys(a.OrderBy)
	}
	return ok
}

// splitAggregate gives the partial aggregate for shards and the final one over their
// rows; nil when an aggregate needs all rows together.
func splitAggregate(n *Aggregate, input Node) (partial, final *Aggregate) {
	groups := len(n.Group)
	partial = &Aggregate{Input: input, Group: n.Group, Columns: slices.Clone(n.Columns[:groups])}
	final = &Aggregate{Columns: n.Columns}
	for i, g := range n.Group {
		final.Group = append(final.Group, &Column{i, g.Type(), n.Columns[i].Name})
	}
	for _, a := range n.Aggs {
		if a.Distinct && !sameOverSet(a.Agg.Name) || len(a.OrderBy) > 0 || a.Agg.Split == nil {
			return nil, nil
		}
		merged := a
		merged.Args, merged.Filter, merged.Distinct, merged.Star = nil, nil, false, false
		merged.Agg = mergeAggregate(a)
		for _, name := range a.Agg.Split.Partials {
			call, ok := partialCall(a, name)
			if !ok {
				return nil, nil
			}
			merged.Args = append(merged.Args, &Column{len(partial.Columns), call.Typ, name})
			partial.Columns = append(partial.Columns, Col{Name: name, Type: call.Typ})
			partial.Aggs = append(partial.Aggs, call)
		}
		final.Aggs = append(final.Aggs, merged)
	}
	return partial, final
}

// sameOverSet tells the aggregates that duplicates do not change.
func sameOverSet(name string) bool {
	return slices.Contains([]string{"min", "max", "bool_and", "bool_or", "every", "bit_and", "bit_or"}, name)
}

// mergeAggregate is the aggregate whose input is rows of partial results.
func mergeAggregate(a AggCall) *builtin.Aggregate {
	typs := typesOf(a.Args)
	split := a.Agg.Split
	return &builtin.Aggregate{Func: a.Agg.Func, New: func([]types.Type) builtin.Accumulator { return split.Merge(typs) }}
}

// partialCall is one of the aggregates that shards compute for a.
func partialCall(a AggCall, name string) (AggCall, bool) {
	call, err := builtin.ResolveCall(name, typeOIDs(a.Args), builtin.Notation{Star: a.Star})
	if err != nil {
		return AggCall{}, false
	}
	out := a
	out.Distinct = false
	if out.Agg = builtin.AggregateOf(call.Func.OID); out.Agg == nil {
		return AggCall{}, false
	}
	out.Typ = types.T(call.Ret)
	if call.Func.RetType != nil {
		out.Typ = call.Func.RetType(typesOf(a.Args))
	}
	for i, arg := range a.Args {
		if call.Args[i] != arg.Type().OID {
			return AggCall{}, false
		}
	}
	return out, true
}

// change sends an UPDATE or DELETE to the shards where each can find and write its own
// rows; otherwise the router reads the rows and hands the changes out.
func (d *distributor) change(n Node) part {
	rel, source := relationOf(n)
	p := d.part(source)
	scan, ok := p.node.(*Scan)
	if !ok || !p.remote() || scan.Rel != rel || d.spread[rel] || !pushableChange(n) {
		return d.over(p, n, false)
	}
	fragment := withInputs(n, func(Node) Node { return scan })
	g := &Gather{Fragment: fragment, Everywhere: rel.Placement.Strategy == catalog.Reference}
	return part{node: d.gather(g), site: router}
}

func pushableChange(n Node) bool {
	switch n := n.(type) {
	case *Update:
		ok := pushable(n.Returning...) && !movesRow(n)
		for _, a := range n.Set {
			ok = ok && pushable(a.Expr)
		}
		return ok
	case *Delete:
		return pushable(n.Returning...)
	}
	return false
}
