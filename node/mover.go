package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/consensus"
	"github.com/heliosdb/helios/hashring"
	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/reshard"
	"github.com/heliosdb/helios/shard"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// mover carries out the effects of moves: calls on shards by SQL, and the control store.
// It is reshard.Calls.
type mover struct{ f *front }

var _ reshard.Calls = (*mover)(nil)

// Save stores a job, and tells whether its end was asked for.
func (v *mover) Save(ctx context.Context, job *reshard.Job) (bool, error) {
	saved, err := v.f.jobDoc(job.ID).Update(ctx, func(j *reshard.Job) error {
		abort := j.Abort
		*j = *job
		j.Abort = j.Abort || abort
		return nil
	})
	return saved.Abort, err
}

func unitsOfMove(m *reshard.Move) []placement.Unit {
	units := make([]placement.Unit, len(m.Units))
	for i, u := range m.Units {
		units[i] = placement.Unit{Space: u.Space, N: u.N}
	}
	return units
}

// Do carries out one effect.
func (v *mover) Do(ctx context.Context, job *reshard.Job, m *reshard.Move, e reshard.Effect) reshard.Event {
	ev, err := v.do(ctx, job, m, e)
	if err != nil {
		v.f.log.Debug("move", "job", job.ID, "move", m.ID, "effect", e.Kind, "err", err)
		return reshard.Event{Kind: reshard.Failed, Text: err.Error()}
	}
	return ev
}

func (v *mover) do(ctx context.Context, job *reshard.Job, m *reshard.Move, e reshard.Effect) (reshard.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, effectLimit[e.Kind])
	defer cancel()
	units := shard.FormatUnits(unitsOfMove(m))
	switch e.Kind {
	case reshard.Copy:
		return event(reshard.Copied), v.copy(ctx, job, m, units)
	case reshard.Compare:
		return v.verify(ctx, job, m, units)
	case reshard.Seal:
		if len(m.Epochs) != len(m.Units) {
			return reshard.Event{}, errors.New("the epochs of the units are not known")
		}
		m.Sealed = time.Now().UTC()
		_, err := v.one(ctx, m.From, "SELECT helios.seal($1, $2)", units, shard.FormatEpochs(unitsOfMove(m), m.Epochs))
		return event(reshard.IsSealed), err
	case reshard.Drain:
		return v.drain(ctx, job, m, units)
	case reshard.StopRead:
		text, err := v.one(ctx, m.From, "SELECT helios.reads_off($1)", units)
		if err != nil {
			return event(reshard.Lost), nil //nolint:nilerr // a seal that is gone is an event of its own
		}
		ts, err := strconv.ParseUint(text, 10, 63)
		return reshard.Event{Kind: reshard.ReadsOff, Time: hlc.Timestamp(ts)}, err
	case reshard.Flip:
		return v.flip(ctx, m, e.Time)
	case reshard.Unseal:
		return reshard.Event{}, undoMove(ctx, v.f.o.store, m.From, unitsOfMove(m), m.Epochs)
	case reshard.Await:
		text, err := v.one(ctx, m.To, "SELECT helios.owns($1)", units)
		if err == nil && text != "t" {
			err = errors.New("the target has not taken over yet")
		}
		return event(reshard.Serving), err
	case reshard.Clean:
		if _, err := v.one(ctx, m.To, "SELECT helios.copy_stop($1)", copyKey(job, m)); err != nil {
			return reshard.Event{}, err
		}
		_, err := v.one(ctx, m.From, "SELECT helios.drop_units($1)", units)
		return event(reshard.Cleaned), err
	case reshard.Discard:
		return event(reshard.Cleaned), v.discard(ctx, job, m, units)
	}
	return reshard.Event{}, fmt.Errorf("unknown effect %q", e.Kind)
}

// effectLimit bounds each effect; what takes longer has failed and is tried again.
var effectLimit = map[reshard.Kind]time.Duration{
	reshard.Copy: 10 * time.Minute, reshard.Compare: time.Minute, reshard.Seal: 5 * time.Second,
	reshard.Drain: shard.SealDeadline, reshard.StopRead: 2 * time.Second, reshard.Flip: 5 * time.Second,
	reshard.Unseal: 5 * time.Second, reshard.Await: 5 * time.Second, reshard.Clean: time.Minute, reshard.Discard: time.Minute,
}

func event(k reshard.Kind) reshard.Event { return reshard.Event{Kind: k} }

func copyKey(job *reshard.Job, m *reshard.Move) string { return fmt.Sprintf("%d.%d", job.ID, m.ID) }

func (v *mover) one(ctx context.Context, id cluster.ShardID, text string, args ...string) (string, error) {
	return v.f.peers.one(ctx, id, text, args...)
}

// copy has the target copy and follow, and returns when it is close behind the source.
func (v *mover) copy(ctx context.Context, job *reshard.Job, m *reshard.Move, units string) error {
	_, err := v.one(ctx, m.To, "SELECT helios.copy_start($1, $2, $3::int, $4::int)",
		copyKey(job, m), units, strconv.Itoa(int(m.From)), strconv.Itoa(job.Streams))
	if err != nil {
		return err
	}
	for tries := 1; ; tries++ {
		s, err := v.status(ctx, job, m)
		if err != nil {
			return err
		}
		if s.state == "following" {
			return nil
		}
		if tries%50 == 0 { // a copy may take minutes: look whether it is wanted still
			if now, _, err := v.f.jobDoc(job.ID).Load(ctx); err == nil && now.Abort && !job.Abort {
				return errors.New("the job is to be aborted")
			}
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

func (v *mover) status(ctx context.Context, job *reshard.Job, m *reshard.Move) (copyStatus, error) {
	text, err := v.one(ctx, m.To, "SELECT helios.copy_status($1)", copyKey(job, m))
	if err != nil {
		return copyStatus{}, err
	}
	s, err := parseCopyStatus(text)
	if err == nil {
		m.Rows, m.Bytes = s.rows, s.bytes
		if s.state == "none" || s.state == "failed" {
			err = errNoSuchCopy
		}
	}
	return s, err
}

// caughtUp waits until the target has all that the source's log holds now.
func (v *mover) caughtUp(ctx context.Context, job *reshard.Job, m *reshard.Move) error {
	text, err := v.one(ctx, m.From, "SELECT helios.log_end()")
	if err != nil {
		return err
	}
	end, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return err
	}
	for {
		s, err := v.status(ctx, job, m)
		if err != nil || s.reached >= end {
			return err
		}
		if err := sleep(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
}

// compare compares digests at a timestamp at which the source is settled.
func (v *mover) compare(ctx context.Context, job *reshard.Job, m *reshard.Move, units string, same reshard.Kind) (reshard.Event, error) {
	at, err := v.one(ctx, m.From, "SELECT helios.visible()")
	if err != nil {
		return reshard.Event{}, err
	}
	if err := v.caughtUp(ctx, job, m); err != nil {
		return v.lostCopy(ctx, job, m, err)
	}
	from, err := v.one(ctx, m.From, "SELECT helios.digest($1, $2)", units, at)
	if err != nil {
		return reshard.Event{}, err
	}
	to, err := v.one(ctx, m.To, "SELECT helios.digest($1, $2)", units, at)
	if err != nil {
		return reshard.Event{}, err
	}
	if from != to {
		return reshard.Event{Kind: reshard.Differ, Text: from + " at the source, " + to + " at the target"}, nil
	}
	return event(same), nil
}

// verify compares, and notes the epochs that the flip will replace.
func (v *mover) verify(ctx context.Context, job *reshard.Job, m *reshard.Move, units string) (reshard.Event, error) {
	now, _, err := consensus.ClusterMap(v.f.o.store).Load(ctx)
	if err != nil {
		return reshard.Event{}, err
	}
	var epochs []uint32
	for _, u := range unitsOfMove(m) {
		o := ownerOf(now, u)
		if o.Shard != m.From {
			return reshard.Event{}, fmt.Errorf("%s belongs to shard %d", u, o.Shard)
		}
		epochs = append(epochs, o.Epoch)
	}
	e, err := v.compare(ctx, job, m, units, reshard.Equal)
	e.Epochs = epochs
	return e, err
}

// lostCopy begins the copy again when the target has forgotten it: its primary changed.
func (v *mover) lostCopy(ctx context.Context, job *reshard.Job, m *reshard.Move, err error) (reshard.Event, error) {
	if errors.Is(err, errNoSuchCopy) {
		if again := v.copy(ctx, job, m, shard.FormatUnits(unitsOfMove(m))); again != nil {
			return reshard.Event{}, again
		}
	}
	return reshard.Event{}, err
}

// drain waits until nothing of the units is undecided, the target has everything and the
// digests agree.
func (v *mover) drain(ctx context.Context, job *reshard.Job, m *reshard.Move, units string) (reshard.Event, error) {
	for {
		text, err := v.one(ctx, m.From, "SELECT helios.drained($1)", units)
		if err != nil {
			return event(reshard.Lost), nil //nolint:nilerr // as above
		}
		if text == "t" {
			break
		}
		if err := sleep(ctx, 2*time.Millisecond); err != nil {
			return event(reshard.Lost), nil //nolint:nilerr // as above
		}
	}
	if err := v.moveSequences(ctx, m, units); err != nil {
		return reshard.Event{}, err
	}
	return v.compare(ctx, job, m, units, reshard.IsDrained)
}

// moveSequences tells the target how far the sequences of the sealed units have come: the
// source hands out no more values.
func (v *mover) moveSequences(ctx context.Context, m *reshard.Move, units string) error {
	now, _, err := consensus.ClusterMap(v.f.o.store).Load(ctx)
	if err != nil {
		return err
	}
	marks, err := v.one(ctx, m.From, "SELECT helios.sequence_marks($1, $2::int)", units, strconv.Itoa(now.SlotCount()))
	if err != nil || marks == "" {
		return err
	}
	_, err = v.one(ctx, m.To, "SELECT helios.sequence_adopt($1)", marks)
	return err
}

// flip is the commit point of a move: one compare-and-set makes the target the owner.
func (v *mover) flip(ctx context.Context, m *reshard.Move, floor hlc.Timestamp) (reshard.Event, error) {
	kind := reshard.FlipDone
	_, err := consensus.ClusterMap(v.f.o.store).Edit(ctx, func(now *cluster.Map) (*cluster.Map, error) {
		units := unitsOfMove(m)
		kind = reshard.FlipDone
		if o := ownerOf(now, units[0]); o.Shard == m.To && o.Epoch > m.Epochs[0] {
			return now, nil // done before
		}
		for i, u := range units {
			if o := ownerOf(now, u); o.Shard != m.From || o.Epoch != m.Epochs[i] {
				kind = reshard.FlipLost
				return now, nil
			}
		}
		return now.Edit(func(next *cluster.Map) error {
			next.Floor = max(next.Floor, uint64(floor))
			for i, u := range units {
				setOwner(next, u, cluster.Owner{Shard: m.To, Epoch: m.Epochs[i] + 2})
			}
			return nil
		})
	})
	if err == nil && kind == reshard.FlipDone {
		m.PauseMS = max(1, time.Since(m.Sealed).Milliseconds())
	}
	return event(kind), err
}

// discard undoes a move: the units go back if they were sealed, the copy is dropped.
func (v *mover) discard(ctx context.Context, job *reshard.Job, m *reshard.Move, units string) error {
	if err := undoMove(ctx, v.f.o.store, m.From, unitsOfMove(m), m.Epochs); err != nil {
		return err
	}
	if _, err := v.one(ctx, m.To, "SELECT helios.copy_stop($1)", copyKey(job, m)); err != nil {
		return err
	}
	_, err := v.one(ctx, m.To, "SELECT helios.drop_units($1)", units)
	return err
}

// undoMove makes the source the owner again with the next epoch, which ends seal and
// reads-off there; nothing if the flip or another undoing came first. epochs are those
// at the seal, nil if there was none.
func undoMove(ctx context.Context, store consensus.Store, from cluster.ShardID, units []placement.Unit, epochs []uint32) error {
	if len(epochs) != len(units) {
		return nil
	}
	_, err := consensus.ClusterMap(store).Edit(ctx, func(now *cluster.Map) (*cluster.Map, error) {
		for i, u := range units {
			if o := ownerOf(now, u); o.Shard != from || o.Epoch != epochs[i] {
				return now, nil
			}
		}
		return now.Edit(func(next *cluster.Map) error {
			for i, u := range units {
				setOwner(next, u, cluster.Owner{Shard: from, Epoch: epochs[i] + 1})
			}
			return nil
		})
	})
	return err
}

func ownerOf(m *cluster.Map, u placement.Unit) cluster.Owner {
	if u.Space == 0 {
		return m.Slots[u.N]
	}
	o, _ := m.Cell(u.Space, u.N)
	return o
}

func setOwner(m *cluster.Map, u placement.Unit, o cluster.Owner) {
	if u.Space == 0 {
		m.Slots[u.N] = o
		return
	}
	cells := m.CellSets[u.Space].Cells
	i := slices.IndexFunc(cells, func(c cluster.CellOwner) bool { return c.Cell == u.N })
	if i >= 0 {
		cells[i].Owner = o
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Prepare lets new shards join and plans the moves.
func (v *mover) Prepare(ctx context.Context, job *reshard.Job) error {
	m := v.f.current.Load()
	for _, id := range job.Shards {
		if s, ok := m.Shard(id); !ok || s.State == cluster.Joining {
			if err := v.join(ctx, id); err != nil {
				return fmt.Errorf("shard %d: %w", id, err)
			}
		}
	}
	if len(job.Moves) > 0 {
		return nil
	}
	now, _, err := consensus.ClusterMap(v.f.o.store).Load(ctx)
	if err != nil {
		return err
	}
	var shards []hashring.Shard
	for _, s := range now.Shards {
		shards = append(shards, hashring.Shard{ID: s.ID, Weight: s.Weight})
	}
	weights, err := v.weights(ctx)
	if err != nil {
		return err
	}
	if job.Moves, err = reshard.Plan(now, shards, weights); err != nil {
		return fmt.Errorf("%w: %w", reshard.ErrRefused, err)
	}
	return nil
}

// weights counts the rows of the units of tables with units of their own.
func (v *mover) weights(ctx context.Context) (reshard.Weights, error) {
	out := reshard.Weights{}
	for rel := range v.f.router.Catalog().Relations() {
		p := rel.Placement.Strategy
		if rel.Virtual || rel.Kind != catalog.KindTable || p != catalog.Vector && p != catalog.Range && p != catalog.Geo {
			continue
		}
		text := fmt.Sprintf("SELECT helios_slot, count(*) FROM %s GROUP BY helios_slot", quoted(rel))
		for _, s := range v.f.current.Load().Shards {
			n, ok := s.PrimaryNode()
			if !ok {
				return nil, types.Errorf("57P03", "shard %d has no primary", s.ID)
			}
			rows, err := v.f.ask(ctx, n.SQL, text)
			if err != nil {
				return nil, err
			}
			for _, r := range rows {
				out[reshard.Unit{Space: uint32(rel.OID), N: uint32(r[0].AsInt())}] += r[1].AsInt()
			}
		}
	}
	return out, nil
}
