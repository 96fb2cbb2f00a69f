package shard

import (
	"context"
	"slices"
	"strconv"

	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/ddl"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/txn"
	"github.com/heliosdb/helios/types"
)

// DDL changes the catalog inside the transaction. One DDL at a time: the mark's lock.
func (t *Tx) DDL(ctx context.Context, stmt sql.Statement, env *exec.Env) (string, error) {
	m := t.c.take()
	if m.gid != "" {
		t.e.enlist(t, m.gid)
	}
	if err := t.e.serving(); err != nil {
		return "", err
	}
	if err := t.writable(); err != nil {
		return "", err
	}
	if !t.e.whole(t.o.Info) {
		return "", notHere("changing the schema")
	}
	if tag, ok, err := t.e.maintain(stmt); ok {
		return tag, err
	}
	if err := t.lockCatalog(ctx); err != nil {
		return "", err
	}
	before := t.Catalog()
	change, err := ddl.Apply(before, stmt, ddl.Env{
		User: t.o.Info.User(), SearchPath: env.Builtin.SearchPath, Password: t.e.o.Password, Alone: t.e.o.Alone,
		Bind: plan.Env{Functions: t.e.Functions(), Builtin: env.Builtin},
	})
	if err != nil {
		return "", err
	}
	for _, n := range change.Notices {
		t.o.Info.Notice(n)
	}
	if err := t.alter(ctx, before, change); err != nil {
		return "", err
	}
	// A router runs what follows itself: it concerns all shards.
	if change.Then == nil || !t.e.o.Alone {
		return change.Tag, nil
	}
	count, err := t.follow(ctx, change.Then, env)
	if change.Tag == "SELECT" {
		change.Tag += " " + strconv.FormatInt(count, 10)
	}
	return change.Tag, err
}

// follow runs a statement that a DDL brings with it.
func (t *Tx) follow(ctx context.Context, stmt sql.Statement, env *exec.Env) (int64, error) {
	q, err := plan.Bind(stmt, plan.Env{
		Catalog: t.Catalog(), SearchPath: env.Builtin.SearchPath, Functions: t.e.Functions(), Builtin: env.Builtin,
	})
	if err != nil {
		return 0, err
	}
	res, err := t.Query(ctx, q, env)
	if err != nil {
		return 0, err
	}
	return res.Count(), res.Rows.Close()
}

// lockCatalog takes the lock that keeps DDLs apart, and refuses when another one has
// committed since this transaction's catalog was taken.
func (t *Tx) lockCatalog(ctx context.Context) error {
	before := t.Catalog().Version()
	t.writesEverywhere()
	if err := t.tx.Lock(ctx, catalogMark, txn.Update, txn.Block, 0); err != nil {
		return err
	}
	if t.draft == nil && t.fixed != 0 && t.e.Catalog().Version() != before {
		return types.Errorf("40001", "could not serialize access due to a concurrent schema change")
	}
	return nil
}

// alter writes the changed catalog rows and does what the change demands of tables.
func (t *Tx) alter(ctx context.Context, before *catalog.Catalog, change ddl.Change) error {
	rows, err := change.Edit.Rows()
	if err != nil || len(rows) == 0 && len(change.Fills) == 0 {
		return err
	}
	for _, r := range rows {
		key := append([]byte{catalogPrefix}, r.Key...)
		if err := t.tx.Lock(ctx, key, txn.Update, txn.Block, 0); err != nil {
			return err
		}
		if r.Value == nil {
			err = t.tx.Delete(key)
		} else {
			err = t.tx.Put(key, r.Value)
		}
		if err != nil {
			return err
		}
	}
	if err := t.tx.Put(catalogMark, nil); err != nil {
		return err
	}
	after := t.e.withVirtual(change.Edit.Catalog())
	for _, f := range change.Fills {
		if err := t.fill(ctx, before, after, f); err != nil {
			return err
		}
	}
	t.draft = after
	return t.ownNew(ctx, before, after)
}

// ownNew gives a shard that is a cluster of its own the units of new tables.
func (t *Tx) ownNew(ctx context.Context, before, after *catalog.Catalog) error {
	if !t.e.o.Alone {
		return nil
	}
	var units []placement.Unit
	for rel := range after.Relations() {
		if _, old := before.ByOID(rel.OID); old || rel.Kind != catalog.KindTable || rel.Virtual {
			continue
		}
		p, err := placement.For(rel, t.e.opts.Slots)
		if err != nil {
			return err
		}
		units = append(units, p.Units()...)
	}
	if len(units) == 0 {
		return nil
	}
	return t.e.OwnAll(ctx, units)
}

// fill does to a table's rows what a change of the catalog demands. It keeps writers
// out first.
func (t *Tx) fill(ctx context.Context, before, after *catalog.Catalog, f ddl.Fill) error {
	switch f.Kind {
	case ddl.DropSequence:
		return nil // its number is never given again, so its mark is never read
	case ddl.SetSequence:
		return t.e.SetSequence(ctx, f.Table, f.Value, false, 0)
	}
	if err := t.tx.Lock(ctx, tableLock(f.Table), txn.Update, txn.Block, 0); err != nil {
		return err
	}
	switch f.Kind {
	case ddl.FillEmpty, ddl.DropTable:
		return t.clear(ctx, before, f.Table)
	case ddl.FillIndex:
		return t.fillIndex(ctx, before, after, f)
	case ddl.DropIndex:
		return t.clearPrefix(ctx, indexKeyPrefix(f.Index))
	case ddl.FillNotNull, ddl.FillCheck:
		return t.checkRows(ctx, before, after, f)
	case ddl.FillReplace:
		return t.replaceRows(ctx, before, after, f)
	}
	return types.Errorf("0A000", "%s is not supported", f.Kind)
}

// clear deletes all rows of a table and their index entries. They stay readable at older
// snapshots.
func (t *Tx) clear(ctx context.Context, cat *catalog.Catalog, oid types.OID) error {
	rel, ok := cat.ByOID(oid)
	if !ok {
		return nil // made in this transaction, or gone
	}
	for _, x := range rel.Indexes {
		if err := t.clearPrefix(ctx, indexKeyPrefix(x.OID)); err != nil {
			return err
		}
	}
	return t.clearPrefix(ctx, tablePrefix(oid))
}

// newest opens a snapshot of everything committed, for work under a table's lock.
func (t *Tx) newest(ctx context.Context) (*source, error) {
	r, err := t.e.read(ctx, 0, &start{}, false)
	if err != nil {
		return nil, err
	}
	return &source{e: t.e, t: t, r: r}, nil
}

func (t *Tx) clearPrefix(ctx context.Context, prefix []byte) error {
	s, err := t.newest(ctx)
	if err != nil {
		return err
	}
	defer s.r.close()
	it := s.view().Scan(prefix, prefixEnd(prefix), false)
	defer it.Close()
	for it.Next() {
		if err := t.tx.Delete(slices.Clone(it.Row().Key)); err != nil {
			return err
		}
	}
	return it.Err()
}

// eachRow calls f with the rows of a table that the shard holds.
func (t *Tx) eachRow(ctx context.Context, tb *table, f func(unit uint32, row types.Row) error) error {
	s, err := t.newest(ctx)
	if err != nil {
		return err
	}
	defer s.r.close()
	prefix := tablePrefix(tb.rel.OID)
	it := s.view().Scan(prefix, prefixEnd(prefix), false)
	defer it.Close()
	for it.Next() {
		row, err := tb.decode(it.Row().Value, nil)
		if err != nil {
			return err
		}
		if err := f(unitOfRowKey(it.Row().Key), row); err != nil {
			return err
		}
	}
	return it.Err()
}

// fillIndex writes the entries of a new index; 23505 when a unique one would have two.
func (t *Tx) fillIndex(ctx context.Context, before, after *catalog.Catalog, f ddl.Fill) error {
	old, ok := before.ByOID(f.Table)
	if !ok {
		return nil // a new table has no rows
	}
	rel, _ := after.ByOID(f.Table)
	tb, err := t.e.table(ctx, after, rel)
	if err != nil {
		return err
	}
	source, err := t.e.table(ctx, before, old)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	return t.eachRow(ctx, source, func(unit uint32, row types.Row) error {
		entries, err := tb.entries(unit, row)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.index.OID != f.Index {
				continue
			}
			if e.index.Unique && (!e.nulls || e.index.NullsNotDistinct) {
				if seen[string(e.prefix)] {
					err := types.AsError(duplicateKey(tb, e.index.Index, row))
					return types.Errorf("23505", "could not create unique index %q", e.index.Name).
						WithDetail("%s", duplicatedDetail(err.Detail))
				}
				seen[string(e.prefix)] = true
			}
			if err := t.tx.Put(e.key, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

func duplicatedDetail(detail string) string {
	if i := len(detail) - len(" already exists."); i > 0 {
		return detail[:i] + " is duplicated."
	}
	return detail
}

// checkRows holds a new NOT NULL or CHECK against the rows there are.
func (t *Tx) checkRows(ctx context.Context, before, after *catalog.Catalog, f ddl.Fill) error {
	old, ok := before.ByOID(f.Table)
	if !ok {
		return nil // a new table has no rows
	}
	rel, _ := after.ByOID(f.Table)
	tb, err := t.e.table(ctx, after, rel)
	if err != nil {
		return err
	}
	broken := func(row types.Row) (bool, error) { return row[f.Column-1].IsNull(), nil }
	fault := types.Errorf("23502", "column %q of relation %q contains null values", columnName(rel, f.Column), old.Name)
	fault.Column = columnName(rel, f.Column)
	if f.Kind == ddl.FillCheck {
		fault = types.Errorf("23514", "check constraint %q of relation %q is violated by some row", f.Constraint, old.Name)
		fault.Constraint = f.Constraint
		if broken, err = t.violates(ctx, after, rel, f.Constraint); err != nil {
			return err
		}
	}
	fault.Schema, fault.Table = old.Schema, old.Name
	return t.eachRow(ctx, tb, func(_ uint32, row types.Row) error {
		bad, err := broken(row)
		if err == nil && bad {
			return fault
		}
		return err
	})
}

func columnName(rel *catalog.Relation, num int16) string {
	if num < 1 || int(num) > len(rel.Columns) {
		return ""
	}
	return rel.Columns[num-1].Name
}

// violates makes the test whether a row breaks a check constraint.
func (t *Tx) violates(ctx context.Context, cat *catalog.Catalog, rel *catalog.Relation, name string) (func(types.Row) (bool, error), error) {
	i := slices.IndexFunc(rel.Constraints, func(c catalog.Constraint) bool { return c.Name == name })
	if i < 0 {
		return nil, types.Errorf("42704", "constraint %q of relation %q does not exist", name, rel.Name)
	}
	x, err := plan.BindExpr(rel.Constraints[i].CheckExpr(), rel, types.T(types.BoolOID), plan.Env{Catalog: cat, SearchPath: []string{"public"}})
	if err != nil {
		return nil, err
	}
	f, err := exec.CompileExpr(ctx, x, &exec.Env{})
	return func(row types.Row) (bool, error) {
		v, err := f(row)
		return !v.IsNull() && !v.AsBool(), err
	}, err
}

// replaceRows moves every row to its place under a new primary key and placement. Over
// several shards a row may have to leave this one, which only an empty table makes easy.
func (t *Tx) replaceRows(ctx context.Context, before, after *catalog.Catalog, f ddl.Fill) error {
	old, ok := before.ByOID(f.Table)
	if !ok {
		return nil
	}
	rel, _ := after.ByOID(f.Table)
	from, err := t.e.table(ctx, before, old)
	if err != nil {
		return err
	}
	to, err := t.e.table(ctx, after, rel)
	if err != nil {
		return err
	}
	s, err := t.newest(ctx)
	if err != nil {
		return err
	}
	defer s.r.close()
	var rows []types.Row
	err = t.eachRow(ctx, from, func(_ uint32, row types.Row) error {
		if !t.e.o.Alone && to.placer.Spread() {
			return types.Errorf("0A000", "changing the primary key of a table with rows is not supported on several shards").
				WithHint("Create a table with the key and copy the rows into it.")
		}
		rows = append(rows, row)
		return nil
	})
	if err != nil {
		return err
	}
	if err := t.clear(ctx, before, f.Table); err != nil {
		return err
	}
	for _, row := range rows {
		for len(row) < len(rel.Columns) {
			row = append(row, types.Null)
		}
		if err := s.insert(ctx, to, row); err != nil {
			return err
		}
	}
	return nil
}

// setPlacement is helios.set_placement(table, state, generation, blob): a step of
// training, inside the transaction that calls it.
func (e *Engine) setPlacement(ctx context.Context, c *conn, args []types.Value) (types.Value, error) {
	t := c.tx()
	if t == nil {
		return types.Null, types.Errorf("25P01", "helios.set_placement needs a transaction")
	}
	if err := t.lockCatalog(ctx); err != nil {
		return types.Null, err
	}
	before := t.Catalog()
	rel, ok := before.ByOID(types.OID(args[0].AsInt()))
	if !ok || rel.Placement.Strategy != catalog.Vector {
		return types.Null, types.Errorf("42P01", "there is no vector-placed table with number %d", args[0].AsInt())
	}
	next := rel.Clone()
	next.Placement.State = args[1].AsText()
	next.Placement.Generation = uint32(args[2].AsInt())
	if blob := args[3].AsBytes(); len(blob) > 0 {
		next.Placement.Blob = slices.Clone(blob)
	}
	edit := catalog.NewEdit(before)
	if err := edit.ReplaceRelation(next); err != nil {
		return types.Null, err
	}
	return types.Text(""), t.alter(ctx, before, ddl.Change{Edit: edit})
}

// maintain runs the statements that change nothing visible. Old versions are collected as
// the log and the store move on and the planner keeps no statistics, so VACUUM and ANALYZE
// have nothing to do; CHECKPOINT writes what is in memory to disk.
func (e *Engine) maintain(stmt sql.Statement) (tag string, ok bool, err error) {
	switch x := stmt.(type) {
	case *sql.Analyze:
		if x.Vacuum {
			return "VACUUM", true, nil
		}
		return "ANALYZE", true, nil
	case *sql.Checkpoint:
		return "CHECKPOINT", true, e.store().Flush()
	}
	return "", false, nil
}
