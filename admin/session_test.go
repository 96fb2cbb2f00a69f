package admin_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heliosdb/helios/admin"
	"github.com/heliosdb/helios/ha"
	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/shard"
	"github.com/heliosdb/helios/types"
)

// client collects rows, values separated by blanks, NULL as "-".
type client struct{ rows []string }

func (*client) Notice(*types.Error)                       {}
func (*client) ParameterStatus(string, string)            {}
func (*client) Terminate(*types.Error)                    {}
func (*client) RowDescription([]pgwire.Column) error      { return nil }
func (*client) CommandComplete(string) error              { return nil }
func (*client) EmptyQuery() error                         { return nil }
func (*client) Suspended() error                          { return nil }
func (*client) RawDataRow([][]byte) error                 { return errors.New("not expected") }
func (*client) CopyIn(int, bool) (io.Reader, error)       { return nil, errors.New("not expected") }
func (*client) CopyOut(int, bool) (io.WriteCloser, error) { return nil, errors.New("not expected") }

func (c *client) DataRow(row types.Row) error {
	words := make([]string, len(row))
	for i, v := range row {
		switch v.Kind() {
		case types.KindNull:
			words[i] = "-"
		case types.KindText:
			words[i] = v.AsText()
		case types.KindBool:
			words[i] = types.ToText(types.T(types.BoolOID), v)
		default:
			words[i] = types.ToText(types.T(types.Int8OID), v)
		}
	}
	c.rows = append(c.rows, strings.Join(words, " "))
	return nil
}

// standbys is a made-up replication with two standbys, for the documented monitor query.
type standbys struct{ admin.Replication }

func (standbys) Status() ha.Status                 { return ha.Status{NodeID: "n1", Role: ha.Primary, CurrentLSN: 7} }
func (standbys) Primary() (ha.PrimaryStatus, bool) { return ha.PrimaryStatus{}, false }
func (standbys) Metrics() ha.Metrics               { return ha.Metrics{} }
func (standbys) Lease() ha.Lease                   { return ha.Lease{} }
func (standbys) Standbys() []ha.StandbyStatus {
	return []ha.StandbyStatus{
		{NodeID: "a", State: "streaming", Lag: 5 * time.Millisecond},
		{NodeID: "b", State: "catching_up", Lag: 5 * time.Second},
		{NodeID: "c", State: "disconnected", Lag: time.Hour},
	}
}

// open starts a standalone shard in memory and a session on it.
func open(t *testing.T, views *admin.NodeViews) *session.Session {
	t.Helper()
	s, err := shard.Open(shard.Options{
		ID: 1, Slots: 16, FS: vfs.NewMem(), Dir: "data", Wall: func() int64 { return time.Now().UnixMilli() },
		Fatal: func(err error) { t.Error(err) }, Relations: admin.Relations(), CacheBytes: 1 << 20, SegmentBytes: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	views.DB = s
	err = errors.Join(s.Start(t.Context()), s.Bootstrap(t.Context(), "heliosdb", "helios", ""), s.OwnAll(t.Context(), nil))
	if err != nil {
		t.Fatal(err)
	}
	engine := shard.NewEngine(s, shard.EngineOptions{Alone: true, Views: views.Rows})
	host := session.NewHost(session.Options{Engine: func(string) (session.Engine, error) { return engine, nil }})
	conn := &pgwire.ConnInfo{User: "helios", Database: "heliosdb", PID: 1, Remote: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	sess, err := host.Open(t.Context(), conn, &client{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sess.Close)
	return sess
}

func query(t *testing.T, s *session.Session, sql string) []string {
	t.Helper()
	var c client
	if err := s.SimpleQuery(context.WithoutCancel(t.Context()), sql, &c); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
	return c.rows
}

// TestStandaloneBySQL asks a real shard by SQL, without any search_path.
func TestStandaloneBySQL(t *testing.T) {
	views := &admin.NodeViews{ID: "n1", Shard: 1, SQL: "127.0.0.1:5432", Started: time.Now()}
	s := open(t, views)
	for _, c := range []struct{ sql, want string }{
		{"SELECT node_id, role, sync_mode, listen_address, replication_port, is_read_only, standby_count FROM pg_replication_status", "n1 standalone async 127.0.0.1:5432 - f -"},
		{"SELECT count(*) FROM pg_replication_standbys", "0"},
		{"SELECT count(*) FROM pg_replication_primary", "0"},
		{"SELECT node_id, state, term FROM helios.cluster_nodes", "n1 serving 1"},
		{"SELECT node_id, state, term FROM helios_cluster_nodes", "n1 serving 1"},
		{"SELECT current_lsn > 0 AND flush_lsn <= current_lsn AND apply_lsn <= flush_lsn FROM helios_wal_stats", "t"},
		{"SELECT count(*) FROM helios_reshard_jobs", "0"},
	} {
		if got := strings.Join(query(t, s, c.sql), "\n"); got != c.want {
			t.Errorf("%s: %s, want %s", c.sql, got, c.want)
		}
	}
	const writes = "SELECT wal_writes, wal_bytes_written FROM pg_replication_metrics"
	before := query(t, s, writes)
	query(t, s, "CREATE TABLE t (id int PRIMARY KEY)")
	if after := query(t, s, writes); len(after) != 1 || after[0] == before[0] {
		t.Errorf("wal_writes and bytes were %v before a write and are %v after", before, after)
	}
}

// TestDocumentedQueries runs the queries of the documentation word for word.
func TestDocumentedQueries(t *testing.T) {
	s := open(t, &admin.NodeViews{ID: "n1", Shard: 1, HA: standbys{}, Started: time.Now()})
	monitor := `SELECT node_id, CASE WHEN lag_ms < 1000 THEN 'IN_SYNC' WHEN lag_ms < 60000 THEN 'CATCHING_UP' ELSE 'LAGGING' END as status, lag_ms FROM pg_replication_standbys;`
	if got, want := strings.Join(query(t, s, monitor), "\n"), "a IN_SYNC 5\nb CATCHING_UP 5000\nc LAGGING 3600000"; got != want {
		t.Errorf("%s:\n%s\nwant\n%s", monitor, got, want)
	}
	if got, want := strings.Join(query(t, s, "SELECT node_id, role, current_lsn FROM pg_replication_status;"), "\n"), "n1 primary 7"; got != want {
		t.Errorf("all nodes: %s, want %s", got, want)
	}
}
