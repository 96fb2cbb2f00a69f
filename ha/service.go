package ha

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/heliosdb/helios/rpc"
	"github.com/heliosdb/helios/wal"
)

// Register adds this node's services, Replication and Status, to a gRPC server.
func (n *Node) Register(server grpc.ServiceRegistrar) {
	rpc.RegisterReplicationServer(server, &service{node: n})
	rpc.RegisterStatusServer(server, &health{node: n})
}

// service is the Replication service of a node.
type service struct {
	rpc.UnimplementedReplicationServer
	node *Node
}

func (s *service) Stream(wire grpc.BidiStreamingServer[rpc.StandbyMessage, rpc.PrimaryMessage]) error {
	return s.node.serveStream(wire)
}

// Seal asks the core for a promise and waits for its answer.
func (s *service) Seal(ctx context.Context, req *rpc.SealRequest) (*rpc.SealReply, error) {
	n := s.node
	if err := n.check(req.GetFence()); err != nil {
		return nil, err
	}
	answer := make(chan replySeal, 1)
	token := n.streams.Add(1)
	n.mu.Lock()
	n.mu.seals[token] = answer
	n.mu.Unlock()
	n.post(sealReceived{req.GetCandidate(), req.GetFence().GetTerm(), token})
	select {
	case a := <-answer:
		return &rpc.SealReply{
			Fence: n.fence(a.term), Node: a.recruit.Node, Incarnation: a.recruit.Incarnation, SyncClass: string(a.recruit.Class),
			Position: &rpc.Position{LastTerm: a.recruit.Position.LastTerm, Flush: uint64(a.recruit.Position.Flush)}, Refused: a.refused,
		}, nil
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	case <-n.ctx.Done():
		return nil, status.Error(codes.Unavailable, "the node stops")
	}
}

// askSeal asks a peer to promise a term.
func (n *Node) askSeal(e sendSeal) {
	ctx, stop := context.WithTimeout(n.ctx, n.opts.Rules.Profile.Seal)
	defer stop()
	r, term, refused, err := n.sealOf(ctx, e)
	switch {
	case n.ctx.Err() != nil:
	case err != nil:
		n.log.Info("no promise", "peer", e.peer, "term", e.term, "err", err)
		n.post(sealFailed(e))
	default:
		n.post(sealReplied{r, term, refused})
	}
}

func (n *Node) sealOf(ctx context.Context, e sendSeal) (r recruit, term uint32, refused bool, err error) {
	conn, err := n.dial(n.peer(e.peer))
	if err != nil {
		return r, 0, false, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	reply, err := rpc.NewReplicationClient(conn).Seal(ctx, &rpc.SealRequest{Fence: n.fence(e.term), Candidate: n.opts.Rules.Node})
	if err != nil {
		return r, 0, false, err
	}
	if err := n.check(reply.GetFence()); err != nil {
		return r, 0, false, err
	}
	r = recruit{
		Member{reply.GetNode(), reply.GetIncarnation(), Mode(reply.GetSyncClass())},
		Position{reply.GetPosition().GetLastTerm(), wal.LSN(reply.GetPosition().GetFlush())},
	}
	if r.Node != e.peer {
		return r, 0, false, fmt.Errorf("ha: %s answers where %s was expected", r.Node, e.peer)
	}
	return r, reply.GetFence().GetTerm(), reply.GetRefused(), nil
}

// Handover passes an operator's switchover on to this primary.
func (s *service) Handover(ctx context.Context, req *rpc.HandoverRequest) (*rpc.HandoverReply, error) {
	n := s.node
	if err := n.check(req.GetFence()); err != nil {
		return nil, err
	}
	if err := n.Switchover(ctx, req.GetTarget()); err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	return &rpc.HandoverReply{Fence: n.fence(n.Term())}, nil
}

// BaseCopy sends the shard's state at one LSN.
func (s *service) BaseCopy(req *rpc.BaseCopyRequest, wire grpc.ServerStreamingServer[rpc.BaseCopyChunk]) error {
	n := s.node
	if err := n.check(req.GetFence()); err != nil {
		return err
	}
	if !n.LeaseValid() {
		return status.Error(codes.FailedPrecondition, "not primary")
	}
	term := n.Term()
	var packed, last []byte
	count := 0
	flush := func(end bool) error {
		c := &rpc.BaseCopyChunk{Fence: n.fence(term), Chunk: rpc.NewChunk(packed, count, last), Last: end}
		packed, count = nil, 0
		return wire.Send(c)
	}
	begin := func(at wal.LSN) error {
		base, err := n.opts.Log.BaseAt(at)
		if err != nil {
			return err
		}
		return wire.Send(&rpc.BaseCopyChunk{
			Fence: n.fence(term), Lsn: uint64(base.LSN), History: wireTerms(base.Terms), Chain: base.Chain, Prev: base.Prev,
		})
	}
	put := func(key, value []byte) error {
		packed = rpc.AppendEntry(packed, key, value)
		last = append(last[:0:0], key...)
		if count++; len(packed) < rpc.MaxBatchBytes {
			return nil
		}
		return flush(false)
	}
	if err := n.opts.Applier.Export(wire.Context(), begin, put); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return flush(true)
}

// copyFrom replaces log and state by a copy of the primary's.
func (n *Node) copyFrom(node string) {
	base, err := n.fetchCopy(node)
	if n.ctx.Err() != nil {
		return
	}
	if err == nil {
		n.gate.advance(base.LSN, 0)
	}
	n.post(baseCopied{lsn: base.LSN, terms: base.Terms, err: err})
}

// fetchCopy puts a copy in place. A crash on the way leaves either the old
// state and log, or the new state and a note of where its log begins.
func (n *Node) fetchCopy(node string) (base wal.Base, err error) {
	ctx, stop := context.WithCancel(n.ctx)
	defer stop()
	conn, err := n.dial(n.leader(node))
	if err != nil {
		return base, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	wire, err := rpc.NewReplicationClient(conn).BaseCopy(ctx, &rpc.BaseCopyRequest{Fence: n.fence(0), Node: n.opts.Rules.Node})
	if err != nil {
		return base, err
	}
	first, err := wire.Recv()
	if err != nil {
		return base, err
	}
	if err := n.check(first.GetFence()); err != nil {
		return base, err
	}
	base = wal.Base{LSN: wal.LSN(first.GetLsn()), Prev: first.GetPrev(), Chain: first.GetChain(), Terms: termStarts(first.GetHistory())}
	if base.LSN == n.opts.Applier.Applied() { // then a restart could not tell the copy from what is here
		return base, fmt.Errorf("ha: the copy is at %v, where this node is; a later one will do", base.LSN)
	}
	if err := n.noteCopy(&base); err != nil {
		return base, err
	}
	all := func(put func(key, value []byte) error) error { return receiveCopy(wire, put) }
	if err := n.opts.Applier.Import(ctx, base.LSN, all); err != nil {
		return base, errors.Join(err, n.noteCopy(nil))
	}
	if err := n.opts.Log.Reset(base); err != nil {
		return base, err
	}
	return base, n.noteCopy(nil)
}

func (n *Node) noteCopy(base *wal.Base) error {
	n.mu.Lock()
	n.mu.identity.Copy = base
	id := n.mu.identity
	n.mu.Unlock()
	return id.write(n.opts.FS, n.opts.Dir)
}

// receiveCopy puts all pairs of a copy, or says why it broke off.
func receiveCopy(wire grpc.ServerStreamingClient[rpc.BaseCopyChunk], put func(key, value []byte) error) error {
	for {
		c, err := wire.Recv()
		if err != nil {
			return fmt.Errorf("ha: base copy broke off: %w", err)
		}
		pairs, err := c.GetChunk().All()
		if err != nil {
			return err
		}
		for key, value := range pairs {
			if err := put(key, value); err != nil {
				return err
			}
		}
		if c.GetLast() {
			return nil
		}
	}
}

// health is the Status service of a node.
type health struct {
	rpc.UnimplementedStatusServer
	node *Node
}

func (h *health) Node(_ context.Context, req *rpc.NodeRequest) (*rpc.NodeReply, error) {
	if err := h.node.check(req.GetFence()); err != nil {
		return nil, err
	}
	return h.node.reply(), nil
}

func (h *health) Watch(req *rpc.NodeRequest, wire grpc.ServerStreamingServer[rpc.NodeReply]) error {
	n := h.node
	if err := n.check(req.GetFence()); err != nil {
		return err
	}
	changed, done := n.subscribe()
	defer done()
	ticker := time.NewTicker(n.opts.Rules.Profile.Heartbeat)
	defer ticker.Stop()
	var last string
	for tick := true; ; {
		now := n.reply()
		key := fmt.Sprint(now.GetRole(), now.GetFence().GetTerm(), now.GetLeaseValid(), now.GetPrimary())
		if tick || key != last {
			if err := wire.Send(now); err != nil {
				return err
			}
			last = key
		}
		select {
		case <-changed:
			tick = false
		case <-ticker.C:
			tick = true
		case <-wire.Context().Done():
			return wire.Context().Err()
		case <-n.ctx.Done():
			return status.Error(codes.Unavailable, "the node stops")
		}
	}
}
