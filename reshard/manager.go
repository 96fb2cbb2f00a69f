package reshard

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Calls is what a Manager needs of the cluster: shards, by SQL, and the control store.
// Every call may be repeated.
type Calls interface {
	// Prepare makes the shards of the job ready to take rows: new ones get the catalog and
	// all reference tables and join the cluster map. It fills in the moves if there are none.
	Prepare(ctx context.Context, job *Job) error
	// Do carries out one effect of a move and gives its outcome as an event. Save, Retry
	// and Unseal have none.
	Do(ctx context.Context, job *Job, m *Move, e Effect) Event
	// Save stores the job; abort tells that an operator has asked to end it.
	Save(ctx context.Context, job *Job) (abort bool, err error)
}

// Manager drives reshard jobs. One Manager at a time drives a
// job; another one may take it up where the last left it.
type Manager struct {
	calls Calls
	log   *slog.Logger
	pause time.Duration
}

// NewManager makes a Manager.
func NewManager(calls Calls, log *slog.Logger) *Manager {
	return &Manager{calls: calls, log: log, pause: 100 * time.Millisecond}
}

// Run drives a job to its end, move by move. It returns early with an error when ctx ends
// or the job cannot be stored; the job then goes on under another Manager.
func (g *Manager) Run(ctx context.Context, job *Job) error {
	if job.State.Ended() {
		return nil
	}
	if err := g.prepare(ctx, job); err != nil || job.State.Ended() {
		return err
	}
	job.State, job.Error = Copying, ""
	for i := range job.Moves {
		m := &job.Moves[i]
		if m.State == Planned && job.Abort {
			job.Error = canceled
			g.cancelRest(job, i)
			return g.end(ctx, job, Aborted)
		}
		if err := g.drive(ctx, job, m); err != nil {
			return err
		}
		if m.State == Aborted {
			job.Error = m.Error
			g.cancelRest(job, i+1)
			return g.end(ctx, job, Aborted)
		}
	}
	job.Error = ""
	return g.end(ctx, job, Done)
}

// prepare makes the shards ready, or ends the job: it was asked to, or they cannot be.
func (g *Manager) prepare(ctx context.Context, job *Job) error {
	for tries := 0; ; tries++ {
		if job.Abort && !job.begun() {
			job.Error = canceled
			g.cancelRest(job, 0)
			return g.end(ctx, job, Aborted)
		}
		err := g.calls.Prepare(ctx, job)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if job.Error = err.Error(); !job.begun() && (tries >= maxRetries || errors.Is(err, ErrRefused)) {
			g.cancelRest(job, 0)
			return g.end(ctx, job, Aborted)
		}
		g.log.Info("reshard is waiting", "job", job.ID, "err", err)
		if err := g.save(ctx, job); err != nil {
			return err
		}
		if err := g.wait(ctx); err != nil {
			return err
		}
	}
}

// save stores the job and notes whether an operator has asked to end it.
func (g *Manager) save(ctx context.Context, job *Job) error {
	abort, err := g.calls.Save(ctx, job)
	job.Abort = job.Abort || abort
	return err
}

// ErrRefused is wrapped by what makes a job impossible, so that trying again is no use.
var ErrRefused = errors.New("the reshard cannot be done")

func (g *Manager) cancelRest(job *Job, from int) {
	for i := from; i < len(job.Moves); i++ {
		if job.Moves[i].State == Planned {
			job.Moves[i].State = Aborted
		}
	}
}

func (g *Manager) end(ctx context.Context, job *Job, s State) error {
	job.State, job.Finished = s, time.Now().UTC()
	_, err := g.calls.Save(ctx, job)
	g.log.Info("reshard ended", "job", job.ID, "state", s, "err", job.Error)
	return err
}

func (g *Manager) wait(ctx context.Context) error {
	select {
	case <-time.After(g.pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drive takes one move to its end.
func (g *Manager) drive(ctx context.Context, job *Job, m *Move) error {
	queue := m.Step(Event{Kind: Start})
	for len(queue) > 0 && !m.State.Ended() || len(queue) > 0 && queue[0].Kind == Save {
		e := queue[0]
		queue = queue[1:]
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if e.Kind == Save || e.Kind == Retry {
			if err := g.save(ctx, job); err != nil {
				return err
			}
			if job.Abort {
				if effects := m.Step(Event{Kind: Cancel}); len(effects) > 0 {
					queue = effects // what was about to be done is overtaken
					continue
				}
			}
			if e.Kind == Save {
				continue
			}
			if err := g.wait(ctx); err != nil {
				return err
			}
			e.Kind, e.Time = e.Again, m.Floor
		}
		ev := g.calls.Do(ctx, job, m, e)
		if e.Kind != Unseal {
			queue = append(queue, m.Step(ev)...)
		}
	}
	return nil
}
