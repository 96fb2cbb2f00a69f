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

// TestUniqueBesideRemoval holds that an insert of a unique value waits for the transaction
// that takes it from another row, prepared or not, and then goes by how that one ended (T24).
func TestUniqueBesideRemoval(t *testing.T) {
	fs := syncedRoot(t)
	s := openSQL(t, fs)
	defer func() { closeShard(t, s.Shard) }()
	a, b := s.session(), s.session()
	a.run("CREATE TABLE t (id int PRIMARY KEY, b int UNIQUE)")
	for _, remove := range []string{"DELETE FROM t WHERE id = 1", "UPDATE t SET b = 6 WHERE id = 1", "UPDATE t SET b = 6, id = 3 WHERE id = 1"} {
		for _, end := range []string{"COMMIT PREPARED 'a'", "ROLLBACK PREPARED 'a'"} {
			a.run("DELETE FROM t; INSERT INTO t VALUES (1, 5)")
			a.run("BEGIN; " + remove + "; PREPARE TRANSACTION 'a'")
			b.run("SET lock_timeout = 1")
			b.refused("INSERT INTO t VALUES (2, 5)", "55P03")
			b.run("RESET lock_timeout")
			insert := b.start(s, "INSERT INTO t VALUES (2, 5)")
			a.run(end)
			code := ""
			if end[0] == 'R' {
				code = "23505"
			}
			if err := <-insert; err != nil && types.CodeOf(err) != code || err == nil && code != "" {
				t.Errorf("an insert beside %s, %s: %v", remove, end, err)
			}
		}
	}

	a.run("DELETE FROM t; INSERT INTO t VALUES (1, 5)")
	a.run("BEGIN; DELETE FROM t WHERE id = 1; PREPARE TRANSACTION 'a'")
	after := crashed(fs)
	closeShard(t, s.Shard)
	fs, s = after, openSQL(t, after)
	a = s.session()
	a.run("SET lock_timeout = 1")
	a.refused("INSERT INTO t VALUES (2, 5)", "55P03") // its lock is in the log
	a.run("COMMIT PREPARED 'a'")
	a.run("INSERT INTO t VALUES (2, 5)")
}

// TestUpsertBesideRemoval holds that ON CONFLICT waits for a removal of the row that it finds
// by a unique value, without a deadlock.
func TestUpsertBesideRemoval(t *testing.T) {
	s := openSQL(t, syncedRoot(t))
	defer closeShard(t, s.Shard)
	a, b := s.session(), s.session()
	a.run("CREATE TABLE t (id int PRIMARY KEY, b int UNIQUE, n int)")
	for _, c := range []struct{ conflict, end, want string }{
		{"DO UPDATE SET n = t.n + 1", "COMMIT", "2 5 0"},
		{"DO UPDATE SET n = t.n + 1", "ROLLBACK", "1 5 1"},
		{"DO NOTHING", "COMMIT", "2 5 0"},
		{"DO NOTHING", "ROLLBACK", "1 5 0"},
	} {
		a.run("DELETE FROM t; INSERT INTO t VALUES (1, 5, 0)")
		a.run("BEGIN; SELECT FROM t FOR UPDATE")
		if c.conflict == "DO NOTHING" { // it does not need the row
			a.run("DELETE FROM t")
		}
		upsert := b.start(s, "INSERT INTO t VALUES (2, 5, 0) ON CONFLICT (b) "+c.conflict)
		a.run("DELETE FROM t")
		a.run(c.end)
		if err := <-upsert; err != nil {
			t.Errorf("%s beside a delete, %s: %v", c.conflict, c.end, err)
		}
		a.expect("SELECT * FROM t", c.want)
	}
}
