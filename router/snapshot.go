package router

import (
	"context"
	"errors"
	"sync"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/types"
)

// partial holds the shards whose primary was silent when a snapshot was gathered: what is
// newer than the snapshot there may have been acknowledged before it.
type partial map[cluster.ShardID]bool

// gathers runs one gather at a time; whoever asks before it starts shares it.
type gathers struct {
	mu      sync.Mutex
	next    *gather // not started yet
	running bool
}

// gather is the greatest visible timestamp over all primaries.
type gather struct {
	done    chan struct{}
	at      hlc.Timestamp
	partial partial
	err     error
}

// snapshot gives a timestamp at or above everything that was acknowledged before the
// call, by asking all primaries, not only those that the statement needs: a commit
// acknowledged elsewhere may have left intents here whose decision is not known yet.
func (r *Router) snapshot(ctx context.Context) (hlc.Timestamp, partial, error) {
	g := &r.gathers
	g.mu.Lock()
	call := g.next
	if call == nil {
		call = &gather{done: make(chan struct{})}
		g.next = call
	}
	if !g.running {
		g.running = true
		r.work.Go(r.gatherAll)
	}
	g.mu.Unlock()
	select {
	case <-call.done:
		return call.at, call.partial, call.err
	case <-ctx.Done():
		return 0, nil, cancelled(ctx)
	}
}

// gatherAll runs gathers until nobody waits for one.
func (r *Router) gatherAll() {
	g := &r.gathers
	for {
		g.mu.Lock()
		call := g.next
		g.next = nil
		if call == nil {
			g.running = false
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
		call.at, call.partial, call.err = r.gatherOnce(r.ctx)
		close(call.done)
	}
}

// gatherOnce asks every primary for what is visible there; one that is silent for too
// long is left out.
func (r *Router) gatherOnce(ctx context.Context) (hlc.Timestamp, partial, error) {
	m, err := r.clusterMap()
	if err != nil {
		return 0, nil, err
	}
	r.stats.gathered.Add(1)
	r.stats.flights.Add(1)
	ctx, cancel := context.WithTimeout(ctx, r.o.Limits.GatherSilence)
	defer cancel()
	ids := serving(m)
	errs := make([]error, len(ids))
	times := make([]hlc.Timestamp, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() { times[i], errs[i] = r.visible(ctx, id) })
	}
	wg.Wait()
	silent := partial{}
	at := r.Heard()
	for i, id := range ids {
		if errs[i] != nil {
			silent[id] = true
			r.log.Debug("snapshot without a shard", "shard", id, "err", errs[i])
			continue
		}
		at = max(at, times[i])
	}
	if len(silent) == len(ids) {
		return 0, nil, types.Errorf("57P03", "no shard has answered with its clock: %w", errors.Join(errs...))
	}
	r.hear(at)
	return at, silent, nil
}

// visible asks a primary for the greatest timestamp that can be read there.
func (r *Router) visible(ctx context.Context, id cluster.ShardID) (hlc.Timestamp, error) {
	text, err := r.ask(ctx, id, "SELECT helios.visible()")
	if err != nil {
		return 0, err
	}
	return parseTimestamp(text)
}
