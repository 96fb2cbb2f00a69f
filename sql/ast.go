package sql

// Statement is one SQL statement.
type Statement interface{ statement() }

// Expr is an expression as written: names unresolved, types unknown.
type Expr interface {
	expr()
	// Pos is the byte offset in the statement's text, -1 if unknown.
	Pos() int
}

// TableExpr is an item of FROM.
type TableExpr interface{ tableExpr() }

// At is the byte offset of a node in the statement's text, -1 if unknown. It is
// not part of a tree's identity: Equal ignores it.
type At int

// Pos gives the offset.
func (a At) Pos() int { return int(a) }

// Name is a possibly qualified name, outermost part first: {"public", "t"}.
type Name []string

// TypeName is a type as written.
type TypeName struct {
	Name   Name
	Mods   []Expr // varchar(20), numeric(10,2), vector(3)
	Dims   int    // number of [] pairs
	SetOf  bool
	Fields string // interval fields, such as "day to second"
	At     At
}

// Expressions.
type (
	// Literal is a constant: Kind 's' a quoted string (type unknown), 'i' an integer,
	// 'f' a number with point or exponent or too big for int4, 'b' a boolean, 'n' NULL,
	// 'x' a bit or hex string.
	Literal struct {
		Kind byte
		Text string
		At
	}
	// Param is $N.
	Param struct {
		N int
		At
	}
	// ColumnRef is a possibly qualified column; Star is t.* or *.
	ColumnRef struct {
		Parts Name
		Star  bool
		At
	}
	// FuncCall is a call of a function, aggregate or window function.
	FuncCall struct {
		Name     Name
		Args     []Expr
		ArgNames []string // parallel to Args where any is named, else nil
		Star     bool     // count(*)
		Distinct bool
		Variadic bool
		OrderBy  []SortItem
		Within   bool // WITHIN GROUP: OrderBy belongs to it
		Filter   Expr
		Over     *Window
		At
	}
	// Op is a prefix (Left nil) or binary operator. LIKE is ~~, ILIKE ~~*, with
	// negations !~~ and !~~*; SIMILAR TO stays a FuncCall as PostgreSQL parses it.
	Op struct {
		Schema      string
		Name        string
		Left, Right Expr
		At
	}
	// And and Or are flattened: at least two arguments.
	And struct {
		Args []Expr
		At
	}
	Or struct {
		Args []Expr
		At
	}
	Not struct {
		Arg Expr
		At
	}
	// IsNull is IS [NOT] NULL.
	IsNull struct {
		Arg Expr
		Not bool
		At
	}
	// BoolTest is IS [NOT] TRUE/FALSE/UNKNOWN; Test is "true", "false" or "unknown".
	BoolTest struct {
		Arg  Expr
		Test string
		Not  bool
		At
	}
	// IsDistinct is IS [NOT] DISTINCT FROM.
	IsDistinct struct {
		Left, Right Expr
		Not         bool
		At
	}
	// In is [NOT] IN (list) or IN (subquery); exactly one of List and Query is set.
	In struct {
		Left  Expr
		List  []Expr
		Query *Select
		Not   bool
		At
	}
	// Between is [NOT] BETWEEN [SYMMETRIC].
	Between struct {
		Arg, Low, High Expr
		Not, Symmetric bool
		At
	}
	// AnyAll is left op ANY/ALL (array or subquery); exactly one of Array and Query is set.
	AnyAll struct {
		Schema string
		Op     string
		All    bool
		Left   Expr
		Array  Expr
		Query  *Select
		At
	}
	// Subquery is a scalar subquery, EXISTS (…) or ARRAY(…); Kind is 's', 'e' or 'a'.
	Subquery struct {
		Kind  byte
		Query *Select
		At
	}
	// Case is CASE [arg] WHEN … END.
	Case struct {
		Arg   Expr
		Whens []When
		Else  Expr
		At
	}
	// Coalesce is COALESCE(…); MinMax is GREATEST or LEAST; NullIf is NULLIF(a, b).
	Coalesce struct {
		Args []Expr
		At
	}
	MinMax struct {
		Least bool
		Args  []Expr
		At
	}
	NullIf struct {
		Left, Right Expr
		At
	}
	// Cast is arg::type or CAST(arg AS type).
	Cast struct {
		Arg  Expr
		Type TypeName
		At
	}
	// Collate is arg COLLATE name.
	Collate struct {
		Arg  Expr
		Name Name
		At
	}
	// ArrayExpr is ARRAY[…].
	ArrayExpr struct {
		Elems []Expr
		At
	}
	// RowExpr is ROW(…) or (a, b); Explicit when ROW was written.
	RowExpr struct {
		Fields   []Expr
		Explicit bool
		At
	}
	// Subscript is arg[index] or, when Slice, arg[low:high] (either may be nil). Chained
	// tells a[1][2], one access to an array of two dimensions, from (a[1])[2].
	Subscript struct {
		Arg       Expr
		Slice     bool
		Chained   bool // Arg is the Subscript written just before
		Low, High Expr // Low is the index of a plain subscript
		At
	}
	// Field is (arg).name; Star is (arg).*.
	Field struct {
		Arg  Expr
		Name string
		Star bool
		At
	}
	// CurrentValue is CURRENT_DATE, CURRENT_TIMESTAMP(p), CURRENT_USER …; Name is lower
	// case as written in SQL; Precision is -1 when absent.
	CurrentValue struct {
		Name      string
		Precision int
		At
	}
	// Default is the keyword DEFAULT in VALUES or SET.
	Default struct{ At }
	// GroupingSet is an item of GROUP BY: Kind is "empty", "rollup", "cube" or "sets".
	GroupingSet struct {
		Kind  string
		Items []Expr
		At
	}
	// GroupingCall is GROUPING(…).
	GroupingCall struct {
		Args []Expr
		At
	}
)

// When is one arm of CASE.
type When struct{ Cond, Result Expr }

// SortItem is an item of ORDER BY. NullsFirst and NullsLast are both false when not said.
type SortItem struct {
	Expr       Expr
	Desc       bool
	NullsFirst bool
	NullsLast  bool
	Using      string // operator of ORDER BY … USING, usually ""
}

// Window is OVER (…), OVER name, or an item of the WINDOW clause.
type Window struct {
	Name        string // WINDOW clause: its name; OVER name: the referenced one
	Ref         bool   // OVER name without parentheses
	Base        string // (base …)
	PartitionBy []Expr
	OrderBy     []SortItem
	Frame       *Frame
}

// Frame is a window frame.
type Frame struct {
	Mode               string // "rows", "range", "groups"
	Start, End         string // "unbounded preceding", "offset preceding", "current row", "offset following", "unbounded following"
	StartExpr, EndExpr Expr
	Exclude            string // "", "current row", "group", "ties"
}

// FROM items.
type (
	// Table is a named relation (or a CTE).
	Table struct {
		Name  Name
		Only  bool
		Alias *Alias
		At
	}
	// Join joins two items; Kind is "inner", "left", "right", "full" or "cross".
	Join struct {
		Kind        string
		Natural     bool
		Left, Right TableExpr
		Using       []string
		On          Expr
		Alias       *Alias
	}
	// Derived is a subquery in FROM.
	Derived struct {
		Query   *Select
		Lateral bool
		Alias   *Alias
	}
	// FuncTable is a function in FROM, or several with ROWS FROM.
	FuncTable struct {
		Funcs      []Expr
		Rows       bool // ROWS FROM (…)
		Lateral    bool
		Ordinality bool
		Alias      *Alias
		Columns    []ColumnDef // AS t(a int, b text)
	}
)

// Alias names a FROM item and perhaps its columns.
type Alias struct {
	Name    string
	Columns []string
}

// With is a WITH clause.
type With struct {
	Recursive bool
	CTEs      []CTE
}

// CTE is one common table expression; Materialized is "", "yes" or "no".
type CTE struct {
	Name         string
	Columns      []string
	Query        Statement // Select, Insert, Update or Delete
	Materialized string
}

// Target is an item of a select list or RETURNING.
type Target struct {
	Expr  Expr
	Alias string // "" when not given
}

// Locking is FOR UPDATE and its like; Strength is "update", "no key update", "share"
// or "key share"; Wait is "", "nowait" or "skip locked".
type Locking struct {
	Strength string
	Of       []string
	Wait     string
}

// Select is SELECT, VALUES, TABLE or a set operation of two of them.
type Select struct {
	With       *With
	Distinct   bool
	DistinctOn []Expr
	Targets    []Target
	From       []TableExpr
	Where      Expr
	GroupBy    []Expr
	Having     Expr
	Windows    []Window
	Values     [][]Expr // VALUES lists; then Targets is empty

	SetOp       string // "", "union", "intersect", "except"; then only Left, Right and what follows count
	SetAll      bool
	Left, Right *Select

	OrderBy  []SortItem
	Limit    Expr
	WithTies bool
	Offset   Expr
	Locking  []Locking
	At
}

// Insert is INSERT. Query is nil for DEFAULT VALUES.
type Insert struct {
	With       *With
	Table      *Table
	Columns    []string
	Overriding string // "", "user", "system"
	Query      *Select
	OnConflict *OnConflict
	Returning  []Target
}

// OnConflict is ON CONFLICT.
type OnConflict struct {
	Columns    []Expr // inference
	Where      Expr
	Constraint string
	DoUpdate   bool
	Set        []Assign
	SetWhere   Expr
}

// Assign is column = value, or (a, b) = row when Columns has several.
type Assign struct {
	Columns []string
	Value   Expr
	At      At
}

// Update is UPDATE.
type Update struct {
	With      *With
	Table     *Table
	Set       []Assign
	From      []TableExpr
	Where     Expr
	Returning []Target
}

// Delete is DELETE.
type Delete struct {
	With      *With
	Table     *Table
	Using     []TableExpr
	Where     Expr
	Returning []Target
}

func (*Literal) expr()      {}
func (*Param) expr()        {}
func (*ColumnRef) expr()    {}
func (*FuncCall) expr()     {}
func (*Op) expr()           {}
func (*And) expr()          {}
func (*Or) expr()           {}
func (*Not) expr()          {}
func (*IsNull) expr()       {}
func (*BoolTest) expr()     {}
func (*IsDistinct) expr()   {}
func (*In) expr()           {}
func (*Between) expr()      {}
func (*AnyAll) expr()       {}
func (*Subquery) expr()     {}
func (*Case) expr()         {}
func (*Coalesce) expr()     {}
func (*MinMax) expr()       {}
func (*NullIf) expr()       {}
func (*Cast) expr()         {}
func (*Collate) expr()      {}
func (*ArrayExpr) expr()    {}
func (*RowExpr) expr()      {}
func (*Subscript) expr()    {}
func (*Field) expr()        {}
func (*CurrentValue) expr() {}
func (*Default) expr()      {}
func (*GroupingSet) expr()  {}
func (*GroupingCall) expr() {}

func (*Table) tableExpr()     {}
func (*Join) tableExpr()      {}
func (*Derived) tableExpr()   {}
func (*FuncTable) tableExpr() {}

func (*Select) statement() {}
func (*Insert) statement() {}
func (*Update) statement() {}
func (*Delete) statement() {}
