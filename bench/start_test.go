package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/heliosdb/helios/node"
)

// startLimit bounds the start of a cluster.
const startLimit = 2 * time.Minute

// start starts a cluster of a shape in this process, on loopback and free ports, and gives
// its connection string. stop ends it and waits; it also runs at the benchmark's end.
func start(b *testing.B, s shape) (url string, stop func()) {
	b.Helper()
	p := &processes{b: b, dir: b.TempDir()} // removed after stop
	p.ctx, p.cancel = context.WithCancel(context.Background())
	b.Cleanup(p.stop)
	if s.sync == "" || s.sync == "semi-sync" {
		return p.demo(s.shards), p.stop
	}
	return p.pair(s.sync), p.stop
}

// processes are parts of a cluster that each run until the context ends.
type processes struct {
	b       *testing.B
	dir     string
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func (p *processes) stop() {
	p.cancel()
	p.running.Wait()
}

// run starts one part; an error of its own ends the benchmark at its next statement.
func (p *processes) run(name string, part func(ctx context.Context) error) {
	p.running.Go(func() {
		if err := part(p.ctx); err != nil && p.ctx.Err() == nil {
			p.b.Errorf("%s: %v", name, err)
			p.cancel()
		}
	})
}

// demo is a router over shards that are a semi-sync pair each.
func (p *processes) demo(shards int) (url string) {
	p.b.Helper()
	ready := make(chan string, 1)
	var said bytes.Buffer
	p.run("demo", func(ctx context.Context) error {
		return node.Demo(ctx, node.DemoOptions{
			Listen: "127.0.0.1:0", DataDir: p.dir, Shards: shards, Empty: true, LogLevel: "error", Out: &said,
			Ready: func(url string) { ready <- url },
		})
	})
	select {
	case url = <-ready:
	case <-p.ctx.Done():
		p.running.Wait()
		p.b.Fatalf("the cluster did not start:\n%s", said.String())
	case <-time.After(startLimit):
		p.b.Fatalf("the cluster was not ready within %v", startLimit)
	}
	return url
}

// pair is a router over one shard of a primary and a standby with any commit rule.
func (p *processes) pair(mode string) (url string) {
	p.b.Helper()
	const password = "benchmark"
	file := func(name, text string) string {
		path := filepath.Join(p.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			p.b.Fatal(err)
		}
		return path
	}
	ports := freeAddresses(p.b, 6)
	observer, router := ports[0], ports[1]
	common := node.ServerOptions{
		Cluster: "bench", Observers: []string{observer}, SyncMode: mode, Failover: "auto", Profile: "default", Shard: 1, Database: "heliosdb",
		PasswordFile: file("password", password), SecretFile: file("secret", strings.Repeat("0123456789abcdef", 2)), LogLevel: "error", Out: io.Discard,
	}
	for i, mode := range []string{"observer", "primary", "standby"} {
		o := common
		o.Mode, o.NodeID, o.DataDir = mode, mode, filepath.Join(p.dir, mode)
		if mode == "observer" {
			o.Native = observer
		} else {
			o.Listen, o.Native = ports[2*i], ports[2*i+1] // primary: 2 and 3, standby: 4 and 5
		}
		p.run(mode, func(ctx context.Context) error { return node.Server(ctx, o) })
	}
	config := file("cluster.yaml", fmt.Sprintf(`cluster: bench
listen: %s
observers: [%q]
shards:
  - id: 1
    weight: 100
    nodes:
      - {id: primary, sql: %q, native: %q}
      - {id: standby, sql: %q, native: %q}
`, router, observer, ports[2], ports[3], ports[4], ports[5]))
	p.run("router", func(ctx context.Context) error {
		return node.Router(ctx, node.RouterOptions{Config: config, Listen: router, SecretFile: common.SecretFile, LogLevel: "error", Out: io.Discard})
	})
	url = fmt.Sprintf("postgres://helios:%s@%s/heliosdb", password, router)
	p.awaitStandby(url)
	return url
}

// awaitStandby waits until the router answers and the standby follows.
func (p *processes) awaitStandby(url string) {
	p.b.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := streaming(ctx, url)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.b.Fatalf("the cluster was not ready within %v: %v", startLimit, err)
		}
	}
}

func streaming(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var n int
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM pg_replication_standbys WHERE state = 'streaming'").Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		return errors.New("the standby does not stream yet")
	}
	return nil
}

// freeAddresses gives loopback addresses with ports that were free a moment ago.
func freeAddresses(b *testing.B, n int) []string {
	b.Helper()
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out
}
