package ha

import (
	"fmt"
	"strings"
	"time"
)

// Mode is a commit rule on a primary, and on a standby the class that says for
// which rules its flush counts.
type Mode string

// The modes. Quorum is a rule only, never a class.
const (
	Async    Mode = "async"     // commits wait for nobody
	SemiSync Mode = "semi-sync" // for one standby, as long as one is published
	Sync     Mode = "sync"      // for a sync standby, however long it takes
	Quorum   Mode = "quorum"    // for a majority of all voting copies
)

// ParseMode reads a mode in any of its spellings.
func ParseMode(s string) (Mode, error) {
	switch strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(s)) {
	case "async", "asynchronous":
		return Async, nil
	case "semisync", "semisynchronous":
		return SemiSync, nil
	case "sync", "synchronous":
		return Sync, nil
	case "quorum":
		return Quorum, nil
	}
	return "", fmt.Errorf("ha: unknown sync mode %q: one of async, semi-sync, sync, quorum", s)
}

// votes reports whether the flush of a standby of this class may count for a
// rule that waits for standbys.
func (m Mode) votes() bool { return m == Sync || m == SemiSync }

// Profile is a set of timings that fit together.
type Profile struct {
	TTL       time.Duration // a lease lives so long after its last renewal
	Renew     time.Duration // the holder renews so often
	Margin    time.Duration // holder stops so much earlier, others wait so much longer
	Heartbeat time.Duration // both ways on the stream
	Degrade   time.Duration // a published standby may be silent so long
	Seal      time.Duration // a candidate waits so long for promises
}

// DefaultProfile fails over within 15 s and bears pauses of seconds.
var DefaultProfile = Profile{
	TTL: 10 * time.Second, Renew: 3 * time.Second, Margin: 2 * time.Second,
	Heartbeat: 500 * time.Millisecond, Degrade: 10 * time.Second, Seal: time.Second,
}

// FastProfile fails over within 2 s; for one machine or one rack.
var FastProfile = Profile{
	TTL: 1200 * time.Millisecond, Renew: 300 * time.Millisecond, Margin: 200 * time.Millisecond,
	Heartbeat: 100 * time.Millisecond, Degrade: time.Second, Seal: 250 * time.Millisecond,
}

// ParseProfile returns the profile of a name: default or fast.
func ParseProfile(name string) (Profile, error) {
	switch name {
	case "", "default":
		return DefaultProfile, nil
	case "fast":
		return FastProfile, nil
	}
	return Profile{}, fmt.Errorf("ha: unknown profile %q: default or fast", name)
}
