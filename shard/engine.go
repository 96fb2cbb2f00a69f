package shard

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/pgcatalog"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/types"
)

// RouterRole is the role that routers and nodes connect with; it alone may say what
// helios.ctx and its like say.
const RouterRole = "helios_router"

// Engine is a shard as its sessions see it.
type Engine struct {
	*Shard
	o         EngineOptions
	functions []*builtin.Func
	rowIDs    atomic.Int64

	held struct {
		sync.Mutex
		conns map[*session.Info]*conn
		views map[*catalog.Catalog]*pgcatalog.View
	}
}

var _ session.Engine = (*Engine)(nil)

// EngineOptions are what a node adds to a shard: views and procedures of its own.
type EngineOptions struct {
	// Alone tells that the shard is the whole cluster: clients may change the schema here
	// and the shard owns every unit.
	Alone bool
	// Views gives the rows of virtual relations that the node provides; ok is false for
	// others. Relations are their definitions.
	Views     func(ctx context.Context, info *session.Info, rel *catalog.Relation) (rows []types.Row, ok bool, err error)
	Functions []*builtin.Func
	Shards    func() int                                      // in the cluster; nil: unknown
	Password  func(clear string) (verifier string, err error) // makes stored passwords
	Call      func(ctx context.Context, info *session.Info, name sql.Name, args []session.Arg) (*exec.Result, error)
}

// NewEngine serves sessions from a shard.
func NewEngine(s *Shard, o EngineOptions) *Engine {
	e := &Engine{Shard: s, o: o}
	e.held.conns = map[*session.Info]*conn{}
	e.held.views = map[*catalog.Catalog]*pgcatalog.View{}
	e.functions = append(e.ownFunctions(), o.Functions...)
	return e
}

// conn is what the shard keeps for one session: what a router said ahead of the next
// statement, and values of sequences.
type conn struct {
	info    *session.Info
	session uint64 // its number in the log's records

	mu struct {
		sync.Mutex
		version uint64 // ownership, as the router believes; 0 for other clients
		next    message
		commit  *commitOrder
		current map[types.OID]int64
		last    types.OID
		tx      *Tx // the transaction that began last
	}
}

// message is what a router says ahead of one statement.
type message struct {
	at      hlc.Timestamp
	fixed   bool // the transaction's snapshot: whoever has written above it comes first
	pinned  bool // a complete one: nothing above it concerns a reader
	gid     string
	schema  uint64
	cells   map[types.OID][]uint32 // units that it restricts a table to
	version uint64                 // ownership that it planned with, 0 for none
}

func (e *Engine) conn(info *session.Info) *conn {
	e.held.Lock()
	defer e.held.Unlock()
	c := e.held.conns[info]
	if c == nil {
		c = &conn{info: info, session: newSession()}
		c.mu.current = map[types.OID]int64{}
		e.held.conns[info] = c
	}
	return c
}

// take gives what was said for the statement that begins, once.
func (c *conn) take() message {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.mu.next
	m.version = c.mu.version
	c.mu.next = message{}
	return m
}

// tx gives the session's transaction, nil if it is over.
func (c *conn) tx() *Tx {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.tx == nil || c.mu.tx.over {
		return nil
	}
	return c.mu.tx
}

func (c *conn) takeCommit() *commitOrder {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.mu.commit
	c.mu.commit = nil
	return o
}

// Report tells a router the session's number in the log, and a timestamp below all that the
// session will commit.
func (e *Engine) Report(info *session.Info) [][2]string {
	if info.Login != RouterRole {
		return nil
	}
	return [][2]string{
		{"helios.session", strconv.FormatUint(e.conn(info).session, 10)},
		{"helios.ts", strconv.FormatUint(uint64(e.Visible()), 10)},
	}
}

// heard reports a timestamp to a router.
func (c *conn) heard(ts hlc.Timestamp) {
	if c.info.Login == RouterRole {
		c.info.ParameterStatus("helios.ts", strconv.FormatUint(uint64(ts), 10))
	}
}

// tell notes what helios.ctx says.
func (c *conn) tell(text string) error {
	var m message
	c.mu.Lock()
	defer c.mu.Unlock()
	for field := range strings.FieldsSeq(text) {
		key, value, _ := cut(field, '=')
		n, err := strconv.ParseUint(value, 10, 63)
		switch key {
		case "v":
			c.mu.version = n
		case "t":
			m.at = hlc.Timestamp(n)
		case "f":
			m.fixed, m.pinned = n == 1, n == 2
		case "s":
			m.schema = n
		case "g":
			m.gid, err = value, nil
		case "c":
			m.cells, err = parseCells(value)
		default:
			err = strconv.ErrSyntax
		}
		if err != nil {
			return types.Errorf("22023", "helios.ctx: cannot read %q", field)
		}
	}
	c.mu.next = m
	return nil
}

// parseCells reads OID:cell,cell;OID:cell.
func parseCells(s string) (map[types.OID][]uint32, error) {
	out := map[types.OID][]uint32{}
	for table := range strings.SplitSeq(s, ";") {
		name, list, _ := cut(table, ':')
		oid, err := strconv.ParseUint(name, 10, 32)
		if err != nil {
			return nil, err
		}
		cells := []uint32{}
		for one := range strings.SplitSeq(list, ",") {
			if one == "" {
				continue
			}
			n, err := strconv.ParseUint(one, 10, 32)
			if err != nil {
				return nil, err
			}
			cells = append(cells, uint32(n))
		}
		out[types.OID(oid)] = cells
	}
	return out, nil
}

// Begin starts a transaction.
func (e *Engine) Begin(ctx context.Context, o session.TxOptions) (session.Tx, error) {
	if e.Shard.Catalog() == nil {
		return nil, types.Errorf("57P03", "the shard is not set up yet")
	}
	if err := e.enter(ctx); err != nil {
		return nil, err
	}
	return e.begin(o), nil
}

// lockTimeout is the session's lock_timeout.
func (e *Engine) lockTimeout(info *session.Info) time.Duration {
	text, _ := info.Raw("lock_timeout")
	ms, _ := strconv.ParseInt(text, 10, 64)
	return time.Duration(ms) * time.Millisecond
}

// agree holds that router and shard have the same ownership in mind: an older shard
// waits for its map, an older router is told.
func (e *Engine) agree(ctx context.Context, m message) error {
	if m.version == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Second, types.Errorf("ZH001", "stale map: the shard has not heard of version %d", m.version))
	defer cancel()
	return e.waitFor(ctx, func() (bool, error) {
		if err := e.notBefore(m.version); err != nil {
			return false, err
		}
		return m.version == e.mu.adopted || !e.mu.leading, nil
	})
}

// notBefore refuses a statement planned with an older ownership than the shard's; e.mu is
// held. The records of a new map are applied before the map counts as adopted, so both are
// compared.
func (e *Engine) notBefore(version uint64) error {
	if own := max(e.mu.adopted, e.mu.units.version); version != 0 && version < own {
		return types.Errorf("ZH001", "stale map: version %d is older than the shard's %d", version, own)
	}
	return nil
}

// enlist notes that a coordinator may still commit this transaction here.
func (e *Engine) enlist(t *Tx, gid string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t.gid = gid
	e.mu.open[gid] = t
}

func (e *Engine) leave(t *Tx) {
	if !t.left {
		t.left = true
		e.exit()
	}
	if t.gid == "" {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mu.open[t.gid] == t {
		delete(e.mu.open, t.gid)
	}
}

// CommitPrepared commits a prepared transaction: gid, or gid@timestamp when a router
// tells the outcome.
func (e *Engine) CommitPrepared(ctx context.Context, info *session.Info, name string) error {
	gid, ts, told := cut(name, '@')
	if _, err := twophase.ParseGID(gid); told && err == nil {
		n, err := strconv.ParseUint(ts, 10, 63)
		if err != nil || info.Login != RouterRole {
			return types.Errorf("42704", "prepared transaction with identifier %q does not exist", name)
		}
		return e.ResolvePrepared(ctx, gid, twophase.Outcome{State: twophase.Committed, Time: hlc.Timestamp(n)})
	}
	if _, err := twophase.ParseGID(name); err == nil {
		o, err := e.resolve(ctx, name, 0)
		if err != nil {
			return err
		}
		return e.ResolvePrepared(ctx, name, o)
	}
	now, _ := e.clock.Next()
	return e.ResolvePrepared(ctx, name, twophase.Outcome{State: twophase.Committed, Time: now})
}

// RollbackPrepared rolls a prepared transaction back; one that a router prepared only
// when its owner says so, or a router tells that it did.
func (e *Engine) RollbackPrepared(ctx context.Context, info *session.Info, gid string) error {
	if _, err := twophase.ParseGID(gid); err == nil && info.Login != RouterRole {
		err := e.resolveFromOwner(ctx, gid)
		if errors.Is(err, errUndecided) {
			return e.ResolvePrepared(ctx, gid, twophase.Outcome{State: twophase.Undecided})
		}
		return err
	}
	return e.ResolvePrepared(ctx, gid, twophase.Outcome{State: twophase.Aborted})
}

// Functions are the shard's own functions.
func (e *Engine) Functions() []*builtin.Func { return e.functions }

// Forget frees what is kept for a session.
func (e *Engine) Forget(_ context.Context, info *session.Info, what session.Forget) {
	if what == session.ForgetTemp {
		return
	}
	e.held.Lock()
	defer e.held.Unlock()
	delete(e.held.conns, info)
}

// Call runs a procedure of the node.
func (e *Engine) Call(ctx context.Context, info *session.Info, name sql.Name, args []session.Arg) (*exec.Result, error) {
	if e.o.Call == nil {
		return nil, types.Errorf("42883", "procedure %s does not exist", strings.Join(name, "."))
	}
	return e.o.Call(ctx, info, name, args)
}

// Setting takes the settings that a router makes.
func (e *Engine) Setting(_ context.Context, info *session.Info, name, value string) (bool, error) {
	switch name {
	case "helios.ctx", "helios.commit":
	default:
		return false, nil
	}
	if !e.trusted(info) {
		return true, types.Errorf("42501", "permission denied to set parameter %q", name)
	}
	c := e.conn(info)
	if name == "helios.ctx" {
		return true, c.tell(value)
	}
	o, err := parseCommitOrder(value)
	if err != nil {
		return true, err
	}
	c.mu.Lock()
	c.mu.commit = o
	c.mu.Unlock()
	return true, nil
}

// ForwardedSetting marks the connections on which a standby forwards what its own clients
// say: they may do what a client of this node may.
const ForwardedSetting = "helios.forwarded"

// routes tells whether a session is a router's, which knows all shards.
func routes(info *session.Info) bool {
	if info.Login != RouterRole {
		return false
	}
	v, _ := info.Setting(ForwardedSetting)
	return v != "on"
}

// whole tells whether a session may change what every shard has to have.
func (e *Engine) whole(info *session.Info) bool {
	if e.o.Alone || routes(info) {
		return true
	}
	return e.o.Shards != nil && e.o.Shards() <= 1
}

// trusted tells whether a session may speak as a router: one, or a superuser who looks
// for a fault.
func (e *Engine) trusted(info *session.Info) bool {
	if info.Login == RouterRole {
		return true
	}
	role, ok := e.Catalog().Role(info.User())
	return ok && role.Superuser
}

// view is pg_catalog over a catalog value; one is kept per value.
func (e *Engine) view(cat *catalog.Catalog) *pgcatalog.View {
	e.held.Lock()
	defer e.held.Unlock()
	v := e.held.views[cat]
	if v == nil {
		if len(e.held.views) > catalogsKept {
			clear(e.held.views)
		}
		v = pgcatalog.New(cat, e)
		e.held.views[cat] = v
	}
	return v
}

// Lookup answers catalog questions of functions for a session.
func (e *Engine) Lookup(cat *catalog.Catalog, info *session.Info) builtin.Catalog {
	c := e.conn(info)
	return &lookup{Catalog: e.view(cat).Lookup(info, &sequences{e: e, c: c}), e: e, c: c}
}

// lookup is a session's look-up that the shard's own functions find their session in.
type lookup struct {
	builtin.Catalog
	e *Engine
	c *conn
}

// LastValue is the value that a sequence handed out last.
func (e *Engine) LastValue(seq types.OID) (int64, bool) {
	rel, ok := e.Catalog().ByOID(seq)
	if !ok || rel.Sequence == nil {
		return 0, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	m, used := e.mu.marks[seq]
	return m.value, used && m.called
}

// rowID draws the hidden key of a row: 40 bits of seconds and a counter, so that rows
// lie in the order of their writing, then 24 bits of the shard and chance.
func (e *Engine) rowID() int64 {
	for {
		last := e.rowIDs.Load()
		next := max(last+1, e.opts.Wall()/1000<<24|int64(e.opts.ID)<<12)
		if e.rowIDs.CompareAndSwap(last, next) {
			return next
		}
	}
}
