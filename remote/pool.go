package remote

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/heliosdb/helios/types"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/semaphore"
)

// pingAfter is how long a connection may have been idle before it must prove that it is
// alive: a node that restarted leaves dead connections behind.
const pingAfter = time.Second

// Pool keeps connections to one node and database. All methods may be called at any time.
type Pool struct {
	client *Client
	key    poolKey
	slots  *semaphore.Weighted // one per connection in use; waiters are served in order
	more   *semaphore.Weighted // as many again, for those who hold a connection already
	ctx    context.Context     // ends with the pool
	cancel context.CancelFunc

	mu struct {
		sync.Mutex
		closed bool
		idle   []*Conn // newest last
		open   int
	}
	closing sync.WaitGroup // connections being closed
}

// PoolStatus counts a pool's connections.
type PoolStatus struct {
	Addr, Database string
	Open, Idle     int
}

func newPool(c *Client, key poolKey) *Pool {
	p := &Pool{client: c, key: key, slots: semaphore.NewWeighted(int64(c.opts.ConnsMax)), more: semaphore.NewWeighted(int64(c.opts.ConnsMax))}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Get gives an idle connection or opens one. With all in use it waits its turn until ctx
// ends. Errors: 08001 (cannot connect), 08004 or the node's own refusal, 57014 (ctx ended);
// nothing was sent (see NotSent). The connection goes back by Conn.Release.
func (p *Pool) Get(ctx context.Context) (*Conn, error) {
	if err := p.refuseClosed(); err != nil {
		return nil, err
	}
	if err := p.slots.Acquire(ctx, 1); err != nil {
		return nil, notSent(ended(ctx))
	}
	return p.getWith(ctx, p.slots)
}

// moreWait is how long GetMore waits when all connections are in use.
const moreWait = 5 * time.Second

// GetMore is Get for a caller that holds a connection of this or another pool, or that must
// not wait for those who do. With all connections in use it may take one of as many again;
// and when these are in use, too, it gives up after a while with 53300: two who hold what
// the other waits for would wait for ever.
func (p *Pool) GetMore(ctx context.Context) (*Conn, error) {
	if err := p.refuseClosed(); err != nil {
		return nil, err
	}
	if p.slots.TryAcquire(1) {
		return p.getWith(ctx, p.slots)
	}
	wait, cancel := context.WithTimeout(ctx, moreWait)
	defer cancel()
	if err := p.more.Acquire(wait, 1); err != nil {
		if ctx.Err() != nil {
			return nil, notSent(ended(ctx))
		}
		return nil, notSent(errNoMore(p.key.addr))
	}
	return p.getWith(ctx, p.more)
}

func errNoMore(addr string) *types.Error {
	e := types.Errorf("53300", "all connections to %s are in use by other transactions", addr).
		WithHint("Run the transaction again, or raise the router's limit pool_size.")
	e.Cause = errPoolFull
	return e
}

// errPoolFull marks the error of GetMore: unlike a node's own 53300 it has waited already.
var errPoolFull = errors.New("the pool is full")

// getWith gets a connection for a slot that was taken.
func (p *Pool) getWith(ctx context.Context, slots *semaphore.Weighted) (*Conn, error) {
	conn, err := p.get(ctx)
	if err != nil {
		slots.Release(1)
		return nil, err
	}
	conn.slots = slots
	return conn, nil
}

// get runs with a slot taken.
func (p *Pool) get(ctx context.Context) (*Conn, error) {
	for {
		if err := p.refuseClosed(); err != nil {
			return nil, err
		}
		conn := p.takeIdle()
		if conn == nil {
			return p.open(ctx)
		}
		if time.Since(conn.idleSince) < pingAfter || conn.Ping(ctx) == nil {
			return conn, nil
		}
		p.discard(conn)
		if ctx.Err() != nil {
			return nil, notSent(ended(ctx))
		}
		p.dropIdle() // its neighbours are as old
	}
}

func (p *Pool) refuseClosed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed {
		return notSent(types.Errorf("57P03", "the connection pool of %s is closed", p.key.addr))
	}
	return nil
}

// takeIdle gives the newest idle connection, nil if there is none.
func (p *Pool) takeIdle() *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.mu.idle)
	if n == 0 {
		return nil
	}
	conn := p.mu.idle[n-1]
	p.mu.idle = p.mu.idle[:n-1]
	return conn
}

// open dials and logs in.
func (p *Pool) open(ctx context.Context) (*Conn, error) {
	conn := &Conn{pool: p, statements: newStatementCache(p.client.opts.StatementsMax)}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		// The pool's end also ends the dials of cancel requests.
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(p.ctx, cancel)()
		return p.client.opts.Dial(ctx, p.key.addr)
	}
	config, err := p.client.configFor(p.key, conn, dial)
	if err != nil {
		return nil, notSent(types.Errorf("08001", "cannot connect to %s: %w", p.key.addr, err))
	}
	conn.pg, err = pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, notSent(connectError(ctx, p.key.addr, err))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.open++
	return conn, nil
}

// put takes a connection back.
func (p *Pool) put(conn *Conn) {
	defer conn.slots.Release(1)
	if conn.Broken() {
		p.discard(conn)
		p.dropIdle()
		return
	}
	if conn.pg.IsBusy() || conn.pg.TxStatus() != 'I' {
		// The caller left it amid a result or a transaction: nobody else may find that.
		p.discard(conn)
		return
	}
	conn.idleSince = time.Now()
	conn.Notices()
	p.mu.Lock()
	closed := p.mu.closed
	var old []*Conn
	if !closed {
		p.mu.idle = append(p.mu.idle, conn)
		for len(p.mu.idle) > 1 && time.Since(p.mu.idle[0].idleSince) > p.client.opts.IdleMax {
			old = append(old, p.mu.idle[0])
			p.mu.idle = p.mu.idle[1:]
		}
	}
	p.mu.Unlock()
	for _, c := range old {
		p.discard(c)
	}
	if closed {
		p.discard(conn)
	}
}

// dropIdle closes all idle connections.
func (p *Pool) dropIdle() {
	p.mu.Lock()
	idle := p.mu.idle
	p.mu.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		p.discard(c)
	}
}

// discard closes a connection in the background; wait waits for it.
func (p *Pool) discard(conn *Conn) {
	p.mu.Lock()
	p.mu.open--
	p.mu.Unlock()
	p.closing.Go(func() {
		if conn.pg.IsClosed() {
			// pgconn is cleaning up by itself: it drains what the node still sends, for up to
			// 15 s. The pool's end cuts that short.
			defer context.AfterFunc(p.ctx, func() { conn.pg.Conn().Close() })()
			<-conn.pg.CleanupDone()
			return
		}
		ctx, cancel := context.WithTimeout(p.ctx, time.Second)
		defer cancel()
		conn.pg.Close(ctx)
	})
}

// shut refuses further Gets and closes what is idle.
func (p *Pool) shut() {
	p.mu.Lock()
	p.mu.closed = true
	p.mu.Unlock()
	p.dropIdle()
}

// wait returns when every connection is closed.
func (p *Pool) wait() {
	all := int64(p.client.opts.ConnsMax)
	p.slots.Acquire(context.Background(), all)
	p.slots.Release(all)
	p.cancel()
	p.closing.Wait()
}

// Status counts the connections.
func (p *Pool) Status() PoolStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PoolStatus{p.key.addr, p.key.database, p.mu.open, len(p.mu.idle)}
}
