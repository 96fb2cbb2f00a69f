package ha

import (
	"slices"
	"time"
)

// candidateState is how far a candidacy has come.
type candidateState struct {
	step     candidateStep
	forced   *promote // an operator ordered it
	term     uint32
	claim    storeOp
	recruits []recruit // who promised, this node first
	gone     []string  // who refused or cannot be asked
	opposed  bool      // someone refused
	until    time.Duration
	lossy    bool
}

type candidateStep int

const (
	loading  candidateStep = iota // reading the lease afresh
	sealing                       // collecting promises
	claiming                      // writing the claim
)

// lapsed reports whether the lease has run out for sure: the holder stops a
// margin before its time to live is over, counted from when it sent the last
// renewal; this node waits a margin longer, counted from when it saw it.
func (c *Core) lapsed() bool {
	return c.now-c.seen >= max(c.lease.TTL, c.rules.Profile.TTL)+c.rules.Profile.Margin
}

// mayStand reports whether this node may try to be primary.
func (c *Core) mayStand() bool {
	switch {
	case c.op != nil || c.busy || c.stuck || c.stopped || !c.known || c.now < c.standby.retry || c.bound(c.rules.Node):
		return false
	case c.rev == 0:
		return c.fresh() || c.wish != nil && c.wish.allowLoss
	case c.lease.Released:
		anyone := c.lease.Target == "" // it was stopped: its standbys may, and it itself when it is back
		mine := c.lease.Target == c.rules.Node || anyone && (c.holder() || c.rules.Auto && c.lease.member(c.me()))
		return mine || c.wish != nil || c.lapsed() && (c.rules.Auto || c.holder())
	case c.holder():
		return true // it lost the role or was restarted; nobody else has it yet
	case !c.lapsed():
		return false
	case c.wish != nil:
		return true
	}
	turn := c.rules.Profile.Heartbeat * time.Duration(c.rank())
	return c.rules.Auto && c.lease.member(c.me()) && !c.hears() && c.now-c.seen >= c.lease.TTL+c.rules.Profile.Margin+turn
}

// fresh reports whether this node may found the shard: it is told to, and no
// log has anything in it. A store that lost the lease of a shard with data is
// for an operator to judge.
func (c *Core) fresh() bool {
	return c.rules.Bootstrap && len(c.log.terms) == 0 &&
		!slices.ContainsFunc(c.candidate.recruits, func(r recruit) bool { return r.Position.LastTerm > 0 })
}

// onPromote notes an operator's order, or says why it cannot be.
func (c *Core) onPromote(ev promote) {
	switch {
	case c.role == Primary:
		c.emit(refused{"this node is the primary"})
	case !c.known:
		c.emit(refused{"the control store was not reached yet"})
	case c.rev == 0 && !ev.allowLoss && !c.fresh():
		c.emit(refused{"the control store knows no primary of this shard"})
	case c.rev != 0 && !c.lapsed() && !c.lease.Released && !c.holder():
		c.emit(refused{"the primary's lease is still valid"})
	case c.bound(c.rules.Node):
		c.emit(refused{"the primary was heard of lately, though it does not reach the control store"})
	default:
		c.wish = &ev
		c.standby.retry = 0
	}
}

// rank is this node's place in the sync set: those behind wait a little longer.
func (c *Core) rank() int {
	return max(0, slices.IndexFunc(c.lease.Members, func(m Member) bool { return m.Node == c.rules.Node }))
}

// considerStanding begins a candidacy with a fresh look at the lease.
func (c *Core) considerStanding() {
	if c.owed != nil && c.op == nil {
		c.payRelease()
	}
	if !c.mayStand() {
		return
	}
	c.setRole(Candidate, c.promise.Term)
	c.candidate = candidateState{step: loading, forced: c.wish}
	c.load()
}

// abandon goes back to being a standby, to try again later.
func (c *Core) abandon() {
	if c.candidate.forced != nil {
		c.emit(refused{"not elected: too few of the shard's nodes promised, or one of them has a longer log"})
	}
	c.wish = nil
	c.setRole(Standby, c.promise.Term)
	c.standby.retry = c.now + c.rules.Profile.Renew
	if c.candidate.step != loading {
		c.standby.term = 0 // follow anew
	}
	c.retarget()
	c.leaveOffice()
	c.candidate = candidateState{}
}

// onCandidateLoaded goes on with the lease as it is now. Promises are asked
// for only when the old lease has run out, or its holder sealed itself or is
// this very node.
func (c *Core) onCandidateLoaded() {
	switch c.candidate.step {
	case loading:
		if free := c.rev == 0 || c.lease.Released || c.holder() || c.lapsed(); !free || c.busy || c.log.written != c.log.flushed {
			c.abandon()
			return
		}
		c.seal()
	case claiming:
		if c.holder() && c.lease.Term == c.candidate.term {
			c.becomePrimary(c.candidate.claim) // only the answer was lost
			return
		}
		c.abandon()
	}
}

func (c *Core) seal() {
	term := max(c.lease.Term+1, lastTerm(c.log.terms)+1, c.promise.Term, c.told)
	if c.rev == 0 {
		term = max(term, c.promise.Term+1)
	}
	c.dropStream()
	c.standby.leader = ""
	c.emit(follow{"", term})
	c.promiseTerm(term)
	c.candidate.step = sealing
	c.candidate.term = term
	c.candidate.recruits = []recruit{c.me()}
	c.candidate.until = c.now + c.rules.Profile.Seal
	for _, p := range c.peers {
		if p.Node != c.rules.Node {
			c.emit(sendSeal{p.Node, term})
		}
	}
}

func (c *Core) onSealReplied(ev sealReplied) {
	if ev.refused {
		c.told = max(c.told, ev.term)
		c.candidate.opposed = true
		c.onSealFailed(sealFailed{ev.recruit.Node, c.candidate.term})
		return
	}
	if c.role != Candidate || c.candidate.step != sealing || ev.term != c.candidate.term {
		return
	}
	known := slices.ContainsFunc(c.candidate.recruits, func(r recruit) bool { return r.Node == ev.recruit.Node })
	if !known {
		c.candidate.recruits = append(c.candidate.recruits, ev.recruit)
	}
}

func (c *Core) onSealFailed(ev sealFailed) {
	if c.role == Candidate && c.candidate.step == sealing && ev.term == c.candidate.term {
		c.candidate.gone = append(c.candidate.gone, ev.peer)
	}
}

// answered reports whether a node has promised, refused, or cannot be asked.
func (c *Core) answered(node string) bool {
	return slices.Contains(c.candidate.gone, node) ||
		slices.ContainsFunc(c.candidate.recruits, func(r recruit) bool { return r.Node == node })
}

// considerElection claims the term once enough have promised. It waits for all
// published standbys a while, since those that stay silent are un-published,
// and for a holder that sealed itself, since it can be published at once.
func (c *Core) considerElection() {
	if c.candidate.step != sealing || c.op != nil {
		return
	}
	members, all := !c.lease.Released || c.holder() || c.answered(c.lease.Holder), true
	for _, m := range c.lease.Members {
		members = members && c.answered(m.Node)
	}
	for _, p := range c.peers {
		all = all && (p.Node == c.rules.Node || c.answered(p.Node))
	}
	over := all || c.now >= c.candidate.until
	ok, lossy := c.lease.elects(c.me(), c.candidate.recruits)
	if !ok && c.candidate.forced != nil && c.candidate.forced.allowLoss && over {
		ok, lossy = !c.candidate.opposed, true // who refuses may know of a primary that serves
	}
	ok = ok || c.rev == 0 && c.fresh()
	switch {
	case ok && (members || over):
		c.claim(lossy)
	case over:
		c.abandon()
	}
}

// claim writes the next term. What stays published is proven to have every
// answered record: all voters if this node was and stays the holder and none
// of them is missing, else those whose logs are level with this node's.
func (c *Core) claim(lossy bool) {
	old, me := c.lease, c.me()
	next := Lease{
		Term: c.candidate.term, Holder: me.Node, Incarnation: me.Incarnation, Renewal: old.Renewal + 1,
		TTL: c.rules.Profile.TTL, Mode: c.rules.Mode, Start: me.Position, Ceiling: old.Ceiling,
	}
	eligible := append(slices.Clone(old.Members), Member{Node: old.Holder, Incarnation: old.Incarnation})
	proven := func(level bool) (members []Member) {
		for _, m := range eligible {
			i := slices.IndexFunc(c.candidate.recruits, func(r recruit) bool {
				return r.Node == m.Node && r.Incarnation == m.Incarnation
			})
			if i <= 0 { // not among the recruits, or this node itself
				continue
			}
			r := c.candidate.recruits[i]
			if c.eligible(r.Class) && (!level || r.Position == me.Position) {
				members = append(members, r.Member)
			}
		}
		return members
	}
	next.Members = proven(false)
	next.Acks = c.acks(next)
	if !old.holds(me) || lossy || !next.rule().equal(old.rule()) {
		next.Members = proven(true)
		next.Acks = c.acks(next)
	}
	c.candidate.step, c.candidate.lossy = claiming, lossy
	c.swap(next)
	c.candidate.claim = *c.op
}
