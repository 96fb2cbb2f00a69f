package exec_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// database is a catalog and its rows in Go slices: the smallest Source.
type database struct {
	catalog *catalog.Catalog
	tables  map[types.OID]*table
	next    int64 // row ids
	nextval map[types.OID]int64
}

type table struct {
	rel  *catalog.Relation
	rows []types.Row
}

func newDatabase(t testing.TB) *database {
	t.Helper()
	c, _, err := catalog.Bootstrap("test", "postgres", "")
	if err != nil {
		t.Fatal(err)
	}
	return &database{catalog: c, tables: make(map[types.OID]*table), nextval: make(map[types.OID]int64)}
}

// create adds a table or a view to the catalog.
func (d *database) create(stmt sql.Statement) error {
	edit := catalog.NewEdit(d.catalog)
	switch s := stmt.(type) {
	case *sql.CreateTable:
		rel, err := relationOf(edit, s)
		if err != nil {
			return err
		}
		if err := edit.AddRelation(rel); err != nil {
			return err
		}
		d.tables[rel.OID] = &table{rel: rel}
	case *sql.CreateView:
		if err := edit.AddRelation(&catalog.Relation{
			OID: edit.NextOID(), Schema: "public", Name: s.Name[len(s.Name)-1], Kind: catalog.KindView,
			Columns: d.viewColumns(s.Query), View: sql.Print(s.Query),
		}); err != nil {
			return err
		}
	default:
		return fmt.Errorf("cannot create %T", stmt)
	}
	d.catalog = edit.Finish(d.catalog.Version() + 1)
	return nil
}

func (d *database) viewColumns(q *sql.Select) []catalog.Column {
	bound, err := plan.Bind(q, d.env())
	if err != nil {
		return nil
	}
	var cols []catalog.Column
	for i, c := range bound.Columns {
		cols = append(cols, catalog.Column{Num: int16(i + 1), Name: c.Name, Type: c.Type})
	}
	return cols
}

func (d *database) env() plan.Env {
	return plan.Env{Catalog: d.catalog, SearchPath: []string{"public"}, Builtin: &builtin.Context{User: "postgres", Database: "test"}}
}

// relationOf makes the catalog entry of CREATE TABLE: columns, defaults, keys, checks,
// and placement by WITH (shard_key = …, reference = true).
func relationOf(edit *catalog.Edit, s *sql.CreateTable) (*catalog.Relation, error) {
	rel := &catalog.Relation{OID: edit.NextOID(), Schema: "public", Name: s.Name[len(s.Name)-1], Kind: catalog.KindTable}
	for i, def := range s.Columns {
		typ, err := plan.ResolveType(def.Type)
		if err != nil {
			return nil, err
		}
		col := catalog.Column{Num: int16(i + 1), Name: def.Name, Type: typ}
		for _, c := range def.Constraints {
			switch c.Kind {
			case "not null":
				col.NotNull = true
			case "default":
				col.Default = sql.PrintExpr(c.Expr)
			case "generated":
				col.Generated, col.Default = 's', sql.PrintExpr(c.Expr)
			case "identity":
				col.Identity = 'd'
				if c.Always {
					col.Identity = 'a'
				}
			default:
				c.Columns = []string{def.Name}
				s.Constraints = append(s.Constraints, c)
			}
		}
		rel.Columns = append(rel.Columns, col)
	}
	for _, c := range s.Constraints {
		addConstraint(edit, rel, c)
	}
	if rel.PrimaryKey == nil {
		n := int16(len(rel.Columns) + 1)
		rel.Columns = append(rel.Columns, catalog.Column{Num: n, Name: "helios_rowid", Type: types.T(types.Int8OID), Hidden: true})
		rel.PrimaryKey = &catalog.Index{OID: edit.NextOID(), Name: rel.Name + "_rowid", Unique: true, Primary: true, Hidden: true, Method: "btree", Keys: []catalog.IndexKey{{Column: n}}}
	}
	place(rel, s.Options)
	return rel, nil
}

func addConstraint(edit *catalog.Edit, rel *catalog.Relation, c sql.Constraint) {
	name := c.Name
	if c.Kind == "check" {
		if name == "" {
			name = rel.Name + "_" + strings.Join(append(slices.Clone(c.Columns), "check"), "_")
		}
		rel.Constraints = append(rel.Constraints, catalog.Constraint{OID: edit.NextOID(), Name: name, Kind: 'c', Expr: sql.PrintExpr(c.Expr), Valid: true})
		return
	}
	x := &catalog.Index{OID: edit.NextOID(), Name: name, Unique: true, Primary: c.Kind == "primary key", Constraint: true, Method: "btree"}
	for _, col := range c.Columns {
		at, _ := rel.Column(col)
		x.Keys = append(x.Keys, catalog.IndexKey{Column: at.Num})
		if x.Primary {
			at.NotNull = true
		}
	}
	if x.Primary {
		x.Name = rel.Name + "_pkey"
		rel.PrimaryKey = x
		return
	}
	if name == "" {
		x.Name = rel.Name + "_" + strings.Join(c.Columns, "_") + "_key"
	}
	rel.Indexes = append(rel.Indexes, x)
}

func place(rel *catalog.Relation, options []sql.Option) {
	rel.Placement = catalog.Placement{Strategy: catalog.Hash, ColocationID: 1}
	for _, k := range rel.PrimaryKey.Keys {
		rel.Placement.KeyColumns = append(rel.Placement.KeyColumns, k.Column)
	}
	for _, o := range options {
		switch o.Name {
		case "shard_key":
			c, _ := rel.Column(*o.Value)
			rel.Placement.KeyColumns = []int16{c.Num}
		case "strategy":
			rel.Placement = catalog.Placement{Strategy: catalog.Strategy(*o.Value)}
		}
	}
}

func (d *database) Scan(ctx context.Context, env *exec.Env, s *plan.Scan) (exec.Rows, error) {
	keep, err := exec.CompileFilter(ctx, s.Filter, env)
	if err != nil {
		return nil, err
	}
	var out []types.Row
	for _, row := range d.tables[s.Rel.OID].rows {
		r := make(types.Row, len(s.Attrs))
		for i, attr := range s.Attrs {
			switch attr {
			case plan.AttrTableOID:
				r[i] = types.Int(int64(s.Rel.OID))
			case plan.AttrSlot:
				r[i] = types.Int(7)
			default:
				r[i] = row[attr]
			}
		}
		ok, err := keep(r)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, r)
		}
	}
	return exec.SliceRows(out), nil
}

func (d *database) Gather(context.Context, *exec.Env, *plan.Gather) (exec.Rows, error) {
	return nil, types.Errorf("XX000", "no shards here")
}

// conflictWith finds the stored row that has the key of row in one of the indexes.
func (t *table) conflictWith(indexes []*catalog.Index, row types.Row, except int) (int, *catalog.Index) {
	for _, x := range indexes {
		if !x.Unique {
			continue
		}
		for i, old := range t.rows {
			same := i != except
			for _, k := range x.Keys {
				a, b := old[k.Column-1], row[k.Column-1]
				same = same && !a.IsNull() && !b.IsNull() && types.Equal(a, b)
			}
			if same {
				return i, x
			}
		}
	}
	return -1, nil
}

func (t *table) duplicate(x *catalog.Index, row types.Row) error {
	var names, values []string
	for _, k := range x.Keys {
		c := t.rel.Columns[k.Column-1]
		names = append(names, c.Name)
		values = append(values, types.ToText(c.Type, row[k.Column-1]))
	}
	return types.Errorf("23505", "duplicate key value violates unique constraint %q", x.Name).
		WithDetail("Key (%s)=(%s) already exists.", strings.Join(names, ", "), strings.Join(values, ", "))
}

func (d *database) Insert(_ context.Context, _ *exec.Env, n *plan.Insert, rows []types.Row, conflict exec.Conflict) ([]types.Row, error) {
	t := d.tables[n.Rel.OID]
	out := make([]types.Row, len(rows))
	for i, row := range rows {
		if id, ok := n.Rel.RowID(); ok {
			row = slices.Clone(row)
			d.next++
			row[id.Num-1] = types.Int(d.next)
		}
		if n.OnConflict != nil {
			arbiters := n.OnConflict.Arbiters
			if arbiters == nil {
				arbiters = n.Rel.AllIndexes()
			}
			if at, _ := t.conflictWith(arbiters, row, -1); at >= 0 {
				if conflict == nil {
					continue
				}
				fresh, err := conflict(t.rows[at], row)
				if err != nil {
					return nil, err
				}
				if fresh != nil {
					t.rows[at], out[i] = fresh, fresh
				}
				continue
			}
		}
		if at, x := t.conflictWith(n.Rel.AllIndexes(), row, -1); at >= 0 {
			return nil, t.duplicate(x, row)
		}
		t.rows = append(t.rows, row)
		out[i] = row
	}
	return out, nil
}

// find gives the place of a row by its primary key, -1 if it is gone.
func (t *table) find(row types.Row) int {
	return slices.IndexFunc(t.rows, func(r types.Row) bool {
		return !slices.ContainsFunc(plan.KeyPositions(t.rel), func(i int) bool { return !types.Equal(r[i], row[i]) })
	})
}

func (d *database) Update(_ context.Context, _ *exec.Env, n *plan.Update, changes []exec.Change) ([]bool, error) {
	t := d.tables[n.Rel.OID]
	done := make([]bool, len(changes))
	for i, c := range changes {
		at := t.find(c.Old)
		if at < 0 {
			continue
		}
		if other, x := t.conflictWith(n.Rel.AllIndexes(), c.New, at); other >= 0 {
			return nil, t.duplicate(x, c.New)
		}
		t.rows[at], done[i] = c.New, true
	}
	return done, nil
}

func (d *database) Delete(_ context.Context, _ *exec.Env, n *plan.Delete, changes []exec.Change) ([]bool, error) {
	t := d.tables[n.Rel.OID]
	done := make([]bool, len(changes))
	for i, c := range changes {
		if at := t.find(c.Old); at >= 0 {
			t.rows, done[i] = slices.Delete(t.rows, at, at+1), true
		}
	}
	return done, nil
}

func (d *database) Lock(_ context.Context, _ *exec.Env, n *plan.Lock, rows []types.Row) ([]types.Row, error) {
	for _, target := range n.Targets {
		t := d.tables[target.Rel.OID]
		for _, row := range rows {
			whole := make(types.Row, len(t.rel.Columns))
			for i, at := range plan.KeyPositions(t.rel) {
				whole[at] = row[target.Key[i]]
			}
			if t.find(whole) < 0 {
				return nil, types.Errorf("XX000", "locked row is not in %s", t.rel.Name)
			}
		}
	}
	return rows, nil
}
