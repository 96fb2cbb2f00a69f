package hashring

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// ErrBadPlan is wrapped by what Plan refuses.
var ErrBadPlan = errors.New("cannot plan slots")

// Shard is what Plan knows of a shard. Weight 100 is the usual one; a shard of
// weight 0 keeps no slot, so it is drained.
type Shard struct {
	ID     ShardID
	Weight int
}

// Move takes one slot from its owner to another; From is None when nobody
// owned it.
type Move struct {
	Slot     int
	From, To ShardID
}

// Plan turns a slot table into the exact one for these shards with the fewest
// moves, and returns the moves by ascending slot.
//
// Exact means: each shard holds its share of the slots by weight, rounded down
// or up. Fewest means: no table that is exact in this sense is reached by fewer
// moves. A shard that stays gives up slots only while it is over its quota, and
// none goes to a shard that is not under its own.
//
// Outline:
//
//	a table without owners takes the ring's proposal
//	quota = share rounded down; the slots left over go, one each, first to
//	        shards that already hold more than that
//	each shard over quota gives up the slots that score lowest for it
//	each slot without an owner goes to the best scoring shard under quota
//
// The score is weighted rendezvous hashing (Schindelhauer, Schomaker 2005:
// -weight / ln u, with u from a hash of slot and shard), so a slot tends to
// return to the shard it had. The result depends on the table before, hence
// tables are stored and never recomputed.
func Plan(old []ShardID, shards []Shard) (table []ShardID, moves []Move, err error) {
	if err := checkPlan(old, shards); err != nil {
		return nil, nil, err
	}
	table = slices.Clone(old)
	if !slices.ContainsFunc(table, func(id ShardID) bool { return id != None }) {
		if err := propose(table, shards); err != nil {
			return nil, nil, err
		}
	}
	members := make(map[ShardID]*member, len(shards))
	for _, s := range shards {
		members[s.ID] = &member{Shard: s}
	}
	for slot, id := range table {
		if m := members[id]; m != nil {
			m.slots = append(m.slots, slot)
		} else {
			table[slot] = None
		}
	}
	setQuotas(members, len(table))
	release(table, members)
	assign(table, members)
	for slot := range table {
		if table[slot] != old[slot] {
			moves = append(moves, Move{slot, old[slot], table[slot]})
		}
	}
	return table, moves, nil
}

// member is a shard while a plan is made.
type member struct {
	Shard
	slots []int
	quota int
}

func checkPlan(old []ShardID, shards []Shard) error {
	if !ValidSlots(len(old)) {
		return fmt.Errorf("%w: %d slots is not a power of two up to %d", ErrBadPlan, len(old), MaxSlots)
	}
	seen, total := make(map[ShardID]bool, len(shards)), 0
	for _, s := range shards {
		switch {
		case s.ID == None:
			return fmt.Errorf("%w: shard id 0 is reserved", ErrBadPlan)
		case seen[s.ID]:
			return fmt.Errorf("%w: shard %d is named twice", ErrBadPlan, s.ID)
		case s.Weight < 0 || s.Weight > MaxWeight:
			return fmt.Errorf("%w: weight of shard %d is %d, not 0 to %d", ErrBadPlan, s.ID, s.Weight, MaxWeight)
		}
		seen[s.ID] = true
		total += s.Weight
	}
	if total == 0 {
		return fmt.Errorf("%w: no shard has a weight above 0", ErrBadPlan)
	}
	return nil
}

// propose fills an empty table from the ring: a slot goes to the node that owns
// its first hash.
func propose(table []ShardID, shards []Shard) error {
	ring, ids := New(), make(map[string]ShardID, len(shards))
	for _, s := range shards {
		if s.Weight == 0 {
			continue
		}
		addr := "shard-" + strconv.Itoa(int(s.ID))
		ids[addr] = s.ID
		if err := ring.AddNode(addr, s.Weight); err != nil {
			return err
		}
	}
	for slot := range table {
		first, _ := SlotRange(slot, len(table))
		table[slot] = ids[ring.at(first)]
	}
	return nil
}

// setQuotas divides slots by weight. Rounding leaves fewer slots over than
// there are shards with a broken share; giving those to shards that hold more
// than the rounded share saves a move each.
func setQuotas(members map[ShardID]*member, slots int) {
	total, left := 0, slots
	for _, m := range members {
		total += m.Weight
	}
	var broken []*member
	for _, m := range members {
		m.quota = slots * m.Weight / total
		left -= m.quota
		if slots*m.Weight%total != 0 {
			broken = append(broken, m)
		}
	}
	holdsMore := func(m *member) int {
		if len(m.slots) > m.quota {
			return 1
		}
		return 0
	}
	slices.SortFunc(broken, func(a, b *member) int {
		return cmp.Or(
			cmp.Compare(holdsMore(b), holdsMore(a)),
			cmp.Compare(slots*b.Weight%total, slots*a.Weight%total),
			cmp.Compare(a.ID, b.ID))
	})
	for _, m := range broken[:left] {
		m.quota++
	}
}

// release takes from each shard over quota the slots that score lowest for it.
func release(table []ShardID, members map[ShardID]*member) {
	for _, m := range members {
		over := len(m.slots) - m.quota
		if over <= 0 {
			continue
		}
		slices.SortFunc(m.slots, func(a, b int) int {
			return cmp.Or(cmp.Compare(score(a, m.Shard), score(b, m.Shard)), cmp.Compare(a, b))
		})
		for _, slot := range m.slots[:over] {
			table[slot] = None
		}
		m.slots = m.slots[over:]
	}
}

// assign gives each slot without an owner to the shard under quota for which it
// scores highest.
func assign(table []ShardID, members map[ShardID]*member) {
	var open []*member
	for _, m := range members {
		if len(m.slots) < m.quota {
			open = append(open, m)
		}
	}
	slices.SortFunc(open, func(a, b *member) int { return cmp.Compare(a.ID, b.ID) })
	for slot, id := range table {
		if id != None {
			continue
		}
		best, bestScore := 0, math.Inf(-1)
		for i, m := range open {
			if s := score(slot, m.Shard); s > bestScore {
				best, bestScore = i, s
			}
		}
		m := open[best]
		table[slot] = m.ID
		m.slots = append(m.slots, slot)
		if len(m.slots) == m.quota {
			open = slices.Delete(open, best, best+1)
		}
	}
}

// score is a slot's weighted rendezvous score for a shard: larger is better.
func score(slot int, s Shard) float64 {
	var key [6]byte
	binary.LittleEndian.PutUint32(key[:], uint32(slot))
	binary.LittleEndian.PutUint16(key[4:], s.ID)
	u := (float64(Hash(key[:])>>11) + 0.5) / (1 << 53) // strictly between 0 and 1
	return -float64(s.Weight) / math.Log(u)
}
