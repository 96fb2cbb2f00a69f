// Package catalog holds tables, columns, indexes, roles, sequences and placement as
// an immutable, versioned value, and the rows it is stored in.
//
// A Catalog never changes: an Edit makes the next one and tells which rows differ.
// So a plan, a session and a shard may share one without a lock.
package catalog

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// Catalog is everything the database knows about its objects at one version. It is
// immutable and safe to share; so is whatever its methods return.
type Catalog struct {
	version    uint64
	database   Database
	nextOID    types.OID
	relations  map[types.OID]*Relation
	names      map[qualified]*Relation
	schemas    map[string]*Schema
	roles      map[string]*Role
	extensions map[string]*Extension
	virtual    *virtual
}

// qualified is a schema and a name in it.
type qualified struct{ schema, name string }

// Database is the database the catalog belongs to.
type Database struct {
	OID     types.OID `json:"oid"`
	Name    string    `json:"name"`
	Owner   types.OID `json:"owner"`
	Comment string    `json:"comment,omitempty"`
	ACL     []Grant   `json:"acl,omitempty"`
}

// Schema is a namespace. System schemas hold virtual relations and cannot be dropped.
type Schema struct {
	OID     types.OID `json:"oid"`
	Name    string    `json:"name"`
	Owner   types.OID `json:"owner"`
	System  bool      `json:"system,omitempty"`
	Comment string    `json:"comment,omitempty"`
	ACL     []Grant   `json:"acl,omitempty"`
}

// Extension is an installed extension.
type Extension struct {
	OID     types.OID `json:"oid"`
	Name    string    `json:"name"`
	Version string    `json:"version"`
	Schema  string    `json:"schema"`
}

// virtual holds the relations that code provides and no row stores.
type virtual struct {
	relations map[types.OID]*Relation
	names     map[qualified]*Relation
}

// Version is the commit timestamp of the last change.
func (c *Catalog) Version() uint64 { return c.version }

// Database is the database the catalog belongs to.
func (c *Catalog) Database() Database { return c.database }

// Schema finds a schema by name.
func (c *Catalog) Schema(name string) (*Schema, bool) {
	s, ok := c.schemas[name]
	return s, ok
}

// Relation finds a table, index, sequence or view by schema and name.
func (c *Catalog) Relation(schema, name string) (*Relation, bool) {
	if r, ok := c.names[qualified{schema, name}]; ok {
		return r, true
	}
	r, ok := c.virtual.names[qualified{schema, name}]
	return r, ok
}

// ByOID finds a relation by its number.
func (c *Catalog) ByOID(oid types.OID) (*Relation, bool) {
	if r, ok := c.relations[oid]; ok {
		return r, true
	}
	r, ok := c.virtual.relations[oid]
	return r, ok
}

// Resolve finds the relation that a name means under a search path: 42P01 when there
// is none, 0A000 when the name belongs to another database. As in PostgreSQL
// pg_catalog is searched first unless the path names it; schemas of the path that do
// not exist are skipped. Schema helios is searched last wherever it stands, because
// "$user" brings it into the path of a user of that name.
func (c *Catalog) Resolve(searchPath []string, name sql.Name) (*Relation, error) {
	schema, rel, err := c.splitName(name)
	if err != nil {
		return nil, err
	}
	if schema != "" {
		if r, ok := c.Relation(schema, rel); ok {
			return r, nil
		}
		return nil, types.Errorf("42P01", "relation %q does not exist", schema+"."+rel)
	}
	if !slices.Contains(searchPath, "pg_catalog") {
		if r, ok := c.Relation("pg_catalog", rel); ok {
			return r, nil
		}
	}
	for _, s := range searchPath {
		if r, ok := c.Relation(s, rel); ok && s != ownSchema {
			return r, nil
		}
	}
	if slices.Contains(searchPath, ownSchema) {
		if r, ok := c.Relation(ownSchema, rel); ok {
			return r, nil
		}
	}
	return nil, types.Errorf("42P01", "relation %q does not exist", rel)
}

// ownSchema holds the cluster's views and functions, and hidden tables.
const ownSchema = "helios"

// ResolveNew tells in which schema a new object of this name goes and its bare name:
// 3F000 when the schema does not exist or the path names none that does. Of the path
// system schemas are passed over.
func (c *Catalog) ResolveNew(searchPath []string, name sql.Name) (schema, bare string, err error) {
	schema, bare, err = c.splitName(name)
	if err != nil {
		return "", "", err
	}
	if schema != "" {
		if _, ok := c.schemas[schema]; !ok {
			return "", "", types.Errorf("3F000", "schema %q does not exist", schema)
		}
		return schema, bare, nil
	}
	for _, s := range searchPath {
		if found, ok := c.schemas[s]; ok && !found.System {
			return s, bare, nil
		}
	}
	return "", "", types.Errorf("3F000", "no schema has been selected to create in")
}

func (c *Catalog) splitName(name sql.Name) (schema, rel string, err error) {
	switch len(name) {
	case 1:
		return "", name[0], nil
	case 2:
		return name[0], name[1], nil
	case 3:
		if name[0] == c.database.Name {
			return name[1], name[2], nil
		}
		return "", "", types.Errorf("0A000", "cross-database references are not implemented: %q", name.String())
	}
	return "", "", types.Errorf("42601", "improper qualified name (too many dotted names): %s", name)
}

// Relations gives all relations in order of their OID, virtual ones included.
func (c *Catalog) Relations() iter.Seq[*Relation] {
	return func(yield func(*Relation) bool) {
		all := slices.Concat(slices.Collect(maps.Values(c.virtual.relations)), slices.Collect(maps.Values(c.relations)))
		slices.SortFunc(all, func(a, b *Relation) int { return cmp.Compare(a.OID, b.OID) })
		for _, r := range all {
			if !yield(r) {
				return
			}
		}
	}
}

// Schemas gives all schemas in order of their OID.
func (c *Catalog) Schemas() []*Schema {
	return sorted(c.schemas, func(s *Schema) types.OID { return s.OID })
}

// Roles gives all roles in order of their OID.
func (c *Catalog) Roles() []*Role {
	return sorted(c.roles, func(r *Role) types.OID { return r.OID })
}

// Extensions gives the installed extensions in order of their OID.
func (c *Catalog) Extensions() []*Extension {
	return sorted(c.extensions, func(e *Extension) types.OID { return e.OID })
}

// Role finds a role by name.
func (c *Catalog) Role(name string) (*Role, bool) {
	r, ok := c.roles[name]
	return r, ok
}

// RoleByOID finds a role by number.
func (c *Catalog) RoleByOID(oid types.OID) (*Role, bool) {
	for _, r := range c.roles {
		if r.OID == oid {
			return r, true
		}
	}
	return nil, false
}

// Extension finds an installed extension by name.
func (c *Catalog) Extension(name string) (*Extension, bool) {
	e, ok := c.extensions[name]
	return e, ok
}

// WithVirtual gives the same catalog with these relations provided by code: they are
// found like any other and no row stores them.
func (c *Catalog) WithVirtual(relations []*Relation) *Catalog {
	next := *c
	next.virtual = &virtual{
		relations: maps.Clone(c.virtual.relations),
		names:     maps.Clone(c.virtual.names),
	}
	for _, r := range relations {
		next.virtual.relations[r.OID] = r
		next.virtual.names[qualified{r.Schema, r.Name}] = r
	}
	return &next
}

func sorted[T any](m map[string]*T, oid func(*T) types.OID) []*T {
	all := slices.Collect(maps.Values(m))
	slices.SortFunc(all, func(a, b *T) int { return cmp.Compare(oid(a), oid(b)) })
	return all
}
