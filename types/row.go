package types

import (
	"encoding/binary"
	"math"
	"slices"
)

// rowVersion is the format version that begins every stored row.
const rowVersion = 1

var errRow = Errorf("XX001", "damaged row encoding")

// AppendRow appends the storage form of a row whose columns have the given types:
// version, column count, a bitmap of NULLs and the values, fixed ones by their width,
// others after their length. docs/format/row.md draws it byte by byte.
func AppendRow(dst []byte, columns []Type, row Row) []byte {
	dst = append(dst, rowVersion)
	dst = binary.AppendUvarint(dst, uint64(len(row)))
	start := len(dst)
	dst = append(dst, make([]byte, (len(row)+7)/8)...)
	for i, v := range row {
		if v.IsNull() {
			dst[start+i/8] |= 1 << (i % 8)
			continue
		}
		dst = appendStored(dst, columns[i], v)
	}
	return dst
}

// DecodeRow reads a row that AppendRow wrote into dst, which has a place for each of
// columns. need says which columns to fill (nil means all); the others are stepped
// over and left alone. stored tells how many columns the row has: for those beyond it
// (added to the table later) the caller supplies defaults. Text and bytes point into
// src, which must not change afterwards. Damage is XX001.
func DecodeRow(dst Row, src []byte, columns []Type, need []bool) (stored int, err error) {
	if len(src) < 2 || src[0] != rowVersion {
		return 0, errRow
	}
	count, size := binary.Uvarint(src[1:])
	if size <= 0 || count > 1<<20 {
		return 0, errRow
	}
	b := src[1+size:]
	stored = int(count)
	bitmap := (stored + 7) / 8
	if len(b) < bitmap || len(dst) < min(stored, len(columns)) {
		return 0, errRow
	}
	nulls := b[:bitmap]
	r := storedReader{b: b[bitmap:]}
	last := min(stored, len(columns))
	if need != nil {
		for last > 0 && (last > len(need) || !need[last-1]) {
			last--
		}
	}
	for i := range last {
		wanted := need == nil || need[i]
		switch {
		case nulls[i/8]>>(i%8)&1 != 0:
			if wanted {
				dst[i] = Null
			}
		case wanted:
			dst[i] = r.value(columns[i])
		default:
			r.skip(columns[i])
		}
		if r.fail {
			return 0, errRow
		}
	}
	return stored, nil
}

// storedWidth is the size of a fixed-width type in a row, 0 for the others.
func storedWidth(oid OID) int {
	switch oid {
	case BoolOID, CharOID:
		return 1
	case Int2OID:
		return 2
	case Int4OID, OIDOID, DateOID, Float4OID, RegclassOID, RegtypeOID, RegprocOID, XIDOID, CIDOID,
		RegprocedureOID, RegoperOID, RegoperatorOID, RegroleOID, RegnamespaceOID, RegcollationOID:
		return 4
	case Int8OID, Float8OID, TimeOID, TimeTZOID, TimestampOID, TimestampTZOID, PGLSNOID, XID8OID:
		return 8
	case IntervalOID, UUIDOID:
		return 16
	}
	return 0
}

// appendStored writes a value without its NULL flag.
func appendStored(dst []byte, t Type, v Value) []byte {
	le := binary.LittleEndian
	switch storedWidth(t.OID) {
	case 1:
		return append(dst, byte(v.n))
	case 2:
		return le.AppendUint16(dst, uint16(v.n))
	case 4:
		if v.kind == KindFloat {
			return le.AppendUint32(dst, math.Float32bits(float32(v.AsFloat())))
		}
		return le.AppendUint32(dst, uint32(v.n))
	case 8:
		return le.AppendUint64(dst, uint64(v.n))
	case 16:
		if v.kind == KindInterval {
			iv := v.AsInterval()
			dst = le.AppendUint64(dst, uint64(iv.Micros))
			dst = le.AppendUint32(dst, uint32(iv.Days))
			return le.AppendUint32(dst, uint32(iv.Months))
		}
		return append(dst, v.AsBytes()[:16]...)
	}
	switch v.kind {
	case KindText, KindBytes, KindJSONB:
		dst = binary.AppendUvarint(dst, uint64(v.n))
		return append(dst, v.AsBytes()...)
	case KindVector:
		dst = binary.AppendUvarint(dst, uint64(4*v.n))
		for _, x := range v.AsVector() {
			dst = le.AppendUint32(dst, math.Float32bits(x))
		}
		return dst
	}
	return appendStoredNested(dst, t, v)
}

// appendStoredNested writes numerics, arrays and records, whose size is known only afterwards.
func appendStoredNested(dst []byte, t Type, v Value) []byte {
	var body []byte
	switch v.kind {
	case KindNumeric:
		body = appendNumericBinary(nil, v.AsNumeric())
	case KindArray:
		a := v.AsArray()
		body = binary.AppendUvarint(body, uint64(len(a.Dims)))
		for i, n := range a.Dims {
			body = binary.AppendUvarint(body, uint64(n))
			body = binary.AppendVarint(body, int64(a.Lower[i]))
		}
		elem := make([]Type, len(a.Elems))
		for i := range elem {
			elem[i] = T(a.Elem)
		}
		body = AppendRow(body, elem, a.Elems)
	case KindRecord:
		fields := v.RecordTypes()
		body = binary.AppendUvarint(body, uint64(len(fields)))
		for _, f := range fields {
			body = binary.AppendUvarint(body, uint64(f.OID))
			body = binary.AppendVarint(body, int64(f.Mod))
		}
		body = AppendRow(body, fields, v.AsRecord())
	default:
		body = AppendText(nil, t, v, nil)
	}
	dst = binary.AppendUvarint(dst, uint64(len(body)))
	return append(dst, body...)
}

// storedReader takes values off a row. After a failure it gives NULLs.
type storedReader struct {
	b    []byte
	fail bool
}

func (r *storedReader) take(n uint64) []byte {
	if r.fail || n > uint64(len(r.b)) {
		r.fail = true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *storedReader) uvarint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.fail = true
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *storedReader) varint() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.fail = true
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *storedReader) skip(t Type) {
	if width := storedWidth(t.OID); width > 0 {
		r.take(uint64(width))
		return
	}
	r.take(r.uvarint())
}

func (r *storedReader) value(t Type) Value {
	width := storedWidth(t.OID)
	if width == 0 {
		return r.variable(t, r.take(r.uvarint()))
	}
	b := r.take(uint64(width))
	if r.fail {
		return Null
	}
	le := binary.LittleEndian
	var n int64
	switch width {
	case 1:
		n = int64(b[0])
	case 2:
		n = int64(int16(le.Uint16(b)))
	case 4:
		n = int64(int32(le.Uint32(b)))
	default:
		n = int64(le.Uint64(b))
	}
	switch t.OID {
	case BoolOID:
		return Bool(n != 0)
	case DateOID:
		return Date(n)
	case TimeOID, TimeTZOID:
		return Time(n)
	case TimestampOID, TimestampTZOID:
		return Timestamp(n)
	case Float4OID:
		return Float(float64(math.Float32frombits(uint32(n))))
	case Float8OID:
		return Float(math.Float64frombits(uint64(n)))
	case IntervalOID:
		return IntervalValue(Interval{Micros: n, Days: int32(le.Uint32(b[8:])), Months: int32(le.Uint32(b[12:]))})
	case UUIDOID:
		return Bytes(b)
	case CharOID, Int2OID, Int4OID, Int8OID, PGLSNOID, XID8OID:
		return Int(n)
	}
	return Int(int64(uint32(n)))
}

func (r *storedReader) variable(t Type, b []byte) Value {
	if r.fail {
		return Null
	}
	switch t.OID {
	case ByteaOID:
		return Bytes(b)
	case JSONBOID:
		v := Bytes(b)
		v.kind = KindJSONB
		return v
	case NumericOID:
		v, err := parseNumericBinary(b)
		r.fail = err != nil
		return v
	case VectorOID:
		if len(b)%4 != 0 {
			r.fail = true
			return Null
		}
		out := make([]float32, len(b)/4)
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
		return Vector(out)
	case RecordOID:
		return r.record(b)
	}
	if elem := ElemOf(t.OID); elem != 0 {
		return r.array(elem, b)
	}
	v := Bytes(b)
	v.kind = KindText
	return v
}

func (r *storedReader) array(elem OID, b []byte) Value {
	inner := storedReader{b: b}
	a := &Array{Elem: elem}
	size := uint64(1)
	for range min(inner.uvarint(), maxArrayDims) {
		n := inner.uvarint()
		if n > uint64(len(b))*8 {
			inner.fail = true
			n = 0
		}
		size *= n
		a.Dims, a.Lower = append(a.Dims, int(n)), append(a.Lower, int(inner.varint()))
	}
	if len(a.Dims) == 0 {
		size = 0
	}
	if inner.fail || size > uint64(len(b))*8 {
		r.fail = true
		return Null
	}
	if size > 0 {
		a.Elems = make([]Value, size)
	}
	stored, err := DecodeRow(a.Elems, inner.b, slices.Repeat([]Type{T(elem)}, int(size)), nil)
	if err != nil || uint64(stored) != size {
		r.fail = true
		return Null
	}
	return ArrayValue(a)
}

func (r *storedReader) record(b []byte) Value {
	inner := storedReader{b: b}
	n := inner.uvarint()
	if inner.fail || n > uint64(len(b)) {
		r.fail = true
		return Null
	}
	fieldTypes := make([]Type, n)
	for i := range fieldTypes {
		fieldTypes[i] = Type{OID(inner.uvarint()), int32(inner.varint())}
	}
	fields := make([]Value, n)
	if inner.fail {
		r.fail = true
		return Null
	}
	if stored, err := DecodeRow(fields, inner.b, fieldTypes, nil); err != nil || stored != int(n) {
		r.fail = true
		return Null
	}
	return RecordOf(fields, fieldTypes)
}
