package exec_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// TestTranscripts runs the transcripts of testdata. Their expected output is what
// PostgreSQL 15 printed for the same statements (psql, unaligned).
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/pg", func(t *testing.T, path string) {
		d := newDatabase(t)
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			return d.transcript(t, td.Input, td.Cmd == "sort" || td.HasArg("sort"))
		})
	})
}

// TestDistributedTranscripts runs the same transcripts through a router over three
// shards. Uniqueness is per shard here, so statements that break it elsewhere are left out.
func TestDistributedTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/pg", func(t *testing.T, path string) {
		c := newCluster(t, 3)
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			if td.HasArg("local") {
				return td.Expected
			}
			sorted := td.Cmd == "sort" || !strings.Contains(td.Input, "order by")
			out := c.transcript(t, td.Input, sorted)
			if sorted && sameLines(out, td.Expected) {
				return td.Expected
			}
			return out
		})
	})
}

// sameLines tells whether two texts have the same lines in any order.
func sameLines(a, b string) bool {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// runner is a database or a cluster.
type runner interface {
	exec.Source
	create(sql.Statement) error
	plan(sql.Statement) (*plan.Query, error)
}

func (d *database) plan(stmt sql.Statement) (*plan.Query, error) { return plan.Bind(stmt, d.env()) }

func (c *cluster) plan(stmt sql.Statement) (*plan.Query, error) {
	q, err := plan.Bind(stmt, c.shards[0].env())
	if err != nil {
		return nil, err
	}
	return plan.Distribute(q)
}

func (c *cluster) transcript(t *testing.T, text string, sorted bool) string {
	return transcript(t, c, text, sorted)
}

func (d *database) transcript(t *testing.T, text string, sorted bool) string {
	return transcript(t, d, text, sorted)
}

// transcript runs statements and prints what psql -A would.
func transcript(t *testing.T, r runner, text string, sorted bool) string {
	t.Helper()
	stmts, err := sql.Parse(text)
	if err != nil {
		return errorText(err)
	}
	var b strings.Builder
	for _, s := range stmts {
		out, err := run(r, s.Statement, sorted)
		if err != nil {
			return errorText(err)
		}
		b.WriteString(out)
	}
	return b.String()
}

func errorText(err error) string {
	e := types.AsError(err)
	out := "ERROR:  " + e.Code + ": " + e.Message + "\n"
	if e.Detail != "" {
		out += "DETAIL:  " + e.Detail + "\n"
	}
	return out
}

func run(r runner, stmt sql.Statement, sorted bool) (string, error) {
	switch stmt.(type) {
	case *sql.CreateTable:
		return "CREATE TABLE\n", r.create(stmt)
	case *sql.CreateView:
		return "CREATE VIEW\n", r.create(stmt)
	}
	q, err := r.plan(stmt)
	if err != nil {
		return "", err
	}
	rows, tag, err := rowsOf(q, r)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if q.Columns != nil {
		var names []string
		for _, c := range q.Columns {
			names = append(names, c.Name)
		}
		b.WriteString(strings.Join(names, "|") + "\n")
		if sorted {
			slices.Sort(rows)
		}
		for _, r := range rows {
			b.WriteString(r + "\n")
		}
		if len(rows) == 1 {
			b.WriteString("(1 row)\n")
		} else {
			fmt.Fprintf(&b, "(%d rows)\n", len(rows))
		}
	}
	if q.Kind != "SELECT" {
		b.WriteString(tag + "\n")
	}
	return b.String(), nil
}

// rowsOf runs a query and gives its rows as text, and the tag.
func rowsOf(q *plan.Query, source exec.Source, params ...types.Value) (rows []string, tag string, err error) {
	now := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	env := &exec.Env{Source: source, Params: params, Builtin: &builtin.Context{User: "postgres", Database: "test", Now: now, TxnStart: now}}
	ctx := context.Background()
	res, err := exec.Run(ctx, q, env)
	if err != nil {
		return nil, "", err
	}
	all, err := readAll(ctx, res.Rows)
	if err != nil {
		return nil, "", err
	}
	for _, row := range all {
		var parts []string
		for i, v := range row {
			if v.IsNull() {
				parts = append(parts, "NULL")
			} else {
				parts = append(parts, env.Builtin.Output(q.Columns[i].Type, v))
			}
		}
		rows = append(rows, strings.Join(parts, "|"))
	}
	return rows, res.Tag(), nil
}

func readAll(ctx context.Context, rows exec.Rows) (all []types.Row, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for {
		batch, err := rows.Next(ctx)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, batch...)
	}
}
