//go:build e2e

package e2e

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// vectors is a data set with the ten nearest rows of each query, numbered from 0.
type vectors struct {
	name    string
	base    [][]float32
	queries [][]float32
	nearest [][]int64
}

const queryCount, neighbours = 100, 10

// dataset reads GloVe-100 from HELIOS_DATA, or draws a set.
func dataset(t *testing.T) *vectors {
	t.Helper()
	dir := os.Getenv("HELIOS_DATA")
	if dir == "" {
		return clustered(20_000, queryCount, 100)
	}
	dir = filepath.Join(dir, "glove100")
	v := &vectors{name: "glove100"}
	v.base = records(t, filepath.Join(dir, "base.fvecs"), math.Float32frombits)
	v.queries = records(t, filepath.Join(dir, "query.fvecs"), math.Float32frombits)[:queryCount]
	v.nearest = records(t, filepath.Join(dir, "gt_l2.ivecs"), func(bits uint32) int64 { return int64(int32(bits)) })[:queryCount]
	return v
}

// records reads a file of vectors: before each its length, all in 32-bit little-endian.
func records[T any](t *testing.T, path string, decode func(uint32) T) (out [][]T) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	var size [4]byte
	for {
		_, err := io.ReadFull(in, size[:])
		if err == io.EOF {
			return out
		}
		body := make([]byte, 4*binary.LittleEndian.Uint32(size[:]))
		if err == nil {
			_, err = io.ReadFull(in, body)
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		row := make([]T, len(body)/4)
		for i := range row {
			row[i] = decode(binary.LittleEndian.Uint32(body[4*i:]))
		}
		out = append(out, row)
	}
}

// clustered draws rows around centres, the same ones at every call, and finds the nearest
// rows of each query by comparing all.
func clustered(rows, queries, dims int) *vectors {
	r := rand.New(rand.NewPCG(1, 2))
	draw := func(around []float32, spread float64) []float32 {
		v := make([]float32, dims)
		for i := range v {
			v[i] = float32(r.NormFloat64() * spread)
			if around != nil {
				v[i] += around[i]
			}
		}
		return v
	}
	centres := make([][]float32, 200)
	for i := range centres {
		centres[i] = draw(nil, 1)
	}
	v := &vectors{name: "drawn"}
	for i := range rows + queries {
		x := draw(centres[r.IntN(len(centres))], 0.7)
		if i < rows {
			v.base = append(v.base, x)
		} else {
			v.queries = append(v.queries, x)
		}
	}
	for _, q := range v.queries {
		v.nearest = append(v.nearest, nearest(v.base, q))
	}
	return v
}

func nearest(base [][]float32, q []float32) []int64 {
	distance := make([]float64, len(base))
	order := make([]int64, len(base))
	for i, row := range base {
		order[i] = int64(i)
		for j, x := range row {
			d := float64(x) - float64(q[j])
			distance[i] += d * d
		}
	}
	slices.SortFunc(order, func(a, b int64) int {
		return cmp.Or(cmp.Compare(distance[a], distance[b]), cmp.Compare(a, b))
	})
	return order[:neighbours]
}

func text(v []float32) string {
	b := []byte{'['}
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, float64(x), 'g', -1, 32)
	}
	return string(append(b, ']'))
}

// copyVectors fills a table of (id, embedding) by psql's \copy.
func copyVectors(t testing.TB, url, table string, rows [][]float32) {
	t.Helper()
	cmd := exec.Command("psql", url, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", `\copy `+table+` from pstdin`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs := &tail{}
	cmd.Stdout, cmd.Stderr = errs, errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriterSize(in, 1<<20)
	for i, row := range rows {
		fmt.Fprintf(out, "%d\t%s\n", i, text(row))
	}
	flushed := out.Flush()
	in.Close()
	if err := cmp.Or(cmd.Wait(), flushed); err != nil {
		t.Fatalf("\\copy %s: %v\n%s", table, err, errs)
	}
}

// tail keeps the last of what is written to it.
type tail struct{ b []byte }

func (w *tail) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	w.b = w.b[max(0, len(w.b)-4096):]
	return len(p), nil
}

func (w *tail) String() string { return string(w.b) }

// TestNearest loads vectors, places them by neighbourhood and measures the recall of the
// ten nearest: at default settings, and with all cells asked.
func TestNearest(t *testing.T) {
	set := dataset(t)
	c := start(t)
	conn := connect(t, c.url)
	mustExec(t, conn, fmt.Sprintf(`CREATE TABLE items (id bigint PRIMARY KEY, embedding vector(%d))
		WITH (helios.strategy = 'vector', helios.shard_key = 'embedding')`, len(set.base[0])))
	began := time.Now()
	copyVectors(t, c.url, "items", set.base)
	loaded := time.Since(began)
	began = time.Now()
	mustExec(t, conn, "CALL helios.train('items')", pgx.QueryExecModeSimpleProtocol)
	trained := time.Since(began)
	if got, want := value[int](t, conn, "SELECT count(*) FROM items"), len(set.base); got != want {
		t.Fatalf("%d rows, want %d", got, want)
	}
	t.Logf("data=%s rows=%d load_s=%.1f train_s=%.1f", set.name, len(set.base), loaded.Seconds(), trained.Seconds())

	if got := recall(t, conn, set, "default"); got < 0.95 {
		t.Errorf("recall@10 is %.4f at default settings, want 0.95", got)
	}
	mustExec(t, conn, "SET helios.recall_target = 1")
	if got := recall(t, conn, set, "all cells"); got != 1 {
		t.Errorf("recall@10 is %.4f with all cells asked, want 1", got)
	}
	mustExec(t, conn, "RESET helios.recall_target")
	mustExec(t, conn, "SET helios.vector_exact = on")
	if got := recall(t, conn, set, "exact"); got != 1 {
		t.Errorf("recall@10 is %.4f with exact search, want 1", got)
	}
}

var askedPattern = regexp.MustCompile(`shards=(\d+)/(\d+) cells=(\d+)/(\d+)`)

// recall asks all queries and prints how much of the cluster they asked.
func recall(t *testing.T, conn *pgx.Conn, set *vectors, name string) float64 {
	t.Helper()
	const query = "SELECT id FROM items ORDER BY embedding <-> $1::vector LIMIT 10"
	hits := 0
	began := time.Now()
	for i, q := range set.queries {
		rows, err := conn.Query(t.Context(), query, text(q))
		if err != nil {
			t.Fatal(err)
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != neighbours {
			t.Errorf("query %d: %d rows, want %d", i, len(found), neighbours)
		}
		for _, id := range found {
			if slices.Contains(set.nearest[i][:neighbours], id) {
				hits++
			}
		}
	}
	took := time.Since(began)
	var asked [4]int
	for _, q := range set.queries {
		lines := column[string](t, conn, "EXPLAIN SELECT id FROM items ORDER BY embedding <-> '"+text(q)+"' LIMIT 10")
		m := askedPattern.FindStringSubmatch(fmt.Sprint(lines))
		if m == nil {
			t.Fatalf("EXPLAIN tells no cells: %v", lines)
		}
		for i := range asked {
			n, _ := strconv.Atoi(m[i+1])
			asked[i] += n
		}
	}
	n := float64(len(set.queries))
	got := float64(hits) / n / neighbours
	t.Logf("%s: recall@10=%.4f ms=%.2f shards=%.2f/%.0f cells=%.1f/%.0f", name, got, took.Seconds()*1000/n,
		float64(asked[0])/n, float64(asked[1])/n, float64(asked[2])/n, float64(asked[3])/n)
	return got
}
