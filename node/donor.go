package node

import (
	"bytes"
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/rpc"
	"github.com/heliosdb/helios/shard"
	"github.com/heliosdb/helios/storage"
	"github.com/heliosdb/helios/wal"
)

// donor gives rows away: the service that a move's target copies from.
type donor struct {
	rpc.UnimplementedReshardServer
	m *member
}

const chunkBytes = 1 << 20

// fenced refuses callers of another cluster or shard, and answers for a primary alone.
func (d *donor) fenced(f *rpc.Fence) (*rpc.Fence, error) {
	term, leading := d.m.shard.Leading()
	switch {
	case f.GetCluster() != d.m.o.cluster || f.GetShard() != uint32(d.m.o.shard):
		return nil, status.Errorf(codes.FailedPrecondition, "this is shard %d of cluster %s", d.m.o.shard, d.m.o.cluster)
	case !leading || f.GetTerm() > term:
		return nil, status.Error(codes.Unavailable, "this node is not the primary")
	}
	return &rpc.Fence{Cluster: d.m.o.cluster, Shard: uint32(d.m.o.shard), Term: term}, nil
}

// Copy sends every version of a key range that a read above the garbage horizon needs.
func (d *donor) Copy(req *rpc.CopyRequest, wire grpc.ServerStreamingServer[rpc.CopyChunk]) error {
	fence, err := d.fenced(req.GetFence())
	if err != nil {
		return err
	}
	lo := req.GetRange().GetStart()
	if after := req.GetResumeAfter(); bytes.Compare(after, lo) > 0 {
		lo = after
	}
	// The log from here on holds whatever the iterator does not see.
	at := d.m.shard.Applied()
	defer d.m.retained.open(reader(wire.Context()), at)()
	versions := d.m.shard.ExportUnits(lo, req.GetRange().GetEnd())
	defer versions.Close()
	var buf, last []byte
	count := 0
	send := func(end bool) error {
		err := wire.Send(&rpc.CopyChunk{Fence: fence, Lsn: uint64(at), Last: end, Chunk: rpc.NewChunk(buf, count, last)})
		buf, count = nil, 0
		return err
	}
	for versions.Next() {
		v := versions.Version()
		buf = rpc.AppendEntry(buf, v.Key, shard.EncodeVersion(v))
		last = bytes.Clone(v.Key)
		if count++; len(buf) >= chunkBytes {
			if err := send(false); err != nil {
				return err
			}
		}
	}
	if err := versions.Err(); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return send(true)
}

// Tail sends what the log did to the moving units from an LSN on. A prepared transaction
// counts when it is resolved; those prepared before the copy are looked up.
func (d *donor) Tail(req *rpc.TailRequest, wire grpc.ServerStreamingServer[rpc.TailRecord]) error {
	fence, err := d.fenced(req.GetFence())
	if err != nil {
		return err
	}
	name := reader(wire.Context())
	defer d.m.retained.open(name, wal.LSN(req.GetFrom()))()
	follow := shard.NewTail(d.m.shard, unitsOf(req.GetMoving()))
	err = follow.Run(wire.Context(), req.GetFrom(), func(end uint64, versions []storage.Version) error {
		var payload []byte
		for _, v := range versions {
			payload = rpc.AppendEntry(payload, v.Key, shard.EncodeVersion(v))
		}
		d.m.retained.move(name, wal.LSN(end))
		return wire.Send(&rpc.TailRecord{Fence: fence, End: end, Type: uint32(len(versions)), Payload: payload, Commit: end})
	})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// reader names who copies: all streams of a move come over one connection.
func reader(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "move"
	}
	return "move to " + p.Addr.String()
}

func unitsOf(m *rpc.Moving) []placement.Unit {
	var units []placement.Unit
	for _, n := range m.GetSlots() {
		units = append(units, placement.Unit{N: n})
	}
	for _, c := range m.GetCells() {
		units = append(units, placement.Unit{Space: c.GetTable(), N: c.GetCell()})
	}
	return units
}

func movingOf(units []placement.Unit) *rpc.Moving {
	m := &rpc.Moving{}
	for _, u := range units {
		if u.Space == 0 {
			m.Slots = append(m.Slots, u.N)
		} else {
			m.Cells = append(m.Cells, &rpc.Cell{Table: u.Space, Cell: u.N})
		}
	}
	return m
}
