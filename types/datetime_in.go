package types

import (
	"strings"
	"time"
)

// dateParser gathers the fields of date/time input (PostgreSQL's DecodeDateTime).
type dateParser struct {
	input    string
	typeName string
	settings *Settings

	year, month, day             int
	hasYear, hasMonth, hasDay    bool
	dayOfYear                    int
	textMonth, twoDigits         bool
	hasTime                      bool
	micros                       int64 // of day
	meridiem                     byte  // 'a', 'p' or 0
	bc, hasEra                   bool
	hasZone                      bool
	west                         int            // seconds, when hasZone and location == nil
	location                     *time.Location // a named zone
	special                      string         // infinity, -infinity, now, epoch
	relative                     int            // today + relative days
	isRelative, isJulian, digits bool
	julian                       int64
}

func (p *dateParser) bad() error { return badDate(p.typeName, p.input) }

func badDate(typeName, input string) error {
	return Errorf("22007", "invalid input syntax for type %s: \"%s\"", typeName, input)
}

func (p *dateParser) outOfRange() error {
	return Errorf("22008", "date/time field value out of range: \"%s\"", p.input)
}

func (p *dateParser) badMonthDay() error {
	return Errorf("22008", "date/time field value out of range: \"%s\"", p.input).
		WithHint("Perhaps you need a different \"datestyle\" setting.")
}

// parseDateTime reads input for typeName (as errors name it).
func parseDateTime(input, typeName string, s *Settings) (*dateParser, error) {
	p := &dateParser{input: input, typeName: typeName, settings: s}
	tokens := lexDateTime(input)
	if len(tokens) == 0 {
		return nil, p.bad()
	}
	for i, tok := range tokens {
		if err := p.take(tok, tokens[i+1:]); err != nil {
			return nil, err
		}
	}
	return p, p.finish()
}

func (p *dateParser) take(tok dateToken, rest []dateToken) error {
	switch tok.kind {
	case 't':
		return p.takeTime(tok.text)
	case 'z':
		return p.takeZone(tok.text)
	case 'd':
		if p.hasDay && p.hasMonth && p.hasYear {
			return p.bad()
		}
		return p.takeDate(tok.text)
	case 'n':
		return p.takeNumber(tok.text)
	}
	return p.takeWord(tok.text, rest)
}

func (p *dateParser) takeTime(text string) error {
	if p.hasTime {
		return p.bad()
	}
	parts := strings.Split(text, ":")
	if len(parts) > 3 {
		return p.bad()
	}
	seconds, fraction := "0", ""
	if len(parts) == 3 {
		seconds, fraction, _ = strings.Cut(parts[2], ".")
	} else if strings.Contains(parts[1], ".") {
		// MM:SS.fff has no hours
		parts = []string{"0", parts[0], parts[1]}
		seconds, fraction, _ = strings.Cut(parts[2], ".")
	}
	h, ok1 := smallInt(parts[0])
	m, ok2 := smallInt(parts[1])
	s, ok3 := smallInt(seconds)
	if !ok1 || !ok2 || !ok3 {
		return p.bad()
	}
	micros, ok := fractionMicros(fraction)
	if !ok {
		return p.bad()
	}
	return p.setTime(h, m, s, micros)
}

// fractionMicros reads the digits after a point as microseconds, rounded.
func fractionMicros(digits string) (int64, bool) {
	n, unit := int64(0), int64(100_000)
	for i, c := range []byte(digits) {
		switch {
		case !isDigit(c):
			return 0, false
		case i < 6:
			n += int64(c-'0') * unit
			unit /= 10
		case i == 6 && c >= '5':
			n++
		}
	}
	return n, true
}

func (p *dateParser) setTime(h, m, s int, micros int64) error {
	total := int64(h)*MicrosPerHour + int64(m)*MicrosPerMinute + int64(s)*MicrosPerSecond + micros
	if m > 59 || s > 60 || h > 24 || total > MicrosPerDay {
		return p.outOfRange()
	}
	p.hasTime, p.micros = true, total
	return nil
}

func (p *dateParser) takeZone(text string) error {
	if p.hasZone {
		return p.bad()
	}
	west, ok := parseZoneOffset(text)
	if !ok {
		if strings.Trim(text[1:], "0123456789:") != "" {
			return p.bad()
		}
		return Errorf("22009", "time zone displacement out of range: \"%s\"", p.input)
	}
	p.hasZone, p.west = true, west
	return nil
}

// takeDate reads year, month and day joined by - / or a point.
func (p *dateParser) takeDate(text string) error {
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == '-' || r == '/' || r == '.' })
	if len(parts) > 3 {
		return p.bad()
	}
	for _, part := range parts {
		if m := months[part]; m != 0 {
			if p.hasMonth {
				return p.bad()
			}
			p.month, p.hasMonth, p.textMonth = m, true, true
		}
	}
	for _, part := range parts {
		if months[part] != 0 {
			continue
		}
		if err := p.takeDateNumber(part); err != nil {
			return err
		}
	}
	return nil
}

// takeDateNumber places one number of a date in month-day-year order, unless its
// length or the fields already known say otherwise (PostgreSQL's DecodeNumber).
func (p *dateParser) takeDateNumber(text string) error {
	n, ok := smallInt(text)
	if !ok {
		return p.bad()
	}
	setYear := func() { p.year, p.hasYear, p.twoDigits = n, true, len(text) <= 2 }
	setDay := func() { p.day, p.hasDay = n, true }
	switch {
	case p.hasYear && len(text) == 3 && !p.hasMonth && !p.hasDay:
		if n < 1 || n > 366 {
			return p.outOfRange()
		}
		p.dayOfYear, p.hasMonth, p.hasDay = n, true, true
	case !p.hasYear && !p.hasMonth && !p.hasDay && len(text) >= 3:
		setYear()
	case !p.hasMonth:
		p.month, p.hasMonth = n, true
	case !p.hasYear && !p.hasDay && p.textMonth && len(text) >= 3:
		setYear()
	case p.hasYear && !p.hasDay && p.textMonth && p.twoDigits && len(text) >= 3:
		p.day, p.hasDay = p.year, true
		setYear()
	case !p.hasDay:
		setDay()
	case !p.hasYear:
		setYear()
	default:
		return p.bad()
	}
	return nil
}

// takeNumber reads a bare number: 6 or more digits are a run-together date or time.
func (p *dateParser) takeNumber(text string) error {
	whole, fraction, hasFraction := strings.Cut(text, ".")
	if p.isJulian && p.julian < 0 {
		n, ok := smallInt(whole)
		if !ok {
			return p.bad()
		}
		p.julian = int64(n)
		return nil
	}
	dated := p.hasYear && p.hasMonth && p.hasDay || p.isJulian || p.isRelative
	switch {
	case !dated && !hasFraction && len(whole) >= 8 && !p.hasMonth:
		p.digits = true
		return p.takeRunDate(whole[:len(whole)-4], whole[len(whole)-4:])
	case !dated && !hasFraction && len(whole) == 6 && !p.hasMonth && !p.hasYear:
		p.twoDigits = true
		return p.takeRunDate(whole[:2], whole[2:])
	case dated && !p.hasTime && (len(whole) == 6 || len(whole) == 4):
		return p.takeRunTime(whole, fraction)
	case hasFraction && len(fraction) == 3 && len(whole) >= 3 && !p.hasYear && !p.hasMonth:
		if err := p.takeDateNumber(whole); err != nil {
			return err
		}
		return p.takeDateNumber(fraction) // year.day-of-year
	case hasFraction:
		return p.bad()
	}
	return p.takeDateNumber(whole)
}

func (p *dateParser) takeRunDate(year, monthDay string) error {
	y, ok1 := smallInt(year)
	m, ok2 := smallInt(monthDay[:2])
	d, ok3 := smallInt(monthDay[2:])
	if !ok1 || !ok2 || !ok3 || p.hasYear || p.hasDay {
		return p.bad()
	}
	p.year, p.month, p.day = y, m, d
	p.hasYear, p.hasMonth, p.hasDay = true, true, true
	return nil
}

func (p *dateParser) takeRunTime(whole, fraction string) error {
	if len(whole) == 4 {
		whole += "00"
	}
	h, _ := smallInt(whole[:2])
	m, _ := smallInt(whole[2:4])
	s, _ := smallInt(whole[4:])
	micros, ok := fractionMicros(fraction)
	if !ok {
		return p.bad()
	}
	return p.setTime(h, m, s, micros)
}

func (p *dateParser) takeWord(word string, rest []dateToken) error {
	switch word {
	case "am", "pm":
		if p.meridiem != 0 {
			return p.bad()
		}
		p.meridiem = word[0]
		return nil
	case "bc", "ad":
		if p.hasEra {
			return p.bad()
		}
		p.hasEra, p.bc = true, word == "bc"
		return nil
	case "t":
		if len(rest) == 0 || rest[0].kind != 't' && rest[0].kind != 'n' {
			return p.bad()
		}
		return nil
	case "j", "julian", "jd":
		if p.hasYear || p.isJulian || len(rest) == 0 || rest[0].kind != 'n' {
			return p.bad()
		}
		p.isJulian, p.julian = true, -1
		return nil
	case "today", "tomorrow", "yesterday":
		p.relative = map[string]int{"today": 0, "tomorrow": 1, "yesterday": -1}[word]
		p.isRelative = true
		return nil
	case "allballs":
		p.hasTime, p.micros, p.hasZone = true, 0, true
		return nil
	case "now", "epoch", "infinity", "+infinity", "-infinity":
		if p.special != "" {
			return p.bad()
		}
		p.special = strings.TrimPrefix(word, "+")
		return nil
	case "at", "on", "dst":
		return nil
	}
	if m := months[word]; m != 0 {
		return p.takeMonthName(m)
	}
	if weekdays[word] {
		return nil
	}
	return p.takeZoneName(word)
}

func (p *dateParser) takeMonthName(m int) error {
	if p.hasMonth {
		// a number already taken for the month was the day
		if p.textMonth || p.hasDay {
			return p.bad()
		}
		p.day, p.hasDay = p.month, true
	}
	p.month, p.hasMonth, p.textMonth = m, true, true
	return nil
}

func (p *dateParser) takeZoneName(word string) error {
	if p.hasZone {
		return p.bad()
	}
	if east, ok := zoneAbbreviations[strings.ToUpper(word)]; ok {
		p.hasZone, p.west = true, -east
		return nil
	}
	loc, err := LoadLocation(word)
	if err != nil {
		if strings.ContainsAny(word, "/_") {
			return err
		}
		return p.bad()
	}
	p.hasZone, p.location = true, loc
	return nil
}
