package ha

import (
	"time"

	"github.com/heliosdb/helios/wal"
)

// standbyState is what a standby knows of the stream it follows.
type standbyState struct {
	leader string // whom it follows; empty: nobody
	term   uint32 // of the lease that named the leader
	stream uint64 // open stream to it; 0: none
	asked  bool   // a hello is on its way
	ok     bool   // the logs were matched: records may come
	heard  time.Duration
	moved  time.Duration // when it last had all that the primary has, or got some of it
	acked  time.Duration // when it sent the last ack
	end    wal.LSN       // of the primary's log, as last told
	commit wal.LSN       // of the primary, as last told
	safe   wal.LSN
	retry  time.Duration // not a candidate before that
	asking time.Duration // when the newest vow was asked for, by the primary's clock
	bound  time.Duration // no candidate and no promise before that
}

// retarget follows whoever the lease names.
func (c *Core) retarget() {
	leader := c.lease.Holder
	if leader == c.rules.Node || c.lease.Released || c.stopped || c.role == Primary {
		leader = ""
	}
	if leader == c.standby.leader && c.lease.Term == c.standby.term {
		return
	}
	c.standby = standbyState{leader: leader, term: c.lease.Term, retry: c.standby.retry, bound: c.standby.bound}
	c.emit(follow{leader, c.lease.Term})
}

// dropStream ends the stream; whoever carries out follow dials again.
func (c *Core) dropStream() {
	if c.standby.stream != 0 {
		c.emit(drop{c.standby.leader, c.standby.stream})
	}
	c.standby.stream, c.standby.asked, c.standby.ok = 0, false, false
}

func (c *Core) onConnected(ev connected) {
	if ev.peer != c.standby.leader || c.role == Primary {
		c.emit(drop(ev))
		return
	}
	c.standby.stream, c.standby.asked, c.standby.ok = ev.stream, false, false
	c.standby.heard, c.standby.moved = c.now, c.now
	c.hello()
}

// hello shows the log to the primary once everything in it is on disk.
func (c *Core) hello() {
	s := &c.standby
	if s.stream == 0 || s.asked || s.ok || c.busy || c.log.written != c.log.flushed {
		return
	}
	s.asked = true
	c.emit(sendHello{c.standby.leader, c.standby.stream, c.promise.Term})
}

func (c *Core) onDisconnected(ev disconnected) {
	if ev.stream == c.standby.stream {
		c.standby.stream, c.standby.asked, c.standby.ok = 0, false, false
	}
	for i := range c.primary.progress {
		if p := &c.primary.progress[i]; p.stream == ev.stream {
			p.stream = 0
		}
	}
}

// current reports whether a message belongs to the open stream. A sender with
// a term below the promise is told so by the ack, and steps down.
func (c *Core) current(stream uint64, term uint32) bool {
	if stream != c.standby.stream || stream == 0 || c.role == Primary {
		return false
	}
	if term < c.promise.Term {
		c.ack()
		c.dropStream()
		return false
	}
	c.standby.heard = c.now
	return true
}

func (c *Core) onHelloReplied(ev helloReplied) {
	if !c.current(ev.stream, ev.term) || c.standby.ok || c.busy {
		return
	}
	c.standby.asked = false
	if ev.verdict == verdictNotPrimary {
		c.dropStream()
		return
	}
	c.promiseTerm(ev.term)
	switch ev.verdict {
	case verdictOK:
		if ev.lsn != c.log.flushed || c.log.written != c.log.flushed {
			c.dropStream()
			return
		}
		c.standby.ok = true
		c.ack()
	case verdictTruncate:
		c.cut(ev.lsn)
	case verdictBaseCopy:
		if c.diverged(ev.lsn) {
			return
		}
		c.info("log cannot be continued from %v, copying the primary", c.log.flushed)
		c.busy = true
		c.emit(baseCopy{c.standby.leader})
	}
}

// diverged stops the node if obeying would undo what was committed for good.
func (c *Core) diverged(to wal.LSN) bool {
	if to >= c.safe {
		return false
	}
	c.halted = true
	c.emit(halt{"DIVERGED: " + c.standby.leader + " asks to cut the log to " + to.String() +
		", but it was committed up to " + c.safe.String()})
	return true
}

func (c *Core) cut(to wal.LSN) {
	if c.diverged(to) {
		return
	}
	if to < c.commit {
		c.warn("undoing records from %v to %v, committed without a standby", to, c.commit)
	}
	c.busy = true
	c.commit = min(c.commit, to)
	c.emit(truncate{to})
}

func (c *Core) onTruncated(ev truncated) {
	if ev.err != nil {
		c.warn("log cannot be cut to %v, copying the primary: %v", ev.lsn, ev.err)
		c.emit(baseCopy{c.standby.leader})
		return
	}
	c.busy = false
	c.log.terms, c.log.written, c.log.flushed = ev.terms, ev.lsn, ev.lsn
	c.log.applied = min(c.log.applied, ev.lsn)
	c.hello()
}

func (c *Core) onBaseCopied(ev baseCopied) {
	c.busy = false
	if ev.err != nil {
		c.warn("base copy failed: %v", ev.err)
		c.dropStream()
		return
	}
	c.log.terms, c.log.written, c.log.flushed, c.log.applied = ev.terms, ev.lsn, ev.lsn, ev.lsn
	c.commit = ev.lsn
	c.hello()
}

func (c *Core) onAppend(ev appendReceived) {
	if !c.current(ev.stream, ev.term) {
		return
	}
	if !c.standby.ok || ev.term != c.promise.Term || ev.prev != c.log.written {
		c.dropStream()
		return
	}
	c.emit(writeRecords{ev.prev, ev.records})
	c.log.written = ev.end
	c.standby.moved = c.now
	c.learn(ev.end, ev.commit, ev.safe)
}

func (c *Core) onHeartbeat(ev heartbeatReceived) {
	if !c.current(ev.stream, ev.term) {
		return
	}
	if c.standby.ok {
		if ev.end <= c.log.written {
			c.standby.moved = c.now
		}
		if ev.vow > c.standby.asking {
			c.vow(ev.vow)
		}
		c.learn(ev.end, ev.commit, ev.safe)
	}
}

// onLogEnd begins the stream anew if less was written than ordered.
func (c *Core) onLogEnd(ev logEnd) {
	if c.role == Primary || c.busy {
		return
	}
	if ev.lsn < c.log.written {
		c.dropStream()
	}
	c.log.written = ev.lsn
	c.hello()
}

// vow confirms a primary that cannot reach the store: for as long as a lease
// would live, counted from now, nobody is promoted with this node's help.
func (c *Core) vow(asked time.Duration) {
	c.standby.asking = asked
	c.standby.bound = c.now + c.rules.Profile.TTL + c.rules.Profile.Margin
	c.ack()
}

// bound reports whether a vow holds against a candidate. The holder itself may
// go on under a new term at any time, and a released lease unbinds.
func (c *Core) bound(candidate string) bool {
	return c.now < c.standby.bound && candidate != c.lease.Holder && !c.lease.Released
}

// learn takes over the primary's commit LSN: what lies below it and on this
// node's disk may be applied and shown.
func (c *Core) learn(end, commit, safe wal.LSN) {
	s := &c.standby
	s.end, s.commit, s.safe = max(s.end, end), max(s.commit, commit), max(s.safe, safe)
	c.advanceStandby()
}

func (c *Core) advanceStandby() {
	lsn := min(c.standby.commit, c.log.flushed)
	if !c.standby.ok || lsn <= c.commit {
		return
	}
	c.commit = lsn
	c.safe = max(c.safe, min(c.standby.safe, lsn))
	c.emit(advance{c.commit, c.safe, c.promise.Term})
}

func (c *Core) onStandbyFlushed() {
	if !c.standby.ok {
		c.hello()
		return
	}
	c.ack()
	c.advanceStandby()
}

func (c *Core) ack() {
	c.standby.acked = c.now
	c.emit(sendAck{
		peer: c.standby.leader, stream: c.standby.stream, term: c.promise.Term,
		write: c.log.written, flush: c.log.flushed, apply: c.log.applied, vow: c.standby.asking,
	})
}

func (c *Core) tickStandby() {
	s := &c.standby
	if s.ok && c.now-s.acked >= c.rules.Profile.Heartbeat {
		c.ack()
	}
	silent := c.now-s.heard >= c.rules.Profile.TTL || s.ok && c.now-s.moved >= c.rules.Profile.TTL
	if s.stream != 0 && !c.busy && silent {
		c.info("nothing received from %s, reconnecting", s.leader)
		c.dropStream()
	}
}

// hears reports whether the primary of the lease still speaks to this node.
func (c *Core) hears() bool {
	return c.standby.ok && c.now-c.standby.heard < 3*c.rules.Profile.Heartbeat
}
