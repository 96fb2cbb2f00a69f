package types

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/cockroachdb/apd/v3"
)

// maxCharLength is the longest n of varchar(n) and character(n).
const maxCharLength = 10485760

// ParseTypmod turns the arguments written after a type's name, as in numeric(10,2),
// into its modifier; -1 for none. Errors: 22023, 42601 for a type that takes none.
func ParseTypmod(oid OID, args []int64) (int32, error) {
	if len(args) == 0 {
		return -1, nil
	}
	if elem := ElemOf(oid); elem != 0 {
		oid = elem
	}
	switch oid {
	case VarcharOID, BPCharOID, BitOID, VarbitOID:
		return lengthMod(oid, args)
	case NumericOID:
		return numericMod(args)
	case TimeOID, TimeTZOID, TimestampOID, TimestampTZOID:
		return precisionMod(oid, args)
	case IntervalOID:
		return intervalMod(args)
	case VectorOID:
		return vectorMod(args)
	}
	return 0, Errorf("42601", "type modifier is not allowed for type \"%s\"", oid.Name())
}

var errTypmod = Errorf("22023", "invalid type modifier")

func lengthMod(oid OID, args []int64) (int32, error) {
	name, offset, most := infoByOID[oid].Name, int32(4), int64(maxCharLength)
	if oid == BPCharOID {
		name = "char"
	}
	if oid == BitOID || oid == VarbitOID {
		offset, most = 0, 8*maxCharLength
	}
	switch n := args[0]; {
	case len(args) != 1:
		return 0, errTypmod
	case n < 1:
		return 0, Errorf("22023", "length for type %s must be at least 1", name)
	case n > most:
		return 0, Errorf("22023", "length for type %s cannot exceed %d", name, most)
	default:
		return int32(n) + offset, nil
	}
}

func numericMod(args []int64) (int32, error) {
	precision, scale := args[0], int64(0)
	if len(args) > 2 {
		return 0, Errorf("22023", "invalid NUMERIC type modifier")
	}
	if len(args) == 2 {
		scale = args[1]
	}
	if precision < 1 || precision > 1000 {
		return 0, Errorf("22023", "NUMERIC precision %d must be between 1 and 1000", precision)
	}
	if scale < -1000 || scale > 1000 {
		return 0, Errorf("22023", "NUMERIC scale %d must be between -1000 and 1000", scale)
	}
	return int32(precision<<16|scale&0x7ff) + 4, nil
}

func precisionMod(oid OID, args []int64) (int32, error) {
	if len(args) != 1 {
		return 0, errTypmod
	}
	if args[0] < 0 {
		head, tail := "TIMESTAMP", ""
		if oid == TimeOID || oid == TimeTZOID {
			head = "TIME"
		}
		if oid == TimeTZOID || oid == TimestampTZOID {
			tail = " WITH TIME ZONE"
		}
		return 0, Errorf("22023", "%s(%d)%s precision must not be negative", head, args[0], tail)
	}
	return int32(min(args[0], 6)), nil
}

func vectorMod(args []int64) (int32, error) {
	switch n := args[0]; {
	case len(args) != 1:
		return 0, errTypmod
	case n < 1:
		return 0, Errorf("22023", "dimensions for type vector must be at least 1")
	case n > MaxVectorDims:
		return 0, Errorf("22023", "dimensions for type vector cannot exceed %d", MaxVectorDims)
	default:
		return int32(n), nil
	}
}

// Coerce fits v, already of t's base type, to t's modifier: text is cut or refused,
// numeric and time are rounded, vectors are checked. explicit says that the user
// wrote the cast, which makes varchar and character truncate silently.
// Errors: 22001, 22003, 22000 (vector), 22026 (bit).
func Coerce(v Value, t Type, explicit bool) (Value, error) {
	if v.IsNull() || t.Mod < 0 && t.OID != BPCharOID {
		return v, nil
	}
	if elem := ElemOf(t.OID); elem != 0 && v.kind == KindArray {
		return coerceArray(v, Type{elem, t.Mod}, explicit)
	}
	switch t.OID {
	case VarcharOID:
		return coerceVarchar(v, t, explicit)
	case BPCharOID:
		return coerceBPChar(v, t, explicit)
	case BitOID, VarbitOID:
		return coerceBit(v, t, explicit)
	case NumericOID:
		return coerceNumeric(v, t)
	case TimestampOID, TimestampTZOID:
		if IsInfinite(v) {
			return v, nil
		}
		return Timestamp(RoundMicros(v.n, int(t.Mod))), nil
	case TimeOID:
		return Time(RoundMicros(v.n, int(t.Mod))), nil
	case TimeTZOID:
		micros, zone := v.AsTimeTZ()
		return TimeTZ(RoundMicros(micros, int(t.Mod)), zone), nil
	case IntervalOID:
		return coerceInterval(v, t), nil
	case VectorOID:
		if got := len(v.AsVector()); got != int(t.Mod) {
			return Null, Errorf("22000", "expected %d dimensions, not %d", t.Mod, got)
		}
	}
	return v, nil
}

func coerceArray(v Value, elem Type, explicit bool) (Value, error) {
	old := v.AsArray()
	next := *old
	next.Elems = make([]Value, len(old.Elems))
	for i, e := range old.Elems {
		var err error
		if next.Elems[i], err = Coerce(e, elem, explicit); err != nil {
			return Null, err
		}
	}
	return ArrayValue(&next), nil
}

// cutRunes splits s after its first n characters.
func cutRunes(s string, n int) (head, tail string) {
	if len(s) <= n {
		return s, ""
	}
	for i := range s {
		if n == 0 {
			return s[:i], s[i:]
		}
		n--
	}
	return s, ""
}

func coerceVarchar(v Value, t Type, explicit bool) (Value, error) {
	head, tail := cutRunes(v.AsText(), int(t.Mod-4))
	if tail == "" {
		return v, nil
	}
	if !explicit && strings.Trim(tail, " ") != "" {
		return Null, Errorf("22001", "value too long for type %s", FormatType(t))
	}
	return Text(head), nil
}

// coerceBPChar keeps character(n) without its trailing blanks, which are not
// significant; AppendText pads them back by the modifier.
func coerceBPChar(v Value, t Type, explicit bool) (Value, error) {
	s := v.AsText()
	if t.Mod >= 4 {
		head, tail := cutRunes(s, int(t.Mod-4))
		if !explicit && strings.Trim(tail, " ") != "" {
			return Null, Errorf("22001", "value too long for type %s", FormatType(t))
		}
		s = head
	}
	return Text(strings.TrimRight(s, " ")), nil
}

func coerceBit(v Value, t Type, explicit bool) (Value, error) {
	s, n := v.AsText(), int(t.Mod)
	switch {
	case len(s) == n, t.OID == VarbitOID && len(s) < n:
		return v, nil
	case explicit && len(s) > n:
		return Text(s[:n]), nil
	case explicit:
		return Text(s + strings.Repeat("0", n-len(s))), nil
	case t.OID == VarbitOID:
		return Null, Errorf("22001", "bit string too long for type bit varying(%d)", n)
	}
	return Null, Errorf("22026", "bit string length %d does not match type bit(%d)", len(s), n)
}

func coerceNumeric(v Value, t Type) (Value, error) {
	d := v.AsNumeric()
	precision, scale := NumericMod(t.Mod)
	if d.Form == apd.NaN {
		return v, nil
	}
	overflow := Errorf("22003", "numeric field overflow")
	if d.Form != apd.Finite {
		return Null, overflow.WithDetail("A field with precision %d, scale %d cannot hold an infinite value.", precision, scale)
	}
	rounded := RoundNumeric(d, scale)
	if rounded.IsZero() || int(rounded.NumDigits())+int(rounded.Exponent)+scale <= precision {
		return Numeric(rounded), nil
	}
	limit := "1"
	if precision != scale {
		limit = fmt.Sprintf("10^%d", precision-scale)
	}
	return Null, overflow.WithDetail("A field with precision %d, scale %d must round to an absolute value less than %s.", precision, scale, limit)
}

// padBlanks appends s and blanks up to n characters.
func padBlanks(dst []byte, s string, n int) []byte {
	dst = append(dst, s...)
	for count := utf8.RuneCountInString(s); count < n; count++ {
		dst = append(dst, ' ')
	}
	return dst
}
