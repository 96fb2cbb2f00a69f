package ddl

import (
	"slices"
	"strings"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// alter applies ALTER TABLE, INDEX, SEQUENCE, VIEW, SCHEMA and DATABASE, command by
// command.
func (a *applier) alter(s *sql.AlterTable) error {
	a.change.Tag = "ALTER " + strings.ToUpper(s.Kind)
	switch s.Kind {
	case "schema", "database":
		return a.alterOwner(s)
	}
	r, err := a.altered(s.Kind, s.Name, s.IfExists)
	if err != nil || r == nil {
		return err
	}
	for i := range s.Cmds {
		if err := a.alterCmd(r.OID, &s.Cmds[i]); err != nil {
			return err
		}
	}
	return nil
}

// altered finds what ALTER names: ALTER TABLE may also name other kinds, as in PostgreSQL.
func (a *applier) altered(kind string, name sql.Name, ifExists bool) (*catalog.Relation, error) {
	kinds := map[string][]byte{
		"table":    {catalog.KindTable, catalog.KindIndex, catalog.KindSequence, catalog.KindView},
		"index":    {catalog.KindIndex},
		"sequence": {catalog.KindSequence},
		"view":     {catalog.KindView},
	}[kind]
	return a.relation(name, ifExists, kinds...)
}

// withoutEffect are commands about how PostgreSQL stores a table: nothing to do here.
var withoutEffect = []string{
	"SET STATISTICS", "SET STORAGE", "SET COMPRESSION", "SET OPTIONS", "RESET OPTIONS", "CLUSTER ON", "DROP CLUSTER",
	"SET LOGGED", "SET UN LOGGED",
}

func (a *applier) alterCmd(oid types.OID, c *sql.AlterCmd) error {
	r, _ := a.cat().ByOID(oid)
	switch c.Kind {
	case "owner":
		return a.changeOwner(r, c.Name)
	case "set schema":
		return a.moveSchema(r, c.Name)
	case "unsupported":
		if !slices.Contains(withoutEffect, c.Name) {
			return notYet("ALTER TABLE … "+c.Name, "Leave the command out.")
		}
		a.notice("00000", "%s has no effect", c.Name)
		return nil
	}
	switch r.Kind {
	case catalog.KindSequence:
		if c.Kind == "set options" {
			return a.alterSequence(r, c.Options)
		}
	case catalog.KindIndex:
		if c.Kind == "set options" || c.Kind == "reset options" {
			return a.indexOptions(r, c)
		}
	case catalog.KindTable:
		return a.alterTable(r, c)
	}
	return types.Errorf("42809", "ALTER action %s cannot be performed on relation %q", strings.ToUpper(c.Kind), r.Name).
		WithDetail("This operation is not supported for %ss.", words[r.Kind])
}

func (a *applier) alterTable(r *catalog.Relation, c *sql.AlterCmd) error {
	b := &builder{applier: a, rel: r.Clone()}
	switch c.Kind {
	case "add column":
		return b.alterAddColumn(c)
	case "drop column":
		return a.dropColumn(b.rel, c)
	case "add constraint":
		return b.alterAddConstraint(c)
	case "drop constraint":
		return a.dropConstraint(b.rel, c)
	case "validate constraint":
		return a.validateConstraint(b.rel, c.Name)
	case "set options", "reset options":
		return b.tableOptions(c)
	}
	col, ok := b.rel.Column(c.Name)
	if !ok || col.Hidden {
		return types.Errorf("42703", "column %q of relation %q does not exist", c.Name, r.Name)
	}
	return b.alterColumn(col, c)
}

func (b *builder) alterColumn(col *catalog.Column, c *sql.AlterCmd) error {
	switch c.Kind {
	case "set default":
		return b.setDefault(col, c.Expr)
	case "drop default":
		return b.setDefault(col, nil)
	case "set not null":
		if !col.NotNull {
			b.fill(Fill{Kind: FillNotNull, Table: b.rel.OID, Column: col.Num})
		}
		col.NotNull = true
	case "drop not null":
		if err := b.dropNotNull(col); err != nil {
			return err
		}
	case "alter type":
		if err := b.alterType(col, c); err != nil {
			return err
		}
	case "add identity":
		return b.addIdentity(col, c.Constraint)
	case "set identity", "drop identity":
		return b.changeIdentity(col, c)
	default:
		return types.Errorf("0A000", "ALTER TABLE … %s is not supported", strings.ToUpper(c.Kind))
	}
	return b.edit.ReplaceRelation(b.rel)
}

// alterAddColumn adds a column. Rows that exist read a constant default from the
// catalog; any other default is given to them by an UPDATE.
func (b *builder) alterAddColumn(c *sql.AlterCmd) error {
	if _, ok := b.rel.Column(c.Column.Name); ok {
		if c.IfExists {
			b.notice("42701", "column %q of relation %q already exists, skipping", c.Column.Name, b.rel.Name)
			return nil
		}
		return types.Errorf("42701", "column %q of relation %q already exists", c.Column.Name, b.rel.Name)
	}
	if err := b.addColumn(c.Column); err != nil {
		return place(err, c.Column.At)
	}
	added := len(b.rel.Columns) - 1
	constraints := len(b.rel.Constraints)
	if err := b.edit.ReplaceRelation(b.rel); err != nil {
		return err
	}
	for _, s := range b.sequences {
		if err := b.edit.AddRelation(s); err != nil {
			return err
		}
	}
	if err := b.checkExpressions(); err != nil {
		return err
	}
	if err := b.fillColumn(added); err != nil {
		return err
	}
	for _, k := range b.rel.Constraints[:constraints] {
		if k.Kind == 'c' && slices.Contains(k.Columns, int16(added+1)) {
			b.fill(Fill{Kind: FillCheck, Table: b.rel.OID, Constraint: k.Name})
		}
	}
	keys := b.keys
	b.keys = nil
	for _, k := range keys {
		if err := b.alterAddKey(k); err != nil {
			return err
		}
	}
	return nil
}

// fillColumn tells how existing rows get the value of the column at that position.
func (b *builder) fillColumn(at int) error {
	rel := b.rel.Clone()
	col := &rel.Columns[at]
	switch {
	case col.Generated == 0 && col.Identity == 0 && col.Default == "":
	case col.Generated == 0 && col.Identity == 0 && b.constant(col):
		col.Missing = col.Default
	default:
		then, ok := b.change.Then.(*sql.Update) // one for all columns added
		if !ok {
			then = &sql.Update{Table: &sql.Table{Name: sql.Name{rel.Schema, rel.Name}, At: -1}}
		}
		then.Set = append(then.Set, sql.Assign{Columns: []string{col.Name}, Value: &sql.Default{At: -1}, At: -1})
		b.change.Then = then
		return nil
	}
	if col.NotNull && col.Missing == "" {
		b.fill(Fill{Kind: FillNotNull, Table: rel.OID, Column: col.Num})
	}
	b.rel = rel
	return b.edit.ReplaceRelation(rel)
}

// constant tells whether a column's default is one value for all rows.
func (b *builder) constant(col *catalog.Column) bool {
	e, err := sql.ParseExpr(col.Default)
	if err != nil {
		return false
	}
	bound, err := plan.BindExpr(b.numbered(e), nil, col.Type, b.bind())
	if err != nil {
		return false
	}
	_, ok := bound.(*plan.Const)
	return ok
}

func (b *builder) setDefault(col *catalog.Column, e sql.Expr) error {
	switch {
	case col.Identity != 0:
		return types.Errorf("42601", "column %q of relation %q is an identity column", col.Name, b.rel.Name).
			WithHint("Use ALTER TABLE … ALTER COLUMN … DROP IDENTITY instead.")
	case col.Generated != 0:
		return types.Errorf("42601", "column %q of relation %q is a generated column", col.Name, b.rel.Name)
	}
	col.Default = ""
	if e != nil {
		if text := defaultText(e); text != "" {
			var err error
			if col.Default, _, err = b.expression(e, nil, col.Type, "DEFAULT expression"); err != nil {
				return err
			}
		}
	}
	return b.edit.ReplaceRelation(b.rel)
}

func (b *builder) dropNotNull(col *catalog.Column) error {
	if b.rel.PrimaryKey != nil && !b.rel.PrimaryKey.Hidden {
		if nums, _ := b.rel.PrimaryKey.Columns(); slices.Contains(nums, col.Num) {
			return types.Errorf("42P16", "column %q is in a primary key", col.Name)
		}
	}
	if col.Identity != 0 {
		return types.Errorf("42601", "column %q of relation %q is an identity column", col.Name, b.rel.Name)
	}
	col.NotNull = false
	return nil
}

// alterType changes a column's type where the stored values stay as they are.
func (b *builder) alterType(col *catalog.Column, c *sql.AlterCmd) error {
	to, err := plan.ResolveType(*c.Type)
	if err != nil {
		return place(err, c.Type.At)
	}
	if ref, ok := c.Expr.(*sql.ColumnRef); c.Expr != nil && !(ok && ref.Parts[len(ref.Parts)-1] == col.Name) && !isCastOf(c.Expr, col.Name, *c.Type) {
		return notYet("ALTER COLUMN TYPE with a USING expression", "Add a column, fill it by UPDATE, drop the old one and rename the new one.")
	}
	if to == col.Type {
		return nil
	}
	if !sameStored(col.Type, to) {
		return notYet("changing a column from "+types.FormatType(col.Type)+" to "+types.FormatType(to),
			"Add a column, fill it by UPDATE, drop the old one and rename the new one.")
	}
	if views := b.dependentViews(b.rel); len(views) > 0 {
		return types.Errorf("0A000", "cannot alter type of a column used by a view or rule").
			WithDetail("view %s depends on table %s", views[0].Name, b.rel.Name)
	}
	col.Type = to
	return nil
}

// isCastOf tells USING column::type, which says nothing new.
func isCastOf(e sql.Expr, column string, t sql.TypeName) bool {
	c, ok := e.(*sql.Cast)
	if !ok || !sql.Equal(c.Type, t) {
		return false
	}
	ref, ok := c.Arg.(*sql.ColumnRef)
	return ok && ref.Parts[len(ref.Parts)-1] == column
}

// sameStored tells whether every value of one type is stored as the same value of the
// other would be, and passes its modifier.
func sameStored(from, to types.Type) bool {
	text := func(oid types.OID) bool { return oid == types.TextOID || oid == types.VarcharOID }
	switch {
	case text(from.OID) && text(to.OID):
		return to.Mod < 0 || from.OID == types.VarcharOID && from.Mod >= 0 && from.Mod <= to.Mod
	case from.OID != to.OID:
		return false
	case to.Mod < 0:
		return from.OID != types.BPCharOID
	case from.OID == types.NumericOID && from.Mod >= 0:
		fromPrecision, fromScale := types.NumericMod(from.Mod)
		toPrecision, toScale := types.NumericMod(to.Mod)
		return fromScale == toScale && fromPrecision <= toPrecision
	}
	return false
}

func (b *builder) addIdentity(col *catalog.Column, k *sql.Constraint) error {
	switch {
	case col.Identity != 0:
		return types.Errorf("55000", "column %q of relation %q is already an identity column", col.Name, b.rel.Name)
	case col.Default != "":
		return types.Errorf("55000", "column %q of relation %q already has a default value", col.Name, b.rel.Name)
	case !col.NotNull:
		return types.Errorf("55000", "column %q of relation %q must be declared NOT NULL before identity can be added", col.Name, b.rel.Name)
	}
	if err := b.makeIdentity(col, *k); err != nil {
		return err
	}
	if err := b.edit.AddRelation(b.sequences[0]); err != nil {
		return err
	}
	return b.edit.ReplaceRelation(b.rel)
}

func (b *builder) changeIdentity(col *catalog.Column, c *sql.AlterCmd) error {
	if col.Identity == 0 {
		if c.IfExists {
			b.notice("00000", "column %q of relation %q is not an identity column, skipping", col.Name, b.rel.Name)
			return nil
		}
		return types.Errorf("55000", "column %q of relation %q is not an identity column", col.Name, b.rel.Name)
	}
	owned := b.ownedSequences(b.rel.OID, col.Num)
	if c.Kind == "drop identity" {
		col.Identity = 0
		for _, s := range owned {
			b.edit.DropRelation(s.OID)
			b.fill(Fill{Kind: DropSequence, Table: s.OID})
		}
		return b.edit.ReplaceRelation(b.rel)
	}
	var rest []sql.Option
	for _, o := range c.Options {
		if o.Name != "generated" {
			rest = append(rest, o)
			continue
		}
		col.Identity = map[string]byte{"always": 'a', "by default": 'd'}[*o.Value]
	}
	if err := b.edit.ReplaceRelation(b.rel); err != nil || len(rest) == 0 {
		return err
	}
	return b.alterSequence(owned[0], rest)
}
