package ddl

import (
	"slices"
	"strings"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// privileges are the letters of the privileges that a kind of object has.
var privileges = map[string]map[string]byte{
	"table": {
		"select": 'r', "insert": 'a', "update": 'w', "delete": 'd', "truncate": 'D', "references": 'x', "trigger": 't',
	},
	"sequence": {"usage": 'U', "select": 'r', "update": 'w'},
	"schema":   {"usage": 'U', "create": 'C'},
	"database": {"connect": 'c', "create": 'C', "temporary": 'T', "temp": 'T'},
}

func (a *applier) grant(s *sql.Grant) error {
	a.change.Tag = "GRANT"
	if s.Revoke {
		a.change.Tag = "REVOKE"
	}
	if s.Kind == "role" {
		a.change.Tag += " ROLE"
		return a.grantRoles(s)
	}
	kind, schemas := strings.CutPrefix(s.Kind, "all ")
	if schemas {
		kind = strings.TrimSuffix(kind, "s in schema")
	}
	if privileges[kind] == nil {
		return notYet("GRANT ON "+strings.ToUpper(s.Kind), "Grant on tables, sequences, schemas and the database.")
	}
	for _, name := range s.Objects {
		var err error
		switch {
		case schemas:
			err = a.grantInSchema(s, kind, name[0])
		case kind == "schema":
			err = a.grantSchema(s, name[0])
		case kind == "database":
			err = a.grantDatabase(s, name[0])
		default:
			var r *catalog.Relation
			if r, err = a.cat().Resolve(a.env.SearchPath, name); err == nil {
				err = a.grantRelation(s, r)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) grantRoles(s *sql.Grant) error {
	for _, group := range s.Privileges {
		g, err := a.role(group)
		if err != nil {
			return err
		}
		if err := a.mayManage("alter", g.Superuser); err != nil {
			return err
		}
		if s.GrantOption {
			return notYet("ADMIN OPTION", "Give the role CREATEROLE instead.")
		}
		for _, member := range s.Grantees {
			act := a.join
			if s.Revoke {
				act = a.leave
			}
			if err := act(group, member); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *applier) grantInSchema(s *sql.Grant, kind, schema string) error {
	if _, ok := a.cat().Schema(schema); !ok {
		return types.Errorf("3F000", "schema %q does not exist", schema)
	}
	var all []*catalog.Relation
	for r := range a.cat().Relations() {
		isTable := r.Kind == catalog.KindTable || r.Kind == catalog.KindView
		if r.Schema == schema && !r.Virtual && !r.Hidden && (kind == "table" && isTable || kind == "sequence" && r.Kind == catalog.KindSequence) {
			all = append(all, r)
		}
	}
	for _, r := range all {
		if err := a.grantRelation(s, r); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) grantRelation(s *sql.Grant, r *catalog.Relation) error {
	kind := "table"
	switch {
	case r.Kind == catalog.KindSequence:
		kind = "sequence"
	case r.Kind == catalog.KindIndex:
		return types.Errorf("42809", "%q is an index", r.Name)
	case r.Virtual || r.Hidden:
		return types.Errorf("42501", "permission denied: %q is a system catalog", r.Name)
	}
	next := r.Clone()
	var err error
	if next.ACL, err = a.granted(s, kind, words[r.Kind]+" "+r.Name, r.Owner, r.ACL, nil); err != nil {
		return err
	}
	return a.edit.ReplaceRelation(next)
}

func (a *applier) grantSchema(s *sql.Grant, name string) error {
	schema, ok := a.cat().Schema(name)
	if !ok {
		return types.Errorf("3F000", "schema %q does not exist", name)
	}
	next := *schema
	var err error
	if next.ACL, err = a.granted(s, "schema", "schema "+name, schema.Owner, schema.ACL, nil); err != nil {
		return err
	}
	a.edit.PutSchema(&next)
	return nil
}

func (a *applier) grantDatabase(s *sql.Grant, name string) error {
	d := a.cat().Database()
	if d.Name != name {
		return types.Errorf("3D000", "database %q does not exist", name)
	}
	public := []catalog.Grant{{Grantee: 0, Grantor: d.Owner, Privileges: "Tc"}}
	var err error
	if d.ACL, err = a.granted(s, "database", "database "+name, d.Owner, d.ACL, public); err != nil {
		return err
	}
	a.edit.SetDatabase(d)
	return nil
}

// granted gives an access list after GRANT or REVOKE. A list that was never changed
// stands for the owner's privileges and those that the kind gives to PUBLIC.
func (a *applier) granted(s *sql.Grant, kind, what string, owner types.OID, acl, public []catalog.Grant) ([]catalog.Grant, error) {
	letters, err := grantLetters(s.Privileges, kind)
	if err != nil {
		return nil, err
	}
	if !a.cat().MemberOf(a.user.OID, owner) && !a.mayGrant(acl, letters) {
		return nil, types.Errorf("42501", "permission denied for %s", what)
	}
	out := slices.Clone(acl)
	if len(out) == 0 {
		own, _ := grantLetters(nil, kind)
		out = append([]catalog.Grant{{Grantee: owner, Grantor: owner, Privileges: own}}, public...)
	}
	for _, name := range s.Grantees {
		grantee := types.OID(0)
		if name != "public" {
			r, err := a.role(name)
			if err != nil {
				return nil, err
			}
			grantee = r.OID
		} else if s.GrantOption && !s.Revoke {
			return nil, types.Errorf("0LP01", "grant options can only be granted to roles")
		}
		out = changeGrant(out, grantee, owner, letters, s)
	}
	return out, nil
}

// mayGrant tells whether the user holds all of the privileges with the option to grant them.
func (a *applier) mayGrant(acl []catalog.Grant, letters string) bool {
	for i := range len(letters) {
		if !slices.ContainsFunc(acl, func(g catalog.Grant) bool {
			return g.Grantee != 0 && a.cat().MemberOf(a.user.OID, g.Grantee) && strings.IndexByte(g.WithGrant, letters[i]) >= 0
		}) {
			return false
		}
	}
	return true
}

// grantLetters gives the letters of privileges in PostgreSQL's order; none means all.
func grantLetters(names []string, kind string) (string, error) {
	known := privileges[kind]
	var letters []byte
	for name, letter := range known {
		if len(names) == 0 && name != "temp" {
			letters = append(letters, letter)
		}
	}
	for _, name := range names {
		letter, ok := known[name]
		if !ok {
			return "", types.Errorf("0LP01", "invalid privilege type %s for %s", strings.ToUpper(name), kind)
		}
		letters = append(letters, letter)
	}
	return inOrder(string(letters)), nil
}

// inOrder sorts privilege letters as aclitem prints them, each once.
func inOrder(letters string) string {
	var out []byte
	for i := range len("arwdDxtXUCTc") {
		if c := "arwdDxtXUCTc"[i]; strings.IndexByte(letters, c) >= 0 {
			out = append(out, c)
		}
	}
	return string(out)
}

// changeGrant adds or removes letters in the entry of one grantee.
func changeGrant(acl []catalog.Grant, grantee, grantor types.OID, letters string, s *sql.Grant) []catalog.Grant {
	without := func(from string) string {
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune(letters, r) {
				return -1
			}
			return r
		}, from)
	}
	i := slices.IndexFunc(acl, func(g catalog.Grant) bool { return g.Grantee == grantee })
	if i < 0 {
		if s.Revoke {
			return acl
		}
		acl = append(acl, catalog.Grant{Grantee: grantee, Grantor: grantor})
		i = len(acl) - 1
	}
	g := &acl[i]
	switch {
	case s.Revoke && s.GrantOption:
		g.WithGrant = without(g.WithGrant)
	case s.Revoke:
		g.Privileges, g.WithGrant = without(g.Privileges), without(g.WithGrant)
	default:
		g.Privileges = inOrder(g.Privileges + letters)
		if s.GrantOption {
			g.WithGrant = inOrder(g.WithGrant + letters)
		}
	}
	if g.Privileges == "" {
		return slices.Delete(acl, i, i+1)
	}
	return acl
}
