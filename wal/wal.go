// Package wal is the log of one shard on one node: append a record, get an LSN, sync
// in groups, read from any LSN.
//
// Append gives a record its place and returns; one writer goroutine takes whatever
// has queued meanwhile, writes it and syncs it as one group; WaitFlushed waits for
// that. A Reader follows the log and sees records as soon as they are appended, so
// that a standby's sync overlaps with the local one. Payloads are opaque bytes. The
// bytes on disk are drawn in docs/format/wal.md.
package wal

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Log is a shard's log. Its methods may be called by many goroutines at once.
//
// Threads: the writer makes appended records durable, the filler keeps one zero-filled
// file ready for the next segment. Open starts both, Close waits for both.
//
// Locks: disk before mu. Whoever holds disk alone touches the files; mu is the log
// latch and is held for memory only, except while the log is cut or reset.
type Log struct {
	opts    Options
	flushed atomic.Uint64
	work    chan struct{} // wakes the writer
	refill  chan struct{} // wakes the filler
	quit    chan struct{}
	threads sync.WaitGroup

	disk struct {
		sync.Mutex
		segment *segment
		written point // end of what is written to the segment
		state   state
	}
	spare struct {
		sync.Mutex
		names []string
		made  int // number in the name of the last one
	}
	mu struct {
		sync.Mutex
		end      point
		tail     tail
		terms    []TermStart
		segments []LSN         // starts, oldest first
		flight   *group        // being written and synced
		pending  *group        // being gathered
		appended chan struct{} // closed at the next append; nil if no reader waits
		readers  map[*Reader]struct{}
		cuts     int // how often the log was cut or reset
		stats    Stats
		err      error // why nothing works any more
	}
}

// group is what one sync makes durable.
type group struct {
	end  LSN           // valid once the writer has taken the group
	done chan struct{} // closed when the group is durable or lost
}

func newGroup() *group { return &group{done: make(chan struct{})} }

// Options say where a log is and whom it tells.
type Options struct {
	FS  vfs.FS // vfs.Default if nil
	Dir string

	// SegmentBytes is the size of a segment file, 64 MiB if 0. In-memory file systems
	// copy a whole file at every sync: give simulations small ones.
	SegmentBytes int64
	// TailBytes bounds the flushed part of the log that is kept in memory for readers,
	// 8 MiB if 0. What is not yet flushed is always in memory.
	TailBytes int

	// OnFlush, if set, is told of every flush LSN, in order, by the writer; it must
	// not block and must not call Close, TruncateTo or Reset.
	OnFlush func(LSN)
	// Fatal, if set, is told once why the log can no longer be written.
	Fatal  func(error)
	Logger *slog.Logger // discards if nil
}

const (
	defaultSegmentBytes = 64 << 20
	defaultTailBytes    = 8 << 20
	minSegmentBytes     = dataOffset + pageBytes
)

func (o Options) withDefaults() (Options, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	if o.TailBytes == 0 {
		o.TailBytes = defaultTailBytes
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.SegmentBytes < minSegmentBytes {
		return o, fmt.Errorf("wal: a segment of %d bytes is too small, %d is the least", o.SegmentBytes, minSegmentBytes)
	}
	return o, nil
}

// Stats counts what a log did since it was opened.
type Stats struct {
	Records   uint64        // appended
	Bytes     uint64        // appended, headers included
	Groups    uint64        // group commits
	Syncs     uint64        // of segment files
	LastFlush time.Duration // time to write and sync the last group
}

// Fill gives a record its commit timestamp and payload once its LSN is known. It runs
// under the log latch, so timestamps that it draws grow with the LSN; it must be quick
// and must not call the log. An error leaves the log as it was. The payload is copied.
type Fill func(lsn LSN) (time uint64, payload []byte, err error)

// Append adds a record and returns its end LSN without waiting for the disk. The
// record's term must be the log's last term, or a greater one if typ is TypeTermStart.
// The error is fill's own, ErrTooLarge, ErrRefused, ErrClosed or the log's failure.
func (l *Log) Append(term uint32, typ Type, flags uint8, txid uint64, fill Fill) (end LSN, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.err != nil {
		return 0, l.mu.err
	}
	if !typ.valid() {
		return 0, fmt.Errorf("%w: %v", ErrRefused, typ)
	}
	r := Record{LSN: l.mu.end.lsn, Prev: l.mu.end.prev, Term: term, Type: typ, Flags: flags, TxID: txid}
	next := l.mu.end
	if err := next.step(r); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if r.Time, r.Payload, err = fill(r.LSN); err != nil {
		return 0, err
	}
	if len(r.Payload) > MaxRecordBytes-HeaderBytes {
		return 0, fmt.Errorf("%w: %d bytes of payload", ErrTooLarge, len(r.Payload))
	}
	c := l.mu.tail.room(int(r.length()), l.mu.end)
	c.buf = r.append(c.buf)
	l.extend(r)
	l.announce()
	return r.End(), nil
}

// AppendRaw adds records exactly as a primary's log holds them, without waiting for
// the disk; lsn is where they begin. All or none are added: ErrRefused says that they
// are damaged or do not continue the log. The bytes are copied.
func (l *Log) AppendRaw(lsn LSN, recs []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.err != nil {
		return l.mu.err
	}
	if lsn != l.mu.end.lsn {
		return fmt.Errorf("%w: it begins at %v, the log ends at %v", ErrRefused, lsn, l.mu.end.lsn)
	}
	var parsed []Record
	for p, rest := l.mu.end, recs; len(rest) > 0; {
		r, err := DecodeRecord(rest, p.lsn)
		if err == nil {
			err = p.step(r)
		}
		if err != nil {
			return fmt.Errorf("%w: at %v: %w", ErrRefused, p.lsn, err)
		}
		parsed, rest = append(parsed, r), rest[r.length():]
	}
	for _, r := range parsed {
		c := l.mu.tail.room(int(r.length()), l.mu.end)
		c.buf = append(c.buf, recs[:r.length()]...)
		recs = recs[r.length():]
		l.extend(r)
	}
	if len(parsed) > 0 {
		l.announce()
	}
	return nil
}

// extend moves the end of the log over r, whose bytes are in the tail.
func (l *Log) extend(r Record) {
	if r.Type == TypeTermStart {
		l.mu.terms = append(l.mu.terms, TermStart{Term: r.Term, LSN: r.LSN})
	}
	l.mu.end = point{lsn: r.End(), prev: r.length(), term: r.Term, chain: chain(l.mu.end.chain, r.crc)}
	l.mu.stats.Records++
	l.mu.stats.Bytes += uint64(r.length())
}

// announce wakes the writer and the readers that wait at the end.
func (l *Log) announce() {
	if l.mu.appended != nil {
		close(l.mu.appended)
		l.mu.appended = nil
	}
	signal(l.work)
}

// signal leaves one token in c.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// WaitFlushed returns when everything below lsn, an end LSN, is on this node's disk.
func (l *Log) WaitFlushed(ctx context.Context, lsn LSN) error {
	for l.Flushed() < lsn {
		done, err := l.groupOf(lsn)
		if err != nil {
			return err
		}
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// groupOf returns the channel that closes when the group that ends at or above lsn is
// through; it is closed already if that was so before the latch was taken: the group that
// gathers now may never be written.
func (l *Log) groupOf(lsn LSN) (<-chan struct{}, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.mu.err != nil:
		return nil, l.mu.err
	case lsn > l.mu.end.lsn:
		return nil, fmt.Errorf("%w: %v, the end is %v", ErrBeyondEnd, lsn, l.mu.end.lsn)
	case lsn <= l.Flushed():
		return throughAlready, nil
	case l.mu.flight != nil && lsn <= l.mu.flight.end:
		return l.mu.flight.done, nil
	}
	return l.mu.pending.done, nil
}

var throughAlready = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Flushed returns the LSN below which everything is on this node's disk.
func (l *Log) Flushed() LSN { return LSN(l.flushed.Load()) }

// End returns the LSN of the next record.
func (l *Log) End() LSN {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.end.lsn
}

// Start returns the oldest LSN that can be read.
func (l *Log) Start() LSN {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.segments[0]
}

// Terms returns the term history, oldest first, of the whole log: also of the part
// that was released.
func (l *Log) Terms() []TermStart {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.mu.terms)
}

// LastTerm returns the term of the last record, 0 for an empty log.
func (l *Log) LastTerm() uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.end.term
}

// Stats returns the log's counters.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.stats
}

// Err returns why the log can no longer be used, or nil.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.err
}

// Close writes and syncs what was appended, stops both goroutines and closes the
// files. Readers that wait get ErrClosed. The error is the log's failure, if any.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.mu.err == ErrClosed {
		l.mu.Unlock()
		return nil
	}
	failed := l.mu.err
	l.mu.err = ErrClosed // from here on nothing is appended
	l.mu.Unlock()
	close(l.quit)
	l.threads.Wait()

	l.disk.Lock()
	defer l.disk.Unlock()
	if failed == nil {
		failed = l.finish()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakeAll()
	if err := l.closeSegment(); failed == nil {
		failed = err
	}
	return failed
}

// closeSegment closes the segment's file, if one is open.
func (l *Log) closeSegment() error {
	if l.disk.segment == nil {
		return nil
	}
	f := l.disk.segment.file
	l.disk.segment = nil
	return f.Close()
}

// finish flushes the last group and seals the segment, so that a later start can
// prove every record durable.
func (l *Log) finish() error {
	if err := l.flushLocked(); err != nil {
		return err
	}
	if err := l.disk.segment.seal(l.Flushed()); err != nil {
		return err
	}
	return l.disk.segment.file.SyncData()
}

// fail makes err the answer of every later call. It returns err.
func (l *Log) fail(err error) error {
	l.mu.Lock()
	first := l.mu.err == nil
	if first {
		l.mu.err = fmt.Errorf("wal: the log failed: %w", err)
	}
	l.wakeAll()
	l.mu.Unlock()
	if first {
		l.tell(err)
	}
	return err
}

// tell lets the log's owner know that it has failed. No lock of mu may be held.
func (l *Log) tell(err error) {
	l.opts.Logger.Error("log failed", "dir", l.opts.Dir, "err", err)
	if l.opts.Fatal != nil {
		l.opts.Fatal(err)
	}
}

// wakeAll lets everyone who waits look again.
func (l *Log) wakeAll() {
	if l.mu.flight != nil {
		close(l.mu.flight.done)
		l.mu.flight = nil
	}
	close(l.mu.pending.done)
	l.mu.pending = newGroup()
	if l.mu.appended != nil {
		close(l.mu.appended)
		l.mu.appended = nil
	}
}
