package ha

import (
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/heliosdb/helios/rpc"
	"github.com/heliosdb/helios/wal"
)

// Status is one row of pg_replication_status: this node.
type Status struct {
	NodeID          string
	Role            Role
	SyncMode        Mode // primary: the rule in force; standby: its class
	ListenAddress   string
	ReplicationPort int
	CurrentLSN      wal.LSN
	IsReadOnly      bool
	StandbyCount    int // connected; -1 unless primary
	Uptime          time.Duration

	Term       uint32
	Commit     wal.LSN
	Flush      wal.LSN
	Apply      wal.LSN
	Degraded   bool
	LeaseValid bool
	Primary    string
}

// StandbyStatus is one row of pg_replication_standbys.
type StandbyStatus struct {
	NodeID        string
	Address       string
	SyncMode      Mode
	State         string // connecting, catching_up, synced, streaming, disconnected
	CurrentLSN    wal.LSN
	FlushLSN      wal.LSN
	ApplyLSN      wal.LSN
	LagBytes      uint64
	Lag           time.Duration // age of the oldest record not applied there
	ConnectedAt   time.Time     // zero: not connected
	LastHeartbeat time.Time     // zero: never
}

// PrimaryStatus is the row of pg_replication_primary on a standby.
type PrimaryStatus struct {
	NodeID        string
	Address       string
	State         string // disconnected, connecting, connected, streaming, error
	PrimaryLSN    wal.LSN
	LocalLSN      wal.LSN
	LagBytes      uint64
	Lag           time.Duration
	FencingToken  uint32
	ConnectedAt   time.Time
	LastHeartbeat time.Time
}

// Metrics is the row of pg_replication_metrics. Counters begin at zero when the
// node starts.
type Metrics struct {
	WALWrites          uint64 // records
	WALBytesWritten    uint64
	RecordsReplicated  uint64 // sent or received
	BytesReplicated    uint64
	HeartbeatsSent     uint64
	HeartbeatsReceived uint64
	ReconnectCount     uint64 // streams to a primary that were established after an earlier one
	LastWALWrite       time.Time
	LastReplication    time.Time
}

type metrics struct {
	records, bytes, beatsOut, beatsIn atomic.Uint64
	lastReplication                   atomic.Int64
}

// replicated counts what was sent to a standby or received from a primary.
func (m *metrics) replicated(records []byte, now time.Time) {
	m.records.Add(uint64(wal.CountRecords(records)))
	m.bytes.Add(uint64(len(records)))
	m.lastReplication.Store(now.UnixNano())
}

func (m *metrics) beatSent()     { m.beatsOut.Add(1) }
func (m *metrics) beatReceived() { m.beatsIn.Add(1) }

// Term returns the fencing token: the highest term that this node obeys.
func (n *Node) Term() uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.core.promise.Term
}

// Status describes this node.
func (n *Node) Status() Status {
	end, flush, apply, commit := n.opts.Log.End(), n.opts.Log.Flushed(), n.opts.Applier.Applied(), n.gate.Commit()
	valid := n.LeaseValid()
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.mu.core
	s := Status{
		NodeID: c.rules.Node, Role: c.role, SyncMode: c.rules.Class, CurrentLSN: end, Flush: flush, Apply: apply, Commit: commit,
		IsReadOnly: c.role != Primary, StandbyCount: -1, Uptime: time.Since(n.began), Term: c.promise.Term,
		LeaseValid: valid, Primary: c.lease.Holder,
	}
	s.ListenAddress, s.ReplicationPort = n.opts.Address, port(n.opts.Address)
	if c.role == Primary {
		s.SyncMode, s.StandbyCount = c.rules.Mode, 0
		s.Degraded = c.rules.Mode == SemiSync && c.lease.Acks == 0
		if s.Degraded {
			s.SyncMode = Async
		}
		for _, p := range c.primary.progress {
			if p.stream != 0 {
				s.StandbyCount++
			}
		}
	}
	return s
}

func port(address string) int {
	_, digits, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	p, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return p
}

// Retain returns below which LSN no standby needs this node's log, as far as it is
// primary: a standby that has followed it goes on where it was, though it is away now.
// Nothing is known of a published one that was not heard of in this term: all is kept.
func (n *Node) Retain() wal.LSN {
	lowest := n.opts.Log.End()
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.mu.core
	if c.role != Primary {
		return lowest
	}
	for _, p := range c.primary.progress {
		lowest = min(lowest, p.flush)
	}
	for _, m := range c.lease.Members {
		lowest = min(lowest, c.flushOf(m))
	}
	return lowest
}

// Standbys describes all standbys of the shard, as far as this node is primary.
func (n *Node) Standbys() []StandbyStatus {
	end := n.opts.Log.End()
	n.mu.Lock()
	defer n.mu.Unlock()
	c, now, wall := n.mu.core, n.opts.Now(), time.Now()
	if c.role != Primary {
		return nil
	}
	var rows []StandbyStatus
	for _, p := range c.primary.progress {
		row := StandbyStatus{
			NodeID: p.member.Node, Address: p.address, SyncMode: p.member.Class, State: c.stateOf(p, end, now),
			CurrentLSN: p.write, FlushLSN: p.flush, ApplyLSN: p.apply,
			LagBytes: lag(end, p.apply), Lag: n.mu.lag.of(p.apply, now), LastHeartbeat: wall.Add(p.heard - now),
		}
		if p.stream != 0 {
			row.ConnectedAt = wall.Add(p.since - now)
		}
		rows = append(rows, row)
	}
	for _, peer := range c.peers {
		if _, found := c.find(peer.Node); !found && peer.Node != c.rules.Node {
			rows = append(rows, StandbyStatus{
				NodeID: peer.Node, Address: peer.Address, SyncMode: peer.Class, State: "disconnected", LagBytes: uint64(end), Lag: n.mu.lag.of(0, now),
			})
		}
	}
	slices.SortFunc(rows, func(a, b StandbyStatus) int { return compareNames(a.NodeID, b.NodeID) })
	return rows
}

// stateOf: connecting, then catching_up while it reads old parts of the log,
// synced while it is being admitted to the sync set, streaming once it is, or
// if its class never will be.
func (c *Core) stateOf(p progress, end wal.LSN, now time.Duration) string {
	switch quiet := now - p.heard; {
	case p.stream == 0 || quiet >= c.rules.Profile.TTL:
		return "disconnected"
	case quiet >= 3*c.rules.Profile.Heartbeat || lag(end, p.flush) > joinLag:
		return "catching_up"
	case c.eligible(p.member.Class) && !c.lease.member(recruit{Member: p.member}):
		return "synced"
	}
	return "streaming"
}

// Primary describes this standby's stream; ok is false on a primary.
func (n *Node) Primary() (row PrimaryStatus, ok bool) {
	end, apply := n.opts.Log.End(), n.opts.Applier.Applied()
	n.mu.Lock()
	defer n.mu.Unlock()
	c, f := n.mu.core, n.mu.follower
	if c.role == Primary {
		return PrimaryStatus{}, false
	}
	row = PrimaryStatus{
		NodeID: f.peer.Node, Address: f.peer.Address, State: f.state, PrimaryLSN: max(f.end, end), LocalLSN: end,
		LagBytes: lag(max(f.end, end), apply), Lag: n.mu.lag.of(apply, n.opts.Now()), FencingToken: c.promise.Term,
		ConnectedAt: f.connectedAt, LastHeartbeat: f.heard,
	}
	if row.NodeID == "" {
		row.NodeID = c.lease.Holder
	}
	if row.State == "" {
		row.State = "disconnected"
	}
	return row, true
}

// Metrics returns the node's counters.
func (n *Node) Metrics() Metrics {
	log := n.opts.Log.Stats()
	n.mu.Lock()
	reconnects, lastWrite := n.mu.follower.reconnects, n.mu.lag.wall
	n.mu.Unlock()
	m := Metrics{
		WALWrites: log.Records, WALBytesWritten: log.Bytes,
		RecordsReplicated: n.metrics.records.Load(), BytesReplicated: n.metrics.bytes.Load(),
		HeartbeatsSent: n.metrics.beatsOut.Load(), HeartbeatsReceived: n.metrics.beatsIn.Load(),
		ReconnectCount: reconnects, LastWALWrite: lastWrite,
	}
	if at := n.metrics.lastReplication.Load(); at != 0 {
		m.LastReplication = time.Unix(0, at)
	}
	return m
}

// Lease returns the shard's lease as this node last saw it.
func (n *Node) Lease() Lease {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.mu.core.lease
	l.Members = slices.Clone(l.Members)
	return l
}

// reply is this node's answer to a health check.
func (n *Node) reply() *rpc.NodeReply {
	s := n.Status()
	closed, _, _ := n.opts.Applier.Closed()
	return &rpc.NodeReply{
		Fence: n.fence(s.Term), Node: s.NodeID, Role: string(s.Role), LeaseValid: s.LeaseValid, Primary: s.Primary,
		Current: uint64(s.CurrentLSN), Flush: uint64(s.Flush), Commit: uint64(s.Commit), Apply: uint64(s.Apply),
		Closed: closed, SyncMode: string(s.SyncMode), Degraded: s.Degraded,
	}
}

// lagMeter remembers when the log reached which LSN, so that lag in bytes can be
// told in time: the age of the oldest record not applied, and zero when there
// is none, however long ago the last record was.
type lagMeter struct {
	samples []lagSample
	wall    time.Time // when the log last grew
}

type lagSample struct {
	end wal.LSN
	at  time.Duration
}

// maxLagSamples bounds the meter; when it is full, every other sample goes.
const maxLagSamples = 4096

func (m *lagMeter) sample(end wal.LSN, now time.Duration) {
	if k := len(m.samples); k > 0 && m.samples[k-1].end >= end {
		if m.samples[k-1].end > end { // the log was cut
			m.samples = slices.DeleteFunc(m.samples, func(s lagSample) bool { return s.end > end })
		}
		return
	}
	m.wall = time.Now()
	if len(m.samples) == maxLagSamples {
		for i := range maxLagSamples / 2 {
			m.samples[i] = m.samples[2*i+1]
		}
		m.samples = m.samples[:maxLagSamples/2]
	}
	m.samples = append(m.samples, lagSample{end, now})
}

// of returns the age of the first record not below lsn.
func (m *lagMeter) of(lsn wal.LSN, now time.Duration) time.Duration {
	i, _ := slices.BinarySearchFunc(m.samples, lsn, func(s lagSample, lsn wal.LSN) int {
		if s.end > lsn {
			return 1
		}
		return -1
	})
	if i == len(m.samples) {
		return 0
	}
	return max(0, now-m.samples[i].at)
}
