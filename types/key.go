package types

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// Marks that begin an encoded key part. All payloads may be complemented for
// descending order; the two NULL marks never are. Integers need no mark: their first
// byte says how many follow. docs/format/key.md draws the encoding.
const (
	keyNullFirst = 0x01
	keyNullLast  = 0xFE
	keyInt       = 0x80 // keyInt ± number of bytes
	keyFloat     = 0x20
	keyNumeric   = 0x28
	keyText      = 0x30
	keyBytes     = 0x38
	keyInterval  = 0x40
	keyVector    = 0x48
	keyArray     = 0x50
	keyRecord    = 0x58
	keyJSONB     = 0x60
)

// AppendKey appends v so that bytes.Compare of encoded keys orders as Compare does
// (reversed by desc), NULL before or after all values as nullsFirst says. The code is
// self-delimiting and prefix-free: parts may follow one another. Equal values have
// equal codes, so what does not count in comparison is lost: the scale of a numeric,
// the sign of zero, the fields of an interval, white space of character(n).
func AppendKey(dst []byte, v Value, desc, nullsFirst bool) []byte {
	if v.IsNull() {
		if nullsFirst {
			return append(dst, keyNullFirst)
		}
		return append(dst, keyNullLast)
	}
	start := len(dst)
	dst = appendKeyValue(dst, v)
	if desc {
		complement(dst[start:])
	}
	return dst
}

func complement(b []byte) {
	for i := range b {
		b[i] = ^b[i]
	}
}

func appendKeyValue(dst []byte, v Value) []byte {
	switch v.kind {
	case KindBool, KindInt, KindDate, KindTime, KindTimestamp:
		return appendKeyInt(dst, v.n)
	case KindFloat:
		return binary.BigEndian.AppendUint64(append(dst, keyFloat), orderedFloat(v.AsFloat()))
	case KindNumeric:
		return appendKeyNumeric(append(dst, keyNumeric), v.AsNumeric())
	case KindText:
		return appendKeyString(append(dst, keyText), v.AsText())
	case KindBytes:
		return appendKeyString(append(dst, keyBytes), v.AsText())
	case KindInterval:
		hi, lo := v.AsInterval().Span()
		dst = binary.BigEndian.AppendUint64(append(dst, keyInterval), uint64(hi)^1<<63)
		return binary.BigEndian.AppendUint64(dst, lo)
	case KindVector:
		dst = append(dst, keyVector)
		for _, x := range v.AsVector() {
			dst = binary.BigEndian.AppendUint32(dst, orderedFloat32(x))
		}
		return append(dst, 0, 0, 0, 0)
	case KindArray:
		return appendKeyArray(append(dst, keyArray), v.AsArray())
	case KindRecord:
		dst = append(dst, keyRecord)
		for _, f := range v.AsRecord() {
			dst = appendKeyElement(dst, f)
		}
		return append(dst, 0)
	case KindJSONB:
		j := mustJSON(v.AsText())
		dst = append(dst, keyJSONB)
		if j.Kind == JSONArray && len(j.Elems) == 0 {
			return append(dst, 0)
		}
		return appendKeyJSON(append(dst, 1), j)
	}
	return dst
}

// appendKeyInt writes the fewest big-endian bytes after a byte that says how many:
// more for a greater positive number, fewer for a smaller negative one.
func appendKeyInt(dst []byte, n int64) []byte {
	magnitude := uint64(n)
	if n < 0 {
		magnitude = ^magnitude
	}
	count := (bits.Len64(magnitude) + 7) / 8
	if n < 0 {
		dst = append(dst, byte(keyInt-1-count))
	} else {
		dst = append(dst, byte(keyInt+count))
	}
	for shift := 8 * (count - 1); shift >= 0; shift -= 8 {
		dst = append(dst, byte(n>>shift))
	}
	return dst
}

// orderedFloat maps a float to an integer of the same order; -0 as 0, one NaN above all.
func orderedFloat(f float64) uint64 {
	if math.IsNaN(f) {
		return math.MaxUint64
	}
	b := math.Float64bits(f)
	if f == 0 {
		b = 0
	}
	if b>>63 != 0 {
		return ^b
	}
	return b | 1<<63
}

// orderedFloat32 is orderedFloat for vector elements, never 0 as these are no NaN.
func orderedFloat32(f float32) uint32 {
	b := math.Float32bits(f)
	if f == 0 {
		b = 0
	}
	if b>>31 != 0 {
		return ^b
	}
	return b | 1<<31
}

// appendKeyString writes the bytes, 00 as 00 FF, and the end 00 01.
func appendKeyString(dst []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, 0)
		if i < 0 {
			return append(append(dst, s...), 0, 1)
		}
		dst = append(append(dst, s[:i]...), 0, 0xFF)
		s = s[i+1:]
	}
}

// Classes of numeric in their order.
const (
	numericKeyNInf = iota + 1
	numericKeyNegative
	numericKeyZero
	numericKeyPositive
	numericKeyInf
	numericKeyNaN
)

// appendKeyNumeric writes the class and, for a number, 0.d₁d₂… × 100^exponent: the
// exponent, the pairs of digits as 1…100 and a zero byte; complemented when negative.
func appendKeyNumeric(dst []byte, d *apd.Decimal) []byte {
	switch {
	case d.Form == apd.Infinite && d.Negative:
		return append(dst, numericKeyNInf)
	case d.Form == apd.Infinite:
		return append(dst, numericKeyInf)
	case d.Form != apd.Finite:
		return append(dst, numericKeyNaN)
	case d.Coeff.Sign() == 0:
		return append(dst, numericKeyZero)
	}
	class := byte(numericKeyPositive)
	if d.Negative {
		class = numericKeyNegative
	}
	dst = append(dst, class)
	start := len(dst)
	digits := d.Coeff.Append(nil, 10)
	point := len(digits) + int(d.Exponent) // the value is 0.digits × 10^point
	if point%2 != 0 {
		digits = append([]byte{'0'}, digits...)
		point++
	}
	dst = appendKeyInt(dst, int64(point/2))
	digits = []byte(strings.TrimRight(string(digits), "0"))
	if len(digits)%2 != 0 {
		digits = append(digits, '0')
	}
	for i := 0; i < len(digits); i += 2 {
		dst = append(dst, (digits[i]-'0')*10+digits[i+1]-'0'+1)
	}
	dst = append(dst, 0)
	if d.Negative {
		complement(dst[start:])
	}
	return dst
}

// appendKeyElement writes a member of an array or record: 01 and the value, or 02 for NULL.
func appendKeyElement(dst []byte, v Value) []byte {
	if v.IsNull() {
		return append(dst, 2)
	}
	return appendKeyValue(append(dst, 1), v)
}

func appendKeyArray(dst []byte, a *Array) []byte {
	for _, e := range a.Elems {
		dst = appendKeyElement(dst, e)
	}
	dst = append(dst, 0, byte(len(a.Dims)))
	for _, n := range a.Dims {
		dst = appendKeyInt(dst, int64(n))
	}
	for _, low := range a.Lower {
		dst = appendKeyInt(dst, int64(low))
	}
	return dst
}

func appendKeyJSON(dst []byte, j JSON) []byte {
	dst = append(dst, byte(j.Kind))
	switch j.Kind {
	case JSONString:
		return appendKeyString(dst, j.Str)
	case JSONNumber:
		return appendKeyNumeric(dst, j.Num)
	case JSONBool:
		if j.Bool {
			return append(dst, 1)
		}
		return append(dst, 0)
	case JSONArray, JSONObject:
		dst = appendKeyInt(dst, int64(len(j.Elems)))
		for i, e := range j.Elems {
			if j.Kind == JSONObject {
				dst = appendKeyString(dst, j.Keys[i])
			}
			dst = appendKeyJSON(dst, e)
		}
	}
	return dst
}
