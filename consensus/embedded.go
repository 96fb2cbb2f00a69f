package consensus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
)

// Options says how to run a member of the store in this process.
type Options struct {
	Name    string // of this member, as in Members
	Cluster string // only members of one cluster talk to one another
	Dir     string // holds the member's data; made if missing

	// Listen and ListenPeers are host:port for clients and for the other
	// members; port 0 takes a free one, which only a lone member may do.
	Listen, ListenPeers string
	// Members maps each founding member's name to its host:port for peers.
	// Empty: this one is alone.
	Members map[string]string
	// TLS names certificate files for both ports; nil: no TLS, loopback only.
	TLS *TLSFiles
	// Log gets warnings and errors of the store; nil: slog.Default().
	Log *slog.Logger
}

// TLSFiles are PEM files. The other side must show a certificate of the CA.
type TLSFiles struct{ Cert, Key, CA string }

// Embedded is a Store that runs a member of etcd in this process.
type Embedded struct {
	etcdStore
	server *embed.Etcd
}

// segmentBytes is how much of its log the store lays out in advance. etcd's
// own 64 MB is meant for more than a few writes per second.
const segmentBytes = 4 << 20

var setSegment = sync.OnceFunc(func() { wal.SegmentSizeBytes = segmentBytes })

// OpenEmbedded starts a member and waits until it is part of a store that has
// a leader, or until ctx ends.
func OpenEmbedded(ctx context.Context, o Options) (*Embedded, error) {
	setSegment()
	up := new(atomic.Bool)
	cfg, err := o.config(up)
	if err != nil {
		return nil, err
	}
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("consensus: start member %s: %w", o.Name, err)
	}
	client := v3client.New(server.Server)
	e := &Embedded{etcdStore{client: client, prefix: root(o.Cluster)}, server}
	e.done = func() error {
		up.Store(false)
		err := client.Close()
		server.Close()
		return err
	}
	select {
	case <-server.Server.ReadyNotify():
		up.Store(true)
		return e, nil
	case err := <-server.Err():
		return nil, errors.Join(fmt.Errorf("consensus: member %s: %w", o.Name, err), e.Close())
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("consensus: member %s did not find the others: %w", o.Name, ctx.Err()), e.Close())
	}
}

// Address is where clients reach this member, as host:port.
func (e *Embedded) Address() string { return e.server.Clients[0].Addr().String() }

// Failed delivers the error that stopped the member by itself, such as a full
// disk. A process that hosts a member should end when it comes.
func (e *Embedded) Failed() <-chan error { return e.server.Err() }

func (o Options) config(up *atomic.Bool) (*embed.Config, error) {
	scheme := "http"
	cfg := embed.NewConfig()
	if o.TLS != nil {
		scheme = "https"
		files := transport.TLSInfo{CertFile: o.TLS.Cert, KeyFile: o.TLS.Key, TrustedCAFile: o.TLS.CA, ClientCertAuth: true}
		cfg.ClientTLSInfo, cfg.PeerTLSInfo = files, files
	}
	clients, err := address(scheme, o.Listen)
	if err != nil {
		return nil, err
	}
	peers, err := address(scheme, o.ListenPeers)
	if err != nil {
		return nil, err
	}
	cfg.Name, cfg.Dir = o.Name, o.Dir
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = clients, clients
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = peers, peers
	cfg.InitialClusterToken = o.Cluster
	cfg.InitialCluster = o.Name + "=" + peers[0].String()
	for _, name := range slices.Sorted(maps.Keys(o.Members)) {
		if name != o.Name {
			cfg.InitialCluster += fmt.Sprintf(",%s=%s://%s", name, scheme, o.Members[name])
		}
	}
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = embed.CompactorModePeriodic, "1h"
	cfg.SnapshotCount = 5000
	cfg.PreVote = true
	cfg.WarningApplyDuration = time.Second
	cfg.WarningUnaryRequestDuration = time.Second
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(&slogCore{log: o.logger(), up: up}))
	return cfg, nil
}

func address(scheme, hostport string) ([]url.URL, error) {
	u, err := url.Parse(scheme + "://" + hostport)
	if err != nil || u.Host == "" || u.Port() == "" {
		return nil, fmt.Errorf("consensus: address %q is not host:port", hostport)
	}
	return []url.URL{*u}, nil
}

func (o Options) logger() *slog.Logger {
	if o.Log != nil {
		return o.Log
	}
	return slog.Default()
}
