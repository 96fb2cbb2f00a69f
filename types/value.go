package types

import (
	"math"
	"unsafe"

	"github.com/cockroachdb/apd/v3"
)

// Kind is how a Value is held in memory; several SQL types share one kind.
type Kind uint8

// Kinds of values.
const (
	KindNull      Kind = iota
	KindBool           // bool
	KindInt            // int2, int4, int8, oid, reg*, "char": an int64
	KindFloat          // float4 (rounded to float32), float8: a float64
	KindNumeric        // *apd.Decimal, scale kept
	KindText           // text, varchar, bpchar, name, unknown, json: a string
	KindBytes          // bytea, uuid (16 bytes): bytes held as a string
	KindDate           // days since 2000-01-01, int64; MinInt32/MaxInt32 are ∓infinity
	KindTime           // time: microseconds since midnight, int64; timetz: see TimeTZ
	KindTimestamp      // timestamp, timestamptz: microseconds since 2000-01-01; MinInt64/MaxInt64 are ∓infinity
	KindInterval       // *Interval
	KindVector         // []float32
	KindArray          // *Array
	KindRecord         // []Value
	KindJSONB          // jsonb: its normalised text, held as a string
)

// Value is one SQL value, 24 bytes. The zero Value is NULL. A Value does not know
// its SQL type beyond its Kind: expressions and columns carry the Type.
type Value struct {
	kind Kind
	n    int64          // the number itself, or the length of what p points at
	p    unsafe.Pointer // immutable once set
}

// Interval is PostgreSQL's interval: months, days and microseconds are kept apart.
type Interval struct {
	Months, Days int32
	Micros       int64
}

// Array is an SQL array of any dimension. Elems is in row-major order and must not be changed.
type Array struct {
	Elem  OID
	Dims  []int // lengths, outermost first; empty for the empty array
	Lower []int // lower bounds, 1 unless said otherwise; same length as Dims
	Elems []Value
}

// Null is the SQL NULL.
var Null Value

// Bool makes a bool value.
func Bool(b bool) Value {
	if b {
		return Value{kind: KindBool, n: 1}
	}
	return Value{kind: KindBool}
}

// Int makes an int2, int4, int8 or oid value; the caller checks the range.
func Int(i int64) Value { return Value{kind: KindInt, n: i} }

// Float makes a float8 value; for float4 pass float64(float32(f)).
func Float(f float64) Value { return Value{kind: KindFloat, n: int64(math.Float64bits(f))} }

// Numeric makes a numeric value; d must not be changed afterwards.
func Numeric(d *apd.Decimal) Value { return Value{kind: KindNumeric, p: unsafe.Pointer(d)} }

// Text makes a text value.
func Text(s string) Value {
	return Value{kind: KindText, n: int64(len(s)), p: unsafe.Pointer(unsafe.StringData(s))}
}

// Bytes makes a bytea (or uuid) value; b must not be changed afterwards.
func Bytes(b []byte) Value {
	return Value{kind: KindBytes, n: int64(len(b)), p: unsafe.Pointer(unsafe.SliceData(b))}
}

// JSONB makes a jsonb value from text that NormalizeJSON gave.
func JSONB(normalized string) Value {
	return Value{kind: KindJSONB, n: int64(len(normalized)), p: unsafe.Pointer(unsafe.StringData(normalized))}
}

// Date makes a date from days since 2000-01-01.
func Date(days int64) Value { return Value{kind: KindDate, n: days} }

// Time makes a time of day from microseconds since midnight.
func Time(micros int64) Value { return Value{kind: KindTime, n: micros} }

// timeTZBits is the room of the zone in a timetz, below the UTC time of day.
const timeTZBits = 20

// TimeTZ makes a time of day with a zone: microseconds since local midnight and
// seconds west of Greenwich (as PostgreSQL keeps them). The packed form orders by
// the UTC time first, then by the zone, as timetz does.
func TimeTZ(micros int64, zone int32) Value {
	utc := micros + int64(zone)*1_000_000
	return Value{kind: KindTime, n: utc<<timeTZBits | int64(zone+1<<(timeTZBits-1))}
}

// Timestamp makes a timestamp or timestamptz from microseconds since 2000-01-01 (UTC for timestamptz).
func Timestamp(micros int64) Value { return Value{kind: KindTimestamp, n: micros} }

// IntervalValue makes an interval value.
func IntervalValue(iv Interval) Value { return Value{kind: KindInterval, p: unsafe.Pointer(&iv)} }

// Vector makes a vector value of len(v) dimensions; v must not be changed afterwards.
func Vector(v []float32) Value {
	return Value{kind: KindVector, n: int64(len(v)), p: unsafe.Pointer(unsafe.SliceData(v))}
}

// ArrayValue makes an array value; a must not be changed afterwards.
func ArrayValue(a *Array) Value { return Value{kind: KindArray, p: unsafe.Pointer(a)} }

// Record makes a row value without field types; fields must not be changed afterwards.
// See RecordOf.
func Record(fields []Value) Value {
	return Value{kind: KindRecord, n: int64(len(fields)), p: unsafe.Pointer(unsafe.SliceData(fields))}
}

// Marks of a record: an element hidden behind the fields holds their types, one behind
// that their names.
const (
	recordTyped = 1 << 40
	recordNamed = 1 << 41
)

// RecordOf makes a row value that knows the types of its fields, as its text and
// binary forms need (RecordTypes). fields are copied.
func RecordOf(fields []Value, fieldTypes []Type) Value {
	all := make([]Value, len(fields)+1)
	copy(all, fields)
	all[len(fields)] = Value{n: int64(len(fieldTypes)), p: unsafe.Pointer(unsafe.SliceData(fieldTypes))}
	return Value{kind: KindRecord, n: int64(len(fields)) | recordTyped, p: unsafe.Pointer(unsafe.SliceData(all))}
}

// RecordNamed makes a row value that knows types and names of its fields, as JSON shows
// them. fields are copied, the other two must not be changed afterwards.
func RecordNamed(fields []Value, fieldTypes []Type, names []string) Value {
	n := len(fields)
	all := make([]Value, n+2)
	copy(all, fields)
	all[n] = Value{n: int64(len(fieldTypes)), p: unsafe.Pointer(unsafe.SliceData(fieldTypes))}
	all[n+1] = Value{n: int64(len(names)), p: unsafe.Pointer(unsafe.SliceData(names))}
	return Value{kind: KindRecord, n: int64(n) | recordTyped | recordNamed, p: unsafe.Pointer(unsafe.SliceData(all))}
}

// RecordNames gives the field names of a record made by RecordNamed, else nil. Read only.
func (v Value) RecordNames() []string {
	n := len(v.AsRecord())
	if v.n&recordNamed == 0 {
		return nil
	}
	last := unsafe.Slice((*Value)(v.p), n+2)[n+1]
	return unsafe.Slice((*string)(last.p), int(last.n))
}

// RecordTypes gives the field types of a KindRecord value; fields of a record made
// without types get the natural type of their kind. Read only.
func (v Value) RecordTypes() []Type {
	n := len(v.AsRecord())
	if v.n&recordTyped != 0 {
		last := unsafe.Slice((*Value)(v.p), n+1)[n]
		if int(last.n) == n {
			return unsafe.Slice((*Type)(last.p), n)
		}
	}
	guess := make([]Type, n)
	for i, f := range v.AsRecord() {
		guess[i] = T(naturalType(f))
	}
	return guess
}

// naturalType is the type that a value of unknown type is shown as.
func naturalType(v Value) OID {
	switch v.kind {
	case KindBool:
		return BoolOID
	case KindInt:
		return Int8OID
	case KindFloat:
		return Float8OID
	case KindNumeric:
		return NumericOID
	case KindBytes:
		return ByteaOID
	case KindDate:
		return DateOID
	case KindTime:
		return TimeOID
	case KindTimestamp:
		return TimestampOID
	case KindInterval:
		return IntervalOID
	case KindVector:
		return VectorOID
	case KindArray:
		return ArrayOf(v.AsArray().Elem)
	case KindRecord:
		return RecordOID
	case KindJSONB:
		return JSONBOID
	}
	return TextOID
}

// Kind tells how the value is held.
func (v Value) Kind() Kind { return v.kind }

// IsNull tells whether the value is NULL.
func (v Value) IsNull() bool { return v.kind == KindNull }

// AsBool gives the bool of a KindBool value.
func (v Value) AsBool() bool { return v.n != 0 }

// IsTrue tells whether the value is the boolean true (not NULL, not false).
func (v Value) IsTrue() bool { return v.kind == KindBool && v.n != 0 }

// AsInt gives the int64 of KindInt, KindDate, KindTime and KindTimestamp values.
func (v Value) AsInt() int64 { return v.n }

// AsFloat gives the float64 of a KindFloat value.
func (v Value) AsFloat() float64 { return math.Float64frombits(uint64(v.n)) }

// AsNumeric gives the decimal of a KindNumeric value; read only.
func (v Value) AsNumeric() *apd.Decimal { return (*apd.Decimal)(v.p) }

// AsText gives the string of a KindText or KindJSONB value.
func (v Value) AsText() string { return unsafe.String((*byte)(v.p), int(v.n)) }

// AsBytes gives the bytes of a KindBytes (or KindText, KindJSONB) value; read only.
func (v Value) AsBytes() []byte { return unsafe.Slice((*byte)(v.p), int(v.n)) }

// AsTimeTZ gives the local time of day in microseconds and the zone in seconds west
// of Greenwich of a value that TimeTZ made.
func (v Value) AsTimeTZ() (micros int64, zone int32) {
	zone = int32(v.n&(1<<timeTZBits-1)) - 1<<(timeTZBits-1)
	return v.n>>timeTZBits - int64(zone)*1_000_000, zone
}

// AsInterval gives the interval of a KindInterval value.
func (v Value) AsInterval() Interval { return *(*Interval)(v.p) }

// AsVector gives the elements of a KindVector value; read only.
func (v Value) AsVector() []float32 { return unsafe.Slice((*float32)(v.p), int(v.n)) }

// AsArray gives the array of a KindArray value; read only.
func (v Value) AsArray() *Array { return (*Array)(v.p) }

// AsRecord gives the fields of a KindRecord value; read only.
func (v Value) AsRecord() []Value {
	return unsafe.Slice((*Value)(v.p), int(v.n&^(recordTyped|recordNamed)))
}

// Row is one row of values.
type Row = []Value
