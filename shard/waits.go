package shard

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/txn"
	"github.com/heliosdb/helios/types"
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

// WaitWriters returns when every transaction that has written to a table here by now is
// over. Nobody waits for it: who writes later does so by the newest catalog.
func (s *Shard) WaitWriters(ctx context.Context, table types.OID) error {
	key := string(tableLock(table))
	before := s.locks.Holders(key)
	tick := time.NewTicker(writersTick)
	defer tick.Stop()
	for {
		if err := s.serving(); err != nil {
			return err
		}
		now := s.locks.Holders(key)
		if !slices.ContainsFunc(before, func(id txn.ID) bool { return slices.Contains(now, id) }) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

const writersTick = 5 * time.Millisecond

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
