//go:build e2e

package e2e

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// command runs helios until it ends by itself.
func command(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, helios, args...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || ctx.Err() != nil) {
		t.Fatalf("helios %s: %v\n%s%s", strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// TestHelp asks every command for its help.
func TestHelp(t *testing.T) {
	seen := 0
	var visit func(path ...string)
	visit = func(path ...string) {
		out, errs, code := command(t, append(path, "--help")...)
		if code != 0 || errs != "" || !strings.Contains(out, "Usage:") {
			t.Errorf("helios %s --help: code %d, %s%s", strings.Join(path, " "), code, out, errs)
		}
		seen++
		inside := false
		for line := range strings.Lines(out) {
			switch word, _, _ := strings.Cut(strings.TrimSpace(line), " "); {
			case strings.HasSuffix(strings.TrimSpace(line), ":"):
				inside = strings.HasPrefix(line, "Run") || strings.HasPrefix(line, "Operate") || strings.Contains(line, "Commands:")
			case inside && strings.HasPrefix(line, "  ") && word != "help":
				visit(append(path[:len(path):len(path)], word)...)
			}
		}
	}
	visit()
	if seen < 12 {
		t.Errorf("found %d commands, want all", seen)
	}
	t.Logf("%d commands describe themselves", seen)
}

// TestMistakes wants one clear line and an exit code for each mistake.
func TestMistakes(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const top = "cluster: c\nlisten: 127.0.0.1:1\nobservers: [127.0.0.1:2]\nshards:\n"
	const node = `      - {id: n1, sql: "127.0.0.1:3", native: "127.0.0.1:4"}` + "\n"
	secret := file("secret", "s3cret\n")
	other := filepath.Join(dir, "other")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	file("other/NODE", `{"format":99,"kind":"standalone","node":"n","cluster":"helios"}`+"\n")
	open := file("open", "x\n")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(dir, "fresh")

	for _, c := range []struct {
		name string
		args []string
		want string // pattern of the line
	}{
		{"taken port, demo", []string{"demo", "--listen", taken.Addr().String()}, `address 127\.0\.0\.1:\d+ .*in use.*choose another.*--listen`},
		{"taken port, server", []string{"server", "--data", fresh, "--listen", taken.Addr().String()}, `address 127\.0\.0\.1:\d+ .*in use.*choose another`},
		{"other machines", []string{"server", "--data", fresh, "--listen", "0.0.0.0:0"}, `other machines.*loopback`},
		{"other build", []string{"server", "--data", other, "--node-id", "n", "--listen", "127.0.0.1:0"}, `other has format 99, this build of helios reads format \d+`},
		{"unknown key", []string{"router", "--cluster-secret-file", secret, "--config", file("key.yaml", top+"  - id: 1\n    nodes:\n"+node+"    wieght: 3\n")}, `key\.yaml:8: shards\[0\]\.wieght: unknown key`},
		{"bad port", []string{"router", "--cluster-secret-file", secret, "--config", file("port.yaml", top+"  - id: 1\n    nodes:\n"+strings.Replace(node, ":3", ":99999", 1))}, `port\.yaml:7: shards\[0\]\.nodes\[0\]\.sql: .*99999`},
		{"duplicate name", []string{"router", "--cluster-secret-file", secret, "--config", file("twice.yaml", top+"  - id: 1\n    nodes:\n"+node+strings.NewReplacer(":3", ":5", ":4", ":6").Replace(node))}, `twice\.yaml:8: shards\[0\]\.nodes\[1\]\.id: node n1 is already there at line 7`},
		{"node elsewhere", []string{"router", "--cluster-secret-file", secret, "--config", file("far.yaml", top+"  - id: 1\n    nodes:\n"+strings.Replace(node, "127.0.0.1:3", "10.0.0.1:3", 1))}, `far\.yaml: node n1: sql address "10\.0\.0\.1:3" .*loopback`},
		{"no cluster file", []string{"router", "--cluster-secret-file", secret, "--config", filepath.Join(dir, "none.yaml")}, `none\.yaml: no such file`},
		{"multi-primary", []string{"server", "--ha-mode", "multi-primary"}, `--ha-mode multi-primary: .*not exist yet`},
		{"a later flag", []string{"server", "--ha-region", "eu"}, `--ha-region: .*not exist yet`},
		{"a flag without a mode", []string{"server", "--data", fresh, "--observers", "127.0.0.1:1"}, `--observers: .*without --ha-mode`},
		{"a flag of another mode", []string{"server", "--data", fresh, "--ha-mode", "observer", "--shard", "2"}, `--shard: .*--ha-mode observer`},
		{"no cluster secret", []string{"server", "--data", fresh, "--ha-mode", "primary", "--observers", "127.0.0.1:1"}, `--cluster-secret-file is needed`},
		{"unlike observers", []string{"server", "--data", fresh, "--ha-mode", "observer", "--ha-bind", "127.0.0.1:1", "--observers", "127.0.0.1:3,127.0.0.1:5"}, `--observers: .* do not name this observer`},
		{"unknown mode", []string{"server", "--ha-mode", "boss"}, `--ha-mode "boss": one of`},
		{"proxy", []string{"proxy"}, `"helios proxy" does not exist yet`},
		{"backup with flags", []string{"backup", "--to", "/x"}, `"helios backup" does not exist yet`},
		{"unknown command", []string{"demmo"}, `unknown command "demmo"`},
		{"unknown flag", []string{"demo", "--port", "1"}, `unknown flag: --port`},
		{"readable password", []string{"server", "--data", fresh, "--listen", "127.0.0.1:0", "--password-file", open}, `may be read by others: chmod 600`},
		{"no URL", []string{"status"}, `--url .*HELIOS_URL`},
		{"nobody there", []string{"status", "--url", "postgres://helios:x@127.0.0.1:1/heliosdb"}, `connection refused`},
		{"missing shards", []string{"reshard", "start"}, `required flag.*"shards" not set`},
	} {
		t.Run(c.name, func(t *testing.T) { oneError(t, c.want, c.args...) })
	}
	t.Run("wrong password", wrongPassword)
}

// oneError wants helios to end with one line that fits a pattern.
func oneError(t *testing.T, want string, args ...string) {
	t.Helper()
	out, errs, code := command(t, args...)
	if code == 0 {
		t.Errorf("exit code 0")
	}
	if strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "helios: ") || !regexp.MustCompile(want).MatchString(errs) {
		t.Errorf("it says\n%swant one line like %q", errs, want)
	}
	if out != "" {
		t.Errorf("it prints %q beside the error", out)
	}
}

// wrongPassword runs a standalone server and knocks with a wrong password.
func wrongPassword(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "password")
	if err := os.WriteFile(path, []byte("right\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePorts(t, 1)
	addr := net.JoinHostPort("127.0.0.1", itoa(port))
	guardPID := filepath.Join(dir, "server.pid")
	guard(t, dir)
	cmd := exec.Command(helios, "server", "--data", filepath.Join(dir, "data"), "--listen", addr, "--password-file", path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(guardPID, []byte(itoa(cmd.Process.Pid)), 0o600); err != nil {
		t.Error(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait(), os.Remove(guardPID)); err != nil {
			t.Errorf("stopping the server: %v", err)
		}
	})
	eventually(t, 20*time.Second, "the server's port", func() (bool, string) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return false, err.Error()
		}
		return conn.Close() == nil, "it cannot be closed"
	})
	url := "postgres://helios:wrong@" + addr + "/heliosdb"
	oneError(t, `password authentication failed for user "helios".*28P01`, "status", "--url", url)
	out, err := exec.Command("psql", "-X", url, "-c", "SELECT 1").CombinedOutput()
	if err == nil || !strings.Contains(string(out), `FATAL:  password authentication failed for user "helios"`) {
		t.Errorf("psql: %v %s", err, out)
	}
	oneError(t, `reshard.*not possible here.*0A000`, "reshard", "start", "--shards", "4", "--url", strings.Replace(url, "wrong", "right", 1))
}
