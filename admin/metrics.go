package admin

import (
	"github.com/prometheus/client_golang/prometheus"
)

// gauge and counter are the two kinds of metric here.
const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// metric is one number about a node, computed from a reading.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(r *reading) float64
}

// nodeLabels are on every metric of a node.
var nodeLabels = []string{"node", "shard"}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("helios_"+name, help, labels, nil)
}

func nodeMetric(name, help string, kind prometheus.ValueType, value func(r *reading) float64) metric {
	return metric{describe(name, help, nodeLabels...), kind, value}
}

// nodeMetrics are the metrics of a node of a shard that have one value each.
var nodeMetrics = []metric{
	nodeMetric("uptime_seconds", "Time since the node started.", gauge, func(r *reading) float64 { return r.uptime.Seconds() }),
	nodeMetric("term", "Fencing token: the highest term the node obeys.", gauge, func(r *reading) float64 { return float64(r.status.Term) }),
	nodeMetric("is_primary", "1 if the node is primary or standalone.", gauge, func(r *reading) float64 { return number(r.role != "standby") }),
	nodeMetric("lease_valid", "1 while the node may serve writes and fresh reads.", gauge, func(r *reading) float64 {
		return number(r.role != "standby" && r.status.LeaseValid)
	}),
	nodeMetric("degraded", "1 while a semi-sync primary waits for no standby.", gauge, func(r *reading) float64 { return number(r.status.Degraded) }),
	nodeMetric("wal_current_lsn", "End of the log.", gauge, func(r *reading) float64 { return float64(r.status.CurrentLSN) }),
	nodeMetric("wal_flush_lsn", "End of what is on disk.", gauge, func(r *reading) float64 { return float64(r.status.Flush) }),
	nodeMetric("wal_commit_lsn", "End of what is committed, as far as the node knows.", gauge, func(r *reading) float64 { return float64(r.status.Commit) }),
	nodeMetric("wal_apply_lsn", "End of what is visible.", gauge, func(r *reading) float64 { return float64(r.status.Apply) }),
	nodeMetric("wal_records_total", "Records appended to the log.", counter, func(r *reading) float64 { return float64(r.metrics.WALWrites) }),
	nodeMetric("wal_bytes_total", "Bytes appended to the log.", counter, func(r *reading) float64 { return float64(r.metrics.WALBytesWritten) }),
	nodeMetric("wal_groups_total", "Group commits.", counter, func(r *reading) float64 { return float64(r.stats.Log.Groups) }),
	nodeMetric("wal_fsyncs_total", "Syncs of log files.", counter, func(r *reading) float64 { return float64(r.stats.Log.Syncs) }),
	nodeMetric("wal_last_flush_seconds", "Time to write and sync the last group.", gauge, func(r *reading) float64 { return r.stats.Log.LastFlush.Seconds() }),
	nodeMetric("replicated_records_total", "Batches of records sent or received.", counter, func(r *reading) float64 { return float64(r.metrics.RecordsReplicated) }),
	nodeMetric("replicated_bytes_total", "Bytes of the log sent or received.", counter, func(r *reading) float64 { return float64(r.metrics.BytesReplicated) }),
	nodeMetric("heartbeats_sent_total", "Heartbeats sent.", counter, func(r *reading) float64 { return float64(r.metrics.HeartbeatsSent) }),
	nodeMetric("heartbeats_received_total", "Heartbeats received.", counter, func(r *reading) float64 { return float64(r.metrics.HeartbeatsReceived) }),
	nodeMetric("reconnects_total", "Times a standby had to connect again.", counter, func(r *reading) float64 { return float64(r.metrics.ReconnectCount) }),
	nodeMetric("commits_logged_total", "Records appended as primary.", counter, func(r *reading) float64 { return float64(r.stats.LogWrites) }),
	nodeMetric("statement_restarts_total", "Statements that ran again above a newer version.", counter, func(r *reading) float64 { return float64(r.stats.Restarts) }),
	nodeMetric("store_disk_bytes", "Size of the store on disk.", gauge, func(r *reading) float64 { return float64(r.stats.Store.DiskBytes) }),
	nodeMetric("store_memtables", "Memtables, active and queued.", gauge, func(r *reading) float64 { return float64(r.stats.Store.MemTables) }),
	nodeMetric("store_read_amplification", "Tables that a point read may have to look into.", gauge, func(r *reading) float64 { return float64(r.stats.Store.ReadAmp) }),
	nodeMetric("store_compaction_debt_bytes", "Bytes that compactions have yet to work off.", gauge, func(r *reading) float64 { return float64(r.stats.Store.CompactionsDebt) }),
	nodeMetric("store_open_snapshots", "Snapshots that hold the garbage horizon.", gauge, func(r *reading) float64 { return float64(r.stats.Store.OpenSnapshots) }),
}

// Metrics of a node that have a value for each standby, or one on standbys alone.
var (
	standbyLagBytes   = describe("standby_lag_bytes", "Bytes a standby has not applied, as its primary sees it.", "node", "shard", "standby")
	standbyLagSeconds = describe("standby_lag_seconds", "Age of the oldest record a standby has not applied, as its primary sees it.", "node", "shard", "standby")
	standbyConnected  = describe("standby_connected", "1 if the standby's stream is alive.", "node", "shard", "standby")
	ownLagBytes       = describe("replication_lag_bytes", "Bytes this standby has not applied.", nodeLabels...)
	ownLagSeconds     = describe("replication_lag_seconds", "Age of the oldest record this standby has not applied.", nodeLabels...)
)

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Describe is part of prometheus.Collector.
func (v *NodeViews) Describe(to chan<- *prometheus.Desc) {
	for _, m := range nodeMetrics {
		to <- m.desc
	}
	for _, d := range []*prometheus.Desc{standbyLagBytes, standbyLagSeconds, standbyConnected, ownLagBytes, ownLagSeconds} {
		to <- d
	}
}

// Collect is part of prometheus.Collector.
func (v *NodeViews) Collect(to chan<- prometheus.Metric) { v.read().collect(to) }

func (r reading) collect(to chan<- prometheus.Metric) {
	shard := shardLabel(r.shard)
	for _, m := range nodeMetrics {
		to <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(&r), r.id, shard)
	}
	for _, s := range r.standbys {
		to <- prometheus.MustNewConstMetric(standbyLagBytes, gauge, float64(s.LagBytes), r.id, shard, s.NodeID)
		to <- prometheus.MustNewConstMetric(standbyLagSeconds, gauge, s.Lag.Seconds(), r.id, shard, s.NodeID)
		to <- prometheus.MustNewConstMetric(standbyConnected, gauge, number(!s.ConnectedAt.IsZero()), r.id, shard, s.NodeID)
	}
	if p := r.primary; p != nil {
		to <- prometheus.MustNewConstMetric(ownLagBytes, gauge, float64(p.LagBytes), r.id, shard)
		to <- prometheus.MustNewConstMetric(ownLagSeconds, gauge, p.Lag.Seconds(), r.id, shard)
	}
}
