package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/reshard"
)

// get asks a handler as a client at an address does.
func get(t *testing.T, source Source, path, from string, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	h, err := NewHandler(source)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.RemoteAddr = from
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const local, far = "127.0.0.1:4000", "192.0.2.7:4000"

func TestHealth(t *testing.T) {
	p, s := newPair()
	for _, c := range []struct {
		source                Source
		status, primary, role string
		nodes                 int
	}{
		{p, "healthy", "p1", "primary", 1},
		{s, "healthy", "p1", "standby", 1},
		{newCluster(), "starting", "p1", "primary", 3}, // shard 2 has no primary
	} {
		w := get(t, c.source, "/health", far, nil)
		var h Health
		if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
		if h.Status != c.status || h.Primary != c.primary || len(h.Nodes) != c.nodes || h.Nodes[0].Role != c.role {
			t.Errorf("health %+v, want %+v", h, c)
		}
	}
}

func TestReady(t *testing.T) {
	p, s := newPair()
	expired, _ := newPair()
	expired.HA.(*madeUp).status.LeaseValid = false
	_, empty := newPair()
	empty.HA.(*madeUp).status.Apply = 0
	unheard := &ClusterViews{Map: func() *cluster.Map { return nil }}
	for _, c := range []struct {
		source Source
		code   int
		says   string
	}{
		{p, 200, "ready"},
		{s, 200, "ready"},
		{&NodeViews{ID: "alone"}, 200, "ready"},
		{expired, 503, "lease has run out"},
		{empty, 503, "holds no data"},
		{newCluster(), 503, "shard 2 has no primary"},
		{unheard, 503, "cluster map"},
	} {
		if w := get(t, c.source, "/ready", far, nil); w.Code != c.code || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("ready: %d %s, want %d with %q", w.Code, w.Body, c.code, c.says)
		}
	}
}

func TestWhatIsForThisMachineAlone(t *testing.T) {
	p, _ := newPair()
	verified := func(r *http.Request) {
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{}}}}
	}
	unverified := func(r *http.Request) { r.TLS = &tls.ConnectionState{} }
	for _, path := range []string{"/metrics", "/nodes"} {
		for _, c := range []struct {
			from   string
			change func(*http.Request)
			code   int
		}{
			{local, nil, 200}, {"[::1]:9", nil, 200}, {far, nil, 403}, {"@", nil, 403}, {far, verified, 200}, {far, unverified, 403},
		} {
			if got := get(t, p, path, c.from, c.change).Code; got != c.code {
				t.Errorf("%s from %s: %d, want %d", path, c.from, got, c.code)
			}
		}
	}
}

func TestNodesAsJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := get(t, newCluster(), "/nodes", local, nil)
		var nodes []map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &nodes); err != nil || len(nodes) != 6 {
			t.Fatalf("%v: %s", err, w.Body)
		}
		first, third := nodes[0], nodes[2]
		if first["node_id"] != "p1" || first["shard"] != 1.0 || first["is_leader"] != true || first["lag_ms"] != nil {
			t.Errorf("first node %v", first)
		}
		if third["state"] != down || third["current_lsn"] != nil {
			t.Errorf("third node %v", third)
		}
	})
	v := newCluster()
	v.Map = func() *cluster.Map { return nil }
	if w := get(t, v, "/nodes", local, nil); w.Code != http.StatusServiceUnavailable {
		t.Errorf("without a map: %d", w.Code)
	}
}

func TestMetrics(t *testing.T) {
	p, s := newPair()
	v := newCluster()
	v.Traffic = func() Traffic { return Traffic{Statements: 12, RoundTrips: 15} }
	for _, c := range []struct {
		source Source
		want   []string
	}{
		{p, []string{
			`helios_term{node="p1",shard="1"} 7`, `helios_is_primary{node="p1",shard="1"} 1`, `helios_wal_records_total{node="p1",shard="1"} 10`,
			`helios_standby_lag_bytes{node="p1",shard="1",standby="s1"} 100`, `helios_standby_connected{node="p1",shard="1",standby="dead"} 0`,
		}},
		{s, []string{
			`helios_is_primary{node="s1",shard="1"} 0`, `helios_replication_lag_bytes{node="s1",shard="1"} 100`,
			`helios_reconnects_total{node="s1",shard="1"} 3`,
		}},
		{v, []string{
			`helios_router_statements_total 12`, `helios_router_round_trips_total 15`, `helios_shard_slots{shard="1"} 3`,
			`helios_shard_has_primary{shard="2"} 0`, `helios_reshard_moves_left{job="4"} 1`,
		}},
	} {
		body := get(t, c.source, "/metrics", local, nil).Body.String()
		for _, line := range c.want {
			if !strings.Contains(body, "\n"+line+"\n") {
				t.Errorf("metrics lack %s", line)
			}
		}
		registry := prometheus.NewPedanticRegistry()
		if err := registry.Register(c.source); err != nil {
			t.Error(err)
		}
		if _, err := registry.Gather(); err != nil {
			t.Error(err)
		}
	}
}

// TestMetricsWithoutStore: jobs that cannot be read do not take the other metrics along.
func TestMetricsWithoutStore(t *testing.T) {
	v := newCluster()
	v.Jobs = func(context.Context) ([]reshard.Job, error) { return nil, errors.New("no leader") }
	w := get(t, v, "/metrics", local, nil)
	if !strings.Contains(w.Body.String(), "helios_cluster_map_version") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
