package session

import (
	"context"
	"errors"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// Engine is one database as a session sees it: a shard or a router. All methods may be
// called by many sessions at once. Errors are *types.Error or become XX000; whatever can be
// retried behind the client's back (a stale map, a newer version met) the engine has retried
// already.
type Engine interface {
	// Catalog is the newest committed catalog, pg_catalog and information_schema included.
	Catalog() *catalog.Catalog

	// Begin starts a transaction. It touches nothing until the first statement.
	Begin(ctx context.Context, o TxOptions) (Tx, error)

	// CommitPrepared and RollbackPrepared end a prepared transaction: 42704 for an unknown gid.
	CommitPrepared(ctx context.Context, info *Info, gid string) error
	RollbackPrepared(ctx context.Context, info *Info, gid string) error

	// Functions are the functions the engine adds to the built-in ones: nextval and its
	// like, schema helios. The slice is read only and does not change.
	Functions() []*builtin.Func

	// Forget frees what the engine keeps for a session: at its end, or for DISCARD.
	Forget(ctx context.Context, info *Info, what Forget)

	// Lookup answers the catalog questions of built-in functions (regclass, pg_get_expr …)
	// over a catalog value; pgcatalog.Lookup is the usual answer.
	Lookup(cat *catalog.Catalog, info *Info) builtin.Catalog

	// Call runs CALL name(args) outside any transaction block; it reports progress through
	// info.Notice. The result is nil unless the procedure returns a row. 42883 if there is
	// no such procedure.
	Call(ctx context.Context, info *Info, name sql.Name, args []Arg) (*exec.Result, error)

	// Setting offers a SET of a name that starts with "helios." or that the session does not
	// know to the engine. Handled says that the engine has taken it: it is in force at once,
	// outside the transaction (helios.ctx, helios.commit), and the session stores nothing.
	// An error refuses it.
	Setting(ctx context.Context, info *Info, name, value string) (handled bool, err error)
}

// Forget says what an Engine frees of a session.
type Forget uint8

// Kinds of state that engines keep.
const (
	ForgetSequences Forget = iota // currval and cached values of sequences
	ForgetTemp                    // temporary tables
	ForgetAll                     // both, and session-level advisory locks
)

// Arg is an argument of CALL; Name is "" for a positional one.
type Arg struct {
	Name  string
	Type  types.Type
	Value types.Value
}

// TxOptions say how a transaction begins.
type TxOptions struct {
	Isolation Isolation
	ReadOnly  bool
	Implicit  bool // no BEGIN was given: it ends with the statement, query string or Sync
	Alone     bool // implicit, and certainly of one statement: a write may commit by itself
	Info      *Info
}

// Reporter is an Engine that has parameters of its own to report when a session starts.
type Reporter interface {
	// Report gives names and values.
	Report(info *Info) [][2]string
}

// Renewer is an Engine whose Catalog may lag behind the newest committed one: a name that
// is not found is looked for again after Renew.
type Renewer interface {
	// Renew brings the catalog up to date and tells whether that changed it.
	Renew(ctx context.Context) (changed bool, err error)
}

// Replan is what Tx.Query answers when the plan was made for a catalog that is not the
// newest any more and Catalog gives another one now: nothing was done, and the session
// plans the statement again. cause is what a client hears if that does not help.
func Replan(cause error) error { return &replan{cause} }

// WantsReplan tells whether an error is one of Replan.
func WantsReplan(err error) bool {
	var r *replan
	return errors.As(err, &r)
}

type replan struct{ cause error }

func (r *replan) Error() string { return "the plan is out of date: " + r.cause.Error() }

func (r *replan) Unwrap() error { return r.cause }

// replans bounds how often a statement is planned again.
const replans = 10

// Isolation is a transaction isolation level. READ UNCOMMITTED is ReadCommitted;
// SERIALIZABLE never reaches an engine.
type Isolation uint8

// Isolation levels.
const (
	ReadCommitted Isolation = iota
	RepeatableRead
)

// String spells the level as SHOW transaction_isolation does.
func (i Isolation) String() string {
	if i == RepeatableRead {
		return "repeatable read"
	}
	return "read committed"
}

// Tx is one transaction. Its methods are called one at a time. After Commit, Rollback or
// Prepare returned, whatever they returned, it is over. After any other error the session
// calls Rollback, or RollbackTo a savepoint made before.
type Tx interface {
	// Catalog is the catalog as this transaction sees it, its own DDL included.
	Catalog() *catalog.Catalog

	// Query takes the statement's snapshot and runs a plan made against Catalog(). Rows stream
	// from the result until it is closed; several results of one transaction may be open at a
	// time (portals, cursors), each at its own statement's snapshot.
	Query(ctx context.Context, q *plan.Query, env *exec.Env) (*exec.Result, error)

	// EndStatement tells that a statement has ended, well when err is nil. What its rows need
	// (their snapshot) is freed by closing them, which comes before.
	EndStatement(err error)

	// DDL runs a statement that changes the catalog and gives its command tag.
	DDL(ctx context.Context, stmt sql.Statement, env *exec.Env) (tag string, err error)

	// CopyIn opens a table for COPY FROM; cols are the numbers of the columns that each row
	// holds, in order. Defaults, constraints and placement are the engine's work.
	CopyIn(ctx context.Context, rel *catalog.Relation, cols []int16, env *exec.Env) (RowSink, error)

	// Lock is LOCK TABLE; mode is PostgreSQL's, "access share" to "access exclusive". 55P03
	// when noWait and another holds it.
	Lock(ctx context.Context, rel *catalog.Relation, mode string, noWait bool) error

	Savepoint(ctx context.Context, name string) error
	RollbackTo(ctx context.Context, name string) error // the newest of that name, which stays
	Release(ctx context.Context, name string) error

	Commit(ctx context.Context) error
	Rollback(ctx context.Context) error
	Prepare(ctx context.Context, gid string) error

	// Explain gives the lines of EXPLAIN for a plan; with analyze it runs it first.
	Explain(ctx context.Context, q *plan.Query, analyze bool, env *exec.Env) ([]string, error)
}

// RowSink takes the rows of COPY FROM. Rows must not be changed after Write; Write keeps
// none of the slices themselves beyond the call unless it copies them.
type RowSink interface {
	// Write adds rows, each with the columns CopyIn was asked for, of the columns' types. An
	// error may concern any row written so far.
	Write(ctx context.Context, rows []types.Row) error

	// Close ends the COPY and gives the number of rows stored. It is not called when the COPY
	// has failed: nothing may be written then that Write has kept back.
	Close(ctx context.Context) (rows int64, err error)
}
