package router_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestDeadlockOverShards has transactions of two routers lock rows of two shards in turns:
// one of them ends with 40P01, soon, and the other goes on.
func TestDeadlockOverShards(t *testing.T) {
	w := newWorld(t, 2)
	first := w.connect(w.newRouter(1))
	first.must("CREATE TABLE t (id int PRIMARY KEY, n int)")
	first.must("INSERT INTO t SELECT g, 0 FROM generate_series(1, 20) g")
	ids := [2]string{}
	for _, line := range strings.Fields(first.must("SELECT id::text || ',' || helios_slot % 2 FROM t")) {
		id, shard, _ := strings.Cut(line, ",")
		ids[shard[0]-'0'] = id
	}
	clients := [2]*client{first, w.connect(w.newRouter(2))}
	for i, c := range clients {
		c.must("BEGIN; UPDATE t SET n = n + 1 WHERE id = " + ids[i])
	}
	var wg sync.WaitGroup
	var out [2]string
	start := time.Now()
	for i, c := range clients {
		wg.Go(func() { out[i] = c.run("UPDATE t SET n = n + 1 WHERE id = " + ids[1-i] + "; COMMIT") })
	}
	wg.Wait()
	dead, through := 0, 0
	for _, text := range out {
		switch {
		case strings.Contains(text, "ERROR 40P01: deadlock detected"):
			dead++
		case strings.HasSuffix(text, "COMMIT\n"):
			through++
		}
	}
	if dead != 1 || through != 1 {
		t.Errorf("%q", out)
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("it took %v", d)
	}
	for _, c := range clients {
		c.run("ROLLBACK")
	}
	if got := first.must("SELECT sum(n) FROM t"); got != "2\n" {
		t.Errorf("sum %s", got)
	}
}

// TestWideUpdates changes all rows over several shards from several routers at once, which
// lock them in different orders: each statement succeeds or is a deadlock's victim.
func TestWideUpdates(t *testing.T) {
	w := newWorld(t, 3)
	setup := w.connect(w.newRouter(1))
	setup.must("CREATE TABLE t (id int PRIMARY KEY, n int)")
	setup.must("INSERT INTO t SELECT g, 0 FROM generate_series(1, 30) g")
	var wg sync.WaitGroup
	var mu sync.Mutex
	done, victims := 0, 0
	for k := range 3 {
		c := w.connect(w.newRouter(uint32(k + 2)))
		wg.Go(func() {
			for range 4 {
				out := c.run("UPDATE t SET n = n + 1")
				mu.Lock()
				switch {
				case strings.Contains(out, "ERROR 40P01"):
					victims++
				case strings.Contains(out, "ERROR"):
					t.Error(out)
				default:
					done++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	want := strconv.Itoa(done) + " | " + strconv.Itoa(done) + "\n"
	if got := setup.must("SELECT min(n), max(n) FROM t"); got != want {
		t.Errorf("the rows were changed %swant %s", got, want)
	}
	t.Logf("done=%d victims=%d", done, victims)
}
