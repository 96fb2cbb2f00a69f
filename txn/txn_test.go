package txn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/storage"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/wal"
)

// TestView holds that a transaction reads its own writes over the snapshot, in order and
// against it, with savepoints undone.
func TestView(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := storage.Open(storage.Options{FS: vfs.NewMem(), Dir: "db"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		key := rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("k%d", rapid.IntRange(0, 9).Draw(t, "key")) })
		model := map[string]string{}
		var b storage.Batch
		for range rapid.IntRange(0, 8).Draw(t, "stored") {
			k := key.Draw(t, "k")
			b.Put([]byte(k), []byte("old"+k))
			model[k] = "old" + k
		}
		if err := s.Apply(storage.Position{Term: 1, LSN: wal.LSN(10)}, storage.Commit(5, &b)); err != nil {
			t.Fatal(err)
		}
		tx := New(1, s, NewLocks(time.Second), Options{})
		saved := []map[string]string{}
		for i := range rapid.IntRange(0, 20).Draw(t, "ops") {
			k := key.Draw(t, "k")
			switch rapid.IntRange(0, 4).Draw(t, "op") {
			case 0, 1:
				model[k] = fmt.Sprint(i)
				_ = tx.Put([]byte(k), []byte(model[k]))
			case 2:
				delete(model, k)
				_ = tx.Delete([]byte(k))
			case 3:
				copied := map[string]string{}
				for k, v := range model {
					copied[k] = v
				}
				saved = append(saved, copied)
				tx.Savepoint(fmt.Sprint("s", len(saved)))
			case 4:
				if len(saved) > 0 {
					n := rapid.IntRange(1, len(saved)).Draw(t, "to")
					if !tx.RollbackTo(fmt.Sprint("s", n)) {
						t.Fatalf("savepoint s%d is gone", n)
					}
					saved = saved[:n]
					model = map[string]string{}
					for k, v := range saved[n-1] {
						model[k] = v
					}
				}
			}
		}
		sn := s.Snapshot(5, nil)
		defer sn.Close()
		view := View{Snapshot: sn, Tx: tx}
		var want, got []string
		for k, v := range model {
			want = append(want, k+"="+v)
			if r, ok, err := view.Get([]byte(k)); err != nil || !ok || string(r.Value) != v {
				t.Fatalf("get %s: %q %v %v, want %q", k, r.Value, ok, err, v)
			}
		}
		slices.Sort(want)
		reverse := rapid.Bool().Draw(t, "reverse")
		if reverse {
			slices.Reverse(want)
		}
		it := view.Scan([]byte("k"), []byte("l"), reverse)
		for it.Next() {
			got = append(got, string(it.Row().Key)+"="+string(it.Row().Value))
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// TestConflict: under the lock a newer version is an error, an older one is not.
func TestConflict(t *testing.T) {
	s, err := storage.Open(storage.Options{FS: vfs.NewMem(), Dir: "db"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var b storage.Batch
	b.Put([]byte("k"), []byte("v"))
	b.PutMoved([]byte("m"), []byte("v"), hlc.Timestamp(3))
	if err := s.Apply(storage.Position{Term: 1, LSN: 10}, storage.Commit(7, &b)); err != nil {
		t.Fatal(err)
	}
	tx := New(1, s, NewLocks(time.Second), Options{})
	defer tx.End()
	var newer *NewerError
	if err := tx.Lock(t.Context(), []byte("k"), Update, Block, 6); !errors.As(err, &newer) || newer.Time != 7 {
		t.Errorf("got %v, want a newer version at 7", err)
	}
	if err := tx.Lock(t.Context(), []byte("k"), Update, Block, 7); err != nil {
		t.Errorf("got %v, want none", err)
	}
	if err := tx.Lock(t.Context(), []byte("m"), Update, Block, 6); err != nil {
		t.Errorf("a moved row conflicts with its move: %v", err)
	}
}

func TestLocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLocks(time.Second)
		ctx := t.Context()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(l.Acquire(ctx, 1, "a", Share, Block, 0))
		must(l.Acquire(ctx, 2, "a", KeyShare, Block, 0))
		if got, want := types.CodeOf(l.Acquire(ctx, 3, "a", Update, NoWait, 0)), "55P03"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if err := l.Acquire(ctx, 3, "a", Update, Skip, 0); !errors.Is(err, ErrSkipped) {
			t.Errorf("got %v, want ErrSkipped", err)
		}
		if got, want := types.CodeOf(l.Acquire(ctx, 3, "a", Update, Block, 10*time.Millisecond)), "55P03"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		done := make(chan error)
		go func() { done <- l.Acquire(ctx, 3, "a", Update, Block, 0) }()
		synctest.Wait()
		l.Release(1)
		l.Release(2)
		must(<-done)

		// A cycle of two: the one whose check comes first is the victim, the other goes on.
		must(l.Acquire(ctx, 4, "b", Update, Block, 0))
		go func() { done <- l.Acquire(ctx, 3, "b", Update, Block, 0) }()
		synctest.Wait()
		time.Sleep(100 * time.Millisecond)
		other := make(chan error)
		go func() { other <- l.Acquire(ctx, 4, "a", Update, Block, 0) }()
		if got, want := types.CodeOf(<-done), "40P01"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		l.Release(3)
		must(<-other)

		// A cancelled wait leaves no trace.
		short, cancel := context.WithCancel(ctx)
		go func() { done <- l.Acquire(short, 5, "a", Share, Block, 0) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want canceled", err)
		}
		// A reset answers whoever waits.
		go func() { done <- l.Acquire(ctx, 5, "a", Share, Block, 0) }()
		synctest.Wait()
		gone := errors.New("no longer primary")
		l.Reset(gone)
		if err := <-done; !errors.Is(err, gone) {
			t.Errorf("got %v, want %v", err, gone)
		}
		l.Reset(nil)
		must(l.Acquire(ctx, 6, "a", Update, Block, 0))
	})
}
