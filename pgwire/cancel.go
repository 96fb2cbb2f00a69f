package pgwire

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"sync"
	"time"
)

// A process id is a node number above a serial number; the sign bit stays clear,
// because clients read it as an int.
const (
	serialBits = 20
	serialMask = 1<<serialBits - 1

	// NodeMax is the greatest Options.Node.
	NodeMax = 1<<(31-serialBits) - 1
)

// wrongKeyPause is how long a CancelRequest with a wrong key keeps its place among the
// strangers, so that their limit bounds how fast keys can be guessed.
const wrongKeyPause = 100 * time.Millisecond

// cancelRegistry finds the session that a CancelRequest means.
type cancelRegistry struct {
	node uint32

	mu struct {
		sync.Mutex
		last    uint32 // serial number given last
		targets map[uint32]*cancelTarget
	}
}

// cancelTarget is one session's cancel key. Its lock keeps Cancel and Close apart.
type cancelTarget struct {
	pid, secret uint32

	mu struct {
		sync.Mutex
		session Session // nil before the session exists and after it was closed
	}
}

func (r *cancelRegistry) init(node uint32) {
	r.node = node
	r.mu.targets = make(map[uint32]*cancelTarget)
}

// add reserves a process id with a random secret.
func (r *cancelRegistry) add() *cancelTarget {
	var secret [4]byte
	rand.Read(secret[:])
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		r.mu.last = (r.mu.last + 1) & serialMask
		pid := r.node<<serialBits | r.mu.last
		if pid == 0 || r.mu.targets[pid] != nil {
			continue
		}
		t := &cancelTarget{pid: pid, secret: binary.BigEndian.Uint32(secret[:])}
		r.mu.targets[pid] = t
		return t
	}
}

func (r *cancelRegistry) remove(t *cancelTarget) {
	t.set(nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.mu.targets, t.pid)
}

// cancel calls Cancel of the session with this key and tells whether there is one.
func (r *cancelRegistry) cancel(pid, secret uint32) bool {
	r.mu.Lock()
	t := r.mu.targets[pid]
	r.mu.Unlock()
	if t == nil {
		return false
	}
	var a, b [4]byte
	binary.BigEndian.PutUint32(a[:], secret)
	binary.BigEndian.PutUint32(b[:], t.secret)
	if subtle.ConstantTimeCompare(a[:], b[:]) == 0 {
		return false
	}
	t.cancel()
	return true
}

func (t *cancelTarget) set(s Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.session = s
}

func (t *cancelTarget) cancel() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.session != nil {
		t.mu.session.Cancel()
	}
}

// Cancel does what a CancelRequest with this key would: it is how requests forwarded by
// another node arrive. It tells whether the key was right.
func (s *Server) Cancel(pid, secret uint32) bool { return s.cancels.cancel(pid, secret) }

// cancelRequest serves a CancelRequest. The client learns nothing.
func (c *conn) cancelRequest(ctx context.Context, pid, secret uint32) {
	if pid>>serialBits != c.server.opts.Node && c.server.opts.ForwardCancel != nil {
		c.server.opts.ForwardCancel(ctx, pid, secret)
		return
	}
	if c.server.Cancel(pid, secret) {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(wrongKeyPause):
	}
}
