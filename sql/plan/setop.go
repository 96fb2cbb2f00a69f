package plan

import (
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// setOp binds UNION, INTERSECT or EXCEPT with its ORDER BY and LIMIT.
func (k *block) setOp(q *sql.Select) (Node, error) {
	left, err := k.inner().query(q.Left, false)
	if err != nil {
		return nil, err
	}
	right, err := k.inner().query(q.Right, false)
	if err != nil {
		return nil, err
	}
	name := upper(q.SetOp)
	lc, rc := left.Cols(), right.Cols()
	if len(lc) != len(rc) {
		return nil, types.Errorf("42601", "each %s query must have the same number of columns", name)
	}
	typs := make([]types.Type, len(lc))
	for i := range lc {
		if typs[i], err = commonType([]types.Type{lc[i].Type, rc[i].Type}, name); err != nil {
			return nil, err
		}
	}
	if left, err = k.coerceOutput(left, typs, name); err != nil {
		return nil, err
	}
	if right, err = k.coerceOutput(right, typs, name); err != nil {
		return nil, err
	}
	n := &SetOp{Op: q.SetOp, All: q.SetAll, Left: left, Right: right}
	for i, c := range lc {
		n.Columns = append(n.Columns, Col{Name: c.Name, Type: typs[i]})
		if err := sortable(typs[i]); err != nil && !(q.SetOp == "union" && q.SetAll) {
			return nil, err
		}
	}
	if len(q.Locking) > 0 {
		return nil, types.Errorf("0A000", "FOR %s is not allowed with %s", upper(q.Locking[0].Strength), "UNION/INTERSECT/EXCEPT")
	}
	return k.orderOutput(q, n)
}

// orderOutput puts ORDER BY and LIMIT over rows whose columns have names only.
func (k *block) orderOutput(q *sql.Select, node Node) (Node, error) {
	var keys []SortKey
	for _, item := range q.OrderBy {
		i := -1
		switch e := item.Expr.(type) {
		case *sql.Literal:
			n, err := ordinal(e, len(node.Cols()), clauseOrderBy)
			if err != nil {
				return nil, err
			}
			i = n
		case *sql.ColumnRef:
			i = slices.IndexFunc(node.Cols(), func(c Col) bool { return len(e.Parts) == 1 && c.Name == e.Parts[0] })
			if i < 0 {
				return nil, errorAt(types.Errorf("42703", "column %q does not exist", e.Parts[len(e.Parts)-1]), e.At)
			}
		}
		if i < 0 {
			return nil, errorAt(types.Errorf("0A000", "invalid UNION/INTERSECT/EXCEPT ORDER BY clause").
				WithDetail("Only result column names can be used, not expressions or functions.").
				WithHint("Add the expression/function to every SELECT, or move the UNION into a FROM clause."), sql.At(item.Expr.Pos()))
		}
		c := node.Cols()[i]
		key := SortKey{Expr: &Column{i, c.Type, c.Name}}
		if err := sortable(c.Type); err != nil {
			return nil, err
		}
		if err := orderDirection(item, &key); err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if len(keys) > 0 {
		node = &Sort{Input: node, Keys: keys}
	}
	return k.limit(q, node, keys)
}

// valuesQuery binds VALUES as a query of its own.
func (k *block) valuesQuery(q *sql.Select) (Node, error) {
	rows, err := k.valuesRows(q.Values)
	if err != nil {
		return nil, err
	}
	n := &Values{Rows: rows}
	for i := range rows[0] {
		column := make([]Expr, len(rows))
		for r := range rows {
			column[r] = rows[r][i]
		}
		column, typ, err := k.unify(column, "VALUES")
		if err != nil {
			return nil, err
		}
		for r := range rows {
			rows[r][i] = column[r]
		}
		n.Columns = append(n.Columns, Col{Name: "column" + itoa(i+1), Type: typ})
	}
	return k.orderOutput(q, n)
}

// valuesRows binds VALUES lists without bringing their types together.
func (k *block) valuesRows(lists [][]sql.Expr) ([][]Expr, error) {
	k.scope, k.clause = &scope{}, clauseValues
	rows := make([][]Expr, len(lists))
	for i, list := range lists {
		if len(list) != len(lists[0]) {
			return nil, types.Errorf("42601", "VALUES lists must all be the same length").At(list[0].Pos() + 1)
		}
		row, err := k.exprs(list)
		if err != nil {
			return nil, err
		}
		rows[i] = row
	}
	return rows, nil
}

// settleOutput gives output columns of unknown type the type text.
func (k *block) settleOutput(n Node) (Node, error) {
	want := make([]types.Type, len(n.Cols()))
	unknown := false
	for i, c := range n.Cols() {
		want[i] = c.Type
		if c.Type.OID == types.UnknownOID {
			want[i], unknown = types.T(types.TextOID), true
		}
	}
	if !unknown {
		return n, nil
	}
	return k.coerceOutput(n, want, "SELECT")
}

// coerceOutput brings output columns to the wanted types. Literals directly in a select
// list or VALUES are read as that type; what stands behind a sort is cast.
func (k *block) coerceOutput(n Node, want []types.Type, context string) (Node, error) {
	same := true
	for i, c := range n.Cols() {
		same = same && c.Type == want[i]
	}
	if same {
		return n, nil
	}
	columns := slices.Clone(n.Cols())
	for i := range columns {
		columns[i].Type = want[i]
	}
	convert := func(list []Expr) ([]Expr, error) {
		out := make([]Expr, len(list))
		for i, x := range list {
			var err error
			if out[i], err = k.implicit(x, want[i]); err != nil {
				if _, ok := x.(*Const); !ok {
					err = noConversion(context, x.Type(), want[i])
				}
				return nil, err
			}
		}
		return out, nil
	}
	switch n := n.(type) {
	case *Project:
		exprs, err := convert(n.Exprs)
		return &Project{n.Input, exprs, columns}, err
	case *Values:
		c := &Values{Rows: make([][]Expr, len(n.Rows)), Columns: columns}
		for i, row := range n.Rows {
			var err error
			if c.Rows[i], err = convert(row); err != nil {
				return nil, err
			}
		}
		return c, nil
	case *Limit:
		in, err := k.coerceOutput(n.Input, want, context)
		return &Limit{in, n.Count, n.Offset, n.Ties}, err
	}
	p := passThrough(n)
	exprs, err := convert(p.Exprs)
	return &Project{n, exprs, columns}, err
}

func noConversion(context string, from, to types.Type) error {
	return types.Errorf("42846", "%s could not convert type %s to %s", context, types.FormatType(from), types.FormatType(to))
}
