package types

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/apd/v3"
)

// Limits of PostgreSQL's numeric: decimal digits before and after the point.
const (
	maxNumericDigits = 131072
	maxNumericScale  = 16383
)

var (
	numericNaN  = &apd.Decimal{Form: apd.NaN}
	numericInf  = &apd.Decimal{Form: apd.Infinite}
	numericNInf = &apd.Decimal{Form: apd.Infinite, Negative: true}
)

// NumericInt makes the numeric of an integer, scale 0.
func NumericInt(i int64) Value { return Numeric(apd.New(i, 0)) }

// NumericScale gives the display scale of d: its digits after the point.
func NumericScale(d *apd.Decimal) int { return max(0, -int(d.Exponent)) }

// powersOfTen are 10^0 … 10^63, computed when first asked for.
var powersOfTen = sync.OnceValue(func() []*apd.BigInt {
	ten, powers := apd.NewBigInt(10), make([]*apd.BigInt, 64)
	powers[0] = apd.NewBigInt(1)
	for i := 1; i < len(powers); i++ {
		powers[i] = new(apd.BigInt).Mul(powers[i-1], ten)
	}
	return powers
})

// PowerOfTen gives 10^n for n ≥ 0; read only.
func PowerOfTen(n int) *apd.BigInt {
	if powers := powersOfTen(); n < len(powers) {
		return powers[n]
	}
	return new(apd.BigInt).Exp(apd.NewBigInt(10), apd.NewBigInt(int64(n)), nil)
}

// RoundNumeric rounds d half away from zero to scale digits after the point, adding
// zeros where it has fewer. A negative scale rounds before the point (display scale 0).
func RoundNumeric(d *apd.Decimal, scale int) *apd.Decimal {
	return rescale(d, scale, true)
}

// TruncNumeric cuts d toward zero to scale digits after the point.
func TruncNumeric(d *apd.Decimal, scale int) *apd.Decimal {
	return rescale(d, scale, false)
}

func rescale(d *apd.Decimal, scale int, round bool) *apd.Decimal {
	if d.Form != apd.Finite {
		return d
	}
	shift := int(d.Exponent) + scale
	out := &apd.Decimal{Negative: d.Negative, Exponent: int32(-scale)}
	switch {
	case shift == 0:
		out.Coeff.Set(&d.Coeff)
	case shift > 0:
		out.Coeff.Mul(&d.Coeff, PowerOfTen(shift))
	case -shift > int(d.NumDigits()): // less than half of the last place
	default:
		divisor, rest := PowerOfTen(-shift), new(apd.BigInt)
		out.Coeff.QuoRem(&d.Coeff, divisor, rest)
		if round && rest.Add(rest, rest).Cmp(divisor) >= 0 {
			out.Coeff.Add(&out.Coeff, apd.NewBigInt(1))
		}
	}
	return tidyNumeric(out)
}

// tidyNumeric brings d, in place, to the form that values have: exponent ≤ 0, no negative zero.
func tidyNumeric(d *apd.Decimal) *apd.Decimal {
	if d.Form != apd.Finite {
		return d
	}
	if d.Exponent > 0 {
		if d.Coeff.Sign() != 0 {
			d.Coeff.Mul(&d.Coeff, PowerOfTen(int(d.Exponent)))
		}
		d.Exponent = 0
	}
	if d.Coeff.Sign() == 0 {
		d.Negative = false
	}
	return d
}

// CheckNumeric tidies the result of a computation and refuses what PostgreSQL's
// format cannot hold: 22003 "value overflows numeric format".
func CheckNumeric(d *apd.Decimal) (Value, error) {
	if d.Form != apd.Finite {
		return Numeric(d), nil
	}
	if d.Exponent > maxNumericDigits || d.NumDigits()+int64(d.Exponent) > maxNumericDigits {
		return Null, errNumericOverflow
	}
	if -d.Exponent > maxNumericScale {
		d = RoundNumeric(d, maxNumericScale)
	}
	return Numeric(tidyNumeric(d)), nil
}

var errNumericOverflow = Errorf("22003", "value overflows numeric format")

// ParseNumeric reads a decimal number: digits, point, exponent, NaN, ±Infinity.
func ParseNumeric(s string) (Value, error) {
	trimmed := trimSpace(s)
	bad := func() (Value, error) { return Null, badSyntax("numeric", s) }
	body, negative := trimmed, false
	if body != "" && (body[0] == '-' || body[0] == '+') {
		negative = body[0] == '-'
		body = body[1:]
	}
	if body == "" {
		return bad()
	}
	switch strings.ToLower(body) {
	case "nan":
		if body != trimmed {
			return bad()
		}
		return Numeric(numericNaN), nil
	case "inf", "infinity":
		if negative {
			return Numeric(numericNInf), nil
		}
		return Numeric(numericInf), nil
	}
	whole, fraction, exponent, ok := splitNumber(body)
	if !ok {
		return bad()
	}
	scale := int64(len(fraction)) - exponent
	if exponent > math.MaxInt32/2 || exponent < -math.MaxInt32/2 ||
		int64(len(strings.TrimLeft(whole, "0")))+exponent > maxNumericDigits {
		return Null, errNumericOverflow
	}
	d := &apd.Decimal{Negative: negative, Exponent: int32(-scale)}
	if digits := whole + fraction; len(digits) <= 18 {
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return bad()
		}
		d.Coeff.SetInt64(n)
	} else if _, ok := d.Coeff.SetString(digits, 10); !ok {
		return bad()
	}
	return CheckNumeric(d)
}

// splitNumber takes an unsigned decimal number apart; ok is false if it is none.
func splitNumber(s string) (whole, fraction string, exponent int64, ok bool) {
	i := digitsEnd(s, 0)
	whole = s[:i]
	if i < len(s) && s[i] == '.' {
		end := digitsEnd(s, i+1)
		fraction, i = s[i+1:end], end
	}
	if whole == "" && fraction == "" {
		return "", "", 0, false
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		n, err := strconv.ParseInt(s[i+1:], 10, 64)
		if err != nil {
			return "", "", 0, false
		}
		return whole, fraction, n, true
	}
	return whole, fraction, 0, i == len(s)
}

// digitsEnd gives the index after the decimal digits of s that start at i.
func digitsEnd(s string, i int) int {
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return i
}

// AppendNumeric prints d as PostgreSQL does: never with an exponent.
func AppendNumeric(dst []byte, d *apd.Decimal) []byte {
	switch {
	case d.Form == apd.NaN || d.Form == apd.NaNSignaling:
		return append(dst, "NaN"...)
	case d.Form == apd.Infinite && d.Negative:
		return append(dst, "-Infinity"...)
	case d.Form == apd.Infinite:
		return append(dst, "Infinity"...)
	}
	return d.Append(dst, 'f')
}

// Signs of numeric's binary form.
const (
	numericPositive = 0x0000
	numericNegative = 0x4000
	numericBinNaN   = 0xC000
	numericBinInf   = 0xD000
	numericBinNInf  = 0xF000
)

// appendNumericBinary writes ndigits, weight, sign, dscale and base-10000 digits,
// all 16 bits, big-endian (numeric_send).
func appendNumericBinary(dst []byte, d *apd.Decimal) []byte {
	if d.Form != apd.Finite {
		sign := uint16(numericBinNaN)
		if d.Form == apd.Infinite {
			sign = numericBinInf
			if d.Negative {
				sign = numericBinNInf
			}
		}
		dst = append(dst, 0, 0, 0, 0)
		dst = binary.BigEndian.AppendUint16(dst, sign)
		return append(dst, 0, 0)
	}
	groups, weight := base10000(d)
	sign := uint16(numericPositive)
	if d.Negative {
		sign = numericNegative
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(groups)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(int16(weight)))
	dst = binary.BigEndian.AppendUint16(dst, sign)
	dst = binary.BigEndian.AppendUint16(dst, uint16(NumericScale(d)))
	for _, g := range groups {
		dst = binary.BigEndian.AppendUint16(dst, g)
	}
	return dst
}

// base10000 splits a finite decimal with exponent ≤ 0 into groups of four digits, the
// first of weight 10000^weight, without leading or trailing zero groups.
func base10000(d *apd.Decimal) (groups []uint16, weight int) {
	if d.Coeff.Sign() == 0 {
		return nil, 0
	}
	digits := d.Coeff.Append(nil, 10)
	scale := NumericScale(d)
	if missing := scale - len(digits); missing > 0 {
		digits = append([]byte(strings.Repeat("0", missing)), digits...)
	}
	whole := len(digits) - scale
	if lead := (4 - whole%4) % 4; lead > 0 {
		digits = append([]byte("000"[:lead]), digits...)
		whole += lead
	}
	if tail := (4 - len(digits)%4) % 4; tail > 0 {
		digits = append(digits, "000"[:tail]...)
	}
	weight = whole/4 - 1
	for i := 0; i < len(digits); i += 4 {
		g := uint16(digits[i]-'0')*1000 + uint16(digits[i+1]-'0')*100 + uint16(digits[i+2]-'0')*10 + uint16(digits[i+3]-'0')
		groups = append(groups, g)
	}
	for len(groups) > 0 && groups[0] == 0 {
		groups = groups[1:]
		weight--
	}
	for len(groups) > 0 && groups[len(groups)-1] == 0 {
		groups = groups[:len(groups)-1]
	}
	return groups, weight
}

func parseNumericBinary(b []byte) (Value, error) {
	if len(b) < 8 {
		return Null, errBinary("numeric")
	}
	count := int(binary.BigEndian.Uint16(b))
	weight := int(int16(binary.BigEndian.Uint16(b[2:])))
	sign := binary.BigEndian.Uint16(b[4:])
	scale := int(binary.BigEndian.Uint16(b[6:]))
	switch sign {
	case numericBinNaN:
		return Numeric(numericNaN), nil
	case numericBinInf:
		return Numeric(numericInf), nil
	case numericBinNInf:
		return Numeric(numericNInf), nil
	case numericPositive, numericNegative:
	default:
		return Null, Errorf("22P03", "invalid sign in external \"numeric\" value")
	}
	if scale > maxNumericScale {
		return Null, Errorf("22P03", "invalid scale in external \"numeric\" value")
	}
	if len(b) != 8+2*count {
		return Null, errBinary("numeric")
	}
	digits := make([]byte, 0, 4*count+1)
	for i := range count {
		g := binary.BigEndian.Uint16(b[8+2*i:])
		if g > 9999 {
			return Null, Errorf("22P03", "invalid digit in external \"numeric\" value")
		}
		digits = append(digits, byte('0'+g/1000), byte('0'+g/100%10), byte('0'+g/10%10), byte('0'+g%10))
	}
	d := &apd.Decimal{Negative: sign == numericNegative, Exponent: int32(4 * (weight - count + 1))}
	if count > 0 {
		d.Coeff.SetString(string(digits), 10)
	} else {
		d.Exponent = 0
	}
	return CheckNumeric(rescale(tidyNumeric(d), scale, false))
}

// NumericFloat gives the nearest float64 of d; ±Inf when it is too big.
func NumericFloat(d *apd.Decimal) float64 {
	switch {
	case d.Form == apd.NaN || d.Form == apd.NaNSignaling:
		return math.NaN()
	case d.Form == apd.Infinite && d.Negative:
		return math.Inf(-1)
	case d.Form == apd.Infinite:
		return math.Inf(1)
	}
	f, _ := strconv.ParseFloat(d.Text('e'), 64) // out of range gives ±Inf, as wanted
	return f
}
