package wal

import (
	"bytes"
	"testing"
)

// FuzzDecodeRecord holds that no bytes make the decoder panic, and that what it accepts
// is what encoding gives.
func FuzzDecodeRecord(f *testing.F) {
	for _, r := range []Record{
		{Type: TypeTermStart, Term: 1},
		{LSN: 4096, Prev: 42, Term: 7, Type: TypeTxn, Flags: 3, TxID: 9, Time: 1 << 60, Payload: []byte("payload")},
		{LSN: 1 << 40, Prev: MaxRecordBytes, Term: 1 << 31, Type: TypeOutcome, Payload: make([]byte, 300)},
	} {
		b := r.append(nil)
		f.Add(b, uint64(r.LSN))
		f.Add(b[:len(b)-1], uint64(r.LSN))
		f.Add(append(b, 1, 2, 3), uint64(r.LSN))
		f.Add(b, uint64(r.LSN)+1)
	}
	f.Add([]byte{}, uint64(0))
	f.Add(bytes.Repeat([]byte{0xff}, 64), uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, lsn uint64) {
		r, err := DecodeRecord(b, LSN(lsn))
		if err != nil {
			return
		}
		if got := r.append(nil); !bytes.Equal(got, b[:len(got)]) {
			t.Errorf("%x encodes as %x", b, got)
		}
	})
}

func FuzzDecodeState(f *testing.F) {
	f.Add(state{}.encode())
	f.Add(state{start: 1, newest: 2, pending: pendingCut, base: Base{LSN: 3}, terms: []TermStart{{1, 0}, {2, 42}}}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeState(b)
		if err == nil && !bytes.Equal(s.encode(), b) {
			t.Errorf("%x encodes as %x", b, s.encode())
		}
	})
}

func TestTypeNames(t *testing.T) {
	for typ := TypeTxn; typ <= TypeOutcome; typ++ {
		if typ.String() == "" || !typ.valid() {
			t.Errorf("type %d has no name", uint8(typ))
		}
	}
	if got, want := Type(99).String(), "TYPE(99)"; got != want {
		t.Errorf("String = %s, want %s", got, want)
	}
	if got, want := LSN(0x1_0000_002a).String(), "1/0000002A"; got != want {
		t.Errorf("LSN = %s, want %s", got, want)
	}
}
