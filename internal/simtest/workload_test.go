package simtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// outcome is what a client knows of a write.
type outcome byte

const (
	unknown outcome = iota // no answer, or SQLSTATE 40003: it may be there
	failed                 // an error that says so: it must not be there
	acked                  // it must be there
)

// write is one attempt: rows that must all be there or none.
type write struct {
	what    string
	rows    []row
	outcome outcome
	note    string // the error
}

// row stands in a table with a key or in one without, where a second one would show.
type row struct {
	table string
	id    int64
}

// workload writes rows and remembers what was said of each.
type workload struct {
	sim  *sim
	host *host
	mu   struct {
		sync.Mutex
		last   int64
		writes []*write
		seen   map[row]string  // by readers, and where
		counts map[outcome]int // of increments of the one counter
	}
}

func newWorkload(s *sim) *workload {
	w := &workload{sim: s, host: s.net.host("client")}
	w.mu.seen, w.mu.counts = map[row]string{}, map[outcome]int{}
	return w
}

const statementTimeout = 4 * time.Second

func (w *workload) connect(ctx context.Context, addr string) (*pgconn.PgConn, error) {
	c, err := pgconn.ParseConfig("postgres://helios@" + addr + "/" + database + "?sslmode=disable")
	if err != nil {
		return nil, err
	}
	c.Password, c.ConnectTimeout, c.Fallbacks = theLogin().password, 3*time.Second, nil
	c.DialFunc = func(ctx context.Context, _, addr string) (net.Conn, error) { return w.host.dial(ctx, addr) }
	return pgconn.ConnectConfig(ctx, c)
}

// do opens a connection for one piece of work and closes it.
func (w *workload) do(ctx context.Context, addr string, f func(*pgconn.PgConn) error) error {
	conn, err := w.connect(ctx, addr)
	if err != nil {
		return err
	}
	defer hangUp(conn)
	return f(conn)
}

func hangUp(conn *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = conn.Close(ctx)
	<-conn.CleanupDone()
}

func run(ctx context.Context, conn *pgconn.PgConn, sql string) (tag string, err error) {
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err == nil && len(results) > 0 {
		tag = results[len(results)-1].CommandTag.String()
	}
	return tag, err
}

func (w *workload) create(ctx context.Context) error {
	return w.do(ctx, routerAddr, func(conn *pgconn.PgConn) error {
		for _, sql := range []string{
			"CREATE TABLE IF NOT EXISTS keyed (id bigint PRIMARY KEY, writer text)",
			"CREATE TABLE IF NOT EXISTS loose (id bigint, writer text)",
			"CREATE TABLE IF NOT EXISTS counter (id bigint PRIMARY KEY, n bigint)",
			"INSERT INTO counter VALUES (1, 0) ON CONFLICT DO NOTHING",
		} {
			if _, err := run(ctx, conn, sql); err != nil {
				return err
			}
		}
		return nil
	})
}

// probe holds that writes work.
func (w *workload) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if os.Getenv("HELIOS_SEED") != "" {
		defer time.AfterFunc(5*time.Second, w.sim.stacks).Stop()
	}
	return w.do(ctx, routerAddr, func(conn *pgconn.PgConn) error {
		x := w.begin("probe", "keyed")
		w.insert(ctx, conn, x)
		if x.outcome != acked {
			return errors.New(x.note)
		}
		return nil
	})
}

// load writes so much that the stores write their memory to disk.
func (w *workload) load() {
	_ = w.do(context.Background(), routerAddr, func(conn *pgconn.PgConn) error {
		for range 16 {
			x := w.begin("load", "loose")
			_, err := run(context.Background(), conn, fmt.Sprintf("INSERT INTO loose VALUES (%d, repeat('x', 60000))", x.rows[0].id))
			w.settle(x, judge(err), err)
		}
		return nil
	})
}

// start starts the clients; stop ends them.
func (w *workload) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() { w.client(ctx, stream(w.sim.seed, uint64(10+i)), routerAddr, 60*time.Millisecond, w.writeOnce) })
	}
	all.Go(func() { w.client(ctx, stream(w.sim.seed, 20), routerAddr, 200*time.Millisecond, w.readOnce) })
	for i, m := range w.sim.pair {
		all.Go(func() { w.client(ctx, stream(w.sim.seed, uint64(30+i)), m.sql, 500*time.Millisecond, w.lookOnce) })
	}
	return func() {
		cancel()
		all.Wait()
	}
}

// client works on one connection as long as it lasts, then on another, and rests at most
// so long in between.
func (w *workload) client(ctx context.Context, rng *rand.Rand, addr string, most time.Duration, work func(ctx context.Context, conn *pgconn.PgConn, rng *rand.Rand)) {
	for ctx.Err() == nil {
		_ = w.do(ctx, addr, func(conn *pgconn.PgConn) error {
			for ctx.Err() == nil && !conn.IsClosed() {
				limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), statementTimeout)
				work(limited, conn, rng)
				cancel()
				_ = pause(ctx, time.Duration(rng.Int64N(int64(most))))
			}
			return nil
		})
		_ = pause(ctx, time.Duration(rng.Int64N(int64(100*time.Millisecond))))
	}
}

// begin notes a write before it is tried.
func (w *workload) begin(what string, tables ...string) *write {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := &write{what: what}
	for _, table := range tables {
		w.mu.last++
		x.rows = append(x.rows, row{table, w.mu.last})
	}
	w.mu.writes = append(w.mu.writes, x)
	return x
}

// settle notes what became of it.
func (w *workload) settle(x *write, o outcome, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x.outcome = o
	if err != nil {
		x.note = err.Error()
	}
	if o == acked {
		x.note = w.sim.now()
	}
}

func (w *workload) writeOnce(ctx context.Context, conn *pgconn.PgConn, rng *rand.Rand) {
	switch rng.IntN(6) {
	case 0, 1:
		w.insert(ctx, conn, w.begin("insert", "keyed"))
	case 2:
		w.insert(ctx, conn, w.begin("insert", "loose"))
	case 3:
		w.insert(ctx, conn, w.begin("insert of three", "keyed", "keyed", "keyed"))
	case 4:
		w.transaction(ctx, conn, w.begin("transaction", "keyed", "loose", "keyed"), rng)
	case 5:
		w.increment(ctx, conn)
	}
}

// increment reads and writes one row that all clients want.
func (w *workload) increment(ctx context.Context, conn *pgconn.PgConn) {
	tag, err := run(ctx, conn, "UPDATE counter SET n = n + 1 WHERE id = 1")
	if err == nil && tag != "UPDATE 1" {
		w.sim.fail("an increment was answered %q", tag)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.counts[judge(err)]++
}

func insertText(rows ...row) string {
	var values []string
	for _, r := range rows {
		values = append(values, fmt.Sprintf("(%d, 'sim')", r.id))
	}
	return "INSERT INTO " + rows[0].table + " VALUES " + strings.Join(values, ", ")
}

// insert is one statement, its own transaction.
func (w *workload) insert(ctx context.Context, conn *pgconn.PgConn, x *write) {
	tag, err := run(ctx, conn, insertText(x.rows...))
	if err == nil && tag != fmt.Sprintf("INSERT 0 %d", len(x.rows)) {
		w.sim.fail("%s was answered %q", x.what, tag)
	}
	w.settle(x, judge(err), err)
}

// transaction inserts row by row and commits; what failed before COMMIT was sent is not
// there.
func (w *workload) transaction(ctx context.Context, conn *pgconn.PgConn, x *write, rng *rand.Rand) {
	statements := []string{"BEGIN"}
	for _, r := range x.rows {
		statements = append(statements, insertText(r))
	}
	for _, sql := range statements {
		if _, err := run(ctx, conn, sql); err != nil {
			w.settle(x, failed, err)
			if !conn.IsClosed() {
				_, _ = run(ctx, conn, "ROLLBACK")
			}
			return
		}
		_ = pause(ctx, time.Duration(rng.Int64N(int64(5*time.Millisecond))))
	}
	tag, err := run(ctx, conn, "COMMIT")
	switch {
	case err == nil && tag == "COMMIT":
		w.settle(x, acked, nil)
	case err == nil:
		w.settle(x, failed, fmt.Errorf("COMMIT was answered %q", tag))
	default:
		w.settle(x, judge(err), err)
	}
}

// judge reads an error as PostgreSQL's manual tells clients to: an ERROR undid the
// statement unless it says that nobody knows; anything else broke the connection.
func judge(err error) outcome {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return acked
	case errors.As(err, &pg) && pg.Severity == "ERROR" && pg.Code != "40003" && !strings.HasPrefix(pg.Code, "08"):
		return failed
	}
	return unknown
}

// readOnce reads through the router: it sees every write that was confirmed before it
// began.
func (w *workload) readOnce(ctx context.Context, conn *pgconn.PgConn, _ *rand.Rand) {
	want := w.confirmed()
	for _, table := range []string{"keyed", "loose"} {
		got, err := w.read(ctx, conn, "the router", table)
		if err != nil {
			return
		}
		for _, r := range want {
			if r.table == table && got[r.id] == 0 {
				w.sim.fail("a read does not see row %d of %s, confirmed before it began", r.id, table)
			}
		}
	}
}

// lookOnce reads from a node directly, primary or standby: what it sees may be old.
func (w *workload) lookOnce(ctx context.Context, conn *pgconn.PgConn, _ *rand.Rand) {
	_, _ = w.read(ctx, conn, "a node", "keyed")
}

// read reads a table, and holds that a write is seen as a whole or not at all. What
// anybody has seen must stay.
func (w *workload) read(ctx context.Context, conn *pgconn.PgConn, where, table string) (map[int64]int, error) {
	got, err := readIDs(ctx, conn, table)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range got {
		if r := (row{table, id}); w.mu.seen[r] == "" {
			w.mu.seen[r] = where + " at " + w.sim.now()
		}
	}
	for _, x := range w.mu.writes {
		there, of := 0, 0
		for _, r := range x.rows {
			if r.table == table {
				there += min(1, got[r.id])
				of++
			}
		}
		if there != 0 && there != of {
			w.sim.fail("a read from %s sees %d of %d rows of one %s %v", where, there, of, x.what, x.rows)
		}
	}
	return got, nil
}

func (w *workload) confirmed() (rows []row) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range w.mu.writes {
		if x.outcome == acked {
			rows = append(rows, x.rows...)
		}
	}
	return rows
}

// readIDs gives how often each id is in a table.
func readIDs(ctx context.Context, conn *pgconn.PgConn, table string) (map[int64]int, error) {
	results, err := conn.Exec(ctx, "SELECT id FROM "+table).ReadAll()
	if err != nil {
		return nil, err
	}
	ids := map[int64]int{}
	for _, r := range results[0].Rows {
		id, err := strconv.ParseInt(string(r[0]), 10, 64)
		if err != nil {
			return nil, err
		}
		ids[id]++
	}
	return ids, nil
}

// check compares what is there in the end with what clients were told.
func (w *workload) check() {
	found := map[row]int{}
	var n int
	err := w.sim.within(20*time.Second, "the last read", func(ctx context.Context) error {
		return w.do(ctx, routerAddr, func(conn *pgconn.PgConn) error {
			for _, table := range []string{"keyed", "loose"} {
				ids, err := readIDs(ctx, conn, table)
				if err != nil {
					return err
				}
				for id, n := range ids {
					found[row{table, id}] = n
				}
			}
			results, err := conn.Exec(ctx, "SELECT n FROM counter").ReadAll()
			if err == nil {
				n, err = strconv.Atoi(string(results[0].Rows[0][0]))
			}
			return err
		})
	})
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if least, most := w.mu.counts[acked], w.mu.counts[acked]+w.mu.counts[unknown]; n < least || n > most {
		w.sim.fail("the counter is %d: %d increments were confirmed, of %d nobody knows", n, least, most-least)
	}
	for r, where := range w.mu.seen {
		if found[r] == 0 {
			w.sim.fail("row %d of %s was seen by a reader (%s) and is gone", r.id, r.table, where)
		}
	}
	counts := map[outcome]int{}
	for _, x := range w.mu.writes {
		counts[x.outcome]++
		w.judgeRows(x, found)
	}
	for r := range found {
		w.sim.fail("row %d of %s is there, nobody wrote it", r.id, r.table)
	}
	w.sim.trace("%d writes confirmed, %d failed, %d unknown; %d rows seen by readers", counts[acked], counts[failed], counts[unknown], len(w.mu.seen))
}

// judgeRows compares one write with what was found, and takes its rows out of that.
func (w *workload) judgeRows(x *write, found map[row]int) {
	var there []row
	for _, r := range x.rows {
		switch n := found[r]; {
		case n > 1:
			w.sim.fail("row %d of %s is there %d times (%s, %s)", r.id, r.table, n, x.what, x.note)
			fallthrough
		case n == 1:
			there = append(there, r)
		}
		delete(found, r)
	}
	switch {
	case len(there) > 0 && len(there) < len(x.rows):
		w.sim.fail("of one %s only %v of %v are there (%s)", x.what, there, x.rows, x.note)
	case x.outcome == acked && len(there) == 0:
		w.sim.fail("lost: %s %v, confirmed at %s", x.what, x.rows, x.note)
	case x.outcome == failed && len(there) > 0:
		w.sim.fail("there, though it failed: %s %v: %s", x.what, slices.Clone(x.rows), x.note)
	}
}
