package pgwire

import (
	"encoding/binary"
	"io"

	"github.com/heliosdb/helios/types"
	"github.com/jackc/pgproto3/v2"
)

const (
	flushSize  = 64 << 10 // a fuller buffer is written even before a flush point
	keepSize   = 1 << 20  // a buffer that grew beyond is given back after the flush
	messageMax = 1 << 30  // no message may be longer, as in PostgreSQL
)

// outbox collects encoded messages in one reused buffer and writes it at flush points.
type outbox struct {
	w     io.Writer
	buf   []byte
	start int   // where the message under construction begins, -1 if there is none
	err   error // the first write error; it stays
}

func newOutbox(w io.Writer) outbox { return outbox{w: w, start: -1} }

// begin starts a message; end patches its length.
func (o *outbox) begin(kind byte) {
	o.start = len(o.buf)
	o.buf = append(o.buf, kind, 0, 0, 0, 0)
}

func (o *outbox) end() error {
	size := len(o.buf) - o.start - 1
	if size > messageMax {
		o.discard()
		return types.Errorf("54000", "message of %d bytes exceeds the protocol's limit of %d", size, messageMax)
	}
	patch(o.buf[o.start+1:], size)
	o.start = -1
	if len(o.buf) >= flushSize {
		return o.flush()
	}
	return o.err
}

// patch writes a length where room was left for it.
func patch(b []byte, n int) { binary.BigEndian.PutUint32(b, uint32(n)) }

// discard drops the message under construction.
func (o *outbox) discard() {
	if o.start >= 0 {
		o.buf, o.start = o.buf[:o.start], -1
	}
}

// message appends a message of pgproto3, for those that are not frequent.
func (o *outbox) message(m pgproto3.BackendMessage) error {
	buf, err := m.Encode(o.buf)
	if err != nil {
		return err
	}
	o.buf = buf
	return o.err
}

func (o *outbox) flush() error {
	if o.err == nil && len(o.buf) > 0 {
		_, o.err = o.w.Write(o.buf)
	}
	if cap(o.buf) > keepSize {
		o.buf = nil
	}
	o.buf = o.buf[:0]
	return o.err
}

func (o *outbox) int16(v int16)  { o.buf = binary.BigEndian.AppendUint16(o.buf, uint16(v)) }
func (o *outbox) int32(v int32)  { o.buf = binary.BigEndian.AppendUint32(o.buf, uint32(v)) }
func (o *outbox) bytes(b []byte) { o.buf = append(o.buf, b...) }

// cstring appends a zero-terminated string, cut at a zero byte of its own.
func (o *outbox) cstring(s string) {
	for i := range len(s) {
		if s[i] == 0 {
			s = s[:i]
			break
		}
	}
	o.buf = append(append(o.buf, s...), 0)
}

// rowDescription describes columns; format overrides theirs unless it is negative.
func (o *outbox) rowDescription(columns []Column, format int16) error {
	o.begin('T')
	o.int16(int16(len(columns)))
	for i := range columns {
		c := &columns[i]
		f := c.Format
		if format >= 0 {
			f = format
		}
		o.cstring(c.Name)
		o.int32(int32(c.Table))
		o.int16(c.Attr)
		o.int32(int32(c.Type.OID))
		o.int16(typeLength(c.Type.OID))
		o.int32(c.Type.Mod)
		o.int16(f)
	}
	return o.end()
}

func (o *outbox) commandComplete(tag string) error {
	o.begin('C')
	o.cstring(tag)
	return o.end()
}

func (o *outbox) readyForQuery(status byte) error {
	o.buf = append(o.buf, 'Z', 0, 0, 0, 5, status)
	return o.flush()
}

func (o *outbox) parameterStatus(p Parameter) error {
	o.begin('S')
	o.cstring(p.Name)
	o.cstring(p.Value)
	return o.end()
}
