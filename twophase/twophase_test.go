package twophase

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/heliosdb/helios/hlc"
)

func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var c *Coordinator
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out []Effect
			switch d.Cmd {
			case "begin":
				gid, err := ParseGID(d.CmdArgs[0].Key)
				if err != nil {
					return err.Error()
				}
				var parts []ShardID
				for _, a := range d.CmdArgs[1:] {
					n, _ := strconv.Atoi(a.Key)
					parts = append(parts, ShardID(n))
				}
				c, out = New(gid, parts)
			case "step":
				for line := range strings.Lines(d.Input) {
					out = append(out, c.Step(parseEvent(t, strings.TrimSpace(line)))...)
				}
			default:
				t.Fatalf("unknown command %q", d.Cmd)
			}
			return render(out)
		})
	})
}

// parseEvent reads "prepared shard=2 time=7", "owner refused err=40001", "outcome committed@9".
func parseEvent(t *testing.T, line string) Event {
	var e Event
	var words []string
	for _, w := range strings.Fields(line) {
		k, v, ok := strings.Cut(w, "=")
		n, _ := strconv.Atoi(v)
		switch {
		case !ok:
			words = append(words, w)
		case k == "shard":
			e.Shard = ShardID(n)
		case k == "time":
			e.Time = hlc.Timestamp(n)
		case k == "err":
			e.Err = errors.New(v)
		}
	}
	if words[0] == "outcome" {
		o, err := ParseOutcome(words[1])
		if err != nil {
			t.Fatal(err)
		}
		return Event{Kind: OutcomeIs, Outcome: o}
	}
	e.Kind = Kind(strings.Join(words, " "))
	return e
}

func render(effects []Effect) string {
	if len(effects) == 0 {
		return "-\n"
	}
	var b strings.Builder
	for _, e := range effects {
		fmt.Fprintf(&b, "%s", e.Kind)
		if e.Shard != 0 {
			fmt.Fprintf(&b, " shard=%d", e.Shard)
		}
		if e.Kind == CommitOwner || e.Kind == Answer && e.Err == nil {
			fmt.Fprintf(&b, " time=%d", e.Time)
		}
		if e.Kind == Resolve {
			fmt.Fprintf(&b, " %s", e.Outcome)
		}
		if e.Err != nil {
			fmt.Fprintf(&b, " err=%v", e.Err)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestAtomic drives coordinators with every mix of answers: what the client hears,
// what the owner's log says and what the participants are told never disagree.
func TestAtomic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := make([]ShardID, rapid.IntRange(0, 4).Draw(t, "participants"))
		for i := range parts {
			parts[i] = ShardID(i + 2)
		}
		c, queue := New(GID{Incarnation: 1, Seq: 1, Owner: 1}, parts)
		var logged Outcome // the owner's log
		var prepared []ShardID
		var greatest hlc.Timestamp
		var answer *Effect
		told := map[ShardID]Outcome{}
		for len(queue) > 0 {
			i := rapid.IntRange(0, len(queue)-1).Draw(t, "next")
			e := queue[i]
			queue = slices.Delete(queue, i, i+1)
			var ev Event
			switch e.Kind {
			case Prepare:
				ev = Event{Kind: rapid.SampledFrom([]Kind{Prepared, PrepareFailed, PrepareUnknown}).Draw(t, "prepare"), Shard: e.Shard, Err: errors.New("x")}
				ev.Time = hlc.Timestamp(rapid.IntRange(1, 50).Draw(t, "time"))
				if ev.Kind == Prepared {
					prepared = append(prepared, e.Shard)
					greatest = max(greatest, ev.Time)
				}
			case CommitOwner:
				if len(prepared) != len(parts) {
					t.Fatalf("commit before every prepare is durable: %v of %v", prepared, parts)
				}
				if e.Time != greatest {
					t.Fatalf("commit above %d, want %d", e.Time, greatest)
				}
				ev = Event{Kind: rapid.SampledFrom([]Kind{OwnerCommitted, OwnerRefused, OwnerUnknown}).Draw(t, "commit"), Time: e.Time + 1, Err: errors.New("y")}
				if ev.Kind == OwnerCommitted || ev.Kind == OwnerUnknown && rapid.Bool().Draw(t, "reached") {
					logged = Outcome{State: Committed, Time: e.Time + 1}
				}
			case Decide:
				if logged.State != Committed {
					logged = Outcome{State: Aborted}
				}
				ev = Event{Kind: OutcomeIs, Outcome: logged}
				if rapid.Bool().Draw(t, "unreachable") {
					ev = Event{Kind: NoOutcome, Err: errors.New("z")}
				}
			case Resolve:
				told[e.Shard] = e.Outcome
				ev = Event{Kind: Resolved, Shard: e.Shard}
			case Answer:
				if answer != nil {
					t.Fatalf("two answers")
				}
				answer = &e
				continue
			default:
				continue
			}
			queue = append(queue, c.Step(ev)...)
		}
		if answer == nil || !c.Finished() {
			t.Fatalf("no answer, or not finished")
		}
		if answer.Err == nil && logged.State != Committed {
			t.Fatalf("acknowledged, but the log says %s", logged)
		}
		for s, o := range told {
			if o != logged {
				t.Fatalf("shard %d was told %s, the log says %s", s, o, logged)
			}
		}
	})
}

func TestGID(t *testing.T) {
	g := GID{Incarnation: 7, Seq: 912, Owner: 2}
	if got, want := g.String(), "hx:7:912:2"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	if back, err := ParseGID(g.String()); err != nil || back != g {
		t.Fatalf("got %v, %v", back, err)
	}
	for _, bad := range []string{"", "hx:1:2", "hx:1:2:x", "hu:1:2:3", "hx:4294967296:1:1", "hx:1:1:65536"} {
		if _, err := ParseGID(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
