package router_test

import "testing"

func TestSmoke(t *testing.T) {
	w := newWorld(t, 3)
	r := w.newRouter(1)
	c := w.connect(r)
	for _, q := range []string{
		"CREATE TABLE t (id int PRIMARY KEY, name text)",
		"INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four')",
		"SELECT * FROM t WHERE id = 2",
		"SELECT * FROM t ORDER BY id",
		"SELECT count(*), sum(id) FROM t",
		"UPDATE t SET name = name || '!' WHERE id > 2",
		"SELECT name FROM t ORDER BY name",
		"BEGIN; INSERT INTO t VALUES (10, 'x'); INSERT INTO t VALUES (11, 'y'); COMMIT",
		"DELETE FROM t WHERE id = 10",
		"SELECT * FROM t ORDER BY id",
		"INSERT INTO t VALUES (1, 'again')",
		"SELECT relname FROM pg_class WHERE relname = 't'",
	} {
		t.Logf("%s\n%s", q, c.run(q))
	}
}
