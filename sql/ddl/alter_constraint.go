package ddl

import (
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

func (b *builder) alterAddConstraint(c *sql.AlterCmd) error {
	switch c.Constraint.Kind {
	case "primary key", "unique":
		if c.Constraint.Index != "" {
			return notYet("ADD CONSTRAINT USING INDEX", "Name the columns; the index is made with the constraint.")
		}
		return b.alterAddKey(keyDecl{*c.Constraint, -1})
	}
	before := len(b.rel.Constraints)
	if err := b.tableConstraint(*c.Constraint); err != nil {
		return err
	}
	if err := b.edit.ReplaceRelation(b.rel); err != nil {
		return err
	}
	if err := b.checkExpressions(); err != nil {
		return err
	}
	if k := b.rel.Constraints[before]; k.Valid {
		b.fill(Fill{Kind: FillCheck, Table: b.rel.OID, Constraint: k.Name})
	}
	return nil
}

// alterAddKey adds a key to a table that may have rows. A primary key takes the place of
// the hidden row id: all rows move under it, and where nobody chose a placement also to
// the shard of its hash.
func (b *builder) alterAddKey(k keyDecl) error {
	hidden := b.rel.PrimaryKey
	if k.Kind == "primary key" && hidden.Hidden {
		return b.alterAddPrimaryKey(k)
	}
	known := len(b.rel.Indexes)
	if err := b.addKey(k); err != nil {
		return err
	}
	for _, x := range b.rel.Indexes[known:] {
		if err := b.checkCovers(b.rel, x); err != nil {
			return err
		}
		b.fill(Fill{Kind: FillIndex, Table: b.rel.OID, Index: x.OID})
	}
	return b.edit.ReplaceRelation(b.rel)
}

func (b *builder) alterAddPrimaryKey(k keyDecl) error {
	b.rel.PrimaryKey = nil
	before := slices.Clone(b.rel.Columns)
	if err := b.addKey(k); err != nil {
		return err
	}
	for i, c := range before {
		if b.rel.Columns[i].NotNull && !c.NotNull {
			b.fill(Fill{Kind: FillNotNull, Table: b.rel.OID, Column: c.Num})
		}
		if c.Hidden {
			b.rel.Columns[i].Dropped = true
			b.rel.Columns[i].Hidden = false
			b.rel.Columns[i].NotNull = false
			b.rel.Columns[i].Name = droppedName(c.Num)
		}
	}
	if !b.rel.Placement.Chosen {
		b.rel.Placement.KeyColumns, _ = b.rel.PrimaryKey.Columns()
		if err := b.colocate(nil); err != nil {
			return err
		}
		b.notice("00000", "rows of table %q move to the shards of their primary key", b.rel.Name)
	}
	for _, x := range b.rel.AllIndexes() {
		if err := b.checkCovers(b.rel, x); err != nil {
			return err
		}
	}
	if b.rel.Placement.Strategy == catalog.Vector {
		if err := b.addLocation(); err != nil {
			return err
		}
	}
	b.fill(Fill{Kind: FillReplace, Table: b.rel.OID})
	return b.edit.ReplaceRelation(b.rel)
}

// droppedName is what PostgreSQL calls a dropped column.
func droppedName(num int16) string { return "........pg.dropped." + itoa(int(num)) + "........" }

func (a *applier) dropConstraint(rel *catalog.Relation, c *sql.AlterCmd) error {
	i := slices.IndexFunc(rel.Constraints, func(k catalog.Constraint) bool { return k.Name == c.Name })
	if i < 0 {
		if c.IfExists {
			a.notice("00000", "constraint %q of relation %q does not exist, skipping", c.Name, rel.Name)
			return nil
		}
		return types.Errorf("42704", "constraint %q of relation %q does not exist", c.Name, rel.Name)
	}
	k := rel.Constraints[i]
	if k.Kind == 'p' {
		return notYet("dropping a primary key", "Create a table with the key you want and copy the rows.")
	}
	if k.Kind == 'u' {
		a.dropIndexOf(rel, k.Index)
	} else {
		rel.Constraints = slices.Delete(rel.Constraints, i, i+1)
	}
	return a.edit.ReplaceRelation(rel)
}

// dropIndexOf takes an index and the constraint it serves out of a table being edited.
func (a *applier) dropIndexOf(rel *catalog.Relation, index types.OID) {
	rel.Indexes = slices.DeleteFunc(rel.Indexes, func(x *catalog.Index) bool { return x.OID == index })
	rel.Constraints = slices.DeleteFunc(rel.Constraints, func(k catalog.Constraint) bool { return k.Index == index && k.Kind == 'u' })
	a.fill(Fill{Kind: DropIndex, Table: rel.OID, Index: index})
}

func (a *applier) validateConstraint(rel *catalog.Relation, name string) error {
	i := slices.IndexFunc(rel.Constraints, func(k catalog.Constraint) bool { return k.Name == name })
	if i < 0 {
		return types.Errorf("42704", "constraint %q of relation %q does not exist", name, rel.Name)
	}
	if rel.Constraints[i].Valid {
		return nil
	}
	rel.Constraints[i].Valid = true
	a.fill(Fill{Kind: FillCheck, Table: rel.OID, Constraint: name})
	return a.edit.ReplaceRelation(rel)
}

// tableOptions sets and resets WITH options. Placement options place all rows anew.
func (b *builder) tableOptions(c *sql.AlterCmd) error {
	said := catalog.NormalOptions(c.Options)
	options := slices.DeleteFunc(slices.Clone(b.rel.Options), func(o sql.Option) bool {
		return slices.ContainsFunc(said, func(n sql.Option) bool { return n.Name == o.Name && n.Namespace == o.Namespace })
	})
	if c.Kind == "set options" {
		options = append(options, said...)
	}
	before, err := catalog.ParsePlacement(b.rel.Options)
	if err != nil {
		return err
	}
	after, err := catalog.ParsePlacement(options)
	if err != nil {
		return err
	}
	b.rel.Options = options
	if sql.Equal(before, after) {
		return b.edit.ReplaceRelation(b.rel)
	}
	return b.replace(after)
}

// replace gives an existing table another placement.
func (b *builder) replace(o catalog.PlacementOptions) error {
	old := b.rel.Placement
	if old.Location != 0 {
		b.edit.DropRelation(old.Location)
		b.fill(Fill{Kind: DropTable, Table: old.Location})
	}
	if b.rel.PrimaryKey.Hidden {
		b.rel.PrimaryKey = nil
	}
	if err := b.place(o); err != nil {
		return err
	}
	b.fill(Fill{Kind: FillReplace, Table: b.rel.OID})
	return b.edit.ReplaceRelation(b.rel)
}

// Distribute gives an existing table another placement, as the functions of schema
// helios do. The options take the place of those the table was created with.
func Distribute(cat *catalog.Catalog, table sql.Name, options []sql.Option, env Env) (Change, error) {
	a, err := newApplier(cat, env)
	if err != nil {
		return Change{}, err
	}
	rel, err := a.relation(table, false, catalog.KindTable)
	if err != nil {
		return Change{}, err
	}
	b := &builder{applier: a, rel: rel.Clone()}
	for _, o := range b.rel.Options {
		if one, err := catalog.ParsePlacement([]sql.Option{o}); err != nil || !one.Given {
			options = append([]sql.Option{o}, options...)
		}
	}
	placement, err := catalog.ParsePlacement(options)
	if err != nil {
		return Change{}, err
	}
	b.rel.Options = catalog.NormalOptions(options)
	if err := b.replace(placement); err != nil {
		return Change{}, err
	}
	a.change.Tag, a.change.Edit = "ALTER TABLE", a.edit
	return a.change, nil
}

// indexOptions sets the options of an index.
func (a *applier) indexOptions(r *catalog.Relation, c *sql.AlterCmd) error {
	table, _ := a.cat().ByOID(r.Parent)
	next := table.Clone()
	for _, x := range next.AllIndexes() {
		if x.OID != r.OID {
			continue
		}
		known := vectorOptions[x.Method]
		if known == nil {
			known = btreeOptions
		}
		if err := checkIndexOptions(c.Options, known); err != nil {
			return err
		}
		x.Options = slices.DeleteFunc(x.Options, func(o sql.Option) bool {
			return slices.ContainsFunc(c.Options, func(n sql.Option) bool { return n.Name == o.Name })
		})
		if c.Kind == "set options" {
			x.Options = append(x.Options, c.Options...)
		}
	}
	return a.edit.ReplaceRelation(next)
}
