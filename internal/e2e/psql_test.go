//go:build e2e

package e2e

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write the transcript of the first day anew")

// TestFirstDay does in psql what a newcomer does, and compares with a transcript.
func TestFirstDay(t *testing.T) {
	c := start(t)
	script, err := os.ReadFile("testdata/dayone.sql")
	if err != nil {
		t.Fatal(err)
	}
	got := psql(t, c.url, string(script), "-a")
	const path = "testdata/dayone.out"
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("psql prints otherwise than %s:\n%s", path, firstDifference(got, string(want)))
	}
	copied(t, c)
	cancelled(t, c)
	watched(t, c)
}

// watched reads the router's HTTP port as an orchestrator and Prometheus do.
func watched(t *testing.T, c *cluster) {
	t.Helper()
	for path, want := range map[string]string{
		"/ready": `"status": "ready"`, "/health": `"status": "healthy"`, "/metrics": "\nhelios_", "/nodes": `"s3b"`,
	} {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", c.port+8, path))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: status %d, %q is not in\n%.400s", path, resp.StatusCode, want, body)
		}
	}
}

// firstDifference shows the lines around the first one that differs.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			end := func(lines []string) string { return strings.Join(lines[max(0, i-3):min(len(lines), i+6)], "\n  ") }
			return "got\n  " + end(g) + "\nwant\n  " + end(w)
		}
	}
	return "one is longer than the other"
}

// copied takes a table out to a file and in again.
func copied(t *testing.T, c *cluster) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "people.csv")
	out := psql(t, c.url, strings.ReplaceAll(`CREATE TABLE again (id bigint PRIMARY KEY, name text NOT NULL, balance numeric(12,2), opened date, tag varchar(10), place vector(3));
\copy people to FILE csv header
\copy again from FILE csv header
`, "FILE", path))
	if !strings.HasSuffix(out, "COPY 5\nCOPY 5\n") {
		t.Errorf("\\copy out and in prints\n%s", out)
	}
	conn := connect(t, c.url)
	people, again := checksum(t, conn, "SELECT * FROM people ORDER BY id"), checksum(t, conn, "SELECT * FROM again ORDER BY id")
	if people != again {
		t.Errorf("copied: %s, want %s", again, people)
	}
}

// cancelled presses Ctrl-C in psql while a statement runs.
func cancelled(t *testing.T, c *cluster) {
	t.Helper()
	cmd := exec.Command("psql", c.url, "-X", "-c", `\echo now`, "-c", "SELECT pg_sleep(60)")
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if !bufio.NewScanner(pipe).Scan() {
		t.Error("psql says nothing")
	}
	began := time.Now()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case <-ended:
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v to cancel", took)
			}
			if !strings.Contains(errs.String(), "ERROR:  canceling statement due to user request") {
				t.Errorf("psql says %q after Ctrl-C", errs.String())
			}
			return
		case <-time.After(300 * time.Millisecond): // the statement may not have begun yet
			_ = cmd.Process.Signal(syscall.SIGINT) // it may just have ended
		}
	}
}
