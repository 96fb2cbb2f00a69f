package catalog

import "github.com/heliosdb/helios/types"

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
