package plan

import (
	"slices"

	"github.com/heliosdb/helios/sql/catalog"
)

// writesStayLocal tells whether writing a relation concerns only the shards of its own
// rows: every key has the shard key in it, and its foreign keys, in both directions,
// stay on one shard. Otherwise a router takes part in every write.
func writesStayLocal(c *catalog.Catalog, rel *catalog.Relation) bool {
	for _, x := range rel.AllIndexes() {
		if x.Unique && !keyOnOneShard(rel, x) {
			return false
		}
	}
	for i := range rel.Constraints {
		con := &rel.Constraints[i]
		if con.Kind != 'f' {
			continue
		}
		parent, ok := c.ByOID(con.RefTable)
		if !ok || !referenceOnOneShard(rel, con.Columns, parent, con.RefColumns) {
			return false
		}
	}
	for child := range c.Relations() {
		for i := range child.Constraints {
			con := &child.Constraints[i]
			if con.Kind == 'f' && con.RefTable == rel.OID && !referencedOnOneShard(child, con, rel) {
				return false
			}
		}
	}
	return true
}

// keyOnOneShard tells whether rows with equal keys are on one shard.
func keyOnOneShard(rel *catalog.Relation, x *catalog.Index) bool {
	switch rel.Placement.Strategy {
	case catalog.Reference, catalog.Single, "":
		return true
	case catalog.Vector:
		return false
	}
	nums, ok := x.Columns()
	if !ok {
		return false
	}
	place := rel.Placement.KeyColumns
	if rel.Placement.ZoneColumn != 0 {
		place = append(slices.Clone(place), rel.Placement.ZoneColumn)
	}
	return !slices.ContainsFunc(place, func(num int16) bool { return !slices.Contains(nums, num) })
}

// referenceOnOneShard tells whether the row that a foreign key points at is on the
// shard of the row that points.
func referenceOnOneShard(child *catalog.Relation, columns []int16, parent *catalog.Relation, refs []int16) bool {
	switch {
	case parent.Placement.Strategy == catalog.Reference:
		return true
	case parent.Placement.Strategy == catalog.Single && parent.OID == child.OID:
		return true
	case !hashPlaced(child) || !hashPlaced(parent) || child.Placement.ColocationID != parent.Placement.ColocationID:
		return false
	}
	for i, num := range child.Placement.KeyColumns {
		at := slices.Index(columns, num)
		if at < 0 || at >= len(refs) || i >= len(parent.Placement.KeyColumns) || refs[at] != parent.Placement.KeyColumns[i] {
			return false
		}
	}
	return true
}

// referencedOnOneShard tells whether all rows that point at a row are on its shard.
func referencedOnOneShard(child *catalog.Relation, con *catalog.Constraint, parent *catalog.Relation) bool {
	if child.Placement.Strategy == catalog.Reference && parent.Placement.Strategy == catalog.Reference {
		return true
	}
	return parent.Placement.Strategy != catalog.Reference && referenceOnOneShard(child, con.Columns, parent, con.RefColumns)
}

// spreadWrites are the written relations whose writes need a router.
func spreadWrites(c *catalog.Catalog, root Node) map[*catalog.Relation]bool {
	out := make(map[*catalog.Relation]bool)
	EachNode(root, func(n Node) bool {
		if rel, _ := relationOf(n); rel != nil && !writesStayLocal(c, rel) {
			out[rel] = true
		}
		return true
	})
	return out
}
