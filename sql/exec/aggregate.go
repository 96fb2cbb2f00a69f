package exec

import (
	"context"
	"slices"

	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// aggregator is one compiled aggregate of an Aggregate or WindowAgg.
type aggregator struct {
	call   plan.AggCall
	args   []evaluator
	typs   []types.Type
	filter evaluator
	order  *sorter
}

func (env *Env) aggregator(a plan.AggCall) (*aggregator, error) {
	if a.Agg.New == nil {
		return nil, types.Errorf("0A000", "aggregate %s is not supported", a.Agg.Name)
	}
	g := &aggregator{call: a}
	var err error
	if g.args, err = env.compileAll(a.Args); err != nil {
		return nil, err
	}
	for _, x := range a.Args {
		g.typs = append(g.typs, x.Type())
	}
	if a.Filter != nil {
		if g.filter, err = env.compile(a.Filter); err != nil {
			return nil, err
		}
	}
	g.order, err = env.sorter(a.OrderBy)
	return g, err
}

// state is one aggregate over one group. With DISTINCT or ORDER BY the arguments wait
// for the group's end.
type state struct {
	acc     builtin.Accumulator
	waiting []keyed
	seen    map[string]struct{}
}

func (g *aggregator) start() *state { return &state{acc: g.call.Agg.New(g.typs)} }

// add takes a row into the group.
func (g *aggregator) add(env *Env, s *state, row types.Row) error {
	if g.filter != nil {
		if v, err := g.filter(env, row); err != nil || !v.IsTrue() {
			return err
		}
	}
	args, err := evalRow(env, g.args, row)
	if err != nil {
		return err
	}
	if g.call.Agg.SkipsNull && hasNull(args) {
		return nil
	}
	if g.call.Distinct {
		key := string(hashKey(nil, args))
		if _, ok := s.seen[key]; ok {
			return nil
		}
		if s.seen == nil {
			s.seen = make(map[string]struct{})
		}
		s.seen[key] = struct{}{}
		if err := env.grow(int64(len(key)) + 32); err != nil {
			return err
		}
	}
	if !g.call.Distinct && g.order.empty() {
		return s.acc.Add(env.Builtin, args)
	}
	keys, err := g.order.keys(env, row)
	if err != nil {
		return err
	}
	s.waiting = append(s.waiting, keyed{keys: keys, row: args})
	return env.grow(rowSize(args) + rowSize(keys))
}

// result ends the group. DISTINCT arguments without an order of their own come sorted,
// as in PostgreSQL.
func (g *aggregator) result(env *Env, s *state) (types.Value, error) {
	if len(s.waiting) > 0 {
		slices.SortStableFunc(s.waiting, func(a, b keyed) int {
			if c := g.order.compare(a.keys, b.keys); c != 0 || !g.call.Distinct {
				return c
			}
			for i := range a.row {
				if c := compareKey(a.row[i], b.row[i], false, false); c != 0 {
					return c
				}
			}
			return 0
		})
		for _, w := range s.waiting {
			if err := s.acc.Add(env.Builtin, w.row); err != nil {
				return types.Null, err
			}
		}
		s.waiting = nil
	}
	return s.acc.Result(env.Builtin)
}

// group is one group of an Aggregate.
type group struct {
	keys   types.Row
	states []*state
}

func (env *Env) openAggregate(n *plan.Aggregate) (Rows, error) {
	by, err := env.compileAll(n.Group)
	if err != nil {
		return nil, err
	}
	aggs := make([]*aggregator, len(n.Aggs))
	for i, a := range n.Aggs {
		if aggs[i], err = env.aggregator(a); err != nil {
			return nil, err
		}
	}
	in, err := env.open(n.Input)
	if err != nil {
		return nil, err
	}
	h := &hashAggregate{env: env, by: by, aggs: aggs, groups: make(map[string]*group)}
	return &deferred{inputs: []Rows{in}, start: func(ctx context.Context) (Rows, error) {
		if len(by) == 0 {
			if err := h.newGroup("", nil); err != nil {
				return nil, err
			}
		}
		if err := eachBatch(ctx, in, h.add); err != nil {
			return nil, err
		}
		return h.rows(), nil
	}}, nil
}

// hashAggregate collects groups in order of their first row.
type hashAggregate struct {
	env    *Env
	by     []evaluator
	aggs   []*aggregator
	groups map[string]*group
	order  []*group
	key    []byte
}

func (h *hashAggregate) newGroup(key string, values types.Row) error {
	g := &group{keys: values, states: make([]*state, len(h.aggs))}
	for i, a := range h.aggs {
		g.states[i] = a.start()
	}
	h.groups[key] = g
	h.order = append(h.order, g)
	return h.env.grow(rowSize(values) + int64(len(key)) + 64 + 96*int64(len(h.aggs)))
}

func (h *hashAggregate) add(batch []types.Row) error {
	values := make(types.Row, len(h.by))
	for _, row := range batch {
		for i, f := range h.by {
			v, err := f(h.env, row)
			if err != nil {
				return err
			}
			values[i] = v
		}
		h.key = hashKey(h.key[:0], values)
		if h.groups[string(h.key)] == nil {
			if err := h.newGroup(string(h.key), slices.Clone(values)); err != nil {
				return err
			}
		}
		g := h.groups[string(h.key)]
		for i, a := range h.aggs {
			if err := a.add(h.env, g.states[i], row); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *hashAggregate) rows() Rows {
	i := 0
	return &feed{step: func(_ context.Context, emit func(types.Row)) (bool, error) {
		if i == len(h.order) {
			return true, nil
		}
		g := h.order[i]
		i++
		row := make(types.Row, 0, len(h.by)+len(h.aggs))
		row = append(row, g.keys...)
		for j, a := range h.aggs {
			v, err := a.result(h.env, g.states[j])
			if err != nil {
				return false, err
			}
			row = append(row, v)
		}
		emit(row)
		return false, nil
	}}
}
