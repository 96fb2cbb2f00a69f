package router_test

import (
	"context"
	"testing"

	"github.com/heliosdb/helios/types"
)

// TestFaultFields holds that an error names the table, column and constraint that it is
// about in fields of their own, as drivers expect it, when ALTER TABLE finds it too.
func TestFaultFields(t *testing.T) {
	w := newWorld(t, 2)
	c := w.connect(w.newRouter(1))
	c.must("CREATE SCHEMA app")
	c.must("CREATE TABLE app.t (id int PRIMARY KEY, n int CONSTRAINT small CHECK (n < 100))")
	c.must("INSERT INTO app.t VALUES (1, 1), (2, NULL), (3, 50)")
	for _, x := range []struct{ text, code, column, constraint string }{
		{"INSERT INTO app.t VALUES (4, 100)", "23514", "", "small"},
		{"ALTER TABLE app.t ADD CONSTRAINT tiny CHECK (n < 10)", "23514", "", "tiny"},
		{"ALTER TABLE app.t ALTER COLUMN n SET NOT NULL", "23502", "n", ""},
		{"INSERT INTO app.t VALUES (1, 1)", "23505", "", "t_pkey"},
	} {
		e := types.AsError(c.s.SimpleQuery(context.Background(), x.text, c))
		if e.Code != x.code || e.Schema != "app" || e.Table != "t" || e.Column != x.column || e.Constraint != x.constraint {
			t.Errorf("%s: %s, schema %q, table %q, column %q, constraint %q", x.text, e.Code, e.Schema, e.Table, e.Column, e.Constraint)
		}
	}
}
