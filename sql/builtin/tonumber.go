package builtin

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cockroachdb/apd/v3"

	"github.com/heliosdb/helios/types"
)

// numberPattern is a parsed number pattern of to_char and to_number.
type numberPattern struct {
	nodes                          []string // "9" "0" "," "." "S" "MI" "PL" "SG" "PR" "L" "V" "TH" "th", or other text
	whole, fraction                int      // digit positions before and after the point
	zeroFrom                       int      // the first position before the point that shows zeros, -1 for none
	zeroTo                         int      // how many decimals FM keeps
	point, fm, sign, exponent, rom bool
	multiply                       int // V: digits to shift by
}

func parseNumberPattern(s string) (*numberPattern, error) {
	p := &numberPattern{zeroFrom: -1}
	afterV := false
	for s != "" {
		token := numberToken(s)
		s = s[len(token):]
		upper := strings.ToUpper(token)
		switch upper {
		case "FM":
			p.fm = true
			continue
		case "9", "0":
			if err := p.digit(upper, afterV); err != nil {
				return nil, err
			}
		case ".", "D":
			if p.point {
				return nil, types.Errorf("42601", "multiple decimal points")
			}
			p.point = true
			upper = "."
		case "G":
			upper = ","
		case "S", "MI", "PL", "SG", "PR":
			p.sign = true
		case "V":
			afterV = true
			continue
		case "EEEE":
			p.exponent = true
			continue
		case "RN":
			p.rom = true
		case "TH":
			upper = token
		case ",", "L":
		default:
			if strings.HasPrefix(token, `"`) {
				upper = strings.Trim(token, `"`)
			} else {
				upper = token
			}
			p.nodes = append(p.nodes, "="+upper)
			continue
		}
		p.nodes = append(p.nodes, upper)
	}
	return p, nil
}

func (p *numberPattern) digit(d string, afterV bool) error {
	switch {
	case afterV:
		p.multiply++
		p.whole++
	case p.point:
		p.fraction++
		if d == "0" {
			p.zeroTo = p.fraction
		}
		return nil
	default:
		p.whole++
	}
	if d == "0" && p.zeroFrom < 0 {
		p.zeroFrom = p.whole - 1
	}
	if p.whole > 1000 {
		return types.Errorf("22023", "number pattern too long")
	}
	return nil
}

func numberToken(s string) string {
	if s[0] == '"' {
		if end := strings.IndexByte(s[1:], '"'); end >= 0 {
			return s[:end+2]
		}
	}
	for _, t := range []string{"EEEE", "FM", "MI", "PL", "SG", "PR", "RN", "TH"} {
		if len(s) >= len(t) && strings.EqualFold(s[:len(t)], t) {
			return s[:len(t)]
		}
	}
	_, size := utf8.DecodeRuneInString(s)
	return s[:max(size, 1)]
}

// showNumber is to_char of a number.
func showNumber(t types.OID, v types.Value, pattern string) (types.Value, error) {
	p, err := parseNumberPattern(pattern)
	if err != nil {
		return types.Null, err
	}
	d, special := numberOf(t, v)
	switch {
	case p.rom:
		return types.Text(roman(d, p.fm)), nil
	case p.exponent:
		return types.Text(scientific(d, p)), nil
	case isNaN(d):
		return types.Text(strings.Repeat(" ", max(0, p.whole+1-len("NaN"))) + "NaN"), nil
	case special:
		return types.Text(p.overflowed(d.Negative)), nil
	}
	if p.multiply > 0 {
		if d, err = mulNumeric(d, fromSigned(types.PowerOfTen(p.multiply), 0)); err != nil {
			return types.Null, err
		}
	}
	d = types.RoundNumeric(d, p.fraction)
	text := strings.TrimPrefix(types.ToText(types.T(types.NumericOID), types.Numeric(d)), "-")
	whole, fraction, _ := strings.Cut(text, ".")
	if len(whole) > p.whole {
		return types.Text(p.overflowed(d.Negative)), nil
	}
	if whole == "0" && (p.point && p.fraction > 0 && !(p.fm && p.zeroTo == 0 && d.IsZero())) {
		whole = ""
	}
	return types.Text(p.lay(whole, fraction, d.Negative)), nil
}

// numberOf gives any number as a decimal; special is true for NaN and infinities.
func numberOf(t types.OID, v types.Value) (d *apd.Decimal, special bool) {
	switch v.Kind() {
	case types.KindInt:
		return apd.New(v.AsInt(), 0), false
	case types.KindFloat:
		n, err := toNumeric(t)(nil, v)
		if err != nil {
			return numericNaN, true
		}
		v = n
	}
	return v.AsNumeric(), v.AsNumeric().Form != apd.Finite
}

// overflowed shows # for every digit, as where a number does not fit.
func (p *numberPattern) overflowed(negative bool) string {
	hashes := *p
	hashes.zeroFrom = -1
	return hashes.lay(strings.Repeat("#", p.whole), strings.Repeat("#", p.fraction), negative)
}

// lay puts digits into the pattern's positions: blanks before the number, the sign
// directly before its first digit unless the pattern places it.
func (p *numberPattern) lay(whole, fraction string, negative bool) string {
	first := p.whole - len(whole) // the first position that shows a digit
	if p.zeroFrom >= 0 {
		first = min(first, p.zeroFrom)
	}
	padded := strings.Repeat("0", max(0, p.whole-len(whole))) + whole
	if p.fm {
		fraction = fraction[:max(p.zeroTo, len(strings.TrimRight(fraction, "0")))]
	}
	w := &numberWriter{p: p, padded: padded, fraction: fraction, first: first, negative: negative}
	for _, node := range p.nodes {
		w.node(node)
	}
	return w.out.String()
}

// numberWriter lays out one number.
type numberWriter struct {
	p                *numberPattern
	padded, fraction string
	first, at, shown int // first position shown; positions before and after the point done
	negative, signed bool
	out              strings.Builder
}

// blank stands for what is not shown; FM leaves it out.
func (w *numberWriter) blank() {
	if !w.p.fm {
		w.out.WriteByte(' ')
	}
}

// anchor writes the sign before the first digit, once, unless another place has it.
func (w *numberWriter) anchor() {
	if w.signed {
		return
	}
	w.signed = true
	switch {
	case w.p.has("S") && !w.p.trailingS():
		w.out.WriteByte(w.signByte('+'))
	case w.p.has("PR") && w.negative:
		w.out.WriteByte('<')
	case w.p.has("S"), w.p.has("MI"), w.p.has("SG"):
	case w.negative && !w.p.has("PR"):
		w.out.WriteByte('-')
	default:
		w.blank()
	}
}

func (w *numberWriter) signByte(plus byte) byte {
	if w.negative {
		return '-'
	}
	return plus
}

func (p *numberPattern) has(node string) bool { return slices.Contains(p.nodes, node) }

// trailingS tells whether the sign stands after all digits.
func (p *numberPattern) trailingS() bool {
	s := slices.Index(p.nodes, "S")
	return !slices.ContainsFunc(p.nodes[s:], func(n string) bool { return n == "9" || n == "0" })
}

func (w *numberWriter) node(node string) {
	switch node {
	case "9", "0":
		w.digit()
	case ".":
		w.anchor()
		w.out.WriteByte('.')
	case ",":
		if w.at > w.first && w.at < len(w.padded) {
			w.out.WriteByte(',')
		} else {
			w.blank()
		}
	case "L":
		w.out.WriteByte(' ')
	case "S":
		if w.p.trailingS() {
			w.out.WriteByte(w.signByte('+'))
		}
	case "SG":
		w.out.WriteByte(w.signByte('+'))
	case "MI":
		if w.negative {
			w.out.WriteByte('-')
		} else {
			w.blank()
		}
	case "PL":
		if !w.negative {
			w.out.WriteByte('+')
		} else {
			w.blank()
		}
	case "PR":
		if w.negative {
			w.out.WriteByte('>')
		} else {
			w.blank()
		}
	case "TH", "th":
		if !w.negative && !w.p.point && !strings.HasPrefix(w.padded, "#") {
			w.out.WriteString(ordinal(w.padded, node))
		}
	default:
		w.out.WriteString(strings.TrimPrefix(node, "="))
	}
}

func (w *numberWriter) digit() {
	if w.at < len(w.padded) {
		if w.at < w.first {
			w.blank()
		} else {
			w.anchor()
			w.out.WriteByte(w.padded[w.at])
		}
		w.at++
		return
	}
	if w.shown < len(w.fraction) {
		w.anchor()
		w.out.WriteByte(w.fraction[w.shown])
		w.shown++
	}
}

// roman shows 1 to 3999, right-aligned in 15 places.
func roman(d *apd.Decimal, fm bool) string {
	n, err := types.RoundNumeric(d, 0).Int64()
	if d.Form != apd.Finite || err != nil || n < 1 || n > 3999 {
		return strings.Repeat("#", 15)
	}
	var b strings.Builder
	for _, r := range []struct {
		value int64
		text  string
	}{
		{1000, "M"},
		{900, "CM"},
		{500, "D"},
		{400, "CD"},
		{100, "C"},
		{90, "XC"},
		{50, "L"},
		{40, "XL"},
		{10, "X"},
		{9, "IX"},
		{5, "V"},
		{4, "IV"},
		{1, "I"},
	} {
		for ; n >= r.value; n -= r.value {
			b.WriteString(r.text)
		}
	}
	if fm {
		return b.String()
	}
	return strings.Repeat(" ", 15-b.Len()) + b.String()
}

// scientific shows d.ddde+nn.
func scientific(d *apd.Decimal, p *numberPattern) string {
	if d.Form != apd.Finite {
		return " " + strings.Repeat("#", p.whole) + "." + strings.Repeat("#", p.fraction) + "####"
	}
	exponent := 0
	if !d.IsZero() {
		exponent = decimalWeight(d)
	}
	shifted := *d
	shifted.Exponent -= int32(exponent)
	rounded := types.RoundNumeric(&shifted, p.fraction)
	if rounded.NumDigits()+int64(rounded.Exponent) > 1 && exponent < 1<<20 {
		exponent++
		shifted.Exponent--
		rounded = types.RoundNumeric(&shifted, p.fraction)
	}
	text := types.ToText(types.T(types.NumericOID), types.Numeric(rounded))
	if !d.Negative {
		text = " " + text
	}
	sign, digits := "+", intText(int64(max(exponent, -exponent)))
	if exponent < 0 {
		sign = "-"
	}
	if len(digits) < 2 {
		digits = "0" + digits
	}
	return text + "e" + sign + digits
}

// toNumber reads a number by a pattern: digits, one point, and a sign anywhere.
func toNumber(text, pattern string) (types.Value, error) {
	p, err := parseNumberPattern(pattern)
	if err != nil {
		return types.Null, err
	}
	if p.exponent || p.rom {
		return types.Null, types.Errorf("0A000", "\"EEEE\" and \"RN\" are not supported for input")
	}
	var digits strings.Builder
	negative, point, fraction := false, false, 0
	whole := p.whole
	for _, c := range []byte(text) {
		switch {
		case c == '-' || c == '<':
			negative = true
		case c == '.' && p.point && !point:
			point = true
			digits.WriteByte('.')
		case c >= '0' && c <= '9' && point && fraction < p.fraction:
			fraction++
			digits.WriteByte(c)
		case c >= '0' && c <= '9' && !point && whole > 0:
			whole--
			digits.WriteByte(c)
		}
	}
	out := strings.TrimSuffix(digits.String(), ".")
	if negative {
		out = "-" + out
	}
	if out == "" {
		out = " "
	}
	v, err := types.ParseNumeric(out)
	if err != nil {
		return types.Null, err
	}
	if p.multiply > 0 {
		d, err := divNumeric(v.AsNumeric(), fromSigned(types.PowerOfTen(p.multiply), 0))
		if err != nil {
			return types.Null, err
		}
		return types.CheckNumeric(d)
	}
	return v, nil
}
