package bench

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// BenchmarkKNN asks for the ten nearest neighbours. Its recall@10 and the shards that one
// query touches stand beside the time: none of the three means anything alone.
func BenchmarkKNN(b *testing.B) {
	v := loadVectors(b)
	for _, shards := range []int{1, 3} {
		for _, target := range []string{"0.9", "0.95", "0.99"} {
			for _, clients := range []int{1, 8} {
				name := fmt.Sprintf("shards=%d/rows=%d/dims=%d/recall_target=%s/clients=%d", shards, len(v.rows), len(v.rows[0]), target, clients)
				b.Run(name, func(b *testing.B) {
					pool := cluster(b, shape{shards: shards}, clients, "helios.recall_target", target)
					loadItems(b, pool, v)
					knn(b, pool, v, clients)
				})
			}
		}
	}
}

func loadItems(b *testing.B, pool *pgxpool.Pool, v vectors) {
	b.Helper()
	freshTable(b, pool, "bench_items", fmt.Sprintf(
		"(id bigint PRIMARY KEY, v vector(%d) NOT NULL) WITH (helios.strategy = 'vector', helios.shard_key = 'v', helios.num_centroids = 64)", len(v.rows[0])))
	copyVectors(b, pool, v)
	run(b, pool, "CALL helios.train('bench_items')")
}

// copyVectors loads the rows by COPY in text, the form that every client has.
func copyVectors(b *testing.B, pool *pgxpool.Pool, v vectors) {
	b.Helper()
	conn, err := pool.Acquire(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Release()
	tag, err := conn.Conn().PgConn().CopyFrom(b.Context(), vectorLines(v.rows), "COPY bench_items (id, v) FROM STDIN")
	if err != nil || tag.RowsAffected() != int64(len(v.rows)) {
		b.Fatalf("%v: %v", tag, err)
	}
}

const knnQuery = "SELECT id FROM bench_items ORDER BY v <-> $1::vector LIMIT 10"

func knn(b *testing.B, pool *pgxpool.Pool, v vectors, clients int) {
	b.Helper()
	queries := make([]string, len(v.queries))
	for i, q := range v.queries {
		queries[i] = literal(q)
	}
	touched := touchedShards(b, pool, queries)
	var asked, found atomic.Int64 // neighbours
	measure(b, clients, func(ctx context.Context, n int) error {
		i := n % len(queries)
		rows, err := pool.Query(ctx, knnQuery, queries[i])
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		if len(ids) != k {
			return fmt.Errorf("query %d: %d rows, want %d", i, len(ids), k)
		}
		asked.Add(k)
		found.Add(int64(recall(ids, v.nearest[i])*k + 0.5))
		return nil
	})
	b.ReportMetric(float64(found.Load())/float64(asked.Load()), "recall@10")
	b.ReportMetric(touched, "shards/query")
}

var shardsTouched = regexp.MustCompile(`shards=(\d+)/\d+`)

// touchedShards asks EXPLAIN how many shards a query goes to, over some of the queries.
func touchedShards(b *testing.B, pool *pgxpool.Pool, queries []string) float64 {
	b.Helper()
	sample := queries[:min(len(queries), 50)]
	total := 0
	for _, q := range sample {
		rows, err := pool.Query(b.Context(), "EXPLAIN SELECT id FROM bench_items ORDER BY v <-> '"+q+"'::vector LIMIT 10")
		if err != nil {
			b.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			b.Fatal(err)
		}
		total += shardsIn(lines)
	}
	return float64(total) / float64(len(sample))
}

// shardsIn finds the widest fan-out in a plan; a plan without any runs on one shard.
func shardsIn(lines []string) int {
	widest := 1
	for _, line := range lines {
		for _, m := range shardsTouched.FindAllStringSubmatch(line, -1) {
			if n, err := strconv.Atoi(m[1]); err == nil {
				widest = max(widest, n)
			}
		}
	}
	return widest
}

func TestShardsIn(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  int
	}{
		{[]string{"Limit", "  ->  Gather (shards=2/3 cells=5/64 (coverage))"}, 2},
		{[]string{"Limit", "  ->  Seq Scan on bench_items"}, 1},
	} {
		if got := shardsIn(c.lines); got != c.want {
			t.Errorf("%v: %d shards, want %d", c.lines, got, c.want)
		}
	}
}
