// Package remote speaks the PostgreSQL v3 protocol on the client side: pools of
// connections to shards, prepared statements kept per connection, several statements in
// one flight, rows passed on undecoded, and the choice of a shard's node from the cluster
// map, held while the shard has no primary.
//
// Underneath is pgx's pgconn; docs/decisions says why.
package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Options say how a Client connects; a zero limit means its default.
type Options struct {
	// Dial opens a connection to host:port; nil uses TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)

	// User logs in with Password (SCRAM-SHA-256), with the certificate in TLS, or both.
	User, Password string

	// Settings are sent with the login, beside those that every connection needs.
	Settings map[string]string

	// TLS is required of every connection if it is set; ServerName is set to the host.
	TLS *tls.Config

	ConnsMax       int           // open connections of one pool (64)
	IdleMax        time.Duration // a connection unused for longer is closed (5 min)
	StatementsMax  int           // prepared statements kept on one connection (256)
	MessageBytes   int           // longest message accepted (1 GiB, the protocol's own limit)
	DialTimeout    time.Duration // dial and login (5 s)
	CancelDeadline time.Duration // how long a cancelled statement may take to end before its connection is given up (2 s)
}

func (o Options) withDefaults() Options {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	wait := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	set(&o.ConnsMax, 64)
	set(&o.StatementsMax, 256)
	set(&o.MessageBytes, 1<<30)
	wait(&o.IdleMax, 5*time.Minute)
	wait(&o.DialTimeout, 5*time.Second)
	wait(&o.CancelDeadline, 2*time.Second)
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		}
	}
	return o
}

// Client holds one pool per address and database. All methods may be called at any time.
type Client struct {
	opts   Options
	config *pgconn.Config // the template of every connection's

	mu struct {
		sync.Mutex
		closed bool
		pools  map[poolKey]*Pool
	}
}

type poolKey struct{ addr, database string }

// NewClient makes a Client; it connects to nothing yet.
func NewClient(opts Options) (*Client, error) {
	if opts.User == "" {
		return nil, errors.New("remote: no user to log in as")
	}
	opts = opts.withDefaults()
	// pgconn wants its Config parsed. What the environment may have put in is taken out below.
	config, err := pgconn.ParseConfig("host=unset port=1 user=unset sslmode=disable sslcertmode=disable")
	if err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	config.User, config.Password = opts.User, opts.Password
	config.TLSConfig = opts.TLS
	config.SSLCertMode = "allow"
	config.ConnectTimeout = opts.DialTimeout
	config.MaxProtocolMessageBodyLen = opts.MessageBytes
	config.RuntimeParams = map[string]string{"application_name": "helios router", "client_encoding": "UTF8"}
	maps.Copy(config.RuntimeParams, opts.Settings)
	config.Fallbacks = nil
	config.ValidateConnect, config.AfterConnect = nil, nil
	config.RequireAuth, config.ChannelBinding = "", "prefer"
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	c := &Client{opts: opts, config: config}
	c.mu.pools = make(map[poolKey]*Pool)
	return c, nil
}

// Pool gives the pool of a node's address (host:port) and database; it is made at first use.
func (c *Client) Pool(addr, database string) *Pool {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := poolKey{addr, database}
	p := c.mu.pools[key]
	if p == nil {
		p = newPool(c, key)
		if c.mu.closed {
			p.shut()
		}
		c.mu.pools[key] = p
	}
	return p
}

// Forget closes the pools of an address that serves no longer. It does not wait; their
// connections close when they are released.
func (c *Client) Forget(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, p := range c.mu.pools {
		if key.addr == addr {
			p.shut()
			delete(c.mu.pools, key)
		}
	}
}

// Close closes all pools and waits until every connection was released and is closed.
// Statements still running are not cancelled: their contexts are their callers'.
func (c *Client) Close() {
	c.mu.Lock()
	c.mu.closed = true
	pools := make([]*Pool, 0, len(c.mu.pools))
	for _, p := range c.mu.pools {
		p.shut()
		pools = append(pools, p)
	}
	c.mu.Unlock()
	for _, p := range pools {
		p.wait()
	}
}

// configFor makes the configuration of one connection.
func (c *Client) configFor(key poolKey, conn *Conn, dial pgconn.DialFunc) (*pgconn.Config, error) {
	host, portText, err := net.SplitHostPort(key.addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port of %q: %w", key.addr, err)
	}
	config := c.config.Copy()
	config.Host, config.Port, config.Database = host, uint16(port), key.database
	config.DialFunc = dial
	if config.TLSConfig != nil && config.TLSConfig.ServerName == "" {
		config.TLSConfig.ServerName = host
	}
	config.OnNotice = conn.noticed
	config.BuildContextWatcherHandler = conn.watcher
	return config, nil
}
