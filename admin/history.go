package admin

import (
	"sync"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/ha"
	"github.com/heliosdb/helios/types"
)

// historyMax bounds the failovers that are remembered; the oldest go first.
const historyMax = 1000

// History remembers the changes of primary that a node has seen since it started. The
// zero value is ready; it is safe for concurrent use.
type History struct {
	mu struct {
		sync.Mutex
		seen []failover // ascending by time
	}
}

type failover struct {
	at time.Time
	ha.Failover
}

// Add notes a change of primary at the present time; it fits FailoverWatcher.OnFailover.
func (h *History) Add(f ha.Failover) { h.add(time.Now(), f) }

func (h *History) add(at time.Time, f ha.Failover) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.mu.seen) == historyMax {
		h.mu.seen = append(h.mu.seen[:0], h.mu.seen[1:]...)
	}
	h.mu.seen = append(h.mu.seen, failover{at, f})
}

// rows are the rows of helios.failover_history, oldest first; a nil History has none.
func (h *History) rows(shard cluster.ShardID) []types.Row {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var rows []types.Row
	for _, f := range h.mu.seen {
		rows = append(rows, types.Row{
			moment(f.at), positive(shard), types.Int(int64(f.Term)), text(f.Old), text(f.New), lsn(f.LSN), types.Bool(f.Planned),
		})
	}
	return rows
}
