package node

import (
	"sync"
	"time"

	"github.com/heliosdb/helios/wal"
)

const (
	// retainedMax bounds the log that is kept for others: whoever is further behind gets
	// a base copy, or copies again. So one that never comes back cannot fill the disk.
	retainedMax = 4 << 30
	// retainedAfter is how long a reader that ended is waited for: a copy is followed by
	// a stream that begins where the copy was taken.
	retainedAfter = time.Minute
)

// retention is the log that others still have to read from this node, by reader: base
// copies, and the copies and tails of moves. All its methods may be called at any time.
type retention struct {
	now func() time.Time
	mu  struct {
		sync.Mutex
		readers map[string]*retained
	}
}

type retained struct {
	below  wal.LSN // what lies below is not needed
	open   int     // streams that run
	closed time.Time
}

func newRetention(now func() time.Time) *retention {
	r := &retention{now: now}
	r.mu.readers = map[string]*retained{}
	return r
}

// open keeps the log from an LSN on for a reader, until done and a while longer.
func (r *retention) open(reader string, from wal.LSN) (done func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.mu.readers[reader]
	if x == nil {
		x = &retained{below: from}
		r.mu.readers[reader] = x
	}
	x.below = min(x.below, from)
	x.open++
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		x.open--
		x.closed = r.now()
	})
}

// move says that a reader needs nothing below an LSN any more.
func (r *retention) move(reader string, to wal.LSN) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if x := r.mu.readers[reader]; x != nil {
		x.below = max(x.below, to)
	}
}

// lowest is where the log begins that readers need, at most end.
func (r *retention) lowest(end wal.LSN) wal.LSN {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, x := range r.mu.readers {
		if x.open == 0 && r.now().Sub(x.closed) > retainedAfter {
			delete(r.mu.readers, name)
			continue
		}
		end = min(end, x.below)
	}
	return end
}

// hold is below which LSN nobody but this node itself needs its log: shard.Options.Hold.
func (m *member) hold() wal.LSN {
	select {
	case <-m.built:
	default:
		return 0
	}
	end := m.shard.Log().End()
	keep := min(m.ha.Retain(), m.retained.lowest(end))
	if end > retainedMax {
		keep = max(keep, end-retainedMax)
	}
	return keep
}
