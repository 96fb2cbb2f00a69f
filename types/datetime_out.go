package types

import "strconv"

// appendDate prints days since 2000-01-01 in ISO form.
func appendDate(dst []byte, days int64) []byte {
	switch days {
	case DateInfinity:
		return append(dst, "infinity"...)
	case DateNegInfinity:
		return append(dst, "-infinity"...)
	}
	year, month, day := CivilOf(days)
	dst = appendYMD(dst, year, month, day)
	return appendEra(dst, year)
}

func appendYMD(dst []byte, year, month, day int) []byte {
	if year <= 0 {
		year = 1 - year
	}
	dst = appendPadded(dst, year, 4)
	dst = append(dst, '-')
	dst = appendPadded(dst, month, 2)
	dst = append(dst, '-')
	return appendPadded(dst, day, 2)
}

func appendEra(dst []byte, year int) []byte {
	if year <= 0 {
		return append(dst, " BC"...)
	}
	return dst
}

func appendPadded(dst []byte, n, width int) []byte {
	if width == 2 && n < 100 {
		return append(dst, byte('0'+n/10), byte('0'+n%10))
	}
	limit := 1
	for range width - 1 {
		limit *= 10
	}
	for ; limit > 1 && n < limit; limit /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(n), 10)
}

// appendTime prints a time of day, the fraction without trailing zeros.
func appendTime(dst []byte, micros int64) []byte {
	dst = appendPadded(dst, int(micros/MicrosPerHour), 2)
	dst = append(dst, ':')
	dst = appendPadded(dst, int(micros/MicrosPerMinute%60), 2)
	dst = append(dst, ':')
	dst = appendPadded(dst, int(micros/MicrosPerSecond%60), 2)
	return appendFraction(dst, micros%MicrosPerSecond)
}

func appendFraction(dst []byte, micros int64) []byte {
	if micros == 0 {
		return dst
	}
	var digits [6]byte
	for i := 5; i >= 0; i-- {
		digits[i] = byte('0' + micros%10)
		micros /= 10
	}
	n := 6
	for digits[n-1] == '0' {
		n--
	}
	return append(append(dst, '.'), digits[:n]...)
}

// appendZone prints an offset as +HH, +HH:MM or +HH:MM:SS.
func appendZone(dst []byte, east int64) []byte {
	sign := byte('+')
	if east < 0 {
		sign, east = '-', -east
	}
	dst = appendPadded(append(dst, sign), int(east/3600), 2)
	if east%3600 == 0 {
		return dst
	}
	dst = appendPadded(append(dst, ':'), int(east/60%60), 2)
	if east%60 == 0 {
		return dst
	}
	return appendPadded(append(dst, ':'), int(east%60), 2)
}

func appendTimeTZ(dst []byte, v Value) []byte {
	micros, west := v.AsTimeTZ()
	return appendZone(appendTime(dst, micros), -int64(west))
}

// appendTimestamp prints a wall clock in ISO form; zoned adds the offset.
func appendTimestamp(dst []byte, micros int64, zoned bool, s *Settings) []byte {
	switch micros {
	case TimestampInfinity:
		return append(dst, "infinity"...)
	case TimestampNegInfinity:
		return append(dst, "-infinity"...)
	}
	east := int64(0)
	if zoned {
		east, _ = ZoneOffset(micros, s.location())
		micros += east * MicrosPerSecond
	}
	days, ofDay := SplitMicros(micros)
	year, month, day := CivilOf(days)
	dst = appendYMD(dst, year, month, day)
	dst = append(dst, ' ')
	dst = appendTime(dst, ofDay)
	if zoned {
		dst = appendZone(dst, east)
	}
	return appendEra(dst, year)
}

// appendInterval prints in the style "postgres": 1 year 2 mons -3 days +04:05:06.
func appendInterval(dst []byte, iv Interval) []byte {
	start, before := len(dst), false
	field := func(n int64, unit string) {
		if n == 0 {
			return
		}
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		if before && n > 0 {
			dst = append(dst, '+')
		}
		dst = strconv.AppendInt(dst, n, 10)
		dst = append(append(dst, ' '), unit...)
		if n != 1 {
			dst = append(dst, 's')
		}
		before = n < 0
	}
	field(int64(iv.Months/12), "year")
	field(int64(iv.Months%12), "mon")
	field(int64(iv.Days), "day")
	if iv.Micros == 0 && len(dst) > start {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	micros := uint64(iv.Micros)
	if iv.Micros < 0 {
		dst = append(dst, '-')
		micros = -micros
	} else if before {
		dst = append(dst, '+')
	}
	hours := micros / uint64(MicrosPerHour)
	if hours < 10 {
		dst = append(dst, '0')
	}
	dst = append(strconv.AppendUint(dst, hours, 10), ':')
	dst = appendPadded(dst, int(micros/uint64(MicrosPerMinute)%60), 2)
	dst = append(dst, ':')
	dst = appendPadded(dst, int(micros/uint64(MicrosPerSecond)%60), 2)
	return appendFraction(dst, int64(micros%uint64(MicrosPerSecond)))
}
