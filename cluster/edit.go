package cluster

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ErrStale is wrapped when a new map would take back an epoch, a term, a
// generation or a version.
var ErrStale = errors.New("cluster map goes backwards")

// Edit returns the next version of the map: change gets a copy of its own and
// may write all of it but the version. The result is checked by Validate and
// by Follows; m stays as it is. An error of change is returned as it came.
func (m *Map) Edit(change func(next *Map) error) (*Map, error) {
	next := m.clone()
	next.Version = m.Version + 1
	if err := change(next); err != nil {
		return nil, err
	}
	slices.SortFunc(next.Shards, func(a, b Shard) int { return cmp.Compare(a.ID, b.ID) })
	if !slices.Equal(next.active(), m.active()) {
		next.Members, next.Ownership = next.Version, next.Version
	}
	if !next.sameOwners(m) {
		next.Ownership = next.Version
	}
	if err := next.Validate(); err != nil {
		return nil, err
	}
	if err := next.Follows(m); err != nil {
		return nil, err
	}
	return next, nil
}

// sameOwners tells whether every slot, cell, range and zone has the owner it has in old.
func (m *Map) sameOwners(old *Map) bool {
	return slices.Equal(m.Slots, old.Slots) &&
		maps.EqualFunc(m.CellSets, old.CellSets, func(a, b CellSet) bool {
			return a.Generation == b.Generation && slices.Equal(a.Cells, b.Cells)
		}) &&
		maps.EqualFunc(m.Ranges, old.Ranges, func(a, b []RangeOwner) bool {
			return slices.EqualFunc(a, b, func(x, y RangeOwner) bool { return bytes.Equal(x.From, y.From) && x.Owner == y.Owner })
		}) &&
		maps.Equal(m.Zones, old.Zones)
}

// active lists the shards that have what every shard has: the catalog, reference tables.
func (m *Map) active() []ShardID {
	var ids []ShardID
	for _, s := range m.Shards {
		if s.State != Joining {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// WithSlot returns the next map in which a slot has this owner.
func (m *Map) WithSlot(slot int, owner Owner) (*Map, error) {
	return m.Edit(func(next *Map) error {
		if slot < 0 || slot >= len(next.Slots) {
			return fmt.Errorf("%w: slot %d of %d", ErrInvalid, slot, len(next.Slots))
		}
		next.Slots[slot] = owner
		return nil
	})
}

// WithShard returns the next map with a shard added, or replaced when its id is
// known.
func (m *Map) WithShard(shard Shard) (*Map, error) {
	return m.Edit(func(next *Map) error {
		next.Shards = slices.DeleteFunc(next.Shards, func(s Shard) bool { return s.ID == shard.ID })
		next.Shards = append(next.Shards, shard.clone())
		return nil
	})
}

// WithoutShard returns the next map without a shard, which must own nothing.
func (m *Map) WithoutShard(id ShardID) (*Map, error) {
	return m.Edit(func(next *Map) error {
		next.Shards = slices.DeleteFunc(next.Shards, func(s Shard) bool { return s.ID == id })
		return nil
	})
}

// WithPrimary returns the next map in which a node holds a shard's new term and
// these nodes may follow it. Roles follow: the former primary is a standby.
func (m *Map) WithPrimary(shard ShardID, node string, term uint32, syncSet []string) (*Map, error) {
	return m.Edit(func(next *Map) error {
		i := slices.IndexFunc(next.Shards, func(s Shard) bool { return s.ID == shard })
		if i < 0 {
			return fmt.Errorf("%w: no shard %d", ErrInvalid, shard)
		}
		s := &next.Shards[i]
		s.Primary, s.Term, s.SyncSet = node, term, slices.Clone(syncSet)
		for j := range s.Nodes {
			switch n := &s.Nodes[j]; {
			case n.ID == node:
				n.Role = Primary
			case n.Role == Primary || slices.Contains(syncSet, n.ID):
				n.Role = Standby
			}
		}
		return nil
	})
}

// WithNode returns the next map in which a node of a shard has these addresses and this
// class: a node that is new there is added as a candidate, a known one keeps its role. Whoever had one of
// the addresses before is not there any more and loses it. A map that says all of it
// already is returned as it is.
func (m *Map) WithNode(shard ShardID, node Node) (*Map, error) {
	s, ok := m.Shard(shard)
	if !ok {
		return nil, fmt.Errorf("%w: no shard %d", ErrInvalid, shard)
	}
	known, there := s.Node(node.ID)
	if node.Role = known.Role; !there {
		node.Role = Candidate
	}
	if there && known == node {
		return m, nil
	}
	return m.Edit(func(next *Map) error {
		for i := range next.Shards {
			s := &next.Shards[i]
			for j := range s.Nodes {
				s.Nodes[j].yield(node)
			}
			if s.ID != shard {
				continue
			}
			if j := slices.IndexFunc(s.Nodes, func(n Node) bool { return n.ID == node.ID }); j >= 0 {
				s.Nodes[j] = node
			} else {
				s.Nodes = append(s.Nodes, node)
			}
		}
		return nil
	})
}

// yield gives up the addresses that another node has now.
func (n *Node) yield(to Node) {
	for _, addr := range []*string{&n.SQL, &n.Native, &n.HTTP} {
		if *addr != "" && (*addr == to.SQL || *addr == to.Native || *addr == to.HTTP) {
			*addr = ""
		}
	}
}

// WithCells returns the next map with a table's cell owners; a set without
// cells drops the table.
func (m *Map) WithCells(table uint32, set CellSet) (*Map, error) {
	return m.Edit(func(next *Map) error {
		if next.CellSets == nil {
			next.CellSets = make(map[uint32]CellSet)
		}
		set.Cells = slices.Clone(set.Cells)
		slices.SortFunc(set.Cells, func(a, b CellOwner) int { return cmp.Compare(a.Cell, b.Cell) })
		next.CellSets[table] = set
		if len(set.Cells) == 0 {
			delete(next.CellSets, table)
		}
		return nil
	})
}

// WithRanges returns the next map with a table's ranges; none drops the table.
func (m *Map) WithRanges(table uint32, ranges []RangeOwner) (*Map, error) {
	return m.Edit(func(next *Map) error {
		if next.Ranges == nil {
			next.Ranges = make(map[uint32][]RangeOwner)
		}
		ranges = cloneRanges(ranges)
		slices.SortFunc(ranges, func(a, b RangeOwner) int { return bytes.Compare(a.From, b.From) })
		next.Ranges[table] = ranges
		if len(ranges) == 0 {
			delete(next.Ranges, table)
		}
		return nil
	})
}

// WithZone returns the next map in which a zone has this owner.
func (m *Map) WithZone(zone string, owner Owner) (*Map, error) {
	return m.Edit(func(next *Map) error {
		if next.Zones == nil {
			next.Zones = make(map[string]Owner)
		}
		next.Zones[zone] = owner
		return nil
	})
}

// Follows reports whether m may replace old: same cluster and slot count, a
// greater version, and no epoch, term or generation taken back. A new owner
// needs a greater epoch, a new primary a greater term.
func (m *Map) Follows(old *Map) error {
	switch {
	case m.ClusterID != old.ClusterID:
		return fmt.Errorf("%w: cluster %q became %q", ErrStale, old.ClusterID, m.ClusterID)
	case m.Version <= old.Version:
		return fmt.Errorf("%w: version %d after %d", ErrStale, m.Version, old.Version)
	case len(m.Slots) != len(old.Slots):
		return fmt.Errorf("%w: %d slots became %d", ErrStale, len(old.Slots), len(m.Slots))
	}
	for slot, was := range old.Slots {
		if err := m.Slots[slot].follows(was, "slot", slot); err != nil {
			return err
		}
	}
	for _, was := range old.Shards {
		now, ok := m.Shard(was.ID)
		if ok && (now.Term < was.Term || (now.Primary != was.Primary && now.Primary != "" && now.Term == was.Term)) {
			return fmt.Errorf("%w: shard %d goes from primary %q term %d to primary %q term %d",
				ErrStale, was.ID, was.Primary, was.Term, now.Primary, now.Term)
		}
	}
	for _, zone := range sortedKeys(old.Zones) {
		if now, ok := m.Zones[zone]; ok {
			if err := now.follows(old.Zones[zone], "zone", zone); err != nil {
				return err
			}
		}
	}
	if err := m.cellsFollow(old); err != nil {
		return err
	}
	return m.rangesFollow(old)
}

func (m *Map) cellsFollow(old *Map) error {
	for _, table := range sortedKeys(old.CellSets) {
		was, now := old.CellSets[table], m.CellSets[table]
		if len(now.Cells) == 0 {
			continue
		}
		if now.Generation < was.Generation {
			return fmt.Errorf("%w: cells of table %d: generation %d after %d", ErrStale, table, now.Generation, was.Generation)
		}
		for _, cell := range now.Cells {
			if before, ok := was.Owner(cell.Cell); ok {
				if err := cell.follows(before, "cell", cell.Cell); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// rangesFollow compares each range with the one that held its first key: a
// range that was split hands its epoch down to both.
func (m *Map) rangesFollow(old *Map) error {
	for _, table := range sortedKeys(old.Ranges) {
		for _, r := range m.Ranges[table] {
			if before, ok := old.Range(table, r.From); ok {
				if err := r.Owner.follows(before.Owner, "range", fmt.Sprintf("%x", r.From)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (o Owner) follows(was Owner, kind string, name any) error {
	if o.Epoch < was.Epoch || (o.Shard != was.Shard && o.Epoch == was.Epoch) {
		return fmt.Errorf("%w: %s %v goes from %v to %v", ErrStale, kind, name, was, o)
	}
	return nil
}
