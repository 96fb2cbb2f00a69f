package session_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/heliosdb/helios/pgwire"
)

// everyone lets every client in.
type everyone struct{}

func (everyone) Begin(context.Context, *pgwire.ConnInfo) (pgwire.Exchange, error) { return nil, nil }

// serve starts a server over a memory database and gives its address.
func serve(t *testing.T) string {
	t.Helper()
	h, _ := newHost()
	server, err := pgwire.New(pgwire.Options{
		Auth: everyone{},
		NewSession: func(ctx context.Context, info *pgwire.ConnInfo, client pgwire.Client) (pgwire.Session, error) {
			s, err := h.Open(ctx, info, client)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(t.Context(), l) }()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	return l.Addr().String()
}

// TestPgx drives a session by a real driver: extended protocol with binary values, batches,
// binary COPY, errors inside transactions.
func TestPgx(t *testing.T) {
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://postgres@%s/db?sslmode=disable", serve(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = conn.Exec(ctx, "create table t (id int primary key, name text, at timestamptz, score float8)")
	must(err)
	at := time.Date(2024, 5, 6, 7, 8, 9, 123456000, time.UTC)
	n, err := conn.CopyFrom(ctx, pgx.Identifier{"t"}, []string{"id", "name", "at", "score"}, pgx.CopyFromRows([][]any{
		{1, "one", at, 1.5}, {2, nil, nil, nil}, {3, "drei", at.Add(time.Hour), -2.25},
	}))
	must(err)
	if n != 3 {
		t.Errorf("copied %d rows, want 3", n)
	}
	var name string
	var when time.Time
	var score float64
	must(conn.QueryRow(ctx, "select name, at, score from t where id = $1", 3).Scan(&name, &when, &score))
	if name != "drei" || !when.Equal(at.Add(time.Hour)) || score != -2.25 {
		t.Errorf("got %q, %v, %v", name, when, score)
	}
	batch := &pgx.Batch{}
	for id := range 3 {
		batch.Queue("insert into t (id, name) values ($1, $2)", 10+id, fmt.Sprint("b", id))
	}
	must(conn.SendBatch(ctx, batch).Close())
	tx, err := conn.Begin(ctx)
	must(err)
	_, err = tx.Exec(ctx, "insert into t (id) values (1)")
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != "23505" || pgErr.ConstraintName != "t_pkey" {
		t.Errorf("got %v, want 23505 of t_pkey", err)
	}
	must(tx.Rollback(ctx))
	var count int
	must(conn.QueryRow(ctx, "select count(*) from t").Scan(&count))
	if count != 6 {
		t.Errorf("%d rows, want 6", count)
	}
}

// TestPsqlReadsAndWrites drives a session by psql: a copy in and out, an error, a status.
func TestPsqlReadsAndWrites(t *testing.T) {
	psql, err := exec.LookPath("psql")
	if err != nil {
		t.Skip("psql is not installed")
	}
	host, port, _ := strings.Cut(serve(t), ":")
	cmd := exec.CommandContext(t.Context(), psql, "-X", "-A", "-h", host, "-p", port, "-U", "postgres", "-d", "db")
	cmd.Env = []string{"PATH=/usr/bin:/bin", "PGCLIENTENCODING=UTF8"}
	cmd.Stdin = strings.NewReader(strings.Join([]string{
		"create table t (id int primary key, name text);",
		`copy t from stdin;`, "1\tone", "2\t\\N", `\.`,
		"select * from t order by id;", "begin; select 1/0;", "select 1;", "rollback;",
		"copy t to stdout csv header;", "show server_version;", "",
	}, "\n"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := `CREATE TABLE
COPY 2
id|name
1|one
2|
(2 rows)
BEGIN
ERROR:  division by zero
ERROR:  current transaction is aborted, commands ignored until end of transaction block
ROLLBACK
id,name
1,one
2,
server_version
15.0 (helios)
(1 row)
`
	if got := string(out); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
