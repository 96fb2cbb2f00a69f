package ha_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
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
