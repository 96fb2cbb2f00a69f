package ha

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/wal"
)

// Options say what a node is made of. All of it but the hooks is needed.
type Options struct {
	Cluster string
	Shard   cluster.ShardID
	Rules   Rules  // Incarnation is filled in
	Address string // host:port where this node serves Replication
	Peers   []Peer // the shard's nodes as far as known
	// PrimaryHint is host:port where a primary whose address is not known may be found.
	PrimaryHint string

	Log       *wal.Log // its OnFlush is Bell.Flushed
	FS        vfs.FS   // vfs.Default if nil
	Dir       string   // for the node's promises; the log's directory will do
	Bell      Bell     // also rung by the applier
	Applier   Applier
	Authority Authority

	Dial    []grpc.DialOption // credentials, and in tests a dialler
	Backoff []time.Duration   // pauses between attempts to reach the primary; nil: 5 s to 60 s
	Now     func() time.Duration
	Logger  *slog.Logger
}

// Node joins a Core to the log, the applier, the control store and the wire.
//
// Threads: loop owns the core; storeCaller makes its calls to the store one by
// one, storeWatcher watches the lease; follower keeps the stream to the
// primary; watchdog beats on a primary; teller calls the hooks. Streams, seals, cuts and copies run on
// goroutines of their own. Run starts all of them and waits for all of them.
type Node struct {
	opts    Options
	log     *slog.Logger
	began   time.Time
	gate    *Gate
	metrics metrics
	wake    chan struct{}
	told    chan struct{} // wakes the teller
	nudged  chan struct{} // ends a pause of the follower
	calls   chan Effect   // to storeCaller
	targets chan string   // to follower: whom to follow; the newest wins
	streams atomic.Uint64
	lease   atomic.Int64 // validUntil in ns of Now; 0: no primary
	was     Role         // before the last change; loop's own

	threads sync.WaitGroup
	ctx     context.Context // of Run
	cancel  context.CancelCauseFunc

	mu struct {
		sync.Mutex
		core     *Core
		identity identity
		mail     []Event
		closed   bool               // Run is over: nobody may come in
		closers  map[uint64]*stream // both sides
		seals    map[uint64]chan replySeal
		orders   []chan error // operators who wait
		hooks    []func(Failover)
		news     []Failover // not yet told
		watchers map[chan struct{}]struct{}
		lag      lagMeter
		follower followerState
	}
}

// NewNode reads what the node promised before and puts its parts together.
// Nothing runs before Run.
func NewNode(o Options) (*Node, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Now == nil {
		o.Now = bootTime
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Backoff == nil {
		o.Backoff = []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute}
	}
	if o.Rules.Mode == "" || o.Rules.Class == "" || o.Rules.Node == "" || o.Rules.Profile.TTL == 0 {
		return nil, errors.New("ha: a node needs a name, a mode, a class and a profile")
	}
	id, err := openIdentity(o.FS, o.Dir, o.Log.End() == 0)
	if err != nil {
		return nil, err
	}
	if err := finishCopy(o, &id); err != nil {
		return nil, err
	}
	o.Rules.Incarnation = id.Incarnation
	if applied, end := o.Applier.Applied(), o.Log.End(); applied > end {
		return nil, fmt.Errorf("ha: the state is at %v, the log ends at %v before it", applied, end)
	}
	n := &Node{
		opts: o, log: o.Logger.With("node", o.Rules.Node, "shard", o.Shard), gate: newGate(o.Applier.Applied()),
		wake: make(chan struct{}, 1), told: make(chan struct{}, 1), nudged: make(chan struct{}, 1), calls: make(chan Effect, 4), targets: make(chan string, 1),
		began: time.Now(), was: Standby,
	}
	n.mu.identity = id
	n.mu.closers = make(map[uint64]*stream)
	n.mu.seals = make(map[uint64]chan replySeal)
	n.mu.watchers = make(map[chan struct{}]struct{})
	n.mu.core = NewCore(o.Rules, Boot{
		Promise: id.Promise, Terms: o.Log.Terms(), Flushed: o.Log.Flushed(), Applied: o.Applier.Applied(),
	}, o.Now())
	n.ctx, n.cancel = context.WithCancelCause(context.Background())
	n.post(topology{slices.Clone(o.Peers)})
	return n, nil
}

// finishCopy ends a base copy that a crash cut in two: if the state is there
// already, the log begins where it was taken.
func finishCopy(o Options, id *identity) error {
	if id.Copy == nil {
		return nil
	}
	if o.Applier.Applied() == id.Copy.LSN {
		if err := o.Log.Reset(*id.Copy); err != nil {
			return fmt.Errorf("ha: begin the log at the base copy: %w", err)
		}
	}
	id.Copy = nil
	return id.write(o.FS, o.Dir)
}

// Run plays the node's part until ctx ends or something breaks that must not:
// then it returns why, and the process should end. It returns nil after ctx
// ended. All goroutines are gone when it returns.
func (n *Node) Run(ctx context.Context) error {
	n.opts.Applier.SetRole(Standby, n.mu.core.promise.Term)
	stop := context.AfterFunc(ctx, func() { n.cancel(nil) })
	defer stop()
	for _, thread := range []func(){n.loop, n.storeCaller, n.storeWatcher, n.follower, n.watchdog, n.teller} {
		n.threads.Go(thread)
	}
	<-n.ctx.Done()
	n.mu.Lock()
	n.mu.closed = true
	n.mu.Unlock()
	n.closeStreams()
	n.threads.Wait()
	n.gate.enter(0)
	n.opts.Applier.SetRole(Sealed, 0)
	if cause := context.Cause(n.ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// enter counts a gRPC handler among the threads; it must call threads.Done.
func (n *Node) enter() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.mu.closed {
		n.threads.Add(1)
	}
	return !n.mu.closed
}

// Stop lets a primary release its lease, so that nobody has to wait for it to
// run out. Run goes on until its context ends.
func (n *Node) Stop(ctx context.Context) error {
	n.post(stop{})
	return n.until(ctx, func(c *Core) bool { return c.role != Primary && c.owed == nil && c.op == nil })
}

// until waits for the core to be as ok says.
func (n *Node) until(ctx context.Context, ok func(*Core) bool) error {
	changed, done := n.subscribe()
	defer done()
	for {
		n.mu.Lock()
		reached := len(n.mu.mail) == 0 && ok(n.mu.core)
		n.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-n.ctx.Done():
			return errors.New("ha: the node has stopped")
		}
	}
}

// subscribe returns a channel that gets a token after every step.
func (n *Node) subscribe() (changed chan struct{}, done func()) {
	changed = make(chan struct{}, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.watchers[changed] = struct{}{}
	return changed, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.mu.watchers, changed)
	}
}

// fail ends Run with an error.
func (n *Node) fail(err error) {
	n.log.Error("node stops", "err", err)
	n.cancel(err)
}

// post hands an event to the loop.
func (n *Node) post(events ...Event) {
	n.mu.Lock()
	n.mu.mail = append(n.mu.mail, events...)
	n.mu.Unlock()
	signal(n.wake)
}

// loop feeds the core: what others posted, what the log and the applier did,
// and the passing of time.
func (n *Node) loop() {
	ticker := time.NewTicker(n.opts.Rules.Profile.Heartbeat / 5)
	defer ticker.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.opts.Bell:
			n.takeProgress()
		case <-n.wake:
		case <-ticker.C:
			n.step(tick{})
			n.mu.Lock()
			n.mu.lag.sample(n.opts.Log.End(), n.opts.Now())
			n.mu.Unlock()
		}
		for n.ctx.Err() == nil {
			n.mu.Lock()
			mail := n.mu.mail
			n.mu.mail = nil
			n.mu.Unlock()
			if len(mail) == 0 {
				break
			}
			for _, ev := range mail {
				n.step(ev)
			}
		}
	}
}

// takeProgress reads what the bell was rung for. It reads the log itself, so
// news from before a cut cannot come late.
func (n *Node) takeProgress() {
	n.mu.Lock()
	wasFlushed, wasApplied := n.mu.core.log.flushed, n.mu.core.log.applied
	n.mu.Unlock()
	if lsn := n.opts.Log.Flushed(); lsn > wasFlushed {
		n.step(flushed{lsn, n.opts.Log.Terms()})
	}
	if lsn := n.opts.Applier.Applied(); lsn > wasApplied {
		n.step(applied{lsn})
	}
}

// step lets the core take an event and carries out what it wants.
func (n *Node) step(ev Event) {
	n.mu.Lock()
	effects := n.mu.core.Step(n.opts.Now(), ev)
	n.publish()
	n.mu.Unlock()
	for _, e := range effects {
		if n.ctx.Err() != nil {
			return // what follows may rest on what just failed
		}
		n.perform(e)
	}
}

// publish copies what is read without the lock, and wakes who waits for a
// change. The lock is held.
func (n *Node) publish() {
	c := n.mu.core
	valid := time.Duration(0)
	if c.role == Primary {
		valid = c.primary.validUntil
	}
	n.lease.Store(int64(valid))
	for w := range n.mu.watchers {
		signal(w)
	}
}

// LeaseValid reports whether this node is a primary that may serve at this
// very moment. A read checks it after it chose its snapshot.
func (n *Node) LeaseValid() bool { return int64(n.opts.Now()) < n.lease.Load() }

// Gate is where commits wait.
func (n *Node) Gate() *Gate { return n.gate }

// SetPeers tells the node who else belongs to the shard.
func (n *Node) SetPeers(peers []Peer) {
	n.mu.Lock()
	leader := n.mu.core.standby.leader
	n.mu.Unlock()
	was := n.peer(leader)
	n.mu.Lock()
	n.opts.Peers = peers
	n.mu.Unlock()
	n.post(topology{slices.Clone(peers)})
	if now := n.peer(leader); leader != "" && now.Address != was.Address {
		n.retarget(leader)
	}
}

func (n *Node) peer(name string) Peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.opts.Peers {
		if p.Node == name {
			return p
		}
	}
	return Peer{Node: name}
}

// leader is the primary of a name, with the address where it is or may be.
func (n *Node) leader(name string) Peer {
	p := n.peer(name)
	if p.Address == "" {
		p.Address = n.opts.PrimaryHint
	}
	return p
}

// OnFailover lets hook be called once for every change of primary, one call
// after another.
func (n *Node) OnFailover(hook func(Failover)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.hooks = append(n.mu.hooks, hook)
}

// Switchover hands the role of primary to target, without loss; called on the
// primary. It returns when target has claimed the next term.
func (n *Node) Switchover(ctx context.Context, target string) error {
	return n.order(ctx, switchover{target})
}

// Promote makes this standby primary once the lease of the old primary has run
// out or was released. With allowLoss it does so even if answered writes may be
// lost by it.
func (n *Node) Promote(ctx context.Context, allowLoss bool) error {
	return n.order(ctx, promote{allowLoss})
}

func (n *Node) order(ctx context.Context, ev Event) error {
	done := make(chan error, 1)
	n.mu.Lock()
	n.mu.orders = append(n.mu.orders, done)
	n.mu.Unlock()
	n.post(ev)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-n.ctx.Done():
		return errors.New("ha: the node has stopped")
	}
}

// answerOrders tells all operators who wait.
func (n *Node) answerOrders(err error) {
	n.mu.Lock()
	orders := n.mu.orders
	n.mu.orders = nil
	n.mu.Unlock()
	for _, done := range orders {
		done <- err
	}
}
