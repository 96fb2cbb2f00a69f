package plan

import (
	"slices"

	"github.com/heliosdb/helios/sql/catalog"
)

// Distribute turns a plan for one place into a plan for a router: the largest parts
// that shards can run become Gathers, the rest stays. The query itself is not changed.
func Distribute(q *Query) (*Query, error) {
	d := &distributor{spread: q.spread}
	out := *q
	out.distributed = nil
	out.Root = d.whole(q.Root)
	if d.err != nil {
		return nil, d.err
	}
	return &out, nil
}

// Distributed is Distribute, done once for each query that Bind gave and kept with it.
func (q *Query) Distributed() (*Query, error) {
	if q.distributed == nil { // a changed copy
		return Distribute(q)
	}
	return q.distributed()
}

// site is where a part of a plan can run.
type site byte

const (
	anywhere  site = iota // reads no table
	anyShard              // reads reference tables
	oneShard              // reads sharded tables whose keys are fixed to one value
	allShards             // reads sharded tables
	router                // must run, or already runs, in the router
)

// part is a piece of plan and where it can run. Each shard runs node over its own
// rows, and the rows of all together are those of the whole.
type part struct {
	node Node
	site site
	// pinned identifies the key value of oneShard, or the table that has a single shard.
	pinned string
	// group and keys tell that rows are placed by the hash of these output columns; nil
	// when they are not among them.
	group uint32
	keys  []int
}

// single tells that one shard alone gives the whole.
func (p part) single() bool { return p.site == anyShard || p.site == oneShard }

// remote tells that shards can run the part.
func (p part) remote() bool { return p.single() || p.site == allShards }

func (p part) with(n Node) part {
	p.node = n
	return p
}

// mapped gives the part under a projection: index tells where a column went, -1 for lost.
func (p part) mapped(n Node, index func(int) int) part {
	p.node = n
	keys := slices.Clone(p.keys)
	for i, k := range keys {
		if keys[i] = index(k); keys[i] < 0 {
			keys = nil
			break
		}
	}
	p.keys = keys
	return p
}

type distributor struct {
	spread map[*catalog.Relation]bool
	err    error
}

// whole gives a plan that the router runs.
func (d *distributor) whole(n Node) Node { return d.pull(d.part(n)) }

// pull makes a part run on its shards, its rows come to the router.
func (d *distributor) pull(p part) Node {
	if !p.remote() {
		return p.node
	}
	g := d.gather(&Gather{Fragment: p.node, One: p.site == anyShard})
	if p.site == oneShard { // what is not fixed to the shard is joined to what is
		g.Rels = slices.DeleteFunc(g.Rels, func(r Route) bool {
			return !r.pinned() && r.Rel.Placement.Strategy != catalog.Single
		})
	}
	return g
}

// gather completes a Gather: routes, columns and text.
func (d *distributor) gather(g *Gather) *Gather {
	g.Columns = g.Fragment.Cols()
	EachNode(g.Fragment, func(n Node) bool {
		if s, ok := n.(*Scan); ok && isSharded(s.Rel) {
			g.Rels = append(g.Rels, routeOf(s))
		}
		return true
	})
	var err error
	if g.text, g.args, err = printFragment(g.Fragment); err != nil && d.err == nil {
		d.err = err
	}
	return g
}

// inRouter is a node that runs in the router over pulled inputs.
func (d *distributor) inRouter(n Node) part {
	n = mapSubPlans(n, d.whole)
	return part{node: withInputs(n, d.whole), site: router}
}

// over puts a node that needs pushable expressions only into the part below, or in the
// router above it.
func (d *distributor) over(p part, n Node, remote bool) part {
	if remote && p.remote() {
		return p.with(withInputs(n, func(Node) Node { return p.node }))
	}
	n = mapSubPlans(n, d.whole)
	return part{node: withInputs(n, func(Node) Node { return d.pull(p) }), site: router}
}

func (d *distributor) part(n Node) part {
	switch n := n.(type) {
	case *Scan:
		return d.scan(n)
	case *Filter:
		return d.filter(n)
	case *Project:
		return d.project(n)
	case *Sort:
		return d.sort(n)
	case *Limit:
		return d.limit(n)
	case *Aggregate:
		return d.aggregate(n)
	case *Distinct:
		return d.distinct(n)
	case *Join:
		return d.join(n)
	case *SetOp:
		return d.setOp(n)
	case *Lock:
		p := d.part(n.Input)
		return d.over(p, n, p.site == oneShard && lockable(p.node))
	case *Update, *Delete:
		return d.change(n)
	}
	return d.inRouter(n)
}

// pushable tells whether shards can evaluate an expression and mean the same.
func pushable(list ...Expr) bool {
	for _, e := range list {
		if e == nil {
			continue
		}
		ok := true
		Walk(e, func(x Expr) bool {
			switch x := x.(type) {
			case *SubPlan, *Field, *Outer:
				ok = false
			case *Row:
				ok = ok && !x.Named // on its way it would lose the names
			case *IsNull:
				if row, is := x.Arg.(*Row); is { // has no use for them
					ok = ok && pushable(row.Fields...)
					return false
				}
			case *Call:
				ok = ok && x.Fn.Volatility != 'v' && !x.Fn.SRF && !isExtra(x.Fn.Name)
			}
			return ok
		})
		if !ok {
			return false
		}
	}
	return true
}

// isExtra tells an engine's own function: its name is qualified.
func isExtra(name string) bool { return slices.Contains([]byte(name), '.') }

func pushableKeys(keys []SortKey) bool {
	return !slices.ContainsFunc(keys, func(k SortKey) bool { return !pushable(k.Expr) })
}

// scan is where everything begins: the table's shards, with the part of the filter that
// they can evaluate.
func (d *distributor) scan(n *Scan) part {
	if n.Rel.Virtual {
		return part{node: n, site: router}
	}
	down, up := split(conjuncts(n.Filter), func(e Expr) bool { return pushable(e) })
	s := *n
	s.Filter = conjoin(down)
	p := part{node: &s, site: allShards}
	switch r := routeOf(&s); {
	case n.Rel.Placement.Strategy == catalog.Reference:
		p.site = anyShard
	case n.Rel.Placement.Strategy == catalog.Single:
		p.site, p.pinned = oneShard, "single "+itoa(int(n.Rel.OID)) // each has a shard of its own
	case r.pinned() && hashPlaced(n.Rel):
		p.site, p.pinned = oneShard, r.signature()
	}
	if hashPlaced(n.Rel) {
		p.group = n.Rel.Placement.ColocationID
		for _, num := range n.Rel.Placement.KeyColumns {
			at := slices.Index(s.Attrs, int(num)-1)
			if at < 0 {
				p.keys = nil
				break
			}
			p.keys = append(p.keys, at)
		}
	}
	if len(up) == 0 {
		return p
	}
	above := mapSubPlans(&Filter{d.pull(p), conjoin(up)}, d.whole)
	return part{node: above, site: router}
}

func (d *distributor) filter(n *Filter) part {
	p := d.part(n.Input)
	down, up := split(conjuncts(n.Cond), func(e Expr) bool { return p.remote() && pushable(e) })
	if len(down) > 0 {
		p = p.with(filtered(p.node, down))
	}
	if len(up) == 0 {
		return p
	}
	above := mapSubPlans(&Filter{d.pull(p), conjoin(up)}, d.whole)
	return part{node: above, site: router}
}

func (d *distributor) project(n *Project) part {
	p := d.part(n.Input)
	if !p.remote() || !pushable(n.Exprs...) {
		return d.over(p, n, false)
	}
	return p.mapped(&Project{p.node, n.Exprs, n.Columns}, func(old int) int {
		return slices.IndexFunc(n.Exprs, func(e Expr) bool {
			c, ok := e.(*Column)
			return ok && c.Index == old
		})
	})
}

// sort lets each shard sort (and cut, when only the first rows are wanted); the router
// merges.
func (d *distributor) sort(n *Sort) part {
	p := d.part(n.Input)
	if !p.remote() || p.single() || !pushableKeys(n.Keys) || !pushable(n.Bound) {
		return d.over(p, n, pushableKeys(n.Keys) && pushable(n.Bound))
	}
	for _, k := range n.Keys {
		if _, ok := k.Expr.(*Column); !ok {
			return d.over(p, n, false)
		}
	}
	if k, fragment, keys := knnFragment(p.node, n.Keys); k != nil && n.Bound != nil {
		g := &Gather{KNN: k, MergeKeys: keys, Bound: n.Bound}
		g.Fragment = &Limit{Input: &Sort{fragment, keys, n.Bound}, Count: n.Bound}
		width := len(n.Cols())
		trim := passThrough(d.gather(g))
		trim.Exprs, trim.Columns = trim.Exprs[:width], trim.Columns[:width]
		return part{node: trim, site: router}
	}
	g := &Gather{Fragment: &Sort{p.node, n.Keys, n.Bound}, MergeKeys: n.Keys, Bound: n.Bound}
	if n.Bound != nil {
		g.Fragment = &Limit{Input: g.Fragment, Count: n.Bound}
	}
	return part{node: d.gather(g), site: router}
}

// knnFragment adds the primary key to the row and the order of a nearest-neighbour
// search, so that equal distances merge in one order; nil when it is none.
func knnFragment(n Node, keys []SortKey) (*KNN, Node, []SortKey) {
	p, ok := n.(*Project)
	scan, isScan := n.(*Scan)
	if ok {
		scan, isScan = p.Input.(*Scan)
	}
	if !isScan || scan.Nearest == nil {
		return nil, nil, nil
	}
	s := *scan
	s.Attrs, s.Columns = slices.Clone(scan.Attrs), slices.Clone(scan.Columns)
	var out *Project
	if ok {
		out = &Project{&s, slices.Clone(p.Exprs), slices.Clone(p.Columns)}
	} else {
		out = passThrough(scan)
		out.Input = &s
	}
	keys = slices.Clone(keys)
	for _, attr := range KeyPositions(s.Rel) {
		c := s.Rel.Columns[attr]
		col := Col{Name: c.Name, Type: c.Type, Table: s.Rel.OID, Num: c.Num}
		at := slices.Index(s.Attrs, attr)
		if at < 0 {
			at = len(s.Attrs)
			s.Attrs, s.Columns = append(s.Attrs, attr), append(s.Columns, col)
		}
		keys = append(keys, SortKey{Expr: &Column{len(out.Exprs), c.Type, c.Name}})
		out.Exprs, out.Columns = append(out.Exprs, &Column{at, c.Type, c.Name}), append(out.Columns, col)
	}
	return scan.Nearest, out, keys
}

// limit lets each shard stop after as many rows as are wanted in all.
func (d *distributor) limit(n *Limit) part {
	p := d.part(n.Input)
	fits := pushable(n.Count, n.Offset)
	if p.single() && fits && pushableKeys(n.Ties) {
		return p.with(&Limit{p.node, n.Count, n.Offset, n.Ties})
	}
	if p.site == allShards && fits && n.Count != nil && len(n.Ties) == 0 {
		p = p.with(&Limit{Input: p.node, Count: limitBound(n)})
	}
	return d.over(p, n, false)
}

func (d *distributor) distinct(n *Distinct) part {
	p := d.part(n.Input)
	switch {
	case !p.remote() || !pushable(n.On...):
		return d.over(p, n, false)
	case len(n.On) > 0:
		return d.over(p, n, false)
	case p.single() || len(p.keys) > 0:
		return p.with(&Distinct{Input: p.node})
	}
	return d.over(p.with(&Distinct{Input: p.node}), n, false)
}

// setOp runs whole where one shard has all rows, and UNION ALL of sharded inputs
// everywhere.
func (d *distributor) setOp(n *SetOp) part {
	l, r := d.part(n.Left), d.part(n.Right)
	c := *n
	c.Left, c.Right = l.node, r.node
	switch {
	case l.site == anyShard && r.site == anyShard:
		return part{node: &c, site: anyShard}
	case l.site == oneShard && r.site == oneShard && l.pinned == r.pinned:
		return part{node: &c, site: oneShard, pinned: l.pinned}
	case n.Op == "union" && n.All && l.site == allShards && r.site == allShards:
		return part{node: &c, site: allShards}
	}
	c.Left, c.Right = d.pull(l), d.pull(r)
	return part{node: &c, site: router}
}
