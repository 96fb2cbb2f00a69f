package shard

import "testing"

// TestRollbackOfDDL holds that ROLLBACK TO SAVEPOINT takes the transaction's own catalog back:
// the catalog's lock is free again, and what others define meanwhile keeps its numbers.
func TestRollbackOfDDL(t *testing.T) {
	s := openSQL(t, syncedRoot(t))
	defer closeShard(t, s.Shard)
	a, b := s.session(), s.session()
	a.run("BEGIN; CREATE TABLE kept (id int); SAVEPOINT s; CREATE TABLE undone (id int); SAVEPOINT s; CREATE TABLE twice (id int)")
	a.run("ROLLBACK TO s; INSERT INTO undone VALUES (1); RELEASE s; ROLLBACK TO s; INSERT INTO kept VALUES (1)")
	a.refused("SELECT FROM undone", "42P01")
	a.run("ROLLBACK TO s; COMMIT")

	a.run("BEGIN; SAVEPOINT s; CREATE TABLE undone (id int); ROLLBACK TO s")
	b.run("CREATE TABLE b1 (id int); CREATE TABLE b2 (id int)")
	a.refused("SELECT FROM undone", "42P01")
	a.run("ROLLBACK TO s; CREATE TABLE a1 (id int); COMMIT")
	a.expect("SELECT count(*), count(DISTINCT oid) FROM pg_class WHERE relname IN ('kept', 'undone', 'b1', 'b2', 'a1')", "4 4")
	b.run("INSERT INTO b2 VALUES (1)")
	a.expect("SELECT count(*) FROM a1", "0")
}
