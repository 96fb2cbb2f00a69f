package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heliosdb/helios/consensus"
)

// TestThreeObservers: observers that are told of one another are one store, which goes on
// without one of them; and no list of observers that are not one store is accepted.
func TestThreeObservers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts four members")
	}
	base := freeBlock(t, 8)
	addr := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", base+2*i) }
	all := []string{addr(0), addr(1), addr(2)}
	observers, options := startObservers(t, all)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	store, err := dialObservers(ctx, all, "three")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	count := consensus.At[int](store, "count")
	add := func() {
		t.Helper()
		increment(ctx, t, count)
	}
	add()
	for i, o := range observers { // all three have it: they are one store
		if n, _, err := consensus.At[int](o.store, "count").Load(ctx); n != 1 || err != nil {
			t.Errorf("observer %d reads %d, %v, want 1", i, n, err)
		}
	}

	alone, err := startObserver(ctx, observerOptions{id: "alone", cluster: "three", listen: addr(3), data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer alone.stop()
	for _, list := range [][]string{{addr(0), addr(3)}, {addr(0), addr(1), addr(2), addr(3)}, {addr(0), addr(1)}} {
		if s, err := dialObservers(ctx, list, "three"); err == nil {
			s.Close()
			t.Errorf("%v were taken for one store", list)
		}
	}

	observers[0].stop()
	add()
	if observers[0], err = startObserver(ctx, options[0]); err != nil {
		t.Fatal(err)
	}
	observers[1].stop()
	add()
	if n, _, err := count.Load(ctx); n < 3 || err != nil {
		t.Errorf("reads %d, %v, want 3 at least", n, err)
	}
	observers[0].stop()
	observers[2].stop()
}

// startObservers starts observers at these addresses, all at once.
func startObservers(t *testing.T, all []string) ([]*observer, []observerOptions) {
	t.Helper()
	options := make([]observerOptions, len(all))
	observers := make([]*observer, len(all))
	var starts sync.WaitGroup
	for i := range all {
		options[i] = observerOptions{id: fmt.Sprint("o", i), cluster: "three", listen: all[i], all: all, data: t.TempDir()}
		starts.Go(func() {
			var err error
			if observers[i], err = startObserver(t.Context(), options[i]); err != nil {
				t.Error(err)
			}
		})
	}
	starts.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return observers, options
}

// increment adds one at least: an answer may be lost with a leader.
func increment(ctx context.Context, t *testing.T, count consensus.Doc[int]) {
	t.Helper()
	for {
		short, done := context.WithTimeout(ctx, 3*time.Second)
		_, err := count.Update(short, func(n *int) error { *n++; return nil })
		done()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// An observer that was founded alone stays alone: a list that says otherwise is refused.
func TestObserverLists(t *testing.T) {
	base := freeBlock(t, 6)
	addr := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", base+2*i) }
	dir := t.TempDir()
	o := observerOptions{id: "o", cluster: "one", listen: addr(0), data: dir}
	b, err := startObserver(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	b.stop()
	for want, list := range map[string][]string{
		"has the members":   {addr(0), addr(1), addr(2)},
		"do not name this":  {addr(1), addr(2)},
		"is used twice":     {addr(0), addr(0)},
		"or the port after": {addr(0), fmt.Sprint("127.0.0.1:", base+1)},
		"not host:port":     {addr(0), "nowhere"},
	} {
		o.all = list
		b, err := startObserver(t.Context(), o)
		if err == nil {
			b.stop()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want an error with %q", list, err, want)
		}
	}
	o.all = []string{strings.Replace(addr(0), "127.0.0.1", "localhost", 1)}
	if b, err = startObserver(t.Context(), o); err != nil {
		t.Fatalf("a list of one that is itself: %v", err)
	}
	b.stop()
}

// freeBlock finds n ports in a row that nobody uses.
func freeBlock(t *testing.T, n int) int {
	t.Helper()
next:
	for range 200 {
		first := 12000 + n*rand.IntN(19000/n)
		for port := first; port < first+n; port++ {
			l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
			if err != nil {
				continue next
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
		return first
	}
	t.Fatal("no block of free ports")
	return 0
}
