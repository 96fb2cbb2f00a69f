package ha

import (
	"fmt"
	"slices"
	"strings"
)

func (w *world) assert(ok bool, format string, args ...any) {
	if !ok {
		w.fail(format, args...)
	}
}

// committed checks what a node takes for committed against what others did.
func (w *world) committed(n *testNode, to int) {
	w.assert(to <= n.durable, "I5: %s commits %d, on disk are %d", n.id, to, n.durable)
	if n.serving {
		for _, e := range n.log[:to] {
			if e.id != 0 {
				w.acked[e.id] = true
			}
		}
	}
	if w.lossy {
		return
	}
	common := min(to, len(w.log))
	w.assert(slices.Equal(n.log[:common], w.log[:common]), "%s committed other records than before", n.id)
	if to > len(w.log) {
		w.assert(n.core.role == Primary, "I5: %s, no primary, commits first", n.id)
		w.log = slices.Clone(n.log[:to])
	}
}

// checkServe: whoever opens for clients has every answered write (I6, I8, I10).
func (w *world) checkServe(n *testNode) {
	if w.lossy {
		return
	}
	w.assert(len(n.log) >= len(w.log) && slices.Equal(n.log[:len(w.log)], w.log), "I8: %s serves without committed records", n.id)
	w.assert(n.applied >= index(n.core.primary.end), "I10: %s serves before its log is applied", n.id)
}

// checkNode: at most one node may serve at any moment (I11, I12).
func (w *world) checkNode(n *testNode) {
	if n.core.role != Primary || w.now >= n.core.primary.validUntil {
		return
	}
	for _, name := range w.names {
		o := w.nodes[name]
		both := o != n && o.up && o.core.role == Primary && w.now < o.core.primary.validUntil
		w.assert(!both, "I11: %s and %s may both serve", n.id, o.id)
	}
}

// checkMembers: a published standby has what was answered, if that was answered
// on the word of so few that this one alone may be promoted (I7).
func (w *world) checkMembers() {
	l := w.store.lease
	if w.lossy || l.Acks == 0 || l.rule().recruits() != 1 {
		return
	}
	for _, m := range l.rule().voters {
		n := w.nodes[m.Node]
		if n.rules.Incarnation == m.Incarnation && len(l.rule().voters) <= l.Acks {
			w.assert(n.durable >= len(w.log), "I7: %s is published with %d of %d committed records", m.Node, n.durable, len(w.log))
		}
	}
}

func (w *world) traceEffect(n *testNode, e Effect) {
	switch e := e.(type) {
	case persist:
		w.trace(n.id, fmt.Sprintf("promises term %d", e.promise.Term))
	case swapLease:
		now, next := w.store.lease, e.lease
		now.Renewal, next.Renewal = 0, 0
		if describe(now) != describe(next) {
			w.trace(n.id, "writes lease "+describe(e.lease))
		}
	case setRole:
		w.trace(n.id, fmt.Sprintf("is %s, term %d", e.role, e.term))
	case serve:
		w.trace(n.id, fmt.Sprintf("serves, term %d", e.term))
	case replyHello:
		if e.verdict == verdictNotPrimary {
			return
		}
		w.trace(n.id, fmt.Sprintf("answers %s's hello: %v at %d", e.peer, e.verdict, index(e.lsn)))
	case truncate:
		w.trace(n.id, fmt.Sprintf("cuts its log to %d", index(e.lsn)))
	case baseCopy:
		w.trace(n.id, "copies "+e.peer)
	case replySeal:
		word := "promises"
		if e.refused {
			word = "refuses; promised"
		}
		w.trace(n.id, fmt.Sprintf("%s term %d, log at %d/%d", word, e.term, e.recruit.Position.LastTerm, index(e.recruit.Position.Flush)))
	case failedOver:
		w.trace(n.id, fmt.Sprintf("sees failover %s -> %s, term %d, at %d, planned=%v",
			e.failover.Old, e.failover.New, e.failover.Term, index(e.failover.LSN), e.failover.Planned))
	case report:
		w.trace(n.id, `"`+e.message+`"`)
	case halt:
		w.trace(n.id, "HALTS: "+e.reason)
	case refused:
		w.trace(n.id, "refuses: "+e.reason)
	case drain:
		w.trace(n.id, "drains")
	case resume:
		w.trace(n.id, "resumes")
	case advance:
		if n.core.role == Primary {
			w.trace(n.id, fmt.Sprintf("commits up to %d", index(e.lsn)))
		}
	}
}

func describe(l Lease) string {
	var members []string
	for _, m := range l.Members {
		members = append(members, m.Node)
	}
	s := fmt.Sprintf("term %d, %s, renewal %d, acks %d of [%s]", l.Term, l.Holder, l.Renewal, l.Acks, strings.Join(members, " "))
	if l.Released {
		s += ", released to [" + l.Target + "]"
	}
	return s
}

// String shows what a node thinks.
func (n *testNode) String() string {
	if !n.up {
		return n.id + " is down " + n.halted
	}
	c := n.core
	s := fmt.Sprintf("%s %s promise=%d log=%d durable=%d applied=%d commit=%d safe=%d", n.id, c.role, c.promise.Term,
		len(n.log), n.durable, n.applied, index(c.commit), index(c.safe))
	s += fmt.Sprintf(" lease=%d@%d op=%v busy=%v stuck=%v leader=%q stream=%d ok=%v retry=%v", c.lease.Term, c.rev, c.op != nil,
		c.busy, c.stuck, c.standby.leader, c.standby.stream, c.standby.ok, c.standby.retry)
	for _, p := range c.primary.progress {
		s += fmt.Sprintf(" %s:%d flush=%d", p.member.Node, p.stream, index(p.flush))
	}
	return s
}
