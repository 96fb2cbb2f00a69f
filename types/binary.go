package types

import (
	"encoding/binary"
	"math"
	"slices"
)

func errBinary(typeName string) error {
	return Errorf("22P03", "incorrect binary data format in external \"%s\" value", typeName)
}

// AppendBinary appends the binary form of v, a value of type t, as PostgreSQL's send
// functions give it (all integers big-endian). NULL appends nothing.
func AppendBinary(dst []byte, t Type, v Value) []byte {
	be := binary.BigEndian
	switch v.kind {
	case KindBool:
		return append(dst, byte(v.n))
	case KindInt:
		return appendIntBinary(dst, t.OID, v.n)
	case KindFloat:
		if t.OID == Float4OID {
			return be.AppendUint32(dst, math.Float32bits(float32(v.AsFloat())))
		}
		return be.AppendUint64(dst, uint64(v.n))
	case KindNumeric:
		return appendNumericBinary(dst, v.AsNumeric())
	case KindText:
		if t.OID == BitOID || t.OID == VarbitOID {
			return appendBitBinary(dst, v.AsText())
		}
		return AppendText(dst, t, v, nil)
	case KindBytes:
		return append(dst, v.AsBytes()...)
	case KindDate:
		return be.AppendUint32(dst, uint32(int32(v.n)))
	case KindTime:
		if t.OID == TimeTZOID {
			micros, zone := v.AsTimeTZ()
			return be.AppendUint32(be.AppendUint64(dst, uint64(micros)), uint32(zone))
		}
		return be.AppendUint64(dst, uint64(v.n))
	case KindTimestamp:
		return be.AppendUint64(dst, uint64(v.n))
	case KindInterval:
		iv := v.AsInterval()
		dst = be.AppendUint64(dst, uint64(iv.Micros))
		dst = be.AppendUint32(dst, uint32(iv.Days))
		return be.AppendUint32(dst, uint32(iv.Months))
	case KindVector:
		return appendVectorBinary(dst, v.AsVector())
	case KindArray:
		return appendArrayBinary(dst, t, v.AsArray())
	case KindRecord:
		return appendRecordBinary(dst, v)
	case KindJSONB:
		return append(append(dst, 1), v.AsText()...)
	}
	return dst
}

func appendIntBinary(dst []byte, oid OID, n int64) []byte {
	switch intWidth(oid) {
	case 1:
		return append(dst, byte(n))
	case 2:
		return binary.BigEndian.AppendUint16(dst, uint16(n))
	case 4:
		return binary.BigEndian.AppendUint32(dst, uint32(n))
	}
	return binary.BigEndian.AppendUint64(dst, uint64(n))
}

// intWidth is the size in bytes of a type held as KindInt.
func intWidth(oid OID) int {
	switch oid {
	case CharOID:
		return 1
	case Int2OID:
		return 2
	case Int8OID, PGLSNOID, XID8OID:
		return 8
	}
	return 4
}

func appendBitBinary(dst []byte, bits string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(bits)))
	start := len(dst)
	dst = append(dst, make([]byte, (len(bits)+7)/8)...)
	for i := range len(bits) {
		dst[start+i/8] |= (bits[i] - '0') << (7 - i%8)
	}
	return dst
}

// appendSized appends a 32-bit length and the binary form, -1 for NULL.
func appendSized(dst []byte, t Type, v Value) []byte {
	if v.IsNull() {
		return binary.BigEndian.AppendUint32(dst, math.MaxUint32)
	}
	start := len(dst)
	dst = AppendBinary(append(dst, 0, 0, 0, 0), t, v)
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

func appendArrayBinary(dst []byte, t Type, a *Array) []byte {
	be := binary.BigEndian
	hasNull := uint32(0)
	if slices.ContainsFunc(a.Elems, Value.IsNull) {
		hasNull = 1
	}
	dims := a.Dims
	if len(a.Elems) == 0 && t.OID != Int2VectorOID && t.OID != OIDVectorOID {
		dims = nil
	}
	dst = be.AppendUint32(dst, uint32(len(dims)))
	dst = be.AppendUint32(dst, hasNull)
	dst = be.AppendUint32(dst, uint32(a.Elem))
	for i, n := range dims {
		dst = be.AppendUint32(dst, uint32(n))
		dst = be.AppendUint32(dst, uint32(int32(a.Lower[i])))
	}
	for _, e := range a.Elems {
		dst = appendSized(dst, Type{a.Elem, t.Mod}, e)
	}
	return dst
}

func appendRecordBinary(dst []byte, v Value) []byte {
	fields, fieldTypes := v.AsRecord(), v.RecordTypes()
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(fields)))
	for i, f := range fields {
		dst = binary.BigEndian.AppendUint32(dst, uint32(fieldTypes[i].OID))
		dst = appendSized(dst, fieldTypes[i], f)
	}
	return dst
}

// ParseBinary reads the binary form of a value of type t and fits it to t's modifier.
// It copies what it keeps of b. Errors: 22P03 and the checks of ParseText.
func ParseBinary(t Type, b []byte) (Value, error) {
	if elem := ElemOf(t.OID); elem != 0 {
		return parseArrayBinary(t, elem, b)
	}
	v, err := parseBaseBinary(t, b)
	if err != nil || t.Mod < 0 && t.OID != BPCharOID {
		return v, err
	}
	return Coerce(v, t, false)
}

func parseBaseBinary(t Type, b []byte) (Value, error) {
	switch t.OID {
	case TextOID, VarcharOID, BPCharOID, NameOID, UnknownOID, JSONOID, CStringOID, BitOID, VarbitOID, JSONBOID, ByteaOID, NumericOID, VectorOID, VoidOID, RecordOID:
		return parseVariable(t, b)
	}
	width := 0
	if info := Lookup(t.OID); info != nil {
		width = int(info.Len)
	}
	if width <= 0 || t.OID == ACLItemOID || t.OID == TIDOID || Lookup(t.OID).Kind == 'p' {
		return Null, Errorf("0A000", "no binary input function available for type %s", t.OID.Name())
	}
	if len(b) != width {
		return Null, errBinary(Lookup(t.OID).Name)
	}
	return parseFixed(t, b)
}

func parseVariable(t Type, b []byte) (Value, error) {
	switch t.OID {
	case ByteaOID:
		return Bytes(slices.Clone(b)), nil
	case NumericOID:
		return parseNumericBinary(b)
	case VectorOID:
		return parseVectorBinary(b)
	case BitOID, VarbitOID:
		return parseBitBinary(b)
	case VoidOID:
		return Text(""), nil
	case RecordOID:
		return parseRecordBinary(b)
	case JSONBOID:
		if len(b) == 0 || b[0] != 1 {
			return Null, Errorf("22P03", "unsupported jsonb version number")
		}
		return NormalizeJSON(string(b[1:]))
	}
	return parseBase(Type{t.OID, -1}, string(b), nil)
}

func parseFixed(t Type, b []byte) (Value, error) {
	var n int64
	switch len(b) {
	case 1:
		n = int64(b[0])
	case 2:
		n = int64(int16(binary.BigEndian.Uint16(b)))
	case 4:
		n = int64(int32(binary.BigEndian.Uint32(b)))
	case 8:
		n = int64(binary.BigEndian.Uint64(b))
	}
	switch t.OID {
	case BoolOID:
		return Bool(n != 0), nil
	case CharOID, Int2OID, Int4OID, Int8OID, PGLSNOID, XID8OID:
		return Int(n), nil
	case Float4OID:
		return Float(float64(math.Float32frombits(uint32(n)))), nil
	case Float8OID:
		return Float(math.Float64frombits(uint64(n))), nil
	case UUIDOID:
		return Bytes(slices.Clone(b)), nil
	case DateOID:
		if n == DateInfinity || n == DateNegInfinity {
			return Date(n), nil
		}
		return CheckDate(n)
	case TimestampOID, TimestampTZOID:
		if n == TimestampInfinity || n == TimestampNegInfinity {
			return Timestamp(n), nil
		}
		return CheckTimestamp(n)
	case TimeOID:
		return checkTimeOfDay(n, 0, false)
	case TimeTZOID:
		return checkTimeOfDay(int64(binary.BigEndian.Uint64(b)), int32(binary.BigEndian.Uint32(b[8:])), true)
	case IntervalOID:
		return IntervalValue(Interval{
			Micros: int64(binary.BigEndian.Uint64(b)),
			Days:   int32(binary.BigEndian.Uint32(b[8:])),
			Months: int32(binary.BigEndian.Uint32(b[12:])),
		}), nil
	}
	return Int(int64(uint32(n))), nil // oid and its kin
}

func checkTimeOfDay(micros int64, zone int32, zoned bool) (Value, error) {
	if micros < 0 || micros > MicrosPerDay {
		return Null, Errorf("22008", "time out of range")
	}
	if !zoned {
		return Time(micros), nil
	}
	if zone <= -16*3600 || zone >= 16*3600 {
		return Null, Errorf("22009", "time zone displacement out of range")
	}
	return TimeTZ(micros, zone), nil
}

func parseBitBinary(b []byte) (Value, error) {
	if len(b) < 4 {
		return Null, errBinary("bit")
	}
	n := int(int32(binary.BigEndian.Uint32(b)))
	if n < 0 || len(b)-4 != (n+7)/8 {
		return Null, Errorf("22P03", "invalid length in external bit string")
	}
	out := make([]byte, n)
	for i := range out {
		out[i] = '0' + b[4+i/8]>>(7-i%8)&1
	}
	return Text(string(out)), nil
}

// binaryReader takes big-endian integers and sized fields off a message.
type binaryReader struct {
	b    []byte
	fail bool
}

func (r *binaryReader) int32() int {
	if len(r.b) < 4 {
		r.fail = true
		return 0
	}
	n := int(int32(binary.BigEndian.Uint32(r.b)))
	r.b = r.b[4:]
	return n
}

// field takes a sized value; nil is NULL.
func (r *binaryReader) field() []byte {
	n := r.int32()
	if n == -1 {
		return nil
	}
	if n < 0 || n > len(r.b) {
		r.fail = true
		return nil
	}
	f := r.b[:n:n]
	r.b = r.b[n:]
	return f
}

func parseArrayBinary(t Type, elem OID, b []byte) (Value, error) {
	r := &binaryReader{b: b}
	dims, flags, sent := r.int32(), r.int32(), OID(r.int32())
	if dims < 0 || dims > maxArrayDims {
		return Null, Errorf("22P03", "invalid number of dimensions: %d", dims)
	}
	if flags != 0 && flags != 1 {
		return Null, Errorf("22P03", "invalid array flags")
	}
	if sent != elem && !r.fail {
		return Null, Errorf("42804", "binary data has array element type %d (%s) instead of expected %d (%s)", sent, sent.Name(), elem, elem.Name())
	}
	a := &Array{Elem: elem}
	size := 1
	for range dims {
		n, low := r.int32(), r.int32()
		if n < 0 || size > maxArraySize/max(1, n) {
			return Null, Errorf("54000", "array size exceeds the maximum allowed (%d)", maxArraySize)
		}
		size *= n
		a.Dims, a.Lower = append(a.Dims, n), append(a.Lower, low)
	}
	if dims == 0 || size == 0 {
		size = 0
		a.Dims, a.Lower = nil, nil
	}
	if r.fail || size > len(r.b)/4 {
		return Null, errBinary("array")
	}
	if t.OID == Int2VectorOID || t.OID == OIDVectorOID {
		a.Dims, a.Lower = []int{size}, []int{0}
	}
	for range size {
		v, err := parseElementBinary(Type{elem, t.Mod}, r)
		if err != nil {
			return Null, err
		}
		a.Elems = append(a.Elems, v)
	}
	if len(r.b) > 0 {
		return Null, errBinary("array")
	}
	return ArrayValue(a), nil
}

func parseElementBinary(t Type, r *binaryReader) (Value, error) {
	f := r.field()
	if r.fail {
		return Null, Errorf("22P03", "insufficient data left in message")
	}
	if f == nil {
		return Null, nil
	}
	return ParseBinary(t, f)
}

func parseRecordBinary(b []byte) (Value, error) {
	r := &binaryReader{b: b}
	n := r.int32()
	if r.fail || n < 0 || n > len(r.b)/8 {
		return Null, errBinary("record")
	}
	fields, fieldTypes := make([]Value, n), make([]Type, n)
	for i := range fields {
		fieldTypes[i] = T(OID(r.int32()))
		v, err := parseElementBinary(fieldTypes[i], r)
		if err != nil {
			return Null, err
		}
		fields[i] = v
	}
	if len(r.b) > 0 {
		return Null, errBinary("record")
	}
	return RecordOf(fields, fieldTypes), nil
}
