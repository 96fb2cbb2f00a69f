package storage

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/wal"
)

// TestTranscripts runs the scripts in testdata. Each record gets the next LSN.
//
//	commit ts=n          input: ops, one a line:
//	prepare gid=g ts=n     put k v | delete k | move k v written | unmove k written
//	resolve gid=g ts=n     meta k v | unmeta k | lock k strength | wipe lo hi
//	pass ts=n              version k v time written
//	scan at=n [reverse] [lo=k] [hi=k] [g=n …]    g=n: the transaction g committed at n
//	get at=n key=k [g=n …] | newest key=k | intent key=k
//	prepared | meta | export above=n [base] | gc horizon=n | digest at=n | status
//	flush | crash
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &script{fs: vfs.NewCrashableMem()}
		s.store = openTest(t, s.fs)
		defer func() { closeTest(t, s.store) }()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return s.run(t, d) })
	})
}

type script struct {
	fs    *vfs.MemFS
	store *Store
	lsn   wal.LSN
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "commit":
		return s.apply(Commit(timeArg(t, d, "ts"), parseBatch(t, d)))
	case "prepare":
		return s.apply(Prepare(textArg(t, d, "gid"), timeArg(t, d, "ts"), parseBatch(t, d)))
	case "resolve":
		return s.apply(Resolve(textArg(t, d, "gid"), timeArg(t, d, "ts"), parseBatch(t, d)))
	case "pass":
		return s.apply(Pass(timeArg(t, d, "ts")))
	case "scan":
		return s.scan(t, d)
	case "get":
		return s.get(t, d)
	case "flush":
		if err := s.store.Flush(); err != nil {
			t.Fatal(err)
		}
		return s.status(t)
	case "crash":
		crashed := s.fs.CrashClone(vfs.CrashCloneCfg{})
		closeTest(t, s.store)
		s.fs, s.store = crashed, openTest(t, crashed)
		s.lsn = s.store.Applied().LSN
		return s.status(t)
	case "status":
		return s.status(t)
	}
	return s.look(t, d)
}

func (s *script) apply(eff Effect) string {
	if err := s.store.Apply(Position{Term: 1, LSN: s.lsn + 1}, eff); err != nil {
		return err.Error() + "\n"
	}
	s.lsn++
	return fmt.Sprintf("applied %d visible %d\n", s.lsn, s.store.Visible())
}

func (s *script) status(t *testing.T) string {
	durable, err := s.store.DurableApplied()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("applied %d durable %d visible %d horizon %d\n", s.store.Applied().LSN, durable.LSN, s.store.Visible(), s.store.Horizon())
}

func textArg(t *testing.T, d *datadriven.TestData, name string) (v string) {
	d.ScanArgs(t, name, &v)
	return v
}

func timeArg(t *testing.T, d *datadriven.TestData, name string) hlc.Timestamp {
	var v uint64
	d.ScanArgs(t, name, &v)
	return hlc.Timestamp(v)
}

func parseBatch(t *testing.T, d *datadriven.TestData) *Batch {
	b := new(Batch)
	for line := range strings.Lines(d.Input) {
		f := strings.Fields(line)
		arg := func(i int) []byte { return []byte(f[i]) }
		num := func(i int) hlc.Timestamp {
			n, err := strconv.ParseUint(f[i], 10, 63)
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			return hlc.Timestamp(n)
		}
		switch f[0] {
		case "put":
			b.Put(arg(1), arg(2))
		case "delete":
			b.Delete(arg(1))
		case "move":
			b.PutMoved(arg(1), arg(2), num(3))
		case "unmove":
			b.DeleteMoved(arg(1), num(2))
		case "meta":
			b.PutMeta(arg(1), arg(2))
		case "unmeta":
			b.DeleteMeta(arg(1))
		case "lock":
			b.Lock(arg(1), uint8(num(2)))
		case "wipe":
			b.DeleteRange(arg(1), arg(2))
		case "version":
			b.PutVersion(Version{Key: arg(1), Value: arg(2), Time: num(3), WriteTime: num(4)})
		default:
			d.Fatalf(t, "unknown op %q", line)
		}
	}
	return b
}

// resolver decides by the arguments named like gids, and stops at all others.
func resolver(t *testing.T, d *datadriven.TestData) Resolver {
	return func(in Intent) (hlc.Timestamp, error) {
		if d.HasArg(in.GID) {
			return timeArg(t, d, in.GID), nil
		}
		return 0, &IntentError{GID: in.GID, Time: in.Time}
	}
}

func showVersion(v Version) string {
	text := fmt.Sprintf("%s = %s @%d", v.Key, v.Value, v.Time)
	if v.Tombstone {
		text = fmt.Sprintf("%s deleted @%d", v.Key, v.Time)
	}
	if v.WriteTime != v.Time {
		text += fmt.Sprintf(", written %d", v.WriteTime)
	}
	return text + "\n"
}

func (s *script) scan(t *testing.T, d *datadriven.TestData) string {
	sn := s.store.Snapshot(timeArg(t, d, "at"), resolver(t, d))
	defer sn.Close()
	var lo, hi string
	d.MaybeScanArgs(t, "lo", &lo)
	d.MaybeScanArgs(t, "hi", &hi)
	it := sn.Scan([]byte(lo), []byte(hi), d.HasArg("reverse"))
	var out strings.Builder
	for it.Next() {
		out.WriteString(showVersion(it.Version()))
	}
	if err := it.Close(); err != nil {
		fmt.Fprintf(&out, "%v\n", err)
	}
	if sn.Newer() != 0 {
		fmt.Fprintf(&out, "met %d\n", sn.Newer())
	}
	return out.String()
}

func (s *script) get(t *testing.T, d *datadriven.TestData) string {
	sn := s.store.Snapshot(timeArg(t, d, "at"), resolver(t, d))
	defer sn.Close()
	v, ok, err := sn.Get([]byte(textArg(t, d, "key")))
	out := "none\n"
	if err != nil {
		out = err.Error() + "\n"
	} else if ok {
		out = showVersion(v)
	}
	if sn.Newer() != 0 {
		out += fmt.Sprintf("met %d\n", sn.Newer())
	}
	return out
}

// look runs the commands that read past snapshots.
func (s *script) look(t *testing.T, d *datadriven.TestData) string {
	var out strings.Builder
	var err error
	switch d.Cmd {
	case "newest":
		var v Version
		var ok bool
		if v, ok, err = s.store.Newest([]byte(textArg(t, d, "key"))); ok {
			out.WriteString(showVersion(v))
		}
	case "intent":
		var in Intent
		var ok bool
		if in, ok, err = s.store.IntentAt([]byte(textArg(t, d, "key"))); ok {
			fmt.Fprintf(&out, "%s: %s prepared %d, deletes %v\n", in.GID, in.Value, in.Time, in.Tombstone)
		}
	case "prepared":
		var all []Prepared
		all, err = s.store.Prepared()
		for _, p := range all {
			fmt.Fprintf(&out, "%s @%d writes %s and holds %d locks\n", p.GID, p.Time, p.Keys, len(p.Locks))
		}
	case "meta":
		err = s.store.MetaRange(nil, nil, func(k, v []byte) error {
			fmt.Fprintf(&out, "%s = %s\n", k, v)
			return nil
		})
	case "export":
		it := s.store.Versions(Export{Above: timeArg(t, d, "above"), Base: d.HasArg("base")})
		for it.Next() {
			out.WriteString(showVersion(it.Version()))
		}
		err = it.Close()
	case "gc":
		var removed int
		removed, err = s.store.GC(t.Context(), nil, nil, timeArg(t, d, "horizon"))
		fmt.Fprintf(&out, "removed %d\n", removed)
	case "digest":
		var dig Digest
		dig, err = s.store.Digest(nil, nil, timeArg(t, d, "at"))
		fmt.Fprintf(&out, "%v intents %d\n", dig, dig.Intents)
	default:
		d.Fatalf(t, "unknown command %s", d.Cmd)
	}
	if err != nil {
		return err.Error() + "\n"
	}
	return out.String()
}
