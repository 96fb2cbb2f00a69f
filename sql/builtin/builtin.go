// Package builtin holds functions, operators, aggregates and casts under
// PostgreSQL's own OIDs, pgvector's among them, and PostgreSQL's rules for
// choosing one by name and argument types.
//
// What exists is said by the tables in data/, taken from PostgreSQL 15's pg_proc,
// pg_operator and pg_cast; what it does is said by the Go functions of this package.
// An object that exists in PostgreSQL but is not built here takes part in resolution
// and answers 0A000 when chosen, so that no other overload is taken in its stead.
package builtin

import (
	"iter"

	"github.com/heliosdb/helios/types"
)

// Func is a function, aggregate or window function.
type Func struct {
	OID        types.OID
	Name       string
	Args       []types.OID
	ArgNames   []string      // of all parameters, outputs among them; nil if unnamed
	Defaults   []types.Value // of the last parameters
	Variadic   bool          // the last of Args is an array that takes the remaining arguments
	Ret        types.OID
	Columns    []Column // the output columns of a function that returns rows; nil for others
	Strict     bool     // a NULL argument gives NULL without a call
	Volatility byte     // 'i' immutable, 's' stable, 'v' volatile
	SRF        bool     // returns a set
	Kind       byte     // 'f' function, 'a' aggregate, 'w' window

	// Eval computes the value; nil for aggregates, window functions, set-returning
	// functions and what is not built. Arguments are of the types the resolution said.
	Eval func(ctx *Context, args []types.Value) (types.Value, error)
	// typed makes Eval for calls whose argument types matter: those that take "any" or
	// anyelement and print it. Resolution puts it into the call's own copy of the Func.
	typed typedFunc
	// EvalSet gives a set-returning function's rows: one value, or one per column.
	EvalSet func(ctx *Context, args []types.Value) (iter.Seq2[types.Row, error], error)
	// RetType gives the result's type where it is not Ret (polymorphic, or with a modifier).
	RetType func(args []types.Type) types.Type
}

// Column is an output column of a function that returns rows.
type Column struct {
	Name string
	Type types.OID
}

// Operator is an infix or (Left = 0) prefix operator.
type Operator struct {
	OID                 types.OID
	Name                string
	Left, Right, Ret    types.OID
	Fn                  *Func
	Commutator, Negator string
	CanMerge, CanHash   bool
}

// Cast converts between two types.
type Cast struct {
	From, To types.OID
	Context  byte // 'i' implicit, 'a' assignment, 'e' explicit: the weakest context it works in
	// Eval converts a value that is not NULL; nil when the two types share their values.
	// The target's modifier is applied afterwards, by types.Coerce.
	Eval func(ctx *Context, v types.Value) (types.Value, error)
	// Fn is the function that pg_cast names, nil for casts without one.
	Fn *Func
}

// Accumulator is the state of one aggregate over one group.
type Accumulator interface {
	// Add takes one row's arguments. NULL arguments of a strict aggregate are left
	// out by the caller's asking SkipsNull.
	Add(ctx *Context, args []types.Value) error
	// Result gives the aggregate of what was added.
	Result(ctx *Context) (types.Value, error)
}

// Aggregate is an aggregate function and how it is computed over shards.
type Aggregate struct {
	*Func
	// New starts a group, given the types of the call's arguments.
	New func(args []types.Type) Accumulator
	// SkipsNull says that rows with a NULL argument do not count.
	SkipsNull bool
	// Ordered marks the ordered-set aggregates, whose rows come in the order of WITHIN GROUP.
	Ordered bool
	// Split says how shards compute parts of it; nil if all rows must come together.
	Split *Split
}

// Split computes an aggregate in two steps: each shard answers with the aggregates
// named in Partials over the same arguments, and Merge, fed with one row of partial
// results per shard, gives the aggregate itself.
type Split struct {
	Partials []string
	Merge    func(args []types.Type) Accumulator
}

// unsupported is the answer of what PostgreSQL has and Helios has not.
func unsupported(what string) error {
	return types.Errorf("0A000", "%s is not supported", what).
		WithHint("It exists in PostgreSQL, but Helios does not have it yet.")
}
