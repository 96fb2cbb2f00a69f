package exec

import (
	"context"
	"slices"

	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// openWindow reads all rows, orders them by partition and order, and adds the results
// of the window functions. Rows come out in that order.
func (env *Env) openWindow(n *plan.WindowAgg) (Rows, error) {
	w := &windower{env: env, n: n, parts: len(n.Partition)}
	keys := make([]plan.SortKey, 0, len(n.Partition)+len(n.Order))
	for _, p := range n.Partition {
		keys = append(keys, plan.SortKey{Expr: p})
	}
	var err error
	if w.sort, err = env.sorter(append(keys, n.Order...)); err != nil {
		return nil, err
	}
	for _, f := range n.Funcs {
		wf := windowFunc{call: f}
		if f.Agg != nil {
			wf.agg, err = env.aggregator(plan.AggCall{Agg: f.Agg, Args: f.Args, Star: f.Star, Filter: f.Filter, Typ: f.Typ})
		} else {
			wf.args, err = env.compileAll(f.Args)
		}
		if err != nil {
			return nil, err
		}
		w.funcs = append(w.funcs, wf)
	}
	in, err := env.open(n.Input)
	if err != nil {
		return nil, err
	}
	return &deferred{inputs: []Rows{in}, start: func(ctx context.Context) (Rows, error) {
		return w.run(ctx, in)
	}}, nil
}

type windower struct {
	env   *Env
	n     *plan.WindowAgg
	sort  *sorter
	parts int // how many sort keys are the partition's
	funcs []windowFunc
}

type windowFunc struct {
	call plan.WindowCall
	agg  *aggregator
	args []evaluator
}

func (w *windower) run(ctx context.Context, in Rows) (Rows, error) {
	rows, err := drain(ctx, w.env, in)
	if err != nil {
		return nil, err
	}
	all := make([]keyed, len(rows))
	for i, row := range rows {
		keys, err := w.sort.keys(w.env, row)
		if err != nil {
			return nil, err
		}
		all[i] = keyed{keys: keys, row: row}
	}
	slices.SortStableFunc(all, func(a, b keyed) int { return w.sort.compare(a.keys, b.keys) })
	out := make([]types.Row, 0, len(all))
	for start := 0; start < len(all); {
		end := start + 1
		for end < len(all) && w.same(all[start], all[end], w.parts) {
			end++
		}
		if err := interrupted(ctx); err != nil {
			return nil, err
		}
		part, err := w.partition(all[start:end])
		if err != nil {
			return nil, err
		}
		out = append(out, part...)
		start = end
	}
	return sliceRows(out), nil
}

// same tells whether two rows agree in the first n sort keys.
func (w *windower) same(a, b keyed, n int) bool {
	for i := range n {
		if compareKey(a.keys[i], b.keys[i], false, false) != 0 {
			return false
		}
	}
	return true
}

// partition computes all functions over one partition.
func (w *windower) partition(rows []keyed) ([]types.Row, error) {
	out := make([]types.Row, len(rows))
	for i, r := range rows {
		out[i] = append(make(types.Row, 0, len(r.row)+len(w.funcs)), r.row...)
	}
	peers := w.peers(rows)
	for i := range w.funcs {
		f := &w.funcs[i]
		values := make([]types.Value, len(rows))
		var err error
		if f.agg != nil {
			err = w.aggregate(f, rows, peers, values)
		} else {
			err = w.rank(f, rows, peers, values)
		}
		if err != nil {
			return nil, err
		}
		for j, v := range values {
			out[j] = append(out[j], v)
		}
	}
	return out, nil
}

// peers gives for each row the end of its group of rows equal in the order.
func (w *windower) peers(rows []keyed) []int {
	ends := make([]int, len(rows))
	for start := 0; start < len(rows); {
		end := start + 1
		for end < len(rows) && w.same(rows[start], rows[end], len(rows[start].keys)) {
			end++
		}
		for i := start; i < end; i++ {
			ends[i] = end
		}
		start = end
	}
	return ends
}

// frameEnd is the end of the frame of row i; every frame starts with the partition.
func frameEnd(f plan.Frame, i int, peers []int) int {
	switch f {
	case plan.FrameAll:
		return len(peers)
	case plan.FrameRows:
		return i + 1
	}
	return peers[i]
}

func (w *windower) aggregate(f *windowFunc, rows []keyed, peers []int, out []types.Value) error {
	s := f.agg.start()
	done, result := 0, types.Null
	for i := range rows {
		end := frameEnd(f.call.Frame, i, peers)
		for ; done < end; done++ {
			if err := f.agg.add(w.env, s, rows[done].row); err != nil {
				return err
			}
		}
		if i == 0 || end > frameEnd(f.call.Frame, i-1, peers) {
			v, err := f.agg.result(w.env, s)
			if err != nil {
				return err
			}
			result = v
		}
		out[i] = result
	}
	return nil
}

// rank computes the window functions that are not aggregates.
func (w *windower) rank(f *windowFunc, rows []keyed, peers []int, out []types.Value) error {
	n := len(rows)
	first, dense := 0, int64(0)
	for i := range rows {
		if i == 0 || i == peers[i-1] {
			first = i
			dense++
		}
		args, err := evalRow(w.env, f.args, rows[i].row)
		if err != nil {
			return err
		}
		switch f.call.Name {
		case "row_number":
			out[i] = types.Int(int64(i + 1))
		case "rank":
			out[i] = types.Int(int64(first + 1))
		case "dense_rank":
			out[i] = types.Int(dense)
		case "percent_rank":
			out[i] = types.Float(0)
			if n > 1 {
				out[i] = types.Float(float64(first) / float64(n-1))
			}
		case "cume_dist":
			out[i] = types.Float(float64(peers[i]) / float64(n))
		case "ntile":
			out[i], err = ntile(args[0], i, n)
		case "lag", "lead":
			out[i], err = w.neighbour(f, rows, i, args)
		case "first_value":
			out[i], err = f.args[0](w.env, rows[0].row)
		case "last_value":
			out[i], err = f.args[0](w.env, rows[frameEnd(f.call.Frame, i, peers)-1].row)
		default:
			return types.Errorf("0A000", "window function %s is not supported", f.call.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func ntile(v types.Value, i, n int) (types.Value, error) {
	if v.IsNull() {
		return types.Null, nil
	}
	buckets := v.AsInt()
	if buckets <= 0 {
		return types.Null, types.Errorf("22014", "argument of ntile must be greater than zero")
	}
	size, extra := int64(n)/buckets, int64(n)%buckets
	at := int64(i)
	if at < extra*(size+1) {
		return types.Int(at/(size+1) + 1), nil
	}
	return types.Int((at-extra*(size+1))/max(size, 1) + extra + 1), nil
}

// neighbour is lag and lead: the argument at a distance, or the default.
func (w *windower) neighbour(f *windowFunc, rows []keyed, i int, args []types.Value) (types.Value, error) {
	distance := int64(1)
	if len(args) > 1 {
		if args[1].IsNull() {
			return types.Null, nil
		}
		distance = args[1].AsInt()
	}
	if f.call.Name == "lag" {
		distance = -distance
	}
	at := int64(i) + distance
	if at >= 0 && at < int64(len(rows)) {
		return f.args[0](w.env, rows[at].row)
	}
	if len(args) > 2 {
		return args[2], nil
	}
	return types.Null, nil
}
