package shard

import (
	"testing"

	"github.com/heliosdb/helios/types"
)

// TestWriterBehindDDL holds that a writer which waited for a change of the schema goes on
// with the new one: it keeps a new unique index, and fills a new index (T22).
func TestWriterBehindDDL(t *testing.T) {
	s := openSQL(t, syncedRoot(t))
	defer closeShard(t, s.Shard)
	a, b := s.session(), s.session()
	a.run("CREATE TABLE t (id int PRIMARY KEY, b int)")
	a.run("INSERT INTO t VALUES (1, 5)")

	a.run("BEGIN; CREATE UNIQUE INDEX ti ON t (b)")
	twin := b.start(s, "INSERT INTO t VALUES (2, 5)")
	a.run("COMMIT")
	if err := <-twin; types.CodeOf(err) != "23505" {
		t.Errorf("a duplicate behind CREATE UNIQUE INDEX: %v", err)
	}

	a.run("BEGIN; CREATE INDEX tj ON t ((b + 1))")
	behind := b.start(s, "INSERT INTO t VALUES (3, 6)")
	a.run("COMMIT")
	if err := <-behind; err != nil {
		t.Errorf("an insert behind CREATE INDEX: %v", err)
	}
	a.expect("SELECT id FROM t WHERE b + 1 = 7", "3")

	b.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
	b.expect("SELECT count(*) FROM t", "2")
	a.run("BEGIN; CREATE INDEX tk ON t ((b + 2))")
	fixed := b.start(s, "UPDATE t SET b = 7 WHERE id = 3")
	a.run("COMMIT")
	if err := <-fixed; types.CodeOf(err) != "40001" {
		t.Errorf("an update of REPEATABLE READ behind CREATE INDEX: %v", err)
	}
	b.run("ROLLBACK")

	a.run("BEGIN; ALTER TABLE t ADD c int; CREATE INDEX tc ON t (c)")
	a.run("INSERT INTO t VALUES (4, 8, 9)") // its own draft is the newest schema
	copied := b.start(s, "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (5, 10, 11)")
	a.run("COMMIT")
	if err := <-copied; err != nil {
		t.Errorf("a statement with a column that came while it waited: %v", err)
	}
	a.expect("SELECT id FROM t WHERE c = 11", "5")

	a.run("CREATE TABLE other (id int)")
	a.run("BEGIN; DROP TABLE t")
	gone := b.start(s, "INSERT INTO t VALUES (6)")
	a.run("COMMIT")
	if err := <-gone; types.CodeOf(err) != "42P01" {
		t.Errorf("an insert behind DROP TABLE: %v", err)
	}
}

// TestCopyBehindDDL holds the same for COPY FROM, whose plan is made for many batches.
func TestCopyBehindDDL(t *testing.T) {
	s := openSQL(t, syncedRoot(t))
	defer closeShard(t, s.Shard)
	a, b := s.session(), s.session()
	a.run("CREATE TABLE t (id int PRIMARY KEY, b int)")
	a.run("BEGIN; CREATE INDEX tb ON t (b)")
	b.copied = "1\t5\n2\t6\n"
	behind := b.start(s, "COPY t FROM STDIN")
	a.run("COMMIT")
	if err := <-behind; err != nil {
		t.Errorf("COPY behind CREATE INDEX: %v", err)
	}
	a.expect("SELECT id FROM t WHERE b = 6", "2")

	a.run("BEGIN; ALTER TABLE t DROP b; CREATE INDEX tc ON t (id)")
	b.copied = "3\t7\n"
	other := b.start(s, "COPY t FROM STDIN")
	a.run("COMMIT")
	if err := <-other; types.CodeOf(err) != "40001" {
		t.Errorf("COPY into a column that is gone: %v", err)
	}
}
