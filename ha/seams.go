package ha

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/heliosdb/helios/wal"
)

// Authority is the document in the control store that says who is primary.
// consensus.Lease[ha.Lease] is one. All calls may run at once.
type Authority interface {
	// Load returns the lease and its revision; revision 0: there is none.
	Load(ctx context.Context) (Lease, int64, error)
	// Swap replaces the lease if it is still at revision prev. With swapped
	// false and no error nothing was written; with an error nobody knows.
	Swap(ctx context.Context, lease Lease, prev int64) (rev int64, swapped bool, err error)
	// Watch calls fn with the lease, now and whenever it changed, until ctx
	// ends.
	Watch(ctx context.Context, fn func(lease Lease, rev int64)) error
}

// Applier is the shard's database on this node. ha tells it how far the log is
// committed and what part the node plays; all its calls come from ha alone.
type Applier interface {
	// Advance says that all records below commit are committed and may be
	// applied. It returns at once; the applier rings the Bell as it gets on.
	Advance(commit wal.LSN, term uint32)
	// Applied returns the LSN below which all records are applied.
	Applied() wal.LSN
	// Rewind undoes what was applied at or above an LSN. An error, such as one
	// that says it cannot, leads to a base copy.
	Rewind(ctx context.Context, to wal.LSN) error

	Leader
	Copier
	Clock
}

// Leader is what a shard does when its node's role changes.
type Leader interface {
	// SetRole tells of a new role. When it returns, no record of an earlier
	// term is appended any more, and none at all unless role is Primary.
	SetRole(role Role, term uint32)
	// Lead prepares to begin a term: it returns the timestamp above which the
	// new primary's clock starts, which is above ceiling. lossy: answered
	// writes may be missing; snapshots below the timestamp are to be refused.
	Lead(term uint32, lossy bool, ceiling uint64) (floor uint64)
	// Serve opens the shard to clients: the term has begun for good, and
	// everything before it is applied.
	Serve(term uint32)
	// Beat appends a heartbeat record, through the path that commits take, and
	// returns its end. It is called about once a second on a primary.
	Beat(ctx context.Context) (wal.LSN, error)
	// Drain stops new statements and returns when none runs; Resume undoes it.
	Drain(ctx context.Context) error
	Resume()
}

// Copier moves the whole state of a shard.
type Copier interface {
	// Export calls begin with the LSN of a snapshot, an end of an applied
	// record, and then put with each pair in it. Both own nothing they are given.
	Export(ctx context.Context, begin func(at wal.LSN) error, put func(key, value []byte) error) error
	// Import replaces the state by the pairs that all puts, as of an LSN. The
	// old state stands until all has returned nil, also through a crash.
	Import(ctx context.Context, at wal.LSN, all func(put func(key, value []byte) error) error) error
}

// Clock is what primary and standbys tell one another about time.
type Clock interface {
	// Ceiling returns a timestamp that is above all given so far.
	Ceiling() uint64
	// Closed returns a timestamp at or below which no record at or above lsn
	// will commit, and the garbage horizon.
	Closed() (closed uint64, lsn wal.LSN, horizon uint64)
	// SetClosed hands a standby what its primary's Closed returned; it holds
	// once everything below lsn is applied.
	SetClosed(closed uint64, lsn wal.LSN, horizon uint64)
	// OldestSnapshot returns the oldest timestamp read here, 0 for none.
	OldestSnapshot() uint64
	// HoldSnapshot tells a primary of a standby's oldest snapshot; 0 ends it.
	HoldSnapshot(node string, oldest uint64)
}

// TermNote is the payload of a TERM_START record.
type TermNote struct {
	Node  string `json:"node"`
	Lossy bool   `json:"lossy,omitempty"` // answered writes may be missing
	Floor uint64 `json:"floor"`           // where the term's clock starts
}

// HandoverNote is the payload of a HANDOVER record.
type HandoverNote struct {
	Target string `json:"target"`
}

// ParseTermNote reads the payload of a TERM_START record.
func ParseTermNote(payload []byte) (TermNote, error) {
	var note TermNote
	if err := json.Unmarshal(payload, &note); err != nil {
		return note, fmt.Errorf("ha: payload of TERM_START: %w", err)
	}
	return note, nil
}

// Bell wakes a node when its log was flushed or its applier got on.
type Bell chan struct{}

// NewBell returns a bell. Its Flushed belongs into wal.Options.OnFlush.
func NewBell() Bell { return make(Bell, 1) }

// Ring never blocks.
func (b Bell) Ring() { signal(b) }

// Flushed rings.
func (b Bell) Flushed(wal.LSN) { b.Ring() }
