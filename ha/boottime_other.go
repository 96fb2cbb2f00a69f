//go:build !linux

package ha

import "time"

var started = time.Now()

// bootTime is Go's monotonic clock. Where that stands still while the machine
// sleeps, a sleeping primary must be ended by other means.
func bootTime() time.Duration { return time.Since(started) }
