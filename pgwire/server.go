package pgwire

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heliosdb/helios/types"
)

// Options say how a Server serves. Auth and NewSession must be set.
type Options struct {
	// TLS, if set, is offered to clients that ask for it (and on a direct TLS start);
	// RequireTLS refuses the others with 28000.
	TLS        *tls.Config
	RequireTLS bool

	Auth Authenticator

	// NewSession makes the session of an authenticated client; its error is sent as FATAL.
	NewSession func(ctx context.Context, info *ConnInfo, client Client) (Session, error)

	// Superuser tells who may use the reserved connections; nil means nobody.
	Superuser func(user string) bool

	// Node goes into the upper bits of every process id (0 to NodeMax), so that any router
	// can tell whose session a CancelRequest means; ForwardCancel passes on those of others.
	Node          uint32
	ForwardCancel func(ctx context.Context, pid, secret uint32)

	Limits Limits
	Log    *slog.Logger // nil: slog.Default()
}

// Limits bound what clients can take; a zero field means its default.
type Limits struct {
	Conns         int           // authenticated connections (500)
	Reserved      int           // of these, kept for superusers (3; negative: none)
	Strangers     int           // connections not yet authenticated (200)
	StrangersByIP int           // of these, from one address (100)
	MessageBytes  int           // body of a message after authentication (64 MiB)
	AuthTimeout   time.Duration // from accept to the end of authentication (10 s)
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	set(&l.Conns, 500)
	set(&l.Reserved, 3)
	set(&l.Strangers, 200)
	set(&l.StrangersByIP, 100)
	set(&l.MessageBytes, 64<<20)
	if l.AuthTimeout == 0 {
		l.AuthTimeout = 10 * time.Second
	}
	l.Reserved = max(l.Reserved, 0)
	return l
}

// Status counts what a Server has seen.
type Status struct {
	Conns     int   // authenticated connections now
	Strangers int   // connections now that are not authenticated yet
	Accepted  int64 // connections accepted since the start
	Refused   int64 // of these, closed by a limit or a failed authentication
	Panics    int64 // panics recovered; each is a bug
}

// Server serves PostgreSQL clients. All methods may be called at any time.
type Server struct {
	opts    Options
	tls     *tls.Config
	log     *slog.Logger
	cancels cancelRegistry

	accepted, refused, panics atomic.Int64

	mu struct {
		sync.Mutex
		closed    bool
		listeners map[net.Listener]bool
		conns     map[*conn]bool // all of them
		admitted  int            // authenticated ones
		strangers map[string]int // others by address
		waiting   int            // sum of strangers
	}
	done sync.WaitGroup // one per Serve and per connection
}

// New makes a Server; the options are validated.
func New(opts Options) (*Server, error) {
	switch {
	case opts.Auth == nil:
		return nil, errors.New("pgwire: no authenticator")
	case opts.NewSession == nil:
		return nil, errors.New("pgwire: no maker of sessions")
	case opts.Node > NodeMax:
		return nil, errors.New("pgwire: node number out of range")
	case opts.RequireTLS && opts.TLS == nil:
		return nil, errors.New("pgwire: TLS is required but not configured")
	}
	opts.Limits = opts.Limits.withDefaults()
	s := &Server{opts: opts, log: opts.Log}
	if s.log == nil {
		s.log = slog.Default()
	}
	if opts.TLS != nil {
		s.tls = opts.TLS.Clone()
		if !slices.Contains(s.tls.NextProtos, alpn) {
			s.tls.NextProtos = append(slices.Clone(s.tls.NextProtos), alpn)
		}
	}
	s.cancels.init(opts.Node)
	s.mu.listeners = make(map[net.Listener]bool)
	s.mu.conns = make(map[*conn]bool)
	s.mu.strangers = make(map[string]int)
	return s, nil
}

// ErrClosed is what Serve returns after Close.
var ErrClosed = errors.New("pgwire: server closed")

const acceptRetryMax = time.Second

// Serve accepts connections until ctx ends, Close is called (ErrClosed) or l fails; it
// closes l. The connections it accepted live on until Close.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	s.mu.Lock()
	if s.mu.closed {
		s.mu.Unlock()
		return errors.Join(ErrClosed, l.Close())
	}
	s.mu.listeners[l] = true
	s.done.Add(1)
	s.mu.Unlock()
	defer s.done.Done()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()

	err := s.accept(ctx, l)
	l.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.listeners, l)
	if s.mu.closed {
		return ErrClosed
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// accept starts a goroutine per connection until l fails for good.
func (s *Server) accept(ctx context.Context, l net.Listener) error {
	retry := time.Duration(0)
	for {
		nc, err := l.Accept()
		if err == nil {
			retry = 0
			s.welcome(nc)
			continue
		}
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil || !isTransient(err) {
			return err
		}
		// Out of file descriptors, for instance: wait for connections to end.
		retry = min(max(2*retry, 5*time.Millisecond), acceptRetryMax)
		s.log.Warn("accept failed", "err", err, "retry", retry)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retry):
		}
	}
}

// isTransient tells errors of one Accept from those of the listener: a timeout, an aborted
// connection or a full table (EMFILE, ENFILE, ENOBUFS, ENOMEM).
func isTransient(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// welcome counts a new connection among the strangers and starts its goroutine.
func (s *Server) welcome(nc net.Conn) {
	s.accepted.Add(1)
	address := host(nc.RemoteAddr())
	ctx, cancel := context.WithCancelCause(context.Background())
	c := newConn(s, nc, cancel)

	s.mu.Lock()
	full := s.mu.waiting >= s.opts.Limits.Strangers || s.mu.strangers[address] >= s.opts.Limits.StrangersByIP
	if s.mu.closed || full {
		s.mu.Unlock()
		cancel(nil)
		s.refused.Add(1)
		nc.Close()
		return
	}
	s.mu.conns[c] = true
	s.mu.waiting++
	s.mu.strangers[address]++
	s.done.Add(1)
	s.mu.Unlock()

	go func() {
		defer s.done.Done()
		c.serve(ctx)
		cancel(nil)
		s.forget(c, address)
	}()
}

// admit moves an authenticated connection from the strangers to the admitted, or refuses it with 53300.
func (s *Server) admit(c *conn) *types.Error {
	super := s.opts.Superuser != nil && s.opts.Superuser(c.info.User)
	s.mu.Lock()
	defer s.mu.Unlock()
	limit := s.opts.Limits.Conns
	if s.mu.admitted >= limit {
		return fatalf("53300", "sorry, too many clients already")
	}
	if !super && s.mu.admitted >= limit-s.opts.Limits.Reserved {
		return fatalf("53300", "remaining connection slots are reserved for superusers")
	}
	s.mu.admitted++
	c.admitted = true
	s.dropStranger(host(c.net.RemoteAddr()))
	return nil
}

// forget takes an ended connection out of the counts.
func (s *Server) forget(c *conn, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.conns, c)
	if c.admitted {
		s.mu.admitted--
	} else {
		s.dropStranger(address)
	}
}

// dropStranger is called with mu held.
func (s *Server) dropStranger(address string) {
	s.mu.waiting--
	if s.mu.strangers[address]--; s.mu.strangers[address] == 0 {
		delete(s.mu.strangers, address)
	}
}

// host is the address without the port, so that one client counts once.
func host(a net.Addr) string {
	if h, _, err := net.SplitHostPort(a.String()); err == nil {
		return h
	}
	return a.String()
}

// Status gives the counts.
func (s *Server) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Status{
		Conns: s.mu.admitted, Strangers: s.mu.waiting,
		Accepted: s.accepted.Load(), Refused: s.refused.Load(), Panics: s.panics.Load(),
	}
}

// Close stops accepting, ends every connection with 57P01 (a running call has its context
// cancelled and Session.Cancel called) and waits for all of them.
func (s *Server) Close() error {
	s.mu.Lock()
	s.mu.closed = true
	var err error
	for l := range s.mu.listeners {
		err = errors.Join(err, l.Close())
	}
	conns := make([]*conn, 0, len(s.mu.conns))
	for c := range s.mu.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		c.shutDown()
	}
	s.done.Wait()
	return err
}
