package router

import (
	"context"

	"github.com/heliosdb/helios/session"
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
	q       *plan.Query // distributed
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
	q, err := plan.CopyInto(rel, c.cols, plan.Env{
		Catalog: c.t.Catalog(), SearchPath: c.env.Builtin.SearchPath, Functions: c.t.r.Functions(), Builtin: c.env.Builtin,
	})
	if err != nil {
		return err
	}
	c.q, err = plan.Distribute(q)
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
	for try := 0; ; try++ {
		env := *c.env
		res, err := c.t.run(ctx, plan.WithRows(c.q, c.pending[:n]), &env)
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

// Close sends what is left and gives the number of rows.
func (c *copySink) Close(ctx context.Context) (int64, error) {
	if len(c.pending) > 0 {
		if err := c.flush(ctx, len(c.pending)); err != nil {
			return 0, err
		}
	}
	return c.rows, nil
}
