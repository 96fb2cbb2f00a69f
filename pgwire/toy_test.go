package pgwire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/heliosdb/helios/types"
)

// toy is a Session over statements a test can read: "select x", "rows 3", "insert",
// "fail", "fatal", "panic", "hang", "notice", "set k=v", "copy in|out|quit|skip",
// "begin", "commit", "rollback". $1 … stand for parameters, all of them text.
type toy struct {
	client     Client
	info       ConnInfo
	status     byte
	statements map[string]string
	portals    map[string]*toyPortal
	cancelled  chan struct{}
	closed     func()
	log        func(string)
}

type toyPortal struct {
	sql     string
	formats []int16
	at      int // rows sent
}

func newToy(info *ConnInfo, client Client) *toy {
	return &toy{
		client: client, info: *info, status: 'I', cancelled: make(chan struct{}, 1),
		statements: map[string]string{}, portals: map[string]*toyPortal{},
		closed: func() {}, log: func(string) {},
	}
}

func (s *toy) Parameters() []Parameter {
	params := []Parameter{
		{"application_name", ""},
		{"client_encoding", "UTF8"},
		{"DateStyle", "ISO, MDY"},
		{"default_transaction_read_only", "off"},
		{"in_hot_standby", "off"},
		{"integer_datetimes", "on"},
		{"IntervalStyle", "postgres"},
		{"is_superuser", "off"},
		{"server_encoding", "UTF8"},
		{"server_version", "15.0 (toy)"},
		{"session_authorization", s.info.User},
		{"standard_conforming_strings", "on"},
		{"TimeZone", "UTC"},
	}
	for _, set := range s.info.Settings {
		for i := range params {
			if strings.EqualFold(params[i].Name, set.Name) {
				params[i].Value = set.Value
			}
		}
	}
	return params
}

func (s *toy) Settings() *types.Settings { return nil }

func (s *toy) failed(err error) error {
	if err != nil && s.status == 'T' {
		s.status = 'E'
	}
	return err
}

func (s *toy) SimpleQuery(ctx context.Context, sql string, w ResultWriter) error {
	any := false
	for statement := range strings.SplitSeq(sql, ";") {
		if statement = strings.TrimSpace(statement); statement == "" || strings.HasPrefix(statement, "--") {
			continue
		}
		any = true
		if columns := toyColumns(statement, nil); columns != nil {
			if err := w.RowDescription(columns); err != nil {
				return s.failed(err)
			}
		}
		if err := s.failed(s.run(ctx, &toyPortal{sql: statement}, 0, w)); err != nil {
			return err
		}
	}
	if !any {
		return w.EmptyQuery()
	}
	return nil
}

// toyColumns gives the result columns of a statement.
func toyColumns(sql string, formats []int16) []Column {
	word, _, _ := strings.Cut(sql, " ")
	if word == "typed" {
		return typedColumns(formats)
	}
	if word != "select" && word != "rows" {
		return nil
	}
	column := Column{Name: "?column?", Type: types.T(types.TextOID)}
	if len(formats) > 0 {
		column.Format = formats[0]
	}
	return []Column{column}
}

// typedColumns are the columns of "typed", all in one format.
func typedColumns(formats []int16) []Column {
	columns := []Column{
		{Name: "i", Type: types.T(types.Int4OID), Table: 17001, Attr: 1},
		{Name: "b", Type: types.T(types.BoolOID)},
		{Name: "f", Type: types.T(types.Float8OID)},
		{Name: "v", Type: types.Type{OID: types.VectorOID, Mod: 2}},
		{Name: "n", Type: types.T(types.Int8OID)},
		{Name: "c", Type: types.Type{OID: types.BPCharOID, Mod: 7}},
	}
	for i := range columns {
		if len(formats) > 0 {
			columns[i].Format = formats[0]
		}
	}
	return columns
}

// run executes one statement; the portal remembers how many rows were sent.
func (s *toy) run(ctx context.Context, p *toyPortal, maxRows int, w ResultWriter) error {
	word, rest, _ := strings.Cut(p.sql, " ")
	if s.status == 'E' && word != "rollback" && word != "commit" {
		return types.Errorf("25P02", "current transaction is aborted, commands ignored until end of transaction block")
	}
	switch word {
	case "":
		return w.EmptyQuery()
	case "select":
		if err := w.DataRow(types.Row{toyValue(rest)}); err != nil {
			return err
		}
		return w.CommandComplete("SELECT 1")
	case "typed":
		row := types.Row{types.Int(-7), types.Bool(true), types.Float(0.1), types.Vector([]float32{1, 2.5}), types.Null, types.Text("ab")}
		if err := w.DataRow(row); err != nil {
			return err
		}
		return w.CommandComplete("SELECT 1")
	case "rows":
		return s.rows(p, rest, maxRows, w)
	case "insert":
		return w.CommandComplete("INSERT 0 1")
	case "begin":
		s.status = 'T'
		return w.CommandComplete("BEGIN")
	case "commit", "rollback":
		s.status = 'I'
		return w.CommandComplete(strings.ToUpper(word))
	case "set":
		name, value, _ := strings.Cut(rest, "=")
		w.ParameterStatus(name, value)
		return w.CommandComplete("SET")
	case "notice":
		w.Notice(types.Errorf("", "take note").WithHint("Look closer."))
		return w.CommandComplete("DO")
	case "copy":
		return s.copy(rest, w)
	case "hang":
		select {
		case <-s.cancelled:
			return types.Errorf("57014", "canceling statement due to user request")
		case <-ctx.Done():
			return fmt.Errorf("hang: %w", ctx.Err())
		}
	}
	return s.misbehave(word, w)
}

func toyValue(text string) types.Value {
	if text == "null" {
		return types.Null
	}
	return types.Text(text)
}

func (s *toy) rows(p *toyPortal, count string, maxRows int, w ResultWriter) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return types.Errorf("22P02", "invalid input syntax for type integer: %q", count)
	}
	if err := w.RowDescription(toyColumns("rows", p.formats)); err != nil && maxRows > 0 {
		return err
	}
	for sent := 0; p.at < n; sent++ {
		if maxRows > 0 && sent == maxRows {
			return w.Suspended()
		}
		p.at++
		if err := w.RawDataRow([][]byte{[]byte(strconv.Itoa(p.at))}); err != nil {
			return err
		}
	}
	return w.CommandComplete(fmt.Sprintf("SELECT %d", n))
}

func (s *toy) copy(how string, w ResultWriter) error {
	if how == "out" || how == "binary" {
		out, err := w.CopyOut(2, how == "binary")
		if err != nil {
			return err
		}
		for _, row := range []string{"1\tone\n", "2\ttwo\n"} {
			if _, err := io.WriteString(out, row); err != nil {
				return err
			}
		}
		if err := out.Close(); err != nil {
			return err
		}
		return w.CommandComplete("COPY 2")
	}
	in, err := w.CopyIn(2, false)
	switch {
	case err != nil:
		return err
	case how == "quit":
		return types.Errorf("22P04", "missing data for column \"b\"")
	case how == "skip":
		return w.CommandComplete("COPY 0")
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	s.log(string(data))
	return w.CommandComplete(fmt.Sprintf("COPY %d", strings.Count(string(data), "\n")))
}

// misbehave does what a session must not, or only in need.
func (s *toy) misbehave(word string, w ResultWriter) error {
	switch word {
	case "panic":
		panic("toy")
	case "fatal":
		return &types.Error{Code: "57P05", Severity: "FATAL", Message: "terminating connection"}
	case "plain":
		return errors.New("not an SQL error")
	case "twice":
		w.CommandComplete("ONE")
		return w.CommandComplete("TWO")
	case "never":
		return nil
	case "short":
		return w.DataRow(types.Row{types.Text("a"), types.Text("b")})
	case "terminate":
		s.client.Terminate(types.Errorf("57P01", "terminated"))
		return w.CommandComplete("DO")
	case "fail":
		return &types.Error{
			Code: "23505", Message: "duplicate key", Detail: "Key (a)=(1) already exists.", Hint: "Use another.",
			Position: 3, Where: "line 1", Schema: "public", Table: "t", Column: "a", DataType: "int4", Constraint: "t_pkey",
		}
	}
	return types.Errorf("42601", "syntax error at or near %q", word).At(1)
}

func (s *toy) Parse(_ context.Context, name, sql string, _ []types.OID) error {
	if _, ok := s.statements[name]; ok && name != "" {
		return s.failed(types.Errorf("42P05", "prepared statement %q already exists", name))
	}
	if strings.HasPrefix(sql, "bad") {
		return s.failed(types.Errorf("42601", "syntax error at or near \"bad\""))
	}
	s.statements[name] = sql
	return nil
}

func (s *toy) Bind(_ context.Context, portal, statement string, _ []int16, params [][]byte, formats []int16) error {
	sql, ok := s.statements[statement]
	if !ok {
		return s.failed(types.Errorf("26000", "prepared statement %q does not exist", statement))
	}
	if want := strings.Count(sql, "$"); want != len(params) {
		return s.failed(types.Errorf("08P01", "bind message supplies %d parameters, but prepared statement %q requires %d",
			len(params), statement, want))
	}
	for i, p := range params {
		value := "null"
		if p != nil {
			value = string(p)
		}
		sql = strings.ReplaceAll(sql, fmt.Sprintf("$%d", i+1), value)
	}
	s.portals[portal] = &toyPortal{sql: sql, formats: formats}
	return nil
}

func (s *toy) DescribeStatement(_ context.Context, name string) ([]types.OID, []Column, error) {
	sql, ok := s.statements[name]
	if !ok {
		return nil, nil, s.failed(types.Errorf("26000", "prepared statement %q does not exist", name))
	}
	var params []types.OID
	for range strings.Count(sql, "$") {
		params = append(params, types.TextOID)
	}
	return params, toyColumns(sql, nil), nil
}

func (s *toy) DescribePortal(_ context.Context, name string) ([]Column, error) {
	p, ok := s.portals[name]
	if !ok {
		return nil, s.failed(types.Errorf("34000", "portal %q does not exist", name))
	}
	return toyColumns(p.sql, p.formats), nil
}

func (s *toy) Execute(ctx context.Context, portal string, maxRows int, _ bool, w ResultWriter) error {
	p, ok := s.portals[portal]
	if !ok {
		return s.failed(types.Errorf("34000", "portal %q does not exist", portal))
	}
	if err := w.RowDescription(toyColumns(p.sql, p.formats)); err != nil {
		return err
	}
	return s.failed(s.run(ctx, p, maxRows, w))
}

func (s *toy) CloseStatement(_ context.Context, name string) error {
	delete(s.statements, name)
	return nil
}

func (s *toy) ClosePortal(_ context.Context, name string) error {
	delete(s.portals, name)
	return nil
}

func (s *toy) Sync(context.Context) error {
	if s.status == 'I' {
		clear(s.portals)
	}
	return nil
}

func (s *toy) Fail(err *types.Error) { s.failed(err) }
func (s *toy) TxStatus() byte        { return s.status }
func (s *toy) Close()                { s.closed() }

func (s *toy) Cancel() {
	select {
	case s.cancelled <- struct{}{}:
	default:
	}
}

// trust lets everyone in but "eve".
type trust struct{}

func (trust) Begin(_ context.Context, info *ConnInfo) (Exchange, error) {
	if info.User == "eve" {
		return nil, errors.New("not eve")
	}
	return nil, nil
}

// sessions counts open sessions: every one that was made must be closed.
type sessions struct {
	sync.Mutex
	open, made int
}

// newToyServer makes a server of toy sessions; the database "nowhere" does not exist.
func newToyServer(t testing.TB, change func(*Options)) (*Server, *sessions) {
	t.Helper()
	count := &sessions{}
	opts := Options{
		Auth: trust{},
		NewSession: func(_ context.Context, info *ConnInfo, client Client) (Session, error) {
			if info.Database == "nowhere" {
				return nil, types.Errorf("3D000", "database %q does not exist", info.Database)
			}
			s := newToy(info, client)
			count.Lock()
			defer count.Unlock()
			count.open++
			count.made++
			s.closed = func() {
				count.Lock()
				defer count.Unlock()
				count.open--
			}
			return s, nil
		},
		Log: quietLog(),
	}
	if change != nil {
		change(&opts)
	}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s, count
}
