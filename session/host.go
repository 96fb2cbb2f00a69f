package session

import (
	"cmp"
	"context"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/types"
)

// Options say what is common to a node's sessions.
type Options struct {
	// Engine finds the database that a client names: 3D000 if there is none.
	Engine func(database string) (Engine, error)

	// Defaults override the built-in defaults of settings, "in_hot_standby" and the like
	// among them. They are what RESET goes back to.
	Defaults map[string]string

	// Standby tells whether the node is a standby now; nil: it never is.
	Standby func() bool

	// PlanCacheBytes bounds the memory of cached plans (32 MiB).
	PlanCacheBytes int

	// CursorBytes bounds the rows kept by one WITH HOLD or SCROLL cursor, or by a result
	// that must be complete before its first row is sent (64 MiB).
	CursorBytes int

	// StatementMemory bounds what a statement's sorts, groups and joins hold (256 MiB).
	StatementMemory int64
}

// Host makes the sessions of one node and knows those that live. It is safe for
// concurrent use.
type Host struct {
	options Options
	plans   *planCache
	started time.Time

	mu struct {
		sync.Mutex
		sessions map[*Session]bool
	}
}

// NewHost makes a Host; options are checked when sessions begin.
func NewHost(o Options) *Host {
	o.PlanCacheBytes = cmp.Or(o.PlanCacheBytes, 32<<20)
	o.StatementMemory = cmp.Or(o.StatementMemory, 256<<20)
	o.CursorBytes = cmp.Or(o.CursorBytes, 64<<20)
	h := &Host{options: o, plans: newPlanCache(o.PlanCacheBytes), started: time.Now()}
	h.mu.sessions = make(map[*Session]bool)
	return h
}

// Open begins the session of an authenticated client: 3D000 for a database that does not
// exist, 28000 for a role that may not log in, 22023 or 42704 for a wrong setting.
func (h *Host) Open(_ context.Context, conn *pgwire.ConnInfo, client pgwire.Client) (*Session, error) {
	engine, err := h.options.Engine(conn.Database)
	if err != nil {
		return nil, err
	}
	role, ok := engine.Catalog().Role(conn.User)
	switch {
	case !ok:
		return nil, types.Errorf("28000", "role \"%s\" does not exist", conn.User)
	case !role.Login:
		return nil, types.Errorf("28000", "role \"%s\" is not permitted to log in", conn.User)
	}
	s := &Session{
		host: h, engine: engine, client: client,
		statements: make(map[string]*prepared), portals: make(map[string]*portal),
		info: &Info{
			PID: conn.PID, Login: conn.User, Database: conn.Database, Remote: conn.Remote, Started: time.Now(),
			host: h, notice: client.Notice, status: client.ParameterStatus,
		},
	}
	start := newValues()
	for name, value := range h.options.Defaults {
		start.start[strings.ToLower(name)] = value
	}
	start.start["session_authorization"] = conn.User
	if role.Superuser {
		start.start["is_superuser"] = "on"
	}
	if h.standby() {
		start.start["in_hot_standby"] = "on"
	}
	s.setValues(start)
	s.info.mu.activity = Activity{State: "idle", StateChange: time.Now()}
	if err := s.startupSettings(conn.Settings); err != nil {
		return nil, err
	}
	s.told = s.reportedValues()
	h.mu.Lock()
	h.mu.sessions[s] = true
	h.mu.Unlock()
	return s, nil
}

// startupSettings applies what the client asked for in its startup message; it becomes
// what RESET goes back to.
func (s *Session) startupSettings(wanted []pgwire.Parameter) error {
	for _, p := range wanted {
		if err := s.mayChange(p.Name); err != nil {
			return err
		}
		value, err := s.checkSetting(p.Name, p.Value)
		if err != nil {
			return err
		}
		next := *s.values
		next.start = maps.Clone(s.values.start)
		next.start[strings.ToLower(p.Name)] = value
		s.setValues(&next)
	}
	return nil
}

func (h *Host) standby() bool { return h.options.Standby != nil && h.options.Standby() }

func (h *Host) forget(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.mu.sessions, s)
}

// Sessions gives the living sessions in order of their start.
func (h *Host) Sessions() []*Info {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*Info, 0, len(h.mu.sessions))
	for s := range h.mu.sessions {
		out = append(out, s.info)
	}
	slices.SortFunc(out, func(a, b *Info) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.PID, b.PID))
	})
	return out
}

// Cancel ends the running statement of the session with this process id, and Terminate
// the session itself (57P01); false if there is none.
func (h *Host) Cancel(pid uint32) bool {
	return h.with(pid, (*Session).Cancel)
}

// Terminate ends a session.
func (h *Host) Terminate(pid uint32) bool {
	return h.with(pid, func(s *Session) {
		e := types.Errorf("57P01", "terminating connection due to administrator command")
		e.Severity = "FATAL"
		s.client.Terminate(e)
		s.Cancel()
	})
}

func (h *Host) with(pid uint32, f func(*Session)) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.mu.sessions {
		if s.info.PID == pid {
			f(s)
			return true
		}
	}
	return false
}

// activityRows are the rows of pg_stat_activity.
func (h *Host) activityRows() []types.Row {
	var rows []types.Row
	for _, i := range h.Sessions() {
		a := i.Activity()
		var datid, usesysid types.Value
		if engine, err := h.options.Engine(i.Database); err == nil {
			cat := engine.Catalog()
			datid = types.Int(int64(cat.Database().OID))
			if role, ok := cat.Role(i.SessionUser()); ok {
				usesysid = types.Int(int64(role.OID))
			}
		}
		application, _ := i.Setting("application_name")
		address, port := remoteOf(i.Remote)
		rows = append(rows, types.Row{
			datid, types.Text(i.Database), types.Int(int64(i.PID)), types.Null, usesysid, types.Text(i.SessionUser()),
			types.Text(application), address, types.Null, port, timestamp(i.Started), timestamp(a.TxStart),
			timestamp(a.QueryStart), timestamp(a.StateChange), types.Null, types.Null, types.Text(a.State),
			types.Null, types.Null, types.Null, types.Text(a.Query), types.Text("client backend"),
		})
	}
	return rows
}

func remoteOf(a net.Addr) (address, port types.Value) {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return types.Text(tcp.IP.String()), types.Int(int64(tcp.Port))
	}
	return types.Null, types.Int(-1)
}

var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func timestamp(t time.Time) types.Value {
	if t.IsZero() {
		return types.Null
	}
	return types.Timestamp(t.Sub(epoch).Microseconds())
}
