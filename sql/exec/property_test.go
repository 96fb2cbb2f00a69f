package exec_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// TestDistributedEqualsLocal holds the central promise: a statement run through
// Distribute, printed SQL and several shards gives the rows that it gives in one place.
func TestDistributedEqualsLocal(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		local, shards := newDatabase(t), newCluster(t, rapid.IntRange(1, 4).Draw(rt, "shards"))
		for _, ddl := range []string{
			"create table t (id int primary key, g int, x int, s text, v vector(2))",
			"create table u (tid int, n int, y int, w text, primary key (tid, n)) with (shard_key = tid)",
			"create table r (id int primary key, name text) with (strategy = reference)",
			"create table w (a int, b int, c int, primary key (a, b))",
		} {
			both(rt, local, shards, ddl)
		}
		for _, insert := range randomRows(rt) {
			both(rt, local, shards, insert)
		}
		for range rapid.IntRange(1, 6).Draw(rt, "statements") {
			both(rt, local, shards, randomStatement(rt))
		}
		both(rt, local, shards, "select * from t")
		both(rt, local, shards, "select * from u")
	})
}

// both runs a statement in one place and over shards and compares rows, tag and error.
func both(t *rapid.T, local *database, shards *cluster, text string) {
	stmt, err := sql.ParseOne(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if _, ok := stmt.(*sql.CreateTable); ok {
		if err := local.create(sql.Clone(stmt)); err != nil {
			t.Fatal(err)
		}
		if err := shards.create(stmt); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, wantTag, wantErr := answer(local, stmt)
	got, gotTag, gotErr := answer(shards, stmt)
	if types.CodeOf(wantErr) != types.CodeOf(gotErr) || wantTag != gotTag || !slices.Equal(want, got) {
		t.Fatalf("%s\nlocal: %s %v\n%s\nshards: %s %v\n%s\nplan:\n%s", text, wantTag, wantErr, strings.Join(want, "\n"),
			gotTag, gotErr, strings.Join(got, "\n"), planText(shards, stmt))
	}
}

func answer(r runner, stmt sql.Statement) ([]string, string, error) {
	q, err := r.plan(stmt)
	if err != nil {
		return nil, "", err
	}
	rows, tag, err := rowsOf(q, r)
	slices.Sort(rows)
	return rows, tag, err
}

func planText(r runner, stmt sql.Statement) string {
	q, err := r.plan(stmt)
	if err != nil {
		return err.Error()
	}
	return strings.Join(plan.Explain(q.Root, describe), "\n")
}

// maybeNull writes a small number or NULL.
func maybeNull(t *rapid.T, label string) string {
	if n := rapid.IntRange(-1, 4).Draw(t, label); n >= 0 {
		return fmt.Sprint(n)
	}
	return "null"
}

func randomText(t *rapid.T, label string) string {
	return rapid.SampledFrom([]string{"'a'", "'b'", "'ab'", "''", "null", "'it''s'"}).Draw(t, label)
}

func randomRows(t *rapid.T) []string {
	var out []string
	for id := range rapid.IntRange(0, 12).Draw(t, "t rows") {
		out = append(out, fmt.Sprintf("insert into t values (%d, %s, %s, %s, '[%d,%d]')", id, maybeNull(t, "g"), maybeNull(t, "x"), randomText(t, "s"),
			rapid.IntRange(-1, 2).Draw(t, "v1"), rapid.IntRange(-1, 2).Draw(t, "v2")))
	}
	for i := range rapid.IntRange(0, 12).Draw(t, "u rows") {
		out = append(out, fmt.Sprintf("insert into u values (%d, %d, %s, %s)", rapid.IntRange(0, 8).Draw(t, "tid"), i, maybeNull(t, "y"), randomText(t, "w")))
	}
	for i := range rapid.IntRange(0, 8).Draw(t, "w rows") {
		out = append(out, fmt.Sprintf("insert into w values (%d, %d, %s)", rapid.IntRange(0, 4).Draw(t, "a"), i, maybeNull(t, "c")))
	}
	for id := range rapid.IntRange(0, 4).Draw(t, "r rows") {
		out = append(out, fmt.Sprintf("insert into r values (%d, %s)", id, randomText(t, "name")))
	}
	return out
}

func randomStatement(t *rapid.T) string {
	switch rapid.IntRange(0, 10).Draw(t, "kind") {
	case 0:
		return "update t set " + rapid.SampledFrom([]string{
			"x = x + 1", "g = id, s = 'new'", "id = id + 50", "x = (select max(y) from u)", "g = coalesce(g, 0) + x",
		}).Draw(t, "set") + " where " + condition(t, "t", 1) + " returning id, g"
	case 1:
		return "delete from u where " + condition(t, "u", 1) + " returning tid, n"
	case 2:
		return "update t set x = u.y from u where u.tid = t.id and " + condition(t, "t", 0)
	case 3:
		return fmt.Sprintf("insert into t values (%d, 1, 2, 'i') on conflict (id) do update set x = excluded.x + coalesce(t.x, 0) returning *",
			rapid.IntRange(0, 30).Draw(t, "id"))
	case 4:
		return nearest(t)
	}
	return randomSelect(t, 2)
}

// nearest is a nearest-neighbour search; zero vectors make the cosine distance NaN.
func nearest(t *rapid.T) string {
	op := rapid.SampledFrom([]string{"<->", "<=>", "<#>"}).Draw(t, "op")
	q := fmt.Sprintf("'[%d,%d]'", rapid.IntRange(-1, 2).Draw(t, "q1"), rapid.IntRange(-1, 2).Draw(t, "q2"))
	where := condition(t, "t", 0)
	return fmt.Sprintf("select id, v %s %s as d from t where %s order by v %s %s, id limit %d", op, q, where, op, q, rapid.IntRange(0, 6).Draw(t, "k"))
}

// condition is a random condition over a table's columns.
func condition(t *rapid.T, table string, depth int) string {
	if table == "w" {
		return fmt.Sprintf("w.a = %d and w.b %s %d", rapid.IntRange(0, 4).Draw(t, "wa"),
			rapid.SampledFrom([]string{"=", ">", "<>"}).Draw(t, "wop"), rapid.IntRange(0, 4).Draw(t, "wb"))
	}
	key, num, text := "id", rapid.SampledFrom([]string{"g", "x"}).Draw(t, "col"), "s"
	switch table {
	case "u":
		key, num, text = "tid", rapid.SampledFrom([]string{"n", "y"}).Draw(t, "col"), "w"
	case "r":
		key, num, text = "id", "id", "name"
	}
	n := rapid.IntRange(0, 5).Draw(t, "n")
	col := func(c string) string { return table + "." + c }
	switch rapid.IntRange(0, 11).Draw(t, "cond") {
	case 0, 1:
		return fmt.Sprintf("%s = %d", col(key), n)
	case 2:
		return fmt.Sprintf("%s in (%d, %d, %d)", col(key), n, n+1, n+3)
	case 3:
		return fmt.Sprintf("%s > %d", col(num), n)
	case 4:
		return fmt.Sprintf("%s is not null", col(num))
	case 5:
		return fmt.Sprintf("%s <> 'a'", col(text))
	case 6:
		return fmt.Sprintf("%s between %d and %d", col(num), n-2, n)
	case 7:
		return fmt.Sprintf("%s not in (%d, null)", col(num), n)
	case 8:
		if depth > 0 {
			return fmt.Sprintf("%s in (select y from u u2 where u2.n > %d)", col(num), n)
		}
	case 9:
		if depth > 0 {
			not := rapid.SampledFrom([]string{"", "not "}).Draw(t, "not")
			return fmt.Sprintf("%sexists (select 1 from u u3 where u3.tid = %s and u3.n < %d)", not, col(key), n+4)
		}
	case 10:
		if depth > 0 {
			return fmt.Sprintf("(%s or not %s)", condition(t, table, depth-1), condition(t, table, depth-1))
		}
	case 11:
		if depth > 0 {
			return fmt.Sprintf("%s and %s", condition(t, table, depth-1), condition(t, table, depth-1))
		}
	}
	return "true"
}

// from is a random FROM clause; the first of tables can be named in conditions.
func from(t *rapid.T) (text string, tables []string) {
	join := rapid.SampledFrom([]string{"join", "left join", "right join", "full join"}).Draw(t, "join")
	switch rapid.IntRange(0, 9).Draw(t, "from") {
	case 8:
		return "w " + join + " t on t.id = w.a", []string{"w", "t"}
	case 0, 1:
		return "t", []string{"t"}
	case 2:
		return "u", []string{"u"}
	case 3:
		return "t " + join + " u on u.tid = t.id", []string{"t", "u"}
	case 4:
		return "t " + join + " u on u.n = t.g and u.y > 0", []string{"t", "u"}
	case 5:
		return "t " + join + " r on r.id = t.g", []string{"t", "r"}
	case 6:
		return "r " + join + " u on r.id = u.tid", []string{"u", "r"}
	case 7:
		return "t " + join + " u on u.tid = t.id " + join + " r on r.id = u.y", []string{"t", "u", "r"}
	}
	return "r", []string{"r"}
}

func columnsOf(tables []string) []string {
	var out []string
	for _, t := range tables {
		for _, c := range map[string][]string{"t": {"id", "g", "x", "s"}, "u": {"tid", "n", "y", "w"}, "r": {"id", "name"}, "w": {"a", "b", "c"}}[t] {
			out = append(out, t+"."+c)
		}
	}
	return out
}

func randomSelect(t *rapid.T, depth int) string {
	text, tables := from(t)
	where := ""
	if rapid.Bool().Draw(t, "where") {
		where = " where " + condition(t, rapid.SampledFrom(tables).Draw(t, "of"), 1)
	}
	cols := columnsOf(tables)
	pick := func(label string) string { return rapid.SampledFrom(cols).Draw(t, label) }
	a, b := pick("a"), pick("b")
	num := map[string]string{"t": "t.x", "u": "u.y", "r": "r.id", "w": "w.c"}[tables[0]]
	key := map[string]string{"t": "t.id", "u": "u.tid", "r": "r.id", "w": "w.a"}[tables[0]]
	switch rapid.IntRange(0, 9).Draw(t, "select") {
	case 0:
		return fmt.Sprintf("select %s from %s%s", strings.Join(cols, ", "), text, where)
	case 1:
		return fmt.Sprintf("select %s, %s, %s + 1 from %s%s order by %s, 2 desc, 1, 3 limit %d offset %d", a, b, num, text, where, num,
			rapid.IntRange(0, 5).Draw(t, "limit"), rapid.IntRange(0, 3).Draw(t, "offset"))
	case 2:
		return fmt.Sprintf("select count(*), count(%s), sum(%s), avg(%s), min(%s), max(%s), count(distinct %s) from %s%s", a, num, num, b, a, b, text, where)
	case 3:
		return fmt.Sprintf("select %s, count(*), sum(%s), bool_or(%s > 1), avg(%s) filter (where %s is not null) from %s%s group by %s having count(*) > %d",
			a, num, num, num, b, text, where, a, rapid.IntRange(0, 2).Draw(t, "having"))
	case 4:
		return fmt.Sprintf("select %s, max(%s) from %s%s group by %s", key, num, text, where, key)
	case 5:
		return fmt.Sprintf("select distinct %s, %s from %s%s", a, b, text, where)
	case 6:
		return fmt.Sprintf("select %s, (select count(*) from u z where z.tid = %s), case when %s > 1 then 'big' else coalesce(%s, 7)::text end from %s%s",
			key, key, num, num, text, where)
	case 7:
		if depth > 0 {
			op := rapid.SampledFrom([]string{"union", "union all", "except", "intersect"}).Draw(t, "op")
			return fmt.Sprintf("select %s from %s%s %s select %s from t", num, text, where, op, rapid.SampledFrom([]string{"t.x", "t.g"}).Draw(t, "other"))
		}
	case 8:
		return fmt.Sprintf("with c as (select %s as k, count(*) as n from %s%s group by 1) select c.k, c.n, t.s from c left join t on t.id = c.k", num, text, where)
	case 9:
		return fmt.Sprintf("select q.k, q.m from (select %s as k, %s as m from %s%s order by 1, 2 limit 4) q where q.k > 0 or q.m is not null", num, key, text, where)
	}
	return fmt.Sprintf("select max(%s) from %s%s", a, text, where)
}
