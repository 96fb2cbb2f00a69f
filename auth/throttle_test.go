package auth

import (
	"fmt"
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	var throttle Throttle
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	want := []time.Duration{0, 0, 0, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second}
	for i, wait := range want {
		throttle.Failed("ada", "10.0.0.1", now)
		if got := throttle.Wait("ada", "10.0.0.1", now); got != wait {
			t.Errorf("after %d failures wait %v, want %v", i+1, got, wait)
		}
	}
	if got := throttle.Wait("ada", "10.0.0.1", now.Add(time.Second)); got != time.Second {
		t.Errorf("a second later wait %v", got)
	}
	if a, b := throttle.Wait("ada", "10.0.0.2", now), throttle.Wait("bob", "10.0.0.1", now); a+b != 0 {
		t.Errorf("others wait %v, %v", a, b)
	}
	for range 100 {
		throttle.Failed("ada", "10.0.0.1", now)
	}
	if got := throttle.Wait("ada", "10.0.0.1", now); got != throttleMost {
		t.Errorf("wait %v, want at most %v", got, throttleMost)
	}
	throttle.Succeeded("ada", "10.0.0.1")
	if got := throttle.Wait("ada", "10.0.0.1", now); got != 0 {
		t.Errorf("after a success wait %v", got)
	}
}

// TestThrottleMemory holds that strangers cannot fill the memory, nor push out quickly a
// pair that has to wait.
func TestThrottleMemory(t *testing.T) {
	var throttle Throttle
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	for range 20 {
		throttle.Failed("ada", "10.0.0.1", now)
	}
	for i := range 3 * throttleSize {
		throttle.Failed(fmt.Sprint(i), "10.0.0.1", now)
	}
	if got := len(throttle.mu.failures); got > throttleSize {
		t.Errorf("%d pairs remembered", got)
	}
	if throttle.Wait("ada", "10.0.0.1", now) == 0 {
		t.Error("a throttled pair was forgotten")
	}
}
