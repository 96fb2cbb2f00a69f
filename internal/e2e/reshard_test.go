//go:build e2e

package e2e

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// checksum is the MD5 of a query's rows in COPY's text form.
func checksum(t testing.TB, conn *pgx.Conn, query string) string {
	t.Helper()
	sum := md5.New()
	tag, err := conn.PgConn().CopyTo(t.Context(), sum, "COPY ("+query+") TO STDOUT")
	if err != nil {
		t.Fatalf("COPY (%s): %v", query, err)
	}
	return fmt.Sprintf("%d rows, %s", tag.RowsAffected(), hex.EncodeToString(sum.Sum(nil)))
}

// TestReshard grows a cluster from three shards to four while clients write and read: no
// statement fails, no row changes or is lost, and slots and cells end balanced.
func TestReshard(t *testing.T) {
	const fixedRows, places, dims = 20_000, 6_000, 16
	c := start(t)
	conn := connect(t, c.url)
	mustExec(t, conn, "CREATE TABLE fixed (id bigint PRIMARY KEY, word text, price numeric(10,2), made timestamptz)")
	mustExec(t, conn, fmt.Sprintf(`INSERT INTO fixed SELECT i, 'word ' || i, i / 7.0, timestamptz '2026-01-01' + i * interval '1 minute'
		FROM generate_series(1, %d) i`, fixedRows))
	mustExec(t, conn, fmt.Sprintf(`CREATE TABLE places (id bigint PRIMARY KEY, embedding vector(%d))
		WITH (helios.strategy = 'vector', helios.shard_key = 'embedding')`, dims))
	set := clustered(places, 20, dims)
	copyVectors(t, c.url, "places", set.base)
	mustExec(t, conn, "CALL helios.train('places')", pgx.QueryExecModeSimpleProtocol)
	mustExec(t, conn, "CREATE TABLE live (id bigint PRIMARY KEY, note text)")
	b := newBank(t, conn, 60)
	const allFixed, allPlaces = "SELECT * FROM fixed ORDER BY id", "SELECT * FROM places ORDER BY id"
	firstValues := drawSequences(t, conn)
	before := [2]string{checksum(t, conn, allFixed), checksum(t, conn, allPlaces)}

	var live ids
	writes, transfers, reads := newLoad(t), newLoad(t), newLoad(t)
	for range 2 {
		writes.client(c.url, func(ctx context.Context, conn *pgx.Conn) error {
			id := live.next.Add(1)
			_, err := conn.Exec(ctx, "INSERT INTO live VALUES ($1, $2)", id, fmt.Sprint("row ", id))
			if err == nil {
				live.ack(id)
			}
			return err
		})
		transfers.client(c.url, b.transfer)
	}
	reads.client(c.url, b.sum)
	reads.client(c.url, func(ctx context.Context, conn *pgx.Conn) error { return readFixed(ctx, conn, fixedRows) })
	reads.client(c.url, func(ctx context.Context, conn *pgx.Conn) error { return readNearest(ctx, conn, set) })
	eventually(t, 30*time.Second, "writes", func() (bool, string) { return writes.done.Load() > 200 && reads.done.Load() > 200, "too few" })
	reads.check()

	c.do("add", "4")
	began := time.Now()
	out := reshardTo(t, c, 4)
	took := time.Since(began)
	time.Sleep(time.Second)
	for _, l := range []*load{writes, transfers, reads} {
		l.stop()
	}
	writes.check()
	reads.check()
	transfers.check("40001") // a transaction that is open for longer than a pause may have to run again

	after := [2]string{checksum(t, conn, allFixed), checksum(t, conn, allPlaces)}
	if after != before {
		t.Errorf("the rows were %v, and are %v", before, after)
	}
	if lost := live.missing(t, conn, "live"); len(lost) > 0 {
		t.Errorf("%d of %d acknowledged rows are lost, such as %d", len(lost), live.count(), lost[0])
	}
	for i, v := range drawSequences(t, conn) {
		if v <= firstValues[i] {
			t.Errorf("sequence %d gave %d, and then %d again", i, firstValues[i], v)
		}
	}
	b.audit(t, conn)
	balanced(t, conn, "slots", "SELECT slots::bigint FROM helios.shards ORDER BY shard", 1)
	balancedCells(t, c, places)
	onTheirOwn(t, c, fixedRows)
	pause := value[int64](t, conn, "SELECT coalesce(max(pause_ms), 0) FROM helios.reshard_moves")
	t.Logf("seconds=%.1f longest_pause_ms=%d writes=%d %s; transfers=%d %s; reads=%d %s\n%s", took.Seconds(), pause, writes.done.Load(), writes.failures(),
		transfers.done.Load(), transfers.failures(), reads.done.Load(), reads.failures(), lastLine(out))
}

// reshardTo runs the operator's command to its end.
func reshardTo(t *testing.T, c *cluster, shards int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, helios, "reshard", "start", "--shards", itoa(shards), "--wait", "--url", c.url).CombinedOutput()
	if err != nil {
		t.Fatalf("helios reshard start: %v\n%s", err, out)
	}
	return string(out)
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// readFixed reads a row by its key and counts a range.
func readFixed(ctx context.Context, conn *pgx.Conn, rows int) error {
	id := rand.IntN(rows-100) + 1
	var word string
	if err := conn.QueryRow(ctx, "SELECT word FROM fixed WHERE id = $1", id).Scan(&word); err != nil {
		return err
	}
	var n int
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM fixed WHERE id BETWEEN $1 AND $2", id, id+99).Scan(&n); err != nil {
		return err
	}
	if word != fmt.Sprint("word ", id) || n != 100 {
		return fmt.Errorf("%w: row %d says %q, %d rows of 100", errWrong, id, word, n)
	}
	return nil
}

// readNearest asks for the one nearest row of a stored vector: itself.
func readNearest(ctx context.Context, conn *pgx.Conn, set *vectors) error {
	want := rand.IntN(len(set.base))
	var got int
	if err := conn.QueryRow(ctx, "SELECT id FROM places ORDER BY embedding <-> $1::vector LIMIT 1", text(set.base[want])).Scan(&got); err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%w: nearest to row %d is %d", errWrong, want, got)
	}
	return nil
}

// balanced wants a number per shard that differs by no more than one.
func balanced(t *testing.T, conn *pgx.Conn, what, query string, most int64) {
	t.Helper()
	counts := column[int64](t, conn, query)
	if len(counts) != 4 {
		t.Errorf("%s on %d shards, want 4: %v", what, len(counts), counts)
		return
	}
	low, high := counts[0], counts[0]
	for _, n := range counts {
		low, high = min(low, n), max(high, n)
	}
	if high-low > most {
		t.Errorf("%s are not balanced: %v", what, counts)
	}
	t.Logf("%s=%v", what, counts)
}

// balancedCells wants every shard to hold as many rows of the cells as the others, give or
// take the largest cell.
func balancedCells(t *testing.T, c *cluster, want int64) {
	t.Helper()
	var rows []int64
	var sum, largest int64
	for shard := 1; shard <= 4; shard++ {
		var held int64
		for _, n := range column[int64](t, connect(t, c.nodeURL(shard, "a")), "SELECT count(*) FROM places GROUP BY helios_slot") {
			held += n
			largest = max(largest, n)
		}
		rows = append(rows, held)
		sum += held
	}
	if sum != want {
		t.Errorf("the shards hold %v rows in cells: %d together, want %d", rows, sum, want)
	}
	if slices.Max(rows)-slices.Min(rows) > 2*largest {
		t.Errorf("rows in cells are not balanced: %v, the largest cell has %d", rows, largest)
	}
	t.Logf("cell_rows=%v largest_cell=%d", rows, largest)
}

// onTheirOwn asks every shard by itself: together they hold each row once.
func onTheirOwn(t *testing.T, c *cluster, want int64) {
	t.Helper()
	var sum int64
	var counts []int64
	for shard := 1; shard <= 4; shard++ {
		n := value[int64](t, connect(t, c.nodeURL(shard, "a")), "SELECT count(*) FROM fixed")
		sum += n
		counts = append(counts, n)
	}
	if sum != want {
		t.Errorf("the shards hold %v rows: %d together, want %d", counts, sum, want)
	}
	t.Logf("rows=%v", counts)
}

// drawSequences takes more values of each of some sequences than a router keeps, and gives
// the last of each.
func drawSequences(t *testing.T, conn *pgx.Conn) []int64 {
	t.Helper()
	last := make([]int64, 16)
	for i := range last {
		mustExec(t, conn, fmt.Sprintf("CREATE SEQUENCE IF NOT EXISTS seq%d", i))
		last[i] = value[int64](t, conn, fmt.Sprintf("SELECT max(nextval('seq%d')) FROM generate_series(1, 40)", i))
	}
	return last
}
