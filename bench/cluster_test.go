package bench

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"gonum.org/v1/gonum/stat"
)

// shape is what a benchmark asks of a cluster.
type shape struct {
	shards int
	sync   string // commit rule: async, semi-sync or sync; empty for any
}

// cluster gives connections to a cluster of the wanted shape; all goes with the benchmark.
func cluster(b *testing.B, s shape, clients int, settings ...string) *pgxpool.Pool {
	b.Helper()
	pool, _ := briefCluster(b, s, clients, settings...)
	return pool
}

// briefCluster is cluster with a function that ends it before the benchmark does, if it
// was started here.
func briefCluster(b *testing.B, s shape, clients int, settings ...string) (pool *pgxpool.Pool, stop func()) {
	b.Helper()
	stop = func() {}
	url := os.Getenv("HELIOS_BENCH_URL")
	running := url != ""
	if !running {
		url, stop = start(b, s)
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = int32(max(2, clients+1))
	for i := 0; i+1 < len(settings); i += 2 {
		config.ConnConfig.RuntimeParams[settings[i]] = settings[i+1]
	}
	pool, err = pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	if running {
		skipUnlike(b, pool, s)
	}
	return pool, stop
}

// skipUnlike skips a benchmark if the cluster that runs is not of its shape. What has no
// views of Helios is PostgreSQL: one shard, of any sync mode.
func skipUnlike(b *testing.B, pool *pgxpool.Pool, s shape) {
	b.Helper()
	var shards int
	err := pool.QueryRow(b.Context(), "SELECT count(*) FROM helios.shards WHERE slots > 0").Scan(&shards)
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && (refused.Code == "42P01" || refused.Code == "3F000"):
		if s.shards != 1 {
			b.Skip("the server is one PostgreSQL")
		}
		return
	case err != nil:
		b.Fatal(err)
	}
	if max(1, shards) != s.shards {
		b.Skipf("the cluster has %d shards, not %d", shards, s.shards)
	}
	if s.sync == "" {
		return
	}
	var unlike int
	if err := pool.QueryRow(b.Context(), "SELECT count(*) FROM pg_replication_status WHERE role = 'primary' AND sync_mode <> $1", s.sync).Scan(&unlike); err != nil {
		b.Fatal(err)
	}
	if unlike > 0 {
		b.Skipf("the primaries' commit rule is not %s", s.sync)
	}
}

// run runs statements one by one.
func run(b *testing.B, pool *pgxpool.Pool, statements ...string) {
	b.Helper()
	for _, s := range statements {
		if _, err := pool.Exec(b.Context(), s); err != nil {
			b.Fatalf("%s: %v", s, err)
		}
	}
}

// freshTable makes a table for one benchmark and drops it afterwards.
func freshTable(b *testing.B, pool *pgxpool.Pool, name, definition string) {
	b.Helper()
	run(b, pool, "DROP TABLE IF EXISTS "+name, "CREATE TABLE "+name+" "+definition)
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := pool.Exec(ctx, "DROP TABLE IF EXISTS "+name); err != nil {
			b.Log(err)
		}
	})
}

// measure lets clients do numbered pieces of work, one at a time each, and reports the
// latencies' median and 99th percentile beside Go's ns/op, which is the inverse of the
// throughput of all clients together.
func measure(b *testing.B, clients int, work func(ctx context.Context, n int) error) {
	b.Helper()
	numbers, took := make(chan int), make([][]float64, clients)
	failed := make(chan error, clients)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var workers sync.WaitGroup
	for i := range clients {
		workers.Go(func() {
			for n := range numbers {
				began := time.Now()
				if err := work(ctx, n); err != nil {
					failed <- err
					cancel()
					return
				}
				took[i] = append(took[i], time.Since(began).Seconds()*1e3)
			}
		})
	}
	n := 0
	for b.Loop() {
		select {
		case numbers <- n:
			n++
		case <-ctx.Done():
			b.Fatal(<-failed)
		}
	}
	close(numbers)
	workers.Wait()
	select {
	case err := <-failed:
		b.Fatal(err)
	default:
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	b.ReportMetric(stat.Quantile(0.5, stat.Empirical, all, nil), "p50-ms")
	b.ReportMetric(stat.Quantile(0.99, stat.Empirical, all, nil), "p99-ms")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "ops/s")
}
