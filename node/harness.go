package node

import (
	"context"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/consensus"
	"github.com/heliosdb/helios/ha"
	"github.com/heliosdb/helios/shard"
)

// This file is the door for harnesses that put a cluster together inside one process, in
// worlds of their own: simulations and benchmarks. Servers and demos come in by Server,
// Router and Demo.

// Parts are what the processes of one cluster have in common.
type Parts struct {
	Cluster  string // name
	Database string
	Verifier string // of user helios, for the first start of the cluster
	Secret   string // shared by routers and nodes
	Slots    int
	Profile  ha.Profile
}

// MemberConfig says what StartMember starts.
type MemberConfig struct {
	Parts
	World       World
	ID          string
	Shard       cluster.ShardID
	SQL, Native string // addresses
	Data        string // directory in World.FS
	Store       consensus.Store
	First       bool // may be the first primary of its shard
	Mode        ha.Mode
}

// Member is a running node of a shard that fails over by itself.
type Member struct{ m *member }

// StartMember starts a node. It returns once the node is registered in the control
// store; the context bounds that wait only. After an error nothing runs.
func StartMember(ctx context.Context, c MemberConfig) (*Member, error) {
	class := c.Mode
	if class == ha.Quorum {
		class = ha.SemiSync
	}
	m, err := startMember(ctx, memberOptions{
		world: c.World, id: c.ID, cluster: c.Cluster, shard: c.Shard, sql: c.SQL, native: c.Native, data: c.Data,
		store: c.Store, first: c.First, auto: true, mode: c.Mode, class: class, profile: c.Profile,
		database: c.Database, verifier: c.Verifier, secret: c.Secret, slots: c.Slots,
	})
	if err != nil {
		return nil, err
	}
	return &Member{m}, nil
}

// Shard is the node's copy of the shard.
func (m *Member) Shard() *shard.Shard { return m.m.shard }

// HA is the node's part in replication.
func (m *Member) HA() *ha.Node { return m.m.ha }

// Failed gives why the node cannot go on; its process would end then.
func (m *Member) Failed() <-chan error { return m.m.failed }

// Stop ends the node and waits for all of it.
func (m *Member) Stop() { m.m.stop() }

// FrontConfig says what StartFront starts.
type FrontConfig struct {
	Parts
	World  World
	ID     string
	Listen string
	Store  consensus.Store
	First  []cluster.Shard // of the map that founds the cluster, if nobody has
}

// Front is a running router.
type Front struct{ f *front }

// StartFront starts a router. It returns once SQL is answered, which needs a primary of
// every shard; the context bounds that wait only. After an error nothing runs.
func StartFront(ctx context.Context, c FrontConfig) (*Front, error) {
	first, err := firstMap(c.Cluster, c.Slots, c.First)
	if err != nil {
		return nil, err
	}
	f, err := startFront(ctx, frontOptions{
		world: c.World, id: c.ID, listen: c.Listen, store: c.Store, database: c.Database,
		secret: c.Secret, first: first, limits: cluster.DefaultLimits,
	})
	if err != nil {
		return nil, err
	}
	return &Front{f}, nil
}

// Failed gives why the router cannot go on.
func (f *Front) Failed() <-chan error { return f.f.failed }

// Stop ends the router and waits for all of it.
func (f *Front) Stop() { f.f.stop() }
