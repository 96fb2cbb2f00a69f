package types

import (
	"strconv"
	"strings"
)

// intervalParser reads PostgreSQL's traditional interval syntax (DecodeInterval).
type intervalParser struct {
	s    string
	i    int
	sum  intervalSum
	unit string // of a number that has none
	any  bool
	// seen marks the fields given, each of which may stand once.
	seen map[string]bool
}

func parseInterval(input string, mod int32) (Value, error) {
	bad := Errorf("22007", "invalid input syntax for type interval: \"%s\"", input)
	overflow := Errorf("22015", "interval field value out of range: \"%s\"", input)
	s := strings.ToLower(trimSpace(input))
	if len(s) > maxDateInput {
		return Null, bad
	}
	p := &intervalParser{s: s, unit: bareUnit(mod), seen: make(map[string]bool)}
	ok := false
	if body, iso := strings.CutPrefix(s, "p"); iso {
		ok = p.parseISO(body)
	} else {
		ok = p.parse()
	}
	if !ok || !p.any {
		if p.sum.overflow {
			return Null, overflow
		}
		return Null, bad
	}
	iv, ok := p.sum.value()
	if !ok && !p.sum.overflow && p.sum.days == int64(int32(p.sum.days)) && p.sum.months/12 == int64(int32(p.sum.months/12)) {
		return Null, Errorf("22008", "interval out of range")
	}
	if !ok {
		return Null, overflow
	}
	return coerceInterval(IntervalValue(iv), Type{IntervalOID, mod}), nil
}

// bareUnit is the unit of a number without one: the lowest field of the type's range.
func bareUnit(mod int32) string {
	fields, _ := splitIntervalMod(mod)
	for _, f := range []struct {
		bit  int
		unit string
	}{{fieldSecond, "second"}, {fieldMinute, "minute"}, {fieldHour, "hour"}, {fieldDay, "day"}, {fieldMonth, "month"}, {fieldYear, "year"}} {
		if fields&f.bit != 0 {
			return f.unit
		}
	}
	return "second"
}

func (p *intervalParser) skip() {
	for p.i < len(p.s) && (isSpace(p.s[p.i]) || p.s[p.i] == '@' || p.s[p.i] == ',') {
		p.i++
	}
}

func (p *intervalParser) parse() bool {
	for p.skip(); p.i < len(p.s); p.skip() {
		negative := false
		if c := p.s[p.i]; c == '-' || c == '+' {
			negative = c == '-'
			p.i++
			p.skip()
		}
		if p.i == len(p.s) {
			return false
		}
		if isAlpha(p.s[p.i]) {
			if negative || p.word() != "ago" || !p.any {
				return false
			}
			p.skip()
			p.sum.months, p.sum.days, p.sum.micros = -p.sum.months, -p.sum.days, -p.sum.micros
			return p.i == len(p.s)
		}
		if !p.number(negative) {
			return false
		}
		p.any = true
	}
	return true
}

func (p *intervalParser) word() string {
	start := p.i
	p.i = spanOf(p.s, p.i, isAlpha)
	return p.s[start:p.i]
}

// once marks a field as given; false if it already was.
func (p *intervalParser) once(field string) bool {
	if p.seen[field] {
		return false
	}
	p.seen[field] = true
	return true
}

// number reads a quantity: hours:minutes:seconds, years-months, or a number and its unit.
func (p *intervalParser) number(negative bool) bool {
	start := p.i
	p.i = spanOf(p.s, p.i, isDigit)
	if p.i < len(p.s) && p.s[p.i] == ':' {
		p.i = spanOf(p.s, p.i, func(c byte) bool { return isDigit(c) || c == ':' || c == '.' })
		return p.clock(p.s[start:p.i], negative)
	}
	if p.i+1 < len(p.s) && p.s[p.i] == '-' && p.i > start && isDigit(p.s[p.i+1]) {
		years := p.s[start:p.i]
		from := p.i + 1
		p.i = spanOf(p.s, from, isDigit)
		return p.yearMonth(years, p.s[from:p.i], negative)
	}
	wholeText, fractionText := p.s[start:p.i], ""
	if p.i < len(p.s) && p.s[p.i] == '.' {
		from := p.i + 1
		p.i = spanOf(p.s, from, isDigit)
		fractionText = p.s[from:p.i]
	}
	if wholeText == "" && fractionText == "" {
		return false
	}
	whole, fraction, ok := p.quantity(wholeText, fractionText, negative)
	if !ok {
		return false
	}
	p.skip()
	unit := p.unit
	if p.i < len(p.s) && isAlpha(p.s[p.i]) {
		at := p.i
		name := p.word()
		unit, ok = intervalUnits[name]
		if name == "ago" {
			p.i, unit, ok = at, p.unit, true
		}
		if !ok {
			return false
		}
	} else if p.i < len(p.s) && p.clockFollows() {
		unit = "day"
	}
	return p.once(unit) && p.sum.addUnit(whole, fraction, unit)
}

// clockFollows tells whether the next field is hours:minutes, which makes a bare number before it days.
func (p *intervalParser) clockFollows() bool {
	at := p.i
	if p.s[at] == '-' || p.s[at] == '+' {
		at++
	}
	end := spanOf(p.s, at, isDigit)
	return end > at && end < len(p.s) && p.s[end] == ':'
}

func (p *intervalParser) quantity(wholeText, fractionText string, negative bool) (whole int64, fraction float64, ok bool) {
	if wholeText != "" {
		n, err := strconv.ParseInt(wholeText, 10, 64)
		if err != nil {
			p.sum.overflow = true
			return 0, 0, false
		}
		whole = n
	}
	if fractionText != "" {
		f, err := strconv.ParseFloat("0."+fractionText, 64)
		if err != nil {
			return 0, 0, false
		}
		fraction = f
	}
	if negative {
		whole, fraction = -whole, -fraction
	}
	return whole, fraction, true
}

func (p *intervalParser) clock(text string, negative bool) bool {
	parts := strings.Split(text, ":")
	if len(parts) > 3 || !p.once("hour") || !p.once("minute") || !p.once("second") {
		return false
	}
	if len(parts) == 2 {
		if p.unit == "second" && strings.Contains(parts[1], ".") {
			parts = []string{"0", parts[0], parts[1]}
		} else {
			parts = append(parts, "0")
		}
	}
	h, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		p.sum.overflow = true
		return false
	}
	seconds, fraction, _ := strings.Cut(parts[2], ".")
	m, ok1 := smallInt(parts[1])
	s, ok2 := smallInt(seconds)
	micros, ok3 := fractionMicros(fraction)
	if !ok1 || !ok2 || !ok3 {
		return false
	}
	if m > 59 || s > 60 {
		p.sum.overflow = true
		return false
	}
	rest := int64(m)*MicrosPerMinute + int64(s)*MicrosPerSecond + micros
	if negative {
		h, rest = -h, -rest
	}
	p.sum.add(&p.sum.micros, h, MicrosPerHour)
	p.sum.add(&p.sum.micros, rest, 1)
	return true
}

func (p *intervalParser) yearMonth(years, months string, negative bool) bool {
	y, ok1 := smallInt(years)
	m, ok2 := smallInt(months)
	if !ok1 || !ok2 || !p.once("year") || !p.once("month") {
		return false
	}
	if m > 11 {
		p.sum.overflow = true
		return false
	}
	total := int64(y)*12 + int64(m)
	if negative {
		total = -total
	}
	p.sum.add(&p.sum.months, total, 1)
	return true
}

// parseISO reads ISO 8601's P1Y2M3DT4H5M6S and P0001-02-03T04:05:06.
func (p *intervalParser) parseISO(body string) bool {
	p.s, p.i = body, 0
	units := map[string]string{"y": "year", "m": "month", "w": "week", "d": "day"}
	for p.i < len(p.s) {
		if p.s[p.i] == 't' {
			units = map[string]string{"h": "hour", "m": "minute", "s": "second"}
			p.i++
			continue
		}
		negative := p.s[p.i] == '-'
		if negative || p.s[p.i] == '+' {
			p.i++
		}
		start := p.i
		p.i = spanOf(p.s, p.i, isDigit)
		wholeText, fractionText := p.s[start:p.i], ""
		if p.i < len(p.s) && p.s[p.i] == '.' {
			from := p.i + 1
			p.i = spanOf(p.s, from, isDigit)
			fractionText = p.s[from:p.i]
		}
		if wholeText == "" && fractionText == "" || p.i == len(p.s) {
			return false
		}
		if c := p.s[p.i]; c == '-' || c == ':' {
			return p.alternativeISO(body)
		}
		whole, fraction, ok := p.quantity(wholeText, fractionText, negative)
		unit := units[p.s[p.i:p.i+1]]
		p.i++
		if !ok || unit == "" || !p.sum.addUnit(whole, fraction, unit) {
			return false
		}
		p.any = true
	}
	return p.any
}

func (p *intervalParser) alternativeISO(body string) bool {
	date, clock, _ := strings.Cut(body, "t")
	p.sum = intervalSum{}
	if date != "" {
		parts := strings.Split(date, "-")
		if len(parts) > 3 {
			return false
		}
		for i, part := range parts {
			n, ok := smallInt(part)
			if !ok {
				return false
			}
			p.sum.addUnit(int64(n), 0, [3]string{"year", "month", "day"}[i])
		}
	}
	p.any = true
	return clock == "" || p.clock(clock, false)
}
