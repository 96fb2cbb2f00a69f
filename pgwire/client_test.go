package pgwire

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/heliosdb/helios/auth"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// scramAuth joins this package's seam with package auth, as a node does. Everybody's
// password is "pencil"; eve does not exist.
type scramAuth struct{ *auth.Scram }

func newScramAuth(t testing.TB) scramAuth {
	t.Helper()
	verifier, err := auth.NewVerifier("pencil")
	if err != nil {
		t.Fatal(err)
	}
	scram, err := auth.NewScram(func(_ context.Context, user string) (auth.Verifier, bool, error) {
		return verifier, user != "eve", nil
	}, auth.NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	return scramAuth{scram}
}

func (a scramAuth) Begin(ctx context.Context, info *ConnInfo) (Exchange, error) {
	e, err := a.Scram.Begin(ctx, info.User, info.Endpoint)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// serveTCP starts a server with SCRAM and TLS on a free port of the loopback interface.
func serveTCP(t testing.TB, change func(*Options)) (port int, roots *x509.CertPool) {
	t.Helper()
	authority, err := auth.NewAuthority("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue(auth.NodeRole, "n1", []string{"localhost", "127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	if roots, err = auth.Pool(authority.Certificate()); err != nil {
		t.Fatal(err)
	}
	server, count := newToyServer(t, func(o *Options) {
		o.Auth = newScramAuth(t)
		o.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
		if change != nil {
			change(o)
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(context.Background(), l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
		if count.open != 0 {
			t.Errorf("%d sessions were never closed", count.open)
		}
		if s := server.Status(); s.Conns != 0 || s.Strangers != 0 || s.Panics != 0 {
			t.Errorf("status at the end: %+v", s)
		}
	})
	return l.Addr().(*net.TCPAddr).Port, roots
}

// psql runs the real client and gives what it prints.
func psql(t *testing.T, port int, conninfo string, args ...string) (string, error) {
	t.Helper()
	conninfo = fmt.Sprintf("host=127.0.0.1 port=%d user=ada dbname=db connect_timeout=10 %s", port, conninfo)
	cmd := exec.CommandContext(t.Context(), "psql", append([]string{"-X", "-d", conninfo}, args...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin:/usr/local/bin", "PGPASSWORD=pencil", "LC_ALL=C", "HOME=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestPsql(t *testing.T) {
	port, _ := serveTCP(t, nil)
	for _, test := range []struct {
		name, conninfo string
		args           []string
		want           string
	}{
		{"rows", "sslmode=disable", []string{"-At", "-c", "select one; rows 2"}, "one\n1\n2\n"},
		{"channel binding", "sslmode=require channel_binding=require", []string{"-At", "-c", "select two"}, "two\n"},
		{"error", "sslmode=prefer", []string{"-c", "fail"}, "ERROR:  duplicate key\nLINE 1: fail\n          ^\nDETAIL:  Key (a)=(1) already exists.\nHINT:  Use another.\nCONTEXT:  line 1\n"},
		{"notice", "sslmode=prefer", []string{"-c", "notice"}, "NOTICE:  take note\nHINT:  Look closer.\nDO\n"},
		{"copy out", "sslmode=prefer", []string{"-c", "copy out"}, "1\tone\n2\ttwo\n"},
		{"no such database", "dbname=nowhere", []string{"-c", "select 1"}, `psql: error: connection to server at "127.0.0.1", port PORT failed: FATAL:  database "nowhere" does not exist` + "\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := psql(t, port, test.conninfo, test.args...)
			got = strings.ReplaceAll(got, fmt.Sprint(port), "PORT")
			if got != test.want {
				t.Errorf("psql printed\n%swant\n%s(%v)", got, test.want, err)
			}
		})
	}
	if got, err := psql(t, port, "user=eve"); err == nil || !strings.Contains(got, `password authentication failed for user "eve"`) {
		t.Errorf("eve came in: %s", got)
	}
}

// connect opens a connection with pgx over TLS, SCRAM-SHA-256-PLUS among it.
func connect(t testing.TB, port int, roots *x509.CertPool, change func(*pgx.ConnConfig)) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(fmt.Sprintf("host=localhost port=%d user=ada password=pencil dbname=db sslmode=require channel_binding=require", port))
	if err != nil {
		t.Fatal(err)
	}
	config.TLSConfig = &tls.Config{RootCAs: roots, ServerName: "localhost"}
	if change != nil {
		change(config)
	}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func TestPgx(t *testing.T) {
	port, roots := serveTCP(t, nil)
	conn := connect(t, port, roots, nil)
	ctx := t.Context()
	var text string
	if err := conn.QueryRow(ctx, "select $1", "hello").Scan(&text); err != nil || text != "hello" {
		t.Errorf("got %q, %v", text, err)
	}
	if err := conn.QueryRow(ctx, "select simple", pgx.QueryExecModeSimpleProtocol).Scan(&text); err != nil || text != "simple" {
		t.Errorf("got %q, %v", text, err)
	}
	if err := conn.Ping(ctx); err != nil {
		t.Error(err)
	}
	rows, err := conn.Query(ctx, "rows 3")
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if got, want := fmt.Sprint(all, err), "[1 2 3] <nil>"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	var pgErr *pgconn.PgError
	if _, err := conn.Exec(ctx, "fail"); !errors.As(err, &pgErr) || pgErr.ConstraintName != "t_pkey" || pgErr.Code != "23505" {
		t.Errorf("got %v", err)
	}

	batch := &pgx.Batch{}
	batch.Queue("select $1", "a")
	batch.Queue("insert")
	batch.Queue("select $1", "b")
	results := conn.SendBatch(ctx, batch)
	var a, b string
	err = errors.Join(results.QueryRow().Scan(&a), execErr(results.Exec()), results.QueryRow().Scan(&b), results.Close())
	if got, want := fmt.Sprint(a, " ", b, " ", err), "a b <nil>"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	var out bytes.Buffer
	tag, err := conn.PgConn().CopyTo(ctx, &out, "copy out")
	if got, want := fmt.Sprintf("%q %v %v", out.String(), tag, err), `"1\tone\n2\ttwo\n" COPY 2 <nil>`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	tag, err = conn.PgConn().CopyFrom(ctx, strings.NewReader("1\n2\n3\n"), "copy in")
	if got, want := fmt.Sprint(tag, err), "COPY 3 <nil>"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := conn.PgConn().CopyFrom(ctx, brokenReader{}, "copy in"); !errors.As(err, &pgErr) || pgErr.Code != "57014" {
		t.Errorf("got %v", err)
	}
	if err := conn.QueryRow(ctx, "select $1", "still here").Scan(&text); err != nil || text != "still here" {
		t.Errorf("got %q, %v", text, err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("disk on fire") }

func execErr(_ pgconn.CommandTag, err error) error { return err }

// TestPgxCancel cancels over a second connection, which is what drivers do when a
// context ends.
func TestPgxCancel(t *testing.T) {
	port, roots := serveTCP(t, nil)
	conn := connect(t, port, roots, nil)
	done := make(chan error, 1)
	go func() {
		_, err := conn.PgConn().Exec(context.Background(), "hang").ReadAll()
		done <- err
	}()
	if err := conn.PgConn().CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	var pgErr *pgconn.PgError
	if err := <-done; !errors.As(err, &pgErr) || pgErr.Code != "57014" {
		t.Errorf("got %v", err)
	}
}

// TestDirectTLS starts with the TLS handshake, as PostgreSQL 17's clients can.
func TestDirectTLS(t *testing.T) {
	port, roots := serveTCP(t, nil)
	conn := connect(t, port, roots, func(c *pgx.ConnConfig) {
		c.SSLNegotiation = "direct"
		c.TLSConfig.NextProtos = []string{"postgresql"}
	})
	if err := conn.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	// Without ALPN the client may be talking another protocol: refused.
	raw, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{RootCAs: roots, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if n, err := raw.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes, want the end", n)
	}
}

// TestRequireTLS refuses plain connections, and plain bytes sent ahead of the handshake.
func TestRequireTLS(t *testing.T) {
	port, _ := serveTCP(t, func(o *Options) { o.RequireTLS = true })
	if got, err := psql(t, port, "sslmode=disable"); err == nil || !strings.Contains(got, "connection requires TLS") {
		t.Errorf("psql printed %s", got)
	}
	if got, err := psql(t, port, "sslmode=require", "-Atc", "select 1"); err != nil || got != "1\n" {
		t.Errorf("psql printed %s", got)
	}
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(unhex(t, "00000008 04d2162f 00000013 00030000 'user' 00 'ada' 00 00"))
	answer := make([]byte, 64)
	n, _ := conn.Read(answer)
	if got := string(answer[:n]); got != "S" {
		t.Errorf("got %q, want S alone", got)
	}
	if n, _ := conn.Read(answer); bytes.Contains(answer[:n], []byte("SCRAM")) {
		t.Error("plain bytes counted as encrypted")
	}
}

// TestPasswordMessageLimit announces 2 GB before authentication: refused, nothing allocated.
func TestPasswordMessageLimit(t *testing.T) {
	port, _ := serveTCP(t, nil)
	for name, message := range map[string]string{
		"2 GB":           "70 7fffffff",
		"a query":        "51 00000006 'x' 00",
		"bad mechanism":  "70 0000000d 'MD5' 00 00000000 00",
		"no first":       "70 00000004",
		"negative":       "70 00000003",
		"not a response": "53 00000004",
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.Write(unhex(t, "00000012 00030000 'user' 00 'ada' 00 00"))
			conn.Write(unhex(t, message))
			var answer bytes.Buffer
			answer.ReadFrom(conn)
			if !bytes.Contains(answer.Bytes(), []byte("08P01")) {
				t.Errorf("got %q", answer.String())
			}
		})
	}
}
