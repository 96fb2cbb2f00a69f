package wal

import (
	"errors"
	"fmt"
	"slices"
)

// Base is a place in a log and what a log that begins there must know of the part
// before: it comes with a base copy.
type Base struct {
	LSN   LSN
	Prev  uint32      // length of the record before
	Chain uint64      // chain hash at LSN
	Terms []TermStart // of the log below LSN, oldest first
}

// BaseAt returns what a base copy taken at lsn needs. ErrBoundary means that no record
// begins or ends there.
func (l *Log) BaseAt(lsn LSN) (Base, error) {
	p, err := l.locate(lsn)
	if err != nil {
		return Base{}, err
	}
	return Base{LSN: lsn, Prev: p.prev, Chain: p.chain, Terms: termsBelow(l.Terms(), lsn)}, nil
}

// ChainAt returns the chain hash at lsn: two logs with equal hashes there hold the same
// records below. It is cheap at the end of the log and reads a segment farther back;
// ok is false where no record begins or ends, or the log is not kept or not readable.
func (l *Log) ChainAt(lsn LSN) (hash uint64, ok bool) {
	p, err := l.locate(lsn)
	return p.chain, err == nil
}

// locate returns the point at lsn; its term is not known everywhere.
func (l *Log) locate(lsn LSN) (point, error) {
	l.mu.Lock()
	from, bytes, err := l.nearest(lsn)
	var segment LSN
	if err == nil && from == nil {
		segment = l.segmentOf(lsn)
	}
	l.mu.Unlock()
	switch {
	case err != nil:
		return point{}, err
	case from == nil:
		return l.walkSegment(segment, lsn)
	}
	return walk(*from, bytes, lsn)
}

// nearest returns a point in memory at or below lsn and the bytes behind it, or nil if
// a segment must be read.
func (l *Log) nearest(lsn LSN) (from *point, bytes []byte, err error) {
	end := l.mu.end
	switch {
	case l.mu.err != nil:
		return nil, nil, l.mu.err
	case lsn == end.lsn:
		return &end, nil, nil
	case lsn > end.lsn:
		return nil, nil, fmt.Errorf("%w: %v, the end is %v", ErrBeyondEnd, lsn, end.lsn)
	case lsn < l.mu.segments[0]:
		return nil, nil, fmt.Errorf("%w: %v, the log begins at %v", ErrReleased, lsn, l.mu.segments[0])
	case lsn >= l.mu.tail.start(end.lsn):
		c := l.mu.tail.find(lsn)
		return &c.from, c.buf, nil
	}
	return nil, nil, nil
}

// segmentOf returns the start of the segment that holds lsn.
func (l *Log) segmentOf(lsn LSN) LSN {
	i, found := slices.BinarySearch(l.mu.segments, lsn)
	if !found {
		i--
	}
	return l.mu.segments[i]
}

// walk steps from p over the records in b until lsn.
func walk(p point, b []byte, lsn LSN) (point, error) {
	for p.lsn < lsn {
		r, err := DecodeRecord(b, p.lsn)
		if err == nil {
			err = p.step(r)
		}
		if err != nil {
			return point{}, damage(p.lsn, err)
		}
		b = b[r.length():]
	}
	if p.lsn != lsn {
		return point{}, fmt.Errorf("%w: %v", ErrBoundary, lsn)
	}
	return p, nil
}

func (l *Log) walkSegment(start, lsn LSN) (p point, err error) {
	sc, err := openScanner(l.opts.FS, l.segmentPath(start), start)
	if err != nil {
		return point{}, err
	}
	defer func() { err = errors.Join(err, sc.close()) }()
	for sc.at.lsn < lsn {
		r, _, err := sc.next()
		if err != nil {
			return point{}, damage(sc.at.lsn, err)
		}
		sc.skip(r)
	}
	if sc.at.lsn != lsn {
		return point{}, fmt.Errorf("%w: %v", ErrBoundary, lsn)
	}
	return sc.at, nil
}

// TruncateTo cuts the log so that it ends at lsn, durably: a standby does so to what
// the new term's primary does not have. Readers above lsn get ErrTruncated.
func (l *Log) TruncateTo(lsn LSN) error {
	failed, err := l.truncate(lsn)
	if failed {
		l.tell(err)
	}
	return err
}

func (l *Log) truncate(lsn LSN) (failed bool, err error) {
	l.disk.Lock()
	defer l.disk.Unlock()
	if err := l.flushLocked(); err != nil {
		return false, err
	}
	p, err := l.locate(lsn)
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.mu.err != nil:
		return false, l.mu.err
	case l.mu.end.lsn != l.disk.written.lsn:
		return false, fmt.Errorf("%w: records were appended while the log was cut", ErrRefused)
	case lsn == l.mu.end.lsn:
		return false, nil
	}
	s := l.disk.state
	s.pending, s.newest, s.terms = pendingCut, l.segmentOf(lsn), termsBelow(l.mu.terms, lsn)
	s.base = Base{LSN: lsn, Prev: p.prev, Chain: p.chain}
	return l.rebuild(s, l.finishCut)
}

// Reset throws the log away and begins an empty one at base, durably: what follows a
// base copy. Readers get ErrTruncated.
func (l *Log) Reset(base Base) error {
	failed, err := l.reset(base)
	if failed {
		l.tell(err)
	}
	return err
}

func (l *Log) reset(base Base) (failed bool, err error) {
	l.disk.Lock()
	defer l.disk.Unlock()
	if err := l.flushLocked(); err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.err != nil {
		return false, l.mu.err
	}
	if base.Chain == 0 && base.LSN == 0 {
		base.Chain = chainStart
	}
	return l.rebuild(state{
		start: base.LSN, newest: base.LSN, pending: pendingReset, base: base,
		terms: termsBelow(base.Terms, base.LSN),
	}, l.finishReset)
}

// rebuild stores what is about to be done, lets finish do it, and takes over the new
// end. Both locks are held; if the disk fails, the caller tells once they are not.
func (l *Log) rebuild(s state, finish func() error) (failed bool, err error) {
	defer l.wakeAll()
	if err := l.rebuildFiles(s, finish); err != nil {
		l.mu.err = fmt.Errorf("wal: the log failed: %w", err)
		return true, err
	}
	l.mu.end = l.disk.written
	l.mu.tail = tail{}
	l.mu.cuts++
	l.flushed.Store(uint64(l.mu.end.lsn))
	for r := range l.mu.readers {
		if r.pos > l.mu.end.lsn || s.pending == pendingReset {
			r.err = ErrTruncated
		}
	}
	return false, nil
}

func (l *Log) rebuildFiles(s state, finish func() error) error {
	if err := l.saveState(s); err != nil {
		return err
	}
	if err := l.closeSegment(); err != nil {
		return err
	}
	return finish()
}

// finishCut does what the state's pending cut says; doing it twice is harmless.
func (l *Log) finishCut() error {
	s := l.disk.state
	for _, start := range l.mu.segments {
		if start > s.newest {
			if err := l.opts.FS.Remove(l.segmentPath(start)); err != nil && !isNotExist(err) {
				return err
			}
		}
	}
	l.mu.segments = slices.DeleteFunc(l.mu.segments, func(start LSN) bool { return start > s.newest })
	if err := l.openSegment(s.newest); err != nil {
		return err
	}
	if err := l.rewrite(s.base.LSN, s.base.LSN); err != nil {
		return err
	}
	l.finishAt(s)
	s.pending = nothing
	return l.saveState(s)
}

// finishReset does what the state's pending reset says; doing it twice is harmless.
func (l *Log) finishReset() error {
	s := l.disk.state
	starts, err := l.listSegments()
	if err != nil {
		return err
	}
	for _, start := range starts {
		if err := l.opts.FS.Remove(l.segmentPath(start)); err != nil {
			return err
		}
	}
	if err := l.dropSpares(); err != nil {
		return err
	}
	if err := l.startSegment(point{lsn: s.base.LSN, prev: s.base.Prev, chain: s.base.Chain}, 0); err != nil {
		return err
	}
	l.mu.segments = []LSN{s.base.LSN}
	l.finishAt(s)
	s.pending = nothing
	return l.saveState(s)
}

// finishAt sets the end of the log to the pending LSN of s.
func (l *Log) finishAt(s state) {
	l.mu.terms = slices.Clone(s.terms)
	l.disk.written = point{lsn: s.base.LSN, prev: s.base.Prev, chain: s.base.Chain, term: lastTerm(s.terms)}
}

// Release gives up the segments that lie wholly below lsn: nobody will read them any
// more. The last segment is always kept.
func (l *Log) Release(below LSN) error {
	l.disk.Lock()
	defer l.disk.Unlock()
	l.mu.Lock()
	if l.mu.err != nil {
		defer l.mu.Unlock()
		return l.mu.err
	}
	n := 0
	for n+1 < len(l.mu.segments) && l.mu.segments[n+1] <= below {
		n++
	}
	gone := slices.Clone(l.mu.segments[:n])
	l.mu.segments = slices.Clone(l.mu.segments[n:])
	s := l.disk.state
	s.start = l.mu.segments[0]
	l.mu.Unlock()
	if n == 0 {
		return nil
	}
	if err := l.saveState(s); err != nil {
		return l.fail(err)
	}
	for _, start := range gone {
		if err := l.recycle(segmentName(start)); err != nil {
			return l.fail(err)
		}
	}
	return nil
}
