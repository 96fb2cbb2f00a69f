package types

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// AppendText appends the text form of v, a value of type t, as PostgreSQL's output
// functions give it. NULL appends nothing: its marking is the caller's.
func AppendText(dst []byte, t Type, v Value, s *Settings) []byte {
	switch v.kind {
	case KindNull:
		return dst
	case KindBool:
		if v.n != 0 {
			return append(dst, 't')
		}
		return append(dst, 'f')
	case KindInt:
		return appendIntText(dst, t.OID, v.n)
	case KindFloat:
		return appendFloat(dst, v.AsFloat(), t.OID, s)
	case KindNumeric:
		return AppendNumeric(dst, v.AsNumeric())
	case KindText:
		if t.OID == BPCharOID && t.Mod >= 4 {
			return padBlanks(dst, v.AsText(), int(t.Mod-4))
		}
		return append(dst, v.AsText()...)
	case KindBytes:
		if t.OID == UUIDOID {
			return appendUUID(dst, v.AsBytes())
		}
		return appendBytea(dst, v.AsBytes(), s)
	case KindDate:
		return appendDate(dst, v.n)
	case KindTime:
		if t.OID == TimeTZOID {
			return appendTimeTZ(dst, v)
		}
		return appendTime(dst, v.n)
	case KindTimestamp:
		return appendTimestamp(dst, v.n, t.OID == TimestampTZOID, s)
	case KindInterval:
		return appendInterval(dst, v.AsInterval())
	case KindVector:
		return appendVector(dst, v.AsVector())
	case KindArray:
		return appendArray(dst, t, v.AsArray(), s)
	case KindRecord:
		return appendRecord(dst, v, s)
	case KindJSONB:
		return append(dst, v.AsText()...)
	}
	return dst
}

// ToText is AppendText as a string, with the default settings.
func ToText(t Type, v Value) string { return string(AppendText(nil, t, v, nil)) }

func appendIntText(dst []byte, oid OID, n int64) []byte {
	switch oid {
	case CharOID:
		if n == 0 {
			return dst
		}
		return append(dst, byte(n))
	case PGLSNOID:
		dst = strconv.AppendUint(dst, uint64(n)>>32, 16)
		dst = append(dst, '/')
		return upperHex(strconv.AppendUint(dst, uint64(n)&0xffffffff, 16))
	case XID8OID:
		return strconv.AppendUint(dst, uint64(n), 10)
	case RegprocOID, RegprocedureOID, RegoperOID, RegoperatorOID, RegclassOID, RegtypeOID, RegroleOID, RegnamespaceOID, RegcollationOID:
		if n == 0 {
			return append(dst, '-')
		}
	}
	return strconv.AppendInt(dst, n, 10)
}

func upperHex(b []byte) []byte {
	for i, c := range b {
		if c >= 'a' && c <= 'f' {
			b[i] = c - 'a' + 'A'
		}
	}
	return b
}

// appendFloat prints float4 and float8: the shortest digits that read back to the
// same value, in scientific form from 1e+06 (float4) or 1e+15 (float8) on.
func appendFloat(dst []byte, f float64, oid OID, s *Settings) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	if s != nil && s.FloatDigits > 0 {
		digits := s.FloatDigits
		if oid == Float4OID {
			digits -= 9
		}
		return appendFloatDigits(dst, f, max(1, digits))
	}
	if oid == Float4OID {
		return strconv.AppendFloat(dst, f, 'g', -1, 32)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e15) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// appendFloatDigits is C's %.{digits}g, which drops trailing zeros.
func appendFloatDigits(dst []byte, f float64, digits int) []byte {
	text := strconv.FormatFloat(f, 'e', digits-1, 64)
	mantissa, exponent, _ := strings.Cut(text, "e")
	if e, _ := strconv.Atoi(exponent); e < -4 || e >= digits {
		if strings.Contains(mantissa, ".") {
			mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
		}
		return append(append(append(dst, mantissa...), 'e'), exponent...)
	} else if fixed := strconv.FormatFloat(f, 'f', digits-1-e, 64); strings.Contains(fixed, ".") {
		return append(dst, strings.TrimRight(strings.TrimRight(fixed, "0"), ".")...)
	} else {
		return append(dst, fixed...)
	}
}

func appendUUID(dst, b []byte) []byte {
	if len(b) != 16 {
		return hex.AppendEncode(dst, b)
	}
	for i, cut := range [...][2]int{{0, 4}, {4, 6}, {6, 8}, {8, 10}, {10, 16}} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, b[cut[0]:cut[1]])
	}
	return dst
}

func appendBytea(dst, b []byte, s *Settings) []byte {
	if s == nil || !s.ByteaEscape {
		return hex.AppendEncode(append(dst, `\x`...), b)
	}
	return AppendByteaEscape(dst, b)
}

// AppendByteaEscape prints bytes in the escape format: \nnn in octal for what is not ASCII, \\ for a backslash.
func AppendByteaEscape(dst, b []byte) []byte {
	for _, c := range b {
		switch {
		case c == '\\':
			dst = append(dst, '\\', '\\')
		case c < 0x20 || c > 0x7e:
			dst = append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func appendRecord(dst []byte, v Value, s *Settings) []byte {
	fieldTypes := v.RecordTypes()
	dst = append(dst, '(')
	var field []byte
	for i, f := range v.AsRecord() {
		if i > 0 {
			dst = append(dst, ',')
		}
		if f.IsNull() {
			continue
		}
		field = AppendText(field[:0], fieldTypes[i], f, s)
		if !recordQuotes(field) {
			dst = append(dst, field...)
			continue
		}
		dst = append(dst, '"')
		for _, c := range field {
			if c == '"' || c == '\\' {
				dst = append(dst, c)
			}
			dst = append(dst, c)
		}
		dst = append(dst, '"')
	}
	return append(dst, ')')
}

func recordQuotes(field []byte) bool {
	for _, c := range field {
		if isSpace(c) || strings.IndexByte(`"\(),`, c) >= 0 {
			return true
		}
	}
	return len(field) == 0
}

// CheckUTF8 refuses text that is not UTF-8 or holds a zero byte: 22021.
func CheckUTF8(s string) error {
	bad := ""
	if !utf8.ValidString(s) {
		for i := 0; i < len(s) && bad == ""; {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size <= 1 {
				bad = s[i:min(len(s), i+badSequence(s[i]))]
			}
			i += size
		}
	} else if i := strings.IndexByte(s, 0); i >= 0 {
		bad = "\x00"
	}
	if bad == "" {
		return nil
	}
	shown := ""
	for _, c := range []byte(bad) {
		shown += " 0x" + hex.EncodeToString([]byte{c})
	}
	return Errorf("22021", "invalid byte sequence for encoding \"UTF8\":%s", shown)
}

// badSequence is how many bytes the lead byte c promises, which is how many the error shows.
func badSequence(c byte) int {
	switch {
	case c&0xe0 == 0xc0:
		return 2
	case c&0xf0 == 0xe0:
		return 3
	case c&0xf8 == 0xf0:
		return 4
	}
	return 1
}
