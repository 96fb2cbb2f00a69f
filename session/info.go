package session

import (
	"net"
	"sync"
	"time"

	"github.com/heliosdb/helios/types"
)

// Info is what an Engine may know about a session. The plain fields never change; the
// methods are safe for any goroutine.
type Info struct {
	PID      uint32
	Login    string // who logged in
	Database string
	Remote   net.Addr // nil for a local one
	Started  time.Time

	host   *Host
	notice func(*types.Error)
	status func(name, value string)

	mu struct {
		sync.Mutex
		settings *values
		activity Activity
		objects  func(relation string) []types.Row // the session's own objects; nil between calls
	}
}

// Activity is what a session is doing, the changing part of its row in pg_stat_activity.
type Activity struct {
	State       string // "active", "idle", "idle in transaction", "idle in transaction (aborted)"
	Query       string // the text that runs or ran last
	TxStart     time.Time
	QueryStart  time.Time
	StateChange time.Time
}

// Notice sends a notice or warning to the client, if client_min_messages lets it through.
func (i *Info) Notice(e *types.Error) {
	level, _ := i.Setting("client_min_messages")
	severity := e.Severity
	if severity == "" {
		severity = "NOTICE"
	}
	if severityRank[severity] >= levelRank[level] {
		i.notice(e)
	}
}

// Severities and the values of client_min_messages on one scale; INFO always passes.
var (
	severityRank = map[string]int{"DEBUG": 1, "LOG": 2, "NOTICE": 3, "WARNING": 4, "INFO": 9, "ERROR": 9}
	levelRank    = map[string]int{"log": 2, "notice": 3, "warning": 4, "error": 5}
)

// ParameterStatus reports a parameter to the client before the next ReadyForQuery. Engines
// use it for parameters that are theirs, such as helios.ts.
func (i *Info) ParameterStatus(name, value string) { i.status(name, value) }

// Setting gives the value of a setting as SHOW prints it; ok is false for an unknown name.
func (i *Info) Setting(name string) (value string, ok bool) { return i.values().show(name) }

// Raw gives the value of a setting in its unit, as pg_settings shows it: milliseconds for
// times, kB for memory.
func (i *Info) Raw(name string) (value string, ok bool) { return i.values().get(name) }

// User is current_user: the role set by SET ROLE, or the session user.
func (i *Info) User() string {
	v := i.values()
	if role, _ := v.get("role"); role != "none" {
		return role
	}
	return v.sessionUser()
}

// SessionUser is session_user: who logged in, unless SET SESSION AUTHORIZATION changed it.
func (i *Info) SessionUser() string { return i.values().sessionUser() }

// SearchPath gives the schemas of search_path, "$user" replaced.
func (i *Info) SearchPath() []string { return i.values().searchPath(i.User()) }

// Activity tells what the session is doing now.
func (i *Info) Activity() Activity {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.mu.activity
}

// Rows gives the rows of the relations of pg_catalog that sessions provide: pg_settings,
// pg_prepared_statements, pg_cursors and pg_stat_activity; ok is false for others.
func (i *Info) Rows(relation string) (rows []types.Row, ok bool) {
	switch relation {
	case "pg_settings":
		return settingRows(i.values()), true
	case "pg_stat_activity":
		return i.host.activityRows(), true
	case "pg_prepared_statements", "pg_cursors":
		i.mu.Lock()
		objects := i.mu.objects
		i.mu.Unlock()
		if objects == nil {
			return nil, true
		}
		return objects(relation), true
	}
	return nil, false
}

func (i *Info) values() *values {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.mu.settings
}

func (i *Info) setValues(v *values) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.mu.settings = v
}

// changeActivity applies a change and notes when the state changed.
func (i *Info) changeActivity(change func(*Activity)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	before := i.mu.activity.State
	change(&i.mu.activity)
	if i.mu.activity.State != before {
		i.mu.activity.StateChange = time.Now()
	}
}
