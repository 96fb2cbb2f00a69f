package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/rpc"
	"github.com/heliosdb/helios/shard"
	"github.com/heliosdb/helios/storage"
	"github.com/heliosdb/helios/types"
)

// copier is a move's copy under way on its target: N streams fetch the versions, then one
// follows the source's log until it is stopped.
type copier struct {
	m      *member
	from   cluster.ShardID
	units  []placement.Unit
	cancel context.CancelFunc
	done   chan struct{}

	rows, bytes atomic.Int64
	reached     atomic.Uint64 // LSN of the source up to which everything is here
	state       atomic.Value  // string: copying, following, failed
}

// copyStatus is what helios.copy_status answers.
type copyStatus struct {
	state       string
	rows, bytes int64
	reached     uint64
}

// copiers are the copies of one node, by job and move.
type copiers struct {
	sync.Mutex
	running map[string]*copier
}

// startCopy begins a copy, or leaves one that is under way alone.
func (m *member) startCopy(key string, units []placement.Unit, from cluster.ShardID, streams int) error {
	if _, leading := m.shard.Leading(); !leading {
		return types.Errorf("57P03", "this node is not the shard's primary")
	}
	m.copies.Lock()
	defer m.copies.Unlock()
	if c := m.copies.running[key]; c != nil && c.state.Load() != "failed" {
		return nil
	}
	c := &copier{m: m, from: from, units: units, done: make(chan struct{})}
	c.state.Store("copying")
	var ctx context.Context
	ctx, c.cancel = context.WithCancel(m.ctx)
	m.copies.running[key] = c
	go func() {
		defer close(c.done)
		if err := c.run(ctx, max(1, streams)); err != nil && ctx.Err() == nil {
			m.log.Warn("copy", "move", key, "from", from, "err", err)
			c.state.Store("failed")
		}
	}()
	return nil
}

// stopCopy ends a copy and waits for it.
func (m *member) stopCopy(key string) {
	m.copies.Lock()
	c := m.copies.running[key]
	delete(m.copies.running, key)
	m.copies.Unlock()
	if c != nil {
		c.cancel()
		<-c.done
	}
}

func (m *member) stopCopies() {
	m.copies.Lock()
	keys := make([]string, 0, len(m.copies.running))
	for k := range m.copies.running {
		keys = append(keys, k)
	}
	m.copies.Unlock()
	for _, k := range keys {
		m.stopCopy(k)
	}
}

func (m *member) copyStatus(key string) string {
	m.copies.Lock()
	c := m.copies.running[key]
	m.copies.Unlock()
	if c == nil {
		return "none 0 0 0"
	}
	return fmt.Sprintf("%s %d %d %d", c.state.Load(), c.rows.Load(), c.bytes.Load(), c.reached.Load())
}

func (c *copier) run(ctx context.Context, streams int) error {
	conn, fence, err := c.m.dialPrimary(c.from)
	if err != nil {
		return err
	}
	defer conn.Close()
	client := rpc.NewReshardClient(conn)
	start, err := c.fetch(ctx, client, fence, c.m.shard.Ranges(c.units), streams)
	if err != nil {
		return err
	}
	return c.follow(ctx, client, fence, start)
}

// dialPrimary connects to the replication port of a shard's primary.
func (m *member) dialPrimary(id cluster.ShardID) (*grpc.ClientConn, *rpc.Fence, error) {
	current := m.current.Load()
	if current == nil {
		return nil, nil, errors.New("no cluster map yet")
	}
	s, _ := current.Shard(id)
	n, ok := s.PrimaryNode()
	if !ok {
		return nil, nil, fmt.Errorf("shard %d has no primary", id)
	}
	conn, err := grpc.NewClient("passthrough:///"+n.Native, append(dialOptions(m.o.world),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(rpc.MaxMessageBytes)))...)
	return conn, &rpc.Fence{Cluster: m.o.cluster, Shard: uint32(id)}, err
}

// fetch copies key ranges over parallel streams, and gives the LSN from which the log has
// to be followed.
func (c *copier) fetch(ctx context.Context, client rpc.ReshardClient, fence *rpc.Fence, ranges [][2][]byte, streams int) (uint64, error) {
	work := make(chan [2][]byte)
	start := atomic.Uint64{}
	start.Store(^uint64(0))
	g, running := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(work)
		for _, r := range ranges {
			select {
			case work <- r:
			case <-running.Done():
				return running.Err()
			}
		}
		return nil
	})
	for range streams {
		g.Go(func() error {
			for r := range work {
				at, err := c.fetchRange(running, client, fence, r)
				if err != nil {
					return err
				}
				for old := start.Load(); at < old && !start.CompareAndSwap(old, at); old = start.Load() {
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	if start.Load() == ^uint64(0) { // no table has rows there: ask where the log is
		return c.fetchRange(ctx, client, fence, [2][]byte{{0}, {0, 0}})
	}
	return start.Load(), nil
}

// fetchRange copies one range, resuming after the last key that is safely here.
func (c *copier) fetchRange(ctx context.Context, client rpc.ReshardClient, fence *rpc.Fence, r [2][]byte) (start uint64, err error) {
	var after []byte
	for tries := 0; ; tries++ {
		var last bool
		at := uint64(0)
		at, after, last, err = c.fetchStream(ctx, client, fence, r, after)
		if start == 0 || at != 0 && at < start {
			start = at
		}
		if err == nil && last {
			return start, nil
		}
		if tries > 20 || ctx.Err() != nil {
			return 0, fmt.Errorf("copy of a range: %w", err)
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

func (c *copier) fetchStream(ctx context.Context, client rpc.ReshardClient, fence *rpc.Fence, r [2][]byte, after []byte) (at uint64, reached []byte, last bool, err error) {
	stream, err := client.Copy(ctx, &rpc.CopyRequest{
		Fence: fence, Range: &rpc.KeyRange{Start: r[0], End: r[1]}, ResumeAfter: after,
	})
	if err != nil {
		return 0, after, false, err
	}
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return at, after, last, nil
		}
		if err != nil {
			return at, after, false, err
		}
		if at == 0 {
			at = chunk.GetLsn()
		}
		pairs, err := chunk.GetChunk().All()
		if err != nil {
			return at, after, false, err
		}
		var versions []storage.Version
		for k, b := range pairs {
			v, err := shard.DecodeVersion(k, b)
			if err != nil {
				return at, after, false, err
			}
			versions = append(versions, v)
			c.bytes.Add(int64(len(k) + len(b)))
		}
		if err := c.m.shard.Ingest(ctx, versions); err != nil {
			return at, after, false, err
		}
		c.rows.Add(int64(len(versions)))
		if k := chunk.GetChunk().GetLastKey(); len(k) > 0 {
			after = slices.Clone(k)
		}
		last = chunk.GetLast()
	}
}

// follow takes what the source's log does to the units until the copy is stopped.
func (c *copier) follow(ctx context.Context, client rpc.ReshardClient, fence *rpc.Fence, from uint64) error {
	stream, err := client.Tail(ctx, &rpc.TailRequest{Fence: fence, Moving: movingOf(c.units), From: from})
	if err != nil {
		return err
	}
	c.reached.Store(from)
	c.state.Store("following")
	for {
		rec, err := stream.Recv()
		if err != nil {
			return err
		}
		var versions []storage.Version
		chunk := rpc.NewChunk(rec.GetPayload(), int(rec.GetType()), nil)
		pairs, err := chunk.All()
		if err != nil {
			return err
		}
		for k, b := range pairs {
			v, err := shard.DecodeVersion(k, b)
			if err != nil {
				return err
			}
			versions = append(versions, v)
		}
		if len(versions) > 0 {
			if err := c.m.shard.Ingest(ctx, versions); err != nil {
				return err
			}
			c.rows.Add(int64(len(versions)))
			c.bytes.Add(int64(len(rec.GetPayload())))
		}
		c.reached.Store(rec.GetEnd())
	}
}

// copyBase copies what every shard has from another one: the catalog and the rows of
// reference tables, as of now. Whoever calls keeps them from changing meanwhile.
func (m *member) copyBase(ctx context.Context, from cluster.ShardID) error {
	conn, fence, err := m.dialPrimary(from)
	if err != nil {
		return err
	}
	defer conn.Close()
	client := rpc.NewReshardClient(conn)
	c := &copier{m: m, from: from}
	if _, err := c.fetch(ctx, client, fence, shard.CatalogRanges(), 1); err != nil {
		return err
	}
	_, err = c.fetch(ctx, client, fence, m.shard.ReferenceRanges(), 1)
	return err
}
