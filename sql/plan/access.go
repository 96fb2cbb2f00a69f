package plan

import (
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// chooseAccess gives every scan of a plan the index that its filter suits best, and
// every join the index that finds partners by its keys.
func chooseAccess(n Node) Node {
	n = withInputs(n, chooseAccess)
	switch n := n.(type) {
	case *Scan:
		return scanAccess(n)
	case *Join:
		c := *n
		c.Probe = probe(n)
		return &c
	}
	return n
}

// probe gives the right side of a join for one left row, found through an index by the
// join keys; nil when no index has them.
func probe(n *Join) Node {
	kinds := n.Kind == InnerJoin || n.Kind == LeftJoin || n.Kind == SemiJoin || n.Kind == AntiJoin
	if n.Lateral || len(n.Keys) == 0 || !kinds || ReadsOuter(n.Right) {
		return nil
	}
	p, projected := n.Right.(*Project)
	in := n.Right
	if projected {
		in = p.Input
	}
	scan, ok := in.(*Scan)
	if !ok || scan.Rel.Virtual {
		return nil
	}
	s := *scan
	s.Access = nil
	added := make(map[Expr]bool)
	for i, k := range n.Keys {
		right := k.Right
		if projected {
			right = substitute(right, p.Exprs)
		}
		if fixed(right) {
			return nil
		}
		// The scan has to hold all keys: nothing compares them afterwards.
		eq := &Call{Fn: k.Eq, Op: "=", Args: []Expr{right, &Outer{i, k.Left.Type(), columnName(k.Left)}}, Typ: boolType}
		c, ok := right.(*Column)
		added[eq] = ok && k.Left.Type().OID == c.Typ.OID
		s.Filter = conjoin(append(conjuncts(s.Filter), eq))
	}
	found, ok := scanAccess(&s).(*Scan)
	if !ok || found.Access == nil {
		return nil
	}
	uses := false
	for _, k := range found.Access.Prefix {
		uses = uses || added[k.source]
	}
	switch {
	case !uses:
		return nil
	case projected:
		return &Project{found, p.Exprs, p.Columns}
	}
	return found
}

func scanAccess(s *Scan) Node {
	if s.Filter == nil || s.Rel.Virtual {
		return s
	}
	terms := keyTerms(s)
	best, score := (*Access)(nil), 0
	for _, x := range s.Rel.AllIndexes() {
		if x.Filling || x.Method != "btree" && x.Method != "" || x.Where != "" {
			continue
		}
		a, points := tryIndex(s.Rel, x, terms)
		if points > score {
			best, score = a, points
		}
	}
	if best == nil {
		return s
	}
	c := *s
	c.Access = best
	return &c
}

// keyTerms are the conditions of a filter that an index can use, by column number.
type terms struct {
	equal     map[int16]KeyCond
	low, high map[int16]*Bound
}

func keyTerms(s *Scan) terms {
	t := terms{make(map[int16]KeyCond), make(map[int16]*Bound), make(map[int16]*Bound)}
	for _, c := range conjuncts(s.Filter) {
		switch e := c.(type) {
		case *Call:
			t.addCall(s, e)
		case *AnyAll:
			num, ok := s.keyColumn(e.Left, types.ElemOf(e.Array.Type().OID))
			if ok && e.Op == "=" && !e.All && !readsColumn(e.Array) {
				k := anyCond(e.Array)
				k.source = c
				t.addEqual(num, k)
			}
		}
	}
	return t
}

// anyCond is the condition of = ANY (array): the elements where they are written out.
func anyCond(array Expr) KeyCond {
	switch a := array.(type) {
	case *ArrayExpr:
		if !a.Nested {
			return KeyCond{Values: a.Elems}
		}
	case *Const:
		if !a.Value.IsNull() {
			elem := types.T(types.ElemOf(a.Typ.OID))
			k := KeyCond{Values: []Expr{}}
			for _, v := range a.Value.AsArray().Elems {
				k.Values = append(k.Values, &Const{v, elem})
			}
			return k
		}
	}
	return KeyCond{Array: array}
}

func (t terms) addEqual(num int16, k KeyCond) {
	if old, ok := t.equal[num]; ok && old.Array == nil && len(old.Values) <= 1 {
		return
	}
	t.equal[num] = k
}

func (t terms) addCall(s *Scan, e *Call) {
	if len(e.Args) != 2 {
		return
	}
	op, l, r := e.Op, e.Args[0], e.Args[1]
	num, ok := s.keyColumn(l, r.Type().OID)
	if !ok || readsColumn(r) {
		l, r = r, l
		op = map[string]string{"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}[op]
		if num, ok = s.keyColumn(l, r.Type().OID); !ok || readsColumn(r) {
			return
		}
	}
	switch op {
	case "=":
		t.addEqual(num, KeyCond{Values: []Expr{r}, source: e})
	case "<", "<=":
		if t.high[num] == nil {
			t.high[num] = &Bound{r, op == "<=", e}
		}
	case ">", ">=":
		if t.low[num] == nil {
			t.low[num] = &Bound{r, op == ">=", e}
		}
	}
}

// keyColumn tells which column an expression is, if it compares with a value of type
// other as keys compare.
func (s *Scan) keyColumn(e Expr, other types.OID) (num int16, ok bool) {
	c, ok := unrelabel(e).(*Column)
	if !ok || s.Attrs[c.Index] < 0 {
		return 0, false
	}
	col := s.Rel.Columns[s.Attrs[c.Index]]
	return col.Num, col.Type.OID == other && other != types.BPCharOID || sameFamily(col.Type.OID, other)
}

// tryIndex matches conditions with an index; more points are better, 0 is no use.
func tryIndex(rel *catalog.Relation, x *catalog.Index, t terms) (*Access, int) {
	nums, ok := x.Columns()
	if !ok {
		return nil, 0
	}
	a := &Access{Index: x}
	points := 0
	for i, num := range nums {
		k, ok := t.equal[num]
		if ok {
			a.Prefix = append(a.Prefix, k)
			points += 10
			if k.Array != nil || len(k.Values) != 1 {
				points -= 2
			}
			continue
		}
		if a.Low, a.High = t.low[num], t.high[num]; a.Low != nil || a.High != nil {
			points += 3
			if a.Low != nil && a.High != nil {
				points++
			}
		}
		if i == 0 && points == 0 {
			return nil, 0
		}
		break
	}
	switch {
	case len(a.Prefix) == len(nums) && x.Unique:
		points += 1000
	}
	if x == rel.PrimaryKey {
		points++
	}
	return a, points
}

// unindexed are the conditions of the filter that the index does not answer.
func (s *Scan) unindexed() []Expr {
	used := make(map[Expr]bool)
	if a := s.Access; a != nil {
		for _, k := range a.Prefix {
			used[k.source] = true
		}
		for _, b := range []*Bound{a.Low, a.High} {
			if b != nil {
				used[b.source] = true
			}
		}
	}
	_, rest := split(conjuncts(s.Filter), func(e Expr) bool { return used[e] })
	return rest
}
