package catalog

import (
	"bytes"
	"maps"
	"slices"

	"github.com/heliosdb/helios/types"
)

// Edit is the next catalog in the making. It is for one goroutine. Numbers it draws
// depend on the catalog and the order of calls alone, so the same edit of the same
// catalog gives the same rows on every shard.
//
// What is handed to an Edit belongs to the catalog and must not be changed any more.
type Edit struct {
	base    *Catalog
	draft   *Catalog
	changed map[string]bool // keys of rows that may differ
}

// Change is one catalog row to write; Value nil deletes it.
type Change struct {
	Key, Value []byte
}

// NewEdit starts an edit of a catalog, which stays as it is.
func NewEdit(c *Catalog) *Edit {
	draft := *c
	draft.relations = maps.Clone(c.relations)
	draft.names = maps.Clone(c.names)
	draft.schemas = maps.Clone(c.schemas)
	draft.roles = maps.Clone(c.roles)
	draft.extensions = maps.Clone(c.extensions)
	return &Edit{base: c, draft: &draft, changed: make(map[string]bool)}
}

// Catalog is the catalog as edited so far; later calls change what it shows.
func (e *Edit) Catalog() *Catalog { return e.draft }

// Finish gives the edited catalog under its version. The edit must not go on afterwards;
// Rows may still be asked.
func (e *Edit) Finish(version uint64) *Catalog {
	next := *e.draft
	next.version = version
	return &next
}

// NextOID draws the number of a new object.
func (e *Edit) NextOID() types.OID {
	oid := e.draft.nextOID
	e.draft.nextOID++
	e.changed[counterKey] = true
	return oid
}

// AddRelation adds a relation: 42P07 if its name or that of one of its indexes is
// taken, XX001 if one of its SQL texts does not parse.
func (e *Edit) AddRelation(r *Relation) error {
	if _, ok := e.draft.ByOID(r.OID); ok {
		return types.Errorf("XX000", "relation number %d is taken", r.OID)
	}
	if err := e.draft.put(r); err != nil {
		return err
	}
	e.changed[oidKey(relationRow, r.OID)] = true
	return nil
}

// ReplaceRelation puts a changed relation in the place of the one with its number, with
// the errors of AddRelation.
func (e *Edit) ReplaceRelation(r *Relation) error {
	old, ok := e.draft.relations[r.OID]
	if !ok {
		return types.Errorf("XX000", "relation number %d does not exist", r.OID)
	}
	e.draft.remove(old)
	if err := e.draft.put(r); err != nil {
		if restore := e.draft.put(old); restore != nil {
			return restore
		}
		return err
	}
	e.changed[oidKey(relationRow, r.OID)] = true
	return nil
}

// DropRelation removes a relation with its indexes. What depends on it is the caller's matter.
func (e *Edit) DropRelation(oid types.OID) {
	if r, ok := e.draft.relations[oid]; ok {
		e.draft.remove(r)
		e.changed[oidKey(relationRow, oid)] = true
	}
}

// PutSchema adds a schema, or replaces the one with its number or name.
func (e *Edit) PutSchema(s *Schema) {
	for name, old := range e.draft.schemas {
		if old.OID == s.OID || name == s.Name {
			e.DropSchema(name)
		}
	}
	e.draft.schemas[s.Name] = s
	e.changed[oidKey(schemaRow, s.OID)] = true
}

// DropSchema removes a schema; its relations are the caller's matter.
func (e *Edit) DropSchema(name string) {
	if s, ok := e.draft.schemas[name]; ok {
		delete(e.draft.schemas, name)
		e.changed[oidKey(schemaRow, s.OID)] = true
	}
}

// PutRole adds a role, or replaces the one with its number or name.
func (e *Edit) PutRole(r *Role) {
	for name, old := range e.draft.roles {
		if old.OID == r.OID || name == r.Name {
			e.DropRole(name)
		}
	}
	e.draft.roles[r.Name] = r
	e.changed[oidKey(roleRow, r.OID)] = true
}

// DropRole removes a role; what it owns is the caller's matter.
func (e *Edit) DropRole(name string) {
	if r, ok := e.draft.roles[name]; ok {
		delete(e.draft.roles, name)
		e.changed[oidKey(roleRow, r.OID)] = true
	}
}

// PutExtension adds an extension or replaces the one of its name.
func (e *Edit) PutExtension(x *Extension) {
	e.DropExtension(x.Name)
	e.draft.extensions[x.Name] = x
	e.changed[oidKey(extensionRow, x.OID)] = true
}

// DropExtension removes an extension.
func (e *Edit) DropExtension(name string) {
	if x, ok := e.draft.extensions[name]; ok {
		delete(e.draft.extensions, name)
		e.changed[oidKey(extensionRow, x.OID)] = true
	}
}

// SetDatabase changes the database's name, owner, comment or access list.
func (e *Edit) SetDatabase(d Database) {
	e.draft.database = d
	e.changed[databaseKey] = true
}

// Rows gives exactly the rows that differ from the catalog the edit began with, in
// order of their keys.
func (e *Edit) Rows() ([]Change, error) {
	var out []Change
	for _, key := range slices.Sorted(maps.Keys(e.changed)) {
		before, err := e.base.encodeRow(key)
		if err != nil {
			return nil, err
		}
		after, err := e.draft.encodeRow(key)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(before, after) {
			out = append(out, Change{Key: []byte(key), Value: after})
		}
	}
	return out, nil
}
