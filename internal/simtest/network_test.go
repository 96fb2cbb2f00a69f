package simtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"
)

// network connects processes by streams that take time. What was written before a
// machine lost its power still arrives; bytes sent into a partition wait for its end, as
// TCP would send them again.
type network struct {
	mu struct {
		sync.Mutex
		rng       *rand.Rand
		listeners map[string]*listener
		cut       map[[2]string]bool // machines that do not hear each other
		changed   chan struct{}      // closed and replaced at every change of cut
		port      int
	}
}

func newNetwork(rng *rand.Rand) *network {
	n := &network{}
	n.mu.rng = rng
	n.mu.listeners = map[string]*listener{}
	n.mu.cut = map[[2]string]bool{}
	n.mu.changed = make(chan struct{})
	n.mu.port = 40000
	return n
}

// partition cuts or heals the way between two machines, in both directions.
func (n *network) partition(a, b string, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.cut[[2]string{a, b}], n.mu.cut[[2]string{b, a}] = cut, cut
	close(n.mu.changed)
	n.mu.changed = make(chan struct{})
}

func (n *network) isCut(a, b string) (cut bool, changed <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.cut[[2]string{a, b}], n.mu.changed
}

// delay is how long the next message takes: mostly little, at times much.
func (n *network) delay() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := 20*time.Microsecond + time.Duration(n.mu.rng.Int64N(int64(300*time.Microsecond)))
	if n.mu.rng.IntN(50) == 0 {
		d += time.Duration(n.mu.rng.Int64N(int64(20 * time.Millisecond)))
	}
	return d
}

// host is one life of a machine on the network: from power on to power off.
type host struct {
	net  *network
	name string
	mu   struct {
		sync.Mutex
		dead      bool
		conns     map[*conn]struct{}
		listeners []*listener
	}
}

func (n *network) host(name string) *host {
	h := &host{net: n, name: name}
	h.mu.conns = map[*conn]struct{}{}
	return h
}

// off takes a machine from the network at once: nothing it writes from now on arrives.
// Its peers learn of it after a while: their connections break.
func (h *host) off(after time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.dead {
		return
	}
	h.mu.dead = true
	for c := range h.mu.conns {
		c.in.end(errReset, 0)
		c.out.end(errReset, after)
	}
	for _, l := range h.mu.listeners {
		l.shut()
	}
}

func (h *host) add(c *conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.dead {
		return false
	}
	h.mu.conns[c] = struct{}{}
	return true
}

func (h *host) remove(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.mu.conns, c)
}

var (
	errReset   = fmt.Errorf("simulated: %w", syscall.ECONNRESET)
	errRefused = fmt.Errorf("simulated: %w", syscall.ECONNREFUSED)
)

// listen is World.Listen.
func (h *host) listen(addr string) (net.Listener, error) {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, err
	}
	l := &listener{host: h, addr: tcp, queue: make(chan *conn, 64), closed: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.dead {
		return nil, net.ErrClosed
	}
	h.mu.listeners = append(h.mu.listeners, l)
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.net.mu.listeners[addr] = l
	return l, nil
}

// dial is World.Dial.
func (h *host) dial(ctx context.Context, addr string) (net.Conn, error) {
	if err := pause(ctx, h.net.delay()); err != nil {
		return nil, err
	}
	for {
		h.net.mu.Lock()
		l := h.net.mu.listeners[addr]
		h.net.mu.Unlock()
		if l == nil {
			return nil, errRefused
		}
		cut, changed := h.net.isCut(h.name, l.host.name)
		if !cut {
			return h.connect(l)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (h *host) connect(l *listener) (net.Conn, error) {
	h.net.mu.Lock()
	h.net.mu.port++
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: h.net.mu.port}
	h.net.mu.Unlock()
	there, back := newFlow(h.net, h.name, l.host.name), newFlow(h.net, l.host.name, h.name)
	mine := &conn{host: h, in: back, out: there, local: local, remote: l.addr}
	theirs := &conn{host: l.host, in: there, out: back, local: l.addr, remote: local}
	if !h.add(mine) {
		return nil, errReset
	}
	if !l.host.add(theirs) {
		h.remove(mine)
		return nil, errRefused
	}
	select {
	case l.queue <- theirs:
		return mine, nil
	case <-l.closed:
		h.remove(mine)
		l.host.remove(theirs)
		return nil, errRefused
	}
}

type listener struct {
	host   *host
	addr   *net.TCPAddr
	queue  chan *conn
	once   sync.Once
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.shut()
	return nil
}

func (l *listener) shut() {
	l.once.Do(func() {
		close(l.closed)
		l.host.net.mu.Lock()
		defer l.host.net.mu.Unlock()
		if name := l.addr.String(); l.host.net.mu.listeners[name] == l {
			delete(l.host.net.mu.listeners, name)
		}
	})
}

func (l *listener) Addr() net.Addr { return l.addr }

// conn is one end of a connection.
type conn struct {
	host          *host
	in, out       *flow
	local, remote *net.TCPAddr
}

func (c *conn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *conn) Write(b []byte) (int, error) { return c.out.write(b) }
func (c *conn) LocalAddr() net.Addr         { return c.local }
func (c *conn) RemoteAddr() net.Addr        { return c.remote }

func (c *conn) Close() error {
	c.in.abandon()
	c.out.end(nil, 0)
	c.host.remove(c)
	return nil
}

func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(t)
	return nil
}

// SetWriteDeadline has no effect: a write never waits.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
