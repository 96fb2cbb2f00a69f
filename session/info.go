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
	User     string // who logged in
	Database string
	Remote   net.Addr // nil for a local one
	Started  time.Time

	notice func(*types.Error)
	status func(name, value string)

	mu struct {
		sync.Mutex
		settings *values
		activity Activity
	}
}

// Activity is what a session is doing, one row of pg_stat_activity.
type Activity struct {
	State       string // "active", "idle", "idle in transaction", "idle in transaction (aborted)"
	Query       string // the statement that runs or ran last
	TxStart     time.Time
	QueryStart  time.Time
	StateChange time.Time
}

// Notice sends a notice or warning to the client.
func (i *Info) Notice(e *types.Error) { i.notice(e) }

// ParameterStatus reports a parameter to the client before the next ReadyForQuery. Engines
// use it for parameters that are theirs, such as helios.ts.
func (i *Info) ParameterStatus(name, value string) { i.status(name, value) }

// Setting gives the value of a setting as SHOW prints it; ok is false for an unknown name.
func (i *Info) Setting(name string) (value string, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.mu.settings.show(name)
}

// Activity tells what the session is doing now.
func (i *Info) Activity() Activity {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.mu.activity
}
