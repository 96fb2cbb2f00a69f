package pgcatalog

import (
	"strconv"
	"strings"

	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// letters are aclitem's letters of privileges.
var letters = map[string]string{
	"SELECT": "r", "INSERT": "a", "UPDATE": "w", "DELETE": "d", "TRUNCATE": "D", "REFERENCES": "x", "TRIGGER": "t",
	"RULE": "", "USAGE": "U", "CREATE": "C", "CONNECT": "c", "TEMPORARY": "T", "TEMP": "T", "EXECUTE": "X", "SET": "s",
	"ALTER SYSTEM": "A",
}

// HasPrivilege answers has_table_privilege and its like: true if the role has any of the
// privileges listed.
func (l *lookup) HasPrivilege(class, role string, object types.Value, sub int, privilege string) (has, ok bool, err error) {
	if role == "" {
		role = l.session.User()
	}
	r, found := l.view.cat.Role(role)
	if n, err := strconv.ParseUint(role, 10, 32); err == nil && !found {
		r, found = l.view.cat.RoleByOID(types.OID(n)) // builtin gives numbers as text
	}
	if !found {
		return false, false, types.Errorf("42704", "role \"%s\" does not exist", role)
	}
	if class, object, sub, err = l.column(class, object, sub); err != nil {
		return false, false, err
	}
	for word := range strings.SplitSeq(privilege, ",") {
		word, grant := strings.CutSuffix(strings.ToUpper(strings.TrimSpace(word)), " WITH GRANT OPTION")
		letter, known := letters[word]
		if class == builtin.ClassRole {
			letter, known = "U", word == "USAGE" || word == "MEMBER" || word == "SET"
		}
		if !known {
			return false, false, types.Errorf("22023", "unrecognized privilege type: \"%s\"", privilege)
		}
		this, ok, err := l.may(class, r.OID, object, sub, letter, grant)
		if err != nil || !ok || this {
			return this, ok, err
		}
	}
	return false, true, nil
}

// column turns what has_sequence_privilege and has_column_privilege ask about into a relation
// and a column: those of tables, since columns have no lists of their own.
func (l *lookup) column(class string, object types.Value, sub int) (string, types.Value, int, error) {
	if class != "pg_attribute" && class != "pg_sequence" {
		return class, object, sub, nil
	}
	if object.Kind() != types.KindRecord {
		return builtin.ClassRelation, object, sub, nil
	}
	pair := object.AsRecord()
	if r, ok := l.relationArg(pair[0]); ok {
		if _, ok := r.Column(pair[1].AsText()); !ok {
			return "", types.Null, 0, types.Errorf("42703", "column \"%s\" of relation \"%s\" does not exist", pair[1].AsText(), r.Name)
		}
	}
	return builtin.ClassRelation, pair[0], 0, nil
}

func (l *lookup) may(class string, role types.OID, object types.Value, sub int, letter string, grant bool) (has, ok bool, err error) {
	v := l.view
	switch class {
	case builtin.ClassRelation, builtin.ClassNamespace, builtin.ClassDatabase, builtin.ClassRole, builtin.ClassFunction, builtin.ClassType:
	default: // languages, tablespaces …: everyone may use them, a superuser alone may grant
		return !grant && letter == "U" || v.isSuper(role), true, nil
	}
	oid := types.OID(object.AsInt())
	if object.Kind() == types.KindText {
		if oid, ok = l.Lookup(class, object.AsText()); !ok {
			return false, false, l.missing(class, object.AsText())
		}
	}
	switch class {
	case builtin.ClassRelation:
		r, ok := v.cat.ByOID(oid)
		if !ok || sub > len(r.Columns) {
			return false, false, nil
		}
		return v.mayRelation(role, r, letter, grant), true, nil
	case builtin.ClassNamespace:
		for _, s := range v.cat.Schemas() {
			if s.OID == oid {
				public := ""
				if s.System || s.Name == "public" {
					public = "U"
				}
				return v.allowed(role, s.Owner, s.ACL, public, letter, grant), true, nil
			}
		}
		return false, false, nil
	case builtin.ClassDatabase:
		d := v.cat.Database()
		return v.allowed(role, d.Owner, d.ACL, "Tc", letter, grant), d.OID == oid, nil
	case builtin.ClassRole:
		_, ok := v.cat.RoleByOID(oid)
		return ok && v.isSuper(role) || v.belongs(role, oid), ok, nil
	}
	// Functions and types: everyone may use them, a superuser alone may grant.
	return !grant && (letter == "X" || letter == "U") || v.isSuper(role), true, nil
}

func (l *lookup) missing(class, name string) error {
	switch class {
	case builtin.ClassRelation:
		return types.Errorf("42P01", "relation \"%s\" does not exist", name)
	case builtin.ClassNamespace:
		return types.Errorf("3F000", "schema \"%s\" does not exist", name)
	case builtin.ClassDatabase:
		return types.Errorf("3D000", "database \"%s\" does not exist", name)
	case builtin.ClassFunction:
		return types.Errorf("42883", "function \"%s\" does not exist", name)
	}
	return types.Errorf("42704", "\"%s\" does not exist", name)
}

// mayRelation tells whether a role has a privilege on a relation. Everyone may read the
// system relations.
func (v *View) mayRelation(role types.OID, r *catalog.Relation, letter string, grant bool) bool {
	public := ""
	if r.Virtual && r.Name != "pg_authid" && r.Name != "pg_shadow" {
		public = "r"
	}
	owner, acl := r.Owner, r.ACL
	if r.Kind == catalog.KindIndex {
		if parent, ok := v.cat.ByOID(r.Parent); ok {
			owner, acl = parent.Owner, parent.ACL
		}
	}
	return v.allowed(role, owner, acl, public, letter, grant)
}

func (v *View) isSuper(role types.OID) bool {
	r, ok := v.cat.RoleByOID(role)
	return ok && r.Superuser
}

func (v *View) roleOID(name string) types.OID {
	if r, ok := v.cat.Role(name); ok {
		return r.OID
	}
	return 0
}
