package shard

import (
	"testing"

	"github.com/heliosdb/helios/txn"
)

// TestLeadBehindSavepoint holds that a prepared transaction claims no row whose lock it gave
// back by ROLLBACK TO: another may have prepared a change of it.
func TestLeadBehindSavepoint(t *testing.T) {
	fs := syncedRoot(t)
	s := openSQL(t, fs)
	defer func() { closeShard(t, s.Shard) }()
	a, b := s.session(), s.session()
	a.run("CREATE TABLE t (id int PRIMARY KEY, b int)")
	a.run("INSERT INTO t VALUES (1, 0), (2, 0)")
	a.run("BEGIN; UPDATE t SET b = 1 WHERE id = 2; SAVEPOINT s; UPDATE t SET b = 1 WHERE id = 1; ROLLBACK TO s")
	b.run("BEGIN; UPDATE t SET b = 2 WHERE id = 1")
	a.run("PREPARE TRANSACTION 'a'")
	b.run("PREPARE TRANSACTION 'b'")

	s.StepDown()
	if err := s.Start(t.Context()); err != nil {
		t.Fatalf("lead again: %v", err)
	}
	a = s.session()
	a.run("SET lock_timeout = 1")
	a.refused("UPDATE t SET b = 3 WHERE id = 1", "55P03")
	a.refused("UPDATE t SET b = 3 WHERE id = 2", "55P03")
	a.run("COMMIT PREPARED 'a'")
	a.run("COMMIT PREPARED 'b'")
	a.expect("SELECT b FROM t ORDER BY id", "2|1")
}

// TestLeadWithClashingLocks holds that logs which have one row locked by two prepared
// transactions, as older versions wrote them, do not keep a node from leading.
func TestLeadWithClashingLocks(t *testing.T) {
	s := openSQL(t, syncedRoot(t))
	defer closeShard(t, s.Shard)
	e := NewEngine(s.Shard, EngineOptions{Alone: true})
	for i, gid := range []string{"a", "b"} {
		other := txn.NewLocks(0) // so that nobody sees the clash
		x := &Tx{e: e, tx: txn.New(txn.ID(100+i), s.store(), other, txn.Options{}), units: unitSet{}, term: s.termNow()}
		if err := x.tx.Lock(t.Context(), []byte("xk"), txn.Update, txn.Block, 0); err != nil {
			t.Fatal(err)
		}
		if gid == "b" {
			if err := x.tx.Put([]byte("xk"), []byte("new")); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.prepareTx(t.Context(), gid, x); err != nil {
			t.Fatal(err)
		}
	}
	s.StepDown()
	if err := s.Start(t.Context()); err != nil {
		t.Fatalf("lead again: %v", err)
	}
	if !s.locks.HeldByOther(0, "xk", txn.KeyShare) {
		t.Error("the written row is not locked")
	}
}
