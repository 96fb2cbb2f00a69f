//go:build e2e

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestTransfers moves money over shards and wants the same sum in every snapshot.
func TestTransfers(t *testing.T) {
	c := start(t)
	conn := connect(t, c.url)
	b := newBank(t, conn, 60)
	moves, reads := newLoad(t), newLoad(t)
	began := time.Now()
	for range 8 {
		moves.client(c.url, b.transfer)
	}
	for range 2 {
		reads.client(c.url, b.sum)
	}
	time.Sleep(8 * time.Second)
	moves.stop()
	reads.stop()
	seconds := time.Since(began).Seconds()
	moves.check()
	reads.check()
	b.audit(t, conn)
	if moves.done.Load() < 100 || reads.done.Load() < 20 {
		t.Errorf("only %d transfers and %d sums", moves.done.Load(), reads.done.Load())
	}
	t.Logf("transfers=%d per_second=%.0f %s; sums=%d per_second=%.0f %s", moves.done.Load(), float64(moves.done.Load())/seconds,
		moves.failures(), reads.done.Load(), float64(reads.done.Load())/seconds, reads.failures())
}

// undecidedLimit is how long a dead router may leave a prepared transaction undecided.
const undecidedLimit = 10 * time.Second

// TestCoordinatorKilled kills the router in the middle of commits over shards, until a kill
// left prepared transactions behind; each time all of them must be decided soon.
func TestCoordinatorKilled(t *testing.T) {
	c := start(t)
	b := newBank(t, connect(t, c.url), 60)
	left, rounds := 0, 0
	var slowest time.Duration
	for left == 0 && rounds < 8 {
		rounds++
		l := newLoad(t)
		for range 8 {
			l.client(c.url, b.transfer)
		}
		eventually(t, 30*time.Second, "transfers", func() (bool, string) { return l.done.Load() > 100, "too few" })
		c.do("kill", "router")
		stopped := make(chan struct{})
		go func() { l.stop(); close(stopped) }()
		shards := make([]*pgx.Conn, 3)
		for i := range shards {
			shards[i] = connect(t, c.nodeURL(i+1, "a"))
		}
		prepared := func() (n int) {
			for _, shard := range shards {
				n += value[int](t, shard, "SELECT count(*) FROM pg_prepared_xacts")
			}
			return n
		}
		left += prepared()
		took := eventually(t, undecidedLimit, "decided transactions", func() (bool, string) {
			n := prepared()
			return n == 0, itoa(n) + " are prepared"
		})
		slowest = max(slowest, took)
		<-stopped
		c.do("start", "router")
		eventually(t, 30*time.Second, "the router", func() (bool, string) {
			conn, err := pgx.Connect(t.Context(), c.url)
			if err != nil {
				return false, err.Error()
			}
			return true, errorText(conn.Close(context.Background()))
		})
		b.audit(t, connect(t, c.url))
	}
	if left == 0 {
		t.Errorf("%d killed routers left nothing prepared: the test does not reach what it is about", rounds)
	}
	t.Logf("kills=%d left_prepared=%d decided_after_ms=%d transfers=%d", rounds, left, slowest.Milliseconds(), b.moved.count())
}
