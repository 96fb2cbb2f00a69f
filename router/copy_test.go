package router_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestFailedCopy ends a COPY by a bad line after rows have been handed over, fewer than go
// out at once: none of them is there afterwards.
func TestFailedCopy(t *testing.T) {
	for _, shards := range []int{1, 3} {
		w := newWorld(t, shards)
		c := w.connect(w.newRouter(1))
		c.must("CREATE TABLE t (id int PRIMARY KEY, pad text)")
		var lines strings.Builder
		for i := range 100 {
			fmt.Fprintf(&lines, "%d\t%s\n", i, strings.Repeat("x", 50_000))
		}
		c.copy = lines.String() + "no number\tx\n"
		if out := c.run("COPY t FROM STDIN"); !strings.Contains(out, "ERROR 22P02") {
			t.Errorf("COPY: %.100s", out)
		}
		if got := c.must("SELECT count(*) FROM t"); got != "0\n" {
			t.Errorf("%d shards: %s rows stay", shards, got)
		}
		c.copy = lines.String()
		c.must("COPY t FROM STDIN")
		if got := c.must("SELECT count(*) FROM t"); got != "100\n" {
			t.Errorf("%d shards: %s rows, want 100", shards, got)
		}
	}
}
