package builtin

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/heliosdb/helios/types"
)

// Context is what functions may know of the statement that calls them. It belongs to
// one statement and is used by one goroutine at a time.
type Context struct {
	Ctx         context.Context  // ends long calls; nil is context.Background
	Now         time.Time        // the statement's start
	TxnStart    time.Time        // the transaction's start: now()
	Clock       func() time.Time // clock_timestamp(); nil is time.Now
	User        string
	SessionUser string // "" means User
	Database    string
	SearchPath  []string // without the implicit pg_catalog
	Location    *time.Location
	BackendPID  int32
	InRecovery  bool   // pg_is_in_recovery(): this node is a standby
	Version     string // what version() answers
	Started     time.Time

	// Settings gives a setting's value; SetSetting changes one, for the transaction
	// only when local.
	Settings   func(name string) (string, bool)
	SetSetting func(name, value string, local bool) error
	// Catalog answers what needs the catalog; nil makes such functions answer 0A000.
	Catalog Catalog
	Rand    *rand.Rand // random(); nil is the process's own

	io *types.Settings
}

// IO gives the settings that reading and printing values need.
func (c *Context) IO() *types.Settings {
	if c.io == nil {
		c.io = &types.Settings{Location: c.Location, Now: func() time.Time { return c.TxnStart }}
		if c.Settings != nil {
			if style, ok := c.Settings("bytea_output"); ok {
				c.io.ByteaEscape = style == "escape"
			}
		}
	}
	return c.io
}

func (c *Context) location() *time.Location {
	if c.Location == nil {
		return time.UTC
	}
	return c.Location
}

func (c *Context) context() context.Context {
	if c.Ctx == nil {
		return context.Background()
	}
	return c.Ctx
}

func (c *Context) clock() time.Time {
	if c.Clock == nil {
		return time.Now()
	}
	return c.Clock()
}

// check gives 57014 when the statement was cancelled.
func (c *Context) check() error {
	if c.Ctx != nil && c.Ctx.Err() != nil {
		return types.Errorf("57014", "canceling statement due to user request")
	}
	return nil
}

// Object classes, as the pg_catalog tables that hold them.
const (
	ClassRelation  = "pg_class"
	ClassType      = "pg_type"
	ClassFunction  = "pg_proc"
	ClassOperator  = "pg_operator"
	ClassNamespace = "pg_namespace"
	ClassRole      = "pg_authid"
	ClassDatabase  = "pg_database"
	ClassCollation = "pg_collation"
)

// Catalog is what catalog functions ask of the catalog, as of the statement's
// snapshot. "ok false" means there is no such object: the function answers NULL, or
// what PostgreSQL answers then.
type Catalog interface {
	// Lookup finds an object of a class by its possibly qualified name, following
	// the search path: to_regclass and the input of regclass, regtype, regproc …
	Lookup(class, name string) (oid types.OID, ok bool)
	// Name gives the name that finds the object, qualified if the search path needs
	// it, quoted where an identifier must be: the output of regclass …
	Name(class string, oid types.OID) (name string, ok bool)
	// Visible tells whether the object is found by its bare name: pg_table_is_visible …
	Visible(class string, oid types.OID) (visible, ok bool)
	// Comment gives the comment on an object, or on column number sub of a relation.
	Comment(class string, oid types.OID, sub int) (text string, ok bool)
	// Definition gives SQL text about an object, as the function of that name would:
	// "pg_get_indexdef", "pg_get_constraintdef", "pg_get_viewdef", "pg_get_expr",
	// "pg_get_functiondef", "pg_get_serial_sequence" …; args are the function's own.
	Definition(function string, args []types.Value) (text string, ok bool, err error)
	// HasPrivilege answers has_table_privilege and its kin; role "" is the current user.
	HasPrivilege(class, role string, object types.Value, sub int, privilege string) (has, ok bool, err error)
	// Size gives a relation's, database's or tablespace's size in bytes; function is the name of the one called.
	Size(function string, args []types.Value) (bytes int64, ok bool, err error)
	// Nextval, Currval, Lastval and Setval work on sequences.
	Nextval(sequence types.OID) (int64, error)
	Currval(sequence types.OID) (int64, error)
	Lastval() (int64, error)
	Setval(sequence types.OID, value int64, called bool) error
	// Call answers catalog functions that have no method of their own here; ok false
	// means that it does not know the function. It returns one value, or a row per element.
	Call(function string, args []types.Value) (rows []types.Row, ok bool, err error)
}
