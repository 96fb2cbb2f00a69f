package types

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Fields of an interval's modifier: interval '…' day to second(3) keeps a set of
// fields above and the precision below.
const (
	fieldMonth  = 1 << 1
	fieldYear   = 1 << 2
	fieldDay    = 1 << 3
	fieldHour   = 1 << 10
	fieldMinute = 1 << 11
	fieldSecond = 1 << 12

	fullIntervalRange     = 0x7FFF
	fullIntervalPrecision = 0xFFFF
)

var intervalRanges = map[int]string{
	fieldYear: " year", fieldMonth: " month", fieldDay: " day", fieldHour: " hour", fieldMinute: " minute", fieldSecond: " second",
	fieldYear | fieldMonth:                           " year to month",
	fieldDay | fieldHour:                             " day to hour",
	fieldDay | fieldHour | fieldMinute:               " day to minute",
	fieldDay | fieldHour | fieldMinute | fieldSecond: " day to second",
	fieldHour | fieldMinute:                          " hour to minute",
	fieldHour | fieldMinute | fieldSecond:            " hour to second",
	fieldMinute | fieldSecond:                        " minute to second",
	fullIntervalRange:                                "",
}

// intervalFields finds the set of fields by its spelling, as " day to second"; 0 if there is none.
func intervalFields(spelling string) int {
	for fields, text := range intervalRanges {
		if text == spelling {
			return fields
		}
	}
	return 0
}

// intervalMod takes the grammar's arguments: a set of fields, then a precision.
func intervalMod(args []int64) (int32, error) {
	if len(args) > 2 {
		return 0, errTypmod
	}
	if _, ok := intervalRanges[int(args[0])]; !ok {
		return 0, Errorf("22023", "invalid INTERVAL type modifier")
	}
	if len(args) == 1 {
		if args[0] == fullIntervalRange {
			return -1, nil
		}
		return int32(args[0]<<16 | fullIntervalPrecision), nil
	}
	if args[1] < 0 {
		return 0, Errorf("22023", "INTERVAL(%d) precision must not be negative", args[1])
	}
	return int32(args[0]<<16 | min(args[1], 6)), nil
}

func splitIntervalMod(mod int32) (fields, precision int) {
	if mod < 0 {
		return fullIntervalRange, fullIntervalPrecision
	}
	return int(mod>>16) & 0x7FFF, int(mod) & 0xFFFF
}

func formatIntervalMod(mod int32) string {
	fields, precision := splitIntervalMod(mod)
	if precision == fullIntervalPrecision {
		return intervalRanges[fields]
	}
	return intervalRanges[fields] + "(" + strconv.Itoa(precision) + ")"
}

// coerceInterval drops the fields below the modifier's range and rounds its seconds.
func coerceInterval(v Value, t Type) Value {
	fields, precision := splitIntervalMod(t.Mod)
	iv := v.AsInterval()
	lowest := 0
	if fields != fullIntervalRange {
		lowest = fields
		for _, f := range []int{fieldSecond, fieldMinute, fieldHour, fieldDay, fieldMonth, fieldYear} {
			if fields&f != 0 {
				lowest = f
				break
			}
		}
	}
	switch lowest {
	case fieldYear:
		iv = Interval{Months: iv.Months / 12 * 12}
	case fieldMonth:
		iv = Interval{Months: iv.Months}
	case fieldDay:
		iv.Micros = 0
	case fieldHour:
		iv.Micros -= iv.Micros % MicrosPerHour
	case fieldMinute:
		iv.Micros -= iv.Micros % MicrosPerMinute
	}
	if precision != fullIntervalPrecision {
		iv.Micros = RoundMicros(iv.Micros, precision)
	}
	return IntervalValue(iv)
}

// Span is an interval as one number of microseconds, a month counted as 30 days and a
// day as 24 hours: what comparison uses. hi and lo are a signed 128-bit integer.
func (iv Interval) Span() (hi int64, lo uint64) {
	days := int64(iv.Days) + 30*int64(iv.Months)
	negative := days < 0
	magnitude := uint64(days)
	if negative {
		magnitude = -magnitude
	}
	h, l := bits.Mul64(magnitude, uint64(MicrosPerDay))
	if negative {
		var borrow uint64
		l, borrow = bits.Sub64(0, l, 0)
		h, _ = bits.Sub64(0, h, borrow)
	}
	sum, carry := bits.Add64(l, uint64(iv.Micros), 0)
	top, _ := bits.Add64(h, uint64(iv.Micros>>63), carry)
	return int64(top), sum
}

func compareIntervals(a, b Interval) int {
	ah, al := a.Span()
	bh, bl := b.Span()
	switch {
	case ah < bh || ah == bh && al < bl:
		return -1
	case ah == bh && al == bl:
		return 0
	}
	return 1
}

// intervalSum gathers the fields of interval input with overflow checks.
type intervalSum struct {
	months, days, micros int64
	overflow             bool
}

func (s *intervalSum) add(field *int64, n int64, unit int64) {
	hi, lo := bits.Mul64(absUint(n), uint64(unit))
	if hi != 0 || lo > math.MaxInt64 {
		s.overflow = true
		return
	}
	term := int64(lo)
	if n < 0 {
		term = -term
	}
	sum := *field + term
	if (sum > *field) != (term > 0) && term != 0 {
		s.overflow = true
	}
	*field = sum
}

// addMicros adds a fraction of a unit that is unit microseconds long, rounded.
func (s *intervalSum) addMicros(fraction float64, unit int64) {
	s.add(&s.micros, int64(math.RoundToEven(fraction*float64(unit))), 1)
}

// addDays adds a fraction of a unit that is unit days long; what is less than a day becomes time.
func (s *intervalSum) addDays(fraction float64, unit float64) {
	days := fraction * unit
	whole := math.Trunc(days)
	s.add(&s.days, int64(whole), 1)
	s.addMicros(days-whole, MicrosPerDay)
}

func absUint(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

var intervalUnits = map[string]string{}

func init() {
	for unit, names := range map[string]string{
		"microsecond": "us usec usecs usecond useconds microsecon microsecond microseconds",
		"millisecond": "ms msec msecs msecond mseconds millisecon millisecond milliseconds",
		"second":      "s sec secs second seconds",
		"minute":      "m min mins minute minutes",
		"hour":        "h hr hrs hour hours",
		"day":         "d day days",
		"week":        "w week weeks",
		"month":       "mon mons month months",
		"quarter":     "qtr quarter",
		"year":        "y yr yrs year years",
		"decade":      "dec decs decade decades",
		"century":     "c cent century centuries",
		"millennium":  "mil mils millennia millennium",
	} {
		for name := range strings.FieldsSeq(names) {
			intervalUnits[name] = unit
		}
	}
}

// addUnit adds whole and fraction (of the same sign) of a unit; false for an unknown one.
func (s *intervalSum) addUnit(whole int64, fraction float64, unit string) bool {
	switch unit {
	case "microsecond":
		s.add(&s.micros, whole, 1)
		s.addMicros(fraction, 1)
	case "millisecond":
		s.add(&s.micros, whole, 1000)
		s.addMicros(fraction, 1000)
	case "second":
		s.add(&s.micros, whole, MicrosPerSecond)
		s.addMicros(fraction, MicrosPerSecond)
	case "minute":
		s.add(&s.micros, whole, MicrosPerMinute)
		s.addMicros(fraction, MicrosPerMinute)
	case "hour":
		s.add(&s.micros, whole, MicrosPerHour)
		s.addMicros(fraction, MicrosPerHour)
	case "day":
		s.add(&s.days, whole, 1)
		s.addMicros(fraction, MicrosPerDay)
	case "week":
		s.add(&s.days, whole, 7)
		s.addDays(fraction, 7)
	case "month":
		s.add(&s.months, whole, 1)
		s.addDays(fraction, 30)
	case "year", "decade", "century", "millennium":
		years := map[string]int64{"year": 1, "decade": 10, "century": 100, "millennium": 1000}[unit]
		s.add(&s.months, whole, 12*years)
		s.add(&s.months, int64(math.RoundToEven(fraction*float64(12*years))), 1)
	default:
		return false
	}
	return true
}

// value makes the interval; ok is false when a field overflows.
func (s *intervalSum) value() (Interval, bool) {
	if s.overflow || s.months != int64(int32(s.months)) || s.days != int64(int32(s.days)) {
		return Interval{}, false
	}
	return Interval{int32(s.months), int32(s.days), s.micros}, true
}
