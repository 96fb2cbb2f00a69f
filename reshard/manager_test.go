package reshard

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
)

// script answers effects from a list, and stops the driver where it is told to.
type script struct {
	saved   []State
	abortAt State        // of the first move
	abortIn int          // after so many saves
	fail    map[Kind]int // how often an effect fails first
	done    []Kind
	asked   bool
}

func (s *script) Prepare(_ context.Context, job *Job) error {
	if len(job.Moves) == 0 {
		job.Moves = moves(Planned, Planned)
	}
	return nil
}

func (s *script) Save(_ context.Context, job *Job) (bool, error) {
	state := Planned
	if len(job.Moves) > 0 {
		state = job.Moves[0].State
	}
	s.saved = append(s.saved, state)
	if state == s.abortAt || len(s.saved) == s.abortIn {
		s.asked = true // the control store does not forget it
	}
	return s.asked, nil
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
		s := &script{fail: map[Kind]int{Await: 3, Compare: 1, Drain: 1, Clean: 1}}
		job := &Job{ID: 1, Shards: []uint16{1, 2}}
		if err := NewManager(s, slog.New(slog.DiscardHandler)).Run(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		if job.State != Done || job.Moves[0].State != Done || job.Moves[1].State != Done {
			t.Errorf("job %s, moves %s %s, want all done", job.State, job.Moves[0].State, job.Moves[1].State)
		}
		if job.Error+job.Moves[0].Error+job.Moves[1].Error != "" {
			t.Errorf("done, with the errors %q, %q and %q of tries on the way", job.Error, job.Moves[0].Error, job.Moves[1].Error)
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

// An operator's wish is heard wherever the job is: while a move goes on that cannot be
// taken back, what has not begun never does; while calls fail; and by a new driver, which
// finds it stored.
func TestManagerAbortIsHeard(t *testing.T) {
	for _, test := range []struct {
		name   string
		script script
		job    Job
		states []State
		text   string
	}{
		{"after the flip", script{abortAt: Flipped}, Job{}, []State{Done, Aborted}, canceled},
		{"after the last flip", script{abortIn: 11}, Job{}, []State{Done, Done}, ""},
		{"while a copy fails", script{abortIn: 5, fail: map[Kind]int{Copy: 1000}}, Job{}, []State{Aborted, Aborted}, canceled},
		{"while a discard fails", script{abortIn: 2, fail: map[Kind]int{Discard: 3}}, Job{}, []State{Aborted, Aborted}, canceled},
		{"before anything", script{asked: true}, Job{Abort: true}, nil, canceled},
		{"taken over while it copies", script{asked: true}, Job{Abort: true, Moves: moves(Copying, Planned)}, []State{Aborted, Aborted}, canceled},
		{"taken over when drained", script{asked: true}, Job{Abort: true, Moves: moves(Drained, Planned)}, []State{Done, Aborted}, canceled},
		{"between two moves", script{asked: true}, Job{Abort: true, Moves: moves(Done, Planned)}, []State{Done, Aborted}, canceled},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				job := test.job
				if err := NewManager(&test.script, slog.New(slog.DiscardHandler)).Run(t.Context(), &job); err != nil {
					t.Fatal(err)
				}
				var states []State
				for _, m := range job.Moves {
					states = append(states, m.State)
				}
				end := Aborted
				if test.text == "" {
					end = Done
				}
				if !slices.Equal(states, test.states) || job.State != end || job.Error != test.text {
					t.Errorf("job %s (%s), moves %v, want %s (%s), %v", job.State, job.Error, states, end, test.text, test.states)
				}
				if discards := test.script.fail[Discard]; discards > 0 {
					t.Errorf("the copy was never dropped")
				}
			})
		})
	}
}

func moves(states ...State) []Move {
	var out []Move
	for i, s := range states {
		out = append(out, Move{ID: i + 1, From: 1, To: 2, Units: []Unit{{N: uint32(i)}}, State: s})
	}
	return out
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
