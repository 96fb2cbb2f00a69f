package catalog

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// store is catalog rows as a shard keeps them.
type store map[string][]byte

func (s store) apply(changes []Change) {
	for _, c := range changes {
		if c.Value == nil {
			delete(s, string(c.Key))
		} else {
			s[string(c.Key)] = c.Value
		}
	}
}

func (s store) all() iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		for k, v := range s {
			if !yield([]byte(k), v) {
				return
			}
		}
	}
}

func bootstrap(t interface{ Fatal(...any) }) (*Catalog, store) {
	c, rows, err := Bootstrap("heliosdb", "helios", "")
	if err != nil {
		t.Fatal(err)
	}
	s := store{}
	s.apply(rows)
	return c, s
}

func newTable(e *Edit, schema, name string) *Relation {
	oid := e.NextOID()
	return &Relation{
		OID: oid, Schema: schema, Name: name, Kind: KindTable, Owner: SuperuserOID,
		Columns: []Column{
			{Num: 1, Name: "id", Type: types.T(types.Int8OID), NotNull: true},
			{Num: 2, Name: "v", Type: types.Type{OID: types.VectorOID, Mod: 3}, Default: "'[1,2,3]'::vector"},
		},
		PrimaryKey:  &Index{OID: e.NextOID(), Name: name + "_pkey", Unique: true, Primary: true, Method: "btree", Keys: []IndexKey{{Column: 1}}},
		Indexes:     []*Index{{OID: e.NextOID(), Name: name + "_idx", Method: "btree", Keys: []IndexKey{{Expr: "id + 1"}}, Where: "id > 0"}},
		Constraints: []Constraint{{OID: e.NextOID(), Name: "positive", Kind: 'c', Expr: "id > 0", Valid: true}},
		Placement:   Placement{Strategy: Hash, KeyColumns: []int16{1}, ColocationID: 1},
		Options:     []sql.Option{{Namespace: "helios", Name: "shard_key"}},
	}
}

func TestResolve(t *testing.T) {
	base, _ := bootstrap(t)
	e := NewEdit(base)
	for _, name := range []string{"t", "pg_x"} {
		if err := e.AddRelation(newTable(e, "public", name)); err != nil {
			t.Fatal(err)
		}
	}
	virtual := &Relation{OID: 1259, Schema: "pg_catalog", Name: "pg_x", Kind: KindTable, Virtual: true}
	c := e.Finish(7).WithVirtual([]*Relation{virtual})
	if _, ok := base.Relation("public", "t"); ok || base.Version() != 0 || c.Version() != 7 {
		t.Error("the edit changed its base")
	}
	path := []string{"$user", "public"}
	for _, tc := range []struct {
		name string
		path []string
		want string
	}{
		{"t", path, "public.t"},
		{"public.t", nil, "public.t"},
		{"heliosdb.public.t", nil, "public.t"},
		{"t_idx", path, "public.t_idx"},
		{"pg_x", path, "pg_catalog.pg_x"},
		{"pg_x", []string{"public", "pg_catalog"}, "public.pg_x"},
		{"t", nil, `42P01: relation "t" does not exist`},
		{"nope.t", path, `42P01: relation "nope.t" does not exist`},
		{"other.public.t", path, `0A000: cross-database references are not implemented: "other.public.t"`},
	} {
		r, err := c.Resolve(tc.path, strings.Split(tc.name, "."))
		got := fmt.Sprint(err)
		if err == nil {
			got = r.Schema + "." + r.Name
		}
		if got != tc.want {
			t.Errorf("Resolve(%v, %s) = %s, want %s", tc.path, tc.name, got, tc.want)
		}
	}
	if r, ok := c.ByOID(1259); !ok || !r.Virtual {
		t.Error("the virtual relation is not found by number")
	}
	if _, _, err := c.ResolveNew([]string{"nope"}, sql.Name{"x"}); types.CodeOf(err) != "3F000" {
		t.Errorf("no schema to create in: %v", err)
	}
}

func TestEditConflicts(t *testing.T) {
	base, _ := bootstrap(t)
	e := NewEdit(base)
	table := newTable(e, "public", "t")
	if err := e.AddRelation(table); err != nil {
		t.Fatal(err)
	}
	other := newTable(e, "public", "u")
	other.Indexes[0].Name = "t"
	if err := e.AddRelation(other); types.CodeOf(err) != "42P07" {
		t.Errorf("an index with a table's name: %v, want 42P07", err)
	}
	if _, ok := e.Catalog().Relation("public", "u"); ok {
		t.Error("a refused relation stayed")
	}
	if err := e.AddRelation(newTable(e, "public", "u")); err != nil {
		t.Fatal(err)
	}
	renamed := table.Clone()
	renamed.Name = "u"
	if err := e.ReplaceRelation(renamed); types.CodeOf(err) != "42P07" {
		t.Errorf("renaming onto another: %v, want 42P07", err)
	}
	if r, ok := e.Catalog().Relation("public", "t"); !ok || r != table {
		t.Error("a refused replacement removed the relation")
	}
	bad := newTable(e, "public", "w")
	bad.Columns[0].Default = "1 +"
	if err := e.AddRelation(bad); types.CodeOf(err) != "XX001" {
		t.Errorf("a default that does not parse: %v, want XX001", err)
	}
}

// TestLoad holds that after any edits the catalog loaded from the rows is the catalog
// edited, and that an edit writes only rows that differ.
func TestLoad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, s := bootstrap(t)
		for version := range rapid.IntRange(1, 6).Draw(t, "transactions") {
			e := NewEdit(c)
			for range rapid.IntRange(0, 5).Draw(t, "edits") {
				randomEdit(t, e)
			}
			changes, err := e.Rows()
			if err != nil {
				t.Fatal(err)
			}
			for _, change := range changes {
				if bytes.Equal(s[string(change.Key)], change.Value) {
					t.Fatalf("row %q is written without a change", change.Key)
				}
			}
			s.apply(changes)
			c = e.Finish(uint64(version + 1))
		}
		loaded, err := Load(c.Version(), s.all())
		if err != nil {
			t.Fatal(err)
		}
		want, got := allRows(t, c), allRows(t, loaded)
		if !maps.EqualFunc(want, got, bytes.Equal) || !maps.EqualFunc(want, s, bytes.Equal) {
			t.Fatalf("loaded %d rows, want %d, stored %d: they differ", len(got), len(want), len(s))
		}
		for r := range c.Relations() {
			twin, ok := loaded.Relation(r.Schema, r.Name)
			if !ok || twin.OID != r.OID || !sql.Equal(columnExprs(twin), columnExprs(r)) {
				t.Fatalf("relation %s.%s is not the same after loading", r.Schema, r.Name)
			}
		}
	})
}

func columnExprs(r *Relation) []sql.Expr {
	var out []sql.Expr
	for i := range r.Columns {
		out = append(out, r.Columns[i].DefaultExpr())
	}
	return out
}

func allRows(t *rapid.T, c *Catalog) store {
	rows, err := c.Rows()
	if err != nil {
		t.Fatal(err)
	}
	s := store{}
	s.apply(rows)
	return s
}

func randomEdit(t *rapid.T, e *Edit) {
	name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
	old, exists := e.Catalog().Relation("public", name)
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0, 1:
		if err := e.AddRelation(newTable(e, "public", name)); (err != nil) != exists {
			t.Fatalf("adding %s: %v", name, err)
		}
	case 2:
		if exists {
			e.DropRelation(old.OID)
		}
	case 3:
		if exists {
			next := old.Clone()
			next.Columns = append(next.Columns, Column{Num: int16(len(next.Columns) + 1), Name: "x", Type: types.T(types.TextOID), Default: "now()"})
			next.Indexes = nil
			if err := e.ReplaceRelation(next); err != nil {
				t.Fatal(err)
			}
		}
	case 4:
		e.PutRole(&Role{OID: e.NextOID(), Name: name, Login: true, ConnLimit: -1})
	case 5:
		e.DropRole(name)
	case 6:
		e.PutSchema(&Schema{OID: e.NextOID(), Name: name, Owner: SuperuserOID})
	}
}

func TestLoadRefuses(t *testing.T) {
	_, s := bootstrap(t)
	for name, damage := range map[string]func(store){
		"not JSON": func(s store) { s[counterKey] = []byte("{") },
		"other format": func(s store) {
			s[counterKey] = bytes.Replace(s[counterKey], []byte(`"format":1`), []byte(`"format":2`), 1)
		},
		"unknown field":  func(s store) { s[counterKey] = []byte(`{"format":1,"nextOID":5,"more":1}`) },
		"says nothing":   func(s store) { s["x"] = []byte(`{"format":1}`) },
		"counter absent": func(s store) { delete(s, counterKey) },
		"broken default": func(s store) {
			s["r1234"] = []byte(`{"format":1,"relation":{"oid":9,"schema":"public","name":"t","kind":114,"owner":10,"columns":[{"num":1,"name":"a","type":{"OID":23,"Mod":-1},"default":"1 +"}],"placement":{}}}`)
		},
	} {
		damaged := maps.Clone(s)
		damage(damaged)
		if _, err := Load(1, damaged.all()); types.CodeOf(err) != "XX001" {
			t.Errorf("%s: %v, want XX001", name, err)
		}
	}
}

// TestPlacementOptions runs testdata/placement: options in, what was understood out.
func TestPlacementOptions(t *testing.T) {
	datadriven.RunTest(t, "testdata/placement", func(t *testing.T, d *datadriven.TestData) string {
		stmt, err := sql.ParseOne("CREATE TABLE t (a int) WITH (" + d.Input + ")")
		if err != nil {
			return err.Error() + "\n"
		}
		p, err := ParsePlacement(stmt.(*sql.CreateTable).Options)
		if err != nil {
			e := types.AsError(err)
			out := e.Error() + "\n"
			if e.Hint != "" {
				out += "hint: " + e.Hint + "\n"
			}
			return out
		}
		return describe(p)
	})
}

func describe(p PlacementOptions) string {
	var out []string
	add := func(name string, value any) {
		if s := fmt.Sprint(value); s != "" && s != "[]" && s != "0" {
			out = append(out, name+": "+s)
		}
	}
	add("strategy", p.Strategy)
	add("shard key", fmt.Sprintf("%q", p.ShardKey))
	add("colocate with", p.ColocateWith)
	add("centroids", p.NumCentroids)
	add("metric", p.Metric)
	add("split at", fmt.Sprintf("%q", p.SplitAt))
	add("zone column", p.ZoneColumn)
	add("zones", fmt.Sprint(p.Zones))
	if !p.Given {
		out = append(out, "nothing chosen")
	}
	return strings.Join(slices.Compact(out), "\n") + "\n"
}
