// Package reshard moves slots and cells between shards while clients work: the plan, the
// job document, and the state machine of one move as a step function. It does no I/O: a
// driver turns effects into calls on shards and the control store, and answers into
// events.
//
// # A move
//
//	planned → copying → verifying → sealed → drained → flipped → cleaning → done
//	   └─────────┴──────────┴──────────┴─────────┴──→ aborting → aborted
//
// The target copies all versions of the moving units above the garbage horizon and
// follows the source's log. When both digests agree the source seals the units: new
// writes to them wait, reads go on. When the target has applied everything up to the
// seal and the digests agree again, the source stops fresh reads by a record, and one
// compare-and-set in the control store makes the target the owner: the commit point.
// A seal that lasts longer than its deadline is undone and tried again later. After the
// flip a move only goes forward.
package reshard

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/hlc"
)

// Unit is a slot (Space 0) or a unit of a table's own space.
type Unit struct {
	Space uint32 `json:"space,omitempty"`
	N     uint32 `json:"n"`
}

// State of a move.
type State string

// States of a move, and of a job: a job is copying until all its moves have ended.
const (
	Planned   State = "planned"
	Copying   State = "copying"
	Verifying State = "verifying"
	Sealed    State = "sealed"
	Drained   State = "drained"
	Flipped   State = "flipped"
	Cleaning  State = "cleaning"
	Done      State = "done"
	Aborting  State = "aborting"
	Aborted   State = "aborted"
)

// Ended tells whether nothing follows a state.
func (s State) Ended() bool { return s == Done || s == Aborted }

// Job is a reshard as the control store keeps it. The driver saves it before it acts on
// a new state, so that another driver can go on from there.
type Job struct {
	ID       uint64            `json:"id"`
	Target   int               `json:"target"` // shards afterwards
	Streams  int               `json:"streams"`
	State    State             `json:"state"`
	Abort    bool              `json:"abort,omitempty"` // asked for
	Error    string            `json:"error,omitempty"`
	Started  time.Time         `json:"started"`
	Finished time.Time         `json:"finished,omitzero"`
	Shards   []cluster.ShardID `json:"shards"` // all shards afterwards
	Moves    []Move            `json:"moves"`
}

// Move is a batch of units that goes from one shard to another as a whole.
type Move struct {
	ID      int             `json:"id"`
	From    cluster.ShardID `json:"from"`
	To      cluster.ShardID `json:"to"`
	Units   []Unit          `json:"units"`
	Epochs  []uint32        `json:"epochs,omitempty"` // of Units, before they were sealed
	State   State           `json:"state"`
	Floor   hlc.Timestamp   `json:"floor,omitempty"` // of the reads-off record
	Rows    int64           `json:"rows"`
	Bytes   int64           `json:"bytes"`
	PauseMS int64           `json:"pause_ms"`           // from seal to flip; 0 before the flip
	Sealed  time.Time       `json:"sealed_at,omitzero"` // the last try, before the source sealed
	Retries int             `json:"retries"`
	Error   string          `json:"error,omitempty"`
}

// Encode gives the job as the control store keeps it.
func (j *Job) Encode() []byte {
	b, err := json.Marshal(j)
	if err != nil {
		panic("reshard: a job cannot be encoded: " + err.Error())
	}
	return b
}

// Decode reads what Encode wrote.
func Decode(b []byte) (*Job, error) {
	var j Job
	if err := json.Unmarshal(b, &j); err != nil {
		return nil, fmt.Errorf("the stored reshard job is damaged: %w", err)
	}
	return &j, nil
}

// begun tells whether any move has.
func (j *Job) begun() bool {
	return slices.ContainsFunc(j.Moves, func(m Move) bool { return m.State != Planned && m.State != Aborted })
}

// Progress sums the moves up.
func (j *Job) Progress() (done, total int, rows, bytes int64) {
	for _, m := range j.Moves {
		if m.State.Ended() {
			done++
		}
		rows, bytes = rows+m.Rows, bytes+m.Bytes
	}
	return done, len(j.Moves), rows, bytes
}
