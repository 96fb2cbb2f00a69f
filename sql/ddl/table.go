package ddl

import (
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// columnsMax is PostgreSQL's MaxHeapAttributeNumber.
const columnsMax = 1600

// builder makes one table.
type builder struct {
	*applier
	rel *catalog.Relation
	// keys are declared PRIMARY KEY and UNIQUE constraints, made when all columns are known.
	keys []keyDecl
	// sequences are made after the table, which owns them.
	sequences []*catalog.Relation
	names     []string         // names of constraints and indexes given so far
	copies    []*catalog.Index // indexes of other tables to be copied
	// written are the defaults and checks as the statement has them, with their
	// positions: "default of <column>", "check <constraint>".
	written map[string]sql.Expr
}

// write remembers an expression of the statement.
func (b *builder) write(what string, e sql.Expr) {
	if b.written == nil {
		b.written = make(map[string]sql.Expr)
	}
	b.written[what] = e
}

// keyDecl is a key to be made.
type keyDecl struct {
	sql.Constraint
	at sql.At
}

func (a *applier) createTable(s *sql.CreateTable) error {
	switch {
	case s.Temp:
		return notYet("a temporary table", "Create an ordinary table and drop it when done.")
	case s.OnCommit != "":
		return types.Errorf("42P16", "ON COMMIT can only be used on temporary tables")
	}
	schema, name, exists, err := a.newName(s.Name, s.IfNotExists)
	if err != nil || exists {
		return err
	}
	options, err := catalog.ParsePlacement(s.Options)
	if err != nil {
		return err
	}
	b := &builder{applier: a, rel: &catalog.Relation{
		OID: a.edit.NextOID(), RowType: a.edit.NextOID(), Schema: schema, Name: name, Kind: catalog.KindTable,
		Owner: a.user.OID, Unlogged: s.Unlogged, Options: catalog.NormalOptions(s.Options),
	}}
	if s.Query != nil {
		err = b.queryColumns(s)
	} else {
		err = b.elements(s)
	}
	if err != nil {
		return err
	}
	if err := b.finish(options); err != nil {
		return err
	}
	if s.Query != nil {
		a.change.Tag = "CREATE TABLE AS"
		if !s.NoData {
			a.change.Tag = "SELECT"
			a.change.Then = &sql.Insert{Table: &sql.Table{Name: sql.Name{schema, name}, At: -1}, Query: s.Query}
		}
	}
	return nil
}

// finish makes keys and placement, and adds the table with what belongs to it.
func (b *builder) finish(options catalog.PlacementOptions) error {
	for i := range b.rel.Columns {
		b.rel.Columns[i].Num = int16(i + 1)
	}
	for _, k := range b.keys {
		if err := b.addKey(k); err != nil {
			return err
		}
	}
	b.copyIndexes()
	if err := b.place(options); err != nil {
		return err
	}
	if err := b.edit.AddRelation(b.rel); err != nil {
		return err
	}
	for _, s := range b.sequences {
		if err := b.edit.AddRelation(s); err != nil {
			return err
		}
	}
	return b.checkExpressions()
}

// elements makes the columns and constraints of CREATE TABLE.
func (b *builder) elements(s *sql.CreateTable) error {
	for i := range len(s.Columns) + 1 {
		for k := range s.Like {
			if after := s.LikeAfter; k < len(after) && after[k] == i || len(after) == 0 && i == len(s.Columns) {
				var what []string
				if k < len(s.LikeOptions) {
					what = s.LikeOptions[k]
				}
				if err := b.like(s.Like[k], what); err != nil {
					return err
				}
			}
		}
		if i < len(s.Columns) {
			if err := b.addColumn(&s.Columns[i]); err != nil {
				return place(err, s.Columns[i].At)
			}
		}
	}
	for i := range b.rel.Columns {
		b.rel.Columns[i].Num = int16(i + 1)
	}
	for _, c := range s.Constraints {
		if err := b.tableConstraint(c); err != nil {
			return err
		}
	}
	return nil
}

// tableConstraint adds a constraint of the table; keys wait until finish.
func (b *builder) tableConstraint(c sql.Constraint) error {
	switch c.Kind {
	case "check":
		return b.addCheck(c, "")
	case "primary key", "unique":
		b.keys = append(b.keys, keyDecl{c, -1})
		return nil
	case "foreign key":
		return notYet("a foreign key", "Keep the relationship in the application until foreign keys are there.")
	}
	return types.Errorf("0A000", "a %s constraint is not supported", c.Kind)
}

// addCheck adds a CHECK constraint; one without a name takes that of its only column.
func (b *builder) addCheck(c sql.Constraint, column string) error {
	if column == "" {
		if names := slices.Compact(slices.Sorted(slices.Values(columnsOf(c.Expr)))); len(names) == 1 {
			column = names[0]
		}
	}
	name, err := b.constraintName(c.Name, column, "check")
	if err != nil {
		return err
	}
	b.write("check "+name, c.Expr)
	b.rel.Constraints = append(b.rel.Constraints, catalog.Constraint{
		OID: b.edit.NextOID(), Name: name, Kind: 'c', Expr: sql.PrintExpr(c.Expr), Valid: !c.NotValid,
	})
	return nil
}

// constraintName takes the given name of a constraint or makes one: 42710 if it is taken.
func (b *builder) constraintName(given, column, label string) (string, error) {
	taken := func(name string) bool {
		return slices.Contains(b.names, name) || slices.ContainsFunc(b.rel.Constraints, func(c catalog.Constraint) bool { return c.Name == name })
	}
	name := types.TruncateName(given)
	switch {
	case given == "":
		name = chooseName(b.rel.Name, column, label, taken)
	case taken(name):
		return "", types.Errorf("42710", "constraint %q for relation %q already exists", name, b.rel.Name)
	}
	b.names = append(b.names, name)
	return name, nil
}

// checkExpressions binds the defaults and checks that the statement wrote and keeps
// their normal form.
func (b *builder) checkExpressions() error {
	rel := b.rel.Clone()
	for i := range rel.Columns {
		c := &rel.Columns[i]
		e, ok := b.written["default of "+c.Name]
		if !ok || c.Default == "" || c.Dropped {
			continue
		}
		of, what := (*catalog.Relation)(nil), "DEFAULT expression"
		if c.Generated != 0 {
			of, what = rel, "column generation expression"
		}
		text, bound, err := b.expression(e, of, c.Type, what)
		if err != nil {
			return err
		}
		if c.Generated != 0 && volatile(bound) {
			return types.Errorf("42P17", "generation expression is not immutable")
		}
		c.Default = text
	}
	for i := range rel.Constraints {
		c := &rel.Constraints[i]
		e, ok := b.written["check "+c.Name]
		if !ok || c.Kind != 'c' {
			continue
		}
		text, err := b.condition(e, rel, "check constraint", "CHECK")
		if err != nil {
			return err
		}
		c.Expr = text
		c.Columns = columnNums(rel, text)
	}
	b.rel = rel
	return b.edit.ReplaceRelation(rel)
}

// condition keeps an expression that must be boolean.
func (a *applier) condition(e sql.Expr, rel *catalog.Relation, what, argument string) (string, error) {
	text, bound, err := a.expression(e, rel, types.Type{}, what)
	if err != nil {
		return "", err
	}
	if t := bound.Type(); t.OID != types.BoolOID {
		if _, isText := e.(*sql.Literal); isText {
			_, _, err = a.expression(e, rel, types.T(types.BoolOID), what)
			return text, err
		}
		return "", place(types.Errorf("42804", "argument of %s must be type boolean, not type %s", argument, types.FormatType(types.T(t.OID))), sql.At(e.Pos()))
	}
	return text, nil
}

// volatile tells whether a bound expression calls a function that is not immutable.
func volatile(e plan.Expr) (found bool) {
	plan.Walk(e, func(e plan.Expr) bool {
		if c, ok := e.(*plan.Call); ok && c.Fn.Volatility != 'i' {
			found = true
		}
		return !found
	})
	return found
}

// columnNums gives the numbers of the columns an expression text reads.
func columnNums(rel *catalog.Relation, text string) []int16 {
	e, err := sql.ParseExpr(text)
	if err != nil {
		return nil
	}
	var out []int16
	for _, name := range columnsOf(e) {
		if c, ok := rel.Column(name); ok && !slices.Contains(out, c.Num) {
			out = append(out, c.Num)
		}
	}
	slices.Sort(out)
	return out
}

// queryColumns makes the columns of CREATE TABLE AS.
func (b *builder) queryColumns(s *sql.CreateTable) error {
	q, err := plan.Bind(s.Query, b.bind())
	if err != nil {
		return err
	}
	if len(s.Columns) > len(q.Columns) {
		return types.Errorf("42601", "too many column names were specified")
	}
	for i, c := range q.Columns {
		name := c.Name
		if i < len(s.Columns) {
			name = s.Columns[i].Name
		}
		t := c.Type
		if t.OID == types.UnknownOID {
			t = types.T(types.TextOID)
		}
		if err := b.newColumn(name, t); err != nil {
			return err
		}
	}
	return nil
}

// newColumn adds a column of that name and type: 42701, 42P16 or 54011 if it cannot be.
func (b *builder) newColumn(name string, t types.Type) error {
	name = types.TruncateName(name)
	if _, ok := b.rel.Column(name); ok {
		return types.Errorf("42701", "column %q specified more than once", name)
	}
	if isSystemColumn(name) {
		return types.Errorf("42701", "column name %q conflicts with a system column name", name)
	}
	if len(b.rel.Columns) >= columnsMax {
		return types.Errorf("54011", "tables can have at most %d columns", columnsMax)
	}
	if info := types.Lookup(t.OID); info == nil || info.Kind == 'p' {
		return types.Errorf("42P16", "column %q has pseudo-type %s", name, types.FormatType(t))
	}
	b.rel.Columns = append(b.rel.Columns, catalog.Column{Num: int16(len(b.rel.Columns) + 1), Name: name, Type: t})
	return nil
}

func isSystemColumn(name string) bool {
	switch name {
	case "tableoid", "ctid", "xmin", "xmax", "cmin", "cmax", "helios_slot", rowIDName:
		return true
	}
	return false
}
