package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/heliosdb/helios/wal"
)

// A copy keeps the log from where it was taken until its tail reads it, and what nobody
// comes for is given up.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRetention(time.Now)
		check := func(when string, want wal.LSN) {
			t.Helper()
			if got := r.lowest(1000); got != want {
				t.Errorf("%s: the log is kept from %v on, want %v", when, got, want)
			}
		}
		check("nobody reads", 1000)
		one := r.open("move", 100)
		two := r.open("move", 200)
		base := r.open("base", 300)
		check("two streams of a move", 100)
		one()
		two()
		time.Sleep(retainedAfter)
		check("before the tail begins", 100)
		tail := r.open("move", 100)
		time.Sleep(2 * retainedAfter)
		r.move("move", 700)
		check("a base copy is taken", 300)
		base()
		base()
		time.Sleep(retainedAfter + 1)
		check("the tail has come to 700", 700)
		tail()
		time.Sleep(retainedAfter + 1)
		check("all have ended", 1000)
	})
}

// A primary keeps what a standby has not got, though it is away.
func TestHoldForStandby(t *testing.T) {
	p := newPair(t)
	a := p.start("s1a", first)
	p.start("s1b")
	conn := p.route()
	mustExec(t, conn, "CREATE TABLE t (id int PRIMARY KEY, note text)")
	p.published("s1a", "s1b")
	p.kill("s1b")
	eventually(t, "a write without the standby", func() error {
		_, err := conn.Exec(t.Context(), "INSERT INTO t VALUES (0)")
		return err
	})
	at := a.ha.Standbys()[0].FlushLSN
	for range 20 {
		mustExec(t, conn, "INSERT INTO t SELECT coalesce(max(id), 0) + 1, repeat('x', 1000) FROM t")
	}
	if got := a.hold(); got != at || at == 0 {
		t.Errorf("the log is kept from %v on, the standby has it to %v", got, at)
	}
	p.start("s1b")
	p.published("s1a", "s1b")
	eventually(t, "the standby's flush", func() error {
		mustExec(t, conn, "UPDATE t SET note = '' WHERE id = 0")
		if got := a.hold(); got <= at {
			return errBehind
		}
		return nil
	})
}
