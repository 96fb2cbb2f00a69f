package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/heliosdb/helios/auth"
	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/consensus"
	"github.com/heliosdb/helios/ha"
)

const testPassword = "a password for tests"

// pair is a shard of nodes in this process, with a router in front, over loopback and a
// control store in memory.
type pair struct {
	t       *testing.T
	store   *consensus.Fake
	options memberOptions // of all nodes
	dirs    map[string]string
	nodes   map[string]*member
	front   *front
}

func newPair(t *testing.T) *pair {
	t.Helper()
	v, err := auth.NewVerifier(testPassword)
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{t: t, store: consensus.NewFake(), dirs: map[string]string{}, nodes: map[string]*member{}}
	p.options = memberOptions{
		world:   World{CacheBytes: 1 << 20, SegmentBytes: 1 << 20, Logger: slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))},
		cluster: "test", shard: 1, sql: "127.0.0.1:0", native: "127.0.0.1:0", auto: true,
		mode: ha.SemiSync, class: ha.SemiSync, profile: ha.FastProfile,
		database: "heliosdb", verifier: v.String(), secret: auth.NewPassword(), slots: 16,
	}
	t.Cleanup(func() {
		if p.front != nil {
			p.front.stop()
		}
		for _, m := range p.nodes {
			m.stop()
		}
	})
	return p
}

// testLog shows a node's log with the test that failed.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", b[:len(b)-1])
	return len(b), nil
}

// start starts a node, again in its directory if it has one; change alters its options.
func (p *pair) start(id string, change ...func(*memberOptions)) *member {
	p.t.Helper()
	if p.dirs[id] == "" {
		p.dirs[id] = p.t.TempDir()
	}
	p.store.Cut(id, consensus.Connected)
	o := p.options
	o.id, o.data, o.store = id, p.dirs[id], p.store.Client(id)
	for _, f := range change {
		f(&o)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	m, err := startMember(ctx, o)
	if err != nil {
		p.t.Fatalf("%s: %v", id, err)
	}
	p.nodes[id] = m
	return m
}

// first may be the first primary of its shard.
func first(o *memberOptions) { o.first = true }

// kill ends a node that cannot tell anybody.
func (p *pair) kill(id string) {
	p.store.Cut(id, consensus.CutOff)
	p.nodes[id].stop()
	delete(p.nodes, id)
}

// route starts the router; the nodes that run found the cluster.
func (p *pair) route() *pgx.Conn {
	p.t.Helper()
	s := cluster.Shard{ID: 1, Weight: 100}
	for _, m := range p.nodes {
		s.Nodes = append(s.Nodes, cluster.Node{ID: m.o.id, SQL: m.sqlAddr, Native: m.nativeAddr})
	}
	founding, err := firstMap("test", p.options.slots, []cluster.Shard{s})
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	p.front, err = startFront(ctx, frontOptions{
		world: p.options.world, id: "router", listen: "127.0.0.1:0", store: p.store.Client("router"), database: "heliosdb",
		secret: p.options.secret, first: founding, limits: cluster.DefaultLimits,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return p.connect(p.front.addr)
}

func (p *pair) connect(addr string) *pgx.Conn {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), fmt.Sprintf("postgres://helios:%s@%s/heliosdb", "a%20password%20for%20tests", addr))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close(context.Background()) }) //nolint:errcheck // its node may be gone
	return conn
}

// published waits until this standby, and no other, may be promoted.
func (p *pair) published(primary, standby string) {
	p.t.Helper()
	eventually(p.t, "publication of "+standby, func() error {
		members := p.nodes[primary].ha.Lease().Members
		if len(members) != 1 || members[0].Node != standby {
			return fmt.Errorf("the sync set is %v", members)
		}
		return nil
	})
}

func mustExec(t *testing.T, conn *pgx.Conn, text string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// eventually waits until check is content.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// TestReplacedStandby: a standby that joined after the cluster was founded takes over like
// any other, and clients of the router reach it.
func TestReplacedStandby(t *testing.T) {
	p := newPair(t)
	p.start("s1a", first)
	p.start("s1b")
	conn := p.route()
	mustExec(t, conn, "CREATE TABLE t (id int PRIMARY KEY)")
	p.published("s1a", "s1b")
	p.kill("s1b")
	p.start("s1c")
	p.published("s1a", "s1c")
	mustExec(t, conn, "INSERT INTO t VALUES (1)")
	p.kill("s1a")
	eventually(t, "a write after the failover", func() error {
		_, err := conn.Exec(t.Context(), "INSERT INTO t VALUES (2)")
		return err
	})
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&n); n != 2 || err != nil {
		t.Errorf("got %d rows, %v, want 2", n, err)
	}
	s, _ := p.front.current.Load().Shard(1)
	if s.Primary != "s1c" {
		t.Errorf("the map has primary %q, want s1c", s.Primary)
	}
}

// TestOtherPorts: nodes that come back on other ports are found there, by each other and
// by the router.
func TestOtherPorts(t *testing.T) {
	p := newPair(t)
	p.start("s1a", first)
	p.start("s1b")
	conn := p.route()
	mustExec(t, conn, "CREATE TABLE t (id int PRIMARY KEY)")
	p.published("s1a", "s1b")
	for i, id := range []string{"s1b", "s1a"} {
		p.kill(id)
		p.start(id, first) // on free ports
		eventually(t, "a write after the restart of "+id, func() error {
			_, err := conn.Exec(t.Context(), fmt.Sprintf("INSERT INTO t VALUES (%d) ON CONFLICT DO NOTHING", i))
			return err
		})
	}
	s, _ := p.front.current.Load().Shard(1)
	standby := "s1b"
	if s.Primary == standby {
		standby = "s1a"
	}
	p.published(s.Primary, standby)
}

// TestPlannedStop: a primary that is stopped hands its lease over, so that its standby need
// not wait until it has run out; and comes back at once when it has no standby.
func TestPlannedStop(t *testing.T) {
	p := newPair(t)
	p.options.profile = ha.DefaultProfile
	p.start("s1a", first)
	p.start("s1b")
	conn := p.route()
	mustExec(t, conn, "CREATE TABLE t (id int PRIMARY KEY)")
	p.published("s1a", "s1b")
	idle := p.connect(p.front.addr)
	mustExec(t, idle, "BEGIN")
	mustExec(t, idle, "INSERT INTO t VALUES (0)")
	for round, id := range []string{"s1a", "s1b"} {
		began := time.Now()
		p.nodes[id].stop()
		delete(p.nodes, id)
		if id == "s1b" { // the last one
			p.start(id)
		}
		mustExec(t, conn, fmt.Sprintf("INSERT INTO t VALUES (%d)", round+1))
		if took := time.Since(began); took > ha.DefaultProfile.TTL/2 {
			t.Errorf("the planned stop of %s cost %v", id, took)
		} else {
			t.Logf("the planned stop of %s cost %v", id, took)
		}
	}
}

// TestFounded: of all nodes that bring a password of their own, the one whose password has
// become the cluster's is told so, once.
func TestFounded(t *testing.T) {
	p := newPair(t)
	told := make(chan string, 10)
	tell := func(id string) func(*memberOptions) {
		return func(o *memberOptions) { o.founded = func() { told <- id } }
	}
	p.start("s1a", first, tell("s1a"))
	p.start("s2a", first, tell("s2a"), func(o *memberOptions) {
		var err error
		o.shard = 2
		if o.verifier, err = newVerifier("another"); err != nil {
			t.Fatal(err)
		}
	})
	for _, id := range []string{"s1a", "s2a"} {
		if _, err := p.nodes[id].shard.WaitCatalog(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range len(told) - 1 {
		t.Errorf("%s was told, too", <-told)
	}
	winner := <-told
	p.nodes[winner].stop()
	m := p.start(winner, tell(winner), func(o *memberOptions) { o.shard = p.nodes[winner].o.shard })
	eventually(t, "the second start", func() error {
		if _, leading := m.shard.Leading(); !leading {
			return errBehind
		}
		return nil
	})
	if len(told) > 0 {
		t.Error("the password was shown again at the second start")
	}
}

// TestPeersOf: nodes are told of each other with the class that each has declared.
func TestPeersOf(t *testing.T) {
	p := newPair(t)
	p.start("s1a", first, func(o *memberOptions) { o.mode = ha.Quorum })
	p.start("s1b", func(o *memberOptions) { o.class = ha.Async })
	p.start("s1c", func(o *memberOptions) { o.class = ha.Sync })
	conn := p.route() // founds the cluster without classes, as a cluster file does
	want := map[string]ha.Mode{"s1a": ha.SemiSync, "s1b": ha.Async, "s1c": ha.Sync}
	eventually(t, "the classes in the map", func() error {
		current := p.nodes["s1a"].current.Load()
		if current == nil {
			return errBehind
		}
		for _, peer := range peersOf(current, 1) {
			if peer.Class != want[peer.Node] {
				return fmt.Errorf("%s has class %s, want %s", peer.Node, peer.Class, want[peer.Node])
			}
		}
		return nil
	})
	rows, err := conn.Query(t.Context(), "SELECT node_id, sync_mode FROM helios.cluster_nodes WHERE role = 'standby'")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var id, class string
		if err := rows.Scan(&id, &class); err != nil {
			t.Fatal(err)
		}
		if class != string(want[id]) {
			t.Errorf("the view shows %s as %s, want %s", id, class, want[id])
		}
	}
	if err := rows.Err(); err != nil {
		t.Error(err)
	}
}

// TestReadOnlyOnStandby: a read-only transaction on a standby reads, at the primary where
// the replica will not do, and changes nothing.
func TestReadOnlyOnStandby(t *testing.T) {
	p := newPair(t)
	p.start("s1a", first)
	b := p.start("s1b")
	mustExec(t, p.route(), "CREATE TABLE t (id int PRIMARY KEY)")
	p.published("s1a", "s1b")
	var conn *pgx.Conn
	eventually(t, "a write through the standby", func() (err error) {
		if conn == nil {
			conn = p.connect(b.sqlAddr)
		}
		_, err = conn.Exec(t.Context(), "INSERT INTO t VALUES (1)")
		return err
	})
	for text, code := range map[string]string{
		"SELECT count(*) FROM t":                       "",
		"SELECT id, random() FROM t":                   "", // volatile: forwarded
		"SAVEPOINT s; SELECT id FROM t":                "",
		"SELECT random(); SELECT count(*) FROM t":      "",
		"INSERT INTO t VALUES (2)":                     "25006",
		"SELECT random(); DELETE FROM t":               "25006",
		"CREATE TABLE u (id int)":                      "25006",
		"LOCK TABLE t IN EXCLUSIVE MODE":               "25006",
		"COPY t FROM STDIN":                            "25006",
		"SELECT id FROM t FOR UPDATE":                  "25006",
		"SELECT random(); SELECT id FROM t FOR UPDATE": "25006",
	} {
		_, err := conn.PgConn().Exec(t.Context(), "BEGIN READ ONLY; "+text).ReadAll()
		got := ""
		if e := (*pgconn.PgError)(nil); errors.As(err, &e) {
			got = e.Code
		} else if err != nil {
			got = err.Error()
		}
		if got != code {
			t.Errorf("%s: got %q, want %q", text, got, code)
		}
		mustExec(t, conn, "ROLLBACK")
	}
}

// TestNewTableOnStandby makes tables behind the back of a standby that forwards: transactions
// there know them from their first statement on.
func TestNewTableOnStandby(t *testing.T) {
	p := newPair(t)
	p.start("s1a", first)
	b := p.start("s1b")
	front := p.route()
	mustExec(t, front, "CREATE TABLE t0 (id int PRIMARY KEY)")
	p.published("s1a", "s1b")
	var conn *pgx.Conn
	eventually(t, "a write through the standby", func() (err error) {
		if conn == nil {
			conn = p.connect(b.sqlAddr)
		}
		_, err = conn.Exec(t.Context(), "INSERT INTO t0 VALUES (1)")
		return err
	})
	for i := 1; i <= 5; i++ {
		table := fmt.Sprintf("t%d", i)
		mustExec(t, front, "CREATE TABLE "+table+" (id int PRIMARY KEY)")
		eventually(t, table+" on the standby", func() error {
			_, err := conn.Exec(t.Context(), "SELECT id FROM "+table)
			return err
		})
		mustExec(t, conn, "BEGIN")
		mustExec(t, conn, "INSERT INTO "+table+" VALUES (1)")
		mustExec(t, conn, "SELECT id FROM "+table)
		mustExec(t, conn, "UPDATE "+table+" SET id = 2")
		mustExec(t, conn, "COMMIT")
	}
}

// TestPrimaryHint: a standby finds its primary where it was told to look, before there is a
// cluster map that names addresses.
func TestPrimaryHint(t *testing.T) {
	p := newPair(t)
	a := p.start("s1a", first)
	p.start("s1b", func(o *memberOptions) { o.primary = a.nativeAddr })
	p.published("s1a", "s1b")
}

// TestFailoverHistory: every node remembers the failovers that it has seen.
func TestFailoverHistory(t *testing.T) {
	p := newPair(t)
	p.start("s1a", first)
	p.start("s1b")
	conn := p.route()
	mustExec(t, conn, "CREATE TABLE t (id int PRIMARY KEY)")
	p.published("s1a", "s1b")
	p.nodes["s1a"].stop()
	delete(p.nodes, "s1a")
	mustExec(t, conn, "INSERT INTO t VALUES (1)")
	for _, addr := range []string{p.front.addr, p.nodes["s1b"].sqlAddr} {
		var from, to string
		var planned bool
		row := p.connect(addr).QueryRow(t.Context(), "SELECT old_primary, new_primary, planned FROM helios.failover_history")
		if err := row.Scan(&from, &to, &planned); err != nil || from != "s1a" || to != "s1b" || !planned {
			t.Errorf("got %s to %s, planned %v, %v", from, to, planned, err)
		}
	}
}
