package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/heliosdb/helios/auth"
	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/consensus"
	"github.com/heliosdb/helios/ha"
)

// ServerOptions are the flags of "helios server".
type ServerOptions struct {
	Version         string
	Mode            string // standalone, primary, standby, observer
	DataDir         string
	Listen, Native  string
	Primary         string
	Observers       []string
	SyncMode        string
	Failover        string
	Profile         string
	NodeID, Cluster string
	Shard           uint16
	Database        string
	PasswordFile    string
	SecretFile      string
	LogLevel        string
	Out             io.Writer
}

// Server runs one node until ctx ends.
func Server(ctx context.Context, o ServerOptions) error {
	log, err := newLogger(os.Stderr, o.LogLevel)
	if err != nil {
		return fmt.Errorf("--log-level: %w", err)
	}
	world := World{Logger: log}
	if o.NodeID == "" {
		if o.NodeID = storedNodeID(o.DataDir); o.NodeID == "" {
			o.NodeID = defaultNodeID(o)
		}
	}
	switch o.Mode {
	case "standalone":
		return o.standalone(ctx, world)
	case "observer":
		return o.observer(ctx, world)
	case "primary", "standby":
		return o.member(ctx, world)
	}
	return fmt.Errorf("--ha-mode %q: one of standalone, primary, standby, observer", o.Mode)
}

// storedNodeID is the name that a data directory was made for: it stays when the port
// changes. It is empty for a new directory; openData tells what is wrong with a bad one.
func storedNodeID(data string) string {
	var have identity
	if b, err := os.ReadFile(filepath.Join(data, "NODE")); err != nil || json.Unmarshal(b, &have) != nil {
		return ""
	}
	return have.Node
}

// defaultNodeID is the host's name and the port.
func defaultNodeID(o ServerOptions) string {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	addr := o.Listen
	if o.Mode == "observer" {
		addr = o.Native
	}
	_, port, _ := net.SplitHostPort(addr)
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, strings.ToLower(host+"-"+port))
	return strings.TrimLeft(name, "-")
}

func (o ServerOptions) standalone(ctx context.Context, w World) error {
	password, drawn, err := o.password()
	if err != nil {
		return err
	}
	verifier, err := newVerifier(password)
	if err != nil {
		return err
	}
	first := !exists(filepath.Join(o.DataDir, "NODE"))
	s, err := startStandalone(ctx, standaloneOptions{
		world: w, id: o.NodeID, cluster: o.Cluster, sql: o.Listen, data: o.DataDir,
		database: o.Database, verifier: verifier, secret: auth.NewPassword(),
	})
	if err != nil {
		return err
	}
	defer s.stop()
	fmt.Fprintf(o.Out, "helios %s is ready on %s\n", o.Version, s.addr)
	if first && drawn {
		o.show(password)
	}
	return waitFor(ctx, s.failed)
}

// show prints a password that was drawn, when it has become that of the cluster.
func (o ServerOptions) show(password string) {
	fmt.Fprintf(o.Out, "The password of user helios is %s: it is shown this once.\n", password)
}

// password reads the superuser's password, or draws one; it counts at the first start.
func (o ServerOptions) password() (text string, drawn bool, err error) {
	switch env := os.Getenv("HELIOS_PASSWORD"); {
	case o.PasswordFile != "":
		text, err = readSecret(o.PasswordFile, "password")
		return text, false, err
	case env != "":
		return env, false, nil
	}
	return auth.NewPassword(), true, nil
}

func (o ServerOptions) observer(ctx context.Context, w World) error {
	b, err := startObserver(ctx, observerOptions{
		world: w, id: o.NodeID, cluster: o.Cluster, listen: o.Native, all: o.Observers, data: o.DataDir,
	})
	if err != nil {
		return err
	}
	defer b.stop()
	fmt.Fprintf(o.Out, "helios %s observes on %s\n", o.Version, b.addr)
	return waitFor(ctx, b.failed())
}

func (o ServerOptions) member(ctx context.Context, w World) error {
	if len(o.Observers) == 0 {
		return fmt.Errorf("--ha-mode %s needs --observers: a primary that keeps the control store itself does not exist yet", o.Mode)
	}
	m, err := o.memberOptions(w)
	if err != nil {
		return err
	}
	answered := waitingFor(m.world.Logger, o.Observers)
	defer answered()
	if m.store, err = dialObservers(ctx, o.Observers, o.Cluster); err != nil {
		return fmt.Errorf("--observers: %w", err)
	}
	defer m.store.Close()
	if m.slots, err = slotCount(ctx, m.store); err != nil {
		return err
	}
	n, err := startMember(ctx, m)
	answered()
	if err != nil {
		return err
	}
	defer n.stop()
	fmt.Fprintf(o.Out, "helios %s: node %s of shard %d is ready on %s\n", o.Version, o.NodeID, o.Shard, n.sqlAddr)
	return waitFor(ctx, n.failed)
}

// slotCount is the size of the cluster's slot table. It is fixed when the cluster is
// founded; until then nodes expect the usual one.
func slotCount(ctx context.Context, store consensus.Store) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	m, _, err := consensus.ClusterMap(store).Load(ctx)
	if errors.Is(err, consensus.ErrNoMap) {
		return cluster.DefaultSlots, nil
	}
	if err != nil {
		return 0, fmt.Errorf("control store: %w", err)
	}
	return m.SlotCount(), nil
}

func (o ServerOptions) memberOptions(w World) (memberOptions, error) {
	m := memberOptions{
		world: w, id: o.NodeID, cluster: o.Cluster, shard: o.Shard, sql: o.Listen, native: o.Native, data: o.DataDir,
		first: o.Mode == "primary", primary: o.Primary, database: o.Database,
	}
	if o.Shard == 0 {
		return m, errors.New("--shard: shards are numbered from 1")
	}
	mode := ha.SemiSync
	var err error
	if o.SyncMode != "" {
		if mode, err = ha.ParseMode(o.SyncMode); err != nil {
			return m, fmt.Errorf("--ha-sync-mode: %w", err)
		}
	}
	m.mode, m.class = mode, mode
	if mode == ha.Quorum {
		m.class = ha.SemiSync
	}
	if m.profile, err = ha.ParseProfile(o.Profile); err != nil {
		return m, fmt.Errorf("--ha-profile: %w", err)
	}
	switch o.Failover {
	case "", "auto":
		m.auto = true
	case "manual":
	default:
		return m, fmt.Errorf("--failover %q: auto or manual", o.Failover)
	}
	if m.secret, err = clusterSecret(o.SecretFile); err != nil {
		return m, err
	}
	password, drawn, err := o.password()
	if err != nil {
		return m, err
	}
	if drawn {
		m.founded = func() { o.show(password) }
	}
	m.verifier, err = newVerifier(password)
	return m, err
}

// clusterSecret reads what nodes and routers know one another by.
func clusterSecret(path string) (string, error) {
	if path == "" {
		return "", errors.New("--cluster-secret-file is needed: a file that only its owner may read, with the secret that all nodes and routers of the cluster share")
	}
	secret, err := readSecret(path, "cluster secret")
	if err != nil {
		err = fmt.Errorf("--cluster-secret-file: %w", err)
	}
	return secret, err
}

// RouterOptions are the flags of "helios router".
type RouterOptions struct {
	Version    string
	Config     string
	Listen     string
	SecretFile string
	LogLevel   string
	Out        io.Writer
}

// waitingFor says that the start takes long, and what may be the reason, until answered is
// called.
func waitingFor(log *slog.Logger, observers []string) (answered func()) {
	t := time.AfterFunc(waitingAfter, func() {
		log.Warn("still waiting for an answer of the observers; are they up?", "observers", strings.Join(observers, ","))
	})
	return func() { t.Stop() }
}

const waitingAfter = 3 * time.Second

// onThisMachine refuses addresses that a router would talk to across a network.
func onThisMachine(f *cluster.File) error {
	for i, addr := range f.Observers {
		if err := onLoopback(fmt.Sprintf("observers[%d]", i), addr); err != nil {
			return err
		}
	}
	for _, s := range f.Shards {
		for _, n := range s.Nodes {
			if err := errors.Join(onLoopback("node "+n.ID+": sql", n.SQL), onLoopback("node "+n.ID+": native", n.Native)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Router runs a router until ctx ends.
func Router(ctx context.Context, o RouterOptions) error {
	log, err := newLogger(os.Stderr, o.LogLevel)
	if err != nil {
		return fmt.Errorf("--log-level: %w", err)
	}
	text, err := os.ReadFile(o.Config)
	if err != nil {
		return err
	}
	file, err := cluster.ParseFile(o.Config, text)
	if err != nil {
		return err
	}
	if len(file.Observers) == 0 {
		return fmt.Errorf("%s: observers: a router needs the addresses of the observers", o.Config)
	}
	if err := onThisMachine(file); err != nil {
		return fmt.Errorf("%s: %w", o.Config, err)
	}
	secret, err := clusterSecret(o.SecretFile)
	if err != nil {
		return err
	}
	first, err := firstMap(file.Cluster, file.Slots, file.Shards)
	if err != nil {
		return fmt.Errorf("%s: %w", o.Config, err)
	}
	answered := waitingFor(log, file.Observers)
	defer answered()
	store, err := dialObservers(ctx, file.Observers, file.Cluster)
	if err != nil {
		return fmt.Errorf("%s: observers: %w", o.Config, err)
	}
	defer store.Close()
	listen := o.Listen
	if listen == "" {
		listen = file.Listen
	}
	if listen == "" {
		listen = "127.0.0.1:5432"
	}
	f, err := startFront(ctx, frontOptions{
		world: World{Logger: log}, id: "router", listen: listen, http: file.HTTP, store: store, database: databaseName(),
		secret: secret, first: first, limits: file.Limits,
	})
	answered()
	if err != nil {
		return err
	}
	defer f.stop()
	fmt.Fprintf(o.Out, "helios %s: router is ready on %s\n", o.Version, f.addr)
	return waitFor(ctx, f.failed)
}

func databaseName() string {
	if name := os.Getenv("HELIOS_DATABASE"); name != "" {
		return name
	}
	return "heliosdb"
}

// waitFor returns nil when ctx ends, which is how a node is stopped, or what failed.
func waitFor(ctx context.Context, failed <-chan error) error {
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
