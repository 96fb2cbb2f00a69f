package router

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/types"
)

// Commit makes the transaction durable. Written on one shard, it commits there by one
// record; on several, the participants prepare and the owner, the first written shard,
// decides by its commit record.
func (t *Tx) Commit(ctx context.Context) error {
	t.closeStreams()
	defer t.end()
	var err error
	switch {
	case t.prepared:
		err = t.commitPrepared(ctx)
	case len(t.order) == 0:
		return nil
	case len(t.order) == 1:
		err = t.commitOne(ctx, t.links[t.order[0]])
	default:
		err = t.commitSeveral(ctx)
	}
	if err == nil && t.ddl {
		t.settle(ctx)
	}
	return err
}

// commitOne ends a transaction that wrote on one shard.
func (t *Tx) commitOne(ctx context.Context, l *link) error {
	if err := l.free(); err != nil {
		return err
	}
	t.r.stats.flights.Add(1)
	l.note()
	tag, err := l.conn.Run(ctx, remote.Statement{SQL: "COMMIT"})
	if err != nil {
		if l.lost(l.failed(err)) {
			return t.lostCommit(ctx, l, err)
		}
		if judge(err) == neverSent {
			return errLostSession(l.shard)
		}
		return public(err)
	}
	if tag != "COMMIT" { // its block had failed
		return errLostSession(l.shard)
	}
	t.committedAt(l.hear())
	return nil
}

// committedAt notes when the transaction has committed.
func (t *Tx) committedAt(ts hlc.Timestamp) {
	t.at = ts
	t.s.committed(ts)
}

// commitSeveral drives a two-phase commit until the client can be answered; what remains
// to be told to participants goes on in the background.
func (t *Tx) commitSeveral(ctx context.Context) error {
	for _, id := range t.order {
		if err := t.links[id].free(); err != nil {
			if rollback := t.Rollback(ctx); rollback != nil {
				return rollback
			}
			return err
		}
	}
	d, effects := t.newDriver(ctx)
	return d.run(effects)
}

// newDriver begins a two-phase commit; the effects are the prepares.
func (t *Tx) newDriver(ctx context.Context) (*driver, []twophase.Effect) {
	t.r.stats.distributed.Add(1)
	c, effects := twophase.New(t.name(), t.order[1:])
	d := &driver{t: t, r: t.r, ctx: ctx, coordinator: c, events: make(chan twophase.Event, len(t.order)+1)}
	return d, effects
}

// driver turns the effects of a coordinator into statements and their answers into
// events. Until the client is answered it is the session's; afterwards a goroutine of the
// router goes on with it.
type driver struct {
	t           *Tx
	r           *Router
	ctx         context.Context
	coordinator *twophase.Coordinator
	events      chan twophase.Event

	answered bool
	err      error // for the client
	pending  int   // effects whose event is still to come
}

// run goes on until the client's answer is known.
func (d *driver) run(effects []twophase.Effect) error {
	d.r.watched.add(d.t.gid(), nil)
	defer d.r.watched.remove(d.t.gid())
	for {
		for _, e := range effects {
			d.do(e)
		}
		if d.answered {
			break
		}
		e := <-d.events
		d.pending--
		effects = d.coordinator.Step(e)
	}
	if t := d.t; t.ddl && d.err == nil {
		d.finish() // the next statement is planned for the new catalog: every shard must have it
	} else if !d.coordinator.Finished() {
		d.r.work.Go(d.finish)
	}
	return d.err
}

// finish delivers what is left.
func (d *driver) finish() {
	for d.pending > 0 {
		e := <-d.events
		d.pending--
		for _, effect := range d.coordinator.Step(e) {
			d.do(effect)
		}
	}
}

// do starts an effect; those that are answered send an event.
func (d *driver) do(e twophase.Effect) {
	switch e.Kind {
	case twophase.Prepare:
		d.start(func() twophase.Event { return d.prepare(e.Shard) })
		if len(d.coordinator.Participants) == d.pending {
			d.r.stats.flights.Add(1) // all of them at the same time
		}
	case twophase.CommitOwner:
		d.r.stats.flights.Add(1)
		d.start(func() twophase.Event { return d.commitOwner(e) })
	case twophase.Rollback:
		d.t.links[e.Shard].rollback(d.ctx)
	case twophase.Decide:
		d.start(d.decide)
	case twophase.Resolve:
		d.start(func() twophase.Event { return d.resolve(e) })
	case twophase.Answer:
		d.answered = true
		if e.Err != nil {
			d.err = public(e.Err)
			return
		}
		d.r.hear(e.Time)
		d.t.committedAt(e.Time)
	case twophase.Done:
		d.r.finished.forget(d.coordinator.GID)
	}
}

func (d *driver) start(f func() twophase.Event) {
	d.pending++
	d.r.work.Go(func() { d.events <- f() })
}

// prepare makes a participant's part durable.
func (d *driver) prepare(id cluster.ShardID) twophase.Event {
	l := d.t.links[id]
	return l.preparedWith(l.exec(d.ctx, "PREPARE TRANSACTION "+sql.QuoteLiteral(d.coordinator.GID.String())))
}

// preparedWith tells what a flight that ended with PREPARE TRANSACTION, and with err, means.
func (l *link) preparedWith(err error) twophase.Event {
	id := l.shard
	switch {
	case err == nil && l.open && l.conn.TxStatus() == 'I':
		return twophase.Event{Kind: twophase.Prepared, Shard: id, Time: l.hear()}
	case err == nil:
		return twophase.Event{Kind: twophase.PrepareFailed, Shard: id, Err: errLostSession(id)}
	case !l.dead && l.conn.TxStatus() == 'E': // it did not come to the PREPARE
		return twophase.Event{Kind: twophase.PrepareFailed, Shard: id, Err: err}
	}
	switch judge(err) {
	case lostAnswer:
		return twophase.Event{Kind: twophase.PrepareUnknown, Shard: id, Err: serialization(err, "a shard was lost")}
	case neverSent:
		return twophase.Event{Kind: twophase.PrepareFailed, Shard: id, Err: errLostSession(id)}
	}
	if code := types.CodeOf(err); code == "40003" || code == "57014" {
		// Logged, perhaps: the wait for it was cut short.
		return twophase.Event{Kind: twophase.PrepareUnknown, Shard: id, Err: err}
	}
	return twophase.Event{Kind: twophase.PrepareFailed, Shard: id, Err: err}
}

// commitOwner has the owner append the commit point: one record with its rows, the
// decision and the participants.
func (d *driver) commitOwner(e twophase.Effect) twophase.Event {
	l := d.t.links[e.Shard]
	parts := make([]string, len(d.coordinator.Participants))
	for i, p := range d.coordinator.Participants {
		parts[i] = itoa(int(p))
	}
	order := fmt.Sprintf("%s@%d;%s", d.coordinator.GID, uint64(e.Time), strings.Join(parts, ","))
	rows, err := l.conn.Query(d.ctx, "SET LOCAL helios.commit = "+sql.QuoteLiteral(order)+"; COMMIT")
	tag := ""
	if err == nil {
		for rows.NextResult() {
			for rows.Next() {
			}
			tag = rows.Tag()
		}
		err = l.finish(rows)
	}
	switch {
	case err == nil && tag == "COMMIT":
		return twophase.Event{Kind: twophase.OwnerCommitted, Time: l.hear()}
	case err == nil:
		return twophase.Event{Kind: twophase.OwnerRefused, Err: errLostSession(e.Shard)}
	}
	v, code := judge(err), types.CodeOf(err)
	if v == lostAnswer || code == "40003" || code == "57014" {
		return twophase.Event{Kind: twophase.OwnerUnknown, Err: serialization(err, "the owner was lost")}
	}
	return twophase.Event{Kind: twophase.OwnerRefused, Err: err}
}

// decide asks the owner's primary, whoever it is now, what became of the transaction; if
// nothing is logged there, it is aborted by that.
func (d *driver) decide() twophase.Event {
	ctx, cancel := context.WithTimeout(d.r.ctx, d.r.o.Limits.Decide)
	defer cancel()
	var o twophase.Outcome
	err := d.r.until(ctx, func() error {
		text, err := d.r.ask(ctx, d.coordinator.GID.Owner, "SELECT helios.abandon($1)", textParam(d.coordinator.GID.String()))
		if err == nil {
			o, err = twophase.ParseOutcome(text)
		}
		return err
	})
	if err != nil { // the participants ask it themselves: it must not forget
		d.r.log.Warn("the outcome of a commit is not known", "gid", d.coordinator.GID, "err", err)
		d.r.finished.keep(d.coordinator.GID)
		return twophase.Event{Kind: twophase.NoOutcome, Err: unknownOutcome(err)}
	}
	return twophase.Event{Kind: twophase.OutcomeIs, Outcome: o}
}

// resolve tells a participant the outcome, again and again until it has heard: its intents
// keep others waiting. A participant that is gone for longer asks the owner itself.
func (d *driver) resolve(e twophase.Effect) twophase.Event {
	if !d.r.tell(e.Shard, d.coordinator.GID, e.Outcome) {
		d.r.finished.keep(d.coordinator.GID)
	}
	return twophase.Event{Kind: twophase.Resolved, Shard: e.Shard}
}

// tell tells a participant the outcome; false when it could not be reached in time.
func (r *Router) tell(id cluster.ShardID, gid twophase.GID, o twophase.Outcome) bool {
	text := "ROLLBACK PREPARED " + sql.QuoteLiteral(gid.String())
	if o.State == twophase.Committed {
		text = "COMMIT PREPARED " + sql.QuoteLiteral(fmt.Sprintf("%s@%d", gid, uint64(o.Time)))
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.o.Limits.Decide)
	defer cancel()
	err := r.until(ctx, func() error {
		return r.o.Shards.Do(ctx, id, remote.Primary, func(c *remote.Conn) error {
			_, err := c.Run(ctx, remote.Statement{SQL: text, Once: true})
			if types.CodeOf(err) == "42704" { // it has heard already
				return nil
			}
			return err
		})
	})
	if err != nil {
		r.log.Warn("a participant has not heard the outcome; it will ask", "gid", gid, "shard", id, "err", err)
	}
	return err == nil
}

// until calls f again while it fails for a reason that passes.
func (r *Router) until(ctx context.Context, f func() error) error {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := f()
		if err == nil || !passing(err) {
			return err
		}
		if m := r.o.Map(); m != nil {
			if err := r.refresh(ctx, m); err != nil {
				return err
			}
		}
		if sleep(ctx, pause) != nil {
			return err
		}
	}
}

// ask sends a query of one value to a shard's primary.
func (r *Router) ask(ctx context.Context, id cluster.ShardID, query string, params ...remote.Param) (text string, err error) {
	err = r.o.Shards.Do(ctx, id, remote.Primary, func(c *remote.Conn) error {
		var rows [][][]byte
		rows, err = askOn(ctx, c, remote.Statement{SQL: query, Params: params})
		if ts, perr := parseTimestamp(c.Parameter("helios.ts")); perr == nil {
			r.hear(ts)
		}
		if err == nil && len(rows) > 0 {
			text = string(rows[len(rows)-1][0])
		}
		return err
	})
	return text, err
}

// askOn runs statements that have nothing to do with who owns what, and gives all their
// rows. What the connection was told of the map before does not hold for them.
func askOn(ctx context.Context, c *remote.Conn, statements ...remote.Statement) (out [][][]byte, err error) {
	if t, ok := c.State.(*told); ok && t.ownership != 0 {
		t.ownership = 0
		statements = append([]remote.Statement{{SQL: "SELECT helios.ctx($1)", Params: []remote.Param{textParam("v=0")}}}, statements...)
	}
	rows, err := c.Exec(ctx, statements...)
	if err != nil {
		return nil, err
	}
	for rows.NextResult() {
		for rows.Next() {
			row := make([][]byte, len(rows.Raw()))
			for i, b := range rows.Raw() {
				row[i] = append([]byte(nil), b...)
			}
			out = append(out, row)
		}
	}
	if err := rows.Close(); err != nil {
		if t, ok := c.State.(*told); ok {
			t.ownership = unknown
		}
		return out, err
	}
	return out, nil
}

// finisher has owners forget decisions that every participant has heard.
type finisher struct {
	wake chan struct{}
	mu   struct {
		sync.Mutex
		stopped bool
		gids    map[cluster.ShardID][]string
		kept    map[twophase.GID]bool // a participant has not heard: the owner must not forget
	}
}

func (f *finisher) init() {
	f.wake = make(chan struct{}, 1)
	f.mu.gids = map[cluster.ShardID][]string{}
	f.mu.kept = map[twophase.GID]bool{}
}

func (f *finisher) keep(gid twophase.GID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.kept[gid] = true
}

func (f *finisher) forget(gid twophase.GID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.kept[gid] {
		delete(f.mu.kept, gid)
		return
	}
	f.mu.gids[gid.Owner] = append(f.mu.gids[gid.Owner], gid.String())
}

func (f *finisher) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.mu.stopped {
		f.mu.stopped = true
		close(f.wake)
	}
}

// run tells owners once a second, many decisions at a time, and once more at the end.
func (f *finisher) run(r *Router) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.flush(r)
			r.follow()
			r.holdSnapshots()
		case <-f.wake:
			f.flush(r)
			return
		}
	}
}

// follow keeps the catalog near the newest one, for what a statement reads in pg_catalog.
func (r *Router) follow() {
	ctx, cancel := context.WithTimeout(r.ctx, time.Second)
	defer cancel()
	if _, err := r.Renew(ctx); err != nil {
		r.log.Debug("look for a newer catalog", "err", err)
	}
}

// forgetMax bounds the gids of one statement.
const forgetMax = 1000

func (f *finisher) flush(r *Router) {
	f.mu.Lock()
	gids := f.mu.gids
	f.mu.gids = map[cluster.ShardID][]string{}
	f.mu.Unlock()
	for owner, list := range gids {
		for part := range slices.Chunk(list, forgetMax) {
			ctx, cancel := context.WithTimeout(r.ctx, 5*time.Second)
			_, err := r.ask(ctx, owner, "SELECT helios.forget($1)", textParam(strings.Join(part, ",")))
			cancel()
			if err != nil { // the owner keeps them: nothing is lost but room
				r.log.Debug("forget", "shard", owner, "err", err)
			}
		}
	}
}
