package ddl

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// role finds a role by its name or by a word for the current one.
func (a *applier) role(name string) (*catalog.Role, error) {
	switch name {
	case "current_user", "current_role", "session_user":
		return a.user, nil
	}
	if r, ok := a.cat().Role(name); ok {
		return r, nil
	}
	return nil, types.Errorf("42704", "role %q does not exist", name)
}

// mayManage holds that the user may create and change roles; only superusers make or
// change superusers.
func (a *applier) mayManage(verb string, superuser bool) error {
	switch {
	case a.user.Superuser:
		return nil
	case superuser:
		return types.Errorf("42501", "must be superuser to %s superusers", verb)
	case !a.user.CreateRole:
		return types.Errorf("42501", "permission denied to %s role", verb)
	}
	return nil
}

func checkRoleName(name string) error {
	switch {
	case name == "public" || name == "none":
		return types.Errorf("42939", "role name %q is reserved", name)
	case strings.HasPrefix(name, "pg_"):
		return types.Errorf("42939", "role name %q is reserved", name).
			WithDetail("Role names starting with \"pg_\" are reserved.")
	}
	return nil
}

func (a *applier) createRole(s *sql.CreateRole) error {
	name := types.TruncateName(s.Name)
	if err := checkRoleName(name); err != nil {
		return err
	}
	r := &catalog.Role{OID: a.edit.NextOID(), Name: name, Login: s.Login, Inherit: true, ConnLimit: -1}
	joins, err := a.roleOptions(r, s.Options)
	if err != nil {
		return err
	}
	if err := a.mayManage("create", r.Superuser); err != nil {
		return err
	}
	if _, ok := a.cat().Role(name); ok {
		return types.Errorf("42710", "role %q already exists", name)
	}
	a.edit.PutRole(r)
	for _, j := range joins {
		if err := a.join(j[0], j[1]); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) alterRole(s *sql.AlterRole) error {
	old, err := a.role(s.Name)
	if err != nil {
		return err
	}
	next := *old
	own := old.OID == a.user.OID && !slices.ContainsFunc(s.Options, func(o sql.Option) bool { return o.Name != "password" })
	if _, err := a.roleOptions(&next, s.Options); err != nil {
		return err
	}
	if !own {
		if err := a.mayManage("alter", old.Superuser || next.Superuser); err != nil {
			return err
		}
	}
	if old.OID == catalog.SuperuserOID && !next.Superuser {
		return types.Errorf("42501", "permission denied to alter role").
			WithDetail("The bootstrap user must have the SUPERUSER attribute.")
	}
	a.edit.PutRole(&next)
	return nil
}

// roleOptions sets what options say; joins are pairs of group and member to be joined.
func (a *applier) roleOptions(r *catalog.Role, options []sql.Option) (joins [][2]string, err error) {
	flags := map[string]*bool{
		"superuser": &r.Superuser, "inherit": &r.Inherit, "createrole": &r.CreateRole, "createdb": &r.CreateDB,
		"canlogin": &r.Login, "isreplication": &r.Replication, "bypassrls": &r.BypassRLS,
	}
	said := make(map[string]bool)
	for _, o := range options {
		if said[o.Name] {
			return nil, types.Errorf("42601", "conflicting or redundant options")
		}
		said[o.Name] = true
		if flag, ok := flags[o.Name]; ok {
			*flag = *o.Value == "true"
			continue
		}
		switch o.Name {
		case "password":
			r.Password, err = a.password(o.Value)
		case "connectionlimit":
			r.ConnLimit, err = strconv.Atoi(*o.Value)
			if err != nil || r.ConnLimit < -1 {
				err = types.Errorf("22023", "invalid connection limit: %s", *o.Value)
			}
		case "validUntil":
			var v types.Value
			t := types.T(types.TimestampTZOID)
			if v, err = types.ParseText(t, *o.Value, nil); err == nil {
				r.ValidUntil = types.ToText(t, v)
			}
		case "addroleto":
			for _, group := range o.List {
				joins = append(joins, [2]string{group, r.Name})
			}
		case "rolemembers":
			for _, member := range o.List {
				joins = append(joins, [2]string{r.Name, member})
			}
		case "sysid":
			a.notice("00000", "SYSID can no longer be specified")
		default:
			err = notYet("role option "+strings.ToUpper(o.Name), "Leave it out.")
		}
		if err != nil {
			return nil, err
		}
	}
	return joins, nil
}

// password gives the verifier to store: the text itself if it is one.
func (a *applier) password(text *string) (string, error) {
	switch {
	case text == nil:
		return "", nil
	case strings.HasPrefix(*text, "SCRAM-SHA-256$"):
		return *text, nil
	case strings.HasPrefix(*text, "md5") && len(*text) == 35:
		return "", types.Errorf("0A000", "MD5 passwords are not supported").WithHint("Give the password in clear or as a SCRAM-SHA-256 verifier.")
	case *text == "":
		a.notice("00000", "empty string is not a valid password, clearing password")
		return "", nil
	case a.env.Password == nil:
		return "", types.Errorf("0A000", "a clear password cannot be stored here").WithHint("Give a SCRAM-SHA-256 verifier.")
	}
	return a.env.Password(*text)
}

// join makes a role a member of a group: 0LP01 if that closed a circle.
func (a *applier) join(group, member string) error {
	g, err := a.role(group)
	if err != nil {
		return err
	}
	m, err := a.role(member)
	if err != nil {
		return err
	}
	if g.OID == m.OID || !g.Superuser && a.cat().MemberOf(g.OID, m.OID) {
		return types.Errorf("0LP01", "role %q is a member of role %q", g.Name, m.Name)
	}
	if slices.Contains(m.MemberOf, g.OID) {
		a.notice("00000", "role %q is already a member of role %q", m.Name, g.Name)
		return nil
	}
	next := *m
	next.MemberOf = append(slices.Clone(m.MemberOf), g.OID)
	a.edit.PutRole(&next)
	return nil
}

func (a *applier) leave(group, member string) error {
	g, err := a.role(group)
	if err != nil {
		return err
	}
	m, err := a.role(member)
	if err != nil {
		return err
	}
	next := *m
	next.MemberOf = slices.DeleteFunc(slices.Clone(m.MemberOf), func(oid types.OID) bool { return oid == g.OID })
	if len(next.MemberOf) == len(m.MemberOf) {
		n := a.notice("01000", "role %q is not a member of role %q", m.Name, g.Name)
		n.Severity = "WARNING"
	}
	a.edit.PutRole(&next)
	return nil
}

func (a *applier) renameRole(from, to string) error {
	r, err := a.role(from)
	if err != nil {
		return err
	}
	if err := checkRoleName(to); err != nil {
		return err
	}
	if err := a.mayManage("rename", r.Superuser); err != nil {
		return err
	}
	if r.OID == a.user.OID {
		return types.Errorf("0A000", "current user cannot be renamed")
	}
	if _, ok := a.cat().Role(to); ok {
		return types.Errorf("42710", "role %q already exists", to)
	}
	next := *r
	next.Name = to
	a.edit.PutRole(&next)
	return nil
}

func (a *applier) dropRole(name string, ifExists bool) error {
	r, err := a.role(name)
	if err != nil {
		return a.missing("role", name, ifExists, "42704")
	}
	if err := a.mayManage("drop", r.Superuser); err != nil {
		return err
	}
	switch {
	case r.OID == a.user.OID:
		return types.Errorf("55006", "current user cannot be dropped")
	case r.OID == catalog.SuperuserOID:
		return types.Errorf("2BP01", "cannot drop role %s because it is required by the database system", name)
	}
	if uses := a.usesOfRole(r.OID); len(uses) > 0 {
		return types.Errorf("2BP01", "role %q cannot be dropped because some objects depend on it", name).
			WithDetail("%s", strings.Join(uses, "\n"))
	}
	for _, other := range a.cat().Roles() {
		if slices.Contains(other.MemberOf, r.OID) {
			next := *other
			next.MemberOf = slices.DeleteFunc(slices.Clone(other.MemberOf), func(oid types.OID) bool { return oid == r.OID })
			a.edit.PutRole(&next)
		}
	}
	a.edit.DropRole(name)
	return nil
}

// usesOfRole tells what a role owns and has privileges for.
func (a *applier) usesOfRole(oid types.OID) []string {
	var out []string
	add := func(owner types.OID, acl []catalog.Grant, what string) {
		if owner == oid {
			out = append(out, "owner of "+what)
		} else if slices.ContainsFunc(acl, func(g catalog.Grant) bool { return g.Grantee == oid || g.Grantor == oid }) {
			out = append(out, "privileges for "+what)
		}
	}
	d := a.cat().Database()
	add(d.Owner, d.ACL, "database "+d.Name)
	for _, s := range a.cat().Schemas() {
		add(s.Owner, s.ACL, "schema "+s.Name)
	}
	for r := range a.cat().Relations() {
		if !r.Virtual && !r.Hidden && r.Kind != catalog.KindIndex {
			add(r.Owner, r.ACL, fmt.Sprintf("%s %s", words[r.Kind], r.Name))
		}
	}
	return out
}
