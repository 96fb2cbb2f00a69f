package types

import (
	"encoding/binary"
	"math"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/apd/v3"
)

// AppendCanonical appends the encoding of v that placement hashes: equal values have
// equal bytes whatever integer width or scale they came with. All integers, dates and
// times are 8 bytes little-endian (so int4 42 and int8 42 agree), text its bytes, uuid
// 16 bytes, numeric its shortest decimal text, composites length-prefixed members.
// NULL appends nothing. The encoding is frozen: changing it would move every row.
func AppendCanonical(dst []byte, v Value, t Type) []byte {
	switch v.kind {
	case KindBool, KindInt, KindDate, KindTime, KindTimestamp:
		return appendFixed64(dst, v.n)
	case KindFloat:
		return appendFixed64(dst, canonicalFloat(v.AsFloat()))
	case KindNumeric:
		return appendCanonicalNumeric(dst, v.AsNumeric())
	case KindText:
		return append(dst, v.AsText()...)
	case KindBytes:
		return append(dst, v.AsBytes()...)
	case KindInterval:
		hi, lo := v.AsInterval().Span()
		return appendFixed64(appendFixed64(dst, int64(lo)), hi)
	case KindVector:
		for _, x := range v.AsVector() {
			bits := math.Float32bits(x)
			if x == 0 {
				bits = 0 // -0 equals 0
			}
			dst = binary.LittleEndian.AppendUint32(dst, bits)
		}
		return dst
	case KindArray:
		return appendCanonicalArray(dst, v.AsArray())
	case KindRecord:
		fields := v.RecordTypes()
		for i, f := range v.AsRecord() {
			dst = appendCanonicalMember(dst, f, fields[i])
		}
		return dst
	case KindJSONB:
		return appendKeyJSON(dst, mustJSON(v.AsText()))
	}
	return dst
}

// AppendCanonicalRow encodes a composite key: the one value of a single column as
// AppendCanonical does, several values each with its length before it.
func AppendCanonicalRow(dst []byte, values []Value, columns []Type) []byte {
	if len(values) == 1 {
		return AppendCanonical(dst, values[0], columns[0])
	}
	for i, v := range values {
		dst = appendCanonicalMember(dst, v, columns[i])
	}
	return dst
}

// appendCanonicalMember writes a 32-bit little-endian length, all ones for NULL, and the value.
func appendCanonicalMember(dst []byte, v Value, t Type) []byte {
	if v.IsNull() {
		return append(dst, 0xFF, 0xFF, 0xFF, 0xFF)
	}
	start := len(dst)
	dst = AppendCanonical(append(dst, 0, 0, 0, 0), v, t)
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

func appendCanonicalArray(dst []byte, a *Array) []byte {
	dst = append(dst, byte(len(a.Dims)))
	for i, n := range a.Dims {
		dst = appendFixed64(appendFixed64(dst, int64(n)), int64(a.Lower[i]))
	}
	for _, e := range a.Elems {
		dst = appendCanonicalMember(dst, e, T(a.Elem))
	}
	return dst
}

// appendFixed64 writes 8 bytes little-endian.
func appendFixed64(dst []byte, n int64) []byte {
	return binary.LittleEndian.AppendUint64(dst, uint64(n))
}

func canonicalFloat(f float64) int64 {
	switch {
	case f == 0:
		return 0
	case math.IsNaN(f):
		return 0x7FF8000000000000
	}
	return int64(math.Float64bits(f))
}

// appendCanonicalNumeric prints d without zeros after the last significant decimal.
func appendCanonicalNumeric(dst []byte, d *apd.Decimal) []byte {
	if d.Form != apd.Finite || d.Exponent >= 0 {
		return AppendNumeric(dst, d)
	}
	start := len(dst)
	dst = AppendNumeric(dst, d)
	end := len(dst)
	for end > start && dst[end-1] == '0' {
		end--
	}
	if end > start && dst[end-1] == '.' {
		end--
	}
	return dst[:end]
}

// HashValue hashes v so that values that are Equal hash alike; for hash joins and
// grouping inside a process, not for placement. NULL hashes to a constant.
func HashValue(v Value) uint64 {
	switch v.kind {
	case KindNull:
		return 0x9E3779B97F4A7C15
	case KindBool, KindInt, KindDate, KindTime, KindTimestamp:
		n := uint64(v.n) * 0x9E3779B97F4A7C15
		return n ^ n>>32
	case KindText:
		return xxhash.Sum64String(v.AsText())
	case KindBytes:
		return xxhash.Sum64(v.AsBytes())
	}
	var room [128]byte
	return xxhash.Sum64(AppendCanonical(room[:0], v, T(naturalType(v))))
}
