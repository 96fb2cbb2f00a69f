package rpc

import (
	"bytes"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

func TestChunkRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOf(rapid.SliceOf(rapid.Byte())).Draw(t, "keys")
		var entries, last []byte
		for i, key := range keys {
			entries = AppendEntry(entries, key, bytes.Repeat([]byte{byte(i)}, i))
			last = key
		}
		chunk := NewChunk(entries, len(keys), last)
		all, err := chunk.All()
		if err != nil {
			t.Fatal(err)
		}
		i := 0
		for key, value := range all {
			if !bytes.Equal(key, keys[i]) || len(value) != i {
				t.Fatalf("entry %d: got %x with %d bytes, want %x with %d", i, key, len(value), keys[i], i)
			}
			i++
		}
		if got, want := i, len(keys); got != want {
			t.Fatalf("got %d entries, want %d", got, want)
		}
	})
}

// A chunk damaged anywhere is refused, also when its checksum was made anew.
func TestChunkDamaged(t *testing.T) {
	entries := AppendEntry(AppendEntry(nil, []byte("a"), []byte("1")), []byte("bb"), []byte("22"))
	for i := range entries {
		chunk := NewChunk(bytes.Clone(entries), 2, []byte("bb"))
		chunk.Entries[i] ^= 0x40
		if _, err := chunk.All(); err == nil {
			t.Errorf("byte %d flipped: no error", i)
		}
	}
	for cut := 1; cut < len(entries); cut++ {
		chunk := NewChunk(entries[:cut], 2, []byte("bb"))
		chunk.Checksum = xxhash.Sum64(chunk.Entries)
		if _, err := chunk.All(); err == nil {
			t.Errorf("cut to %d bytes: no error", cut)
		}
	}
}

func FuzzChunk(f *testing.F) {
	f.Add(AppendEntry(nil, []byte("k"), []byte("v")), uint32(1))
	f.Fuzz(func(t *testing.T, entries []byte, count uint32) {
		chunk := &Chunk{Entries: entries, Checksum: xxhash.Sum64(entries), Count: count}
		if all, err := chunk.All(); err == nil {
			for range all { // must not panic
			}
		}
	})
}
