package router

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
)

// Explain gives the lines of EXPLAIN: the plan with, beside each Gather, the shards and
// cells that it asks of all there are.
func (t *Tx) Explain(ctx context.Context, q *plan.Query, analyze bool, env *exec.Env) ([]string, error) {
	d, err := q.Distributed()
	if err != nil {
		return nil, err
	}
	if analyze {
		return t.explainRun(ctx, q, d, env)
	}
	m, err := t.r.clusterMap()
	if err != nil {
		return nil, err
	}
	s := &statement{t: t, r: t.r, q: d, env: env, m: m, settings: t.settings(), at: t.r.Heard()}
	return plan.Explain(d.Root, func(g *plan.Gather) string { return s.describe(ctx, g) }), nil
}

// describe tells what a Gather would ask; what depends on values that are not known yet
// it does not.
func (s *statement) describe(ctx context.Context, g *plan.Gather) string {
	if _, args := g.SQL(); readsOuter(args) {
		return "shards=by row"
	}
	// A value of an InitPlan is not computed for EXPLAIN, and asking for it is an error.
	targets, err := s.targets(ctx, s.env, g)
	if err != nil {
		return "shards=unknown until run"
	}
	if s.mu.touched.gathers[g] == nil {
		s.note(g, len(targets), 0, 0, "")
	}
	return s.mu.touched.gathers[g].String()
}

// String is how EXPLAIN shows it.
func (g *gatherStats) String() string {
	text := fmt.Sprintf("shards=%d/%d", g.shards, g.shardsAll)
	if g.cellsAll > 0 {
		text += fmt.Sprintf(" cells=%d/%d (%s)", g.cells, g.cellsAll, g.reason)
	}
	return text
}

// explainRun is EXPLAIN ANALYZE.
func (t *Tx) explainRun(ctx context.Context, q, d *plan.Query, env *exec.Env) ([]string, error) {
	start := time.Now()
	res, err := t.Query(ctx, q, env)
	if err != nil {
		return nil, err
	}
	for err == nil {
		_, err = res.Rows.Next(ctx)
	}
	if closed := res.Rows.Close(); !errors.Is(err, io.EOF) || closed != nil {
		return nil, errors.Join(err, closed)
	}
	took, s := time.Since(start), t.running
	lines := plan.Explain(d.Root, func(g *plan.Gather) string {
		if st := s.mu.touched.gathers[g]; st != nil {
			return st.String()
		}
		return "never executed"
	})
	return append(lines,
		fmt.Sprintf("Rows: %d", res.Count()),
		fmt.Sprintf("Execution Time: %.3f ms", float64(took.Microseconds())/1000)), nil
}
