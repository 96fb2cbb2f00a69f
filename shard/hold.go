package shard

import (
	"math"
	"time"

	"github.com/heliosdb/helios/hlc"
)

// hold keeps the garbage horizon at or below what somebody reads.
type hold struct {
	oldest hlc.Timestamp
	until  time.Time // a router's ends by itself; zero for a standby's, which ends with its stream
}

// holdSilence is how long a router may be silent before its hold is dropped.
const holdSilence = 30 * time.Second

// HoldForRouter keeps what the transactions of a router read, for a while; 0 ends it.
func (s *Shard) HoldForRouter(name string, oldest hlc.Timestamp) {
	s.hold(name, hold{oldest: oldest, until: time.Now().Add(holdSilence)})
}

func (s *Shard) hold(name string, h hold) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.oldest == 0 {
		delete(s.mu.holds, name)
		return
	}
	s.mu.holds[name] = h
}

// heldSnapshot is the oldest timestamp that somebody elsewhere reads; mu is held.
func (s *Shard) heldSnapshot(now time.Time) hlc.Timestamp {
	oldest := hlc.Timestamp(math.MaxInt64)
	for name, h := range s.mu.holds {
		if !h.until.IsZero() && now.After(h.until) {
			delete(s.mu.holds, name)
			continue
		}
		oldest = min(oldest, h.oldest)
	}
	return oldest
}

// Holds are the snapshots that standbys and routers hold, by name.
func (s *Shard) Holds() map[string]hlc.Timestamp {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]hlc.Timestamp, len(s.mu.holds))
	for name, h := range s.mu.holds {
		out[name] = h.oldest
	}
	return out
}
