// Package ha keeps a shard's standbys like its primary and makes one of them
// primary when that is safe: log sender and receiver, commit rules, lag,
// failure detection, promotion, fencing. Its heart is Core, a step function
// over events without clock, disk or network; Node joins it to the log, the
// control store and the wire. docs/invariants.md states what it promises.
package ha

import (
	"fmt"
	"slices"
	"time"

	"github.com/heliosdb/helios/wal"
)

// Role is a node's part in its shard.
type Role string

// The roles. A candidate collects promises; a sealed node has given its role
// away and waits for the next term.
const (
	Standby   Role = "standby"
	Candidate Role = "candidate"
	Primary   Role = "primary"
	Sealed    Role = "sealed"
)

// Rules says how a node plays its part.
type Rules struct {
	Node        string
	Incarnation uint64 // drawn when the data directory was made
	Mode        Mode   // the commit rule when this node is primary
	Class       Mode   // whether its flush counts when it is a standby
	Auto        bool   // take over when a primary is gone, without being told
	Bootstrap   bool   // be the first primary of a shard that never had one
	SyncCount   int    // sync standbys that a sync commit waits for; 0: 1
	QuorumSize  int    // copies, the primary among them, of a quorum commit; 0: a majority
	Profile     Profile
}

// switchoverLag is how far behind the target of a switchover may be, and
// drainTimeout how long its statements may take to end.
const (
	switchoverLag = 1 << 20
	drainTimeout  = 5 * time.Second
)

// Core is the part of one node in one shard as a state machine: an event in,
// effects out; the same events give the same effects. It knows the log by LSNs
// and term starts alone.
//
//	          lease lapsed or released,            claim written
//	          or it is its own holder               in the store
//	STANDBY ---------------------------> CANDIDATE ------------> PRIMARY
//	   ^ ^                                  |                     |   |
//	   | +----------------------------------+                     |   | switchover
//	   |    not elected, another claimed                          |   v
//	   +---------------------------------------------------------<+ SEALED
//	        lease not renewed, a higher term was promised somewhere   |
//	   ^                                                              |
//	   +--------------------------------------------------------------+
//	        another claimed
type Core struct {
	rules Rules
	now   time.Duration
	out   []Effect

	role    Role
	promise Promise
	told    uint32 // highest term that anyone said to have promised
	log     struct {
		terms   []wal.TermStart
		written wal.LSN // end of what was ordered to be written; primary: at least flushed
		flushed wal.LSN
		applied wal.LSN
	}
	commit wal.LSN
	safe   wal.LSN // committed under a rule that counts standbys
	peers  []Peer

	lease  Lease
	rev    int64         // of lease
	known  bool          // the lease was read at least once
	seen   time.Duration // when this revision was first seen
	op     *storeOp      // on its way to the store
	unsure []storeOp     // swaps of unknown outcome, all on top of rev

	busy    bool     // the log is being cut or replaced
	stuck   bool     // the commit path hangs
	stopped bool     // asked to stop
	owed    *Lease   // a release not yet in the store
	halted  bool     // asked to halt
	wish    *promote // an operator's order not yet tried

	standby   standbyState
	candidate candidateState
	primary   primaryState
}

// storeOp is a call of the control store.
type storeOp struct {
	swap  bool
	lease Lease
	prev  int64
	sent  time.Duration
}

// Boot is what a node knows of itself when it starts.
type Boot struct {
	Promise Promise
	Terms   []wal.TermStart
	Flushed wal.LSN // end of the log
	Applied wal.LSN // and so committed
}

// NewCore returns the core of a node that starts at time now, as a standby.
func NewCore(rules Rules, boot Boot, now time.Duration) *Core {
	c := &Core{rules: rules, now: now, role: Standby, promise: boot.Promise, safe: boot.Promise.Safe, commit: boot.Applied}
	c.log.terms, c.log.written, c.log.flushed, c.log.applied = boot.Terms, boot.Flushed, boot.Flushed, boot.Applied
	c.promise.Term = max(c.promise.Term, lastTerm(boot.Terms))
	return c
}

// Step takes what happened at time now, by a clock that also runs while the
// machine sleeps, and returns what is to be done, in order.
func (c *Core) Step(now time.Duration, ev Event) []Effect {
	if c.halted {
		return nil
	}
	c.now, c.out = max(c.now, now), nil
	if c.role == Primary && c.now >= c.primary.validUntil {
		c.stepDown("its lease was not renewed in time")
	}
	c.dispatch(ev)
	switch c.role {
	case Standby, Sealed:
		c.considerStanding()
	case Candidate:
		c.considerElection()
	case Primary:
		c.keepLease()
		c.advancePrimary()
		c.considerRelease()
	}
	return c.out
}

func (c *Core) dispatch(ev Event) {
	switch ev := ev.(type) {
	case tick:
		c.onTick()
	case leaseSeen:
		c.observe(ev.lease, ev.rev)
	case leaseLoaded:
		c.onLeaseLoaded(ev)
	case leaseSwapped:
		c.onLeaseSwapped(ev)
	case topology:
		c.peers = ev.peers
		slices.SortFunc(c.peers, func(a, b Peer) int { return compareNames(a.Node, b.Node) })
	case connected:
		c.onConnected(ev)
	case disconnected:
		c.onDisconnected(ev)
	case helloReceived:
		c.onHello(ev)
	case helloReplied:
		c.onHelloReplied(ev)
	case appendReceived:
		c.onAppend(ev)
	case heartbeatReceived:
		c.onHeartbeat(ev)
	case ackReceived:
		c.onAck(ev)
	case sent:
		c.onSent(ev)
	case sealReceived:
		c.onSeal(ev)
	case sealReplied:
		c.onSealReplied(ev)
	case sealFailed:
		c.onSealFailed(ev)
	case flushed:
		c.onFlushed(ev)
	case applied:
		c.onApplied(ev)
	case logEnd:
		c.onLogEnd(ev)
	case termStarted:
		c.onTermStarted(ev)
	case handoverAppended:
		c.onHandoverAppended(ev)
	case truncated:
		c.onTruncated(ev)
	case baseCopied:
		c.onBaseCopied(ev)
	case switchover:
		c.onSwitchover(ev)
	case drained:
		c.onDrained(ev)
	case promote:
		c.onPromote(ev)
	case hung:
		c.onHung(ev)
	case stop:
		c.onStop()
	default:
		panic(fmt.Sprintf("ha: event %T has no handler", ev))
	}
}

func (c *Core) emit(e ...Effect) { c.out = append(c.out, e...) }

func (c *Core) info(format string, args ...any) {
	c.emit(report{levelInfo, fmt.Sprintf(format, args...)})
}

func (c *Core) warn(format string, args ...any) {
	c.emit(report{levelWarn, fmt.Sprintf(format, args...)})
}

func (c *Core) onTick() {
	switch c.role {
	case Standby, Sealed:
		c.tickStandby()
	case Primary:
		c.tickPrimary()
	}
}

// me is this node as a recruit of its own.
func (c *Core) me() recruit {
	return recruit{Member{c.rules.Node, c.rules.Incarnation, c.rules.Class}, c.position()}
}

// position counts only what is on disk, of terms, too.
func (c *Core) position() Position {
	p := Position{Flush: c.log.flushed}
	for _, t := range c.log.terms {
		if t.LSN < c.log.flushed {
			p.LastTerm = t.Term
		}
	}
	return p
}

// holder reports whether the lease says that this very node is the primary.
func (c *Core) holder() bool {
	return c.lease.Holder == c.rules.Node && c.lease.Incarnation == c.rules.Incarnation
}

// promiseTerm makes a promise to obey no lower term.
func (c *Core) promiseTerm(term uint32) {
	if term > c.promise.Term {
		c.promise = Promise{Term: term, Safe: c.safe}
		c.emit(persist{c.promise})
	}
}

func (c *Core) setRole(role Role, term uint32) {
	c.role = role
	c.emit(setRole{role, term, c.lease.Holder})
}

// observe takes over what the store holds at a later revision than known.
func (c *Core) observe(lease Lease, rev int64) {
	first := !c.known
	c.known = true
	if rev <= c.rev {
		return
	}
	old := c.lease
	c.grant(lease)
	c.lease, c.rev, c.seen, c.unsure = lease, rev, c.now, nil
	if lease.Term > old.Term {
		c.standby.retry, c.standby.bound = 0, 0
	}
	if !first && old.Holder != "" && lease.Holder != old.Holder {
		c.emit(failedOver{Failover{
			Old: old.Holder, New: lease.Holder, Term: lease.Term, LSN: lease.Start.Flush, Planned: old.Released,
		}})
	}
	switch c.role {
	case Primary:
		if !c.holder() || lease.Term != c.primary.term {
			c.stepDown(fmt.Sprintf("%s holds term %d", lease.Holder, lease.Term))
		}
	case Candidate:
		if c.candidate.step != claiming || !c.holder() || lease.Term != c.candidate.term {
			c.abandon()
		}
	case Sealed:
		if lease.Term > old.Term {
			c.setRole(Standby, lease.Term)
		}
		c.retarget()
	case Standby:
		c.retarget()
	}
}

// grant extends this node's own lease if the store took one of its renewals.
func (c *Core) grant(lease Lease) {
	if c.role != Primary || lease.Term != c.primary.term || lease.Holder != c.rules.Node {
		return
	}
	ops := c.unsure
	if c.op != nil && c.op.swap {
		ops = append(slices.Clone(ops), *c.op)
	}
	for _, op := range ops {
		if op.lease.Term == lease.Term && op.lease.Renewal == lease.Renewal {
			c.primary.validUntil = max(c.primary.validUntil, c.until(op))
			c.primary.granted = max(c.primary.granted, op.sent)
			c.ruleChanged(c.lease.rule(), lease)
		}
	}
}

// until returns when the lease that op wrote is no more to be relied on.
func (c *Core) until(op storeOp) time.Duration {
	return op.sent + c.rules.Profile.TTL - c.rules.Profile.Margin
}

func (c *Core) load() {
	c.op = &storeOp{sent: c.now}
	c.emit(loadLease{})
}

func (c *Core) swap(lease Lease) {
	c.op = &storeOp{swap: true, lease: lease, prev: c.rev, sent: c.now}
	c.emit(swapLease{lease, c.rev})
}

func (c *Core) onLeaseLoaded(ev leaseLoaded) {
	if c.op == nil || c.op.swap {
		return
	}
	c.op = nil
	if ev.err != nil {
		c.storeFailed()
		return
	}
	c.observe(ev.lease, ev.rev)
	switch c.role {
	case Candidate:
		c.onCandidateLoaded()
	case Primary:
		c.primary.loaded = true
	}
}

func (c *Core) onLeaseSwapped(ev leaseSwapped) {
	op := c.op
	if op == nil || !op.swap {
		return
	}
	if ev.err == nil && ev.swapped {
		c.observe(op.lease, ev.rev) // op still stands, for grant
		c.op = nil
		if c.role == Candidate && c.candidate.step == claiming && c.holder() && c.lease.Term == c.candidate.term {
			c.becomePrimary(*op)
		}
		return
	}
	c.op = nil
	if ev.err != nil && op.prev == c.rev {
		c.unsure = append(c.unsure, *op)
	}
	c.primary.loaded = false
	if ev.err != nil && c.role == Primary {
		c.storeFailed()
	} else if c.role != Standby {
		c.load()
	}
}

// storeFailed leaves some time before the next try.
func (c *Core) storeFailed() {
	switch c.role {
	case Candidate:
		c.abandon()
	case Primary:
		c.primary.storeRetry = c.now + c.rules.Profile.Heartbeat
	}
}

func (c *Core) onFlushed(ev flushed) {
	if ev.lsn < c.log.flushed {
		return
	}
	c.log.flushed, c.log.written = ev.lsn, max(c.log.written, ev.lsn)
	if ev.terms != nil {
		c.log.terms = ev.terms
	}
	if c.role == Standby || c.role == Sealed {
		c.onStandbyFlushed()
	}
}

func (c *Core) onApplied(ev applied) {
	c.log.applied = max(c.log.applied, ev.lsn)
	if c.role == Standby && c.standby.ok && c.log.applied == c.log.flushed {
		c.ack()
	}
}

// onSeal answers a candidate. A promise is refused for a term that someone
// leads already, and by a primary that may serve still.
func (c *Core) onSeal(ev sealReceived) {
	led := max(c.lease.Term, lastTerm(c.log.terms))
	c.told = max(c.told, ev.term)
	serving := c.role == Primary && c.now < c.primary.validUntil
	if ev.term < c.promise.Term || ev.term <= led || serving || c.busy || c.stopped || c.bound(ev.peer) {
		c.emit(replySeal{token: ev.token, term: c.promise.Term, recruit: c.me(), refused: true})
		return
	}
	switch {
	case c.role == Primary:
		c.stepDown(fmt.Sprintf("%s asks for term %d", ev.peer, ev.term))
	case c.role == Candidate && ev.term > c.candidate.term:
		c.abandon()
	}
	if ev.term > c.promise.Term {
		c.dropStream()
	}
	c.promiseTerm(ev.term)
	c.emit(replySeal{token: ev.token, term: c.promise.Term, recruit: c.me()})
}

func (c *Core) onHung(ev hung) {
	c.stuck = ev.stuck
	if c.stuck && c.role == Primary {
		c.stepDown("its commit path hangs")
	}
}

// onStop ends this node's part. A primary seals itself, so that nobody has to
// wait for its lease to run out.
func (c *Core) onStop() {
	c.stopped = true
	switch c.role {
	case Primary:
		c.release("")
	case Candidate:
		c.abandon()
	}
	c.retarget()
}

func compareNames(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
