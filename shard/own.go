package shard

import (
	"context"
	"errors"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/types"
)

// A client's own PREPARE TRANSACTION 'x' over several shards has a gid of its own for each
// attempt. The written shards prepare first; its owner, the shard with the lowest number,
// prepares last, with a timestamp above all of theirs. From then on 'x' exists, and only
// COMMIT PREPARED or ROLLBACK PREPARED ends it: by a decision in the owner's log, as with
// any other transaction.

func errGIDInUse(gid string) *types.Error {
	return types.Errorf("42710", "transaction identifier \"%s\" is already in use", gid)
}

// preparedAs finds the transaction that clients know by a name, among those that this shard
// owns; mu is held.
func (s *Shard) preparedAs(name string) (twophase.GID, *preparedTx, bool) {
	for text, p := range s.mu.prepared {
		gid, err := twophase.ParseGID(text)
		if err == nil && gid.Own() && gid.Name == name && gid.Owner == s.opts.ID {
			return gid, p, true
		}
	}
	return twophase.GID{}, nil, false
}

// FinishOwn decides a transaction that a client has prepared, and gives its gid and the
// outcome. user is who asks, "" for a superuser. The participants are all shards that may
// have a part in it; this shard's own is ended before the answer.
func (s *Shard) FinishOwn(ctx context.Context, name, user string, commit bool, participants []twophase.ShardID) (twophase.GID, twophase.Outcome, error) {
	s.mu.Lock()
	gid, _, ok := s.preparedAs(name)
	s.mu.Unlock()
	none := types.Errorf("42704", "prepared transaction with identifier \"%s\" does not exist", name)
	if err := s.serving(); err != nil {
		return gid, twophase.Outcome{}, err
	}
	switch {
	case !ok:
		return gid, twophase.Outcome{}, none
	case user != "" && user != gid.User:
		return gid, twophase.Outcome{}, types.Errorf("42501", "permission denied to finish prepared transaction").
			WithHint("Must be superuser or the user that prepared the transaction.")
	}
	d := decision{GID: gid.String(), State: twophase.Aborted}
	if commit {
		d.State, d.Participants = twophase.Committed, participants
	}
	ts, err := s.logDecision(ctx, d, func() error {
		if s.mu.prepared[d.GID] == nil {
			return none
		}
		return nil
	})
	if errors.Is(err, errDecided) { // somebody else ends it at this moment
		return gid, twophase.Outcome{}, none
	}
	if err != nil {
		return gid, twophase.Outcome{}, err
	}
	o := twophase.Outcome{State: d.State}
	if commit {
		o.Time = ts
	}
	return gid, o, s.ResolvePrepared(ctx, d.GID, o)
}

// pushed takes the timestamp that a router says ahead of PREPARE TRANSACTION: the greatest
// at which others have prepared.
func (t *Tx) pushed() {
	if m := t.c.take(); m.at != 0 {
		t.e.clock.Observe(hlc.Timestamp(m.at))
	}
}
