package router_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestNearest compares searches over cells with the same search over all rows: exact ones
// give the same rows in the same order, with any filter, and never fewer than asked for.
func TestNearest(t *testing.T) {
	fewer(t, "30")
	w := newWorld(t, 3)
	r := w.newRouter(1)
	c := w.connect(r)
	c.must("CREATE TABLE v (id int PRIMARY KEY, e vector(3), k int) WITH (helios.shard_key='e', helios.num_centroids=9)")
	c.must("CREATE TABLE plain (id int PRIMARY KEY, e vector(3), k int)")
	c.must("INSERT INTO plain SELECT g, ARRAY[g * 7 % 31, g * 13 % 29, g % 17]::vector, g % 10 FROM generate_series(1, 700) g")
	c.must("INSERT INTO v SELECT * FROM plain")
	compare := func(t *rapid.T, exact bool) {
		q := fmt.Sprintf("[%d,%d,%d]", rapid.IntRange(-5, 40).Draw(t, "x"), rapid.IntRange(-5, 40).Draw(t, "y"), rapid.IntRange(-5, 20).Draw(t, "z"))
		limit := rapid.IntRange(1, 30).Draw(t, "limit")
		op := rapid.SampledFrom([]string{"<->", "<=>", "<#>"}).Draw(t, "op")
		where := rapid.SampledFrom([]string{"", "WHERE k = 3", "WHERE k < 5 AND id > 600", "WHERE id = 77"}).Draw(t, "where")
		query := func(table string) string {
			return c.must(fmt.Sprintf("SELECT id FROM %s %s ORDER BY e %s '%s', id LIMIT %d", table, where, op, q, limit))
		}
		nearest := func(table string) string {
			return c.must(fmt.Sprintf("SELECT id, e %s '%s' AS d FROM %s %s ORDER BY d LIMIT %d", op, q, table, where, limit))
		}
		want, got := query("plain"), query("v")
		if exact && got != want {
			t.Fatalf("%s %s %s LIMIT %d\n got %s\nwant %s", where, op, q, limit, got, want)
		}
		all, some := nearest("plain"), nearest("v")
		if strings.Count(all, "\n") != strings.Count(some, "\n") {
			t.Fatalf("%s %s %s LIMIT %d: %d rows instead of %d", where, op, q, limit, strings.Count(some, "\n"), strings.Count(all, "\n"))
		}
		if exact && distances(all) != distances(some) {
			t.Fatalf("%s %s %s LIMIT %d\n got %s\nwant %s", where, op, q, limit, some, all)
		}
	}
	t.Run("untrained", func(t *testing.T) { rapid.Check(t, func(t *rapid.T) { compare(t, true) }) })
	if err := r.Train(t.Context(), c.s.Info(), "v", 0); err != nil {
		t.Fatal(err)
	}
	t.Run("trained", func(t *testing.T) { rapid.Check(t, func(t *rapid.T) { compare(t, false) }) })
	c.must("SET helios.vector_exact = on")
	t.Run("exact", func(t *testing.T) { rapid.Check(t, func(t *rapid.T) { compare(t, true) }) })
}

// fewer sets the number of checks of each property: a check here is four statements.
func fewer(t *testing.T, checks string) {
	t.Helper()
	f := flag.Lookup("rapid.checks")
	before := f.Value.String()
	if err := flag.Set(f.Name, checks); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := flag.Set(f.Name, before); err != nil {
			t.Error(err)
		}
	})
}

// distances drops the ids: rows at equal distances may come in any order.
func distances(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		_, d, _ := strings.Cut(line, " | ")
		b.WriteString(d)
	}
	return b.String()
}

// TestNearestOfRow searches with the vector of a row: the search asks the same cells as one
// with that vector written out, and finds the same.
func TestNearestOfRow(t *testing.T) {
	w := newWorld(t, 3)
	r := w.newRouter(1)
	c := w.connect(r)
	c.must("CREATE TABLE v (id int PRIMARY KEY, e vector(2)) WITH (helios.shard_key='e', helios.num_centroids=12)")
	c.must("INSERT INTO v SELECT g, ARRAY[g * 7 % 97, g * 13 % 89]::vector FROM generate_series(1, 600) g")
	if err := r.Train(t.Context(), c.s.Info(), "v", 0); err != nil {
		t.Fatal(err)
	}
	asked := func(query string) string {
		for line := range strings.Lines(c.must("EXPLAIN ANALYZE " + query)) {
			if _, rest, ok := strings.Cut(line, "Gather Nearest ("); ok {
				return rest
			}
		}
		t.Fatalf("%s is no nearest-neighbour search", query)
		return ""
	}
	for id := 1; id <= 600; id += 97 {
		e := strings.TrimSpace(c.must(fmt.Sprintf("SELECT e FROM v WHERE id = %d", id)))
		written := fmt.Sprintf("SELECT id FROM v ORDER BY e <-> '%s' LIMIT 4", e)
		looked := fmt.Sprintf("SELECT id FROM v ORDER BY e <-> (SELECT e FROM v WHERE id = %d) LIMIT 4", id)
		if got, want := c.must(looked), c.must(written); got != want {
			t.Errorf("row %d: got %q, want %q", id, got, want)
		}
		if got, want := asked(looked), asked(written); got != want || strings.Contains(got, "cells=12/12") {
			t.Errorf("row %d: asked %s, want %s", id, got, want)
		}
	}
}

// TestNearestSnapshot searches with the vector of a row that another router keeps changing:
// both reads are of one snapshot, so the row is always found at distance 0.
func TestNearestSnapshot(t *testing.T) {
	w := newWorld(t, 3)
	r := w.newRouter(1)
	c := w.connect(r)
	c.must("CREATE TABLE v (id int PRIMARY KEY, e vector(2)) WITH (helios.shard_key='e', helios.num_centroids=6)")
	c.must("INSERT INTO v SELECT g, ARRAY[g * 7 % 97 + 1, g * 13 % 89]::vector FROM generate_series(1, 60) g")
	if err := r.Train(t.Context(), c.s.Info(), "v", 0); err != nil {
		t.Fatal(err)
	}
	writer, stop, done := w.connect(w.newRouter(2)), make(chan struct{}), make(chan string)
	go func() {
		var failed string
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- failed
				return
			default:
			}
			out := writer.run(fmt.Sprintf("UPDATE v SET e = '[%d.5,%d.5]' WHERE id = 7", i*31%97, i*17%89))
			if strings.Contains(out, "ERROR") && !strings.Contains(out, "40001") {
				failed = out
			}
		}
	}()
	for range 100 {
		out := c.run("SELECT id, e <-> (SELECT e FROM v WHERE id = 7) AS d FROM v ORDER BY d LIMIT 1")
		if out != "7 | 0\nSELECT 1\n" {
			t.Errorf("got %q", out)
			break
		}
	}
	close(stop)
	if failed := <-done; failed != "" {
		t.Error(failed)
	}
}
