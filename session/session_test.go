package session_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/types"
)

// transcript is a client: what a session reports, one line a message.
type transcript struct {
	strings.Builder
	ended   atomic.Value // of string
	session *session.Session
	columns []pgwire.Column
	data    string // what COPY FROM STDIN reads
}

func (c *transcript) Notice(e *types.Error) {
	severity := e.Severity
	if severity == "" {
		severity = "NOTICE"
	}
	fmt.Fprintf(c, "%s %s: %s\n", severity, e.Code, e.Message)
}

func (c *transcript) ParameterStatus(name, value string) {
	fmt.Fprintf(c, "parameter %s = %s\n", name, value)
}

// Terminate may come from any goroutine.
func (c *transcript) Terminate(e *types.Error) {
	c.ended.Store(fmt.Sprintf("terminated %s: %s", e.Code, e.Message))
}

// end gives how the connection was ended, "" while it lives.
func (c *transcript) end() string {
	text, _ := c.ended.Load().(string)
	return text
}

func (c *transcript) RowDescription(columns []pgwire.Column) error {
	c.columns = columns
	names := make([]string, len(columns))
	for i, col := range columns {
		names[i] = col.Name
	}
	fmt.Fprintf(c, "columns %s\n", strings.Join(names, " | "))
	return nil
}

func (c *transcript) DataRow(row types.Row) error {
	cells := make([][]byte, len(row))
	for i, v := range row {
		switch {
		case v.IsNull():
		case c.columns[i].Format == 1:
			cells[i] = types.AppendBinary([]byte{}, c.columns[i].Type, v)
		default:
			cells[i] = types.AppendText([]byte{}, c.columns[i].Type, v, c.session.Settings())
		}
	}
	return c.RawDataRow(cells)
}

func (c *transcript) RawDataRow(cells [][]byte) error {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		switch {
		case cell == nil:
			texts[i] = "∅"
		case c.columns[i].Format == 1:
			texts[i] = "0x" + hex.EncodeToString(cell)
		default:
			texts[i] = string(cell)
		}
	}
	fmt.Fprintf(c, "  %s\n", strings.Join(texts, " | "))
	return nil
}

func (c *transcript) CommandComplete(tag string) error { fmt.Fprintln(c, tag); return nil }
func (c *transcript) EmptyQuery() error                { fmt.Fprintln(c, "(empty)"); return nil }
func (c *transcript) Suspended() error                 { fmt.Fprintln(c, "(suspended)"); return nil }

func (c *transcript) CopyIn(columns int, isBinary bool) (io.Reader, error) {
	fmt.Fprintf(c, "copy in, %d columns\n", columns)
	return strings.NewReader(c.data), nil
}

func (c *transcript) CopyOut(columns int, isBinary bool) (io.WriteCloser, error) {
	fmt.Fprintf(c, "copy out, %d columns\n", columns)
	return copyOut{c, isBinary}, nil
}

type copyOut struct {
	c      *transcript
	binary bool
}

func (o copyOut) Write(p []byte) (int, error) {
	if o.binary {
		fmt.Fprintf(o.c, "  %x\n", p)
	} else {
		fmt.Fprintf(o.c, "  %s⏎\n", bytes.TrimSuffix(p, []byte("\n")))
	}
	return len(p), nil
}

func (o copyOut) Close() error { fmt.Fprintln(o.c, "copy done"); return nil }

func (c *transcript) failure(err error) {
	e := types.AsError(err)
	severity := e.Severity
	if severity == "" {
		severity = "ERROR"
	}
	fmt.Fprintf(c, "%s %s: %s\n", severity, e.Code, e.Message)
	for _, extra := range []struct{ name, text string }{{"DETAIL", e.Detail}, {"HINT", e.Hint}, {"CONTEXT", e.Where}} {
		if extra.text != "" {
			fmt.Fprintf(c, "%s: %s\n", extra.name, extra.text)
		}
	}
	if e.Position > 0 {
		fmt.Fprintf(c, "POSITION: %d\n", e.Position)
	}
}

// client drives one session of a test.
type client struct {
	*session.Session
	out     *transcript
	skipped bool // an error came: the rest of the extended-query group is skipped, as pgwire does
}

func open(t testing.TB, h *session.Host, user string, settings ...pgwire.Parameter) *client {
	t.Helper()
	out := &transcript{}
	s, err := h.Open(context.Background(), &pgwire.ConnInfo{PID: 42, User: user, Database: "db", Settings: settings}, out)
	if err != nil {
		out.failure(err)
		return &client{out: out}
	}
	out.session = s
	t.Cleanup(s.Close)
	return &client{Session: s, out: out}
}

func newHost() (*session.Host, *memory) {
	m := newMemory()
	return session.NewHost(session.Options{Engine: func(database string) (session.Engine, error) {
		if database != "db" {
			return nil, types.Errorf("3D000", "database \"%s\" does not exist", database)
		}
		return m, nil
	}}), m
}

// simple runs a query string as a simple Query message does.
func (c *client) simple(text string) string {
	c.out.Reset()
	if err := c.SimpleQuery(context.Background(), text, c.out); err != nil {
		c.out.failure(err)
	}
	fmt.Fprintf(c.out, "[%c]\n", c.TxStatus())
	return c.out.String()
}

// message runs one line of the extended protocol:
//
//	parse NAME [types=25,23] SQL…
//	bind PORTAL STATEMENT [binary] [params…]    (∅ is NULL)
//	describe statement|portal NAME
//	execute PORTAL [rows]
//	close statement|portal NAME
//	sync
//
// The name "-" is the unnamed one.
func (c *client) message(line string) {
	words := strings.Fields(line)
	name := func(i int) string { return strings.TrimPrefix(words[i], "-") }
	if words[0] == "sync" {
		c.skipped = false
		if err := c.Sync(context.Background()); err != nil {
			c.out.failure(err)
		}
		fmt.Fprintf(c.out, "[%c]\n", c.TxStatus())
		return
	}
	if c.skipped {
		return
	}
	if err := c.extended(words, name, line); err != nil {
		c.skipped = true
		c.out.failure(err)
	}
}

func (c *client) extended(words []string, name func(int) string, line string) error {
	ctx := context.Background()
	switch words[0] {
	case "parse":
		_, text, _ := strings.Cut(line, words[1]+" ")
		var declared []types.OID
		if rest, ok := strings.CutPrefix(text, "types="); ok {
			list, sqlText, _ := strings.Cut(rest, " ")
			for w := range strings.SplitSeq(list, ",") {
				n, _ := strconv.Atoi(w)
				declared = append(declared, types.OID(n))
			}
			text = sqlText
		}
		return c.Parse(ctx, name(1), strings.TrimSuffix(text, ";"), declared)
	case "bind":
		var formats []int16
		var params [][]byte
		for _, w := range words[3:] {
			switch {
			case w == "binary":
				formats = []int16{1}
			case w == "∅":
				params = append(params, nil)
			default:
				params = append(params, []byte(w))
			}
		}
		return c.Bind(ctx, name(1), name(2), nil, params, formats)
	case "describe":
		if words[1] == "portal" {
			columns, err := c.DescribePortal(ctx, name(2))
			c.described(nil, columns, err)
			return err
		}
		params, columns, err := c.DescribeStatement(ctx, name(2))
		c.described(params, columns, err)
		return err
	case "execute":
		rows := 0
		if len(words) > 2 {
			rows, _ = strconv.Atoi(words[2])
		}
		return c.Execute(ctx, name(1), rows, false, c.out)
	case "close":
		if words[1] == "portal" {
			return c.ClosePortal(ctx, name(2))
		}
		return c.CloseStatement(ctx, name(2))
	}
	return errors.New("unknown message " + words[0])
}

func (c *client) described(params []types.OID, columns []pgwire.Column, err error) {
	if err != nil {
		return
	}
	if params != nil {
		fmt.Fprintf(c.out, "params %v\n", params)
	}
	if columns == nil {
		fmt.Fprintln(c.out, "no data")
	}
	for _, col := range columns {
		fmt.Fprintf(c.out, "column %s %s format %d attr %d\n", col.Name, col.Type, col.Format, col.Attr)
	}
}

// TestTranscripts runs testdata/transcripts: "simple" is a query string (lines after "-- data" are what
// COPY reads), "extended" a list of messages, "open" starts another session.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		h, _ := newHost()
		c := open(t, h, "postgres")
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "open":
				var settings []pgwire.Parameter
				for _, a := range d.CmdArgs[1:] {
					settings = append(settings, pgwire.Parameter{Name: a.Key, Value: strings.Join(a.Vals, ",")})
				}
				c = open(t, h, d.CmdArgs[0].Key, settings...)
				if c.Session != nil {
					for _, p := range c.Parameters() {
						fmt.Fprintf(c.out, "%s = %s\n", p.Name, p.Value)
					}
				}
				return c.out.String()
			case "simple":
				text, data, _ := strings.Cut(d.Input, "\n-- data\n")
				c.out.data = data
				if data != "" && !d.HasArg("no-newline") {
					c.out.data += "\n"
				}
				return c.simple(text)
			case "extended":
				c.out.Reset()
				for line := range strings.SplitSeq(d.Input, "\n") {
					c.message(line)
				}
				return c.out.String()
			}
			d.Fatalf(t, "unknown command %s", d.Cmd)
			return ""
		})
	})
}
