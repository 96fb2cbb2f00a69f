package exec

import (
	"context"

	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// joiner is what the three ways to join share.
type joiner struct {
	env         *Env
	n           *plan.Join
	cond        evaluator // over left ++ right, nil for none
	leftWidth   int
	rightWidth  int
	buffer      types.Row // left ++ right for the condition
	left, right []evaluator
}

func (env *Env) openJoin(n *plan.Join) (Rows, error) {
	j := &joiner{env: env, n: n, leftWidth: len(n.Left.Cols()), rightWidth: len(n.Right.Cols())}
	j.buffer = make(types.Row, j.leftWidth+j.rightWidth)
	var err error
	if n.Cond != nil {
		if j.cond, err = env.compile(n.Cond); err != nil {
			return nil, err
		}
	}
	for _, k := range n.Keys {
		l, err := env.compile(k.Left)
		if err != nil {
			return nil, err
		}
		r, err := env.compile(k.Right)
		if err != nil {
			return nil, err
		}
		j.left, j.right = append(j.left, l), append(j.right, r)
	}
	left, err := env.open(n.Left)
	if err != nil {
		return nil, err
	}
	if n.Lateral {
		return j.lateral(left)
	}
	if n.Probe != nil {
		return &deferred{inputs: []Rows{left}, start: func(ctx context.Context) (Rows, error) {
			return j.adapt(ctx, left)
		}}, nil
	}
	right, err := env.open(n.Right)
	if err != nil {
		return nil, closing(err, left)
	}
	return &deferred{inputs: []Rows{left, right}, start: func(ctx context.Context) (Rows, error) {
		return j.hash(ctx, left, right)
	}}, nil
}

// maxProbes is up to how many left rows partners are looked up one by one.
const maxProbes = 64

// adapt reads the first left rows: when there are few it looks their partners up by
// the index, else it reads the right side once and hashes it.
func (j *joiner) adapt(ctx context.Context, left Rows) (Rows, error) {
	var first []types.Row
	for len(first) <= maxProbes {
		batch, err := left.Next(ctx)
		if isEOF(err) {
			return j.repeat(sliceRows(first), j.n.Probe, j.left), nil
		}
		if err != nil {
			return nil, err
		}
		first = append(first, batch...)
	}
	right, err := j.env.open(j.n.Right)
	if err != nil {
		return nil, err
	}
	rows, err := j.hash(ctx, &chain{inputs: []Rows{sliceRows(first), left}}, right)
	if err != nil {
		return nil, closing(err, right)
	}
	return rows, nil
}

// matches tests the condition for a pair.
func (j *joiner) matches(l, r types.Row) (bool, error) {
	if j.cond == nil {
		return true, nil
	}
	copy(j.buffer, l)
	copy(j.buffer[j.leftWidth:], r)
	v, err := j.cond(j.env, j.buffer)
	return v.IsTrue(), err
}

// pair makes the output row; a nil side is filled with NULL.
func (j *joiner) pair(l, r types.Row) types.Row {
	row := make(types.Row, j.leftWidth+j.rightWidth)
	copy(row, l)
	copy(row[j.leftWidth:], r)
	return row
}

// probe joins one left row with its candidates. It gives the row once for semi and
// anti joins.
func (j *joiner) probe(l types.Row, candidates []*inner, emit func(types.Row)) error {
	found := false
	for _, r := range candidates {
		ok, err := j.matches(l, r.row)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		found, r.matched = true, true
		if j.n.Kind == plan.SemiJoin || j.n.Kind == plan.AntiJoin {
			break
		}
		emit(j.pair(l, r.row))
	}
	switch {
	case j.n.Kind == plan.SemiJoin && found, j.n.Kind == plan.AntiJoin && !found:
		emit(l)
	case !found && (j.n.Kind == plan.LeftJoin || j.n.Kind == plan.FullJoin):
		emit(j.pair(l, nil))
	}
	return nil
}

// inner is a row of the right side and whether it found a partner.
type inner struct {
	row     types.Row
	matched bool
}

// hash joins by a table over the right side, keyed by the join keys: without keys all
// rows are candidates (a nested loop).
func (j *joiner) hash(ctx context.Context, left, right Rows) (Rows, error) {
	rows, err := drain(ctx, j.env, right)
	if err != nil {
		return nil, err
	}
	all := make([]*inner, len(rows))
	table := make(map[string][]*inner)
	var key []byte
	for i, row := range rows {
		all[i] = &inner{row: row}
		var null bool
		if key, null, err = j.key(key[:0], j.right, row); err != nil {
			return nil, err
		}
		if !null {
			table[string(key)] = append(table[string(key)], all[i])
		}
	}
	if err := j.env.grow(int64(len(rows)) * 64); err != nil {
		return nil, err
	}
	outer := cursor{rows: left}
	rest := 0
	leftDone := false
	return &feed{inputs: []Rows{left}, step: func(ctx context.Context, emit func(types.Row)) (bool, error) {
		if !leftDone {
			l, ok, err := outer.next(ctx)
			if err != nil {
				return false, err
			}
			if ok {
				var null bool
				if key, null, err = j.key(key[:0], j.left, l); err != nil {
					return false, err
				}
				var candidates []*inner
				if !null {
					candidates = table[string(key)]
				}
				return false, j.probe(l, candidates, emit)
			}
			leftDone = true
		}
		if j.n.Kind != plan.RightJoin && j.n.Kind != plan.FullJoin {
			return true, nil
		}
		for end := min(rest+batchSize, len(all)); rest < end; rest++ {
			if !all[rest].matched {
				emit(j.pair(nil, all[rest].row))
			}
		}
		return rest == len(all), nil
	}}, nil
}

// key encodes the join keys of a row; null tells that one is NULL, so that nothing
// equals it.
func (j *joiner) key(dst []byte, exprs []evaluator, row types.Row) (key []byte, null bool, err error) {
	for _, f := range exprs {
		v, err := f(j.env, row)
		if err != nil {
			return dst, false, err
		}
		if v.IsNull() {
			return dst, true, nil
		}
		dst = types.AppendKey(dst, v, false, false)
	}
	return dst, false, nil
}

// lateral runs the right side anew for each left row.
func (j *joiner) lateral(left Rows) (Rows, error) {
	args, err := j.env.compileAll(j.n.Args)
	if err != nil {
		return nil, closing(err, left)
	}
	return j.repeat(left, j.n.Right, args), nil
}

// repeat runs a plan for each left row, with args over it as the frame.
func (j *joiner) repeat(left Rows, right plan.Node, args []evaluator) Rows {
	outer := cursor{rows: left}
	return &feed{inputs: []Rows{left}, step: func(ctx context.Context, emit func(types.Row)) (bool, error) {
		l, ok, err := outer.next(ctx)
		if err != nil || !ok {
			return true, err
		}
		frame, err := evalRow(j.env, args, l)
		if err != nil {
			return false, err
		}
		held := j.env.run.memory.Load()
		rows, err := j.env.inFrame(frame).open(right)
		if err != nil {
			return false, err
		}
		partners, err := drainFree(ctx, rows)
		if err != nil {
			return false, err
		}
		candidates := make([]*inner, len(partners))
		for i, r := range partners {
			candidates[i] = &inner{row: r}
		}
		j.env.run.memory.Store(held) // what the right side held is gone
		return false, j.probe(l, candidates, emit)
	}}
}

// drainFree reads a stream to its end without counting memory: what it holds is
// dropped right after.
func drainFree(ctx context.Context, rows Rows) ([]types.Row, error) {
	var out []types.Row
	for {
		batch, err := rows.Next(ctx)
		if isEOF(err) {
			return out, rows.Close()
		}
		if err != nil {
			return nil, closing(err, rows)
		}
		out = append(out, batch...)
	}
}
