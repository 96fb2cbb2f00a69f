package shard

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/storage"
	"github.com/heliosdb/helios/txn"
	"github.com/heliosdb/helios/types"
)

// begin prepares a statement's first write to a table: the primary, a lock against DDL, a
// plan that is still the newest schema's, no write to a unit that is about to move.
func (s *source) begin(ctx context.Context, rel *catalog.Relation) (*table, error) {
	if err := s.e.serving(); err != nil {
		return nil, err
	}
	if rel.Placement.Location != 0 && !s.e.whole(s.t.o.Info) {
		return nil, notHere("writing a table that is placed by vector")
	}
	if err := s.t.writable(); err != nil {
		return nil, err
	}
	if err := s.t.tx.Lock(ctx, tableLock(rel.OID), txn.KeyShare, txn.Block, 0); err != nil {
		return nil, err
	}
	if err := s.unchanged(rel); err != nil {
		return nil, err
	}
	return s.e.table(ctx, s.t.Catalog(), rel)
}

// unchanged holds, under the lock against DDL, that a table is still what the statement was
// planned with: while it waited for the lock, an index may have come that its rows belong
// into. A transaction with DDL of its own has kept all others out since.
func (s *source) unchanged(rel *catalog.Relation) error {
	if s.t.draft != nil {
		return nil
	}
	if now, ok := s.e.Catalog().ByOID(rel.OID); ok && now.Same(rel) {
		return nil
	}
	changed := types.Errorf("40001", "could not serialize access due to a concurrent schema change")
	switch {
	case s.t.fixed != 0 || s.m.fixed: // at this snapshot the schema stays the old one
		return changed
	case s.m.schema != 0:
		return types.Errorf("ZH003", "stale schema: %q has changed since the plan was made", rel.Name)
	}
	return session.Replan(changed)
}

// tableLock is the key that writers share and DDL takes alone.
func tableLock(rel types.OID) []byte { return append([]byte{'t'}, tablePrefix(rel)[1:]...) }

// place finds the unit of a row and waits while the unit is moving; a row that belongs
// to another shard is STALE_MAP.
func (s *source) place(ctx context.Context, t *table, row types.Row) (uint32, error) {
	u, err := t.placer.Row(row)
	if err != nil {
		return 0, err
	}
	return u.N, s.touch(ctx, t, u)
}

// touch notes that the transaction writes a unit.
func (s *source) touch(ctx context.Context, t *table, u placement.Unit) error {
	if !t.placer.Spread() {
		if !s.e.whole(s.t.o.Info) {
			return notHere("writing a table that every shard has")
		}
		s.t.writesEverywhere()
		return nil
	}
	if _, ok := s.t.units[u]; ok {
		return nil
	}
	err := s.e.waitFor(ctx, func() (bool, error) {
		if s.e.mu.units.moving(u, true) && s.e.mu.leading {
			return false, nil
		}
		return true, s.e.mu.units.may(u, true)
	})
	if err == nil {
		s.t.units[u] = struct{}{}
	}
	return err
}

func (t *table) unit(n uint32) placement.Unit {
	u := placement.Unit{N: n}
	if t.placer.Own() {
		u.Space = uint32(t.rel.OID)
	}
	return u
}

// Insert writes new rows.
func (s *source) Insert(ctx context.Context, _ *exec.Env, n *plan.Insert, rows []types.Row, conflict exec.Conflict) ([]types.Row, error) {
	t, err := s.begin(ctx, n.Rel)
	if err != nil {
		return nil, err
	}
	out := make([]types.Row, len(rows))
	for i, row := range rows {
		row, err = s.e.fillHidden(n.Rel, row)
		if err != nil {
			return nil, err
		}
		if n.OnConflict == nil {
			out[i], err = row, s.insert(ctx, t, row)
		} else {
			out[i], err = s.upsert(ctx, t, n.OnConflict, row, conflict)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// fillHidden draws the row id of a table without a primary key.
func (e *Engine) fillHidden(rel *catalog.Relation, row types.Row) (types.Row, error) {
	c, ok := rel.RowID()
	if !ok || !row[c.Num-1].IsNull() {
		return row, nil
	}
	row = slices.Clone(row)
	row[c.Num-1] = types.Int(e.rowID())
	return row, nil
}

// insert stores a row that must not exist, with its index entries.
func (s *source) insert(ctx context.Context, t *table, row types.Row) error {
	unit, err := s.place(ctx, t, row)
	if err != nil {
		return err
	}
	key := rowKey(t.rel, unit, row)
	if err := s.t.tx.Lock(ctx, key, txn.Update, txn.Block, 0); err != nil {
		return err
	}
	if _, exists, err := s.t.tx.Newest(key); err != nil {
		return err
	} else if exists {
		return duplicateKey(t, t.rel.PrimaryKey, row)
	}
	entries, err := t.entries(unit, row)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := s.unique(ctx, t, e, row, nil); err != nil {
			return err
		}
	}
	for _, e := range entries {
		if err := s.t.tx.Put(e.key, nil); err != nil {
			return err
		}
	}
	return s.t.tx.Put(key, t.encode(row))
}

// unique takes the lock of a unique entry's value and looks at the newest entries, not
// at the snapshot: 23505 when another row has it. except is the row's own former entry.
func (s *source) unique(ctx context.Context, t *table, e entry, row types.Row, except []byte) error {
	other, err := s.uniqueHolder(ctx, t, e, except)
	if err != nil || other == nil {
		return err
	}
	return duplicateKey(t, e.index.Index, row)
}

// uniqueHolder finds the entry of another row with the same unique value, under the value's
// lock: nobody can add or remove one meanwhile, prepared transactions included.
func (s *source) uniqueHolder(ctx context.Context, t *table, e entry, except []byte) ([]byte, error) {
	if !e.distinct() {
		return nil, nil
	}
	if err := s.lockValue(ctx, e); err != nil {
		return nil, err
	}
	return s.holder(t, e, except, func(in storage.Intent) (hlc.Timestamp, error) {
		// Only one that was prepared before values were locked for their removal.
		return 0, types.Errorf("40001", "could not serialize access due to the prepared transaction %q", in.GID)
	})
}

// distinct tells whether no other row may have the entry's value.
func (e entry) distinct() bool { return e.index.Unique && (!e.nulls || e.index.NullsNotDistinct) }

// lockValue takes the lock of a unique value, which whoever gives it to a row or takes it away
// holds to the end: only then is it known whether it is free. Rows are locked before it.
func (s *source) lockValue(ctx context.Context, e entry) error {
	return s.t.tx.Lock(ctx, append([]byte{'u'}, e.prefix...), txn.Update, txn.Block, 0)
}

// holder finds the entry of another row with the same value among the newest ones.
func (s *source) holder(t *table, e entry, except []byte, resolve storage.Resolver) ([]byte, error) {
	sn := s.e.store().Snapshot(s.e.store().Visible(), resolve)
	defer sn.Close()
	it := txn.View{Snapshot: sn, Tx: s.t.tx}.Scan(e.prefix, prefixEnd(e.prefix), false)
	defer it.Close()
	for it.Next() {
		k := it.Row().Key
		if bytes.Equal(k, e.key) || bytes.Equal(k, except) {
			continue
		}
		live, err := s.live(t, e.index, k)
		if err != nil {
			return nil, err
		}
		if live {
			return slices.Clone(k), nil
		}
	}
	return nil, it.Err()
}

// live tells whether an index entry leads to a row of this shard that has its value.
func (s *source) live(t *table, x *index, key []byte) (bool, error) {
	rk, unit, err := x.rowKeyOf(t.rel.OID, key)
	if err != nil || !s.e.owns(t.unit(unit), t) {
		return false, err
	}
	value, ok, err := s.t.tx.Newest(rk)
	if err != nil || !ok {
		return false, err
	}
	row, err := t.decode(value, nil)
	if err != nil {
		return false, err
	}
	return t.hasEntry(x, unit, row, key)
}

// duplicateKey is 23505 as PostgreSQL words it.
func duplicateKey(t *table, x *catalog.Index, row types.Row) error {
	var names, values []byte
	for i, k := range x.Keys {
		if i > 0 {
			names, values = append(names, ", "...), append(values, ", "...)
		}
		if k.Column == 0 {
			names = append(names, k.Expr...)
			continue
		}
		c := t.rel.Columns[k.Column-1]
		names = append(names, c.Name...)
		if row[k.Column-1].IsNull() {
			values = append(values, "null"...)
		} else {
			values = types.AppendText(values, c.Type, row[k.Column-1], nil)
		}
	}
	e := types.Errorf("23505", "duplicate key value violates unique constraint %q", x.Name).
		WithDetail("Key (%s)=(%s) already exists.", names, values)
	e.Schema, e.Table, e.Constraint = t.rel.Schema, t.rel.Name, x.Name
	return e
}

// upsert is INSERT … ON CONFLICT for one row; nil when the existing row stays.
func (s *source) upsert(ctx context.Context, t *table, o *plan.OnConflict, row types.Row, conflict exec.Conflict) (types.Row, error) {
	key, err := s.conflicting(ctx, t, o, row)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return row, s.insert(ctx, t, row)
	}
	if !o.DoUpdate {
		return nil, nil
	}
	if err := s.t.tx.Lock(ctx, key, txn.Update, txn.Block, s.t.conflictAt(s.r)); err != nil {
		return nil, err
	}
	value, ok, err := s.t.tx.Newest(key)
	if err != nil {
		return nil, err
	}
	if !ok { // deleted while we waited
		return row, s.insert(ctx, t, row)
	}
	old, err := t.decode(value, nil)
	if err != nil {
		return nil, err
	}
	next, err := conflict(old, row)
	if err != nil || next == nil {
		return nil, err
	}
	return next, s.replace(ctx, t, key, old, next)
}

// conflicting finds the row key that an insert would run into on one of the arbiters.
func (s *source) conflicting(ctx context.Context, t *table, o *plan.OnConflict, row types.Row) ([]byte, error) {
	arbiter := func(oid types.OID) bool {
		return len(o.Arbiters) == 0 || slices.ContainsFunc(o.Arbiters, func(x *catalog.Index) bool { return x.OID == oid })
	}
	unit, err := s.place(ctx, t, row)
	if err != nil {
		return nil, err
	}
	if arbiter(t.rel.PrimaryKey.OID) {
		key := rowKey(t.rel, unit, row)
		if err := s.t.tx.Lock(ctx, key, txn.Update, txn.Block, 0); err != nil {
			return nil, err
		}
		if _, exists, err := s.t.tx.Newest(key); err != nil || exists {
			return key, err
		}
	}
	entries, err := t.entries(unit, row)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !arbiter(e.index.OID) {
			continue
		}
		other, err := s.arbiter(ctx, t, o, e)
		if err != nil {
			return nil, err
		}
		if other != nil {
			key, _, err := e.index.rowKeyOf(t.rel.OID, other)
			return key, err
		}
	}
	return nil, nil
}

// arbiter finds the entry that an insert would run into. DO UPDATE locks its row next, so it
// first looks without the value's lock: who removes the row takes the two the other way round.
func (s *source) arbiter(ctx context.Context, t *table, o *plan.OnConflict, e entry) ([]byte, error) {
	if o.DoUpdate && e.distinct() {
		if other, err := s.holder(t, e, nil, skipIntents); err != nil || other != nil {
			return other, err
		}
	}
	return s.uniqueHolder(ctx, t, e, nil)
}

// Update replaces rows.
func (s *source) Update(ctx context.Context, _ *exec.Env, n *plan.Update, changes []exec.Change) ([]bool, error) {
	return s.change(ctx, n.Rel, changes)
}

// Delete deletes rows.
func (s *source) Delete(ctx context.Context, _ *exec.Env, n *plan.Delete, changes []exec.Change) ([]bool, error) {
	return s.change(ctx, n.Rel, changes)
}

// change locks each row, checks that nobody wrote it since the snapshot, and writes.
func (s *source) change(ctx context.Context, rel *catalog.Relation, changes []exec.Change) ([]bool, error) {
	t, err := s.begin(ctx, rel)
	if err != nil {
		return nil, err
	}
	done := make([]bool, len(changes))
	for i, c := range changes {
		if err := s.touch(ctx, t, t.unit(uint32(c.Slot))); err != nil {
			return nil, err
		}
		key := rowKey(rel, uint32(c.Slot), c.Old)
		if err := s.t.tx.Lock(ctx, key, txn.Update, txn.Block, s.t.conflictAt(s.r)); err != nil {
			return nil, err
		}
		if _, exists, err := s.t.tx.Newest(key); err != nil {
			return nil, err
		} else if !exists { // this statement, or one before it in the transaction, deleted it
			continue
		}
		done[i] = true
		if c.New == nil {
			err = s.remove(ctx, t, key, c.Old)
		} else {
			err = s.replace(ctx, t, key, c.Old, c.New)
		}
		if err != nil {
			return nil, err
		}
	}
	return done, nil
}

// remove deletes a locked row and its index entries.
func (s *source) remove(ctx context.Context, t *table, key []byte, old types.Row) error {
	entries, err := t.entries(unitOfRowKey(key), old)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := s.removeEntry(ctx, e); err != nil {
			return err
		}
	}
	return s.t.tx.Delete(key)
}

func (s *source) removeEntry(ctx context.Context, e entry) error {
	if e.distinct() {
		if err := s.lockValue(ctx, e); err != nil {
			return err
		}
	}
	return s.t.tx.Delete(e.key)
}

// replace writes a new row in the place of a locked one; a row whose unit or primary key
// changes goes to its new place.
func (s *source) replace(ctx context.Context, t *table, key []byte, old, row types.Row) error {
	unit, err := s.place(ctx, t, row)
	if err != nil {
		return err
	}
	next := rowKey(t.rel, unit, row)
	if !bytes.Equal(next, key) {
		if err := s.remove(ctx, t, key, old); err != nil {
			return err
		}
		return s.insert(ctx, t, row)
	}
	before, err := t.entries(unit, old)
	if err != nil {
		return err
	}
	after, err := t.entries(unit, row)
	if err != nil {
		return err
	}
	for _, e := range after {
		if slices.ContainsFunc(before, func(b entry) bool { return bytes.Equal(b.key, e.key) }) {
			continue
		}
		i := slices.IndexFunc(before, func(b entry) bool { return b.index == e.index })
		var former []byte
		if i >= 0 {
			former = before[i].key
		}
		if err := s.unique(ctx, t, e, row, former); err != nil {
			return err
		}
	}
	for _, b := range before {
		if !slices.ContainsFunc(after, func(e entry) bool { return bytes.Equal(b.key, e.key) }) {
			if err := s.removeEntry(ctx, b); err != nil {
				return err
			}
		}
	}
	for _, e := range after {
		if !slices.ContainsFunc(before, func(b entry) bool { return bytes.Equal(b.key, e.key) }) {
			if err := s.t.tx.Put(e.key, nil); err != nil {
				return err
			}
		}
	}
	return s.t.tx.Put(key, t.encode(row))
}

// Lock locks the rows that a batch carries.
func (s *source) Lock(ctx context.Context, _ *exec.Env, n *plan.Lock, rows []types.Row) ([]types.Row, error) {
	mode := map[string]txn.Mode{
		"update": txn.Update, "no key update": txn.NoKeyUpdate, "share": txn.Share, "key share": txn.KeyShare,
	}[n.Strength]
	wait := map[string]txn.Wait{"": txn.Block, "nowait": txn.NoWait, "skip locked": txn.Skip}[n.Wait]
	out := rows[:0:0]
	for _, row := range rows {
		taken := true
		for _, target := range n.Targets {
			err := s.lockTarget(ctx, target, row, mode, wait)
			if errors.Is(err, txn.ErrSkipped) {
				taken = false
				break
			}
			if err != nil {
				return nil, err
			}
		}
		if taken {
			out = append(out, row)
		}
	}
	return out, nil
}

func (s *source) lockTarget(ctx context.Context, target plan.LockTarget, row types.Row, mode txn.Mode, wait txn.Wait) error {
	t, err := s.begin(ctx, target.Rel)
	if err != nil {
		return err
	}
	unit := uint32(0)
	if target.Slot >= 0 {
		if row[target.Slot].IsNull() { // the outer side of a join without a partner
			return nil
		}
		unit = uint32(row[target.Slot].AsInt())
	}
	if err := s.touch(ctx, t, t.unit(unit)); err != nil {
		return err
	}
	key := unitPrefix(target.Rel.OID, unit)
	for i, k := range target.Rel.PrimaryKey.Keys {
		key = types.AppendKey(key, row[target.Key[i]], k.Desc, k.NullsFirst)
	}
	return s.t.tx.Lock(ctx, key, mode, wait, s.t.conflictAt(s.r))
}
