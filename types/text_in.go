package types

import (
	"encoding/hex"
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

func badSyntax(typeName, s string) *Error {
	return Errorf("22P02", "invalid input syntax for type %s: \"%s\"", typeName, s)
}

// ParseText reads the text form of a value of type t, as PostgreSQL's input functions
// do, and fits it to t's modifier. Errors: 22P02, 22003, 22007, 22008, 22001 and the
// others of each type; 0A000 for types without input.
func ParseText(t Type, s string, set *Settings) (Value, error) {
	if elem := ElemOf(t.OID); elem != 0 {
		if t.OID == Int2VectorOID || t.OID == OIDVectorOID {
			return parseOldVector(elem, s)
		}
		return parseArray(t, s, set)
	}
	v, err := parseBase(t, s, set)
	if err != nil || t.Mod < 0 && t.OID != BPCharOID {
		return v, err
	}
	return Coerce(v, t, false)
}

func parseBase(t Type, s string, set *Settings) (Value, error) {
	switch t.OID {
	case BoolOID:
		return parseBool(s)
	case Int2OID, Int4OID, Int8OID:
		return parseInt(t.OID, s)
	case OIDOID, XIDOID, CIDOID, RegprocOID, RegprocedureOID, RegoperOID, RegoperatorOID,
		RegclassOID, RegtypeOID, RegroleOID, RegnamespaceOID, RegcollationOID:
		return parseOID(t.OID, s)
	case Float4OID, Float8OID:
		return parseFloat(t.OID, s)
	case NumericOID:
		return ParseNumeric(s)
	case TextOID, VarcharOID, BPCharOID, UnknownOID, CStringOID, PGNodeTreeOID, ACLItemOID:
		return Text(s), CheckUTF8(s)
	case NameOID:
		return Text(TruncateName(s)), CheckUTF8(s)
	case CharOID:
		if s == "" {
			return Int(0), nil
		}
		return Int(int64(s[0])), nil
	case ByteaOID:
		return parseBytea(s)
	case UUIDOID:
		return parseUUID(s)
	case BitOID, VarbitOID:
		return parseBit(s)
	case DateOID:
		return parseDate(s, set)
	case TimeOID, TimeTZOID:
		return parseTime(s, t.OID == TimeTZOID, set)
	case TimestampOID, TimestampTZOID:
		return parseTimestamp(s, t.OID == TimestampTZOID, set)
	case IntervalOID:
		return parseInterval(s, t.Mod)
	case JSONOID:
		return Text(s), ValidateJSON(s)
	case JSONBOID:
		return NormalizeJSON(s)
	case VectorOID:
		return parseVector(s)
	case PGLSNOID:
		return parseLSN(s)
	case XID8OID:
		n, err := strconv.ParseUint(trimSpace(s), 10, 64)
		if err != nil {
			return Null, badSyntax("xid8", s)
		}
		return Int(int64(n)), nil
	case VoidOID:
		return Text(""), nil
	case RecordOID:
		return Null, Errorf("0A000", "input of anonymous composite types is not implemented")
	}
	return Null, Errorf("0A000", "cannot accept a value of type %s", t.OID.Name())
}

func parseBool(s string) (Value, error) {
	word := strings.ToLower(trimSpace(s))
	switch {
	case word == "":
	case strings.HasPrefix("true", word), strings.HasPrefix("yes", word), word == "on", word == "1":
		return Bool(true), nil
	case strings.HasPrefix("false", word), strings.HasPrefix("no", word), word == "off", word == "of", word == "0":
		return Bool(false), nil
	}
	return Null, badSyntax("boolean", s)
}

// IntRange gives the least and greatest value of an integer type (oid and reg* among them).
func IntRange(oid OID) (least, greatest int64) {
	switch oid {
	case Int2OID:
		return math.MinInt16, math.MaxInt16
	case Int4OID:
		return math.MinInt32, math.MaxInt32
	case Int8OID:
		return math.MinInt64, math.MaxInt64
	}
	return 0, math.MaxUint32
}

func parseInt(oid OID, s string) (Value, error) {
	body := trimSpace(s)
	digits := strings.TrimLeft(body, "+-")
	if len(body)-len(digits) > 1 || digits == "" || digitsEnd(digits, 0) != len(digits) {
		return Null, badSyntax(oid.Name(), s)
	}
	n, err := strconv.ParseInt(body, 10, 64)
	least, greatest := IntRange(oid)
	if err != nil || n < least || n > greatest {
		return Null, Errorf("22003", "value \"%s\" is out of range for type %s", s, oid.Name())
	}
	return Int(n), nil
}

func parseOID(oid OID, s string) (Value, error) {
	body := trimSpace(s)
	if body == "-" && oid != OIDOID {
		return Int(0), nil
	}
	digits := strings.TrimLeft(body, "+-")
	if len(body)-len(digits) > 1 || digits == "" || digitsEnd(digits, 0) != len(digits) {
		return Null, badSyntax(oid.Name(), s)
	}
	n, err := strconv.ParseInt(body, 10, 64)
	if err != nil || n < math.MinInt32 || n > math.MaxUint32 {
		return Null, Errorf("22003", "value \"%s\" is out of range for type %s", s, oid.Name())
	}
	return Int(int64(uint32(n))), nil
}

func parseFloat(oid OID, s string) (Value, error) {
	body, size := trimSpace(s), 64
	if oid == Float4OID {
		size = 32
	}
	if strings.ContainsAny(body, "_") {
		return Null, badSyntax(oid.Name(), s)
	}
	f, err := strconv.ParseFloat(body, size)
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && f == 0 && strings.ContainsAny(mantissa(body), "123456789"):
		return Null, Errorf("22003", "\"%s\" is out of range for type %s", body, oid.Name())
	case err != nil:
		return Null, badSyntax(oid.Name(), s)
	}
	return Float(f), nil
}

// mantissa is the part of a number before its exponent.
func mantissa(s string) string {
	if i := strings.IndexAny(s, "eEpP"); i >= 0 {
		return s[:i]
	}
	return s
}

// TruncateName cuts an identifier to PostgreSQL's 63 bytes, at a character's edge.
func TruncateName(s string) string {
	const longest = 63
	if len(s) <= longest {
		return s
	}
	end := longest
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

func parseBytea(s string) (Value, error) {
	if body, isHex := strings.CutPrefix(s, `\x`); isHex {
		return parseByteaHex(body)
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\':
			out = append(out, s[i])
		case i+1 < len(s) && s[i+1] == '\\':
			out = append(out, '\\')
			i++
		case i+3 < len(s) && s[i+1] >= '0' && s[i+1] <= '3' && isOctal(s[i+2]) && isOctal(s[i+3]):
			out = append(out, (s[i+1]-'0')<<6|(s[i+2]-'0')<<3|(s[i+3]-'0'))
			i += 3
		default:
			return Null, Errorf("22P02", "invalid input syntax for type bytea")
		}
	}
	return Bytes(out), nil
}

func isOctal(c byte) bool { return c >= '0' && c <= '7' }

func parseByteaHex(s string) (Value, error) {
	if b, err := hex.DecodeString(s); err == nil {
		return Bytes(b), nil
	}
	b, err := DecodeHex(s)
	return Bytes(b), err
}

// DecodeHex reads hexadecimal digits, two to a byte, with white space between bytes; 22023.
func DecodeHex(s string) ([]byte, error) {
	out := make([]byte, 0, len(s)/2)
	for i := 0; i < len(s); i++ {
		if c := s[i]; c == ' ' || c == '\n' || c == '\t' || c == '\r' {
			continue
		}
		high, ok := hexDigit(s[i])
		if !ok {
			return nil, badHexDigit(s[i:])
		}
		if i++; i == len(s) {
			return nil, Errorf("22023", "invalid hexadecimal data: odd number of digits")
		}
		low, ok := hexDigit(s[i])
		if !ok {
			return nil, badHexDigit(s[i:])
		}
		out = append(out, high<<4|low)
	}
	return out, nil
}

func badHexDigit(s string) error {
	_, size := utf8.DecodeRuneInString(s)
	return Errorf("22023", "invalid hexadecimal digit: \"%s\"", s[:size])
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case isDigit(c):
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

func parseUUID(s string) (Value, error) {
	body := s
	if strings.HasPrefix(body, "{") && strings.HasSuffix(body, "}") {
		body = body[1 : len(body)-1]
	}
	out := make([]byte, 0, 16)
	for i := 0; i < len(body); i += 2 {
		if body[i] == '-' && len(out) > 0 && len(out) < 16 && len(out)%2 == 0 {
			i++
		}
		if i+1 >= len(body) || len(out) == 16 {
			return Null, badSyntax("uuid", s)
		}
		high, ok1 := hexDigit(body[i])
		low, ok2 := hexDigit(body[i+1])
		if !ok1 || !ok2 {
			return Null, badSyntax("uuid", s)
		}
		out = append(out, high<<4|low)
	}
	if len(out) != 16 {
		return Null, badSyntax("uuid", s)
	}
	return Bytes(out), nil
}

// parseBit reads a bit string: binary digits, or hexadecimal ones after x.
func parseBit(s string) (Value, error) {
	if body, isHex := cutFold(s, "x"); isHex {
		out := make([]byte, 0, 4*len(body))
		for i := range len(body) {
			d, ok := hexDigit(body[i])
			if !ok {
				return Null, Errorf("22P02", "\"%s\" is not a valid hexadecimal digit", body[i:i+1])
			}
			out = append(out, '0'+d>>3, '0'+d>>2&1, '0'+d>>1&1, '0'+d&1)
		}
		return Text(string(out)), nil
	}
	body, _ := cutFold(s, "b")
	for i := range len(body) {
		if body[i] != '0' && body[i] != '1' {
			_, size := utf8.DecodeRuneInString(body[i:])
			return Null, Errorf("22P02", "\"%s\" is not a valid binary digit", body[i:i+size])
		}
	}
	return Text(body), nil
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return s, false
}

func parseLSN(s string) (Value, error) {
	high, low, found := strings.Cut(s, "/")
	h, err1 := strconv.ParseUint(high, 16, 32)
	l, err2 := strconv.ParseUint(low, 16, 32)
	if !found || err1 != nil || err2 != nil {
		return Null, badSyntax("pg_lsn", s)
	}
	return Int(int64(h<<32 | l)), nil
}

// parseOldVector reads int2vector and oidvector: numbers with blanks between, counted from 0.
func parseOldVector(elem OID, s string) (Value, error) {
	a := &Array{Elem: elem}
	for word := range strings.FieldsSeq(s) {
		v, err := parseBase(T(elem), word, nil)
		if err != nil {
			return Null, err
		}
		a.Elems = append(a.Elems, v)
	}
	a.Dims, a.Lower = []int{len(a.Elems)}, []int{0}
	return ArrayValue(a), nil
}
