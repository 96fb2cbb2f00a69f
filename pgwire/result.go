package pgwire

import (
	"io"

	"github.com/heliosdb/helios/types"
)

// resultWriter encodes the results of one SimpleQuery or Execute.
type resultWriter struct {
	*conn
	simple   bool
	columns  []Column
	settings *types.Settings
	finished int // statements ended: Execute must end exactly one
	copyIn   *copyReader
	copyOut  *copyWriter
}

// newResult resets the connection's one writer.
func (c *conn) newResult(simple bool) *resultWriter {
	c.results = resultWriter{conn: c, simple: simple}
	return &c.results
}

// RowDescription sets the columns and, in a simple query, sends them.
func (w *resultWriter) RowDescription(columns []Column) error {
	w.columns, w.settings = columns, w.session.Settings()
	if !w.simple {
		return w.out.err
	}
	return w.out.rowDescription(columns, -1)
}

// DataRow encodes a row into the buffer.
func (w *resultWriter) DataRow(row types.Row) error {
	if len(row) != len(w.columns) {
		return types.Errorf("XX000", "a row of %d values for %d columns", len(row), len(w.columns))
	}
	o := &w.out
	o.begin('D')
	o.int16(int16(len(row)))
	for i := range row {
		if row[i].IsNull() {
			o.int32(-1)
			continue
		}
		at := len(o.buf)
		o.int32(0)
		o.buf = appendValue(o.buf, row[i], &w.columns[i], w.settings)
		patch(o.buf[at:], len(o.buf)-at-4)
	}
	return o.end()
}

// RawDataRow sends encoded values.
func (w *resultWriter) RawDataRow(values [][]byte) error {
	o := &w.out
	o.begin('D')
	o.int16(int16(len(values)))
	for _, v := range values {
		if v == nil {
			o.int32(-1)
			continue
		}
		o.int32(int32(len(v)))
		o.bytes(v)
	}
	return o.end()
}

// CommandComplete ends a statement.
func (w *resultWriter) CommandComplete(tag string) error {
	if err := w.endCopy(); err != nil {
		return err
	}
	w.finished++
	w.columns = nil
	return w.out.commandComplete(tag)
}

// EmptyQuery ends an empty query string.
func (w *resultWriter) EmptyQuery() error { return w.bare('I') }

// Suspended ends an Execute that has rows left.
func (w *resultWriter) Suspended() error { return w.bare('s') }

func (w *resultWriter) bare(kind byte) error {
	w.finished++
	w.out.begin(kind)
	return w.out.end()
}

// finish checks that the Session kept its side of the protocol.
func (w *resultWriter) finish(err error) error {
	w.out.discard()
	if err == nil && !w.simple && w.finished != 1 {
		err = types.Errorf("XX000", "a portal ended %d times", w.finished)
	}
	if err == nil && (w.copyIn != nil || w.copyOut != nil) {
		err = types.Errorf("XX000", "COPY ended without a command tag")
	}
	return err
}

// endCopy finishes the statement's COPY: the rest of the client's data is skipped.
func (w *resultWriter) endCopy() error {
	if in := w.copyIn; in != nil {
		w.copyIn = nil
		if _, err := io.Copy(io.Discard, in); err != nil {
			return err
		}
	}
	if out := w.copyOut; out != nil {
		return out.Close()
	}
	return nil
}

// CopyIn starts COPY FROM STDIN.
func (w *resultWriter) CopyIn(columns int, binary bool) (io.Reader, error) {
	if err := w.startCopy('G', columns, binary); err != nil {
		return nil, err
	}
	w.copyIn = &copyReader{conn: w.conn}
	return w.copyIn, w.out.flush()
}

// CopyOut starts COPY TO STDOUT.
func (w *resultWriter) CopyOut(columns int, binary bool) (io.WriteCloser, error) {
	if err := w.startCopy('H', columns, binary); err != nil {
		return nil, err
	}
	w.copyOut = &copyWriter{result: w}
	return w.copyOut, nil
}

// startCopy sends CopyInResponse or CopyOutResponse.
func (w *resultWriter) startCopy(kind byte, columns int, binary bool) error {
	if w.copyIn != nil || w.copyOut != nil {
		return types.Errorf("XX000", "COPY inside COPY")
	}
	var format int16
	if binary {
		format = formatBinary
	}
	w.out.begin(kind)
	w.out.buf = append(w.out.buf, byte(format))
	w.out.int16(int16(columns))
	for range columns {
		w.out.int16(format)
	}
	return w.out.end()
}
