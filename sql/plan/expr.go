package plan

import (
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/types"
)

// Expr is a typed, resolved expression. It is evaluated over one input row, a frame
// of outer values and the statement's parameters; it is immutable once bound, and
// Map copies what it changes.
type Expr interface {
	// Type is the type of the result.
	Type() types.Type
}

// Leaves.
type (
	// Const is a value known when planning.
	Const struct {
		Value types.Value
		Typ   types.Type
	}
	// Param is $N.
	Param struct {
		N   int
		Typ types.Type
	}
	// Column is a column of the input row; Name serves EXPLAIN alone.
	Column struct {
		Index int
		Typ   types.Type
		Name  string
	}
	// Outer is a value of the frame around the plan: an argument of the SubPlan or the
	// lateral Join that runs it. A value from further out is handed on as an argument
	// of each SubPlan in between.
	Outer struct {
		Index int
		Typ   types.Type
		Name  string
	}
)

// Operations.
type (
	// Call calls a function. Op is the operator's name when it was written as one,
	// with one argument for a prefix operator. Name is a function's qualified name.
	Call struct {
		Fn   *builtin.Func
		Op   string
		Args []Expr
		Typ  types.Type
	}
	// And and Or have at least two arguments.
	And struct{ Args []Expr }
	Or  struct{ Args []Expr }
	Not struct{ Arg Expr }
	// IsNull is IS [NOT] NULL; for a row value every field must be (or not be) null.
	IsNull struct {
		Arg Expr
		Not bool
	}
	// BoolTest is IS [NOT] TRUE, FALSE or UNKNOWN; Test is the word in lower case.
	BoolTest struct {
		Arg  Expr
		Test string
		Not  bool
	}
	// IsDistinct is IS [NOT] DISTINCT FROM; Eq is the equality of the two types.
	IsDistinct struct {
		Left, Right Expr
		Eq          *builtin.Func
		Not         bool
	}
	// Case is CASE WHEN cond THEN result … ELSE … END; the simple form is bound to
	// comparisons. Else nil means NULL.
	Case struct {
		Whens []When
		Else  Expr
		Typ   types.Type
	}
	// Coalesce is COALESCE; MinMax is GREATEST or LEAST over values of one type.
	Coalesce struct {
		Args []Expr
		Typ  types.Type
	}
	MinMax struct {
		Least bool
		Args  []Expr
		Typ   types.Type
	}
	// NullIf is NULLIF(a, b) with the equality Eq.
	NullIf struct {
		Left, Right Expr
		Eq          *builtin.Func
	}
	// AnyAll is left op ANY (array) or ALL (array). [NOT] IN over a list is bound to it.
	AnyAll struct {
		Op          string
		Fn          *builtin.Func
		All         bool
		Left, Array Expr
	}
	// Cast converts to Typ: by the cast function, then to the modifier. Explicit tells
	// how the modifier is enforced and how the cast prints.
	Cast struct {
		Arg      Expr
		Typ      types.Type
		Explicit bool
	}
	// ArrayExpr is ARRAY[…]; Nested when its elements are arrays themselves.
	ArrayExpr struct {
		Elems  []Expr
		Nested bool
		Typ    types.Type
	}
	// Row is ROW(…), a value of type record, or the row of a FROM item: then it is Named,
	// and what sees the value may see the names. OrNull tells that it has a column which is
	// never NULL, so that a row of NULLs is the missing side of an outer join.
	Row struct {
		Fields        []Expr
		Names         []string
		Typ           types.Type
		Named, OrNull bool
	}
	// Subscript is arg[index] or arg[low:high]; bounds may be nil in a slice.
	Subscript struct {
		Arg   Expr
		Index []SubscriptIndex
		Typ   types.Type
	}
	// Field is field number Index of a row value.
	Field struct {
		Arg   Expr
		Index int
		Name  string
		Typ   types.Type
	}
	// SubPlan runs a plan for each input row; Args are evaluated over the input row and
	// become the plan's Outer values. Without Args the result is computed once.
	SubPlan struct {
		Kind SubPlanKind
		Plan Node
		Args []Expr
		// Any and All: Left[i] Ops[i] column i; all must hold together.
		Left []Expr
		Op   string
		Fns  []*builtin.Func
		Typ  types.Type
	}
)

// SubscriptIndex is one pair of brackets; Low is the index when Slice is false.
type SubscriptIndex struct {
	Slice     bool
	Low, High Expr
}

// When is one arm of Case.
type When struct{ Cond, Result Expr }

// SubPlanKind is what becomes of a SubPlan's rows.
type SubPlanKind byte

// Kinds of SubPlan.
const (
	ScalarPlan SubPlanKind = 's' // the one value; NULL without rows; 21000 for several
	ExistsPlan SubPlanKind = 'e' // whether there is a row
	ArrayPlan  SubPlanKind = 'a' // all values as an array
	AnyPlan    SubPlanKind = 'y' // left op ANY (rows)
	AllPlan    SubPlanKind = 'l' // left op ALL (rows)
)

// Placeholders that live only while a query block is being bound.
type (
	// aggRef stands for aggregate number Index of the block.
	aggRef struct {
		Index int
		Typ   types.Type
	}
	// windowRef stands for window function number Index of the block.
	windowRef struct {
		Index int
		Typ   types.Type
	}
	// setRef stands for set-returning function number Index of the select list.
	setRef struct {
		Index int
		Typ   types.Type
	}
)

var boolType = types.T(types.BoolOID)

// Type methods.
func (e *Const) Type() types.Type      { return e.Typ }
func (e *Param) Type() types.Type      { return e.Typ }
func (e *Column) Type() types.Type     { return e.Typ }
func (e *Outer) Type() types.Type      { return e.Typ }
func (e *Call) Type() types.Type       { return e.Typ }
func (e *And) Type() types.Type        { return boolType }
func (e *Or) Type() types.Type         { return boolType }
func (e *Not) Type() types.Type        { return boolType }
func (e *IsNull) Type() types.Type     { return boolType }
func (e *BoolTest) Type() types.Type   { return boolType }
func (e *IsDistinct) Type() types.Type { return boolType }
func (e *Case) Type() types.Type       { return e.Typ }
func (e *Coalesce) Type() types.Type   { return e.Typ }
func (e *MinMax) Type() types.Type     { return e.Typ }
func (e *NullIf) Type() types.Type     { return e.Left.Type() }
func (e *AnyAll) Type() types.Type     { return boolType }
func (e *Cast) Type() types.Type       { return e.Typ }
func (e *ArrayExpr) Type() types.Type  { return e.Typ }
func (e *Row) Type() types.Type        { return e.Typ }
func (e *Subscript) Type() types.Type  { return e.Typ }
func (e *Field) Type() types.Type      { return e.Typ }
func (e *SubPlan) Type() types.Type    { return e.Typ }
func (e *aggRef) Type() types.Type     { return e.Typ }
func (e *windowRef) Type() types.Type  { return e.Typ }
func (e *setRef) Type() types.Type     { return e.Typ }
