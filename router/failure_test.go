package router_test

import (
	"strings"
	"testing"
	"time"

	"github.com/heliosdb/helios/cluster"
)

// spread makes a table with one row on every shard at least.
func spread(t *testing.T, w *world) (*client, *client) {
	r := w.newRouter(1)
	c := w.connect(r)
	c.must("CREATE TABLE t (id int PRIMARY KEY, n int)")
	c.must("INSERT INTO t SELECT g, 0 FROM generate_series(1, 30) g")
	return c, w.connect(r)
}

// TestParticipantLost kills a written shard before it can prepare: the transaction is
// rolled back everywhere, and its locks are gone.
func TestParticipantLost(t *testing.T) {
	w := newWorld(t, 3)
	c, other := spread(t, w)
	c.must("BEGIN; UPDATE t SET n = 1")
	w.node(3).stop()
	if out := c.run("COMMIT"); !strings.Contains(out, "ERROR 40001") {
		t.Fatalf("COMMIT: %s", out)
	}
	w.node(3).start()
	if got := other.must("SELECT sum(n), count(*) FROM t"); got != "0 | 30\n" {
		t.Errorf("after the rollback: %s", got)
	}
	if got := other.must("UPDATE t SET n = 2; SELECT sum(n) FROM t"); !strings.Contains(got, "60") {
		t.Errorf("a later write: %s", got)
	}
}

// TestOwnerLost kills the shard that decides while the others are prepared: the router asks
// its next primary, which has no record and logs the abort; nobody keeps locks.
func TestOwnerLost(t *testing.T) {
	w := newWorld(t, 3)
	c, other := spread(t, w)
	c.must("BEGIN; UPDATE t SET n = 1")
	w.node(1).stop()
	back := time.AfterFunc(300*time.Millisecond, w.node(1).start)
	defer back.Stop()
	if out := c.run("COMMIT"); !strings.Contains(out, "ERROR 40001") {
		t.Fatalf("COMMIT: %s", out)
	}
	if got := other.must("SELECT sum(n), count(*) FROM t"); got != "0 | 30\n" {
		t.Errorf("after the abort: %s", got)
	}
	if got := other.must("UPDATE t SET n = 2; SELECT sum(n) FROM t"); !strings.Contains(got, "60") {
		t.Errorf("a later write: %s", got)
	}
}

// TestRestart restarts a shard under idle connections: reads and autocommit writes go on,
// a transaction that wrote there is lost.
func TestRestart(t *testing.T) {
	w := newWorld(t, 3)
	c, other := spread(t, w)
	c.must("BEGIN; UPDATE t SET n = 7 WHERE id = 1")
	for _, n := range w.nodes {
		n.stop()
		n.start()
	}
	if got := other.must("SELECT sum(n) FROM t"); got != "0\n" {
		t.Errorf("sum after the restart: %s", got)
	}
	if out := c.run("SELECT n FROM t WHERE id = 1"); !strings.Contains(out, "ERROR 40001") {
		t.Errorf("in the lost transaction: %s", out)
	}
	c.run("ROLLBACK")
	if got := c.must("UPDATE t SET n = 1; SELECT sum(n) FROM t"); !strings.Contains(got, "30") {
		t.Errorf("a write after the restart: %s", got)
	}
}

// TestStaleMap gives a slot of an empty table to another shard behind the router's back.
func TestStaleMap(t *testing.T) {
	w := newWorld(t, 2)
	r := w.newRouter(1)
	c := w.connect(r)
	c.must("CREATE TABLE t (id int PRIMARY KEY)")
	c.must("SELECT count(*) FROM t")
	for slot, o := range w.mapNow().Slots {
		if o.Shard != 1 {
			continue
		}
		err := w.change(func(m *cluster.Map) (*cluster.Map, error) {
			return m.WithSlot(slot, cluster.Owner{Shard: 2, Epoch: o.Epoch + 1})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	c.must("INSERT INTO t SELECT g FROM generate_series(1, 50) g")
	if got := c.must("SELECT count(*) FROM t"); got != "50\n" {
		t.Errorf("%s rows, want 50", got)
	}
	if r.Stats().StaleMaps == 0 {
		t.Error("no shard said that the map was stale")
	}
}
