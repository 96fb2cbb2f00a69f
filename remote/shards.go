package remote

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/types"
)

// ReadFrom says which nodes of a shard may serve.
type ReadFrom int

// Choices of nodes.
const (
	Primary ReadFrom = iota // the primary alone
	Any                     // any node, in turn
	Standby                 // standbys in turn, the primary if there is none
)

// Shards finds connections to shards by the cluster map.
type Shards struct {
	client   *Client
	database string
	current  func() *cluster.Map
	hold     time.Duration
	turn     atomic.Uint32
}

// NewShards makes the finder for one database. Current gives the newest map known; hold
// bounds how long a Get waits while a shard has no node to serve it.
func NewShards(client *Client, database string, current func() *cluster.Map, hold time.Duration) *Shards {
	return &Shards{client: client, database: database, current: current, hold: hold}
}

const (
	retryMin = 10 * time.Millisecond
	retryMax = 250 * time.Millisecond
)

// Get gives a connection to a shard. While no node serves (a failover, a restart) it looks
// at the map again and again until hold or ctx ends: then 57P03, or 57014 for ctx. Nothing
// was sent when it fails.
func (s *Shards) Get(ctx context.Context, shard cluster.ShardID, from ReadFrom) (*Conn, error) {
	return s.get(ctx, shard, from, (*Pool).Get)
}

// GetMore is Get for a caller that holds a connection already; see Pool.GetMore.
func (s *Shards) GetMore(ctx context.Context, shard cluster.ShardID, from ReadFrom) (*Conn, error) {
	return s.get(ctx, shard, from, (*Pool).GetMore)
}

func (s *Shards) get(ctx context.Context, shard cluster.ShardID, from ReadFrom, get func(*Pool, context.Context) (*Conn, error)) (*Conn, error) {
	limit := time.Now().Add(s.hold)
	var last error
	for pause := retryMin; ; pause = min(2*pause, retryMax) {
		nodes, err := s.nodes(shard, from)
		if err != nil {
			return nil, err
		}
		for _, node := range nodes {
			conn, err := get(s.client.Pool(node.SQL, s.database), ctx)
			if err == nil {
				return conn, nil
			}
			if ctx.Err() != nil || errors.Is(err, errPoolFull) || !passing(types.CodeOf(err)) {
				return nil, err
			}
			last = err
		}
		if time.Until(limit) < pause {
			return nil, unavailable(shard, from, last)
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// Do calls f with a connection and releases it; others may hold theirs until f has done its
// work. If the connection turns out to be broken
// before anything was sent, f is called again with another.
func (s *Shards) Do(ctx context.Context, shard cluster.ShardID, from ReadFrom, f func(*Conn) error) error {
	limit := time.Now().Add(s.hold)
	for {
		conn, err := s.GetMore(ctx, shard, from)
		if err != nil {
			return err
		}
		err = f(conn)
		again := NotSent(err) && conn.Broken() && ctx.Err() == nil && time.Now().Before(limit)
		conn.Release()
		if !again {
			return err
		}
	}
}

// nodes gives the nodes to try, in order; none while the shard has no primary.
func (s *Shards) nodes(id cluster.ShardID, from ReadFrom) ([]cluster.Node, error) {
	m := s.current()
	if m == nil {
		return nil, nil // not heard yet
	}
	shard, ok := m.Shard(id)
	if !ok {
		return nil, notSent(types.Errorf("57P03", "shard %d is not in the cluster map (version %d)", id, m.Version))
	}
	primary, led := shard.PrimaryNode()
	if from == Primary {
		if !led {
			return nil, nil
		}
		return []cluster.Node{primary}, nil
	}
	var nodes []cluster.Node
	for _, n := range shard.Nodes {
		if n.Role == cluster.Standby && n.SQL != "" || from == Any && n.ID == primary.ID {
			nodes = append(nodes, n)
		}
	}
	if n := len(nodes); n > 1 {
		first := int(s.turn.Add(1)) % n
		nodes = slices.Concat(nodes[first:], nodes[:first])
	}
	if from == Standby && led {
		nodes = append(nodes, primary)
	}
	return nodes, nil
}

// passing tells errors of Get that another try may not meet: no connection, a node that
// starts, stops or is full.
func passing(code string) bool {
	switch code {
	case "08001", "08006", "53300", "57P01", "57P02", "57P03":
		return true
	}
	return false
}

// unavailable says that a shard cannot be reached.
func unavailable(shard cluster.ShardID, from ReadFrom, last error) *types.Error {
	who := "primary"
	if from != Primary {
		who = "node"
	}
	e := types.Errorf("57P03", "no %s of shard %d can be reached", who, shard)
	if last != nil {
		e.Detail, e.Cause = types.AsError(last).Message, last
	}
	return notSent(e)
}

// sleep waits, or fails when ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return notSent(ended(ctx))
	}
}
