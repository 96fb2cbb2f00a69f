package ha

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/heliosdb/helios/rpc"
	"github.com/heliosdb/helios/wal"
)

// windowBytes bounds what is sent to a standby and not yet in its log.
const windowBytes = 16 << 20

// sender is the primary's end of one stream. It reads the log as it is
// appended, before it is on the primary's own disk, so that both syncs overlap.
//
// Threads: hear takes hellos and acks, say answers and beats, pump sends
// records from the moment the logs were matched. The gRPC handler waits for the
// last two, Run for all.
type sender struct {
	node *Node
	*stream
	wire  grpc.BidiStreamingServer[rpc.StandbyMessage, rpc.PrimaryMessage]
	write struct { // what the standby has in its log
		sync.Mutex
		lsn   wal.LSN
		moved chan struct{}
	}
	send sync.Mutex // one Send at a time
	pump sync.WaitGroup
}

// serveStream serves one standby; see the Replication service.
func (n *Node) serveStream(wire grpc.BidiStreamingServer[rpc.StandbyMessage, rpc.PrimaryMessage]) error {
	first, err := wire.Recv()
	if err != nil {
		return err
	}
	if err := n.check(first.GetFence()); err != nil {
		return err
	}
	if !n.enter() {
		return status.Error(codes.Unavailable, "the node stops")
	}
	defer n.threads.Done()
	if first.GetHello() == nil {
		return status.Error(codes.InvalidArgument, "a stream begins with a hello")
	}
	ctx, cancel := context.WithCancel(wire.Context())
	defer cancel()
	s := &sender{node: n, stream: n.openStream(first.GetHello().GetNode(), cancel), wire: wire}
	s.write.moved = make(chan struct{})
	defer n.endStream(s.stream)
	defer n.opts.Applier.HoldSnapshot(s.peer, 0)
	defer s.pump.Wait()
	defer cancel()
	signal(n.nudged)
	s.hello(first)
	s.pump.Go(func() { s.say(ctx) })
	n.threads.Go(s.hear) // ends when this returns
	<-ctx.Done()
	return status.Error(codes.Canceled, "stream ended")
}

// check refuses what belongs to another cluster or shard.
func (n *Node) check(f *rpc.Fence) error {
	if f.GetCluster() != n.opts.Cluster || f.GetShard() != uint32(n.opts.Shard) {
		return status.Errorf(codes.FailedPrecondition, "this is shard %d of cluster %s, not shard %d of %s",
			n.opts.Shard, n.opts.Cluster, f.GetShard(), f.GetCluster())
	}
	return nil
}

// hear takes what the standby says, until it hangs up or the handler returns.
func (s *sender) hear() {
	defer s.cancel()
	for {
		m, err := s.wire.Recv()
		if err != nil || s.node.check(m.GetFence()) != nil {
			return
		}
		if m.GetHello() != nil {
			s.hello(m)
		} else if m.GetAck() != nil {
			s.ack(m)
		}
	}
}

// hello asks the log what the core needs to compare the two.
func (s *sender) hello(m *rpc.StandbyMessage) {
	h, log := m.GetHello(), s.node.opts.Log
	flush := wal.LSN(h.GetFlush())
	chain, known := log.ChainAt(flush)
	s.node.post(helloReceived{
		peer: s.peer, stream: s.id, term: m.GetFence().GetTerm(), address: h.GetAddress(),
		member:  Member{Node: h.GetNode(), Incarnation: h.GetIncarnation(), Class: Mode(h.GetSyncClass())},
		history: termStarts(h.GetHistory()), flush: flush, end: log.End(),
		same: known && chain == h.GetChain(), kept: flush >= log.Start(),
	})
}

func (s *sender) ack(m *rpc.StandbyMessage) {
	a := m.GetAck()
	s.write.Lock()
	if lsn := wal.LSN(a.GetWrite()); lsn > s.write.lsn {
		s.write.lsn = lsn
		close(s.write.moved)
		s.write.moved = make(chan struct{})
	}
	s.write.Unlock()
	s.node.metrics.beatReceived()
	s.node.opts.Applier.HoldSnapshot(s.peer, a.GetOldestSnapshot())
	s.node.post(ackReceived{
		peer: s.peer, stream: s.id, term: m.GetFence().GetTerm(),
		write: wal.LSN(a.GetWrite()), flush: wal.LSN(a.GetFlush()), apply: wal.LSN(a.GetApply()), vow: time.Duration(a.GetClock()),
	})
	if a.GetAskClosed() {
		s.tell(sendHeartbeat{})
	}
}

// say sends answers and heartbeats, and starts the pump.
func (s *sender) say(ctx context.Context) {
	defer s.cancel()
	term := uint32(0) // of the stream, once matched
	for {
		t, err := s.next(ctx)
		if err != nil {
			return
		}
		if t.reply != nil {
			err = s.put(&rpc.PrimaryMessage{Fence: s.node.fence(t.reply.term), Body: &rpc.PrimaryMessage_HelloReply{HelloReply: &rpc.HelloReply{
				Verdict: rpc.HelloReply_Verdict(t.reply.verdict), Lsn: uint64(t.reply.lsn),
			}}})
		}
		if t.start != nil && err == nil {
			term = t.start.term
			from := *t.start
			s.pump.Go(func() { s.run(ctx, from) })
		}
		if t.beat && err == nil && term != 0 {
			beat := s.node.heartbeat()
			beat.Clock, beat.Failsafe = int64(t.vow), t.vow > 0
			err = s.put(&rpc.PrimaryMessage{Fence: s.node.fence(term), Body: &rpc.PrimaryMessage_Heartbeat{Heartbeat: beat}})
			s.node.metrics.beatSent()
		}
		if err != nil {
			return
		}
	}
}

func (n *Node) heartbeat() *rpc.Heartbeat {
	closed, at, horizon := n.opts.Applier.Closed()
	commit, safe := n.gate.commits()
	return &rpc.Heartbeat{
		End: uint64(n.opts.Log.End()), Commit: uint64(commit), ReplicatedCommit: uint64(safe),
		Closed: closed, ClosedLsn: uint64(at), Horizon: horizon, SentMs: time.Now().UnixMilli(),
	}
}

func (s *sender) put(m *rpc.PrimaryMessage) error {
	s.send.Lock()
	defer s.send.Unlock()
	return s.wire.Send(m)
}

// run is the pump: records as they are in the log, in batches, as far as the
// window allows.
func (s *sender) run(ctx context.Context, from startSending) {
	defer s.cancel()
	if err := s.runFrom(ctx, from); err != nil && ctx.Err() == nil && !errors.Is(err, io.EOF) {
		s.node.log.Warn("stream ends", "standby", s.peer, "err", err)
	}
}

func (s *sender) runFrom(ctx context.Context, from startSending) (err error) {
	reader, err := s.node.opts.Log.ReadFrom(from.from)
	if err != nil {
		return fmt.Errorf("ha: read the log: %w", err)
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	s.write.Lock()
	s.write.lsn = from.from
	s.write.Unlock()
	for {
		lsn, records, err := reader.NextBytes(ctx, rpc.MaxBatchBytes)
		if err != nil {
			return err
		}
		end := lsn + wal.LSN(len(records))
		if err := s.room(ctx, lsn); err != nil {
			return err
		}
		s.node.post(sent{s.peer, s.id, end})
		commit, safe := s.node.gate.commits()
		err = s.put(&rpc.PrimaryMessage{Fence: s.node.fence(from.term), Body: &rpc.PrimaryMessage_Append{Append: &rpc.Append{
			Prev: uint64(lsn), Records: records, Commit: uint64(commit), ReplicatedCommit: uint64(safe), SentMs: time.Now().UnixMilli(),
		}}})
		if err != nil {
			return err
		}
		s.node.metrics.replicated(records, time.Now())
	}
}

// room waits until what was sent up to lsn lies within the window.
func (s *sender) room(ctx context.Context, lsn wal.LSN) error {
	for {
		s.write.Lock()
		have, moved := s.write.lsn, s.write.moved
		s.write.Unlock()
		if lsn < have+windowBytes {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func termStarts(history []*rpc.TermStart) []wal.TermStart {
	terms := make([]wal.TermStart, len(history))
	for i, t := range history {
		terms[i] = wal.TermStart{Term: t.GetTerm(), LSN: wal.LSN(t.GetStart())}
	}
	return terms
}

func wireTerms(terms []wal.TermStart) []*rpc.TermStart {
	history := make([]*rpc.TermStart, len(terms))
	for i, t := range terms {
		history[i] = &rpc.TermStart{Term: t.Term, Start: uint64(t.LSN)}
	}
	return history
}
