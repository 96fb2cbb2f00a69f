package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// BenchmarkReshard adds a shard to a loaded cluster while a client reads and writes, and
// takes no error for an answer. Every run is of a new cluster; one that runs already can be
// grown only once, so there it wants -benchtime 1x.
func BenchmarkReshard(b *testing.B) {
	const rows = 200_000
	for _, streams := range []int{1, 4} {
		b.Run(fmt.Sprintf("shards=2/target=3/rows=%d/parallel_streams=%d", rows, streams), func(b *testing.B) {
			var copied, bytes, pause int64
			served := int64(0)
			for b.Loop() {
				b.StopTimer()
				pool, end := briefCluster(b, shape{shards: 2}, 4)
				run(b, pool, "DROP TABLE IF EXISTS bench_events", "CREATE TABLE bench_events "+eventColumns)
				copyEvents(b, pool, 0, rows)
				stop := foreground(b, pool, rows, &served)
				b.StartTimer()
				run(b, pool, fmt.Sprintf("CALL helios.reshard(target_shards => 3, parallel_streams => %d)", streams))
				job := waitReshard(b, pool)
				b.StopTimer()
				stop()
				checkEvents(b, pool, rows)
				copied, bytes, pause = copied+job.rows, bytes+job.bytes, max(pause, job.pause)
				run(b, pool, "DROP TABLE bench_events")
				end()
				b.StartTimer()
			}
			b.ReportMetric(float64(copied)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(bytes)/b.Elapsed().Seconds()/1e6, "MB/s")
			b.ReportMetric(float64(pause), "max-pause-ms")
			b.ReportMetric(float64(served)/b.Elapsed().Seconds(), "foreground-ops/s")
		})
	}
}

// foreground updates rows until the function it gives is called.
func foreground(b *testing.B, pool *pgxpool.Pool, rows int, served *int64) (stop func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var failed atomic.Pointer[error]
	var work sync.WaitGroup
	work.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			_, err := pool.Exec(ctx, "UPDATE bench_events SET device = device + 1 WHERE id = $1", n*7919%rows)
			if err != nil && ctx.Err() == nil {
				failed.Store(&err)
				return
			}
			*served++
		}
	})
	return func() {
		cancel()
		work.Wait()
		if err := failed.Load(); err != nil {
			b.Errorf("a client met an error during the reshard: %v", *err)
		}
	}
}

// reshardResult is what the newest job did; pause is the longest of its moves.
type reshardResult struct {
	state, failure     string
	rows, bytes, pause int64
}

// waitReshard waits for the end of the newest job.
func waitReshard(b *testing.B, pool *pgxpool.Pool) (r reshardResult) {
	b.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(10 * time.Minute)
	for {
		var id int64
		err := pool.QueryRow(b.Context(), `SELECT id, state, rows_copied, bytes_copied, coalesce(error, '')
			FROM helios.reshard_jobs ORDER BY id DESC LIMIT 1`).Scan(&id, &r.state, &r.rows, &r.bytes, &r.failure)
		if err != nil {
			b.Fatal(err)
		}
		switch {
		case r.state == "aborted":
			b.Fatalf("reshard job %d was aborted: %s", id, r.failure)
		case r.state == "done":
			if err := pool.QueryRow(b.Context(), "SELECT coalesce(max(pause_ms), 0) FROM helios.reshard_moves WHERE job = $1", id).Scan(&r.pause); err != nil {
				b.Fatal(err)
			}
			return r
		case time.Now().After(deadline):
			b.Fatalf("reshard job %d is still %s after ten minutes", id, r.state)
		}
		<-tick.C
	}
}

// checkEvents: each row is there exactly once.
func checkEvents(b *testing.B, pool *pgxpool.Pool, rows int64) {
	b.Helper()
	var count, sum int64
	if err := pool.QueryRow(b.Context(), "SELECT count(*), sum(id)::bigint FROM bench_events").Scan(&count, &sum); err != nil {
		b.Fatal(err)
	}
	if want := rows * (rows - 1) / 2; count != rows || sum != want {
		b.Fatalf("%d rows whose ids add up to %d, want %d and %d", count, sum, rows, want)
	}
}
