package catalog

import (
	"slices"
	"strings"

	"github.com/heliosdb/helios/types"
)

// Role is a user or group.
type Role struct {
	OID         types.OID   `json:"oid"`
	Name        string      `json:"name"`
	Superuser   bool        `json:"superuser,omitempty"`
	Login       bool        `json:"login,omitempty"`
	Inherit     bool        `json:"inherit,omitempty"`
	CreateDB    bool        `json:"createDB,omitempty"`
	CreateRole  bool        `json:"createRole,omitempty"`
	Replication bool        `json:"replication,omitempty"`
	BypassRLS   bool        `json:"bypassRLS,omitempty"`
	ConnLimit   int         `json:"connLimit"`          // -1 means none
	Password    string      `json:"password,omitempty"` // SCRAM-SHA-256 verifier, never clear text
	ValidUntil  string      `json:"validUntil,omitempty"`
	MemberOf    []types.OID `json:"memberOf,omitempty"`
	Comment     string      `json:"comment,omitempty"`
}

// Grant is one entry of an access list. Grantee 0 is PUBLIC.
type Grant struct {
	Grantee    types.OID `json:"grantee"`
	Grantor    types.OID `json:"grantor"`
	Privileges string    `json:"privileges"`          // letters of PostgreSQL's aclitem, such as "arwdDxt"
	WithGrant  string    `json:"withGrant,omitempty"` // those of them that may be granted on
}

// MemberOf tells whether a role is another one or a member of it, directly or through
// others. Superusers are members of all.
func (c *Catalog) MemberOf(role, of types.OID) bool {
	seen := map[types.OID]bool{}
	var member func(r types.OID) bool
	member = func(r types.OID) bool {
		if r == of {
			return true
		}
		known, ok := c.RoleByOID(r)
		if !ok || seen[r] {
			return false
		}
		seen[r] = true
		return slices.ContainsFunc(known.MemberOf, member)
	}
	if r, ok := c.RoleByOID(role); ok && r.Superuser {
		return true
	}
	return member(role)
}

// May tells whether a role has a privilege (a letter of aclitem) on an object of this
// owner and access list. Without a list the owner has all privileges, others none.
func (c *Catalog) May(role, owner types.OID, acl []Grant, privilege byte) bool {
	if c.MemberOf(role, owner) && (len(acl) == 0 || role != owner) {
		return true
	}
	return slices.ContainsFunc(acl, func(g Grant) bool {
		return strings.IndexByte(g.Privileges, privilege) >= 0 && (g.Grantee == 0 || c.MemberOf(role, g.Grantee))
	})
}
