package pgwire

import (
	"unicode/utf8"

	"github.com/heliosdb/helios/types"
)

// validText checks that strings from the client are UTF-8; its error is a *types.Error.
func validText(texts ...string) error {
	for _, s := range texts {
		if !utf8.ValidString(s) {
			return badBytes([]byte(s))
		}
	}
	return nil
}

// validBytes checks a value in text format: UTF-8 without zero bytes.
func validBytes(b []byte) error {
	for _, x := range b {
		if x == 0 {
			return badBytes(b)
		}
	}
	if !utf8.Valid(b) {
		return badBytes(b)
	}
	return nil
}

// badBytes names the first bytes that are not UTF-8, as PostgreSQL does.
func badBytes(b []byte) error {
	i := 0
	for i < len(b) && b[i] != 0 {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		i += size
	}
	n := 1
	if b[i] != 0 {
		n = min(sequenceLength(b[i]), len(b)-i)
	}
	hex := ""
	for j, x := range b[i : i+n] {
		if j > 0 {
			hex += " "
		}
		hex += "0x" + string("0123456789abcdef"[x>>4]) + string("0123456789abcdef"[x&15])
	}
	return types.Errorf("22021", "invalid byte sequence for encoding \"UTF8\": %s", hex)
}

// sequenceLength is the length that a UTF-8 sequence's first byte promises.
func sequenceLength(first byte) int {
	switch {
	case first&0xe0 == 0xc0:
		return 2
	case first&0xf0 == 0xe0:
		return 3
	case first&0xf8 == 0xf0:
		return 4
	}
	return 1
}
