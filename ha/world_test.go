package ha

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/heliosdb/helios/wal"
)

// unit is the size of every record in a world, so that an LSN is a record's
// number times unit.
const unit = 1 << 17

// world is a shard in memory: nodes with disks, a network, a control store and
// a clock. Nothing in it happens by itself; a test chooses what happens next.
type world struct {
	nodes  map[string]*testNode
	names  []string
	now    time.Duration
	net    []message
	stream uint64
	store  struct {
		lease Lease
		rev   int64
		ops   []*storeCall
		down  bool
	}
	cut    map[[2]string]bool // direction in which nothing arrives
	mute   bool               // the store acts, its answers get lost
	lossy  bool               // answered writes may be lost: async, or by order
	terms  map[uint32]string
	acked  map[uint64]bool
	log    []entry // what was committed, in order
	lastID uint64
	trace  func(node, what string)
	fail   func(format string, args ...any)
}

// entry is a record: of a client's write, or the start of a term (id 0).
type entry struct {
	term  uint32
	id    uint64
	start bool
}

type message struct {
	from, to string
	event    Event
}

type storeCall struct {
	node  string
	boot  int
	swap  *swapLease
	done  bool // carried out
	reply Event
}

// testNode is one node's disk and what runs on it.
type testNode struct {
	id          string
	rules       Rules
	core        *Core
	up, paused  bool
	boot        int
	log         []entry
	first       int // oldest kept
	durable     int
	applied     int
	checkpoint  int // applied and surely on disk
	promise     Promise
	leader      string // whom to follow
	open        map[uint64]string
	senders     map[uint64]*testSender
	jobs        []func() // begun, to be finished later
	serving     bool
	draining    bool
	halted      string
	seen        int64
	inbox       []Event // while paused
	lastRefused string
	dialled     time.Duration
	noStore     bool   // cut off from the store
	asked       string // the candidate whose request is being answered
}

type testSender struct {
	peer string
	term uint32
	next int
}

func newWorld(rules ...Rules) *world {
	w := &world{
		nodes: map[string]*testNode{}, cut: map[[2]string]bool{}, terms: map[uint32]string{}, acked: map[uint64]bool{},
		trace: func(string, string) {},
	}
	for i, r := range rules {
		r.Incarnation = uint64(i + 1)
		w.names = append(w.names, r.Node)
		w.nodes[r.Node] = &testNode{id: r.Node, rules: r}
		w.lossy = w.lossy || r.Mode == Async
	}
	return w
}

func (w *world) start(name string) {
	n := w.nodes[name]
	n.up, n.paused, n.serving, n.draining, n.leader, n.seen = true, false, false, false, "", -1
	n.boot++
	n.open, n.senders, n.jobs, n.inbox = map[uint64]string{}, map[uint64]*testSender{}, nil, nil
	n.core = NewCore(n.rules, Boot{Promise: n.promise, Terms: n.terms(), Flushed: lsn(n.durable), Applied: lsn(n.applied)}, w.now)
	var peers []Peer
	for _, other := range w.names {
		peers = append(peers, Peer{Node: other, Class: w.nodes[other].rules.Class})
	}
	w.step(name, topology{peers})
}

// crash loses what was not synced. Streams break; the other side learns of it
// by the network.
func (w *world) crash(name string) {
	n := w.nodes[name]
	n.up, n.serving = false, false
	n.log = n.log[:n.durable]
	n.applied = n.checkpoint
	for _, stream := range slices.Sorted(maps.Keys(n.open)) {
		w.send(name, n.open[stream], disconnected{name, stream})
	}
}

// wipe makes a crashed node one with a new, empty directory.
func (w *world) wipe(name string) {
	n := w.nodes[name]
	n.log, n.first, n.durable, n.applied, n.checkpoint, n.promise = nil, 0, 0, 0, 0, Promise{}
	n.rules.Incarnation += 100
	n.rules.Bootstrap = false
}

func lsn(i int) wal.LSN          { return wal.LSN(i) * unit }
func index(l wal.LSN) int        { return int(l / unit) }
func (n *testNode) live() bool   { return n.up && !n.paused && n.halted == "" }
func (w *world) primary() string { return w.store.lease.Holder }

func (n *testNode) terms() (terms []wal.TermStart) {
	for i, e := range n.log {
		if e.start {
			terms = append(terms, wal.TermStart{Term: e.term, LSN: lsn(i)})
		}
	}
	return terms
}

// step lets a node's core take an event and carries out the effects.
func (w *world) step(name string, ev Event) {
	n := w.nodes[name]
	if !n.up || n.halted != "" {
		return
	}
	if n.paused {
		n.inbox = append(n.inbox, ev)
		return
	}
	for _, e := range n.core.Step(w.now, ev) {
		w.carryOut(n, e)
	}
	w.checkNode(n)
}

func (w *world) send(from, to string, ev Event) {
	w.net = append(w.net, message{from, to, ev})
}

func (w *world) carryOut(n *testNode, e Effect) {
	w.traceEffect(n, e)
	switch e := e.(type) {
	case persist:
		w.assert(e.promise.Term >= n.promise.Term, "I2: %s takes back its promise of term %d", n.id, n.promise.Term)
		n.promise = e.promise
	case loadLease:
		w.store.ops = append(w.store.ops, &storeCall{node: n.id, boot: n.boot})
	case swapLease:
		w.store.ops = append(w.store.ops, &storeCall{node: n.id, boot: n.boot, swap: &e})
	case follow:
		n.leader, n.dialled = e.node, -1
		for _, stream := range slices.Sorted(maps.Keys(n.open)) {
			if n.senders[stream] == nil {
				w.closeStream(n, n.open[stream], stream)
			}
		}
	case drop:
		w.closeStream(n, e.peer, e.stream)
	case sendHello:
		w.flush(n) // a hello waits for the disk
		w.send(n.id, e.peer, helloReceived{
			peer: n.id, stream: e.stream, term: e.term, history: n.terms(), flush: lsn(n.durable),
			member: Member{n.id, n.rules.Incarnation, n.rules.Class},
		})
	case replyHello:
		w.send(n.id, e.peer, helloReplied{n.id, e.stream, e.term, e.verdict, e.lsn})
	case startSending:
		n.senders[e.stream] = &testSender{e.peer, e.term, index(e.from)}
	case sendHeartbeat:
		w.send(n.id, e.peer, heartbeatReceived{n.id, e.stream, e.term, lsn(len(n.log)), n.core.commit, n.core.safe, e.vow})
	case sendAck:
		w.assert(e.term == n.promise.Term, "I2, I3: %s acks in term %d, promised on disk %d", n.id, e.term, n.promise.Term)
		w.assert(index(e.flush) <= n.durable, "%s acks %d, on disk are %d", n.id, index(e.flush), n.durable)
		w.send(n.id, e.peer, ackReceived{n.id, e.stream, e.term, e.write, e.flush, e.apply, e.vow})
	case sendSeal:
		w.send(n.id, e.peer, sealReceived{peer: n.id, term: e.term})
	case replySeal:
		w.assert(e.refused || e.term == n.promise.Term, "I2: %s promises term %d, on disk %d", n.id, e.term, n.promise.Term)
		w.send(n.id, n.asked, sealReplied{e.recruit, e.term, e.refused})
	default:
		w.carryOutLocal(n, e)
	}
}

// carryOutLocal does what concerns the node's own disk and clients.
func (w *world) carryOutLocal(n *testNode, e Effect) {
	switch e := e.(type) {
	case writeRecords:
		w.assert(index(e.lsn) == len(n.log), "%s writes at %d, its log ends at %d", n.id, index(e.lsn), len(n.log))
		n.log = append(n.log, decodeEntries(e.records)...)
	case truncate:
		n.jobs = append(n.jobs, func() { w.finishCut(n, index(e.lsn)) })
	case baseCopy:
		n.jobs = append(n.jobs, func() { w.finishCopy(n, e.peer) })
	case appendTermStart:
		n.jobs = append(n.jobs, func() { w.startTerm(n, e) })
	case appendHandover:
		w.append(n, entry{term: e.term})
		n.jobs = append(n.jobs, func() { w.step(n.id, handoverAppended{e.term, lsn(len(n.log))}) })
	case drain:
		n.draining = true
		n.jobs = append(n.jobs, func() { w.step(n.id, drained(e)) })
	case resume:
		n.draining = false
	case advance:
		w.committed(n, index(e.lsn))
	case setRole:
		n.serving, n.draining = false, false
	case serve:
		n.serving = true
		w.checkServe(n)
	case halt:
		n.halted = e.reason
		n.up = false
	case refused:
		n.lastRefused = e.reason
	}
}

func (w *world) startTerm(n *testNode, e appendTermStart) {
	if n.core.role != Primary || n.core.primary.term != e.term {
		return
	}
	if other, taken := w.terms[e.term]; taken {
		w.fail("I1: %s and %s both begin term %d", other, n.id, e.term)
	}
	w.terms[e.term] = n.id
	at := len(n.log)
	w.append(n, entry{term: e.term, start: true})
	w.step(n.id, termStarted{e.term, lsn(at), lsn(at + 1)})
}

func (w *world) append(n *testNode, e entry) { n.log = append(n.log, e) }

func (w *world) finishCut(n *testNode, to int) {
	w.flush(n)
	n.log = n.log[:to:to]
	n.durable, n.applied, n.checkpoint = to, min(n.applied, to), min(n.checkpoint, to)
	n.first = min(n.first, to)
	w.step(n.id, truncated{lsn: lsn(to), terms: n.terms()})
}

func (w *world) finishCopy(n *testNode, from string) {
	p := w.nodes[from]
	if !p.live() || w.cut[[2]string{from, n.id}] || p.core.role != Primary {
		w.step(n.id, baseCopied{err: errors.New("primary not reached")})
		return
	}
	w.apply(p)
	n.log = slices.Clone(p.log[:p.applied])
	n.first, n.durable, n.applied, n.checkpoint = p.applied, p.applied, p.applied, p.applied
	w.step(n.id, baseCopied{lsn: lsn(p.applied), terms: n.terms()})
}

// flush syncs a node's log.
func (w *world) flush(n *testNode) {
	if n.durable < len(n.log) {
		n.durable = len(n.log)
		w.step(n.id, flushed{lsn(n.durable), n.terms()})
	}
}

// apply brings a node's state to its commit LSN.
func (w *world) apply(n *testNode) {
	if to := index(n.core.commit); to > n.applied {
		w.assert(to <= n.durable, "I5: %s applies %d, on disk are %d", n.id, to, n.durable)
		n.applied = to
		w.step(n.id, applied{lsn(to)})
	}
}

// pump sends a stream's next records, at most some.
func (w *world) pump(n *testNode, stream uint64, most int) bool {
	s := n.senders[stream]
	if s == nil || s.next >= len(n.log) || n.core.role != Primary || n.core.primary.term != s.term {
		return false
	}
	end := min(len(n.log), s.next+most)
	w.step(n.id, sent{s.peer, stream, lsn(end)})
	w.send(n.id, s.peer, appendReceived{
		peer: n.id, stream: stream, term: s.term, prev: lsn(s.next), end: lsn(end), records: encodeEntries(n.log[s.next:end]),
		commit: n.core.commit, safe: n.core.safe,
	})
	s.next = end
	return true
}

// dial opens the stream that a standby wants, if it can.
func (w *world) dial(n *testNode) bool {
	to := w.nodes[n.leader]
	if to == nil || !to.live() || n.core.standby.stream != 0 || w.cut[[2]string{n.id, to.id}] || w.cut[[2]string{to.id, n.id}] {
		return false
	}
	w.stream++
	n.open[w.stream], to.open[w.stream] = to.id, n.id
	w.step(n.id, connected{to.id, w.stream})
	return true
}

func (w *world) closeStream(n *testNode, peer string, stream uint64) {
	if _, open := n.open[stream]; !open {
		return
	}
	delete(n.open, stream)
	delete(n.senders, stream)
	w.send(n.id, peer, disconnected{n.id, stream})
}

// deliver hands over the message at a place in the queue.
func (w *world) deliver(i int) {
	m := w.net[i]
	w.net = slices.Delete(w.net, i, i+1)
	w.hand(m)
}

func (w *world) hand(m message) {
	n := w.nodes[m.to]
	_, breaks := m.event.(disconnected)
	if w.cut[[2]string{m.from, m.to}] && !breaks {
		if s, ok := m.event.(sealReceived); ok {
			w.send(m.to, m.from, sealFailed{m.to, s.term})
		}
		return
	}
	if !n.up || n.halted != "" {
		if s, ok := m.event.(sealReceived); ok && !w.cut[[2]string{m.to, m.from}] {
			w.send(m.to, m.from, sealFailed{m.to, s.term})
		}
		return
	}
	ev := m.event
	switch e := ev.(type) {
	case disconnected:
		delete(n.open, e.stream)
		delete(n.senders, e.stream)
	case helloReceived:
		if _, open := n.open[e.stream]; !open {
			return
		}
		flush := index(e.flush)
		e.end = lsn(len(n.log))
		e.kept = flush >= n.first
		e.same = flush <= len(n.log) && slices.Equal(n.log[:flush], w.nodes[e.peer].logAt(flush))
		ev = e
	case sealReceived:
		n.asked = e.peer
	}
	w.step(m.to, ev)
}

func (n *testNode) logAt(i int) []entry {
	if i > len(n.log) {
		return nil
	}
	return n.log[:i]
}

// serveStore carries out the oldest call that is not done.
func (w *world) serveStore(c *storeCall) {
	c.done = true
	if c.swap == nil {
		c.reply = leaseLoaded{lease: w.store.lease, rev: w.store.rev}
		return
	}
	if c.swap.prev != w.store.rev {
		c.reply = leaseSwapped{}
		return
	}
	w.assert(c.swap.lease.Term >= w.store.lease.Term, "I1: term %d after %d", c.swap.lease.Term, w.store.lease.Term)
	w.store.rev++
	w.store.lease = c.swap.lease
	w.store.lease.Members = slices.Clone(c.swap.lease.Members)
	w.checkMembers()
	c.reply = leaseSwapped{rev: w.store.rev, swapped: true}
}

// answer delivers a store call's reply; lost: as an error of unknown outcome.
func (w *world) answer(c *storeCall, lost bool) {
	reply := c.reply
	if lost {
		reply = leaseLoaded{err: errors.New("no answer")}
		if c.swap != nil {
			reply = leaseSwapped{err: errors.New("no answer")}
		}
	}
	if n := w.nodes[c.node]; n.boot == c.boot {
		w.step(c.node, reply)
	}
}

// watch tells a node of the newest lease.
func (w *world) watch(n *testNode) bool {
	if n.seen == w.store.rev || w.store.down || n.noStore {
		return false
	}
	n.seen = w.store.rev
	w.step(n.id, leaseSeen{w.store.lease, w.store.rev})
	return true
}

// write appends a client's write at a primary that serves, and returns its id.
func (w *world) write(n *testNode) (uint64, bool) {
	if !n.live() || !n.serving || n.draining {
		return 0, false
	}
	w.lastID++
	w.append(n, entry{term: n.core.primary.term, id: w.lastID})
	return w.lastID, true
}

func encodeEntries(entries []entry) []byte {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintln(&b, e.term, e.id, e.start)
	}
	return []byte(b.String())
}

func decodeEntries(b []byte) (entries []entry) {
	for line := range strings.Lines(string(b)) {
		var e entry
		if _, err := fmt.Sscan(line, &e.term, &e.id, &e.start); err != nil {
			panic(err)
		}
		entries = append(entries, e)
	}
	return entries
}

// openStreams lists a node's senders in order.
func (n *testNode) openStreams() []uint64 { return slices.Sorted(maps.Keys(n.senders)) }

// settle delivers and carries out everything that is under way, in order,
// until nothing is left; time stands still.
func (w *world) settle() {
	for round := 0; ; round++ {
		if round > 10000 {
			w.fail("the network does not come to rest")
			return
		}
		if !w.settleOnce() {
			return
		}
	}
}

func (w *world) settleOnce() (busy bool) {
	for len(w.net) > 0 {
		w.deliver(0)
		busy = true
	}
	for len(w.store.ops) > 0 && !w.store.down && !w.mute {
		c := w.store.ops[0]
		w.store.ops = w.store.ops[1:]
		lost := w.nodes[c.node].noStore
		if !c.done && !lost {
			w.serveStore(c)
		}
		w.answer(c, lost)
		busy = true
	}
	for _, name := range w.names {
		n := w.nodes[name]
		if !n.live() {
			continue
		}
		for len(n.inbox) > 0 {
			ev := n.inbox[0]
			n.inbox = n.inbox[1:]
			w.step(name, ev)
			busy = true
		}
		if len(n.jobs) > 0 {
			job := n.jobs[0]
			n.jobs = n.jobs[1:]
			job()
			busy = true
		}
		busy = w.watch(n) || busy
		if n.dialled != w.now { // one try a moment stands for the backoff
			n.dialled = w.now
			busy = w.dial(n) || busy
		}
		for _, stream := range n.openStreams() {
			busy = w.pump(n, stream, 8) || busy
		}
		if n.durable < len(n.log) {
			w.flush(n)
			busy = true
		}
		if index(n.core.commit) > n.applied {
			w.apply(n)
			busy = true
		}
		n.checkpoint = n.applied
	}
	return busy
}

// run lets time pass in small steps, everything settled after each.
func (w *world) run(d, step time.Duration) {
	for end := w.now + d; w.now < end; {
		w.now += step
		for _, name := range w.names {
			w.step(name, tick{})
		}
		if w.store.down {
			w.failStore()
		}
		w.settle()
	}
}

// failStore answers every call with an error; none was carried out.
func (w *world) failStore() {
	ops := w.store.ops
	w.store.ops = nil
	for _, c := range ops {
		w.answer(c, true)
	}
}
