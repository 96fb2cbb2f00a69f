package ddl

import (
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// serials are the types that stand for an integer with a sequence of its own.
var serials = map[string]types.OID{
	"serial": types.Int4OID, "serial4": types.Int4OID, "bigserial": types.Int8OID, "serial8": types.Int8OID,
	"smallserial": types.Int2OID, "serial2": types.Int2OID,
}

// addColumn adds a column with its constraints.
func (b *builder) addColumn(d *sql.ColumnDef) error {
	serial, isSerial := serials[d.Type.Name[len(d.Type.Name)-1]]
	isSerial = isSerial && len(d.Type.Name) == 1
	t := types.T(serial)
	if isSerial && d.Type.Dims > 0 {
		return types.Errorf("0A000", "array of serial is not implemented")
	}
	if !isSerial {
		var err error
		if t, err = plan.ResolveType(d.Type); err != nil {
			return place(err, d.Type.At)
		}
	}
	if err := b.newColumn(d.Name, t); err != nil {
		return err
	}
	c := &b.rel.Columns[len(b.rel.Columns)-1]
	c.Dims = d.Type.Dims
	if err := setCollation(c, d.Collation); err != nil {
		return err
	}
	if isSerial {
		seq, err := b.ownSequence(c, nil)
		if err != nil {
			return err
		}
		c.NotNull = true
		c.Default = nextvalOf(seq)
	}
	return b.columnConstraints(c, d, isSerial)
}

// nextvalOf is the default that draws from a sequence.
func nextvalOf(seq *catalog.Relation) string {
	name := &sql.Literal{Kind: 's', Text: sql.Name{seq.Schema, seq.Name}.String()}
	return sql.Print(&sql.FuncCall{Name: sql.Name{"nextval"}, Args: []sql.Expr{&sql.Cast{Arg: name, Type: regclass}}})
}

// columnConstraints adds the constraints written with a column.
func (b *builder) columnConstraints(c *catalog.Column, d *sql.ColumnDef, isSerial bool) error {
	var saidNull, saidNotNull, saidDefault bool
	column, table := c.Name, b.rel.Name
	for _, k := range d.Constraints {
		switch k.Kind {
		case "null", "not null":
			saidNull, saidNotNull = saidNull || k.Kind == "null", saidNotNull || k.Kind == "not null"
			if saidNull && (saidNotNull || isSerial) {
				return types.Errorf("42601", "conflicting NULL/NOT NULL declarations for column %q of table %q", column, table)
			}
			c.NotNull = c.NotNull || k.Kind == "not null"
		case "default":
			if saidDefault || isSerial {
				return types.Errorf("42601", "multiple default values specified for column %q of table %q", column, table)
			}
			if c.Identity != 0 {
				return types.Errorf("42601", "both default and identity specified for column %q of table %q", column, table)
			}
			saidDefault = true
			c.Default = defaultText(k.Expr)
			b.write("default of "+c.Name, k.Expr)
		case "identity":
			if saidDefault || isSerial {
				return types.Errorf("42601", "both default and identity specified for column %q of table %q", column, table)
			}
			if err := b.makeIdentity(c, k); err != nil {
				return err
			}
		case "generated":
			if err := b.makeGenerated(c, k, saidDefault || isSerial); err != nil {
				return err
			}
		case "check":
			if err := b.addCheck(k, column); err != nil {
				return err
			}
		case "primary key", "unique":
			k.Columns = []string{column}
			b.keys = append(b.keys, keyDecl{k, d.At})
		default:
			if err := b.tableConstraint(k); err != nil {
				return err
			}
		}
	}
	return nil
}

// defaultText is the SQL of a default; DEFAULT NULL is none.
func defaultText(e sql.Expr) string {
	if lit, ok := e.(*sql.Literal); ok && lit.Kind == 'n' {
		return ""
	}
	return sql.PrintExpr(e)
}

// makeIdentity makes a column GENERATED … AS IDENTITY, drawing from a sequence of its own.
func (b *builder) makeIdentity(c *catalog.Column, k sql.Constraint) error {
	switch c.Type.OID {
	case types.Int2OID, types.Int4OID, types.Int8OID:
	default:
		return types.Errorf("22023", "identity column type must be smallint, integer, or bigint")
	}
	if c.Identity != 0 {
		return types.Errorf("42601", "multiple identity specifications for column %q of table %q", c.Name, b.rel.Name)
	}
	seq, err := b.ownSequence(c, k.Sequence)
	if err != nil {
		return err
	}
	seq.Sequence.Identity = true
	c.NotNull = true
	c.Identity = 'd'
	if k.Always {
		c.Identity = 'a'
	}
	return nil
}

func (b *builder) makeGenerated(c *catalog.Column, k sql.Constraint, hasDefault bool) error {
	switch {
	case hasDefault:
		return types.Errorf("42601", "both default and generation expression specified for column %q of table %q", c.Name, b.rel.Name)
	case c.Identity != 0:
		return types.Errorf("42601", "both identity and generation expression specified for column %q of table %q", c.Name, b.rel.Name)
	case slices.Contains(columnsOf(k.Expr), c.Name):
		return types.Errorf("42P17", "cannot use generated column %q in column generation expression", c.Name).
			WithDetail("A generated column cannot reference another generated column.")
	}
	for _, name := range columnsOf(k.Expr) {
		if other, ok := b.rel.Column(name); ok && other.Generated != 0 {
			return types.Errorf("42P17", "cannot use generated column %q in column generation expression", name).
				WithDetail("A generated column cannot reference another generated column.")
		}
	}
	c.Generated = 's'
	c.Default = sql.PrintExpr(k.Expr)
	b.write("default of "+c.Name, k.Expr)
	return nil
}

// collations are those that order as the bytes do, which is all there is.
var collations = []string{"default", "C", "POSIX", "C.UTF-8", "C.utf8", "ucs_basic"}

func setCollation(c *catalog.Column, name sql.Name) error {
	if len(name) == 0 {
		return nil
	}
	last := name[len(name)-1]
	if !slices.Contains(collations, last) {
		return types.Errorf("42704", "collation %q for encoding \"UTF8\" does not exist", last).
			WithHint("Helios orders text by its bytes: use \"C\".")
	}
	elem := c.Type.OID
	if e := types.ElemOf(elem); e != 0 {
		elem = e
	}
	if info := types.Lookup(elem); info == nil || info.Collation == 0 {
		return types.Errorf("42804", "collations are not supported by type %s", types.FormatType(types.T(c.Type.OID)))
	}
	if last != "default" {
		c.Collation = last
	}
	return nil
}

// like copies the columns of another relation, and what LIKE says to include.
func (b *builder) like(name sql.Name, including []string) error {
	from, err := b.cat().Resolve(b.env.SearchPath, name)
	if err != nil {
		return err
	}
	if from.Kind != catalog.KindTable && from.Kind != catalog.KindView {
		return types.Errorf("42809", "relation %q is invalid in LIKE clause", from.Name)
	}
	with := func(what string) bool { return slices.Contains(including, what) || slices.Contains(including, "all") }
	for _, c := range from.Visible() {
		if err := b.newColumn(c.Name, c.Type); err != nil {
			return err
		}
		next := &b.rel.Columns[len(b.rel.Columns)-1]
		next.NotNull, next.Dims, next.Collation = c.NotNull, c.Dims, c.Collation
		if with("comments") {
			next.Comment = c.Comment
		}
		switch {
		case c.Identity != 0 && with("identity"):
			if err := b.makeIdentity(next, sql.Constraint{Always: c.Identity == 'a'}); err != nil {
				return err
			}
		case c.Generated != 0 && with("generated"):
			next.Default, next.Generated = c.Default, c.Generated
		case c.Generated == 0 && with("defaults"):
			next.Default = c.Default
		}
	}
	if with("constraints") {
		for i := range from.Constraints {
			if c := &from.Constraints[i]; c.Kind == 'c' {
				if err := b.addCheck(sql.Constraint{Name: c.Name, Expr: c.CheckExpr()}, ""); err != nil {
					return err
				}
			}
		}
	}
	if with("indexes") {
		b.likeIndexes(from)
	}
	return nil
}

// likeIndexes copies keys and indexes under new names.
func (b *builder) likeIndexes(from *catalog.Relation) {
	for _, x := range from.AllIndexes() {
		nums, plain := x.Columns()
		switch {
		case x.Hidden:
			continue
		case !x.Constraint || !plain:
			b.copies = append(b.copies, b.copyIndex(from, x))
			continue
		}
		k := sql.Constraint{Kind: "unique", NullsNotDistinct: x.NullsNotDistinct}
		if x.Primary {
			k.Kind = "primary key"
		}
		for _, n := range nums {
			k.Columns = append(k.Columns, from.Columns[n-1].Name)
		}
		for _, n := range x.Include {
			k.Include = append(k.Include, from.Columns[n-1].Name)
		}
		b.keys = append(b.keys, keyDecl{k, -1})
	}
}

// copyIndex gives a copy of an index for the table being built, whose columns have the
// same names under other numbers.
func (b *builder) copyIndex(from *catalog.Relation, x *catalog.Index) *catalog.Index {
	num := func(n int16) int16 {
		if n == 0 {
			return 0
		}
		c, _ := b.rel.Column(from.Columns[n-1].Name)
		return c.Num
	}
	c := *x
	c.Keys, c.Include, c.Comment = slices.Clone(x.Keys), slices.Clone(x.Include), ""
	for i := range c.Keys {
		c.Keys[i].Column = num(c.Keys[i].Column)
	}
	for i := range c.Include {
		c.Include[i] = num(c.Include[i])
	}
	return &c
}

// copyIndexes adds the copies under names of their own.
func (b *builder) copyIndexes() {
	for _, x := range b.copies {
		var words []string
		for _, k := range x.Keys {
			word := "expr"
			if k.Column != 0 {
				word = b.rel.Columns[k.Column-1].Name
			}
			words = append(words, word)
		}
		x.OID = b.edit.NextOID()
		x.Name = chooseName(b.rel.Name, sqlJoin(words), "idx", b.relationTaken(b.rel.Schema, append(b.names, b.rel.Name)...))
		b.names = append(b.names, x.Name)
		b.rel.Indexes = append(b.rel.Indexes, x)
	}
}
