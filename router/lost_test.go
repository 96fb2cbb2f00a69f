package router_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestLostAnswer breaks the connection to a shard under a COMMIT, or under a write that
// commits by itself, on its way there or back: the client hears what became of it.
func TestLostAnswer(t *testing.T) {
	for _, x := range []struct {
		name, setup, sql, on string
		deliver              bool
		want                 string
		sum                  int
	}{
		{"COMMIT, answer lost", "BEGIN; UPDATE t SET n = 1 WHERE id = 1", "COMMIT", "COMMIT", true, "COMMIT", 1},
		{"COMMIT lost", "BEGIN; UPDATE t SET n = 1 WHERE id = 1", "COMMIT", "COMMIT", false, "ERROR 40001", 0},
		{"write, answer lost", "", "UPDATE t SET n = 7 WHERE id = 1", "UPDATE", true, "DETAIL: It has committed", 7},
		{"write lost", "", "UPDATE t SET n = 7 WHERE id = 1", "UPDATE", false, "UPDATE 1", 7},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t, 3)
			r := w.newRouter(1)
			c := w.connect(r)
			c.must("CREATE TABLE t (id int PRIMARY KEY, n int)")
			c.must("INSERT INTO t SELECT g, 0 FROM generate_series(1, 30) g")
			c.must("UPDATE t SET n = 0 WHERE id = 1") // the connection has been used before
			c.run(x.setup)
			w.fault.mu.Lock()
			w.fault.text, w.fault.deliver = x.on, x.deliver
			w.fault.mu.Unlock()
			if got := c.run(x.sql); !strings.Contains(got, x.want) {
				t.Errorf("got %s, want %s", got, x.want)
			}
			if got, want := w.connect(r).must("SELECT sum(n) FROM t"), fmt.Sprintf("%d\n", x.sum); got != want {
				t.Errorf("sum %s, want %s", got, want)
			}
		})
	}
}
