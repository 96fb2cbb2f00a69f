package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/heliosdb/helios/admin"
	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/consensus"
	"github.com/heliosdb/helios/ha"
	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/reshard"
	"github.com/heliosdb/helios/router"
	"github.com/heliosdb/helios/rpc"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/shard"
	"github.com/heliosdb/helios/sql/catalog"
)

// errRewind sends a node whose state holds what the new primary lacks to a base copy.
var errRewind = errors.New("what is applied cannot be taken back")

// memberOptions describe one node of a shard.
type memberOptions struct {
	world World

	id, cluster string
	shard       cluster.ShardID
	sql, native string // addresses; port 0 takes a free one
	data        string
	store       consensus.Store
	primary     string // address where the primary may be, until the map says so
	first       bool   // may be the first primary of its shard
	auto        bool
	mode, class ha.Mode
	profile     ha.Profile
	database    string
	verifier    string // of user helios, for the first start of the cluster
	founded     func() // told once if that start took the verifier of this node; nil: nobody asks
	secret      string
	slots       int
}

// member is a running node of a shard: log and store, replication, SQL.
//
// Start order: data directory, shard, SQL, replication, map; stop in reverse.
type member struct {
	o          memberOptions
	log        *slog.Logger
	dir        *dataDir
	shard      *shard.Shard
	engine     *shard.Engine
	forward    *forwarder
	ha         *ha.Node
	grpc       *grpc.Server
	wire       *pgwire.Server
	sqlAddr    string
	nativeAddr string

	current    atomic.Pointer[cluster.Map]
	serving    atomic.Uint32 // term, 0 when not primary
	registered atomic.Bool   // in the control store, since this start
	changed    chan struct{} // role or map
	ctx        context.Context
	cancel     context.CancelFunc
	threads    sync.WaitGroup
	failed     chan error
	started    time.Time
	copies     copiers
	retained   *retention
	built      chan struct{} // closed when all parts are there
	running    bool          // the threads were started

	users      *forwarder // forwards what clients of this node write
	forwardMu  sync.Mutex // held while forwarding is made
	forwarding atomic.Pointer[router.Router]
}

// startMember starts a node of a shard. It answers SQL as soon as the shard has a
// catalog, whatever its role.
func startMember(ctx context.Context, o memberOptions) (m *member, err error) {
	o.world = o.world.withDefaults()
	m = &member{
		o: o, log: o.world.Logger.With("node", o.id), changed: make(chan struct{}, 1),
		failed: make(chan error, 4), started: time.Now(), built: make(chan struct{}), retained: newRetention(time.Now),
	}
	m.copies.running = map[string]*copier{}
	m.ctx, m.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			m.stop()
		}
	}()
	m.dir, err = openData(o.world.FS, o.data, identity{Kind: "node", Node: o.id, Cluster: o.cluster, Shard: o.shard})
	if err != nil {
		return m, err
	}
	sqlListener, err := listen(o.world, o.sql, "SQL")
	if err != nil {
		return m, err
	}
	nativeListener, err := listen(o.world, o.native, "replication")
	if err != nil {
		return m, errors.Join(err, sqlListener.Close())
	}
	m.sqlAddr, m.nativeAddr = sqlListener.Addr().String(), nativeListener.Addr().String()
	if err := m.build(); err != nil {
		return m, errors.Join(err, sqlListener.Close(), nativeListener.Close())
	}
	m.run(sqlListener, nativeListener)
	if _, err := consensus.Register(ctx, o.store, consensus.Node{
		ID: o.id, Shard: o.shard, SQL: m.sqlAddr, Native: m.nativeAddr, Weight: 100, Class: string(o.class),
	}); err != nil {
		return m, err
	}
	if err := consensus.ClusterMap(o.store).RecordNode(ctx, o.shard, m.node()); err != nil {
		return m, fmt.Errorf("cluster map: %w", err)
	}
	m.registered.Store(true)
	m.wake() // a map may have come meanwhile
	return m, nil
}

// node is this node as the cluster map has it.
func (m *member) node() cluster.Node {
	return cluster.Node{ID: m.o.id, SQL: m.sqlAddr, Native: m.nativeAddr, Class: string(m.o.class)}
}

// enlist has the map say where this node is: a map that was founded, or that got this shard,
// after the node had registered was made by somebody who may not have known. A process that
// took this node's name and registered later is left alone.
func (m *member) enlist(ctx context.Context, current *cluster.Map) error {
	s, ok := current.Shard(m.o.shard)
	if !ok || !m.registered.Load() {
		return nil
	}
	want := m.node()
	if n, ok := s.Node(m.o.id); ok && n.SQL == want.SQL && n.Native == want.Native && n.Class == want.Class {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, _, err := consensus.Nodes(m.o.store).At(m.o.id).Load(ctx)
	if err != nil {
		return err
	}
	if r.SQL != want.SQL || r.Native != want.Native {
		m.log.Warn("the node is registered elsewhere", "sql", r.SQL, "native", r.Native)
		return nil
	}
	return consensus.ClusterMap(m.o.store).RecordNode(ctx, m.o.shard, want)
}

// build makes the parts and joins their seams.
func (m *member) build() error {
	o := m.o
	bell := ha.NewBell()
	peers, err := newPeers(o.world, o.secret, o.database, m.current.Load)
	if err != nil {
		return err
	}
	m.forward = peers
	if m.users, err = newForwarder(o.world, o.secret, o.database, m.current.Load, remote.Options{Settings: map[string]string{shard.ForwardedSetting: "on"}}); err != nil {
		return err
	}
	m.shard, err = shard.Open(shard.Options{
		ID: o.shard, Slots: o.slots, FS: o.world.FS, Dir: o.data, Logger: m.log, Peers: peers,
		Wall:       func() int64 { return time.Now().UnixMilli() },
		CacheBytes: o.world.CacheBytes, SegmentBytes: o.world.SegmentBytes,
		Lease:     func() bool { return m.ha != nil && m.ha.LeaseValid() },
		OnFlush:   bell.Flushed,
		OnApply:   bell.Ring,
		Fatal:     m.fail,
		Relations: admin.Relations(), Undo: m.undo, Hold: m.hold,
	})
	if err != nil {
		return err
	}
	m.ha, err = ha.NewNode(ha.Options{
		Cluster: o.cluster, Shard: o.shard, Address: m.nativeAddr, PrimaryHint: o.primary,
		Rules: ha.Rules{Node: o.id, Mode: o.mode, Class: o.class, Auto: o.auto, Bootstrap: o.first, Profile: o.profile},
		Log:   m.shard.Log(), FS: o.world.FS, Dir: o.data, Bell: bell,
		Applier:   &applier{Shard: m.shard, serve: m.serve, stepDown: m.stepDown, retained: m.retained},
		Authority: consensus.Lease[ha.Lease](o.store, o.shard),
		Dial:      dialOptions(o.world), Now: o.world.Now, Logger: m.log,
	})
	if err != nil {
		return err
	}
	history := &admin.History{}
	m.ha.OnFailover(history.Add)
	views := &admin.NodeViews{
		ID: o.id, Shard: o.shard, SQL: m.sqlAddr, Native: m.nativeAddr, HA: m.ha, DB: m.shard, History: history,
		Map: m.current.Load, Jobs: func(ctx context.Context) ([]reshard.Job, error) { return loadJobs(ctx, o.store) }, Started: m.started,
	}
	m.engine = shard.NewEngine(m.shard, shard.EngineOptions{
		Views: views.Rows, Functions: m.functions(), Password: newVerifier, Call: callOf(m.isSuperuser),
		Shards: func() int {
			if c := m.current.Load(); c != nil {
				return len(c.Shards)
			}
			return 1
		},
	})
	close(m.built)
	m.grpc = grpc.NewServer()
	m.ha.Register(m.grpc)
	rpc.RegisterReshardServer(m.grpc, &donor{m: m})
	return m.buildSQL()
}

// buildSQL makes the server of sessions.
func (m *member) buildSQL() error {
	host := session.NewHost(session.Options{Engine: m.engineFor, Standby: func() bool {
		_, leading := m.shard.Leading()
		return !leading
	}})
	keeper, err := newGatekeeper(m.o.secret, m.catalog)
	if err != nil {
		return err
	}
	m.wire, err = pgwire.New(pgwire.Options{
		Auth: keeper, Log: m.log, Superuser: m.isSuperuser,
		NewSession: func(ctx context.Context, info *pgwire.ConnInfo, client pgwire.Client) (pgwire.Session, error) {
			return host.Open(ctx, info, client)
		},
	})
	return err
}

// run starts the threads.
func (m *member) run(sqlListener, nativeListener net.Listener) {
	m.running = true
	m.threads.Go(func() {
		if err := m.grpc.Serve(nativeListener); err != nil && m.ctx.Err() == nil {
			m.fail(fmt.Errorf("replication port: %w", err))
		}
	})
	m.threads.Go(func() {
		if err := m.wire.Serve(m.ctx, sqlListener); err != nil && m.ctx.Err() == nil {
			m.fail(fmt.Errorf("SQL port: %w", err))
		}
	})
	m.threads.Go(func() {
		if err := m.ha.Run(m.ctx); err != nil {
			m.fail(err)
		}
	})
	m.threads.Go(m.watchMap)
	m.threads.Go(m.govern)
}

// engineFor finds the database a client names.
func (m *member) engineFor(database string) (session.Engine, error) {
	cat := m.shard.Catalog()
	if cat == nil {
		return nil, errStarting()
	}
	if database != cat.Database().Name {
		return nil, noDatabase(database)
	}
	return &routed{Engine: m.engine, m: m}, nil
}

func (m *member) catalog() *catalog.Catalog { return m.shard.Catalog() }

func (m *member) isSuperuser(user string) bool {
	cat := m.catalog()
	if cat == nil {
		return false
	}
	role, ok := cat.Role(user)
	return ok && role.Superuser
}

// serve is called when this node's term has begun for good; govern does the work.
func (m *member) serve(term uint32) {
	m.serving.Store(term)
	m.wake()
}

func (m *member) stepDown() {
	m.serving.Store(0)
	m.wake()
}

func (m *member) wake() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

func (m *member) watchMap() {
	err := consensus.ClusterMap(m.o.store).Watch(m.ctx, func(next *cluster.Map) {
		if old := m.current.Load(); old == nil || next.Version > old.Version {
			m.current.Store(next)
			m.ha.SetPeers(peersOf(next, m.o.shard))
			m.wake()
		}
	})
	if err != nil && m.ctx.Err() == nil {
		m.log.Warn("cluster map", "err", err)
	}
}

// govern does what a change of role or map demands: a new primary opens the shard, sets
// it up at the first start of all, takes over its units and tells the cluster.
func (m *member) govern() {
	var led uint32
	for {
		term := m.serving.Load()
		if err := m.rule(term, &led); err != nil && m.ctx.Err() == nil {
			m.log.Warn("waiting to take effect", "term", term, "err", err)
			select {
			case <-time.After(200 * time.Millisecond):
				m.wake()
			case <-m.ctx.Done():
			}
		}
		select {
		case <-m.changed:
		case <-m.ctx.Done():
			return
		}
	}
}

func (m *member) rule(term uint32, led *uint32) error {
	current := m.current.Load()
	if term == 0 {
		*led = 0
		if current == nil {
			return nil
		}
		if err := m.shard.Adopt(m.ctx, current); err != nil {
			return err
		}
		return m.enlist(m.ctx, current)
	}
	ctx, cancel := context.WithTimeout(m.ctx, 10*time.Second)
	defer cancel()
	if *led != term {
		if err := m.shard.Lead(ctx, term); err != nil {
			return err
		}
		*led = term
	}
	if m.shard.Catalog() == nil {
		first, err := m.firstStart(ctx)
		if err != nil {
			return err
		}
		if err := m.shard.Bootstrap(ctx, first.Database, "helios", first.Verifier); err != nil {
			return err
		}
	}
	if current == nil {
		return nil
	}
	if err := m.shard.Adopt(ctx, current); err != nil {
		return err
	}
	if err := m.enlist(ctx, current); err != nil {
		return err
	}
	if s, ok := current.Shard(m.o.shard); ok && (s.Term < term || s.Primary != m.o.id) {
		_, err := consensus.ClusterMap(m.o.store).RecordPrimary(ctx, m.o.shard, m.o.id, term, nil)
		return err
	}
	return nil
}

// firstStart is what all shards set up their catalogs from: the first node to need it
// writes it.
type firstStart struct {
	Database string `json:"database"`
	Verifier string `json:"verifier"`
}

func (m *member) firstStart(ctx context.Context) (firstStart, error) {
	first, err := consensus.At[firstStart](m.o.store, "bootstrap").Update(ctx, func(f *firstStart) error {
		if f.Database == "" {
			*f = firstStart{Database: m.o.database, Verifier: m.o.verifier}
		}
		return nil
	})
	// A verifier has a salt of its own: an equal one is this node's.
	if tell := m.o.founded; err == nil && first.Verifier == m.o.verifier && tell != nil {
		m.o.founded = nil
		tell()
	}
	return first, err
}

func (m *member) fail(err error) {
	select {
	case m.failed <- fmt.Errorf("node %s: %w", m.o.id, err):
	default:
	}
}

// stopDrain is how long a primary that stops waits for transactions that are open, and
// stopLimit how long for the control store.
const (
	stopDrain = 500 * time.Millisecond
	stopLimit = 2 * time.Second
)

// handOver lets a primary that is stopped give its lease away: a standby need not wait
// until it has run out.
func (m *member) handOver() {
	if _, leading := m.shard.Leading(); leading {
		ctx, cancel := context.WithTimeout(m.ctx, stopDrain)
		_ = m.shard.Drain(ctx) // what is open still fails, as in any failover
		cancel()
	}
	ctx, cancel := context.WithTimeout(m.ctx, stopLimit)
	defer cancel()
	if err := m.ha.Stop(ctx); err != nil && m.ctx.Err() == nil {
		m.log.Warn("the lease was not released: a standby waits until it has run out", "err", err)
	}
}

// stop ends the node: its role first, then sessions, replication, and the store.
func (m *member) stop() {
	if m.running {
		m.handOver()
	}
	m.cancel()
	m.stopCopies()
	if m.wire != nil {
		m.wire.Close()
	}
	if m.grpc != nil {
		m.grpc.Stop()
	}
	m.threads.Wait()
	if f := m.forwarding.Load(); f != nil {
		f.Close()
	}
	if m.users != nil {
		m.users.close()
	}
	if m.shard != nil {
		if err := m.shard.Close(); err != nil {
			m.log.Warn("close", "err", err)
		}
	}
	if m.forward != nil {
		m.forward.close()
	}
	if m.dir != nil {
		if err := m.dir.close(); err != nil {
			m.log.Warn("close", "err", err)
		}
	}
}

// peersOf lists the nodes of a shard for replication.
func peersOf(m *cluster.Map, id cluster.ShardID) []ha.Peer {
	s, ok := m.Shard(id)
	if !ok {
		return nil
	}
	var out []ha.Peer
	for _, n := range s.Nodes {
		class := ha.Mode(n.Class)
		if class == "" { // it has not said yet: count it, so that no commit waits for too few
			class = ha.SemiSync
		}
		out = append(out, ha.Peer{Node: n.ID, Address: n.Native, Class: class})
	}
	return out
}

// onLoopback refuses what goes over a network: nodes do not encrypt what they say.
func onLoopback(what, addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%s address %q: %w", what, addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s address %q can be reached from other machines, which needs TLS between them, and that does not exist yet: use a loopback address", what, addr)
	}
	return nil
}

// listen opens a port, and words the error for whoever starts the node.
func listen(w World, addr, what string) (net.Listener, error) {
	if err := onLoopback(what, addr); err != nil {
		return nil, err
	}
	l, err := w.Listen(addr)
	if err != nil {
		return nil, fmt.Errorf("%s address %s cannot be used: %w: choose another", what, addr, err)
	}
	return l, nil
}

func dialOptions(w World) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(w.Dial),
	}
}
