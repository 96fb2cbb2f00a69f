package exec_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// TestOncePerRun counts the calls of functions of each volatility over ten rows: what
// reads no row is computed once, and not at all in a branch that no row takes.
func TestOncePerRun(t *testing.T) {
	d := newDatabase(t)
	filled(t, d, 10)
	for _, test := range []struct {
		text  string
		calls int64
	}{
		{"select tick('s', $1) from t", 1},
		{"select tick('i', $1) + id from t", 1},
		{"select tick('v', $1) from t", 10},
		{"select tick('s', id) from t", 10},
		{"select tick('s', tick('v', $1)) from t", 20},
		{"select tick('s', tick('s', $1)) from t", 2},
		{"select id from t where id = tick('s', $1)", 1},
		{"select id from t where id + 0 = any (array[tick('s', $1), 3, 4])", 1},
		{"select case when id > 99 then tick('s', $1) else id end from t", 0},
		{"select case when id > 5 then tick('s', $1) else id end from t", 1},
		{"select coalesce(id, tick('s', $1)) from t", 0},
		{"select id > 0 or tick('s', $1) > 0 from t", 0},
		{"select id < 0 and tick('s', $1) > 0 from t", 0},
		{"select count(*) from t where g > 99 and s || tick('s', $1)::text = ''", 0},
		{"select tick('s', $1) from t where id > 99", 0},
		{"select g, sum(tick('s', $1)) from t group by g order by tick('s', $1)", 2},
		{"select (select max(b.id + tick('s', a.id)) from t b) from t a", 100},
		{"insert into t (id) values (tick('s', 100)), (tick('s', 101))", 2},
	} {
		var calls int64
		if _, err := runTicking(d, test.text, &calls, types.Int(3)); err != nil {
			t.Errorf("%s: %v", test.text, err)
		} else if calls != test.calls {
			t.Errorf("%s: %d calls, want %d", test.text, calls, test.calls)
		}
	}
}

// runTicking runs a statement in which tick('i' | 's' | 'v', n), of that volatility, gives
// n and counts its calls.
func runTicking(d *database, text string, calls *int64, params ...types.Value) ([]types.Row, error) {
	env := d.env()
	env.ParamTypes = []types.OID{types.Int4OID}
	for _, v := range "isv" {
		name := "tick_" + string(v)
		text = strings.ReplaceAll(text, "tick('"+string(v)+"', ", name+"(")
		env.Functions = append(env.Functions, &builtin.Func{
			Name: name, Args: []types.OID{types.Int4OID}, Ret: types.Int4OID, Strict: true, Volatility: byte(v), Kind: 'f',
			Eval: func(_ *builtin.Context, args []types.Value) (types.Value, error) {
				*calls++
				return args[0], nil
			},
		})
	}
	stmt, err := sql.ParseOne(text)
	if err != nil {
		return nil, err
	}
	q, err := plan.Bind(stmt, env)
	if err != nil {
		return nil, err
	}
	res, err := exec.Run(context.Background(), q, &exec.Env{Source: d, Params: params})
	if err != nil {
		return nil, err
	}
	return readAll(context.Background(), res.Rows)
}

// TestLateFailure holds that a constant fails when a row needs it, not before, and that
// volatile functions differ from row to row.
func TestLateFailure(t *testing.T) {
	d := newDatabase(t)
	filled(t, d, 10)
	for text, want := range map[string]string{
		"select case when id > 99 then 1 / $1 else 0 end from t": "",
		"select case when id > 9 then 1 / $1 else 0 end from t":  "22012",
		"select coalesce(id, 1 / $1) from t":                     "",
		"select 1 / $1 from t where id > 99":                     "",
		"select id from t where id in (1, 2, $1, 1 / $1)":        "22012",
		"select g, count(*) from t group by g having 1 / $1 > 0": "22012",
	} {
		var calls int64
		if _, err := runTicking(d, text, &calls, types.Int(0)); types.CodeOf(err) != want {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	for _, f := range []string{"random()", "gen_random_uuid()"} {
		rows, err := runWith(context.Background(), d, "select count(distinct "+f+") from t", &exec.Env{})
		if err != nil || rows[0][0].AsInt() != 10 {
			t.Errorf("%s over ten rows: %v, %v", f, rows, err)
		}
	}
}

// TestInSet compares IN over a parameter, long enough for a hash table or not, with IN
// over the same values written out.
func TestInSet(t *testing.T) {
	d := newDatabase(t)
	filled(t, d, 40)
	for _, list := range []string{"", "1,2,3", "1,2,NULL", "1,2,3,5,8,13,21,34,55", "1,2,3,5,8,13,21,34,NULL"} {
		for _, form := range []string{"id + 0 = any (%s)", "not (id + 0 = any (%s))", "id + 0 <> all (%s)", "nullif(id, 2) = any (%s)", "id::bigint = any (%s)"} {
			text := "select id, %[1]s from t where (%[1]s) is not false order by id"
			written := fmt.Sprintf(text, fmt.Sprintf(form, "'{"+list+"}'::int[]"))
			sent := fmt.Sprintf(text, fmt.Sprintf(form, "$1::text::int[]"))
			want, err := runWith(context.Background(), d, written, &exec.Env{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := runWith(context.Background(), d, sent, &exec.Env{Params: []types.Value{types.Text("{" + list + "}")}})
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s with {%s}:\n got %v\nwant %v", form, list, got, want)
			}
		}
	}
}

// BenchmarkConstant is a scan whose expression has a part that reads no row: a search with
// its vector as text, as drivers send it, and a long list of keys.
func BenchmarkConstant(b *testing.B) {
	const rows, dims = 2000, 100
	d := newDatabase(b)
	filled(b, d, rows)
	vector := func() string {
		parts := make([]string, dims)
		for i := range parts {
			parts[i] = fmt.Sprint(rand.Float32())
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	keys := make([]string, 500)
	for i := range keys {
		keys[i] = fmt.Sprint(7 * i)
	}
	for _, text := range []string{
		"create table v (id int primary key, e vector(100))",
		fmt.Sprintf("insert into v select id, '%s'::vector from t", vector()),
	} {
		stmt, err := sql.ParseOne(text)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := run(d, stmt, false); err != nil {
			b.Fatal(err)
		}
	}
	for _, test := range []struct{ name, text, param string }{
		{"query=knn", "select id from v order by e <-> $1::text::vector limit 5", vector()},
		{"query=in", "select id from t where id + 0 = any ($1::text::int[])", "{" + strings.Join(keys, ",") + "}"},
		{"query=now", "select id from t where s || $1 > now()::text", "x"},
		{"query=columns", "select id from t where g + id > length($1)", "x"},
	} {
		b.Run(fmt.Sprintf("%s/rows=%d", test.name, rows), func(b *testing.B) {
			for b.Loop() {
				if _, err := runWith(b.Context(), d, test.text, &exec.Env{Params: []types.Value{types.Text(test.param)}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
