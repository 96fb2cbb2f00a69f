package admin

import (
	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/types"
)

// Health describes the node, and its shard's primary as it knows it.
func (v *NodeViews) Health() Health { return v.read().health() }

func (r reading) health() Health {
	return Health{
		Status: status(r.ready()), Primary: r.status.Primary,
		Nodes: []NodeHealth{{ID: r.id, Shard: r.shard, Role: r.role, State: r.state()}},
	}
}

// Ready tells why the node cannot serve clients: a primary whose lease has run out, or a
// standby that follows no primary and has applied nothing.
func (v *NodeViews) Ready() error { return v.read().ready() }

func (r reading) ready() error {
	switch {
	case r.primary == nil && !r.status.LeaseValid:
		return types.Errorf("57P03", "this primary's lease has run out")
	case r.primary != nil && r.status.Apply == 0:
		return types.Errorf("57P03", "this standby holds no data yet: it is %s", r.primary.State)
	}
	return nil
}

// Health describes the cluster by the map alone.
func (v *ClusterViews) Health() Health {
	m := v.Map()
	h := Health{Status: status(v.Ready()), Nodes: []NodeHealth{}}
	for _, n := range describeMap(m, nil) {
		h.Nodes = append(h.Nodes, NodeHealth{ID: n.id, Shard: n.shard, Role: n.role})
		if n.leader && h.Primary == "" {
			h.Primary = n.id
		}
	}
	return h
}

// Ready tells why the router cannot serve all statements: it has no map, or a shard that
// owns something has no primary.
func (v *ClusterViews) Ready() error {
	m := v.Map()
	if m == nil {
		return types.Errorf("57P03", "this router has not heard of the cluster map yet")
	}
	for _, s := range m.Shards {
		if s.State != cluster.Joining && s.State != cluster.Dead && s.Primary == "" {
			return types.Errorf("57P03", "shard %d has no primary", s.ID)
		}
	}
	return nil
}

func status(err error) string {
	if err != nil {
		return "starting"
	}
	return "healthy"
}
