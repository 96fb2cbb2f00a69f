package ddl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

func (a *applier) drop(s *sql.Drop) error {
	a.change.Tag = "DROP " + strings.ToUpper(s.Kind)
	for _, name := range s.Names {
		var err error
		switch s.Kind {
		case "table":
			err = a.dropRelation(name, s, catalog.KindTable)
		case "view":
			err = a.dropRelation(name, s, catalog.KindView)
		case "sequence":
			err = a.dropRelation(name, s, catalog.KindSequence)
		case "index":
			err = a.dropIndex(name, s)
		case "schema":
			err = a.dropSchema(name[0], s)
		case "role":
			err = a.dropRole(name[0], s.IfExists)
		case "extension":
			err = a.dropExtension(name[0], s.IfExists)
		default:
			err = notYet("DROP "+strings.ToUpper(s.Kind), "A cluster has one database.")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// missing is the error or, with IF EXISTS, the notice for what is to be dropped.
func (a *applier) missing(kind string, name string, ifExists bool, code string) error {
	if ifExists {
		a.notice("00000", "%s %q does not exist, skipping", kind, name)
		return nil
	}
	return types.Errorf(code, "%s %q does not exist", kind, name)
}

func (a *applier) dropRelation(name sql.Name, s *sql.Drop, kind byte) error {
	r, err := a.cat().Resolve(a.env.SearchPath, name)
	if types.CodeOf(err) == "42P01" {
		return a.missing(words[kind], strings.Join(name, "."), s.IfExists, "42P01")
	}
	if err != nil {
		return err
	}
	if r.Kind != kind {
		e := types.Errorf("42809", "%q is not a %s", r.Name, words[kind])
		if r.Kind == catalog.KindIndex || r.Kind == catalog.KindView || r.Kind == catalog.KindTable {
			e = e.WithHint("Use DROP %s to remove %s.", strings.ToUpper(words[r.Kind]), article(words[r.Kind]))
		}
		return e
	}
	if r.Virtual || r.Hidden {
		return types.Errorf("42501", "permission denied: %q is a system catalog", r.Name)
	}
	if err := a.mayDrop(r); err != nil {
		return err
	}
	return a.dropWith(r, s.Cascade)
}

// mayDrop holds that the user owns a relation or its schema.
func (a *applier) mayDrop(r *catalog.Relation) error {
	if s, ok := a.cat().Schema(r.Schema); ok && a.cat().MemberOf(a.user.OID, s.Owner) {
		return nil
	}
	return a.owns(r.Owner, words[r.Kind], r.Name)
}

// dependent is something that cannot be without a relation, and how it goes with it.
type dependent struct {
	what string    // as in "view v"
	oid  types.OID // of the relation it is or belongs to
	drop func() error
}

// dropAll drops what depends on something, but for what went with another before.
func (a *applier) dropAll(deps []dependent) error {
	for _, d := range deps {
		if _, ok := a.cat().ByOID(d.oid); !ok {
			continue
		}
		a.cascades = append(a.cascades, d.what)
		if err := d.drop(); err != nil {
			return err
		}
	}
	return nil
}

// tellCascades tells what went with CASCADE, in one notice.
func (a *applier) tellCascades() {
	switch n := len(a.cascades); n {
	case 0:
	case 1:
		a.notice("00000", "drop cascades to %s", a.cascades[0])
	default:
		a.notice("00000", "drop cascades to %d other objects", n).Detail = "drop cascades to " + strings.Join(a.cascades, "\ndrop cascades to ")
	}
}

// described names a relation as the user can: with its schema only if the search path
// does not lead to it.
func (a *applier) described(r *catalog.Relation) string {
	name := sql.Name{r.Schema, r.Name}
	if seen, err := a.cat().Resolve(a.env.SearchPath, name[1:]); err == nil && seen.OID == r.OID {
		name = name[1:]
	}
	return words[r.Kind] + " " + name.String()
}

// dropWith drops a relation, and with cascade what depends on it: else 2BP01.
func (a *applier) dropWith(r *catalog.Relation, cascade bool) error {
	if _, ok := a.cat().ByOID(r.OID); !ok {
		return nil // already gone with another
	}
	deps, err := a.dependents(r)
	if err != nil {
		return err
	}
	if len(deps) > 0 && !cascade {
		return dependencyError(a.described(r), deps)
	}
	if err := a.dropAll(deps); err != nil {
		return err
	}
	a.edit.DropRelation(r.OID)
	switch r.Kind {
	case catalog.KindTable:
		a.fill(Fill{Kind: DropTable, Table: r.OID})
		if loc := r.Placement.Location; loc != 0 {
			a.edit.DropRelation(loc)
			a.fill(Fill{Kind: DropTable, Table: loc})
		}
		for _, s := range a.ownedSequences(r.OID, 0) {
			if err := a.dropWith(s, cascade); err != nil {
				return err
			}
		}
	case catalog.KindSequence:
		a.fill(Fill{Kind: DropSequence, Table: r.OID})
	}
	return nil
}

func dependencyError(what string, deps []dependent) error {
	var lines []string
	for _, d := range deps {
		lines = append(lines, d.what+" depends on "+what)
	}
	return types.Errorf("2BP01", "cannot drop %s because other objects depend on it", what).
		WithDetail("%s", strings.Join(lines, "\n")).
		WithHint("Use DROP ... CASCADE to drop the dependent objects too.")
}

// dependents finds the views over a relation and the defaults that draw from a sequence.
// Defaults of the table that owns the sequence go with it and do not count when the
// table itself is gone.
func (a *applier) dependents(r *catalog.Relation) ([]dependent, error) {
	var out []dependent
	for _, v := range a.dependentViews(r) {
		out = append(out, dependent{a.described(v), v.OID, func() error { return a.dropWith(v, true) }})
	}
	if r.Kind != catalog.KindSequence {
		return out, nil
	}
	if r.Sequence.Identity {
		if t, ok := a.cat().ByOID(r.Sequence.OwnerTable); ok {
			return nil, types.Errorf("2BP01", "cannot drop sequence %s because column %s of table %s requires it",
				r.Name, t.Columns[r.Sequence.OwnerColumn-1].Name, t.Name).
				WithHint("You can drop column %s of table %s instead.", t.Columns[r.Sequence.OwnerColumn-1].Name, t.Name)
		}
	}
	for t := range a.cat().Relations() {
		for _, c := range t.Visible() {
			if e := c.DefaultExpr(); e != nil && namesRelation(e, r) {
				out = append(out, dependent{
					fmt.Sprintf("default value for column %s of %s", c.Name, a.described(t)), t.OID,
					func() error { return a.clearDefault(t.OID, c.Num) },
				})
			}
		}
	}
	return out, nil
}

func (a *applier) clearDefault(table types.OID, num int16) error {
	t, ok := a.cat().ByOID(table)
	if !ok {
		return nil
	}
	next := t.Clone()
	next.Columns[num-1].Default = ""
	return a.edit.ReplaceRelation(next)
}

// dependentViews finds the views whose query names a relation.
func (a *applier) dependentViews(r *catalog.Relation) []*catalog.Relation {
	var out []*catalog.Relation
	for v := range a.cat().Relations() {
		if q := v.ViewQuery(); q != nil && !v.Virtual && v.OID != r.OID && namesTable(q, r) {
			out = append(out, v)
		}
	}
	return out
}

// namesTable tells whether a view's query, whose names are qualified, reads a relation.
func namesTable(q *sql.Select, r *catalog.Relation) (found bool) {
	sql.Inspect(q, func(n any) bool {
		if t, ok := n.(*sql.Table); ok && slices.Equal(t.Name, sql.Name{r.Schema, r.Name}) {
			found = true
		}
		if e, ok := n.(sql.Expr); ok && namesRelation(e, r) {
			found = true
		}
		return !found
	})
	return found
}

func (a *applier) dropIndex(name sql.Name, s *sql.Drop) error {
	r, err := a.cat().Resolve(a.env.SearchPath, name)
	if types.CodeOf(err) == "42P01" {
		return a.missing("index", strings.Join(name, "."), s.IfExists, "42704")
	}
	if err != nil {
		return err
	}
	if r.Kind != catalog.KindIndex {
		return types.Errorf("42809", "%q is not an index", r.Name)
	}
	table, _ := a.cat().ByOID(r.Parent)
	if r.Hidden || table.Virtual {
		return types.Errorf("42501", "permission denied: %q is a system catalog", r.Name)
	}
	if err := a.mayDrop(r); err != nil {
		return err
	}
	next := table.Clone()
	if x, _ := next.IndexByOID(r.OID); x.Constraint {
		return types.Errorf("2BP01", "cannot drop index %s because constraint %s on table %s requires it", x.Name, x.Name, table.Name).
			WithHint("You can drop constraint %s on table %s instead.", x.Name, table.Name)
	}
	a.dropIndexOf(next, r.OID)
	return a.edit.ReplaceRelation(next)
}

func (a *applier) dropSchema(name string, s *sql.Drop) error {
	schema, ok := a.cat().Schema(name)
	if !ok {
		return a.missing("schema", name, s.IfExists, "3F000")
	}
	if schema.System {
		return types.Errorf("2BP01", "cannot drop schema %s because it is required by the database system", name)
	}
	if err := a.owns(schema.Owner, "schema", name); err != nil {
		return err
	}
	var deps []dependent
	for r := range a.cat().Relations() {
		if r.Schema == name && r.Kind != catalog.KindIndex && !r.Hidden {
			if q := r.Sequence; q != nil && q.OwnerTable != 0 {
				if t, ok := a.cat().ByOID(q.OwnerTable); ok && t.Schema == name {
					continue // goes with its table
				}
			}
			deps = append(deps, dependent{a.described(r), r.OID, func() error { return a.dropWith(r, true) }})
		}
	}
	if len(deps) > 0 && !s.Cascade {
		return dependencyError("schema "+name, deps)
	}
	if err := a.dropAll(deps); err != nil {
		return err
	}
	a.edit.DropSchema(name)
	return nil
}

// dropColumn marks a column dropped, and takes with it the indexes, constraints and
// sequences that need it.
func (a *applier) dropColumn(rel *catalog.Relation, c *sql.AlterCmd) error {
	col, ok := rel.Column(c.Name)
	if !ok || col.Hidden {
		if c.IfExists {
			a.notice("00000", "column %q of relation %q does not exist, skipping", c.Name, rel.Name)
			return nil
		}
		return types.Errorf("42703", "column %q of relation %q does not exist", c.Name, rel.Name)
	}
	nums, _ := rel.PrimaryKey.Columns()
	if slices.Contains(nums, col.Num) || slices.Contains(placeColumns(rel), col.Num) {
		return notYet("dropping a column of the primary key or shard key", "Create a table with the columns you want and copy the rows.")
	}
	if views := a.dependentViews(rel); len(views) > 0 {
		if !c.Cascade {
			return dependencyError(fmt.Sprintf("column %s of %s", col.Name, a.described(rel)),
				[]dependent{{what: a.described(views[0])}})
		}
		for _, v := range views {
			a.cascades = append(a.cascades, a.described(v))
			if err := a.dropWith(v, true); err != nil {
				return err
			}
		}
	}
	if err := a.dropGenerated(rel, col, c.Cascade); err != nil {
		return err
	}
	for _, x := range slices.Clone(rel.Indexes) {
		if usesColumn(rel, x, col) {
			a.dropIndexOf(rel, x.OID)
		}
	}
	rel.Constraints = slices.DeleteFunc(rel.Constraints, func(k catalog.Constraint) bool {
		return k.Kind == 'c' && slices.Contains(k.Columns, col.Num)
	})
	owned := a.ownedSequences(rel.OID, col.Num)
	*col = catalog.Column{Num: col.Num, Name: droppedName(col.Num), Type: col.Type, Dropped: true}
	if err := a.edit.ReplaceRelation(rel); err != nil {
		return err
	}
	for _, s := range owned {
		if err := a.dropWith(s, c.Cascade); err != nil {
			return err
		}
	}
	return nil
}

// dropGenerated drops, with CASCADE, the columns that are generated from a column.
func (a *applier) dropGenerated(rel *catalog.Relation, col *catalog.Column, cascade bool) error {
	for i := range rel.Columns {
		g := &rel.Columns[i]
		if g.Generated == 0 || g.Dropped || g.Num == col.Num || !slices.Contains(columnsOf(g.DefaultExpr()), col.Name) {
			continue
		}
		if !cascade {
			return dependencyError(fmt.Sprintf("column %s of %s", col.Name, a.described(rel)),
				[]dependent{{what: fmt.Sprintf("column %s of %s", g.Name, a.described(rel))}})
		}
		a.cascades = append(a.cascades, fmt.Sprintf("column %s of %s", g.Name, a.described(rel)))
		if err := a.dropColumn(rel, &sql.AlterCmd{Name: g.Name, Cascade: true}); err != nil {
			return err
		}
	}
	return nil
}

func usesColumn(rel *catalog.Relation, x *catalog.Index, col *catalog.Column) bool {
	reads := func(e sql.Expr) bool { return e != nil && slices.Contains(columnsOf(e), col.Name) }
	return slices.Contains(x.Include, col.Num) || reads(x.WhereExpr()) ||
		slices.ContainsFunc(x.Keys, func(k catalog.IndexKey) bool { return k.Column == col.Num || reads(k.ParsedExpr()) })
}

func (a *applier) truncate(s *sql.Truncate) error {
	for _, name := range s.Tables {
		r, err := a.cat().Resolve(a.env.SearchPath, name)
		if err != nil {
			return err
		}
		if r.Kind != catalog.KindTable {
			return types.Errorf("42809", "%q is not a table", r.Name)
		}
		if r.Virtual || r.Hidden || !a.cat().May(a.user.OID, r.Owner, r.ACL, 'D') {
			return types.Errorf("42501", "permission denied for table %s", r.Name)
		}
		a.fill(Fill{Kind: FillEmpty, Table: r.OID})
		if loc := r.Placement.Location; loc != 0 {
			a.fill(Fill{Kind: FillEmpty, Table: loc})
		}
		if s.RestartIdentity {
			for _, seq := range a.ownedSequences(r.OID, 0) {
				a.fill(Fill{Kind: SetSequence, Table: seq.OID, Value: seq.Sequence.Start})
			}
		}
	}
	return nil
}
