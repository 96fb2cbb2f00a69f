package router_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/heliosdb/helios/cluster"
)

// TestAgainOnce loses the connection to one shard under a statement of a transaction that
// has written elsewhere before: when the statement runs again, nothing happens twice.
func TestAgainOnce(t *testing.T) {
	for _, x := range []struct{ begin, sql, look, want, lost string }{
		{"BEGIN", "INSERT INTO log VALUES (1,1),(2,1),(3,1),(4,1),(5,1),(6,1),(7,1),(8,1),(9,1),(10,1)", "SELECT count(*) FROM log", "11\n", "0\n"},
		{"BEGIN ISOLATION LEVEL REPEATABLE READ", "UPDATE log SET v = v + 1", "SELECT min(v), max(v) FROM log", "1 | 1\n", "0 | 0\n"},
		{"BEGIN", "UPDATE log SET v = v + 1", "SELECT min(v), max(v) FROM log", "1 | 1\n", "0 | 0\n"},
	} {
		for _, deliver := range []bool{false, true} {
			w := newWorld(t, 2)
			c := w.connect(w.newRouter(1))
			c.must("CREATE TABLE log (k int, v int) WITH (helios.shard_key = 'k')")
			if strings.HasPrefix(x.sql, "UPDATE") {
				c.must("INSERT INTO log SELECT g, 0 FROM generate_series(1, 10) g")
			}
			c.must(x.begin + "; INSERT INTO log VALUES (1, 0)")
			w.fault.mu.Lock()
			w.fault.text, w.fault.deliver = strings.Fields(x.sql)[0], deliver
			w.fault.mu.Unlock()
			out := c.run(x.sql)
			want := x.want
			if strings.Contains(out, "ERROR 40001") {
				want = x.lost
			} else {
				c.must("COMMIT")
			}
			c.run("ROLLBACK")
			if got := c.must(x.look); got != want {
				t.Errorf("%s; %s (deliver=%v): %sthen %swant %s", x.begin, x.sql, deliver, out, got, want)
			}
		}
	}
}

// TestMapChangesUnderTransaction gives other slots away while transactions are open: they
// go on, whether they have read or written before.
func TestMapChangesUnderTransaction(t *testing.T) {
	w := newWorld(t, 2)
	c := w.connect(w.newRouter(1))
	c.must("CREATE TABLE t (id int PRIMARY KEY, n int)")
	c.must("INSERT INTO t VALUES (1, 0), (2, 0), (3, 0), (4, 0)")
	used := map[string]bool{}
	for _, slot := range strings.Fields(c.must("SELECT helios_slot FROM t")) {
		used[slot] = true
	}
	give := func() {
		t.Helper()
		for slot := range 64 {
			name := fmt.Sprint(slot)
			if used[name] {
				continue
			}
			used[name] = true
			err := w.change(func(m *cluster.Map) (*cluster.Map, error) {
				o := m.Slots[slot]
				return m.WithSlot(slot, cluster.Owner{Shard: 3 - o.Shard, Epoch: o.Epoch + 1})
			})
			if err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	for _, level := range []string{"READ COMMITTED", "REPEATABLE READ"} {
		c.must("BEGIN ISOLATION LEVEL " + level)
		c.must("UPDATE t SET n = n + 1 WHERE id = 1")
		give()
		c.must("UPDATE t SET n = n + 1 WHERE id = 1")
		give()
		c.must("SELECT n FROM t WHERE id = 1")
		give()
		c.must("UPDATE t SET n = n + 1")
		give()
		c.must("INSERT INTO t VALUES (1001, 0), (1002, 0), (1003, 0), (1004, 0)")
		c.must("DELETE FROM t WHERE id > 1000")
		c.must("COMMIT")
	}
	if got, want := c.must("SELECT sum(n) FROM t"), "12\n"; got != want {
		t.Errorf("sum %s, want %s", got, want)
	}
}
