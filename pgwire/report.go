package pgwire

import (
	"strings"

	"github.com/heliosdb/helios/types"
	"github.com/jackc/pgproto3/v2"
)

// errorResponse turns an SQL error into its message; severity stands for an empty one.
func errorResponse(e *types.Error, severity, code string) *pgproto3.ErrorResponse {
	if e.Severity != "" {
		severity = e.Severity
	}
	if e.Code != "" {
		code = e.Code
	}
	return &pgproto3.ErrorResponse{
		Severity:            severity,
		SeverityUnlocalized: severity,
		Code:                code,
		Message:             clean(e.Message),
		Detail:              clean(e.Detail),
		Hint:                clean(e.Hint),
		Position:            int32(e.Position),
		Where:               clean(e.Where),
		SchemaName:          clean(e.Schema),
		TableName:           clean(e.Table),
		ColumnName:          clean(e.Column),
		DataTypeName:        clean(e.DataType),
		ConstraintName:      clean(e.Constraint),
	}
}

// clean makes a text fit for the protocol: UTF-8 without zero bytes.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}

// isFatal tells whether an error ends the connection.
func isFatal(e *types.Error) bool { return e.Severity == "FATAL" || e.Severity == "PANIC" }

// fatalf makes an error that ends the connection.
func fatalf(code, format string, args ...any) *types.Error {
	e := types.Errorf(code, format, args...)
	e.Severity = "FATAL"
	return e
}
