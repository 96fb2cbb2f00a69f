package exec

import (
	"context"
	"slices"

	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// open starts a plan node in this environment.
func (env *Env) open(n plan.Node) (Rows, error) {
	switch n := n.(type) {
	case *plan.Values:
		return env.openValues(n)
	case *plan.Scan:
		return env.Source.Scan(env.run.ctx, env, n)
	case *plan.Gather:
		return env.openGather(n)
	case *plan.FuncScan:
		return env.openFuncScan(n)
	case *plan.With:
		return env.openWith(n)
	case *plan.InitPlans:
		env.run.inits = n.Plans
		return env.open(n.Body)
	case *plan.CTEScan:
		return env.openCTE(n)
	case *plan.WorkScan:
		return env.openWork(n)
	case *plan.Filter:
		return env.openFilter(n)
	case *plan.Project:
		return env.openProject(n)
	case *plan.ProjectSet:
		return env.openProjectSet(n)
	case *plan.Sort:
		return env.openSort(n)
	case *plan.Limit:
		return env.openLimit(n)
	case *plan.Aggregate:
		return env.openAggregate(n)
	case *plan.Distinct:
		return env.openDistinct(n)
	case *plan.WindowAgg:
		return env.openWindow(n)
	case *plan.Join:
		return env.openJoin(n)
	case *plan.SetOp:
		return env.openSetOp(n)
	}
	return env.openWrite(n)
}

// openWrite starts the nodes that write or lock.
func (env *Env) openWrite(n plan.Node) (Rows, error) {
	switch n := n.(type) {
	case *plan.Lock:
		return env.openLock(n, false)
	case *plan.Insert:
		return env.openInsert(n)
	case *plan.Update:
		return env.openUpdate(n)
	case *plan.Delete:
		return env.openDelete(n)
	}
	return nil, types.Errorf("XX000", "no operator for plan node %T", n)
}

func (env *Env) openValues(n *plan.Values) (Rows, error) {
	rows := make([][]evaluator, len(n.Rows))
	for i, r := range n.Rows {
		var err error
		if rows[i], err = env.compileOnce(r); err != nil {
			return nil, err
		}
	}
	i := 0
	return &feed{step: func(_ context.Context, emit func(types.Row)) (bool, error) {
		if i == len(rows) {
			return true, nil
		}
		row, err := evalRow(env, rows[i], nil)
		if err != nil {
			return false, err
		}
		emit(row)
		i++
		return i == len(rows), nil
	}}, nil
}

// evalRow evaluates a list of expressions to a new row.
func evalRow(env *Env, list []evaluator, in types.Row) (types.Row, error) {
	out := make(types.Row, len(list))
	for i, f := range list {
		v, err := f(env, in)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func (env *Env) openFilter(n *plan.Filter) (Rows, error) {
	cond, err := env.compile(n.Cond)
	if err != nil {
		return nil, err
	}
	in, err := env.open(n.Input)
	if err != nil {
		return nil, err
	}
	var out []types.Row
	return &pipe{input: in, each: func(_ context.Context, batch []types.Row) ([]types.Row, error) {
		out = out[:0]
		for _, row := range batch {
			v, err := cond(env, row)
			if err != nil {
				return nil, err
			}
			if v.IsTrue() {
				out = append(out, row)
			}
		}
		return out, nil
	}}, nil
}

func (env *Env) openProject(n *plan.Project) (Rows, error) {
	exprs, err := env.compileAll(n.Exprs)
	if err != nil {
		return nil, err
	}
	in, err := env.open(n.Input)
	if err != nil {
		return nil, err
	}
	var out []types.Row
	return &pipe{input: in, each: func(_ context.Context, batch []types.Row) ([]types.Row, error) {
		out = out[:0]
		slab := make([]types.Value, len(batch)*len(exprs))
		for _, row := range batch {
			res := slab[:len(exprs):len(exprs)]
			slab = slab[len(exprs):]
			for i, f := range exprs {
				v, err := f(env, row)
				if err != nil {
					return nil, err
				}
				res[i] = v
			}
			out = append(out, res)
		}
		return out, nil
	}}, nil
}

// openLimit passes Count rows after Offset, and the ties of the last.
func (env *Env) openLimit(n *plan.Limit) (Rows, error) {
	skip, err := env.rowCount(n.Offset, "OFFSET", "2201X", 0)
	if err != nil {
		return nil, err
	}
	count, err := env.rowCount(n.Count, "LIMIT", "2201W", -1)
	if err != nil {
		return nil, err
	}
	in, err := env.openLimited(n.Input)
	if err != nil {
		return nil, err
	}
	ties, err := env.sorter(n.Ties)
	if err != nil {
		return nil, err
	}
	return &limitRows{env: env, input: in, left: count, skip: skip, ties: ties}, nil
}

// openLimited opens the input of a LIMIT: rows are locked one by one, so that no row
// beyond the limit is.
func (env *Env) openLimited(n plan.Node) (Rows, error) {
	if lock, ok := n.(*plan.Lock); ok {
		return env.openLock(lock, true)
	}
	return env.open(n)
}

// rowCount evaluates an argument of LIMIT or OFFSET; NULL and absence mean none.
func (env *Env) rowCount(e plan.Expr, what, code string, none int64) (int64, error) {
	if e == nil {
		return none, nil
	}
	v, err := EvalConst(env.run.ctx, e, env)
	if err != nil || v.IsNull() {
		return none, err
	}
	if v.AsInt() < 0 {
		return 0, types.Errorf(code, "%s must not be negative", what)
	}
	return v.AsInt(), nil
}

type limitRows struct {
	env   *Env
	input Rows
	left  int64 // -1: no limit
	skip  int64
	ties  *sorter
	last  types.Row // its keys, once the limit is reached and ties count
	done  bool
}

func (l *limitRows) Next(ctx context.Context) ([]types.Row, error) {
	for !l.done && (l.left != 0 || l.last != nil) {
		batch, err := l.input.Next(ctx)
		if err != nil {
			return nil, err
		}
		n := min(l.skip, int64(len(batch)))
		batch, l.skip = batch[n:], l.skip-n
		out, err := l.take(batch)
		if err != nil {
			return nil, err
		}
		if len(out) > 0 {
			return out, nil
		}
	}
	return nil, eof
}

// take gives the rows of a batch that pass.
func (l *limitRows) take(batch []types.Row) ([]types.Row, error) {
	if l.left < 0 || int64(len(batch)) < l.left {
		if l.left > 0 {
			l.left -= int64(len(batch))
		}
		return batch, nil
	}
	n := int(l.left)
	l.left = 0
	if l.ties.empty() {
		return batch[:n], nil
	}
	if l.last == nil && n > 0 {
		keys, err := l.ties.keys(l.env, batch[n-1])
		if err != nil {
			return nil, err
		}
		l.last = keys
	}
	for ; n < len(batch) && l.last != nil; n++ {
		keys, err := l.ties.keys(l.env, batch[n])
		if err != nil {
			return nil, err
		}
		if l.ties.compare(keys, l.last) != 0 {
			l.done = true
			break
		}
	}
	return batch[:n], nil
}

func (l *limitRows) Close() error { return l.input.Close() }

// openDistinct keeps the first of equal rows.
func (env *Env) openDistinct(n *plan.Distinct) (Rows, error) {
	on, err := env.compileAll(n.On)
	if err != nil {
		return nil, err
	}
	in, err := env.open(n.Input)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]struct{})
	var key []byte
	var out []types.Row
	return &pipe{input: in, each: func(_ context.Context, batch []types.Row) ([]types.Row, error) {
		out = out[:0]
		for _, row := range batch {
			values := row
			if len(on) > 0 {
				if values, err = evalRow(env, on, row); err != nil {
					return nil, err
				}
			}
			key = hashKey(key[:0], values)
			if _, ok := seen[string(key)]; ok {
				continue
			}
			if err := env.grow(int64(len(key)) + 32); err != nil {
				return nil, err
			}
			seen[string(key)] = struct{}{}
			out = append(out, row)
		}
		return out, nil
	}}, nil
}

// hashKey encodes values so that equal ones (NULL equal to NULL) have equal keys.
func hashKey(dst []byte, values types.Row) []byte {
	for _, v := range values {
		dst = types.AppendKey(dst, v, false, false)
	}
	return dst
}

// openSetOp runs UNION, INTERSECT and EXCEPT.
func (env *Env) openSetOp(n *plan.SetOp) (Rows, error) {
	left, err := env.open(n.Left)
	if err != nil {
		return nil, err
	}
	right, err := env.open(n.Right)
	if err != nil {
		return nil, closing(err, left)
	}
	if n.Op == "union" {
		both := &chain{inputs: []Rows{left, right}}
		if n.All {
			return both, nil
		}
		seen := &rowSet{env: env}
		return &pipe{input: both, each: func(_ context.Context, batch []types.Row) ([]types.Row, error) {
			return seen.fresh(batch)
		}}, nil
	}
	return &deferred{inputs: []Rows{left, right}, start: func(ctx context.Context) (Rows, error) {
		return env.subtract(ctx, n, left, right)
	}}, nil
}

// subtract gives INTERSECT and EXCEPT: rows of the left by how often the right has them.
func (env *Env) subtract(ctx context.Context, n *plan.SetOp, left, right Rows) (Rows, error) {
	counts := make(map[string]int)
	var key []byte
	rows, err := drain(ctx, env, right)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		key = hashKey(key[:0], row)
		counts[string(key)]++
	}
	seen := make(map[string]bool)
	return &pipe{input: left, each: func(_ context.Context, batch []types.Row) ([]types.Row, error) {
		var out []types.Row
		for _, row := range batch {
			key = hashKey(key[:0], row)
			there := counts[string(key)] > 0
			if n.All {
				counts[string(key)]--
			} else if seen[string(key)] {
				continue
			} else {
				seen[string(key)] = true
			}
			if there == (n.Op == "intersect") {
				out = append(out, row)
			}
		}
		return out, nil
	}}, nil
}

// rowSet remembers rows.
type rowSet struct {
	env  *Env
	seen map[string]struct{}
	key  []byte
}

// fresh gives the rows of a batch not seen before.
func (s *rowSet) fresh(batch []types.Row) ([]types.Row, error) {
	if s.seen == nil {
		s.seen = make(map[string]struct{})
	}
	var out []types.Row
	for _, row := range batch {
		s.key = hashKey(s.key[:0], row)
		if _, ok := s.seen[string(s.key)]; ok {
			continue
		}
		if err := s.env.grow(int64(len(s.key)) + 32); err != nil {
			return nil, err
		}
		s.seen[string(s.key)] = struct{}{}
		out = append(out, row)
	}
	return out, nil
}

// chain gives the rows of one stream after those of another.
type chain struct{ inputs []Rows }

func (c *chain) Next(ctx context.Context) ([]types.Row, error) {
	for len(c.inputs) > 0 {
		batch, err := c.inputs[0].Next(ctx)
		if !isEOF(err) {
			return batch, err
		}
		if err := c.inputs[0].Close(); err != nil {
			return nil, err
		}
		c.inputs = slices.Delete(c.inputs, 0, 1)
	}
	return nil, eof
}

func (c *chain) Close() error {
	var err error
	for _, in := range c.inputs {
		err = closing(err, in)
	}
	return err
}
