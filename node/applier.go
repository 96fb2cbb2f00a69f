package node

import (
	"context"
	"fmt"

	"github.com/heliosdb/helios/ha"
	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/shard"
	"github.com/heliosdb/helios/wal"
)

// applier makes a shard what replication drives: ha.Applier.
type applier struct {
	*shard.Shard
	serve    func(term uint32) // the term has begun for good
	stepDown func()
	retained *retention
}

var _ ha.Applier = (*applier)(nil)

func (a *applier) Advance(commit wal.LSN, _ uint32) { a.Shard.Advance(commit) }

// Rewind cannot be done: only committed records are applied, so it is asked for only
// after a lossy promotion, and then a base copy is right.
func (a *applier) Rewind(context.Context, wal.LSN) error { return errRewind }

func (a *applier) SetRole(role ha.Role, term uint32) {
	if role == ha.Primary {
		a.Permit(term)
		return
	}
	a.StepDown()
	a.stepDown()
}

func (a *applier) Lead(_ uint32, _ bool, ceiling uint64) uint64 {
	return uint64(a.Floor(hlc.Timestamp(ceiling)))
}

func (a *applier) Serve(term uint32) { a.serve(term) }

func (a *applier) Export(ctx context.Context, begin func(wal.LSN) error, put func(key, value []byte) error) error {
	done := func() {}
	defer func() { done() }()
	keep := func(at wal.LSN) error {
		done = a.retained.open(fmt.Sprintf("base copy %p", &done), at)
		return begin(at)
	}
	return a.Shard.Export(ctx, keep, put)
}

func (a *applier) Import(ctx context.Context, at wal.LSN, all func(put func(key, value []byte) error) error) error {
	return a.Shard.Import(ctx, at, all)
}

func (a *applier) Ceiling() uint64 { return uint64(a.Clock().Ceiling()) }

func (a *applier) Closed() (closed uint64, lsn wal.LSN, horizon uint64) {
	c, end, h := a.ClosedAt()
	return uint64(c), end, uint64(h)
}

func (a *applier) SetClosed(closed uint64, lsn wal.LSN, horizon uint64) {
	a.Shard.SetClosed(hlc.Timestamp(closed), lsn, hlc.Timestamp(horizon))
}

func (a *applier) OldestSnapshot() uint64 { return uint64(a.Shard.OldestSnapshot()) }

func (a *applier) HoldSnapshot(node string, oldest uint64) {
	a.Shard.HoldSnapshot(node, hlc.Timestamp(oldest))
}
