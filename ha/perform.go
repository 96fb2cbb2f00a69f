package ha

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/heliosdb/helios/rpc"
	"github.com/heliosdb/helios/wal"
)

// perform carries out one effect. What may take long is only begun here.
func (n *Node) perform(e Effect) {
	switch e := e.(type) {
	case persist:
		n.persist(e.promise)
	case loadLease, swapLease:
		n.calls <- e
	case follow:
		n.retarget(e.node)
	case drop:
		n.closeStream(e.stream)
	case sendHello:
		n.tell(e.stream, e)
	case sendAck:
		n.tell(e.stream, e)
	case replyHello:
		n.tell(e.stream, e)
	case startSending:
		n.tell(e.stream, e)
	case sendHeartbeat:
		n.tell(e.stream, e)
	case sendSeal:
		n.threads.Go(func() { n.askSeal(e) })
	case replySeal:
		n.mu.Lock()
		answer := n.mu.seals[e.token]
		delete(n.mu.seals, e.token)
		n.mu.Unlock()
		if answer != nil {
			answer <- e
		}
	case failedOver:
		n.failedOver(e.failover)
	case report:
		n.report(e)
	case refused:
		n.log.Info("refused", "why", e.reason)
		n.answerOrders(errors.New("ha: " + e.reason))
	case halt:
		n.fail(errors.New("ha: " + e.reason))
	default:
		n.performLocal(e)
	}
}

// performLocal carries out what concerns log and applier.
func (n *Node) performLocal(e Effect) {
	switch e := e.(type) {
	case writeRecords:
		n.write(e)
	case truncate:
		n.threads.Go(func() { n.cut(e.lsn) })
	case baseCopy:
		n.threads.Go(func() { n.copyFrom(e.peer) })
	case appendTermStart:
		n.startTerm(e)
	case appendSyncSet:
		n.note(e.lease.Term, wal.TypeSyncSet, e.lease)
	case appendHandover:
		if end, ok := n.note(e.term, wal.TypeHandover, HandoverNote{e.target}); ok {
			n.post(handoverAppended{e.term, end})
		}
	case advance:
		n.gate.advance(e.lsn, e.safe)
		n.opts.Applier.Advance(e.lsn, e.term)
	case setRole:
		n.setRole(e)
	case serve:
		n.opts.Applier.Serve(e.term)
		n.log.Info("serving", "term", e.term)
		n.answerOrders(nil)
	case drain:
		n.threads.Go(func() { n.drain(e.term) })
	case resume:
		n.opts.Applier.Resume()
	default:
		n.fail(fmt.Errorf("ha: effect %T is carried out by nobody", e))
	}
}

func (n *Node) persist(p Promise) {
	n.mu.Lock()
	n.mu.identity.Promise = p
	id := n.mu.identity
	n.mu.Unlock()
	if err := id.write(n.opts.FS, n.opts.Dir); err != nil {
		n.fail(fmt.Errorf("ha: promise term %d: %w", p.Term, err))
	}
}

// setRole lets the applier leave its old role before anything else follows
// from the new one.
func (n *Node) setRole(e setRole) {
	if e.role != Primary {
		n.gate.enter(0)
	}
	n.opts.Applier.SetRole(e.role, e.term)
	if e.role == Primary {
		n.gate.enter(e.term)
	} else if n.was == Primary {
		n.post(logEnd{n.opts.Log.End()})
	}
	n.was = e.role
	n.log.Info("role", "role", e.role, "term", e.term)
}

func (n *Node) write(e writeRecords) {
	switch err := n.opts.Log.AppendRaw(e.lsn, e.records); {
	case errors.Is(err, wal.ErrRefused):
		n.log.Warn("records refused", "lsn", e.lsn, "err", err)
		n.post(logEnd{n.opts.Log.End()})
	case err != nil:
		n.fail(fmt.Errorf("ha: write the log: %w", err))
	default:
		n.metrics.replicated(e.records, time.Now())
	}
}

// note appends a record with a JSON payload, if this node may still append.
func (n *Node) note(term uint32, typ wal.Type, note any) (wal.LSN, bool) {
	payload, err := json.Marshal(note)
	if err == nil {
		var end wal.LSN
		end, err = n.opts.Log.Append(term, typ, 0, 0, func(wal.LSN) (uint64, []byte, error) { return 0, payload, nil })
		if err == nil {
			return end, true
		}
	}
	if !errors.Is(err, wal.ErrRefused) {
		n.fail(fmt.Errorf("ha: append %v: %w", typ, err))
	}
	return 0, false
}

func (n *Node) startTerm(e appendTermStart) {
	floor := n.opts.Applier.Lead(e.term, e.lossy, e.ceiling)
	payload, err := json.Marshal(TermNote{Node: n.opts.Rules.Node, Lossy: e.lossy, Floor: floor})
	if err != nil {
		n.fail(err)
		return
	}
	var start wal.LSN
	var flags uint8
	if e.lossy {
		flags = wal.FlagLossy
	}
	end, err := n.opts.Log.Append(e.term, wal.TypeTermStart, flags, 0, func(lsn wal.LSN) (uint64, []byte, error) {
		start = lsn
		return floor, payload, nil
	})
	if err != nil {
		n.fail(fmt.Errorf("ha: begin term %d: %w", e.term, err))
		return
	}
	n.post(termStarted{e.term, start, end})
}

func (n *Node) drain(term uint32) {
	ctx, stop := context.WithTimeout(n.ctx, drainTimeout)
	defer stop()
	if err := n.opts.Applier.Drain(ctx); err != nil {
		n.log.Warn("statements did not end in time", "err", err)
		return // the core undoes the switchover
	}
	n.post(drained{term})
}

// cut undoes what was applied above lsn and cuts the log there. Appends that a
// former primary still had under way may come between; they end.
func (n *Node) cut(lsn wal.LSN) {
	err := error(nil)
	if n.opts.Applier.Applied() > lsn {
		err = n.opts.Applier.Rewind(n.ctx, lsn)
	}
	for err == nil {
		err = n.opts.Log.TruncateTo(lsn)
		if !errors.Is(err, wal.ErrRefused) {
			break
		}
		err = pause(n.ctx, time.Millisecond)
	}
	if n.ctx.Err() != nil {
		return
	}
	if err == nil {
		commit, safe := n.gate.commits()
		n.gate.advance(min(commit, lsn), min(safe, lsn))
	}
	n.post(truncated{lsn: lsn, terms: n.opts.Log.Terms(), err: err})
}

func (n *Node) report(e report) {
	if e.level == levelWarn {
		n.log.Warn(e.message)
		return
	}
	n.log.Info(e.message)
}

func (n *Node) failedOver(f Failover) {
	n.mu.Lock()
	n.mu.news = append(n.mu.news, f)
	n.mu.Unlock()
	n.log.Info("failover", "old", f.Old, "new", f.New, "term", f.Term, "lsn", f.LSN, "planned", f.Planned)
	signal(n.told)
	n.answerOrders(nil)
}

// teller calls the hooks.
func (n *Node) teller() {
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.told:
		}
		n.mu.Lock()
		news, hooks := n.mu.news, n.mu.hooks
		n.mu.news = nil
		n.mu.Unlock()
		for _, f := range news {
			for _, hook := range hooks {
				hook(f)
			}
		}
	}
}

// signal leaves one token in c.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// storeCaller makes the core's calls to the store, one at a time.
func (n *Node) storeCaller() {
	for {
		select {
		case <-n.ctx.Done():
			return
		case call := <-n.calls:
			ctx, stop := context.WithTimeout(n.ctx, n.opts.Rules.Profile.Renew)
			switch call := call.(type) {
			case loadLease:
				lease, rev, err := n.opts.Authority.Load(ctx)
				n.post(leaseLoaded{lease, rev, err})
			case swapLease:
				if call.lease.Holder == n.opts.Rules.Node {
					call.lease.Ceiling = max(call.lease.Ceiling, n.opts.Applier.Ceiling())
				}
				rev, swapped, err := n.opts.Authority.Swap(ctx, call.lease, call.prev)
				n.post(leaseSwapped{rev, swapped, err})
			}
			stop()
		}
	}
}

// storeWatcher tells the core of every change of the lease.
func (n *Node) storeWatcher() {
	for n.ctx.Err() == nil {
		err := n.opts.Authority.Watch(n.ctx, func(lease Lease, rev int64) { n.post(leaseSeen{lease, rev}) })
		if n.ctx.Err() == nil {
			n.log.Warn("watch of the lease broke", "err", err)
			_ = pause(n.ctx, n.opts.Rules.Profile.Heartbeat)
		}
	}
}

// watchdog beats through the commit path of a primary. A role flag alone lies:
// a primary whose disk hangs must not keep its lease.
func (n *Node) watchdog() {
	every := min(time.Second, n.opts.Rules.Profile.Renew)
	stuck := false
	for pause(n.ctx, every) == nil {
		n.mu.Lock()
		serving := n.mu.core.role == Primary && n.mu.core.primary.serving
		n.mu.Unlock()
		if !serving && !stuck {
			continue
		}
		err := n.beat(2*every, serving)
		if err != nil && n.ctx.Err() == nil && !errors.Is(err, wal.ErrRefused) {
			n.log.Warn("commit path hangs", "err", err)
		}
		if now := errors.Is(err, context.DeadlineExceeded); now != stuck && n.ctx.Err() == nil {
			stuck = now
			n.post(hung{stuck})
		}
	}
}

// beat appends a heartbeat and waits for it, and all before it, to be on disk.
func (n *Node) beat(patience time.Duration, serving bool) error {
	ctx, stop := context.WithTimeout(n.ctx, patience)
	defer stop()
	end := n.opts.Log.End()
	if serving {
		var err error
		if end, err = n.opts.Applier.Beat(ctx); err != nil {
			return err
		}
	}
	return n.opts.Log.WaitFlushed(ctx, end)
}

func (n *Node) fence(term uint32) *rpc.Fence {
	return &rpc.Fence{Cluster: n.opts.Cluster, Shard: uint32(n.opts.Shard), Term: term}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
