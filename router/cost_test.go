package router_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/heliosdb/helios/router"
)

// TestCosts holds how many round trips to shards each class of statement waits for.
// Parallel flights count once. docs/transactions.md has the table.
func TestCosts(t *testing.T) {
	w := newWorld(t, 3)
	r := w.newRouter(1)
	c := w.connect(r)
	c.must("CREATE TABLE t (id int PRIMARY KEY, n int)")
	c.must("CREATE TABLE s (id serial PRIMARY KEY, n int)")
	c.must("CREATE TABLE v (id int PRIMARY KEY, e vector(2)) WITH (helios.strategy = 'vector', helios.shard_key = 'e')")
	c.must("INSERT INTO t SELECT g, g FROM generate_series(1, 100) g")
	c.must("SELECT count(*) FROM t") // whatever is left to be resolved is met here
	c.must("SELECT count(*) FROM t")
	for _, x := range []struct {
		class, sql string
		trips      int64
	}{
		{"one-shard read", "SELECT n FROM t WHERE id = 5", 1},
		{"one-shard write, autocommit", "UPDATE t SET n = 0 WHERE id = 5", 1},
		{"one-shard insert, autocommit", "INSERT INTO t VALUES (1000, 1)", 1},
		{"one-shard transaction of two statements", "BEGIN; UPDATE t SET n = 1 WHERE id = 5; UPDATE t SET n = 2 WHERE id = 5; COMMIT", 3},
		{"several-shard read", "SELECT sum(n) FROM t", 1},
		{"the same, sorted", "SELECT * FROM t ORDER BY n LIMIT 3", 1},
		{"REPEATABLE READ, the first and a later statement", "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT sum(n) FROM t; SELECT n FROM t WHERE id = 7; COMMIT", 3},
		{"COMMIT of a several-shard transaction", "BEGIN; UPDATE t SET n = 5 WHERE id < 50; COMMIT", 3},
		{"several-shard insert, autocommit", "INSERT INTO t VALUES (2001, 1), (2002, 1), (2003, 1), (2004, 1)", 2},
		{"several-shard update, autocommit", "UPDATE t SET n = 6", 2},
		{"the same with RETURNING", "DELETE FROM t WHERE id > 2000 RETURNING id", 2},
		{"insert into a vector table", "INSERT INTO v VALUES (1, '[1,1]'), (2, '[1,2]'), (3, '[2,1]'), (4, '[3,3]')", 2},
		{"nextval with a new block", "SELECT nextval('s_id_seq')", 1},
		{"nextval", "SELECT nextval('s_id_seq')", 0},
		{"catalog query", "SELECT relname FROM pg_class WHERE relname = 't'", 0},
	} {
		cost(t, r, x.class, x.trips, func() { c.must(x.sql) })
	}
	for _, x := range []struct {
		class, sql string
		trips      int64
	}{
		{"one-shard read", "SELECT n FROM t WHERE id = 5", 1},
		{"one-shard write", "UPDATE t SET n = 8 WHERE id = 5", 1},
		{"one-shard insert with RETURNING", "INSERT INTO t VALUES (3000, 1) RETURNING id", 1},
		{"several-shard write", "UPDATE t SET n = 7", 2},
	} {
		cost(t, r, "extended protocol, "+x.class, x.trips, func() {
			if err := c.group(x.sql); err != nil {
				t.Error(err)
			}
		})
	}
}

// cost holds what f costs.
func cost(t *testing.T, r *router.Router, class string, trips int64, f func()) {
	before := r.Stats()
	f()
	after := r.Stats()
	if again := after.Restarts - before.Restarts; again > 0 {
		t.Errorf("%s: %d restarts", class, again)
	}
	if got := after.RoundTrips - before.RoundTrips; got != trips {
		t.Errorf("%s: %d round trips, want %d", class, got, trips)
	}
}

// TestLargeResult reads more than a router holds back: the statement runs pinned and its
// rows stream.
func TestLargeResult(t *testing.T) {
	w := newWorld(t, 2)
	r := w.newRouter(1)
	c := w.connect(r)
	c.must("CREATE TABLE t (id int PRIMARY KEY, pad text)")
	c.must("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 4000) g")
	before := r.Stats()
	out := c.must("SELECT id, pad FROM t ORDER BY id")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if got, want := len(lines), 4000; got != want {
		t.Fatalf("%d rows, want %d", got, want)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, fmt.Sprintf("%d | ", i+1)) {
			t.Fatalf("row %d is %.20s…", i, line)
		}
	}
	if got, want := r.Stats().Gathers-before.Gathers, int64(1); got != want {
		t.Errorf("%d gathers, want %d", got, want)
	}
	c.must("SELECT id FROM t ORDER BY id LIMIT 1") // the connections are still good
}
