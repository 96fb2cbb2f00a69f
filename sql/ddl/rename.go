package ddl

import (
	"slices"
	"strings"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

func (a *applier) rename(s *sql.Rename) error {
	a.change.Tag = "ALTER " + strings.ToUpper(s.Kind)
	to := types.TruncateName(s.NewName)
	switch s.Kind {
	case "schema":
		return a.renameSchema(s.Name[0], to)
	case "role":
		return a.renameRole(s.Name[0], to)
	case "database":
		return a.renameDatabase(s.Name[0], to)
	}
	r, err := a.altered(s.Kind, s.Name, s.IfExists)
	if err != nil || r == nil {
		return err
	}
	switch {
	case s.Column != "":
		return a.renameColumn(r, s.Column, to)
	case s.Constraint != "":
		return a.renameConstraint(r, s.Constraint, to)
	case r.Kind == catalog.KindIndex:
		return a.renameIndex(r, to)
	}
	return a.move(r, sql.Name{r.Schema, to})
}

// move gives a relation another schema and name, and follows it in the views and
// defaults that name it.
func (a *applier) move(r *catalog.Relation, to sql.Name) error {
	from := sql.Name{r.Schema, r.Name}
	if err := a.mayCreateIn(to[0], to[1]); err != nil {
		return err
	}
	next := r.Clone()
	next.Schema, next.Name = to[0], to[1]
	if err := a.edit.ReplaceRelation(next); err != nil {
		return err
	}
	var changed []*catalog.Relation
	for other := range a.cat().Relations() {
		if twin := retarget(other, from, to); twin != nil {
			changed = append(changed, twin)
		}
	}
	for _, twin := range changed {
		if err := a.edit.ReplaceRelation(twin); err != nil {
			return err
		}
	}
	return nil
}

// retarget gives a copy of a relation whose texts name to where they named from, nil if
// they did not.
func retarget(r *catalog.Relation, from, to sql.Name) *catalog.Relation {
	if r.Virtual {
		return nil
	}
	twin := r.Clone()
	changed := false
	follow := func(e sql.Expr, text *string) {
		if e == nil {
			return
		}
		if now := sql.PrintExpr(renameRelation(e, from, to)); now != sql.PrintExpr(e) {
			*text, changed = now, true
		}
	}
	for i := range twin.Columns {
		follow(r.Columns[i].DefaultExpr(), &twin.Columns[i].Default)
	}
	for i := range twin.Constraints {
		follow(r.Constraints[i].CheckExpr(), &twin.Constraints[i].Expr)
	}
	if q := r.ViewQuery(); q != nil {
		next := sql.RewriteStatement(q, func(e sql.Expr) sql.Expr { return renameRelation(e, from, to) })
		sql.Inspect(next, func(n any) bool {
			if t, ok := n.(*sql.Table); ok && slices.Equal(t.Name, from) {
				t.Name = to
			}
			return true
		})
		if text := sql.Print(next); text != sql.Print(q) {
			twin.View, changed = text, true
		}
	}
	if !changed {
		return nil
	}
	return twin
}

// renameColumn follows the new name in the table's own texts.
func (a *applier) renameColumn(r *catalog.Relation, from, to string) error {
	next := r.Clone()
	col, ok := next.Column(from)
	if !ok || col.Hidden {
		return types.Errorf("42703", "column %q does not exist", from)
	}
	if _, taken := next.Column(to); taken || isSystemColumn(to) {
		return types.Errorf("42701", "column %q of relation %q already exists", to, r.Name)
	}
	if views := a.dependentViews(r); len(views) > 0 {
		return notYet("renaming a column of a relation that views use", "Drop view "+views[0].Name+", rename the column and create the view again.")
	}
	col.Name = to
	follow := func(e sql.Expr, text *string) {
		if e != nil {
			*text = sql.PrintExpr(sql.Rewrite(e, func(e sql.Expr) sql.Expr {
				if ref, ok := e.(*sql.ColumnRef); ok && len(ref.Parts) == 1 && ref.Parts[0] == from {
					ref.Parts = sql.Name{to}
				}
				return e
			}))
		}
	}
	for i := range next.Columns {
		if c := &next.Columns[i]; c.Generated != 0 {
			follow(c.DefaultExpr(), &c.Default)
		}
	}
	for i := range next.Constraints {
		follow(next.Constraints[i].CheckExpr(), &next.Constraints[i].Expr)
	}
	for _, x := range next.AllIndexes() {
		follow(x.WhereExpr(), &x.Where)
		for i := range x.Keys {
			follow(x.Keys[i].ParsedExpr(), &x.Keys[i].Expr)
		}
	}
	next.Options = renameOption(next.Options, from, to)
	if loc, ok := a.cat().ByOID(r.Placement.Location); ok {
		twin := loc.Clone()
		if c, ok := twin.Column(from); ok {
			c.Name = to
			if err := a.edit.ReplaceRelation(twin); err != nil {
				return err
			}
		}
	}
	return a.edit.ReplaceRelation(next)
}

// renameOption follows a column's new name in helios.shard_key and helios.zone_column, so
// that a dump of the table still restores.
func renameOption(options []sql.Option, from, to string) []sql.Option {
	out := slices.Clone(options)
	for i, o := range out {
		if o.Name != "shard_key" && o.Name != "zone_column" || o.Value == nil {
			continue
		}
		p, err := catalog.ParsePlacement([]sql.Option{{Name: "shard_key", Value: o.Value}})
		if err != nil || !slices.Contains(p.ShardKey, from) {
			continue
		}
		var names []string
		for _, name := range p.ShardKey {
			if name == from {
				name = to
			}
			names = append(names, sql.QuoteIdent(name))
		}
		value := strings.Join(names, ", ")
		out[i].Value = &value
	}
	return out
}

func (a *applier) renameConstraint(r *catalog.Relation, from, to string) error {
	next := r.Clone()
	i := slices.IndexFunc(next.Constraints, func(k catalog.Constraint) bool { return k.Name == from })
	if i < 0 {
		return types.Errorf("42704", "constraint %q for table %q does not exist", from, r.Name)
	}
	if slices.ContainsFunc(next.Constraints, func(k catalog.Constraint) bool { return k.Name == to }) {
		return types.Errorf("42710", "constraint %q for relation %q already exists", to, r.Name)
	}
	next.Constraints[i].Name = to
	for _, x := range next.AllIndexes() {
		if x.OID == next.Constraints[i].Index {
			x.Name = to
		}
	}
	return a.edit.ReplaceRelation(next)
}

func (a *applier) renameIndex(r *catalog.Relation, to string) error {
	table, _ := a.cat().ByOID(r.Parent)
	next := table.Clone()
	for _, x := range next.AllIndexes() {
		if x.OID == r.OID {
			x.Name = to
		}
	}
	for i := range next.Constraints {
		if k := &next.Constraints[i]; k.Index == r.OID && (k.Kind == 'u' || k.Kind == 'p') {
			k.Name = to
		}
	}
	return a.edit.ReplaceRelation(next)
}

func (a *applier) renameSchema(from, to string) error {
	s, ok := a.cat().Schema(from)
	if !ok {
		return types.Errorf("3F000", "schema %q does not exist", from)
	}
	if err := a.owns(s.Owner, "schema", from); err != nil {
		return err
	}
	if s.System {
		return types.Errorf("42501", "permission denied: %q is a system schema", from)
	}
	if err := a.checkSchemaName(to); err != nil {
		return err
	}
	next := *s
	next.Name = to
	a.edit.PutSchema(&next)
	var inside []*catalog.Relation
	for r := range a.cat().Relations() {
		if r.Schema == from && r.Kind != catalog.KindIndex {
			inside = append(inside, r)
		}
	}
	for _, r := range inside {
		now, _ := a.cat().ByOID(r.OID) // an earlier move may have changed its texts
		if err := a.move(now, sql.Name{to, r.Name}); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) renameDatabase(from, to string) error {
	d := a.cat().Database()
	if d.Name != from {
		return types.Errorf("3D000", "database %q does not exist", from)
	}
	return types.Errorf("0A000", "current database cannot be renamed")
}

// moveSchema is SET SCHEMA; the sequences of a table go with it.
func (a *applier) moveSchema(r *catalog.Relation, schema string) error {
	if r.Schema == schema {
		return nil
	}
	if r.Kind == catalog.KindIndex {
		return types.Errorf("42809", "cannot change schema of index %q", r.Name).
			WithHint("Change the schema of the table instead.")
	}
	if _, ok := a.cat().Relation(schema, r.Name); ok {
		return types.Errorf("42P07", "relation %q already exists in schema %q", r.Name, schema)
	}
	if s := r.Sequence; s != nil && s.OwnerTable != 0 {
		t, _ := a.cat().ByOID(s.OwnerTable)
		return types.Errorf("0A000", "cannot move an owned sequence into another schema").
			WithDetail("Sequence %q is linked to table %q.", r.Name, t.Name)
	}
	owned := a.ownedSequences(r.OID, 0)
	if err := a.move(r, sql.Name{schema, r.Name}); err != nil {
		return err
	}
	for _, s := range owned {
		if err := a.move(s, sql.Name{schema, s.Name}); err != nil {
			return err
		}
	}
	return nil
}

// alterOwner is ALTER SCHEMA or DATABASE … OWNER TO.
func (a *applier) alterOwner(s *sql.AlterTable) error {
	to, err := a.newOwner(s.Cmds[0].Name)
	if err != nil {
		return err
	}
	if s.Kind == "database" {
		d := a.cat().Database()
		if d.Name != s.Name[0] {
			return types.Errorf("3D000", "database %q does not exist", s.Name[0])
		}
		if err := a.owns(d.Owner, "database", d.Name); err != nil {
			return err
		}
		d.ACL = reowned(d.ACL, d.Owner, to)
		d.Owner = to
		a.edit.SetDatabase(d)
		return nil
	}
	schema, ok := a.cat().Schema(s.Name[0])
	if !ok {
		return types.Errorf("3F000", "schema %q does not exist", s.Name[0])
	}
	if err := a.owns(schema.Owner, "schema", schema.Name); err != nil {
		return err
	}
	next := *schema
	next.ACL = reowned(next.ACL, next.Owner, to)
	next.Owner = to
	a.edit.PutSchema(&next)
	return nil
}

// newOwner finds the role that is to own something; the user must be a member of it.
func (a *applier) newOwner(name string) (types.OID, error) {
	role, err := a.role(name)
	if err != nil {
		return 0, err
	}
	if !a.cat().MemberOf(a.user.OID, role.OID) {
		return 0, types.Errorf("42501", "must be member of role %q", role.Name)
	}
	return role.OID, nil
}

// reowned gives an access list after a change of owner: what the old one had and gave,
// the new one has and gave.
func reowned(acl []catalog.Grant, from, to types.OID) []catalog.Grant {
	var out []catalog.Grant
	for _, g := range acl {
		if g.Grantee == from {
			g.Grantee = to
		}
		if g.Grantor == from {
			g.Grantor = to
		}
		i := slices.IndexFunc(out, func(o catalog.Grant) bool { return o.Grantee == g.Grantee })
		if i < 0 {
			out = append(out, g)
			continue
		}
		out[i].Privileges = inOrder(out[i].Privileges + g.Privileges)
		out[i].WithGrant = inOrder(out[i].WithGrant + g.WithGrant)
	}
	return out
}

// changeOwner is ALTER TABLE … OWNER TO; the table's sequences and hidden tables follow.
func (a *applier) changeOwner(r *catalog.Relation, name string) error {
	to, err := a.newOwner(name)
	if err != nil {
		return err
	}
	if r.Kind == catalog.KindIndex {
		a.notice("00000", "cannot change owner of index %q", r.Name).Hint = "Change the ownership of the index's table instead."
		return nil
	}
	all := append(a.ownedSequences(r.OID, 0), r)
	if loc, ok := a.cat().ByOID(r.Placement.Location); ok {
		all = append(all, loc)
	}
	for _, each := range all {
		next := each.Clone()
		next.ACL = reowned(next.ACL, next.Owner, to)
		next.Owner = to
		if err := a.edit.ReplaceRelation(next); err != nil {
			return err
		}
	}
	return nil
}
