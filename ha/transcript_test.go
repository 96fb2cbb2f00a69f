package ha

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestTranscripts plays the scripts in testdata: a shard in memory, told step
// by step what happens, and what its nodes do about it. Time passes only in
// run; all other commands but write settle everything that is under way.
//
//	shard n1=sync n2=semi-sync mode=sync [manual] [fast]   nodes with their class; n1 founds
//	run 10s            time passes
//	write n1 3         three writes at n1, not yet sent or synced
//	settle             until nothing is under way
//	crash, start, pause, resume, wipe, stop n1
//	cut n1 n2, join n1 n2         the network between two nodes, both ways
//	store down, up, mute          mute: it does what is asked, answers get lost
//	no-store, store-again n1      the network between a node and the store
//	hang, unhang n1               the node's disk
//	switchover n1 n2, promote n2 [allow-loss]
//	flush n1           what is written is synced, nothing is sent
//	state
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var s *script
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "shard" {
				s = newScript(t, d)
			}
			return s.play(t, d)
		})
	})
}

type script struct {
	*world
	out strings.Builder
}

func newScript(t *testing.T, d *datadriven.TestData) *script {
	rules := Rules{Mode: SemiSync, Auto: true, Profile: DefaultProfile}
	var nodes []Rules
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "manual":
			rules.Auto = false
		case "fast":
			rules.Profile = FastProfile
		case "mode":
			rules.Mode = Mode(arg.Vals[0])
		default:
			nodes = append(nodes, Rules{Node: arg.Key, Class: Mode(arg.Vals[0])})
		}
	}
	for i := range nodes {
		class, name := nodes[i].Class, nodes[i].Node
		nodes[i] = rules
		nodes[i].Node, nodes[i].Class, nodes[i].Bootstrap = name, class, i == 0
	}
	s := &script{world: newWorld(nodes...)}
	s.trace = func(node, what string) { fmt.Fprintf(&s.out, "%s %s\n", node, what) }
	s.fail = func(format string, args ...any) { t.Errorf(format, args...) }
	return s
}

func (s *script) play(t *testing.T, d *datadriven.TestData) string {
	s.out.Reset()
	arg := func(i int) string {
		if i < len(d.CmdArgs) {
			return d.CmdArgs[i].Key
		}
		return ""
	}
	n := s.nodes[arg(0)]
	switch d.Cmd {
	case "shard":
		for _, name := range s.names {
			s.start(name)
		}
	case "run":
		s.runFor(t, d, arg(0))
	case "write":
		return s.writes(n, arg(1))
	case "settle":
	case "crash":
		s.crash(n.id)
	case "start":
		s.start(n.id)
	case "wipe":
		s.wipe(n.id)
	case "stop":
		s.step(n.id, stop{})
	case "pause":
		n.paused = true
	case "resume":
		n.paused = false
	case "cut", "join":
		s.cut[[2]string{arg(0), arg(1)}] = d.Cmd == "cut"
		s.cut[[2]string{arg(1), arg(0)}] = d.Cmd == "cut"
	case "store":
		s.store.down, s.mute = arg(0) == "down", arg(0) == "mute"
	case "no-store", "store-again":
		n.noStore = d.Cmd == "no-store"
	case "hang", "unhang":
		s.step(n.id, hung{d.Cmd == "hang"})
	case "switchover":
		s.step(n.id, switchover{arg(1)})
	case "promote":
		s.lossy = s.lossy || arg(1) == "allow-loss"
		s.step(n.id, promote{arg(1) == "allow-loss"})
	case "flush":
		s.flush(n)
		return s.out.String()
	case "state":
		return s.state()
	default:
		d.Fatalf(t, "unknown command")
	}
	s.settleMuted()
	if s.out.Len() == 0 {
		return "ok\n"
	}
	return s.out.String()
}

func (s *script) writes(n *testNode, count string) string {
	times := 1
	if count != "" {
		fmt.Sscan(count, &times)
	}
	for range times {
		if _, ok := s.write(n); !ok {
			return n.id + " does not serve\n"
		}
	}
	return fmt.Sprintf("%s log ends at %d\n", n.id, len(n.log))
}

// runFor prints the time before the lines of each moment.
func (s *script) runFor(t *testing.T, d *datadriven.TestData, arg string) {
	length, err := time.ParseDuration(arg)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	var all strings.Builder
	began := s.now
	for s.now < began+length {
		s.now += 100 * time.Millisecond
		for _, name := range s.names {
			s.step(name, tick{})
		}
		s.settleMuted()
		if s.out.Len() > 0 {
			fmt.Fprintf(&all, "%v:\n%s", s.now-began, s.out.String())
			s.out.Reset()
		}
	}
	s.out.WriteString(all.String())
}

func (s *script) settleMuted() {
	for {
		if s.store.down {
			s.failStore()
		}
		if s.mute {
			ops := s.store.ops
			s.store.ops = nil
			for _, c := range ops {
				s.serveStore(c)
				s.answer(c, true)
			}
			for _, n := range s.nodes {
				n.seen = s.store.rev // watches are mute, too
			}
		}
		s.settle()
		if len(s.store.ops) == 0 {
			return
		}
	}
}

func (s *script) state() string {
	var b strings.Builder
	fmt.Fprintf(&b, "lease: %s\n", describe(s.store.lease))
	for _, name := range s.names {
		n := s.nodes[name]
		c := n.core
		switch {
		case n.halted != "":
			fmt.Fprintf(&b, "%s halted\n", name)
			continue
		case !n.up:
			fmt.Fprintf(&b, "%s down, log %d\n", name, n.durable)
			continue
		}
		fmt.Fprintf(&b, "%s %s, promise %d, log %d, commit %d, applied %d", name, c.role, c.promise.Term, len(n.log), index(c.commit), n.applied)
		if n.serving {
			b.WriteString(", serving")
		}
		if c.standby.ok {
			b.WriteString(", streaming from " + c.standby.leader)
		}
		b.WriteString("\n")
	}
	return b.String()
}
