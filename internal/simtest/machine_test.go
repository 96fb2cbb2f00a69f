package simtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/heliosdb/helios/ha"
	"github.com/heliosdb/helios/node"
)

// disk is a machine's disk in one life. It can be told to take the power away just
// before one of the next changes that are made to it, which is where bugs of durability
// live. It never waits: who sleeps with a lock in hand would stop the bubble's clock.
type disk struct {
	vfs.FS
	mem   *vfs.MemFS
	left  atomic.Int64 // changes until the power goes; 0 or less: it stays
	yield atomic.Int64 // how often a sync lets others run: a slow disk
	off   func()
}

func newDisk(mem *vfs.MemFS, off func()) *disk {
	d := &disk{mem: mem, off: off}
	d.FS = errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			for range d.yield.Load() {
				runtime.Gosched()
			}
		}
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && d.left.Add(-1) == 0 {
			d.off()
		}
		return nil
	}))
	return d
}

// machine is a computer that runs one node of the pair: its disk outlives its lives.
type machine struct {
	sim         *sim
	name        string
	sql, native string
	first       bool
	skew        time.Duration // of its clock for leases

	lives sync.WaitGroup
	mu    struct {
		sync.Mutex
		life   *life // nil: no power
		boots  int
		files  *vfs.MemFS
		rng    *rand.Rand
		unheld bool // the control store cannot be reached
	}
}

// life is what a machine is from power on to power off.
type life struct {
	host    *host
	disk    *disk
	client  string // name at the control store
	over    context.Context
	end     context.CancelFunc
	running struct {
		sync.Mutex
		member *node.Member // nil before it has started and when it stops
	}
}

func (l *life) setMember(m *node.Member) {
	l.running.Lock()
	defer l.running.Unlock()
	l.running.member = m
}

func (s *sim) machine(name string, port int, rng *rand.Rand) *machine {
	m := &machine{
		sim: s, name: name, first: name == "a", skew: time.Duration(rng.Int64N(int64(time.Hour))),
		sql: fmt.Sprintf("127.0.0.1:%d", port), native: fmt.Sprintf("127.0.0.1:%d", port+1),
	}
	m.mu.files, m.mu.rng = vfs.NewCrashableMem(), rng
	return m
}

// powerOn starts the node, if the machine is off.
func (m *machine) powerOn() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.life != nil {
		return
	}
	m.mu.boots++
	l := &life{host: m.sim.net.host(m.name), client: fmt.Sprintf("%s.%d", m.name, m.mu.boots)}
	l.disk = newDisk(m.mu.files, m.powerOff)
	l.disk.yield.Store(int64(m.mu.rng.IntN(4)) * 20)
	l.over, l.end = context.WithCancel(context.Background())
	m.mu.life = l
	if m.mu.unheld {
		m.sim.store.Cut(l.client, cutOff)
	}
	m.sim.trace("%s: power on", m.name)
	m.lives.Go(func() { m.live(l) })
}

// powerOff takes the power away at this very moment: what the network already has
// arrives, of what the disk was not told to sync only a random part stays.
func (m *machine) powerOff() {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.mu.life
	if l == nil {
		return
	}
	m.mu.life = nil
	share := []int{0, 0, 30, 80}[m.mu.rng.IntN(4)]
	m.sim.trace("%s: power off, %d %% of what is not synced stays", m.name, share)
	l.end()
	l.host.off(time.Duration(m.mu.rng.Int64N(int64(300 * time.Millisecond))))
	m.sim.store.Cut(l.client, cutOff)
	m.mu.files = l.disk.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: share, RNG: m.mu.rng})
}

// newDisk replaces the disk of a machine that is off.
func (m *machine) newDisk() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.life == nil {
		m.sim.trace("%s: new disk", m.name)
		m.mu.files = vfs.NewCrashableMem()
	}
}

// powerOffWithin takes the power away before one of the next changes to the disk.
func (m *machine) powerOffWithin(changes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.life != nil {
		m.mu.life.disk.left.Store(changes)
	}
}

// holdStore cuts the machine off from the control store, or connects it again.
func (m *machine) holdStore(cut bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.unheld = cut
	if l := m.mu.life; l != nil {
		how := connected
		if cut {
			how = []cutKind{cutOff, cutReplies}[m.mu.rng.IntN(2)]
		}
		m.sim.store.Cut(l.client, how)
	}
}

// inspect calls f with the node that runs now, which does not stop meanwhile; f must not
// wait for anything. It returns false if none runs.
func (m *machine) inspect(f func(*node.Member)) bool {
	m.mu.Lock()
	l := m.mu.life
	m.mu.Unlock()
	if l == nil {
		return false
	}
	l.running.Lock()
	defer l.running.Unlock()
	if l.running.member == nil {
		return false
	}
	f(l.running.member)
	return true
}

// live runs the node until the power goes; then what still moves of it is swept up.
func (m *machine) live(l *life) {
	started := m.sim.began
	member, err := node.StartMember(l.over, node.MemberConfig{
		Parts: m.sim.parts, ID: m.name, Shard: 1, SQL: m.sql, Native: m.native, Data: "data",
		Store: m.sim.store.Client(l.client), First: m.first, Mode: ha.SemiSync,
		World: node.World{
			FS: l.disk, Listen: l.host.listen, Dial: l.host.dial, Logger: m.sim.log,
			Now:          func() time.Duration { return time.Since(started) + m.skew },
			SegmentBytes: 32 << 10, CacheBytes: 1 << 20,
		},
	})
	if err != nil {
		if l.over.Err() == nil {
			m.sim.fail("%s does not start: %v", m.name, err)
		}
		return
	}
	l.setMember(member)
	select {
	case <-l.over.Done():
	case err := <-member.Failed():
		if l.over.Err() == nil {
			m.sim.fail("%s stopped: %v", m.name, err)
		}
	}
	l.setMember(nil)
	member.Stop()
}
