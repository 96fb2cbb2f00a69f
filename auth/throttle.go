package auth

import (
	"sync"
	"time"
)

const (
	throttleFree  = 3 // failures that cost nothing
	throttleFirst = 250 * time.Millisecond
	throttleMost  = 30 * time.Second
	throttleSize  = 10_000 // pairs of user and address that are remembered
)

// Throttle slows down guessing: each failure of a user from an address doubles how long the
// next attempt must wait. It knows no clock; callers say what time it is. All methods may
// be called at any time.
type Throttle struct {
	mu struct {
		sync.Mutex
		failures map[throttleKey]failure
	}
}

type throttleKey struct{ user, address string }

type failure struct {
	count int
	until time.Time // the next attempt may start then
}

// Wait is how long an attempt must wait before it starts, 0 for most.
func (t *Throttle) Wait(user, address string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(t.mu.failures[throttleKey{user, address}].until.Sub(now), 0)
}

// Failed counts a failure.
func (t *Throttle) Failed(user, address string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.failures == nil {
		t.mu.failures = make(map[throttleKey]failure)
	}
	key := throttleKey{user, address}
	f, known := t.mu.failures[key]
	if !known && len(t.mu.failures) >= throttleSize {
		t.forgetOne(now)
	}
	f.count++
	if f.count > throttleFree {
		doublings := min(f.count-throttleFree-1, 16)
		f.until = now.Add(min(throttleFirst<<doublings, throttleMost))
	}
	t.mu.failures[key] = f
}

// Succeeded forgets the failures.
func (t *Throttle) Succeeded(user, address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.mu.failures, throttleKey{user, address})
}

// forgetOne makes room: all that need not wait any more, or else the one that waits least.
func (t *Throttle) forgetOne(now time.Time) {
	var least throttleKey
	first := true
	for key, f := range t.mu.failures {
		if !f.until.After(now) {
			delete(t.mu.failures, key)
		} else if first || f.until.Before(t.mu.failures[least].until) {
			least, first = key, false
		}
	}
	if len(t.mu.failures) >= throttleSize {
		delete(t.mu.failures, least)
	}
}
