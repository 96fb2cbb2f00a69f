package wal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

const smallSegment = dataOffset + 8192

func openTest(t testing.TB, fs vfs.FS) *Log {
	t.Helper()
	l, err := Open(Options{FS: fs, Dir: "wal", SegmentBytes: smallSegment})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func closeTest(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// payload is a Fill for a record without a timestamp.
func payload(b []byte) Fill {
	return func(LSN) (uint64, []byte, error) { return 0, b, nil }
}

func mustAppend(t testing.TB, l *Log, term uint32, typ Type, b []byte) LSN {
	t.Helper()
	end, err := l.Append(term, typ, 0, 0, payload(b))
	if err != nil {
		t.Fatal(err)
	}
	return end
}

func mustFlush(t testing.TB, l *Log) {
	t.Helper()
	if err := l.WaitFlushed(context.Background(), l.End()); err != nil {
		t.Fatal(err)
	}
}

// readAll returns the records from an LSN to the present end.
func readAll(t testing.TB, l *Log, from LSN) []Record {
	t.Helper()
	r, err := l.ReadFrom(from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all []Record
	for {
		rec, ok, err := r.TryNext()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return all
		}
		all = append(all, rec)
	}
}

func TestAppendCarriesEveryField(t *testing.T) {
	l := openTest(t, vfs.NewMem())
	defer closeTest(t, l)
	mustAppend(t, l, 3, TypeTermStart, nil)
	var told LSN
	end, err := l.Append(3, TypePrepare, 9, 77, func(lsn LSN) (uint64, []byte, error) {
		told = lsn
		return 1234, []byte("rows"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r := readAll(t, l, 0)[1]
	got := fmt.Sprintf("%v prev=%d term=%d %v flags=%d txid=%d time=%d %s end=%v", r.LSN, r.Prev, r.Term, r.Type, r.Flags, r.TxID, r.Time, r.Payload, r.End())
	want := fmt.Sprintf("0/0000002A prev=42 term=3 PREPARE flags=9 txid=77 time=1234 rows end=%v", end)
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if told != r.LSN {
		t.Errorf("fill was told %v, the record is at %v", told, r.LSN)
	}
}

func TestFillMayRefuse(t *testing.T) {
	l := openTest(t, vfs.NewMem())
	defer closeTest(t, l)
	refusal := errors.New("slot moved")
	_, err := l.Append(0, TypeTxn, 0, 0, func(LSN) (uint64, []byte, error) { return 0, nil, refusal })
	if !errors.Is(err, refusal) {
		t.Errorf("Append = %v, want the refusal", err)
	}
	if got := l.End(); got != 0 {
		t.Errorf("a refused record moved the end to %v", got)
	}
}

func TestAppendRefuses(t *testing.T) {
	l := openTest(t, vfs.NewMem())
	defer closeTest(t, l)
	mustAppend(t, l, 2, TypeTermStart, nil)
	end := l.End()
	for _, c := range []struct {
		name string
		term uint32
		typ  Type
		size int
		want error
	}{
		{"an older term", 1, TypeTxn, 0, ErrRefused},
		{"a term that never started", 3, TypeTxn, 0, ErrRefused},
		{"a term that starts twice", 2, TypeTermStart, 0, ErrRefused},
		{"an unknown type", 2, 0, 0, ErrRefused},
	} {
		if _, err := l.Append(c.term, c.typ, 0, 0, payload(make([]byte, c.size))); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if got := l.End(); got != end {
		t.Errorf("a refused record moved the end from %v to %v", end, got)
	}
}

func TestWaitFlushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openTest(t, vfs.NewMem())
		defer closeTest(t, l)
		end := mustAppend(t, l, 0, TypeTxn, []byte("x"))
		if err := l.WaitFlushed(t.Context(), end); err != nil {
			t.Fatal(err)
		}
		if got := l.Flushed(); got < end {
			t.Errorf("Flushed = %v, want %v", got, end)
		}
		if err := l.WaitFlushed(t.Context(), end+1); !errors.Is(err, ErrBeyondEnd) {
			t.Errorf("WaitFlushed above the end = %v, want ErrBeyondEnd", err)
		}
	})
}

func TestWaitFlushedEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newSlowDisk(vfs.NewMem())
		l := openTest(t, disk)
		disk.hold()
		end := mustAppend(t, l, 0, TypeTxn, []byte("x"))
		ctx, cancel := context.WithCancel(t.Context())
		var err error
		var wg sync.WaitGroup
		wg.Go(func() { err = l.WaitFlushed(ctx, end) })
		synctest.Wait()
		cancel()
		wg.Wait()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("WaitFlushed = %v, want Canceled", err)
		}
		disk.release()
		closeTest(t, l)
	})
}

// TestGroupCommit holds that everything which queues during one sync is made durable
// by the next one.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newSlowDisk(vfs.NewMem())
		var told []LSN
		l, err := Open(Options{FS: disk, Dir: "wal", SegmentBytes: smallSegment, OnFlush: func(lsn LSN) { told = append(told, lsn) }})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		before := l.Stats()
		disk.hold()
		first := mustAppend(t, l, 0, TypeTxn, []byte("first"))
		synctest.Wait() // the writer has taken the first record
		for i := range 50 {
			mustAppend(t, l, 0, TypeTxn, []byte{byte(i)})
		}
		disk.release()
		mustFlush(t, l)
		synctest.Wait()
		after := l.Stats()
		if got := after.Groups - before.Groups; got != 2 {
			t.Errorf("51 records took %d groups, want 2", got)
		}
		if got, want := fmt.Sprint(told), fmt.Sprint([]LSN{first, l.End()}); got != want {
			t.Errorf("OnFlush was told %v, want %v", got, want)
		}
		closeTest(t, l)
	})
}

func TestWriteErrorIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken bool
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if broken && op.Kind == errorfs.OpFileSyncData {
				broken = false // only the first sync fails: a retry would succeed
				return errorfs.ErrInjected
			}
			return nil
		}))
		var fatal error
		l, err := Open(Options{FS: fs, Dir: "wal", SegmentBytes: smallSegment, Fatal: func(err error) { fatal = err }})
		if err != nil {
			t.Fatal(err)
		}
		r, err := l.ReadFrom(0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		synctest.Wait()
		broken = true
		end := mustAppend(t, l, 0, TypeTxn, []byte("x"))
		if err := l.WaitFlushed(t.Context(), end); !errors.Is(err, errorfs.ErrInjected) {
			t.Errorf("WaitFlushed = %v, want the disk's error", err)
		}
		if _, err := l.Append(0, TypeTxn, 0, 0, payload(nil)); !errors.Is(err, errorfs.ErrInjected) {
			t.Errorf("Append after a failed sync = %v, want the disk's error", err)
		}
		if _, err := r.Next(t.Context()); !errors.Is(err, errorfs.ErrInjected) {
			t.Errorf("Next after a failed sync = %v, want the disk's error", err)
		}
		if err := l.TruncateTo(0); !errors.Is(err, errorfs.ErrInjected) {
			t.Errorf("TruncateTo after a failed sync = %v, want the disk's error", err)
		}
		if !errors.Is(fatal, errorfs.ErrInjected) {
			t.Errorf("Fatal was told %v", fatal)
		}
		if err := l.Close(); !errors.Is(err, errorfs.ErrInjected) {
			t.Errorf("Close = %v, want the disk's error", err)
		}
		if l.Flushed() >= end {
			t.Error("a record whose sync failed counts as flushed")
		}
	})
}

func TestClosedLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openTest(t, vfs.NewMem())
		r, err := l.ReadFrom(0)
		if err != nil {
			t.Fatal(err)
		}
		var waited error
		var wg sync.WaitGroup
		wg.Go(func() { _, waited = r.Next(t.Context()) })
		synctest.Wait()
		closeTest(t, l)
		wg.Wait()
		if !errors.Is(waited, ErrClosed) {
			t.Errorf("a waiting Next = %v, want ErrClosed", waited)
		}
		if _, err := l.Append(0, TypeTxn, 0, 0, payload(nil)); !errors.Is(err, ErrClosed) {
			t.Errorf("Append = %v, want ErrClosed", err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("second Close = %v", err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("Reader.Close = %v", err)
		}
	})
}

// TestConcurrentAppends holds that LSNs, timestamps and contents agree whatever the
// number of writers.
func TestConcurrentAppends(t *testing.T) {
	fs := vfs.NewMem()
	l := openTest(t, fs)
	const writers, each = 8, 100
	var clock uint64 // guarded by the log latch
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				end, err := l.Append(0, TypeTxn, 0, uint64(w), func(LSN) (uint64, []byte, error) {
					clock++
					return clock, binary.LittleEndian.AppendUint64(nil, uint64(i)), nil
				})
				if err == nil {
					err = l.WaitFlushed(context.Background(), end)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	closeTest(t, l)
	l = openTest(t, fs)
	defer closeTest(t, l)
	next := make([]uint64, writers)
	for i, r := range readAll(t, l, 0) {
		if r.Time != uint64(i+1) {
			t.Fatalf("record %d has timestamp %d", i, r.Time)
		}
		if got := binary.LittleEndian.Uint64(r.Payload); got != next[r.TxID] {
			t.Fatalf("writer %d: record %d before %d", r.TxID, got, next[r.TxID])
		}
		next[r.TxID]++
	}
	for w, n := range next {
		if n != each {
			t.Errorf("writer %d has %d records, want %d", w, n, each)
		}
	}
}

// slowDisk is a file system whose data syncs wait while it is held.
type slowDisk struct {
	vfs.FS
	mu struct {
		sync.Mutex
		held chan struct{} // closed on release, nil while not held
	}
}

func newSlowDisk(fs vfs.FS) *slowDisk {
	d := &slowDisk{}
	d.FS = errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSyncData {
			if held := d.gate(); held != nil {
				<-held
			}
		}
		return nil
	}))
	return d
}

func (d *slowDisk) gate() chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.held
}

func (d *slowDisk) hold() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.held == nil {
		d.mu.held = make(chan struct{})
	}
}

func (d *slowDisk) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.held != nil {
		close(d.mu.held)
		d.mu.held = nil
	}
}

// TestGroupThrough holds that whoever asks for a group that went through since it last
// looked does not wait for the next one, which may never come.
func TestGroupThrough(t *testing.T) {
	l := openTest(t, vfs.NewMem())
	end := mustAppend(t, l, 0, TypeTxn, []byte("x"))
	mustFlush(t, l)
	done, err := l.groupOf(end)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	default:
		t.Error("the group of a flushed record is not through")
	}
}
