package pgwire

import (
	"fmt"
	"io"
)

const (
	chunkSize = 8 << 10  // bytes read at once; messages are carved from such chunks
	growStep  = 64 << 10 // a longer body gets memory as its bytes arrive, not as announced
)

// reader is the pgproto3.ChunkReader of a connection. A slice from Next is never
// written again, so messages may point into it; it lives as long as its chunk is used.
type reader struct {
	src   io.Reader
	limit int   // longest body, bytes
	err   error // the first error of src or of the limit; it stays
	kind  byte  // first byte of the last header: the message's type

	buf  []byte
	r, w int // buf[r:w] is read but not handed out
}

// tooLong says that a message announced a body above the limit.
type tooLong struct{ size, limit int }

func (e *tooLong) Error() string {
	return fmt.Sprintf("message of %d bytes exceeds the limit of %d", e.size, e.limit)
}

const headerSize = 5

// Next gives the next n bytes. pgproto3 calls it with headerSize for each header, then
// with the length of the body.
func (r *reader) Next(n int) ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	if n > r.limit {
		r.err = &tooLong{n, r.limit}
		return nil, r.err
	}
	if err := r.fill(n); err != nil {
		r.err = err
		return nil, err
	}
	b := r.buf[r.r : r.r+n : r.r+n]
	r.r += n
	if n == headerSize {
		r.kind = b[0]
	}
	return b, nil
}

// follows tells whether a message of a type is next among the bytes that have come.
func (r *reader) follows(kind byte) bool { return r.r < r.w && r.buf[r.r] == kind }

// fill makes buf[r:w] hold at least n bytes.
func (r *reader) fill(n int) error {
	for r.w-r.r < n {
		if r.r+n > len(r.buf) {
			// Grow by doubling: an announced length alone claims no memory.
			have := r.w - r.r
			size := max(chunkSize, min(n, max(growStep, 2*have)))
			if size > len(r.buf)-r.r {
				chunk := make([]byte, size)
				r.w = copy(chunk, r.buf[r.r:r.w])
				r.buf, r.r = chunk, 0
			}
		}
		want := min(n, len(r.buf)-r.r) - (r.w - r.r)
		m, err := io.ReadAtLeast(r.src, r.buf[r.w:], want)
		r.w += m
		if err != nil {
			return err
		}
	}
	return nil
}
