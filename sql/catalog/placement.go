package catalog

import (
	"slices"

	"github.com/heliosdb/helios/types"
)

// Strategy is how a table's rows find their shard.
type Strategy string

// Strategies.
const (
	Hash      Strategy = "hash"      // slot of the key columns' hash
	Range     Strategy = "range"     // range of the key column between split points
	Geo       Strategy = "geo"       // zone of the zone column, then hash inside it
	Vector    Strategy = "vector"    // cell of the vector column's nearest centroid
	Reference Strategy = "reference" // every shard has every row
	Single    Strategy = "single"    // one shard has every row
)

// States of vector placement.
const (
	Untrained = "untrained" // one cell per shard, filled by hash of the primary key
	Moving    = "moving"    // centroids exist, rows are on their way
	Trained   = "trained"
)

// Placement is where a table's rows live. Who owns a slot, range, cell or zone is not
// said here: that is the cluster map's.
type Placement struct {
	Strategy     Strategy  `json:"strategy,omitempty"` // "" for relations without rows
	Chosen       bool      `json:"chosen,omitempty"`   // by an option, not by default
	KeyColumns   []int16   `json:"keyColumns,omitempty"`
	ColocationID uint32    `json:"colocationID,omitempty"` // equal for tables whose equal keys are on one shard
	Alone        bool      `json:"alone,omitempty"`        // asked for a colocation of its own
	SplitAt      []string  `json:"splitAt,omitempty"`      // range: upper bounds as text of the key's type, ascending
	ZoneColumn   int16     `json:"zoneColumn,omitempty"`
	Zones        []Zone    `json:"zones,omitempty"`
	VectorColumn int16     `json:"vectorColumn,omitempty"`
	NumCentroids int       `json:"numCentroids,omitempty"` // 0: chosen when training
	Metric       string    `json:"metric,omitempty"`       // l2, cosine or ip
	Generation   uint32    `json:"generation,omitempty"`   // of centroids and coverage
	Blob         []byte    `json:"blob,omitempty"`         // centroids and coverage of the generation
	State        string    `json:"state,omitempty"`
	Location     types.OID `json:"location,omitempty"` // hidden table: primary key to cell
}

// Zone is a zone of geo placement and the values of the zone column that live there.
type Zone struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

func (p Placement) clone() Placement {
	p.KeyColumns = slices.Clone(p.KeyColumns)
	p.SplitAt = slices.Clone(p.SplitAt)
	p.Zones = slices.Clone(p.Zones)
	for i := range p.Zones {
		p.Zones[i].Values = slices.Clone(p.Zones[i].Values)
	}
	return p
}
