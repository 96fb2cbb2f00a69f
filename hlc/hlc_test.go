package hlc

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestTimestampParts(t *testing.T) {
	ts := At(1_700_000_000_000, 7)
	if got, want := ts.Millis(), int64(1_700_000_000_000); got != want {
		t.Errorf("Millis = %d, want %d", got, want)
	}
	if got, want := ts.Counter(), uint16(7); got != want {
		t.Errorf("Counter = %d, want %d", got, want)
	}
	if got, want := ts.String(), "1700000000000.7"; got != want {
		t.Errorf("String = %s, want %s", got, want)
	}
	if got, want := ts.Time().Format("2006-01-02T15:04:05Z07:00"), "2023-11-14T22:13:20Z"; got != want {
		t.Errorf("Time = %s, want %s", got, want)
	}
}

func TestCounterCarries(t *testing.T) {
	if got, want := At(5, 0xffff).Next(), At(6, 0); got != want {
		t.Errorf("Next of a full counter = %v, want %v", got, want)
	}
	if got := Max.Next(); got != Max {
		t.Errorf("Max.Next = %v, want Max", got)
	}
	if got, want := At(-1, 3), At(0, 3); got != want {
		t.Errorf("At(-1) = %v, want %v", got, want)
	}
	if got := At(1<<62, 0xffff); got != Max {
		t.Errorf("At(far future) = %v, want Max", got)
	}
}

func TestCheckRefusesWhatIsNoTimestamp(t *testing.T) {
	if _, err := Check(1 << 63); !errors.Is(err, ErrRange) {
		t.Errorf("Check(2^63) = %v, want ErrRange", err)
	}
	if ts, err := Check(uint64(Max)); err != nil || ts != Max {
		t.Errorf("Check(Max) = %v, %v", ts, err)
	}
}

func TestWallIsOnlyAHint(t *testing.T) {
	wall := int64(100)
	c := New(func() int64 { return wall })
	steps := []struct {
		wall int64
		want Timestamp
	}{{100, At(100, 0)}, {100, At(100, 1)}, {90, At(100, 2)}, {-5, At(100, 3)}, {101, At(101, 0)}}
	for _, s := range steps {
		wall = s.wall
		if got, _ := c.Next(); got != s.want {
			t.Errorf("wall %d: Next = %v, want %v", s.wall, got, s.want)
		}
	}
}

func TestObservePushesAndNeverPulls(t *testing.T) {
	c := New(func() int64 { return 0 })
	c.Observe(At(500, 9))
	c.Observe(At(400, 0))
	if got, want := c.Last(), At(500, 9); got != want {
		t.Errorf("Last = %v, want %v", got, want)
	}
	if c.Observe(Max + 1) {
		t.Error("Observe accepted a number above Max")
	}
	if got, _ := c.Next(); got != At(500, 10) {
		t.Errorf("Next = %v, want 500.10", got)
	}
}

func TestCeiling(t *testing.T) {
	c := New(func() int64 { return 10 })
	if _, within := c.Next(); !within {
		t.Error("a clock without a ceiling said above it")
	}
	c.SetCeiling(At(10, 1))
	if ts, within := c.Next(); !within || ts != At(10, 1) {
		t.Errorf("Next = %v, %v, want 10.1 within", ts, within)
	}
	if ts, within := c.Next(); within || ts != At(10, 2) {
		t.Errorf("Next = %v, %v, want 10.2 above", ts, within)
	}
	c.SetCeiling(At(9, 0))
	if got, want := c.Ceiling(), At(10, 1); got != want {
		t.Errorf("the ceiling sank to %v, want %v", got, want)
	}
	if c.Observe(At(11, 0)) {
		t.Error("Observe above the ceiling said within")
	}
	c.SetCeiling(At(12, 0))
	if ts, within := c.Next(); !within || ts != At(11, 1) {
		t.Errorf("Next = %v, %v, want 11.1 within", ts, within)
	}
}

func TestEndOfTime(t *testing.T) {
	c := New(func() int64 { return 0 })
	c.Observe(Max)
	if ts, within := c.Next(); ts != Max || within {
		t.Errorf("Next = %v, %v, want Max and false", ts, within)
	}
}

func TestNextIsUniqueAmongGoroutines(t *testing.T) {
	c := New(func() int64 { return 1 })
	const goroutines, each = 4, 500
	got := make([][]Timestamp, goroutines)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for range each {
				ts, _ := c.Next()
				got[g] = append(got[g], ts)
			}
		})
	}
	wg.Wait()
	for g := range goroutines {
		if !slices.IsSorted(got[g]) {
			t.Errorf("goroutine %d saw the clock go back", g)
		}
	}
	all := slices.Concat(got...)
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != goroutines*each {
		t.Errorf("%d different timestamps, want %d", n, goroutines*each)
	}
}

// TestClockGrows holds the clock's one promise for any wall clock and any peers.
func TestClockGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var wall int64
		c := New(func() int64 { return wall })
		var heard Timestamp
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			wall = rapid.Int64().Draw(t, "wall")
			if rapid.Bool().Draw(t, "observe") {
				ts := Timestamp(rapid.Uint64Max(uint64(Max)/2).Draw(t, "heard"))
				c.Observe(ts)
				heard = max(heard, ts)
				continue
			}
			ts, _ := c.Next()
			if ts <= heard && ts != Max {
				t.Fatalf("Next = %v after %v", ts, heard)
			}
			heard = ts
		}
	})
}
