// Package exec runs plans: operators that pull batches of rows from a Source, with
// expressions compiled to closures. It knows no storage and no network.
package exec

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// Rows is a stream of rows in batches.
type Rows interface {
	// Next gives the next batch, at least one row, or io.EOF at the end. A row stays
	// valid and unchanged for ever; the slice that holds the batch until the next call.
	Next(ctx context.Context) ([]types.Row, error)
	// Close frees what the stream holds; it may be called more than once, and before
	// the end.
	Close() error
}

// Source gives and takes rows: a shard's storage, a router's shards, or virtual tables.
// Errors carry a SQLSTATE. What a method returns is used by one goroutine.
type Source interface {
	// Scan reads a table at the statement's snapshot. The rows have the scan's columns
	// and satisfy its Filter (CompileFilter makes the test).
	Scan(ctx context.Context, env *Env, s *plan.Scan) (Rows, error)
	// Gather runs a fragment on shards (routers only). Rows come merged by
	// g.MergeKeys when there are any. A writing fragment without RETURNING gives one
	// row per shard: a bigint, the rows written.
	Gather(ctx context.Context, env *Env, g *plan.Gather) (Rows, error)
	// Insert writes new rows (of the whole relation, checked). The result has one entry
	// per row: the row as stored, or nil when ON CONFLICT left it out. conflict is not
	// nil for DO UPDATE: called with the existing row and the proposed one, it gives
	// the row to store in its place, or nil to leave the existing one.
	Insert(ctx context.Context, env *Env, n *plan.Insert, rows []types.Row, conflict Conflict) ([]types.Row, error)
	// Update replaces rows, locking them first. A row changed by another since the
	// snapshot restarts the statement or fails, as the isolation level says. The result
	// has one entry per change: whether the row was still there.
	Update(ctx context.Context, env *Env, n *plan.Update, changes []Change) ([]bool, error)
	// Delete deletes rows; New is nil in the changes. Otherwise as Update.
	Delete(ctx context.Context, env *Env, n *plan.Delete, changes []Change) ([]bool, error)
	// Lock locks the rows that a batch carries and gives those to pass on: all, but for
	// SKIP LOCKED.
	Lock(ctx context.Context, env *Env, n *plan.Lock, rows []types.Row) ([]types.Row, error)
}

// Conflict decides what ON CONFLICT DO UPDATE stores; nil leaves the existing row.
type Conflict func(existing, proposed types.Row) (types.Row, error)

// Change is a row to update or delete: whole rows of the relation. Slot is the slot or
// cell in which the old row was found.
type Change struct {
	Old, New types.Row
	Slot     int32
}

// Env is what a statement runs with. One Env serves one run.
type Env struct {
	Params  []types.Value // $1… in the types of the query
	Builtin *builtin.Context
	Source  Source
	// MemoryLimit bounds the bytes that sorts, groups, joins and results of sub-plans
	// hold together; 0 means no limit. Over it a statement fails with 53200.
	MemoryLimit int64

	run   *run
	frame types.Row // outer values of the plan being run
	ctes  *cteFrame
	work  *workFrame
}

// run is what all operators of a statement share.
type run struct {
	ctx      context.Context
	memory   atomic.Int64
	compiled map[compiledKey]evaluator
	cached   map[plan.Node]*rowCache
	inits    []*plan.SubPlan // of the plan's InitPlans
	once     bool            // what is being compiled is evaluated once
	affected int64
}

// Result is a statement under way: its rows, and what it did once they are read.
type Result struct {
	Rows    Rows // empty for a statement without rows; always to be read to its end
	Columns []plan.ResultColumn
	kind    string
	rows    int64
	writes  *int64
}

// Count is the number of rows given or written so far: final after Rows came to its end.
func (r *Result) Count() int64 {
	if r.kind == "SELECT" || r.writes == nil {
		return r.rows
	}
	return *r.writes
}

// Tag is the command tag, such as "SELECT 3" or "INSERT 0 1".
func (r *Result) Tag() string {
	n := itoa(r.Count())
	if r.kind == "INSERT" {
		return "INSERT 0 " + n
	}
	return r.kind + " " + n
}

// Run starts a query. A writing statement has done all its work when Run returns, even
// if RETURNING rows are still to be read.
func Run(ctx context.Context, q *plan.Query, env *Env) (*Result, error) {
	if len(env.Params) < len(q.ParamTypes) {
		return nil, types.Errorf("08P01", "bind message supplies %d parameters, but the statement requires %d",
			len(env.Params), len(q.ParamTypes))
	}
	e := env.start(ctx)
	rows, err := e.open(q.Root)
	if err != nil {
		return nil, err
	}
	res := &Result{Columns: q.Columns, kind: q.Kind}
	res.Rows = &countedRows{Rows: rows, count: &res.rows}
	if q.Kind != "SELECT" {
		res.writes = &e.run.affected
		all, err := drain(ctx, e, rows)
		if err != nil {
			return nil, err
		}
		if q.Columns == nil {
			all = nil
		}
		res.Rows = &countedRows{Rows: sliceRows(all), count: &res.rows}
	}
	return res, nil
}

// start gives a copy of env with the state of one run.
func (env *Env) start(ctx context.Context) *Env {
	e := *env
	if e.Builtin == nil {
		e.Builtin = &builtin.Context{}
	}
	if e.Builtin.Ctx == nil {
		own := *e.Builtin
		own.Ctx = ctx // so that a cancelled statement ends inside a long function
		e.Builtin = &own
	}
	e.run = &run{ctx: ctx, compiled: make(map[compiledKey]evaluator), cached: make(map[plan.Node]*rowCache)}
	return &e
}

// inFrame gives the environment of a sub-plan whose outer values are frame.
func (env *Env) inFrame(frame types.Row) *Env {
	e := *env
	e.frame = frame
	return &e
}

// countedRows counts the rows it passes on.
type countedRows struct {
	Rows
	count *int64
}

func (r *countedRows) Next(ctx context.Context) ([]types.Row, error) {
	batch, err := r.Rows.Next(ctx)
	*r.count += int64(len(batch))
	return batch, err
}

// EvalConst evaluates an expression that reads no row: constants, parameters and what
// is made of them, such as the bounds of an Access or the key of a Route.
func EvalConst(ctx context.Context, e plan.Expr, env *Env) (types.Value, error) {
	if env.run == nil {
		env = env.start(ctx)
	}
	if c, ok := e.(*plan.Const); ok {
		return c.Value, nil
	}
	f, err := env.compile(e)
	if err != nil {
		return types.Null, err
	}
	return f(env, nil)
}

// CompileFilter makes the test of a condition over rows: true only when it is true
// (not NULL). A nil condition lets every row pass.
func CompileFilter(ctx context.Context, cond plan.Expr, env *Env) (func(types.Row) (bool, error), error) {
	if env.run == nil {
		env = env.start(ctx)
	}
	if cond == nil {
		return func(types.Row) (bool, error) { return true, nil }, nil
	}
	f, err := env.compile(cond)
	if err != nil {
		return nil, err
	}
	return func(row types.Row) (bool, error) {
		v, err := f(env, row)
		return v.IsTrue(), err
	}, nil
}

// CompileExpr makes the evaluation of an expression over rows.
func CompileExpr(ctx context.Context, e plan.Expr, env *Env) (func(types.Row) (types.Value, error), error) {
	if env.run == nil {
		env = env.start(ctx)
	}
	f, err := env.compile(e)
	if err != nil {
		return nil, err
	}
	return func(row types.Row) (types.Value, error) { return f(env, row) }, nil
}

// drain reads a stream to its end, counting its memory, and closes it.
func drain(ctx context.Context, env *Env, rows Rows) (out []types.Row, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for {
		batch, err := rows.Next(ctx)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if err := env.grow(rowsSize(batch)); err != nil {
			return nil, err
		}
		out = append(out, batch...)
	}
}
