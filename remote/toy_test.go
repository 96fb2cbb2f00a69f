package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/heliosdb/helios/auth"
	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/types"
)

// network is a set of toy shards reached in memory, by address.
type network struct {
	mu     sync.Mutex
	shards map[string]*toyShard
}

func newNetwork() *network { return &network{shards: make(map[string]*toyShard)} }

func (n *network) dial(ctx context.Context, addr string) (net.Conn, error) {
	n.mu.Lock()
	s := n.shards[addr]
	n.mu.Unlock()
	if s == nil {
		return nil, fmt.Errorf("nobody listens at %s", addr)
	}
	ours, theirs := net.Pipe()
	select {
	case s.conns <- theirs:
		return &counted{Conn: ours, shard: s}, nil
	case <-s.stopped:
		return nil, fmt.Errorf("nobody listens at %s", addr)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// counted counts the client's writes: one per flight.
type counted struct {
	net.Conn
	shard *toyShard
}

func (c *counted) Write(p []byte) (int, error) {
	c.shard.mu.Lock()
	c.shard.writes++
	c.shard.mu.Unlock()
	return c.Conn.Write(p)
}

// toyShard is a pgwire.Server of toy sessions at one address; it logs what it is asked.
type toyShard struct {
	addr    string
	network *network
	server  *pgwire.Server
	conns   chan net.Conn
	stopped chan struct{}
	once    sync.Once
	hanging chan struct{} // gets a value when a session begins to hang

	mu     sync.Mutex
	log    []string
	writes int
	made   int // sessions
}

// start serves at an address until the test ends or stop is called.
func (n *network) start(t testing.TB, addr string) *toyShard {
	t.Helper()
	s := &toyShard{
		addr: addr, network: n, conns: make(chan net.Conn), stopped: make(chan struct{}), hanging: make(chan struct{}, 10),
	}
	verifier, err := auth.NewVerifier("secret")
	if err != nil {
		t.Fatal(err)
	}
	scram, err := auth.NewScram(func(_ context.Context, user string) (auth.Verifier, bool, error) {
		return verifier, user == "helios_router", nil
	}, auth.NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	s.server, err = pgwire.New(pgwire.Options{
		Auth: toyAuth{scram}, Log: slog.New(slog.DiscardHandler),
		NewSession: func(_ context.Context, _ *pgwire.ConnInfo, client pgwire.Client) (pgwire.Session, error) {
			s.note("connect")
			s.mu.Lock()
			s.made++
			s.mu.Unlock()
			return &toy{
				shard: s, client: client, status: 'I', cancelled: make(chan struct{}, 1),
				statements: map[string]string{}, portals: map[string]toyPortal{},
			}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	n.shards[addr] = s
	n.mu.Unlock()
	done := make(chan struct{})
	go func() { defer close(done); s.server.Serve(context.Background(), s) }()
	t.Cleanup(func() { s.stop(); <-done })
	return s
}

// stop ends the shard as a crash or shutdown does: connections break, dials fail.
func (s *toyShard) stop() {
	s.network.mu.Lock()
	if s.network.shards[s.addr] == s {
		delete(s.network.shards, s.addr)
	}
	s.network.mu.Unlock()
	s.server.Close()
}

// Accept, Close and Addr make it a net.Listener.
func (s *toyShard) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.stopped:
		return nil, net.ErrClosed
	}
}

func (s *toyShard) Close() error {
	s.once.Do(func() { close(s.stopped) })
	return nil
}

func (s *toyShard) Addr() net.Addr { return &net.UnixAddr{Name: s.addr} }

func (s *toyShard) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

// asked gives what the shard was asked since the last call, and in how many writes.
func (s *toyShard) asked() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf("%s (%d writes)", strings.Join(s.log, ", "), s.writes)
	s.log, s.writes = nil, 0
	return text
}

type toyAuth struct{ *auth.Scram }

func (a toyAuth) Begin(ctx context.Context, info *pgwire.ConnInfo) (pgwire.Exchange, error) {
	e, err := a.Scram.Begin(ctx, info.User, info.Endpoint)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// toy is a session over statements a test can read: "select $1", "rows n", "where" (the
// address), "ts n" (reports helios.ts), "fail", "hang", "notice", "begin", "commit",
// "copy in", "copy out", "crash" (the connection breaks).
type toy struct {
	shard      *toyShard
	client     pgwire.Client
	status     byte
	statements map[string]string
	portals    map[string]toyPortal
	cancelled  chan struct{}
}

type toyPortal struct {
	sql     string
	params  [][]byte
	formats []int16
}

func (s *toy) Parameters() []pgwire.Parameter {
	return []pgwire.Parameter{{Name: "client_encoding", Value: "UTF8"}, {Name: "standard_conforming_strings", Value: "on"}}
}

func (s *toy) Settings() *types.Settings { return nil }

func (s *toy) failed(err error) error {
	if err != nil && s.status == 'T' {
		s.status = 'E'
	}
	return err
}

func (s *toy) SimpleQuery(ctx context.Context, sql string, w pgwire.ResultWriter) error {
	any := false
	for statement := range strings.SplitSeq(sql, ";") {
		if statement = strings.TrimSpace(statement); statement == "" || strings.HasPrefix(statement, "--") {
			continue
		}
		any = true
		if err := s.failed(s.run(ctx, toyPortal{sql: statement}, w)); err != nil {
			return err
		}
	}
	if !any {
		return w.EmptyQuery()
	}
	return nil
}

func columns(sql string, formats []int16) []pgwire.Column {
	column := pgwire.Column{Name: "v", Type: types.T(types.TextOID)}
	switch word, _, _ := strings.Cut(sql, " "); word {
	case "rows":
		column.Type = types.T(types.Int8OID)
	case "select", "where":
	default:
		return nil
	}
	if len(formats) > 0 {
		column.Format = formats[0]
	}
	return []pgwire.Column{column}
}

func (s *toy) run(ctx context.Context, p toyPortal, w pgwire.ResultWriter) error {
	s.shard.note("run %s", p.sql)
	word, rest, _ := strings.Cut(p.sql, " ")
	if s.status == 'E' && word != "rollback" {
		return types.Errorf("25P02", "current transaction is aborted")
	}
	if c := columns(p.sql, p.formats); c != nil {
		if err := w.RowDescription(c); err != nil {
			return err
		}
	}
	switch word {
	case "select":
		if err := w.RawDataRow(p.params); err != nil {
			return err
		}
		return w.CommandComplete("SELECT 1")
	case "where":
		if err := w.DataRow(types.Row{types.Text(s.shard.addr)}); err != nil {
			return err
		}
		return w.CommandComplete("SELECT 1")
	case "rows":
		n, _ := strconv.Atoi(rest)
		for i := range n {
			if err := w.DataRow(types.Row{types.Int(int64(i))}); err != nil {
				return err
			}
		}
		return w.CommandComplete(fmt.Sprintf("SELECT %d", n))
	case "begin":
		s.status = 'T'
	case "commit", "rollback":
		s.status = 'I'
	case "ts":
		w.ParameterStatus("helios.ts", rest)
	case "notice":
		w.Notice(types.Errorf("01000", "take note").WithHint("Look closer."))
	case "copy":
		return s.copy(rest, w)
	case "hang":
		s.shard.hanging <- struct{}{}
		select {
		case <-s.cancelled:
			return types.Errorf("57014", "canceling statement due to user request")
		case <-ctx.Done():
			return ctx.Err()
		}
	case "deaf":
		s.shard.hanging <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	case "crash":
		panic("toy")
	case "fail":
		return &types.Error{
			Code: "23505", Message: "duplicate key", Detail: "Key (a)=(1) already exists.", Hint: "Use another.",
			Position: 3, Where: "line 1", Schema: "public", Table: "t", Column: "a", DataType: "int4", Constraint: "t_pkey",
		}
	case "moved":
		return types.Errorf("0A000", "cached plan must not change result type")
	}
	return w.CommandComplete(strings.ToUpper(word))
}

func (s *toy) copy(how string, w pgwire.ResultWriter) error {
	if how == "out" {
		out, err := w.CopyOut(1, false)
		if err != nil {
			return err
		}
		for i := range 3 {
			fmt.Fprintf(out, "%d\n", i)
		}
		if err := out.Close(); err != nil {
			return err
		}
		return w.CommandComplete("COPY 3")
	}
	in, err := w.CopyIn(1, false)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	return w.CommandComplete(fmt.Sprintf("COPY %d", strings.Count(string(data), "\n")))
}

func (s *toy) Parse(_ context.Context, name, sql string, params []types.OID) error {
	s.shard.note("parse %s", sql)
	if sql == "nonsense" {
		return s.failed(types.Errorf("42601", "syntax error"))
	}
	if s.statements[name] != "" && name != "" {
		return s.failed(types.Errorf("42P05", "prepared statement %q already exists", name))
	}
	s.statements[name] = sql
	return nil
}

func (s *toy) Bind(_ context.Context, portal, statement string, _ []int16, params [][]byte, formats []int16) error {
	sql, ok := s.statements[statement]
	if !ok {
		return s.failed(types.Errorf("26000", "prepared statement %q does not exist", statement))
	}
	s.portals[portal] = toyPortal{sql, params, formats}
	return nil
}

func (s *toy) DescribeStatement(_ context.Context, name string) ([]types.OID, []pgwire.Column, error) {
	return nil, columns(s.statements[name], nil), nil
}

func (s *toy) DescribePortal(_ context.Context, name string) ([]pgwire.Column, error) {
	return columns(s.portals[name].sql, s.portals[name].formats), nil
}

func (s *toy) Execute(ctx context.Context, portal string, _ int, _ bool, w pgwire.ResultWriter) error {
	return s.failed(s.run(ctx, s.portals[portal], w))
}

func (s *toy) CloseStatement(_ context.Context, name string) error {
	s.shard.note("close %s", s.statements[name])
	delete(s.statements, name)
	return nil
}

func (s *toy) ClosePortal(context.Context, string) error { return nil }
func (s *toy) Sync(context.Context) error                { return nil }
func (s *toy) Fail(err *types.Error)                     { s.failed(err) }
func (s *toy) TxStatus() byte                            { return s.status }
func (s *toy) Close()                                    {}

func (s *toy) Cancel() {
	select {
	case s.cancelled <- struct{}{}:
	default:
	}
}

// newTestClient makes a client of the network that closes with the test.
func newTestClient(t testing.TB, n *network, change func(*Options)) *Client {
	t.Helper()
	opts := Options{Dial: n.dial, User: "helios_router", Password: "secret"}
	if change != nil {
		change(&opts)
	}
	c, err := NewClient(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

var errReader = errors.New("disk on fire")
