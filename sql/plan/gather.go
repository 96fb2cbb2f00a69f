package plan

import (
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// Gather runs Fragment on shards and passes on their rows. It is made by Distribute
// and run by a router: SQL gives the text to send, Keys the way to the shards.
//
// A Fragment that is an Insert, Update or Delete without RETURNING gives one row of
// one bigint per shard: the number of rows written.
type Gather struct {
	Fragment Node
	// Rels are the scans of sharded relations that decide which shards are asked: those
	// to which any of them leads.
	Rels []Route
	// One tells that any single shard can answer: reference tables only.
	One bool
	// Everywhere tells that all shards must run it and the answer of one counts: a write
	// to a reference table.
	Everywhere bool
	// MergeKeys is the order in which each shard gives its rows; the router merges. It
	// is over the output row. Bound, when set, is how many of the first rows are wanted.
	MergeKeys []SortKey
	Bound     Expr
	// KNN describes a nearest-neighbour search, nil otherwise. Its rows are merged by
	// MergeKeys: distance, then primary key.
	KNN     *KNN
	Columns []Col

	text string
	args []Expr
}

// SQL is the fragment as a statement that a shard runs: anyone can paste it into psql
// there. $1… are the values of args, which read no column: parameters of the query,
// Outers, InitValues and what is made of them (see exec.EvalConst); casts keep all types as
// they are here.
func (g *Gather) SQL() (text string, args []Expr) { return g.text, g.args }

// KNN is ORDER BY column op query LIMIT k over one scan: a nearest-neighbour search. A
// router probes cells for it, a shard its vector index.
type KNN struct {
	Column int16  // number of the vector column
	Op     string // "<->", "<#>", "<=>", "<+>"
	Query  Expr   // no column in it
	K      Expr   // rows wanted: LIMIT plus OFFSET; NULL is all
}

// Route is how the rows that a scan (or a write) of a sharded relation touches are
// found. Keys has an entry per column of Rel.Placement.KeyColumns, or is nil when the
// statement does not fix them: then every shard is asked. With geo placement Zone is the
// condition on the zone column, nil if there is none, and Keys, beside it, has an entry
// per column of the primary key.
type Route struct {
	Rel  *catalog.Relation
	Keys []KeyCond
	Zone *KeyCond
	// Low and High bound the shard key of a range-placed relation whose Keys say nothing.
	Low, High *Bound
	// Rows are the key values of rows to insert, one entry per row, instead of Keys.
	Rows [][]Expr
}

// Query is a statement ready to run.
type Query struct {
	Root    Node
	Columns []ResultColumn // nil when the statement gives no rows
	// ParamTypes are the types of $1…, as given or inferred.
	ParamTypes []types.OID
	// Kind is "SELECT", "INSERT", "UPDATE" or "DELETE": the first word of the command tag.
	Kind     string
	ReadOnly bool // writes nothing and locks nothing
	Volatile bool // calls a volatile function
	// Relations are all relations read or written, views expanded.
	Relations []*catalog.Relation
	// CatalogVersion is the version of the catalog it was bound to.
	CatalogVersion uint64

	routes []Route
	single bool
	spread map[*catalog.Relation]bool // written relations whose writes need the router

	distributed func() (*Query, error) // Distribute, once
}

// ResultColumn is a column of RowDescription.
type ResultColumn struct {
	Name  string
	Type  types.Type
	Table types.OID
	Num   int16
}

// Routes gives the sharded relations that the whole statement touches, sub-plans
// included. single tells that the statement as a whole can run on one shard when all
// of them lead there: all colocated on equal keys, reference tables beside them, nothing
// that only a router can do. Then it may be forwarded unchanged.
func (q *Query) Routes() (routes []Route, single bool) { return q.routes, q.single }

// Cols gives the columns of the fragment.
func (g *Gather) Cols() []Col { return g.Columns }

// Inputs is empty: the fragment runs elsewhere.
func (g *Gather) Inputs() []Node { return nil }
