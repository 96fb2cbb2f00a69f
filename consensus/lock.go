package consensus

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Lock lets one process at a time do some work, such as driving reshard jobs.
// It is a document whose renewals the others watch: a lock not renewed for its
// time to live, by the watcher's own clock, may be taken. It gives liveness
// only; what the work writes must be compare-and-set by itself.
type Lock struct {
	doc    Doc[lockDoc]
	holder string
	ttl    time.Duration
}

type lockDoc struct {
	Holder  string `json:"holder"`
	Renewal uint64 `json:"renewal"`
	TTLms   int64  `json:"ttl_ms"`
}

// NewLock returns the lock of a name for holder, which must be unique among
// the processes that want it.
func NewLock(store Store, name, holder string, ttl time.Duration) *Lock {
	return &Lock{At[lockDoc](store, lockPrefix+name), holder, ttl}
}

// Run waits for the lock, then runs work with a context that ends when the lock
// may be lost, and gives the lock back. It returns the error of work, or of ctx
// if that ends before the lock is there.
func (l *Lock) Run(ctx context.Context, work func(ctx context.Context) error) error {
	rev, until, err := l.acquire(ctx)
	if err != nil {
		return err
	}
	held, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	end := time.AfterFunc(time.Until(until), func() { lose(errLockLost) })
	defer end.Stop()
	done := make(chan error, 1)
	go func() { done <- work(held) }()
	for {
		select {
		case err := <-done:
			return l.release(ctx, err)
		case <-time.After(l.ttl / 4):
			sent := time.Now()
			if next, ok := l.renew(held, rev); ok {
				rev = next
				end.Reset(time.Until(sent.Add(l.ttl)))
			}
		}
	}
}

var errLockLost = errors.New("consensus: lock lost")

// acquire polls, because it must read the clock anyway when nothing changes.
func (l *Lock) acquire(ctx context.Context) (rev int64, until time.Time, err error) {
	var seen int64
	var since time.Time
	for {
		sent := time.Now()
		doc, at, err := l.doc.Load(ctx)
		if err == nil {
			if at != seen {
				seen, since = at, sent
			}
			patience := max(l.ttl, time.Duration(doc.TTLms)*time.Millisecond)
			free := at == 0 || doc.Holder == "" || doc.Holder == l.holder || sent.Sub(since) > patience
			if free {
				sent = time.Now()
				rev, swapped, err := l.doc.Swap(ctx, l.next(doc.Renewal), at)
				if swapped {
					return rev, sent.Add(l.ttl), nil
				} else if err == nil {
					continue
				}
			}
		}
		if err := pause(ctx, l.ttl/4); err != nil {
			return 0, time.Time{}, err
		}
	}
}

func (l *Lock) next(renewal uint64) lockDoc {
	return lockDoc{Holder: l.holder, Renewal: renewal + 1, TTLms: l.ttl.Milliseconds()}
}

// renew writes the next renewal. After an unknown outcome it finds its own
// write at a later revision and goes on from there.
func (l *Lock) renew(ctx context.Context, rev int64) (next int64, ok bool) {
	ctx, stop := context.WithTimeout(ctx, l.ttl/2)
	defer stop()
	doc, at, err := l.doc.Load(ctx)
	if err != nil || doc.Holder != l.holder || at < rev {
		return 0, false
	}
	next, ok, err = l.doc.Swap(ctx, l.next(doc.Renewal), at)
	return next, ok && err == nil
}

func (l *Lock) release(ctx context.Context, result error) error {
	free, stop := context.WithTimeout(context.WithoutCancel(ctx), l.ttl/2)
	defer stop()
	doc, at, err := l.doc.Load(free)
	if err == nil && doc.Holder == l.holder {
		_, _, err = l.doc.Swap(free, lockDoc{Renewal: doc.Renewal}, at)
	}
	if err != nil && result == nil {
		return fmt.Errorf("consensus: lock not given back, it will run out: %w", err)
	}
	return result
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
