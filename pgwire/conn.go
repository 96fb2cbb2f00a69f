package pgwire

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/heliosdb/helios/types"
	"github.com/jackc/pgproto3/v2"
)

// conn is one client's connection. Everything but mu belongs to its goroutine.
type conn struct {
	server  *Server
	in      reader
	out     outbox
	backend *pgproto3.Backend
	log     *slog.Logger
	info    ConnInfo
	session Session
	cancel  context.CancelCauseFunc

	admitted bool
	skipping bool         // an error happened in an extended-query group: skip to Sync
	changed  []Parameter  // to report before the next ReadyForQuery
	results  resultWriter // reused

	// Written under mu by this goroutine, read under it by others.
	net    net.Conn
	target *cancelTarget

	mu struct {
		sync.Mutex
		ended *types.Error // why the connection shall end
	}
}

func newConn(s *Server, nc net.Conn, cancel context.CancelCauseFunc) *conn {
	c := &conn{server: s, net: nc, cancel: cancel, out: newOutbox(nc)}
	c.in = reader{src: nc, limit: beforeLogin}
	c.backend = pgproto3.NewBackend(&c.in, nc)
	c.info.Remote = nc.RemoteAddr()
	c.log = s.log.With("client", c.info.Remote.String())
	return c
}

// setNet replaces the plain connection by the encrypted one over it.
func (c *conn) setNet(nc net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.net, c.in.src, c.out.w = nc, nc, nc
}

// reserve takes a process id and gives it.
func (c *conn) reserve() uint32 {
	target := c.server.cancels.add()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.target = target
	return target.pid
}

// serve runs the connection to its end. It never panics.
func (c *conn) serve(ctx context.Context) {
	defer func() { c.net.Close() }()
	defer c.closeSession()
	defer c.recovered()
	err := c.login(ctx)
	if err == nil {
		err = c.open(ctx)
	}
	for err == nil {
		var message pgproto3.FrontendMessage
		if message, err = c.receive(); err == nil {
			err = c.handle(ctx, message)
		}
	}
	if !c.admitted && !errors.Is(err, errQuiet) {
		c.server.refused.Add(1)
	}
	c.farewell(err)
}

// open makes the session and greets the client.
func (c *conn) open(ctx context.Context) error {
	session, err := c.server.opts.NewSession(ctx, &c.info, c)
	if err != nil {
		return asFatal(err, "XX000", "cannot start a session: %v", err)
	}
	c.session = session
	c.target.set(session)
	for _, p := range session.Parameters() {
		if err := c.out.parameterStatus(p); err != nil {
			return err
		}
	}
	key := &pgproto3.BackendKeyData{ProcessID: c.target.pid, SecretKey: c.target.secret}
	if err := c.out.message(key); err != nil {
		return err
	}
	return c.ready()
}

// ready sends what changed and ReadyForQuery.
func (c *conn) ready() error {
	for _, p := range c.changed {
		if err := c.out.parameterStatus(p); err != nil {
			return err
		}
	}
	c.changed = c.changed[:0]
	return c.out.readyForQuery(c.session.TxStatus())
}

// farewell says why the connection ends, if there is a reason to tell and someone to hear.
func (c *conn) farewell(err error) {
	var e *types.Error
	if !errors.As(err, &e) || c.out.err != nil {
		return
	}
	c.net.SetWriteDeadline(time.Now().Add(farewellMax))
	c.out.discard()
	if c.out.message(errorResponse(e, "FATAL", "XX000")) == nil {
		c.out.flush()
	}
}

// farewellMax bounds how long the last message may take to leave.
const farewellMax = time.Second

// recovered turns a panic into XX000 and a count: one client's bug must not end the others.
func (c *conn) recovered() {
	if p := recover(); p != nil {
		c.panicked(p)
		c.farewell(fatalf("XX000", "internal error").WithDetail("The server's log has more."))
	}
}

func (c *conn) panicked(p any) {
	c.server.panics.Add(1)
	c.log.Error("panic in a connection", "panic", p, "stack", string(debug.Stack()))
}

func (c *conn) closeSession() {
	defer func() {
		if p := recover(); p != nil {
			c.panicked(p)
		}
	}()
	if c.target != nil {
		c.server.cancels.remove(c.target)
	}
	if c.session != nil {
		c.session.Close()
	}
}

// receive reads the next message. Its error is a types.Error if the client shall hear it.
func (c *conn) receive() (m pgproto3.FrontendMessage, err error) {
	defer func() {
		// pgproto3/v2 panics on negative lengths inside some messages.
		if recover() != nil {
			m, err = nil, fatalf("08P01", "invalid message format")
		}
	}()
	m, err = c.backend.Receive()
	if err == nil {
		return m, nil
	}
	var long *tooLong
	switch {
	case errors.As(c.in.err, &long) && c.admitted:
		return nil, fatalf("54000", "message of %d bytes exceeds the limit of %d bytes", long.size, long.limit)
	case errors.As(c.in.err, &long):
		return nil, fatalf("08P01", "invalid message length")
	case c.in.err != nil:
		if e := c.whyEnded(); e != nil && errors.Is(c.in.err, os.ErrDeadlineExceeded) {
			return nil, e
		}
		return nil, errQuiet
	case !isFrontendKind(c.in.kind):
		return nil, fatalf("08P01", "invalid frontend message type %d", c.in.kind)
	}
	return nil, fatalf("08P01", "invalid message format")
}

// isFrontendKind tells the type bytes of clients' messages.
func isFrontendKind(kind byte) bool {
	switch kind {
	case 'B', 'C', 'D', 'E', 'F', 'H', 'P', 'Q', 'S', 'X', 'c', 'd', 'f', 'p':
		return true
	}
	return false
}

// handle serves one message. An error ends the connection.
func (c *conn) handle(ctx context.Context, message pgproto3.FrontendMessage) error {
	switch message.(type) {
	case *pgproto3.Terminate:
		return errQuiet
	case *pgproto3.Sync:
		return c.sync(ctx)
	}
	if c.skipping {
		return nil
	}
	var err error
	switch m := message.(type) {
	case *pgproto3.Query:
		return c.simpleQuery(ctx, m.String)
	case *pgproto3.FunctionCall:
		return c.functionCall(ctx)
	case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CopyFail:
		return nil // left over from a COPY that failed
	case *pgproto3.Flush:
		return c.out.flush()
	case *pgproto3.Parse:
		err = c.parse(ctx, m)
	case *pgproto3.Bind:
		err = c.bind(ctx, m)
	case *pgproto3.Describe:
		err = c.describe(ctx, m)
	case *pgproto3.Execute:
		err = c.execute(ctx, m)
	case *pgproto3.Close:
		err = c.close(ctx, m)
	default:
		return fatalf("08P01", "invalid frontend message type %d", c.in.kind)
	}
	if err == nil {
		return c.endedOr(c.out.err)
	}
	c.skipping = true
	if err := c.report(err); err != nil {
		return err
	}
	return c.out.flush()
}

// report appends an ErrorResponse; it gives an error if the connection ends with it.
func (c *conn) report(err error) error {
	if c.out.err != nil {
		return c.out.err
	}
	if e := c.whyEnded(); e != nil {
		return e
	}
	e := types.AsError(err)
	if isFatal(e) {
		return e
	}
	if e.Code == "XX000" {
		c.log.Error("internal error", "err", err)
	}
	return c.out.message(errorResponse(e, "ERROR", "XX000"))
}

// endedOr gives the reason to end the connection, if there is one, else err.
func (c *conn) endedOr(err error) error {
	if e := c.whyEnded(); e != nil {
		return e
	}
	return err
}

// simpleQuery serves a Query message: results or an error, then one ReadyForQuery.
func (c *conn) simpleQuery(ctx context.Context, sql string) error {
	err := validText(sql)
	if err != nil {
		c.session.Fail(err.(*types.Error))
	} else {
		w := c.newResult(true)
		err = c.session.SimpleQuery(ctx, sql, w)
		err = w.finish(err)
	}
	return c.conclude(err)
}

// functionCall refuses the fast-path interface, which PostgreSQL itself calls obsolete.
func (c *conn) functionCall(context.Context) error {
	err := types.Errorf("0A000", "function calls by message are not supported").
		WithHint("Use SELECT with the function.")
	c.session.Fail(err)
	return c.conclude(err)
}

// sync ends an extended-query group.
func (c *conn) sync(ctx context.Context) error {
	c.skipping = false
	return c.conclude(c.session.Sync(ctx))
}

// conclude reports err, if any, and sends ReadyForQuery.
func (c *conn) conclude(err error) error {
	if err != nil {
		if err := c.report(err); err != nil {
			return err
		}
	}
	if e := c.whyEnded(); e != nil {
		return e
	}
	return c.ready()
}

// invalid tells the Session of an error found here, and gives it back.
func (c *conn) invalid(err error) error {
	c.session.Fail(types.AsError(err))
	return err
}

func (c *conn) parse(ctx context.Context, m *pgproto3.Parse) error {
	if err := validText(m.Query, m.Name); err != nil {
		return c.invalid(err)
	}
	params := make([]types.OID, len(m.ParameterOIDs))
	for i, oid := range m.ParameterOIDs {
		params[i] = types.OID(oid)
	}
	if err := c.session.Parse(ctx, m.Name, m.Query, params); err != nil {
		return err
	}
	c.out.begin('1')
	return c.out.end()
}

func (c *conn) bind(ctx context.Context, m *pgproto3.Bind) error {
	if err := validBind(m); err != nil {
		return c.invalid(err)
	}
	err := c.session.Bind(ctx, m.DestinationPortal, m.PreparedStatement, m.ParameterFormatCodes, m.Parameters, m.ResultFormatCodes)
	if err != nil {
		return err
	}
	c.out.begin('2')
	return c.out.end()
}

// validBind checks what needs no knowledge of the statement.
func validBind(m *pgproto3.Bind) error {
	if err := validText(m.DestinationPortal, m.PreparedStatement); err != nil {
		return err
	}
	formats, params := m.ParameterFormatCodes, m.Parameters
	if len(formats) > 1 && len(formats) != len(params) {
		return types.Errorf("08P01", "bind message has %d parameter formats but %d parameters", len(formats), len(params))
	}
	for _, codes := range [][]int16{formats, m.ResultFormatCodes} {
		for _, f := range codes {
			if f != formatText && f != formatBinary {
				return types.Errorf("22023", "unsupported format code: %d", f)
			}
		}
	}
	for i, p := range params {
		text := len(formats) == 0 || formats[min(i, len(formats)-1)] == formatText
		if text {
			if err := validBytes(p); err != nil {
				return err
			}
		}
	}
	return nil
}

const (
	formatText   = 0
	formatBinary = 1
)

func (c *conn) describe(ctx context.Context, m *pgproto3.Describe) error {
	if err := validText(m.Name); err != nil {
		return c.invalid(err)
	}
	switch m.ObjectType {
	case 'S':
		params, columns, err := c.session.DescribeStatement(ctx, m.Name)
		if err != nil {
			return err
		}
		c.out.begin('t')
		c.out.int16(int16(len(params)))
		for _, oid := range params {
			c.out.int32(int32(oid))
		}
		if err := c.out.end(); err != nil {
			return err
		}
		return c.describeColumns(columns, formatText)
	case 'P':
		columns, err := c.session.DescribePortal(ctx, m.Name)
		if err != nil {
			return err
		}
		return c.describeColumns(columns, -1)
	}
	return c.invalid(types.Errorf("08P01", "invalid DESCRIBE message subtype %d", m.ObjectType))
}

func (c *conn) describeColumns(columns []Column, format int16) error {
	if columns == nil {
		c.out.begin('n')
		return c.out.end()
	}
	return c.out.rowDescription(columns, format)
}

func (c *conn) execute(ctx context.Context, m *pgproto3.Execute) error {
	if err := validText(m.Portal); err != nil {
		return c.invalid(err)
	}
	maxRows := int(int32(m.MaxRows))
	w := c.newResult(false)
	last := c.in.follows('S')
	return w.finish(c.session.Execute(ctx, m.Portal, max(maxRows, 0), last, w))
}

func (c *conn) close(ctx context.Context, m *pgproto3.Close) error {
	err := validText(m.Name)
	switch {
	case err != nil:
		return c.invalid(err)
	case m.ObjectType == 'S':
		err = c.session.CloseStatement(ctx, m.Name)
	case m.ObjectType == 'P':
		err = c.session.ClosePortal(ctx, m.Name)
	default:
		return c.invalid(types.Errorf("08P01", "invalid CLOSE message subtype %d", m.ObjectType))
	}
	if err != nil {
		return err
	}
	c.out.begin('3')
	return c.out.end()
}

// Notice, ParameterStatus and Terminate make a conn the Session's Client.

// Notice sends a NoticeResponse with the next flush.
func (c *conn) Notice(notice *types.Error) {
	c.out.discard()
	c.out.message((*pgproto3.NoticeResponse)(errorResponse(notice, "NOTICE", "00000")))
}

// ParameterStatus keeps the newest value of each parameter for the next ReadyForQuery.
func (c *conn) ParameterStatus(name, value string) {
	for i := range c.changed {
		if c.changed[i].Name == name {
			c.changed[i].Value = value
			return
		}
	}
	c.changed = append(c.changed, Parameter{name, value})
}

// Terminate ends the connection: a waiting read returns at once, a running call has its
// context cancelled and first returns. A client that does not read what was sent gets
// terminateMax.
func (c *conn) Terminate(err *types.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.ended == nil {
		c.mu.ended = asFatal(err, "", "")
		c.cancel(c.mu.ended)
		c.net.SetReadDeadline(time.Unix(1, 0))
		c.net.SetWriteDeadline(time.Now().Add(terminateMax))
	}
}

const terminateMax = 2 * time.Second

// whyEnded gives Terminate's error, nil if it was not called.
func (c *conn) whyEnded() *types.Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.ended
}

// clearDeadline lifts the time limit of the login, unless the connection is to end.
func (c *conn) clearDeadline() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.ended == nil {
		c.net.SetDeadline(time.Time{})
	}
}

// shutDown ends the connection because the server ends; it does not wait.
func (c *conn) shutDown() {
	c.Terminate(fatalf("57P01", "terminating connection due to administrator command"))
	c.mu.Lock()
	target := c.target
	c.mu.Unlock()
	if target != nil {
		target.cancel()
	}
}
