// Package hlc is the hybrid logical clock: timestamps that never go back, follow
// wall time as a hint, and order commits across shards.
package hlc

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

// Timestamp is a point in the cluster's logical time: milliseconds since 1970 UTC
// in the upper 48 bits, a counter in the lower 16. It is always below 2^63, so SQL
// can show it as a bigint. The zero Timestamp is before everything.
type Timestamp uint64

// Max is the last timestamp there is.
const Max Timestamp = math.MaxInt64

const counterBits = 16

// ErrRange is returned for a number that is no timestamp because it is above Max.
var ErrRange = errors.New("hlc: timestamp out of range")

// At returns the timestamp of a millisecond since 1970 and a counter within it.
// Milliseconds outside [0, 2^47) are moved to the nearer end.
func At(ms int64, counter uint16) Timestamp {
	ms = min(max(ms, 0), int64(Max>>counterBits))
	return Timestamp(ms)<<counterBits | Timestamp(counter)
}

// Check returns v as a timestamp, or ErrRange: for numbers from a wire or a disk.
func Check(v uint64) (Timestamp, error) {
	if v > uint64(Max) {
		return 0, fmt.Errorf("%w: %d", ErrRange, v)
	}
	return Timestamp(v), nil
}

// Millis returns the milliseconds since 1970.
func (t Timestamp) Millis() int64 { return int64(t >> counterBits) }

// Counter returns the position within the millisecond.
func (t Timestamp) Counter() uint16 { return uint16(t) }

// Time returns the wall time of the timestamp's millisecond, in UTC.
func (t Timestamp) Time() time.Time { return time.UnixMilli(t.Millis()).UTC() }

// Next returns the timestamp right after t; a full counter carries into the
// milliseconds. Max has no successor and returns itself.
func (t Timestamp) Next() Timestamp { return min(t, Max-1) + 1 }

// String shows milliseconds and counter, as in 1700000000000.7.
func (t Timestamp) String() string { return fmt.Sprintf("%d.%d", t.Millis(), t.Counter()) }

// Clock gives timestamps that only grow. Wall time is a hint: it can pull the clock
// forward and never back, and no promise rests on it.
//
// What may be given or promised is bounded by a ceiling (T2): the greatest timestamp
// that the committed log allows. A successor starts above the log's ceiling, so no
// timestamp is ever used by two primaries. A Clock starts without a ceiling.
//
// A Clock may be used by many goroutines at once.
type Clock struct {
	wall    func() int64
	last    atomic.Uint64
	ceiling atomic.Uint64
}

// New returns a clock that takes its hint from wall, in milliseconds since 1970.
func New(wall func() int64) *Clock {
	c := &Clock{wall: wall}
	c.ceiling.Store(uint64(Max))
	return c
}

// Next returns a timestamp above everything given or heard before. Within reports
// that it is at or below the ceiling; otherwise it must not be promised to anyone
// before the log has raised the ceiling above it. At the end of time Next returns
// Max and false.
func (c *Clock) Next() (ts Timestamp, within bool) {
	hint := At(c.wall(), 0)
	for {
		last := Timestamp(c.last.Load())
		if last == Max {
			return Max, false
		}
		next := max(last.Next(), hint)
		if c.last.CompareAndSwap(uint64(last), uint64(next)) {
			return next, next <= c.Ceiling()
		}
	}
}

// Observe pushes the clock to ts, heard from another node. Within reports that ts is
// at or below the ceiling. A ts above Max is not a timestamp: it is refused with
// false and leaves the clock alone.
func (c *Clock) Observe(ts Timestamp) (within bool) {
	if ts > Max {
		return false
	}
	raise(&c.last, ts)
	return ts <= c.Ceiling()
}

// Last returns the greatest timestamp given or heard.
func (c *Clock) Last() Timestamp { return Timestamp(c.last.Load()) }

// Ceiling returns the greatest timestamp that may be given or promised.
func (c *Clock) Ceiling() Timestamp { return Timestamp(c.ceiling.Load()) }

// SetCeiling sets the first ceiling, and after that only raises it.
func (c *Clock) SetCeiling(ts Timestamp) {
	ts = min(ts, Max)
	if c.ceiling.CompareAndSwap(uint64(Max), uint64(ts)) {
		return
	}
	raise(&c.ceiling, ts)
}

// raise sets v to ts unless it is at or above it already.
func raise(v *atomic.Uint64, ts Timestamp) {
	for {
		old := v.Load()
		if old >= uint64(ts) || v.CompareAndSwap(old, uint64(ts)) {
			return
		}
	}
}
