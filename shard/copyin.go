package shard

import (
	"context"

	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// copyIn is COPY FROM: each batch is an INSERT of VALUES planned once.
type copyIn struct {
	t    *Tx
	rel  *catalog.Relation
	cols []int16
	q    *plan.Query
	env  exec.Env
	rows int64
}

// CopyIn opens a table for COPY FROM. The rows go the way of INSERT, defaults and checks
// included: the plan is that of INSERT … VALUES ($1, …), run for every row of a batch.
func (t *Tx) CopyIn(_ context.Context, rel *catalog.Relation, cols []int16, env *exec.Env) (session.RowSink, error) {
	c := &copyIn{t: t, rel: rel, cols: cols, env: *env}
	return c, c.plan()
}

func (c *copyIn) plan() (err error) {
	c.q, err = plan.CopyInto(c.rel, c.cols, plan.Env{
		Catalog: c.t.Catalog(), SearchPath: c.env.Builtin.SearchPath, Functions: c.t.e.Functions(), Builtin: c.env.Builtin,
	})
	return err
}

// Write stores rows.
func (c *copyIn) Write(ctx context.Context, rows []types.Row) error {
	res, err := c.insert(ctx, rows)
	if session.WantsReplan(err) && c.renew() { // only the first batch can wait for DDL
		if err = c.plan(); err == nil {
			res, err = c.insert(ctx, rows)
		}
	}
	if err != nil {
		return err
	}
	c.rows += res.Count()
	return res.Rows.Close()
}

func (c *copyIn) insert(ctx context.Context, rows []types.Row) (*exec.Result, error) {
	env := c.env
	return c.t.Query(ctx, plan.WithRows(c.q, rows), &env)
}

// renew takes the newest schema of the table, if it still has the columns that the client
// sends.
func (c *copyIn) renew() bool {
	now, ok := c.t.Catalog().ByOID(c.rel.OID)
	if !ok {
		return false
	}
	for _, n := range c.cols {
		if x := now.Columns[n-1]; x.Dropped || x.Type != c.rel.Columns[n-1].Type {
			return false
		}
	}
	c.rel = now
	return true
}

// Close ends the COPY.
func (c *copyIn) Close(context.Context) (int64, error) { return c.rows, nil }
