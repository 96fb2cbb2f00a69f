package types

import (
	"errors"
	"fmt"
)

// Error is an SQL error: a SQLSTATE, the message, and the optional fields of
// PostgreSQL's ErrorResponse. It becomes a wire message once, in pgwire.
type Error struct {
	Code       string // SQLSTATE, five characters
	Severity   string // "" means ERROR
	Message    string
	Detail     string
	Hint       string
	Position   int // 1-based character position in the statement, 0 if unknown
	Where      string
	Schema     string
	Table      string
	Column     string
	DataType   string
	Constraint string
	Cause      error // not sent to clients
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Unwrap gives the cause, for logs and errors.Is.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an error with a SQLSTATE; a %w verb sets the cause.
func Errorf(code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Cause: errors.Unwrap(err)}
}

// WithHint returns a copy of e with the hint set.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// WithDetail returns a copy of e with the detail set.
func (e *Error) WithDetail(format string, args ...any) *Error {
	c := *e
	c.Detail = fmt.Sprintf(format, args...)
	return &c
}

// At returns a copy of e with the 1-based statement position set, unless it has one.
func (e *Error) At(position int) *Error {
	if e.Position != 0 || position <= 0 {
		return e
	}
	c := *e
	c.Position = position
	return &c
}

// AsError finds the SQL error inside err; any other error becomes XX000.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: "XX000", Message: err.Error(), Cause: err}
}

// CodeOf gives the SQLSTATE of err, "" for nil.
func CodeOf(err error) string {
	if err == nil {
		return ""
	}
	return AsError(err).Code
}
