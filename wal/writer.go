package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// write is the writer: it makes one group after another durable until Close.
func (l *Log) write() {
	for {
		select {
		case <-l.work:
		case <-l.quit:
			return
		}
		l.disk.Lock()
		err := l.flushLocked()
		l.disk.Unlock()
		if err != nil {
			return
		}
		if l.opts.OnFlush != nil {
			l.opts.OnFlush(l.Flushed())
		}
	}
}

// flushLocked writes and syncs everything appended so far as one group.
//
//	take the group        from here on appends gather in the next one
//	write a mark          durable_before = what is synced now
//	write the records     rolling over to new segments, each synced when left
//	sync
//	raise flushed, wake those who wait for the group
//
// The mark rides with the group, so it never claims more than an earlier sync proved;
// a mark of its own would need a second sync. A failed write or sync is final: after
// it the page cache may show what the disk does not hold, so nothing is tried again.
func (l *Log) flushLocked() error {
	began := time.Now()
	l.mu.Lock()
	end := l.mu.end
	if l.mu.err != nil && l.mu.err != ErrClosed {
		defer l.mu.Unlock()
		return l.mu.err
	}
	if end.lsn == l.disk.written.lsn {
		l.mu.Unlock()
		return nil
	}
	parts := l.mu.tail.between(l.disk.written.lsn, end.lsn)
	g := l.mu.pending
	g.end = end.lsn
	l.mu.flight, l.mu.pending = g, newGroup()
	l.mu.Unlock()

	syncs, err := l.writeGroup(parts)
	if err != nil {
		return l.fail(err)
	}
	l.flushed.Store(uint64(end.lsn))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.flight == g { // else the filler failed meanwhile and has woken everyone
		l.mu.flight = nil
		close(g.done)
	}
	l.mu.tail.drop(end.lsn, l.opts.TailBytes)
	l.mu.stats.Groups++
	l.mu.stats.Syncs += uint64(syncs)
	l.mu.stats.LastFlush = time.Since(began)
	return nil
}

func (l *Log) writeGroup(parts [][]byte) (syncs int, err error) {
	if err := l.disk.segment.mark(l.Flushed()); err != nil {
		return 0, err
	}
	for _, part := range parts {
		n, err := l.writePart(part)
		syncs += n
		if err != nil {
			return syncs, err
		}
	}
	if confirmEarly {
		return syncs, nil
	}
	return syncs + 1, l.disk.segment.file.SyncData()
}

// writePart writes whole records, as many as fit into each segment at once.
func (l *Log) writePart(part []byte) (syncs int, err error) {
	for len(part) > 0 {
		n, after := l.fitting(part)
		if n == 0 {
			if err := l.rollOver(int(binary.LittleEndian.Uint32(part))); err != nil {
				return syncs, err
			}
			syncs++
			continue
		}
		if err := l.disk.segment.write(l.disk.written.lsn, part[:n]); err != nil {
			return syncs, err
		}
		l.disk.written = after
		part = part[n:]
	}
	return syncs, nil
}

// fitting returns how many bytes of whole records at the beginning of part fit into
// the segment, and the point behind them.
func (l *Log) fitting(part []byte) (int, point) {
	p, n := l.disk.written, 0
	for n < len(part) {
		length := int(binary.LittleEndian.Uint32(part[n:]))
		if !l.disk.segment.fits(p.lsn, length) {
			break
		}
		p.chain = chain(p.chain, binary.LittleEndian.Uint32(part[n+4:]))
		p.term = binary.LittleEndian.Uint32(part[n+20:])
		p.prev = uint32(length)
		p.lsn += LSN(length)
		n += length
	}
	return n, p
}

// rollOver makes the segment durable and goes on in a new one that has room for a
// record of the given length. An empty segment, too small for its first record, is
// replaced by a larger one of the same name.
func (l *Log) rollOver(length int) error {
	empty := l.disk.written.lsn == l.disk.segment.start
	if err := l.disk.segment.file.SyncData(); err != nil {
		return err
	}
	if err := l.closeSegment(); err != nil {
		return err
	}
	if err := l.startSegment(l.disk.written, length); err != nil || empty {
		return err
	}
	l.mu.Lock()
	l.mu.segments = append(l.mu.segments, l.disk.segment.start)
	s := l.disk.state
	s.terms = termsBelow(l.mu.terms, l.disk.segment.start)
	l.mu.Unlock()
	s.newest = l.disk.segment.start
	return l.saveState(s)
}

func (l *Log) saveState(s state) error {
	if err := writeState(l.opts.FS, l.opts.Dir, s); err != nil {
		return err
	}
	l.disk.state = s
	return nil
}

// startSegment makes the segment that begins at p, durable and named.
func (l *Log) startSegment(p point, length int) error {
	fs := l.opts.FS
	size := l.opts.SegmentBytes
	var name string
	var err error
	if need := dataOffset + int64(length); need > size {
		size = need
		name, err = l.makeSpare(size, func() error { return nil })
	} else {
		name, err = l.takeSpare()
	}
	if err != nil {
		return err
	}
	path := fs.PathJoin(l.opts.Dir, segmentName(p.lsn))
	f, err := fs.OpenReadWrite(fs.PathJoin(l.opts.Dir, name), category)
	if err != nil {
		return err
	}
	s := &segment{file: f, start: p.lsn, bytes: size}
	if err := l.christen(s, p, name, path); err != nil {
		return errors.Join(err, f.Close())
	}
	l.disk.segment = s
	l.disk.written = p
	signal(l.refill)
	return nil
}

// christen turns a spare file into the segment that begins at p.
func (l *Log) christen(s *segment, p point, spare, path string) error {
	if _, err := s.file.WriteAt(encodeSegmentHeader(p), 0); err != nil {
		return err
	}
	if err := s.seal(p.lsn); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	if err := l.opts.FS.Rename(l.opts.FS.PathJoin(l.opts.Dir, spare), path); err != nil {
		return err
	}
	return syncDir(l.opts.FS, l.opts.Dir)
}

const (
	sparePrefix = "spare-"
	maxSpares   = 2
)

var errQuit = errors.New("the log is closing")

// fill is the filler: after each new segment it readies the file for the next, so
// that commits do not wait for 64 MiB of zeros.
func (l *Log) fill() {
	for {
		select {
		case <-l.refill:
		case <-l.quit:
			return
		}
		if err := l.keepSpare(); errors.Is(err, errQuit) {
			return
		} else if err != nil {
			_ = l.fail(err)
			return
		}
	}
}

func (l *Log) keepSpare() error {
	l.spare.Lock()
	defer l.spare.Unlock()
	if len(l.spare.names) > 0 {
		return nil
	}
	name, err := l.makeSpareLocked(l.opts.SegmentBytes, func() error {
		select {
		case <-l.quit:
			return errQuit
		default:
			return nil
		}
	})
	if err != nil {
		return err
	}
	l.spare.names = append(l.spare.names, name)
	return nil
}

// takeSpare returns a file of SegmentBytes, waiting for the filler or making one.
func (l *Log) takeSpare() (string, error) {
	l.spare.Lock()
	defer l.spare.Unlock()
	if n := len(l.spare.names); n > 0 {
		name := l.spare.names[n-1]
		l.spare.names = l.spare.names[:n-1]
		return name, nil
	}
	return l.makeSpareLocked(l.opts.SegmentBytes, func() error { return nil })
}

func (l *Log) makeSpare(size int64, stop func() error) (string, error) {
	l.spare.Lock()
	defer l.spare.Unlock()
	return l.makeSpareLocked(size, stop)
}

// makeSpareLocked writes a file full of zeros and syncs it; stop may end it early.
func (l *Log) makeSpareLocked(size int64, stop func() error) (string, error) {
	fs := l.opts.FS
	name := l.nextSpareName()
	path := fs.PathJoin(l.opts.Dir, name)
	f, err := fs.OpenReadWrite(path, category)
	if err != nil {
		return "", err
	}
	err = fillFile(f, size, stop)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, fs.Remove(path))
	}
	return name, nil
}

func fillFile(f vfs.File, size int64, stop func() error) error {
	if err := zeroFill(f, 0, size, stop); err != nil {
		return err
	}
	return f.Sync()
}

func (l *Log) nextSpareName() string {
	l.spare.made++
	return fmt.Sprintf("%s%06d", sparePrefix, l.spare.made)
}

// recycle turns a segment that is no longer part of the log into a spare, or removes
// it when there are enough or its size is not the usual one.
func (l *Log) recycle(name string) error {
	fs := l.opts.FS
	path := fs.PathJoin(l.opts.Dir, name)
	info, err := fs.Stat(path)
	if err != nil {
		return err
	}
	l.spare.Lock()
	defer l.spare.Unlock()
	if len(l.spare.names) >= maxSpares || info.Size() != l.opts.SegmentBytes {
		return fs.Remove(path)
	}
	spare := l.nextSpareName()
	if err := fs.Rename(path, fs.PathJoin(l.opts.Dir, spare)); err != nil {
		return err
	}
	l.spare.names = append(l.spare.names, spare)
	return nil
}

// dropSpares removes every spare. A spare may hold records of this log that a cut or
// reset has undone, valid down to their LSN.
func (l *Log) dropSpares() error {
	l.spare.Lock()
	defer l.spare.Unlock()
	names, err := l.opts.FS.List(l.opts.Dir)
	if err != nil {
		return err
	}
	l.spare.names = nil
	for _, name := range slices.Sorted(slices.Values(names)) {
		if strings.HasPrefix(name, sparePrefix) {
			if err := l.opts.FS.Remove(l.opts.FS.PathJoin(l.opts.Dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
