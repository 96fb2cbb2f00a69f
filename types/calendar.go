package types

import (
	"math"
	"time"
)

// Units of time values.
const (
	MicrosPerSecond = int64(1_000_000)
	MicrosPerMinute = 60 * MicrosPerSecond
	MicrosPerHour   = 60 * MicrosPerMinute
	MicrosPerDay    = 24 * MicrosPerHour

	// DateNegInfinity and DateInfinity are the dates -infinity and infinity.
	DateNegInfinity = int64(math.MinInt32)
	DateInfinity    = int64(math.MaxInt32)
	// TimestampNegInfinity and TimestampInfinity are the timestamps -infinity and infinity.
	TimestampNegInfinity = int64(math.MinInt64)
	TimestampInfinity    = int64(math.MaxInt64)

	unixDays   = 10957              // days from 1970-01-01 to 2000-01-01
	unixMicros = unixDays * 86400e6 // the same in microseconds
	julian2000 = 2451545            // Julian day of 2000-01-01

	minDate      = -julian2000 // 4714-11-24 BC
	endDate      = 2147483494 - julian2000
	minTimestamp = -211813488000000000 // 4714-11-24 00:00:00 BC
	endTimestamp = 9223371331200000000 // 294277-01-01
)

// IsInfinite tells whether a date or timestamp is ±infinity.
func IsInfinite(v Value) bool {
	switch v.kind {
	case KindDate:
		return v.n == DateNegInfinity || v.n == DateInfinity
	case KindTimestamp:
		return v.n == TimestampNegInfinity || v.n == TimestampInfinity
	}
	return false
}

// DaysOf gives days since 2000-01-01 of a Gregorian date (PostgreSQL's date2j);
// year 0 is 1 BC. Months and days outside their range carry over as far as ±a year.
func DaysOf(year, month, day int) int64 {
	y, m := int64(year), int64(month)
	if m > 2 {
		m++
		y += 4800
	} else {
		m += 13
		y += 4799
	}
	century := y / 100
	julian := y*365 - 32167
	julian += y/4 - century + century/4
	julian += 7834*m/256 + int64(day)
	return julian - julian2000
}

// CivilOf gives the Gregorian date of days since 2000-01-01 (PostgreSQL's j2date).
func CivilOf(days int64) (year, month, day int) {
	julian := uint64(days+julian2000) + 32044
	quad := julian / 146097
	extra := (julian-quad*146097)*4 + 3
	julian += 60 + quad*3 + extra/146097
	quad = julian / 1461
	julian -= quad * 1461
	y := julian * 4 / 1461
	if y != 0 {
		julian = (julian+305)%365 + 123
	} else {
		julian = (julian+306)%366 + 123
	}
	y += quad * 4
	quad = julian * 2141 / 65536
	return int(y) - 4800, int((quad+10)%12) + 1, int(julian - 7834*quad/256)
}

// Weekday gives 0 for Sunday … 6 for Saturday of days since 2000-01-01 (a Saturday).
func Weekday(days int64) int { return int(((days+6)%7 + 7) % 7) }

// DaysInMonth gives the length of a month; year 0 is 1 BC.
func DaysInMonth(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// SplitMicros splits a timestamp into whole days since 2000-01-01 and the time of day.
func SplitMicros(micros int64) (days, ofDay int64) {
	days = micros / MicrosPerDay
	ofDay = micros - days*MicrosPerDay
	if ofDay < 0 {
		days--
		ofDay += MicrosPerDay
	}
	return days, ofDay
}

// TimestampOf makes a timestamp from days since 2000-01-01 and the time of day; 22008 if out of range.
func TimestampOf(days, ofDay int64) (Value, error) {
	if days < minDate-1 || days > endTimestamp/MicrosPerDay+1 {
		return Null, errTimestampRange
	}
	return CheckTimestamp(days*MicrosPerDay + ofDay)
}

// CheckTimestamp makes a finite timestamp; 22008 if it is out of range.
func CheckTimestamp(micros int64) (Value, error) {
	if micros < minTimestamp || micros >= endTimestamp {
		return Null, errTimestampRange
	}
	return Timestamp(micros), nil
}

// CheckDate makes a finite date; 22008 if it is out of range.
func CheckDate(days int64) (Value, error) {
	if days < minDate || days >= endDate {
		return Null, Errorf("22008", "date out of range")
	}
	return Date(days), nil
}

var errTimestampRange = Errorf("22008", "timestamp out of range")

// FromTime makes a timestamptz from a Go time.
func FromTime(t time.Time) Value { return Timestamp(t.UnixMicro() - unixMicros) }

// ToTime gives the Go time of a finite timestamptz.
func ToTime(v Value) time.Time { return time.UnixMicro(v.n + unixMicros).UTC() }

// ZoneOffset gives seconds east of Greenwich and the zone's abbreviation at a UTC instant.
func ZoneOffset(micros int64, loc *time.Location) (east int64, name string) {
	if loc == time.UTC {
		return 0, "UTC"
	}
	name, seconds := time.UnixMicro(micros + unixMicros).In(loc).Zone()
	return int64(seconds), name
}

// ToLocal gives the wall clock of a UTC instant, as microseconds.
func ToLocal(micros int64, loc *time.Location) int64 {
	east, _ := ZoneOffset(micros, loc)
	return micros + east*MicrosPerSecond
}

// FromLocal gives the UTC instant of a wall clock. A time that a transition skips is
// read with the offset before it, one that occurs twice with the offset after it
// (PostgreSQL's DetermineTimeZoneOffset).
func FromLocal(local int64, loc *time.Location) int64 {
	if loc == time.UTC {
		return local
	}
	before, _ := ZoneOffset(local-MicrosPerDay, loc)
	after, _ := ZoneOffset(local+MicrosPerDay, loc)
	if before == after {
		return local - before*MicrosPerSecond
	}
	found, best := false, int64(0)
	for _, east := range []int64{before, after} {
		at := local - east*MicrosPerSecond
		if real, _ := ZoneOffset(at, loc); real == east && (!found || at > best) {
			found, best = true, at
		}
	}
	if !found {
		best = local - before*MicrosPerSecond
	}
	return best
}

// RoundMicros rounds to precision digits of a second (0…6), half away from zero.
func RoundMicros(micros int64, precision int) int64 {
	if precision < 0 || precision >= 6 {
		return micros
	}
	unit := int64(1)
	for range 6 - precision {
		unit *= 10
	}
	if micros >= 0 {
		return (micros + unit/2) / unit * unit
	}
	return -((-micros + unit/2) / unit * unit)
}
