package router

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/hlc"
)

// snapshots are the fixed snapshots of open transactions. Shards keep the versions that
// the oldest of them needs: they hear of it every few seconds, once it is old enough to
// matter, and forget it when the router falls silent (T21).
type snapshots struct {
	mu   sync.Mutex
	open map[*Tx]hlc.Timestamp

	told time.Time // the finisher's
	held bool      // shards know of one
}

const (
	holdAfter = 20 * time.Second // younger snapshots are above every horizon
	holdEvery = 5 * time.Second
	holdMax   = time.Hour // an older snapshot is given up: 72000
)

func (s *snapshots) add(t *Tx, at hlc.Timestamp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*Tx]hlc.Timestamp{}
	}
	s.open[t] = at
}

func (s *snapshots) remove(t *Tx) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, t)
}

// oldest gives the oldest snapshot between two ages, 0 if there is none.
func (s *snapshots) oldest(now hlc.Timestamp) (at hlc.Timestamp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ts := range s.open {
		age := time.Duration(now.Millis()-ts.Millis()) * time.Millisecond
		if age > holdAfter && age < holdMax && (at == 0 || ts < at) {
			at = ts
		}
	}
	return at
}

// holdSnapshots tells the primaries what to keep; the finisher calls it once a second.
func (r *Router) holdSnapshots() {
	s := &r.snapshots
	oldest := s.oldest(max(r.Heard(), hlc.At(r.o.Wall(), 0)))
	if oldest == 0 && !s.held || time.Since(s.told) < holdEvery {
		return
	}
	m, err := r.clusterMap()
	if err != nil {
		return
	}
	s.told, s.held = time.Now(), oldest != 0
	ctx, cancel := context.WithTimeout(r.ctx, holdEvery)
	defer cancel()
	var wg sync.WaitGroup
	for _, id := range serving(m) {
		wg.Go(func() { r.holdAt(ctx, id, oldest) })
	}
	wg.Wait()
}

func (r *Router) holdAt(ctx context.Context, id cluster.ShardID, oldest hlc.Timestamp) {
	_, err := r.ask(ctx, id, "SELECT helios.hold_snapshot($1, $2)",
		textParam("router "+strconv.FormatUint(uint64(r.o.Incarnation), 10)), bigintParam(strconv.FormatUint(uint64(oldest), 10)))
	if err != nil {
		r.log.Debug("hold a snapshot", "shard", id, "err", err)
	}
}
