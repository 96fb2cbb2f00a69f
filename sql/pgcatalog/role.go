package pgcatalog

import (
	"slices"
	"strings"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

func (v *View) authIDs(emit func(fields)) {
	for _, r := range v.cat.Roles() {
		f := roleFields(r)
		if r.Password != "" {
			f["rolpassword"] = r.Password
		}
		emit(f)
	}
}

func (v *View) roles(emit func(fields)) {
	for _, r := range v.cat.Roles() {
		f := roleFields(r)
		f["rolpassword"] = "********"
		emit(f)
	}
}

func roleFields(r *catalog.Role) fields {
	f := fields{
		"oid": r.OID, "rolname": r.Name, "rolsuper": r.Superuser, "rolinherit": r.Inherit,
		"rolcreaterole": r.CreateRole, "rolcreatedb": r.CreateDB, "rolcanlogin": r.Login,
		"rolreplication": r.Replication, "rolbypassrls": r.BypassRLS, "rolconnlimit": r.ConnLimit,
	}
	if until, ok := validUntil(r); ok {
		f["rolvaliduntil"] = until
	}
	return f
}

func validUntil(r *catalog.Role) (types.Value, bool) {
	if r.ValidUntil == "" {
		return types.Null, false
	}
	t, err := types.ParseText(types.T(types.TimestampTZOID), r.ValidUntil, nil)
	return t, err == nil
}

func (v *View) users(emit func(fields)) {
	for _, r := range v.cat.Roles() {
		if r.Login {
			emit(userFields(r, "********"))
		}
	}
}

func (v *View) shadow(emit func(fields)) {
	for _, r := range v.cat.Roles() {
		if r.Login {
			emit(userFields(r, r.Password))
		}
	}
}

func userFields(r *catalog.Role, password string) fields {
	f := fields{
		"usename": r.Name, "usesysid": r.OID, "usecreatedb": r.CreateDB, "usesuper": r.Superuser,
		"userepl": r.Replication, "usebypassrls": r.BypassRLS,
	}
	if password != "" {
		f["passwd"] = password
	}
	if until, ok := validUntil(r); ok {
		f["valuntil"] = until
	}
	return f
}

func (v *View) groups(emit func(fields)) {
	for _, r := range v.cat.Roles() {
		if r.Login {
			continue
		}
		var members []types.OID
		for _, m := range v.cat.Roles() {
			if slices.Contains(m.MemberOf, r.OID) {
				members = append(members, m.OID)
			}
		}
		emit(fields{"groname": r.Name, "grosysid": r.OID, "grolist": members})
	}
}

func (v *View) memberships(emit func(fields)) {
	for _, m := range v.cat.Roles() {
		for _, group := range m.MemberOf {
			emit(fields{"roleid": group, "member": m.OID, "grantor": catalog.SuperuserOID})
		}
	}
}

func (v *View) databases(emit func(fields)) {
	d := v.cat.Database()
	emit(fields{
		"oid": d.OID, "datname": d.Name, "datdba": d.Owner, "encoding": utf8Encoding, "datlocprovider": byte('c'),
		"datallowconn": true, "datconnlimit": -1, "datfrozenxid": 0, "dattablespace": 1663,
		"datcollate": "C", "datctype": "C", "datacl": v.aclItems(d.ACL, d.Owner, "CTc"),
	})
}

// utf8Encoding is PostgreSQL's number for UTF8, the only encoding.
const utf8Encoding = 6

func (v *View) namespaces(emit func(fields)) {
	for _, s := range v.cat.Schemas() {
		emit(fields{"oid": s.OID, "nspname": s.Name, "nspowner": s.Owner, "nspacl": v.aclItems(s.ACL, s.Owner, "UC")})
	}
}

func (v *View) roleName(oid types.OID) string {
	if r, ok := v.cat.RoleByOID(oid); ok {
		return r.Name
	}
	return "unknown (OID=" + types.OID.Name(oid) + ")"
}

// aclItems prints an access list as aclitem[] does; nil for none. The owner's own
// privileges come first, as PostgreSQL writes them when a list is first made.
func (v *View) aclItems(acl []catalog.Grant, owner types.OID, all string) any {
	if len(acl) == 0 {
		return nil
	}
	var out []string
	if !slices.ContainsFunc(acl, func(g catalog.Grant) bool { return g.Grantee == owner }) {
		out = append(out, v.aclItem(catalog.Grant{Grantee: owner, Grantor: owner, Privileges: all}))
	}
	for _, g := range acl {
		out = append(out, v.aclItem(g))
	}
	return out
}

func (v *View) aclItem(g catalog.Grant) string {
	var b strings.Builder
	if g.Grantee != 0 {
		b.WriteString(sql.QuoteIdent(v.roleName(g.Grantee)))
	}
	b.WriteByte('=')
	for i := range len(g.Privileges) {
		b.WriteByte(g.Privileges[i])
		if strings.IndexByte(g.WithGrant, g.Privileges[i]) >= 0 {
			b.WriteByte('*')
		}
	}
	b.WriteByte('/')
	b.WriteString(sql.QuoteIdent(v.roleName(g.Grantor)))
	return b.String()
}

// belongs tells whether a role is another one or a member of it, directly or not.
func (v *View) belongs(role, group types.OID) bool {
	seen := make(map[types.OID]bool)
	queue := []types.OID{role}
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		if next == group {
			return true
		}
		if r, ok := v.cat.RoleByOID(next); ok && !seen[next] {
			seen[next] = true
			queue = append(queue, r.MemberOf...)
		}
	}
	return false
}

// allowed tells whether a role has every one of the privileges (letters of aclitem) on
// an object with this owner and list; grant asks for the right to hand them on.
func (v *View) allowed(role types.OID, owner types.OID, acl []catalog.Grant, public, letters string, grant bool) bool {
	if r, ok := v.cat.RoleByOID(role); ok && r.Superuser || v.belongs(role, owner) {
		return true
	}
	have := ""
	if len(acl) == 0 && !grant {
		have = public
	}
	for _, g := range acl {
		if g.Grantee != 0 && !v.belongs(role, g.Grantee) {
			continue
		}
		if grant {
			have += g.WithGrant
		} else {
			have += g.Privileges
		}
	}
	for i := range len(letters) {
		if strings.IndexByte(have, letters[i]) < 0 {
			return false
		}
	}
	return true
}
