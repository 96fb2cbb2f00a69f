package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

func upper(s string) string { return strings.ToUpper(s) }

// windowUse is a window function of a block with its window.
type windowUse struct {
	call      WindowCall
	partition []Expr
	order     []SortKey
}

// rewrite applies f to every expression of the use.
func (w *windowUse) rewrite(f func(Expr) Expr) {
	w.call.Args, _ = mapList(w.call.Args, f)
	if w.call.Filter != nil {
		w.call.Filter = f(w.call.Filter)
	}
	w.partition, _ = mapList(w.partition, f)
	w.order = slices.Clone(w.order)
	for i := range w.order {
		w.order[i].Expr = f(w.order[i].Expr)
	}
}

// spec identifies the window, so that functions over the same one share an operator.
func (w *windowUse) spec() string {
	var b strings.Builder
	for _, p := range w.partition {
		b.WriteString(Key(p) + ",")
	}
	for _, o := range w.order {
		fmt.Fprintf(&b, ";%s %t %t", Key(o.Expr), o.Desc, o.NullsFirst)
	}
	return b.String()
}

// rankTypes are the window functions that are not aggregates.
var rankTypes = map[string]types.OID{
	"row_number": types.Int8OID, "rank": types.Int8OID, "dense_rank": types.Int8OID,
	"percent_rank": types.Float8OID, "cume_dist": types.Float8OID, "ntile": types.Int4OID,
	"lag": types.AnyElementOID, "lead": types.AnyElementOID,
	"first_value": types.AnyElementOID, "last_value": types.AnyElementOID,
}

// windowCall binds f(…) OVER (…).
func (k *block) windowCall(f *sql.FuncCall) (Expr, error) {
	if !k.clause.windows() || k.inAgg {
		return nil, errorAt(types.Errorf("42P20", "window functions are not allowed in %s", k.clause), f.At)
	}
	if f.Distinct {
		return nil, errorAt(types.Errorf("0A000", "DISTINCT is not implemented for window functions"), f.At)
	}
	if len(f.OrderBy) > 0 {
		return nil, errorAt(types.Errorf("0A000", "aggregate ORDER BY is not implemented for window functions"), f.At)
	}
	saved := k.clause
	k.clause = clauseWindow
	defer func() { k.clause = saved }()
	var use windowUse
	err := k.windowFunction(f, &use.call)
	if err == nil {
		err = k.windowSpec(f.Over, &use)
	}
	if err != nil {
		return nil, errorAt(err, f.At)
	}
	k.windows = append(k.windows, use)
	return &windowRef{len(k.windows) - 1, use.call.Typ}, nil
}

func (k *block) windowFunction(f *sql.FuncCall, call *WindowCall) error {
	name := f.Name[len(f.Name)-1]
	system := len(f.Name) == 1 || f.Name[0] == "pg_catalog"
	rank, isRank := rankTypes[name]
	if !isRank || !system {
		a, err := k.aggCall(f)
		if err != nil {
			return err
		}
		call.Name, call.Agg, call.Args, call.Star, call.Filter, call.Typ = name, a.Agg, a.Args, a.Star, a.Filter, a.Typ
		return nil
	}
	if f.Filter != nil {
		return types.Errorf("0A000", "FILTER is not implemented for non-aggregate window functions")
	}
	args, err := k.exprs(f.Args)
	if err != nil {
		return err
	}
	low, high := 0, 0
	switch name {
	case "ntile", "first_value", "last_value":
		low, high = 1, 1
	case "lag", "lead":
		low, high = 1, 3
	}
	if len(args) < low || len(args) > high {
		return noFunction(f.Name, args)
	}
	call.Name, call.Typ = name, types.T(rank)
	if rank == types.AnyElementOID {
		args[0] = k.settle(args[0])
		call.Typ = args[0].Type()
	}
	want := []types.Type{call.Typ, types.T(types.Int4OID), call.Typ}
	for i := range args {
		if args[i], err = k.implicit(args[i], want[i]); err != nil {
			return noFunction(f.Name, args)
		}
	}
	call.Args = args
	return nil
}

// windowSpec binds OVER: a reference to the WINDOW clause, or a definition.
func (k *block) windowSpec(w *sql.Window, use *windowUse) error {
	base := w.Base
	if w.Ref {
		base = w.Name
	}
	if base != "" {
		i := slices.IndexFunc(k.named, func(n sql.Window) bool { return n.Name == base })
		if i < 0 {
			return types.Errorf("42704", "window %q does not exist", base)
		}
		def := k.named[i]
		if err := k.windowSpec(&def, use); err != nil {
			return err
		}
		if w.Ref {
			return nil
		}
		if len(w.PartitionBy) > 0 {
			return types.Errorf("42P20", "cannot override PARTITION BY clause of window %q", base)
		}
		if len(w.OrderBy) > 0 && len(use.order) > 0 {
			return types.Errorf("42P20", "cannot override ORDER BY clause of window %q", base)
		}
	}
	for _, e := range w.PartitionBy {
		x, err := k.expr(e)
		if err != nil {
			return err
		}
		use.partition = append(use.partition, k.settle(x))
	}
	for _, item := range w.OrderBy {
		x, err := k.expr(item.Expr)
		if err != nil {
			return err
		}
		key := SortKey{Expr: k.settle(x)}
		if err := orderDirection(item, &key); err != nil {
			return err
		}
		use.order = append(use.order, key)
	}
	frame, err := windowFrame(w.Frame, len(use.order) > 0)
	use.call.Frame = frame
	return err
}

// windowFrame accepts the frames that Helios has.
func windowFrame(f *sql.Frame, ordered bool) (Frame, error) {
	if f == nil {
		return FramePeers, nil
	}
	unbounded := f.Start == "unbounded preceding"
	switch {
	case f.Exclude != "":
	case unbounded && f.End == "unbounded following":
		return FrameAll, nil
	case unbounded && f.End == "current row" && f.Mode == "rows":
		return FrameRows, nil
	case unbounded && f.End == "current row":
		return FramePeers, nil
	}
	return 0, types.Errorf("0A000", "this window frame is not supported").
		WithHint("Frames start at UNBOUNDED PRECEDING and end at CURRENT ROW or UNBOUNDED FOLLOWING.")
}

// windowed puts a WindowAgg for each distinct window over the input.
func (k *block) windowed(node Node, targets []target) (Node, []target, error) {
	if len(k.windows) == 0 {
		return node, targets, nil
	}
	bySpec := make(map[string]*WindowAgg)
	var order []*WindowAgg
	member := make([]*WindowAgg, len(k.windows))
	for i := range k.windows {
		w := &k.windows[i]
		spec := w.spec()
		n := bySpec[spec]
		if n == nil {
			n = &WindowAgg{Partition: w.partition, Order: w.order}
			bySpec[spec] = n
			order = append(order, n)
		}
		n.Funcs = append(n.Funcs, w.call)
		member[i] = n
	}
	where := make([]int, len(k.windows))
	for _, n := range order {
		n.Input = node
		n.Columns = slices.Clone(node.Cols())
		for i := range k.windows {
			if member[i] == n {
				where[i] = len(n.Columns)
				n.Columns = append(n.Columns, Col{Name: k.windows[i].call.Name, Type: k.windows[i].call.Typ})
			}
		}
		node = n
	}
	resolve := func(e Expr) Expr {
		return Map(e, func(x Expr) (Expr, bool) {
			if r, ok := x.(*windowRef); ok {
				return &Column{where[r.Index], r.Typ, k.windows[r.Index].call.Name}, true
			}
			return nil, false
		})
	}
	out := slices.Clone(targets)
	for i := range out {
		out[i].expr = resolve(out[i].expr)
	}
	for i := range k.sets {
		k.sets[i] = resolve(k.sets[i])
	}
	return node, out, nil
}
