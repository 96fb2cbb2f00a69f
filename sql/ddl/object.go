package ddl

import (
	"slices"
	"strings"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

func (a *applier) createSchema(s *sql.CreateSchema) error {
	owner := a.user.OID
	if s.Owner != "" {
		var err error
		if owner, err = a.newOwner(s.Owner); err != nil {
			return err
		}
	}
	d := a.cat().Database()
	if !a.cat().May(a.user.OID, d.Owner, d.ACL, 'C') {
		return types.Errorf("42501", "permission denied for database %s", d.Name)
	}
	name := types.TruncateName(s.Name)
	if _, ok := a.cat().Schema(name); ok && s.IfNotExists {
		a.notice("42P06", "schema %q already exists, skipping", name)
		return nil
	}
	if err := a.checkSchemaName(name); err != nil {
		return err
	}
	a.edit.PutSchema(&catalog.Schema{OID: a.edit.NextOID(), Name: name, Owner: owner})
	return nil
}

func (a *applier) checkSchemaName(name string) error {
	if strings.HasPrefix(name, "pg_") {
		return types.Errorf("42939", "unacceptable schema name %q", name).
			WithDetail("The prefix \"pg_\" is reserved for system schemas.")
	}
	if _, ok := a.cat().Schema(name); ok {
		return types.Errorf("42P06", "schema %q already exists", name)
	}
	return nil
}

// vectorVersion is the version of pgvector whose behaviour Helios follows.
const vectorVersion = "0.8.0"

// createExtension accepts vector, whose type and operators are always there.
func (a *applier) createExtension(s *sql.CreateExtension) error {
	if _, ok := a.cat().Extension(s.Name); ok {
		if s.IfNotExists {
			a.notice("42710", "extension %q already exists, skipping", s.Name)
			return nil
		}
		return types.Errorf("42710", "extension %q already exists", s.Name)
	}
	if s.Name != "vector" {
		return types.Errorf("0A000", "extension %q is not available", s.Name).WithHint("The extension there is is vector.")
	}
	x := &catalog.Extension{Name: s.Name, Version: vectorVersion, Schema: "public"}
	for _, o := range s.Options {
		switch o.Name {
		case "schema":
			if _, ok := a.cat().Schema(*o.Value); !ok {
				return types.Errorf("3F000", "schema %q does not exist", *o.Value)
			}
			x.Schema = *o.Value
		case "new_version":
			if *o.Value != vectorVersion {
				return types.Errorf("22023", "extension %q has no installation script nor update path for version %q", s.Name, *o.Value)
			}
		}
	}
	d := a.cat().Database()
	if !a.cat().May(a.user.OID, d.Owner, d.ACL, 'C') {
		return types.Errorf("42501", "permission denied to create extension %q", s.Name)
	}
	x.OID = a.edit.NextOID()
	a.edit.PutExtension(x)
	return nil
}

func (a *applier) dropExtension(name string, ifExists bool) error {
	if _, ok := a.cat().Extension(name); !ok {
		return a.missing("extension", name, ifExists, "42704")
	}
	d := a.cat().Database()
	if err := a.owns(d.Owner, "extension", name); err != nil {
		return err
	}
	for r := range a.cat().Relations() {
		if r.Virtual {
			continue
		}
		for _, c := range r.Visible() {
			if c.Type.OID == types.VectorOID || c.Type.OID == types.VectorArrayOID {
				return types.Errorf("2BP01", "cannot drop extension %s because other objects depend on it", name).
					WithDetail("column %s of table %s depends on type vector", c.Name, r.Name)
			}
		}
	}
	a.edit.DropExtension(name)
	return nil
}

// comment sets or, with NULL, removes a comment.
func (a *applier) comment(s *sql.Comment) error {
	text := ""
	if s.Text != nil {
		text = *s.Text
	}
	last := s.Name[len(s.Name)-1]
	switch s.Kind {
	case "schema":
		return a.commentSchema(last, text)
	case "database":
		d := a.cat().Database()
		if d.Name != last {
			return types.Errorf("3D000", "database %q does not exist", last)
		}
		if err := a.owns(d.Owner, "database", last); err != nil {
			return err
		}
		d.Comment = text
		a.edit.SetDatabase(d)
		return nil
	case "role":
		r, err := a.role(last)
		if err != nil {
			return err
		}
		if err := a.mayManage("alter", r.Superuser); err != nil {
			return err
		}
		next := *r
		next.Comment = text
		a.edit.PutRole(&next)
		return nil
	case "column", "constraint":
		return a.commentPart(s, last, text)
	case "index":
		return a.commentIndex(s.Name, text)
	case "table", "view", "sequence":
		kind := map[string]byte{"table": catalog.KindTable, "view": catalog.KindView, "sequence": catalog.KindSequence}[s.Kind]
		r, err := a.relation(s.Name, false, kind)
		if err != nil {
			return err
		}
		next := r.Clone()
		next.Comment = text
		return a.edit.ReplaceRelation(next)
	case "extension":
		if _, ok := a.cat().Extension(last); ok {
			return nil // pg_dump comments on extensions; their comment is fixed
		}
		return types.Errorf("42704", "extension %q does not exist", last)
	}
	return notYet("COMMENT ON "+strings.ToUpper(s.Kind), "Comment on tables, columns, indexes, views, sequences, constraints, schemas, roles and the database.")
}

func (a *applier) commentSchema(name, text string) error {
	s, ok := a.cat().Schema(name)
	if !ok {
		return types.Errorf("3F000", "schema %q does not exist", name)
	}
	if err := a.owns(s.Owner, "schema", name); err != nil {
		return err
	}
	next := *s
	next.Comment = text
	a.edit.PutSchema(&next)
	return nil
}

// commentPart comments on a column or a constraint of a relation.
func (a *applier) commentPart(s *sql.Comment, part, text string) error {
	if len(s.Name) < 2 {
		return types.Errorf("42601", "column name must be qualified")
	}
	r, err := a.relation(s.Name[:len(s.Name)-1], false, catalog.KindTable, catalog.KindView)
	if err != nil {
		return err
	}
	next := r.Clone()
	if s.Kind == "column" {
		c, ok := next.Column(part)
		if !ok || c.Hidden {
			return types.Errorf("42703", "column %q of relation %q does not exist", part, r.Name)
		}
		c.Comment = text
		return a.edit.ReplaceRelation(next)
	}
	i := slices.IndexFunc(next.Constraints, func(k catalog.Constraint) bool { return k.Name == part })
	if i < 0 {
		return types.Errorf("42704", "constraint %q for table %q does not exist", part, r.Name)
	}
	next.Constraints[i].Comment = text
	return a.edit.ReplaceRelation(next)
}

func (a *applier) commentIndex(name sql.Name, text string) error {
	r, err := a.relation(name, false, catalog.KindIndex)
	if err != nil {
		return err
	}
	table, _ := a.cat().ByOID(r.Parent)
	next := table.Clone()
	for _, x := range next.AllIndexes() {
		if x.OID == r.OID {
			x.Comment = text
		}
	}
	return a.edit.ReplaceRelation(next)
}
