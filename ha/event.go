package ha

import (
	"time"

	"github.com/heliosdb/helios/wal"
)

// Event is something that happened to a node. Events of a stream carry its
// number, unique for each connection on each side: what comes late from a
// stream that is no more is ignored.
type Event interface{ event() }

type (
	// tick is the passing of time.
	tick struct{}

	// leaseSeen comes from the watch of the control store. rev 0: no lease yet.
	leaseSeen struct {
		lease Lease
		rev   int64
	}
	// leaseLoaded answers loadLease.
	leaseLoaded struct {
		lease Lease
		rev   int64
		err   error
	}
	// leaseSwapped answers swapLease. With err the outcome is unknown.
	leaseSwapped struct {
		rev     int64
		swapped bool
		err     error
	}
	// topology names the shard's nodes, this one among them.
	topology struct{ peers []Peer }

	// connected: the stream to the primary that follow asked for is open.
	connected struct {
		peer   string
		stream uint64
	}
	// disconnected: a stream, of either side, has ended.
	disconnected struct {
		peer   string
		stream uint64
	}
	// helloReceived: a standby shows its log to this node, whose own log ends at
	// end. same says that both have the same hash chain at the standby's flush
	// LSN, kept that this node can read its log from there on.
	helloReceived struct {
		peer    string
		stream  uint64
		term    uint32 // promised there
		address string
		member  Member
		history []wal.TermStart
		flush   wal.LSN
		end     wal.LSN
		same    bool
		kept    bool
	}
	helloReplied struct {
		peer    string
		stream  uint64
		term    uint32
		verdict verdict
		lsn     wal.LSN
	}
	// appendReceived carries whole records from prev to end.
	appendReceived struct {
		peer    string
		stream  uint64
		term    uint32
		prev    wal.LSN
		end     wal.LSN
		records []byte
		commit  wal.LSN
		safe    wal.LSN
	}
	heartbeatReceived struct {
		peer   string
		stream uint64
		term   uint32
		end    wal.LSN
		commit wal.LSN
		safe   wal.LSN
		vow    time.Duration // when it was sent, by the primary's clock, if it asks for a vow
	}
	ackReceived struct {
		peer   string
		stream uint64
		term   uint32 // promised there
		write  wal.LSN
		flush  wal.LSN
		apply  wal.LSN
		vow    time.Duration
	}
	// sent: the stream will carry records up to lsn; told before they leave.
	sent struct {
		peer   string
		stream uint64
		lsn    wal.LSN
	}

	// sealReceived asks for a promise; token goes back with the answer.
	sealReceived struct {
		peer  string
		term  uint32
		token uint64
	}
	sealReplied struct {
		recruit recruit
		term    uint32 // promised there
		refused bool
	}
	// sealFailed: the peer cannot be asked.
	sealFailed struct {
		peer string
		term uint32
	}

	// flushed: this node's disk holds the log up to lsn; terms is the log's
	// history, whole.
	flushed struct {
		lsn   wal.LSN
		terms []wal.TermStart
	}
	applied struct{ lsn wal.LSN }
	// logEnd: the log ends at lsn, whatever was ordered to be written: after a
	// write was refused, or appends of a primary that is one no more.
	logEnd struct{ lsn wal.LSN }
	// termStarted answers appendTermStart.
	termStarted struct {
		term       uint32
		start, end wal.LSN
	}
	// handoverAppended answers appendHandover.
	handoverAppended struct {
		term uint32
		end  wal.LSN
	}
	// truncated answers truncate; with err nothing was cut.
	truncated struct {
		lsn   wal.LSN
		terms []wal.TermStart
		err   error
	}
	// baseCopied answers baseCopy; with err the old state still stands.
	baseCopied struct {
		lsn   wal.LSN
		terms []wal.TermStart
		err   error
	}

	// switchover asks the primary to hand its role to target.
	switchover struct{ target string }
	// drained answers drain: no statement runs, none starts.
	drained struct{ term uint32 }
	// promote asks a standby to become primary; with allowLoss also if answered
	// writes may be lost by it.
	promote struct{ allowLoss bool }
	// hung tells whether the disk or the commit path of this node is stuck.
	hung struct{ stuck bool }
	// stop ends the node's part: a primary releases its lease.
	stop struct{}
)

// Peer is one node of the shard.
type Peer struct {
	Node    string
	Address string // host:port of its Replication service
	Class   Mode   // empty: not known, counted among the voting copies of a quorum
}

// verdict is a primary's answer to a hello.
type verdict int

const (
	verdictOK verdict = iota + 1
	verdictTruncate
	verdictBaseCopy
	verdictNotPrimary
)

func (v verdict) String() string {
	return [...]string{"?", "ok", "truncate", "base copy", "not primary"}[v]
}

func (tick) event()              {}
func (leaseSeen) event()         {}
func (leaseLoaded) event()       {}
func (leaseSwapped) event()      {}
func (topology) event()          {}
func (connected) event()         {}
func (disconnected) event()      {}
func (helloReceived) event()     {}
func (helloReplied) event()      {}
func (appendReceived) event()    {}
func (heartbeatReceived) event() {}
func (ackReceived) event()       {}
func (sent) event()              {}
func (sealReceived) event()      {}
func (sealReplied) event()       {}
func (sealFailed) event()        {}
func (flushed) event()           {}
func (applied) event()           {}
func (logEnd) event()            {}
func (termStarted) event()       {}
func (handoverAppended) event()  {}
func (truncated) event()         {}
func (baseCopied) event()        {}
func (switchover) event()        {}
func (drained) event()           {}
func (promote) event()           {}
func (hung) event()              {}
func (stop) event()              {}
