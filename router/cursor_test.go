package router_test

import (
	"context"
	"testing"
)

// TestCursorOverRollbackTo goes back to a savepoint while results that were begun before it
// are open: they go on where they were, also when a statement failed in between.
func TestCursorOverRollbackTo(t *testing.T) {
	w := newWorld(t, 3)
	c := w.connect(w.newRouter(1))
	c.must("CREATE TABLE t (id int PRIMARY KEY)")
	c.must("INSERT INTO t SELECT g FROM generate_series(1, 2000) g")
	c.must("BEGIN; DELETE FROM t WHERE id > 1990; DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id; DECLARE d SCROLL CURSOR FOR SELECT id FROM t ORDER BY id DESC")
	steps := []struct{ sql, want string }{
		{"FETCH 1 FROM c", "1\n"},
		{"FETCH 1 FROM d", "1990\n"},
		{"SAVEPOINT s; DELETE FROM t WHERE id < 100; ROLLBACK TO s; FETCH 1 FROM c", "2\n"},
		{"SAVEPOINT s2; FETCH 1 FROM c", "3\n"},
	}
	for _, x := range steps {
		if got := c.must(x.sql); got != x.want && got != "SAVEPOINT\n"+x.want && got != "SAVEPOINT\nDELETE 99\nROLLBACK\n"+x.want {
			t.Errorf("%s: %q, want %q", x.sql, got, x.want)
		}
	}
	c.run("SELECT 1/0")
	c.run("ROLLBACK TO s2")
	if got := c.must("FETCH 2 FROM c"); got != "4\n5\n" {
		t.Errorf("after a failed statement: %q", got)
	}
	if got := c.must("FETCH 1 FROM d"); got != "1989\n" {
		t.Errorf("the other cursor: %q", got)
	}
	if got := c.must("MOVE FORWARD ALL FROM c; FETCH PRIOR FROM d"); got != "MOVE 1985\n1990\n" {
		t.Errorf("to the end, and back in the other: %q", got)
	}
	c.must("ROLLBACK")
	if got := c.must("SELECT count(*) FROM t"); got != "2000\n" {
		t.Errorf("%s rows", got)
	}
}

// TestPortalOverRollbackTo does the same to a portal of the extended protocol that was
// suspended, as drivers with a fetch size and automatic savepoints do.
func TestPortalOverRollbackTo(t *testing.T) {
	w := newWorld(t, 3)
	c := w.connect(w.newRouter(1))
	ctx := context.Background()
	c.must("CREATE TABLE t (id int PRIMARY KEY)")
	c.must("INSERT INTO t SELECT g FROM generate_series(1, 6) g")
	c.must("BEGIN")
	c.Reset()
	for _, step := range []func() error{
		func() error { return c.s.Parse(ctx, "", "SELECT id FROM t ORDER BY id", nil) },
		func() error { return c.s.Bind(ctx, "p", "", nil, nil, nil) },
		func() error { c.columns, _ = c.s.DescribePortal(ctx, "p"); return c.s.Execute(ctx, "p", 2, false, c) },
		func() error { return c.s.Sync(ctx) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	first := c.String()
	columns := c.columns
	c.must("SAVEPOINT s; ROLLBACK TO s")
	c.Reset()
	c.columns = columns
	if err := c.s.Execute(ctx, "p", 0, false, c); err != nil {
		t.Fatal(err)
	}
	if got, want := first+c.String(), "1\n2\n3\n4\n5\n6\nSELECT 4\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
