package router

import (
	"context"

	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/types"
)

// An autocommit write over several shards is known to be all of its transaction when it
// is sent: PREPARE TRANSACTION travels behind it to each participant, the owner gets the
// statement alone, and the commit needs one more round trip, to the owner. If a shard
// fails or wants the statement to run again, those that have prepared are rolled back by
// the owner's record, like any abandoned transaction, and the statement runs again under
// another gid, with the PREPARE at its commit.

// prepareOrder makes a participant's part durable.
func (t *Tx) prepareOrder() remote.Statement {
	return remote.Statement{SQL: "PREPARE TRANSACTION " + sql.QuoteLiteral(t.name().String()), Once: true}
}

// preparedEvents gives the participants' answers to the flights that carried PREPARE.
func (t *Tx) preparedEvents() []twophase.Event {
	var events []twophase.Event
	for _, id := range t.order[1:] {
		l := t.links[id]
		events = append(events, l.preparedWith(l.err))
	}
	return events
}

// commitPrepared commits a transaction whose participants have prepared already.
func (t *Tx) commitPrepared(ctx context.Context) error {
	d, _ := t.newDriver(ctx)
	var effects []twophase.Effect
	for _, e := range t.preparedEvents() {
		effects = append(effects, d.coordinator.Step(e)...)
	}
	return d.run(effects)
}

// errRolledBack is why a prepared statement is abandoned when nothing has failed.
var errRolledBack = types.Errorf("40001", "the transaction was rolled back")

// abandon takes back a statement that was sent with its PREPAREs. Participants that hold
// intents drop them once the owner has logged the abort, in the background.
func (t *Tx) abandon(ctx context.Context, cause error) {
	t.prepared = false
	if len(t.order) > 0 {
		d, _ := t.newDriver(ctx)
		var effects []twophase.Effect
		for _, e := range t.preparedEvents() {
			effects = append(effects, d.coordinator.Step(e)...)
		}
		if len(effects) == 1 && effects[0].Kind == twophase.CommitOwner {
			effects = d.coordinator.Step(twophase.Event{Kind: twophase.OwnerRefused, Err: cause})
		}
		d.run(effects) // its error is the cause
	}
	for _, l := range t.links {
		l.rollback(ctx)
	}
	clear(t.links)
	t.order, t.seq = nil, 0
}
