// Package rpc holds the protocol between nodes: the .proto files of the log
// stream, base copies, reshard copies and node status, and the Go code made
// from them by generate.sh. SQL never travels here; it travels as pgwire.
package rpc

//go:generate ./generate.sh

import (
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/cespare/xxhash/v2"
)

// MaxMessageBytes bounds every message, in and out. Batches of records and
// chunks stay at or below MaxBatchBytes, except a single record or entry that
// is larger by itself.
const (
	MaxMessageBytes = 256 << 20
	MaxBatchBytes   = 1 << 20
)

// AppendEntry packs one key/value pair behind dst and returns the longer slice.
func AppendEntry(dst, key, value []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	dst = append(dst, key...)
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	return append(dst, value...)
}

// NewChunk wraps count packed entries, the last of which has key lastKey. The
// chunk keeps both slices.
func NewChunk(entries []byte, count int, lastKey []byte) *Chunk {
	return &Chunk{Entries: entries, Checksum: xxhash.Sum64(entries), Count: uint32(count), LastKey: lastKey}
}

// All checks the chunk's checksum and returns its pairs in order. The slices
// point into the chunk.
func (c *Chunk) All() (iter.Seq2[[]byte, []byte], error) {
	if sum := xxhash.Sum64(c.GetEntries()); sum != c.GetChecksum() {
		return nil, fmt.Errorf("rpc: chunk of %d bytes has checksum %016x, want %016x", len(c.GetEntries()), sum, c.GetChecksum())
	}
	pairs := 0
	for rest := c.GetEntries(); len(rest) > 0; pairs++ {
		var err error
		if _, _, rest, err = nextEntry(rest); err != nil {
			return nil, err
		}
	}
	if pairs != int(c.GetCount()) {
		return nil, fmt.Errorf("rpc: chunk holds %d entries, says %d", pairs, c.GetCount())
	}
	return func(yield func(key, value []byte) bool) {
		for rest := c.GetEntries(); len(rest) > 0; {
			key, value, next, err := nextEntry(rest)
			if err != nil || !yield(key, value) {
				return
			}
			rest = next
		}
	}, nil
}

func nextEntry(from []byte) (key, value, rest []byte, err error) {
	if key, rest, err = nextField(from); err != nil {
		return nil, nil, nil, err
	}
	if value, rest, err = nextField(rest); err != nil {
		return nil, nil, nil, err
	}
	return key, value, rest, nil
}

func nextField(from []byte) (field, rest []byte, err error) {
	size, n := binary.Uvarint(from)
	if n <= 0 || size > uint64(len(from)-n) {
		return nil, nil, fmt.Errorf("rpc: entry cut short: %d bytes left", len(from))
	}
	end := n + int(size)
	return from[n:end:end], from[end:], nil
}
