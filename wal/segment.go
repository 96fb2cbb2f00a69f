package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	formatVersion = 1

	pageBytes   = 4096
	dataOffset  = 3 * pageBytes // header, mark A, mark B
	headerBytes = 40
	markBytes   = 20
	fillBytes   = 1 << 20

	segmentMagic = "HELIOSWL"
	segmentExt   = ".wal"
	category     = vfs.DiskWriteCategory("helios-wal")
)

func segmentName(start LSN) string { return fmt.Sprintf("%016x%s", uint64(start), segmentExt) }

// parseSegmentName returns the start LSN of a segment's file name.
func parseSegmentName(name string) (LSN, bool) {
	hex, ok := strings.CutSuffix(name, segmentExt)
	if !ok || len(hex) != 16 {
		return 0, false
	}
	start, err := strconv.ParseUint(hex, 16, 64)
	return LSN(start), err == nil
}

// segment is the file that the log is being written to.
type segment struct {
	file  vfs.File
	start LSN
	bytes int64 // size of the file
	marks int   // marks written, the next goes to page A if even
}

// fits reports whether n bytes at lsn lie within the segment.
func (s *segment) fits(lsn LSN, n int) bool { return s.offset(lsn)+int64(n) <= s.bytes }

func (s *segment) offset(lsn LSN) int64 { return dataOffset + int64(lsn-s.start) }

func (s *segment) write(lsn LSN, b []byte) error {
	_, err := s.file.WriteAt(b, s.offset(lsn))
	return err
}

// mark writes that everything below durable is known to be on disk.
func (s *segment) mark(durable LSN) error {
	page := int64(1 + s.marks%2)
	s.marks++
	_, err := s.file.WriteAt(encodeMark(s.start, durable), page*pageBytes)
	return err
}

// seal sets both marks.
func (s *segment) seal(durable LSN) error {
	if err := s.mark(durable); err != nil {
		return err
	}
	return s.mark(durable)
}

func encodeMark(start, durable LSN) []byte {
	b := make([]byte, 0, markBytes)
	b = binary.LittleEndian.AppendUint64(b, uint64(start))
	b = binary.LittleEndian.AppendUint64(b, uint64(durable))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeMark(b []byte, start LSN) (durable LSN, ok bool) {
	le := binary.LittleEndian
	if len(b) < markBytes || le.Uint32(b[16:]) != crc32.Checksum(b[:16], castagnoli) || LSN(le.Uint64(b)) != start {
		return 0, false
	}
	return LSN(le.Uint64(b[8:])), true
}

func encodeSegmentHeader(p point) []byte {
	b := append(make([]byte, 0, pageBytes), segmentMagic...)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	b = binary.LittleEndian.AppendUint32(b, p.prev)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.lsn))
	b = binary.LittleEndian.AppendUint64(b, p.chain)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return b[:pageBytes]
}

// decodeSegmentHeader returns the point where a segment begins, without the term,
// which the header does not hold.
func decodeSegmentHeader(b []byte) (point, error) {
	le := binary.LittleEndian
	switch {
	case len(b) < headerBytes || string(b[:8]) != segmentMagic:
		return point{}, errors.New("the file is no log segment")
	case le.Uint32(b[36:]) != crc32.Checksum(b[:36], castagnoli):
		return point{}, errors.New("the segment header's checksum does not match")
	case le.Uint32(b[8:]) != formatVersion:
		return point{}, fmt.Errorf("the segment has format version %d, this program reads %d", le.Uint32(b[8:]), formatVersion)
	}
	return point{lsn: LSN(le.Uint64(b[16:])), prev: le.Uint32(b[12:]), chain: le.Uint64(b[24:])}, nil
}

// scanner reads the records of one segment file in order.
type scanner struct {
	file    vfs.File
	at      point
	durable LSN // greatest durable_before of the segment's marks, or its start
	start   LSN
	limit   LSN    // nothing at or above it is read: it may not be written yet
	buf     []byte // bytes at at.lsn that are read already
}

// openScanner opens the segment that starts at start. Its bytes are kept in buffers
// that are never reused, so records may be kept.
func openScanner(fs vfs.FS, path string, start LSN) (*scanner, error) {
	f, err := fs.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return nil, err
	}
	head := make([]byte, dataOffset)
	if _, err := f.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, f.Close())
	}
	p, err := decodeSegmentHeader(head)
	if err == nil && p.lsn != start {
		err = fmt.Errorf("the segment header says %v", p.lsn)
	}
	if err != nil {
		return nil, errors.Join(&DamageError{LSN: start, Reason: err.Error()}, f.Close())
	}
	s := &scanner{file: f, at: p, start: start, durable: start, limit: math.MaxUint64}
	for page := 1; page <= 2; page++ {
		if durable, ok := decodeMark(head[page*pageBytes:], start); ok {
			s.durable = max(s.durable, durable)
		}
	}
	return s, nil
}

func (s *scanner) close() error { return s.file.Close() }

// next returns the record at the scanner's point and its bytes, or why there is none.
// It checks the record itself, not its place among its neighbours.
func (s *scanner) next() (Record, []byte, error) {
	if err := s.fill(HeaderBytes); err != nil {
		return Record{}, nil, err
	}
	n, err := recordLength(s.buf)
	if err != nil {
		return Record{}, nil, err
	}
	if err := s.fill(n); err != nil {
		return Record{}, nil, err
	}
	r, err := DecodeRecord(s.buf[:n], s.at.lsn)
	return r, s.buf[:n:n], err
}

// skip moves the scanner over a record that next returned.
func (s *scanner) skip(r Record) {
	s.buf = s.buf[r.length():]
	s.at = point{lsn: r.End(), prev: r.length(), term: r.Term, chain: chain(s.at.chain, r.crc)}
}

// fill reads until the buffer holds at least n bytes, or returns errShort at the end
// of the file.
func (s *scanner) fill(n int) error {
	if len(s.buf) >= n {
		return nil
	}
	if s.limit-s.at.lsn < LSN(n) {
		return errShort
	}
	buf := make([]byte, min(LSN(max(n, chunkBytes)), s.limit-s.at.lsn))
	have := copy(buf, s.buf)
	got, err := s.file.ReadAt(buf[have:], dataOffset+int64(s.at.lsn-s.start)+int64(have))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	s.buf = buf[:have+got]
	if len(s.buf) < n {
		return errShort
	}
	return nil
}

// zeroFill writes zeros over f from offset from to offset to in pieces, calling
// stop before each to learn whether to give up.
func zeroFill(f vfs.File, from, to int64, stop func() error) error {
	zeros := make([]byte, min(fillBytes, max(to-from, 0)))
	for from < to {
		if err := stop(); err != nil {
			return err
		}
		n := min(int64(len(zeros)), to-from)
		if _, err := f.WriteAt(zeros[:n], from); err != nil {
			return err
		}
		from += n
	}
	return nil
}

// clearFrom writes zeros wherever f holds something else between from and to.
func clearFrom(f vfs.File, from, to int64) error {
	buf, zeros := make([]byte, fillBytes), make([]byte, fillBytes)
	for from < to {
		n := min(fillBytes, to-from)
		got, err := f.ReadAt(buf[:n], from)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if !bytes.Equal(buf[:got], zeros[:got]) {
			if _, err := f.WriteAt(zeros[:got], from); err != nil {
				return err
			}
		}
		if int64(got) < n {
			return nil
		}
		from += n
	}
	return nil
}
