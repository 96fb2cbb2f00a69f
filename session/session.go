package session

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// Session is one client's session; it implements pgwire.Session. One goroutine drives it;
// Cancel may come from any other.
type Session struct {
	host   *Host
	engine Engine
	client pgwire.Client
	info   *Info

	values     *values           // the settings now; Info has them for other goroutines
	printing   *types.Settings   // made of them, nil until asked for
	place      string            // planKey.place of them, "" until asked for
	told       map[string]string // reported settings as the client knows them
	statements map[string]*prepared
	portals    map[string]*portal // of the protocol and of DECLARE CURSOR alike
	tx         transaction

	mu struct {
		sync.Mutex
		cancel context.CancelCauseFunc // of the running call, nil between calls
		idle   *time.Timer             // idle time-out, nil while a call runs
	}
}

var _ pgwire.Session = (*Session)(nil)

// Info is what engines are given.
func (s *Session) Info() *Info { return s.info }

// Parameters are the reported settings.
func (s *Session) Parameters() []pgwire.Parameter {
	out := make([]pgwire.Parameter, len(reported))
	for i, name := range reported {
		out[i] = pgwire.Parameter{Name: name, Value: s.told[name]}
	}
	if r, ok := s.engine.(Reporter); ok {
		for _, p := range r.Report(s.info) {
			out = append(out, pgwire.Parameter{Name: p[0], Value: p[1]})
		}
	}
	return out
}

// SimpleQuery runs a query string. Its statements form one implicit transaction, unless
// they say BEGIN or COMMIT themselves.
func (s *Session) SimpleQuery(ctx context.Context, text string, w pgwire.ResultWriter) error {
	ctx, done := s.enter(ctx, text)
	defer done()
	s.closePortal("")
	delete(s.statements, "")
	err := s.queryString(ctx, text, w)
	if err != nil {
		err = s.fail(ctx, err)
	}
	s.report()
	return err
}

func (s *Session) queryString(ctx context.Context, text string, w pgwire.ResultWriter) error {
	key := s.planKey(text, nil)
	entry, ok := s.cached(key)
	if !ok {
		parsed, err := sql.Parse(text)
		if err != nil {
			return err
		}
		entry = &planEntry{key: key, parsed: parsed}
		if !slices.ContainsFunc(parsed, func(p sql.Parsed) bool { return !plain(p.Statement) }) {
			s.keep(entry)
		}
	}
	if len(entry.parsed) == 0 {
		return w.EmptyQuery()
	}
	for i, p := range entry.parsed {
		last := i == len(entry.parsed)-1
		st := &prepared{text: text, parsed: p, sole: len(entry.parsed) == 1}
		if st.sole {
			st.entry = entry
		}
		if err := s.simpleStatement(ctx, st, len(entry.parsed) > 1, last, w); err != nil {
			return err
		}
	}
	return nil
}

// plain tells whether a statement's tree is worth caching without a plan: BEGIN, COMMIT, SET.
func plain(stmt sql.Statement) bool {
	switch stmt.(type) {
	case *sql.Transaction, *sql.Set, *sql.Show:
		return true
	}
	return false
}

// simpleStatement runs one statement of a query string. After the last one the implicit
// transaction is committed before the client hears of success.
func (s *Session) simpleStatement(ctx context.Context, st *prepared, several, last bool, w pgwire.ResultWriter) error {
	ctx, stop := s.statementTimer(ctx)
	defer stop()
	if err := s.startStatement(st.parsed.Statement, several); err != nil {
		return err
	}
	s.tx.only = s.tx.state == implicit && !several
	po := &portal{statement: st, internal: true}
	tag, err := s.run(ctx, po, 0, w)
	s.discard(po)
	if err == nil && last && s.tx.state == implicit {
		err = s.commit(ctx)
	}
	if err != nil {
		return s.cause(ctx, err)
	}
	return w.CommandComplete(tag)
}

// Sync ends an extended-query group: the implicit transaction is committed.
func (s *Session) Sync(ctx context.Context) error {
	ctx, done := s.enter(ctx, "")
	defer done()
	var err error
	if s.tx.state == implicit {
		if err = s.commit(ctx); err != nil {
			err = s.fail(ctx, err)
		}
	}
	s.report()
	return err
}

// Fail treats the running transaction as after an error of a statement.
func (s *Session) Fail(err *types.Error) {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	s.abort(ctx)
}

// cleanupTimeout bounds a rollback that must be tried although its call is over.
const cleanupTimeout = 10 * time.Second

// fail rolls back what the error ends and gives the error to report.
func (s *Session) fail(ctx context.Context, err error) error {
	err = s.cause(ctx, err)
	if s.tx.state == inBlock && undone(err) {
		s.closeResults()
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	s.abort(ctx)
	return err
}

// undone tells errors by which a shard asks its router to run a statement again: the shard
// has taken back what the statement did, and the transaction goes on.
func undone(err error) bool { return strings.HasPrefix(types.CodeOf(err), "ZH") }

// TxStatus is the transaction's state as ReadyForQuery shows it.
func (s *Session) TxStatus() byte {
	switch s.tx.state {
	case inBlock:
		return 'T'
	case failed:
		return 'E'
	}
	return 'I'
}

// errCanceled is what Cancel makes of the running call.
var errCanceled = types.Errorf("57014", "canceling statement due to user request")

// Cancel asks the running call to end with 57014.
func (s *Session) Cancel() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.cancel != nil {
		s.mu.cancel(errCanceled)
	}
}

// Close rolls back what is open and frees what the session holds, at the engine too.
func (s *Session) Close() {
	s.stopIdle()
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	s.rollback(ctx)
	for name := range s.portals {
		s.closePortal(name)
	}
	s.engine.Forget(ctx, s.info, ForgetAll)
	s.host.forget(s)
}

// enter begins a call of the server: the idle timer stops, Cancel has something to cancel.
// The function it gives ends the call.
func (s *Session) enter(ctx context.Context, text string) (context.Context, func()) {
	s.stopIdle()
	ctx, cancel := context.WithCancelCause(ctx)
	s.mu.Lock()
	s.mu.cancel = cancel
	s.mu.Unlock()
	s.info.changeActivity(func(a *Activity) {
		a.State = "active"
		if text != "" {
			a.Query, a.QueryStart = text, time.Now()
		}
	})
	s.info.mu.Lock()
	s.info.mu.objects = s.objectRows
	s.info.mu.Unlock()
	return ctx, func() {
		s.mu.Lock()
		s.mu.cancel = nil
		s.mu.Unlock()
		cancel(nil)
		s.info.mu.Lock()
		s.info.mu.objects = nil
		s.info.mu.Unlock()
		s.rest()
	}
}

// rest notes that the session waits for its client and arms the idle time-out.
func (s *Session) rest() {
	s.info.changeActivity(func(a *Activity) {
		switch s.tx.state {
		case inBlock, implicit:
			a.State = "idle in transaction"
		case failed:
			a.State = "idle in transaction (aborted)"
		default:
			a.State = "idle"
		}
	})
	name, code, what := "idle_session_timeout", "57P05", "idle-session timeout"
	if s.tx.state != idle {
		name, code, what = "idle_in_transaction_session_timeout", "25P03", "idle-in-transaction timeout"
	}
	limit := time.Duration(s.values.number(name)) * time.Millisecond
	if limit <= 0 {
		return
	}
	e := types.Errorf(code, "terminating connection due to %s", what)
	e.Severity = "FATAL"
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.idle = time.AfterFunc(limit, func() { s.client.Terminate(e) })
}

func (s *Session) stopIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.idle != nil {
		s.mu.idle.Stop()
		s.mu.idle = nil
	}
}

// statementTimer bounds a statement by statement_timeout.
func (s *Session) statementTimer(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := time.Duration(s.values.number("statement_timeout")) * time.Millisecond
	if limit <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, limit, types.Errorf("57014", "canceling statement due to statement timeout"))
}

// cause gives the reason why the call was cut short in place of the error that came of it;
// but that a commit's outcome is unknown is more than why.
func (s *Session) cause(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || types.CodeOf(err) == "40003" {
		return err
	}
	var reason *types.Error
	if errors.As(context.Cause(ctx), &reason) {
		return reason
	}
	return err
}

// setValues puts settings in force.
func (s *Session) setValues(v *values) {
	s.values, s.printing, s.place = v, nil, ""
	s.info.setValues(v)
}

func (s *Session) reportedValues() map[string]string {
	out := make(map[string]string, len(reported))
	for _, name := range reported {
		out[name], _ = s.values.show(name)
	}
	return out
}

// report tells the client which reported settings have changed.
func (s *Session) report() {
	for _, name := range reported {
		if now, _ := s.values.show(name); now != s.told[name] {
			s.told[name] = now
			s.client.ParameterStatus(name, now)
		}
	}
}

// Settings are the settings that values are read and printed by.
func (s *Session) Settings() *types.Settings {
	if s.printing != nil {
		return s.printing
	}
	out := &types.Settings{}
	if zone, _ := s.values.get("TimeZone"); zone != "UTC" {
		out.Location, _ = types.LoadLocation(zone) // checked when it was set
	}
	if form, _ := s.values.get("bytea_output"); form == "escape" {
		out.ByteaEscape = true
	}
	if digits := s.values.number("extra_float_digits"); digits <= 0 {
		out.FloatDigits = 15 + int(digits)
	}
	s.printing = out
	return out
}

// positioned turns an error's byte offset in a statement into characters of the whole text.
func positioned(err error, p sql.Parsed, text string) error {
	var e *types.Error
	if !errors.As(err, &e) || e.Position <= 0 {
		return err
	}
	at := p.Offset + e.Position - 1
	if at > len(text) {
		return err
	}
	moved := *e
	moved.Position = utf8.RuneCountInString(text[:at]) + 1
	return &moved
}

func tagCount(word string, n int64) string { return word + " " + strconv.FormatInt(n, 10) }
