package consensus

import (
	"context"
	"fmt"
	"math"
)

// Keys of the store, below /helios/<cluster>/ in etcd:
//
//	map                 the cluster map
//	nodes/<id>          registered nodes
//	shards/<id>/lease   term, holder, renewals and sync set of a shard
//	routers             the last router incarnation given out
//	jobs/<id>           reshard jobs
//	locks/<name>        who drives the jobs
const (
	mapKey     = "map"
	nodePrefix = "nodes/"
	shardKeys  = "shards/"
	routersKey = "routers"
	jobPrefix  = "jobs/"
	lockPrefix = "locks/"
)

// Lease returns the document that says who holds a shard. T is ha.Lease; who
// only wants to know the primary may use Holder.
func Lease[T any](store Store, shard string) Doc[T] {
	return At[T](store, shardKeys+shard+"/lease")
}

// Holder is the part of a shard's lease that routing needs.
type Holder struct {
	Term uint32 `json:"term"`
	Node string `json:"holder"`
}

// Jobs returns the reshard jobs. T is the job's type in package reshard.
func Jobs[T any](store Store) Docs[T] { return Under[T](store, jobPrefix) }

// Node is one registered node.
type Node struct {
	ID          string    `json:"id"`
	Incarnation uint64    `json:"incarnation"` // drawn when its data directory was made
	Shard       string    `json:"shard,omitempty"`
	State       NodeState `json:"state"`
	SQL         string    `json:"sql,omitempty"`    // host:port for pgwire
	Native      string    `json:"native,omitempty"` // host:port for gRPC
	HTTP        string    `json:"http,omitempty"`
	Zone        string    `json:"zone,omitempty"`
	Weight      int       `json:"weight,omitempty"`
	Class       string    `json:"class,omitempty"` // async, semi-sync or sync
}

// NodeState says whether a node is part of the cluster map.
type NodeState string

const (
	// Joining nodes are there, but own nothing yet.
	Joining NodeState = "joining"
	// Joined nodes stand in the cluster map.
	Joined NodeState = "joined"
	// Leaving nodes are being emptied.
	Leaving NodeState = "leaving"
)

// Nodes returns the registered nodes by id.
func Nodes(store Store) Docs[Node] { return Under[Node](store, nodePrefix) }

// Register enters a node, as Joining if it is new. Addresses, zone and weight
// may change from start to start; the shard may not.
func Register(ctx context.Context, store Store, n Node) (Node, error) {
	return Nodes(store).At(n.ID).Update(ctx, func(old *Node) error {
		switch {
		case old.ID == "":
			n.State = Joining
		case old.Shard != n.Shard:
			return fmt.Errorf("consensus: node %s is registered for shard %q, not %q", n.ID, old.Shard, n.Shard)
		default:
			n.State = old.State
		}
		*old = n
		return nil
	})
}

// NextIncarnation returns a number that no router of the cluster has had.
func NextIncarnation(ctx context.Context, store Store) (uint32, error) {
	return At[uint32](store, routersKey).Update(ctx, func(last *uint32) error {
		if *last == math.MaxUint32 {
			return fmt.Errorf("consensus: all router incarnations are used up")
		}
		*last++
		return nil
	})
}
