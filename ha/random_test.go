package ha

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var (
	seedFlag  = flag.Uint64("ha.seed", 0, "seed of the first random world; 0: a new one")
	stepsFlag = flag.Int("ha.steps", 240_000, "steps over all random worlds")
)

// TestRandom lets worlds of two to five nodes run into messages lost, doubled
// and out of order, crashes, pauses, cut links, a store that fails or forgets
// to answer, switchovers and wiped disks. The invariants hold after every step;
// then everything is healed and the shard must be whole again.
func TestRandom(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("rerun with -ha.seed=%d", seed)
	const perWorld = 2000
	for i := range max(1, *stepsFlag/perWorld) {
		if !runRandomWorld(t, seed+uint64(i), perWorld) {
			return
		}
	}
}

func runRandomWorld(t *testing.T, seed uint64, steps int) bool {
	rng := rand.New(rand.NewPCG(seed, 1))
	c := &chaos{world: newWorld(randomRules(rng)...), rng: rng}
	var last []string
	c.trace = func(node, what string) {
		last = append(last, fmt.Sprintf("%v %s %s", c.now, node, what))
		if len(last) > 4000 {
			last = last[2000:]
		}
	}
	ok := true
	c.fail = func(format string, args ...any) {
		if ok {
			for _, line := range last[max(0, len(last)-60):] {
				t.Log(line)
			}
			for _, name := range c.names {
				t.Log(c.nodes[name])
			}
			t.Errorf("seed %d, %s: "+format, append([]any{seed, c.describe()}, args...)...)
		}
		ok = false
	}
	for _, name := range c.names {
		c.start(name)
	}
	for i := 0; i < steps && ok; i++ {
		c.act()
	}
	if ok {
		c.heal()
	}
	return ok
}

func randomRules(rng *rand.Rand) (rules []Rules) {
	mode := []Mode{SemiSync, SemiSync, Sync, Quorum, Async}[rng.IntN(5)]
	auto := rng.IntN(4) > 0
	for i := range 2 + rng.IntN(4) {
		class := []Mode{SemiSync, Sync, Sync, Async}[rng.IntN(4)]
		if i < 2 && class == Async {
			class = Sync
		}
		rules = append(rules, Rules{
			Node: fmt.Sprintf("n%d", i+1), Mode: mode, Class: class, Auto: auto, Bootstrap: i == 0, Profile: FastProfile,
		})
	}
	return rules
}

// chaos chooses what happens next in a world.
type chaos struct {
	*world
	rng   *rand.Rand
	wiped bool
}

func (c *chaos) describe() string {
	first := c.nodes[c.names[0]].rules
	return fmt.Sprintf("%d nodes, %s, auto=%v, now %v", len(c.names), first.Mode, first.Auto, c.now)
}

func (c *chaos) any() *testNode { return c.nodes[c.names[c.rng.IntN(len(c.names))]] }

func (c *chaos) act() {
	switch p := c.rng.IntN(1000); {
	case p < 420:
		c.message()
	case p < 560:
		c.background(c.any())
	case p < 700:
		c.write(c.any())
	case p < 780:
		c.storeStep()
	case p < 960:
		c.now += time.Duration(c.rng.IntN(60)) * time.Millisecond
		c.step(c.any().id, tick{})
	case p < 968:
		c.crashOrStart(c.any())
	case p < 976:
		n := c.any()
		n.paused = !n.paused && c.rng.IntN(2) == 0
	case p < 986:
		c.cutLink()
	case p < 988:
		c.store.down = !c.store.down
	case p < 990:
		n := c.any()
		n.noStore = !n.noStore && c.rng.IntN(2) == 0
	case p < 991:
		c.now += time.Duration(c.rng.IntN(3000)) * time.Millisecond
	case p < 995:
		c.switchOver()
	case p < 997:
		if n := c.any(); n.up && n.core.stuck != (c.rng.IntN(2) == 0) {
			c.step(n.id, hung{!n.core.stuck})
		}
	case p < 999:
		c.step(c.any().id, promote{})
	default:
		c.wipeOne(c.any())
	}
}

// switchOver orders one, and half the time lets it go on undisturbed for a while.
func (c *chaos) switchOver() {
	for _, name := range c.names {
		c.step(name, switchover{c.any().id})
	}
	for range c.rng.IntN(100) {
		c.message()
		c.background(c.any())
		c.storeStep()
	}
}

// message delivers, doubles or loses one of the next messages. Order is mostly
// kept, as TCP does.
func (c *chaos) message() {
	for range 1 + c.rng.IntN(4) {
		if len(c.net) == 0 {
			return
		}
		i := 0
		if c.rng.IntN(20) == 0 {
			i = c.rng.IntN(len(c.net))
		}
		switch c.rng.IntN(200) {
		case 0:
			if _, breaks := c.net[i].event.(disconnected); !breaks {
				c.net = append(c.net[:i], c.net[i+1:]...)
			}
		case 1:
			c.net = append(c.net, c.net[i])
		default:
			c.deliver(i)
		}
	}
}

func (c *chaos) background(n *testNode) {
	if !n.live() {
		return
	}
	for len(n.inbox) > 0 {
		ev := n.inbox[0]
		n.inbox = n.inbox[1:]
		c.step(n.id, ev)
	}
	switch c.rng.IntN(6) {
	case 0:
		c.flush(n)
	case 1:
		c.apply(n)
		if c.rng.IntN(3) == 0 {
			n.checkpoint = n.applied
		}
		if c.rng.IntN(50) == 0 {
			n.first = n.checkpoint
		}
	case 2:
		c.dial(n)
	case 3:
		if len(n.jobs) > 0 {
			job := n.jobs[0]
			n.jobs = n.jobs[1:]
			job()
		}
	default:
		for _, stream := range n.openStreams() {
			c.pump(n, stream, 1+c.rng.IntN(4))
		}
	}
}

func (c *chaos) storeStep() {
	c.watch(c.any())
	if len(c.store.ops) == 0 {
		return
	}
	i := c.rng.IntN(len(c.store.ops))
	call := c.store.ops[i]
	down := c.store.down || c.nodes[call.node].noStore
	if down && c.rng.IntN(4) > 0 {
		return
	}
	if c.rng.IntN(30) == 0 || down {
		// The caller hears of an error; the call may be carried out later.
		late := *call
		call.reply = nil
		c.store.ops = append(c.store.ops[:i], c.store.ops[i+1:]...)
		if c.rng.IntN(2) == 0 && !down {
			late.boot = -1
			c.store.ops = append(c.store.ops, &late)
		}
		c.answer(call, true)
		return
	}
	c.store.ops = append(c.store.ops[:i], c.store.ops[i+1:]...)
	c.serveStore(call)
	c.answer(call, c.rng.IntN(30) == 0)
}

func (c *chaos) crashOrStart(n *testNode) {
	switch {
	case n.up && c.rng.IntN(2) == 0:
		c.crash(n.id)
	case !n.up && n.halted == "":
		c.start(n.id)
	}
}

func (c *chaos) cutLink() {
	a, b := c.any().id, c.any().id
	if a != b {
		link := [2]string{a, b}
		c.cut[link] = !c.cut[link] && c.rng.IntN(2) == 0
	}
}

func (c *chaos) wipeOne(n *testNode) {
	if c.rng.IntN(3) == 0 && c.store.rev > 0 {
		c.crash(n.id)
		c.wipe(n.id)
		c.wiped = true
	}
}

// heal mends everything and expects one primary that serves, everyone
// streaming, and no answered write gone.
func (c *chaos) heal() {
	clear(c.cut)
	c.store.down = false
	for _, name := range c.names {
		n := c.nodes[name]
		n.paused, n.noStore = false, false
		if n.halted != "" && !c.lossy {
			c.fail("I13: %s halted: %s", name, n.halted)
			return
		}
		if !n.up && n.halted == "" {
			c.start(name)
		}
	}
	c.settle()
	for _, name := range c.names {
		c.step(name, hung{})
	}
	c.run(30*time.Second, 50*time.Millisecond)
	if c.wiped {
		return // what was wiped may have been the only copy: then nobody serves
	}
	c.checkWhole()
}

func (c *chaos) checkWhole() {
	p := c.nodes[c.primary()]
	if p == nil || !p.serving {
		c.fail("nobody serves after everything was healed; lease %s", describe(c.store.lease))
		return
	}
	c.write(p)
	c.settle()
	if got, want := index(p.core.commit), len(p.log); got != want {
		c.fail("commit LSN %d, log ends at %d; lease %s", got, want, describe(c.store.lease))
	}
	for _, name := range c.names {
		n := c.nodes[name]
		if n != p && n.halted == "" && (!n.core.standby.ok || n.applied != p.applied) {
			c.fail("%s is not streaming: applied %d of %d", name, n.applied, p.applied)
		}
	}
	if c.lossy {
		return
	}
	have := map[uint64]bool{}
	for _, e := range p.log {
		have[e.id] = true
	}
	for id := range c.acked {
		if !have[id] {
			c.fail("write %d was answered and is gone", id)
		}
	}
}
