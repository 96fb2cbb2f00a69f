package plan

import (
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// CopyInto plans what COPY FROM does with a row of these columns (their numbers, in the
// order in which values come): INSERT INTO rel (…) VALUES ($1, …), with defaults and
// checks. WithRows puts rows into it.
func CopyInto(rel *catalog.Relation, cols []int16, env Env) (*Query, error) {
	in := &sql.Insert{
		Table: &sql.Table{Name: sql.Name{rel.Schema, rel.Name}, At: -1}, Overriding: "system",
		Query: &sql.Select{Values: [][]sql.Expr{nil}},
	}
	env.ParamTypes = nil
	for i, num := range cols {
		c := rel.Columns[num-1]
		in.Columns = append(in.Columns, c.Name)
		in.Query.Values[0] = append(in.Query.Values[0], &sql.Param{N: i + 1, At: -1})
		env.ParamTypes = append(env.ParamTypes, c.Type.OID)
	}
	if len(cols) == 0 {
		in.Query = nil
	}
	return Bind(in, env)
}

// WithRows gives a CopyInto plan that inserts these rows; they must not change.
func WithRows(q *Query, rows []types.Row) *Query {
	next := *q
	insert := *q.Root.(*Insert)
	insert.Source = putRows(insert.Source, rows)
	next.Root, next.ParamTypes, next.distributed = &insert, nil, nil
	return &next
}

// putRows replaces the one row of parameters at the bottom of a source.
func putRows(n Node, rows []types.Row) Node {
	if p, ok := n.(*Project); ok {
		c := *p
		c.Input = putRows(p.Input, rows)
		return &c
	}
	v := n.(*Values)
	out := &Values{Columns: v.Columns, Rows: make([][]Expr, len(rows))}
	for i, row := range rows {
		list := slices.Clone(v.Rows[0])
		for j, e := range list {
			list[j] = Map(e, func(e Expr) (Expr, bool) {
				if p, ok := e.(*Param); ok {
					return &Const{Value: row[p.N-1], Typ: p.Typ}, true
				}
				return e, false
			})
		}
		out.Rows[i] = list
	}
	return out
}
