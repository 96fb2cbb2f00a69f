package shard

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/types"
)

// sqlShard is a shard with sessions on it, as a standalone server has them.
type sqlShard struct {
	*Shard
	t    *testing.T
	host *session.Host
}

func openSQL(t *testing.T, fs vfs.FS) *sqlShard {
	t.Helper()
	s := openShard(t, fs)
	e := NewEngine(s, EngineOptions{Alone: true})
	return &sqlShard{s, t, session.NewHost(session.Options{Engine: func(string) (session.Engine, error) { return e, nil }})}
}

// sqlSession is one client.
type sqlSession struct {
	*session.Session
	t      *testing.T
	copied string // what it sends for COPY FROM STDIN
}

func (s *sqlShard) session() *sqlSession {
	s.t.Helper()
	info := &pgwire.ConnInfo{User: "helios", Database: "heliosdb", PID: 1, Remote: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	x, err := s.host.Open(s.t.Context(), info, &resultText{})
	if err != nil {
		s.t.Fatal(err)
	}
	return &sqlSession{Session: x, t: s.t}
}

// try runs a query string and gives its rows: columns with a space between, rows with a bar.
func (s *sqlSession) try(ctx context.Context, text string) (string, error) {
	out := resultText{copied: s.copied}
	err := s.SimpleQuery(ctx, text, &out)
	return strings.Join(out.rows, "|"), err
}

func (s *sqlSession) run(text string) string {
	s.t.Helper()
	out, err := s.try(s.t.Context(), text)
	if err != nil {
		s.t.Fatalf("%s: %v", text, err)
	}
	return out
}

func (s *sqlSession) expect(text, want string) {
	s.t.Helper()
	if got := s.run(text); got != want {
		s.t.Errorf("%s gives %q, want %q", text, got, want)
	}
}

func (s *sqlSession) refused(text, code string) {
	s.t.Helper()
	if _, err := s.try(s.t.Context(), text); types.CodeOf(err) != code {
		s.t.Errorf("%s: %v, want SQLSTATE %s", text, err, code)
	}
}

// start runs a query string that has to wait for a lock, and returns when it does; the
// channel then gives how it ended.
func (s *sqlSession) start(on *sqlShard, text string) <-chan error {
	s.t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := s.try(s.t.Context(), text)
		done <- err
	}()
	for on.locks.Waiting() == 0 {
		select {
		case err := <-done:
			s.t.Fatalf("%s did not wait: %v", text, err)
		case <-time.After(time.Millisecond):
		}
	}
	return done
}

// resultText gathers the rows of results.
type resultText struct {
	rows   []string
	copied string
}

func (*resultText) Notice(*types.Error)                       {}
func (*resultText) ParameterStatus(string, string)            {}
func (*resultText) Terminate(*types.Error)                    {}
func (*resultText) RowDescription([]pgwire.Column) error      { return nil }
func (*resultText) CommandComplete(string) error              { return nil }
func (*resultText) EmptyQuery() error                         { return nil }
func (*resultText) Suspended() error                          { return nil }
func (*resultText) RawDataRow([][]byte) error                 { return errors.ErrUnsupported }
func (*resultText) CopyOut(int, bool) (io.WriteCloser, error) { return nil, errors.ErrUnsupported }

func (c *resultText) CopyIn(int, bool) (io.Reader, error) { return strings.NewReader(c.copied), nil }

func (c *resultText) DataRow(row types.Row) error {
	words := make([]string, len(row))
	for i, v := range row {
		switch v.Kind() {
		case types.KindNull:
			words[i] = "-"
		case types.KindText:
			words[i] = v.AsText()
		default:
			words[i] = types.ToText(types.T(types.Int8OID), v)
		}
	}
	c.rows = append(c.rows, strings.Join(words, " "))
	return nil
}
