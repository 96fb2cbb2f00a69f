package reshard

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/hashring"
	"github.com/heliosdb/helios/hlc"
)

func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		m := &Move{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "move" {
				m = &Move{ID: 1, From: 1, To: 2, State: Planned}
			}
			var b strings.Builder
			for line := range strings.Lines(d.Input) {
				line = strings.TrimSpace(line)
				e := Event{Kind: Kind(line)}
				if kind, ts, ok := strings.Cut(line, "="); ok {
					n, err := strconv.Atoi(ts)
					if err != nil {
						t.Fatal(err)
					}
					if e.Kind = Kind(strings.TrimSpace(kind)); e.Kind == Equal {
						e.Epochs = []uint32{uint32(n)}
					} else {
						e.Time = hlc.Timestamp(n)
					}
				}
				fmt.Fprintf(&b, "%s:%s\n", e.Kind, render(m, m.Step(e)))
			}
			return b.String()
		})
	})
}

func render(m *Move, effects []Effect) string {
	var b strings.Builder
	for _, e := range effects {
		fmt.Fprintf(&b, " %s", e.Kind)
		switch {
		case e.Kind == Save && len(m.Epochs) > 0:
			fmt.Fprintf(&b, "(%s, epoch %d)", m.State, m.Epochs[0])
		case e.Kind == Save:
			fmt.Fprintf(&b, "(%s)", m.State)
		case e.Kind == Retry:
			fmt.Fprintf(&b, "(%s)", e.Again)
		case e.Time != 0:
			fmt.Fprintf(&b, "(floor %d)", e.Time)
		}
	}
	if b.Len() == 0 {
		return " -"
	}
	return b.String()
}

// world plays source, target and control store for one move, and loses answers and
// drivers. It checks that the units have one owner and that no row is dropped where it
// is still needed.
type world struct {
	sealed, readsOff bool
	owner            int  // 1 source, 2 target
	copied           bool // the target holds every row
	sourceRows       bool
	targetRows       bool
}

func (w *world) do(t *rapid.T, e Effect) Event {
	fail := rapid.IntRange(0, 9).Draw(t, "fail")
	if fail == 0 {
		return Event{Kind: Failed, Text: "lost before"}
	}
	answer := w.effect(t, e)
	if fail == 1 {
		return Event{Kind: Failed, Text: "lost after"}
	}
	return answer
}

func (w *world) effect(t *rapid.T, e Effect) Event {
	switch e.Kind {
	case Copy:
		w.copied, w.targetRows = true, true
		return Event{Kind: Copied}
	case Compare:
		if !w.targetRows {
			t.Fatalf("compared with a target that holds nothing")
		}
		return Event{Kind: Equal}
	case Seal:
		if w.owner != 1 {
			t.Fatalf("sealed at a shard that does not own the units")
		}
		w.sealed = true
		return Event{Kind: IsSealed}
	case Drain:
		if !w.sealed {
			return Event{Kind: Lost}
		}
		return Event{Kind: IsDrained}
	case StopRead:
		if !w.sealed {
			return Event{Kind: Lost}
		}
		w.readsOff = true
		return Event{Kind: ReadsOff, Time: 7}
	case Unseal:
		if w.owner != 1 {
			t.Fatalf("given back after the flip")
		}
		w.sealed, w.readsOff = false, false
	case Flip:
		if w.owner == 2 {
			return Event{Kind: FlipDone}
		}
		if !w.readsOff { // undone by the source
			return Event{Kind: FlipLost}
		}
		if e.Time != 7 {
			t.Fatalf("flipped with floor %d", e.Time)
		}
		w.owner, w.sealed, w.readsOff = 2, false, false
		return Event{Kind: FlipDone}
	case Await:
		return Event{Kind: Serving}
	case Clean:
		if w.owner != 2 {
			t.Fatalf("cleaned the owner")
		}
		w.sourceRows = false
		return Event{Kind: Cleaned}
	case Discard:
		if w.owner == 2 {
			t.Fatalf("discarded the owner's rows")
		}
		w.sealed, w.readsOff, w.targetRows = false, false, false
		return Event{Kind: Cleaned}
	}
	return Event{}
}

// TestMoveEnds drives a move with lost answers, source-side undoing and dying drivers:
// it ends, with one owner that has the rows.
func TestMoveEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{owner: 1, sourceRows: true}
		m := Move{ID: 1, From: 1, To: 2, State: Planned}
		saved := m
		queue := m.Step(Event{Kind: Start})
		for steps := 0; !m.State.Ended(); steps++ {
			if steps > 20000 {
				t.Fatalf("no end in state %s", m.State)
			}
			if rapid.IntRange(0, 99).Draw(t, "driver dies") == 0 || len(queue) == 0 {
				m = saved
				queue = m.Step(Event{Kind: Start})
				continue
			}
			if w.readsOff && rapid.IntRange(0, 19).Draw(t, "undo") == 0 {
				w.sealed, w.readsOff = false, false // the source won the store
			} else if w.sealed && !w.readsOff && rapid.IntRange(0, 19).Draw(t, "deadline") == 0 {
				w.sealed = false
			}
			e := queue[0]
			queue = queue[1:]
			switch e.Kind {
			case Save:
				saved = m
				continue
			case Retry:
				e.Kind, e.Time = e.Again, m.Floor
			}
			ev := w.do(t, e)
			if e.Kind == Unseal {
				continue
			}
			if rapid.IntRange(0, 199).Draw(t, "cancel") == 0 {
				queue = append(queue, m.Step(Event{Kind: Cancel})...)
				continue
			}
			queue = append(queue, m.Step(ev)...)
		}
		switch {
		case m.State == Done && (w.owner != 2 || !w.targetRows || w.sourceRows):
			t.Fatalf("done, but %+v", *w)
		case m.State == Aborted && (w.owner != 1 || !w.sourceRows || w.targetRows || w.sealed):
			t.Fatalf("aborted, but %+v", *w)
		}
	})
}

// TestPlan: slots move as few as possible, and cells end near their shares.
func TestPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "shards")
		table := make([]cluster.ShardID, 64)
		for i := range table {
			table[i] = cluster.ShardID(i%n + 1)
		}
		var before []cluster.Shard
		for i := range n {
			before = append(before, cluster.Shard{ID: cluster.ShardID(i + 1), Weight: 100, Nodes: []cluster.Node{{ID: "n" + strconv.Itoa(i), SQL: "127.0.0.1:" + strconv.Itoa(5000+i)}}})
		}
		m, err := cluster.New("c", before, table)
		if err != nil {
			t.Fatal(err)
		}
		set := cluster.CellSet{Generation: 1}
		weights := Weights{}
		for i := range rapid.IntRange(1, 40).Draw(t, "cells") {
			set.Cells = append(set.Cells, cluster.CellOwner{Cell: uint32(i), Owner: cluster.Owner{Shard: cluster.ShardID(i%n + 1), Epoch: 1}})
			weights[Unit{Space: 9, N: uint32(i)}] = int64(rapid.IntRange(0, 9).Draw(t, "rows"))
		}
		if m, err = m.WithCells(9, set); err != nil {
			t.Fatal(err)
		}
		var after []hashring.Shard
		for i := range rapid.IntRange(1, 6).Draw(t, "after") {
			after = append(after, hashring.Shard{ID: cluster.ShardID(i + 1), Weight: 100})
		}
		moves, err := Plan(m, after, weights)
		if err != nil {
			t.Fatal(err)
		}
		owner := map[Unit]cluster.ShardID{}
		for i, o := range m.Slots {
			owner[Unit{N: uint32(i)}] = o.Shard
		}
		for _, c := range set.Cells {
			owner[Unit{Space: 9, N: c.Cell}] = c.Shard
		}
		for _, mv := range moves {
			if len(mv.Units) > UnitsPerMove || len(mv.Units) == 0 {
				t.Fatalf("a move of %d units", len(mv.Units))
			}
			for _, u := range mv.Units {
				if owner[u] != mv.From || mv.From == mv.To {
					t.Fatalf("%v moves from %d to %d, but %d owns it", u, mv.From, mv.To, owner[u])
				}
				owner[u] = mv.To
			}
		}
		for u, s := range owner {
			if int(s) > len(after) {
				t.Fatalf("%v stays on shard %d, which leaves", u, s)
			}
		}
	})
}
