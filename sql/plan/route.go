package plan

import (
	"math"
	"slices"

	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// cappedSum is LIMIT a plus OFFSET b: n + LEAST(GREATEST(b, 0), most - n) where n is
// GREATEST(COALESCE(a, most), 0). So nothing overflows, and it is for the Limit to refuse
// negative numbers.
func cappedSum(a, b Expr) Expr {
	bigint := types.T(types.Int8OID)
	minus, _, err := builtin.ResolveOperator("-", types.Int8OID, types.Int8OID)
	if err != nil {
		return nil // no bound then: the rows are merely not cut early
	}
	plus, _, err := builtin.ResolveOperator("+", types.Int8OID, types.Int8OID)
	if err != nil {
		return nil
	}
	most, zero := &Const{types.Int(math.MaxInt64), bigint}, &Const{types.Int(0), bigint}
	n := &MinMax{false, []Expr{&Coalesce{[]Expr{a, most}, bigint}, zero}, bigint}
	rest := &Call{Fn: minus.Fn, Op: "-", Args: []Expr{most, n}, Typ: bigint}
	skip := &MinMax{true, []Expr{&MinMax{false, []Expr{b, zero}, bigint}, rest}, bigint}
	return &Call{Fn: plus.Fn, Op: "+", Args: []Expr{n, skip}, Typ: bigint}
}

// isSharded tells whether different shards have different rows of a relation.
func isSharded(rel *catalog.Relation) bool {
	if rel.Virtual || rel.Kind != catalog.KindTable {
		return false
	}
	return rel.Placement.Strategy != catalog.Reference
}

// routeOf finds what a scan's filter says about the shard key.
func routeOf(s *Scan) Route {
	r := Route{Rel: s.Rel}
	p := s.Rel.Placement
	if s.Filter == nil {
		return r
	}
	t := keyTerms(s)
	if p.Strategy != catalog.Geo {
		r.Keys = t.fixing(p.KeyColumns)
		if p.Strategy == catalog.Range && r.Keys == nil {
			r.Low, r.High = known(t.low[p.KeyColumns[0]]), known(t.high[p.KeyColumns[0]])
		}
		return r
	}
	zone := t.fixing([]int16{p.ZoneColumn})
	if zone == nil {
		return r
	}
	r.Zone = &zone[0]
	if nums, _ := s.Rel.PrimaryKey.Columns(); slices.Contains(nums, p.ZoneColumn) {
		r.Keys = t.fixing(nums)
	}
	return r
}

// fixing gives what columns are compared with, nil unless each is with values that are
// known before a row is read.
func (t terms) fixing(nums []int16) []KeyCond {
	var out []KeyCond
	for _, num := range nums {
		k, ok := t.equal[num]
		if !ok || k.readsOuter() {
			return nil
		}
		out = append(out, k)
	}
	return out
}

func (k KeyCond) readsOuter() bool {
	return k.Array != nil && unknownYet(k.Array) || slices.ContainsFunc(k.Values, unknownYet)
}

// unknownYet tells whether an expression has no value before a row is read.
func unknownYet(e Expr) bool { return hasOuter(e) || hasSubPlan(e) || isVolatile(e) }

// known gives a bound whose value is known before a row is read, else nil.
func known(b *Bound) *Bound {
	if b == nil || unknownYet(b.Value) {
		return nil
	}
	return b
}

// pinned tells whether the route leads to one shard only: every key column has one
// value.
func (r Route) pinned() bool {
	if len(r.Rows) > 0 {
		return len(r.Rows) == 1
	}
	return len(r.Keys) > 0 && !slices.ContainsFunc(r.Keys, func(k KeyCond) bool {
		return k.Array != nil || len(k.Values) != 1
	})
}

// signature identifies the values of a pinned route, to compare it with another of the
// same colocation group.
func (r Route) signature() string {
	var list []Expr
	if len(r.Rows) == 1 {
		list = r.Rows[0]
	}
	for _, k := range r.Keys {
		list = append(list, k.Values[0])
	}
	out := itoa(int(r.Rel.Placement.ColocationID))
	for _, e := range list {
		out += "|" + Key(e)
	}
	return out
}

// hashPlaced tells whether equal keys of colocated relations are on one shard by the
// hash of the key.
func hashPlaced(rel *catalog.Relation) bool {
	return rel.Placement.Strategy == catalog.Hash && len(rel.Placement.KeyColumns) > 0
}

// findRoutes gives every sharded relation that a statement touches and whether one
// shard can run the statement alone.
func findRoutes(q *Query) (routes []Route, single bool) {
	single = !q.Volatile && len(q.spread) == 0
	EachNode(q.Root, func(n Node) bool {
		switch n := n.(type) {
		case *Scan:
			if n.Rel.Virtual {
				single = false
			} else if isSharded(n.Rel) {
				routes = append(routes, routeOf(n))
			}
		case *Insert:
			r, ok := insertRoute(n)
			single = single && ok
			if isSharded(n.Rel) {
				routes = append(routes, r)
			}
		case *Update:
			single = single && isSharded(n.Rel) && !movesRow(n)
		case *Delete:
			single = single && isSharded(n.Rel)
		}
		return true
	})
	if len(routes) == 0 {
		return nil, false
	}
	return routes, single && together(routes)
}

// together tells whether all routes lead to one and the same shard.
func together(routes []Route) bool {
	for _, r := range routes {
		switch {
		case r.Rel.Placement.Strategy == catalog.Single && len(routes) == 1:
			return true
		case !r.pinned() && !(len(routes) == 1 && len(r.Rows) > 0):
			return false
		case r.Rel != routes[0].Rel && (!hashPlaced(r.Rel) || r.Rel.Placement.ColocationID != routes[0].Rel.Placement.ColocationID):
			return false
		case r.signature() != routes[0].signature():
			return false
		}
	}
	return true
}

// movesRow tells whether an update may change where a row lives: it sets a column of
// the shard key or, inside a zone, of the primary key.
func movesRow(n *Update) bool {
	p := n.Rel.Placement
	if p.Strategy == catalog.Geo {
		p.KeyColumns, _ = n.Rel.PrimaryKey.Columns()
	}
	return slices.ContainsFunc(n.Set, func(a Assign) bool {
		num := int16(a.Attr + 1)
		return slices.Contains(p.KeyColumns, num) || num == p.ZoneColumn || num == p.VectorColumn
	})
}

// insertRoute gives the keys of the rows that VALUES inserts; ok is false when they
// are not known before running (a SELECT, a key that is not constant).
func insertRoute(n *Insert) (r Route, ok bool) {
	r.Rel = n.Rel
	if !isSharded(n.Rel) || !hashPlaced(n.Rel) {
		return r, false
	}
	row, values := insertedRow(n.Source)
	if values == nil {
		return r, false
	}
	for _, v := range values.Rows {
		key := make([]Expr, 0, len(n.Rel.Placement.KeyColumns))
		for _, num := range n.Rel.Placement.KeyColumns {
			x := substitute(row[num-1], v)
			if n.Rel.Columns[num-1].Hidden || readsColumn(x) || hasSubPlan(x) || !isFixedValue(x) {
				return r, false
			}
			key = append(key, x)
		}
		r.Rows = append(r.Rows, key)
	}
	return r, true
}

// isFixedValue tells whether the value can be computed before the statement runs.
func isFixedValue(e Expr) bool { return !hasOuter(e) && !isVolatile(e) }

// insertedRow finds the expressions of the inserted row over VALUES.
func insertedRow(source Node) ([]Expr, *Values) {
	switch n := source.(type) {
	case *Values:
		out := make([]Expr, len(n.Columns))
		for i, c := range n.Columns {
			out[i] = &Column{i, c.Type, c.Name}
		}
		return out, n
	case *Project:
		row, values := insertedRow(n.Input)
		if values == nil {
			return nil, nil
		}
		out, _ := mapList(n.Exprs, func(e Expr) Expr { return substitute(e, row) })
		return out, values
	}
	return nil, nil
}
