package router

import (
	"context"
	"slices"
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

// Update replaces rows that the router has read.
func (s *statement) Update(ctx context.Context, _ *exec.Env, n *plan.Update, changes []exec.Change) ([]bool, error) {
	return s.change(ctx, n.Rel, changes, n.Set)
}

// Delete deletes rows that the router has read.
func (s *statement) Delete(ctx context.Context, _ *exec.Env, n *plan.Delete, changes []exec.Change) ([]bool, error) {
	return s.change(ctx, n.Rel, changes, nil)
}

// changing is a batch of changes to one relation.
type changing struct {
	s       *statement
	t       tableSQL
	placer  *placement.Placer
	loc     *catalog.Relation // of a vector-placed table, else nil
	set     []int             // positions of the columns that an update sets
	changes []exec.Change
	old     []placed
	fresh   []placed
	moves   []bool
	done    []bool
}

// change updates or deletes rows where they are. A row whose new version belongs
// elsewhere is deleted there and inserted here, and its location follows, all in the
// transaction: whoever reads at one timestamp finds it exactly once.
func (s *statement) change(ctx context.Context, rel *catalog.Relation, changes []exec.Change, set []plan.Assign) ([]bool, error) {
	c := &changing{s: s, t: sqlOf(rel), changes: changes, moves: make([]bool, len(changes)), done: make([]bool, len(changes))}
	var err error
	if c.placer, err = s.r.placer(s.m, rel); err != nil {
		return nil, err
	}
	if c.loc, err = s.location(rel); err != nil {
		return nil, err
	}
	for _, a := range set {
		if rel.Columns[a.Attr].Generated == 0 {
			c.set = append(c.set, a.Attr)
		}
	}
	if err := c.locate(); err != nil {
		return nil, err
	}
	w := s.newWork()
	for i := range changes {
		c.addOld(w, i)
	}
	if err := w.run(ctx, false); err != nil {
		return nil, nameConstraint(s.t.Catalog(), rel, err)
	}
	if err := c.follow(ctx); err != nil {
		return nil, nameConstraint(s.t.Catalog(), rel, err)
	}
	return c.done, nil
}

// locate finds where each row is and where its new version belongs.
func (c *changing) locate() error {
	rel := c.t.rel
	c.old, c.fresh = make([]placed, len(c.changes)), make([]placed, len(c.changes))
	for i, x := range c.changes {
		var err error
		if c.old[i], err = c.s.whereIs(c.placer, rel, x.Old, x.Slot); err != nil {
			return err
		}
		if x.New == nil {
			continue
		}
		at, err := c.s.place(rel, []types.Row{x.New})
		if err != nil {
			return err
		}
		c.fresh[i] = at[0]
		sameKey := c.t.keyOf(x.Old) == c.t.keyOf(x.New)
		c.moves[i] = c.placer.Spread() && (at[0].unit != c.old[i].unit || c.loc != nil && !sameKey)
	}
	return nil
}

// whereIs gives a row's place: the unit in which it was found or, when that is not known,
// where it belongs.
func (s *statement) whereIs(p *placement.Placer, rel *catalog.Relation, row types.Row, slot int32) (placed, error) {
	if !p.Spread() || slot < 0 {
		at, err := s.place(rel, []types.Row{row})
		if err != nil {
			return placed{}, err
		}
		return at[0], nil
	}
	u := placement.Unit{N: uint32(slot)}
	if p.Own() {
		u.Space = uint32(rel.OID)
	}
	id, err := s.owner(u)
	return placed{row: row, unit: u, shards: []cluster.ShardID{id}}, err
}

// cellsOf restricts a statement by primary key to the cell where the row is.
func (c *changing) cellsOf(p placed) cellChoice {
	if c.t.rel.Placement.Strategy != catalog.Vector {
		return nil
	}
	return cellChoice{c.t.rel.OID: {p.unit.N}}
}

// addOld adds what happens at the old row's place.
func (c *changing) addOld(w *work, i int) {
	x := c.changes[i]
	st := c.deletion(x.Old)
	if x.New != nil && !c.moves[i] {
		st = c.updating(x)
	}
	for j, id := range c.old[i].shards {
		var done func(answer) error
		if j == 0 {
			done = func(a answer) error {
				n, _ := affected(a.tag)
				c.done[i] = n > 0
				return nil
			}
		}
		w.add(id, st, c.cellsOf(c.old[i]), done)
	}
}

func (c *changing) deletion(row types.Row) remote.Statement {
	where, params := c.t.where(row, 1)
	return remote.Statement{SQL: "DELETE FROM " + c.t.name + " AS t WHERE " + where, Params: params}
}

func (c *changing) updating(x exec.Change) remote.Statement {
	var set []string
	var st remote.Statement
	for _, i := range c.set {
		col := c.t.rel.Columns[i]
		st.Params = append(st.Params, param(col.Type, x.New[i]))
		set = append(set, sql.QuoteIdent(col.Name)+" = $"+itoa(len(st.Params)))
	}
	where, params := c.t.where(x.Old, len(st.Params)+1)
	st.SQL = "UPDATE " + c.t.name + " AS t SET " + strings.Join(set, ", ") + " WHERE " + where
	st.Params = append(st.Params, params...)
	return st
}

// follow inserts the rows that move at their new places and keeps locations in step.
func (c *changing) follow(ctx context.Context) error {
	w := c.s.newWork()
	var fresh []placed
	for i, x := range c.changes {
		if !c.done[i] {
			continue
		}
		if c.moves[i] {
			fresh = append(fresh, c.fresh[i])
		}
		if c.loc == nil || x.New != nil && !c.moves[i] {
			continue
		}
		if err := c.s.moveLocation(w, c.t, c.loc, x, c.fresh[i]); err != nil {
			return err
		}
	}
	c.s.addInserts(w, c.t.rel, fresh)
	return w.run(ctx, false)
}

// Lock locks the rows that a batch carries, on their shards, and gives those to pass on.
func (s *statement) Lock(ctx context.Context, _ *exec.Env, n *plan.Lock, rows []types.Row) ([]types.Row, error) {
	keep := make([]bool, len(rows))
	for i := range keep {
		keep[i] = true
	}
	w := s.newWork()
	for _, target := range n.Targets {
		p, err := s.r.placer(s.m, target.Rel)
		if err != nil {
			return nil, err
		}
		for i, row := range rows {
			if target.Slot >= 0 && row[target.Slot].IsNull() {
				continue // the outer side of a join without a partner
			}
			if err := s.addLock(w, n, target, p, row, &keep[i]); err != nil {
				return nil, err
			}
		}
	}
	if err := w.run(ctx, false); err != nil {
		return nil, err
	}
	out := rows[:0:0]
	for i, row := range rows {
		if keep[i] {
			out = append(out, row)
		}
	}
	return out, nil
}

func (s *statement) addLock(w *work, n *plan.Lock, target plan.LockTarget, p *placement.Placer, row types.Row, keep *bool) error {
	whole := make(types.Row, len(target.Rel.Columns))
	for i, k := range target.Rel.PrimaryKey.Keys {
		whole[k.Column-1] = row[target.Key[i]]
	}
	slot := int32(0)
	if target.Slot >= 0 {
		slot = int32(row[target.Slot].AsInt())
	}
	at, err := s.whereIs(p, target.Rel, whole, slot)
	if err != nil {
		return err
	}
	t := sqlOf(target.Rel)
	where, params := t.where(whole, 1)
	text := "SELECT 1 FROM " + t.name + " AS t WHERE " + where + " FOR " + strings.ToUpper(n.Strength)
	if n.Wait != "" {
		text += " " + strings.ToUpper(n.Wait)
	}
	var cells cellChoice
	if target.Rel.Placement.Strategy == catalog.Vector {
		cells = cellChoice{target.Rel.OID: {at.unit.N}}
	}
	for j, id := range at.shards {
		var done func(answer) error
		if j == 0 {
			done = func(a answer) error {
				*keep = *keep && len(a.rows) > 0
				return nil
			}
		}
		w.add(id, remote.Statement{SQL: text, Params: params}, cells, done)
	}
	return nil
}

// upsert is INSERT … ON CONFLICT: rows that find no other are inserted; for the others
// DO UPDATE locks the existing row and changes it, DO NOTHING leaves it.
func (s *statement) upsert(ctx context.Context, n *plan.Insert, at []placed, conflict exec.Conflict) ([]types.Row, error) {
	out := make([]types.Row, len(at))
	todo := make([]int, len(at))
	for i := range at {
		todo[i] = i
	}
	t := sqlOf(n.Rel)
	if conflict != nil {
		if _, err := arbiterOf(n.OnConflict); err != nil {
			return nil, err
		}
	}
	written := map[string]bool{}
	for range upsertTries {
		left, err := s.insertNew(ctx, n, t, at, todo, out)
		if err != nil {
			return nil, err
		}
		for i := range out {
			if out[i] != nil {
				written[t.keyOf(out[i])] = true
			}
		}
		if conflict == nil || len(left) == 0 {
			return out, nil
		}
		if todo, err = s.updateExisting(ctx, n, t, at, left, out, conflict, written); err != nil || len(todo) == 0 {
			return out, err
		}
	}
	return nil, types.Errorf("40001", "could not serialize access: the rows of ON CONFLICT change too often")
}

const upsertTries = 10

// insertNew inserts those of the rows that conflict with none and gives the others. Shards
// tell the rows that they have inserted by primary key: rows that share one go one after
// the other.
func (s *statement) insertNew(ctx context.Context, n *plan.Insert, t tableSQL, at []placed, todo []int, out []types.Row) (left []int, err error) {
	for len(todo) > 0 {
		var later []int
		byKey := map[string]int{}
		for _, i := range todo {
			key := t.keyOf(at[i].row)
			if _, twice := byKey[key]; twice {
				later = append(later, i)
			} else {
				byKey[key] = i
			}
		}
		todo = slices.DeleteFunc(slices.Clone(todo), func(i int) bool { return byKey[t.keyOf(at[i].row)] != i })
		if err := s.insertDistinct(ctx, n, t, at, todo, byKey, out); err != nil {
			return nil, err
		}
		for _, i := range todo {
			if out[i] == nil {
				left = append(left, i)
			}
		}
		todo = later
	}
	return left, nil
}

// insertDistinct inserts those of the rows, which have different primary keys, that
// conflict with none.
func (s *statement) insertDistinct(ctx context.Context, n *plan.Insert, t tableSQL, at []placed, todo []int, byKey map[string]int, out []types.Row) error {
	loc, err := s.location(n.Rel)
	if err != nil {
		return err
	}
	inserted := func(keys map[string]bool) {
		for key := range keys {
			if i, ok := byKey[key]; ok {
				out[i] = at[i].row
			}
		}
	}
	w := s.newWork()
	if loc != nil {
		err = s.addNewLocations(w, n.Rel, loc, at, todo, inserted)
	} else {
		s.addNewRows(w, n, t, at, todo, inserted)
	}
	if err == nil {
		err = w.run(ctx, false)
	}
	if err != nil {
		return nameConstraint(s.t.Catalog(), n.Rel, err)
	}
	if loc == nil {
		return nil
	}
	var fresh []placed
	for _, i := range todo {
		if out[i] != nil {
			fresh = append(fresh, at[i])
		}
	}
	w = s.newWork()
	s.addInserts(w, n.Rel, fresh)
	return w.run(ctx, false)
}

// addNewRows adds INSERT … ON CONFLICT DO NOTHING of rows to the work.
func (s *statement) addNewRows(w *work, n *plan.Insert, t tableSQL, at []placed, todo []int, inserted func(map[string]bool)) {
	byShard := map[cluster.ShardID][]types.Row{}
	first := map[cluster.ShardID]bool{}
	for _, i := range todo {
		for j, id := range at[i].shards {
			byShard[id] = append(byShard[id], at[i].row)
			first[id] = first[id] || j == 0
		}
	}
	tail := " ON CONFLICT" + arbiterText(n) + " DO NOTHING RETURNING " + t.keyList()
	for id, rows := range byShard {
		for _, st := range t.insert(rows, tail, remote.Binary) {
			w.add(id, st, nil, func(a answer) error {
				keys, err := t.keysIn(a)
				if first[id] {
					inserted(keys)
				}
				return err
			})
		}
	}
}

// arbiterText is the conflict target as the shards infer it: they find the same indexes,
// which have the same columns, by the conditions of all of them.
func arbiterText(n *plan.Insert) string {
	if len(n.OnConflict.Arbiters) == 0 {
		return ""
	}
	var keys, conds []string
	for _, k := range n.OnConflict.Arbiters[0].Keys {
		keys = append(keys, sql.QuoteIdent(n.Rel.Columns[k.Column-1].Name))
	}
	for _, x := range n.OnConflict.Arbiters {
		if x.Where != "" {
			conds = append(conds, "("+x.Where+")")
		}
	}
	text := " (" + strings.Join(keys, ", ") + ")"
	if len(conds) > 0 {
		text += " WHERE " + strings.Join(conds, " AND ")
	}
	return text
}

// arbiterOf is the index that finds the row to update. One without a condition finds all
// that others on its columns do; of several with conditions each may find a row of its own.
func arbiterOf(o *plan.OnConflict) (*catalog.Index, error) {
	for _, x := range o.Arbiters {
		if x.Where == "" {
			return x, nil
		}
	}
	if len(o.Arbiters) > 1 {
		return nil, types.Errorf("0A000", "ON CONFLICT DO UPDATE cannot use several partial unique indexes").
			WithHint("Let the WHERE of the conflict target match one of them.")
	}
	return o.Arbiters[0], nil
}

// updateExisting locks the rows that were in the way and changes them; it gives the rows
// to insert after all, because what was in their way is gone.
func (s *statement) updateExisting(ctx context.Context, n *plan.Insert, t tableSQL, at []placed, left []int, out []types.Row, conflict exec.Conflict, written map[string]bool) (todo []int, err error) {
	for _, i := range left {
		existing, slot, err := s.lockExisting(ctx, n, t, at[i])
		if err != nil {
			return nil, err
		}
		if existing == nil {
			todo = append(todo, i)
			continue
		}
		key := t.keyOf(existing)
		if written[key] {
			return nil, types.Errorf("21000", "ON CONFLICT DO UPDATE command cannot affect row a second time").
				WithHint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")
		}
		next, err := conflict(existing, at[i].row)
		if err != nil {
			return nil, err
		}
		written[key] = true
		if next == nil {
			continue
		}
		change := exec.Change{Old: existing, New: next, Slot: slot}
		done, err := s.change(ctx, n.Rel, []exec.Change{change}, n.OnConflict.Set)
		if err != nil {
			return nil, err
		}
		if done[0] {
			out[i] = next
		}
	}
	return todo, nil
}

// lockExisting reads and locks the row that an insert has run into, nil if it is gone.
func (s *statement) lockExisting(ctx context.Context, n *plan.Insert, t tableSQL, p placed) (types.Row, int32, error) {
	shard, cells := p.shards[0], cellChoice(nil)
	if n.Rel.Placement.Location != 0 {
		cell, ok, err := s.lookupCell(ctx, n.Rel, p.row)
		if err != nil || !ok {
			return nil, 0, err
		}
		u := placement.Unit{Space: uint32(n.Rel.OID), N: cell}
		if shard, err = s.owner(u); err != nil {
			return nil, 0, err
		}
		cells = cellChoice{n.Rel.OID: {cell}}
	}
	arbiter, err := arbiterOf(n.OnConflict)
	if err != nil {
		return nil, 0, err
	}
	st, columns := t.selectBy(arbiter, p.row)
	var row types.Row
	slot := int32(-1)
	w := s.newWork()
	w.add(shard, st, cells, func(a answer) error {
		if len(a.rows) == 0 {
			return nil
		}
		values, err := decode(columns, a.rows[0])
		if err != nil {
			return err
		}
		row = make(types.Row, len(n.Rel.Columns))
		shown := slices.Clone(values[:len(values)-1])
		for i, c := range visibleAttrs(n.Rel) {
			row[c] = shown[i]
		}
		slot = int32(values[len(values)-1].AsInt())
		return nil
	})
	return row, slot, w.run(ctx, false)
}

// selectBy reads a whole row and its slot by a unique index, locking it.
func (t tableSQL) selectBy(x *catalog.Index, row types.Row) (remote.Statement, []plan.Col) {
	var cols []plan.Col
	var names, conds []string
	st := remote.Statement{Result: remote.Binary}
	for _, i := range visibleAttrs(t.rel) {
		c := t.rel.Columns[i]
		names = append(names, column(c.Name))
		cols = append(cols, plan.Col{Name: c.Name, Type: c.Type})
	}
	for _, k := range x.Keys {
		c := t.rel.Columns[k.Column-1]
		if row[k.Column-1].IsNull() { // meets another NULL where they count as equal
			conds = append(conds, column(c.Name)+" IS NULL")
			continue
		}
		st.Params = append(st.Params, param(c.Type, row[k.Column-1]))
		conds = append(conds, column(c.Name)+" = $"+itoa(len(st.Params)))
	}
	if x.Where != "" {
		conds = append(conds, "("+x.Where+")")
	}
	st.SQL = "SELECT " + strings.Join(names, ", ") + ", t.helios_slot FROM " + t.name +
		" AS t WHERE " + strings.Join(conds, " AND ") + " FOR UPDATE"
	return st, append(cols, plan.Col{Name: "helios_slot", Type: types.T(types.Int4OID)})
}

// visibleAttrs are the positions of the columns that exist, hidden ones included.
func visibleAttrs(rel *catalog.Relation) []int {
	var out []int
	for i := range rel.Columns {
		if !rel.Columns[i].Dropped {
			out = append(out, i)
		}
	}
	return out
}
