package ddl

import (
	"slices"
	"strings"

	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// rowIDName is the hidden column of a table without a primary key.
const rowIDName = "helios_rowid"

// indexKeysMax is PostgreSQL's INDEX_MAX_KEYS.
const indexKeysMax = 32

// addKey makes a PRIMARY KEY or UNIQUE constraint and its index.
func (b *builder) addKey(k keyDecl) error {
	primary := k.Kind == "primary key"
	if k.Deferrable {
		return place(notYet("a deferrable key", "Declare it without DEFERRABLE."), k.at)
	}
	if primary && b.rel.PrimaryKey != nil {
		return place(types.Errorf("42P16", "multiple primary keys for table %q are not allowed", b.rel.Name), k.at)
	}
	keys, err := b.keyColumns(k)
	if err != nil {
		return place(err, k.at)
	}
	if !primary && k.Name == "" && b.hasKey(keys, k.NullsNotDistinct) {
		return nil // PostgreSQL makes one index of equal declarations
	}
	include, err := includeColumns(b.rel, k.Include)
	if err != nil {
		return place(err, k.at)
	}
	column, label := sqlJoin(k.Columns), "key"
	if primary {
		column, label = "", "pkey"
	}
	taken := b.relationTaken(b.rel.Schema, append(b.names, b.rel.Name)...)
	name := types.TruncateName(k.Name)
	if name == "" {
		name = chooseName(b.rel.Name, column, label, taken)
	} else if taken(name) {
		return place(types.Errorf("42P07", "relation %q already exists", name), k.at)
	}
	b.names = append(b.names, name)
	x := &catalog.Index{
		OID: b.edit.NextOID(), Name: name, Unique: true, Primary: primary, Constraint: true, Method: "btree",
		Include: include, NullsNotDistinct: k.NullsNotDistinct, Options: k.Options,
	}
	for _, num := range keys {
		x.Keys = append(x.Keys, catalog.IndexKey{Column: num})
		b.rel.Columns[num-1].NotNull = b.rel.Columns[num-1].NotNull || primary
	}
	contype := byte('u')
	if primary {
		b.rel.PrimaryKey, contype = x, 'p'
	} else {
		b.rel.Indexes = append(b.rel.Indexes, x)
	}
	b.rel.Constraints = append(b.rel.Constraints, catalog.Constraint{
		OID: b.edit.NextOID(), Name: name, Kind: contype, Columns: keys, Index: x.OID, Valid: true,
	})
	return nil
}

// hasKey tells whether the table has a key of exactly these columns.
func (b *builder) hasKey(keys []int16, nullsNotDistinct bool) bool {
	return slices.ContainsFunc(b.rel.AllIndexes(), func(x *catalog.Index) bool {
		nums, ok := x.Columns()
		return ok && x.Constraint && x.NullsNotDistinct == nullsNotDistinct && slices.Equal(nums, keys)
	})
}

// sqlJoin makes the middle of a name: a_b.
func sqlJoin(columns []string) string { return strings.Join(columns, "_") }

func (b *builder) keyColumns(k keyDecl) ([]int16, error) {
	if len(k.Columns) > indexKeysMax {
		return nil, types.Errorf("54011", "cannot use more than %d columns in an index", indexKeysMax)
	}
	var nums []int16
	for _, name := range k.Columns {
		c, ok := b.rel.Column(name)
		if !ok || c.Hidden {
			return nil, types.Errorf("42703", "column %q named in key does not exist", name)
		}
		if slices.Contains(nums, c.Num) {
			what := map[string]string{"primary key": "primary key", "unique": "unique"}[k.Kind]
			return nil, types.Errorf("42701", "column %q appears twice in %s constraint", name, what)
		}
		if err := checkOrdered(c.Type); err != nil {
			return nil, err
		}
		nums = append(nums, c.Num)
	}
	return nums, nil
}

// checkOrdered refuses types that have no order.
func checkOrdered(t types.Type) error {
	switch t.OID {
	case types.JSONOID, 27, 28, 29, 1033: // json, tid, xid, cid, aclitem
		return types.Errorf("42704", "data type %s has no default operator class for access method \"btree\"", types.FormatType(types.T(t.OID))).
			WithHint("You must specify an operator class for the index or define a default operator class for the data type.")
	}
	return nil
}

func includeColumns(rel *catalog.Relation, names []string) ([]int16, error) {
	var nums []int16
	for _, name := range names {
		c, ok := rel.Column(name)
		if !ok || c.Hidden {
			return nil, types.Errorf("42703", "column %q named in key does not exist", name)
		}
		nums = append(nums, c.Num)
	}
	return nums, nil
}

// checkCovers holds that a unique index can be enforced where its rows are: it must hold
// all columns that decide a row's place.
func (a *applier) checkCovers(rel *catalog.Relation, x *catalog.Index) error {
	p := rel.Placement
	if !x.Unique || a.env.Alone || p.Strategy == catalog.Reference || p.Strategy == catalog.Single {
		return nil
	}
	if p.Strategy == catalog.Vector && x.Primary {
		return nil // the location table enforces it
	}
	var missing []string
	for _, num := range placeColumns(rel) {
		if !slices.ContainsFunc(x.Keys, func(k catalog.IndexKey) bool { return k.Column == num }) {
			missing = append(missing, rel.Columns[num-1].Name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	kind := "unique index"
	switch {
	case x.Primary:
		kind = "primary key"
	case x.Constraint:
		kind = "unique constraint"
	}
	return types.Errorf("0A000", "%s on table %q must include all columns that place its rows", kind, rel.Name).
		WithDetail("%s %q lacks column %q.", strings.ToUpper(kind[:1])+kind[1:], x.Name, sqlNames(missing)).
		WithHint("Add the shard key to it, choose another shard key by WITH (helios.shard_key = '…'), " +
			"or make it a reference table by WITH (helios.strategy = 'reference').")
}

// placeColumns are the columns whose values decide where a row lives.
func placeColumns(rel *catalog.Relation) []int16 {
	p := rel.Placement
	switch p.Strategy {
	case catalog.Hash, catalog.Range:
		return p.KeyColumns
	case catalog.Geo:
		nums, _ := rel.PrimaryKey.Columns()
		if !slices.Contains(nums, p.ZoneColumn) {
			nums = append([]int16{p.ZoneColumn}, nums...)
		}
		return nums
	case catalog.Vector:
		return []int16{p.VectorColumn}
	}
	return nil
}

// addRowID gives a table without a primary key its hidden one: the columns that decide
// its placement and a 64-bit row id, which whoever inserts a row draws.
func (b *builder) addRowID(before []int16) {
	row, ok := b.rel.RowID() // there when the table only changes its placement
	if !ok {
		b.rel.Columns = append(b.rel.Columns, catalog.Column{
			Num: int16(len(b.rel.Columns) + 1), Name: rowIDName, Type: types.T(types.Int8OID), NotNull: true, Hidden: true,
		})
		row = &b.rel.Columns[len(b.rel.Columns)-1]
	}
	x := &catalog.Index{
		OID: b.edit.NextOID(), Name: hiddenName(b.rel), Unique: true, Primary: true, Hidden: true, Method: "btree",
	}
	for _, n := range append(slices.Clone(before), row.Num) {
		x.Keys = append(x.Keys, catalog.IndexKey{Column: n})
	}
	b.rel.PrimaryKey = x
}

// hiddenName names the index of a hidden row id; the number keeps it unique.
func hiddenName(rel *catalog.Relation) string { return "helios_rowid_" + itoa(int(rel.OID)) }
