package ha

import (
	"fmt"
	"slices"
	"time"

	"github.com/heliosdb/helios/wal"
)

// primaryState is what a primary keeps for its term.
type primaryState struct {
	term       uint32
	since      time.Duration
	validUntil time.Duration // it serves before that only
	renewed    time.Duration // when the last renewal was sent
	granted    time.Duration // when the last one that the store took was sent
	storeRetry time.Duration // the store failed: not before that
	loaded     bool          // the lease was read after the last failed swap
	beat       time.Duration // when the last heartbeats went out
	end        wal.LSN       // of TERM_START; 0: not appended yet
	serving    bool
	progress   []progress      // of standbys, by name
	waiting    []helloReceived // until TERM_START is there
	joining    *Lease          // counted already, not yet sent to the store
	joinUntil  time.Duration   // joining is given up then
	joinRetry  time.Duration   // and not tried again before that
	handover   *handover
}

// progress is how far one standby is.
type progress struct {
	member  Member
	address string
	stream  uint64 // 0: disconnected
	sent    wal.LSN
	write   wal.LSN
	flush   wal.LSN
	apply   wal.LSN
	since   time.Duration // connected
	heard   time.Duration // last ack
	fresh   time.Duration // last ack that moved on or had everything
	vow     time.Duration // when the newest vow it gave was asked for
}

// handover is a switchover under way.
type handover struct {
	target  string
	until   time.Duration
	drained bool
	end     wal.LSN // of the HANDOVER record; 0: not appended yet
}

func (c *Core) becomePrimary(op storeOp) {
	waiting := c.primary.waiting
	c.primary = primaryState{term: op.lease.Term, since: c.now, validUntil: c.until(op), renewed: op.sent, granted: op.sent, beat: c.now, waiting: waiting, loaded: true}
	c.wish = nil
	c.info("primary of term %d", op.lease.Term)
	c.setRole(Primary, op.lease.Term)
	c.emit(appendTermStart{term: op.lease.Term, lossy: c.candidate.lossy, ceiling: op.lease.Ceiling})
}

func (c *Core) onTermStarted(ev termStarted) {
	if c.role != Primary || ev.term != c.primary.term {
		return
	}
	c.primary.end = ev.end
	c.log.terms = append(slices.Clone(c.log.terms), wal.TermStart{Term: ev.term, LSN: ev.start})
	c.emit(appendSyncSet{c.lease})
	waiting := c.primary.waiting
	c.primary.waiting = nil
	for _, hello := range waiting {
		hello.end = max(hello.end, ev.end)
		c.onHello(hello)
	}
}

// stepDown gives up the role. What was answered is safe; what waits for its
// commit stays in the log, its outcome unknown.
func (c *Core) stepDown(why string) {
	c.warn("no longer primary of term %d: %s", c.primary.term, why)
	c.leaveOffice()
	c.standby = standbyState{}
	c.setRole(Standby, c.promise.Term)
	c.retarget()
}

// leaveOffice ends the streams that this node serves.
func (c *Core) leaveOffice() {
	for _, p := range c.primary.progress {
		if p.stream != 0 {
			c.emit(drop{p.member.Node, p.stream})
		}
	}
	for _, hello := range c.primary.waiting {
		c.emit(replyHello{peer: hello.peer, stream: hello.stream, term: c.promise.Term, verdict: verdictNotPrimary})
	}
	c.primary = primaryState{}
}

// onHello finds where the standby's log and this one last agree.
func (c *Core) onHello(ev helloReceived) {
	if ev.term > c.promise.Term {
		c.told = max(c.told, ev.term)
		if c.role == Primary {
			c.stepDown(fmt.Sprintf("%s has promised term %d", ev.peer, ev.term))
		}
	}
	starting := c.role == Candidate || c.role == Primary && c.primary.end == 0
	if starting && ev.term <= c.promise.Term {
		c.primary.waiting = slices.DeleteFunc(c.primary.waiting, func(h helloReceived) bool { return h.peer == ev.peer })
		c.primary.waiting = append(c.primary.waiting, ev)
		return
	}
	reply := replyHello{peer: ev.peer, stream: ev.stream, term: c.promise.Term, verdict: verdictNotPrimary}
	if c.role != Primary {
		c.emit(reply)
		return
	}
	if i, found := c.find(ev.peer); found && c.primary.progress[i].stream == ev.stream {
		c.emit(drop{ev.peer, ev.stream}) // records are on their way already
		c.primary.progress[i].stream = 0
		return
	}
	fork, ok := forkPoint(c.log.terms, ev.end, ev.history, ev.flush)
	reply.lsn = fork
	switch {
	case !ok || fork == 0 && ev.flush > 0:
		reply.verdict = verdictBaseCopy
	case fork < ev.flush:
		reply.verdict = verdictTruncate
	case !ev.same || !ev.kept:
		reply.verdict = verdictBaseCopy
	default:
		reply.verdict = verdictOK
	}
	c.emit(reply)
	if reply.verdict == verdictOK {
		c.track(ev)
		c.emit(startSending{ev.peer, ev.stream, c.primary.term, ev.flush})
	}
}

// track begins to count a standby whose log is a prefix of this one.
func (c *Core) track(ev helloReceived) {
	i, found := c.find(ev.peer)
	if !found {
		c.primary.progress = slices.Insert(c.primary.progress, i, progress{fresh: c.now})
	}
	p := &c.primary.progress[i]
	if p.stream != 0 && p.stream != ev.stream {
		c.emit(drop{ev.peer, p.stream})
	}
	fresh := p.fresh
	*p = progress{
		member: ev.member, address: ev.address, stream: ev.stream, since: c.now, heard: c.now, fresh: fresh,
		sent: ev.flush, write: ev.flush, flush: ev.flush,
	}
}

func (c *Core) find(node string) (int, bool) {
	return slices.BinarySearchFunc(c.primary.progress, node, func(p progress, node string) int {
		return compareNames(p.member.Node, node)
	})
}

func (c *Core) onSent(ev sent) {
	if i, ok := c.find(ev.peer); ok && c.primary.progress[i].stream == ev.stream {
		c.primary.progress[i].sent = max(c.primary.progress[i].sent, ev.lsn)
	}
}

// onAck counts an ack of the current term, of the stream that was matched, and
// of nothing that this stream has not sent.
func (c *Core) onAck(ev ackReceived) {
	if c.role != Primary {
		return
	}
	if ev.term > c.primary.term {
		c.told = max(c.told, ev.term)
		c.stepDown(fmt.Sprintf("%s has promised term %d", ev.peer, ev.term))
		return
	}
	i, ok := c.find(ev.peer)
	if !ok || c.primary.progress[i].stream != ev.stream || ev.term != c.primary.term {
		return
	}
	p := &c.primary.progress[i]
	if ev.flush > p.sent || ev.write > p.sent {
		c.warn("%s acknowledges %v, but only %v was sent", ev.peer, max(ev.flush, ev.write), p.sent)
		c.emit(drop{ev.peer, p.stream})
		p.stream = 0
		return
	}
	p.heard = c.now
	if ev.vow > p.vow && ev.vow <= c.now {
		p.vow = ev.vow
		c.considerVows()
	}
	if ev.flush > p.flush || ev.flush >= c.log.flushed {
		p.fresh = c.now
	}
	p.write, p.flush, p.apply = max(p.write, ev.write), max(p.flush, ev.flush), max(p.apply, ev.apply)
}

// flushOf returns what is known to be on a member's disk. It stays there when
// the stream ends.
func (c *Core) flushOf(m Member) wal.LSN {
	if i, ok := c.find(m.Node); ok && c.primary.progress[i].member.Incarnation == m.Incarnation {
		return c.primary.progress[i].flush
	}
	return 0
}

// advancePrimary moves the commit LSN as far as every rule in force allows:
// that of the lease, and while a change of it is being made, is on its way to
// the store, or of unknown outcome, that of the changed lease, too.
func (c *Core) advancePrimary() {
	if c.role != Primary || c.primary.end == 0 || c.now >= c.primary.validUntil {
		return
	}
	lsn, replicated := c.log.flushed, true
	take := func(l Lease) {
		r := l.rule()
		lsn = min(lsn, r.commit(c.log.flushed, c.flushOf))
		replicated = replicated && r.acks > 0
	}
	take(c.lease)
	if c.op != nil && c.op.swap {
		take(c.op.lease)
	}
	for _, op := range c.unsure {
		take(op.lease)
	}
	if c.primary.joining != nil {
		take(*c.primary.joining)
	}
	if lsn >= c.primary.end && lsn > c.commit {
		c.commit = lsn
		if replicated {
			c.safe = lsn
		}
		c.emit(advance{c.commit, c.safe, c.primary.term})
		c.heartbeat()
	}
	if !c.primary.serving && c.commit >= c.primary.end && c.log.applied >= c.primary.end {
		c.primary.serving = true
		c.emit(serve{c.primary.term})
	}
}

func (c *Core) heartbeat() {
	c.primary.beat = c.now
	beat := sendHeartbeat{term: c.primary.term}
	if c.now-c.primary.granted > 2*c.rules.Profile.Renew {
		beat.vow = c.now
	}
	for _, p := range c.primary.progress {
		if p.stream != 0 {
			beat.peer, beat.stream = p.member.Node, p.stream
			c.emit(beat)
		}
	}
}

// considerVows extends the lease of a primary that cannot reach the store, if
// every published standby has vowed to promote nobody: all of them, since a
// few would be enough to promote one of them. Without any it must stop.
func (c *Core) considerVows() {
	oldest := c.now
	all := true
	take := func(l Lease) {
		for _, m := range l.Members {
			i, ok := c.find(m.Node)
			all = all && ok && c.primary.progress[i].member == m && c.primary.progress[i].vow > 0
			if all {
				oldest = min(oldest, c.primary.progress[i].vow)
			}
		}
	}
	take(c.lease)
	if c.op != nil && c.op.swap {
		take(c.op.lease)
	}
	for _, op := range c.unsure {
		take(op.lease)
	}
	if until := oldest + c.rules.Profile.TTL - c.rules.Profile.Margin; all && len(c.lease.Members) > 0 && until > c.primary.validUntil {
		c.primary.validUntil = until
	}
}

func (c *Core) tickPrimary() {
	if c.now-c.primary.beat >= c.rules.Profile.Heartbeat {
		c.heartbeat()
	}
	for i := range c.primary.progress {
		if p := &c.primary.progress[i]; p.stream != 0 && c.now-p.heard >= c.rules.Profile.TTL {
			c.emit(drop{p.member.Node, p.stream})
			p.stream = 0
		}
	}
	if c.primary.joining != nil && c.now >= c.primary.joinUntil {
		c.primary.joining, c.primary.joinRetry = nil, c.now+c.rules.Profile.Renew
	}
	if h := c.primary.handover; h != nil && c.now >= h.until {
		c.primary.handover = nil
		c.emit(resume{c.primary.term}, refused{"the switchover took too long and was undone"})
	}
}
