package session

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/types"
)

// copyWriter encodes rows for COPY TO.
type copyWriter struct {
	format     *copyFormat
	columns    []types.Type
	forceQuote []bool
	functions  *builtin.Context
	buf        []byte
}

// header gives the line of column names.
func (w *copyWriter) header(names []string) []byte {
	w.buf = w.buf[:0]
	for i, n := range names {
		if i > 0 {
			w.buf = append(w.buf, w.format.delimiter)
		}
		if w.format.csv {
			w.appendCSV([]byte(n), false, len(names) == 1)
		} else {
			w.appendEscaped([]byte(n))
		}
	}
	w.buf = append(w.buf, '\n')
	return w.buf
}

// row gives the encoded row, valid until the next call.
func (w *copyWriter) row(row types.Row) []byte {
	w.buf = w.buf[:0]
	if w.format.binary {
		return w.binaryRow(row)
	}
	for i, v := range row {
		if i > 0 {
			w.buf = append(w.buf, w.format.delimiter)
		}
		if v.IsNull() {
			w.buf = append(w.buf, w.format.null...)
			continue
		}
		text := w.functions.AppendText(nil, w.columns[i], v)
		if w.format.csv {
			w.appendCSV(text, i < len(w.forceQuote) && w.forceQuote[i], len(row) == 1)
		} else {
			w.appendEscaped(text)
		}
	}
	w.buf = append(w.buf, '\n')
	return w.buf
}

// appendEscaped writes a field of the text format (CopyAttributeOutText).
func (w *copyWriter) appendEscaped(text []byte) {
	for _, c := range text {
		if i := strings.IndexByte("\b\f\n\r\t\v\\", c); i >= 0 {
			w.buf = append(w.buf, '\\', `bfnrtv\`[i])
			continue
		}
		if c == w.format.delimiter {
			w.buf = append(w.buf, '\\')
		}
		w.buf = append(w.buf, c)
	}
}

// appendCSV writes a field of the CSV format (CopyAttributeOutCSV): quoted when it would
// read back as something else. alone tells that it is the line's only field.
func (w *copyWriter) appendCSV(text []byte, force, alone bool) {
	f := w.format
	quote := force || string(text) == f.null || alone && string(text) == `\.` ||
		bytes.ContainsAny(text, "\r\n") || bytes.IndexByte(text, f.delimiter) >= 0 || bytes.IndexByte(text, f.quote) >= 0
	if !quote {
		w.buf = append(w.buf, text...)
		return
	}
	w.buf = append(w.buf, f.quote)
	for _, c := range text {
		if c == f.quote || c == f.escape {
			w.buf = append(w.buf, f.escape)
		}
		w.buf = append(w.buf, c)
	}
	w.buf = append(w.buf, f.quote)
}

// The binary format: https://www.postgresql.org/docs/15/sql-copy.html, "Binary Format".
const (
	copySignature = "PGCOPY\n\xff\r\n\x00"
	copyHeader    = copySignature + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" // no flags, no extension
	copyTrailer   = "\xff\xff"
)

func (w *copyWriter) binaryRow(row types.Row) []byte {
	w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(len(row)))
	for i, v := range row {
		if v.IsNull() {
			w.buf = append(w.buf, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		at := len(w.buf)
		w.buf = append(w.buf, 0, 0, 0, 0)
		w.buf = types.AppendBinary(w.buf, w.columns[i], v)
		binary.BigEndian.PutUint32(w.buf[at:], uint32(len(w.buf)-at-4))
	}
	return w.buf
}
