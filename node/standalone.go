package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/heliosdb/helios/admin"
	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/shard"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
)

// standalone is a shard that is a cluster of its own: one node, no replication.
type standalone struct {
	log     *slog.Logger
	dir     *dataDir
	shard   *shard.Shard
	wire    *pgwire.Server
	addr    string
	cancel  context.CancelFunc
	threads sync.WaitGroup
	failed  chan error
}

type standaloneOptions struct {
	world              World
	id, cluster        string
	sql, data          string
	database, verifier string
	secret             string
}

func startStandalone(ctx context.Context, o standaloneOptions) (s *standalone, err error) {
	o.world = o.world.withDefaults()
	s = &standalone{log: o.world.Logger, failed: make(chan error, 1)}
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if s.dir, err = openData(o.world.FS, o.data, identity{Kind: "standalone", Node: o.id, Cluster: o.cluster}); err != nil {
		return s, err
	}
	l, err := listen(o.world, o.sql, "SQL")
	if err != nil {
		return s, err
	}
	s.addr = l.Addr().String()
	if err := s.open(ctx, o); err != nil {
		return s, errors.Join(err, l.Close())
	}
	s.threads.Go(func() { s.serve(ctx, l) })
	return s, nil
}

func (s *standalone) open(ctx context.Context, o standaloneOptions) error {
	var err error
	s.shard, err = shard.Open(shard.Options{
		ID: 1, Slots: cluster.DefaultSlots, FS: o.world.FS, Dir: o.data, Logger: s.log,
		Wall:       func() int64 { return time.Now().UnixMilli() },
		CacheBytes: o.world.CacheBytes, SegmentBytes: o.world.SegmentBytes,
		Fatal: s.fail, Relations: admin.Relations(),
	})
	if err != nil {
		return err
	}
	if err := s.shard.Start(ctx); err != nil {
		return err
	}
	if err := s.shard.Bootstrap(ctx, o.database, "helios", o.verifier); err != nil {
		return err
	}
	if err := s.shard.OwnAll(ctx, nil); err != nil {
		return err
	}
	views := &admin.NodeViews{ID: o.id, Shard: 1, SQL: s.addr, DB: s.shard, Started: time.Now()}
	engine := shard.NewEngine(s.shard, shard.EngineOptions{
		Alone: true, Views: views.Rows, Password: newVerifier, Call: callOf(s.isSuperuser),
	})
	host := session.NewHost(session.Options{Engine: func(database string) (session.Engine, error) {
		if database != s.shard.Catalog().Database().Name {
			return nil, noDatabase(database)
		}
		return engine, nil
	}})
	keeper, err := newGatekeeper(o.secret, func() *catalog.Catalog { return s.shard.Catalog() })
	if err != nil {
		return err
	}
	s.wire, err = pgwire.New(pgwire.Options{
		Auth: keeper, Log: s.log, Superuser: s.isSuperuser,
		NewSession: func(ctx context.Context, info *pgwire.ConnInfo, client pgwire.Client) (pgwire.Session, error) {
			return host.Open(ctx, info, client)
		},
	})
	return err
}

func (s *standalone) isSuperuser(user string) bool {
	role, ok := s.shard.Catalog().Role(user)
	return ok && role.Superuser
}

// callOf answers CALL on a node: the operators' procedures exist there, too, and say that
// they need a router.
func callOf(superuser func(user string) bool) func(context.Context, *session.Info, sql.Name, []session.Arg) (*exec.Result, error) {
	procedures := &admin.Procedures{Superuser: func(info *session.Info) bool { return superuser(info.User()) }}
	return func(ctx context.Context, info *session.Info, name sql.Name, args []session.Arg) (*exec.Result, error) {
		_, err := procedures.Call(ctx, info, strings.Join(name, "."), args)
		return nil, err
	}
}

func (s *standalone) serve(ctx context.Context, l net.Listener) {
	if err := s.wire.Serve(ctx, l); err != nil && ctx.Err() == nil {
		s.fail(fmt.Errorf("SQL port: %w", err))
	}
}

func (s *standalone) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// stop ends sessions, then the shard.
func (s *standalone) stop() {
	s.cancel()
	if s.wire != nil {
		s.wire.Close()
	}
	s.threads.Wait()
	if s.shard != nil {
		if err := s.shard.Close(); err != nil {
			s.log.Warn("close", "err", err)
		}
	}
	if s.dir != nil {
		if err := s.dir.close(); err != nil {
			s.log.Warn("close", "err", err)
		}
	}
}
