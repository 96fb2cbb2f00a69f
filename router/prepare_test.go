package router_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestPrepareTransaction prepares transactions as a client's transaction manager does, and
// ends them through another router, over restarts of the shards.
func TestPrepareTransaction(t *testing.T) {
	w := newWorld(t, 3)
	a, b := w.connect(w.newRouter(1)), w.connect(w.newRouter(2))
	a.must("CREATE TABLE t (id int PRIMARY KEY, n int)")
	a.must("INSERT INTO t SELECT g, 0 FROM generate_series(1, 30) g")
	expect := func(c *client, sql, want string) {
		t.Helper()
		if got := strings.TrimSpace(c.run(sql)); !strings.HasSuffix(got, want) {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
	listed := "SELECT gid, owner, database FROM pg_prepared_xacts ORDER BY gid"
	expect(a, "BEGIN; UPDATE t SET n = n + 1; PREPARE TRANSACTION 'it''s @ one'", "PREPARE TRANSACTION")
	expect(a, "SET lock_timeout = 50; UPDATE t SET n = n + 1 WHERE id = 1; RESET lock_timeout", "canceling statement due to lock timeout")
	expect(b, "BEGIN; INSERT INTO t VALUES (31, 0); PREPARE TRANSACTION 'two'", "PREPARE TRANSACTION")
	expect(b, listed, "it's @ one | helios | heliosdb\ntwo | helios | heliosdb\nSELECT 2")
	expect(b, "BEGIN; INSERT INTO t VALUES (32, 0); PREPARE TRANSACTION 'two'", "ERROR 42710: transaction identifier \"two\" is already in use")
	expect(b, "BEGIN; CREATE TABLE u (id int); PREPARE TRANSACTION 'ddl'", "HINT: COMMIT is atomic over all shards; no prepared transaction is needed for it.")
	expect(a, "SELECT count(*), sum(n) FROM t", "30 | 0\nSELECT 1")
	expect(a, "BEGIN; COMMIT PREPARED 'two'", "ERROR 25001: COMMIT PREPARED cannot run inside a transaction block")
	expect(a, "ROLLBACK", "ROLLBACK")
	expect(a, "COMMIT PREPARED 'two'", "COMMIT PREPARED")
	expect(a, "SELECT count(*), sum(n) FROM t", "31 | 0\nSELECT 1")
	expect(b, "COMMIT PREPARED 'it''s @ one'", "COMMIT PREPARED")
	expect(b, "SELECT count(*), sum(n) FROM t", "31 | 30\nSELECT 1")
	expect(a, "SELECT count(*), sum(n) FROM t", "31 | 30\nSELECT 1")
	expect(b, "BEGIN; DELETE FROM t; PREPARE TRANSACTION 'three'", "PREPARE TRANSACTION")
	expect(a, "ROLLBACK PREPARED 'three'", "ROLLBACK PREPARED")
	expect(a, "UPDATE t SET n = n + 1; SELECT count(*), sum(n) FROM t", "31 | 61\nSELECT 1")
	expect(a, "ROLLBACK PREPARED 'three'", "ERROR 42704: prepared transaction with identifier \"three\" does not exist")
	expect(a, listed, "SELECT 0")
	for i := range 8 { // behind errors on the owner's connections
		expect(a, "COMMIT PREPARED 'nope'", "does not exist")
		name := fmt.Sprintf("'w%d'", i)
		expect(a, fmt.Sprintf("BEGIN; INSERT INTO t VALUES (%d, 0); PREPARE TRANSACTION %s", 100+i, name), "PREPARE TRANSACTION")
		expect(a, "ROLLBACK PREPARED "+name, "ROLLBACK PREPARED")
	}
}

// TestPreparedOutlives holds that nobody but a client ends what a client has prepared, and
// that it survives restarts of all shards.
func TestPreparedOutlives(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until shards look for abandoned transactions")
	}
	w := newWorld(t, 3)
	a := w.connect(w.newRouter(1))
	a.must("CREATE TABLE t (id int PRIMARY KEY, n int)")
	a.must("INSERT INTO t SELECT g, 0 FROM generate_series(1, 30) g")
	a.run("BEGIN; UPDATE t SET n = n + 1; PREPARE TRANSACTION 'x'")
	a.run("BEGIN; UPDATE t SET n = n + 5 WHERE id > 30; PREPARE TRANSACTION 'empty'")
	time.Sleep(7 * time.Second)
	for _, n := range w.nodes {
		n.stop()
		n.start()
	}
	b := w.connect(w.newRouter(2))
	if got := b.must("SELECT count(*) FROM pg_prepared_xacts"); got != "2\n" {
		t.Errorf("%s are prepared", got)
	}
	if got := b.run("SET lock_timeout = 100; UPDATE t SET n = 7 WHERE id = 3"); !strings.Contains(got, "ERROR 55P03") {
		t.Errorf("a row of the prepared transaction: %s", got)
	}
	b.run("COMMIT PREPARED 'x'")
	b.run("ROLLBACK PREPARED 'empty'")
	if got := b.must("SELECT sum(n) FROM t"); got != "30\n" {
		t.Errorf("sum %s", got)
	}
	if got := b.run("COMMIT PREPARED 'x'"); !strings.Contains(got, "ERROR 42704") {
		t.Errorf("a second time: %s", got)
	}
	if got := b.must("UPDATE t SET n = 7; SELECT sum(n) FROM t"); !strings.Contains(got, "210") {
		t.Errorf("afterwards: %s", got)
	}
	if got := b.must("SELECT count(*) FROM pg_prepared_xacts"); got != "0\n" {
		t.Errorf("%s are prepared", got)
	}
}
