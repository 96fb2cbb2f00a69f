package exec

import (
	"cmp"
	"container/heap"
	"context"
	"slices"

	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// sorter compares rows by sort keys.
type sorter struct {
	exprs []evaluator
	order []plan.SortKey
}

func (env *Env) sorter(keys []plan.SortKey) (*sorter, error) {
	s := &sorter{order: keys}
	for _, k := range keys {
		f, err := env.compile(k.Expr)
		if err != nil {
			return nil, err
		}
		s.exprs = append(s.exprs, f)
	}
	return s, nil
}

func (s *sorter) empty() bool { return len(s.exprs) == 0 }

// keys evaluates the sort keys of a row.
func (s *sorter) keys(env *Env, row types.Row) (types.Row, error) {
	return evalRow(env, s.exprs, row)
}

// compare orders two rows of keys.
func (s *sorter) compare(a, b types.Row) int {
	for i, k := range s.order {
		if c := compareKey(a[i], b[i], k.Desc, k.NullsFirst); c != 0 {
			return c
		}
	}
	return 0
}

func compareKey(a, b types.Value, desc, nullsFirst bool) int {
	switch {
	case a.IsNull() && b.IsNull():
		return 0
	case a.IsNull() != b.IsNull():
		if a.IsNull() == nullsFirst {
			return -1
		}
		return 1
	}
	c := types.Compare(a, b)
	if desc {
		return -c
	}
	return c
}

// CompareRows orders two rows by keys that are columns of theirs: the merge order of a
// Gather.
func CompareRows(keys []plan.SortKey, a, b types.Row) int {
	for _, k := range keys {
		i := k.Expr.(*plan.Column).Index
		if c := compareKey(a[i], b[i], k.Desc, k.NullsFirst); c != 0 {
			return c
		}
	}
	return 0
}

// keyed is a row beside its sort keys; seq keeps the sort stable.
type keyed struct {
	keys, row types.Row
	seq       int
}

func (env *Env) openSort(n *plan.Sort) (Rows, error) {
	s, err := env.sorter(n.Keys)
	if err != nil {
		return nil, err
	}
	bound, err := env.rowCount(n.Bound, "LIMIT", "2201W", -1)
	if err != nil {
		return nil, err
	}
	in, err := env.open(n.Input)
	if err != nil {
		return nil, err
	}
	return &deferred{inputs: []Rows{in}, start: func(ctx context.Context) (Rows, error) {
		if bound >= 0 && bound <= maxHeap {
			return env.topRows(ctx, s, in, int(bound))
		}
		return env.sortRows(ctx, s, in)
	}}, nil
}

func (env *Env) sortRows(ctx context.Context, s *sorter, in Rows) (Rows, error) {
	rows, err := drain(ctx, env, in)
	if err != nil {
		return nil, err
	}
	all := make([]keyed, len(rows))
	if err := env.grow(int64(len(rows)) * (56 + valueBytes*int64(len(s.exprs)))); err != nil {
		return nil, err
	}
	for i, row := range rows {
		keys, err := s.keys(env, row)
		if err != nil {
			return nil, err
		}
		all[i] = keyed{keys: keys, row: row}
	}
	slices.SortStableFunc(all, func(a, b keyed) int { return s.compare(a.keys, b.keys) })
	for i := range all {
		rows[i] = all[i].row
	}
	return sliceRows(rows), nil
}

// maxHeap is the greatest LIMIT for which the best rows are kept in a heap.
const maxHeap = 1 << 20

// topHeap has the worst of the kept rows at its root.
type topHeap struct {
	s    *sorter
	rows []keyed
}

func (h *topHeap) order(a, b keyed) int {
	if c := h.s.compare(a.keys, b.keys); c != 0 {
		return c
	}
	return cmp.Compare(a.seq, b.seq)
}
func (h *topHeap) Len() int           { return len(h.rows) }
func (h *topHeap) Less(i, j int) bool { return h.order(h.rows[i], h.rows[j]) > 0 }
func (h *topHeap) Swap(i, j int)      { h.rows[i], h.rows[j] = h.rows[j], h.rows[i] }
func (h *topHeap) Push(x any)         { h.rows = append(h.rows, x.(keyed)) }
func (h *topHeap) Pop() any {
	last := h.rows[len(h.rows)-1]
	h.rows = h.rows[:len(h.rows)-1]
	return last
}

// topRows keeps the first bound rows of the order.
func (env *Env) topRows(ctx context.Context, s *sorter, in Rows, bound int) (Rows, error) {
	h := &topHeap{s: s}
	c := cursor{rows: in}
	for seq := 0; ; seq++ {
		row, ok, err := c.next(ctx)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		keys, err := s.keys(env, row)
		if err != nil {
			return nil, err
		}
		k := keyed{keys, row, seq}
		switch {
		case bound == 0:
		case h.Len() < bound:
			if err := env.grow(rowSize(row) + rowSize(keys)); err != nil {
				return nil, err
			}
			heap.Push(h, k)
		case h.order(k, h.rows[0]) < 0:
			h.rows[0] = k
			heap.Fix(h, 0)
		}
	}
	slices.SortFunc(h.rows, h.order)
	rows := make([]types.Row, len(h.rows))
	for i, k := range h.rows {
		rows[i] = k.row
	}
	return sliceRows(rows), nil
}
