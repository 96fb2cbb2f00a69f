package router

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/types"
)

// Deadlocks over several shards (T25). A shard finds those among its own locks. When a
// statement that holds locks has been running for a second, its router collects who waits
// for whom from all shards; of a cycle that the next collection shows again, wait by wait,
// the youngest member is cancelled. All routers see the same cycle and agree on it; the
// one whose transaction it is does it.

// deadlockTick is how often a router looks, and how long a statement runs before it does.
const deadlockTick = time.Second

// errDeadlock ends the statement of a victim.
var errDeadlock = types.Errorf("40P01", "deadlock detected").
	WithDetail("Transactions on several shards wait for one another's locks.").
	WithHint("Run the transaction again.")

// watched are the statements that may wait for locks while they hold others.
type watched struct {
	mu sync.Mutex
	by map[string]watch // by their transaction's name
}

type watch struct {
	since  time.Time
	cancel context.CancelCauseFunc // nil for a commit, which waits for no locks
}

func (w *watched) add(gid string, cancel context.CancelCauseFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil {
		w.by = map[string]watch{}
	}
	w.by[gid] = watch{time.Now(), cancel}
}

func (w *watched) remove(gid string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.by, gid)
}

// long gives the transactions whose statement, or commit, has been running for long.
func (w *watched) long() (gids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for gid, x := range w.by {
		if time.Since(x.since) > deadlockTick {
			gids = append(gids, gid)
		}
	}
	return gids
}

func (w *watched) cancel(gid string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if x, ok := w.by[gid]; ok && x.cancel != nil {
		x.cancel(errDeadlock)
	}
}

// watchDeadlocks looks for deadlocks until the router ends.
func (r *Router) watchDeadlocks() {
	tick := time.NewTicker(deadlockTick)
	defer tick.Stop()
	var before map[wait]bool
	for {
		select {
		case <-r.finished.wake: // closed at the end
			return
		case <-tick.C:
		}
		running := r.watched.long()
		if len(running) == 0 {
			before = nil
			continue
		}
		now := r.lockWaits(running)
		for w := range before {
			if !now[w] {
				delete(before, w)
			}
		}
		for _, victim := range victims(before) {
			r.log.Info("deadlock over several shards", "victim", victim)
			r.watched.cancel(victim)
		}
		before = now
	}
}

// wait is an edge of the graph of who waits for whom.
type wait struct {
	shard          cluster.ShardID
	waiter, holder string
	number         string
}

// lockWaits collects the waits of all shards; one that does not answer has none. Shards hear
// what is still running here, so that nobody takes it for abandoned (T11).
func (r *Router) lockWaits(running []string) map[wait]bool {
	m, err := r.clusterMap()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.ctx, 5*deadlockTick)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	all := map[wait]bool{}
	for _, id := range serving(m) {
		wg.Go(func() {
			text, err := r.ask(ctx, id, "SELECT helios.lock_waits($1)", textParam(strings.Join(running, " ")))
			if err != nil {
				r.log.Debug("collect lock waits", "shard", id, "err", err)
			}
			mu.Lock()
			defer mu.Unlock()
			for line := range strings.Lines(text) {
				if f := strings.Fields(line); len(f) == 3 {
					all[wait{id, f[0], f[1], f[2]}] = true
				}
			}
		})
	}
	wg.Wait()
	return all
}

// victims gives the youngest member of each cycle, one for each set of transactions that
// wait for one another.
func victims(waits map[wait]bool) []string {
	next := map[string][]string{}
	for w := range waits {
		next[w.waiter] = append(next[w.waiter], w.holder)
	}
	var out []string
	done := map[string]bool{}
	for start := range next {
		cycle := cycleFrom(start, next)
		if cycle == nil || slices.ContainsFunc(cycle, func(n string) bool { return done[n] }) {
			continue
		}
		for _, n := range cycle {
			done[n] = true
		}
		out = append(out, slices.MaxFunc(cycle, younger))
	}
	return out
}

// cycleFrom gives the members of a cycle through start, nil if there is none.
func cycleFrom(start string, next map[string][]string) []string {
	seen := map[string]bool{}
	var path []string
	var walk func(n string) bool
	walk = func(n string) bool {
		if n == start && len(path) > 0 {
			return true
		}
		if seen[n] {
			return false
		}
		seen[n] = true
		path = append(path, n)
		if slices.ContainsFunc(next[n], walk) {
			return true
		}
		path = path[:len(path)-1]
		return false
	}
	if !walk(start) {
		return nil
	}
	return path
}

// younger orders transactions by their number, which grows in each router, then by name;
// those without a router's name come first, since nobody can cancel them.
func younger(a, b string) int {
	an, bn := strings.Split(a, ":"), strings.Split(b, ":")
	if an[0] != bn[0] {
		return strings.Compare(bn[0], an[0]) // "hx" before "local"
	}
	if la, lb := len(an[len(an)-1]), len(bn[len(bn)-1]); la != lb {
		return la - lb
	}
	if c := strings.Compare(an[len(an)-1], bn[len(bn)-1]); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// deadlocked gives the reason of a statement's end when it is a deadlock's victim.
func deadlocked(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errDeadlock) {
		return errDeadlock
	}
	return err
}
