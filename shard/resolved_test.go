package shard

import (
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/storage"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/txn"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/wal"
)

// leadAgain takes the lead from a node and gives it back, as a failover and another do.
func leadAgain(t *testing.T, s *Shard) {
	t.Helper()
	s.StepDown()
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestTermOfTransaction leaves a transaction open while its node loses the lead, and its
// locks with it, and leads again: it must not commit over what others did meanwhile.
func TestTermOfTransaction(t *testing.T) {
	s := openSQL(t, vfs.NewMem())
	defer closeShard(t, s.Shard)
	a, b := s.session(), s.session()
	a.run("CREATE TABLE t (id int PRIMARY KEY, b int)")
	a.run("INSERT INTO t VALUES (1, 0)")
	for _, end := range []string{"COMMIT", "PREPARE TRANSACTION 'a'", "UPDATE t SET b = 7 WHERE id = 1"} {
		a.run("BEGIN")
		a.run("UPDATE t SET b = b + 10 WHERE id = 1")
		leadAgain(t, s.Shard)
		b.run("UPDATE t SET b = b + 1 WHERE id = 1")
		if strings.HasPrefix(end, "PREPARE") { // b's is prepared on the same row
			b.run("BEGIN; UPDATE t SET b = b + 0 WHERE id = 1")
			b.run("PREPARE TRANSACTION 'b'")
		}
		a.refused(end, "40001")
		a.try(t.Context(), "ROLLBACK")
		b.try(t.Context(), "COMMIT PREPARED 'b'")
	}
	b.expect("SELECT b FROM t", "3")
	a.run("UPDATE t SET b = 4 WHERE id = 1")
}

// prepareRow prepares a transaction that writes one row.
func prepareRow(t *testing.T, s *Shard, gid, key, value string) {
	t.Helper()
	x := writeRow(t, s, key, value)
	if _, err := s.prepareTx(t.Context(), gid, x); err != nil {
		t.Fatal(err)
	}
}

func writeRow(t *testing.T, s *Shard, key, value string) *Tx {
	t.Helper()
	tx := txn.New(txn.ID(s.txids.Add(1)), s.store(), s.locks, txn.Options{})
	if err := tx.Lock(t.Context(), []byte(key), txn.Update, txn.Block, 0); err != nil {
		t.Fatal(err)
	}
	if err := tx.Put([]byte(key), []byte(value)); err != nil {
		t.Fatal(err)
	}
	e := NewEngine(s, EngineOptions{Alone: true})
	return &Tx{e: e, c: &conn{info: &session.Info{}, session: newSession()}, tx: tx, units: unitSet{}, term: s.termNow()}
}

func value(t *testing.T, r *reading, key string) string {
	t.Helper()
	row, ok, err := txn.View{Snapshot: r.snap}.Get([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return "none"
	}
	return string(row.Value)
}

// TestResolvedMeanwhile begins a statement while a transaction is prepared whose client has
// been answered by the owner; the outcome arrives before the statement reads.
func TestResolvedMeanwhile(t *testing.T) {
	s := openShard(t, vfs.NewMem())
	defer closeShard(t, s)
	const gid = "hx:1:1:2"
	prepareRow(t, s, gid, "xk", "new")
	answered := hlc.Timestamp(uint64(s.clock.Last()) + 5)
	var from start
	r, err := s.read(t.Context(), 0, &from, false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if err := s.ResolvePrepared(t.Context(), gid, twophase.Outcome{State: twophase.Committed, Time: answered}); err != nil {
		t.Fatal(err)
	}
	if got := value(t, r, "xk"); got != "none" {
		t.Errorf("the snapshot shows %q", got)
	}
	if err := r.check(); types.CodeOf(err) != "ZH002" || r.decided != answered {
		t.Errorf("check: %v, decided %v; want ZH002 and %v", err, r.decided, answered)
	}
	// The second run does not begin again for what was prepared after the statement began.
	prepareRow(t, s, "hx:1:2:2", "xl", "later")
	from.floor = r.decided
	again, err := s.read(t.Context(), 0, &from, false)
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	later := hlc.Timestamp(uint64(s.clock.Last()) + 5)
	if err := s.ResolvePrepared(t.Context(), "hx:1:2:2", twophase.Outcome{State: twophase.Committed, Time: later}); err != nil {
		t.Fatal(err)
	}
	if got := value(t, again, "xk") + value(t, again, "xl"); got != "newnone" {
		t.Errorf("the second run shows %q", got)
	}
	if err := again.check(); err != nil {
		t.Errorf("the second run: %v", err)
	}
}

// TestForgottenOutcome lets a scan meet an intent after the transaction was resolved and
// everybody has heard: the decision must still be known.
func TestForgottenOutcome(t *testing.T) {
	s := openShard(t, vfs.NewMem())
	defer closeShard(t, s)
	const gid = "hx:1:1:1"
	prepareRow(t, s, gid, "xk", "new")
	owner := writeRow(t, s, "xo", "new")
	if err := owner.commitAsOwner(t.Context(), &commitOrder{gid: gid, participants: []twophase.ShardID{2}}); err != nil {
		t.Fatal(err)
	}
	r, err := s.read(t.Context(), s.Visible(), &start{}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	it := r.snap.Scan([]byte("xa"), []byte("xz"), false)
	o, err := s.Outcome(t.Context(), gid, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ResolvePrepared(t.Context(), gid, o); err != nil {
		t.Fatal(err)
	}
	s.Heard([]string{gid})
	s.settle()
	if o, _ := s.Outcome(t.Context(), gid, 0); o.State != twophase.Committed {
		t.Errorf("the owner says %v", o)
	}
	if err := s.ForgetDecisions(t.Context(), []string{gid}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for it.Next() {
		got = append(got, string(it.Version().Key)+"="+string(it.Version().Value))
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	if want := "xk=new xo=new"; strings.Join(got, " ") != want {
		t.Errorf("the scan saw %v, want %s", got, want)
	}
}

// TestStandbyForgets replays decisions and their end on a standby.
func TestStandbyForgets(t *testing.T) {
	p := openShard(t, vfs.NewMem())
	defer closeShard(t, p)
	st, err := Open(Options{
		ID: 1, Slots: 16, FS: syncedRoot(t), Dir: "data", SegmentBytes: 1 << 20, CacheBytes: 1 << 20,
		Wall: func() int64 { return time.Now().UnixMilli() }, OnFlush: func(wal.LSN) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer closeShard(t, st)
	for i := range 20 {
		gid := twophase.GID{Incarnation: 1, Seq: uint64(i), Owner: 1}.String()
		d := decision{GID: gid, State: twophase.Committed, Participants: []twophase.ShardID{2}}
		_, err := p.logRecord(t.Context(), wal.TypeDecision, 0, func(ts hlc.Timestamp) ([]byte, error) {
			var b storage.Batch
			b.PutMeta(decisionKey(gid), decisionValue(ts, d))
			d.Batch = b.Encode()
			return d.encode(), p.claimDecision(gid)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.ForgetDecisions(t.Context(), []string{gid}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := p.Log().ReadFrom(0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for r.Pos() < p.Log().End() {
		lsn, raw, err := r.NextBytes(t.Context(), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Log().AppendRaw(lsn, raw); err != nil {
			t.Fatal(err)
		}
	}
	end := st.Log().End()
	if err := st.Log().WaitFlushed(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	st.Advance(end)
	if err := st.waitApplied(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Shard{p, st} {
		s.mu.Lock()
		if n := len(s.mu.decided); n != 0 {
			t.Errorf("%d decisions are kept", n)
		}
		s.mu.Unlock()
	}
}
