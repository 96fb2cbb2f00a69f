package ha

import (
	"slices"

	"github.com/heliosdb/helios/wal"
)

// eligible reports whether a standby of a class may be published under this
// node's rule.
func (c *Core) eligible(class Mode) bool { return class.votes() || c.rules.Mode == Async }

// acks returns how many flushes of standbys a commit under this node's rule
// waits for when the members of l are published.
func (c *Core) acks(l Lease) int {
	switch c.rules.Mode {
	case SemiSync:
		return min(1, len(l.rule().voters))
	case Sync:
		return max(1, c.rules.SyncCount)
	case Quorum:
		if c.rules.QuorumSize > 0 {
			return c.rules.QuorumSize - 1
		}
		copies := 1
		for _, p := range c.peers {
			if p.Node != c.rules.Node && (p.Class.votes() || p.Class == "") {
				copies++
			}
		}
		return max(copies, 1+len(l.rule().voters)) / 2
	}
	return 0
}

// keepLease renews the lease in time, together with any change of the sync set.
//
// Order is what makes the set safe. While a change is made, commits obey the
// old rule and the new one (advancePrimary), and it goes to the store only once
// what is committed obeys the new one. So a standby that joins is waited for
// before anyone can read that it may be promoted, and one that leaves is waited
// for until nobody can.
func (c *Core) keepLease() {
	if c.op != nil || c.primary.end == 0 || c.now < c.primary.storeRetry {
		return
	}
	if !c.primary.loaded {
		c.load()
		return
	}
	next := c.lease
	next.Mode, next.TTL = c.rules.Mode, c.rules.Profile.TTL
	next.Members = c.nextMembers()
	next.Acks = c.acks(next)
	changed := !next.rule().equal(c.lease.rule()) || !slices.Equal(next.Members, c.lease.Members) || next.Mode != c.lease.Mode
	if !c.join(next, changed) {
		next, changed = c.lease, false
	}
	if !changed && len(c.unsure) == 0 && c.now-c.primary.renewed < c.rules.Profile.Renew {
		return
	}
	next.Renewal++
	c.primary.renewed = c.now
	c.swap(next)
}

// join counts a changed lease's voters, and reports whether it may go to the
// store. A newcomer that does not catch up soon is let go again (tickPrimary),
// since commits wait for it.
func (c *Core) join(next Lease, changed bool) bool {
	p := &c.primary
	if !changed || c.obeys(next.rule()) {
		p.joining = nil
		return changed
	}
	switch {
	case p.joining == nil && c.now < p.joinRetry:
		return false
	case p.joining == nil:
		p.joinUntil = c.now + 2*c.rules.Profile.Heartbeat
	}
	p.joining = &next
	return false
}

// obeys reports whether everything committed, and what the term inherited,
// fulfils a rule.
func (c *Core) obeys(r rule) bool {
	return r.equal(c.lease.rule()) || r.commit(c.log.flushed, c.flushOf) >= max(c.commit, c.primary.end)
}

// nextMembers returns the sync set as it should be.
func (c *Core) nextMembers() []Member {
	keep := slices.DeleteFunc(slices.Clone(c.lease.Members), func(m Member) bool {
		return !c.eligible(m.Class) || c.replaced(m) || c.silent(m) && c.mayDegrade(m)
	})
	for _, p := range c.primary.progress {
		known := slices.ContainsFunc(keep, func(m Member) bool { return m.Node == p.member.Node })
		if !known && c.admissible(p) {
			keep = append(keep, p.member)
		}
	}
	return keep
}

// replaced: the node came back with a new, empty directory.
func (c *Core) replaced(m Member) bool {
	i, ok := c.find(m.Node)
	return ok && c.primary.progress[i].member != m && c.primary.progress[i].stream != 0
}

// silent: no ack that moved on for longer than the profile bears.
func (c *Core) silent(m Member) bool {
	fresh := c.primary.since
	if i, ok := c.find(m.Node); ok {
		fresh = max(fresh, c.primary.progress[i].fresh)
	}
	return c.now-fresh >= c.rules.Profile.Degrade
}

// mayDegrade: quorum never shrinks; sync shrinks only to a set that still has
// voters who speak; semi-sync and async go on alone.
func (c *Core) mayDegrade(m Member) bool {
	switch c.rules.Mode {
	case Quorum:
		return false
	case Sync:
		return slices.ContainsFunc(c.lease.Members, func(other Member) bool {
			return other != m && !c.silent(other) && !c.replaced(other)
		})
	}
	return true
}

// joinLag is how far behind a standby may be that commits begin to wait for.
const joinLag = 1 << 20

// admissible: connected, of a class that may be published, and nearly there.
func (c *Core) admissible(p progress) bool {
	return p.stream != 0 && c.eligible(p.member.Class) && !c.silent(p.member) &&
		p.flush+joinLag >= max(c.commit, c.primary.end)
}

// ruleChanged notes a change of the commit rule in the log and, loudly, its
// weakening.
func (c *Core) ruleChanged(old rule, lease Lease) {
	now := lease.rule()
	if now.equal(old) {
		return
	}
	switch {
	case now.acks < old.acks && now.acks == 0:
		c.warn("DEGRADED: commits wait for no standby until one has caught up")
	case old.acks == 0 && now.acks > 0:
		c.info("commits wait for %d of %d standbys", now.acks, len(now.voters))
	}
	c.emit(appendSyncSet{lease})
}

func (c *Core) onSwitchover(ev switchover) {
	i, ok := c.find(ev.target)
	switch {
	case c.role != Primary || !c.primary.serving:
		c.emit(refused{"this node is not the primary"})
	case c.primary.handover != nil:
		c.emit(refused{"a switchover is under way"})
	case !ok || c.primary.progress[i].stream == 0 || !c.lease.member(recruit{Member: c.primary.progress[i].member}):
		c.emit(refused{ev.target + " is not a published standby"})
	case c.primary.progress[i].flush+switchoverLag < c.log.flushed:
		c.emit(refused{ev.target + " is too far behind"})
	default:
		c.primary.handover = &handover{target: ev.target, until: c.now + drainTimeout}
		c.emit(drain{c.primary.term})
	}
}

func (c *Core) onDrained(ev drained) {
	if h := c.primary.handover; c.role == Primary && h != nil && ev.term == c.primary.term && !h.drained {
		h.drained = true
		c.emit(appendHandover{c.primary.term, h.target})
	}
}

func (c *Core) onHandoverAppended(ev handoverAppended) {
	if h := c.primary.handover; c.role == Primary && h != nil && ev.term == c.primary.term {
		h.end = ev.end
	}
}

// considerRelease gives the lease away once the target has everything, on disk
// and applied.
func (c *Core) considerRelease() {
	h := c.primary.handover
	if c.role != Primary || h == nil || h.end == 0 || c.commit < h.end || c.op != nil {
		return
	}
	i, ok := c.find(h.target)
	if !ok || !c.lease.member(recruit{Member: c.primary.progress[i].member}) {
		return
	}
	if p := c.primary.progress[i]; p.flush >= h.end && p.apply >= h.end {
		c.release(h.target)
	}
}

// release seals this node and says so in the store, so that the next primary
// need not wait for the lease to run out.
func (c *Core) release(target string) {
	next := c.lease
	next.Released, next.Target = true, target
	c.info("term %d ends here, released", c.primary.term)
	c.leaveOffice()
	c.standby = standbyState{retry: c.now + c.rules.Profile.TTL}
	c.setRole(Sealed, c.promise.Term)
	c.owed = &next
	if c.op == nil {
		c.payRelease()
	}
}

// payRelease writes the release unless another term has begun meanwhile.
func (c *Core) payRelease() {
	next := *c.owed
	switch {
	case !c.holder() || c.lease.Term != next.Term || c.lease.Released || c.role != Sealed:
		c.owed = nil
	case c.now < c.primary.storeRetry:
	default:
		next.Members, next.Acks, next.Renewal = c.lease.Members, c.lease.Acks, c.lease.Renewal+1
		c.primary.storeRetry = c.now + c.rules.Profile.Heartbeat
		c.swap(next)
	}
}

// lag of LSNs never goes below zero.
func lag(end, at wal.LSN) uint64 {
	if at >= end {
		return 0
	}
	return uint64(end - at)
}
