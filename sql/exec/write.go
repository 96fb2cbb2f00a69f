package exec

import (
	"context"
	"strings"

	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// checker tests new rows of a relation.
type checker struct {
	env    *Env
	rel    string
	schema string
	cols   []types.Type
	names  []string
	shown  []bool
	tests  []checkTest
}

type checkTest struct {
	plan.Check
	f evaluator
}

func (env *Env) checker(schema, rel string, cols []plan.Col, shown []bool, checks []plan.Check) (*checker, error) {
	c := &checker{env: env, rel: rel, schema: schema, shown: shown}
	for _, col := range cols {
		c.cols = append(c.cols, col.Type)
		c.names = append(c.names, col.Name)
	}
	for _, check := range checks {
		t := checkTest{Check: check}
		if check.Expr != nil {
			var err error
			if t.f, err = env.compile(check.Expr); err != nil {
				return nil, err
			}
		}
		c.tests = append(c.tests, t)
	}
	return c, nil
}

// check gives 23502 or 23514 for a row that breaks a rule.
func (c *checker) check(row types.Row) error {
	for _, t := range c.tests {
		if t.f == nil {
			if row[t.Attr].IsNull() {
				e := types.Errorf("23502", "null value in column %q of relation %q violates not-null constraint", c.names[t.Attr], c.rel)
				e = e.WithDetail("Failing row contains %s.", c.describe(row))
				e.Schema, e.Table, e.Column = c.schema, c.rel, c.names[t.Attr]
				return e
			}
			continue
		}
		v, err := t.f(c.env, row)
		if err != nil {
			return err
		}
		if !v.IsNull() && !v.AsBool() {
			e := types.Errorf("23514", "new row for relation %q violates check constraint %q", c.rel, t.Name)
			e = e.WithDetail("Failing row contains %s.", c.describe(row))
			e.Schema, e.Table, e.Constraint = c.schema, c.rel, t.Name
			return e
		}
	}
	return nil
}

// maxDescribed is how much of a value an error's detail shows, as in PostgreSQL.
const maxDescribed = 64

func (c *checker) describe(row types.Row) string {
	var parts []string
	for i, v := range row {
		if !c.shown[i] {
			continue
		}
		text := "null"
		if !v.IsNull() {
			text = types.ToText(c.cols[i], v)
		}
		if len(text) > maxDescribed {
			cut := maxDescribed
			for cut > 0 && text[cut]&0xC0 == 0x80 {
				cut--
			}
			text = text[:cut] + "..."
		}
		parts = append(parts, text)
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

func (env *Env) openInsert(n *plan.Insert) (Rows, error) {
	cols, shown := plan.RowOf(n.Rel)
	check, err := env.checker(n.Rel.Schema, n.Rel.Name, cols, shown, n.Checks)
	if err != nil {
		return nil, err
	}
	returning, err := env.compileAll(n.Returning)
	if err != nil {
		return nil, err
	}
	conflict, err := env.conflict(n, cols, shown)
	if err != nil {
		return nil, err
	}
	in, err := env.open(n.Source)
	if err != nil {
		return nil, err
	}
	out := newReturner(env, returning, n.Returning)
	return &deferred{inputs: []Rows{in}, start: func(ctx context.Context) (Rows, error) {
		return out.rows, eachBatch(ctx, in, func(batch []types.Row) error {
			for _, row := range batch {
				if err := check.check(row); err != nil {
					return err
				}
			}
			stored, err := env.Source.Insert(ctx, env, n, batch, conflict)
			if err != nil {
				return err
			}
			for _, row := range stored {
				if row != nil {
					env.run.affected++
					if err := out.add(plan.SystemRow(n.Rel, row, nil)); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}}, nil
}

// conflict makes the decision of ON CONFLICT DO UPDATE; nil for the other forms.
func (env *Env) conflict(n *plan.Insert, cols []plan.Col, shown []bool) (Conflict, error) {
	o := n.OnConflict
	if o == nil || !o.DoUpdate {
		return nil, nil
	}
	set, err := env.assigner(o.Set)
	if err != nil {
		return nil, err
	}
	where := evaluator(nil)
	if o.Where != nil {
		if where, err = env.compile(o.Where); err != nil {
			return nil, err
		}
	}
	check, err := env.checker(n.Rel.Schema, n.Rel.Name, cols, shown, o.Checks)
	if err != nil {
		return nil, err
	}
	width := len(n.Rel.Columns)
	return func(existing, proposed types.Row) (types.Row, error) {
		both := make(types.Row, 2*width)
		copy(both, existing)
		copy(both[width:], proposed)
		if where != nil {
			v, err := where(env, both)
			if err != nil || !v.IsTrue() {
				return nil, err
			}
		}
		row, err := set.apply(env, both, width)
		if err != nil {
			return nil, err
		}
		return row, check.check(row)
	}, nil
}

// assigner computes a new row from SET.
type assigner struct {
	attrs []int
	exprs []evaluator
}

func (env *Env) assigner(set []plan.Assign) (*assigner, error) {
	a := &assigner{}
	for _, s := range set {
		f, err := env.compile(s.Expr)
		if err != nil {
			return nil, err
		}
		a.attrs, a.exprs = append(a.attrs, s.Attr), append(a.exprs, f)
	}
	return a, nil
}

// apply gives the first width values of row with the assignments, which read row.
func (a *assigner) apply(env *Env, row types.Row, width int) (types.Row, error) {
	out := make(types.Row, width)
	copy(out, row)
	for i, f := range a.exprs {
		v, err := f(env, row)
		if err != nil {
			return nil, err
		}
		out[a.attrs[i]] = v
	}
	return out, nil
}

// returner collects the rows of RETURNING.
type returner struct {
	env   *Env
	exprs []evaluator
	on    bool
	rows  *memoryRows
}

func newReturner(env *Env, exprs []evaluator, list []plan.Expr) *returner {
	return &returner{env: env, exprs: exprs, on: len(list) > 0, rows: sliceRows(nil)}
}

func (r *returner) add(row types.Row) error {
	if !r.on {
		return nil
	}
	out, err := evalRow(r.env, r.exprs, row)
	if err != nil {
		return err
	}
	r.rows.rows = append(r.rows.rows, out)
	return r.env.grow(rowSize(out))
}

func (env *Env) openUpdate(n *plan.Update) (Rows, error) {
	cols, shown := plan.RowOf(n.Rel)
	check, err := env.checker(n.Rel.Schema, n.Rel.Name, cols, shown, n.Checks)
	if err != nil {
		return nil, err
	}
	set, err := env.assigner(n.Set)
	if err != nil {
		return nil, err
	}
	width := len(n.Rel.Columns)
	change := func(row types.Row) (types.Row, error) {
		fresh, err := set.apply(env, row, width)
		if err != nil {
			return nil, err
		}
		return fresh, check.check(fresh)
	}
	apply := func(ctx context.Context, changes []Change) ([]bool, error) {
		return env.Source.Update(ctx, env, n, changes)
	}
	return env.openChange(writer{rel: width, key: plan.KeyPositions(n.Rel), source: n.Source, returning: n.Returning, change: change, apply: apply})
}

func (env *Env) openDelete(n *plan.Delete) (Rows, error) {
	change := func(types.Row) (types.Row, error) { return nil, nil }
	apply := func(ctx context.Context, changes []Change) ([]bool, error) {
		return env.Source.Delete(ctx, env, n, changes)
	}
	return env.openChange(writer{rel: len(n.Rel.Columns), key: plan.KeyPositions(n.Rel), source: n.Source, returning: n.Returning, change: change, apply: apply})
}

// writer is what UPDATE and DELETE differ in.
type writer struct {
	rel       int   // columns of the relation
	key       []int // of its primary key
	source    plan.Node
	returning []plan.Expr
	change    func(types.Row) (types.Row, error)
	apply     func(context.Context, []Change) ([]bool, error)
}

// openChange reads all source rows first, so that the statement never meets its own
// changes, then writes them. A row that a join found several times is changed once.
func (env *Env) openChange(w writer) (Rows, error) {
	returning, err := env.compileAll(w.returning)
	if err != nil {
		return nil, err
	}
	in, err := env.open(w.source)
	if err != nil {
		return nil, err
	}
	out := newReturner(env, returning, w.returning)
	return &deferred{inputs: []Rows{in}, start: func(ctx context.Context) (Rows, error) {
		rows, err := drain(ctx, env, in)
		if err != nil {
			return nil, err
		}
		rows = w.once(rows)
		for start := 0; start < len(rows); start += batchSize {
			batch := rows[start:min(start+batchSize, len(rows))]
			if err := env.changeBatch(ctx, w, batch, out); err != nil {
				return nil, err
			}
		}
		return out.rows, nil
	}}, nil
}

// once drops rows whose target row came before.
func (w *writer) once(rows []types.Row) []types.Row {
	seen := make(map[string]struct{}, len(rows))
	var key []byte
	out := rows[:0:0]
	for _, row := range rows {
		key = key[:0]
		for _, i := range w.key {
			key = types.AppendKey(key, row[i], false, false)
		}
		if _, ok := seen[string(key)]; !ok {
			seen[string(key)] = struct{}{}
			out = append(out, row)
		}
	}
	return out
}

func (env *Env) changeBatch(ctx context.Context, w writer, batch []types.Row, out *returner) error {
	changes := make([]Change, len(batch))
	for i, row := range batch {
		fresh, err := w.change(row)
		if err != nil {
			return err
		}
		slot := int32(-1)
		if v := row[w.rel]; !v.IsNull() {
			slot = int32(v.AsInt())
		}
		changes[i] = Change{Old: row[:w.rel:w.rel], New: fresh, Slot: slot}
	}
	done, err := w.apply(ctx, changes)
	if err != nil {
		return err
	}
	for i, row := range batch {
		if !done[i] {
			continue
		}
		env.run.affected++
		if fresh := changes[i].New; fresh != nil {
			row = append(append(make(types.Row, 0, len(row)), fresh...), row[w.rel:]...)
		}
		if err := out.add(row); err != nil {
			return err
		}
	}
	return nil
}

// eachBatch calls f for every batch of a stream.
func eachBatch(ctx context.Context, rows Rows, f func([]types.Row) error) error {
	for {
		if err := interrupted(ctx); err != nil {
			return err
		}
		batch, err := rows.Next(ctx)
		if isEOF(err) {
			return nil
		}
		if err == nil {
			err = f(batch)
		}
		if err != nil {
			return err
		}
	}
}

// openLock locks the rows that pass, in batches or one by one.
func (env *Env) openLock(n *plan.Lock, single bool) (Rows, error) {
	in, err := env.open(n.Input)
	if err != nil {
		return nil, err
	}
	if single {
		in = &oneByOne{cursor: cursor{rows: in}}
	}
	return &pipe{input: in, each: func(ctx context.Context, batch []types.Row) ([]types.Row, error) {
		return env.Source.Lock(ctx, env, n, batch)
	}}, nil
}
