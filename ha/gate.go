package ha

import (
	"context"
	"errors"
	"sync"

	"github.com/heliosdb/helios/wal"
)

// ErrUnknown says that a record is in the log, and that nobody can tell yet
// whether it will be committed: this node lost its role, or the caller did not
// want to wait any longer. It never means "no".
var ErrUnknown = errors.New("ha: outcome unknown")

// Gate lets those pass whose records are committed.
type Gate struct {
	mu struct {
		sync.Mutex
		commit wal.LSN
		safe   wal.LSN
		term   uint32 // as primary; 0: not primary
		past   struct {
			term   uint32 // the last one as primary
			commit wal.LSN
		}
		moved chan struct{}
	}
}

func newGate(commit wal.LSN) *Gate {
	g := &Gate{}
	g.mu.commit, g.mu.moved = commit, make(chan struct{})
	return g
}

// Wait returns nil when the record that this node appended in a term, and that
// ends at end, is committed. Any error is ErrUnknown: cancelling, losing the
// role or a timeout never turns "waiting" into "committed" or "aborted".
func (g *Gate) Wait(ctx context.Context, term uint32, end wal.LSN) error {
	for {
		g.mu.Lock()
		commit, now, past, moved := g.mu.commit, g.mu.term, g.mu.past, g.mu.moved
		g.mu.Unlock()
		switch {
		case now == term && commit >= end, past.term == term && past.commit >= end:
			return nil
		case now != term:
			return ErrUnknown
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return errors.Join(ErrUnknown, ctx.Err())
		}
	}
}

// Commit returns the LSN below which everything is committed, as far as this
// node knows.
func (g *Gate) Commit() wal.LSN {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.commit
}

func (g *Gate) commits() (commit, safe wal.LSN) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.commit, g.mu.safe
}

// advance moves the commit LSN; after a cut of the log it may go back.
func (g *Gate) advance(commit, safe wal.LSN) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.commit, g.mu.safe = commit, safe
	g.wake()
}

// enter lets records of a term wait; 0 sends all who wait away.
func (g *Gate) enter(term uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.term != 0 && g.mu.term != term {
		g.mu.past.term, g.mu.past.commit = g.mu.term, g.mu.commit
	}
	g.mu.term = term
	g.wake()
}

func (g *Gate) wake() {
	close(g.mu.moved)
	g.mu.moved = make(chan struct{})
}
