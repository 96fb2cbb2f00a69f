package wal

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestReaderTailsAWriter follows a log that is written at the same time, from memory
// and from files, and a second one filled from the reader's raw bytes as a standby is.
func TestReaderTailsAWriter(t *testing.T) {
	for _, tailBytes := range []int{1, 8 << 20} {
		t.Run(fmt.Sprintf("tail=%d", tailBytes), func(t *testing.T) {
			primary, err := Open(Options{FS: vfs.NewMem(), Dir: "wal", SegmentBytes: smallSegment, TailBytes: tailBytes})
			if err != nil {
				t.Fatal(err)
			}
			standby := openTest(t, vfs.NewMem())
			const n = 2000
			var wg sync.WaitGroup
			wg.Go(func() {
				for i := range n {
					mustAppend(t, primary, 0, TypeTxn, bytes.Repeat([]byte{byte(i)}, i%700))
					if i%10 == 0 {
						mustFlush(t, primary)
					}
				}
			})
			r, err := primary.ReadFrom(0)
			if err != nil {
				t.Fatal(err)
			}
			for seen := 0; seen < n; {
				lsn, raw, err := r.NextBytes(t.Context(), 4096)
				if err != nil {
					t.Fatal(err)
				}
				if err := standby.AppendRaw(lsn, raw); err != nil {
					t.Fatal(err)
				}
				seen = int(standby.Stats().Records)
			}
			wg.Wait()
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			a, _ := primary.ChainAt(primary.End())
			b, _ := standby.ChainAt(standby.End())
			if a != b || primary.End() != standby.End() {
				t.Errorf("primary ends at %v with %x, standby at %v with %x", primary.End(), a, standby.End(), b)
			}
			mustFlush(t, standby)
			for _, end := range []LSN{0, 42} {
				pa, oka := primary.ChainAt(end)
				pb, okb := standby.ChainAt(end)
				if !oka || !okb || pa != pb {
					t.Errorf("ChainAt(%v): %x %v, %x %v", end, pa, oka, pb, okb)
				}
			}
			if _, ok := primary.ChainAt(43); ok {
				t.Error("ChainAt inside a record answered")
			}
			closeTest(t, primary)
			closeTest(t, standby)
		})
	}
}

// TestReaderSeesUnflushedRecords holds that a sender need not wait for the local sync.
func TestReaderSeesUnflushedRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := newSlowDisk(vfs.NewMem())
		l := openTest(t, disk)
		r, err := l.ReadFrom(0)
		if err != nil {
			t.Fatal(err)
		}
		disk.hold()
		end := mustAppend(t, l, 0, TypeTxn, []byte("early"))
		rec, err := r.Next(t.Context())
		if err != nil || string(rec.Payload) != "early" {
			t.Errorf("Next = %q, %v", rec.Payload, err)
		}
		if l.Flushed() >= end {
			t.Error("the record is flushed while the disk is held")
		}
		if _, ok, err := r.TryNext(); ok || err != nil {
			t.Errorf("TryNext at the end = %v, %v", ok, err)
		}
		disk.release()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		closeTest(t, l)
	})
}

func TestReaderCloseWakesNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openTest(t, vfs.NewMem())
		defer closeTest(t, l)
		r, err := l.ReadFrom(0)
		if err != nil {
			t.Fatal(err)
		}
		var waited error
		var wg sync.WaitGroup
		wg.Go(func() { _, waited = r.Next(t.Context()) })
		synctest.Wait()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if !errors.Is(waited, ErrClosed) {
			t.Errorf("Next = %v, want ErrClosed", waited)
		}
	})
}

func TestReaderOfReleasedAndCutLog(t *testing.T) {
	l, err := Open(Options{FS: vfs.NewMem(), Dir: "wal", SegmentBytes: smallSegment, TailBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer closeTest(t, l)
	for range 20 {
		mustAppend(t, l, 0, TypeTxn, make([]byte, 3000))
		mustFlush(t, l)
	}
	old, err := l.ReadFrom(0)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if _, err := old.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Release(l.End()); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Next(t.Context()); !errors.Is(err, ErrReleased) {
		t.Errorf("Next = %v, want ErrReleased", err)
	}
	if _, err := l.ReadFrom(0); !errors.Is(err, ErrReleased) {
		t.Errorf("ReadFrom = %v, want ErrReleased", err)
	}
	if _, err := l.ReadFrom(l.End() + 1); !errors.Is(err, ErrBeyondEnd) {
		t.Errorf("ReadFrom = %v, want ErrBeyondEnd", err)
	}
	inside, err := l.ReadFrom(l.Start() + 1)
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	if _, err := inside.Next(t.Context()); !errors.Is(err, ErrDamaged) {
		t.Errorf("Next inside a record = %v, want ErrDamaged", err)
	}

	ahead, err := l.ReadFrom(l.End())
	if err != nil {
		t.Fatal(err)
	}
	defer ahead.Close()
	behind, err := l.ReadFrom(l.Start())
	if err != nil {
		t.Fatal(err)
	}
	defer behind.Close()
	first, err := behind.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.TruncateTo(first.End()); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, 0, TypeTxn, []byte("instead"))
	mustFlush(t, l)
	if _, err := ahead.Next(t.Context()); !errors.Is(err, ErrTruncated) {
		t.Errorf("Next above the cut = %v, want ErrTruncated", err)
	}
	rec, err := behind.Next(t.Context())
	if err != nil || string(rec.Payload) != "instead" {
		t.Errorf("Next below the cut = %q, %v, want the new record", rec.Payload, err)
	}
}

// TestAppendRawRefuses holds that a standby takes over nothing but the continuation of
// its log, whole.
func TestAppendRawRefuses(t *testing.T) {
	primary := openTest(t, vfs.NewMem())
	defer closeTest(t, primary)
	mustAppend(t, primary, 1, TypeTermStart, nil)
	mid := mustAppend(t, primary, 1, TypeTxn, []byte("one"))
	mustAppend(t, primary, 1, TypeTxn, []byte("two"))
	r, err := primary.ReadFrom(0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, raw, err := r.NextBytes(t.Context(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	standby := openTest(t, vfs.NewMem())
	defer closeTest(t, standby)
	for _, c := range []struct {
		name string
		lsn  LSN
		recs []byte
	}{
		{"a gap", 42, raw},
		{"another place", 0, raw[mid:]},
		{"a piece", 0, raw[:len(raw)-1]},
		{"no TERM_START", 0, (&Record{Term: 1, Type: TypeTxn}).append(nil)},
		{"a wrong prev", 0, (&Record{Prev: 7, Type: TypeTxn}).append(nil)},
	} {
		if err := standby.AppendRaw(c.lsn, c.recs); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want ErrRefused", c.name, err)
		}
	}
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 8
		if err := standby.AppendRaw(0, bad); !errors.Is(err, ErrRefused) {
			t.Fatalf("byte %d flipped: %v, want ErrRefused", i, err)
		}
	}
	if standby.End() != 0 {
		t.Fatalf("refused records moved the end to %v", standby.End())
	}
	if err := standby.AppendRaw(0, raw); err != nil || standby.End() != primary.End() {
		t.Errorf("AppendRaw = %v, the end is %v, want %v", err, standby.End(), primary.End())
	}
}

// TestResetToABase starts a second log where the first one stands, as after a base
// copy, and goes on with the same bytes.
func TestResetToABase(t *testing.T) {
	primary := openTest(t, vfs.NewMem())
	defer closeTest(t, primary)
	mustAppend(t, primary, 1, TypeTermStart, nil)
	mustAppend(t, primary, 2, TypeTermStart, nil)
	from := mustAppend(t, primary, 2, TypeTxn, []byte("copied"))
	mustAppend(t, primary, 2, TypeTxn, []byte("streamed"))
	base, err := primary.BaseAt(from)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := primary.BaseAt(from + 1); !errors.Is(err, ErrBoundary) {
		t.Errorf("BaseAt inside a record = %v, want ErrBoundary", err)
	}
	fs := vfs.NewMem()
	standby := openTest(t, fs)
	mustAppend(t, standby, 1, TypeTermStart, nil)
	mustAppend(t, standby, 1, TypeTxn, make([]byte, 9000))
	if err := standby.Reset(base); err != nil {
		t.Fatal(err)
	}
	r, err := primary.ReadFrom(from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	lsn, raw, err := r.NextBytes(t.Context(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := standby.AppendRaw(lsn, raw); err != nil {
		t.Fatal(err)
	}
	closeTest(t, standby)
	standby = openTest(t, fs)
	defer closeTest(t, standby)
	a, _ := primary.ChainAt(primary.End())
	b, _ := standby.ChainAt(standby.End())
	if a != b {
		t.Errorf("chain hashes differ: %x, %x", a, b)
	}
	if got, want := fmt.Sprint(standby.Start(), standby.End(), standby.Terms(), standby.LastTerm()),
		fmt.Sprint(from, primary.End(), primary.Terms(), 2); got != want {
		t.Errorf("standby %s, want %s", got, want)
	}
}
