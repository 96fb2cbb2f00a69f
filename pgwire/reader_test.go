package pgwire

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// TestReader holds that any cut of the stream into chunks and requests gives the same
// bytes, and that slices handed out before are never written again.
func TestReader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		sizes := rapid.SliceOf(rapid.OneOf(rapid.IntRange(0, 20), rapid.IntRange(0, 300<<10))).Draw(t, "sizes")
		for i, n := range sizes {
			stream = append(stream, bytes.Repeat([]byte{byte(i)}, n)...)
		}
		var src io.Reader = bytes.NewReader(stream)
		if rapid.Bool().Draw(t, "halves") {
			src = iotest.HalfReader(src)
		}
		r := &reader{src: src, limit: 1 << 20}
		var got [][]byte
		for _, n := range sizes {
			b, err := r.Next(n)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, b)
		}
		if !bytes.Equal(bytes.Join(got, nil), stream) {
			t.Error("the stream changed")
		}
		if _, err := r.Next(1); !errors.Is(err, io.EOF) {
			t.Errorf("got %v at the end", err)
		}
	})
}

// TestReaderMemory holds that an announced length claims no memory before its bytes come.
func TestReaderMemory(t *testing.T) {
	r := &reader{src: bytes.NewReader(make([]byte, 100)), limit: 1 << 30}
	if _, err := r.Next(1 << 29); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	if got, want := len(r.buf), growStep; got > want {
		t.Errorf("%d bytes were claimed for 100", got)
	}
	var long *tooLong
	r = &reader{src: bytes.NewReader(nil), limit: 10}
	if _, err := r.Next(11); !errors.As(err, &long) {
		t.Errorf("got %v", err)
	}
}

// TestFollows sees the next message only once it has come.
func TestFollows(t *testing.T) {
	r := &reader{src: iotest.OneByteReader(bytes.NewReader([]byte("EEEEESSSSS"))), limit: 10}
	if _, err := r.Next(5); err != nil {
		t.Fatal(err)
	}
	if r.follows('S') {
		t.Error("a message that has not come follows")
	}
	r = &reader{src: bytes.NewReader([]byte("EEEEESSSSS")), limit: 10}
	if _, err := r.Next(5); err != nil {
		t.Fatal(err)
	}
	if !r.follows('S') || r.follows('E') {
		t.Error("the message that has come is not seen")
	}
}
