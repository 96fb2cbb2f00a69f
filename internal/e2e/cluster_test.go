//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// helios is the binary under test, script starts and stops its processes.
var helios, script string

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return 1, err
	}
	script = filepath.Join(root, "scripts", "cluster")
	if helios = os.Getenv("HELIOS"); helios == "" {
		dir, err := os.MkdirTemp("", "helios-e2e-")
		if err != nil {
			return 1, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		helios = filepath.Join(dir, "helios")
		build := exec.Command("go", "build", "-o", helios, "./cmd/helios")
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			return 1, fmt.Errorf("%w\n%s", err, out)
		}
	}
	return m.Run(), nil
}

// cluster is a running cluster of processes.
type cluster struct {
	t    testing.TB
	dir  string
	port int // the first of its ports
	url  string
}

// start runs a cluster of three shards until the test ends.
func start(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir(), port: freePorts(t, 60)}
	guard(t, c.dir)
	t.Cleanup(c.end)
	c.url = strings.TrimSpace(c.script("up", c.dir))
	return c
}

// guard kills what is left of a cluster when the test's process ends, however it ends: it
// waits for the end of a pipe that only this process holds open.
func guard(t testing.TB, dir string) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", `cat > /dev/null; for f in "$1"/*.pid; do [ -f "$f" ] && kill -9 "$(cat "$f")" 2> /dev/null; done; exit 0`, "guard", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C must not end it
	hold, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(hold.Close(), cmd.Wait()); err != nil {
			t.Error(err)
		}
	})
}

// end stops the cluster and, after a failure, shows the last lines of every log.
func (c *cluster) end() {
	if c.t.Failed() {
		logs, _ := filepath.Glob(filepath.Join(c.dir, "*.log"))
		for _, path := range logs {
			out, _ := exec.Command("tail", "-n", "25", path).CombinedOutput()
			c.t.Logf("%s:\n%s", filepath.Base(path), out)
		}
	}
	if out, err := c.try("down", c.dir); err != nil {
		c.t.Errorf("cluster down: %v\n%s", err, out)
	}
	if left, _ := filepath.Glob(filepath.Join(c.dir, "*.pid")); len(left) > 0 {
		c.t.Errorf("processes are left: %v", left)
	}
}

// script runs scripts/cluster and gives what it prints.
func (c *cluster) script(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("cluster %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (c *cluster) try(args ...string) (string, error) {
	cmd := exec.Command(script, args...)
	cmd.Env = append(os.Environ(), "HELIOS="+helios, fmt.Sprint("HELIOS_PORT=", c.port))
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		out = append(out, exit.Stderr...)
	}
	return string(out), err
}

// do is script with the cluster's folder: do("kill", "s1a").
func (c *cluster) do(verb, node string) {
	c.t.Helper()
	c.script(verb, c.dir, node)
}

// freePorts finds a block of n ports that nobody uses, below those that the system hands
// out by itself.
func freePorts(t testing.TB, n int) int {
	t.Helper()
next:
	for range 200 {
		first := 12000 + n*rand.IntN(19000/n)
		for port := first; port < first+n; port++ {
			l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
			if err != nil {
				continue next
			}
			l.Close()
		}
		return first
	}
	t.Fatal("no block of free ports")
	return 0
}

// nodeURL is where a node of a shard answers SQL itself: nodeURL(1, "a").
func (c *cluster) nodeURL(shard int, letter string) string {
	port := c.port + 10*shard
	if letter == "b" {
		port += 5
	}
	return strings.Replace(c.url, fmt.Sprint(":", c.port+9, "/"), fmt.Sprint(":", port, "/"), 1)
}

// connect opens a connection to an address; the test ends it.
func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func mustExec(t testing.TB, conn *pgx.Conn, sql string, args ...any) pgconn.CommandTag {
	t.Helper()
	tag, err := conn.Exec(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return tag
}

// value runs a query of one row and one column.
func value[T any](t testing.TB, conn *pgx.Conn, sql string, args ...any) (v T) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// psql runs psql on an input and gives all that it prints, errors among it.
func psql(t testing.TB, url, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command("psql", append([]string{url, "-X"}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	cmd.Env = append(os.Environ(), "PGTZ=UTC", "PAGER=", "LC_ALL=C.UTF-8")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("psql: %v\n%s", err, &out)
	}
	return out.String()
}

// eventually calls a check until it is content, and fails after the limit with what it
// last said.
func eventually(t testing.TB, limit time.Duration, what string, check func() (ok bool, state string)) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		ok, state := check()
		took := time.Since(began)
		switch {
		case ok:
			return took
		case took > limit:
			t.Fatalf("%s: not within %v: %s", what, limit, state)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
