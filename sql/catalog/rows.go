package catalog

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"iter"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// Format is the number written into every row; rows of another number are refused.
// docs/format/catalog.md draws the rows.
const Format = 1

// The first byte of a row's key tells its kind; a number (OID, big endian) follows
// where there can be several.
const (
	counterKey   = "c"
	databaseKey  = "d"
	extensionRow = 'e'
	relationRow  = 'r'
	schemaRow    = 's'
	roleRow      = 'u'
)

// row is the value of a catalog row: exactly one of its pointers is set.
type row struct {
	Format    int        `json:"format"`
	NextOID   *types.OID `json:"nextOID,omitempty"`
	Database  *Database  `json:"database,omitempty"`
	Extension *Extension `json:"extension,omitempty"`
	Relation  *Relation  `json:"relation,omitempty"`
	Schema    *Schema    `json:"schema,omitempty"`
	Role      *Role      `json:"role,omitempty"`
}

func oidKey(kind byte, oid types.OID) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, uint32(oid)))
}

// encodeRow gives the value of the row with this key, nil if there is none.
func (c *Catalog) encodeRow(key string) ([]byte, error) {
	r, ok := c.row(key)
	if !ok {
		return nil, nil
	}
	r.Format = Format
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, types.Errorf("XX000", "catalog row %q: %w", key, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (c *Catalog) row(key string) (row, bool) {
	switch key {
	case counterKey:
		return row{NextOID: &c.nextOID}, c.nextOID != 0
	case databaseKey:
		return row{Database: &c.database}, c.database.Name != ""
	}
	oid := types.OID(binary.BigEndian.Uint32([]byte(key[1:])))
	switch key[0] {
	case relationRow:
		r, ok := c.relations[oid]
		return row{Relation: r}, ok
	case schemaRow:
		s, ok := byOID(c.schemas, func(s *Schema) bool { return s.OID == oid })
		return row{Schema: s}, ok
	case roleRow:
		r, ok := byOID(c.roles, func(r *Role) bool { return r.OID == oid })
		return row{Role: r}, ok
	case extensionRow:
		x, ok := byOID(c.extensions, func(x *Extension) bool { return x.OID == oid })
		return row{Extension: x}, ok
	}
	return row{}, false
}

func byOID[T any](m map[string]*T, is func(*T) bool) (*T, bool) {
	for _, v := range m {
		if is(v) {
			return v, true
		}
	}
	return nil, false
}

// Rows gives all rows of the catalog in order of their keys.
func (c *Catalog) Rows() ([]Change, error) {
	e := NewEdit(empty())
	e.draft = c
	e.changed[counterKey], e.changed[databaseKey] = true, true
	for oid, r := range c.relations {
		if r.Kind != KindIndex {
			e.changed[oidKey(relationRow, oid)] = true
		}
	}
	for _, s := range c.schemas {
		e.changed[oidKey(schemaRow, s.OID)] = true
	}
	for _, r := range c.roles {
		e.changed[oidKey(roleRow, r.OID)] = true
	}
	for _, x := range c.extensions {
		e.changed[oidKey(extensionRow, x.OID)] = true
	}
	return e.Rows()
}

// Load makes the catalog of some version from all its rows, in any order. XX001 tells
// that a row is damaged or of another format.
func Load(version uint64, rows iter.Seq2[[]byte, []byte]) (*Catalog, error) {
	c := empty()
	c.version = version
	for key, value := range rows {
		if err := c.loadRow(key, value); err != nil {
			return nil, err
		}
	}
	if c.nextOID == 0 || c.database.Name == "" {
		return nil, types.Errorf("XX001", "catalog rows are incomplete")
	}
	return c, nil
}

func (c *Catalog) loadRow(key, value []byte) error {
	var r row
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return types.Errorf("XX001", "catalog row %q is damaged: %w", key, err)
	}
	if r.Format != Format {
		return types.Errorf("XX001", "catalog row %q has format %d, this version reads format %d", key, r.Format, Format)
	}
	switch {
	case r.NextOID != nil:
		c.nextOID = *r.NextOID
	case r.Database != nil:
		c.database = *r.Database
	case r.Extension != nil:
		c.extensions[r.Extension.Name] = r.Extension
	case r.Schema != nil:
		c.schemas[r.Schema.Name] = r.Schema
	case r.Role != nil:
		c.roles[r.Role.Name] = r.Role
	case r.Relation != nil:
		return c.put(r.Relation)
	default:
		return types.Errorf("XX001", "catalog row %q says nothing", key)
	}
	return nil
}

func empty() *Catalog {
	return &Catalog{
		relations:  make(map[types.OID]*Relation),
		names:      make(map[qualified]*Relation),
		schemas:    make(map[string]*Schema),
		roles:      make(map[string]*Role),
		extensions: make(map[string]*Extension),
		virtual:    &virtual{relations: make(map[types.OID]*Relation), names: make(map[qualified]*Relation)},
	}
}

// put adds a relation and, under their own names, its indexes.
func (c *Catalog) put(r *Relation) error {
	if err := r.parse(); err != nil {
		return err
	}
	all := []*Relation{r}
	for _, x := range r.AllIndexes() {
		all = append(all, x.relation(r))
	}
	for i, each := range all {
		if _, ok := c.Relation(each.Schema, each.Name); ok {
			for _, undo := range all[:i] {
				delete(c.relations, undo.OID)
				delete(c.names, qualified{undo.Schema, undo.Name})
			}
			return types.Errorf("42P07", "relation %q already exists", each.Name)
		}
		c.relations[each.OID] = each
		c.names[qualified{each.Schema, each.Name}] = each
	}
	return nil
}

func (c *Catalog) remove(r *Relation) {
	delete(c.relations, r.OID)
	delete(c.names, qualified{r.Schema, r.Name})
	for _, x := range r.AllIndexes() {
		delete(c.relations, x.OID)
		delete(c.names, qualified{r.Schema, x.Name})
	}
}

// relation is the index as a relation of its own, as pg_class shows it.
func (x *Index) relation(table *Relation) *Relation {
	return &Relation{
		OID: x.OID, Schema: table.Schema, Name: x.Name, Kind: KindIndex, Owner: table.Owner,
		Parent: table.OID, Options: x.Options, Hidden: x.Hidden || table.Hidden, Comment: x.Comment,
	}
}

// parse fills the parsed form of every SQL text the relation holds.
func (r *Relation) parse() (err error) {
	parse := func(text string) sql.Expr {
		if text == "" || err != nil {
			return nil
		}
		e, perr := sql.ParseExpr(text)
		if perr != nil {
			err = types.Errorf("XX001", "relation %q holds an expression that does not parse: %s: %w", r.Name, text, perr)
		}
		return e
	}
	for i := range r.Columns {
		c := &r.Columns[i]
		c.defaultExpr, c.missingExpr = parse(c.Default), parse(c.Missing)
	}
	for i := range r.Constraints {
		r.Constraints[i].parsed = parse(r.Constraints[i].Expr)
	}
	for _, x := range r.AllIndexes() {
		x.whereExpr = parse(x.Where)
		for i := range x.Keys {
			x.Keys[i].parsed = parse(x.Keys[i].Expr)
		}
	}
	if r.View != "" && err == nil {
		r.viewQuery, err = parseView(r)
	}
	return err
}

func parseView(r *Relation) (*sql.Select, error) {
	parsed, err := sql.Parse(r.View)
	if err != nil {
		return nil, types.Errorf("XX001", "view %q does not parse: %w", r.Name, err)
	}
	if len(parsed) == 1 {
		if q, ok := parsed[0].Statement.(*sql.Select); ok {
			return q, nil
		}
	}
	return nil, types.Errorf("XX001", "view %q is not a query", r.Name)
}
