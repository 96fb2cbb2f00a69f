package types

import (
	"math"

	"github.com/cockroachdb/apd/v3"
)

var errKey = Errorf("XX001", "damaged key encoding")

// KeyIsExact tells whether DecodeKey gives back the very value that was encoded, for
// every value of the type; otherwise only an equal one.
func KeyIsExact(t Type) bool {
	switch t.OID {
	case Float4OID, Float8OID, NumericOID, IntervalOID, VectorOID, JSONBOID, RecordOID:
		return false
	}
	elem := ElemOf(t.OID)
	return elem == 0 || KeyIsExact(T(elem))
}

// DecodeKey reads one part that AppendKey wrote with the same desc for a column of
// type t, and gives what follows it. Damage is XX001. Records cannot be decoded
// (0A000): their fields' types are not in the key; SkipKey steps over them.
func DecodeKey(src []byte, t Type, desc bool) (v Value, rest []byte, err error) {
	if t.OID == RecordOID {
		return Null, nil, Errorf("0A000", "a record cannot be read from a key")
	}
	if len(src) > 0 && (src[0] == keyNullFirst || src[0] == keyNullLast) {
		return Null, src[1:], nil
	}
	k := &keyReader{b: src}
	if desc {
		k.flip = 0xFF
	}
	v = k.value(t)
	if k.fail {
		return Null, nil, errKey
	}
	return v, k.b, nil
}

// SkipKey gives what follows the first part of src, which AppendKey wrote with desc.
func SkipKey(src []byte, t Type, desc bool) (rest []byte, err error) {
	if t.OID != RecordOID {
		_, rest, err = DecodeKey(src, t, desc)
		return rest, err
	}
	if len(src) > 0 && (src[0] == keyNullFirst || src[0] == keyNullLast) {
		return src[1:], nil
	}
	k := &keyReader{b: src}
	if desc {
		k.flip = 0xFF
	}
	if k.skip(); k.fail {
		return nil, errKey
	}
	return k.b, nil
}

// keyReader takes bytes off a key, complemented by flip. After a failure it gives zeros.
type keyReader struct {
	b     []byte
	flip  byte
	fail  bool
	depth int
}

func (k *keyReader) byte() byte {
	if k.fail || len(k.b) == 0 {
		k.fail = true
		return 0
	}
	c := k.b[0] ^ k.flip
	k.b = k.b[1:]
	return c
}

func (k *keyReader) peek() byte {
	if k.fail || len(k.b) == 0 {
		k.fail = true
		return 0
	}
	return k.b[0] ^ k.flip
}

func (k *keyReader) mark(want byte) {
	if k.byte() != want {
		k.fail = true
	}
}

func (k *keyReader) fixed(width int) uint64 {
	n := uint64(0)
	for range width {
		n = n<<8 | uint64(k.byte())
	}
	return n
}

func (k *keyReader) int() int64 {
	mark := k.byte()
	count, n := int(mark)-keyInt, int64(0)
	if mark < keyInt {
		count, n = keyInt-1-int(mark), -1
	}
	if count > 8 {
		k.fail = true
		return 0
	}
	for range count {
		n = n<<8 | int64(k.byte())
	}
	return n
}

func (k *keyReader) string() string {
	var out []byte
	for !k.fail {
		c := k.byte()
		if c != 0 {
			out = append(out, c)
			continue
		}
		switch k.byte() {
		case 1:
			return string(out)
		case 0xFF:
			out = append(out, 0)
		default:
			k.fail = true
		}
	}
	return ""
}

func (k *keyReader) value(t Type) Value {
	switch t.OID {
	case BoolOID:
		return Bool(k.int() != 0)
	case DateOID:
		return Date(k.int())
	case TimeOID, TimeTZOID:
		return Time(k.int())
	case TimestampOID, TimestampTZOID:
		return Timestamp(k.int())
	case Float4OID, Float8OID:
		k.mark(keyFloat)
		return Float(floatOfOrdered(k.fixed(8)))
	case NumericOID:
		k.mark(keyNumeric)
		return Numeric(k.numeric())
	case ByteaOID, UUIDOID:
		k.mark(keyBytes)
		return Bytes([]byte(k.string()))
	case IntervalOID:
		k.mark(keyInterval)
		return IntervalValue(intervalOfSpan(int64(k.fixed(8)^1<<63), k.fixed(8)))
	case VectorOID:
		return k.vector()
	case JSONBOID:
		return k.jsonb()
	}
	if elem := ElemOf(t.OID); elem != 0 {
		return k.array(Type{elem, t.Mod})
	}
	if !k.fail && len(k.b) > 0 && k.peek() != keyText {
		return Int(k.int())
	}
	k.mark(keyText)
	return Text(k.string())
}

func floatOfOrdered(n uint64) float64 {
	if n>>63 != 0 {
		return math.Float64frombits(n &^ (1 << 63))
	}
	return math.Float64frombits(^n)
}

// intervalOfSpan makes days and a time of day of a span of microseconds.
func intervalOfSpan(hi int64, lo uint64) Interval {
	// The span is at most (2^31×30 + 2^31) days: dividing by days through float is
	// not exact, so long division over the halves is.
	negative := hi < 0
	if negative {
		hi, lo = ^hi, -lo
		if lo == 0 {
			hi++
		}
	}
	days, rest := div128(uint64(hi), lo, uint64(MicrosPerDay))
	iv := Interval{Months: int32(days / 30), Days: int32(days % 30), Micros: int64(rest)}
	if negative {
		iv = Interval{-iv.Months, -iv.Days, -iv.Micros}
	}
	return iv
}

// div128 divides hi:lo by a divisor that is greater than hi.
func div128(hi, lo, divisor uint64) (quotient, rest uint64) {
	if hi >= divisor {
		return 0, 0
	}
	rest = hi
	for i := 63; i >= 0; i-- {
		top := rest >> 63
		rest = rest<<1 | lo>>i&1
		quotient <<= 1
		if top != 0 || rest >= divisor {
			rest -= divisor
			quotient |= 1
		}
	}
	return quotient, rest
}

func (k *keyReader) numeric() *apd.Decimal {
	d := &apd.Decimal{}
	class := k.byte()
	switch class {
	case numericKeyNInf:
		return numericNInf
	case numericKeyInf:
		return numericInf
	case numericKeyNaN:
		return numericNaN
	case numericKeyZero:
		return d
	case numericKeyNegative:
		d.Negative = true
		k.flip = ^k.flip
		defer func() { k.flip = ^k.flip }()
	case numericKeyPositive:
	default:
		k.fail = true
		return d
	}
	exponent := k.int()
	var digits []byte
	for c := k.byte(); c != 0; c = k.byte() {
		if c > 100 {
			k.fail = true
			break
		}
		digits = append(digits, '0'+(c-1)/10, '0'+(c-1)%10)
	}
	if k.fail || len(digits) == 0 || exponent > maxNumericDigits || exponent < -maxNumericDigits {
		k.fail = true
		return d
	}
	if digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	d.Coeff.SetString(string(digits), 10)
	d.Exponent = int32(2*int(exponent) - len(digits))
	if digits[0] == '0' && len(digits) == 1 {
		k.fail = true
	}
	return tidyNumeric(d)
}

func (k *keyReader) vector() Value {
	k.mark(keyVector)
	var out []float32
	for n := k.fixed(4); n != 0 && !k.fail; n = k.fixed(4) {
		b := uint32(n)
		if b>>31 != 0 {
			b &^= 1 << 31
		} else {
			b = ^b
		}
		out = append(out, math.Float32frombits(b))
	}
	return Vector(out)
}

func (k *keyReader) array(elem Type) Value {
	k.mark(keyArray)
	a := &Array{Elem: elem.OID}
	for !k.fail {
		c := k.byte()
		if c == 0 {
			break
		}
		switch c {
		case 1:
			a.Elems = append(a.Elems, k.value(elem))
		case 2:
			a.Elems = append(a.Elems, Null)
		default:
			k.fail = true
		}
	}
	dims, size := int(k.byte()), 1
	for range min(dims, maxArrayDims) {
		n := k.int()
		if n < 0 || n > int64(len(a.Elems)) {
			k.fail = true
			return ArrayValue(a)
		}
		size *= int(n)
		a.Dims = append(a.Dims, int(n))
	}
	for range min(dims, maxArrayDims) {
		a.Lower = append(a.Lower, int(k.int()))
	}
	if dims > maxArrayDims || dims > 0 && size != len(a.Elems) {
		k.fail = true
	}
	return ArrayValue(a)
}

func (k *keyReader) jsonb() Value {
	k.mark(keyJSONB)
	if k.byte() == 0 {
		return JSONB("[]")
	}
	return k.json().Value()
}

func (k *keyReader) json() JSON {
	if k.depth++; k.depth > maxJSONDepth {
		k.fail = true
	}
	defer func() { k.depth-- }()
	j := JSON{Kind: JSONKind(k.byte())}
	switch j.Kind {
	case JSONNull:
	case JSONString:
		j.Str = k.string()
	case JSONNumber:
		j.Num = k.numeric()
	case JSONBool:
		j.Bool = k.byte() != 0
	case JSONArray, JSONObject:
		for range k.int() {
			if k.fail {
				return JSON{}
			}
			if j.Kind == JSONObject {
				j.Keys = append(j.Keys, k.string())
			}
			j.Elems = append(j.Elems, k.json())
		}
	default:
		k.fail = true
	}
	if k.fail {
		return JSON{}
	}
	return j
}

// skip steps over a value of any kind by its mark.
func (k *keyReader) skip() {
	if k.depth++; k.depth > maxJSONDepth {
		k.fail = true
	}
	defer func() { k.depth-- }()
	switch k.peek() {
	case keyFloat:
		k.value(T(Float8OID))
	case keyNumeric:
		k.value(T(NumericOID))
	case keyText:
		k.value(T(TextOID))
	case keyBytes:
		k.value(T(ByteaOID))
	case keyInterval:
		k.value(T(IntervalOID))
	case keyVector:
		k.value(T(VectorOID))
	case keyJSONB:
		k.value(T(JSONBOID))
	case keyRecord, keyArray:
		isArray := k.byte() == keyArray
		for c := k.byte(); c != 0 && !k.fail; c = k.byte() {
			if c == 1 {
				k.skip()
			}
		}
		if isArray {
			for range 2 * int(k.byte()) {
				k.int()
			}
		}
	default:
		k.int()
	}
}
