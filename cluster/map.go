// Package cluster holds the cluster map as an immutable value: nodes, roles,
// shards, terms, the owners of slots, cells, ranges and zones, and a version;
// and it reads the file that seeds it.
//
// The control store keeps the map; this package knows neither the store nor a
// network. A map is never changed in place: [Map.Edit] returns the next one,
// checked, with the next version, so a map that somebody holds stays as it is
// and may be read from anywhere at once.
package cluster

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"sort"
)

// ShardID names a shard. Ids are small and start at 1; [None] names no shard.
type ShardID = uint16

// None is the owner of what no shard owns.
const None ShardID = 0

// DefaultSlots is the number of slots unless the cluster's founder chose
// another; it never changes afterwards.
const DefaultSlots = 1024

// Map says who owns what in one version of the cluster. Treat it and all that
// hangs on it as read-only.
type Map struct {
	ClusterID string `json:"cluster"`
	Version   uint64 `json:"version"`
	// Ownership is the version in which the owner of anything changed last: what a shard
	// and a router must agree on. Floor is the greatest timestamp below which a moved unit
	// was served by its former owner: whoever becomes an owner starts its clock above it.
	// Members is the version in which the set of shards that have what every shard has
	// (the catalog, reference tables) changed last.
	Ownership uint64                  `json:"ownership"`
	Members   uint64                  `json:"members"`
	Floor     uint64                  `json:"floor,omitempty"`
	Slots     []Owner                 `json:"slots"`               // by slot; the length is a power of two
	Shards    []Shard                 `json:"shards"`              // ascending by ID
	CellSets  map[uint32]CellSet      `json:"cell_sets,omitempty"` // by table OID
	Ranges    map[uint32][]RangeOwner `json:"ranges,omitempty"`    // by table OID
	Zones     map[string]Owner        `json:"zones,omitempty"`     // by zone name
}

// Owner says which shard owns a slot, a cell, a range or a zone. The epoch
// counts the owners: it grows with each change of shard and is never reused.
type Owner struct {
	Shard ShardID
	Epoch uint32
	State OwnerState
	To    ShardID // the target of a move, None while Owned
}

// CellSet says who owns the cells of one vector-placed table. The centroids
// themselves live in the catalog under the same generation.
type CellSet struct {
	Generation uint64      `json:"generation"`
	Cells      []CellOwner `json:"cells"` // ascending by Cell
}

// CellOwner is the owner of one cell.
type CellOwner struct {
	Cell uint32
	Owner
}

// RangeOwner owns the keys from From up to the From of the range after it.
type RangeOwner struct {
	From  []byte `json:"from,omitempty"` // inclusive, in key encoding; empty for the first range
	Owner Owner  `json:"owner"`
}

// Shard is a replica set: the nodes that keep the same rows.
type Shard struct {
	ID      ShardID    `json:"id"`
	Weight  int        `json:"weight"` // share of the slots, 100 is usual, 0 keeps none
	Zone    string     `json:"zone,omitempty"`
	State   ShardState `json:"state"`
	Nodes   []Node     `json:"nodes"`
	Primary string     `json:"primary,omitempty"` // node ID, empty while nobody claimed Term
	Term    uint32     `json:"term"`
	SyncSet []string   `json:"sync_set,omitempty"` // node IDs that may be promoted, in order
}

// Node is one process. An empty address is not served.
type Node struct {
	ID     string   `json:"id"`
	Role   NodeRole `json:"role"`
	SQL    string   `json:"sql"`              // host:port of pgwire
	Native string   `json:"native,omitempty"` // host:port of gRPC
	HTTP   string   `json:"http,omitempty"`   // host:port of health and metrics
	// Class says for which commit rules the node's copy counts: async, semi-sync or sync.
	// It is empty until the node itself has said so.
	Class string `json:"class,omitempty"`
}

// New returns version 1 of a map: the shards, which become active, and the
// owner of each slot at epoch 1 (0 where table says None).
func New(clusterID string, shards []Shard, table []ShardID) (*Map, error) {
	m := &Map{ClusterID: clusterID, Version: 1, Ownership: 1, Members: 1, Slots: make([]Owner, len(table))}
	for _, s := range shards {
		s = s.clone()
		s.State = Active
		m.Shards = append(m.Shards, s)
	}
	slices.SortFunc(m.Shards, func(a, b Shard) int { return cmp.Compare(a.ID, b.ID) })
	for slot, id := range table {
		if id != None {
			m.Slots[slot] = Owner{Shard: id, Epoch: 1}
		}
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return m, nil
}

// SlotCount is the size of the slot table.
func (m *Map) SlotCount() int { return len(m.Slots) }

// Shard returns a shard by its id.
func (m *Map) Shard(id ShardID) (Shard, bool) {
	i, ok := slices.BinarySearchFunc(m.Shards, id, func(s Shard, id ShardID) int { return cmp.Compare(s.ID, id) })
	if !ok {
		return Shard{}, false
	}
	return m.Shards[i], true
}

// Node returns a node by its id and the shard it belongs to.
func (m *Map) Node(id string) (Node, ShardID, bool) {
	for _, s := range m.Shards {
		if n, ok := s.Node(id); ok {
			return n, s.ID, true
		}
	}
	return Node{}, None, false
}

// Node returns one of the shard's nodes by its id.
func (s Shard) Node(id string) (Node, bool) {
	i := slices.IndexFunc(s.Nodes, func(n Node) bool { return n.ID == id })
	if i < 0 {
		return Node{}, false
	}
	return s.Nodes[i], true
}

// PrimaryNode returns the node that holds the shard's term, if one does.
func (s Shard) PrimaryNode() (Node, bool) { return s.Node(s.Primary) }

// Range returns the range of a table that holds key.
func (m *Map) Range(table uint32, key []byte) (RangeOwner, bool) {
	ranges := m.Ranges[table]
	i := sort.Search(len(ranges), func(i int) bool { return bytes.Compare(ranges[i].From, key) > 0 })
	if i == 0 {
		return RangeOwner{}, false
	}
	return ranges[i-1], true
}

// Cell returns the owner of a table's cell.
func (m *Map) Cell(table, cell uint32) (Owner, bool) { return m.CellSets[table].Owner(cell) }

// Owner returns the owner of a cell.
func (s CellSet) Owner(cell uint32) (Owner, bool) {
	i, ok := slices.BinarySearchFunc(s.Cells, cell, func(c CellOwner, cell uint32) int { return cmp.Compare(c.Cell, cell) })
	if !ok {
		return Owner{}, false
	}
	return s.Cells[i].Owner, true
}

// clone copies the map and everything it hangs on.
func (m *Map) clone() *Map {
	next := *m
	next.Slots = slices.Clone(m.Slots)
	next.Shards = slices.Clone(m.Shards)
	for i, s := range next.Shards {
		next.Shards[i] = s.clone()
	}
	next.CellSets = maps.Clone(m.CellSets)
	for table, set := range next.CellSets {
		set.Cells = slices.Clone(set.Cells)
		next.CellSets[table] = set
	}
	next.Ranges = maps.Clone(m.Ranges)
	for table, ranges := range next.Ranges {
		next.Ranges[table] = cloneRanges(ranges)
	}
	next.Zones = maps.Clone(m.Zones)
	return &next
}

func (s Shard) clone() Shard {
	s.Nodes = slices.Clone(s.Nodes)
	s.SyncSet = slices.Clone(s.SyncSet)
	return s
}

func cloneRanges(ranges []RangeOwner) []RangeOwner {
	next := slices.Clone(ranges)
	for i := range next {
		next[i].From = bytes.Clone(next[i].From)
	}
	return next
}
