package admin

import (
	"time"

	"github.com/heliosdb/helios/types"
)

// statusRow is the row of pg_replication_status.
func statusRow(r reading) types.Row {
	s := r.status
	count := types.Null
	if r.role == "primary" {
		count = types.Int(int64(s.StandbyCount))
	}
	return types.Row{
		types.Text(r.id), types.Text(r.role), text(string(s.SyncMode)), text(r.sql), positive(s.ReplicationPort),
		lsn(s.CurrentLSN), types.Bool(s.IsReadOnly), count, types.Int(int64(r.uptime / time.Second)),
	}
}

// standbyRows are the rows of pg_replication_standbys, none but on a primary. A standby
// never heard of since this node became primary has positions nobody knows.
func standbyRows(r reading) []types.Row {
	var rows []types.Row
	for _, s := range r.standbys {
		rows = append(rows, types.Row{
			types.Text(s.NodeID), text(s.Address), text(string(s.SyncMode)), types.Text(s.State),
			lsn(s.CurrentLSN), lsn(s.FlushLSN), lsn(s.ApplyLSN), types.Int(int64(s.LagBytes)), millis(s.Lag),
			moment(s.ConnectedAt), moment(s.LastHeartbeat),
		})
	}
	return rows
}

// primaryRows is the row of pg_replication_primary, none but on a standby.
func primaryRows(r reading) []types.Row {
	p := r.primary
	if p == nil {
		return nil
	}
	return []types.Row{{
		text(p.NodeID), text(p.Address), types.Text(p.State), lsn(p.PrimaryLSN), lsn(p.LocalLSN),
		types.Int(int64(p.LagBytes)), millis(p.Lag), types.Int(int64(p.FencingToken)), moment(p.ConnectedAt), moment(p.LastHeartbeat),
	}}
}

// metricsRow is the row of pg_replication_metrics.
func metricsRow(r reading) types.Row {
	m := r.metrics
	return types.Row{
		lsn(m.WALWrites), lsn(m.WALBytesWritten), lsn(m.RecordsReplicated), lsn(m.BytesReplicated), lsn(m.HeartbeatsSent),
		lsn(m.HeartbeatsReceived), lsn(m.ReconnectCount), moment(m.LastWALWrite), moment(m.LastReplication),
	}
}

// walRow is the row of helios.wal_stats. Counters begin at zero when the node starts.
func walRow(r reading) types.Row {
	s, log := r.status, r.stats.Log
	return types.Row{
		types.Text(r.id), types.Int(int64(r.shard)), lsn(s.CurrentLSN), lsn(s.Flush), lsn(s.Commit), lsn(s.Apply),
		lsn(log.Records), lsn(log.Bytes), lsn(log.Groups), lsn(log.Syncs), types.Int(log.LastFlush.Microseconds()),
	}
}

// lsn shows a position or counter as bigint.
func lsn[N ~uint64](n N) types.Value { return types.Int(int64(n)) }

// text is NULL for what is not known.
func text(s string) types.Value {
	if s == "" {
		return types.Null
	}
	return types.Text(s)
}

// positive is NULL for zero.
func positive[N ~int | ~uint16 | ~uint32](n N) types.Value {
	if n == 0 {
		return types.Null
	}
	return types.Int(int64(n))
}

// millis rounds up, so that no lag shows as none.
func millis(d time.Duration) types.Value {
	return types.Int(int64((d + time.Millisecond - 1) / time.Millisecond))
}

// moment is NULL for what never happened.
func moment(t time.Time) types.Value {
	if t.IsZero() {
		return types.Null
	}
	return types.FromTime(t)
}
