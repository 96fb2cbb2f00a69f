// Package router runs SQL over shards: it finds the shards that a statement touches,
// sends each its part as SQL, merges what comes back, and commits what was written on
// several shards as one.
//
// A router keeps no rows. It knows the cluster map (who owns which slots and cells), the
// catalog (which it loads from the shards) and the greatest timestamp it has heard. A
// statement that one shard can run alone goes there in one round trip; a statement over
// several shards reads all of them at one timestamp and, if one of them meets a newer
// version that was there before, runs once more at a timestamp gathered from all.
package router

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/types"
)

// Router is one database over shards as sessions see it (session.Engine). It is safe for
// concurrent use.
//
// Threads: the finisher tells participants of decided transactions; each resolution runs
// in a goroutine of its own. New starts the finisher, Close waits for all.
type Router struct {
	o      Options
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup // the finisher and what runs in the background

	heard  atomic.Uint64 // hlc.Timestamp: the greatest that a shard has told
	seq    atomic.Uint64 // of distributed transactions
	turn   atomic.Uint32 // which shard answers for a reference table next
	rowIDs rowIDs
	stats  counters

	catalogs  catalogs
	gathers   gathers
	sequences sequenceBlocks
	finished  finisher
	snapshots snapshots
	watched   watched

	mu struct {
		sync.Mutex
		sessions map[*session.Info]*sessionState
	}
}

var _ session.Engine = (*Router)(nil)

// Options say what a Router stands on.
type Options struct {
	// Map gives the newest cluster map known here; nil while none was heard.
	Map func() *cluster.Map
	// Refresh fetches the map until it is newer than a version, or ctx ends; nil if Map is
	// all there is. The map it gives is the newest, perhaps not newer than asked for.
	Refresh func(ctx context.Context, newerThan uint64) (*cluster.Map, error)
	// Shards finds connections, as the role helios_router.
	Shards *remote.Shards
	// Incarnation numbers this start of this router; no two starts in a cluster have the
	// same.
	Incarnation uint32
	// Wall is the time in milliseconds since 1970; nil is the machine's clock.
	Wall func() int64
	// AssignUnits writes to the control store who owns a table's units; shards adopt it.
	// It returns once the map is stored. nil refuses such tables.
	AssignUnits func(ctx context.Context, table uint32, set cluster.CellSet) error

	// Password makes the verifier of a password given in clear; nil refuses such passwords.
	Password func(clear string) (verifier string, err error)
	// Procedures answer CALL by qualified name ("helios.train").
	Procedures map[string]Procedure
	// Functions are added to the built-in ones.
	Functions []*builtin.Func
	// Relations are defined beside pg_catalog's; Virtual gives their rows, ok false for
	// those it does not know.
	Relations []*catalog.Relation
	Virtual   func(ctx context.Context, info *session.Info, rel *catalog.Relation) (rows []types.Row, ok bool, err error)

	// OneShard tells that Map shows one shard of several: what belongs to another one is
	// refused, not looked for.
	OneShard func() bool

	Logger *slog.Logger
	Limits Limits
}

// Procedure is what CALL runs; the result is nil unless it returns a row.
type Procedure func(ctx context.Context, info *session.Info, args []session.Arg) (*exec.Result, error)

// Limits bound what a statement may take; zero values mean the defaults.
type Limits struct {
	BufferBytes   int           // of a result held back until every shard has answered (1 MiB)
	DetachBytes   int           // of a result read ahead because its connection is needed (256 MiB)
	Hold          time.Duration // to wait for a shard without primary (30 s)
	GatherSilence time.Duration // after which a primary is left out of a snapshot (200 ms)
	Decide        time.Duration // to find out what became of a commit (30 s)
	FanoutMax     int           // shards of one statement; 0: no bound
}

func (l Limits) withDefaults() Limits {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if l.BufferBytes == 0 {
		l.BufferBytes = 1 << 20
	}
	if l.DetachBytes == 0 {
		l.DetachBytes = 256 << 20
	}
	set(&l.Hold, 30*time.Second)
	set(&l.GatherSilence, 200*time.Millisecond)
	set(&l.Decide, 30*time.Second)
	return l
}

// New makes a Router and loads the catalog from a shard, waiting for one until ctx ends.
func New(ctx context.Context, o Options) (*Router, error) {
	if o.Map == nil || o.Shards == nil {
		return nil, errors.New("router: Options need Map and Shards")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Wall == nil {
		o.Wall = func() int64 { return time.Now().UnixMilli() }
	}
	o.Limits = o.Limits.withDefaults()
	r := &Router{o: o, log: o.Logger}
	r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.mu.sessions = map[*session.Info]*sessionState{}
	r.rowIDs.salt = int64(o.Incarnation)
	r.sequences.init()
	r.finished.init()
	r.catalogs.init(r)
	if err := r.reload(ctx, 0); err != nil {
		r.cancel()
		return nil, err
	}
	r.work.Go(func() { r.finished.run(r) })
	r.work.Go(r.watchDeadlocks)
	return r, nil
}

// Close waits until decided transactions were told to their participants, or a second
// has passed. Sessions must have ended.
func (r *Router) Close() {
	stop := time.AfterFunc(time.Second, r.cancel)
	r.finished.stop()
	r.work.Wait()
	stop.Stop()
	r.cancel()
}

// hear notes a timestamp that a shard has told.
func (r *Router) hear(ts hlc.Timestamp) {
	for {
		old := r.heard.Load()
		if uint64(ts) <= old || r.heard.CompareAndSwap(old, uint64(ts)) {
			return
		}
	}
}

// Heard is the greatest timestamp that a shard has told.
func (r *Router) Heard() hlc.Timestamp { return hlc.Timestamp(r.heard.Load()) }

// Begin starts a transaction; it touches no shard.
func (r *Router) Begin(_ context.Context, o session.TxOptions) (session.Tx, error) {
	return r.begin(o), nil
}

// Functions are the router's own functions and the administration's.
func (r *Router) Functions() []*builtin.Func { return r.o.Functions }

// Call runs a procedure.
func (r *Router) Call(ctx context.Context, info *session.Info, name sql.Name, args []session.Arg) (*exec.Result, error) {
	full := name.String()
	if len(name) == 1 {
		full = "helios." + name[0]
	}
	if p, ok := r.o.Procedures[full]; ok {
		return p(ctx, info, args)
	}
	return nil, types.Errorf("42883", "procedure %s does not exist", name.String())
}

// refresh gets a map newer than one; the old one is answered when there is no newer.
func (r *Router) refresh(ctx context.Context, m *cluster.Map) error {
	r.stats.refreshes.Add(1)
	if r.o.Refresh == nil {
		return nil
	}
	var version uint64
	if m != nil {
		version = m.Version
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := r.o.Refresh(ctx, version); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// clusterMap gives the newest map: 57P03 while there is none.
func (r *Router) clusterMap() (*cluster.Map, error) {
	if m := r.o.Map(); m != nil {
		return m, nil
	}
	return nil, types.Errorf("57P03", "the router has not heard of the cluster map yet")
}

// serving lists the shards that hold rows: all but those that join or are dead.
func serving(m *cluster.Map) []cluster.ShardID {
	var ids []cluster.ShardID
	for _, s := range m.Shards {
		if s.State == cluster.Active || s.State == cluster.Draining {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
