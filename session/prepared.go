package session

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// prepared is a statement that has been parsed: of Parse, of PREPARE, or of a query string.
type prepared struct {
	name     string
	text     string     // the whole text it came in
	parsed   sql.Parsed // its tree; Statement nil for an empty one
	declared []types.OID
	entry    *planEntry // the plan it was given last, nil for a statement that is no query
	params   []types.OID
	columns  []pgwire.Column // as described first; a later plan must give the same
	fixed    bool            // columns are set
	sole     bool            // the only statement of its text: its plan is cached by the text
	fromSQL  bool            // made by PREPARE
	made     time.Time
}

// isQuery tells whether a statement is planned and run by exec.
func isQuery(stmt sql.Statement) bool {
	switch stmt.(type) {
	case *sql.Select, *sql.Insert, *sql.Update, *sql.Delete:
		return true
	}
	return false
}

// catalog is what names mean now: the transaction's own catalog, or the newest.
func (s *Session) catalog() *catalog.Catalog {
	if s.tx.tx != nil {
		return s.tx.tx.Catalog()
	}
	return s.engine.Catalog()
}

// planKey is the key of a text in the plan cache.
func (s *Session) planKey(text string, declared []types.OID) planKey {
	var params []byte
	for _, oid := range declared {
		params = binary.BigEndian.AppendUint32(params, uint32(oid))
	}
	if s.place == "" {
		path, _ := s.values.get("search_path")
		zone, _ := s.values.get("TimeZone")
		s.place = path + "\x00" + s.info.User() + "\x00" + s.info.SessionUser() + "\x00" + zone
	}
	return planKey{engine: s.engine, text: text, params: string(params), place: s.place, version: s.catalog().Version()}
}

// cached finds a plan, unless the transaction has a catalog of its own.
func (s *Session) cached(key planKey) (*planEntry, bool) {
	if s.tx.ddl || len(key.text) > planTextMax {
		return nil, false
	}
	return s.host.plans.get(key)
}

// timeWords are strings that date and time input reads as a moment: a plan that holds
// such a constant must not be used again.
var timeWords = []string{"'now", "'today", "'tomorrow", "'yesterday", "$now", "$today", "$tomorrow", "$yesterday"}

// keep puts a plan in the cache if it may be used again.
func (s *Session) keep(e *planEntry) {
	lower := ""
	if len(e.key.text) <= planTextMax {
		lower = strings.ToLower(e.key.text)
	}
	stale := slices.ContainsFunc(timeWords, func(w string) bool { return strings.Contains(lower, w) })
	if !s.tx.ddl && !stale && lower != "" {
		s.host.plans.put(e)
	}
}

// planned gives the plan of a prepared query, made anew when the catalog or the settings
// it depends on have changed. 0A000 if the result would look different than described.
func (s *Session) planned(st *prepared) (*plan.Query, error) {
	key := s.planKey(st.text, st.declared)
	if e := st.entry; e != nil && e.query != nil && e.key == key && !s.tx.ddl {
		return e.query, nil
	}
	var entry *planEntry
	if st.sole {
		entry, _ = s.cached(key)
	}
	if entry == nil || entry.query == nil {
		query, err := plan.Bind(st.parsed.Statement, s.bindEnv(st.declared))
		if err != nil && s.renewed(err) {
			key = s.planKey(st.text, st.declared)
			query, err = plan.Bind(st.parsed.Statement, s.bindEnv(st.declared))
		}
		if err != nil {
			return nil, positioned(err, st.parsed, st.text)
		}
		entry = &planEntry{key: key, parsed: []sql.Parsed{st.parsed}, query: query}
		if st.sole {
			s.keep(entry)
		}
	}
	if st.fixed && !sameColumns(st.columns, queryColumns(entry.query)) {
		return nil, types.Errorf("0A000", "cached plan must not change result type")
	}
	st.entry = entry
	return entry.query, nil
}

// renewTimeout bounds the look for a newer catalog.
const renewTimeout = 5 * time.Second

// renewed tells whether a statement that could not be bound may be tried again, because
// the engine has found a newer catalog.
func (s *Session) renewed(err error) bool {
	r, ok := s.engine.(Renewer)
	if !ok || s.tx.ddl || !strings.HasPrefix(types.CodeOf(err), "42") && !strings.HasPrefix(types.CodeOf(err), "3F") {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), renewTimeout)
	defer cancel()
	changed, err := r.Renew(ctx)
	return changed && err == nil
}

// bindEnv is what statements are bound in.
func (s *Session) bindEnv(declared []types.OID) plan.Env {
	return plan.Env{
		Catalog: s.catalog(), SearchPath: s.info.SearchPath(), ParamTypes: declared,
		Functions: s.engine.Functions(), Builtin: s.builtinContext(),
	}
}

// execEnv is what statements run with.
func (s *Session) execEnv(params []types.Value) *exec.Env {
	return &exec.Env{
		Params: params, Builtin: s.builtinContext(),
		MemoryLimit: s.host.options.StatementMemory,
	}
}

// queryColumns gives a query's columns, nil when it gives no rows.
func queryColumns(q *plan.Query) []pgwire.Column {
	if q.Columns == nil {
		return nil
	}
	out := make([]pgwire.Column, 0, len(q.Columns))
	for _, c := range q.Columns {
		out = append(out, pgwire.Column{Name: c.Name, Type: c.Type, Table: c.Table, Attr: c.Num})
	}
	return out
}

func sameColumns(a, b []pgwire.Column) bool {
	return slices.EqualFunc(a, b, func(x, y pgwire.Column) bool { return x.Name == y.Name && x.Type == y.Type })
}

// describe fills in a prepared statement's parameters and columns, without running it.
func (s *Session) describe(st *prepared) error {
	stmt := st.parsed.Statement
	if stmt == nil {
		st.fixed = true
		return nil
	}
	if _, ok := engineSetting(stmt); ok {
		st.params, st.columns, st.fixed = []types.OID{types.TextOID}, textColumns("ctx"), true
		return nil
	}
	if isQuery(stmt) {
		q, err := s.planned(st)
		if err != nil {
			return err
		}
		st.params, st.columns, st.fixed = q.ParamTypes, queryColumns(q), true
		return nil
	}
	columns, err := s.utilityColumns(stmt)
	if err != nil {
		return err
	}
	st.params, st.columns, st.fixed = st.declared, columns, true
	if x, ok := stmt.(*sql.Explain); ok && isQuery(x.Statement) {
		inner := &prepared{text: st.text, declared: st.declared, parsed: st.parsed}
		inner.parsed.Statement = x.Statement
		q, err := s.planned(inner)
		if err != nil {
			return err
		}
		st.params = q.ParamTypes
	}
	return nil
}

// textColumns makes result columns of type text.
func textColumns(names ...string) []pgwire.Column {
	out := make([]pgwire.Column, len(names))
	for i, n := range names {
		out[i] = pgwire.Column{Name: n, Type: types.T(types.TextOID)}
	}
	return out
}

// utilityColumns gives the result columns of a statement that is no query, nil for none.
func (s *Session) utilityColumns(stmt sql.Statement) ([]pgwire.Column, error) {
	switch x := stmt.(type) {
	case *sql.Show:
		if x.Name == "all" {
			return textColumns("name", "setting", "description"), nil
		}
		return textColumns(s.settingName(x.Name)), nil
	case *sql.Explain:
		return textColumns("QUERY PLAN"), nil
	case *sql.Execute:
		st, err := s.statement(x.Name)
		if err != nil {
			return nil, err
		}
		return st.columns, nil
	case *sql.Fetch:
		po, ok := s.portals[x.Cursor]
		if x.Move || !ok {
			return nil, nil
		}
		return po.columns, nil
	}
	return nil, nil
}

// statement finds a prepared statement: 26000 if there is none.
func (s *Session) statement(name string) (*prepared, error) {
	if st, ok := s.statements[name]; ok {
		return st, nil
	}
	if name == "" {
		return nil, types.Errorf("26000", "unnamed prepared statement does not exist")
	}
	return nil, types.Errorf("26000", "prepared statement \"%s\" does not exist", name)
}

// Parse prepares a statement of the protocol.
func (s *Session) Parse(ctx context.Context, name, text string, declared []types.OID) error {
	ctx, done := s.enter(ctx, text)
	defer done()
	return s.failing(ctx, s.parse(name, text, declared))
}

func (s *Session) parse(name, text string, declared []types.OID) error {
	if name == "" {
		delete(s.statements, "")
	} else if _, ok := s.statements[name]; ok {
		return types.Errorf("42P05", "prepared statement \"%s\" already exists", name)
	}
	st := &prepared{name: name, text: text, declared: slices.Clone(declared), made: time.Now()}
	if entry, ok := s.cached(s.planKey(text, declared)); ok && len(entry.parsed) == 1 {
		st.parsed, st.entry = entry.parsed[0], entry
	} else {
		parsed, err := sql.Parse(text)
		switch {
		case err != nil:
			return err
		case len(parsed) > 1:
			return types.Errorf("42601", "cannot insert multiple commands into a prepared statement")
		case len(parsed) == 1:
			st.parsed = parsed[0]
		}
	}
	st.sole = true
	if s.tx.state == failed && !endsTransaction(st.parsed.Statement) && !s.outsideTransactions(st.parsed.Statement) {
		return errFailedBlock()
	}
	if err := s.describe(st); err != nil {
		return err
	}
	s.statements[name] = st
	return nil
}

// failing is fail for a call that may have succeeded.
func (s *Session) failing(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return s.fail(ctx, err)
}

// DescribeStatement gives the types of parameters and columns.
func (s *Session) DescribeStatement(ctx context.Context, name string) ([]types.OID, []pgwire.Column, error) {
	ctx, done := s.enter(ctx, "")
	defer done()
	st, err := s.statement(name)
	if err == nil && s.tx.state == failed && st.columns != nil && !s.outsideTransactions(st.parsed.Statement) {
		err = errFailedBlock()
	}
	if err != nil {
		return nil, nil, s.fail(ctx, err)
	}
	return st.params, st.columns, nil
}

// CloseStatement forgets a prepared statement.
func (s *Session) CloseStatement(_ context.Context, name string) error {
	delete(s.statements, name)
	return nil
}

// prepare is PREPARE.
func (s *Session) prepare(p *sql.Prepare, text string, offset int) error {
	if _, ok := s.statements[p.Name]; ok {
		return types.Errorf("42P05", "prepared statement \"%s\" already exists", p.Name)
	}
	if !isQuery(p.Statement) {
		return types.Errorf("42601", "utility statements cannot be prepared")
	}
	st := &prepared{
		name: p.Name, text: text, parsed: sql.Parsed{Statement: p.Statement, Text: text, Offset: offset},
		fromSQL: true, made: time.Now(),
	}
	for _, t := range p.Types {
		resolved, err := plan.ResolveType(t)
		if err != nil {
			return err
		}
		st.declared = append(st.declared, resolved.OID)
	}
	if err := s.describe(st); err != nil {
		return err
	}
	s.statements[p.Name] = st
	return nil
}

// executeArgs evaluates the arguments of EXECUTE.
func (s *Session) executeArgs(ctx context.Context, x *sql.Execute, st *prepared) ([]types.Value, error) {
	if len(x.Args) != len(st.params) {
		return nil, types.Errorf("42601", "wrong number of parameters for prepared statement \"%s\"", x.Name).
			WithDetail("Expected %d parameters but got %d.", len(st.params), len(x.Args))
	}
	out := make([]types.Value, len(x.Args))
	for i, arg := range x.Args {
		e, err := plan.BindExpr(arg, nil, types.T(st.params[i]), s.bindEnv(nil))
		if err != nil {
			return nil, err
		}
		if out[i], err = exec.EvalConst(ctx, e, s.execEnv(nil)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Session) deallocate(name string) error {
	if name == "" {
		clear(s.statements)
		return nil
	}
	if _, err := s.statement(name); err != nil {
		return err
	}
	delete(s.statements, name)
	return nil
}

// builtinContext is what built-in functions may ask about the session.
func (s *Session) builtinContext() *builtin.Context {
	c := &builtin.Context{
		Now: time.Now(), TxnStart: s.tx.start, User: s.info.User(), SessionUser: s.info.SessionUser(),
		Database: s.info.Database, SearchPath: s.info.SearchPath(), Location: s.Settings().Location,
		BackendPID: int32(s.info.PID), InRecovery: s.host.standby(), Version: version, Started: s.host.started,
		Settings: s.info.Setting, SetSetting: s.setFunction, Catalog: &functions{s.engine.Lookup(s.catalog(), s.info), s},
	}
	if c.TxnStart.IsZero() {
		c.TxnStart = c.Now
	}
	return c
}

// version is what version() answers; drivers look for "PostgreSQL" and a number.
const version = "PostgreSQL " + ServerVersion + " (helios)"
