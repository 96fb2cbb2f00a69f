package consensus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/heliosdb/helios/cluster"
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
func Lease[T any](store Store, shard cluster.ShardID) Doc[T] {
	return At[T](store, shardKeys+strconv.Itoa(int(shard))+"/lease")
}

// Holder is the part of a shard's lease that routing needs.
type Holder struct {
	Term uint32 `json:"term"`
	Node string `json:"holder"`
}

// Map is the cluster map in the store.
type Map struct{ doc Doc[*cluster.Map] }

// ClusterMap returns the map of the store.
func ClusterMap(store Store) Map { return Map{At[*cluster.Map](store, mapKey)} }

// ErrNoMap says that the cluster has not been founded.
var ErrNoMap = errors.New("consensus: there is no cluster map yet")

// Load returns the map and its revision, or ErrNoMap.
func (m Map) Load(ctx context.Context) (*cluster.Map, int64, error) {
	v, rev, err := m.doc.Load(ctx)
	if err == nil && v == nil {
		err = ErrNoMap
	}
	if err == nil {
		err = v.Validate()
	}
	return v, rev, err
}

// Found stores the first map, unless there is one: then it returns that, and
// the one given is only a hint that was wrong.
func (m Map) Found(ctx context.Context, first *cluster.Map) (*cluster.Map, error) {
	if err := first.Validate(); err != nil {
		return nil, err
	}
	for {
		_, swapped, err := m.doc.Swap(ctx, first, 0)
		if swapped {
			return first, nil
		} else if err != nil {
			return nil, err
		}
		if now, _, err := m.Load(ctx); !errors.Is(err, ErrNoMap) {
			return now, err
		}
	}
}

// Edit replaces the map by what change makes of it, again and again until
// nobody else edited it in between. What change returns must follow the map it
// got; an error of change, or an unchanged map, ends it with nothing written.
func (m Map) Edit(ctx context.Context, change func(*cluster.Map) (*cluster.Map, error)) (*cluster.Map, error) {
	for {
		now, rev, err := m.Load(ctx)
		if err != nil {
			return nil, err
		}
		next, err := change(now)
		if err != nil || next == now {
			return now, err
		}
		if err := next.Follows(now); err != nil {
			return now, err
		}
		if _, swapped, err := m.doc.Swap(ctx, next, rev); swapped || err != nil {
			return next, err
		}
	}
}

// RecordPrimary notes in the map who is primary of a shard. A lower term than
// the map's changes nothing.
func (m Map) RecordPrimary(ctx context.Context, shard cluster.ShardID, node string, term uint32, syncSet []string) (*cluster.Map, error) {
	return m.Edit(ctx, func(now *cluster.Map) (*cluster.Map, error) {
		if s, ok := now.Shard(shard); ok && s.Term > term {
			return now, nil
		}
		return now.WithPrimary(shard, node, term, syncSet)
	})
}

// RecordNode notes in the map where a node of a shard is reached, and adds a node that is
// new to the shard. Without a map, or before the shard stands in it, it does nothing: what
// enters the shard there takes its nodes from the registrations.
func (m Map) RecordNode(ctx context.Context, shard cluster.ShardID, node cluster.Node) error {
	_, err := m.Edit(ctx, func(now *cluster.Map) (*cluster.Map, error) {
		if _, ok := now.Shard(shard); !ok {
			return now, nil
		}
		return now.WithNode(shard, node)
	})
	if errors.Is(err, ErrNoMap) {
		return nil
	}
	return err
}

// Watch calls fn with the map whenever it changed, first with the one there is,
// until ctx ends.
func (m Map) Watch(ctx context.Context, fn func(*cluster.Map)) error {
	return m.doc.Watch(ctx, func(v *cluster.Map, rev int64) {
		if rev != 0 && v != nil {
			fn(v)
		}
	})
}

// Jobs returns the reshard jobs. T is the job's type in package reshard.
func Jobs[T any](store Store) Docs[T] { return Under[T](store, jobPrefix) }

// Node is one registered node.
type Node struct {
	ID          string    `json:"id"`
	Incarnation uint64    `json:"incarnation"` // drawn when its data directory was made
	State       NodeState `json:"state"`

	Shard cluster.ShardID `json:"shard,omitempty"` // None: a router or observer

	SQL    string `json:"sql,omitempty"`    // host:port for pgwire
	Native string `json:"native,omitempty"` // host:port for gRPC
	HTTP   string `json:"http,omitempty"`
	Zone   string `json:"zone,omitempty"`
	Weight int    `json:"weight,omitempty"`
	Class  string `json:"class,omitempty"` // async, semi-sync or sync
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
			return fmt.Errorf("consensus: node %s is registered for shard %d, not %d", n.ID, old.Shard, n.Shard)
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
