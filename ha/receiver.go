package ha

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"

	"github.com/heliosdb/helios/rpc"
	"github.com/heliosdb/helios/wal"
)

// followerState is what the view of the primary shows.
type followerState struct {
	peer        Peer
	state       string // disconnected, connecting, connected, streaming, error
	connectedAt time.Time
	heard       time.Time
	end         wal.LSN // of the primary's log
	established bool    // some stream was
	reconnects  uint64
}

// retarget tells the follower whom to follow; empty: nobody.
func (n *Node) retarget(node string) {
	for {
		select {
		case n.targets <- node:
			return
		default:
		}
		select {
		case <-n.targets: // overtaken
		default:
		}
	}
}

// follower keeps a stream to the primary that the core wants to follow. The
// first attempt is made at once, also after a stream that worked has broken;
// later ones after longer and longer pauses. News of a primary, and a hello from
// another node, end a pause.
func (n *Node) follower() {
	target, attempt := "", 0
	for {
		if target == "" {
			n.setFollower(func(f *followerState) {
				*f = followerState{state: "disconnected", established: f.established, reconnects: f.reconnects}
			})
			select {
			case target = <-n.targets:
				attempt = 0
				continue
			case <-n.ctx.Done():
				return
			}
		}
		attempt++
		began := time.Now()
		next, established := n.followOnce(target, attempt)
		if established && time.Since(began) > time.Second {
			attempt = 0
		}
		if next == nil {
			next = n.waitBackoff(attempt)
		}
		if n.ctx.Err() != nil {
			return
		}
		if next != nil {
			target, attempt = *next, 0
		}
	}
}

// waitBackoff pauses before the next attempt, or returns a new target.
func (n *Node) waitBackoff(attempt int) *string {
	if attempt == 0 {
		return nil
	}
	backoff := n.opts.Backoff[min(attempt, len(n.opts.Backoff))-1]
	backoff += time.Duration((rand.Float64()*2 - 1) * 0.1 * float64(backoff))
	select {
	case next := <-n.targets:
		return &next
	case <-n.nudged:
	case <-time.After(backoff):
	case <-n.ctx.Done():
	}
	return nil
}

// followOnce runs one stream until it breaks or the target changes. It reports
// whether records came to flow.
func (n *Node) followOnce(target string, attempt int) (next *string, established bool) {
	peer := n.leader(target)
	n.log.Info(fmt.Sprintf("Attempting reconnection to primary (attempt %d)...", attempt), "primary", target, "address", peer.Address)
	n.setFollower(func(f *followerState) { f.peer, f.state = peer, "connecting" })
	ctx, cancel := context.WithCancel(n.ctx)
	defer cancel()
	done := make(chan error, 1)
	n.threads.Go(func() {
		ok, err := n.receive(ctx, peer)
		established = ok
		done <- err
	})
	var err error
	select {
	case err = <-done:
	case to := <-n.targets:
		next = &to
		cancel()
		err = <-done
	}
	if next == nil && n.ctx.Err() == nil {
		n.log.Info("stream to primary ended", "primary", target, "err", err)
	}
	n.setFollower(func(f *followerState) {
		f.state, f.connectedAt = "disconnected", time.Time{}
		if err != nil && next == nil && !established {
			f.state = "error"
		}
	})
	return next, established
}

// receiver is the standby's end of the stream.
//
// Threads: receive takes records and heartbeats, say sends hellos and acks.
type receiver struct {
	node *Node
	*stream
	wire        grpc.BidiStreamingClient[rpc.StandbyMessage, rpc.PrimaryMessage]
	established bool
}

func (n *Node) receive(ctx context.Context, peer Peer) (established bool, err error) {
	conn, err := n.dial(peer)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wire, err := rpc.NewReplicationClient(conn).Stream(ctx)
	if err != nil {
		return false, err
	}
	r := &receiver{node: n, stream: n.openStream(peer.Node, cancel), wire: wire}
	defer n.endStream(r.stream)
	n.log.Info("Connected to primary, starting streaming...", "primary", peer.Node)
	n.setFollower(func(f *followerState) { f.state, f.connectedAt, f.heard = "connected", time.Now(), time.Now() })
	said := make(chan error, 1)
	go func() { said <- r.say(ctx) }()
	n.post(connected{peer.Node, r.id})
	err = r.hear()
	cancel()
	return r.established, errors.Join(err, ignoreCanceled(<-said))
}

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// dial connects to a node of the shard.
func (n *Node) dial(peer Peer) (*grpc.ClientConn, error) {
	if peer.Address == "" {
		return nil, fmt.Errorf("ha: no address of %s is known", peer.Node)
	}
	options := append([]grpc.DialOption{grpc.WithDefaultCallOptions(
		grpc.MaxCallRecvMsgSize(rpc.MaxMessageBytes), grpc.MaxCallSendMsgSize(rpc.MaxMessageBytes))}, n.opts.Dial...)
	return grpc.NewClient("passthrough:///"+peer.Address, options...)
}

func (r *receiver) hear() error {
	for {
		m, err := r.wire.Recv()
		if err != nil {
			return err
		}
		if err := r.node.check(m.GetFence()); err != nil {
			return err
		}
		r.take(m)
	}
}

func (r *receiver) take(m *rpc.PrimaryMessage) {
	n, term := r.node, m.GetFence().GetTerm()
	n.setFollower(func(f *followerState) {
		f.heard = time.Now()
		f.end = max(f.end, wal.LSN(m.GetHeartbeat().GetEnd()), wal.LSN(m.GetAppend().GetPrev())+wal.LSN(len(m.GetAppend().GetRecords())))
	})
	switch body := m.GetBody().(type) {
	case *rpc.PrimaryMessage_HelloReply:
		reply := body.HelloReply
		if reply.GetVerdict() == rpc.HelloReply_OK && !r.established {
			r.established = true
			n.log.Info("Streaming replication established", "primary", r.peer, "lsn", wal.LSN(reply.GetLsn()))
			n.setFollower(func(f *followerState) {
				if f.established {
					f.reconnects++
				}
				f.state, f.established = "streaming", true
			})
		}
		n.post(helloReplied{r.peer, r.id, term, verdict(reply.GetVerdict()), wal.LSN(reply.GetLsn())})
	case *rpc.PrimaryMessage_Append:
		a := body.Append
		r.note(a.GetSentMs())
		prev := wal.LSN(a.GetPrev())
		n.post(appendReceived{
			peer: r.peer, stream: r.id, term: term, prev: prev, end: prev + wal.LSN(len(a.GetRecords())), records: a.GetRecords(),
			commit: wal.LSN(a.GetCommit()), safe: wal.LSN(a.GetReplicatedCommit()),
		})
	case *rpc.PrimaryMessage_Heartbeat:
		h := body.Heartbeat
		r.note(h.GetSentMs())
		n.metrics.beatReceived()
		n.opts.Applier.SetClosed(h.GetClosed(), wal.LSN(h.GetClosedLsn()), h.GetHorizon())
		n.post(heartbeatReceived{
			peer: r.peer, stream: r.id, term: term, end: wal.LSN(h.GetEnd()),
			commit: wal.LSN(h.GetCommit()), safe: wal.LSN(h.GetReplicatedCommit()), vow: time.Duration(h.GetClock()),
		})
	}
}

func (r *receiver) note(sentMs int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.sentMs = sentMs
}

// say sends hellos and acks.
func (r *receiver) say(ctx context.Context) error {
	for {
		t, err := r.next(ctx)
		if err != nil {
			return err
		}
		if t.hello {
			err = r.hello(ctx)
		}
		if t.ack != nil && err == nil {
			err = r.ack(*t.ack)
			r.node.metrics.beatSent()
		}
		if err != nil {
			r.cancel()
			return err
		}
	}
}

// hello shows the log as it is on disk, and the core the same.
func (r *receiver) hello(ctx context.Context) error {
	n, log := r.node, r.node.opts.Log
	end := log.End()
	if err := log.WaitFlushed(ctx, end); err != nil {
		return err
	}
	chain, ok := log.ChainAt(end)
	if !ok {
		return fmt.Errorf("ha: no chain hash at %v", end)
	}
	terms := log.Terms()
	n.post(flushed{end, terms})
	n.mu.Lock()
	promised, incarnation := n.mu.core.promise.Term, n.mu.identity.Incarnation
	n.mu.Unlock()
	return r.wire.Send(&rpc.StandbyMessage{Fence: n.fence(promised), Body: &rpc.StandbyMessage_Hello{Hello: &rpc.Hello{
		Node: n.opts.Rules.Node, Address: n.opts.Address, Incarnation: incarnation, SyncClass: string(n.opts.Rules.Class),
		History: wireTerms(terms), Flush: uint64(end), Chain: chain,
	}}})
}

func (r *receiver) ack(a sendAck) error {
	r.mu.Lock()
	sentMs, ask := r.mu.sentMs, r.mu.ask
	r.mu.ask = false
	r.mu.Unlock()
	return r.wire.Send(&rpc.StandbyMessage{Fence: r.node.fence(a.term), Body: &rpc.StandbyMessage_Ack{Ack: &rpc.Ack{
		Write: uint64(a.write), Flush: uint64(a.flush), Apply: uint64(a.apply),
		OldestSnapshot: r.node.opts.Applier.OldestSnapshot(), SentMs: sentMs, AskClosed: ask, Clock: int64(a.vow),
	}}})
}

// AskClosed makes the primary send its closed timestamp at once: a reader on
// this standby waits for one. It does nothing while no stream is open.
func (n *Node) AskClosed() {
	n.mu.Lock()
	c := n.mu.core
	s := n.mu.closers[c.standby.stream]
	ack := sendAck{term: c.promise.Term, write: c.log.written, flush: c.log.flushed, apply: c.log.applied, vow: c.standby.asking}
	ok := c.standby.ok
	n.mu.Unlock()
	if s == nil || !ok {
		return
	}
	s.mu.Lock()
	s.mu.ask = true
	s.mu.Unlock()
	s.tell(ack)
}

func (n *Node) setFollower(change func(*followerState)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(&n.mu.follower)
}
