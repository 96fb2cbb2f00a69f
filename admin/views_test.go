package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/consensus"
	"github.com/heliosdb/helios/ha"
	"github.com/heliosdb/helios/reshard"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// seedColumns are the columns that the documented views have, in order.
var seedColumns = map[string]string{
	"pg_replication_status":   "node_id role sync_mode listen_address replication_port current_lsn is_read_only standby_count uptime_seconds",
	"pg_replication_standbys": "node_id address sync_mode state current_lsn flush_lsn apply_lsn lag_bytes lag_ms connected_at last_heartbeat",
	"pg_replication_primary":  "node_id address state primary_lsn local_lsn lag_bytes lag_ms fencing_token connected_at last_heartbeat",
	"pg_replication_metrics": "wal_writes wal_bytes_written records_replicated bytes_replicated heartbeats_sent heartbeats_received " +
		"reconnect_count last_wal_write last_replication",
}

func TestRelations(t *testing.T) {
	seen := map[types.OID]bool{}
	byQualified := map[string]*catalog.Relation{}
	for _, rel := range Relations() {
		if rel.OID < 16401 || rel.OID > 16499 || seen[rel.OID] {
			t.Errorf("%s.%s has the number %d, taken or outside 16401…16499", rel.Schema, rel.Name, rel.OID)
		}
		seen[rel.OID] = true
		byQualified[rel.Schema+"."+rel.Name] = rel
		for _, c := range rel.Columns {
			if strings.HasSuffix(c.Name, "_lsn") || strings.HasPrefix(c.Name, "lag_") {
				if got, want := c.Type.OID, types.Int8OID; got != want {
					t.Errorf("%s.%s is of type %s, want bigint", rel.Name, c.Name, c.Type)
				}
			}
		}
	}
	for name, want := range seedColumns {
		rel := byQualified["pg_catalog."+name]
		if rel == nil {
			t.Errorf("pg_catalog.%s is missing", name)
			continue
		}
		if got := columnNames(rel); got != want {
			t.Errorf("%s has columns\n%s, want\n%s", name, got, want)
		}
	}
	for name, rel := range byQualified {
		bare, own := strings.CutPrefix(name, "helios.")
		if !own {
			continue
		}
		alias := byQualified["pg_catalog.helios_"+bare]
		if alias == nil {
			t.Errorf("%s does not answer as pg_catalog.helios_%s", name, bare)
		} else if got, want := columnNames(alias), columnNames(rel); got != want {
			t.Errorf("helios_%s has columns %s, want %s", bare, got, want)
		}
	}
}

func columnNames(rel *catalog.Relation) string {
	var names []string
	for _, c := range rel.Columns {
		names = append(names, c.Name)
	}
	return strings.Join(names, " ")
}

// madeUp is a Replication that tells what it is given.
type madeUp struct {
	status   ha.Status
	standbys []ha.StandbyStatus
	primary  *ha.PrimaryStatus
	metrics  ha.Metrics
	lease    ha.Lease
}

func (m *madeUp) Status() ha.Status            { return m.status }
func (m *madeUp) Standbys() []ha.StandbyStatus { return m.standbys }
func (m *madeUp) Metrics() ha.Metrics          { return m.metrics }
func (m *madeUp) Lease() ha.Lease              { return m.lease }
func (m *madeUp) Primary() (ha.PrimaryStatus, bool) {
	if m.primary == nil {
		return ha.PrimaryStatus{}, false
	}
	return *m.primary, true
}

// noon is when the made-up nodes answer; synctest starts its clock at the same midnight.
var (
	midnight = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	noon     = midnight.Add(12 * time.Hour)
)

// newPair is shard 1 of the made-up cluster: primary p1 and standby s1, and a dead one.
func newPair() (p, s *NodeViews) {
	lease := ha.Lease{Term: 7, Holder: "p1", Members: []ha.Member{{Node: "s1", Class: ha.SemiSync}}}
	primary := &madeUp{
		status: ha.Status{
			NodeID: "p1", Role: ha.Primary, SyncMode: ha.SemiSync, ReplicationPort: 15433, CurrentLSN: 1000, Flush: 990, Commit: 980, Apply: 970,
			StandbyCount: 1, Term: 7, LeaseValid: true, Primary: "p1",
		},
		standbys: []ha.StandbyStatus{
			{NodeID: "dead", Address: "h:4", SyncMode: ha.Async, State: "disconnected", LagBytes: 1000, Lag: time.Minute},
			{
				NodeID: "s1", Address: "h:3", SyncMode: ha.SemiSync, State: "streaming", CurrentLSN: 1000, FlushLSN: 995, ApplyLSN: 900,
				LagBytes: 100, Lag: 1500 * time.Microsecond, ConnectedAt: noon, LastHeartbeat: noon.Add(time.Second),
			},
		},
		metrics: ha.Metrics{
			WALWrites: 10, WALBytesWritten: 1000, RecordsReplicated: 9, BytesReplicated: 900, HeartbeatsSent: 5, HeartbeatsReceived: 4,
			LastWALWrite: noon, LastReplication: noon.Add(time.Second),
		},
		lease: lease,
	}
	standby := &madeUp{
		status: ha.Status{
			NodeID: "s1", Role: ha.Candidate, SyncMode: ha.SemiSync, ReplicationPort: 15443, CurrentLSN: 1000, Flush: 995, Commit: 950, Apply: 900,
			IsReadOnly: true, StandbyCount: -1, Term: 7, Primary: "p1",
		},
		primary: &ha.PrimaryStatus{
			NodeID: "p1", Address: "h:2", State: "streaming", PrimaryLSN: 1000, LocalLSN: 1000, LagBytes: 100, Lag: 2 * time.Millisecond,
			FencingToken: 7, ConnectedAt: noon, LastHeartbeat: noon,
		},
		metrics: ha.Metrics{ReconnectCount: 3},
		lease:   lease,
	}
	m := madeUpMap()
	started := noon.Add(-90 * time.Second)
	p = &NodeViews{ID: "p1", Shard: 1, SQL: "h:1", Native: "h:2", HTTP: "h:8080", Started: started, HA: primary, Map: func() *cluster.Map { return m }}
	s = &NodeViews{ID: "s1", Shard: 1, SQL: "h:5", Native: "h:3", Started: started, HA: standby, Map: func() *cluster.Map { return m }}
	return p, s
}

// madeUpMap has shard 1 with the pair and shard 2, whose only node n2 holds no term yet.
func madeUpMap() *cluster.Map {
	m, err := cluster.New("c", []cluster.Shard{
		{ID: 1, Weight: 100, Zone: "eu", Nodes: []cluster.Node{{ID: "p1", SQL: "h:1", Native: "h:2"}, {ID: "s1", SQL: "h:5", Native: "h:3"}}},
		{ID: 2, Weight: 50, Nodes: []cluster.Node{{ID: "n2", SQL: "h:6", Native: "h:7"}}},
	}, []cluster.ShardID{1, 1, 1, 2})
	if err == nil {
		m, err = m.WithPrimary(1, "p1", 7, []string{"s1"})
	}
	if err == nil {
		m, err = m.WithCells(17001, cluster.CellSet{Generation: 3, Cells: []cluster.CellOwner{
			{Cell: 0, Owner: cluster.Owner{Shard: 1, Epoch: 1}}, {Cell: 1, Owner: cluster.Owner{Shard: 1, Epoch: 2, State: cluster.Sealed, To: 2}},
		}})
	}
	if err != nil {
		panic(err)
	}
	return m
}

func madeUpJobs(context.Context) ([]reshard.Job, error) {
	return []reshard.Job{{
		ID: 4, Target: 3, Streams: 2, State: reshard.Copying, Started: noon,
		Moves: []reshard.Move{
			{ID: 1, From: 1, To: 3, Units: []reshard.Unit{{N: 1}, {N: 2}}, State: reshard.Done, Rows: 10, Bytes: 100, PauseMS: 12},
			{ID: 2, From: 2, To: 3, Units: []reshard.Unit{{N: 3}, {Space: 17001, N: 1}}, State: reshard.Copying, Rows: 5, Bytes: 50, Retries: 2, Error: "no answer"},
		},
	}}, nil
}

// read gives the rows of a view as text, NULL as "-", and checks that each fits its columns.
func read(t *testing.T, source interface {
	Rows(ctx context.Context, _ *session.Info, rel *catalog.Relation) ([]types.Row, bool, error)
}, name string,
) string {
	t.Helper()
	def := byName(name)
	rel := def.relation(def.oid, "", name)
	rows, ok, err := source.Rows(t.Context(), nil, rel)
	if err != nil || !ok {
		t.Fatalf("%s: ok %v, error %v", name, ok, err)
	}
	var lines []string
	for _, row := range rows {
		lines = append(lines, line(t, rel, row))
	}
	return strings.Join(lines, "\n")
}

func line(t *testing.T, rel *catalog.Relation, row types.Row) string {
	t.Helper()
	if got, want := len(row), len(rel.Columns); got != want {
		t.Fatalf("%s: a row of %d values, want %d", rel.Name, got, want)
	}
	kinds := map[types.OID]types.Kind{
		types.TextOID: types.KindText, types.BoolOID: types.KindBool, types.Int4OID: types.KindInt, types.Int8OID: types.KindInt,
		types.TimestampTZOID: types.KindTimestamp,
	}
	var words []string
	for i, c := range rel.Columns {
		switch v := row[i]; {
		case v.IsNull():
			words = append(words, "-")
		case v.Kind() != kinds[c.Type.OID]:
			t.Fatalf("%s.%s holds a value of kind %v", rel.Name, c.Name, v.Kind())
		case c.Type.OID == types.TimestampTZOID:
			words = append(words, types.ToTime(v).UTC().Format(time.TimeOnly))
		default:
			words = append(words, types.ToText(c.Type, v))
		}
	}
	return strings.Join(words, " ")
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n%s\nwant:\n%s", what, got, want)
	}
}

func TestNodeViews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(noon))
		p, s := newPair()
		p.Jobs, p.History = madeUpJobs, &History{}
		p.History.Add(ha.Failover{Old: "s1", New: "p1", Term: 7, LSN: 64, Planned: true})
		alone := &NodeViews{ID: "a", Shard: 1, SQL: "h:9", Native: "h:10", Started: noon}

		for _, c := range []struct {
			node       *NodeViews
			view, want string
		}{
			{p, replicationStatus, "p1 primary semi-sync h:1 15433 1000 f 1 90"},
			{s, replicationStatus, "s1 standby semi-sync h:5 15443 1000 t - 90"},
			{alone, replicationStatus, "a standalone async h:9 10 0 f - 0"},

			{p, replicationStandbys, "dead h:4 async disconnected 0 0 0 1000 60000 - -\n" +
				"s1 h:3 semi-sync streaming 1000 995 900 100 2 12:00:00 12:00:01"},
			{s, replicationStandbys, ""},
			{alone, replicationStandbys, ""},

			{p, replicationPrimary, ""},
			{s, replicationPrimary, "p1 h:2 streaming 1000 1000 100 2 7 12:00:00 12:00:00"},
			{alone, replicationPrimary, ""},

			{p, replicationMetrics, "10 1000 9 900 5 4 0 12:00:00 12:00:01"},
			{s, replicationMetrics, "0 0 0 0 0 0 3 - -"},
			{alone, replicationMetrics, "0 0 0 0 0 0 0 - -"},

			{p, clusterNodes, "p1 1 primary semi-sync serving h:1 h:2 h:8080 7 1000 990 970 - - t f 90\n" +
				"s1 1 standby semi-sync streaming h:5 h:3 - 7 1000 995 900 100 2 f t -\n" +
				"n2 2 standby - - h:6 h:7 - - - - - - - f f -\n" +
				"dead 1 standby async disconnected - h:4 - 7 0 0 0 1000 60000 f f -"},
			{s, clusterNodes, "p1 1 primary - - h:1 h:2 - 7 - - - - - t f -\n" +
				"s1 1 standby semi-sync streaming h:5 h:3 - 7 1000 995 900 100 2 f t 90\n" +
				"n2 2 standby - - h:6 h:7 - - - - - - - f f -"},
			{alone, clusterNodes, "a 1 standalone async serving h:9 h:10 - - 0 0 0 - - t f 0"},

			{p, walStats, "p1 1 1000 990 980 970 0 0 0 0 0"},
			{p, failoverHistory, "12:00:00 1 7 s1 p1 64 t"},
			{s, failoverHistory, ""},

			{p, shards, "1 active 100 eu p1 7 3 2 2\n2 active 50 - - 0 1 0 1"},
			{p, slots, "0 1 1 owned -\n1 1 1 owned -\n2 1 1 owned -\n3 2 1 owned -"},
			{p, cells, "17001 0 1 1 - 3 owned -\n17001 1 1 2 - 3 sealed 2"},
			{alone, shards, ""},

			{p, reshardJobs, "4 copying 3 2 1 2 15 150 12:00:00 - 12 2 no answer"},
			{p, reshardMoves, "4 1 1 3 2 done 10 100 12 0 -\n4 2 2 3 2 copying 5 50 0 2 no answer"},
			{s, reshardJobs, ""},
		} {
			want(t, c.node.ID+" "+c.view, read(t, c.node, c.view), c.want)
		}
	})
}

func TestNodeViewsLeaveOtherRelationsAlone(t *testing.T) {
	p, _ := newPair()
	if _, ok, err := p.Rows(t.Context(), nil, &catalog.Relation{OID: 1259}); ok || err != nil {
		t.Errorf("pg_class: ok %v, error %v", ok, err)
	}
}

func TestAliasHasTheSameRows(t *testing.T) {
	p, _ := newPair()
	def := byName(slots)
	own, _, err := p.Rows(t.Context(), nil, def.relation(def.oid, "helios", "slots"))
	if err != nil {
		t.Fatal(err)
	}
	alias, ok, err := p.Rows(t.Context(), nil, def.relation(def.alias, "pg_catalog", "helios_slots"))
	if err != nil || !ok || len(alias) != len(own) {
		t.Errorf("helios_slots: %d rows, ok %v, error %v, want %d rows", len(alias), ok, err, len(own))
	}
}

func TestFencedPrimary(t *testing.T) {
	p, _ := newPair()
	p.HA.(*madeUp).status.LeaseValid = false
	if got := p.read().state(); got != fenced {
		t.Errorf("state %s, want %s", got, fenced)
	}
	if err := p.Ready(); types.CodeOf(err) != "57P03" {
		t.Errorf("ready: %v, want 57P03", err)
	}
}

func TestJobsThatCannotBeRead(t *testing.T) {
	p, _ := newPair()
	p.Jobs = func(context.Context) ([]reshard.Job, error) { return nil, errors.New("no leader") }
	def := byName(reshardJobs)
	if _, _, err := p.Rows(t.Context(), nil, def.relation(def.oid, "helios", def.name)); types.CodeOf(err) != "58000" {
		t.Errorf("error %v, want 58000", err)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	var h History
	for term := range uint32(historyMax + 10) {
		h.add(noon, ha.Failover{Term: term + 1})
	}
	rows := h.rows(1)
	if got, want := len(rows), historyMax; got != want {
		t.Fatalf("%d rows, want %d", got, want)
	}
	if got, want := rows[0][2].AsInt(), int64(11); got != want {
		t.Errorf("oldest term %d, want %d", got, want)
	}
}

// newCluster is a router over the pair; shard 2's node does not answer.
func newCluster() *ClusterViews {
	p, s := newPair()
	p.History, s.History = &History{}, &History{}
	p.History.add(noon.Add(time.Second), ha.Failover{Old: "s1", New: "p1", Term: 7, LSN: 64})
	s.History.add(noon, ha.Failover{Old: "s1", New: "p1", Term: 7, LSN: 64})
	s.History.add(noon.Add(-time.Hour), ha.Failover{New: "s1", Term: 6})
	at := map[string]*NodeViews{"h:1": p, "h:5": s}
	m := madeUpMap()
	return &ClusterViews{
		Map: func() *cluster.Map { return m }, Jobs: madeUpJobs, Started: noon,
		Nodes: func(context.Context) ([]consensus.Node, error) {
			return []consensus.Node{
				{ID: "n2", Shard: 2, Class: "semi-sync", SQL: "h:6", Native: "h:7", HTTP: "h:8", State: consensus.Joined},
				{ID: "n3", Shard: 3, SQL: "h:11", State: consensus.Joining},
				{ID: "o1", Native: "h:12", State: consensus.Joining},
				{ID: "r1", SQL: "h:13", State: consensus.Joining},
			}, nil
		},
		Ask: func(ctx context.Context, addr, query string) ([]types.Row, error) {
			switch addr {
			case "h:1", "h:5":
				return answerAs(ctx, at[addr], query)
			case "h:11":
				return nil, errors.New("connection refused")
			case "h:6":
				<-ctx.Done()
				return nil, ctx.Err()
			}
			panic("asked " + addr + ", which serves no shard")
		},
	}
}

// answerAs answers a query that ClusterViews made as a node's SQL would.
func answerAs(ctx context.Context, node *NodeViews, query string) ([]types.Row, error) {
	_, rest, _ := strings.Cut(query, " FROM ")
	name, where, filtered := strings.Cut(rest, " WHERE ")
	_, name, _ = strings.Cut(name, ".")
	def := byName(name)
	if def == nil {
		return nil, fmt.Errorf("no view in %q", query)
	}
	rows, _, err := node.Rows(ctx, nil, def.relation(def.oid, "", name))
	if filtered {
		if where != "node_id = '"+node.ID+"'" {
			return nil, fmt.Errorf("unknown condition %q", where)
		}
		rows = slices.DeleteFunc(rows, func(r types.Row) bool { return r[0].AsText() != node.ID })
	}
	return rows, err
}

func TestClusterViews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(noon))
		v := newCluster()
		for _, c := range []struct{ view, want string }{
			{shards, "1 active 100 eu p1 7 3 2 2\n2 active 50 - - 0 1 0 1"},
			{reshardJobs, "4 copying 3 2 1 2 15 150 12:00:00 - 12 2 no answer"},
			{replicationStatus, "p1 primary semi-sync h:1 15433 1000 f 1 90\n" +
				"s1 standby semi-sync h:5 15443 1000 t - 90\n" +
				"n2 standby semi-sync h:6 7 - - - -\n" +
				"n3 standby - h:11 - - - - -\n" +
				"o1 observer - h:12 12 - - - -"},
		} {
			began := time.Now()
			got := read(t, v, c.view)
			if c.view == replicationStatus {
				if waited := time.Since(began); waited != askLimit {
					t.Errorf("waited %v for a silent node, want %v", waited, askLimit)
				}
			}
			want(t, c.view, got, c.want)
		}
		lines := strings.Split(read(t, v, clusterNodes), "\n")
		for i, prefix := range []string{
			"p1 1 primary semi-sync serving h:1 h:2 h:8080 7 1000 990 970 - - t f",
			"s1 1 standby semi-sync streaming h:5 h:3 - 7 1000 995 900 100 2 f t",
			"n2 2 standby semi-sync down h:6 h:7 h:8 - - - - - - f f -",
			"n3 3 standby - down h:11 - - - - - - - - f f -",
			"o1 - observer - joining - h:12 - - - - - - - f f -",
			"r1 - router - joining h:13 - - - - - - - - f f -",
		} {
			if i >= len(lines) || !strings.HasPrefix(lines[i], prefix) {
				t.Errorf("cluster_nodes:\n%s\nwant in line %d\n%s", strings.Join(lines, "\n"), i+1, prefix)
			}
		}
		want(t, replicationStandbys, read(t, v, replicationStandbys),
			"dead h:4 async disconnected 0 0 0 1000 60000 - -\ns1 h:3 semi-sync streaming 1000 995 900 100 2 12:00:00 12:00:01")
		want(t, replicationPrimary, read(t, v, replicationPrimary), "p1 h:2 streaming 1000 1000 100 2 7 12:00:00 12:00:00")
		want(t, replicationMetrics, read(t, v, replicationMetrics), "10 1000 9 900 5 4 0 12:00:00 12:00:01\n0 0 0 0 0 0 3 - -")
		want(t, failoverHistory, read(t, v, failoverHistory), "11:00:00 1 6 - s1 0 f\n12:00:00 1 7 s1 p1 64 f")
	})
}

func TestClusterViewsWithoutMap(t *testing.T) {
	v := newCluster()
	v.Map = func() *cluster.Map { return nil }
	def := byName(slots)
	if _, ok, err := v.Rows(t.Context(), nil, def.relation(def.oid, "helios", def.name)); !ok || types.CodeOf(err) != "57P03" {
		t.Errorf("ok %v, error %v, want 57P03", ok, err)
	}
}

func TestNodeOfAnotherReleaseIsDown(t *testing.T) {
	v := newCluster()
	v.Nodes = nil
	v.Ask = func(context.Context, string, string) ([]types.Row, error) {
		return []types.Row{{types.Text("p1")}}, nil
	}
	if got, want := strings.Count(read(t, v, clusterNodes), down), 3; got != want {
		t.Errorf("%d nodes are down, want %d", got, want)
	}
}

// TestStoreDown: a control store that does not answer in time leaves the nodes of the map.
func TestStoreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newCluster()
		v.Nodes = func(ctx context.Context) ([]consensus.Node, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		if got, want := strings.Count(read(t, v, replicationStatus), "\n"), 2; got != want {
			t.Errorf("%d line ends, want %d", got, want)
		}
	})
}
