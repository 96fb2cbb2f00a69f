package admin

import (
	"strings"

	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// view defines one relation: its name without schema, and its columns as CREATE TABLE
// would list them.
type view struct {
	oid     types.OID // of the relation in its own schema
	alias   types.OID // of pg_catalog.helios_name; 0 for a view of pg_catalog itself
	name    string
	columns string
}

// Names of the views, without schema.
const (
	replicationStatus   = "pg_replication_status"
	replicationStandbys = "pg_replication_standbys"
	replicationPrimary  = "pg_replication_primary"
	replicationMetrics  = "pg_replication_metrics"
	clusterNodes        = "cluster_nodes"
	shards              = "shards"
	slots               = "slots"
	cells               = "cells"
	failoverHistory     = "failover_history"
	walStats            = "wal_stats"
	reshardJobs         = "reshard_jobs"
	reshardMoves        = "reshard_moves"
)

// views are all views. Numbers are fixed: clients may keep them from one release to the
// next. LSNs are byte positions in a shard's log, as bigint.
var views = []view{
	{16401, 0, replicationStatus, `node_id text, role text, sync_mode text, listen_address text, replication_port integer,
		current_lsn bigint, is_read_only boolean, standby_count integer, uptime_seconds bigint`},
	{16402, 0, replicationStandbys, `node_id text, address text, sync_mode text, state text, current_lsn bigint, flush_lsn bigint,
		apply_lsn bigint, lag_bytes bigint, lag_ms bigint, connected_at timestamptz, last_heartbeat timestamptz`},
	{16403, 0, replicationPrimary, `node_id text, address text, state text, primary_lsn bigint, local_lsn bigint, lag_bytes bigint,
		lag_ms bigint, fencing_token bigint, connected_at timestamptz, last_heartbeat timestamptz`},
	{16404, 0, replicationMetrics, `wal_writes bigint, wal_bytes_written bigint, records_replicated bigint, bytes_replicated bigint,
		heartbeats_sent bigint, heartbeats_received bigint, reconnect_count bigint, last_wal_write timestamptz,
		last_replication timestamptz`},

	{16411, 16451, clusterNodes, `node_id text, shard integer, role text, sync_mode text, state text, sql_address text,
		native_address text, http_address text, term bigint, current_lsn bigint, flush_lsn bigint, apply_lsn bigint,
		lag_bytes bigint, lag_ms bigint, is_leader boolean, published boolean, uptime_seconds bigint`},
	{16412, 16452, shards, `shard integer, state text, weight integer, zone text, primary_node text, term bigint, slots integer,
		cells integer, nodes integer`},
	{16413, 16453, slots, `slot integer, shard integer, epoch bigint, state text, to_shard integer`},
	{16414, 16454, cells, `table_name text, cell bigint, shard integer, epoch bigint, kind text, generation bigint, state text,
		to_shard integer`},
	{16415, 16455, failoverHistory, `happened_at timestamptz, shard integer, term bigint, old_primary text, new_primary text,
		start_lsn bigint, planned boolean`},
	{16416, 16456, walStats, `node_id text, shard integer, current_lsn bigint, flush_lsn bigint, commit_lsn bigint,
		apply_lsn bigint, records bigint, bytes bigint, groups bigint, fsyncs bigint, last_flush_us bigint`},
	{16417, 16457, reshardJobs, `id bigint, state text, target_shards integer, parallel_streams integer, moves_done integer,
		moves_total integer, rows_copied bigint, bytes_copied bigint, started_at timestamptz, finished_at timestamptz,
		last_pause_ms bigint, retries integer, error text`},
	{16418, 16458, reshardMoves, `job bigint, move integer, from_shard integer, to_shard integer, units integer, state text,
		rows_copied bigint, bytes_copied bigint, pause_ms bigint, retries integer, error text`},
}

// byOID finds a view by the number of either of its relations.
var byOID = func() map[types.OID]*view {
	m := make(map[types.OID]*view)
	for i := range views {
		m[views[i].oid] = &views[i]
		if views[i].alias != 0 {
			m[views[i].alias] = &views[i]
		}
	}
	return m
}()

// byName finds a view by its name without schema.
func byName(name string) *view {
	for i := range views {
		if views[i].name == name {
			return &views[i]
		}
	}
	return nil
}

// Relations defines the views of this package. Those of schema helios also stand in
// pg_catalog under the name helios_X, where they need no search_path.
func Relations() []*catalog.Relation {
	var out []*catalog.Relation
	for i := range views {
		v := &views[i]
		if v.alias == 0 {
			out = append(out, v.relation(v.oid, "pg_catalog", v.name))
			continue
		}
		out = append(out, v.relation(v.oid, "helios", v.name), v.relation(v.alias, "pg_catalog", "helios_"+v.name))
	}
	return out
}

// anybodyReads is the grant of SELECT to PUBLIC.
var anybodyReads = []catalog.Grant{{Grantee: 0, Grantor: catalog.SuperuserOID, Privileges: "r"}}

// relation has the kind of a table, as pg_catalog's virtual relations have: a relation of
// the kind of a view must have a query.
func (v *view) relation(oid types.OID, schema, name string) *catalog.Relation {
	return &catalog.Relation{
		OID: oid, Schema: schema, Name: name, Kind: catalog.KindTable, Virtual: true,
		Owner: catalog.SuperuserOID, ACL: anybodyReads, Columns: v.cols(),
	}
}

func (v *view) cols() []catalog.Column { return columns(v.columns) }

// columns reads a list of names and types as CREATE TABLE has it. The lists are part of
// the program, so one that cannot be read stops it at once.
func columns(list string) []catalog.Column {
	var out []catalog.Column
	for item := range strings.SplitSeq(list, ",") {
		name, spelling, _ := strings.Cut(strings.TrimSpace(item), " ")
		typ, err := types.ParseTypeName(strings.TrimSpace(spelling))
		if err != nil {
			panic("admin: column " + name + " in " + list + ": " + err.Error())
		}
		out = append(out, catalog.Column{Num: int16(len(out) + 1), Name: name, Type: typ})
	}
	return out
}

// query asks another node for the rows of a view, columns by name.
func (v *view) query(where string) string {
	cols := v.cols()
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = c.Name
	}
	from := "pg_catalog." + v.name
	if v.alias != 0 {
		from = "helios." + v.name
	}
	return "SELECT " + strings.Join(names, ", ") + " FROM " + from + where
}
