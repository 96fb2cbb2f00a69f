package shard

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/txn"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/wal"
)

// Tx is a transaction of one session on this shard.
type Tx struct {
	e     *Engine
	c     *conn
	o     session.TxOptions
	tx    *txn.Tx
	units unitSet          // written
	fixed hlc.Timestamp    // REPEATABLE READ: the first statement's snapshot
	draft *catalog.Catalog // after own DDL
	saved []savedDraft     // oldest first
	gid   string           // of the distributed transaction it is part of
	term  uint32           // in which it began; its locks are gone in any later one
	over  bool
	left  bool // no longer counted

	everywhere uint64 // version of the set of shards when it first wrote what is on every shard
}

var _ session.Tx = (*Tx)(nil)

func (e *Engine) begin(o session.TxOptions) *Tx {
	id := txn.ID(e.txids.Add(1))
	t := &Tx{e: e, c: e.conn(o.Info), o: o, units: unitSet{}, term: e.termNow()}
	t.c.mu.Lock()
	t.c.mu.tx = t
	t.c.mu.Unlock()
	t.tx = txn.New(id, e.store(), e.locks, txn.Options{LockTimeout: e.lockTimeout(o.Info), MaxBytes: maxTxBytes})
	return t
}

// maxTxBytes bounds what one transaction keeps in memory before it commits.
const maxTxBytes = 512 << 20

// Catalog is the catalog as the transaction sees it.
func (t *Tx) Catalog() *catalog.Catalog {
	if t.draft != nil {
		return t.draft
	}
	if t.fixed != 0 {
		if c := t.e.catalogAt(t.fixed); c != nil {
			return c
		}
	}
	return t.e.Catalog()
}

// writable refuses writes of read-only transactions.
func (t *Tx) writable() error {
	if t.o.ReadOnly {
		return types.Errorf("25006", "cannot execute a writing statement in a read-only transaction")
	}
	return nil
}

// conflictAt is the timestamp that a row to be written must not be younger than.
func (t *Tx) conflictAt(r *reading) hlc.Timestamp { return r.at }

// reading opens the snapshot of a statement, not below the floor if nobody has chosen it yet.
// A router that reads rows takes this node for the primary: by an old map it may be a
// standby by now, or one that has just been started and is behind.
func (t *Tx) reading(ctx context.Context, m message, from *start, rows bool) (*reading, error) {
	at, fixed := m.at, m.fixed || m.pinned
	if t.o.Isolation == session.RepeatableRead {
		if t.fixed != 0 {
			at = t.fixed
		}
		fixed = true
	}
	if _, leading := t.e.Leading(); !leading {
		if rows && t.c.info.Login == RouterRole {
			return nil, errNotPrimary()
		}
		return t.e.readStandby(ctx, at)
	}
	r, err := t.e.read(ctx, at, from, fixed)
	if at != 0 && types.CodeOf(err) == "72000" && !m.fixed && t.o.Isolation != session.RepeatableRead {
		return nil, restart(t.e.Visible()) // a router that has heard nothing for long
	}
	if lossy, ok := errors.AsType[*lossyError](err); ok {
		if !m.fixed && t.o.Isolation != session.RepeatableRead {
			return nil, restart(lossy.floor)
		}
		return nil, types.Errorf("40001", "could not serialize access: writes were lost in a failover since the transaction's snapshot").
			WithHint("Run the transaction again.")
	}
	if err == nil && t.o.Isolation == session.RepeatableRead {
		t.fixed = r.at
	}
	return r, err
}

// Query runs a statement. What it did is taken back when the router has to run it again;
// the locks stay.
func (t *Tx) Query(ctx context.Context, q *plan.Query, env *exec.Env) (*exec.Result, error) {
	t.tx.SetLockTimeout(t.e.lockTimeout(t.o.Info))
	mark := t.tx.Mark()
	res, err := t.query(ctx, q, env)
	if err != nil && strings.HasPrefix(types.CodeOf(err), "ZH") {
		t.tx.Undo(mark)
	}
	return res, err
}

// query runs a statement. A writing one that meets a row which somebody else has changed
// since its snapshot runs again above it, keeping its locks, unless the snapshot is the
// transaction's or the router's.
func (t *Tx) query(ctx context.Context, q *plan.Query, env *exec.Env) (*exec.Result, error) {
	m := t.c.take()
	if m.gid != "" {
		t.e.enlist(t, m.gid)
	}
	rows := slices.ContainsFunc(q.Relations, stored)
	if rows { // only rows have owners: a setting may come ahead of the map's version
		if err := t.e.agree(ctx, m); err != nil {
			return nil, err
		}
	}
	if t.tx.Dirty() && t.term != t.e.termNow() {
		return nil, errLostLocks()
	}
	mark, first := t.tx.Mark(), t.fixed == 0
	var from start
	for {
		r, err := t.reading(ctx, m, &from, rows)
		if err != nil {
			return nil, err
		}
		if err := t.sameSchema(q, m, r); err != nil {
			r.close()
			return nil, err
		}
		env.Source = &source{e: t.e, t: t, r: r, m: m}
		res, err := exec.Run(ctx, q, env)
		if err == nil {
			if err = r.settle(ctx, res); err == nil {
				res.Rows = &readRows{Rows: res.Rows, r: r, router: t.c.info.Login == RouterRole}
				return res, nil
			}
			res.Rows.Close() //nolint:errcheck // why it ends says more
		}
		r.close()
		if session.WantsReplan(err) {
			t.tx.Undo(mark)
		}
		if r.decided > 0 && m.at == 0 && first && types.CodeOf(err) == "ZH002" {
			from.floor, t.fixed = max(from.floor, r.decided), 0
			t.tx.Undo(mark)
			continue
		}
		var newer *txn.NewerError
		if !errors.As(err, &newer) {
			return nil, sqlError(err)
		}
		switch {
		case t.o.Isolation == session.RepeatableRead || m.fixed:
			return nil, types.Errorf("40001", "could not serialize access due to concurrent update")
		case m.at != 0:
			return nil, restart(newer.Time)
		}
		t.e.counters.restarts.Add(1)
		t.tx.Undo(mark)
	}
}

// settle finds out whether a statement whose first rows can be read has to begin again.
func (r *reading) settle(ctx context.Context, res *exec.Result) error {
	if r.chosen {
		if err := ahead(ctx, res); err != nil {
			return err
		}
	}
	return r.check()
}

// aheadRows is how many rows of a statement whose snapshot the shard chose are read before
// the first is shown: what they meet can still have it begin again.
const aheadRows = 4096

// ahead reads the first rows of a result, or all.
func ahead(ctx context.Context, res *exec.Result) error {
	read := &aheadOf{Rows: res.Rows}
	res.Rows = read
	for n := 0; n < aheadRows; {
		batch, err := read.Rows.Next(ctx)
		if errors.Is(err, io.EOF) {
			read.ended = true
			return nil
		}
		if err != nil {
			return err
		}
		read.batches = append(read.batches, slices.Clone(batch))
		n += len(batch)
	}
	return nil
}

// aheadOf gives the rows that were read ahead, then the rest.
type aheadOf struct {
	exec.Rows
	batches [][]types.Row
	ended   bool
}

func (a *aheadOf) Next(ctx context.Context) ([]types.Row, error) {
	switch {
	case len(a.batches) > 0:
		batch := a.batches[0]
		a.batches = a.batches[1:]
		return batch, nil
	case a.ended:
		return nil, io.EOF
	}
	return a.Rows.Next(ctx)
}

// sameSchema refuses to run a plan that was made for another catalog than the snapshot's.
func (t *Tx) sameSchema(q *plan.Query, m message, r *reading) error {
	if t.draft != nil {
		return nil
	}
	cat := t.e.catalogAt(r.at)
	if cat == nil {
		return types.Errorf("57P03", "the shard is not set up yet")
	}
	if m.schema != 0 && m.schema != cat.Version() {
		return types.Errorf("ZH003", "stale schema: the shard's catalog is %d, the plan's %d", cat.Version(), m.schema)
	}
	return nil
}

// readRows closes the statement's snapshot with its rows, and ends with RESTART when the
// snapshot turned out too old.
type readRows struct {
	exec.Rows
	r      *reading
	router bool // who reads knows what RESTART means
}

func (r *readRows) Next(ctx context.Context) ([]types.Row, error) {
	rows, err := r.Rows.Next(ctx)
	if errors.Is(err, io.EOF) {
		if stale := r.r.check(); stale != nil && !r.router {
			return nil, types.Errorf("40001", "could not serialize access: a newer version was met while the statement ran").
				WithHint("Run the transaction again.")
		} else if stale != nil {
			return nil, stale
		}
	}
	return rows, sqlError(err)
}

func (r *readRows) Close() error {
	defer r.r.close() // its iterators come first
	return r.Rows.Close()
}

// EndStatement reports the timestamp that a router hears of.
func (t *Tx) EndStatement(error) { t.c.heard(t.e.Visible()) }

// Lock is LOCK TABLE: the modes that exclude writers take the table's lock alone.
func (t *Tx) Lock(ctx context.Context, rel *catalog.Relation, mode string, noWait bool) error {
	if m := t.c.take(); m.gid != "" {
		t.e.enlist(t, m.gid)
	}
	t.tx.SetLockTimeout(t.e.lockTimeout(t.o.Info))
	strength := txn.KeyShare
	switch mode {
	case "access share", "row share", "row exclusive":
	default:
		strength = txn.Update
	}
	wait := txn.Block
	if noWait {
		wait = txn.NoWait
	}
	return t.tx.Lock(ctx, tableLock(rel.OID), strength, wait, 0)
}

// Savepoint marks a point to go back to.
func (t *Tx) Savepoint(_ context.Context, name string) error {
	t.tx.Savepoint(name)
	t.saved = append(t.saved, savedDraft{name, t.draft})
	return nil
}

// savedDraft is the transaction's own catalog at a savepoint, nil for none.
type savedDraft struct {
	name  string
	draft *catalog.Catalog
}

// findSaved gives the place of the newest savepoint of a name, which there is.
func (t *Tx) findSaved(name string) int {
	for i, s := range slices.Backward(t.saved) {
		if s.name == name {
			return i
		}
	}
	return 0
}

// RollbackTo goes back to a savepoint. A router's mark of a statement that runs again keeps
// the locks, so that each run has more of its rows to itself and one run is the last.
func (t *Tx) RollbackTo(_ context.Context, name string) error {
	back := t.tx.RollbackTo
	if name == twophase.StatementMark && t.c.info.Login == RouterRole {
		back = t.tx.UndoTo
	}
	if !back(name) {
		return types.Errorf("3B001", "savepoint %q does not exist", name)
	}
	i := t.findSaved(name)
	t.draft, t.saved = t.saved[i].draft, t.saved[:i+1]
	return nil
}

// Release forgets a savepoint.
func (t *Tx) Release(_ context.Context, name string) error {
	if !t.tx.Release(name) {
		return types.Errorf("3B001", "savepoint %q does not exist", name)
	}
	t.saved = t.saved[:t.findSaved(name)]
	return nil
}

// Commit makes the transaction durable and visible, in that order, and only then returns.
func (t *Tx) Commit(ctx context.Context) error {
	order := t.c.takeCommit()
	defer t.e.leave(t)
	if order == nil && t.tx.Writes() == 0 {
		t.tx.End()
		return nil
	}
	if order != nil {
		return t.commitAsOwner(ctx, order)
	}
	ts, err := t.log(ctx, wal.TypeTxn, func(hlc.Timestamp) ([]byte, error) { return t.tx.Batch(false).Encode(), nil })
	if err == nil {
		t.c.heard(ts)
	}
	return err
}

// errLostLocks ends a transaction that began before this node led the shard in its term.
func errLostLocks() *types.Error {
	return types.Errorf("40001", "could not go on: the shard's primary has changed since the transaction began").
		WithHint("Run the transaction again.")
}

// log appends the transaction's record; its locks go when the record is applied, or at
// once when it is refused.
func (t *Tx) log(ctx context.Context, typ wal.Type, build func(ts hlc.Timestamp) ([]byte, error)) (hlc.Timestamp, error) {
	t.over = true
	ts, err := t.e.logTx(ctx, typ, t.c.session, func(ts hlc.Timestamp) ([]byte, error) {
		if err := t.mayCommit(); err != nil {
			return nil, err
		}
		return build(ts)
	}, t.tx.End)
	return ts, err
}

// mayCommit holds that nothing has moved since the writes, nor the locks been lost with a
// step-down; the shard's mu is held.
func (t *Tx) mayCommit() error {
	if t.term != t.e.mu.term {
		return errLostLocks()
	}
	if err := t.e.sameShards(t.everywhere); err != nil {
		return err
	}
	return t.e.mayWrite(t.units)
}

// writesEverywhere notes that what is written has to be on every shard.
func (t *Tx) writesEverywhere() {
	t.e.mu.Lock()
	defer t.e.mu.Unlock()
	if t.everywhere == 0 {
		t.everywhere = t.e.mu.members
	}
}

// commitAsOwner is the commit point of a distributed transaction: one record with this
// shard's rows, the decision and the participants, above every prepare.
func (t *Tx) commitAsOwner(ctx context.Context, o *commitOrder) error {
	t.e.clock.Observe(o.above)
	ts, err := t.log(ctx, wal.TypeDecision, func(ts hlc.Timestamp) ([]byte, error) {
		d := decision{GID: o.gid, State: twophase.Committed, Participants: o.participants}
		b := t.tx.Batch(false)
		b.PutMeta(decisionKey(o.gid), decisionValue(ts, d))
		d.Batch = b.Encode()
		payload := d.encode()
		if err := fits(payload); err != nil {
			return nil, err
		}
		if err := t.e.claimDecision(o.gid); err != nil {
			return nil, types.Errorf("40001", "could not commit: the transaction was taken for abandoned and rolled back")
		}
		return payload, nil
	})
	if err == nil {
		t.c.heard(ts)
	}
	return err
}

// Rollback undoes everything.
func (t *Tx) Rollback(context.Context) error {
	t.c.takeCommit()
	t.e.leave(t)
	if !t.over {
		t.over = true
		t.tx.End()
	}
	return nil
}

// Prepare makes the transaction durable without deciding it.
func (t *Tx) Prepare(ctx context.Context, gid string) error {
	defer t.e.leave(t)
	t.over = true
	t.pushed()
	ts, err := t.e.prepareTx(ctx, gid, t)
	if err != nil {
		if types.CodeOf(err) != "40003" {
			t.tx.End()
		}
		return err
	}
	t.c.heard(ts)
	return nil
}

// logTx is logRecord for a session's transaction: end runs when its locks may go.
func (s *Shard) logTx(ctx context.Context, typ wal.Type, session uint64, build func(ts hlc.Timestamp) ([]byte, error), end func()) (hlc.Timestamp, error) {
	fill := func(ts hlc.Timestamp) ([]byte, error) {
		if err := s.mayLog(session); err != nil {
			return nil, err
		}
		payload, err := build(ts)
		if err == nil {
			err = fits(payload)
		}
		if err == nil {
			s.mu.flying[session]++
		}
		return payload, err
	}
	for {
		answer := make(chan error, 1)
		_, ts, err := s.appendRecord(typ, session, fill, func(err error) {
			if s.mu.flying[session]--; s.mu.flying[session] == 0 {
				delete(s.mu.flying, session)
			}
			end()
			answer <- err
		})
		if errors.Is(err, errCeiling) {
			if err = s.raiseCeiling(ctx); err == nil {
				continue
			}
		}
		if err != nil {
			end()
			return 0, err
		}
		select {
		case err := <-answer:
			return ts, err
		case <-ctx.Done():
			return ts, types.Errorf("40003", "the outcome of the transaction is unknown: %s", context.Cause(ctx)).
				WithHint("It was logged and waits for the standby; it may still take effect.")
		}
	}
}

// commitOrder is what SET LOCAL helios.commit says: gid@above;participant,…
type commitOrder struct {
	gid          string
	above        hlc.Timestamp
	participants []twophase.ShardID
}

func parseCommitOrder(s string) (*commitOrder, error) {
	bad := types.Errorf("22023", "invalid value for parameter %q: %q", "helios.commit", s)
	head, list, _ := cut(s, ';')
	gid, above, ok := cut(head, '@')
	ts, err := strconv.ParseUint(above, 10, 63)
	if _, gerr := twophase.ParseGID(gid); !ok || err != nil || gerr != nil {
		return nil, bad
	}
	o := &commitOrder{gid: gid, above: hlc.Timestamp(ts)}
	if o.participants, err = parseShards(list); err != nil {
		return nil, bad
	}
	return o, nil
}

// parseShards reads numbers of shards with commas between.
func parseShards(list string) (out []twophase.ShardID, err error) {
	for list != "" {
		var one string
		one, list, _ = cut(list, ',')
		n, err := strconv.ParseUint(one, 10, 16)
		if err != nil {
			return nil, types.Errorf("22023", "%q is no number of a shard", one)
		}
		out = append(out, twophase.ShardID(n))
	}
	return out, nil
}

func cut(s string, sep byte) (before, after string, found bool) {
	for i := range len(s) {
		if s[i] == sep {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// Explain gives the lines of EXPLAIN.
func (t *Tx) Explain(ctx context.Context, q *plan.Query, analyze bool, env *exec.Env) ([]string, error) {
	lines := plan.Explain(q.Root, nil)
	if !analyze {
		return lines, nil
	}
	start := time.Now()
	res, err := t.Query(ctx, q, env)
	if err != nil {
		return nil, err
	}
	defer res.Rows.Close()
	for {
		if _, err := res.Rows.Next(ctx); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
	}
	lines = append(lines, "Rows: "+strconv.FormatInt(res.Count(), 10),
		"Execution Time: "+strconv.FormatFloat(float64(time.Since(start).Microseconds())/1000, 'f', 3, 64)+" ms")
	return lines, nil
}

func stored(r *catalog.Relation) bool { return !r.Virtual }
