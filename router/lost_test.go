package router_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
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
		{"insert, answer lost, row known", "", "INSERT INTO t VALUES (1001, 5) RETURNING id, n", "INSERT", true, "1001 | 5", 5},
		{"insert lost", "", "INSERT INTO t VALUES (1001, 5)", "INSERT", false, "INSERT 0 1", 5},
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

// TestCancelledWrite cancels writes that commit by themselves at any moment: whoever hears
// 57014 knows that nothing happened.
func TestCancelledWrite(t *testing.T) {
	w := newWorld(t, 2)
	c := w.connect(w.newRouter(1))
	c.must("CREATE TABLE t (id int PRIMARY KEY, n int)")
	c.must("INSERT INTO t VALUES (1, 0)")
	done, unknown := 0, 0
	for i := range 300 {
		var cancel sync.WaitGroup
		cancel.Go(func() {
			time.Sleep(time.Duration(i%60) * 20 * time.Microsecond)
			c.s.Cancel()
		})
		out := c.run("UPDATE t SET n = n + 1 WHERE id = 1")
		cancel.Wait()
		switch {
		case strings.Contains(out, "ERROR 40003"):
			unknown++
		case !strings.Contains(out, "ERROR"):
			done++
		}
	}
	time.Sleep(100 * time.Millisecond) // what is unknown may still be under way
	var n int
	fmt.Sscan(c.must("SELECT n FROM t"), &n)
	if n < done || n > done+unknown {
		t.Errorf("%d writes succeeded and %d are unknown, but n = %d", done, unknown, n)
	}
	t.Logf("done=%d unknown=%d n=%d", done, unknown, n)
}

// TestForgottenTooEarly loses the answer of the owner's commit and then the owner itself,
// for longer than the router asks: the decision must be there when the owner is.
func TestForgottenTooEarly(t *testing.T) {
	w := newWorld(t, 2)
	w.limits.Decide = time.Second
	r := w.newRouter(1)
	c := w.connect(r)
	c.must("CREATE TABLE t (id int PRIMARY KEY, n int)")
	w.fault.mu.Lock()
	w.fault.text, w.fault.deliver = "helios.commit", true
	w.fault.then = func() { w.node(1).refuse.Store(true) }
	w.fault.mu.Unlock()
	out := c.run("INSERT INTO t SELECT g, 1 FROM generate_series(1, 100) g")
	if !strings.Contains(out, "ERROR 40003") {
		t.Errorf("got %s", out)
	}
	w.node(1).refuse.Store(false)
	time.Sleep(2 * time.Second) // the router has told owners what may be forgotten
	for range 50 {
		if got := w.connect(r).must("SELECT count(*) FROM t"); got == "100\n" {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Errorf("count(*) = %s", w.connect(r).must("SELECT count(*) FROM t"))
}
