package ha_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/heliosdb/helios/consensus"
	"github.com/heliosdb/helios/ha"
	"github.com/heliosdb/helios/wal"
)

// cluster is a shard of real nodes in one synctest bubble: real logs on
// crashable disks in memory, real gRPC over piped connections, a fake store.
type cluster struct {
	t     *testing.T
	store *consensus.Fake
	peers []ha.Peer
	nodes map[string]*member
	rules ha.Rules
	mu    struct {
		sync.Mutex
		listeners map[string]*bufconn.Listener
		cut       map[string]bool
		conns     map[net.Conn]bool
	}
}

// member is one node: what survives a crash, and what runs.
type member struct {
	name   string
	fs     *vfs.MemFS
	disk   saved
	out    *lockedBuffer
	node   *ha.Node
	shard  *testShard
	log    *wal.Log
	server *grpc.Server
	stop   context.CancelFunc
	done   sync.WaitGroup
	ran    error
}

// saved is a shard's state on disk.
type saved struct {
	applied wal.LSN
	rows    map[string]string
}

func newCluster(t *testing.T, rules ha.Rules, names ...string) *cluster {
	c := &cluster{t: t, store: consensus.NewFake(), nodes: map[string]*member{}, rules: rules}
	c.mu.listeners, c.mu.cut, c.mu.conns = map[string]*bufconn.Listener{}, map[string]bool{}, map[net.Conn]bool{}
	for _, name := range names {
		c.peers = append(c.peers, ha.Peer{Node: name, Address: name + ":5433", Class: rules.Class})
		c.nodes[name] = &member{name: name, fs: vfs.NewCrashableMem(), disk: saved{rows: map[string]string{}}, out: &lockedBuffer{}}
	}
	for _, name := range names {
		c.start(name)
	}
	t.Cleanup(func() {
		for _, name := range names {
			if c.nodes[name].node != nil {
				c.crash(name)
			}
		}
	})
	return c
}

func (c *cluster) start(name string) {
	m := c.nodes[name]
	bell := ha.NewBell()
	if err := m.fs.MkdirAll("wal", 0o755); err != nil {
		c.t.Fatal(err)
	}
	log, err := wal.Open(wal.Options{FS: m.fs, Dir: "wal", SegmentBytes: 64 << 10, OnFlush: bell.Flushed})
	if err != nil {
		c.t.Fatal(err)
	}
	rules := c.rules
	rules.Node, rules.Bootstrap = name, name == c.peers[0].Node
	m.log, m.shard = log, newTestShard(log, bell, &m.disk)
	m.node, err = ha.NewNode(ha.Options{
		Cluster: "test", Shard: 1, Rules: rules, Address: name + ":5433", Peers: c.peers,
		Log: log, FS: m.fs, Dir: "wal", Bell: bell, Applier: m.shard,
		Authority: consensus.Lease[ha.Lease](c.store.Client(name), 1),
		Dial: []grpc.DialOption{
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, to string) (net.Conn, error) { return c.dial(ctx, name, to) }),
		},
		Now: sinceStart(), Logger: slog.New(slog.NewTextHandler(m.out, nil)),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	listener := bufconn.Listen(1 << 20)
	c.mu.Lock()
	c.mu.listeners[name+":5433"] = listener
	c.mu.Unlock()
	m.server = grpc.NewServer()
	m.node.Register(m.server)
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.done.Go(func() { _ = m.server.Serve(listener) })
	m.done.Go(func() { m.ran = m.node.Run(ctx) })
	m.done.Go(func() {
		if err := m.shard.Run(ctx); err != nil {
			c.t.Error(err)
		}
	})
}

func sinceStart() func() time.Duration {
	began := time.Now()
	return func() time.Duration { return time.Since(began) + time.Hour }
}

func (c *cluster) dial(ctx context.Context, from, to string) (net.Conn, error) {
	c.mu.Lock()
	listener, cut := c.mu.listeners[to], c.mu.cut[from+" "+to]
	c.mu.Unlock()
	if listener == nil || cut {
		return nil, fmt.Errorf("%s does not reach %s", from, to)
	}
	return listener.DialContext(ctx)
}

// crash ends a node at once: nothing is released, and what its disk did not
// sync is gone.
func (c *cluster) crash(name string) {
	m := c.nodes[name]
	disk := m.fs.CrashClone(vfs.CrashCloneCfg{})
	c.mu.Lock()
	delete(c.mu.listeners, name+":5433")
	c.mu.Unlock()
	m.stop()
	m.server.Stop()
	m.done.Wait()
	if m.ran != nil {
		c.t.Errorf("%s: %v", name, m.ran)
	}
	if err := m.log.Close(); err != nil {
		c.t.Error(err)
	}
	m.fs, m.node = disk, nil
}

// primary waits until a node of a term above old serves.
func (c *cluster) primary(old uint32) *member {
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(10 * time.Millisecond) {
		for _, p := range c.peers {
			if m := c.nodes[p.Node]; m.node != nil && m.node.LeaseValid() && m.shard.open() && m.node.Term() > old {
				return m
			}
		}
	}
	c.dump()
	c.t.Fatal("nobody serves")
	return nil
}

// streaming waits until primary has a standby in a state.
func (c *cluster) state(primary *member, standby, want string) {
	for began := time.Now(); time.Since(began) < 2*time.Minute; time.Sleep(10 * time.Millisecond) {
		for _, row := range primary.node.Standbys() {
			if row.NodeID == standby && row.State == want {
				return
			}
		}
	}
	c.dump()
	c.t.Fatalf("%s does not see %s %s: %+v", primary.name, standby, want, primary.node.Standbys())
}

func (c *cluster) dump() {
	for _, p := range c.peers {
		c.t.Logf("%s:\n%s", p.Node, c.nodes[p.Node].out)
	}
}

// testShard keeps rows in memory. Its records are key=value.
type testShard struct {
	*ha.Applicator
	log  *wal.Log
	disk *saved
	mu   struct {
		sync.Mutex
		rows    map[string]string
		term    uint32
		serving bool
		closed  uint64
		lossy   bool
	}
}

func newTestShard(log *wal.Log, bell ha.Bell, disk *saved) *testShard {
	s := &testShard{log: log, disk: disk}
	s.mu.rows = maps.Clone(disk.rows)
	s.Applicator = ha.NewApplicator(log, bell, disk.applied, s.apply)
	return s
}

func (s *testShard) apply(r wal.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Type {
	case wal.TypeTxn:
		key, value, _ := strings.Cut(string(r.Payload), "=")
		s.mu.rows[key] = value
	case wal.TypeTermStart:
		note, err := ha.ParseTermNote(r.Payload)
		s.mu.lossy = note.Lossy
		return err
	}
	return nil
}

func (s *testShard) SetRole(role ha.Role, term uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.term, s.mu.serving = 0, false
	if role == ha.Primary {
		s.mu.term = term
	}
}

func (s *testShard) Lead(_ uint32, _ bool, ceiling uint64) uint64 { return ceiling + 1 }

func (s *testShard) Serve(uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.serving = true
}

func (s *testShard) open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.serving
}

func (s *testShard) Beat(context.Context) (wal.LSN, error) {
	end, _, err := s.append(wal.TypeHeartbeat, "")
	return end, err
}

func (s *testShard) append(typ wal.Type, payload string) (wal.LSN, uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.term == 0 {
		return 0, 0, ha.ErrNotPrimary
	}
	end, err := s.log.Append(s.mu.term, typ, 0, 0, func(wal.LSN) (uint64, []byte, error) { return 0, []byte(payload), nil })
	return end, s.mu.term, err
}

func (s *testShard) Drain(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.serving = false
	return nil
}

func (s *testShard) Resume() { s.Serve(0) }

func (s *testShard) Rewind(context.Context, wal.LSN) error { return errors.New("cannot rewind") }

func (s *testShard) Export(_ context.Context, begin func(wal.LSN) error, put func(key, value []byte) error) error {
	s.mu.Lock()
	rows, at := maps.Clone(s.mu.rows), s.Applied()
	s.mu.Unlock()
	if err := begin(at); err != nil {
		return err
	}
	for key, value := range rows {
		if err := put([]byte(key), []byte(value)); err != nil {
			return err
		}
	}
	return nil
}

func (s *testShard) Import(_ context.Context, at wal.LSN, all func(put func(key, value []byte) error) error) error {
	rows := map[string]string{}
	if err := all(func(key, value []byte) error { rows[string(key)] = string(value); return nil }); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	*s.disk = saved{at, maps.Clone(rows)}
	s.mu.rows = rows
	s.Jump(at)
	return nil
}

func (s *testShard) Ceiling() uint64                    { return 0 }
func (s *testShard) Closed() (uint64, wal.LSN, uint64)  { return 7, 0, 3 }
func (s *testShard) OldestSnapshot() uint64             { return 0 }
func (s *testShard) HoldSnapshot(node string, t uint64) {}
func (s *testShard) SetClosed(closed uint64, _ wal.LSN, _ uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.closed = closed
}

func (s *testShard) snapshot() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.mu.rows)
}

// put writes a row and returns nil only if it is committed.
func (m *member) put(ctx context.Context, key, value string) error {
	if !m.shard.open() {
		return ha.ErrNotPrimary
	}
	end, term, err := m.shard.append(wal.TypeTxn, key+"="+value)
	if err != nil {
		return err
	}
	return m.node.Gate().Wait(ctx, term, end)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func pairRules(mode ha.Mode) ha.Rules {
	return ha.Rules{Mode: mode, Class: mode, Auto: true, Profile: ha.DefaultProfile}
}

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
		var events []ha.Failover
		c.nodes["b"].node.FailoverWatcher().OnFailover(func(f ha.Failover) { events = append(events, f) })
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

// The store is gone: the primary stops serving before its lease has run out,
// and goes on when the store is back.
func TestPairStoreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, pairRules(ha.SemiSync), "a", "b")
		a := c.primary(0)
		c.state(a, "b", "streaming")
		c.store.Cut("a", consensus.CutOff)
		c.store.Cut("b", consensus.CutOff)
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
