package admin

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// Source is what the HTTP port shows; *NodeViews and *ClusterViews are the two.
type Source interface {
	prometheus.Collector
	// Rows gives the rows of a view.
	Rows(ctx context.Context, info *session.Info, rel *catalog.Relation) (rows []types.Row, ok bool, err error)
	// Health says what the process knows at once, asking nobody.
	Health() Health
	// Ready tells why clients should not be sent here; nil if they should.
	Ready() error
}

// Health is the answer of /health.
type Health struct {
	Status  string       `json:"status"` // healthy, or starting while clients cannot be served
	Primary string       `json:"primary,omitempty"`
	Nodes   []NodeHealth `json:"nodes"`
}

// NodeHealth is one node in Health.
type NodeHealth struct {
	ID    string          `json:"id"`
	Shard cluster.ShardID `json:"shard"`
	Role  string          `json:"role"`
	State string          `json:"state,omitempty"`
}

// NewHandler serves the HTTP port: /health answers 200 while the process lives, /ready 200
// while clients can be served and else 503 with the reason, /metrics in Prometheus' format,
// /nodes the rows of helios.cluster_nodes as JSON. /metrics and /nodes are for this machine
// and for clients with a certificate alone: others get 403.
func NewHandler(source Source) (http.Handler, error) {
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{source, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, source.Health())
	})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if err := source.Ready(); err != nil {
			writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "not ready", "reason": types.AsError(err).Message})
			return
		}
		writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	})
	mux.Handle("GET /metrics", trusted(promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})))
	mux.Handle("GET /nodes", trusted(nodesHandler(source)))
	return mux, nil
}

// nodesHandler answers with an array of objects, one for each node.
func nodesHandler(source Source) http.HandlerFunc {
	def := byName(clusterNodes)
	rel := def.relation(def.oid, "helios", def.name)
	return func(w http.ResponseWriter, r *http.Request) {
		rows, _, err := source.Rows(r.Context(), nil, rel)
		if err != nil {
			writeJSON(w, http.StatusServiceUnavailable, map[string]string{"error": types.AsError(err).Message})
			return
		}
		nodes := make([]map[string]any, len(rows))
		for i, row := range rows {
			nodes[i] = object(rel.Columns, row)
		}
		writeJSON(w, http.StatusOK, nodes)
	}
}

// object makes a row a JSON object by its columns' names.
func object(cols []catalog.Column, row types.Row) map[string]any {
	o := make(map[string]any, len(cols))
	for i, c := range cols {
		v := row[i]
		switch {
		case v.IsNull():
			o[c.Name] = nil
		case c.Type.OID == types.BoolOID:
			o[c.Name] = v.AsBool()
		case c.Type.OID == types.Int4OID || c.Type.OID == types.Int8OID:
			o[c.Name] = v.AsInt()
		default:
			o[c.Name] = types.ToText(c.Type, v)
		}
	}
	return o
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error here is the client's going away: there is nobody to tell.
	_, _ = w.Write(append(body, '\n'))
}

// trusted lets pass who asks from this machine or shows a certificate that the server's
// TLS settings have verified.
func trusted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		local := err == nil && net.ParseIP(host).IsLoopback()
		if !local && (r.TLS == nil || len(r.TLS.VerifiedChains) == 0) {
			http.Error(w, "only from this machine or with a client certificate", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// NewServer serves a handler with limits on time and headers, for node to run.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
}
