package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"
)

// smallLog returns the files of a log of ten records in one segment, as a crash leaves
// them: the last three are of the last group. It returns the end LSNs too.
func smallLog(t *testing.T) (files *vfs.MemFS, ends []LSN, durable LSN) {
	t.Helper()
	fs := vfs.NewCrashableMem()
	l := openTest(t, fs)
	ends = append(ends, mustAppend(t, l, 1, TypeTermStart, nil))
	for i := range 6 {
		ends = append(ends, mustAppend(t, l, 1, TypeTxn, fmt.Appendf(nil, "payload %d", i)))
		mustFlush(t, l)
	}
	durable = l.End()
	var recs []byte
	p := l.mu.end
	for i := range 3 {
		r := Record{LSN: p.lsn, Prev: p.prev, Term: 1, Type: TypeTxn, Payload: fmt.Appendf(nil, "last %d", i)}
		recs = r.append(recs)
		if err := p.step(r); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, p.lsn)
	}
	if err := l.AppendRaw(durable, recs); err != nil {
		t.Fatal(err)
	}
	mustFlush(t, l)
	files = fs.CrashClone(vfs.CrashCloneCfg{})
	closeTest(t, l)
	return files, ends, durable
}

// edit returns a copy of files in which the only segment's bytes went through f.
func edit(t *testing.T, files *vfs.MemFS, f func(b []byte) []byte) *vfs.MemFS {
	t.Helper()
	fs := files.CrashClone(vfs.CrashCloneCfg{})
	path := "wal/" + segmentName(0)
	old, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(old)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	w, err := fs.Create(path, category)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(f(b)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Sync(), w.Close(), syncDir(fs, "wal")); err != nil {
		t.Fatal(err)
	}
	return fs
}

// endBelow returns the end of the last record that lies wholly below lsn.
func endBelow(ends []LSN, lsn LSN) LSN {
	var end LSN
	for _, e := range ends {
		if e <= lsn {
			end = e
		}
	}
	return end
}

// TestEveryBytePosition cuts the log at, and flips, each byte of its records. In the
// last group that is a torn tail: the log ends at the record before. Below what a mark
// proves durable it is damage: the log is refused.
func TestEveryBytePosition(t *testing.T) {
	files, ends, durable := smallLog(t)
	last := ends[len(ends)-1]
	var raw []byte
	edit(t, files, func(b []byte) []byte { raw = slices.Clone(b[dataOffset:]); return b })
	check := func(how string, at LSN, fs *vfs.MemFS) {
		t.Helper()
		l, err := Open(Options{FS: fs, Dir: "wal", SegmentBytes: smallSegment})
		if at < durable {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("%s at %v: Open = %v, want ErrDamaged", how, at, err)
			}
			var damage *DamageError
			if want := endBelow(ends, at); !errors.As(err, &damage) || damage.LSN != want {
				t.Fatalf("%s at %v: %v, want the damage at %v", how, at, err, want)
			}
			return
		}
		if err != nil {
			t.Fatalf("%s at %v: Open = %v, want a torn tail", how, at, err)
		}
		defer closeTest(t, l)
		if got, want := l.End(), endBelow(ends, at); got != want {
			t.Fatalf("%s at %v: the log ends at %v, want %v", how, at, got, want)
		}
		if recs := readAll(t, l, 0); recs[len(recs)-1].End() != l.End() {
			t.Fatalf("%s at %v: the last record read ends at %v", how, at, recs[len(recs)-1].End())
		}
	}
	for at := LSN(0); at < last; at++ {
		off := dataOffset + int(at)
		if changed := firstNonZero(raw[at:last]); changed >= 0 {
			check("zero", at+LSN(changed), edit(t, files, func(b []byte) []byte { clear(b[off:]); return b }))
		}
		check("flip", at, edit(t, files, func(b []byte) []byte { b[off] ^= 0x40; return b }))
		if at%7 == 0 {
			check("cut", at, edit(t, files, func(b []byte) []byte { return b[:off] }))
		}
	}
}

func firstNonZero(b []byte) int {
	return slices.IndexFunc(b, func(x byte) bool { return x != 0 })
}

// TestDamagedMarks holds that marks only ever cost the proof, never a record.
func TestDamagedMarks(t *testing.T) {
	files, ends, _ := smallLog(t)
	for off := pageBytes; off < 3*pageBytes; off++ {
		if off%pageBytes > markBytes {
			continue
		}
		l := openTest(t, edit(t, files, func(b []byte) []byte { b[off] ^= 1; return b }))
		if got, want := l.End(), ends[len(ends)-1]; got != want {
			t.Errorf("mark byte %d flipped: the log ends at %v, want %v", off, got, want)
		}
		closeTest(t, l)
	}
}

func TestDamagedHeaderAndState(t *testing.T) {
	files, _, _ := smallLog(t)
	for off := range headerBytes {
		fs := edit(t, files, func(b []byte) []byte { b[off] ^= 1; return b })
		if _, err := Open(Options{FS: fs, Dir: "wal", SegmentBytes: smallSegment}); !errors.Is(err, ErrDamaged) {
			t.Errorf("header byte %d flipped: Open = %v, want ErrDamaged", off, err)
		}
	}
	for _, name := range []string{stateFile, segmentName(0)} {
		fs := files.CrashClone(vfs.CrashCloneCfg{})
		if err := fs.Remove("wal/" + name); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Options{FS: fs, Dir: "wal", SegmentBytes: smallSegment}); !errors.Is(err, ErrDamaged) {
			t.Errorf("without %s: Open = %v, want ErrDamaged", name, err)
		}
	}
}

// TestLostRecordsStayLost holds that a torn group's later records, which a crash may
// have left on disk behind a hole, do not come back behind new records that happen to
// end where they begin.
func TestLostRecordsStayLost(t *testing.T) {
	files, ends, durable := smallLog(t)
	fs := edit(t, files, func(b []byte) []byte { b[dataOffset+int(durable)+HeaderBytes] ^= 1; return b })
	l := openTest(t, fs)
	if got := l.End(); got != durable {
		t.Fatalf("the log ends at %v, want %v", got, durable)
	}
	end := mustAppend(t, l, 1, TypeTxn, []byte("newer0")) // as long as "last 0"
	if want := ends[len(ends)-3]; end != want {
		t.Fatalf("the new record ends at %v, want %v", end, want)
	}
	mustFlush(t, l)
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	closeTest(t, l)
	l = openTest(t, crashed)
	defer closeTest(t, l)
	if got := l.End(); got != end {
		t.Errorf("the log ends at %v, want %v: lost records came back", got, end)
	}
}

// TestConfirmedSurvives is the log's promise: whatever WaitFlushed confirmed is there
// after any crash, and what is there is a prefix of what was appended; through cuts,
// releases and further crashes.
func TestConfirmedSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inBubble := struct{ rapid.TB }{t} // hides t.Deadline, which a bubble does not have
		rapid.Check(inBubble, func(rt *rapid.T) {
			c := newCrashRun(rt, t)
			for range rapid.IntRange(1, 40).Draw(rt, "steps") {
				c.step(rt, t)
			}
			c.crash(rt, t)
			c.disk.release()
			closeTest(t, c.log)
		})
	})
}

// crashRun is a log on a disk that can be held before a sync and crashed, and what must
// be in it.
type crashRun struct {
	mem       *vfs.MemFS
	disk      *slowDisk
	log       *Log
	rng       *rand.Rand
	model     []Record // from LSN 0 on
	confirmed LSN
}

func newCrashRun(rt *rapid.T, t *testing.T) *crashRun {
	c := &crashRun{mem: vfs.NewCrashableMem(), rng: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))}
	c.disk = newSlowDisk(c.mem)
	c.log = openTest(t, c.disk)
	return c
}

func (c *crashRun) step(rt *rapid.T, t *testing.T) {
	kind := rapid.SampledFrom([]string{"append", "append", "append", "append", "hold", "crash", "flush", "release", "cut"}).Draw(rt, "step")
	switch kind {
	case "append":
		c.model = append(c.model, appendRandom(rt, t, c.log))
		synctest.Wait()
	case "hold":
		c.disk.hold()
	case "crash":
		c.crash(rt, t)
	case "flush":
		c.disk.release()
		mustFlush(t, c.log)
		c.confirmed = c.log.End()
	case "release":
		c.disk.release()
		if err := c.log.Release(LSN(rapid.Uint64Max(uint64(c.confirmed)).Draw(rt, "below"))); err != nil {
			rt.Fatal(err)
		}
	case "cut":
		c.cut(rt)
	}
}

func (c *crashRun) cut(rt *rapid.T) {
	if len(c.model) == 0 {
		return
	}
	at := c.model[rapid.IntRange(0, len(c.model)-1).Draw(rt, "cut")].LSN
	if at < c.log.Start() {
		return
	}
	c.disk.release()
	if err := c.log.TruncateTo(at); err != nil {
		rt.Fatal(err)
	}
	c.model, c.confirmed = recordsBelow(c.model, at), at
}

func (c *crashRun) crash(rt *rapid.T, t *testing.T) {
	c.confirmed = max(c.confirmed, c.log.Flushed())
	percent := rapid.IntRange(0, 100).Draw(rt, "unsynced")
	crashed := c.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: c.rng})
	c.disk.release()
	closeTest(t, c.log)
	c.mem, c.disk = crashed, newSlowDisk(crashed)
	c.log = openTest(t, c.disk)
	c.model = checkRecovered(rt, t, c.log, c.model, c.confirmed)
	c.confirmed = c.log.End()
}

func appendRandom(rt *rapid.T, t *testing.T, l *Log) Record {
	term, typ := l.LastTerm(), TypeTxn
	if rapid.IntRange(0, 9).Draw(rt, "new term") == 0 {
		term, typ = term+1, TypeTermStart
	}
	size := rapid.SampledFrom([]int{0, 1, 100, 3000, 20000}).Draw(rt, "bytes")
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(size + i)
	}
	lsn := l.End()
	mustAppend(t, l, term, typ, body)
	return Record{LSN: lsn, Term: term, Type: typ, Payload: body}
}

func recordsBelow(model []Record, lsn LSN) []Record {
	for i, r := range model {
		if r.LSN >= lsn {
			return model[:i]
		}
	}
	return model
}

// checkRecovered compares an opened log with the model and returns what is left of it.
func checkRecovered(rt *rapid.T, t *testing.T, l *Log, model []Record, confirmed LSN) []Record {
	if l.End() < confirmed {
		rt.Fatalf("the log ends at %v, %v was confirmed", l.End(), confirmed)
	}
	model = recordsBelow(model, l.End())
	var terms []TermStart
	hash := uint64(chainStart)
	recs := readAll(t, l, l.Start())
	for i, want := range model {
		if want.Type == TypeTermStart {
			terms = append(terms, TermStart{Term: want.Term, LSN: want.LSN})
		}
		if want.LSN < l.Start() {
			continue
		}
		if len(recs) == 0 {
			rt.Fatalf("record %d at %v is missing", i, want.LSN)
		}
		got := recs[0]
		recs = recs[1:]
		if got.LSN != want.LSN || got.Term != want.Term || got.Type != want.Type || string(got.Payload) != string(want.Payload) {
			rt.Fatalf("record %d is %v %v of term %d, want %v %v of term %d", i, got.LSN, got.Type, got.Term, want.LSN, want.Type, want.Term)
		}
		if l.Start() == 0 {
			hash = chain(hash, got.crc)
		}
	}
	if len(recs) > 0 {
		rt.Fatalf("a record at %v that was never appended", recs[0].LSN)
	}
	if got, want := fmt.Sprint(l.Terms()), fmt.Sprint(terms); got != want {
		rt.Fatalf("terms %s, want %s", got, want)
	}
	if got, ok := l.ChainAt(l.End()); l.Start() == 0 && (!ok || got != hash) {
		rt.Fatalf("chain hash %x, want %x", got, hash)
	}
	return model
}

// TestCrashWhileOpening holds that opening may itself crash at any point.
func TestCrashWhileOpening(t *testing.T) {
	files, ends, durable := smallLog(t)
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 2))
		fs := edit(t, files, func(b []byte) []byte { return b })
		for range 3 {
			l := openTest(t, fs)
			if l.End() < durable || l.End() > ends[len(ends)-1] {
				t.Fatalf("seed %d: the log ends at %v", seed, l.End())
			}
			crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng})
			closeTest(t, l)
			fs = crashed
		}
	}
}

func TestReleasedTermsSurvive(t *testing.T) {
	fs := vfs.NewMem()
	l := openTest(t, fs)
	for term := range uint32(20) {
		mustAppend(t, l, term+1, TypeTermStart, nil)
		mustAppend(t, l, term+1, TypeTxn, make([]byte, 3000))
	}
	mustFlush(t, l)
	want := fmt.Sprint(l.Terms())
	hash, _ := l.ChainAt(l.End())
	if err := l.Release(l.End()); err != nil {
		t.Fatal(err)
	}
	if l.Start() == 0 {
		t.Fatal("nothing was released")
	}
	closeTest(t, l)
	l = openTest(t, fs)
	defer closeTest(t, l)
	if got := fmt.Sprint(l.Terms()); got != want {
		t.Errorf("terms %s, want %s", got, want)
	}
	if got, ok := l.ChainAt(l.End()); !ok || got != hash {
		t.Errorf("chain hash %x, want %x", got, hash)
	}
	if err := l.WaitFlushed(context.Background(), l.End()); err != nil {
		t.Error(err)
	}
}

// TestDiskFailsDuringCutAndReset lets the disk fail at each of its operations in turn:
// the log fails for good, and a start finds the log as it was or as it was to become.
func TestDiskFailsDuringCutAndReset(t *testing.T) {
	for name, change := range map[string]func(l *Log) error{
		"cut":   func(l *Log) error { return l.TruncateTo(3084) },
		"reset": func(l *Log) error { return l.Reset(Base{LSN: 777, Chain: 5, Terms: []TermStart{{Term: 4, LSN: 1}}}) },
	} {
		t.Run(name, func(t *testing.T) {
			for n, survived := 1, false; !survived; n++ {
				synctest.Test(t, func(t *testing.T) { survived = failAt(t, n, name, change) })
			}
		})
	}
}

// failAt runs change on a log whose disk fails at the nth write operation from then on,
// and reports whether there was no nth one.
func failAt(t *testing.T, n int, name string, change func(*Log) error) (survived bool) {
	mem := vfs.NewCrashableMem()
	var countdown atomic.Int64
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFileClose && countdown.Add(-1) == 0 {
			return errorfs.ErrInjected
		}
		return nil
	}))
	told := 0
	l, err := Open(Options{FS: fs, Dir: "wal", SegmentBytes: smallSegment, Fatal: func(error) { told++ }})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, 1, TypeTermStart, nil)
	for range 6 {
		mustAppend(t, l, 1, TypeTxn, make([]byte, 3000))
	}
	mustFlush(t, l)
	old := l.End()
	synctest.Wait() // for the filler
	countdown.Store(int64(n))
	err = change(l)
	synctest.Wait() // for the filler again, which may have met the failure instead
	survived = countdown.Load() > 0
	countdown.Store(0)
	if survived != (err == nil && l.Err() == nil && told == 0) || told > 1 {
		t.Fatalf("operation %d failed: %s = %v, Err = %v, told %d times", n, name, err, l.Err(), told)
	}
	want := l.End()
	crashed := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(uint64(n), 3))})
	if err := l.Close(); survived && err != nil {
		t.Fatal(err)
	}
	l = openTest(t, crashed)
	defer closeTest(t, l)
	switch end := l.End(); {
	case survived && end != want, end != old && end != 3084 && end != 777:
		t.Fatalf("operation %d failed: the log ends at %v", n, end)
	case end == 777:
		if got := fmt.Sprint(l.Start(), l.Terms()); got != "0/00000309 [{4 0/00000001}]" {
			t.Fatalf("operation %d failed: the new log is %s", n, got)
		}
	default:
		if got := len(readAll(t, l, 0)); (end == old) != (got == 7) {
			t.Fatalf("operation %d failed: %d records up to %v", n, got, end)
		}
	}
	return survived
}
