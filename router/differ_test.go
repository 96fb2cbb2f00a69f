package router_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// TestDiffer runs random statements over one shard and over three, and compares what they
// give; where HELIOS_POSTGRES names a server, with PostgreSQL as well. HELIOS_SEED=17 runs
// one seed, HELIOS_LONG=1 goes on for minutes with new seeds.
func TestDiffer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	seeds, statements := []uint64{1, 2, 3}, 150
	if text := os.Getenv("HELIOS_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = []uint64{seed}
	}
	if os.Getenv("HELIOS_LONG") != "" {
		statements = 1000
		if os.Getenv("HELIOS_SEED") == "" {
			first := uint64(time.Now().UnixNano()) % 1_000_000
			seeds = nil
			for i := range uint64(20) {
				seeds = append(seeds, first+i)
			}
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { differ(t, seed, statements) })
	}
}

// side is one of those who answer.
type side struct {
	name string
	run  func(text string) string
}

func differ(t *testing.T, seed uint64, statements int) {
	g := &randomSQL{Rand: rand.New(rand.NewPCG(seed, 0))}
	one, many := newWorld(t, 1), newWorld(t, 3)
	a, b := one.connect(one.newRouter(1)), many.connect(many.newRouter(1))
	sides := []side{{"one shard", a.run}, {"three shards", b.run}}
	if dsn := os.Getenv("HELIOS_POSTGRES"); dsn != "" {
		sides = append(sides, postgresSide(t, dsn))
	}
	d := &differing{t: t, sides: sides}
	for _, x := range g.schema() {
		d.each(x.helios, x.postgres)
	}
	for _, c := range []*client{a, b} {
		if err := c.r.Train(t.Context(), c.s.Info(), "v", 0); err != nil {
			t.Fatal(err)
		}
		c.must("SET helios.vector_exact = on")
	}
	for _, text := range g.rows() {
		d.compare(text, false)
	}
	for range statements {
		switch g.IntN(12) {
		default:
			d.compare(g.query())
		case 3:
			text, ordered := g.query()
			prepare, execute := g.prepared(text)
			d.each("DEALLOCATE ALL", "DEALLOCATE ALL")
			d.compare(prepare, false)
			d.compare(execute, ordered)
		case 0:
			few := differing{t: t, sides: sides[:2]}
			few.compare(g.nearest(), true)
		case 1, 2:
			undone := g.IntN(3) > 0
			if undone {
				d.each("BEGIN", "BEGIN")
			}
			d.compare(g.change(undone), false)
			for _, table := range randomTables {
				d.compare("SELECT "+table.list("")+" FROM "+table.name, false)
			}
			if undone {
				d.each("ROLLBACK", "ROLLBACK")
			}
		}
	}
	t.Logf("%d statements compared: %d gave rows, %d failed, %d of them as not supported", d.compared, d.rows, d.failed, d.unsupported)
}

type differing struct {
	t     *testing.T
	sides []side
	// What came of the statements.
	compared, rows, failed, unsupported int
}

// each runs a statement that all must accept.
func (d *differing) each(helios, postgres string) {
	d.t.Helper()
	for _, s := range d.sides {
		text := helios
		if s.name == "PostgreSQL" {
			text = postgres
		}
		if out := s.run(text); strings.HasPrefix(out, "ERROR") {
			d.t.Fatalf("%s: %s\n%s", s.name, text, out)
		}
	}
}

// compare runs a statement everywhere: rows must be the same, in order where that is
// asked for, and errors have the same code.
func (d *differing) compare(text string, ordered bool) {
	d.t.Helper()
	answers := make([]string, len(d.sides))
	for i, s := range d.sides {
		answers[i] = s.run(text)
		if code, _, failed := strings.Cut(answers[i], ": "); failed && strings.HasPrefix(code, "ERROR") {
			answers[i] = code
			if i == 0 {
				d.failed++
			}
		} else if !ordered {
			lines := strings.Split(answers[i], "\n")
			slices.Sort(lines)
			answers[i] = strings.Join(lines, "\n")
		}
	}
	d.compared++
	if strings.Count(answers[0], "\n") > 1 {
		d.rows++
	}
	if answers[0] == "ERROR 0A000" && answers[1] == answers[0] {
		d.unsupported++
		return
	}
	for i, s := range d.sides {
		if answers[i] != answers[0] {
			d.t.Fatalf("%s\n\n%s:\n%s\n%s:\n%s\n\nplan:\n%s", text, d.sides[0].name, answers[0],
				s.name, answers[i], d.sides[1].run("EXPLAIN "+text))
		}
	}
}

// postgresSide is a connection to a real PostgreSQL, in a schema of its own.
func postgresSide(t *testing.T, dsn string) side {
	ctx := context.Background()
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	run := func(text string) string {
		var out strings.Builder
		results, err := conn.Exec(ctx, text).ReadAll()
		for _, r := range results {
			for _, row := range r.Rows {
				texts := make([]string, len(row))
				for i, b := range row {
					texts[i] = "∅"
					if b != nil {
						texts[i] = string(b)
					}
				}
				fmt.Fprintln(&out, strings.Join(texts, " | "))
			}
			fmt.Fprintln(&out, r.CommandTag)
		}
		if e, ok := err.(*pgconn.PgError); ok {
			return fmt.Sprintf("ERROR %s: %s\n", e.Code, e.Message)
		}
		if err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	t.Cleanup(func() {
		run("DROP SCHEMA differ CASCADE")
		conn.Close(ctx)
	})
	run("DROP SCHEMA IF EXISTS differ CASCADE")
	run("CREATE SCHEMA differ; SET search_path = differ")
	return side{"PostgreSQL", run}
}
