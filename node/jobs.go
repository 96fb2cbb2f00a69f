package node

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/heliosdb/helios/admin"
	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/consensus"
	"github.com/heliosdb/helios/hashring"
	"github.com/heliosdb/helios/reshard"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/types"
)

// jobTTL is how long a driver of reshard jobs may be silent before another takes over.
const jobTTL = 5 * time.Second

// driveJobs drives reshard jobs while this router holds the lease on them.
func (f *front) driveJobs() {
	lock := consensus.NewLock(f.o.store, "reshard", f.o.id+"-"+f.addr, jobTTL)
	for f.ctx.Err() == nil {
		err := lock.Run(f.ctx, func(ctx context.Context) error {
			for {
				if err := f.driveOpenJobs(ctx); err != nil {
					return err
				}
				select {
				case <-time.After(200 * time.Millisecond):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		})
		if err != nil && f.ctx.Err() == nil {
			f.log.Info("reshard driver", "err", err)
		}
		select {
		case <-time.After(time.Second):
		case <-f.ctx.Done():
		}
	}
}

func (f *front) driveOpenJobs(ctx context.Context) error {
	jobs, err := loadJobs(ctx, f.o.store)
	if err != nil {
		return err
	}
	for i := range jobs {
		if !jobs[i].State.Ended() {
			calls := &mover{f: f}
			if err := reshard.NewManager(calls, f.log).Run(ctx, &jobs[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// startJob stores a new job; the driver finds it there.
func (f *front) startJob(ctx context.Context, target, streams int) (uint64, error) {
	jobs, err := loadJobs(ctx, f.o.store)
	if err != nil {
		return 0, err
	}
	var last uint64
	for _, j := range jobs {
		if !j.State.Ended() {
			return 0, types.Errorf("55006", "reshard job %d is still running", j.ID).
				WithHint("See helios.reshard_jobs; CALL helios.reshard_abort() ends it.")
		}
		last = max(last, j.ID)
	}
	ids, err := f.targetShards(ctx, target)
	if err != nil {
		return 0, err
	}
	job := reshard.Job{ID: last + 1, Target: target, Streams: streams, State: reshard.Planned, Started: time.Now().UTC(), Shards: ids}
	_, swapped, err := f.jobDoc(job.ID).Swap(ctx, job, 0)
	if err == nil && !swapped {
		err = types.Errorf("55006", "another reshard was started at the same moment")
	}
	return job.ID, err
}

func (f *front) jobDoc(id uint64) consensus.Doc[reshard.Job] {
	return consensus.Jobs[reshard.Job](f.o.store).At(fmt.Sprintf("%012d", id))
}

// targetShards names the shards of a cluster of a given size: those there are, then
// registered ones; in a demo further ones are started.
func (f *front) targetShards(ctx context.Context, target int) ([]cluster.ShardID, error) {
	m := f.current.Load()
	var ids []cluster.ShardID
	for _, s := range m.Shards {
		ids = append(ids, s.ID)
	}
	if target < len(ids) {
		return nil, types.Errorf("0A000", "a cluster cannot be made smaller yet").
			WithHint("It has %d shards; give that number or more.", len(ids))
	}
	var missing []cluster.ShardID
	for next := cluster.ShardID(1); len(ids)+len(missing) < target; next++ {
		if _, ok := m.Shard(next); !ok {
			missing = append(missing, next)
		}
	}
	if len(missing) > 0 && f.o.addShards != nil {
		if err := f.o.addShards(ctx, missing); err != nil {
			return nil, err
		}
	}
	nodes, err := registered(ctx, f.o.store)
	if err != nil {
		return nil, err
	}
	for _, id := range missing {
		found := false
		for _, n := range nodes {
			found = found || n.Shard == id
		}
		if !found {
			return nil, types.Errorf("55000", "shard %d has no nodes", id).
				WithHint("Start its primary and standby with --shard %d; they register by themselves.", id)
		}
	}
	return append(ids, missing...), nil
}

// abortJob asks the driver to undo the running job.
func (f *front) abortJob(ctx context.Context) error {
	jobs, err := loadJobs(ctx, f.o.store)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if !j.State.Ended() {
			_, err := f.jobDoc(j.ID).Update(ctx, func(j *reshard.Job) error {
				j.Abort = true
				return nil
			})
			return err
		}
	}
	return types.Errorf("55000", "no reshard job is running")
}

// planJob gives the moves that a reshard would make.
func (f *front) planJob(_ context.Context, target int) ([]reshard.Move, error) {
	m := f.current.Load()
	var shards []hashring.Shard
	for _, s := range m.Shards {
		shards = append(shards, hashring.Shard{ID: s.ID, Weight: s.Weight})
	}
	if target < len(shards) {
		return nil, types.Errorf("0A000", "a cluster cannot be made smaller yet")
	}
	for next := cluster.ShardID(1); len(shards) < target; next++ {
		if _, ok := m.Shard(next); !ok {
			shards = append(shards, hashring.Shard{ID: next, Weight: defaultWeight})
		}
	}
	return reshard.Plan(m, shards, nil)
}

// defaultWeight is the weight of a shard that nobody gave one.
const defaultWeight = 100

// setFunction turns one of the operators' functions into one of the executor.
func setFunction(fn admin.Function) *builtin.Func {
	out := &builtin.Func{Name: fn.Name, Ret: types.RecordOID, Strict: true, Volatility: 'v', SRF: true, Kind: 'f'}
	for _, a := range fn.Args {
		out.Args = append(out.Args, a.Type.OID)
		out.ArgNames = append(out.ArgNames, a.Name)
	}
	for _, c := range fn.Columns {
		out.Columns = append(out.Columns, builtin.Column{Name: c.Name, Type: c.Type.OID})
	}
	out.EvalSet = func(c *builtin.Context, args []types.Value) (iter.Seq2[types.Row, error], error) {
		ctx := c.Ctx
		if ctx == nil {
			ctx = context.Background()
		}
		rows, err := fn.Rows(ctx, args)
		if err != nil {
			return nil, err
		}
		return func(yield func(types.Row, error) bool) {
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
		}, nil
	}
	return out
}

var errNoSuchCopy = errors.New("the target has no such copy under way")

func parseCopyStatus(text string) (s copyStatus, err error) {
	_, err = fmt.Sscanf(text, "%s %d %d %d", &s.state, &s.rows, &s.bytes, &s.reached)
	if err != nil {
		return s, fmt.Errorf("copy status %s: %w", strconv.Quote(text), err)
	}
	return s, nil
}
