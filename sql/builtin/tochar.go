package builtin

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/heliosdb/helios/types"
)

// patternNode is one piece of a date/time pattern: a keyword or literal text.
type patternNode struct {
	key    string // the keyword in upper case, "" for text
	text   string // as written
	fill   bool   // false after FM: no padding
	suffix string // TH or th
}

// dateKeywords are the keywords of date/time patterns, longer ones before their prefixes.
var dateKeywords = []string{
	"A.D.", "A.M.", "B.C.", "P.M.", "Y,YYY", "MONTH", "SSSSS", "HH12", "HH24", "IDDD", "IYYY", "SSSS", "YYYY", "DAY", "DDD", "FF1", "FF2",
	"FF3", "FF4", "FF5", "FF6", "IYY", "MON", "TZH", "TZM", "YYY", "AD", "AM", "BC", "CC", "DD", "DY", "HH", "ID", "IW", "IY", "MI", "MM",
	"MS", "OF", "PM", "RM", "SS", "TZ", "US", "WW", "YY", "D", "I", "J", "Q", "W", "Y",
}

// exactCase are the keywords whose letters' case matters: only all upper, all lower or capitalised.
var exactCase = map[string]bool{
	"A.D.": true, "A.M.": true, "B.C.": true, "P.M.": true, "MONTH": true, "DAY": true, "MON": true, "AD": true, "AM": true, "BC": true,
	"DY": true, "PM": true, "RM": true, "TZ": true,
}

// parsePattern splits a date/time pattern.
func parsePattern(s string) []patternNode {
	var out []patternNode
	literal := func(text string) {
		if n := len(out); n > 0 && out[n-1].key == "" {
			out[n-1].text += text
		} else {
			out = append(out, patternNode{text: text})
		}
	}
	for s != "" {
		if s[0] == '"' {
			end := 1
			for end < len(s) && s[end] != '"' {
				end++
			}
			literal(strings.ReplaceAll(s[1:end], `\`, ""))
			s = s[min(end+1, len(s)):]
			continue
		}
		fill := true
		for len(s) > 2 && (strings.EqualFold(s[:2], "FM") || strings.EqualFold(s[:2], "FX") || strings.EqualFold(s[:2], "TM")) {
			fill = fill && !strings.EqualFold(s[:2], "FM")
			s = s[2:]
		}
		key := dateKeyword(s)
		if key == "" {
			_, size := utf8.DecodeRuneInString(s)
			literal(s[:size])
			s = s[size:]
			continue
		}
		node := patternNode{key: key, text: s[:len(key)], fill: fill}
		s = s[len(key):]
		if len(s) >= 2 && (s[:2] == "TH" || s[:2] == "th") {
			node.suffix, s = s[:2], s[2:]
		}
		out = append(out, node)
	}
	return out
}

func dateKeyword(s string) string {
	for _, k := range dateKeywords {
		if len(s) < len(k) || !strings.EqualFold(s[:len(k)], k) {
			continue
		}
		if w := s[:len(k)]; exactCase[k] && w != k && w != strings.ToLower(k) && w != k[:1]+strings.ToLower(k[1:]) {
			continue
		}
		return k
	}
	return ""
}

// moment is what a date/time pattern can show.
type moment struct {
	year, month, day int
	dated            bool  // false for an interval, which has no weekday
	days             int64 // since 2000-01-01
	ofDay            int64 // microseconds; of an interval all of its time
	east             int64
	zone             string
}

func toCharFuncs() map[string]evalFunc {
	m := map[string]evalFunc{
		"to_char(timestamp,text)": func(_ *Context, a []types.Value) (types.Value, error) {
			return showMoment(a, wallClock(a[0].AsInt()))
		},
		"to_char(timestamptz,text)": func(ctx *Context, a []types.Value) (types.Value, error) {
			if types.IsInfinite(a[0]) {
				return types.Null, nil
			}
			east, zone := types.ZoneOffset(a[0].AsInt(), ctx.location())
			at := wallClock(a[0].AsInt() + east*types.MicrosPerSecond)
			at.east, at.zone = east, zone
			return showMoment(a, at)
		},
		"to_char(interval,text)": func(_ *Context, a []types.Value) (types.Value, error) {
			iv := a[0].AsInterval()
			return showMoment(a, moment{
				year: int(iv.Months / 12), month: int(iv.Months % 12), day: int(iv.Days), ofDay: iv.Micros,
				days: int64(iv.Months)*30 + int64(iv.Days),
			})
		},
		"to_timestamp(text,text)": func(ctx *Context, a []types.Value) (types.Value, error) {
			return readTimestamp(ctx, a[0].AsText(), a[1].AsText())
		},
		"to_date(text,text)": func(ctx *Context, a []types.Value) (types.Value, error) {
			p, err := readPattern(a[0].AsText(), a[1].AsText())
			if err != nil {
				return types.Null, err
			}
			days, err := p.date()
			if err != nil {
				return types.Null, err
			}
			return types.CheckDate(days)
		},
		"to_number": onTexts(toNumber),
	}
	for _, t := range []types.OID{types.Int4OID, types.Int8OID, types.NumericOID, types.Float4OID, types.Float8OID} {
		m["to_char("+types.Lookup(t).Name+",text)"] = func(_ *Context, a []types.Value) (types.Value, error) {
			return showNumber(t, a[0], a[1].AsText())
		}
	}
	return m
}

func wallClock(micros int64) moment {
	days, ofDay := types.SplitMicros(micros)
	year, month, day := types.CivilOf(days)
	return moment{year: year, month: month, day: day, dated: true, days: days, ofDay: ofDay}
}

func showMoment(a []types.Value, at moment) (types.Value, error) {
	if types.IsInfinite(a[0]) || a[1].AsText() == "" {
		return types.Null, nil
	}
	var b strings.Builder
	for _, node := range parsePattern(a[1].AsText()) {
		if node.key == "" {
			b.WriteString(node.text)
			continue
		}
		text, err := at.show(node)
		if err != nil {
			return types.Null, err
		}
		b.WriteString(text)
		if node.suffix != "" {
			b.WriteString(ordinal(text, node.suffix))
		}
	}
	return types.Text(b.String()), checkSize(int64(b.Len()))
}

// ordinal gives the English ending of a number, in the case of the pattern's TH.
func ordinal(number, style string) string {
	ending := "th"
	if n := len(number); n > 0 && !(n > 1 && number[n-2] == '1') {
		switch number[n-1] {
		case '1':
			ending = "st"
		case '2':
			ending = "nd"
		case '3':
			ending = "rd"
		}
	}
	if style == "TH" {
		return strings.ToUpper(ending)
	}
	return ending
}

var (
	monthNames = []string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
	dayNames   = []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
	romanMonth = []string{"I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"}
)

// inCase writes a name as the keyword is written: upper, lower or capitalised.
func inCase(name, written string) string {
	switch {
	case written == strings.ToLower(written):
		return strings.ToLower(name)
	case written == strings.ToUpper(written):
		return strings.ToUpper(name)
	}
	return name
}

// digits prints a number padded with zeros to width, unless FM; a sign counts.
func (n patternNode) digits(value int64, width int) string {
	text := strconv.FormatInt(value, 10)
	if !n.fill {
		return text
	}
	sign := ""
	if value < 0 {
		sign, text = "-", text[1:]
	}
	return sign + strings.Repeat("0", max(0, width-len(sign)-len(text))) + text
}

// clock prints two digits of a time, a sign before them.
func (n patternNode) clock(value int64) string {
	if value < 0 {
		return n.digits(value, 3)
	}
	return n.digits(value, 2)
}

func (n patternNode) name(name string, width int) string {
	name = inCase(name, n.text)
	if n.fill {
		name += strings.Repeat(" ", max(0, width-len(name)))
	}
	return name
}

var errIntervalFormat = types.Errorf("22007", "invalid format specification for an interval value").
	WithHint("Intervals are not tied to specific calendar dates.")

func (m moment) show(n patternNode) (string, error) {
	if text, ok := m.showTime(n); ok {
		return text, nil
	}
	if !m.dated {
		switch n.key {
		case "YYYY", "Y,YYY", "YYY", "YY", "Y", "MM", "DD", "DDD", "CC", "Q", "RM", "J":
		default:
			return "", errIntervalFormat
		}
	}
	return m.showDate(n), nil
}

func (m moment) showTime(n patternNode) (string, bool) {
	hour := m.ofDay / types.MicrosPerHour
	second := m.ofDay / types.MicrosPerSecond
	micros := m.ofDay % types.MicrosPerSecond
	switch n.key {
	case "HH", "HH12":
		h := hour % 12
		if h == 0 {
			h = 12
		}
		return n.clock(h), true
	case "HH24":
		return n.clock(hour), true
	case "MI":
		return n.clock(second / 60 % 60), true
	case "SS":
		return n.clock(second % 60), true
	case "SSSS", "SSSSS":
		return strconv.FormatInt(second, 10), true
	case "MS":
		return n.digits(micros/1000, 3), true
	case "US":
		return n.digits(micros, 6), true
	case "AM", "PM", "A.M.", "P.M.":
		half := "am"
		if hour%24 >= 12 {
			half = "pm"
		}
		if strings.Contains(n.key, ".") {
			half = half[:1] + "." + half[1:] + "."
		}
		if n.text[0] < 'a' {
			half = strings.ToUpper(half)
		}
		return half, true
	}
	if digits, ok := strings.CutPrefix(n.key, "FF"); ok {
		width := int(digits[0] - '0')
		full := patternNode{fill: true}.digits(micros, 6)
		return full[:width], true
	}
	return m.showZone(n)
}

func (m moment) showZone(n patternNode) (string, bool) {
	sign, east := "+", m.east
	if east < 0 {
		sign, east = "-", -east
	}
	hours := sign + n.digits(east/3600, 2)
	switch n.key {
	case "TZ":
		return inCase(m.zone, n.text), true
	case "TZH":
		return hours, true
	case "TZM":
		return patternNode{fill: true}.digits(east/60%60, 2), true
	case "OF":
		if minutes := east / 60 % 60; minutes != 0 {
			hours += ":" + patternNode{fill: true}.digits(minutes, 2)
		}
		return hours, true
	}
	return "", false
}

func (m moment) showDate(n patternNode) string {
	shown := m.year
	if m.dated && shown <= 0 {
		shown = 1 - shown
	}
	switch n.key {
	case "YYYY":
		return n.digits(int64(shown), 4)
	case "YYY":
		return n.digits(int64(shown%1000), 3)
	case "YY":
		return n.digits(int64(shown%100), 2)
	case "Y":
		return n.digits(int64(shown%10), 1)
	case "Y,YYY":
		return strconv.Itoa(shown/1000) + "," + patternNode{fill: true}.digits(int64(shown%1000), 3)
	case "BC", "AD", "B.C.", "A.D.":
		era := "AD"
		if m.year <= 0 {
			era = "BC"
		}
		if strings.Contains(n.key, ".") {
			era = era[:1] + "." + era[1:] + "."
		}
		if n.text[0] >= 'a' {
			era = strings.ToLower(era)
		}
		return era
	case "CC":
		if !m.dated {
			return n.digits(int64(m.year/100), 2)
		}
		return n.clock(int64(ages(m.adYear(), 100)))
	case "MM":
		return n.digits(int64(m.month), 2)
	case "DD":
		return n.digits(int64(m.day), 2)
	case "J":
		return strconv.FormatInt(m.days+2451545, 10)
	}
	return m.showNames(n)
}

// adYear counts 1 BC as -1.
func (m moment) adYear() int {
	if m.year <= 0 {
		return m.year - 1
	}
	return m.year
}

func (m moment) showNames(n patternNode) string {
	if m.month == 0 && (n.key == "Q" || n.key == "RM") {
		return ""
	}
	month := max(m.month, 1) - 1
	switch n.key {
	case "MONTH":
		return n.name(monthNames[month], 9)
	case "MON":
		return inCase(monthNames[month][:3], n.text)
	case "RM":
		return n.name(romanMonth[month], 4)
	case "Q":
		return strconv.Itoa(month/3 + 1)
	case "DAY":
		return n.name(dayNames[types.Weekday(m.days)], 9)
	case "DY":
		return inCase(dayNames[types.Weekday(m.days)][:3], n.text)
	}
	return m.showWeeks(n)
}

func (m moment) showWeeks(n patternNode) string {
	isoYear, isoWeekNumber := isoWeek(m.days)
	if isoYear <= 0 {
		isoYear = 1 - isoYear // BC
	}
	dayOfYear := m.days - types.DaysOf(m.year, 1, 1) + 1
	if !m.dated {
		dayOfYear = m.days
	}
	isoDay := int64((types.Weekday(m.days)+6)%7 + 1)
	switch n.key {
	case "D":
		return strconv.Itoa(types.Weekday(m.days) + 1)
	case "ID":
		return strconv.FormatInt(isoDay, 10)
	case "DDD":
		return n.digits(dayOfYear, 3)
	case "IDDD":
		return n.digits(int64(isoWeekNumber-1)*7+isoDay, 3)
	case "W":
		return strconv.Itoa((m.day-1)/7 + 1)
	case "WW":
		return n.digits((dayOfYear-1)/7+1, 2)
	case "IW":
		return n.digits(int64(isoWeekNumber), 2)
	case "IYYY":
		return n.digits(int64(isoYear), 4)
	case "IYY":
		return n.digits(int64(isoYear%1000), 3)
	case "IY":
		return n.digits(int64(isoYear%100), 2)
	}
	return n.digits(int64(isoYear%10), 1)
}
