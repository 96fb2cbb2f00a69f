// Package twophase is atomic commit over several shards as a step function:
// prepare, commit timestamp, commit record, and the resolution of an undecided
// transaction. It does no I/O: the router turns effects into statements on its
// connections and the answers into events.
//
// The protocol. The *owner* is the first written shard; it is never prepared and
// commits last. The other written shards, the *participants*, prepare in parallel;
// each answers with its prepare timestamp. When all prepares are durable the owner
// appends one record with its own rows, the decision and the participants: the
// commit point. COMMIT PREPARED on the participants follows in the background. Only
// a record in the owner's log aborts a prepared transaction: "I know nothing of it"
// is never an answer.
package twophase

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/heliosdb/helios/hlc"
)

// StatementMark is the savepoint by which a router takes back a statement that has to run
// again. Shards keep the locks that were taken since.
const StatementMark = "helios_statement"

// ShardID names a shard; 0 is none.
type ShardID = uint16

// State of a transaction as its owner knows it.
type State byte

// States.
const (
	Undecided State = 'u'
	Committed State = 'c'
	Aborted   State = 'a'
)

// Outcome is an answer of the owner: the state and, when committed, the timestamp.
type Outcome struct {
	State State
	Time  hlc.Timestamp
}

// String prints the outcome as helios.outcome and helios.resolve answer it.
func (o Outcome) String() string {
	switch o.State {
	case Committed:
		return fmt.Sprintf("committed@%d", uint64(o.Time))
	case Aborted:
		return "aborted"
	}
	return "undecided"
}

// ParseOutcome reads what String prints.
func ParseOutcome(s string) (Outcome, error) {
	switch {
	case s == "aborted":
		return Outcome{State: Aborted}, nil
	case s == "undecided":
		return Outcome{State: Undecided}, nil
	}
	if rest, ok := strings.CutPrefix(s, "committed@"); ok {
		if n, err := strconv.ParseUint(rest, 10, 63); err == nil {
			return Outcome{State: Committed, Time: hlc.Timestamp(n)}, nil
		}
	}
	return Outcome{}, fmt.Errorf("%q is not the outcome of a transaction", s)
}

// Kind of an event or effect.
type Kind string

// Events: what a shard answered, or that it did not.
const (
	Prepared       Kind = "prepared"        // Shard, Time: its prepare record is durable
	PrepareFailed  Kind = "prepare failed"  // Shard, Err: it certainly holds nothing
	PrepareUnknown Kind = "prepare unknown" // Shard, Err: the connection broke
	OwnerCommitted Kind = "owner committed" // Time
	OwnerRefused   Kind = "owner refused"   // Err: certainly no commit record
	OwnerUnknown   Kind = "owner unknown"   // Err: the connection broke
	OutcomeIs      Kind = "outcome"         // Outcome: the owner, asked, decided so
	NoOutcome      Kind = "no outcome"      // Err: the owner could not be asked in time
	Resolved       Kind = "resolved"        // Shard: it turned its intents into versions, or dropped them
)

// Effects: what the coordinator must do.
const (
	Prepare     Kind = "prepare"      // PREPARE TRANSACTION on Shard
	CommitOwner Kind = "commit owner" // commit on the owner, Time = greatest prepare timestamp
	Rollback    Kind = "rollback"     // ROLLBACK on the owner, which has logged nothing
	Decide      Kind = "decide"       // ask the owner to decide: it answers committed, or logs an abort
	Resolve     Kind = "resolve"      // COMMIT or ROLLBACK PREPARED on Shard by Outcome
	Answer      Kind = "answer"       // tell the client: Err nil is success at Time
	Done        Kind = "done"         // nothing is left to deliver; the gid may be forgotten
)

// Event is an input of Step.
type Event struct {
	Kind    Kind
	Shard   ShardID
	Time    hlc.Timestamp
	Outcome Outcome
	Err     error
}

// Effect is an output of Step.
type Effect struct {
	Kind    Kind
	Shard   ShardID
	Time    hlc.Timestamp
	Outcome Outcome
	Err     error
}

type phase byte

const (
	preparing phase = iota
	committing
	deciding // the owner's answer was lost, or participants hold intents of an aborted transaction
	resolving
	finished
)

// Coordinator drives one transaction. It is not safe for concurrent use.
type Coordinator struct {
	GID          GID
	Participants []ShardID // sorted, without the owner

	phase    phase
	waiting  map[ShardID]bool // prepares or resolutions not answered yet
	maybe    map[ShardID]bool // participants that hold, or may hold, intents
	greatest hlc.Timestamp
	failure  error
	answered bool
	outcome  Outcome
}

// New starts a commit; the effects are the prepares.
func New(gid GID, participants []ShardID) (*Coordinator, []Effect) {
	c := &Coordinator{
		GID: gid, Participants: slices.Clone(participants),
		waiting: map[ShardID]bool{}, maybe: map[ShardID]bool{},
	}
	slices.Sort(c.Participants)
	var out []Effect
	for _, p := range c.Participants {
		c.waiting[p] = true
		out = append(out, Effect{Kind: Prepare, Shard: p})
	}
	if len(out) == 0 {
		return c, c.commit()
	}
	return c, out
}

// Finished tells whether nothing is left to do.
func (c *Coordinator) Finished() bool { return c.phase == finished }

// Step takes an event and returns what to do, in order. Events that do not fit the
// phase (late or repeated answers) have no effect.
func (c *Coordinator) Step(e Event) []Effect {
	switch c.phase {
	case preparing:
		return c.stepPreparing(e)
	case committing:
		return c.stepCommitting(e)
	case deciding:
		return c.stepDeciding(e)
	case resolving:
		return c.stepResolving(e)
	}
	return nil
}

func (c *Coordinator) stepPreparing(e Event) []Effect {
	if !c.waiting[e.Shard] {
		return nil
	}
	switch e.Kind {
	case Prepared:
		c.maybe[e.Shard] = true
		c.greatest = max(c.greatest, e.Time)
	case PrepareUnknown:
		c.maybe[e.Shard] = true
		c.failure = firstError(c.failure, e.Err)
	case PrepareFailed:
		c.failure = firstError(c.failure, e.Err)
	default:
		return nil
	}
	delete(c.waiting, e.Shard)
	if len(c.waiting) > 0 {
		return nil
	}
	if c.failure == nil {
		return c.commit()
	}
	return append([]Effect{{Kind: Rollback, Shard: c.GID.Owner}}, c.abort()...)
}

func (c *Coordinator) commit() []Effect {
	c.phase = committing
	return []Effect{{Kind: CommitOwner, Shard: c.GID.Owner, Time: c.greatest}}
}

// abort answers the client and, when intents may exist, has the owner log the abort
// that releases them.
func (c *Coordinator) abort() []Effect {
	out := c.answer(c.failure)
	if len(c.maybe) == 0 {
		c.phase = finished
		return append(out, Effect{Kind: Done})
	}
	c.phase = deciding
	return append(out, Effect{Kind: Decide, Shard: c.GID.Owner})
}

func (c *Coordinator) stepCommitting(e Event) []Effect {
	switch e.Kind {
	case OwnerCommitted:
		return c.resolve(Outcome{State: Committed, Time: e.Time})
	case OwnerRefused:
		c.failure = e.Err
		return c.abort()
	case OwnerUnknown:
		c.failure = e.Err
		c.phase = deciding
		return []Effect{{Kind: Decide, Shard: c.GID.Owner}}
	}
	return nil
}

func (c *Coordinator) stepDeciding(e Event) []Effect {
	switch e.Kind {
	case OutcomeIs:
		return c.resolve(e.Outcome)
	case NoOutcome:
		// The participants ask the owner themselves; the client must not wait for it.
		c.phase = finished
		return append(c.answer(e.Err), Effect{Kind: Done})
	}
	return nil
}

func (c *Coordinator) resolve(o Outcome) []Effect {
	c.phase, c.outcome = resolving, o
	var out []Effect
	if o.State == Committed {
		out = c.answer(nil)
	} else {
		out = c.answer(c.failure)
	}
	for _, p := range c.Participants {
		if c.maybe[p] {
			c.waiting[p] = true
			out = append(out, Effect{Kind: Resolve, Shard: p, Outcome: o})
		}
	}
	return append(out, c.finish()...)
}

func (c *Coordinator) stepResolving(e Event) []Effect {
	if e.Kind != Resolved {
		return nil
	}
	delete(c.waiting, e.Shard)
	return c.finish()
}

func (c *Coordinator) finish() []Effect {
	if len(c.waiting) > 0 {
		return nil
	}
	c.phase = finished
	return []Effect{{Kind: Done}}
}

func (c *Coordinator) answer(err error) []Effect {
	if c.answered {
		return nil
	}
	c.answered = true
	return []Effect{{Kind: Answer, Time: c.outcome.Time, Err: err}}
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
