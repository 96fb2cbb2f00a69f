package router

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/types"
)

// work is what a statement writes on each shard, in one flight per shard.
type work struct {
	s      *statement
	shards map[cluster.ShardID]*shardWork
	reads  bool // it only reads
}

// shardWork is one shard's flight. Each order's answer goes to its done.
type shardWork struct {
	orders []order
	done   []func(answer) error
	cells  []cellChoice
}

// answer is what a shard said to one order: its tag and, when asked for, its rows.
type answer struct {
	tag  string
	rows [][][]byte
}

func (s *statement) newWork() *work { return &work{s: s, shards: map[cluster.ShardID]*shardWork{}} }

// add puts a statement into a shard's flight. cells says in which cells it finds its
// rows; done may be nil.
func (w *work) add(id cluster.ShardID, st remote.Statement, cells cellChoice, done func(answer) error) {
	x := w.shards[id]
	if x == nil {
		x = &shardWork{}
		w.shards[id] = x
	}
	x.orders = append(x.orders, order{Statement: st})
	x.cells = append(x.cells, cells)
	x.done = append(x.done, done)
}

// run sends all flights at the same time and waits for them. whole says that this is all
// that the statement does on shards.
func (w *work) run(ctx context.Context, whole bool) error {
	if len(w.shards) == 0 {
		return nil
	}
	w.s.r.stats.flights.Add(1)
	w.s.together = whole && w.s.alone && len(w.shards) > 1 && !w.s.t.apart
	what := readsOnly
	if !w.reads {
		what = w.s.writing(whole && len(w.shards) == 1)
	}
	byItself := what == writesByItself
	ids := make([]cluster.ShardID, 0, len(w.shards))
	for id := range w.shards {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	links := make([]*link, len(ids))
	for i, id := range ids { // in order, so that the first shard is the owner every time
		var err error
		if links[i], err = w.s.link(ctx, id, what); err != nil {
			w.release(links[:i])
			return err
		}
	}
	defer w.release(links)
	if byItself {
		w.s.committed = links[0]
	}
	errs := make([]error, len(ids))
	answers := make([][]answer, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		if w.s.together && i > 0 {
			x := w.shards[id]
			x.orders = append(x.orders, order{Statement: w.s.t.prepareOrder(), bare: true})
		}
		one := func() { answers[i], errs[i] = w.send(ctx, links[i], w.shards[id]) }
		if i == len(ids)-1 {
			one()
		} else {
			wg.Go(one)
		}
	}
	wg.Wait()
	if byItself && errs[0] != nil && w.knownWithoutAnswer(ctx, ids[0], links[0]) {
		return nil
	}
	if byItself && errs[0] == nil {
		w.s.t.s.committed(links[0].hear())
	}
	if err := firstOf(errs); err != nil {
		return err
	}
	for i, id := range ids {
		for j, done := range w.shards[id].done {
			if done == nil {
				continue
			}
			if err := done(answers[i][j]); err != nil {
				return err
			}
		}
	}
	return nil
}

// knownWithoutAnswer tells whether a flight that commits by itself, and whose answer was
// lost, has committed and was not to say anything that the router does not know.
func (w *work) knownWithoutAnswer(ctx context.Context, id cluster.ShardID, l *link) bool {
	asked := slices.ContainsFunc(w.shards[id].done, func(f func(answer) error) bool { return f != nil })
	if asked || ctx.Err() != nil || !l.lost(l.err) {
		return false
	}
	o, err := w.s.r.sessionOutcome(l, l.err)
	if err != nil || o.State != twophase.Committed {
		return false
	}
	w.s.r.hear(o.Time)
	w.s.t.s.committed(o.Time)
	return true
}

// release gives back the links that were borrowed.
func (w *work) release(links []*link) {
	for _, l := range links {
		if !l.bound {
			l.release()
		}
	}
}

// firstOf gives the error that matters most: one that ends the statement before one that
// asks for another try.
func firstOf(errs []error) error {
	var first error
	for _, err := range errs {
		if err != nil && (first == nil || judge(first) != final && judge(err) == final) {
			first = err
		}
	}
	return first
}

func (w *work) send(ctx context.Context, l *link, x *shardWork) ([]answer, error) {
	for i := range x.orders {
		if x.orders[i].bare {
			x.orders[i].ownership = w.s.m.Ownership
			continue
		}
		x.orders[i].message = w.s.message(l, x.cells[i])
	}
	rows, lead, err := l.send(ctx, w.s.settings, w.s.t.savepoints, x.orders)
	if err != nil {
		return nil, err
	}
	answers := make([]answer, 0, len(x.orders))
	for i := range x.orders {
		if !skip(rows, lead[i]) || !rows.NextResult() {
			break
		}
		var a answer
		for rows.Next() {
			row := make([][]byte, len(rows.Raw()))
			for j, b := range rows.Raw() {
				if b != nil {
					row[j] = append([]byte{}, b...)
				}
			}
			a.rows = append(a.rows, row)
		}
		a.tag = rows.Tag()
		answers = append(answers, a)
	}
	if err := l.finish(rows); err != nil {
		return nil, err
	}
	if len(answers) != len(x.orders) {
		return nil, types.Errorf("08P01", "shard %d gave %d answers to %d statements", l.shard, len(answers), len(x.orders))
	}
	return answers, nil
}

// column names a column of the table t. A hidden one is found by its qualified name alone.
func column(name string) string { return "t." + sql.QuoteIdent(name) }

// tableSQL is how the router names a relation and its columns to shards.
type tableSQL struct {
	rel  *catalog.Relation
	name string
	cols []int // positions of the columns that are sent: all but dropped and generated ones
}

func sqlOf(rel *catalog.Relation) tableSQL {
	t := tableSQL{rel: rel, name: sql.Name{rel.Schema, rel.Name}.String()}
	for i := range rel.Columns {
		if c := &rel.Columns[i]; !c.Dropped && c.Generated == 0 {
			t.cols = append(t.cols, i)
		}
	}
	return t
}

// chunks are the numbers of rows that an INSERT may have: few, so that every shard knows
// the statements after a while.
var chunks = []int{256, 64, 16, 4, 1}

// paramsMax is the protocol's bound on parameters.
const paramsMax = 65535

// insert gives the statements that insert rows.
func (t tableSQL) insert(rows []types.Row, tail string, result int16) []remote.Statement {
	var out []remote.Statement
	for len(rows) > 0 {
		n := 1
		for _, c := range chunks {
			if c <= len(rows) && c*len(t.cols) <= paramsMax {
				n = c
				break
			}
		}
		st := remote.Statement{SQL: t.insertText(n) + tail, Result: result}
		for _, row := range rows[:n] {
			for _, i := range t.cols {
				st.Params = append(st.Params, param(t.rel.Columns[i].Type, row[i]))
			}
		}
		out = append(out, st)
		rows = rows[n:]
	}
	return out
}

func (t tableSQL) insertText(rows int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + t.name + " AS t (")
	for i, c := range t.cols {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(sql.QuoteIdent(t.rel.Columns[c].Name))
	}
	b.WriteString(") OVERRIDING SYSTEM VALUE VALUES ")
	n := 0
	for r := range rows {
		if r > 0 {
			b.WriteString(", ")
		}
		b.WriteByte('(')
		for i := range t.cols {
			if i > 0 {
				b.WriteString(", ")
			}
			n++
			b.WriteByte('$')
			b.WriteString(itoa(n))
		}
		b.WriteByte(')')
	}
	return b.String()
}

// where gives a condition on the primary key with parameters from $first on.
func (t tableSQL) where(row types.Row, first int) (text string, params []remote.Param) {
	var b strings.Builder
	for i, k := range t.rel.PrimaryKey.Keys {
		if i > 0 {
			b.WriteString(" AND ")
		}
		c := t.rel.Columns[k.Column-1]
		b.WriteString(column(c.Name) + " = $" + itoa(first+i))
		params = append(params, param(c.Type, row[k.Column-1]))
	}
	return b.String(), params
}

// keyList names the primary key's columns.
func (t tableSQL) keyList() string {
	var names []string
	for _, k := range t.rel.PrimaryKey.Keys {
		names = append(names, column(t.rel.Columns[k.Column-1].Name))
	}
	return strings.Join(names, ", ")
}

// keyOf encodes a row's primary key, for comparison with what shards return.
func (t tableSQL) keyOf(row types.Row) string {
	var key []byte
	for _, k := range t.rel.PrimaryKey.Keys {
		key = types.AppendKey(key, row[k.Column-1], false, false)
	}
	return string(key)
}

// keysIn decodes keys that a shard returned.
func (t tableSQL) keysIn(a answer) (map[string]bool, error) {
	out := make(map[string]bool, len(a.rows))
	for _, raw := range a.rows {
		var key []byte
		for i, k := range t.rel.PrimaryKey.Keys {
			v, err := types.ParseBinary(t.rel.Columns[k.Column-1].Type, raw[i])
			if err != nil {
				return nil, err
			}
			key = types.AppendKey(key, v, false, false)
		}
		out[string(key)] = true
	}
	return out, nil
}

// placed is a row with its unit and the shards that hold it.
type placed struct {
	row    types.Row
	unit   placement.Unit
	shards []cluster.ShardID
}

// place finds where rows live.
func (s *statement) place(rel *catalog.Relation, rows []types.Row) ([]placed, error) {
	p, err := s.r.placer(s.m, rel)
	if err != nil {
		return nil, err
	}
	out := make([]placed, len(rows))
	all := serving(s.m)
	for i, row := range rows {
		out[i].row = row
		if !p.Spread() {
			out[i].shards = all
			continue
		}
		if out[i].unit, err = p.Row(row); err != nil {
			return nil, err
		}
		id, err := s.owner(out[i].unit)
		if err != nil {
			return nil, err
		}
		out[i].shards = []cluster.ShardID{id}
	}
	return out, nil
}

// Insert writes new rows: to the shards where they belong and, for a vector-placed table,
// to its location table, where a duplicate primary key is found.
func (s *statement) Insert(ctx context.Context, _ *exec.Env, n *plan.Insert, rows []types.Row, conflict exec.Conflict) ([]types.Row, error) {
	rows = s.r.fillRowIDs(n.Rel, rows)
	at, err := s.place(n.Rel, rows)
	if err != nil {
		return nil, err
	}
	if n.OnConflict != nil {
		return s.upsert(ctx, n, at, conflict)
	}
	w := s.newWork()
	if err := s.addLocations(w, n.Rel, at); err != nil {
		return nil, err
	}
	s.addInserts(w, n.Rel, at)
	if err := w.run(ctx, s.q != nil && oneBatch(n, s.q.Root)); err != nil {
		return nil, nameConstraint(s.t.Catalog(), n.Rel, err)
	}
	return rows, nil
}

// oneBatch tells whether an INSERT hands all its rows to one call and computes nothing
// afterwards that could fail.
func oneBatch(n *plan.Insert, root plan.Node) bool {
	if root != plan.Node(n) {
		return false
	}
	for _, e := range n.Returning {
		if _, ok := e.(*plan.Column); !ok {
			return false
		}
	}
	source := n.Source
	for {
		switch x := source.(type) {
		case *plan.Values:
			return len(x.Rows) <= 256
		case *plan.Project:
			source = x.Input
		default:
			return false
		}
	}
}

// addInserts adds plain inserts of rows to the work.
func (s *statement) addInserts(w *work, rel *catalog.Relation, at []placed) {
	t := sqlOf(rel)
	byShard := map[cluster.ShardID][]types.Row{}
	for _, p := range at {
		for _, id := range p.shards {
			byShard[id] = append(byShard[id], p.row)
		}
	}
	for id, rows := range byShard {
		for _, st := range t.insert(rows, "", remote.Text) {
			w.add(id, st, nil, nil)
		}
	}
}

// fillRowIDs draws the hidden keys of rows of a table without a primary key.
func (r *Router) fillRowIDs(rel *catalog.Relation, rows []types.Row) []types.Row {
	c, ok := rel.RowID()
	if !ok {
		return rows
	}
	out := make([]types.Row, len(rows))
	for i, row := range rows {
		out[i] = row
		if row[c.Num-1].IsNull() {
			out[i] = slices.Clone(row)
			out[i][c.Num-1] = types.Int(r.rowIDs.next(r.o.Wall()))
		}
	}
	return out
}

// rowIDs draws hidden row ids: seconds since 2020 in the upper bits, a counter and the
// router's incarnation, so that no two routers draw the same.
type rowIDs struct {
	mu   sync.Mutex
	last int64
	salt int64
}

// rowIDEpoch is 2020-01-01 in seconds since 1970.
const rowIDEpoch = 1577836800

func (d *rowIDs) next(wallMillis int64) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	base := (wallMillis/1000 - rowIDEpoch) << 20
	d.last = max(d.last+1, base)
	return d.last<<10 | d.salt&(1<<10-1)
}
