package router

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/types"
)

// statement is one attempt to run a statement; it is the plan's exec.Source.
//
// Its snapshot is one of four kinds. With at 0 each shard shows what is visible there:
// right when one shard has everything, or nothing is read. Otherwise all shards are read
// at at: the greatest timestamp heard (a shard that meets a newer version asks for a
// restart), or one gathered from all primaries (pinned, nothing newer can matter), or the
// transaction's own (REPEATABLE READ).
type statement struct {
	t      *Tx
	r      *Router
	q      *plan.Query
	env    *exec.Env
	m      *cluster.Map
	gather bool // the snapshot from all primaries

	settings  settings
	schema    uint64 // catalog version of the plan, 0 while the transaction has its own
	at        hlc.Timestamp
	mode      snapshotMode
	partial   partial
	committed *link // a write was sent over it that commits by itself
	alone     bool  // nothing but this statement is in its transaction
	together  bool  // its shards prepare with the statement
	cancel    context.CancelCauseFunc

	known []target // of the only Gather, when choose has found them

	mu struct { // gathers of one statement may start at the same time
		sync.Mutex
		streams []*stream
		fresh   []*link // bound by this statement
		used    []*link // bound before and used without a mark
		held    int     // connections asked for
		touched fanout
	}
}

// fanout counts what a statement asked, for EXPLAIN.
type fanout struct {
	gathers map[*plan.Gather]*gatherStats
}

// gatherStats is how much of a table's places one Gather asked.
type gatherStats struct {
	shards, shardsAll int
	cells, cellsAll   int
	reason            string
}

// runWatched runs the plan; while a statement that writes or locks holds locks, the router
// looks for deadlocks that it may be part of.
func (s *statement) runWatched(ctx context.Context) (*exec.Result, error) {
	if s.q.ReadOnly {
		return s.run(ctx)
	}
	ctx, done := s.watched(ctx)
	defer done()
	res, err := s.run(ctx)
	return res, deadlocked(ctx, err)
}

// watched has the router look for deadlocks while the statement holds locks, until done is
// called. The context of a victim is cancelled; it outlives done, since rows may still come.
func (s *statement) watched(ctx context.Context) (_ context.Context, done func()) {
	ctx, s.cancel = context.WithCancelCause(ctx)
	if len(s.t.links) > 0 {
		s.watch()
	}
	return ctx, func() {
		if s.t.seq != 0 {
			s.r.watched.remove(s.t.gid())
		}
	}
}

func (s *statement) watch() {
	if s.cancel != nil {
		s.r.watched.add(s.t.gid(), s.cancel)
	}
}

// run runs the plan. A reading statement whose shards may still ask for a restart is held
// back until all have answered.
func (s *statement) run(ctx context.Context) (*exec.Result, error) {
	var err error
	if s.m, err = s.r.clusterMap(); err != nil {
		return nil, err
	}
	s.settings = s.t.settings()
	if s.t.draft == nil {
		s.schema = s.q.CatalogVersion
	}
	s.alone = s.t.o.Alone && len(s.t.links) == 0
	if err := s.choose(ctx); err != nil {
		return nil, err
	}
	env := *s.env
	env.Source = s
	res, err := exec.Run(ctx, s.q, &env)
	if err != nil {
		return nil, err
	}
	if s.q.Kind != "SELECT" {
		return res, nil
	}
	limit := 0 // rows are let through once the first have come
	if s.at != 0 && s.mode == fresh {
		limit = s.r.o.Limits.BufferBytes
	}
	if !s.q.ReadOnly {
		limit = s.r.o.Limits.DetachBytes
	}
	held, err := holdRows(ctx, res.Rows, limit, s.q.ReadOnly)
	if err != nil {
		return nil, errors.Join(err, res.Rows.Close())
	}
	res.Rows = held
	return res, nil
}

// heldRows gives rows that were read ahead, then the rest.
type heldRows struct {
	batches [][]types.Row
	rest    exec.Rows
	ended   bool
}

// holdRows reads all rows, or with limit 0 the first batch: nothing is released before
// the shards have had their say. Over the limit it gives errTooBig, or 53200 when the
// statement has written and cannot simply run again.
func holdRows(ctx context.Context, rows exec.Rows, limit int, again bool) (*heldRows, error) {
	h := &heldRows{rest: rows}
	size := 0
	for {
		batch, err := rows.Next(ctx)
		if errors.Is(err, io.EOF) {
			h.ended = true
			return h, nil
		}
		if err != nil {
			return nil, err
		}
		h.batches = append(h.batches, append([]types.Row(nil), batch...))
		if limit == 0 {
			return h, nil
		}
		if size += rowsBytes(batch); size > limit {
			if again {
				return nil, errTooBig
			}
			return nil, types.Errorf("53200", "the rows of a writing statement take more than %d bytes", limit)
		}
	}
}

func (h *heldRows) Next(ctx context.Context) ([]types.Row, error) {
	if len(h.batches) > 0 {
		batch := h.batches[0]
		h.batches = h.batches[1:]
		return batch, nil
	}
	if h.ended {
		return nil, io.EOF
	}
	batch, err := h.rest.Next(ctx)
	if err != nil && !errors.Is(err, io.EOF) {
		err = public(err)
	}
	return batch, err
}

func (h *heldRows) Close() error { return h.rest.Close() }

// choose finds the statement's snapshot.
func (s *statement) choose(ctx context.Context) error {
	gather, several, changes := shape(s.q.Root)
	if s.t.o.Isolation == session.RepeatableRead {
		return s.chooseFixed(ctx, gather, several)
	}
	if !changes && !several {
		if gather == nil {
			return nil // reads no shard: an INSERT of values, pg_catalog
		}
		one, err := s.oneShard(ctx, gather)
		if err != nil {
			return err
		}
		if one {
			if s.gather { // the shard has told above what it has to be
				s.at = s.r.Heard()
			}
			return nil
		}
	}
	if s.at = max(s.r.Heard(), s.t.s.lastCommit()); s.at != 0 && !s.gather {
		return nil
	}
	var err error
	if s.at, s.partial, err = s.r.snapshot(ctx); err != nil {
		return err
	}
	s.mode = pinned
	return nil
}

// chooseFixed is the snapshot of a REPEATABLE READ transaction, gathered once.
func (s *statement) chooseFixed(ctx context.Context, gather *plan.Gather, several bool) (err error) {
	t := s.t
	if t.fixed == 0 {
		if scope, _ := t.o.Info.Setting("helios.tx_scope"); scope == "single" && gather != nil && !several {
			targets, err := s.targets(ctx, s.env, gather)
			if err != nil {
				return err
			}
			if len(targets) == 1 {
				t.scope = targets[0].shard
				t.fixed, err = s.r.visible(ctx, t.scope)
				s.r.snapshots.add(t, t.fixed)
				s.at, s.mode = t.fixed, fixed
				return err
			}
		}
		if t.fixed, t.partial, err = s.r.snapshot(ctx); err != nil {
			return err
		}
		t.fixed = max(t.fixed, t.s.lastCommit())
		s.r.snapshots.add(t, t.fixed)
	}
	s.at, s.mode, s.partial = t.fixed, fixed, t.partial
	return nil
}

// shape looks what a plan asks of shards: its Gather if there is one alone, whether there
// are several, and whether rows are changed or locked by the router itself.
func shape(root plan.Node) (gather *plan.Gather, several, changes bool) {
	plan.EachNode(root, func(n plan.Node) bool {
		switch n := n.(type) {
		case *plan.Gather:
			several = several || gather != nil
			gather = n
			return false
		case *plan.Update, *plan.Delete, *plan.Lock:
			changes = true
		case *plan.InitPlans: // they are read first, and may decide which shards are asked next
			several = true
		case *plan.Insert:
			changes = changes || n.OnConflict != nil && n.OnConflict.DoUpdate
		}
		return true
	})
	return gather, several, changes
}

// oneShard tells whether a statement's only Gather leads to one shard, which then may
// choose the snapshot.
func (s *statement) oneShard(ctx context.Context, g *plan.Gather) (bool, error) {
	if _, args := g.SQL(); readsOuter(args) || g.Everywhere || g.KNN != nil || readsVectorPlaced(g) {
		return false, nil
	}
	targets, err := s.targets(ctx, s.env, g)
	if err != nil {
		return false, err
	}
	s.known = targets
	if len(targets) == 1 {
		s.r.stats.oneShard.Add(1)
	}
	return len(targets) <= 1, nil
}

// readsVectorPlaced tells whether a Gather has to look a cell up first, which must be at
// the same snapshot.
func readsVectorPlaced(g *plan.Gather) bool {
	return slices.ContainsFunc(g.Rels, func(r plan.Route) bool { return r.Rel.Placement.Strategy == catalog.Vector })
}

func readsOuter(list []plan.Expr) bool {
	found := false
	for _, e := range list {
		plan.Walk(e, func(x plan.Expr) bool {
			_, outer := x.(*plan.Outer)
			found = found || outer
			return true
		})
	}
	return found
}

// message is what is said ahead of each order of the statement to a shard.
func (s *statement) message(l *link, cells cellChoice) message {
	m := message{ownership: s.m.Ownership, at: s.at, mode: s.mode, schema: s.schema, cells: cells}
	if s.partial[l.shard] {
		m.mode = fresh
	}
	if l.bound {
		m.gid = s.t.gid()
	}
	return m
}

// part says what a flight of the statement does on its shard.
type part uint8

const (
	readsOnly      part = iota
	writesPart          // other flights write, too
	writesAll           // the only flight: if the shard refuses it, nothing was done
	writesByItself      // and it commits by itself
)

// writing classes a flight that writes; only says that there is no other.
func (s *statement) writing(only bool) part {
	switch {
	case only && s.alone:
		return writesByItself
	case only:
		return writesAll
	}
	return writesPart
}

// link gives the connection for a part of the statement: the transaction's own when it
// has one or the part writes, else one borrowed until the part's rows are read.
func (s *statement) link(ctx context.Context, id cluster.ShardID, p part) (*link, error) {
	if s.t.scope != cluster.None && id != s.t.scope {
		return nil, types.Errorf("40001", "the transaction's snapshot covers shard %d alone, the statement needs shard %d", s.t.scope, id).
			WithHint("SET helios.tx_scope = cluster covers all shards.")
	}
	s.mu.Lock()
	own := s.t.links[id]
	more := s.mu.held > 0 || len(s.t.links) > 0
	s.mu.held++
	s.mu.Unlock()
	if own != nil {
		s.reuse(own, p)
		return own, nil
	}
	l, err := s.r.connect(ctx, id, more)
	if err != nil || p == readsOnly || p == writesByItself {
		return l, err
	}
	l.bound = true
	l.mark = s.mayRestart() && !s.together
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.t.seq == 0 {
		s.t.seq = s.r.seq.Add(1)
	}
	s.t.links[id], s.t.order = l, append(s.t.order, id)
	s.mu.fresh = append(s.mu.fresh, l)
	s.watch()
	return l, nil
}

// mayRestart tells whether a shard may ask to run the statement again above a version that
// it has met.
func (s *statement) mayRestart() bool { return s.at != 0 && s.mode != fixed }

// reuse notes how the statement can be undone on a shard where the transaction has worked
// before: by a savepoint of its own, if it may succeed there and fail elsewhere. A shard
// that asks for another run has undone its part by itself.
func (s *statement) reuse(l *link, p part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case l.marked || slices.Contains(s.mu.fresh, l):
	case p == writesPart:
		l.mark = true
	default:
		s.mu.used = append(s.mu.used, l)
	}
}

// undo takes back what the attempt did; false when it cannot, because a shard's earlier
// work would be lost. With keepLocks the rows stay locked, so that nobody else can come
// first to them again.
func (s *statement) undo(ctx context.Context, keepLocks bool) bool {
	for _, l := range s.mu.used {
		if l.dead || l.conn.TxStatus() == 'E' {
			return false
		}
	}
	ok := true
	for _, l := range s.t.links {
		bound := slices.Contains(s.mu.fresh, l)
		if !l.marked || bound && !keepLocks {
			continue
		}
		l.marked = false
		if l.dead || l.exec(ctx, "ROLLBACK TO SAVEPOINT "+twophase.StatementMark) != nil {
			ok = ok && bound
			continue
		}
		l.queued = append(l.queued, "RELEASE SAVEPOINT "+twophase.StatementMark)
	}
	for _, l := range s.mu.fresh {
		if !keepLocks || l.dead || l.conn.TxStatus() != 'T' {
			s.t.unbind(ctx, l)
		}
	}
	s.mu.fresh = nil
	return ok
}

// releaseMarks forgets the savepoints that the statement made for itself.
func (s *statement) releaseMarks() {
	for _, l := range s.t.links {
		if l.marked {
			l.marked = false
			l.queued = append(l.queued, "RELEASE SAVEPOINT "+twophase.StatementMark)
		}
	}
}

// closeStreams ends what is still being read.
func (s *statement) closeStreams() {
	s.mu.Lock()
	streams := s.mu.streams
	s.mu.streams = nil
	s.mu.Unlock()
	for _, x := range streams {
		x.close()
	}
}

// passed are the settings that shards need to compute as the router would, and to wait as
// long for locks.
var passed = [...]string{"TimeZone", "DateStyle", "IntervalStyle", "extra_float_digits", "bytea_output", "lock_timeout"}

// settings are the values of passed; "" is one that is not known.
type settings [len(passed)]string

// settings are the session's.
func (t *Tx) settings() (out settings) {
	if t.o.Info != nil {
		for i, name := range passed {
			out[i], _ = t.o.Info.Raw(name)
		}
	}
	if out[0] == "" {
		out[0] = "UTC"
	}
	return out
}

func (s *sessionState) lastCommit() hlc.Timestamp {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.commit
}
