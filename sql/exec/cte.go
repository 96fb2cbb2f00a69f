package exec

import (
	"context"

	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// cteFrame holds the results of the common table expressions in reach.
type cteFrame struct {
	up   *cteFrame
	env  *Env // of the With
	rows map[*plan.CTE]*rowCache
}

// rowCache is a result kept in memory, computed at first use.
type rowCache struct {
	rows []types.Row
	done bool
}

// workFrame is the table that a recursive expression's WorkScans read.
type workFrame struct {
	up   *workFrame
	cte  *plan.CTE
	rows []types.Row
}

// openWith makes the expressions available to the body. Writing ones run at once and
// whole, the others when they are first read.
func (env *Env) openWith(n *plan.With) (Rows, error) {
	sub := *env
	sub.ctes = &cteFrame{up: env.ctes, rows: make(map[*plan.CTE]*rowCache)}
	sub.ctes.env = &sub
	for _, c := range n.CTEs {
		sub.ctes.rows[c] = &rowCache{}
	}
	for _, c := range n.CTEs {
		if writes(c.Plan) {
			affected := env.run.affected
			if _, err := sub.cteRows(env.run.ctx, c); err != nil {
				return nil, err
			}
			env.run.affected = affected // the tag counts the body's rows only
		}
	}
	return sub.open(n.Body)
}

// writes tells whether the node itself is a writing statement.
func writes(n plan.Node) bool {
	switch n := n.(type) {
	case *plan.Insert, *plan.Update, *plan.Delete:
		return true
	case *plan.With:
		return writes(n.Body)
	case *plan.Gather:
		return writes(n.Fragment)
	}
	return false
}

// cteRows gives the rows of an expression, computing them at first use.
func (env *Env) cteRows(ctx context.Context, c *plan.CTE) ([]types.Row, error) {
	for f := env.ctes; f != nil; f = f.up {
		cache, ok := f.rows[c]
		if !ok {
			continue
		}
		if cache.done {
			return cache.rows, nil
		}
		rows, err := f.env.computeCTE(ctx, c)
		if err != nil {
			return nil, err
		}
		cache.rows, cache.done = rows, true
		return rows, nil
	}
	return nil, types.Errorf("XX000", "WITH query %q is out of reach", c.Name)
}

func (env *Env) openCTE(n *plan.CTEScan) (Rows, error) {
	return &deferred{start: func(ctx context.Context) (Rows, error) {
		rows, err := env.cteRows(ctx, n.CTE)
		if err != nil {
			return nil, err
		}
		return sliceRows(rows), nil
	}}, nil
}

func (env *Env) computeCTE(ctx context.Context, c *plan.CTE) ([]types.Row, error) {
	first, err := env.open(c.Plan)
	if err != nil {
		return nil, err
	}
	rows, err := drain(ctx, env, first)
	if err != nil || c.Recursive == nil {
		return rows, err
	}
	seen := &rowSet{env: env}
	if !c.All {
		if rows, err = seen.fresh(rows); err != nil {
			return nil, err
		}
	}
	for work := rows; len(work) > 0; {
		if err := interrupted(ctx); err != nil {
			return nil, err
		}
		round := *env
		round.work = &workFrame{up: env.work, cte: c, rows: work}
		in, err := round.open(c.Recursive)
		if err != nil {
			return nil, err
		}
		if work, err = drain(ctx, &round, in); err != nil {
			return nil, err
		}
		if !c.All {
			if work, err = seen.fresh(work); err != nil {
				return nil, err
			}
		}
		rows = append(rows, work...)
	}
	return rows, nil
}

func (env *Env) openWork(n *plan.WorkScan) (Rows, error) {
	for f := env.work; f != nil; f = f.up {
		if f.cte == n.CTE {
			return sliceRows(f.rows), nil
		}
	}
	return nil, types.Errorf("XX000", "recursive query %q is out of reach", n.CTE.Name)
}

// openGather asks shards. Inside a sub-plan, where the same rows would be asked for
// again and again, they are kept.
func (env *Env) openGather(n *plan.Gather) (Rows, error) {
	if writes(n) {
		return env.openWritingGather(n)
	}
	if env.frame == nil || plan.ReadsOuter(n) {
		return env.Source.Gather(env.run.ctx, env, n)
	}
	return &deferred{start: func(ctx context.Context) (Rows, error) {
		cache := env.run.cached[n]
		if cache == nil {
			in, err := env.Source.Gather(ctx, env, n)
			if err != nil {
				return nil, err
			}
			rows, err := drain(ctx, env, in)
			if err != nil {
				return nil, err
			}
			cache = &rowCache{rows: rows, done: true}
			env.run.cached[n] = cache
		}
		return sliceRows(cache.rows), nil
	}}, nil
}

// openWritingGather counts what shards wrote: the rows of RETURNING, or the numbers
// that they answer without it.
func (env *Env) openWritingGather(n *plan.Gather) (Rows, error) {
	in, err := env.Source.Gather(env.run.ctx, env, n)
	if err != nil {
		return nil, err
	}
	return &pipe{input: in, each: func(_ context.Context, batch []types.Row) ([]types.Row, error) {
		if len(n.Columns) > 0 {
			env.run.affected += int64(len(batch))
			return batch, nil
		}
		for _, row := range batch {
			env.run.affected += row[0].AsInt()
		}
		return nil, nil
	}}, nil
}
