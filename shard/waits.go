package shard

import (
	"fmt"
	"strings"
	"time"

	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/txn"
)

// StillRunning notes that a router is at work on transactions, named without their owners:
// none is taken for abandoned for a while.
func (s *Shard) StillRunning(gids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for gid, at := range s.mu.running {
		if now.Sub(at) > abandonedAfter {
			delete(s.mu.running, gid)
		}
	}
	for _, gid := range gids {
		s.mu.running[gid] = now
	}
}

// stillRunning tells whether the router of a transaction is known to be at work on it; mu is
// held.
func (s *Shard) stillRunning(g twophase.GID) bool {
	at, ok := s.mu.running[g.Transaction()]
	return ok && time.Since(at) <= abandonedAfter
}

// LockWaits lists who waits for whose locks here, a line for each pair: the waiter, the
// holder, and the number of the wait. Transactions go by the name that their router gave
// them; one without a name holds locks on this shard alone.
func (s *Shard) LockWaits() string {
	edges := s.locks.Edges()
	if len(edges) == 0 {
		return ""
	}
	names := map[txn.ID]string{}
	s.mu.Lock()
	for gid, t := range s.mu.open {
		names[t.tx.ID] = gid
	}
	// What is prepared here may wait elsewhere, if it was prepared with its statement.
	for text, p := range s.mu.prepared {
		if gid, err := twophase.ParseGID(text); err == nil && !gid.Own() {
			names[p.locks] = gid.Transaction()
		}
	}
	s.mu.Unlock()
	name := func(id txn.ID) string {
		if n, ok := names[id]; ok {
			return n
		}
		return fmt.Sprintf("local:%d:%d", s.opts.ID, id)
	}
	var b strings.Builder
	for _, e := range edges {
		fmt.Fprintf(&b, "%s %s %d\n", name(e.Waiter), name(e.Holder), e.Number)
	}
	return b.String()
}
