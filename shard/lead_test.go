package shard

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/storage"
	"github.com/heliosdb/helios/txn"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/wal"
)

// openReplicated opens a shard whose records are committed by Advance alone, with the
// start of a term in its log.
func openReplicated(t *testing.T, fs vfs.FS) (s *Shard, end wal.LSN) {
	t.Helper()
	s, err := Open(Options{
		ID: 1, Slots: testSlots, FS: fs, Dir: "data", SegmentBytes: 32 << 10, CacheBytes: 1 << 20,
		Wall:    func() int64 { return time.Now().UnixMilli() },
		OnFlush: func(wal.LSN) {},
		Fatal:   func(err error) { t.Errorf("the shard failed: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	end, err = s.log.Append(s.log.LastTerm()+1, wal.TypeTermStart, 0, 0, func(wal.LSN) (uint64, []byte, error) { return 0, nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	return s, end
}

// A node that loses the role while it is getting ready for it does not take it: it waits
// for its log to be applied, steps down, and only then hears that all is committed.
func TestStepDownBeforeLeading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, end := openReplicated(t, syncedRoot(t))
		defer closeShard(t, s)
		s.Permit(1)
		done := make(chan error, 1)
		go func() { done <- s.Lead(t.Context(), 1) }()
		synctest.Wait()
		s.StepDown()
		s.Advance(end)
		if err := <-done; types.CodeOf(err) != "57P03" {
			t.Errorf("Lead gave %v, want 57P03", err)
		}
		if term, leading := s.Leading(); leading {
			t.Errorf("it leads term %d after it has stepped down", term)
		}
		err := s.locks.Acquire(t.Context(), 1, "k", txn.Update, txn.NoWait, 0)
		if types.CodeOf(err) != "57P03" {
			t.Errorf("a lock of a node that does not lead: %v, want 57P03", err)
		}
		s.Permit(3)
		if err := s.Lead(t.Context(), 2); types.CodeOf(err) != "57P03" {
			t.Errorf("Lead in another term than the permitted one gave %v, want 57P03", err)
		}
	})
}

// When only the clock's ceiling is missing the node leads already: Lead is called again,
// and the transactions that are open by then keep their locks.
func TestLeadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, end := openReplicated(t, syncedRoot(t))
		defer closeShard(t, s)
		s.Permit(1)
		s.Advance(end)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Lead(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("the first record of the term is not committed, Lead gave %v", err)
		}
		if _, leading := s.Leading(); !leading {
			t.Fatal("it does not lead")
		}
		if err := s.locks.Acquire(t.Context(), 7, "row", txn.Update, txn.NoWait, 0); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- s.Lead(t.Context(), 1) }()
		synctest.Wait()
		s.Advance(s.log.End())
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if err := s.locks.Acquire(t.Context(), 8, "row", txn.Update, txn.NoWait, 0); types.CodeOf(err) != "55P03" {
			t.Errorf("the lock of an open transaction is gone: %v", err)
		}
	})
}

// A standby removes what its primary removed, but nothing that it reads itself, and lets
// go of the log that a restart does not need.
func TestStandbyCleansUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, end := openReplicated(t, syncedRoot(t))
		defer closeShard(t, s)
		key, value := []byte{rowPrefix, 'k'}, make([]byte, 1000)
		var times []hlc.Timestamp
		for i := range 100 {
			var b storage.Batch
			b.Put(key, value)
			times = append(times, hlc.At(int64(i+1)*1000, 0))
			var err error
			end, err = s.log.Append(1, wal.TypeTxn, 0, 0, func(wal.LSN) (uint64, []byte, error) { return uint64(times[i]), b.Encode(), nil })
			if err != nil {
				t.Fatal(err)
			}
		}
		s.Advance(end)
		if err := s.waitApplied(t.Context(), end); err != nil {
			t.Fatal(err)
		}
		if err := s.store().Flush(); err != nil {
			t.Fatal(err)
		}
		reads := func(at hlc.Timestamp) error {
			sn := s.store().Snapshot(at, skipIntents)
			defer sn.Close()
			_, _, err := sn.Get(key)
			return sqlError(err)
		}
		held := s.store().Snapshot(times[20], skipIntents)
		s.SetClosed(times[99], end, times[50])
		time.Sleep(collectEvery + 2*time.Second)
		if got := s.store().Horizon(); got != times[20] {
			t.Errorf("with an open snapshot the horizon is %v, want %v", got, times[20])
		}
		held.Close()
		time.Sleep(collectEvery + 2*time.Second)
		if got := s.store().Horizon(); got != times[50] {
			t.Errorf("the horizon is %v, want the primary's, %v", got, times[50])
		}
		if err := reads(times[49]); types.CodeOf(err) != "72000" {
			t.Errorf("a read below the horizon gave %v, want 72000", err)
		}
		if err := reads(times[50]); err != nil {
			t.Errorf("a read at the horizon: %v", err)
		}
		if start := s.log.Start(); start == 0 {
			t.Errorf("all of the log to %v is kept", end)
		}
		s.SetClosed(times[99], end, hlc.At(1e6, 0)) // ahead of what is applied here
		time.Sleep(collectEvery + 2*time.Second)
		if got := s.store().Horizon(); got != times[99] {
			t.Errorf("the horizon is %v, above what is applied, %v", got, times[99])
		}
	})
}

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
