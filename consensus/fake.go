package consensus

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
)

// Fake is a store in memory for tests: linearizable, without time of its own,
// fit for a testing/synctest bubble. Each client may be cut off from it.
type Fake struct {
	mu struct {
		sync.Mutex
		rev     int64
		items   map[string]Item
		cut     map[string]Cut
		changed chan struct{} // closed at every write and every change of cut
	}
}

// Cut says what a client of a Fake is cut off from.
type Cut int

const (
	// Connected clients are served.
	Connected Cut = iota
	// CutReplies lets requests through and loses the answers: a Swap happens,
	// its caller never learns of it.
	CutReplies
	// CutOff lets nothing through.
	CutOff
)

// NewFake returns an empty store.
func NewFake() *Fake {
	f := &Fake{}
	f.mu.items = make(map[string]Item)
	f.mu.cut = make(map[string]Cut)
	f.mu.changed = make(chan struct{})
	return f
}

// Client returns the store as the named client sees it. A client that is cut
// off waits until its context ends or it is connected again.
func (f *Fake) Client(name string) Store { return &fakeClient{f, name} }

// Cut cuts a client off, or connects it again.
func (f *Fake) Cut(client string, cut Cut) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.cut[client] = cut
	f.announce()
}

// announce wakes all who wait; the lock is held.
func (f *Fake) announce() {
	close(f.mu.changed)
	f.mu.changed = make(chan struct{})
}

func (f *Fake) swap(writes []Write) (int64, error) {
	for _, w := range writes {
		if f.mu.items[w.key].Rev != w.rev {
			return 0, ErrConflict
		}
	}
	wrote := false
	for _, w := range writes {
		switch w.kind {
		case put:
			f.mu.items[w.key] = Item{Key: w.key, Value: append([]byte{}, w.value...), Rev: f.mu.rev + 1}
			wrote = true
		case remove:
			delete(f.mu.items, w.key)
			wrote = true
		}
	}
	if wrote {
		f.mu.rev++
		f.announce()
	}
	return f.mu.rev, nil
}

func (f *Fake) list(prefix string) []Item {
	var items []Item
	for key, item := range f.mu.items {
		if strings.HasPrefix(key, prefix) {
			item.Value = slices.Clone(item.Value)
			items = append(items, item)
		}
	}
	slices.SortFunc(items, func(a, b Item) int { return cmp.Compare(a.Key, b.Key) })
	return items
}

type fakeClient struct {
	fake *Fake
	name string
}

// do runs fn under the store's lock as soon as requests get through, and
// returns when answers do.
func (c *fakeClient) do(ctx context.Context, fn func(f *Fake)) error {
	for asked := false; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.fake.mu.Lock()
		cut, changed := c.fake.mu.cut[c.name], c.fake.mu.changed
		if cut != CutOff && !asked {
			fn(c.fake)
			asked = true
			changed = c.fake.mu.changed
		}
		c.fake.mu.Unlock()
		if asked && cut == Connected {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *fakeClient) Get(ctx context.Context, key string) (item Item, err error) {
	err = c.do(ctx, func(f *Fake) {
		item = f.mu.items[key]
		item.Key, item.Value = key, slices.Clone(item.Value)
	})
	return item, err
}

func (c *fakeClient) Swap(ctx context.Context, writes ...Write) (rev int64, err error) {
	var conflict error
	if err := c.do(ctx, func(f *Fake) { rev, conflict = f.swap(writes) }); err != nil {
		return 0, err
	}
	return rev, conflict
}

func (c *fakeClient) List(ctx context.Context, prefix string) (items []Item, err error) {
	err = c.do(ctx, func(f *Fake) { items = f.list(prefix) })
	return items, err
}

func (c *fakeClient) Watch(ctx context.Context, prefix string, fn func([]Item)) error {
	known := make(map[string]int64)
	for first := true; ; first = false {
		var items []Item
		var rev int64
		var changed chan struct{}
		err := c.do(ctx, func(f *Fake) { items, rev, changed = f.list(prefix), f.mu.rev, f.mu.changed })
		if err != nil {
			return err
		}
		if news := difference(known, items, rev); first || len(news) > 0 {
			fn(news)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *fakeClient) Members(ctx context.Context) ([]Member, error) {
	if err := c.do(ctx, func(*Fake) {}); err != nil {
		return nil, err
	}
	return []Member{{Name: "fake"}}, nil
}

func (c *fakeClient) Close() error { return nil }
