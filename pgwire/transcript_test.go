package pgwire

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/jackc/pgproto3/v2"
)

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// TestTranscripts plays testdata/*: each directive sends its input, a message per line,
// and prints what the server answers until it waits for more.
//
//	connect [parameters] [name=…] [user=…]   a new connection and its startup packet
//	raw                                      a new connection; the lines are bytes in hexadecimal,
//	                                         after "packet" they get their length in front
//	send                                     messages, as message below reads them
//	wait seconds=N                           time passes
//	cancel [wrong]                           a CancelRequest for the current connection
//	close [name=…]                           the client hangs up
//	stop                                     the server does
//	status                                   the server's counts
//
// Everything happens in a bubble of synctest, so "waits for more" is exact.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts (%v)", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { playTranscript(t, file) })
		})
	}
}

func playTranscript(t *testing.T, file string) {
	l := newPipeListener()
	server, count := newToyServer(t, func(o *Options) {
		o.Limits = Limits{Conns: 4, Reserved: 1, Strangers: 3, MessageBytes: 4096}
		o.Superuser = func(user string) bool { return user == "root" }
	})
	go server.Serve(t.Context(), l)
	clients := make(map[string]*client)
	var c *client
	datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
		name := "1"
		d.MaybeScanArgs(t, "name", &name)
		switch d.Cmd {
		case "connect":
			c = dial(t, l)
			clients[name] = c
			c.startup(d)
		case "raw":
			c = dial(t, l)
			clients[name] = c
			c.raw = true
			for line := range strings.Lines(d.Input) {
				if rest, ok := strings.CutPrefix(line, "packet "); ok {
					c.write(frame(nil, unhex(t, rest)))
				} else {
					c.write(unhex(t, line))
				}
			}
		case "send":
			if d.HasArg("name") {
				c = clients[name]
			}
			for line := range strings.Lines(d.Input) {
				c.write(message(t, strings.TrimSuffix(line, "\n")))
			}
		case "wait":
			var seconds int
			d.ScanArgs(t, "seconds", &seconds)
			time.Sleep(time.Duration(seconds) * time.Second)
		case "cancel":
			key := c.key
			if d.HasArg("wrong") {
				key.SecretKey++
			}
			canceller := dial(t, l)
			canceller.write(encode(t, &pgproto3.CancelRequest{ProcessID: key.ProcessID, SecretKey: key.SecretKey}))
		case "close":
			if d.HasArg("name") {
				c = clients[name]
			}
			c.conn.Close()
		case "stop":
			server.Close()
		case "status":
			synctest.Wait()
			s := server.Status()
			return fmt.Sprintf("conns %d, strangers %d, refused %d, panics %d, sessions %d",
				s.Conns, s.Strangers, s.Refused, s.Panics, count.open)
		default:
			t.Fatalf("unknown directive %q", d.Cmd)
		}
		synctest.Wait()
		return c.heard()
	})
	server.Close()
	for _, c := range clients {
		c.conn.Close()
	}
	if count.open != 0 {
		t.Errorf("%d sessions were never closed", count.open)
	}
}

// client is the test's end of a connection. What the server sends is decoded by a
// goroutine as it comes; what the test sends is written by another.
type client struct {
	t          *testing.T
	conn       net.Conn
	out        chan []byte
	raw        bool // what comes may be single bytes
	parameters bool // print those reported at the start
	key        pgproto3.BackendKeyData

	mu  sync.Mutex
	log []string
}

func dial(t *testing.T, l *pipeListener) *client {
	c := &client{t: t, conn: l.dial(), out: make(chan []byte, 100)}
	go func() {
		for b := range c.out {
			if _, err := c.conn.Write(b); err != nil {
				return
			}
		}
	}()
	go c.listen()
	t.Cleanup(func() { close(c.out); c.conn.Close() })
	return c
}

func (c *client) write(b []byte) { c.out <- b }

func (c *client) heard() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.log = nil }()
	return strings.Join(c.log, "\n")
}

func (c *client) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, fmt.Sprintf(format, args...))
}

// listen prints the server's messages. They are split by hand: only so are
// NegotiateProtocolVersion and broken messages seen as they are.
func (c *client) listen() {
	for {
		header := make([]byte, 5)
		if n, err := io.ReadFull(c.conn, header[:1]); n == 0 {
			c.hungUp(err)
			return
		}
		if c.raw && (header[0] == 'N' || header[0] == 'S') {
			c.say("byte %c", header[0])
			continue
		}
		c.raw = false
		if _, err := io.ReadFull(c.conn, header[1:]); err != nil {
			c.hungUp(err)
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(header[1:])-4)
		if _, err := io.ReadFull(c.conn, body); err != nil {
			c.hungUp(err)
			return
		}
		if line := c.show(header[0], body); line != "" {
			c.say("%s", line)
		}
	}
}

func (c *client) hungUp(err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
		c.say("closed")
		return
	}
	c.say("broken: %v", err)
}

// show prints one message of the server.
func (c *client) show(kind byte, body []byte) string {
	switch kind {
	case 'R':
		return fmt.Sprintf("Authentication %d", binary.BigEndian.Uint32(body))
	case 'K':
		c.key.Decode(body)
		return "BackendKeyData"
	case 'S':
		var m pgproto3.ParameterStatus
		m.Decode(body)
		if c.key.ProcessID == 0 && !c.parameters {
			return ""
		}
		return fmt.Sprintf("ParameterStatus %s=%s", m.Name, m.Value)
	case 'Z':
		return fmt.Sprintf("ReadyForQuery %c", body[0])
	case 'T':
		var m pgproto3.RowDescription
		m.Decode(body)
		var fields []string
		for _, f := range m.Fields {
			fields = append(fields, fmt.Sprintf("%s:%d(%d):%d", f.Name, f.DataTypeOID, f.DataTypeSize, f.Format))
		}
		return "RowDescription " + strings.Join(fields, " ")
	case 'D':
		var m pgproto3.DataRow
		m.Decode(body)
		var values []string
		for _, v := range m.Values {
			if v == nil {
				values = append(values, "NULL")
			} else {
				values = append(values, strconv.Quote(string(v)))
			}
		}
		return "DataRow " + strings.Join(values, " ")
	case 'E', 'N':
		return showError(kind, body)
	case 'C':
		return "CommandComplete " + string(body[:len(body)-1])
	case 't':
		return fmt.Sprintf("ParameterDescription %x", body)
	case 'G', 'H':
		return fmt.Sprintf("Copy%s format %d, %d columns", map[byte]string{'G': "In", 'H': "Out"}[kind], body[0], binary.BigEndian.Uint16(body[1:]))
	case 'd':
		return fmt.Sprintf("CopyData %q", body)
	case 'v':
		names := strings.Split(strings.TrimSuffix(string(body[8:]), "\x00"), "\x00")
		return fmt.Sprintf("NegotiateProtocolVersion %d.%d %q", body[1], binary.BigEndian.Uint16(body[2:]), names)
	}
	name, ok := map[byte]string{
		'1': "ParseComplete", '2': "BindComplete", '3': "CloseComplete", 'n': "NoData",
		's': "PortalSuspended", 'I': "EmptyQueryResponse", 'c': "CopyDone",
	}[kind]
	if !ok {
		return fmt.Sprintf("unknown %c %x", kind, body)
	}
	return name
}

func showError(kind byte, body []byte) string {
	var m pgproto3.ErrorResponse
	m.Decode(body)
	text := fmt.Sprintf("Error %s %s %s", m.Severity, m.Code, m.Message)
	if kind == 'N' {
		text = strings.Replace(text, "Error", "Notice", 1)
	}
	for _, f := range []struct{ name, value string }{
		{"detail", m.Detail},
		{"hint", m.Hint},
		{"where", m.Where},
		{"schema", m.SchemaName},
		{"table", m.TableName},
		{"column", m.ColumnName},
		{"type", m.DataTypeName},
		{"constraint", m.ConstraintName},
	} {
		if f.value != "" {
			text += fmt.Sprintf(" [%s: %s]", f.name, f.value)
		}
	}
	if m.Position != 0 {
		text += fmt.Sprintf(" [position: %d]", m.Position)
	}
	return text
}

// startup sends a startup packet: user, database and any other argument but name and parameters.
func (c *client) startup(d *datadriven.TestData) {
	params := map[string]string{"user": "ada"}
	for _, arg := range d.CmdArgs {
		if arg.Key == "parameters" {
			c.parameters = true
		} else if arg.Key != "name" {
			params[arg.Key] = strings.Join(arg.Vals, ",")
		}
	}
	c.write(encode(c.t, &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: params}))
}

// message reads a line of a transcript: the message's name and its fields.
func message(t *testing.T, line string) []byte {
	name, rest, _ := strings.Cut(line, " ")
	words := strings.Fields(rest)
	word := func(i int) string {
		if i < len(words) && words[i] != `""` {
			return words[i]
		}
		return ""
	}
	switch name {
	case "Query":
		return encode(t, &pgproto3.Query{String: rest})
	case "Parse": // name sql
		return encode(t, &pgproto3.Parse{Name: word(0), Query: strings.TrimPrefix(strings.Join(words[1:], " "), `""`)})
	case "Bind": // portal statement params
		m := &pgproto3.Bind{DestinationPortal: word(0), PreparedStatement: word(1)}
		for _, p := range words[min(2, len(words)):] {
			if p == "NULL" {
				m.Parameters = append(m.Parameters, nil)
			} else {
				m.Parameters = append(m.Parameters, []byte(p))
			}
		}
		return encode(t, m)
	case "BindFormats": // portal statement param-format result-format
		m := &pgproto3.Bind{DestinationPortal: word(0), PreparedStatement: word(1)}
		if word(2) != "" {
			m.Parameters = [][]byte{{'x'}}
		}
		for i, to := range []*[]int16{&m.ParameterFormatCodes, &m.ResultFormatCodes} {
			for f := range strings.FieldsSeq(strings.ReplaceAll(word(2+i), ",", " ")) {
				n, err := strconv.Atoi(f)
				if err != nil {
					t.Fatal(err)
				}
				*to = append(*to, int16(n))
			}
		}
		return encode(t, m)
	case "Describe":
		return encode(t, &pgproto3.Describe{ObjectType: words[0][0], Name: word(1)})
	case "Close":
		return encode(t, &pgproto3.Close{ObjectType: words[0][0], Name: word(1)})
	case "Execute": // portal maxRows
		n, _ := strconv.Atoi(word(1))
		return encode(t, &pgproto3.Execute{Portal: word(0), MaxRows: uint32(n)})
	case "Sync":
		return encode(t, &pgproto3.Sync{})
	case "Flush":
		return encode(t, &pgproto3.Flush{})
	case "Terminate":
		return encode(t, &pgproto3.Terminate{})
	case "CopyData":
		text, err := strconv.Unquote(rest)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return encode(t, &pgproto3.CopyData{Data: []byte(text)})
	case "CopyDone":
		return encode(t, &pgproto3.CopyDone{})
	case "CopyFail":
		return encode(t, &pgproto3.CopyFail{Message: rest})
	case "FunctionCall":
		return encode(t, &pgproto3.FunctionCall{Function: 1})
	case "Frame":
		b := unhex(t, rest)
		return frame(b[:1], b[1:])
	case "Hex":
		return unhex(t, rest)
	}
	t.Fatalf("unknown message %q", line)
	return nil
}

func encode(t testing.TB, m interface {
	Encode([]byte) ([]byte, error)
},
) []byte {
	b, err := m.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// frame puts the length before a body.
func frame(head, body []byte) []byte {
	return slices.Concat(head, binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body)
}

// unhex reads bytes in hexadecimal; text in
// quotes stands for itself (~ for a space), * for repetition.
func unhex(t testing.TB, line string) []byte {
	var out []byte
	for _, word := range strings.Fields(line) {
		if text, ok := strings.CutPrefix(word, "'"); ok {
			out = append(out, strings.ReplaceAll(strings.TrimSuffix(text, "'"), "~", " ")...)
			continue
		}
		word, times, _ := strings.Cut(word, "*")
		b, err := hex.DecodeString(word)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		n, _ := strconv.Atoi(times)
		for range max(n, 1) {
			out = append(out, b...)
		}
	}
	return out
}

// pipeListener accepts in-memory connections.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) dial() net.Conn {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
	case <-l.closed:
		theirs.Close()
	}
	return ours
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
