package admin

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/ha"
	"github.com/heliosdb/helios/reshard"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/shard"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// Replication is what a node of a shard tells about it; *ha.Node is one.
type Replication interface {
	Status() ha.Status
	Standbys() []ha.StandbyStatus
	Primary() (row ha.PrimaryStatus, ok bool)
	Metrics() ha.Metrics
	Lease() ha.Lease
}

// NodeViews are the views as one node of a shard answers them. The fields are set once,
// before the first call; the methods may be called by many goroutines at once.
type NodeViews struct {
	ID                string
	Shard             cluster.ShardID
	SQL, Native, HTTP string // addresses, host:port; empty where nothing is served
	Started           time.Time

	HA      Replication  // nil: a standalone node
	DB      *shard.Shard // nil: log positions come from HA alone
	History *History     // nil: failovers are not recorded

	Map  func() *cluster.Map                              // nil, or giving nil: no cluster
	Jobs func(ctx context.Context) ([]reshard.Job, error) // nil: there are none
}

// Rows gives the rows of a view; ok is false for relations that are not of this package.
func (v *NodeViews) Rows(ctx context.Context, _ *session.Info, rel *catalog.Relation) (rows []types.Row, ok bool, err error) {
	def := byOID[rel.OID]
	if def == nil {
		return nil, false, nil
	}
	rows, err = v.rows(ctx, def.name)
	return rows, true, err
}

func (v *NodeViews) rows(ctx context.Context, name string) ([]types.Row, error) {
	switch name {
	case replicationStatus:
		return []types.Row{statusRow(v.read())}, nil
	case replicationStandbys:
		return standbyRows(v.read()), nil
	case replicationPrimary:
		return primaryRows(v.read()), nil
	case replicationMetrics:
		return []types.Row{metricsRow(v.read())}, nil
	case clusterNodes:
		return nodeRows(describeFromNode(v.clusterMap(), v.read())), nil
	case walStats:
		return []types.Row{walRow(v.read())}, nil
	case failoverHistory:
		return v.History.rows(v.Shard), nil
	}
	return sharedRows(ctx, name, v.clusterMap(), v.catalog(), v.Jobs)
}

// sharedRows are the views that a node and a router answer alike: from map and jobs.
func sharedRows(ctx context.Context, name string, m *cluster.Map, cat *catalog.Catalog,
	load func(context.Context) ([]reshard.Job, error),
) ([]types.Row, error) {
	switch name {
	case shards:
		return shardRows(m), nil
	case slots:
		return slotRows(m), nil
	case cells:
		return cellRows(m, cat), nil
	}
	if load == nil {
		return nil, nil
	}
	jobs, err := load(ctx)
	if err != nil {
		return nil, types.Errorf("58000", "the reshard jobs could not be read from the control store: %w", err)
	}
	if name == reshardJobs {
		return jobRows(jobs), nil
	}
	return moveRows(jobs), nil
}

func (v *NodeViews) clusterMap() *cluster.Map {
	if v.Map == nil {
		return nil
	}
	return v.Map()
}

func (v *NodeViews) catalog() *catalog.Catalog {
	if v.DB == nil {
		return nil
	}
	return v.DB.Catalog()
}

// reading is what a node's parts told at one moment. All rows about a node are functions
// of it.
type reading struct {
	id                string
	shard             cluster.ShardID
	sql, native, http string
	uptime            time.Duration
	role              string // primary, standby, standalone
	status            ha.Status
	standbys          []ha.StandbyStatus
	primary           *ha.PrimaryStatus // nil on a primary
	lease             ha.Lease
	metrics           ha.Metrics
	stats             shard.Stats
}

// read asks the parts. A standalone node has no replication: its positions are the log's
// own, and what is flushed is committed.
func (v *NodeViews) read() reading {
	r := reading{id: v.ID, shard: v.Shard, sql: v.SQL, native: v.Native, http: v.HTTP, uptime: time.Since(v.Started)}
	if v.DB != nil {
		r.stats = v.DB.Stats()
	}
	if v.HA != nil {
		r.status, r.standbys, r.metrics, r.lease = v.HA.Status(), v.HA.Standbys(), v.HA.Metrics(), v.HA.Lease()
		if p, ok := v.HA.Primary(); ok {
			r.primary = &p
		}
		r.role = roleName(r.status.Role)
		return r
	}
	r.role = "standalone"
	r.status = ha.Status{NodeID: v.ID, SyncMode: ha.Async, StandbyCount: -1, LeaseValid: true, Primary: v.ID, ReplicationPort: portOf(v.Native)}
	r.metrics = ha.Metrics{WALWrites: r.stats.Log.Records, WALBytesWritten: r.stats.Log.Bytes}
	if v.DB != nil {
		term, leading := v.DB.Leading()
		r.status.Term, r.status.IsReadOnly = term, !leading
		r.status.CurrentLSN, r.status.Flush = v.DB.Log().End(), v.DB.Log().Flushed()
		r.status.Commit, r.status.Apply = r.status.Flush, v.DB.Applied()
	}
	return r
}

// roleName is the role as the views know it: a candidate is still a standby, and so is a
// node that has given its role away.
func roleName(role ha.Role) string {
	if role == ha.Primary {
		return "primary"
	}
	return "standby"
}

// portOf is the port of host:port, 0 if there is none.
func portOf(address string) int {
	_, digits, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return port
}
