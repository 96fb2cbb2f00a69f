package admin

import (
	"slices"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/consensus"
	"github.com/heliosdb/helios/ha"
	"github.com/heliosdb/helios/types"
)

// States of a node in helios.cluster_nodes, beside those of a standby's stream
// (connecting, catching_up, synced, streaming, disconnected, error) and, for nodes that
// serve no shard, those of their registration (joining, joined, leaving).
const (
	serving = "serving" // a primary whose lease is valid, or a standalone node
	fenced  = "fenced"  // a primary whose lease has run out: it answers no statement
	down    = "down"    // did not answer a router in time
)

// nodeInfo is a row of helios.cluster_nodes. What is empty is not known to whom was asked.
type nodeInfo struct {
	id                string
	shard             cluster.ShardID
	role, mode, state string
	sql, native, http string
	term              uint32
	positions         *positions
	lag               *lag
	leader, published bool
	uptime            *time.Duration
}

type positions struct{ current, flush, apply uint64 }

type lag struct {
	bytes uint64
	age   time.Duration
}

// describeMap lists the nodes that the map knows in its order, then those that are only
// registered: joining nodes, routers and observers.
func describeMap(m *cluster.Map, registered []consensus.Node) []nodeInfo {
	var out []nodeInfo
	if m != nil {
		for _, s := range m.Shards {
			for _, n := range s.Nodes {
				out = append(out, nodeInfo{
					id: n.ID, shard: s.ID, role: mapRole(s, n), term: s.Term, mode: n.Class, sql: n.SQL, native: n.Native, http: n.HTTP,
					leader: s.Primary == n.ID, published: slices.Contains(s.SyncSet, n.ID),
				})
			}
		}
	}
	for _, n := range registered {
		i := slices.IndexFunc(out, func(known nodeInfo) bool { return known.id == n.ID })
		if i < 0 {
			out = append(out, nodeInfo{id: n.ID, shard: n.Shard, role: registeredRole(n), state: string(n.State)})
			i = len(out) - 1
		}
		o := &out[i]
		o.mode = either(n.Class, o.mode)
		o.sql, o.native, o.http = either(n.SQL, o.sql), either(n.Native, o.native), either(n.HTTP, o.http)
	}
	return out
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// mapRole: the shard's primary is who holds its term, whatever a node was registered as.
func mapRole(s cluster.Shard, n cluster.Node) string {
	if s.Primary == n.ID {
		return "primary"
	}
	return "standby"
}

// registeredRole tells what a node is that the map does not know: an observer serves no SQL.
func registeredRole(n consensus.Node) string {
	switch {
	case n.Shard != cluster.None:
		return "standby"
	case n.SQL != "":
		return "router"
	}
	return "observer"
}

// describeFromNode is helios.cluster_nodes as a node of a shard answers it: itself, what a
// primary knows of its standbys, and the map for the rest.
func describeFromNode(m *cluster.Map, r reading) []nodeInfo {
	out := describeMap(m, nil)
	at := func(id string) *nodeInfo {
		i := slices.IndexFunc(out, func(n nodeInfo) bool { return n.id == id })
		if i < 0 {
			out = append(out, nodeInfo{id: id, shard: r.shard})
			i = len(out) - 1
		}
		return &out[i]
	}
	describeSelf(at(r.id), r)
	for _, s := range r.standbys {
		n := at(s.NodeID)
		n.role, n.mode, n.state, n.native = "standby", string(s.SyncMode), s.State, either(s.Address, n.native)
		n.positions = &positions{uint64(s.CurrentLSN), uint64(s.FlushLSN), uint64(s.ApplyLSN)}
		n.lag, n.leader, n.term = &lag{s.LagBytes, s.Lag}, false, r.status.Term
		n.published = r.published(s.NodeID)
	}
	return out
}

// published tells whether the shard's lease, as this node knows it, lets a node be promoted.
func (r reading) published(id string) bool {
	return slices.ContainsFunc(r.lease.Members, func(m ha.Member) bool { return m.Node == id })
}

func describeSelf(n *nodeInfo, r reading) {
	s := r.status
	n.shard, n.role, n.mode, n.term = r.shard, r.role, string(s.SyncMode), s.Term
	n.sql, n.native, n.http = either(r.sql, n.sql), either(r.native, n.native), either(r.http, n.http)
	n.positions = &positions{uint64(s.CurrentLSN), uint64(s.Flush), uint64(s.Apply)}
	n.leader, n.published, n.uptime = r.role != "standby", r.published(r.id), &r.uptime
	n.state = r.state()
	if p := r.primary; p != nil {
		n.lag = &lag{p.LagBytes, p.Lag}
	}
}

// state is what the node itself says of its state.
func (r reading) state() string {
	switch {
	case r.primary != nil:
		return r.primary.State
	case r.status.LeaseValid:
		return serving
	}
	return fenced
}

func nodeRows(nodes []nodeInfo) []types.Row {
	rows := make([]types.Row, len(nodes))
	for i, n := range nodes {
		rows[i] = n.row()
	}
	return rows
}

func (n nodeInfo) row() types.Row {
	row := types.Row{
		types.Text(n.id), positive(n.shard), text(n.role), text(n.mode), text(n.state), text(n.sql), text(n.native), text(n.http),
		positive(n.term), types.Null, types.Null, types.Null, types.Null, types.Null,
		types.Bool(n.leader), types.Bool(n.published), types.Null,
	}
	if p := n.positions; p != nil {
		row[9], row[10], row[11] = lsn(p.current), lsn(p.flush), lsn(p.apply)
	}
	if l := n.lag; l != nil {
		row[12], row[13] = lsn(l.bytes), millis(l.age)
	}
	if n.uptime != nil {
		row[16] = types.Int(int64(*n.uptime / time.Second))
	}
	return row
}

// statusRow is a node's row of pg_replication_status as far as the map tells.
func (n nodeInfo) statusRow() types.Row {
	return types.Row{
		types.Text(n.id), text(n.role), text(n.mode), text(either(n.sql, n.native)), positive(portOf(n.native)),
		types.Null, types.Null, types.Null, types.Null,
	}
}
