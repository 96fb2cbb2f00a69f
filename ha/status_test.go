package ha_test

import (
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heliosdb/helios/ha"
	"github.com/heliosdb/helios/wal"
)

// The four views, column by column, on both nodes of a pair.
func TestViews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, pairRules(ha.Sync), "a", "b")
		a := c.primary(0)
		c.state(a, "b", "streaming")
		b := c.nodes["b"]
		writes := a.node.Metrics().WALWrites
		for range 10 {
			if err := a.put(t.Context(), "k", "v"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second)

		s := a.node.Status()
		if s.NodeID != "a" || s.Role != ha.Primary || s.SyncMode != ha.Sync || s.ListenAddress != "a:5433" || s.ReplicationPort != 5433 ||
			s.IsReadOnly || s.StandbyCount != 1 || s.Uptime < 5*time.Second || !s.LeaseValid || s.CurrentLSN < s.Flush || s.Flush < s.Commit {
			t.Errorf("status of the primary: %+v", s)
		}
		if s = b.node.Status(); s.Role != ha.Standby || !s.IsReadOnly || s.StandbyCount != -1 || s.LeaseValid || s.Primary != "a" {
			t.Errorf("status of the standby: %+v", s)
		}
		rows := a.node.Standbys()
		if len(rows) != 1 {
			t.Fatalf("standbys: %+v", rows)
		}
		r := rows[0]
		if r.NodeID != "b" || r.Address != "b:5433" || r.SyncMode != ha.Sync || r.CurrentLSN < r.FlushLSN || r.FlushLSN < r.ApplyLSN ||
			r.ApplyLSN == 0 || r.Lag > 100*time.Millisecond || time.Since(r.ConnectedAt) < 4*time.Second || time.Since(r.LastHeartbeat) > time.Second {
			t.Errorf("standby: %+v", r)
		}
		if rows := b.node.Standbys(); rows != nil {
			t.Errorf("standbys on a standby: %+v", rows)
		}
		p, ok := b.node.Primary()
		if !ok || p.NodeID != "a" || p.Address != "a:5433" || p.State != "streaming" || p.PrimaryLSN < p.LocalLSN || p.LagBytes != 0 || p.Lag != 0 ||
			p.FencingToken != 1 || time.Since(p.ConnectedAt) < 4*time.Second || time.Since(p.LastHeartbeat) > time.Second {
			t.Errorf("primary: %+v, %v", p, ok)
		}
		if _, ok := a.node.Primary(); ok {
			t.Error("a primary has a primary")
		}
		m := a.node.Metrics()
		if m.WALWrites < writes+10 || m.WALBytesWritten == 0 || m.RecordsReplicated != m.WALWrites || m.RecordsReplicated != b.node.Metrics().RecordsReplicated || m.BytesReplicated == 0 || m.HeartbeatsSent == 0 ||
			m.HeartbeatsReceived == 0 || m.ReconnectCount != 0 || m.LastWALWrite.IsZero() || m.LastReplication.IsZero() {
			t.Errorf("metrics of the primary: %+v", m)
		}
		c.crash("b")
		time.Sleep(3 * time.Second)
		if r = a.node.Standbys()[0]; r.State != "disconnected" || !r.ConnectedAt.IsZero() || r.LagBytes == 0 || r.Lag < time.Second {
			t.Errorf("standby that is gone: %+v", r)
		}
		c.start("b")
		c.state(a, "b", "streaming")
		before := c.nodes["b"].node.Metrics().ReconnectCount
		c.crash("a")
		time.Sleep(5 * time.Second) // attempts that fail do not count
		c.start("a")
		c.state(c.primary(1), "b", "streaming")
		if got := c.nodes["b"].node.Metrics().ReconnectCount; got != before+1 {
			t.Errorf("reconnects: got %d, want %d", got, before+1)
		}
		if p, _ := c.nodes["b"].node.Primary(); p.FencingToken != 2 {
			t.Errorf("fencing token: got %d, want 2", p.FencingToken)
		}
	})
}

// What a primary closes reaches its standby with the next heartbeat, or at once
// when a reader there asks.
func TestClosedTimestamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, pairRules(ha.SemiSync), "a", "b")
		a := c.primary(0)
		c.state(a, "b", "streaming")
		b := c.nodes["b"]
		time.Sleep(time.Second + time.Millisecond)
		b.shard.mu.Lock()
		closed := b.shard.mu.closed
		b.shard.mu.closed = 0
		b.shard.mu.Unlock()
		if closed != 7 {
			t.Errorf("by heartbeat: got %d, want 7", closed)
		}
		b.node.AskClosed()
		time.Sleep(10 * time.Millisecond)
		b.shard.mu.Lock()
		defer b.shard.mu.Unlock()
		if b.shard.mu.closed != 7 {
			t.Error("asked for, and not heard")
		}
	})
}

// Nothing waits at a closed gate for ever, and nothing passes that was appended
// in another term.
func TestGateAcrossTerms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, pairRules(ha.Sync), "a", "b")
		a := c.primary(0)
		c.state(a, "b", "streaming")
		c.crash("b")
		waited := make(chan error)
		go func() { waited <- a.put(t.Context(), "k", "v") }()
		time.Sleep(time.Second)
		end := a.log.End()
		c.crash("a")
		if err := <-waited; !errors.Is(err, ha.ErrUnknown) {
			t.Errorf("got %v, want ErrUnknown", err)
		}
		c.start("b")
		c.start("a")
		p := c.primary(1)
		for p.log.End() < end+1000 {
			if err := p.put(t.Context(), "other", "v"); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.node.Gate().Wait(t.Context(), 1, end); !errors.Is(err, ha.ErrUnknown) {
			t.Errorf("a record of term 1 passed in term 2: %v", err)
		}
	})
}

// A node whose promises are damaged or gone does not start.
func TestIdentityDamaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, pairRules(ha.SemiSync), "a")
		c.primary(0)
		c.crash("a")
		m := c.nodes["a"]
		text := readFile(t, m.fs, "wal/ha")
		for i := range text {
			bad := append([]byte(nil), text...)
			bad[i] ^= 1
			writeFile(t, m.fs, "wal/ha", bad)
			if openNode(t, m.fs) == nil {
				t.Errorf("byte %d of %q flipped: no error", i, text)
			}
		}
		if err := m.fs.Remove("wal/ha"); err != nil {
			t.Fatal(err)
		}
		if openNode(t, m.fs) == nil {
			t.Error("the promises are gone: no error")
		}
	})
}

func openNode(t *testing.T, fs vfs.FS) error {
	t.Helper()
	log, err := wal.Open(wal.Options{FS: fs, Dir: "wal", SegmentBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	bell := ha.NewBell()
	rules := pairRules(ha.SemiSync)
	rules.Node = "a"
	_, err = ha.NewNode(ha.Options{
		Cluster: "test", Shard: 1, Rules: rules, Log: log, FS: fs, Dir: "wal", Bell: bell,
		Applier: newTestShard(log, bell, &saved{}),
	})
	return err
}

func readFile(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err, os.ErrNotExist)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func writeFile(t *testing.T, fs vfs.FS, path string, text []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
