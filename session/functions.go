package session

import (
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/types"
)

// functions answers the catalog functions of a session: the engine's answers, and those
// about sessions.
type functions struct {
	builtin.Catalog
	session *Session
}

// EngineCatalog gives the engine's own Lookup behind what a session's functions are given,
// so that functions of the engine find what they put there.
func EngineCatalog(c builtin.Catalog) builtin.Catalog {
	if f, ok := c.(*functions); ok {
		return f.Catalog
	}
	return c
}

// Call answers pg_cancel_backend, pg_terminate_backend and current_query itself.
func (f *functions) Call(function string, args []types.Value) ([]types.Row, bool, error) {
	switch function {
	case "pg_cancel_backend", "pg_terminate_backend":
		done, err := f.signal(function, uint32(args[0].AsInt()))
		return []types.Row{{types.Bool(done)}}, true, err
	case "current_query":
		return []types.Row{{types.Text(f.session.info.Activity().Query)}}, true, nil
	}
	return f.Catalog.Call(function, args)
}

// signal ends another session or its statement: 42501 unless it belongs to the same role or
// this one is a superuser.
func (f *functions) signal(function string, pid uint32) (bool, error) {
	host := f.session.host
	for _, other := range host.Sessions() {
		if other.PID != pid {
			continue
		}
		if !f.session.values.on("is_superuser") && other.SessionUser() != f.session.info.User() {
			return false, types.Errorf("42501", "must be a member of the role whose process is being terminated or member of pg_signal_backend")
		}
		if function == "pg_cancel_backend" {
			return host.Cancel(pid), nil
		}
		return host.Terminate(pid), nil
	}
	warning := types.Errorf("01000", "PID %d is not a PostgreSQL server process", pid)
	warning.Severity = "WARNING"
	f.session.info.Notice(warning)
	return false, nil
}
