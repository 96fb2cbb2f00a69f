package exec_test

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/plan"
)

// TestPlans shows plans as EXPLAIN prints them: "local" of one shard, "router" of a
// router over shards, with the text that shards get and the routes.
func TestPlans(t *testing.T) {
	datadriven.Walk(t, "testdata/plans", func(t *testing.T, path string) {
		c := newCluster(t, 2)
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			stmt, err := sql.ParseOne(td.Input)
			if err != nil {
				t.Fatal(err)
			}
			if td.Cmd == "ddl" {
				if err := c.create(stmt); err != nil {
					t.Fatal(err)
				}
				return ""
			}
			q, err := plan.Bind(stmt, c.shards[0].env())
			if err != nil {
				return errorText(err)
			}
			_, single := q.Routes()
			if td.Cmd == "router" {
				if q, err = plan.Distribute(q); err != nil {
					return errorText(err)
				}
			}
			out := strings.Join(plan.Explain(q.Root, describe), "\n") + "\n"
			if td.Cmd == "router" && single {
				out += "forwarded whole\n"
			}
			return out
		})
	})
}

// describe prints where a Gather's routes lead.
func describe(g *plan.Gather) string {
	if g.One {
		return "any shard"
	}
	if g.Everywhere {
		return "every shard"
	}
	var out []string
	for _, r := range g.Rels {
		route := r.Rel.Name + "=all"
		if len(r.Keys) > 0 {
			route = r.Rel.Name + "=key"
		}
		out = append(out, route)
	}
	return strings.Join(out, " ")
}
