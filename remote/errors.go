package remote

import (
	"context"
	"errors"
	"fmt"

	"github.com/heliosdb/helios/types"
	"github.com/jackc/pgx/v5/pgconn"
)

// unsent marks the cause of an error that came before anything was sent.
type unsent struct{ error }

func (u unsent) Unwrap() error { return u.error }

// notSent marks e: what was asked did certainly not happen.
func notSent(e *types.Error) *types.Error {
	c := *e
	cause := e.Cause
	if cause == nil {
		cause = errors.New(e.Message)
	}
	c.Cause = unsent{cause}
	return &c
}

// NotSent tells whether err came before anything was sent, so that trying again, even on
// another node, cannot do a thing twice.
func NotSent(err error) bool {
	var u unsent
	return errors.As(err, &u)
}

// Lost tells whether the connection broke after something was sent: whether it was done is unknown.
func Lost(err error) bool { return types.CodeOf(err) == "08006" && !NotSent(err) }

// ended says that a context ended.
func ended(ctx context.Context) *types.Error {
	return types.Errorf("57014", "canceling statement: %w", context.Cause(ctx))
}

// asError turns any error of pgconn into an SQL error.
func asError(ctx context.Context, addr string, err error) *types.Error {
	var e *types.Error
	if errors.As(err, &e) {
		return e
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fromServer(pg)
	}
	if ctx.Err() != nil {
		e = ended(ctx)
	} else {
		e = types.Errorf("08006", "connection to %s lost: %w", addr, err)
	}
	// A closed connection is reported as if nothing had been sent even when it closed while
	// an answer was awaited: pgconn then forgets the FATAL error that came before.
	if pgconn.SafeToRetry(err) && !errors.Is(err, pgconn.ErrConnClosed) {
		return notSent(e)
	}
	return e
}

// connectError turns the failure to connect into an SQL error.
func connectError(ctx context.Context, addr string, err error) *types.Error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fromServer(pg)
	}
	if ctx.Err() != nil {
		return ended(ctx)
	}
	// The error without pgconn's prefix, which names the user and database of the router.
	var inner *pgconn.ConnectError
	if errors.As(err, &inner) {
		err = inner.Unwrap()
	}
	return types.Errorf("08001", "cannot connect to %s: %w", addr, err)
}

// fromServer takes over all fields of an ErrorResponse or NoticeResponse.
func fromServer(e *pgconn.PgError) *types.Error {
	severity := e.SeverityUnlocalized
	if severity == "" {
		severity = e.Severity
	}
	switch severity {
	case "ERROR", "FATAL", "PANIC": // it ended the connection to the node, not the client's
		severity = ""
	}
	return &types.Error{
		Code: e.Code, Severity: severity, Message: e.Message, Detail: e.Detail, Hint: e.Hint,
		Position: int(e.Position), Where: e.Where, Schema: e.SchemaName, Table: e.TableName,
		Column: e.ColumnName, DataType: e.DataTypeName, Constraint: e.ConstraintName,
		Cause: fmt.Errorf("from the shard: %w", e),
	}
}
