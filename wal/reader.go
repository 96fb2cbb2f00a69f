package wal

import (
	"context"
	"fmt"
	"sync"
)

// Reader follows the log from an LSN on, in memory where it can and in segment files
// where it must. It is used by one goroutine, except that Close may come from another.
type Reader struct {
	log *Log
	pos LSN   // of the next record; guarded by log.mu
	err error // why the reader is finished; guarded by log.mu
	use struct {
		sync.Mutex          // held while reading, not while waiting; before log.mu
		file       *scanner // open segment, if the last record came from one
		cuts       int      // of the log when the file was opened
	}
}

// ReadFrom returns a reader whose first record is the one at from. ErrReleased and
// ErrBeyondEnd say that there is none; that from is no record's LSN shows at the first
// read, as ErrDamaged. The reader must be closed.
func (l *Log) ReadFrom(from LSN) (*Reader, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.mu.err != nil:
		return nil, l.mu.err
	case from < l.mu.segments[0]:
		return nil, fmt.Errorf("%w: %v, the log begins at %v", ErrReleased, from, l.mu.segments[0])
	case from > l.mu.end.lsn:
		return nil, fmt.Errorf("%w: %v, the end is %v", ErrBeyondEnd, from, l.mu.end.lsn)
	}
	r := &Reader{log: l, pos: from}
	l.mu.readers[r] = struct{}{}
	return r, nil
}

// Next returns the next record, waiting until there is one: appended, not necessarily
// flushed. The error is ErrReleased, ErrTruncated, ErrDamaged, ErrClosed, the log's
// failure or the context's.
func (r *Reader) Next(ctx context.Context) (Record, error) {
	lsn, raw, err := r.NextBytes(ctx, 0)
	if err != nil {
		return Record{}, err
	}
	return r.decode(lsn, raw)
}

// TryNext returns the next record; ok is false if there is none yet.
func (r *Reader) TryNext() (rec Record, ok bool, err error) {
	lsn, raw, _, err := r.read(0)
	if err != nil || raw == nil {
		return Record{}, false, err
	}
	rec, err = r.decode(lsn, raw)
	return rec, err == nil, err
}

// NextBytes returns as many whole records as fit into max bytes, at least one, as they
// are in the log, and the LSN of the first; it waits until there is one. The bytes are
// never changed and must not be written to; they may be kept.
func (r *Reader) NextBytes(ctx context.Context, max int) (LSN, []byte, error) {
	for {
		lsn, raw, appended, err := r.read(max)
		if err != nil || raw != nil {
			return lsn, raw, err
		}
		select {
		case <-appended:
		case <-ctx.Done():
			return 0, nil, ctx.Err()
		}
	}
}

// Pos returns the LSN of the next record.
func (r *Reader) Pos() LSN {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	return r.pos
}

// Close ends the reader; a Next that waits elsewhere returns ErrClosed.
func (r *Reader) Close() error {
	r.log.mu.Lock()
	r.err = ErrClosed
	delete(r.log.mu.readers, r)
	if r.log.mu.appended != nil {
		close(r.log.mu.appended)
		r.log.mu.appended = nil
	}
	r.log.mu.Unlock()
	r.use.Lock()
	defer r.use.Unlock()
	return r.closeFile()
}

func (r *Reader) closeFile() error {
	if r.use.file == nil {
		return nil
	}
	f := r.use.file
	r.use.file = nil
	return f.close()
}

func (r *Reader) decode(lsn LSN, raw []byte) (Record, error) {
	rec, err := DecodeRecord(raw, lsn)
	if err != nil {
		return Record{}, damage(lsn, err)
	}
	return rec, nil
}

// read returns the next records, or a channel that closes when there may be some.
func (r *Reader) read(max int) (LSN, []byte, <-chan struct{}, error) {
	r.use.Lock()
	defer r.use.Unlock()
	l := r.log
	l.mu.Lock()
	pos := r.pos
	if err := r.check(); err != nil {
		l.mu.Unlock()
		return 0, nil, nil, err
	}
	if pos == l.mu.end.lsn {
		if l.mu.appended == nil {
			l.mu.appended = make(chan struct{})
		}
		defer l.mu.Unlock()
		return 0, nil, l.mu.appended, nil
	}
	if pos >= l.mu.tail.start(l.mu.end.lsn) {
		defer l.mu.Unlock()
		c := l.mu.tail.find(pos)
		raw, err := whole(c.buf[pos-c.from.lsn:], max)
		if err != nil {
			return 0, nil, nil, damage(pos, err)
		}
		r.pos += LSN(len(raw))
		return pos, raw, nil, nil
	}
	start := l.segmentOf(pos)
	limit := l.mu.tail.start(l.mu.end.lsn)
	fresh := r.use.cuts == l.mu.cuts
	r.use.cuts = l.mu.cuts
	l.mu.Unlock()

	if !fresh { // what is read ahead may have been cut off and written anew
		if err := r.closeFile(); err != nil {
			return 0, nil, nil, err
		}
	}
	raw, err := r.readSegment(start, pos, limit, max)

	l.mu.Lock()
	defer l.mu.Unlock()
	if gone := r.check(); gone != nil {
		return 0, nil, nil, gone // what was read may be another record's remains
	}
	if err != nil {
		return 0, nil, nil, err
	}
	r.pos += LSN(len(raw))
	return pos, raw, nil, nil
}

// check returns why the reader cannot go on.
func (r *Reader) check() error {
	switch {
	case r.err != nil:
		return r.err
	case r.log.mu.err != nil:
		return r.log.mu.err
	case r.pos < r.log.mu.segments[0]:
		return fmt.Errorf("%w: %v, the log begins at %v", ErrReleased, r.pos, r.log.mu.segments[0])
	}
	return nil
}

// whole returns the whole records at the beginning of b that fit into max bytes, and
// always the first.
func whole(b []byte, max int) ([]byte, error) {
	n, err := recordLength(b)
	if err != nil {
		return nil, err
	}
	if n > len(b) {
		return nil, errShort
	}
	for n < len(b) {
		next, err := recordLength(b[n:])
		if err != nil {
			return nil, err
		}
		if n+next > max || n+next > len(b) {
			break
		}
		n += next
	}
	return b[:n:n], nil
}

// readSegment returns whole records at pos from the segment that begins at start, up
// to limit, where memory takes over.
func (r *Reader) readSegment(start, pos, limit LSN, max int) ([]byte, error) {
	if err := r.seek(start, pos); err != nil {
		return nil, err
	}
	sc := r.use.file
	sc.limit = limit
	var batch []byte
	for sc.at.lsn < limit {
		rec, raw, err := sc.next()
		if err != nil {
			if len(batch) > 0 && notARecord(err) {
				return batch, nil // the segment ends here, or the next call finds the damage
			}
			return nil, damage(sc.at.lsn, err)
		}
		if len(batch) > 0 && len(batch)+len(raw) > max {
			return batch, nil
		}
		sc.skip(rec)
		if len(raw) >= max {
			return raw, nil
		}
		batch = append(batch, raw...)
	}
	return batch, nil
}

// seek makes the open file a scanner of the segment that begins at start, at pos.
func (r *Reader) seek(start, pos LSN) error {
	if r.use.file == nil || r.use.file.start != start {
		if err := r.closeFile(); err != nil {
			return err
		}
		sc, err := openScanner(r.log.opts.FS, r.log.segmentPath(start), start)
		if isNotExist(err) {
			return &DamageError{LSN: start, Reason: "the segment " + segmentName(start) + " is missing"}
		}
		if err != nil {
			return err
		}
		r.use.file = sc
	}
	if r.use.file.at.lsn != pos {
		r.use.file.at, r.use.file.buf = point{lsn: pos}, nil
	}
	return nil
}
