package router

import (
	"container/heap"
	"context"
	"errors"
	"io"

	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// concat gives the rows of streams as they come, whichever shard answers first.
type concat struct {
	streams []*stream
}

func (c *concat) next(ctx context.Context) ([]types.Row, error) {
	for len(c.streams) > 0 {
		batch, err := c.streams[0].next(ctx)
		if errors.Is(err, io.EOF) {
			c.streams = c.streams[1:]
			continue
		}
		return batch, err
	}
	return nil, io.EOF
}

// merge gives the rows of sorted streams in order (a k-way merge over a heap). Rows that
// are equal in the keys come in the order of the streams.
type merge struct {
	keys    []plan.SortKey
	heads   []mergeHead
	pending []mergeHead // not read yet
}

type mergeHead struct {
	source int
	stream *stream
	batch  []types.Row // the first is the head
}

func newMerge(keys []plan.SortKey, streams []*stream) *merge {
	m := &merge{keys: keys}
	for i, s := range streams {
		m.pending = append(m.pending, mergeHead{source: i, stream: s})
	}
	return m
}

func (m *merge) Len() int      { return len(m.heads) }
func (m *merge) Swap(i, j int) { m.heads[i], m.heads[j] = m.heads[j], m.heads[i] }
func (m *merge) Push(x any)    { m.heads = append(m.heads, x.(mergeHead)) }

func (m *merge) Less(i, j int) bool {
	a, b := &m.heads[i], &m.heads[j]
	if c := exec.CompareRows(m.keys, a.batch[0], b.batch[0]); c != 0 {
		return c < 0
	}
	return a.source < b.source
}

func (m *merge) Pop() any {
	last := m.heads[len(m.heads)-1]
	m.heads = m.heads[:len(m.heads)-1]
	return last
}

func (m *merge) next(ctx context.Context) ([]types.Row, error) {
	for len(m.pending) > 0 {
		h := m.pending[0]
		batch, err := h.stream.next(ctx)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		m.pending = m.pending[1:]
		if err == nil {
			h.batch = batch
			heap.Push(m, h)
		}
	}
	var out []types.Row
	for len(m.heads) > 0 && len(out) < streamBatch {
		h := &m.heads[0]
		out = append(out, h.batch[0])
		if h.batch = h.batch[1:]; len(h.batch) > 0 {
			heap.Fix(m, 0)
			continue
		}
		if h.batch, _ = h.stream.ready(); len(h.batch) > 0 {
			heap.Fix(m, 0)
			continue
		}
		// The stream has nothing at hand: what is merged so far goes on first.
		m.pending = append(m.pending, heap.Pop(m).(mergeHead))
		break
	}
	if len(out) == 0 {
		if len(m.pending) > 0 {
			return m.next(ctx)
		}
		return nil, io.EOF
	}
	return out, nil
}

// ready gives a batch that is there already.
func (s *stream) ready() ([]types.Row, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.batches) == 0 {
		return nil, false
	}
	batch := s.mu.batches[0]
	s.mu.batches = s.mu.batches[1:]
	s.mu.bytes -= rowsBytes(batch)
	s.announce()
	return batch, true
}

// mergeSorted merges two sorted lists.
func mergeSorted(keys []plan.SortKey, a, b []types.Row) []types.Row {
	out := make([]types.Row, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if exec.CompareRows(keys, a[0], b[0]) <= 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// sliceSource gives rows in memory.
type sliceSource struct{ rows []types.Row }

func (s *sliceSource) next(context.Context) ([]types.Row, error) {
	if len(s.rows) == 0 {
		return nil, io.EOF
	}
	n := min(streamBatch, len(s.rows))
	out := s.rows[:n:n]
	s.rows = s.rows[n:]
	return out, nil
}
