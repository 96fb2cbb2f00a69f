package exec_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// TestPsqlQueries plans and runs, over empty system catalogs, every query that psql 15
// sends for its backslash commands; expected are the column names PostgreSQL gave.
func TestPsqlQueries(t *testing.T) {
	c, _, err := catalog.Bootstrap("test", "postgres", "")
	if err != nil {
		t.Fatal(err)
	}
	c = c.WithVirtual(systemCatalogs(t))
	env := plan.Env{Catalog: c, SearchPath: []string{"public"}}
	datadriven.RunTest(t, "testdata/psql/queries", func(t *testing.T, td *datadriven.TestData) string {
		stmt, err := sql.ParseOne(td.Input)
		if err != nil {
			return errorText(err)
		}
		q, err := plan.Bind(stmt, env)
		if err != nil {
			return errorText(err)
		}
		res, err := exec.Run(context.Background(), q, &exec.Env{Source: emptyTables{}, Builtin: &builtin.Context{User: "postgres", Database: "test", Catalog: emptyCatalog{}}})
		if err != nil {
			return errorText(err)
		}
		if _, err := readAll(context.Background(), res.Rows); err != nil {
			return errorText(err)
		}
		var names []string
		for _, col := range q.Columns {
			names = append(names, col.Name)
		}
		return strings.Join(names, "|") + "\n"
	})
}

// emptyTables is a Source whose tables have no rows.
type emptyTables struct{ exec.Source }

func (emptyTables) Scan(ctx context.Context, env *exec.Env, s *plan.Scan) (exec.Rows, error) {
	if _, err := exec.CompileFilter(ctx, s.Filter, env); err != nil {
		return nil, err
	}
	return exec.SliceRows(nil), nil
}

// emptyCatalog knows every function and has nothing to tell.
type emptyCatalog struct{ builtin.Catalog }

func (emptyCatalog) Call(string, []types.Value) ([]types.Row, bool, error) { return nil, true, nil }

// systemCatalogs makes the virtual relations of testdata/psql/catalog.txt: a line per
// column with relation, name and type.
func systemCatalogs(t *testing.T) []*catalog.Relation {
	t.Helper()
	text, err := os.ReadFile("testdata/psql/catalog.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []*catalog.Relation
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(out) == 0 || out[len(out)-1].Name != parts[0] {
			out = append(out, &catalog.Relation{
				OID: types.OID(9000 + len(out)), Schema: "pg_catalog", Name: parts[0], Kind: catalog.KindTable, Virtual: true,
			})
		}
		typ, err := types.ParseTypeName(parts[2])
		if err != nil {
			t.Fatal(err)
		}
		rel := out[len(out)-1]
		rel.Columns = append(rel.Columns, catalog.Column{Num: int16(len(rel.Columns) + 1), Name: parts[1], Type: typ})
	}
	return out
}
