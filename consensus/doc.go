package consensus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Doc is one JSON document of the store: a value with a revision, replaced by
// compare-and-set. A Doc of the right type is the authority that package ha
// claims terms from, and the job that package reshard drives.
type Doc[T any] struct {
	store Store
	key   string
}

// At returns the document at key.
func At[T any](store Store, key string) Doc[T] { return Doc[T]{store, key} }

// Load returns the value and its revision; revision 0: there is none.
func (d Doc[T]) Load(ctx context.Context) (T, int64, error) {
	item, err := d.store.Get(ctx, d.key)
	if err != nil || item.Rev == 0 {
		var none T
		return none, 0, err
	}
	v, err := decode[T](item)
	return v, item.Rev, err
}

// Swap replaces the value if it is still at revision prev (0: if there is
// none) and returns the new revision. With swapped false and no error nothing
// was written; with an error the outcome is unknown.
func (d Doc[T]) Swap(ctx context.Context, v T, prev int64) (rev int64, swapped bool, err error) {
	value, err := json.Marshal(v)
	if err != nil {
		return 0, false, fmt.Errorf("consensus: encode %s: %w", d.key, err)
	}
	rev, err = d.store.Swap(ctx, Put(d.key, value, prev))
	if errors.Is(err, ErrConflict) {
		return 0, false, nil
	}
	return rev, err == nil, err
}

// Update replaces the value by what change makes of it, again and again until
// nobody else wrote in between. An error of change ends it, nothing written.
func (d Doc[T]) Update(ctx context.Context, change func(v *T) error) (T, error) {
	for {
		v, rev, err := d.Load(ctx)
		if err != nil {
			return v, err
		}
		if err := change(&v); err != nil {
			return v, err
		}
		if _, swapped, err := d.Swap(ctx, v, rev); swapped || err != nil {
			return v, err
		}
	}
}

// Remove deletes the document if it is still at revision prev.
func (d Doc[T]) Remove(ctx context.Context, prev int64) (removed bool, err error) {
	_, err = d.store.Swap(ctx, Delete(d.key, prev))
	if errors.Is(err, ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// Watch calls fn with the value and its revision, now and whenever it changed,
// until ctx ends; revision 0: there is none.
func (d Doc[T]) Watch(ctx context.Context, fn func(v T, rev int64)) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	first := true
	err := d.store.Watch(ctx, d.key, func(items []Item) {
		told := false
		for _, item := range items {
			if item.Key != d.key {
				continue // a longer key with this prefix
			}
			told = true
			if item.Value == nil {
				var none T
				fn(none, 0)
			} else if v, err := decode[T](item); err != nil {
				stop(err)
			} else {
				fn(v, item.Rev)
			}
		}
		if first && !told {
			var none T
			fn(none, 0)
		}
		first = false
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// Docs are the documents whose keys begin with one prefix, each with an id
// behind it.
type Docs[T any] struct {
	store  Store
	prefix string
}

// Under returns the documents below prefix, which ends in a slash.
func Under[T any](store Store, prefix string) Docs[T] { return Docs[T]{store, prefix} }

// Entry is one of several documents.
type Entry[T any] struct {
	ID    string
	Value T
	Rev   int64
	Gone  bool // deleted; Value is empty
}

// At returns the document with an id.
func (d Docs[T]) At(id string) Doc[T] { return Doc[T]{d.store, d.prefix + id} }

// List returns all, in the order of their ids.
func (d Docs[T]) List(ctx context.Context) ([]Entry[T], error) {
	items, err := d.store.List(ctx, d.prefix)
	if err != nil {
		return nil, err
	}
	return d.entries(items)
}

// Watch calls fn with all documents at once (maybe none), then with those that
// changed, until ctx ends.
func (d Docs[T]) Watch(ctx context.Context, fn func([]Entry[T])) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	err := d.store.Watch(ctx, d.prefix, func(items []Item) {
		entries, err := d.entries(items)
		if err != nil {
			stop(err)
			return
		}
		fn(entries)
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (d Docs[T]) entries(items []Item) ([]Entry[T], error) {
	entries := make([]Entry[T], 0, len(items))
	for _, item := range items {
		entry := Entry[T]{ID: strings.TrimPrefix(item.Key, d.prefix), Rev: item.Rev, Gone: item.Value == nil}
		if !entry.Gone {
			var err error
			if entry.Value, err = decode[T](item); err != nil {
				return nil, err
			}
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

func decode[T any](item Item) (T, error) {
	var v T
	if err := json.Unmarshal(item.Value, &v); err != nil {
		return v, fmt.Errorf("consensus: document %s at revision %d: %w", item.Key, item.Rev, err)
	}
	return v, nil
}
