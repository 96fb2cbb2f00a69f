package remote

import (
	"context"
	"io"
	"time"

	"github.com/heliosdb/helios/types"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"golang.org/x/sync/semaphore"
)

// Formats of parameters and results.
const (
	Text   int16 = 0
	Binary int16 = 1
)

// Param is one parameter, encoded already. A nil Value is NULL.
type Param struct {
	Type   types.OID // 0 leaves it to the shard
	Format int16
	Value  []byte
}

// Statement is one SQL statement with its parameters.
type Statement struct {
	SQL    string
	Params []Param
	Result int16 // format of all result columns

	// Once says that the text will hardly come again (it names a transaction, for
	// example), so it is not worth a prepared statement.
	Once bool
}

// Conn is a connection from a Pool. One goroutine uses it at a time, but for Cancel.
type Conn struct {
	// State is the owner's note about the session at the other end (the ownership version
	// it was told, the settings sent). It stays with the connection in the pool.
	State any

	pool       *Pool
	slots      *semaphore.Weighted // of the pool, that the connection takes while it is in use
	pg         *pgconn.PgConn
	statements *statementCache
	idleSince  time.Time
	notices    []*types.Error

	rows    Rows     // reused
	values  [][]byte // scratch
	formats []int16  // scratch
}

// Addr is the node's address.
func (c *Conn) Addr() string { return c.pool.key.addr }

// Release gives the connection back. One that is broken, has unread rows or stands inside a
// transaction is closed instead.
func (c *Conn) Release() { c.pool.put(c) }

// Discard closes the connection instead of giving it back.
func (c *Conn) Discard() {
	c.pool.discard(c)
	c.slots.Release(1)
}

// Broken tells that the connection is of no use any more.
func (c *Conn) Broken() bool { return c.pg.IsClosed() }

// errBroken is the answer to a statement on a connection that broke before.
func (c *Conn) errBroken() *types.Error {
	return notSent(types.Errorf("08006", "connection to %s lost", c.Addr()))
}

// Parameter is the newest value of a run-time parameter that the node has reported.
func (c *Conn) Parameter(name string) string { return c.pg.ParameterStatus(name) }

// TxStatus is what the node said last: 'I' idle, 'T' in a transaction block, 'E' in a failed one.
func (c *Conn) TxStatus() byte { return c.pg.TxStatus() }

// Notices gives the notices since the last call.
func (c *Conn) Notices() []*types.Error {
	n := c.notices
	c.notices = nil
	return n
}

// noticesMax bounds what a connection keeps; later notices are dropped.
const noticesMax = 100

func (c *Conn) noticed(_ *pgconn.PgConn, n *pgconn.Notice) {
	if len(c.notices) < noticesMax {
		c.notices = append(c.notices, fromServer((*pgconn.PgError)(n)))
	}
}

// Exec sends the statements and one Sync in one flight. Without BEGIN among them they are
// one transaction; after an error the rest is skipped. The Rows stand before the first
// result; they must be closed before the next call. Errors, of Exec or of the Rows, are the
// node's own, 57014 (ctx ended) or 08006 (the connection broke; NotSent and Lost say when).
//
// When ctx ends, a CancelRequest goes to the node: the rows then end with 57014.
func (c *Conn) Exec(ctx context.Context, statements ...Statement) (*Rows, error) {
	if c.Broken() {
		return nil, c.errBroken()
	}
	if len(statements) == 1 && len(c.statements.stale) == 0 && !statements[0].Once {
		if st := c.statements.find(&statements[0]); st != nil && st.description != nil {
			return c.execOne(ctx, st, &statements[0]), nil
		}
	}
	p := c.pg.StartPipeline(ctx)
	c.rows = Rows{conn: c, ctx: ctx, pipeline: p}
	for _, name := range c.statements.takeStale() {
		p.SendDeallocate(name)
		c.rows.dropping = append(c.rows.dropping, name)
	}
	for i := range statements {
		c.send(p, &statements[i])
	}
	if err := p.Sync(); err != nil {
		p.Close()
		c.statements.forget(c.rows.preparing)
		return nil, asError(ctx, c.Addr(), err)
	}
	return &c.rows, nil
}

// execOne is Exec for the most frequent flight, a single statement that the node holds
// already: pgconn keeps no books of what is under way then.
func (c *Conn) execOne(ctx context.Context, st *prepared, s *Statement) *Rows {
	values, formats := c.encode(s.Params)
	c.rows = Rows{conn: c, ctx: ctx, used: append(c.rows.used[:0], st)}
	c.rows.single = c.pg.ExecStatement(ctx, st.description, values, formats, resultFormat(s))
	return &c.rows
}

var (
	textResult   = []int16{Text}
	binaryResult = []int16{Binary}
)

func resultFormat(s *Statement) []int16 {
	if s.Result == Binary {
		return binaryResult
	}
	return textResult
}

// encode splits parameters into what pgconn wants; the slices are valid until the next call.
func (c *Conn) encode(params []Param) (values [][]byte, formats []int16) {
	c.values, c.formats = c.values[:0], c.formats[:0]
	for i := range params {
		c.values, c.formats = append(c.values, params[i].Value), append(c.formats, params[i].Format)
	}
	return c.values, c.formats
}

// send puts one statement into the flight.
func (c *Conn) send(p *pgconn.Pipeline, s *Statement) {
	values, formats := c.encode(s.Params)
	if s.Once {
		p.SendQueryParams(s.SQL, values, oids(s.Params), formats, resultFormat(s))
		return
	}
	st := c.statements.find(s)
	if st == nil {
		st = c.statements.add()
		p.SendPrepare(st.name, s.SQL, oids(s.Params))
		c.rows.preparing = append(c.rows.preparing, st)
	}
	if st.description == nil {
		p.SendQueryPrepared(st.name, values, formats, resultFormat(s))
		return
	}
	c.rows.used = append(c.rows.used, st)
	p.SendQueryStatement(st.description, values, formats, resultFormat(s))
}

func oids(params []Param) []uint32 {
	out := make([]uint32, len(params))
	for i := range params {
		out[i] = uint32(params[i].Type)
	}
	return out
}

// Query sends a query string by the simple protocol: several statements perhaps, results
// in text. The Rows are as with Exec.
func (c *Conn) Query(ctx context.Context, sql string) (*Rows, error) {
	if c.Broken() {
		return nil, c.errBroken()
	}
	results := c.pg.Exec(ctx, sql)
	c.rows = Rows{conn: c, ctx: ctx, simple: results}
	return &c.rows, nil
}

// Run sends the statements as Exec does and reads past all rows; it gives the last one's tag.
func (c *Conn) Run(ctx context.Context, statements ...Statement) (tag string, err error) {
	rows, err := c.Exec(ctx, statements...)
	if err != nil {
		return "", err
	}
	for rows.NextResult() {
		for rows.Next() {
		}
		tag = rows.Tag()
	}
	return tag, rows.Close()
}

// Ping makes one round trip.
func (c *Conn) Ping(ctx context.Context) error {
	if err := c.pg.Ping(ctx); err != nil {
		return asError(ctx, c.Addr(), err)
	}
	return nil
}

// CopyIn runs COPY … FROM STDIN with the bytes of r and gives its tag. An error of r fails
// the copy.
func (c *Conn) CopyIn(ctx context.Context, sql string, r io.Reader) (string, error) {
	tag, err := c.pg.CopyFrom(ctx, r, sql)
	if err != nil {
		return "", asError(ctx, c.Addr(), err)
	}
	return tag.String(), nil
}

// CopyOut runs COPY … TO STDOUT, writes what comes to w and gives the tag. An error of w
// breaks the connection.
func (c *Conn) CopyOut(ctx context.Context, sql string, w io.Writer) (string, error) {
	tag, err := c.pg.CopyTo(ctx, w, sql)
	if err != nil {
		return "", asError(ctx, c.Addr(), err)
	}
	return tag.String(), nil
}

// Cancel asks the node to end the running statement, over a connection of its own. It may
// be called from any goroutine while a statement runs; when it returns, the node has been told.
func (c *Conn) Cancel(ctx context.Context) error {
	if err := c.pg.CancelRequest(ctx); err != nil {
		return asError(ctx, c.Addr(), err)
	}
	return nil
}

// watcher makes the handler that pgconn calls when a call's context ends.
func (c *Conn) watcher(pg *pgconn.PgConn) ctxwatch.Handler {
	return &canceller{conn: c, pg: pg}
}

// canceller sends a CancelRequest when a context ends, so that the connection survives; if
// the statement does not end soon then, the connection is given up. pgconn's own such
// handler sleeps 100 ms after each request, because a PostgreSQL postmaster delivers it
// later than it acknowledges it; a Helios node does not.
type canceller struct {
	conn *Conn
	pg   *pgconn.PgConn
}

// HandleCancel runs in a goroutine that HandleUnwatchAfterCancel's caller has waited for.
func (h *canceller) HandleCancel(context.Context) {
	deadline := time.Now().Add(h.conn.pool.client.opts.CancelDeadline)
	h.pg.Conn().SetDeadline(deadline)
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	h.pg.CancelRequest(ctx) // if it fails, the deadline ends the wait
}

// HandleUnwatchAfterCancel lifts the deadline.
func (h *canceller) HandleUnwatchAfterCancel() { h.pg.Conn().SetDeadline(time.Time{}) }
