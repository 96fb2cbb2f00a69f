// Package placement says where a row lives: a row or a key in, its slot, range, zone
// or cell out. Router and shard use the same code, so they cannot disagree.
//
// The unit of placement is a Unit: a slot of the cluster-wide hash space, or a number
// in a table's own space (a range, a part of a zone, a cell). Who owns a unit is the
// cluster map's business.
package placement

import (
	"fmt"
	"sort"

	"github.com/heliosdb/helios/centroids"
	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/hashring"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/vectorpart"
)

// Unit is what moves as a whole and has one owner: slot N when Space is 0, else unit
// N of the table whose OID is Space.
type Unit struct {
	Space uint32
	N     uint32
}

// String reads as "slot 7" or "cell 7 of table 17003".
func (u Unit) String() string {
	if u.Space == 0 {
		return fmt.Sprintf("slot %d", u.N)
	}
	return fmt.Sprintf("cell %d of table %d", u.N, u.Space)
}

const (
	// UntrainedCells is how many cells a vector-placed table has before it is trained;
	// rows go there by the hash of the primary key. Trained cells are numbered from here.
	UntrainedCells = 16
	// zoneParts is how many units a zone has, so that several shards can share it.
	zoneParts = 16
)

// Placer places the rows of one relation at one catalog version. It is immutable.
type Placer struct {
	rel    *catalog.Relation
	p      catalog.Placement
	slots  int
	keys   []int // positions in the row of the columns that are hashed or compared
	types  []types.Type
	splits []types.Value // range
	zones  map[string]uint32
	vector int // position of the vector column

	set      *centroids.Set // vector, once trained
	coverage *vectorpart.Coverage
}

// For compiles the placement of a table in a cluster of so many slots.
func For(rel *catalog.Relation, slots int) (*Placer, error) {
	p := &Placer{rel: rel, p: rel.Placement, slots: slots}
	nums := rel.Placement.KeyColumns
	switch p.p.Strategy {
	case catalog.Vector:
		p.vector = int(p.p.VectorColumn) - 1
		nums, _ = rel.PrimaryKey.Columns()
		if len(p.p.Blob) > 0 {
			var err error
			if p.set, p.coverage, err = vectorpart.Decode(p.p.Blob); err != nil {
				return nil, fmt.Errorf("cells of table %s: %w", rel.Name, err)
			}
		}
	case catalog.Geo:
		nums, _ = rel.PrimaryKey.Columns()
		p.zones = map[string]uint32{}
		for i, z := range p.p.Zones {
			for _, v := range z.Values {
				p.zones[v] = uint32(i)
			}
		}
	}
	for _, n := range nums {
		p.keys = append(p.keys, int(n)-1)
		p.types = append(p.types, rel.Columns[n-1].Type)
	}
	for _, s := range p.p.SplitAt {
		v, err := types.ParseText(p.types[0], s, nil)
		if err != nil {
			return nil, err
		}
		p.splits = append(p.splits, v)
	}
	return p, nil
}

// Spread tells whether the table's rows are divided over shards; a reference table's
// are not: every shard has all, in unit 0.
func (p *Placer) Spread() bool { return p.p.Strategy != catalog.Reference }

// Own tells whether the units are the table's own, not slots.
func (p *Placer) Own() bool {
	switch p.p.Strategy {
	case catalog.Range, catalog.Geo, catalog.Vector:
		return true
	}
	return false
}

// Trained tells whether a vector-placed table has centroids.
func (p *Placer) Trained() bool { return p.set != nil }

// Partitioner joins a vector-placed table's cells with their owners, to route queries.
func (p *Placer) Partitioner(owners cluster.CellSet) (*vectorpart.Partitioner, error) {
	return vectorpart.New(p.set, p.coverage, owners)
}

// Row places a whole row (its columns in the relation's order).
func (p *Placer) Row(row types.Row) (Unit, error) {
	key := make([]types.Value, len(p.keys))
	for i, k := range p.keys {
		key[i] = row[k]
	}
	switch p.p.Strategy {
	case catalog.Vector:
		return p.cell(row[p.vector], key)
	case catalog.Geo:
		return p.zone(row[p.p.ZoneColumn-1], key)
	}
	u, ok := p.Key(key)
	if !ok {
		return Unit{}, types.Errorf("XX000", "rows of %s are not placed by key", p.rel.Name)
	}
	return u, nil
}

// Key places a row by the values of Placement.KeyColumns; ok is false where the key
// does not decide: vector and geo placement.
func (p *Placer) Key(key []types.Value) (u Unit, ok bool) {
	switch p.p.Strategy {
	case catalog.Reference:
		return Unit{}, true
	case catalog.Single:
		return p.slotOf(nil), true
	case catalog.Range:
		return Unit{Space: uint32(p.rel.OID), N: uint32(p.rangeOf(key[0]))}, true
	case catalog.Hash:
		return p.slotOf(key), true
	}
	return Unit{}, false
}

// rangeOf gives the number of the range that a key lies in; NULL lies in the last.
func (p *Placer) rangeOf(key types.Value) int {
	return sort.Search(len(p.splits), func(i int) bool {
		return !key.IsNull() && types.Compare(p.splits[i], key) > 0 || i >= len(p.splits)
	})
}

// Between gives the units of a range-placed table that may hold keys from low to high; nil
// is no bound.
func (p *Placer) Between(low, high *types.Value) []Unit {
	first, last := 0, len(p.splits)
	if low != nil {
		first = p.rangeOf(*low)
	}
	if high != nil {
		last = p.rangeOf(*high)
	}
	var units []Unit
	for n := first; n <= last; n++ {
		units = append(units, Unit{Space: uint32(p.rel.OID), N: uint32(n)})
	}
	return units
}

// slotOf hashes the canonical encoding of a key; a table on a single shard hashes its
// own number instead.
func (p *Placer) slotOf(key []types.Value) Unit {
	h := hashring.Hash(types.AppendCanonical(nil, types.Int(int64(p.rel.OID)), types.T(types.OIDOID)))
	if key != nil {
		h = p.hash(key)
	}
	return Unit{N: uint32(hashring.Slot(h, p.slots))}
}

// hash hashes a key: a single column as it is, several together so that ("ab","c") and
// ("a","bc") differ.
func (p *Placer) hash(key []types.Value) uint64 {
	if len(key) == 1 {
		return hashring.Hash(types.AppendCanonical(nil, key[0], p.types[0]))
	}
	return hashring.Hash(types.AppendCanonicalRow(nil, key, p.types))
}

// zone places a row by its zone column, then by hash inside the zone.
func (p *Placer) zone(v types.Value, key []types.Value) (Unit, error) {
	col := &p.rel.Columns[p.p.ZoneColumn-1]
	if v.IsNull() {
		return Unit{}, types.Errorf("23502", "null value in zone column %q of relation %q", col.Name, p.rel.Name)
	}
	text := string(types.AppendText(nil, col.Type, v, nil))
	z, ok := p.zones[text]
	if !ok {
		return Unit{}, types.Errorf("23514", "no zone of table %q has the value %q", p.rel.Name, text).
			WithHint("The table's option helios.zones lists the values of each zone.")
	}
	return Unit{Space: uint32(p.rel.OID), N: z*zoneParts + uint32(hashring.Slot(p.hash(key), zoneParts))}, nil
}

// ZoneKey places a row of a geo-placed table by its primary key, which has the zone column
// in it; ok is false when no zone has its value.
func (p *Placer) ZoneKey(key []types.Value) (u Unit, ok bool) {
	for i, k := range p.keys {
		if k == int(p.p.ZoneColumn)-1 {
			u, err := p.zone(key[i], key)
			return u, err == nil
		}
	}
	return Unit{}, false
}

// ZoneUnits gives the units of the zone with this value, for statements that fix it.
func (p *Placer) ZoneUnits(v types.Value) []Unit {
	col := &p.rel.Columns[p.p.ZoneColumn-1]
	z, ok := p.zones[string(types.AppendText(nil, col.Type, v, nil))]
	if v.IsNull() || !ok {
		return nil
	}
	units := make([]Unit, zoneParts)
	for i := range units {
		units[i] = Unit{Space: uint32(p.rel.OID), N: z*zoneParts + uint32(i)}
	}
	return units
}

// ZoneOf gives the index of the zone that a unit of a geo-placed table belongs to.
func ZoneOf(n uint32) int { return int(n / zoneParts) }

// cell places a row of a vector-placed table: by its nearest centroid, or, before
// training and for rows without a vector, by the hash of the primary key.
func (p *Placer) cell(v types.Value, key []types.Value) (Unit, error) {
	u := Unit{Space: uint32(p.rel.OID)}
	if p.set == nil || v.IsNull() {
		u.N = uint32(hashring.Slot(p.hash(key), UntrainedCells))
		return u, nil
	}
	near, err := p.set.Nearest(v.AsVector())
	if err != nil {
		return u, types.Errorf("22000", "%s", err)
	}
	u.N = near.Cell
	return u, nil
}

// Units lists the table's own units, empty for slots.
func (p *Placer) Units() []Unit {
	var n int
	switch p.p.Strategy {
	case catalog.Range:
		n = len(p.splits) + 1
	case catalog.Geo:
		n = len(p.p.Zones) * zoneParts
	case catalog.Vector:
		n = UntrainedCells
	}
	var units []Unit
	for i := range n {
		units = append(units, Unit{Space: uint32(p.rel.OID), N: uint32(i)})
	}
	if p.set != nil {
		for _, c := range p.set.Cells {
			units = append(units, Unit{Space: uint32(p.rel.OID), N: c.ID})
		}
	}
	return units
}

// SequenceUnit is the unit that a sequence moves with: its owner hands out the values.
func SequenceUnit(seq types.OID, slots int) Unit {
	key := types.AppendCanonical(nil, types.Int(int64(seq)), types.T(types.OIDOID))
	return Unit{N: uint32(hashring.Slot(hashring.Hash(key), slots))}
}
