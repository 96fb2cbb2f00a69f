package router

import (
	"context"
	"errors"
	"strconv"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/types"
)

// A connection may break after a COMMIT on one shard was sent and before its answer has
// come. Each session of a shard has a number, which the log's records carry; the shard's
// primary, this one or the next, tells whether the session has committed anything above
// the timestamp that the router had heard over the connection, and from then on refuses
// what might still come of it.

// sessionOutcome asks for the fate of the last flight over a connection that broke. It goes
// on for as long as a client may be kept waiting for a primary, whatever the client does.
func (r *Router) sessionOutcome(l *link, cause error) (twophase.Outcome, error) {
	var o twophase.Outcome
	if l.last.session == "" {
		r.log.Warn("the outcome of a commit cannot be asked for: the shard's session had not answered before", "shard", l.shard)
		return o, unknownOutcome(cause)
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.o.Limits.Hold)
	defer cancel()
	err := r.until(ctx, func() error {
		text, err := r.ask(ctx, l.shard, "SELECT helios.session_outcome($1, $2)",
			bigintParam(l.last.session), bigintParam(strconv.FormatUint(uint64(l.last.heard), 10)))
		if err == nil {
			o, err = twophase.ParseOutcome(text)
		}
		return err
	})
	if err != nil || o.State == twophase.Undecided {
		r.log.Warn("the outcome of a commit is not known", "shard", l.shard, "session", l.last.session, "after", l.last.heard, "err", err)
		return o, unknownOutcome(errors.Join(cause, err))
	}
	return o, nil
}

// lost tells that a flight which was to commit may have done so: its answer has not come,
// or the shard itself could not tell.
func (l *link) lost(err error) bool {
	switch judge(err) {
	case neverSent:
		return false
	case lostAnswer:
		return true
	}
	return l.dead || types.CodeOf(err) == "40003"
}

// lostCommit finds out what became of a COMMIT on one shard.
func (t *Tx) lostCommit(ctx context.Context, l *link, cause error) error {
	if ctx.Err() != nil { // the client does not wait
		return unknownOutcome(cause)
	}
	o, err := t.r.sessionOutcome(l, cause)
	switch {
	case err != nil:
		return err
	case o.State == twophase.Aborted:
		return errLostSession(l.shard)
	}
	t.r.hear(o.Time)
	t.committedAt(o.Time)
	return nil
}

// lostWrite finds out what became of a statement that committed by itself: nil when it did
// nothing and may run again. If it has committed, how many rows it changed, and which, is
// lost with its answer.
func (t *Tx) lostWrite(ctx context.Context, l *link, cause error) error {
	switch {
	case l.err == nil: // the shard did its part, and the router could not do its own
		return hasCommitted(cause, t.s.lastCommit())
	case !l.lost(l.err):
		return nil
	case ctx.Err() != nil: // the client does not wait
		return unknownOutcome(cause)
	}
	o, err := t.r.sessionOutcome(l, cause)
	switch {
	case err != nil:
		return err
	case o.State == twophase.Aborted:
		return nil
	}
	t.r.hear(o.Time)
	t.committedAt(o.Time)
	return hasCommitted(cause, o.Time)
}

// hasCommitted is the answer to a write that took effect and whose result is lost.
func hasCommitted(cause error, at hlc.Timestamp) error {
	e := types.Errorf("40003", "the result of the statement is lost: the connection to the shard broke").
		WithDetail("It has committed, at %d; the rows that it changed are not known.", uint64(at))
	e.Cause = cause
	return e
}

func bigintParam(s string) remote.Param {
	return remote.Param{Type: types.Int8OID, Format: remote.Text, Value: []byte(s)}
}
