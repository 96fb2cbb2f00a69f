package shard

import (
	"context"
	"math/rand/v2"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/types"
)

// recent remembers when each session committed last, by the session's number in the log's
// records: what a router asks for after the answer to a COMMIT was lost, here or on a node
// that leads since. It is filled by the applier, on primaries and standbys alike.
//
// Sessions are kept in two halves; when one is full, the older goes. What it knows is
// complete above since.
type recent struct {
	since        hlc.Timestamp // of the older half
	older, newer map[uint64]hlc.Timestamp
	newerSince   hlc.Timestamp
}

// recentMax bounds the sessions of one half.
const recentMax = 1 << 16

// reset forgets everything up to a timestamp.
func (r *recent) reset(to hlc.Timestamp) {
	*r = recent{since: to, newerSince: to, older: map[uint64]hlc.Timestamp{}, newer: map[uint64]hlc.Timestamp{}}
}

// note keeps a commit. Commits come in the order of their timestamps.
func (r *recent) note(session uint64, at hlc.Timestamp) {
	if len(r.newer) >= recentMax {
		r.older, r.since = r.newer, r.newerSince
		r.newer, r.newerSince = map[uint64]hlc.Timestamp{}, at-1
	}
	r.newer[session] = at
}

// after gives a session's commit above a timestamp, 0 if there was none; known is false
// when there may have been one that is forgotten.
func (r *recent) after(session uint64, ts hlc.Timestamp) (at hlc.Timestamp, known bool) {
	if at = max(r.newer[session], r.older[session]); at > ts {
		return at, true
	}
	return 0, ts >= r.since
}

// newSession draws the number of a session, which no other has in the whole cluster.
func newSession() uint64 { return rand.Uint64()>>1 | 1 }

// SessionOutcome tells whether a session that a router has lost committed a transaction
// above a timestamp: the last one that the router had heard of it. If not, it never will.
func (s *Shard) SessionOutcome(ctx context.Context, session uint64, after hlc.Timestamp) (twophase.Outcome, error) {
	s.mu.Lock()
	s.mu.lost[session] = struct{}{} // whatever of it is still to come is refused
	s.mu.Unlock()
	err := s.waitFor(ctx, func() (bool, error) {
		if !s.mu.leading {
			return false, errNotPrimary()
		}
		return s.mu.flying[session] == 0, nil
	})
	if err != nil {
		return twophase.Outcome{}, err
	}
	s.mu.Lock()
	at, known := s.mu.recent.after(session, after)
	s.mu.Unlock()
	switch {
	case at > 0:
		return twophase.Outcome{State: twophase.Committed, Time: at}, nil
	case !known:
		return twophase.Outcome{State: twophase.Undecided}, nil
	}
	return twophase.Outcome{State: twophase.Aborted}, s.serving()
}

// mayLog refuses the transaction of a session whose router has been told that it will not
// commit; mu is held.
func (s *Shard) mayLog(session uint64) error {
	if _, lost := s.mu.lost[session]; lost {
		return types.Errorf("40001", "could not commit: the router has given this connection up")
	}
	return nil
}
