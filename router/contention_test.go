package router_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// TestContention updates all rows over several shards while others change them one by one
// through another router, whose commits the first has not heard of: every statement has to
// run again, none may be refused or lost. READ COMMITTED knows no serialization failures.
func TestContention(t *testing.T) {
	w := newWorld(t, 3)
	a, b := w.newRouter(1), w.newRouter(2)
	setup := w.connect(a)
	setup.must("CREATE TABLE t (id int PRIMARY KEY, n int)")
	setup.must("INSERT INTO t SELECT g, 0 FROM generate_series(1, 30) g")
	const wide, narrow = 40, 300
	errs := make(chan string, 2*(wide+narrow))
	try := func(c *client, text string) {
		if out := c.run(text); strings.Contains(out, "ERROR") {
			errs <- text + ": " + out
		}
	}
	var wg sync.WaitGroup
	c := w.connect(a)
	wg.Go(func() {
		for i := range wide {
			if i%2 == 0 {
				try(c, "UPDATE t SET n = n + 1")
			} else {
				try(c, "BEGIN; UPDATE t SET n = n + 1; COMMIT")
			}
		}
	})
	for k := range 3 {
		c := w.connect(b)
		wg.Go(func() {
			for i := range narrow {
				try(c, fmt.Sprintf("UPDATE t SET n = n + 1 WHERE id = %d", (i*7+k)%30+1))
			}
		})
	}
	wg.Wait()
	close(errs)
	for e := range errs {
		t.Error(e)
	}
	want := fmt.Sprintf("%d\n", 30*wide+3*narrow)
	if got := setup.must("SELECT sum(n) FROM t"); got != want {
		t.Errorf("sum %s, want %s", got, want)
	}
	t.Logf("restarts=%d of %d", a.Stats().Restarts, wide)
}

// TestPrepareTravels breaks autocommit writes over several shards in their only flight to
// the shards: what has prepared elsewhere is taken back, and nobody waits for its locks.
func TestPrepareTravels(t *testing.T) {
	w := newWorld(t, 3)
	r := w.newRouter(1)
	c := w.connect(r)
	c.must("CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n < 100))")
	c.must("INSERT INTO t SELECT g, g FROM generate_series(1, 30) g")
	for _, sql := range []string{
		"UPDATE t SET n = n + 70",                                    // too much for one row
		"UPDATE t SET n = 10 / (n - 5)",                              // fails on one shard
		"INSERT INTO t VALUES (101, 1), (102, 1), (7, 1), (103, 1)",  // a duplicate
		"DELETE FROM t WHERE id > 0 RETURNING 1 / (id - 9)",          // fails in its answer
		"UPDATE t SET n = n WHERE id < 20 AND 5 / (id - 13) IS NULL", // fails while it looks
	} {
		if out := c.run(sql); !strings.Contains(out, "ERROR") {
			t.Errorf("%s: %s", sql, out)
		}
		if got := c.must("SELECT count(*), sum(n) FROM t"); got != "30 | 465\n" {
			t.Errorf("after %s: %s", sql, got)
		}
	}
	if got := c.must("UPDATE t SET n = 1; SELECT sum(n) FROM t"); !strings.Contains(got, "30") {
		t.Errorf("a later write: %s", got)
	}
	w.node(2).stop()
	w.node(2).start()
	before := r.Stats().RoundTrips
	c.must("UPDATE t SET n = 2")
	if got := c.must("SELECT sum(n) FROM t"); got != "60\n" {
		t.Errorf("after a restart: %s", got)
	}
	t.Logf("round_trips=%d after a restart", r.Stats().RoundTrips-before)
}

// TestPoolsFull has transactions hold all connections to one shard each and want one to the
// other: none may wait for ever.
func TestPoolsFull(t *testing.T) {
	w := newWorld(t, 2)
	w.connsMax = 2
	r := w.newRouter(1)
	setup := w.connect(r)
	setup.must("CREATE TABLE t (id int PRIMARY KEY, n int)")
	setup.must("INSERT INTO t SELECT g, 0 FROM generate_series(1, 40) g")
	ids := [2][]string{}
	for _, line := range strings.Fields(setup.must("SELECT id::text || ',' || helios_slot % 2 FROM t")) {
		id, shard, _ := strings.Cut(line, ",")
		ids[shard[0]-'0'] = append(ids[shard[0]-'0'], id)
	}
	var ready, done sync.WaitGroup
	ready.Add(4)
	for i := range 4 {
		c := w.connect(r)
		first, second := ids[i%2][i/2], ids[1-i%2][2+i/2]
		done.Go(func() {
			c.must("BEGIN; UPDATE t SET n = 1 WHERE id = " + first)
			ready.Done()
			ready.Wait()
			if out := c.run("UPDATE t SET n = 1 WHERE id = " + second + "; COMMIT"); strings.Contains(out, "ERROR") {
				t.Error(out)
			}
		})
	}
	done.Wait()
	if got := setup.must("SELECT sum(n) FROM t"); got != "8\n" {
		t.Errorf("sum %s", got)
	}
}
