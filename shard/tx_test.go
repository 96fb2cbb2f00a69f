package shard

import "testing"

// TestFailedReadClosesItsIterators holds that a statement which fails among the rows that are
// read ahead leaves nothing open: the store closes without complaint.
func TestFailedReadClosesItsIterators(t *testing.T) {
	s := openSQL(t, syncedRoot(t))
	a := s.session()
	a.run("CREATE TABLE t (id int PRIMARY KEY, b int)")
	a.run("INSERT INTO t SELECT g, g FROM generate_series(1, 1000) g")
	a.refused("SELECT 1 / (b - 3) FROM t", "22012")
	a.refused("SELECT 1 / (b - 3) FROM t, generate_series(1, 2)", "22012")
	a.refused("SELECT (SELECT 1 / (b - 3) FROM t u WHERE u.id = t.id) FROM t", "22012")
	a.refused("SELECT b FROM t UNION ALL SELECT 1 / (b - 3) FROM t", "22012")
	a.refused("SELECT b FROM t ORDER BY 1 / (b - 3)", "22012")
	a.refused("SELECT 1 / (b - 999) FROM t FOR UPDATE", "22012")
	a.refused("UPDATE t SET b = 1 / (b - 3)", "22012")
	a.refused("DELETE FROM t WHERE 1 / (b - 3) = 1", "22012")
	a.run("BEGIN; DECLARE c CURSOR FOR SELECT b FROM t; FETCH 1 FROM c")
	a.Close()
	if n := s.store().Stats().OpenSnapshots; n != 0 {
		t.Errorf("%d snapshots are open", n)
	}
	closeShard(t, s.Shard)
}
