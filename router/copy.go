package router

import (
	"context"

	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// copySink takes the rows of COPY FROM: each batch is an INSERT of parameters, so that
// defaults, checks and placement are those of INSERT, all in one transaction.
type copySink struct {
	t       *Tx
	rel     types.OID
	cols    []int16
	q       *plan.Query
	env     *exec.Env
	pending []types.Row
	rows    int64
}

// copyBatch is how many rows go out at once.
const copyBatch = 1024

// CopyIn opens a table for COPY FROM.
func (t *Tx) CopyIn(_ context.Context, rel *catalog.Relation, cols []int16, env *exec.Env) (session.RowSink, error) {
	c := &copySink{t: t, rel: rel.OID, cols: cols, env: env}
	return c, c.bind()
}

// bind plans the INSERT of one row of parameters.
func (c *copySink) bind() error {
	rel, ok := c.t.Catalog().ByOID(c.rel)
	if !ok {
		return types.Errorf("42P01", "the table of the COPY was dropped")
	}
	names := make([]string, len(c.cols))
	row := make([]sql.Expr, len(c.cols))
	declared := make([]types.OID, len(c.cols))
	for i, num := range c.cols {
		col := rel.Columns[num-1]
		names[i], declared[i] = col.Name, col.Type.OID
		row[i] = &sql.Param{N: i + 1, At: -1}
	}
	insert := &sql.Insert{
		Table:   &sql.Table{Name: sql.Name{rel.Schema, rel.Name}, At: -1},
		Columns: names, Overriding: "system",
		Query: &sql.Select{Values: [][]sql.Expr{row}, At: -1},
	}
	var err error
	c.q, err = plan.Bind(insert, plan.Env{
		Catalog: c.t.Catalog(), ParamTypes: declared, Functions: c.t.r.Functions(), Builtin: c.env.Builtin,
	})
	return err
}

// Write takes rows; they go out in batches.
func (c *copySink) Write(ctx context.Context, rows []types.Row) error {
	c.pending = append(c.pending, rows...)
	for len(c.pending) >= copyBatch {
		if err := c.flush(ctx, copyBatch); err != nil {
			return err
		}
	}
	return nil
}

// flush sends the first n rows: the plan of one row with parameters becomes that of many
// rows of constants.
func (c *copySink) flush(ctx context.Context, n int) error {
	env := *c.env
	env.Params = make([]types.Value, len(c.q.ParamTypes))
	for try := 0; ; try++ {
		batch, err := c.plan(c.pending[:n])
		if err != nil {
			return err
		}
		res, err := c.t.Query(ctx, batch, &env)
		if session.WantsReplan(err) && try < mapTries {
			if err := c.bind(); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return public(err)
		}
		c.pending = c.pending[n:]
		c.rows += res.Count()
		c.t.EndStatement(nil)
		return res.Rows.Close()
	}
}

// plan puts rows in the place of the VALUES row.
func (c *copySink) plan(rows []types.Row) (*plan.Query, error) {
	insert, ok := c.q.Root.(*plan.Insert)
	if !ok {
		return nil, types.Errorf("XX000", "COPY has no INSERT to run")
	}
	source, ok := withRows(insert.Source, rows)
	if !ok {
		return nil, types.Errorf("XX000", "COPY has no VALUES to fill")
	}
	changed := *insert
	changed.Source = source
	q := *c.q
	q.Root = &changed
	return &q, nil
}

func withRows(n plan.Node, rows []types.Row) (plan.Node, bool) {
	switch x := n.(type) {
	case *plan.Project:
		in, ok := withRows(x.Input, rows)
		c := *x
		c.Input = in
		return &c, ok
	case *plan.Values:
		if len(x.Rows) != 1 {
			return nil, false
		}
		c := *x
		c.Rows = make([][]plan.Expr, len(rows))
		for i, row := range rows {
			c.Rows[i] = make([]plan.Expr, len(row))
			for j, v := range row {
				c.Rows[i][j] = constLike(x.Rows[0][j], v)
			}
		}
		return &c, true
	}
	return nil, false
}

// constLike is a constant in the place of the parameter inside an expression: the casts
// around it stay.
func constLike(e plan.Expr, v types.Value) plan.Expr {
	return plan.Map(e, func(x plan.Expr) (plan.Expr, bool) {
		if p, ok := x.(*plan.Param); ok {
			return &plan.Const{Value: v, Typ: p.Typ}, true
		}
		return x, false
	})
}

// Close sends what is left and gives the number of rows.
func (c *copySink) Close(ctx context.Context) (int64, error) {
	if len(c.pending) > 0 {
		if err := c.flush(ctx, len(c.pending)); err != nil {
			return 0, err
		}
	}
	return c.rows, nil
}
