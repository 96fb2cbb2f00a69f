package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heliosdb/helios/admin"
	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/consensus"
	"github.com/heliosdb/helios/hashring"
	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/reshard"
	"github.com/heliosdb/helios/router"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/types"
)

// frontOptions describe a router's process.
type frontOptions struct {
	world    World
	id       string
	listen   string
	http     string // address of health and metrics; "" for none
	store    consensus.Store
	database string
	secret   string
	first    *cluster.Map // founds the cluster if nobody has
	limits   cluster.Limits
	// addShards starts the pairs of further shards where this process can (the demo); nil
	// elsewhere: they must have been started.
	addShards func(ctx context.Context, ids []cluster.ShardID) error
}

// front is a running router: the cluster map, the router over the shards, SQL, and the
// driver of reshard jobs if this router holds the lease on them.
type front struct {
	o       frontOptions
	log     *slog.Logger
	peers   *forwarder // for the operators' commands
	data    *forwarder // the router's: its connections know an ownership version
	router  *router.Router
	wire    *pgwire.Server
	web     *http.Server // nil without an HTTP port
	addr    string
	started time.Time

	current atomic.Pointer[cluster.Map]
	moved   chan struct{} // closed and replaced with every map
	mu      sync.Mutex    // guards moved
	ctx     context.Context
	cancel  context.CancelFunc
	threads sync.WaitGroup
	failed  chan error
}

// startFront starts a router; it answers SQL when it returns.
func startFront(ctx context.Context, o frontOptions) (f *front, err error) {
	o.world = o.world.withDefaults()
	f = &front{o: o, log: o.world.Logger.With("node", o.id), failed: make(chan error, 1), moved: make(chan struct{}), started: time.Now()}
	f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			f.stop()
		}
	}()
	l, err := listen(o.world, o.listen, "SQL")
	if err != nil {
		return f, err
	}
	f.addr = l.Addr().String()
	if err := f.open(ctx); err != nil {
		return f, errors.Join(err, l.Close())
	}
	f.threads.Go(func() { f.serve(l) })
	f.threads.Go(f.driveJobs)
	return f, nil
}

// open founds or finds the cluster, waits for its shards and makes the router.
func (f *front) open(ctx context.Context) error {
	if f.o.first != nil {
		if _, err := consensus.ClusterMap(f.o.store).Found(ctx, f.o.first); err != nil {
			return fmt.Errorf("cluster map: %w", err)
		}
	}
	f.threads.Go(f.watchMap)
	if _, err := f.refresh(ctx, 0); err != nil {
		return err
	}
	var err error
	if f.peers, err = newPeers(f.o.world, f.o.secret, f.o.database, f.current.Load); err != nil {
		return err
	}
	bounds := remote.Options{ConnsMax: f.o.limits.PoolSize}
	if f.data, err = newForwarder(f.o.world, f.o.secret, f.o.database, f.current.Load, bounds); err != nil {
		return err
	}
	incarnation, err := consensus.NextIncarnation(ctx, f.o.store)
	if err != nil {
		return fmt.Errorf("router incarnation: %w", err)
	}
	procedures := f.procedures()
	views := &admin.ClusterViews{
		Map: f.current.Load, Started: f.started, Ask: f.ask,
		Jobs:  func(ctx context.Context) ([]reshard.Job, error) { return loadJobs(ctx, f.o.store) },
		Nodes: func(ctx context.Context) ([]consensus.Node, error) { return registered(ctx, f.o.store) },
	}
	o := router.Options{
		Map: f.current.Load, Refresh: f.refresh, Shards: f.data.shards, Incarnation: incarnation,
		AssignUnits: f.assign, Password: newVerifier, Procedures: map[string]router.Procedure{}, Functions: setFunctions(procedures.Functions()),
		Relations: admin.Relations(), Virtual: views.Rows, Logger: f.log,
		Limits: router.Limits{FanoutMax: f.o.limits.MaxFanout},
	}
	for _, name := range procedures.Names() {
		o.Procedures[name] = func(ctx context.Context, info *session.Info, args []session.Arg) (*exec.Result, error) {
			_, err := procedures.Call(ctx, info, name, args)
			return nil, err
		}
	}
	if f.router, err = router.New(ctx, o); err != nil {
		return err
	}
	views.Catalog = f.router.Catalog
	if f.o.http != "" {
		if err := f.openHTTP(views); err != nil {
			return err
		}
	}
	return f.openSQL()
}

func (f *front) openSQL() error {
	host := session.NewHost(session.Options{Engine: func(database string) (session.Engine, error) {
		if database != f.router.Catalog().Database().Name {
			return nil, noDatabase(database)
		}
		return f.router, nil
	}})
	keeper, err := newGatekeeper(f.o.secret, f.router.Catalog)
	if err != nil {
		return err
	}
	f.wire, err = pgwire.New(pgwire.Options{
		Auth: keeper, Log: f.log, Superuser: f.isSuperuser, Limits: pgwire.Limits{Conns: f.o.limits.MaxConnections},
		NewSession: func(ctx context.Context, info *pgwire.ConnInfo, client pgwire.Client) (pgwire.Session, error) {
			return host.Open(ctx, info, client)
		},
	})
	return err
}

// openHTTP serves health and metrics.
func (f *front) openHTTP(source admin.Source) error {
	handler, err := admin.NewHandler(source)
	if err != nil {
		return err
	}
	l, err := listen(f.o.world, f.o.http, "HTTP")
	if err != nil {
		return err
	}
	f.web = &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	f.threads.Go(func() {
		if err := f.web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			f.fail(fmt.Errorf("HTTP port: %w", err))
		}
	})
	return nil
}

func (f *front) isSuperuser(user string) bool {
	role, ok := f.router.Catalog().Role(user)
	return ok && role.Superuser
}

func (f *front) serve(l net.Listener) {
	if err := f.wire.Serve(f.ctx, l); err != nil && f.ctx.Err() == nil {
		f.fail(fmt.Errorf("SQL port: %w", err))
	}
}

// fail tells what ended the router; the first failure counts.
func (f *front) fail(err error) {
	select {
	case f.failed <- err:
	default:
	}
}

func (f *front) watchMap() {
	err := consensus.ClusterMap(f.o.store).Watch(f.ctx, func(next *cluster.Map) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if old := f.current.Load(); old == nil || next.Version > old.Version {
			f.current.Store(next)
			close(f.moved)
			f.moved = make(chan struct{})
		}
	})
	if err != nil && f.ctx.Err() == nil {
		f.log.Warn("cluster map", "err", err)
	}
}

// refresh waits for a map newer than a version; at the end of ctx it gives the newest.
func (f *front) refresh(ctx context.Context, newerThan uint64) (*cluster.Map, error) {
	for {
		f.mu.Lock()
		moved := f.moved
		f.mu.Unlock()
		if m := f.current.Load(); m != nil && m.Version > newerThan {
			return m, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			if m := f.current.Load(); m != nil {
				return m, nil
			}
			return nil, fmt.Errorf("no cluster map: %w", context.Cause(ctx))
		}
	}
}

// assign stores who owns a table's units.
func (f *front) assign(ctx context.Context, table uint32, set cluster.CellSet) error {
	m, err := consensus.ClusterMap(f.o.store).Edit(ctx, func(now *cluster.Map) (*cluster.Map, error) { return now.WithCells(table, set) })
	if err != nil {
		return err
	}
	_, err = f.refresh(ctx, m.Version-1)
	return err
}

// ask runs a query on one node.
func (f *front) ask(ctx context.Context, addr, text string) ([]types.Row, error) {
	conn, err := f.peers.client.Pool(addr, f.o.database).Get(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	rows, err := conn.Exec(ctx, remote.Statement{SQL: text, Result: remote.Binary})
	if err != nil {
		return nil, err
	}
	var out []types.Row
	for rows.NextResult() {
		for rows.Next() {
			row, err := decodeRow(rows)
			if err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			out = append(out, row)
		}
	}
	return out, rows.Close()
}

// decodeRow reads a row that came in binary form.
func decodeRow(rows *remote.Rows) (types.Row, error) {
	raw := rows.Raw()
	row := make(types.Row, len(raw))
	for i, c := range rows.Columns() {
		if raw[i] == nil {
			continue
		}
		v, err := types.ParseBinary(c.Type, slices.Clone(raw[i]))
		if err != nil {
			return nil, err
		}
		row[i] = v
	}
	return row, nil
}

// procedures are what operators CALL.
func (f *front) procedures() *admin.Procedures {
	return &admin.Procedures{
		Superuser: func(info *session.Info) bool { return f.isSuperuser(info.User()) },
		Reshard:   f.startJob, Abort: f.abortJob, Plan: f.planJob,
		Train: func(ctx context.Context, info *session.Info, table string, cells int) error {
			return f.router.Train(ctx, info, table, cells)
		},
	}
}

// setFunctions turns the operators' functions into functions of the executor.
func setFunctions(list []admin.Function) []*builtin.Func {
	var out []*builtin.Func
	for _, fn := range list {
		out = append(out, setFunction(fn))
	}
	return out
}

// stop ends sessions, jobs, then the router.
func (f *front) stop() {
	f.cancel()
	if f.wire != nil {
		f.wire.Close()
	}
	if f.web != nil {
		f.web.Close() //nolint:errcheck // its connections are cut: nobody is left to tell
	}
	f.threads.Wait()
	if f.router != nil {
		f.router.Close()
	}
	for _, p := range []*forwarder{f.data, f.peers} {
		if p != nil {
			p.close()
		}
	}
}

// firstMap makes the map that founds a cluster: slots by the exact planner from the
// ring's proposal.
func firstMap(name string, slots int, shards []cluster.Shard) (*cluster.Map, error) {
	var members []hashring.Shard
	for _, s := range shards {
		members = append(members, hashring.Shard{ID: s.ID, Weight: s.Weight})
	}
	table, _, err := hashring.Plan(make([]cluster.ShardID, slots), members)
	if err != nil {
		return nil, err
	}
	return cluster.New(name, slices.Clone(shards), table)
}

// registered lists the nodes that have registered.
func registered(ctx context.Context, store consensus.Store) ([]consensus.Node, error) {
	entries, err := consensus.Nodes(store).List(ctx)
	var out []consensus.Node
	for _, e := range entries {
		out = append(out, e.Value)
	}
	return out, err
}

// loadJobs lists the reshard jobs, oldest first.
func loadJobs(ctx context.Context, store consensus.Store) ([]reshard.Job, error) {
	entries, err := consensus.Jobs[reshard.Job](store).List(ctx)
	var out []reshard.Job
	for _, e := range entries {
		out = append(out, e.Value)
	}
	slices.SortFunc(out, func(a, b reshard.Job) int { return int(int64(a.ID) - int64(b.ID)) })
	return out, err
}

// moveIn brings the map of a cluster that ran before up to date with where its nodes live
// now: a demo's nodes take new ports at every start. A new cluster is founded.
func moveIn(ctx context.Context, store consensus.Store, first *cluster.Map) error {
	_, err := consensus.ClusterMap(store).Found(ctx, first)
	if err != nil {
		return fmt.Errorf("cluster map: %w", err)
	}
	_, err = consensus.ClusterMap(store).Edit(ctx, func(now *cluster.Map) (*cluster.Map, error) {
		return now.Edit(func(next *cluster.Map) error {
			for i := range next.Shards {
				for j := range next.Shards[i].Nodes {
					n := &next.Shards[i].Nodes[j]
					if fresh, _, ok := first.Node(n.ID); ok {
						n.SQL, n.Native, n.HTTP, n.Class = fresh.SQL, fresh.Native, fresh.HTTP, fresh.Class
					}
				}
			}
			return nil
		})
	})
	return err
}
