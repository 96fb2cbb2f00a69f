package wal

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

func isNotExist(err error) bool { return errors.Is(err, os.ErrNotExist) }

// Open opens the log in a directory, or makes an empty one there. It cuts a torn tail
// and returns ErrDamaged, as a *DamageError, when a durable record is damaged or lost.
// A log must be open only once.
func Open(opts Options) (*Log, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Log{opts: opts, work: make(chan struct{}, 1), refill: make(chan struct{}, 1), quit: make(chan struct{})}
	l.mu.pending = newGroup()
	l.mu.readers = make(map[*Reader]struct{})
	if err := l.load(); err != nil {
		return nil, fmt.Errorf("open log %s: %w", opts.Dir, errors.Join(err, l.closeSegment()))
	}
	l.mu.end = l.disk.written
	l.flushed.Store(uint64(l.mu.end.lsn))
	l.threads.Go(l.write)
	l.threads.Go(l.fill)
	signal(l.refill)
	return l, nil
}

// load brings the files into order and the log's end into memory.
func (l *Log) load() error {
	fs, dir := l.opts.FS, l.opts.Dir
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := syncDir(fs, fs.PathDir(dir)); err != nil {
		return err
	}
	s, found, err := readState(fs, dir)
	if err != nil {
		return err
	}
	l.disk.state = s
	if !found {
		return l.create()
	}
	if s.pending == pendingReset {
		return l.finishReset()
	}
	if err := l.tidy(); err != nil {
		return err
	}
	if s.pending == pendingCut {
		return l.finishCut()
	}
	return l.recoverLast()
}

// create makes an empty log. What an earlier attempt left behind holds no records.
func (l *Log) create() error {
	starts, err := l.listSegments()
	if err != nil {
		return err
	}
	for _, start := range starts {
		sc, err := openScanner(l.opts.FS, l.segmentPath(start), start)
		if err != nil {
			return err
		}
		_, _, err = sc.next()
		if err := sc.close(); err != nil {
			return err
		}
		if err == nil || start != 0 {
			return &DamageError{LSN: start, Reason: "the state file is missing"}
		}
	}
	l.disk.state = state{pending: pendingReset, base: Base{Chain: chainStart}}
	return l.finishReset()
}

func (l *Log) segmentPath(start LSN) string {
	return l.opts.FS.PathJoin(l.opts.Dir, segmentName(start))
}

// listSegments returns the start LSNs of the segment files, oldest first.
func (l *Log) listSegments() ([]LSN, error) {
	names, err := l.opts.FS.List(l.opts.Dir)
	if err != nil {
		return nil, err
	}
	var starts []LSN
	for _, name := range names {
		if start, ok := parseSegmentName(name); ok {
			starts = append(starts, start)
		}
	}
	slices.Sort(starts)
	return starts, nil
}

// tidy removes the files that are not part of the log and checks that those which
// are, are there.
func (l *Log) tidy() error {
	if err := l.gatherSpares(); err != nil {
		return err
	}
	starts, err := l.listSegments()
	if err != nil {
		return err
	}
	s := l.disk.state
	for _, start := range starts {
		if start >= s.start && start <= s.newest {
			l.mu.segments = append(l.mu.segments, start)
		} else if err := l.opts.FS.Remove(l.segmentPath(start)); err != nil {
			return err
		}
	}
	for _, want := range []LSN{s.start, s.newest} {
		if !slices.Contains(l.mu.segments, want) {
			return &DamageError{LSN: want, Reason: "the segment " + segmentName(want) + " is missing"}
		}
	}
	return nil
}

// gatherSpares keeps one spare of the usual size and removes the others.
func (l *Log) gatherSpares() error {
	fs := l.opts.FS
	names, err := fs.List(l.opts.Dir)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(slices.Values(names)) {
		if !strings.HasPrefix(name, sparePrefix) {
			continue
		}
		path := fs.PathJoin(l.opts.Dir, name)
		info, err := fs.Stat(path)
		if err != nil {
			return err
		}
		if len(l.spare.names) == 0 && info.Size() == l.opts.SegmentBytes {
			l.spare.names = append(l.spare.names, name)
			var n int
			if _, err := fmt.Sscanf(name, sparePrefix+"%d", &n); err == nil {
				l.spare.made = max(l.spare.made, n)
			}
		} else if err := fs.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// recoverLast finds the end of the log in its last segment and makes it durable.
func (l *Log) recoverLast() error {
	newest := l.disk.state.newest
	l.mu.terms = termsBelow(l.disk.state.terms, newest)
	end, durable, err := l.scanLast(newest)
	if err != nil {
		return err
	}
	if err := l.openSegment(newest); err != nil {
		return err
	}
	if err := l.rewrite(durable, end.lsn); err != nil {
		return err
	}
	l.disk.written = end
	l.opts.Logger.Info("log opened", "dir", l.opts.Dir, "start", l.disk.state.start, "end", end.lsn, "term", end.term)
	return nil
}

// scanLast reads the last segment up to its first invalid record, gathering terms.
func (l *Log) scanLast(start LSN) (end point, durable LSN, err error) {
	sc, err := openScanner(l.opts.FS, l.segmentPath(start), start)
	if err != nil {
		return point{}, 0, err
	}
	defer func() { err = errors.Join(err, sc.close()) }()
	p := sc.at
	p.term = lastTerm(l.mu.terms)
	var why error
	for {
		var r Record
		if r, _, why = sc.next(); why != nil {
			break
		}
		if why = p.step(r); why != nil {
			break
		}
		if r.Type == TypeTermStart {
			l.mu.terms = append(l.mu.terms, TermStart{Term: r.Term, LSN: r.LSN})
		}
		sc.skip(r)
	}
	if !notARecord(why) {
		return point{}, 0, why
	}
	if sc.durable > p.lsn {
		return point{}, 0, &DamageError{LSN: p.lsn, Reason: fmt.Sprintf("%v, and %v was durable", why, sc.durable)}
	}
	return p, sc.durable, nil
}

// notARecord tells bytes that are no record from a read that failed.
func notARecord(err error) bool {
	for _, reason := range []error{errShort, errLength, errCRC, errLSN, errType, errOrder} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

// openSegment opens an existing segment for writing.
func (l *Log) openSegment(start LSN) error {
	f, err := l.opts.FS.OpenReadWrite(l.segmentPath(start), category)
	if err != nil {
		return err
	}
	l.disk.segment = &segment{file: f, start: start}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	l.disk.segment.bytes = info.Size()
	return nil
}

// rewrite writes the records from..end once more, clears what follows, and seals the
// segment: see "Torn tail versus damage" in docs/format/wal.md.
func (l *Log) rewrite(from, end LSN) error {
	s := l.disk.segment
	buf := make([]byte, fillBytes)
	for from < end {
		n := min(LSN(len(buf)), end-from)
		if _, err := s.file.ReadAt(buf[:n], s.offset(from)); err != nil {
			return err
		}
		if err := s.write(from, buf[:n]); err != nil {
			return err
		}
		from += n
	}
	if err := clearFrom(s.file, s.offset(end), s.bytes); err != nil {
		return err
	}
	if err := s.file.SyncData(); err != nil {
		return err
	}
	if err := s.seal(end); err != nil {
		return err
	}
	return s.file.SyncData()
}
