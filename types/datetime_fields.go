package types

import "time"

// finish checks the fields and settles era, meridiem and two-digit years.
func (p *dateParser) finish() error {
	if p.special != "" || p.isRelative {
		return nil
	}
	if p.isJulian {
		if p.hasYear || p.hasMonth || p.hasDay {
			return p.bad()
		}
		p.year, p.month, p.day = CivilOf(p.julian - julian2000)
		p.hasYear, p.hasMonth, p.hasDay = true, true, true
		return p.finishTime()
	}
	if p.hasYear {
		switch {
		case p.bc && p.year <= 0:
			return p.outOfRange()
		case p.bc:
			p.year = 1 - p.year
		case p.twoDigits && p.year < 70:
			p.year += 2000
		case p.twoDigits && p.year < 100:
			p.year += 1900
		case p.year <= 0:
			return p.outOfRange()
		}
	}
	if p.dayOfYear > 0 {
		p.year, p.month, p.day = CivilOf(DaysOf(p.year, 1, 1) + int64(p.dayOfYear-1))
	}
	if p.hasMonth && (p.month < 1 || p.month > 12) || p.hasDay && (p.day < 1 || p.day > 31) {
		return p.badMonthDay()
	}
	if p.hasYear && p.hasMonth && p.hasDay && p.day > DaysInMonth(p.year, p.month) {
		return p.outOfRange()
	}
	return p.finishTime()
}

func (p *dateParser) finishTime() error {
	if p.meridiem == 0 {
		return nil
	}
	hour := p.micros / MicrosPerHour
	switch {
	case !p.hasTime:
		return p.bad()
	case hour < 1 || hour > 12:
		return p.outOfRange()
	case p.meridiem == 'a' && hour == 12:
		p.micros -= 12 * MicrosPerHour
	case p.meridiem == 'p' && hour != 12:
		p.micros += 12 * MicrosPerHour
	}
	return nil
}

// days gives the date's days since 2000-01-01.
func (p *dateParser) days() (int64, error) {
	if p.isRelative {
		now := p.settings.now()
		return DaysOf(now.Year(), int(now.Month()), now.Day()) + int64(p.relative), nil
	}
	if !p.hasYear || !p.hasMonth || !p.hasDay {
		return 0, p.bad()
	}
	if p.year > 5874898 || p.year < -4713 {
		return 0, errDateRange(p.input, p.typeName)
	}
	return DaysOf(p.year, p.month, p.day), nil
}

func errDateRange(input, typeName string) error {
	if typeName == "date" {
		return Errorf("22008", "date out of range: \"%s\"", input)
	}
	return Errorf("22008", "timestamp out of range: \"%s\"", input)
}

func parseDate(s string, set *Settings) (Value, error) {
	p, err := parseDateTime(s, "date", set)
	if err != nil {
		return Null, err
	}
	switch p.special {
	case "infinity":
		return Date(DateInfinity), nil
	case "-infinity":
		return Date(DateNegInfinity), nil
	case "epoch":
		return Date(-unixDays), nil
	case "now":
		p.isRelative = true
	}
	days, err := p.days()
	if err != nil {
		return Null, err
	}
	if days < minDate || days >= endDate {
		return Null, errDateRange(s, "date")
	}
	return Date(days), nil
}

func parseTimestamp(s string, zoned bool, set *Settings) (Value, error) {
	name := "timestamp"
	if zoned {
		name = "timestamp with time zone"
	}
	p, err := parseDateTime(s, name, set)
	if err != nil {
		return Null, err
	}
	switch p.special {
	case "infinity":
		return Timestamp(TimestampInfinity), nil
	case "-infinity":
		return Timestamp(TimestampNegInfinity), nil
	case "epoch":
		return Timestamp(-unixMicros), nil
	case "now":
		now := FromTime(p.settings.now())
		if !zoned {
			now = Timestamp(ToLocal(now.n, set.location()))
		}
		return now, nil
	}
	days, err := p.days()
	if err != nil {
		return Null, err
	}
	if days < minDate-1 || days > endTimestamp/MicrosPerDay+1 {
		return Null, errDateRange(s, name)
	}
	micros := days*MicrosPerDay + p.micros
	if zoned {
		micros = p.toUTC(micros)
	}
	if micros < minTimestamp || micros >= endTimestamp {
		return Null, errDateRange(s, name)
	}
	return Timestamp(micros), nil
}

// toUTC applies the zone that was written, or the session's.
func (p *dateParser) toUTC(local int64) int64 {
	switch {
	case p.location != nil:
		return FromLocal(local, p.location)
	case p.hasZone:
		return local + int64(p.west)*MicrosPerSecond
	}
	return FromLocal(local, p.settings.location())
}

func parseTime(s string, zoned bool, set *Settings) (Value, error) {
	name := "time"
	if zoned {
		name = "time with time zone"
	}
	p, err := parseTimeOnly(s, name, set)
	if err != nil {
		return Null, err
	}
	if p.special == "now" {
		now := p.settings.now()
		_, p.micros = SplitMicros(FromTime(now).n + zoneEast(now)*MicrosPerSecond)
		p.hasTime = true
	}
	if !p.hasTime || p.special != "" && p.special != "now" {
		return Null, p.bad()
	}
	if !zoned {
		return Time(p.micros), nil
	}
	switch {
	case p.location != nil || !p.hasZone:
		loc := p.location
		if loc == nil {
			loc = set.location()
		}
		now := p.settings.now()
		days := DaysOf(now.Year(), int(now.Month()), now.Day())
		if p.hasYear && p.hasMonth && p.hasDay {
			days = DaysOf(p.year, p.month, p.day)
		} else if p.location != nil && !fixedZone(p.location, now) {
			return Null, p.bad()
		}
		local := days*MicrosPerDay + p.micros
		p.west = int((FromLocal(local, loc) - local) / MicrosPerSecond)
	}
	return TimeTZ(p.micros, int32(p.west)), nil
}

// parseTimeOnly is parseDateTime for a time of day, where digits alone are a time.
func parseTimeOnly(s, name string, set *Settings) (*dateParser, error) {
	p := &dateParser{input: s, typeName: name, settings: set}
	tokens := lexDateTime(s)
	if len(tokens) == 0 {
		return nil, p.bad()
	}
	for i, tok := range tokens {
		whole, _, _ := cutPoint(tok.text)
		if tok.kind == 'n' && !p.hasTime && (len(whole) == 4 || len(whole) == 6) {
			_, fraction, _ := cutPoint(tok.text)
			if err := p.takeRunTime(whole, fraction); err != nil {
				return nil, err
			}
			continue
		}
		if err := p.take(tok, tokens[i+1:]); err != nil {
			return nil, err
		}
	}
	return p, p.finish()
}

func cutPoint(s string) (whole, fraction string, found bool) {
	for i := range len(s) {
		if s[i] == '.' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func zoneEast(t time.Time) int64 {
	_, east := t.Zone()
	return int64(east)
}

// fixedZone tells whether a zone has the same offset in winter and summer.
func fixedZone(loc *time.Location, now time.Time) bool {
	return zoneEast(time.Date(now.Year(), 1, 1, 0, 0, 0, 0, loc)) == zoneEast(time.Date(now.Year(), 7, 1, 0, 0, 0, 0, loc))
}
