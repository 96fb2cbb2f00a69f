package wal

import "sort"

// chunkBytes is how much of the log one chunk of memory holds; a larger record gets
// a chunk of its own.
const chunkBytes = 256 << 10

// chunk is a run of whole records in memory. It only grows, within its capacity, so
// a slice of it stays valid and unchanged for as long as anyone keeps it.
type chunk struct {
	from point
	buf  []byte
}

func (c *chunk) end() LSN { return c.from.lsn + LSN(len(c.buf)) }

// tail is the end of the log in memory: what is not yet written, and before it as much
// as readers are likely to want.
type tail struct {
	chunks []*chunk
	bytes  int // sum of capacities
}

// room returns a chunk with room for n bytes at the end of the tail, which is at p.
func (t *tail) room(n int, p point) *chunk {
	if len(t.chunks) > 0 {
		if c := t.chunks[len(t.chunks)-1]; cap(c.buf)-len(c.buf) >= n {
			return c
		}
	}
	c := &chunk{from: p, buf: make([]byte, 0, max(n, chunkBytes))}
	t.chunks = append(t.chunks, c)
	t.bytes += cap(c.buf)
	return c
}

// start returns the first LSN in memory; end is the end of the log.
func (t *tail) start(end LSN) LSN {
	if len(t.chunks) == 0 {
		return end
	}
	return t.chunks[0].from.lsn
}

// find returns the chunk that holds lsn, which must lie in the tail.
func (t *tail) find(lsn LSN) *chunk {
	i := sort.Search(len(t.chunks), func(i int) bool { return t.chunks[i].end() > lsn })
	return t.chunks[i]
}

// between returns the bytes from..to, which must lie in the tail, without copying.
func (t *tail) between(from, to LSN) [][]byte {
	var parts [][]byte
	for from < to {
		c := t.find(from)
		stop := min(to, c.end())
		parts = append(parts, c.buf[from-c.from.lsn:stop-c.from.lsn])
		from = stop
	}
	return parts
}

// drop forgets the oldest chunks that are written until at most limit bytes are kept.
func (t *tail) drop(written LSN, limit int) {
	for len(t.chunks) > 0 && t.bytes > limit && t.chunks[0].end() <= written {
		t.bytes -= cap(t.chunks[0].buf)
		t.chunks[0] = nil
		t.chunks = t.chunks[1:]
	}
}
