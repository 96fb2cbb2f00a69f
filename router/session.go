package router

import (
	"context"
	"strconv"
	"sync"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/types"
)

// sessionState is what the router keeps for a session.
type sessionState struct {
	info *session.Info

	mu struct {
		sync.Mutex
		current map[types.OID]int64 // values of sequences drawn in this session
		last    types.OID
		commit  hlc.Timestamp // of the session's last commit, or the token it was given
		exact   bool          // helios.vector_exact
	}
}

// session gives the state kept for a session, made at its first use.
func (r *Router) session(info *session.Info) *sessionState {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.mu.sessions[info]
	if s == nil {
		s = &sessionState{info: info}
		s.mu.current = map[types.OID]int64{}
		r.mu.sessions[info] = s
	}
	return s
}

// Forget frees what is kept for a session.
func (r *Router) Forget(_ context.Context, info *session.Info, what session.Forget) {
	switch what {
	case session.ForgetAll:
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.mu.sessions, info)
	case session.ForgetSequences:
		s := r.session(info)
		s.mu.Lock()
		defer s.mu.Unlock()
		clear(s.mu.current)
		s.mu.last = 0
	}
}

// committed notes the timestamp of a commit of the session.
func (s *sessionState) committed(ts hlc.Timestamp) {
	s.mu.Lock()
	s.mu.commit = max(s.mu.commit, ts)
	now := s.mu.commit
	s.mu.Unlock()
	if s.info != nil {
		s.info.ParameterStatus("helios.last_commit_ts", strconv.FormatUint(uint64(now), 10))
	}
}

// exact tells whether vector searches ask all cells.
func (s *sessionState) exact() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.exact
}

// LastCommit is the timestamp of the session's last commit, 0 before the first. Another
// session that is given it (SET helios.last_commit_ts) sees at least as much.
func (r *Router) LastCommit(info *session.Info) hlc.Timestamp {
	s := r.session(info)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.commit
}

// Setting takes the settings that are the router's: helios.vector_exact and
// helios.last_commit_ts. A token from the future is refused: a client cannot push the
// cluster's clock.
func (r *Router) Setting(ctx context.Context, info *session.Info, name, value string) (bool, error) {
	s := r.session(info)
	switch name {
	case "helios.vector_exact":
		v, err := types.ParseText(types.T(types.BoolOID), value, nil)
		if value == "" {
			v, err = types.Bool(false), nil
		}
		if err != nil {
			return true, types.Errorf("22023", "parameter %q requires a Boolean value", name)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.mu.exact = v.AsBool()
		return true, nil
	case "helios.last_commit_ts", "helios.session_token":
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil {
			return true, types.Errorf("22023", "invalid value for parameter %q: %q", name, value)
		}
		if hlc.Timestamp(n) > r.Heard() {
			if _, _, err := r.snapshot(ctx); err != nil {
				return true, err
			}
		}
		if hlc.Timestamp(n) > r.Heard() {
			return true, types.Errorf("22023", "timestamp %d is ahead of every clock in the cluster", n)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.mu.commit = max(s.mu.commit, hlc.Timestamp(n))
		return true, nil
	}
	return false, nil
}
