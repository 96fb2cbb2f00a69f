package router

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/types"
)

// A client's own PREPARE TRANSACTION 'x'. Its owner is the shard with the lowest number,
// where every router finds 'x' and where the name is unique; it prepares last, so that
// what it lists is prepared everywhere.

// Prepare makes the transaction durable without deciding it.
func (t *Tx) Prepare(ctx context.Context, name string) error {
	t.closeStreams()
	if t.ddl {
		return t.refusePrepare(ctx, types.Errorf("0A000", "cannot PREPARE a transaction that has changed the schema").
			WithHint("COMMIT is atomic over all shards; no prepared transaction is needed for it."))
	}
	m, err := t.r.clusterMap()
	if err != nil {
		return t.refusePrepare(ctx, err)
	}
	owner := serving(m)[0]
	if err := t.bindOwner(ctx, owner); err != nil {
		return t.refusePrepare(ctx, public(err))
	}
	gid := twophase.GID{Incarnation: t.r.o.Incarnation, Seq: t.seq, Owner: owner, User: t.o.Info.User(), Name: name}
	participants := slices.DeleteFunc(slices.Clone(t.order), func(id cluster.ShardID) bool { return id == owner })
	t.order = append([]cluster.ShardID{owner}, participants...)
	defer t.end()
	c, effects := twophase.New(gid, participants)
	d := &driver{t: t, r: t.r, ctx: ctx, coordinator: c, events: make(chan twophase.Event, len(t.order)+1)}
	failed := d.prepareAll(effects)
	if err := t.prepareOwner(ctx, d, failed); err != nil {
		return public(err)
	}
	return nil
}

func (t *Tx) refusePrepare(ctx context.Context, err error) error {
	t.Rollback(ctx)
	return err
}

// bindOwner makes the owner one of the transaction's shards, written or not.
func (t *Tx) bindOwner(ctx context.Context, id cluster.ShardID) error {
	if t.seq == 0 {
		t.seq = t.r.seq.Add(1)
	}
	for _, l := range t.links {
		if err := l.free(); err != nil {
			return err
		}
	}
	if t.links[id] != nil {
		return nil
	}
	l, err := t.r.connect(ctx, id, len(t.links) > 0)
	if err != nil {
		return err
	}
	l.bound = true
	t.links[id], t.order = l, append(t.order, id)
	return nil
}

// prepareAll prepares the participants, all at the same time, and gives the coordinator's
// effects once all have answered: to commit at the owner, or to take everything back.
func (d *driver) prepareAll(effects []twophase.Effect) []twophase.Effect {
	if len(d.coordinator.Participants) == 0 {
		return effects
	}
	d.r.stats.flights.Add(1)
	events := make([]twophase.Event, len(effects))
	var wg sync.WaitGroup
	for i, e := range effects {
		wg.Go(func() { events[i] = d.prepare(e.Shard) })
	}
	wg.Wait()
	var out []twophase.Effect
	for _, e := range events {
		out = append(out, d.coordinator.Step(e)...)
	}
	return out
}

// prepareOwner prepares the owner above all others, in the place of the coordinator's
// commit; from then on the transaction is its client's to end.
func (t *Tx) prepareOwner(ctx context.Context, d *driver, effects []twophase.Effect) error {
	if effects[0].Kind != twophase.CommitOwner {
		return d.run(effects)
	}
	gid, l := d.coordinator.GID, t.links[d.coordinator.GID.Owner]
	t.r.stats.flights.Add(1)
	var before []remote.Statement
	if !l.open {
		before = append(before, remote.Statement{SQL: "BEGIN"})
	}
	above := "t=" + strconv.FormatUint(uint64(effects[0].Time), 10)
	before = append(before, remote.Statement{SQL: "SELECT helios.ctx($1)", Params: []remote.Param{textParam(above)}})
	l.open = true
	_, err := l.conn.Run(ctx, append(before, remote.Statement{SQL: "PREPARE TRANSACTION " + sql.QuoteLiteral(gid.String()), Once: true})...)
	switch e := l.preparedWith(l.failed(err)); e.Kind {
	case twophase.Prepared:
		return nil
	case twophase.PrepareUnknown:
		// Prepared, or the owner says that it never will be.
		if got := d.decide(); got.Kind == twophase.OutcomeIs && got.Outcome.State == twophase.Undecided {
			return nil
		}
		return d.run(d.coordinator.Step(twophase.Event{Kind: twophase.OwnerUnknown, Err: e.Err}))
	default:
		return d.run(d.coordinator.Step(twophase.Event{Kind: twophase.OwnerRefused, Err: e.Err}))
	}
}

// CommitPrepared ends a client's prepared transaction.
func (r *Router) CommitPrepared(ctx context.Context, info *session.Info, name string) error {
	return r.finishPrepared(ctx, info, name, true)
}

// RollbackPrepared ends a client's prepared transaction.
func (r *Router) RollbackPrepared(ctx context.Context, info *session.Info, name string) error {
	return r.finishPrepared(ctx, info, name, false)
}

// finishPrepared has the owner decide, then tells the others in the background.
func (r *Router) finishPrepared(ctx context.Context, info *session.Info, name string, commit bool) error {
	m, err := r.clusterMap()
	if err != nil {
		return err
	}
	shards := serving(m)
	user := info.User()
	if role, ok := r.Catalog().Role(user); ok && role.Superuser {
		user = ""
	}
	list := make([]string, 0, len(shards))
	for _, id := range shards[1:] {
		list = append(list, itoa(int(id)))
	}
	text, err := r.ask(ctx, shards[0], "SELECT helios.finish_prepared($1, $2, $3, $4)", textParam(name), textParam(user),
		remote.Param{Type: types.BoolOID, Format: remote.Text, Value: []byte(strconv.FormatBool(commit))}, textParam(strings.Join(list, ",")))
	switch judge(err) {
	case lostAnswer:
		return unknownOutcome(err)
	case final:
	default:
		return public(err)
	}
	if err != nil {
		return err
	}
	head, outcome, _ := strings.Cut(text, " ")
	gid, err := twophase.ParseGID(head)
	if err != nil {
		return err
	}
	o, err := twophase.ParseOutcome(outcome)
	if err != nil {
		return err
	}
	if o.State == twophase.Committed {
		r.hear(o.Time)
		r.session(info).committed(o.Time)
	}
	r.work.Go(func() { r.tellAll(gid, o, shards[1:]) })
	return nil
}

// tellAll tells every shard that may have a part the outcome, then the owner that all know.
func (r *Router) tellAll(gid twophase.GID, o twophase.Outcome, shards []cluster.ShardID) {
	heard := make([]bool, len(shards))
	var wg sync.WaitGroup
	for i, id := range shards {
		wg.Go(func() { heard[i] = r.tell(id, gid, o) })
	}
	wg.Wait()
	if !slices.Contains(heard, false) {
		r.finished.forget(gid)
	}
}

// preparedRows are the transactions that clients have prepared, for pg_prepared_xacts.
func (r *Router) preparedRows(ctx context.Context, m *cluster.Map, database string) ([]types.Row, error) {
	owner := serving(m)[0]
	var rows [][][]byte
	err := r.o.Shards.Do(ctx, owner, remote.Primary, func(c *remote.Conn) (err error) {
		rows, err = askOn(ctx, c, remote.Statement{SQL: "SELECT gid, prepared FROM pg_prepared_xacts", Result: remote.Binary})
		return err
	})
	if err != nil {
		return nil, public(err)
	}
	var out []types.Row
	for _, row := range rows {
		gid, err := twophase.ParseGID(string(row[0]))
		if err != nil || !gid.Own() || gid.Owner != owner {
			continue
		}
		at, err := types.ParseBinary(types.T(types.TimestampTZOID), row[1])
		if err != nil {
			return nil, err
		}
		out = append(out, types.Row{
			types.Int(int64(gid.Seq)), types.Text(gid.Name), at, types.Text(gid.User), types.Text(database),
		})
	}
	return out, nil
}
