package router

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/types"
)

// Tx is one transaction. It has a connection of its own to each shard where it wrote or
// locked; BEGIN and SAVEPOINT travel with the first statement that goes there. What it
// only reads comes over connections borrowed for the statement.
type Tx struct {
	r *Router
	o session.TxOptions
	s *sessionState

	links      map[cluster.ShardID]*link
	order      []cluster.ShardID  // of links, first written first: the first is the owner
	savepoints []string           // open ones, oldest first
	drafts     []*catalog.Catalog // draft at each of them
	seq        uint64             // of its gid; 0 while nothing was written

	fixed   hlc.Timestamp // REPEATABLE READ: the snapshot, once chosen
	partial partial       // shards that were silent when it was gathered
	scope   cluster.ShardID

	prepared bool // all participants have prepared with its only statement
	apart    bool // after a failure of that: they prepare at the commit

	draft   *catalog.Catalog // its own DDL
	ddl     bool
	at      hlc.Timestamp // when it has committed
	running *statement
	replans int
}

var _ session.Tx = (*Tx)(nil)

func (r *Router) begin(o session.TxOptions) *Tx {
	return &Tx{r: r, o: o, s: r.session(o.Info), links: map[cluster.ShardID]*link{}}
}

// Catalog is the catalog as the transaction sees it.
func (t *Tx) Catalog() *catalog.Catalog {
	if t.draft != nil {
		return t.draft
	}
	return t.r.Catalog()
}

// gid names the transaction to shards, without its owner. Its number is drawn with the
// first link.
func (t *Tx) gid() string {
	return twophase.GID{Incarnation: t.r.o.Incarnation, Seq: t.seq}.Transaction()
}

// name is the full gid, once the owner is known.
func (t *Tx) name() twophase.GID {
	return twophase.GID{Incarnation: t.r.o.Incarnation, Seq: t.seq, Owner: t.order[0]}
}

// Query runs a statement. What a shard answers because the router's map, catalog or
// snapshot was old is tried again, as long as the client has seen nothing of it and the
// transaction loses nothing by it.
func (t *Tx) Query(ctx context.Context, q *plan.Query, env *exec.Env) (*exec.Result, error) {
	d, err := q.Distributed()
	if err != nil {
		return nil, err
	}
	return t.run(ctx, d, env)
}

// run is Query for a plan that is the router's already.
func (t *Tx) run(ctx context.Context, d *plan.Query, env *exec.Env) (*exec.Result, error) {
	t.r.stats.statements.Add(1)
	tries := attempts{limit: time.Now().Add(t.r.o.Limits.Hold)}
	for {
		s := &statement{t: t, r: t.r, q: d, env: env, gather: tries.pin}
		t.running = s
		res, err := s.runWatched(ctx)
		if err == nil {
			t.prepared = s.together
			return res, nil
		}
		s.closeStreams()
		if s.together {
			t.abandon(ctx, err)
			s.mu.fresh, t.apart = nil, true
		}
		if err := t.retry(ctx, s, err, &tries); err != nil {
			return nil, err
		}
	}
}

// attempts counts why a statement ran again.
type attempts struct {
	limit    time.Time // for shards without primary
	pin      bool      // gather the snapshot first
	maps     int
	restarts int
	pause    time.Duration
}

const (
	mapTries     = 5
	restartTries = 10_000 // each run has the rows locked that the one before met
)

// errTooBig asks to run the statement again pinned: its result does not fit the buffer.
var errTooBig = errors.New("the result does not fit the buffer")

// retry undoes a failed attempt and waits for what it needs; the error ends the statement.
func (t *Tx) retry(ctx context.Context, s *statement, err error, a *attempts) error {
	if errors.Is(err, errTooBig) {
		a.pin = true
		return nil
	}
	if l := s.committed; l != nil {
		if err := t.lostWrite(ctx, l, err); err != nil {
			return err
		}
	}
	v := judge(err)
	if v == final && s.committed != nil && types.CodeOf(err) == "40003" {
		v = lostAnswer // it is known now: not committed
	}
	if v == final {
		return err
	}
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	if !s.undo(ctx, v == newer) {
		return public(err)
	}
	switch v {
	case staleMap:
		t.r.stats.staleMaps.Add(1)
		if a.maps++; a.maps > mapTries && time.Now().After(a.limit) {
			return public(err)
		}
		if t.r.o.OneShard != nil && t.r.o.OneShard() {
			return types.Errorf("0A000", "rows of the statement belong to another shard than this node's").
				WithHint("Connect to a router: it knows which shard has which row.")
		}
		if err := t.r.refresh(ctx, s.m); err != nil {
			return err
		}
	case staleMade:
		t.r.stats.staleSchemas.Add(1)
		return t.replan(ctx, err)
	case newer:
		t.r.stats.restarts.Add(1)
		t.r.hear(restartAt(err))
		if a.restarts++; a.restarts > restartTries {
			return public(err)
		}
		a.pin = true
		return nil
	default:
		if time.Now().After(a.limit) {
			return unavailable(err)
		}
		if err := t.r.refresh(ctx, s.m); err != nil {
			return err
		}
	}
	a.pause = min(max(2*a.pause, 5*time.Millisecond), 250*time.Millisecond)
	return sleep(ctx, a.pause)
}

// unavailable is the answer when no primary was found in time.
func unavailable(err error) error {
	if types.CodeOf(err) == "57P03" {
		return err
	}
	e := types.Errorf("57P03", "a shard of the statement cannot be reached")
	e.Detail, e.Cause = types.AsError(err).Message, err
	return e
}

// replan loads the newer catalog and asks the session to plan the statement again.
func (t *Tx) replan(ctx context.Context, cause error) error {
	if t.draft != nil {
		return public(cause)
	}
	if err := t.r.reload(ctx, 0); err != nil {
		return err
	}
	// One shard may be ahead of another for a moment.
	t.replans++
	if err := sleep(ctx, min(time.Millisecond<<t.replans, 250*time.Millisecond)); err != nil {
		return err
	}
	return session.Replan(cause)
}

// EndStatement notes that a statement is over.
func (t *Tx) EndStatement(error) {
	if s := t.running; s != nil {
		s.releaseMarks()
		t.running = nil
	}
}

// Savepoint notes a savepoint; shards hear of it with the next statement they get.
func (t *Tx) Savepoint(_ context.Context, name string) error {
	t.savepoints, t.drafts = append(t.savepoints, name), append(t.drafts, t.draft)
	return nil
}

// RollbackTo goes back on all shards that have heard of the savepoint; the others did
// nothing since.
func (t *Tx) RollbackTo(ctx context.Context, name string) error {
	i := t.findSavepoint(name)
	if i < 0 {
		return types.Errorf("3B001", "savepoint \"%s\" does not exist", name)
	}
	t.closeStreams()
	t.running = nil
	t.savepoints = t.savepoints[:i+1]
	if kept := t.drafts[i]; kept != t.draft {
		t.forgetNew(ctx, kept)
		t.draft = kept
	}
	t.drafts = t.drafts[:i+1]
	return t.each(func(l *link) error {
		l.marked = false
		if l.saved <= i {
			// Bound, and perhaps written, since the savepoint was made, or not used since.
			return nil
		}
		l.queued, l.saved = nil, i+1
		return l.exec(ctx, "ROLLBACK TO SAVEPOINT "+sql.QuoteIdent(name))
	})
}

// Release forgets savepoints.
func (t *Tx) Release(_ context.Context, name string) error {
	i := t.findSavepoint(name)
	if i < 0 {
		return types.Errorf("3B001", "savepoint \"%s\" does not exist", name)
	}
	t.savepoints, t.drafts = t.savepoints[:i], t.drafts[:i]
	for _, l := range t.links {
		if l.saved > i {
			l.queued, l.saved = append(l.queued, "RELEASE SAVEPOINT "+sql.QuoteIdent(name)), i
		}
	}
	return nil
}

func (t *Tx) findSavepoint(name string) int {
	for i, s := range slices.Backward(t.savepoints) {
		if s == name {
			return i
		}
	}
	return -1
}

// each calls f for every link at the same time and gives the first error.
func (t *Tx) each(f func(*link) error) error {
	var wg sync.WaitGroup
	errs := make([]error, len(t.order))
	for i, id := range t.order {
		l := t.links[id]
		if i == len(t.order)-1 {
			errs[i] = f(l)
			break
		}
		wg.Go(func() { errs[i] = f(l) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// closeStreams ends what is still read from the transaction's own connections.
func (t *Tx) closeStreams() {
	if t.running != nil {
		t.running.closeStreams()
	}
	for _, l := range t.links {
		if l.stream != nil {
			l.stream.abandon()
			l.stream = nil
		}
	}
}

// unbind ends a shard's part without a trace.
func (t *Tx) unbind(ctx context.Context, l *link) {
	l.rollback(ctx)
	delete(t.links, l.shard)
	t.order = slices.DeleteFunc(t.order, func(id cluster.ShardID) bool { return id == l.shard })
}

// Rollback undoes everything.
func (t *Tx) Rollback(ctx context.Context) error {
	t.closeStreams()
	if t.prepared {
		t.abandon(ctx, errRolledBack)
	}
	err := t.each(func(l *link) error {
		l.rollback(ctx)
		return nil
	})
	t.forgetNew(ctx, nil)
	t.end()
	return err
}

// end forgets the links, whose connections are given back.
func (t *Tx) end() {
	for _, l := range t.links {
		l.release()
	}
	clear(t.links)
	t.order, t.running = nil, nil
	if t.fixed != 0 {
		t.r.snapshots.remove(t)
	}
}

// Lock is LOCK TABLE: on every shard, in their order, so that two of them cannot lock
// one another out.
func (t *Tx) Lock(ctx context.Context, rel *catalog.Relation, mode string, noWait bool) error {
	text := "LOCK TABLE " + sql.Name{rel.Schema, rel.Name}.String() + " IN " + mode + " MODE"
	if noWait {
		text += " NOWAIT"
	}
	return t.onAll(ctx, text, true)
}
