package shard

import (
	"time"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/storage"
	"github.com/heliosdb/helios/twophase"
)

// resolutions remembers what became of transactions that were prepared here. A scan that
// began before a RESOLVE was applied goes on to meet the intents, when the owner may have
// forgotten the transaction; and a statement that began while it was prepared may pass
// over a version whose client had been answered before. It is filled by the applier, on
// primaries and standbys alike.
type resolutions struct {
	of    map[string]resolved
	prune int // entries at which the old ones are looked for again
}

type resolved struct {
	outcome twophase.Outcome
	when    time.Time
}

const (
	resolvedKept     = time.Minute // at least, and as long as a snapshot is open that is older
	resolvedPruneMin = 4096
)

// note keeps an outcome. oldest is the oldest open snapshot, 0 for none.
func (r *resolutions) note(gid string, o twophase.Outcome, now time.Time, oldest hlc.Timestamp) {
	if r.of == nil {
		r.of, r.prune = map[string]resolved{}, resolvedPruneMin
	}
	r.of[gid] = resolved{o, now}
	if len(r.of) < r.prune {
		return
	}
	for gid, x := range r.of {
		needed := oldest != 0 && oldest.Millis() <= x.when.UnixMilli()+resolvedKept.Milliseconds()
		if now.Sub(x.when) > resolvedKept && !needed {
			delete(r.of, gid)
		}
	}
	r.prune = max(resolvedPruneMin, 2*len(r.of))
}

// resolved tells what became of a transaction that was prepared here and is not any more.
func (s *Shard) resolved(gid string) (twophase.Outcome, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.mu.resolutions.of[gid]
	return x.outcome, ok
}

// undecidedNow lists the transactions that are prepared here.
func (s *Shard) undecidedNow() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var gids []string
	for gid, p := range s.mu.prepared {
		if p.time != 0 {
			gids = append(gids, gid)
		}
	}
	return gids
}

// Heard notes that every participant knows a decision. An aborted transaction is forgotten
// at the next occasion; a committed one only when no snapshot at or above its timestamp
// can meet an intent of it any more, anywhere (T13).
func (s *Shard) Heard(gids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, gid := range gids {
		if d, ok := s.mu.decided[gid]; ok {
			d.participants = nil
			s.mu.decided[gid] = d
		}
	}
}

// forgettable tells whether everybody who reads at or above a timestamp began after what
// happened then was resolved everywhere; mu is held.
func (s *Shard) forgettable(at hlc.Timestamp) bool {
	if at.Millis() > s.clock.Last().Millis()-horizonBehind {
		return false
	}
	for _, held := range s.mu.holds {
		if held.oldest <= at {
			return false
		}
	}
	return true
}

// dropDecisions forgets in memory the decisions whose rows a batch deletes; mu is held.
func (s *Shard) dropDecisions(b *storage.Batch) {
	for op := range b.Ops() {
		if op.Kind == storage.OpDeleteMeta && len(op.Key) > len(decisionMeta) && string(op.Key[:len(decisionMeta)]) == decisionMeta {
			delete(s.mu.decided, string(op.Key[len(decisionMeta):]))
		}
	}
}
