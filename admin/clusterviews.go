package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/consensus"
	"github.com/heliosdb/helios/reshard"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// askLimit is how long a router waits for a node before it shows it as down.
const askLimit = time.Second

// ClusterViews are the views as a router or proxy answers them: the rows of all nodes of
// all shards. The fields are set once, before the first call; the methods may be called by
// many goroutines at once.
type ClusterViews struct {
	Map     func() *cluster.Map
	Nodes   func(ctx context.Context) ([]consensus.Node, error) // registered; nil: those of the map are all
	Jobs    func(ctx context.Context) ([]reshard.Job, error)    // nil: there are none
	Catalog func() *catalog.Catalog                             // for names of tables; nil: numbers

	// Ask runs a query on the node at an SQL address and gives all its rows, as values of
	// the columns' types. It returns when ctx ends.
	Ask func(ctx context.Context, sqlAddr, sql string) ([]types.Row, error)

	Traffic func() Traffic // counters of this router; nil: none
	Started time.Time
}

// Rows gives the rows of a view; ok is false for relations that are not of this package. A
// node that does not answer within a second has its row in pg_replication_status and
// helios.cluster_nodes as the map knows it, state down, and none elsewhere.
func (v *ClusterViews) Rows(ctx context.Context, _ *session.Info, rel *catalog.Relation) (rows []types.Row, ok bool, err error) {
	def := byOID[rel.OID]
	if def == nil {
		return nil, false, nil
	}
	rows, err = v.rows(ctx, def)
	return rows, true, err
}

func (v *ClusterViews) rows(ctx context.Context, def *view) ([]types.Row, error) {
	m := v.Map()
	if m == nil {
		return nil, types.Errorf("57P03", "this router has not heard of the cluster map yet").
			WithHint("It needs the control store; its log says why it cannot reach it.")
	}
	switch def.name {
	case replicationStatus, replicationStandbys, replicationPrimary, replicationMetrics, clusterNodes, walStats, failoverHistory:
	default:
		var cat *catalog.Catalog
		if v.Catalog != nil {
			cat = v.Catalog()
		}
		return sharedRows(ctx, def.name, m, cat, v.Jobs)
	}
	nodes, err := v.known(ctx, m)
	if err != nil {
		return nil, err
	}
	return merge(def.name, nodes, v.askAll(ctx, def, nodes)), nil
}

// known lists the nodes of the map and those that are registered.
func (v *ClusterViews) known(ctx context.Context, m *cluster.Map) ([]nodeInfo, error) {
	var registered []consensus.Node
	if v.Nodes != nil {
		ctx, cancel := context.WithTimeout(ctx, askLimit)
		defer cancel()
		var err error
		if registered, err = v.Nodes(ctx); err != nil && ctx.Err() == nil {
			return nil, types.Errorf("58000", "the registered nodes could not be read from the control store: %w", err)
		}
	}
	return describeMap(m, registered), nil
}

// answer is what one node said; err tells why it said nothing.
type answer struct {
	rows []types.Row
	err  error
}

// askAll asks the nodes that serve a shard, all at once. Routers are left out: they would
// ask everybody in turn.
func (v *ClusterViews) askAll(ctx context.Context, def *view, nodes []nodeInfo) []answer {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	answers := make([]answer, len(nodes))
	var asked sync.WaitGroup
	for i, n := range nodes {
		if n.shard == cluster.None || n.sql == "" {
			continue
		}
		asked.Go(func() { answers[i] = v.ask(ctx, def, n) })
	}
	asked.Wait()
	return answers
}

func (v *ClusterViews) ask(ctx context.Context, def *view, n nodeInfo) answer {
	where := ""
	if def.name == clusterNodes {
		where = " WHERE node_id = '" + strings.ReplaceAll(n.id, "'", "''") + "'"
	}
	rows, err := v.Ask(ctx, n.sql, def.query(where))
	if err != nil {
		return answer{err: err}
	}
	width := len(def.cols())
	for _, row := range rows {
		if len(row) != width {
			return answer{err: fmt.Errorf("node %s: %d columns of %s instead of %d", n.id, len(row), def.name, width)}
		}
	}
	return answer{rows: rows}
}

// merge makes one view of what all nodes answered, in the order of the nodes.
func merge(name string, nodes []nodeInfo, answers []answer) []types.Row {
	var rows []types.Row
	for i, n := range nodes {
		a := answers[i]
		silent := n.shard != cluster.None && len(a.rows) == 0
		switch {
		case name == replicationStatus && (silent || n.role == "observer"):
			rows = append(rows, n.statusRow())
		case name == clusterNodes && silent:
			n.state, n.leader = down, false
			rows = append(rows, n.row())
		case name == clusterNodes && n.shard == cluster.None:
			rows = append(rows, n.row())
		default:
			rows = append(rows, a.rows...)
		}
	}
	if name == failoverHistory {
		return onceEach(rows)
	}
	return rows
}

// onceEach leaves one row for each shard and term, the one seen first: every node of a
// shard has its own memory of a failover.
func onceEach(rows []types.Row) []types.Row {
	const at, shard, term = 0, 1, 2
	slices.SortStableFunc(rows, func(a, b types.Row) int {
		return cmp.Or(types.Compare(a[shard], b[shard]), types.Compare(a[term], b[term]), types.Compare(a[at], b[at]))
	})
	rows = slices.CompactFunc(rows, func(a, b types.Row) bool {
		return types.Equal(a[shard], b[shard]) && types.Equal(a[term], b[term])
	})
	slices.SortStableFunc(rows, func(a, b types.Row) int { return types.Compare(a[at], b[at]) })
	return rows
}
