package ha

import (
	"cmp"
	"slices"
	"time"

	"github.com/heliosdb/helios/wal"
)

// Lease is what the control store knows about one shard: one document, always
// replaced as a whole by compare-and-set on its revision. So a claim, a renewal
// and a change of the sync set can never miss one another.
type Lease struct {
	Term        uint32        `json:"term"`
	Holder      string        `json:"holder"`
	Incarnation uint64        `json:"incarnation"` // the holder's
	Renewal     uint64        `json:"renewal"`
	TTL         time.Duration `json:"ttl"`
	Released    bool          `json:"released,omitempty"` // the holder has sealed itself
	Target      string        `json:"target,omitempty"`   // whom a switchover is for
	Mode        Mode          `json:"mode"`
	Acks        int           `json:"acks"`    // flushes a commit waits for
	Members     []Member      `json:"members"` // the published standbys, best priority first
	Start       Position      `json:"start"`   // the holder's log when it claimed
	Ceiling     uint64        `json:"ceiling"` // no timestamp above it was given when last renewed
}

// Member is a standby that may be promoted, because it has every record that
// was answered with success and no answer is given without the rule's count of
// such standbys. A node with a new, empty directory is another member.
type Member struct {
	Node        string `json:"node"`
	Incarnation uint64 `json:"incarnation"`
	Class       Mode   `json:"class"`
}

// Position orders logs: a later last term wins, then a greater flushed LSN.
type Position struct {
	LastTerm uint32  `json:"last_term"`
	Flush    wal.LSN `json:"flush"`
}

// Compare returns -1, 0 or 1 as p is behind, level with or ahead of q.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.LastTerm, q.LastTerm), cmp.Compare(p.Flush, q.Flush))
}

// rule is what a commit waits for: the primary's own flush and those of acks
// of the voters.
type rule struct {
	acks   int
	voters []Member
}

// rule returns the commit rule of the lease. In sync mode the members of class
// sync vote; when none is left in the set, those of class semi-sync do.
func (l Lease) rule() rule {
	voters := l.Members
	if l.Mode == Sync {
		of := func(class Mode) []Member {
			return slices.DeleteFunc(slices.Clone(l.Members), func(m Member) bool { return m.Class != class })
		}
		if voters = of(Sync); len(voters) == 0 {
			voters = of(SemiSync)
		}
	}
	return rule{acks: l.Acks, voters: voters}
}

// commit returns the LSN up to which the rule holds.
func (r rule) commit(own wal.LSN, flush func(Member) wal.LSN) wal.LSN {
	switch {
	case r.acks == 0:
		return own
	case r.acks > len(r.voters):
		return 0
	}
	flushed := make([]wal.LSN, len(r.voters))
	for i, m := range r.voters {
		flushed[i] = flush(m)
	}
	slices.Sort(flushed)
	return min(own, flushed[len(flushed)-r.acks])
}

// recruits returns how many voters must promise a term before one of them may
// take over: so many that one of any acks voters is among them. 0: no number
// will do, only the holder itself has everything.
func (r rule) recruits() int {
	if r.acks == 0 || len(r.voters) == 0 {
		return 0
	}
	return max(1, len(r.voters)-r.acks+1)
}

func (r rule) equal(q rule) bool { return r.acks == q.acks && slices.Equal(r.voters, q.voters) }

// recruit is a node that promised a candidate its term.
type recruit struct {
	Member
	Position Position
}

func (l Lease) member(r recruit) bool {
	return slices.ContainsFunc(l.Members, func(m Member) bool {
		return m.Node == r.Node && m.Incarnation == r.Incarnation
	})
}

// holds reports whether r is the holder with its log whole. Every record ever
// answered is in the holder's own log.
func (l Lease) holds(r recruit) bool {
	return l.Holder == r.Node && l.Incarnation == r.Incarnation && r.Position.Compare(l.Start) >= 0
}

// elects reports whether me may claim the next term with these recruits, me
// among them, and whether answered writes may be lost by it: that is so in
// async mode only.
func (l Lease) elects(me recruit, recruits []recruit) (ok, lossy bool) {
	if !l.member(me) && !l.holds(me) {
		return false, false
	}
	r, promised, behind := l.rule(), 0, false
	for _, other := range recruits {
		if l.holds(other) && me.Position.Compare(other.Position) >= 0 {
			return true, false
		}
		votes := slices.ContainsFunc(r.voters, func(m Member) bool {
			return m.Node == other.Node && m.Incarnation == other.Incarnation
		})
		if votes {
			promised++
			behind = behind || me.Position.Compare(other.Position) < 0
		}
	}
	switch {
	case behind:
		return false, false
	case l.Mode == Async && r.acks == 0:
		return promised > 0, true
	}
	need := r.recruits()
	return need > 0 && promised >= need, false
}
