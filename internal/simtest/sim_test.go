package simtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/consensus"
	"github.com/heliosdb/helios/ha"
	"github.com/heliosdb/helios/node"
)

type cutKind = consensus.Cut

const (
	connected  = consensus.Connected
	cutReplies = consensus.CutReplies
	cutOff     = consensus.CutOff
)

const (
	routerAddr = "127.0.0.1:5400"
	database   = "heliosdb"
	slots      = 16

	// quiet is so long that after a load the log is released: a node without one needs a
	// base copy then.
	quiet = 95 * time.Second
)

// sim is one run: a pair, a router, clients, and the faults that a seed draws.
type sim struct {
	seed  uint64
	rng   *rand.Rand // of the schedule; used by run alone
	began time.Time
	net   *network
	store *consensus.Fake
	parts node.Parts
	pair  [2]*machine
	front *router
	log   *slog.Logger

	mu struct {
		sync.Mutex
		out      bytes.Buffer
		failures []string
	}
}

// login is the password of user helios and its verifier, made once: deriving it is what
// would cost most of a run.
type login struct{ password, verifier, secret string }

func newSim(seed uint64, l login) *sim {
	s := &sim{seed: seed, rng: stream(seed, 0), began: time.Now(), net: newNetwork(stream(seed, 1)), store: consensus.NewFake()}
	s.log = slog.New(slog.NewTextHandler(logWriter{s}, &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: s.relative}))
	s.parts = node.Parts{
		Cluster: "sim", Database: database, Verifier: l.verifier, Secret: l.secret, Slots: slots, Profile: ha.FastProfile,
	}
	s.pair = [2]*machine{s.machine("a", 5410, stream(seed, 2)), s.machine("b", 5420, stream(seed, 3))}
	s.front = &router{sim: s, rng: stream(seed, 4)}
	return s
}

// stream is one of a seed's independent sources of random numbers.
func stream(seed, n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }

func (s *sim) relative(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.String("t", s.now())
	}
	return a
}

func (s *sim) now() string { return fmt.Sprintf("%.4f", time.Since(s.began).Seconds()) }

type logWriter struct{ *sim }

func (w logWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.out.Write(b)
}

func (s *sim) trace(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.mu.out, "%s ---- %s\n", s.now(), fmt.Sprintf(format, args...))
}

func (s *sim) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.trace("FAILURE: %s", text)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.failures = append(s.mu.failures, text)
}

// report gives what went wrong, and the log.
func (s *sim) report() (failures []string, log string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.failures, s.mu.out.String()
}

// founding is the pair in the map that founds the cluster.
func (s *sim) founding() []cluster.Shard {
	shard := cluster.Shard{ID: 1, Weight: 100}
	for _, m := range s.pair {
		shard.Nodes = append(shard.Nodes, cluster.Node{ID: m.name, Role: cluster.Candidate, SQL: m.sql, Native: m.native})
	}
	return []cluster.Shard{shard}
}

// run plays a whole run. Everything it started has ended when it returns.
func (s *sim) run() {
	for _, m := range s.pair {
		m.powerOn()
	}
	s.front.start()
	w := newWorkload(s)
	if err := s.within(30*time.Second, "the first start", w.create); err == nil {
		if s.rng.IntN(8) == 0 {
			s.trace("a load, then quiet for %v", quiet)
			w.load()
			time.Sleep(quiet)
		}
		stop := w.start()
		s.inflict()
		s.heal()
		stop()
		if s.within(time.Minute, "writes after all faults are healed", w.probe) == nil {
			w.check()
			s.compare()
		}
	}
	s.front.stop()
	for _, m := range s.pair {
		m.powerOff()
		m.lives.Wait()
	}
}

// within tries again and again, for a time at most.
func (s *sim) within(limit time.Duration, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			s.fail("%s took longer than %v: %v", what, limit, err)
			s.describe()
			return err
		}
		_ = pause(ctx, 50*time.Millisecond)
	}
}

// describe logs what the nodes think.
func (s *sim) describe() {
	lease, rev, err := consensus.Lease[ha.Lease](s.store.Client("observer"), 1).Load(context.Background())
	s.trace("lease at revision %d: %+v %v", rev, lease, err)
	for _, m := range s.pair {
		m.inspect(func(n *node.Member) {
			s.trace("%s: %+v, log ends at %v, terms %v", m.name, n.HA().Status(), n.Shard().Log().End(), n.Shard().Log().Terms())
		})
	}
}

// stacks logs where everybody is; only one bubble must run.
func (s *sim) stacks() {
	b := make([]byte, 4<<20)
	s.trace("%s", b[:runtime.Stack(b, true)])
}

// heal ends all faults.
func (s *sim) heal() {
	s.trace("heal")
	for _, m := range s.pair {
		m.powerOffWithin(0)
		m.holdStore(false)
		m.powerOn()
	}
	s.store.Cut("router", connected)
	for _, a := range []string{"a", "b", "router"} {
		for _, b := range []string{"a", "b", "router"} {
			s.net.partition(a, b, false)
		}
	}
	s.front.start()
}

// primary is the machine that holds the lease, and the other one.
func (s *sim) primary() (primary, standby *machine) {
	lease, _, err := consensus.Lease[ha.Lease](s.store.Client("observer"), 1).Load(context.Background())
	if err == nil && lease.Holder == s.pair[1].name {
		return s.pair[1], s.pair[0]
	}
	return s.pair[0], s.pair[1]
}

// router is the process in front of the pair; it has no disk.
type router struct {
	sim   *sim
	rng   *rand.Rand
	lives sync.WaitGroup
	mu    struct {
		sync.Mutex
		host *host
		end  context.CancelFunc
	}
}

func (r *router) start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.end != nil {
		return
	}
	var ctx context.Context
	ctx, r.mu.end = context.WithCancel(context.Background())
	h := r.sim.net.host("router")
	r.mu.host = h
	r.lives.Go(func() {
		f, err := node.StartFront(ctx, node.FrontConfig{
			Parts: r.sim.parts, ID: "router", Listen: routerAddr, Store: r.sim.store.Client("router"), First: r.sim.founding(),
			World: node.World{Listen: h.listen, Dial: h.dial, Logger: r.sim.log},
		})
		if err != nil {
			if ctx.Err() == nil {
				r.sim.fail("the router does not start: %v", err)
			}
			return
		}
		select {
		case <-ctx.Done():
		case err := <-f.Failed():
			if ctx.Err() == nil {
				r.sim.fail("the router stopped: %v", err)
			}
		}
		f.Stop()
	})
}

// stop kills the process: its connections break.
func (r *router) stop() {
	r.mu.Lock()
	if r.mu.end != nil {
		r.mu.end()
		r.mu.host.off(0)
		r.mu.end = nil
	}
	r.mu.Unlock()
	r.lives.Wait()
}

// compare waits until both nodes hold the same state at the same LSN, byte by byte.
func (s *sim) compare() {
	errDiffer := errors.New("they differ")
	_ = s.within(time.Minute, "primary and standby to become equal", func(ctx context.Context) error {
		var states [2]*state
		for i, m := range s.pair {
			err := errors.New("a node is not there")
			m.inspect(func(n *node.Member) {
				states[i], err = exportState(ctx, n.Shard(), time.Since(s.began) > 20*time.Second)
			})
			if err != nil {
				return err
			}
		}
		a, b := states[0], states[1]
		if a.at != b.at {
			return fmt.Errorf("%w: a is at %v, b at %v", errDiffer, a.at, b.at)
		}
		if diff := a.diff(b); diff != "" {
			s.fail("a and b differ at %v: %s", a.at, diff)
		}
		return nil
	})
}
