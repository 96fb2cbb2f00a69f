package pgwire

import (
	"io"

	"github.com/heliosdb/helios/types"
	"github.com/jackc/pgproto3/v2"
)

// copyReader gives the bytes of the client's CopyData messages.
type copyReader struct {
	conn *conn
	left []byte // of the last CopyData
	err  error  // io.EOF after CopyDone; any error stays
}

func (r *copyReader) Read(p []byte) (int, error) {
	for len(r.left) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.left, r.err = r.conn.receiveCopy()
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// receiveCopy reads the next message of a copy: data, io.EOF, or what went wrong. A broken
// connection or protocol is a FATAL error, so that the Session's passing it on ends both.
func (c *conn) receiveCopy() ([]byte, error) {
	message, err := c.receive()
	if err != nil {
		return nil, asFatal(err, "08006", "unexpected EOF on client connection during COPY from stdin")
	}
	switch m := message.(type) {
	case *pgproto3.CopyData:
		return m.Data, nil
	case *pgproto3.CopyDone:
		return nil, io.EOF
	case *pgproto3.CopyFail:
		if err := validText(m.Message); err != nil {
			return nil, err
		}
		return nil, types.Errorf("57014", "COPY from stdin failed: %s", m.Message)
	case *pgproto3.Flush, *pgproto3.Sync:
		return nil, nil // clients may send them in the midst of a copy; PostgreSQL ignores them
	}
	return nil, fatalf("08P01", "unexpected message type 0x%02X during COPY from stdin", c.in.kind)
}

// copyWriter sends CopyData messages.
type copyWriter struct {
	result *resultWriter
	closed bool
}

func (w *copyWriter) Write(p []byte) (int, error) {
	if w.closed {
		return 0, types.Errorf("XX000", "write after the end of COPY")
	}
	o := &w.result.out
	o.begin('d')
	o.bytes(p)
	if err := o.end(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close sends CopyDone, once.
func (w *copyWriter) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	w.result.copyOut = nil
	w.result.out.begin('c')
	return w.result.out.end()
}
