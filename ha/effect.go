package ha

import (
	"time"

	"github.com/heliosdb/helios/wal"
)

// Effect is something that a node is to do. The effects of one step are
// carried out in order, and persist is on disk before the next one begins; what
// takes long (the store, truncate, baseCopy, dialling) is begun in order and
// answered by an event.
type Effect interface{ effect() }

type (
	// persist makes a promise durable before anything that follows from it.
	persist struct{ promise Promise }

	// loadLease and swapLease go to the control store, one at a time.
	loadLease struct{}
	swapLease struct {
		lease Lease
		prev  int64
	}

	// follow keeps a stream to a primary, dialling again whenever it breaks;
	// an empty node ends it.
	follow struct {
		node string
		term uint32
	}
	// drop ends a stream, of either side.
	drop struct {
		peer   string
		stream uint64
	}
	// sendHello shows this node's flushed log to the primary.
	sendHello struct {
		peer   string
		stream uint64
		term   uint32
	}
	replyHello struct {
		peer    string
		stream  uint64
		term    uint32
		verdict verdict
		lsn     wal.LSN
	}
	// startSending sends the log from an LSN on.
	startSending struct {
		peer   string
		stream uint64
		term   uint32
		from   wal.LSN
	}
	sendHeartbeat struct {
		peer   string
		stream uint64
		term   uint32
		vow    time.Duration // ask for a vow, by this clock; 0: do not
	}
	sendAck struct {
		peer   string
		stream uint64
		term   uint32
		write  wal.LSN
		flush  wal.LSN
		apply  wal.LSN
		vow    time.Duration // when the newest vow was asked for
	}
	sendSeal struct {
		peer string
		term uint32
	}
	replySeal struct {
		token   uint64
		term    uint32
		recruit recruit
		refused bool
	}

	// writeRecords adds records to the log at lsn, without waiting for the disk.
	writeRecords struct {
		lsn     wal.LSN
		records []byte
	}
	// truncate undoes what was applied above an LSN and cuts the log there.
	truncate struct{ lsn wal.LSN }
	// baseCopy replaces log and state by a copy of the primary's; what is here
	// stays until the copy is complete.
	baseCopy struct{ peer string }

	// appendTermStart begins a term in the log. lossy: answered writes of the
	// term before may be missing; ceiling: above their timestamps.
	appendTermStart struct {
		term    uint32
		lossy   bool
		ceiling uint64
	}
	// appendSyncSet notes the commit rule in the log.
	appendSyncSet  struct{ lease Lease }
	appendHandover struct {
		term   uint32
		target string
	}

	// advance: records below lsn are committed, may be applied and shown; safe
	// is how far they were committed under a rule that counts standbys.
	advance struct {
		lsn  wal.LSN
		safe wal.LSN
		term uint32
	}
	// setRole is a change of role. A primary may append from then on; it
	// answers clients only after serve.
	setRole struct {
		role    Role
		term    uint32
		primary string
	}
	// serve opens the primary to clients.
	serve struct{ term uint32 }
	// drain stops new statements and waits for running ones; resume undoes it.
	drain  struct{ term uint32 }
	resume struct{ term uint32 }

	// refused answers a switchover or promote that cannot be.
	refused struct{ reason string }
	// failedOver tells that the shard has another primary than before.
	failedOver struct{ failover Failover }
	// report is a line for the log.
	report struct {
		level   level
		message string
	}
	// halt stops the node for good: going on would break a promise.
	halt struct{ reason string }
)

type level int

const (
	levelInfo level = iota
	levelWarn
)

// Promise is what a node keeps on disk apart from the log.
type Promise struct {
	Term uint32  `json:"term"` // no lower term is obeyed
	Safe wal.LSN `json:"safe"` // committed under a rule that counts standbys; never cut
}

// Failover tells of a change of primary.
type Failover struct {
	Old, New string
	Term     uint32
	LSN      wal.LSN // where the new term begins in the log
	Planned  bool
}

func (persist) effect()         {}
func (loadLease) effect()       {}
func (swapLease) effect()       {}
func (follow) effect()          {}
func (drop) effect()            {}
func (sendHello) effect()       {}
func (replyHello) effect()      {}
func (startSending) effect()    {}
func (sendHeartbeat) effect()   {}
func (sendAck) effect()         {}
func (sendSeal) effect()        {}
func (replySeal) effect()       {}
func (writeRecords) effect()    {}
func (truncate) effect()        {}
func (baseCopy) effect()        {}
func (appendTermStart) effect() {}
func (appendSyncSet) effect()   {}
func (appendHandover) effect()  {}
func (advance) effect()         {}
func (setRole) effect()         {}
func (serve) effect()           {}
func (drain) effect()           {}
func (resume) effect()          {}
func (refused) effect()         {}
func (failedOver) effect()      {}
func (report) effect()          {}
func (halt) effect()            {}
