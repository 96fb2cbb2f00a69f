package reshard

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
)

// script answers effects from a list, and stops the driver where it is told to.
type script struct {
	saved   []State
	abortAt State
	fail    map[Kind]int // how often an effect fails first
	done    []Kind
}

func (s *script) Prepare(_ context.Context, job *Job) error {
	if len(job.Moves) == 0 {
		job.Moves = []Move{{ID: 1, From: 1, To: 2, Units: []Unit{{N: 1}}, State: Planned}, {ID: 2, From: 1, To: 2, Units: []Unit{{N: 2}}, State: Planned}}
	}
	return nil
}

func (s *script) Save(_ context.Context, job *Job) (bool, error) {
	s.saved = append(s.saved, job.Moves[0].State)
	return s.abortAt != "" && job.Moves[0].State == s.abortAt, nil
}

func (s *script) Do(_ context.Context, _ *Job, _ *Move, e Effect) Event {
	s.done = append(s.done, e.Kind)
	if s.fail[e.Kind] > 0 {
		s.fail[e.Kind]--
		return Event{Kind: Failed, Text: "not yet"}
	}
	answers := map[Kind]Kind{
		Copy: Copied, Compare: Equal, Seal: IsSealed, Drain: IsDrained, StopRead: ReadsOff, Flip: FlipDone,
		Await: Serving, Clean: Cleaned, Discard: Cleaned,
	}
	return Event{Kind: answers[e.Kind], Time: 1}
}

func TestManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{fail: map[Kind]int{Await: 3, Compare: 1, Drain: 1}}
		job := &Job{ID: 1, Shards: []uint16{1, 2}}
		if err := NewManager(s, slog.New(slog.DiscardHandler)).Run(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		if job.State != Done || job.Moves[0].State != Done || job.Moves[1].State != Done {
			t.Errorf("job %s, moves %s %s, want all done", job.State, job.Moves[0].State, job.Moves[1].State)
		}
	})
}

// TestManagerAbort ends a job that an operator cancels while rows are compared: the
// target drops its copy, what has not begun never does.
func TestManagerAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{abortAt: Verifying}
		job := &Job{ID: 1, Shards: []uint16{1, 2}}
		if err := NewManager(s, slog.New(slog.DiscardHandler)).Run(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		if job.State != Aborted || job.Moves[0].State != Aborted || job.Moves[1].State != Aborted {
			t.Errorf("job %s, moves %s %s, want all aborted", job.State, job.Moves[0].State, job.Moves[1].State)
		}
		if got, want := s.done[len(s.done)-1], Discard; got != want {
			t.Errorf("the last effect was %s, want %s", got, want)
		}
	})
}

// TestManagerDies leaves a job with a driver that ended in the middle; the next takes it up.
func TestManagerDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{fail: map[Kind]int{Await: 1000}}
		job := &Job{ID: 1, Shards: []uint16{1, 2}}
		ctx, cancel := context.WithTimeout(t.Context(), 1e9)
		defer cancel()
		if err := NewManager(s, slog.New(slog.DiscardHandler)).Run(ctx, job); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want a deadline", err)
		}
		if got, want := job.Moves[0].State, Flipped; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		s.fail = nil
		if err := NewManager(s, slog.New(slog.DiscardHandler)).Run(t.Context(), job); err != nil || job.State != Done {
			t.Fatalf("got %v in state %s, want done", err, job.State)
		}
	})
}
