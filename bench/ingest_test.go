package bench

import (
	"fmt"
	"io"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// lines reads as numbered lines made one at a time.
type lines struct {
	n, end int
	line   func(dst []byte, n int) []byte
	rest   []byte
	buf    []byte
}

func (l *lines) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		if l.n == l.end {
			return 0, io.EOF
		}
		l.buf = l.buf[:0]
		for l.n < l.end && len(l.buf) < 32<<10 {
			l.buf = l.line(l.buf, l.n)
			l.n++
		}
		l.rest = l.buf
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// vectorLines are rows of bench_items in COPY's text format.
func vectorLines(rows [][]float32) io.Reader {
	return &lines{end: len(rows), line: func(dst []byte, n int) []byte {
		dst = strconv.AppendInt(dst, int64(n), 10)
		dst = append(append(dst, '\t'), literal(rows[n])...)
		return append(dst, '\n')
	}}
}

// eventLines are rows of about 120 bytes.
func eventLines(from, n int) io.Reader {
	return &lines{n: from, end: from + n, line: func(dst []byte, n int) []byte {
		return fmt.Appendf(dst, "%d\t%d\t2026-01-01 00:00:%02d+00\tan event of the kind that fleets of devices send, number %d\n", n, n%1000, n%60, n)
	}}
}

const eventColumns = "(id bigint PRIMARY KEY, device integer NOT NULL, at timestamptz NOT NULL, payload text NOT NULL)"

func copyEvents(b *testing.B, pool *pgxpool.Pool, from, n int) {
	b.Helper()
	conn, err := pool.Acquire(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Release()
	tag, err := conn.Conn().PgConn().CopyFrom(b.Context(), eventLines(from, n), "COPY bench_events FROM STDIN")
	if err != nil || tag.RowsAffected() != int64(n) {
		b.Fatalf("%v: %v", tag, err)
	}
}

// BenchmarkIngest loads rows by COPY, in pieces that are one transaction each.
func BenchmarkIngest(b *testing.B) {
	for _, shards := range []int{1, 3} {
		for _, batch := range []int{1000, 20_000} {
			b.Run(fmt.Sprintf("shards=%d/batch=%d", shards, batch), func(b *testing.B) {
				pool := cluster(b, shape{shards: shards}, 1)
				freshTable(b, pool, "bench_events", eventColumns)
				loaded := 0
				for b.Loop() {
					copyEvents(b, pool, loaded, batch)
					loaded += batch
				}
				b.ReportMetric(float64(loaded)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}

// BenchmarkIngestVectors loads vectors into a table that is placed by them, trained on the
// first load.
func BenchmarkIngestVectors(b *testing.B) {
	v := loadVectors(b)
	for _, shards := range []int{1, 3} {
		b.Run(fmt.Sprintf("shards=%d/dims=%d", shards, len(v.rows[0])), func(b *testing.B) {
			pool := cluster(b, shape{shards: shards}, 1)
			loadItems(b, pool, v)
			loaded := 0
			for b.Loop() {
				b.StopTimer()
				run(b, pool, "DELETE FROM bench_items")
				b.StartTimer()
				copyVectors(b, pool, v)
				loaded += len(v.rows)
			}
			b.ReportMetric(float64(loaded)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func TestLines(t *testing.T) {
	text, err := io.ReadAll(eventLines(998, 3))
	if err != nil {
		t.Fatal(err)
	}
	want := "998\t998\t2026-01-01 00:00:38+00\tan event of the kind that fleets of devices send, number 998\n" +
		"999\t999\t2026-01-01 00:00:39+00\tan event of the kind that fleets of devices send, number 999\n" +
		"1000\t0\t2026-01-01 00:00:40+00\tan event of the kind that fleets of devices send, number 1000\n"
	if got := string(text); got != want {
		t.Errorf("lines\n%s\nwant\n%s", got, want)
	}
}
