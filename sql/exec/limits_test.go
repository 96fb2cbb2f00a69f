package exec_test

import (
	"context"
	"slices"
	"testing"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/types"
)

// filled is a database with a table t of n rows.
func filled(t testing.TB, r runner, n int) {
	t.Helper()
	for _, text := range []string{
		"create table t (id int primary key, g int, s text)",
		"insert into t select i, i % 10, repeat('x', 100) from generate_series(1, " + types.ToText(types.T(types.Int4OID), types.Int(int64(n))) + ") i",
	} {
		stmt, err := sql.ParseOne(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := run(r, stmt, false); err != nil {
			t.Fatal(err)
		}
	}
}

func runWith(ctx context.Context, d *database, text string, env *exec.Env) ([]types.Row, error) {
	stmt, err := sql.ParseOne(text)
	if err != nil {
		return nil, err
	}
	q, err := d.plan(stmt)
	if err != nil {
		return nil, err
	}
	env.Source = d
	res, err := exec.Run(ctx, q, env)
	if err != nil {
		return nil, err
	}
	return readAll(ctx, res.Rows)
}

// TestMemoryLimit holds that what keeps rows in memory stops at the limit, and that
// what streams does not count.
func TestMemoryLimit(t *testing.T) {
	d := newDatabase(t)
	filled(t, d, 5000)
	for text, want := range map[string]string{
		"select * from t":                      "",
		"select count(*) from t":               "",
		"select id from t order by s limit 10": "",
		"select id, (select max(g) from t b where b.id = a.id) from t a where id < 20": "",
		"select * from t order by s":                                      "53200",
		"select id, count(*) from t group by id":                          "53200",
		"select distinct s, id from t":                                    "53200",
		"select count(*) from t a join t b on a.g = b.g and a.s < b.s":    "53200",
		"with x as materialized (select * from t) select count(*) from x": "53200",
	} {
		_, err := runWith(context.Background(), d, text, &exec.Env{MemoryLimit: 200_000})
		if got := types.CodeOf(err); got != want {
			t.Errorf("%s: code %q, want %q (%v)", text, got, want, err)
		}
	}
}

// TestCancel holds that every kind of operator stops with 57014 when its context ends.
func TestCancel(t *testing.T) {
	d := newDatabase(t)
	filled(t, d, 2000)
	for _, text := range []string{
		"select * from t", "select * from t order by s", "select g, count(*) from t group by g",
		"select count(*) from t a, t b, t c", "select * from generate_series(1, 1000000000)",
		"with recursive r(n) as (select 1 union all select n from r) select count(*) from r",
		"update t set g = 1", "select (select count(*) from t b where b.id > a.id) from t a",
	} {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := runWith(ctx, d, text, &exec.Env{})
		if got, want := types.CodeOf(err), "57014"; got != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// TestParams runs statements with parameters in one place and over shards.
func TestParams(t *testing.T) {
	local, shards := newDatabase(t), newCluster(t, 3)
	filled(t, local, 60)
	filled(t, shards, 60)
	for _, c := range []struct {
		text   string
		params []types.Value
		want   []string
	}{
		{"select id, g from t where id = $1", []types.Value{types.Int(7)}, []string{"7|7"}},
		{"select id from t where id = any($1) order by id", []types.Value{types.NewArray(types.Int4OID, []types.Value{types.Int(3), types.Int(59), types.Int(90)})}, []string{"3", "59"}},
		{"select id from t where g = $1 order by id desc limit $2 offset $3", []types.Value{types.Int(4), types.Int(2), types.Int(1)}, []string{"44", "34"}},
		{"select count(*) + $2 from t where s like $1 || '%'", []types.Value{types.Text("xx"), types.Int(5)}, []string{"65"}},
		{"update t set s = $2 where id in ($1, $3) returning id, s", []types.Value{types.Int(1), types.Text("new"), types.Int(2)}, []string{"1|new", "2|new"}},
		{"select id from t where id = $1", []types.Value{types.Null}, nil},
	} {
		stmt, err := sql.ParseOne(c.text)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []runner{local, shards} {
			q, err := r.plan(stmt)
			if err != nil {
				t.Fatalf("%s: %v", c.text, err)
			}
			got, _, err := rowsOf(q, r, c.params...)
			if q.Kind == "UPDATE" {
				slices.Sort(got)
			}
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s on %T: %v %v, want %v", c.text, r, got, err, c.want)
			}
		}
	}
}
