package builtin

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/heliosdb/helios/types"
)

// dateReader gathers what a date/time pattern reads.
type dateReader struct {
	input, rest string
	year, month int
	day, doy    int
	hasYear, bc bool
	hour        int
	twelve      bool
	pm, hasHalf bool
	minute      int
	second      int
	micros      int64
	ofDay       int // seconds past midnight, -1 if not read
	julian      int64
	isoYear     int
	isoWeek     int
	isoDay      int
	west        int
	hasZone     bool
	century     int
}

// readPattern reads text by a pattern (to_date, to_timestamp). White space and
// separators in the text match any in the pattern. Errors: 22007, 22008.
func readPattern(text, pattern string) (*dateReader, error) {
	r := &dateReader{input: text, rest: strings.TrimLeft(text, " "), ofDay: -1}
	nodes := parsePattern(pattern)
	for i, node := range nodes {
		if node.key == "" {
			r.skipLiteral(node.text)
			continue
		}
		r.rest = strings.TrimLeftFunc(r.rest, unicode.IsSpace)
		if r.rest == "" {
			break
		}
		adjacent := i+1 < len(nodes) && nodes[i+1].key != ""
		if err := r.read(node, adjacent); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// skipLiteral steps over the pattern's text: separators match any run of separators,
// other characters one character each.
func (r *dateReader) skipLiteral(text string) {
	for _, c := range text {
		if unicode.IsSpace(c) || !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			r.rest = strings.TrimLeftFunc(r.rest, unicode.IsSpace)
			if r.rest != "" && isSeparator(r.rest[0]) {
				r.rest = r.rest[1:]
			}
			r.rest = strings.TrimLeftFunc(r.rest, unicode.IsSpace)
			continue
		}
		if r.rest != "" {
			_, size := utf8.DecodeRuneInString(r.rest)
			r.rest = r.rest[size:]
		}
	}
}

func isSeparator(c byte) bool {
	return c > ' ' && c < 0x7f && !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '+')
}

func (r *dateReader) bad(node patternNode) error {
	return types.Errorf("22007", "invalid value \"%s\" for \"%s\"", firstWord(r.rest, len(node.key)), node.text).
		WithDetail("Value must be an integer.")
}

func firstWord(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// number reads at most width digits (any number when width is 0).
func (r *dateReader) number(node patternNode, width int) (int, error) {
	end := 0
	if r.rest[0] == '-' || r.rest[0] == '+' {
		end = 1
	}
	start := end
	for end < len(r.rest) && r.rest[end] >= '0' && r.rest[end] <= '9' && (width == 0 || end-start < width) {
		end++
	}
	if end == start {
		return 0, r.bad(node)
	}
	n, err := strconv.ParseInt(r.rest[:end], 10, 32)
	if err != nil {
		return 0, types.Errorf("22008", "value for \"%s\" in source string is out of range", node.text)
	}
	r.rest = r.rest[end:]
	if node.suffix != "" && len(r.rest) >= 2 {
		r.rest = r.rest[2:]
	}
	return int(n), nil
}

// fixedWidth is how many digits a keyword reads when another follows at once.
var fixedWidth = map[string]int{
	"YYYY": 4, "YYY": 3, "YY": 2, "Y": 1, "MM": 2, "DD": 2, "DDD": 3, "HH": 2, "HH12": 2, "HH24": 2, "MI": 2, "SS": 2,
	"MS": 3, "US": 6, "CC": 2, "Q": 1, "D": 1, "ID": 1, "IW": 2, "WW": 2, "W": 1, "IYYY": 4, "IYY": 3, "IY": 2, "I": 1, "IDDD": 3,
	"FF1": 1, "FF2": 2, "FF3": 3, "FF4": 4, "FF5": 5, "FF6": 6,
}

func (r *dateReader) read(node patternNode, adjacent bool) error {
	if done, err := r.readName(node); done || err != nil {
		return err
	}
	width := 0
	if w, ok := fixedWidth[node.key]; ok && (node.fill && (adjacent || node.key != "YYYY") || node.key == "MS" || node.key == "US" || strings.HasPrefix(node.key, "FF")) {
		width = w
	}
	before := len(r.rest)
	n, err := r.number(node, width)
	if err != nil {
		return err
	}
	return r.store(node, n, before-len(r.rest))
}

// store keeps a number that took so many digits.
func (r *dateReader) store(node patternNode, n, digits int) error {
	switch node.key {
	case "YYYY", "Y,YYY":
		r.year, r.hasYear = n, true
		if node.key == "Y,YYY" && strings.HasPrefix(r.rest, ",") {
			r.rest = r.rest[1:]
			low, err := r.number(node, 3)
			r.year = n*1000 + low
			return err
		}
	case "YYY", "YY", "Y":
		r.year, r.hasYear = fullYear(n, digits), true
	case "IYYY", "IYY", "IY", "I":
		r.isoYear = fullYear(n, digits)
	case "MM":
		r.month = n
	case "DD":
		r.day = n
	case "DDD":
		r.doy = n
	case "HH", "HH12":
		r.hour, r.twelve = n, true
		if n < 1 || n > 12 {
			return types.Errorf("22007", "hour \"%d\" is invalid for the 12-hour clock", n).
				WithHint("Use the 24-hour clock, or give an hour between 1 and 12.")
		}
	case "HH24":
		r.hour = n
	case "MI":
		r.minute = n
	case "SS":
		r.second = n
	case "SSSS", "SSSSS":
		r.ofDay = n
	case "J":
		r.julian = int64(n)
	case "CC":
		r.century = n
	case "IW":
		r.isoWeek = n
	case "ID":
		r.isoDay = n
	case "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6":
		micros := int64(n)
		for range 6 - digits {
			micros *= 10
		}
		r.micros += micros
	}
	return nil
}

// fullYear completes a year of fewer than four digits to the one nearest 2020.
func fullYear(n, digits int) int {
	if digits >= 4 {
		return n
	}
	switch {
	case n < 70:
		return n + 2000
	case n < 100:
		return n + 1900
	case n < 520:
		return n + 2000
	case n < 1000:
		return n + 1000
	}
	return n
}

// readName reads the keywords that stand for words; done is false for the others.
func (r *dateReader) readName(node patternNode) (done bool, err error) {
	pick := func(names []string, length int) (int, error) {
		for i, name := range names {
			if length > 0 {
				name = name[:length]
			}
			if len(r.rest) >= len(name) && strings.EqualFold(r.rest[:len(name)], name) {
				r.rest = r.rest[len(name):]
				return i, nil
			}
		}
		return 0, types.Errorf("22007", "invalid value \"%s\" for \"%s\"", firstWord(r.rest, max(len(node.key), length)), node.text).
			WithDetail("The given value did not match any of the allowed values for this field.")
	}
	i := 0
	switch node.key {
	case "MONTH":
		i, err = pick(monthNames, 0)
		r.month = i + 1
	case "MON":
		i, err = pick(monthNames, 3)
		r.month = i + 1
	case "RM":
		for i = len(romanMonth) - 1; i >= 0; i-- {
			if len(r.rest) >= len(romanMonth[i]) && strings.EqualFold(r.rest[:len(romanMonth[i])], romanMonth[i]) {
				r.rest, r.month = r.rest[len(romanMonth[i]):], i+1
				break
			}
		}
	case "DAY":
		_, err = pick(dayNames, 0)
	case "DY":
		_, err = pick(dayNames, 3)
	case "AM", "PM":
		i, err = pick([]string{"am", "pm"}, 0)
		r.pm, r.hasHalf = i == 1, true
	case "A.M.", "P.M.":
		i, err = pick([]string{"a.m.", "p.m."}, 0)
		r.pm, r.hasHalf = i == 1, true
	case "AD", "BC":
		i, err = pick([]string{"ad", "bc"}, 0)
		r.bc = i == 1
	case "A.D.", "B.C.":
		i, err = pick([]string{"a.d.", "b.c."}, 0)
		r.bc = i == 1
	case "TZH":
		i, err = r.number(node, 2)
		r.west, r.hasZone = r.west-i*3600, true
	case "TZM":
		i, err = r.number(node, 2)
		r.west -= i * 60
	case "TZ", "OF":
		err = types.Errorf("0A000", "formatting field \"%s\" is only supported in to_char", node.key)
	default:
		return false, nil
	}
	return true, err
}

func (r *dateReader) outOfRange() error {
	return types.Errorf("22008", "date/time field value out of range: \"%s\"", r.input)
}

// date gives days since 2000-01-01 of what was read; what was not is the first.
func (r *dateReader) date() (int64, error) {
	switch {
	case r.julian > 0:
		return r.julian - 2451545, nil
	case r.isoYear != 0 && r.isoWeek != 0:
		jan4 := types.DaysOf(r.isoYear, 1, 4)
		monday := jan4 - int64((types.Weekday(jan4)+6)%7)
		return monday + int64(r.isoWeek-1)*7 + int64(max(r.isoDay, 1)-1), nil
	}
	year := r.year
	if r.century != 0 {
		if r.hasYear {
			year = (r.century-1)*100 + year%100
		} else {
			year = (r.century-1)*100 + 1
		}
	}
	if r.bc {
		year = 1 - year
	} else if year < 0 {
		year++
	}
	if r.doy > 0 && r.month == 0 {
		if r.doy > 366 {
			return 0, r.outOfRange()
		}
		return types.DaysOf(year, 1, 1) + int64(r.doy-1), nil
	}
	month, day := max(r.month, 1), max(r.day, 1)
	if month > 12 || day > 31 || day > types.DaysInMonth(year, month) || r.month < 0 || r.day < 0 {
		return 0, r.outOfRange()
	}
	return types.DaysOf(year, month, day), nil
}

func (r *dateReader) timeOfDay() (int64, error) {
	hour := r.hour
	if r.twelve || r.hasHalf {
		if hour %= 12; r.pm {
			hour += 12
		}
	}
	if hour > 23 || r.minute > 59 || r.second > 59 || hour < 0 || r.minute < 0 || r.second < 0 {
		return 0, r.outOfRange()
	}
	seconds := int64(hour)*3600 + int64(r.minute)*60 + int64(r.second)
	if r.ofDay >= 0 {
		seconds = int64(r.ofDay)
	}
	if seconds >= 86400 {
		return 0, r.outOfRange()
	}
	return seconds*types.MicrosPerSecond + r.micros, nil
}

func readTimestamp(ctx *Context, text, pattern string) (types.Value, error) {
	r, err := readPattern(text, pattern)
	if err != nil {
		return types.Null, err
	}
	days, err := r.date()
	if err != nil {
		return types.Null, err
	}
	ofDay, err := r.timeOfDay()
	if err != nil {
		return types.Null, err
	}
	local, err := types.TimestampOf(days, ofDay)
	switch {
	case err != nil:
		return types.Null, err
	case r.hasZone:
		return types.CheckTimestamp(local.AsInt() + int64(r.west)*types.MicrosPerSecond)
	}
	return utcOf(ctx, local)
}
