package router_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/router"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/shard"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/types"
)

// world is a cluster in memory: real shards behind real pgwire servers over pipes.
type world struct {
	t testing.TB

	mu      sync.Mutex
	current *cluster.Map
	nodes   map[string]*node // by address
	fault   wireFault
	limits  router.Limits // of routers made from now on

	connsMax int          // of a router's pools, 0 for the usual
	ahead    atomic.Int64 // how far the routers' wall clocks are ahead, ms
}

// node is a shard's primary.
type node struct {
	w    *world
	id   cluster.ShardID
	addr string
	fs   vfs.FS

	refuse atomic.Bool // cut off from routers, while it runs

	mu  sync.Mutex
	run *running // nil while it is stopped
}

// running is a node between start and stop.
type running struct {
	shard   *shard.Shard
	server  *pgwire.Server
	conns   chan net.Conn
	stopped chan struct{}
	served  chan struct{}
}

func newWorld(t testing.TB, shards int) *world {
	t.Helper()
	w := &world{t: t, nodes: map[string]*node{}}
	var list []cluster.Shard
	table := make([]cluster.ShardID, 64)
	for i := range shards {
		id := cluster.ShardID(i + 1)
		addr := fmt.Sprintf("shard%d:5432", id)
		list = append(list, cluster.Shard{
			ID: id, Weight: 100, Zone: []string{"eu", "us", "asia"}[i%3], Term: 1, Primary: fmt.Sprintf("n%d", id),
			Nodes: []cluster.Node{{ID: fmt.Sprintf("n%d", id), Role: cluster.Primary, SQL: addr}},
		})
		w.nodes[addr] = &node{w: w, id: id, addr: addr, fs: vfs.NewMem()}
	}
	for slot := range table {
		table[slot] = cluster.ShardID(slot%shards + 1)
	}
	var err error
	if w.current, err = cluster.New("test", list, table); err != nil {
		t.Fatal(err)
	}
	for _, n := range w.nodes {
		n.start()
	}
	t.Cleanup(func() {
		for _, n := range w.nodes {
			n.stop()
		}
	})
	return w
}

func (w *world) node(id cluster.ShardID) *node { return w.nodes[fmt.Sprintf("shard%d:5432", id)] }

// start opens the shard and serves it.
func (n *node) start() {
	t, ctx := n.w.t, context.Background()
	s, err := shard.Open(shard.Options{
		ID: n.id, Slots: n.w.current.SlotCount(), FS: n.fs, Dir: "data",
		Wall:  func() int64 { return time.Now().UnixMilli() },
		Peers: n.w, SegmentBytes: 1 << 20, CacheBytes: 4 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	run := &running{shard: s, conns: make(chan net.Conn), stopped: make(chan struct{}), served: make(chan struct{})}
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Bootstrap(ctx, "heliosdb", "helios", ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Adopt(ctx, n.w.mapNow()); err != nil {
		t.Fatal(err)
	}
	engine := shard.NewEngine(s, shard.EngineOptions{})
	host := session.NewHost(session.Options{Engine: func(string) (session.Engine, error) { return engine, nil }})
	run.server, err = pgwire.New(pgwire.Options{
		Auth: letIn{}, Log: slog.New(slog.DiscardHandler),
		NewSession: func(ctx context.Context, info *pgwire.ConnInfo, client pgwire.Client) (pgwire.Session, error) {
			return host.Open(ctx, info, client)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{node: n, conns: run.conns, stopped: run.stopped}
	go func() {
		defer close(run.served)
		run.server.Serve(ctx, l)
	}()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.run = run
}

// now gives what runs, nil while the node is stopped.
func (n *node) now() *running {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.run
}

// stop ends the node as a kill does, but for the log: what was written stays.
func (n *node) stop() {
	n.mu.Lock()
	run := n.run
	n.run = nil
	n.mu.Unlock()
	if run == nil {
		return
	}
	run.server.Close()
	<-run.served
	if err := run.shard.Close(); err != nil {
		n.w.t.Error(err)
	}
}

type letIn struct{}

func (letIn) Begin(context.Context, *pgwire.ConnInfo) (pgwire.Exchange, error) { return nil, nil }

type listener struct {
	node    *node
	conns   chan net.Conn
	stopped chan struct{}
	once    sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.stopped:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error { l.once.Do(func() { close(l.stopped) }); return nil }

func (l *listener) Addr() net.Addr { return addr(l.node.addr) }

// wireFault breaks the first connection that sends a text: before the text is delivered, or
// after it was, when its answer comes.
type wireFault struct {
	mu      sync.Mutex
	text    string // "" for none
	deliver bool
	then    func() // called when it breaks
}

// wire is a router's end of a connection.
type wire struct {
	net.Conn
	node  *node
	fault *wireFault
	cut   atomic.Bool
}

func (c *wire) Write(b []byte) (int, error) {
	if c.node.refuse.Load() {
		c.Conn.Close()
		return 0, io.ErrClosedPipe
	}
	// A pipe takes bytes when the other end reads: nobody else may have to wait for that.
	if met, deliver := c.meetsFault(b); met && !deliver {
		return len(b), c.Conn.Close()
	}
	return c.Conn.Write(b)
}

// meetsFault tells whether the connection breaks with these bytes, and whether they are
// delivered all the same.
func (c *wire) meetsFault(b []byte) (met, deliver bool) {
	c.fault.mu.Lock()
	defer c.fault.mu.Unlock()
	if c.fault.text == "" || !bytes.Contains(b, []byte(c.fault.text)) {
		return false, false
	}
	c.fault.text = ""
	if c.fault.then != nil {
		c.fault.then()
	}
	c.cut.Store(true)
	return true, c.fault.deliver
}

func (c *wire) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.cut.Load() {
		c.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

type addr string

func (a addr) Network() string { return "memory" }
func (a addr) String() string  { return string(a) }

func (w *world) dial(ctx context.Context, to string) (net.Conn, error) {
	n := w.nodes[to].now()
	if n == nil || w.nodes[to].refuse.Load() {
		return nil, errors.New("nobody listens")
	}
	ours, theirs := net.Pipe()
	select {
	case n.conns <- theirs:
		return &wire{Conn: ours, node: w.nodes[to], fault: &w.fault}, nil
	case <-n.stopped:
		return nil, errors.New("nobody listens")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *world) mapNow() *cluster.Map {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.current
}

// change edits the map; shards adopt it, routers see it when they refresh.
func (w *world) change(edit func(*cluster.Map) (*cluster.Map, error)) error {
	w.mu.Lock()
	next, err := edit(w.current)
	if err == nil {
		w.current = next
	}
	w.mu.Unlock()
	if err != nil {
		return err
	}
	for _, n := range w.nodes {
		if run := n.now(); run != nil {
			if err := run.shard.Adopt(context.Background(), next); err != nil {
				return err
			}
		}
	}
	return nil
}

// Outcome, Decide and Resolve make the world the shards' way to one another.
func (w *world) Outcome(ctx context.Context, gid twophase.GID, at hlc.Timestamp) (twophase.Outcome, error) {
	s, err := w.shard(gid.Owner)
	if err != nil {
		return twophase.Outcome{}, err
	}
	return s.Outcome(ctx, gid.String(), at)
}

func (w *world) Decide(ctx context.Context, gid twophase.GID) (twophase.Outcome, error) {
	s, err := w.shard(gid.Owner)
	if err != nil {
		return twophase.Outcome{}, err
	}
	return s.Decide(ctx, gid.String())
}

func (w *world) Resolve(ctx context.Context, id cluster.ShardID, gid twophase.GID, o twophase.Outcome) error {
	s, err := w.shard(id)
	if err != nil {
		return err
	}
	return s.ResolvePrepared(ctx, gid.String(), o)
}

func (w *world) shard(id cluster.ShardID) (*shard.Shard, error) {
	if run := w.node(id).now(); run != nil {
		return run.shard, nil
	}
	return nil, types.Errorf("57P03", "shard %d is stopped", id)
}

// newRouter starts a router over the world.
func (w *world) newRouter(incarnation uint32) *router.Router {
	w.t.Helper()
	client, err := remote.NewClient(remote.Options{User: shard.RouterRole, Dial: w.dial, ConnsMax: w.connsMax})
	if err != nil {
		w.t.Fatal(err)
	}
	var mu sync.Mutex
	seen := w.mapNow()
	see := func() *cluster.Map {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
	refresh := func(context.Context, uint64) (*cluster.Map, error) {
		mu.Lock()
		defer mu.Unlock()
		seen = w.mapNow()
		return seen, nil
	}
	r, err := router.New(context.Background(), router.Options{
		Map: see, Refresh: refresh, Shards: remote.NewShards(client, "heliosdb", see, 2*time.Second), Incarnation: incarnation, Limits: w.limits,
		Wall: func() int64 { return time.Now().UnixMilli() + w.ahead.Load() },
		AssignUnits: func(ctx context.Context, table uint32, set cluster.CellSet) error {
			err := w.change(func(m *cluster.Map) (*cluster.Map, error) { return m.WithCells(table, set) })
			if err == nil {
				_, err = refresh(ctx, 0)
			}
			return err
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { r.Close(); client.Close() })
	return r
}

// client is a session at a router; what it hears is written as text.
type client struct {
	strings.Builder
	t       testing.TB
	r       *router.Router
	s       *session.Session
	columns []pgwire.Column
	copy    string
}

func (w *world) connect(r *router.Router) *client {
	w.t.Helper()
	c := &client{t: w.t, r: r}
	host := session.NewHost(session.Options{Engine: func(string) (session.Engine, error) { return r, nil }})
	s, err := host.Open(context.Background(), &pgwire.ConnInfo{PID: 1, User: "helios", Database: "heliosdb"}, c)
	if err != nil {
		w.t.Fatal(err)
	}
	c.s = s
	w.t.Cleanup(s.Close)
	return c
}

func (c *client) Notice(e *types.Error)              { fmt.Fprintf(c, "%s: %s\n", e.Severity, e.Message) }
func (c *client) ParameterStatus(name, value string) {}
func (c *client) Terminate(*types.Error)             {}
func (c *client) RowDescription(columns []pgwire.Column) error {
	c.columns = columns
	return nil
}

func (c *client) DataRow(row types.Row) error {
	texts := make([]string, len(row))
	for i, v := range row {
		texts[i] = "∅"
		if !v.IsNull() {
			texts[i] = types.ToText(c.columns[i].Type, v)
		}
	}
	fmt.Fprintln(c, strings.Join(texts, " | "))
	return nil
}

func (c *client) RawDataRow(cells [][]byte) error {
	texts := make([]string, len(cells))
	for i, b := range cells {
		texts[i] = string(b)
	}
	fmt.Fprintln(c, strings.Join(texts, " | "))
	return nil
}

func (c *client) CommandComplete(tag string) error    { fmt.Fprintln(c, tag); return nil }
func (c *client) EmptyQuery() error                   { return nil }
func (c *client) Suspended() error                    { return nil }
func (c *client) CopyIn(int, bool) (io.Reader, error) { return strings.NewReader(c.copy), nil }
func (c *client) CopyOut(int, bool) (io.WriteCloser, error) {
	return copyOut{c}, nil
}

type copyOut struct{ *client }

func (copyOut) Close() error { return nil }

// run runs a query string and gives what came back.
func (c *client) run(text string) string {
	c.Reset()
	if err := c.s.SimpleQuery(context.Background(), text, c); err != nil {
		e := types.AsError(err)
		fmt.Fprintf(c, "ERROR %s: %s\n", e.Code, e.Message)
		for _, x := range []struct{ name, text string }{{"DETAIL", e.Detail}, {"HINT", e.Hint}} {
			if x.text != "" {
				fmt.Fprintf(c, "%s: %s\n", x.name, x.text)
			}
		}
	}
	return c.String()
}

// group runs a statement by the extended protocol, as drivers do: Execute with Sync behind it.
func (c *client) group(text string) error {
	c.Reset()
	ctx := context.Background()
	err := c.s.Parse(ctx, "", text, nil)
	if err == nil {
		err = c.s.Bind(ctx, "", "", nil, nil, nil)
	}
	if err == nil {
		err = c.s.Execute(ctx, "", 0, true, c)
	}
	return errors.Join(err, c.s.Sync(ctx))
}

// must runs a statement that has to succeed and gives its rows.
func (c *client) must(text string) string {
	c.t.Helper()
	out := c.run(text)
	if strings.Contains(out, "ERROR") {
		c.t.Fatalf("%s\n%s", text, out)
	}
	i := strings.LastIndex(strings.TrimSuffix(out, "\n"), "\n")
	return out[:i+1]
}
