package shard

import (
	"fmt"
	"strings"

	"github.com/heliosdb/helios/txn"
)

// LockWaits lists who waits for whose locks here, a line for each pair: the waiter, the
// holder, and the number of the wait. Transactions go by the name that their router gave
// them; one without a name holds locks on this shard alone.
func (s *Shard) LockWaits() string {
	edges := s.locks.Edges()
	if len(edges) == 0 {
		return ""
	}
	names := map[txn.ID]string{}
	s.mu.Lock()
	for gid, t := range s.mu.open {
		names[t.tx.ID] = gid
	}
	s.mu.Unlock()
	name := func(id txn.ID) string {
		if n, ok := names[id]; ok {
			return n
		}
		return fmt.Sprintf("local:%d:%d", s.opts.ID, id)
	}
	var b strings.Builder
	for _, e := range edges {
		fmt.Fprintf(&b, "%s %s %d\n", name(e.Waiter), name(e.Holder), e.Number)
	}
	return b.String()
}
