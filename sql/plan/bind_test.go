package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// testCatalog has tables t and u and the view v.
func testCatalog(t testing.TB) *catalog.Catalog {
	t.Helper()
	c, _, err := catalog.Bootstrap("test", "postgres", "")
	if err != nil {
		t.Fatal(err)
	}
	e := catalog.NewEdit(c)
	add := func(r *catalog.Relation) {
		r.OID, r.Schema = e.NextOID(), "public"
		if err := e.AddRelation(r); err != nil {
			t.Fatal(err)
		}
	}
	key := func(name string, nums ...int16) *catalog.Index {
		x := &catalog.Index{OID: e.NextOID(), Name: name, Unique: true, Primary: true, Method: "btree"}
		for _, n := range nums {
			x.Keys = append(x.Keys, catalog.IndexKey{Column: n})
		}
		return x
	}
	hash := func(group uint32, nums ...int16) catalog.Placement {
		return catalog.Placement{Strategy: catalog.Hash, KeyColumns: nums, ColocationID: group}
	}
	add(&catalog.Relation{
		Name: "t", Kind: catalog.KindTable, PrimaryKey: key("t_pkey", 1), Placement: hash(1, 1),
		Columns: []catalog.Column{
			{Num: 1, Name: "id", Type: types.T(types.Int4OID), NotNull: true},
			{Num: 2, Name: "n", Type: types.T(types.Int8OID)},
			{Num: 3, Name: "s", Type: types.T(types.TextOID)},
			{Num: 4, Name: "c", Type: types.Type{OID: types.VarcharOID, Mod: 9}},
			{Num: 5, Name: "at", Type: types.T(types.TimestampTZOID), Default: "now()"},
			{Num: 6, Name: "gone", Type: types.T(types.Int4OID), Dropped: true},
			{Num: 7, Name: "m", Type: types.Type{OID: types.NumericOID, Mod: (6<<16 | 2) + 4}},
		},
	})
	add(&catalog.Relation{
		Name: "u", Kind: catalog.KindTable, PrimaryKey: key("u_pkey", 1, 2), Placement: hash(1, 1),
		Columns: []catalog.Column{
			{Num: 1, Name: "tid", Type: types.T(types.Int4OID), NotNull: true},
			{Num: 2, Name: "k", Type: types.T(types.TextOID), NotNull: true},
			{Num: 3, Name: "tags", Type: types.T(types.ArrayOf(types.TextOID))},
		},
	})
	add(&catalog.Relation{
		Name: "v", Kind: catalog.KindView, View: "SELECT id, n + 1 AS next FROM public.t",
		Columns: []catalog.Column{
			{Num: 1, Name: "id", Type: types.T(types.Int4OID)},
			{Num: 2, Name: "next", Type: types.T(types.Int8OID)},
		},
	})
	return e.Finish(1)
}

// TestBind binds statements and prints their columns (with the table column they come
// from), parameter types and routes, or the error with its position.
func TestBind(t *testing.T) {
	env := plan.Env{Catalog: testCatalog(t), SearchPath: []string{"public"}}
	datadriven.RunTest(t, "testdata/bind", func(t *testing.T, td *datadriven.TestData) string {
		stmt, err := sql.ParseOne(td.Input)
		if err != nil {
			return describeError(err)
		}
		q, err := plan.Bind(stmt, env)
		if err != nil {
			return describeError(err)
		}
		var b strings.Builder
		for _, c := range q.Columns {
			fmt.Fprintf(&b, "%s %s", c.Name, types.FormatType(c.Type))
			if c.Table != 0 {
				rel, _ := env.Catalog.ByOID(c.Table)
				fmt.Fprintf(&b, " = %s.%d", rel.Name, c.Num)
			}
			b.WriteByte('\n')
		}
		for i, p := range q.ParamTypes {
			fmt.Fprintf(&b, "$%d %s\n", i+1, p.Name())
		}
		routes, single := q.Routes()
		for _, r := range routes {
			fmt.Fprintf(&b, "route %s keys=%d rows=%d\n", r.Rel.Name, len(r.Keys), len(r.Rows))
		}
		fmt.Fprintf(&b, "%s read-only=%t volatile=%t single=%t\n", q.Kind, q.ReadOnly, q.Volatile, single)
		return b.String()
	})
}

func describeError(err error) string {
	e := types.AsError(err)
	out := fmt.Sprintf("%s: %s", e.Code, e.Message)
	if e.Position > 0 {
		out += fmt.Sprintf(" (at %d)", e.Position)
	}
	if e.Hint != "" {
		out += "\nHINT: " + e.Hint
	}
	return out + "\n"
}

// TestBindDeep holds the limits of nesting: an error, never a crash.
func TestBindDeep(t *testing.T) {
	env := plan.Env{Catalog: testCatalog(t), SearchPath: []string{"public"}}
	var x sql.Expr = &sql.Literal{Kind: 'i', Text: "1", At: -1}
	for range 100_000 {
		x = &sql.Op{Name: "+", Left: x, Right: x, At: -1}
	}
	_, err := plan.Bind(&sql.Select{Targets: []sql.Target{{Expr: x}}}, env)
	if got, want := types.CodeOf(err), "54001"; got != want {
		t.Errorf("binding a deep expression: %v, want %s", err, want)
	}
	list := make([]sql.Expr, 100_000)
	for i := range list {
		list[i] = &sql.Literal{Kind: 'i', Text: fmt.Sprint(i), At: -1}
	}
	in := &sql.In{Left: &sql.ColumnRef{Parts: sql.Name{"id"}, At: -1}, List: list, At: -1}
	wide := &sql.Select{Targets: []sql.Target{{Expr: in}}, From: []sql.TableExpr{&sql.Table{Name: sql.Name{"t"}, At: -1}}}
	if _, err := plan.Bind(wide, env); err != nil {
		t.Errorf("binding a long IN list: %v", err)
	}
}

// BenchmarkBind measures the path of a point query.
func BenchmarkBind(b *testing.B) {
	env := plan.Env{Catalog: testCatalog(b), SearchPath: []string{"public"}, ParamTypes: []types.OID{types.Int4OID}}
	stmt, err := sql.ParseOne("SELECT n, s FROM t WHERE id = $1")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := plan.Bind(stmt, env); err != nil {
			b.Fatal(err)
		}
	}
}
