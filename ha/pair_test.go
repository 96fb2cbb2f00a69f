package ha_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/heliosdb/helios/consensus"
	"github.com/heliosdb/helios/ha"
	"github.com/heliosdb/helios/wal"
)

// Writers write while the primary of a pair is killed: what was answered is on
// the promoted standby, and on the old primary once it has come back.
func TestPairFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, pairRules(ha.SemiSync), "a", "b")
		a := c.primary(0)
		c.state(a, "b", "streaming")
		acked := make(chan string, 10000)
		ctx, stop := context.WithCancel(t.Context())
		var writers sync.WaitGroup
		for w := range 8 {
			writers.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					key := fmt.Sprintf("%d/%d", w, i)
					if err := a.put(ctx, key, "x"); err == nil {
						acked <- key
					} else if !errors.Is(err, ha.ErrUnknown) && !errors.Is(err, ha.ErrNotPrimary) && !errors.Is(err, wal.ErrClosed) {
						t.Errorf("put: %v", err)
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		time.Sleep(300 * time.Millisecond)
		term := a.node.Term()
		c.crash("a")
		stop()
		writers.Wait()
		close(acked)
		killed := time.Now()
		b := c.primary(term)
		if b.name != "b" {
			t.Fatalf("%s serves", b.name)
		}
		if took := time.Since(killed); took > 15*time.Second {
			t.Errorf("failover took %v, want at most 15 s", took)
		}
		rows, n := b.shard.snapshot(), 0
		for key := range acked {
			n++
			if rows[key] != "x" {
				t.Errorf("%s was answered and is gone", key)
			}
		}
		if n == 0 {
			t.Fatal("nothing was written")
		}
		if err := b.put(t.Context(), "after", "1"); err != nil {
			t.Fatal(err)
		}
		c.start("a")
		c.state(b, "a", "streaming")
		if err := b.put(t.Context(), "both", "1"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got, want := c.nodes["a"].shard.snapshot(), b.shard.snapshot(); !maps.Equal(got, want) {
			t.Errorf("the old primary has %d rows, the new one %d", len(got), len(want))
		}
		t.Logf("%d writes answered before the crash", n)
	})
}

// With its standby gone a sync primary never answers, a semi-sync one goes on
// after a while.
func TestPairStandbyGone(t *testing.T) {
	for mode, answers := range map[ha.Mode]bool{ha.Sync: false, ha.SemiSync: true} {
		t.Run(string(mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, pairRules(mode), "a", "b")
				a := c.primary(0)
				c.state(a, "b", "streaming")
				c.crash("b")
				ctx, stop := context.WithTimeout(t.Context(), time.Minute)
				defer stop()
				began := time.Now()
				err := a.put(ctx, "k", "v")
				if answered := err == nil; answered != answers {
					t.Fatalf("got %v after %v", err, time.Since(began))
				}
				if err != nil && !errors.Is(err, ha.ErrUnknown) {
					t.Errorf("got %v, want ErrUnknown", err)
				}
				if got, want := a.node.Status().Degraded, answers; got != want {
					t.Errorf("degraded: got %v, want %v", got, want)
				}
				c.start("b")
				c.state(a, "b", "streaming")
			})
		})
	}
}

// The role moves to the standby and back while writers write: no write fails
// but those that meet the closed door, and none is lost.
func TestPairSwitchover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, pairRules(ha.SemiSync), "a", "b")
		from := c.primary(0)
		told := make(chan ha.Failover, 10)
		c.nodes["b"].node.FailoverWatcher().OnFailover(func(f ha.Failover) { told <- f })
		for round := range 4 {
			to := "b"
			if from.name == "b" {
				to = "a"
			}
			c.state(from, to, "streaming")
			if err := from.put(t.Context(), fmt.Sprint(round), "v"); err != nil {
				t.Fatal(err)
			}
			term, began := from.node.Term(), time.Now()
			if err := from.node.Switchover(t.Context(), to); err != nil {
				t.Fatal(err)
			}
			from = c.primary(term)
			if took := time.Since(began); from.name != to || took > time.Second {
				t.Errorf("round %d: %s serves after %v", round, from.name, took)
			}
			if got := len(from.shard.snapshot()); got != round+1 {
				t.Errorf("round %d: %d rows", round, got)
			}
		}
		synctest.Wait()
		var events []ha.Failover
		for range len(told) {
			events = append(events, <-told)
		}
		if len(events) != 4 || events[0].Old != "a" || events[0].New != "b" || !events[0].Planned || events[0].LSN == 0 {
			t.Errorf("failovers seen: %+v", events)
		}
		if err := from.node.Switchover(t.Context(), "nobody"); err == nil {
			t.Error("a switchover to nobody succeeded")
		}
	})
}

// A standby that was away until the log was given up copies the primary, and so
// does one whose rows must be undone.
func TestPairBaseCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, pairRules(ha.SemiSync), "a", "b")
		a := c.primary(0)
		c.state(a, "b", "streaming")
		c.crash("b")
		for i := range 3000 {
			if err := a.put(t.Context(), fmt.Sprint(i), strings.Repeat("v", 50)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second) // until all is applied
		if err := a.log.Release(a.shard.Applied()); err != nil {
			t.Fatal(err)
		}
		if a.log.Start() == 0 {
			t.Fatal("nothing was released")
		}
		c.start("b")
		c.state(a, "b", "streaming")
		time.Sleep(time.Second)
		if got, want := c.nodes["b"].shard.snapshot(), a.shard.snapshot(); !maps.Equal(got, want) {
			t.Errorf("got %d rows, want %d", len(got), len(want))
		}
		if !strings.Contains(c.nodes["b"].out.String(), "copying the primary") {
			t.Error("no base copy was made")
		}
		// b restarts on its copy.
		c.crash("b")
		c.start("b")
		c.state(a, "b", "streaming")
	})
}

// An order with allow-loss promotes a standby that lacks answered writes; the
// old primary gives them up and copies.
func TestPairAllowLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, pairRules(ha.SemiSync), "a", "b")
		a := c.primary(0)
		c.state(a, "b", "streaming")
		c.crash("b")
		if err := a.put(t.Context(), "lost", "v"); err != nil {
			t.Fatal(err)
		}
		term := a.node.Term()
		c.crash("a")
		c.start("b")
		b := c.nodes["b"]
		time.Sleep(20 * time.Second)
		if err := b.node.Promote(t.Context(), false); err == nil {
			t.Fatal("promoted without its answered writes")
		}
		if err := b.node.Promote(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		c.primary(term)
		b.shard.mu.Lock()
		if !b.shard.mu.lossy {
			t.Error("the term's record does not say that writes may be missing")
		}
		b.shard.mu.Unlock()
		c.start("a")
		c.state(b, "a", "streaming")
		time.Sleep(time.Second)
		if got := c.nodes["a"].shard.snapshot()["lost"]; got != "" {
			t.Errorf("the old primary still has %q", got)
		}
	})
}

// The store is gone: the primary goes on as long as its standby confirms it,
// then stops before its last confirmation runs out, and is back with the store.
func TestPairStoreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, pairRules(ha.SemiSync), "a", "b")
		a := c.primary(0)
		c.state(a, "b", "streaming")
		c.store.Cut("a", consensus.CutOff)
		c.store.Cut("b", consensus.CutOff)
		time.Sleep(time.Minute)
		if err := a.put(t.Context(), "confirmed", "v"); err != nil {
			t.Errorf("confirmed by its standby: %v", err)
		}
		if term := a.node.Term(); term != 1 {
			t.Errorf("got term %d, want 1", term)
		}
		c.crash("b")
		time.Sleep(8 * time.Second)
		if a.node.LeaseValid() || a.node.SplitBrainProtector().Check() == nil {
			t.Error("serves without a lease")
		}
		if err := a.put(t.Context(), "k", "v"); err == nil {
			t.Error("a write was answered without a lease")
		}
		c.store.Cut("a", consensus.Connected)
		c.store.Cut("b", consensus.Connected)
		if m := c.primary(1); m.put(t.Context(), "k", "v") != nil {
			t.Error("no write after the store came back")
		}
	})
}

// A standby whose primary is gone tries again after 5, 10, 20, 40, 60 seconds,
// and says so in the words that operators look for.
func TestReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rules := pairRules(ha.SemiSync)
		rules.Auto = false
		c := newCluster(t, rules, "a", "b")
		a := c.primary(0)
		c.state(a, "b", "streaming")
		time.Sleep(5 * time.Second)
		b := c.nodes["b"]
		for _, line := range []string{
			"Attempting reconnection to primary (attempt 1)...", "Connected to primary, starting streaming...", "Streaming replication established",
		} {
			if !strings.Contains(b.out.String(), line) {
				t.Errorf("no line %q in\n%s", line, b.out)
			}
		}
		b.out.mu.Lock()
		b.out.b.Reset()
		b.out.mu.Unlock()
		c.crash("a")
		time.Sleep(4 * time.Minute)
		at := attempts(t, b.out.String())
		want := []time.Duration{0, 5, 10, 20, 40, 60, 60}
		if len(at) < len(want) {
			t.Fatalf("%d attempts in 4 minutes, want %d\n%s", len(at), len(want), b.out)
		}
		for i := 1; i < len(want); i++ {
			gap, want := at[i].Sub(at[i-1]), want[i]*time.Second
			if gap < want*9/10 || gap > want*11/10+100*time.Millisecond {
				t.Errorf("attempt %d after %v, want %v ± 10 %%", i+1, gap, want)
			}
		}
		if row, ok := b.node.Primary(); !ok || row.State != "error" || row.NodeID != "a" {
			t.Errorf("got %+v, %v", row, ok)
		}
		began := time.Now()
		c.start("a") // its new term wakes the standby at once
		c.state(c.primary(1), "b", "streaming")
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("streaming after %v", took)
		}
	})
}

func attempts(t *testing.T, out string) (at []time.Time) {
	for line := range strings.Lines(out) {
		if strings.Contains(line, "Attempting reconnection") {
			when, err := time.Parse("time="+time.RFC3339Nano, strings.Fields(line)[0])
			if err != nil {
				t.Fatal(err)
			}
			at = append(at, when)
		}
	}
	return at
}

// A node of another cluster or shard is refused.
func TestCrossWired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, pairRules(ha.SemiSync), "a")
		c.primary(0)
		conn, err := grpc.NewClient("passthrough:///a:5433", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, to string) (net.Conn, error) { return c.dial(ctx, "x", to) }))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		checkRefused(t, conn)
	})
}

func TestLeaseDocument(t *testing.T) {
	// What routers read of a lease must stay where they look for it.
	doc, err := json.Marshal(ha.Lease{Term: 3, Holder: "a"})
	if err != nil {
		t.Fatal(err)
	}
	var holder consensus.Holder
	if err := json.Unmarshal(doc, &holder); err != nil || holder != (consensus.Holder{Term: 3, Node: "a"}) {
		t.Errorf("got %+v, %v", holder, err)
	}
}
