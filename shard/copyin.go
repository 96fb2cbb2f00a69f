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
	q    *plan.Query
	env  exec.Env
	rows int64
}

// CopyIn opens a table for COPY FROM. The rows go the way of INSERT, defaults and checks
// included: the plan is that of INSERT … VALUES ($1, …), run for every row of a batch.
func (t *Tx) CopyIn(_ context.Context, rel *catalog.Relation, cols []int16, env *exec.Env) (session.RowSink, error) {
	q, err := plan.CopyInto(rel, cols, plan.Env{
		Catalog: t.Catalog(), SearchPath: env.Builtin.SearchPath, Functions: t.e.Functions(), Builtin: env.Builtin,
	})
	if err != nil {
		return nil, err
	}
	return &copyIn{t: t, q: q, env: *env}, nil
}

// Write stores rows.
func (c *copyIn) Write(ctx context.Context, rows []types.Row) error {
	env := c.env
	res, err := c.t.Query(ctx, plan.WithRows(c.q, rows), &env)
	if err != nil {
		return err
	}
	c.rows += res.Count()
	return res.Rows.Close()
}

// Close ends the COPY.
func (c *copyIn) Close(context.Context) (int64, error) { return c.rows, nil }
