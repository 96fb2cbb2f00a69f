package plan

import (
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// Node is a relational operator. A plan is a tree of nodes, immutable once planned,
// so that it can be cached and run by several sessions at once.
type Node interface {
	// Cols describes the output row.
	Cols() []Col
	// Inputs are the nodes whose rows it reads, in order.
	Inputs() []Node
}

// Col is a column of an output row. Table and Num tell the table column it comes from
// unchanged; zero when it is computed.
type Col struct {
	Name  string
	Type  types.Type
	Table types.OID
	Num   int16
	// Fields are the fields of a column of type record, where they are known.
	Fields []Col
}

// Positions of system columns in Scan.Attrs.
const (
	AttrTableOID = -1 // tableoid
	AttrSlot     = -2 // helios_slot: slot or cell of the row, int4
)

// Reading.
type (
	// Values gives rows of expressions; one row without columns is a query without FROM.
	Values struct {
		Rows    [][]Expr
		Columns []Col
	}
	// Scan reads a table. The output row is Attrs, positions in Rel.Columns or a system
	// column. Filter is over the output row. Access, when not nil, says by which index
	// the rows can be found; it is implied by Filter, so that a source may ignore it.
	Scan struct {
		Rel    *catalog.Relation
		Alias  string
		Attrs  []int
		Filter Expr
		Access *Access
		// Nearest says that only the rows nearest to a vector are wanted: a source may
		// leave out rows that are not among the first Nearest.K that satisfy Filter.
		Nearest *KNN
		Columns []Col
	}
	// FuncScan calls functions in FROM; several run side by side (ROWS FROM). Each
	// function gives Widths[i] columns; Ordinality adds a bigint column.
	FuncScan struct {
		Funcs      []Expr
		Widths     []int
		Ordinality bool
		Alias      string
		Columns    []Col
	}
	// With makes common table expressions for Body; each is computed at most once for
	// a run of the With.
	With struct {
		CTEs []*CTE
		Body Node
	}
	// CTEScan reads a common table expression of a With around it.
	CTEScan struct {
		CTE     *CTE
		Alias   string
		Columns []Col
	}
	// WorkScan reads the rows that the last round of a recursive CTE gave.
	WorkScan struct {
		CTE     *CTE
		Alias   string
		Columns []Col
	}
)

// CTE is a common table expression. A recursive one runs Plan, then Recursive again
// and again with WorkScan reading the last round's rows, until a round gives none;
// without All duplicates are dropped.
type CTE struct {
	Name         string
	Plan         Node
	Recursive    Node
	All          bool
	Materialized string // "", "yes", "no" as written
	Columns      []Col
	refs         int
}

// Access is how to find rows through an index. Prefix holds conditions on its leading
// columns, Low and High a range on the next one. No expression reads the scan's row.
type Access struct {
	Index     *catalog.Index
	Prefix    []KeyCond
	Low, High *Bound
}

// KeyCond says that a key column equals one of Values or, when Array is set, one of
// its elements. NULLs among them match nothing.
type KeyCond struct {
	Values []Expr
	Array  Expr
	source Expr // the condition it was taken from
}

// Bound is one end of a range.
type Bound struct {
	Value     Expr
	Inclusive bool
	source    Expr
}

// Shaping.
type (
	// Filter keeps the rows for which Cond is true.
	Filter struct {
		Input Node
		Cond  Expr
	}
	// Project computes the output row from the input row.
	Project struct {
		Input   Node
		Exprs   []Expr
		Columns []Col
	}
	// ProjectSet adds the columns of set-returning functions: for each input row as many
	// rows as the longest gives, the others filled with NULL.
	ProjectSet struct {
		Input   Node
		Funcs   []Expr
		Columns []Col
	}
	// Sort orders rows. Bound, when set, is how many of the first rows are wanted.
	Sort struct {
		Input Node
		Keys  []SortKey
		Bound Expr
	}
	// Limit skips Offset rows and passes Count; nil means none skipped, all passed.
	// With ties (Ties set) rows equal in those keys to the last one pass as well.
	Limit struct {
		Input         Node
		Count, Offset Expr
		Ties          []SortKey
	}
	// Aggregate groups by Group; the output row is the group expressions, then Aggs.
	// Without Group there is one output row even for no input.
	Aggregate struct {
		Input   Node
		Group   []Expr
		Aggs    []AggCall
		Columns []Col
		// extra is how many of the last group expressions follow from the others.
		extra int
	}
	// Distinct drops equal rows. With On set only the first row of those equal in these
	// expressions stays; the input is ordered by them.
	Distinct struct {
		Input Node
		On    []Expr
	}
	// WindowAgg adds the results of window functions over one partitioning and order.
	WindowAgg struct {
		Input     Node
		Partition []Expr
		Order     []SortKey
		Funcs     []WindowCall
		Columns   []Col
	}
	// Lock locks the rows it passes on.
	Lock struct {
		Input    Node
		Strength string // "update", "no key update", "share", "key share"
		Wait     string // "", "nowait", "skip locked"
		Targets  []LockTarget
	}
)

// SortKey is an order by one expression. Ascending puts NULL last, descending first,
// unless said otherwise: NullsFirst is always the final word.
type SortKey struct {
	Expr       Expr
	Desc       bool
	NullsFirst bool
}

// AggCall is one aggregate. Star is count(*).
type AggCall struct {
	Agg      *builtin.Aggregate
	Args     []Expr
	Star     bool
	Distinct bool
	OrderBy  []SortKey
	Filter   Expr
	Typ      types.Type
}

// WindowCall is a window function: a ranking function by name or an aggregate.
type WindowCall struct {
	Name   string
	Agg    *builtin.Aggregate // nil for ranking functions
	Args   []Expr
	Star   bool
	Filter Expr
	Frame  Frame
	Typ    types.Type
}

// Frame is the default frame or the whole partition or ROWS up to the current row.
type Frame byte

// Frames.
const (
	FramePeers Frame = iota // start of the partition to the last peer of the row
	FrameAll                // the whole partition
	FrameRows               // start of the partition to the row
)

// LockTarget is a table whose rows are locked: Key and Slot are the positions of its
// primary key and helios_slot in the input row; Slot is -1 if there is none.
type LockTarget struct {
	Rel  *catalog.Relation
	Key  []int
	Slot int
}

// JoinKind is how rows without a partner are treated.
type JoinKind byte

// Kinds of Join.
const (
	InnerJoin JoinKind = iota
	LeftJoin
	RightJoin
	FullJoin
	SemiJoin // left rows with a partner; the output row is the left row
	AntiJoin // left rows without a partner; the output row is the left row
)

// Combining.
type (
	// Join joins two inputs; the output row is left ++ right. Keys are equalities
	// (hash join); Cond is what else must hold, over left ++ right, nil for none.
	// Lateral: Right runs for each left row with Args (over the left row) as its frame.
	Join struct {
		Kind        JoinKind
		Left, Right Node
		Keys        []JoinKey
		Cond        Expr
		Lateral     bool
		Args        []Expr
		// Probe, when set, finds the partners of one left row through an index: its frame
		// is the left Keys. It pays when there are few left rows.
		Probe   Node
		Columns []Col
	}
	// SetOp is UNION, INTERSECT or EXCEPT of inputs of equal types.
	SetOp struct {
		Op          string // "union", "intersect", "except"
		All         bool
		Left, Right Node
		Columns     []Col
	}
)

// JoinKey is Left = Right, the first over the left row, the second over the right row.
type JoinKey struct {
	Left, Right Expr
	Eq          *builtin.Func
}

// Writing. All three give the rows of Returning, or none. A row of a relation is
// its Columns in order, dropped ones NULL.
type (
	// Insert writes the rows of Source, which are rows of the relation. Values of
	// hidden columns are NULL: the writer draws them.
	Insert struct {
		Rel        *catalog.Relation
		Source     Node
		Checks     []Check
		OnConflict *OnConflict
		Returning  []Expr // over the written row
		Columns    []Col
	}
	// Update changes rows. A row of Source is the old row, helios_slot, then columns of
	// other FROM items. Returning is over the same, with the new row in place of the old.
	Update struct {
		Rel       *catalog.Relation
		Source    Node
		Set       []Assign // over the Source row
		Checks    []Check
		Returning []Expr
		Columns   []Col
	}
	// Delete deletes rows; Source as for Update.
	Delete struct {
		Rel       *catalog.Relation
		Source    Node
		Returning []Expr
		Columns   []Col
	}
)

// Check is a condition on a new row of the relation: NOT NULL of column Attr when Expr
// is nil, else a CHECK constraint.
type Check struct {
	Name string
	Attr int
	Expr Expr
}

// Assign sets column Attr (position in Rel.Columns).
type Assign struct {
	Attr int
	Expr Expr
}

// OnConflict is what an insert does with a row whose key exists. Arbiters nil means any
// unique index. Set and Where are over existing row ++ excluded row.
type OnConflict struct {
	Arbiters []*catalog.Index
	DoUpdate bool
	Set      []Assign
	Where    Expr
	Checks   []Check
}
