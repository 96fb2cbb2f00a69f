package plan

import (
	"slices"

	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// relationOf gives the relation that a node writes and where its rows come from.
func relationOf(n Node) (*catalog.Relation, Node) {
	switch n := n.(type) {
	case *Insert:
		return n.Rel, n.Source
	case *Update:
		return n.Rel, n.Source
	case *Delete:
		return n.Rel, n.Source
	}
	return nil, nil
}

// withSourceExprs applies f to the expressions of an Update or Delete that are over its
// source row: SET and RETURNING, not the checks.
func withSourceExprs(n Node, f func(Expr) Expr) Node {
	switch n := n.(type) {
	case *Update:
		c := *n
		c.Set = slices.Clone(n.Set)
		for i := range c.Set {
			c.Set[i].Expr = f(c.Set[i].Expr)
		}
		c.Returning, _ = mapList(n.Returning, f)
		return &c
	case *Delete:
		c := *n
		c.Returning, _ = mapList(n.Returning, f)
		return &c
	}
	return n
}

// RowOf describes a row of a relation: its columns in order, and which of them a user
// sees (not dropped, not hidden).
func RowOf(rel *catalog.Relation) (cols []Col, shown []bool) {
	for _, c := range rel.Columns {
		cols = append(cols, Col{Name: c.Name, Type: c.Type, Table: rel.OID, Num: c.Num})
		shown = append(shown, !c.Dropped && !c.Hidden)
	}
	return cols, shown
}

// KeyPositions are the positions of the primary key in a row of the relation.
func KeyPositions(rel *catalog.Relation) []int {
	var out []int
	if rel.PrimaryKey == nil {
		return nil
	}
	for _, k := range rel.PrimaryKey.Keys {
		if k.Column > 0 {
			out = append(out, int(k.Column)-1)
		}
	}
	return out
}

// SystemRow is a row of a relation with helios_slot (NULL when slot is nil) and tableoid
// behind it, as RETURNING of an Insert reads it.
func SystemRow(rel *catalog.Relation, row types.Row, slot *int32) types.Row {
	out := make(types.Row, len(rel.Columns)+2)
	copy(out, row)
	if slot != nil {
		out[len(rel.Columns)] = types.Int(int64(*slot))
	}
	out[len(rel.Columns)+1] = types.Int(int64(rel.OID))
	return out
}
