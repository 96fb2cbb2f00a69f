package shard

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/types"
)

// unitState is what a shard may do with a unit.
type unitState byte

const (
	unitOwned    unitState = 'o' // reads and writes
	unitSealed   unitState = 's' // reads; writes wait for the move to end
	unitReadsOff unitState = 'r' // neither, until the flip or its undoing
	unitGone     unitState = 'g' // another shard has it
)

// units is the shard's own record of what it owns, rebuilt from storage and changed by
// log records alone: a promoted standby knows what it may serve without asking anyone.
type units struct {
	version uint64 // of the cluster map that the shard has adopted
	state   map[placement.Unit]ownedUnit
}

func newUnits() *units { return &units{state: map[placement.Unit]ownedUnit{}} }

func (u *units) apply(o ownership) {
	u.version = max(u.version, o.Version)
	for _, x := range o.Units {
		u.state[x.Unit] = x
	}
}

// may tells whether a statement may read (or write) a unit; the error is what a router
// or client gets otherwise.
func (u *units) may(unit placement.Unit, write bool) error {
	x, ok := u.state[unit]
	switch {
	case !ok || x.State == unitGone:
		return staleMap(unit, x.Epoch, "this shard does not own it")
	case x.State == unitReadsOff, write && x.State == unitSealed:
		return staleMap(unit, x.Epoch, "it is moving to another shard")
	}
	return nil
}

// moving tells whether the end of a move decides what may be done with the unit.
func (u *units) moving(unit placement.Unit, write bool) bool {
	s := u.state[unit].State
	return s == unitReadsOff || write && s == unitSealed
}

// since tells whether the shard has heard of the units' epochs.
func (u *units) since(list []placement.Unit, epochs []uint32) bool {
	for i, unit := range list {
		if u.state[unit].Epoch < epochs[i] {
			return false
		}
	}
	return true
}

// of lists the units of a space that this shard owns, ascending.
func (u *units) of(space uint32) []placement.Unit {
	var out []placement.Unit
	for unit, x := range u.state {
		if unit.Space == space && x.State != unitGone {
			out = append(out, unit)
		}
	}
	slices.SortFunc(out, func(a, b placement.Unit) int { return int(int64(a.N) - int64(b.N)) })
	return out
}

// staleMap is STALE_MAP: the router's map and the shard's ownership differ.
func staleMap(unit placement.Unit, epoch uint32, why string) *types.Error {
	return types.Errorf("ZH001", "stale map: %s: %s", unit, why).
		WithDetail("space=%d unit=%d epoch=%d", unit.Space, unit.N, epoch).
		WithHint("Connect to a router: it knows which shard has the row.")
}

// adopt compares the cluster map with what the shard owns and gives the records to log:
// units that are new here (OWN) and units that another shard has taken over.
func (u *units) adopt(m *cluster.Map, me cluster.ShardID) (own, lost ownership) {
	own.Version, lost.Version = m.Ownership, m.Ownership
	own.Floor = hlc.Timestamp(m.Floor)
	consider := func(unit placement.Unit, o cluster.Owner) {
		have := u.state[unit]
		if o.Epoch <= have.Epoch {
			return
		}
		switch {
		case o.Shard == me:
			own.Units = append(own.Units, ownedUnit{Unit: unit, Epoch: o.Epoch, State: unitOwned})
		case have.Epoch > 0 && have.State != unitGone:
			lost.Units = append(lost.Units, ownedUnit{Unit: unit, Epoch: o.Epoch, State: unitGone})
		}
	}
	for slot, o := range m.Slots {
		consider(placement.Unit{N: uint32(slot)}, o)
	}
	for table, set := range m.CellSets {
		for _, c := range set.Cells {
			consider(placement.Unit{Space: table, N: c.Cell}, c.Owner)
		}
	}
	byUnit := func(a, b ownedUnit) int {
		if a.Space != b.Space {
			return int(int64(a.Space) - int64(b.Space))
		}
		return int(int64(a.N) - int64(b.N))
	}
	slices.SortFunc(own.Units, byUnit)
	slices.SortFunc(lost.Units, byUnit)
	return own, lost
}

// Meta keys of the ownership table: "own/" space u32 n u32, big-endian; the value is
// epoch u32 and the state. "own" alone holds the adopted version.
const ownedMeta = "own/"

func ownedKey(unit placement.Unit) []byte {
	b := binary.BigEndian.AppendUint32([]byte(ownedMeta), unit.Space)
	return binary.BigEndian.AppendUint32(b, unit.N)
}

func (x ownedUnit) value() []byte {
	return append(binary.BigEndian.AppendUint32(nil, x.Epoch), byte(x.State))
}

func loadOwned(key, value []byte) (ownedUnit, error) {
	if len(key) != len(ownedMeta)+8 || len(value) != 5 {
		return ownedUnit{}, fmt.Errorf("an ownership row has %d+%d bytes", len(key), len(value))
	}
	k := key[len(ownedMeta):]
	return ownedUnit{
		Unit:  placement.Unit{Space: binary.BigEndian.Uint32(k), N: binary.BigEndian.Uint32(k[4:])},
		Epoch: binary.BigEndian.Uint32(value), State: unitState(value[4]),
	}, nil
}
