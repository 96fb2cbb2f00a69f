package pgwire

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"
)

// FuzzStream feeds a server everything a client may send, from the first byte on. Nothing
// may panic, every session must be closed, and the answer must be whole messages.
func FuzzStream(f *testing.F) {
	startup := unhex(f, "00000012 00030000 'user' 00 'ada' 00 00")
	for _, seed := range []string{
		"51 0000000d 'select~1' 00",
		"50 0000000f 00 'select~$1' 00 0000 42 0000000f 00 00 0000 0001 00000001 'x' 0000 44 00000006 'P' 00 45 00000009 00 00000000 53 00000004",
		"51 0000000c 'copy~in' 00 64 00000006 'a' 0a 63 00000004",
		"51 0000000d 'copy~out' 00 51 0000000e 'copy~quit' 00 66 00000007 'no' 00",
		"42 00000010 00 00 0000 0001 fffffffe 0000",
		"46 00000012 00000001 0000 0001 fffffffe 0000",
		"70 00000008 00000000 48 00000004 58 00000004",
	} {
		f.Add(append(bytes.Clone(startup), unhex(f, seed)...))
	}
	f.Add(unhex(f, "00000008 04d2162f 00000008 04d21630 00000010 04d2162e 00000001 00000002"))
	f.Fuzz(func(t *testing.T, input []byte) {
		if bytes.Contains(input, []byte("panic")) || bytes.Contains(input, []byte("hang")) {
			t.Skip("the toy would do so")
		}
		server, count := newToyServer(t, func(o *Options) {
			o.Limits.MessageBytes = 1 << 16
			o.ForwardCancel = func(context.Context, uint32, uint32) {} // no pause after a wrong key
			o.Node = NodeMax
		})
		conn := &recording{in: bytes.NewReader(input)}
		server.welcome(conn)
		server.done.Wait()
		if s := server.Status(); s.Panics != 0 || s.Conns != 0 || s.Strangers != 0 || count.open != 0 {
			t.Errorf("status %+v, %d sessions open", s, count.open)
		}
		checkMessages(t, conn.out.Bytes())
	})
}

// checkMessages reads what the server sent: single bytes that decline encryption, then
// messages whose lengths add up.
func checkMessages(t *testing.T, out []byte) {
	out = bytes.TrimLeft(out, "N") // no NoticeResponse comes first
	for len(out) > 0 {
		if len(out) < 5 {
			t.Fatalf("%d bytes at the end of the answer", len(out))
		}
		size := int(binary.BigEndian.Uint32(out[1:])) + 1
		if size < 5 || size > len(out) {
			t.Fatalf("message %c of %d bytes, %d are left", out[0], size, len(out))
		}
		out = out[size:]
	}
}

// recording is a connection whose input is given and whose output is kept.
type recording struct {
	in  io.Reader
	out bytes.Buffer
}

func (r *recording) Read(p []byte) (int, error)       { return r.in.Read(p) }
func (r *recording) Write(p []byte) (int, error)      { return r.out.Write(p) }
func (r *recording) Close() error                     { return nil }
func (r *recording) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "here"} }
func (r *recording) RemoteAddr() net.Addr             { return &net.UnixAddr{Name: "there"} }
func (r *recording) SetDeadline(time.Time) error      { return nil }
func (r *recording) SetReadDeadline(time.Time) error  { return nil }
func (r *recording) SetWriteDeadline(time.Time) error { return nil }
