package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/consensus"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/reshard"
	"github.com/heliosdb/helios/shard"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// join makes a registered shard a member of the cluster. While nobody can change the
// schema or a reference table, it gets both; then the map says that it is active, which
// every shard must have heard of before changes are let in again.
func (v *mover) join(ctx context.Context, id cluster.ShardID) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := v.introduce(ctx, id); err != nil {
		return err
	}
	lowest := v.f.current.Load().Shards[0].ID
	conn, err := v.f.peers.shards.Get(ctx, lowest, remote.Primary)
	if err != nil {
		return err
	}
	defer conn.Discard() // gives the locks back, whatever happens
	if err := v.standStill(ctx, conn); err != nil {
		return err
	}
	if _, err := v.one(ctx, id, "SELECT helios.copy_base($1::int)", strconv.Itoa(int(lowest))); err != nil {
		return err
	}
	m, err := consensus.ClusterMap(v.f.o.store).Edit(ctx, func(now *cluster.Map) (*cluster.Map, error) {
		s, ok := now.Shard(id)
		if !ok || s.State == cluster.Active {
			return now, nil
		}
		s.State = cluster.Active
		return now.WithShard(s)
	})
	if err != nil {
		return err
	}
	return v.adopted(ctx, m)
}

// standStill begins a transaction on the lowest shard in which nobody else can change the
// schema or a reference table. Which tables those are is known only once the schema stands
// still: this router may not have heard of one that another router made.
func (v *mover) standStill(ctx context.Context, conn *remote.Conn) error {
	if _, err := conn.Run(ctx, remote.Statement{SQL: "BEGIN"}, remote.Statement{SQL: "SELECT helios.lock_catalog()"}); err != nil {
		return err
	}
	if _, err := v.f.router.Renew(ctx); err != nil {
		return err
	}
	var locks []remote.Statement
	for rel := range v.f.router.Catalog().Relations() {
		if rel.Kind == catalog.KindTable && !rel.Virtual && rel.Placement.Strategy == catalog.Reference {
			locks = append(locks, remote.Statement{SQL: "LOCK TABLE " + quoted(rel) + " IN EXCLUSIVE MODE", Once: true})
		}
	}
	if len(locks) == 0 {
		return nil
	}
	_, err := conn.Run(ctx, locks...)
	return err
}

// introduce puts a shard into the map as joining and waits for its primary.
func (v *mover) introduce(ctx context.Context, id cluster.ShardID) error {
	nodes, err := registered(ctx, v.f.o.store)
	if err != nil {
		return err
	}
	s := cluster.Shard{ID: id, Weight: defaultWeight, State: cluster.Joining}
	for _, n := range nodes {
		if n.Shard == id {
			s.Nodes = append(s.Nodes, cluster.Node{ID: n.ID, Role: cluster.Candidate, SQL: n.SQL, Native: n.Native, HTTP: n.HTTP, Class: n.Class})
		}
	}
	if len(s.Nodes) == 0 {
		return fmt.Errorf("%w: it has no nodes: start them with --shard %d", reshard.ErrRefused, id)
	}
	_, err = consensus.ClusterMap(v.f.o.store).Edit(ctx, func(now *cluster.Map) (*cluster.Map, error) {
		if _, known := now.Shard(id); known {
			return now, nil
		}
		return now.WithShard(s)
	})
	if err != nil {
		return err
	}
	for {
		m := v.f.current.Load()
		if s, ok := m.Shard(id); ok && s.Primary != "" {
			return nil
		}
		if _, err := v.f.refresh(ctx, m.Version); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return errors.New("it has no primary yet")
		}
	}
}

// adopted waits until every active shard has heard of a map.
func (v *mover) adopted(ctx context.Context, m *cluster.Map) error {
	for _, s := range m.Shards {
		for {
			text, err := v.one(ctx, s.ID, "SELECT helios.map_version()")
			if err != nil {
				return err
			}
			if n, err := strconv.ParseUint(text, 10, 64); err != nil {
				return err
			} else if n >= m.Ownership {
				break
			}
			if err := sleep(ctx, 5*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

// quoted is a relation's name for a statement.
func quoted(rel *catalog.Relation) string { return sql.Name{rel.Schema, rel.Name}.String() }

// functions are what the driver of a reshard calls on a target.
func (m *member) functions() []*builtin.Func {
	text, number := types.TextOID, types.Int4OID
	return []*builtin.Func{
		shard.RouterFunction("copy_start", types.VoidOID, []types.OID{text, text, number, number}, func(_ context.Context, a []types.Value) (types.Value, error) {
			units, err := shard.ParseUnits(a[1].AsText())
			if err == nil {
				err = m.startCopy(a[0].AsText(), units, cluster.ShardID(a[2].AsInt()), int(a[3].AsInt()))
			}
			return types.Text(""), err
		}),
		shard.RouterFunction("copy_status", text, []types.OID{text}, func(_ context.Context, a []types.Value) (types.Value, error) {
			return types.Text(m.copyStatus(a[0].AsText())), nil
		}),
		shard.RouterFunction("copy_stop", types.VoidOID, []types.OID{text}, func(_ context.Context, a []types.Value) (types.Value, error) {
			m.stopCopy(a[0].AsText())
			return types.Text(""), nil
		}),
		shard.RouterFunction("copy_base", types.VoidOID, []types.OID{number}, func(ctx context.Context, a []types.Value) (types.Value, error) {
			return types.Text(""), m.copyBase(ctx, cluster.ShardID(a[0].AsInt()))
		}),
	}
}

// undo gives units back whose move stands still, with the epochs that the map has now.
func (m *member) undo(ctx context.Context, units []placement.Unit) error {
	now, _, err := consensus.ClusterMap(m.o.store).Load(ctx)
	if err != nil {
		return err
	}
	epochs := make([]uint32, len(units))
	for i, u := range units {
		epochs[i] = ownerOf(now, u).Epoch
	}
	return undoMove(ctx, m.o.store, m.o.shard, units, epochs)
}
