package admin

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/heliosdb/helios/cluster"
)

// Traffic are a router's counters since it started; its fields are those of router.Stats.
type Traffic struct {
	Statements   int64 // run for clients
	OneShard     int64 // of these, sent whole to one shard
	RoundTrips   int64 // flights to shards that a client's statement or COMMIT waited for; parallel ones count once
	Restarts     int64 // statements run again above a newer version
	StaleMaps    int64 // answers that the router's map was old
	StaleSchemas int64 // answers that the router's catalog was old
	Gathers      int64 // snapshots gathered from all primaries
	Distributed  int64 // transactions committed over several shards
	Reloads      int64 // of the catalog
}

// trafficMetrics are the counters of a router.
var trafficMetrics = []struct {
	desc  *prometheus.Desc
	value func(t Traffic) int64
}{
	{describe("router_statements_total", "Statements run for clients."), func(t Traffic) int64 { return t.Statements }},
	{describe("router_one_shard_statements_total", "Statements sent whole to one shard."), func(t Traffic) int64 { return t.OneShard }},
	{describe("router_round_trips_total", "Round trips to shards that clients waited for."), func(t Traffic) int64 { return t.RoundTrips }},
	{describe("router_restarts_total", "Statements run again above a newer version."), func(t Traffic) int64 { return t.Restarts }},
	{describe("router_stale_maps_total", "Answers that the router's map was old."), func(t Traffic) int64 { return t.StaleMaps }},
	{describe("router_stale_schemas_total", "Answers that the router's catalog was old."), func(t Traffic) int64 { return t.StaleSchemas }},
	{describe("router_gathers_total", "Snapshots gathered from all primaries."), func(t Traffic) int64 { return t.Gathers }},
	{describe("router_distributed_commits_total", "Transactions committed over several shards."), func(t Traffic) int64 { return t.Distributed }},
	{describe("router_catalog_reloads_total", "Times the catalog was loaded again."), func(t Traffic) int64 { return t.Reloads }},
}

// Metrics of the cluster as a router sees it.
var (
	routerUptime     = describe("uptime_seconds", "Time since the router started.")
	mapVersion       = describe("cluster_map_version", "Version of the cluster map that the router has.")
	shardSlots       = describe("shard_slots", "Slots that a shard owns.", "shard")
	shardHasPrimary  = describe("shard_has_primary", "1 if the map names a primary of the shard.", "shard")
	reshardRows      = describe("reshard_rows_copied", "Rows copied by a reshard job.", "job")
	reshardBytes     = describe("reshard_bytes_copied", "Bytes copied by a reshard job.", "job")
	reshardMovesLeft = describe("reshard_moves_left", "Moves of a reshard job that have not ended.", "job")
)

// Describe is part of prometheus.Collector.
func (v *ClusterViews) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{routerUptime, mapVersion, shardSlots, shardHasPrimary, reshardRows, reshardBytes, reshardMovesLeft} {
		to <- d
	}
	for _, m := range trafficMetrics {
		to <- m.desc
	}
}

// Collect is part of prometheus.Collector. It asks no node.
func (v *ClusterViews) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(routerUptime, gauge, time.Since(v.Started).Seconds())
	if v.Traffic != nil {
		t := v.Traffic()
		for _, m := range trafficMetrics {
			to <- prometheus.MustNewConstMetric(m.desc, counter, float64(m.value(t)))
		}
	}
	if m := v.Map(); m != nil {
		collectMap(m, to)
	}
	v.collectJobs(to)
}

func collectMap(m *cluster.Map, to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(mapVersion, gauge, float64(m.Version))
	owned := map[cluster.ShardID]int{}
	for _, o := range m.Slots {
		owned[o.Shard]++
	}
	for _, s := range m.Shards {
		to <- prometheus.MustNewConstMetric(shardSlots, gauge, float64(owned[s.ID]), shardLabel(s.ID))
		to <- prometheus.MustNewConstMetric(shardHasPrimary, gauge, number(s.Primary != ""), shardLabel(s.ID))
	}
}

// collectJobs shows the newest job; a store that does not answer shows as metrics that
// are missing from the scrape, with the error.
func (v *ClusterViews) collectJobs(to chan<- prometheus.Metric) {
	if v.Jobs == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	jobs, err := v.Jobs(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(reshardMovesLeft, err)
		return
	}
	for i := range jobs {
		j := &jobs[i]
		done, total, rows, bytes := j.Progress()
		id := strconv.FormatUint(j.ID, 10)
		to <- prometheus.MustNewConstMetric(reshardRows, gauge, float64(rows), id)
		to <- prometheus.MustNewConstMetric(reshardBytes, gauge, float64(bytes), id)
		to <- prometheus.MustNewConstMetric(reshardMovesLeft, gauge, float64(total-done), id)
	}
}

func shardLabel(id cluster.ShardID) string { return strconv.Itoa(int(id)) }
