package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// BenchmarkStream loads rows and waits until every standby has applied all of the log: the
// rate at which the log travels and is replayed.
func BenchmarkStream(b *testing.B) {
	for _, mode := range []string{"async", "semi-sync"} {
		b.Run(fmt.Sprintf("shards=1/sync=%s", mode), func(b *testing.B) {
			pool := cluster(b, shape{shards: 1, sync: mode}, 1)
			freshTable(b, pool, "bench_events", eventColumns)
			waitApplied(b, pool, primaryEnd(b, pool))
			const batch = 20_000
			before, loaded := primaryEnd(b, pool), 0
			var end int64
			for b.Loop() {
				copyEvents(b, pool, loaded, batch)
				loaded += batch
				end = primaryEnd(b, pool)
				waitApplied(b, pool, end)
			}
			b.ReportMetric(float64(end-before)/b.Elapsed().Seconds()/1e6, "MB/s")
			b.ReportMetric(float64(loaded)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func primaryEnd(b *testing.B, pool *pgxpool.Pool) (end int64) {
	b.Helper()
	if err := pool.QueryRow(b.Context(), "SELECT max(current_lsn) FROM pg_replication_status WHERE role = 'primary'").Scan(&end); err != nil {
		b.Fatal(err)
	}
	return end
}

// waitApplied waits until every connected standby has applied the log up to end. It asks
// every millisecond at most, which bounds its error.
func waitApplied(b *testing.B, pool *pgxpool.Pool, end int64) {
	b.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(time.Minute)
	for {
		var connected, behind int
		err := pool.QueryRow(b.Context(), `SELECT count(*), count(*) FILTER (WHERE apply_lsn < $1)
			FROM pg_replication_standbys WHERE state <> 'disconnected'`, end).Scan(&connected, &behind)
		switch {
		case err != nil:
			b.Fatal(err)
		case connected == 0:
			b.Skip("no standby is connected")
		case behind == 0:
			return
		case time.Now().After(deadline):
			b.Fatalf("%d of %d standbys have not applied the log up to %d within a minute", behind, connected, end)
		}
		<-tick.C
	}
}
