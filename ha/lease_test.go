package ha

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/heliosdb/helios/wal"
)

// Whatever acks voters have a record, one of any recruits voters has it, and so
// the best of them does.
func TestRecruitsMeetAcks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "voters")
		r := rule{acks: rapid.IntRange(1, n).Draw(t, "acks"), voters: members(n, Sync)}
		have := rapid.Permutation(r.voters).Draw(t, "have")[:r.acks]
		recruits := rapid.Permutation(r.voters).Draw(t, "recruits")[:r.recruits()]
		for _, m := range recruits {
			for _, h := range have {
				if m == h {
					return
				}
			}
		}
		t.Fatalf("%v have it, %v were asked", have, recruits)
	})
}

// commit is what at least acks voters and the primary have, and no more.
func TestRuleCommit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rule{acks: rapid.IntRange(0, 6).Draw(t, "acks"), voters: members(rapid.IntRange(0, 5).Draw(t, "voters"), Sync)}
		flush := map[string]wal.LSN{}
		for _, m := range r.voters {
			flush[m.Node] = wal.LSN(rapid.IntRange(0, 20).Draw(t, m.Node))
		}
		own := wal.LSN(rapid.IntRange(0, 20).Draw(t, "own"))
		got := r.commit(own, func(m Member) wal.LSN { return flush[m.Node] })
		want := wal.LSN(0)
		for at := wal.LSN(1); at <= own; at++ {
			reached := 0
			for _, lsn := range flush {
				if lsn >= at {
					reached++
				}
			}
			if reached >= r.acks {
				want = at
			}
		}
		if got != want {
			t.Fatalf("got %d, want %d", got, want)
		}
	})
}

func TestAcks(t *testing.T) {
	for _, test := range []struct {
		mode         Mode
		peers        int // voting nodes of the shard, this one among them
		published    int
		unknown      int // nodes whose class is not known
		sync, quorum int
		want         int
	}{
		{mode: Async, peers: 3, published: 2, want: 0},
		{mode: SemiSync, peers: 3, published: 2, want: 1},
		{mode: SemiSync, peers: 3, published: 0, want: 0},
		{mode: Sync, peers: 3, published: 0, want: 1},
		{mode: Sync, peers: 3, published: 2, sync: 2, want: 2},
		{mode: Quorum, peers: 1, published: 0, want: 0},
		{mode: Quorum, peers: 2, published: 0, want: 1},
		{mode: Quorum, peers: 3, published: 0, want: 1},
		{mode: Quorum, peers: 4, published: 1, want: 2},
		{mode: Quorum, peers: 5, published: 4, want: 2},
		{mode: Quorum, peers: 2, published: 4, want: 2}, // the list of nodes lags behind the set
		{mode: Quorum, peers: 5, published: 4, quorum: 4, want: 3},
		{mode: Quorum, peers: 3, unknown: 2, want: 2},
	} {
		rules := Rules{Node: "n0", Mode: test.mode, SyncCount: test.sync, QuorumSize: test.quorum}
		c := NewCore(rules, Boot{}, 0)
		var peers []Peer
		for i := range test.peers {
			peers = append(peers, Peer{Node: fmt.Sprint("n", i), Class: Sync})
		}
		for i := range test.unknown {
			peers = append(peers, Peer{Node: fmt.Sprint("u", i)})
		}
		c.Step(0, topology{append(peers, Peer{Node: "a", Class: Async})})
		if got := c.acks(Lease{Mode: test.mode, Members: members(test.published, Sync)}); got != test.want {
			t.Errorf("%+v: got %d", test, got)
		}
	}
}

func members(n int, class Mode) (out []Member) {
	for i := range n {
		out = append(out, Member{Node: fmt.Sprint("m", i), Incarnation: 1, Class: class})
	}
	return out
}

// The fork of two logs is where they stop being equal, or before it by at most
// what one of them lacks of the last common term.
func TestForkPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		common := rapid.SliceOfN(rapid.IntRange(0, 1), 0, 12).Draw(t, "common")
		mine := grow(nil, common, 1)
		theirs := append([]uint32(nil), mine...)
		next := uint32(len(common) + 10)
		mine = grow(mine, rapid.SliceOfN(rapid.IntRange(0, 1), 0, 5).Draw(t, "mine"), next)
		theirs = grow(theirs, rapid.SliceOfN(rapid.IntRange(0, 1), 0, 5).Draw(t, "theirs"), next+10)
		want := 0
		for want < min(len(mine), len(theirs)) && mine[want] == theirs[want] {
			want++
		}
		got, ok := forkPoint(starts(mine), wal.LSN(len(mine)), starts(theirs), wal.LSN(len(theirs)))
		if !ok || int(got) != want {
			t.Fatalf("got %d %v, want %d: %v %v", got, ok, want, mine, theirs)
		}
	})
	if _, ok := forkPoint([]wal.TermStart{{Term: 1, LSN: 0}, {Term: 2, LSN: 5}}, 9, []wal.TermStart{{Term: 1, LSN: 0}, {Term: 2, LSN: 6}}, 9); ok {
		t.Error("one term began at two places, and nobody noticed")
	}
}

// grow adds records to a log of terms: a 1 begins a new term, a 0 goes on in
// the last one.
func grow(log []uint32, steps []int, term uint32) []uint32 {
	for i, step := range steps {
		if step == 1 || i == 0 {
			term++
		}
		log = append(log, term)
	}
	return log
}

func starts(log []uint32) (terms []wal.TermStart) {
	for i, term := range log {
		if i == 0 || log[i-1] != term {
			terms = append(terms, wal.TermStart{Term: term, LSN: wal.LSN(i)})
		}
	}
	return terms
}

func TestParseMode(t *testing.T) {
	for spelling, want := range map[string]Mode{
		"sync": Sync, "Synchronous": Sync, "synchronous": Sync, "semi-sync": SemiSync, "semi_sync": SemiSync,
		"SemiSync": SemiSync, "async": Async, "ASYNCHRONOUS": Async, "quorum": Quorum,
	} {
		if got, err := ParseMode(spelling); got != want || err != nil {
			t.Errorf("%s: got %s, %v", spelling, got, err)
		}
	}
	if _, err := ParseMode("fast"); err == nil {
		t.Error("an unknown mode was accepted")
	}
}
