package shard

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"

	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// table is what reading and writing a relation at one catalog version needs, compiled
// once and cached by the relation's address. It is immutable.
type table struct {
	rel     *catalog.Relation
	placer  *placement.Placer
	types   []types.Type
	missing types.Row // values of columns added after a row was written
	indexes []*index  // without the primary key
}

// index is a secondary index, compiled.
type index struct {
	*catalog.Index
	keys  []func(types.Row) (types.Value, error)
	types []types.Type
	where func(types.Row) (bool, error) // nil: every row
}

// table compiles a relation.
func (s *Shard) table(ctx context.Context, cat *catalog.Catalog, rel *catalog.Relation) (*table, error) {
	if t, ok := s.tables.Load(rel); ok {
		return t.(*table), nil
	}
	t := &table{rel: rel, missing: make(types.Row, len(rel.Columns))}
	var err error
	if t.placer, err = placement.For(rel, s.opts.Slots); err != nil {
		return nil, err
	}
	env := plan.Env{Catalog: cat, SearchPath: []string{"public"}, Builtin: &builtin.Context{}}
	for i, c := range rel.Columns {
		t.types = append(t.types, c.Type)
		if c.MissingExpr() == nil {
			continue
		}
		x, err := plan.BindExpr(c.MissingExpr(), nil, c.Type, env)
		if err != nil {
			return nil, err
		}
		if t.missing[i], err = exec.EvalConst(ctx, x, &exec.Env{}); err != nil {
			return nil, err
		}
	}
	for _, x := range rel.Indexes {
		if x.Method != "btree" { // vector indexes: exact search over the rows serves them
			continue
		}
		ix, err := t.index(ctx, x, env)
		if err != nil {
			return nil, err
		}
		t.indexes = append(t.indexes, ix)
	}
	s.tables.Store(rel, t)
	return t, nil
}

func (t *table) index(ctx context.Context, x *catalog.Index, env plan.Env) (*index, error) {
	ix := &index{Index: x}
	for i := range x.Keys {
		k := &x.Keys[i]
		if k.Column != 0 {
			at := int(k.Column) - 1
			ix.types = append(ix.types, t.types[at])
			ix.keys = append(ix.keys, func(row types.Row) (types.Value, error) { return row[at], nil })
			continue
		}
		e, err := plan.BindExpr(k.ParsedExpr(), t.rel, types.Type{}, env)
		if err != nil {
			return nil, err
		}
		f, err := exec.CompileExpr(ctx, e, &exec.Env{})
		if err != nil {
			return nil, err
		}
		ix.types = append(ix.types, e.Type())
		ix.keys = append(ix.keys, f)
	}
	if x.WhereExpr() != nil {
		cond, err := plan.BindExpr(x.WhereExpr(), t.rel, types.T(types.BoolOID), env)
		if err != nil {
			return nil, err
		}
		if ix.where, err = exec.CompileFilter(ctx, cond, &exec.Env{}); err != nil {
			return nil, err
		}
	}
	return ix, nil
}

// encode gives a row's stored form.
func (t *table) encode(row types.Row) []byte { return types.AppendRow(nil, t.types, row) }

// decode reads a stored row; need says which columns are wanted, nil means all. The row
// points into a copy of value.
func (t *table) decode(value []byte, need []bool) (types.Row, error) {
	row := make(types.Row, len(t.types))
	stored, err := types.DecodeRow(row, slices.Clone(value), t.types, need)
	if err != nil {
		return nil, err
	}
	for i := stored; i < len(row); i++ {
		row[i] = t.missing[i]
	}
	return row, nil
}

// entry is an index entry of a row: the prefix with its key columns, for uniqueness,
// and the whole key.
type entry struct {
	index  *index
	prefix []byte
	key    []byte
	nulls  bool // a key column is NULL
}

// hasEntry tells whether an index entry is that of a row as it is: a copied table may
// have entries of values that the row had before.
func (t *table) hasEntry(x *index, unit uint32, row types.Row, key []byte) (bool, error) {
	entries, err := t.entries(unit, row)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(entries, func(e entry) bool { return e.index == x && bytes.Equal(e.key, key) }), nil
}

// entries gives the index entries of a row in a unit.
func (t *table) entries(unit uint32, row types.Row) ([]entry, error) {
	var out []entry
	for _, x := range t.indexes {
		if x.where != nil {
			if in, err := x.where(row); err != nil {
				return nil, err
			} else if !in {
				continue
			}
		}
		e := entry{index: x, prefix: indexKeyPrefix(x.OID)}
		for i, key := range x.keys {
			v, err := key(row)
			if err != nil {
				return nil, err
			}
			e.nulls = e.nulls || v.IsNull()
			e.prefix = types.AppendKey(e.prefix, v, x.Keys[i].Desc, x.Keys[i].NullsFirst)
		}
		e.key = binary.BigEndian.AppendUint32(slices.Clone(e.prefix), unit)
		e.key = appendPrimaryKey(e.key, t.rel, row)
		out = append(out, e)
	}
	return out, nil
}

// rowKeyOf finds the row that an index entry stands for: what follows its key columns is
// unit and primary key.
func (x *index) rowKeyOf(table types.OID, key []byte) (row []byte, unit uint32, err error) {
	rest := key[5:]
	for i, t := range x.types {
		if rest, err = types.SkipKey(rest, t, x.Keys[i].Desc); err != nil {
			return nil, 0, err
		}
	}
	if len(rest) < 4 {
		return nil, 0, types.Errorf("XX001", "index %q has a damaged entry", x.Name)
	}
	return append(tablePrefix(table), rest...), binary.BigEndian.Uint32(rest), nil
}
