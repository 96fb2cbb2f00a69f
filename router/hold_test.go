package router_test

import (
	"testing"
	"time"
)

// TestHoldSnapshot lets a REPEATABLE READ transaction grow old: the shards hear of its
// snapshot, and of its end.
func TestHoldSnapshot(t *testing.T) {
	w := newWorld(t, 2)
	c := w.connect(w.newRouter(7))
	c.must("CREATE TABLE t (id int PRIMARY KEY)")
	c.must("BEGIN ISOLATION LEVEL REPEATABLE READ")
	c.must("SELECT count(*) FROM t")
	held := func(want int) bool {
		for range 100 {
			n := 0
			for _, node := range w.nodes {
				n += len(node.now().shard.Holds())
			}
			if n == want {
				return true
			}
			time.Sleep(100 * time.Millisecond)
		}
		return false
	}
	if !held(0) {
		t.Error("a young snapshot is held")
	}
	w.ahead.Store(30_000)
	if !held(2) {
		t.Error("an old snapshot is not held on both shards")
	}
	c.must("COMMIT")
	if !held(0) {
		t.Error("a snapshot is held after its end")
	}
}
