package pgcatalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// query runs a query over the view as psql's user sees it, rows printed as psql -At does.
func query(v *View, s asker, text string) (string, error) {
	stmt, err := sql.ParseOne(text)
	if err != nil {
		return "", err
	}
	functions := &builtin.Context{
		Ctx: context.Background(), User: s.user, Database: "shop", SearchPath: s.SearchPath(), Version: "PostgreSQL 15",
		Catalog:  v.Lookup(s, sized{}),
		Settings: func(name string) (string, bool) { return "", name == "search_path" },
	}
	q, err := plan.Bind(stmt, plan.Env{Catalog: v.cat, SearchPath: s.SearchPath(), Builtin: functions})
	if err != nil {
		return "", err
	}
	ctx := context.Background()
	res, err := exec.Run(ctx, q, &exec.Env{Builtin: functions, Source: &tables{view: v, session: s}})
	if err != nil {
		return "", err
	}
	defer res.Rows.Close()
	var out strings.Builder
	for {
		batch, err := res.Rows.Next(ctx)
		if errors.Is(err, io.EOF) {
			return out.String(), nil
		}
		if err != nil {
			return "", err
		}
		for _, row := range batch {
			cells := make([]string, len(row))
			for i, value := range row {
				cells[i] = "∅"
				if !value.IsNull() {
					cells[i] = types.ToText(res.Columns[i].Type, value)
					if oid := res.Columns[i].Type.OID; oid == types.RegclassOID {
						cells[i], _ = functions.Catalog.Name(builtin.ClassRelation, types.OID(value.AsInt()))
					}
				}
			}
			fmt.Fprintln(&out, strings.Join(cells, "|"))
		}
	}
}

// sized is a node on which everything has one page.
type sized struct{ Sequences }

func (sized) Size(string, []types.Value) (int64, bool, error) { return 8192, true, nil }

// tables is the source of the system relations.
type tables struct {
	exec.Source
	view    *View
	session Session
}

func (t *tables) Scan(ctx context.Context, env *exec.Env, n *plan.Scan) (exec.Rows, error) {
	rows, err := t.view.Rows(n.Rel, t.session)
	if err != nil {
		return nil, err
	}
	pass, err := exec.CompileFilter(ctx, n.Filter, env)
	if err != nil {
		return nil, err
	}
	var out []types.Row
	for _, full := range rows {
		row := make(types.Row, len(n.Attrs))
		for i, at := range n.Attrs {
			if at == plan.AttrTableOID {
				row[i] = types.Int(int64(n.Rel.OID))
			} else {
				row[i] = full[at]
			}
		}
		ok, err := pass(row)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, row)
		}
	}
	return exec.SliceRows(slices.Clip(out)), nil
}

// TestPsql runs the queries that psql 15 sends, recorded from it, and holds the rows to
// those that PostgreSQL gave for the same schema.
func TestPsql(t *testing.T) {
	view := New(shop(t), quiet{})
	for _, path := range []string{"testdata/psql/commands", "testdata/psql/completion"} {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			out, err := query(view, asker{"postgres"}, d.Input)
			if err != nil {
				return "ERROR " + err.Error() + "\n"
			}
			return out
		})
	}
}
