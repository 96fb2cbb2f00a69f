package ha

import (
	"testing"
	"time"

	"github.com/heliosdb/helios/wal"
)

// primaryWith returns the core of n1, primary of a pair with n2 published, and
// the pair's world.
func primaryWith(t *testing.T) (*world, *Core) {
	t.Helper()
	rules := Rules{Mode: SemiSync, Class: SemiSync, Auto: true, Profile: DefaultProfile}
	one, two := rules, rules
	one.Node, one.Bootstrap, two.Node = "n1", true, "n2"
	w := newWorld(one, two)
	w.fail = func(format string, args ...any) { t.Errorf(format, args...) }
	w.start("n1")
	w.start("n2")
	w.settle()
	c := w.nodes["n1"].core
	if c.role != Primary || c.lease.Acks != 1 {
		t.Fatalf("n1 is %s, lease %s", c.role, describe(c.lease))
	}
	return w, c
}

// Acks of another term, of a stream that is no more, or of what was never sent
// do not count (I4).
func TestStaleAcks(t *testing.T) {
	w, c := primaryWith(t)
	p := c.primary.progress[0]
	w.write(w.nodes["n1"])
	w.flush(w.nodes["n1"])
	end := lsn(len(w.nodes["n1"].log))
	good := ackReceived{peer: "n2", stream: p.stream, term: c.primary.term, write: end, flush: end}
	commit := c.commit
	for name, change := range map[string]func(*ackReceived){
		"older term":      func(a *ackReceived) { a.term-- },
		"other stream":    func(a *ackReceived) { a.stream += 100 },
		"unknown standby": func(a *ackReceived) { a.peer = "n9" },
	} {
		bad := good
		change(&bad)
		c.Step(w.now, bad)
		if c.commit != commit {
			t.Errorf("%s: the ack counted", name)
		}
	}
	effects := c.Step(w.now, good) // nothing was sent up to end
	if c.commit != commit {
		t.Error("an ack of what was not sent counted")
	}
	dropped := false
	for _, e := range effects {
		if d, ok := e.(drop); ok && d.stream == p.stream {
			dropped = true
		}
	}
	if !dropped {
		t.Error("the stream of a standby that acknowledges too much goes on")
	}
}

// A node that is asked to cut what was committed for good stops instead (I13).
func TestDiverged(t *testing.T) {
	for _, verdict := range []verdict{verdictTruncate, verdictBaseCopy} {
		w, _ := primaryWith(t)
		w.write(w.nodes["n1"])
		w.settle()
		c := w.nodes["n2"].core
		for range 3 { // a heartbeat tells n2 how far it is committed for good
			w.now += DefaultProfile.Heartbeat
			w.step("n1", tick{})
			w.settle()
		}
		if index(c.safe) != 2 {
			t.Fatalf("committed for good: %d, want 2", index(c.safe))
		}
		c.Step(w.now, disconnected{"n1", c.standby.stream})
		c.Step(w.now, connected{"n1", 77})
		effects := c.Step(w.now, helloReplied{peer: "n1", stream: 77, term: c.promise.Term, verdict: verdict, lsn: lsn(1)})
		halted := false
		for _, e := range effects {
			_, ok := e.(halt)
			halted = halted || ok
			if _, ok := e.(truncate); ok {
				t.Error("the log is cut")
			}
		}
		if !halted || c.Step(w.now, tick{}) != nil {
			t.Errorf("%v: the node goes on", verdict)
		}
	}
}

// lag in time is the age of the oldest record not applied, and nothing when all
// are, however old the last one is.
func TestLagMeter(t *testing.T) {
	var m lagMeter
	for i := range 10000 {
		m.sample(wal.LSN(i*10), seconds(i))
	}
	for _, test := range []struct {
		lsn  wal.LSN
		want int // seconds, give or take what thinning out costs
	}{{99990, 0}, {99980, 1}, {99000, 100}, {50000, 5000}} {
		got := m.of(test.lsn, seconds(10000))
		if d := got - seconds(test.want); d < -seconds(8) || d > seconds(8) {
			t.Errorf("%d: got %v, want about %d s", test.lsn, got, test.want)
		}
	}
	if got := m.of(99990, seconds(99999)); got != 0 {
		t.Errorf("all applied: got %v, want 0", got)
	}
	m.sample(500, seconds(10001))
	if got := m.of(500, seconds(10002)); got != 0 {
		t.Errorf("after a cut: got %v, want 0", got)
	}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
