package node

import (
	"context"
	"errors"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/consensus"
	"github.com/heliosdb/helios/ha"
	"github.com/heliosdb/helios/router"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/shard"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// routed is what sessions on a shard's node talk to: transparent write routing. On the
// primary it is the shard itself. On a standby it is a router over this one shard with a
// local replica: single reading statements run here, behind everything that was written
// through this node; everything else goes to the primary.
type routed struct {
	*shard.Engine
	m *member
}

var _ session.Engine = (*routed)(nil)

// standbyWait is how long a read on a standby waits for what was written through it
// before it goes to the primary.
const standbyWait = time.Second

// Begin starts a transaction here, or one that may be forwarded. Routers and other nodes
// know whom they connect to: nothing of theirs is forwarded.
func (r *routed) Begin(ctx context.Context, o session.TxOptions) (session.Tx, error) {
	if _, leading := r.m.shard.Leading(); leading || o.Info.Login == shard.RouterRole {
		return r.Engine.Begin(ctx, o)
	}
	return &routedTx{r: r, o: o}, nil
}

// Renew brings the catalog up to date by which forwarded transactions are planned.
func (r *routed) Renew(ctx context.Context) (changed bool, err error) {
	f := r.m.forwarding.Load()
	if _, leading := r.m.shard.Leading(); leading || f == nil {
		return false, nil
	}
	return f.Renew(ctx)
}

// Lookup finds sequences at the primary when this node is not it.
func (r *routed) Lookup(cat *catalog.Catalog, info *session.Info) builtin.Catalog {
	if f := r.m.forwarding.Load(); f != nil && info.Login != shard.RouterRole {
		if _, leading := r.m.shard.Leading(); !leading {
			return f.Lookup(cat, info)
		}
	}
	return r.Engine.Lookup(cat, info)
}

// CommitPrepared and RollbackPrepared are forwarded.
func (r *routed) CommitPrepared(ctx context.Context, info *session.Info, gid string) error {
	return r.ended(ctx, info, func(e session.Engine) error { return e.CommitPrepared(ctx, info, gid) })
}

// RollbackPrepared is forwarded.
func (r *routed) RollbackPrepared(ctx context.Context, info *session.Info, gid string) error {
	return r.ended(ctx, info, func(e session.Engine) error { return e.RollbackPrepared(ctx, info, gid) })
}

func (r *routed) ended(ctx context.Context, info *session.Info, f func(session.Engine) error) error {
	if _, leading := r.m.shard.Leading(); leading || info.Login == shard.RouterRole {
		return f(r.Engine)
	}
	fwd, err := r.m.forwardEngine(ctx)
	if err != nil {
		return err
	}
	return f(fwd)
}

// forwardEngine is the router over this node's shard, made at its first use.
func (m *member) forwardEngine(ctx context.Context) (*router.Router, error) {
	if m.o.class == ha.Async {
		return nil, types.Errorf("25006", "cannot write on an asynchronous standby").
			WithHint("Connect to the shard's primary, to a semi-sync or sync standby, or to a router.")
	}
	m.forwardMu.Lock()
	defer m.forwardMu.Unlock()
	if f := m.forwarding.Load(); f != nil {
		return f, nil
	}
	ctx, cancel := context.WithTimeout(ctx, hold)
	defer cancel()
	incarnation, err := consensus.NextIncarnation(ctx, m.o.store)
	if err != nil {
		return nil, err
	}
	f, err := router.New(ctx, router.Options{
		Map: m.oneShard, Shards: m.users.shards, Incarnation: incarnation, Logger: m.log,
		OneShard: func() bool {
			c := m.current.Load()
			return c != nil && len(c.Shards) > 1
		},
		Relations: m.shard.Relations(), Limits: router.Limits{Hold: hold},
	})
	if err != nil {
		return nil, err
	}
	m.forwarding.Store(f)
	return f, nil
}

// oneShard is the cluster map as if this node's shard were all there is: what belongs to
// another one is refused by the primary.
func (m *member) oneShard() *cluster.Map {
	current := m.current.Load()
	if current == nil {
		return nil
	}
	s, ok := current.Shard(m.o.shard)
	if !ok {
		return nil
	}
	one := *current
	one.Shards = []cluster.Shard{s}
	one.Slots = make([]cluster.Owner, len(current.Slots))
	for i, o := range current.Slots {
		one.Slots[i] = cluster.Owner{Shard: s.ID, Epoch: o.Epoch}
	}
	one.CellSets = map[uint32]cluster.CellSet{}
	for table, set := range current.CellSets {
		mine := cluster.CellSet{Generation: set.Generation}
		for _, c := range set.Cells {
			if c.Shard == s.ID {
				mine.Cells = append(mine.Cells, c)
			}
		}
		one.CellSets[table] = mine
	}
	return &one
}

// routedTx is a transaction on a standby. It is local or forwarded from its first
// statement on.
type routedTx struct {
	r       *routed
	o       session.TxOptions
	local   session.Tx
	forward session.Tx
}

// Catalog is the replica's, or the primary's once the transaction is there.
func (t *routedTx) Catalog() *catalog.Catalog {
	if t.forward != nil {
		return t.forward.Catalog()
	}
	return t.r.Engine.Catalog()
}

// here tells whether a statement may run on the replica.
func (t *routedTx) here(q *plan.Query) bool {
	return t.forward == nil && q.ReadOnly && !q.Volatile && (t.o.Implicit || t.o.ReadOnly || t.local != nil)
}

// Query runs a statement here or at the primary.
func (t *routedTx) Query(ctx context.Context, q *plan.Query, env *exec.Env) (*exec.Result, error) {
	if t.here(q) {
		tx, err := t.replica(ctx)
		if err == nil {
			return tx.Query(ctx, q, env)
		}
		if !errors.Is(err, errBehind) {
			return nil, err
		}
	}
	if !q.ReadOnly {
		if err := t.mayWrite(); err != nil {
			return nil, err
		}
	}
	tx, err := t.primary(ctx)
	if err != nil {
		return nil, err
	}
	return tx.Query(ctx, q, env)
}

// mayWrite refuses what changes anything in a transaction that must not. A read goes to
// the primary all the same, when the replica is behind or the read is not the same twice.
func (t *routedTx) mayWrite() error {
	if t.o.ReadOnly {
		return types.Errorf("25006", "cannot execute a writing statement in a read-only transaction")
	}
	return nil
}

var errBehind = errors.New("the standby is behind what was written through it")

// replica begins the local transaction, behind what was written through this node.
func (t *routedTx) replica(ctx context.Context) (session.Tx, error) {
	if t.local != nil {
		return t.local, nil
	}
	if f := t.r.m.forwarding.Load(); f != nil {
		wait, cancel := context.WithTimeoutCause(ctx, standbyWait, errBehind)
		defer cancel()
		if err := t.r.m.shard.WaitVisible(wait, f.Heard()); err != nil {
			return nil, err
		}
	}
	var err error
	t.local, err = t.r.Engine.Begin(ctx, t.o)
	return t.local, err
}

// primary begins the forwarded transaction.
func (t *routedTx) primary(ctx context.Context) (session.Tx, error) {
	if t.forward != nil {
		return t.forward, nil
	}
	f, err := t.r.m.forwardEngine(ctx)
	if err != nil {
		return nil, err
	}
	if f.Catalog().Version() < t.r.Engine.Catalog().Version() {
		if _, err := f.Renew(ctx); err != nil { // else its next statement would not find a new table
			return nil, err
		}
	}
	t.forward, err = f.Begin(ctx, t.o)
	return t.forward, err
}

// open lists the transactions that were begun.
func (t *routedTx) open() []session.Tx {
	var out []session.Tx
	if t.local != nil {
		out = append(out, t.local)
	}
	if t.forward != nil {
		out = append(out, t.forward)
	}
	return out
}

func (t *routedTx) each(f func(session.Tx) error) error {
	var errs []error
	for _, tx := range t.open() {
		errs = append(errs, f(tx))
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// EndStatement ends the statement wherever it ran.
func (t *routedTx) EndStatement(err error) {
	for _, tx := range t.open() {
		tx.EndStatement(err)
	}
}

// DDL is forwarded.
func (t *routedTx) DDL(ctx context.Context, stmt sql.Statement, env *exec.Env) (string, error) {
	if m := t.r.m.current.Load(); m != nil && len(m.Shards) > 1 {
		return "", types.Errorf("0A000", "changing the schema is not possible on one shard of several").WithHint("Connect to a router.")
	}
	if err := t.mayWrite(); err != nil {
		return "", err
	}
	tx, err := t.primary(ctx)
	if err != nil {
		return "", err
	}
	return tx.DDL(ctx, stmt, env)
}

// CopyIn is forwarded.
func (t *routedTx) CopyIn(ctx context.Context, rel *catalog.Relation, cols []int16, env *exec.Env) (session.RowSink, error) {
	if err := t.mayWrite(); err != nil {
		return nil, err
	}
	tx, err := t.primary(ctx)
	if err != nil {
		return nil, err
	}
	return tx.CopyIn(ctx, rel, cols, env)
}

// Lock is forwarded.
func (t *routedTx) Lock(ctx context.Context, rel *catalog.Relation, mode string, noWait bool) error {
	if err := t.mayWrite(); err != nil {
		return err
	}
	tx, err := t.primary(ctx)
	if err != nil {
		return err
	}
	return tx.Lock(ctx, rel, mode, noWait)
}

// Savepoint makes a transaction block the primary's.
func (t *routedTx) Savepoint(ctx context.Context, name string) error {
	if t.local == nil {
		if _, err := t.primary(ctx); err != nil {
			return err
		}
	}
	return t.each(func(tx session.Tx) error { return tx.Savepoint(ctx, name) })
}

// RollbackTo goes back to a savepoint.
func (t *routedTx) RollbackTo(ctx context.Context, name string) error {
	return t.each(func(tx session.Tx) error { return tx.RollbackTo(ctx, name) })
}

// Release forgets a savepoint.
func (t *routedTx) Release(ctx context.Context, name string) error {
	return t.each(func(tx session.Tx) error { return tx.Release(ctx, name) })
}

// Commit ends the transaction.
func (t *routedTx) Commit(ctx context.Context) error {
	return t.each(func(tx session.Tx) error { return tx.Commit(ctx) })
}

// Rollback undoes the transaction.
func (t *routedTx) Rollback(ctx context.Context) error {
	return t.each(func(tx session.Tx) error { return tx.Rollback(ctx) })
}

// Prepare is forwarded.
func (t *routedTx) Prepare(ctx context.Context, gid string) error {
	tx, err := t.primary(ctx)
	if err != nil {
		return err
	}
	if t.local != nil {
		if err := t.local.Rollback(ctx); err != nil {
			return err
		}
	}
	return tx.Prepare(ctx, gid)
}

// Explain explains the plan of where the statement would run.
func (t *routedTx) Explain(ctx context.Context, q *plan.Query, analyze bool, env *exec.Env) ([]string, error) {
	begin := t.primary
	if t.here(q) {
		begin = t.replica
	}
	tx, err := begin(ctx)
	if err != nil {
		return nil, err
	}
	return tx.Explain(ctx, q, analyze, env)
}
