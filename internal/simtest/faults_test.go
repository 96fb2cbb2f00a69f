package simtest

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/heliosdb/helios/ha"
	"github.com/heliosdb/helios/node"
)

// fault is something that goes wrong and is put right again: begin runs when it strikes
// and gives what ends it, which heal does for all that still last.
type fault struct {
	name  string
	begin func(s *sim, rng *rand.Rand) (end func())
}

var faults = []fault{
	{"crash the primary", func(s *sim, rng *rand.Rand) func() { p, _ := s.primary(); return p.crash(rng) }},
	{"crash the primary", func(s *sim, rng *rand.Rand) func() { p, _ := s.primary(); return p.crash(rng) }},
	{"crash the standby", func(s *sim, rng *rand.Rand) func() { _, b := s.primary(); return b.crash(rng) }},
	{"crash both", func(s *sim, rng *rand.Rand) func() {
		p, b := s.primary()
		first, second := p.crash(rng), b.crash(rng)
		return func() { first(); second() }
	}},
	{"lose the standby's disk", func(s *sim, _ *rand.Rand) func() {
		_, b := s.primary()
		b.powerOff()
		b.newDisk()
		return b.powerOn
	}},
	{"cut off the primary", func(s *sim, _ *rand.Rand) func() {
		p, b := s.primary()
		p.holdStore(true)
		s.net.partition(p.name, b.name, true)
		s.net.partition(p.name, "router", true)
		return func() {
			p.holdStore(false)
			s.net.partition(p.name, b.name, false)
			s.net.partition(p.name, "router", false)
		}
	}},
	{"cut the primary off the control store", func(s *sim, _ *rand.Rand) func() {
		p, _ := s.primary()
		p.holdStore(true)
		return func() { p.holdStore(false) }
	}},
	{"cut the pair in two", func(s *sim, _ *rand.Rand) func() {
		s.net.partition("a", "b", true)
		return func() { s.net.partition("a", "b", false) }
	}},
	{"cut the router off the primary", func(s *sim, _ *rand.Rand) func() {
		p, _ := s.primary()
		s.net.partition(p.name, "router", true)
		return func() { s.net.partition(p.name, "router", false) }
	}},
	{"cut the router off the control store", func(s *sim, _ *rand.Rand) func() {
		s.store.Cut("router", cutOff)
		return func() { s.store.Cut("router", connected) }
	}},
	{"restart the router", func(s *sim, _ *rand.Rand) func() {
		s.front.stop()
		return s.front.start
	}},
	{"switch over", func(s *sim, _ *rand.Rand) func() {
		p, b := s.primary()
		var old *ha.Node
		if p.inspect(func(n *node.Member) { old = n.HA() }) {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			s.trace("switchover to %s: %v", b.name, old.Switchover(ctx, b.name))
		}
		return func() {}
	}},
}

// crash takes a machine's power, at once or amid one of its next changes to the disk.
func (m *machine) crash(rng *rand.Rand) (end func()) {
	if rng.IntN(3) == 0 {
		m.powerOff()
	} else {
		m.powerOffWithin(1 + rng.Int64N(40))
	}
	return func() {
		m.powerOff()
		m.powerOn()
	}
}

// inflict lets the faults of the seed strike, some while others last.
func (s *sim) inflict() {
	var all sync.WaitGroup
	for i := range 1 + s.rng.IntN(4) {
		f := faults[s.rng.IntN(len(faults))]
		rng := stream(s.seed, uint64(100+i))
		start := time.Duration(s.rng.Int64N(int64(3500 * time.Millisecond)))
		lasts := 20*time.Millisecond + time.Duration(s.rng.Int64N(int64(2500*time.Millisecond)))
		all.Go(func() {
			time.Sleep(start)
			s.trace("%s, for %v", f.name, lasts)
			end := f.begin(s, rng)
			time.Sleep(lasts)
			s.trace("no longer: %s", f.name)
			end()
		})
	}
	all.Wait()
	time.Sleep(time.Duration(s.rng.Int64N(int64(500 * time.Millisecond))))
}
