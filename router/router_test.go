package router_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestTranscripts runs SQL through a router over shards in memory. Commands:
//
//	sql [client=NAME]   runs each line as a query string of its own
//	train table=NAME    trains the cells of a vector-placed table
//	copy                runs the first line, COPY … FROM STDIN, with the other lines as data
//
// Each client is a session; clients named "b…" are of a second router.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		shards := 3
		if filepath.Base(path) == "zones" {
			shards = 6 // two in each zone
		}
		w := newWorld(t, shards)
		routers := map[byte]func() *client{}
		for i, name := range []byte{'a', 'b'} {
			r := w.newRouter(uint32(i + 1))
			routers[name] = func() *client { return w.connect(r) }
		}
		clients := map[string]*client{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			name := "a"
			if d.HasArg("client") {
				d.ScanArgs(t, "client", &name)
			}
			c := clients[name]
			if c == nil {
				c = routers[name[0]]()
				clients[name] = c
			}
			var out strings.Builder
			lines := strings.Split(strings.TrimSpace(d.Input), "\n")
			switch d.Cmd {
			case "sql":
				for _, line := range lines {
					out.WriteString(c.run(line))
				}
			case "train":
				var table string
				d.ScanArgs(t, "table", &table)
				if err := c.r.Train(t.Context(), c.s.Info(), table, 0); err != nil {
					d.Fatalf(t, "%v", err)
				}
			case "copy":
				c.copy = strings.ReplaceAll(strings.Join(lines[1:], "\n"), "→", "\t") + "\n"
				out.WriteString(c.run(lines[0]))
			default:
				d.Fatalf(t, "unknown command %q", d.Cmd)
			}
			return out.String()
		})
	})
}

// TestTraining trains a vector-placed table while others write to it, and holds that every
// row stays findable: by its key once, and by its vector.
func TestTraining(t *testing.T) {
	w := newWorld(t, 3)
	r := w.newRouter(1)
	c := w.connect(r)
	c.must("CREATE TABLE v (id int PRIMARY KEY, e vector(4), tag text) WITH (helios.shard_key='e', helios.num_centroids=12)")
	c.must("INSERT INTO v SELECT g, ARRAY[g % 10, g % 7, g % 13, g % 3]::vector, 'x' FROM generate_series(1, 900) g")
	c.must("INSERT INTO v VALUES (1000, NULL, 'no vector')")

	writer := w.connect(w.newRouter(2))
	written := make(chan string)
	go func() {
		var failed []string
		for i := range 60 {
			text := fmt.Sprintf("INSERT INTO v VALUES (%d, '[1,2,%d,4]', 'new')", 2000+i, i%5)
			if i%3 == 1 {
				text = fmt.Sprintf("UPDATE v SET e = '[9,9,9,%d]' WHERE id = %d", i%4, i)
			}
			if i%3 == 2 {
				text = fmt.Sprintf("UPDATE v SET tag = 'x' WHERE id = %d", 10*i)
			}
			if out := writer.run(text); strings.Contains(out, "ERROR") && !strings.Contains(out, "40001") {
				failed = append(failed, text+": "+out)
			}
		}
		written <- strings.Join(failed, "\n")
	}()
	if out := c.must("SELECT count(*) FROM v WHERE tag = 'x'"); out != "900\n" {
		t.Fatalf("before: %s", out)
	}
	if err := r.Train(t.Context(), c.s.Info(), "v", 0); err != nil {
		t.Fatal(err)
	}
	if failed := <-written; failed != "" {
		t.Fatal(failed)
	}
	if got, want := c.must("SELECT count(*), count(DISTINCT id) FROM v WHERE tag = 'x'"), "900 | 900\n"; got != want {
		t.Errorf("rows after training: %s", got)
	}
	if got := c.must("SELECT count(*) FROM v WHERE e IS NOT NULL AND helios_slot < 16"); got != "0\n" {
		t.Errorf("%s rows are still in untrained cells", got)
	}
	for id := 1; id <= 900; id += 37 {
		if got, want := c.must(fmt.Sprintf("SELECT id FROM v WHERE id = %d", id)), fmt.Sprintf("%d\n", id); got != want {
			t.Errorf("row %d by key: %q", id, got)
		}
	}
	out := c.must("EXPLAIN SELECT id FROM v ORDER BY e <-> '[1,2,3,1]' LIMIT 3")
	if !strings.Contains(out, "cells=") {
		t.Errorf("EXPLAIN shows no cells:\n%s", out)
	}
	near := c.must("SELECT id FROM v ORDER BY e <-> '[1,2,3,1]', id LIMIT 1")
	c.must("SET helios.vector_exact = on")
	if exact := c.must("SELECT id FROM v ORDER BY e <-> '[1,2,3,1]', id LIMIT 1"); exact != near {
		t.Logf("the nearest row is %s, of the asked cells %s", exact, near)
	}
	if err := r.Train(t.Context(), c.s.Info(), "v", 5); err != nil {
		t.Fatalf("a second training: %v", err)
	}
	if got := c.must("SELECT count(DISTINCT id) FROM v WHERE tag = 'x'"); got != "900\n" {
		t.Errorf("rows after the second training: %s", got)
	}
}
