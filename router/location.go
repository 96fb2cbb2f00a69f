package router

import (
	"context"
	"errors"
	"strings"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// A vector-placed table's rows lie in the cells of their vectors, so the primary key does
// not tell where. Its location table, a hidden table placed by the hash of the primary
// key, does: its columns are those of the primary key, in the key's order, and the cell.
// It is written in the same transaction, and it is what keeps the primary key unique.

// location gives the location table of a relation, nil for one that has none.
func (s *statement) location(rel *catalog.Relation) (*catalog.Relation, error) {
	if rel.Placement.Location == 0 {
		return nil, nil
	}
	loc, ok := s.t.Catalog().ByOID(rel.Placement.Location)
	if !ok {
		return nil, types.Errorf("XX001", "the location table of %q is missing", rel.Name)
	}
	return loc, nil
}

// locationRow is the location of a row in a cell.
func locationRow(rel, loc *catalog.Relation, row types.Row, cell uint32) types.Row {
	out := make(types.Row, len(loc.Columns))
	for i, k := range rel.PrimaryKey.Keys {
		out[i] = row[k.Column-1]
	}
	out[len(rel.PrimaryKey.Keys)] = types.Int(int64(cell))
	return out
}

// locationRows gives the locations of rows, each with its own place.
func (s *statement) locationRows(rel, loc *catalog.Relation, at []placed) ([]placed, error) {
	rows := make([]types.Row, len(at))
	for i, p := range at {
		rows[i] = locationRow(rel, loc, p.row, p.unit.N)
	}
	return s.place(loc, rows)
}

// addLocations adds the locations of new rows to the work, ahead of the rows themselves.
func (s *statement) addLocations(w *work, rel *catalog.Relation, at []placed) error {
	loc, err := s.location(rel)
	if err != nil || loc == nil {
		return err
	}
	rows, err := s.locationRows(rel, loc, at)
	if err != nil {
		return err
	}
	s.addInserts(w, loc, rows)
	return nil
}

// addNewLocations adds the locations of rows that are not there yet; inserted hears of
// the primary keys that were new.
func (s *statement) addNewLocations(w *work, rel, loc *catalog.Relation, at []placed, todo []int, inserted func(map[string]bool)) error {
	chosen := make([]placed, len(todo))
	for i, n := range todo {
		chosen[i] = at[n]
	}
	rows, err := s.locationRows(rel, loc, chosen)
	if err != nil {
		return err
	}
	t := sqlOf(loc)
	byShard := map[cluster.ShardID][]types.Row{}
	for _, p := range rows {
		byShard[p.shards[0]] = append(byShard[p.shards[0]], p.row)
	}
	for id, list := range byShard {
		for _, st := range t.insert(list, " ON CONFLICT DO NOTHING RETURNING "+t.keyList(), remote.Binary) {
			w.add(id, st, nil, func(a answer) error {
				keys, err := t.keysIn(a)
				inserted(keys)
				return err
			})
		}
	}
	return nil
}

// moveLocation adds what a change does to a row's location: gone with the row, or the
// cell of its new place.
func (s *statement) moveLocation(w *work, t tableSQL, loc *catalog.Relation, x exec.Change, fresh placed) error {
	l := sqlOf(loc)
	old := locationRow(t.rel, loc, x.Old, 0)
	at, err := s.place(loc, []types.Row{old})
	if err != nil {
		return err
	}
	where, params := l.where(old, 1)
	if x.New == nil || t.keyOf(x.Old) != t.keyOf(x.New) {
		w.add(at[0].shards[0], remote.Statement{SQL: "DELETE FROM " + l.name + " AS t WHERE " + where, Params: params}, nil, nil)
		if x.New == nil {
			return nil
		}
		rows, err := s.locationRows(t.rel, loc, []placed{fresh})
		if err != nil {
			return err
		}
		s.addInserts(w, loc, rows)
		return nil
	}
	cell := loc.Columns[len(t.rel.PrimaryKey.Keys)]
	where, params = l.where(old, 2)
	params = append([]remote.Param{param(cell.Type, types.Int(int64(fresh.unit.N)))}, params...)
	text := "UPDATE " + l.name + " AS t SET " + sql.QuoteIdent(cell.Name) + " = $1 WHERE " + where
	w.add(at[0].shards[0], remote.Statement{SQL: text, Params: params}, nil, nil)
	return nil
}

// nameConstraint words a duplicate key found in a location table for the user, who knows
// the table and its primary key.
func nameConstraint(cat *catalog.Catalog, rel *catalog.Relation, err error) error {
	var e *types.Error
	if rel.Placement.Location == 0 || !errors.As(err, &e) || e.Code != "23505" {
		return err
	}
	loc, ok := cat.ByOID(rel.Placement.Location)
	if !ok || e.Table != loc.Name && e.Constraint != loc.PrimaryKey.Name {
		return err
	}
	named := *e
	named.Schema, named.Table, named.Constraint = rel.Schema, rel.Name, rel.PrimaryKey.Name
	named.Message = strings.ReplaceAll(e.Message, loc.PrimaryKey.Name, rel.PrimaryKey.Name)
	return &named
}

// lookupCell finds the cell of the row with this row's primary key, locking its location.
func (s *statement) lookupCell(ctx context.Context, rel *catalog.Relation, row types.Row) (cell uint32, ok bool, err error) {
	loc, err := s.location(rel)
	if err != nil {
		return 0, false, err
	}
	l := sqlOf(loc)
	key := locationRow(rel, loc, row, 0)
	at, err := s.place(loc, []types.Row{key})
	if err != nil {
		return 0, false, err
	}
	w := s.newWork()
	st := l.cellQuery(len(rel.PrimaryKey.Keys), key)
	st.SQL += " FOR UPDATE"
	w.add(at[0].shards[0], st, nil, func(a answer) error {
		if len(a.rows) > 0 {
			ok = true
			cell, err = parseCell(a.rows[0][0])
		}
		return err
	})
	return cell, ok, w.run(ctx, false)
}

// cellQuery reads the cell of a primary key.
func (t tableSQL) cellQuery(keys int, key types.Row) remote.Statement {
	where, params := t.where(key, 1)
	return remote.Statement{
		SQL:    "SELECT " + column(t.rel.Columns[keys].Name) + " FROM " + t.name + " AS t WHERE " + where,
		Params: params, Result: remote.Binary,
	}
}

func parseCell(raw []byte) (uint32, error) {
	v, err := types.ParseBinary(types.T(types.Int4OID), raw)
	return uint32(v.AsInt()), err
}

// cellTargets finds the cells of the rows that a fragment reads by primary key; done is
// false when it does not.
func (s *statement) cellTargets(ctx context.Context, env *exec.Env, g *plan.Gather, rel *catalog.Relation, found *targetSet) (done bool, err error) {
	conds := primaryKeyConds(g, rel)
	loc, err := s.location(rel)
	if conds == nil || loc == nil || err != nil {
		return false, err
	}
	keys, fixed, err := keyValues(ctx, env, plan.Route{Rel: rel, Keys: conds})
	if err != nil || !fixed || len(keys) > lookupsMax {
		return false, err
	}
	cells, err := s.readCells(ctx, rel, loc, keys)
	if err != nil {
		return false, err
	}
	for _, cell := range cells {
		id, err := s.owner(placement.Unit{Space: uint32(rel.OID), N: cell})
		if err != nil {
			return false, err
		}
		found.addCell(id, rel.OID, cell)
	}
	if len(found.shards) == 0 { // no such row: any shard says so
		p, err := s.r.placer(s.m, rel)
		if err != nil {
			return false, err
		}
		return true, s.allOwnersOne(p, rel, found)
	}
	return true, nil
}

// lookupsMax bounds the primary keys looked up one by one; with more, all cells are read.
const lookupsMax = 256

// primaryKeyConds gives the values that a fragment's only scan fixes the primary key to,
// nil if it does not.
func primaryKeyConds(g *plan.Gather, rel *catalog.Relation) []plan.KeyCond {
	var conds []plan.KeyCond
	scans := 0
	plan.EachNode(g.Fragment, func(n plan.Node) bool {
		scan, ok := n.(*plan.Scan)
		if !ok || scan.Rel.OID != rel.OID {
			return true
		}
		scans++
		if a := scan.Access; a != nil && a.Index.OID == rel.PrimaryKey.OID && len(a.Prefix) == len(rel.PrimaryKey.Keys) {
			conds = a.Prefix
		}
		return true
	})
	if scans != 1 {
		return nil
	}
	return conds
}

// readCells looks primary keys up at the statement's snapshot.
func (s *statement) readCells(ctx context.Context, rel, loc *catalog.Relation, keys [][]types.Value) ([]uint32, error) {
	l := sqlOf(loc)
	w := s.newWork()
	w.reads = true
	var cells []uint32
	for _, key := range keys {
		row := make(types.Row, len(loc.Columns))
		copy(row, key)
		at, err := s.place(loc, []types.Row{row})
		if err != nil {
			return nil, err
		}
		w.add(at[0].shards[0], l.cellQuery(len(rel.PrimaryKey.Keys), row), nil, func(a answer) error {
			if len(a.rows) == 0 {
				return nil
			}
			cell, err := parseCell(a.rows[0][0])
			cells = append(cells, cell)
			return err
		})
	}
	return cells, w.run(ctx, false)
}
