// Package pgwire speaks the PostgreSQL v3 protocol on the server side: bytes to
// messages and back with every limit; it calls a Session.
//
// One goroutine serves one client: it reads a message, calls the Session, encodes
// what the Session reports into one buffer and writes it at Sync, Flush,
// ReadyForQuery and every ErrorResponse. What the protocol asks of a server is kept
// here once: skipping to Sync after an error, exactly one ReadyForQuery per Sync or
// simple query, the COPY sub-protocol, cancel keys, size and time limits. What the
// words mean is the Session's.
//
// Protocol: https://www.postgresql.org/docs/15/protocol-flow.html and
// protocol-message-formats.html.
package pgwire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"

	"github.com/heliosdb/helios/types"
)

// Session is one client's session. The server calls one method at a time, except
// Cancel, which may come from another goroutine during any other call but never
// after Close was called.
//
// An error becomes an ErrorResponse (types.AsError gives its fields); severity FATAL
// or PANIC ends the connection. The context ends when the connection or the server does.
type Session interface {
	// Parameters are the run-time parameters reported at start: application_name,
	// client_encoding, DateStyle, default_transaction_read_only, in_hot_standby,
	// integer_datetimes, IntervalStyle, is_superuser, server_encoding, server_version,
	// session_authorization, standard_conforming_strings, TimeZone. Later changes go
	// through Client.ParameterStatus.
	Parameters() []Parameter

	// Settings say how values print in text format. They are asked for at each
	// RowDescription and must not change afterwards (hand out a new value instead).
	Settings() *types.Settings

	// SimpleQuery runs a whole query string, several statements perhaps, and reports
	// their results in order. It ends the implicit transaction, if one is open.
	SimpleQuery(ctx context.Context, sql string, w ResultWriter) error

	// Parse prepares a statement; name "" replaces the unnamed one. An OID of 0 leaves
	// the parameter's type to inference.
	Parse(ctx context.Context, name, sql string, paramTypes []types.OID) error

	// Bind makes a portal; name "" replaces the unnamed one. Formats hold 0, 1 or as many
	// codes as there are values (0 text, 1 binary) and are checked by the Session, which
	// knows the counts. A nil parameter is NULL. The Session owns the parameters' bytes.
	Bind(ctx context.Context, portal, statement string, paramFormats []int16, params [][]byte, resultFormats []int16) error

	// DescribeStatement gives parameter types and result columns without executing;
	// columns are nil if the statement returns no rows.
	DescribeStatement(ctx context.Context, name string) (params []types.OID, columns []Column, err error)

	// DescribePortal gives the result columns with the portal's formats, nil if it returns no rows.
	DescribePortal(ctx context.Context, name string) (columns []Column, err error)

	// Execute runs a portal, or goes on with a suspended one. It reports at most maxRows
	// rows (0: all), then exactly one of CommandComplete, EmptyQuery and Suspended. With
	// last nothing but Sync follows in the group: the client's next message has come already.
	Execute(ctx context.Context, portal string, maxRows int, last bool, w ResultWriter) error

	// CloseStatement and ClosePortal forget a name; an unknown one is no error.
	CloseStatement(ctx context.Context, name string) error
	ClosePortal(ctx context.Context, name string) error

	// Sync ends an extended-query group: it commits the implicit transaction, or rolls it
	// back if the group failed (Fail was called).
	Sync(ctx context.Context) error

	// Fail tells the Session that the running group of messages has failed with an error the
	// server found itself (a protocol rule broken, bytes that are no UTF-8): the transaction
	// is to be treated as after any other error.
	Fail(err *types.Error)

	// TxStatus is sent with ReadyForQuery: 'I' idle, 'T' in a transaction block, 'E' in a failed one.
	TxStatus() byte

	// Cancel asks the running call to end soon with 57014. Without one it does nothing.
	Cancel()

	// Close rolls back what is open and frees everything. It is the last call.
	Close()
}

// Client is what a Session may do to its client at any time during its calls;
// Terminate alone may also be called from other goroutines and between calls.
type Client interface {
	// Notice sends a NoticeResponse; an empty severity means NOTICE.
	Notice(notice *types.Error)

	// ParameterStatus reports a changed run-time parameter; it is sent before the next ReadyForQuery.
	ParameterStatus(name, value string)

	// Terminate ends the connection with err as a FATAL error, once the running call has
	// returned, whose context it cancels.
	Terminate(err *types.Error)
}

// ResultWriter receives the results of SimpleQuery and Execute. It is valid during that
// call only and copies what it is given. Its errors say that the client is gone or that a
// value has no such format; the Session passes them on.
type ResultWriter interface {
	Client

	// RowDescription begins a result with rows: it sets the columns that DataRow encodes.
	// During Execute nothing is sent, because the client has asked by Describe.
	RowDescription(columns []Column) error

	// DataRow encodes a row by the columns' types and formats.
	DataRow(row types.Row) error

	// RawDataRow sends a row whose values are encoded already; nil is NULL.
	RawDataRow(values [][]byte) error

	// CommandComplete ends a statement with its tag, "SELECT 3" for example.
	CommandComplete(tag string) error

	// EmptyQuery ends a query string (or portal) that holds no statement.
	EmptyQuery() error

	// Suspended ends an Execute that reached maxRows with rows left.
	Suspended() error

	// CopyIn starts COPY FROM STDIN. The reader gives the client's bytes, message borders
	// gone; io.EOF at CopyDone, 57014 after CopyFail. CommandComplete skips what is left.
	CopyIn(columns int, binary bool) (io.Reader, error)

	// CopyOut starts COPY TO STDOUT. Each Write is one CopyData message (a row, by custom);
	// Close sends CopyDone and comes before CommandComplete.
	CopyOut(columns int, binary bool) (io.WriteCloser, error)
}

// Column describes one column of a result.
type Column struct {
	Name   string
	Type   types.Type
	Format int16     // 0 text, 1 binary
	Table  types.OID // the column's table, 0 if it is an expression
	Attr   int16     // its attribute number there, 0 if it is an expression
}

// Parameter is a run-time parameter and its value.
type Parameter struct{ Name, Value string }

// ConnInfo says who is connecting.
type ConnInfo struct {
	PID      uint32 // the process id given to the client for CancelRequest
	User     string
	Database string // the user's name if the client named none

	// Settings are the run-time parameters the client asked for, those of "options"
	// first; a later one wins. The Session checks them.
	Settings []Parameter

	Remote net.Addr

	// TLS and Endpoint are nil on a plain connection; Endpoint is the certificate that
	// this server showed (for tls-server-end-point channel binding).
	TLS      *tls.ConnectionState
	Endpoint *x509.Certificate
}

// Authenticator says who may come in.
type Authenticator interface {
	// Begin starts an exchange with a client. A nil Exchange lets it in at once (by its
	// certificate, for example). An error refuses it: 28P01 unless it is a types.Error.
	// Unknown users get an Exchange that fails like a wrong password.
	Begin(ctx context.Context, info *ConnInfo) (Exchange, error)
}

// Exchange is one SASL conversation (RFC 4422), the server's side.
type Exchange interface {
	// Mechanisms are offered to the client, best first.
	Mechanisms() []string

	// Step answers the client's message; mechanism is the one the client has chosen. When
	// done, the reply is the server's last word and the client is who it says. An error
	// ends the exchange: 28P01 unless it is a types.Error.
	Step(mechanism string, message []byte) (reply []byte, done bool, err error)
}
