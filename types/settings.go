package types

import (
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // zone rules inside the binary
)

// Settings are the session's settings that change how values read and print.
// A nil *Settings means UTC, ISO dates, hex bytea and shortest floats.
type Settings struct {
	Location    *time.Location   // TimeZone; nil is UTC
	Now         func() time.Time // what 'now', 'today' … in date input mean; nil is time.Now
	ByteaEscape bool             // bytea_output = escape
	FloatDigits int              // significant digits of float8 (15 + extra_float_digits when that is ≤ 0); 0 is shortest
}

func (s *Settings) location() *time.Location {
	if s == nil || s.Location == nil {
		return time.UTC
	}
	return s.Location
}

func (s *Settings) now() time.Time {
	if s == nil || s.Now == nil {
		return time.Now().In(s.location())
	}
	return s.Now().In(s.location())
}

// zoneAbbreviations are the common ones of PostgreSQL's Default set, in seconds east of Greenwich.
var zoneAbbreviations = map[string]int{
	"UTC": 0, "GMT": 0, "UT": 0, "Z": 0, "ZULU": 0, "WET": 0,
	"BST": 3600, "WEST": 3600, "CET": 3600, "MET": 3600, "CEST": 7200, "MEST": 7200, "EET": 7200, "SAST": 7200, "IST": 7200,
	"EEST": 10800, "MSK": 10800, "MSD": 14400, "PKT": 18000, "ICT": 25200, "WIB": 25200, "HKT": 28800, "SGT": 28800, "AWST": 28800, "PHT": 28800,
	"JST": 32400, "KST": 32400, "ACST": 34200, "AEST": 36000, "ACDT": 37800, "AEDT": 39600, "NZST": 43200, "NZDT": 46800,
	"EST": -18000, "EDT": -14400, "CST": -21600, "CDT": -18000, "MST": -25200, "MDT": -21600, "PST": -28800, "PDT": -25200,
	"AKST": -32400, "AKDT": -28800, "HST": -36000, "AST": -14400, "ADT": -10800, "NST": -12600, "NDT": -9000,
	"BRT": -10800, "BRST": -7200, "ART": -10800, "CLT": -14400,
}

var locations sync.Map // lower-case name → *time.Location

// LoadLocation finds a time zone: an IANA name in any case, an abbreviation, or an
// offset such as "+02", "-05:30" (east positive) or POSIX "UTC+3", "<-03>+03" (west
// positive); 22023 if there is none.
func LoadLocation(name string) (*time.Location, error) {
	key := strings.ToLower(strings.TrimSpace(name))
	if loc, ok := locations.Load(key); ok {
		return loc.(*time.Location), nil
	}
	loc := findLocation(strings.TrimSpace(name))
	if loc == nil {
		return nil, Errorf("22023", "time zone \"%s\" not recognized", name)
	}
	if len(key) < 64 {
		locations.Store(key, loc)
	}
	return loc, nil
}

func findLocation(name string) *time.Location {
	if name == "" || strings.EqualFold(name, "local") {
		return nil
	}
	if strings.EqualFold(name, "UTC") || strings.EqualFold(name, "Z") {
		return time.UTC
	}
	for _, spelling := range []string{name, strings.ToUpper(name), titleZone(name)} {
		if loc, err := time.LoadLocation(spelling); err == nil {
			return loc
		}
	}
	if offset, ok := zoneAbbreviations[strings.ToUpper(name)]; ok {
		return time.FixedZone(strings.ToUpper(name), offset)
	}
	if west, ok := parseZoneOffset(name); ok {
		return time.FixedZone(name, -west)
	}
	return posixZone(name)
}

// titleZone spells "europe/new_york" as "Europe/New_York".
func titleZone(name string) string {
	out, up := []byte(strings.ToLower(name)), true
	for i, c := range out {
		if up && c >= 'a' && c <= 'z' {
			out[i] = c - 'a' + 'A'
		}
		up = c == '/' || c == '_' || c == '-'
	}
	return string(out)
}

// posixZone reads the fixed-offset POSIX form: a name (letters, or anything in <>) and
// an offset that counts west of Greenwich.
func posixZone(name string) *time.Location {
	rest := ""
	abbreviation := name
	if strings.HasPrefix(name, "<") {
		end := strings.IndexByte(name, '>')
		if end < 0 {
			return nil
		}
		abbreviation, rest = name[1:end], name[end+1:]
	} else if i := strings.IndexAny(name, "+-0123456789"); i >= 3 {
		abbreviation, rest = name[:i], name[i:]
	}
	if rest != "" && rest[0] != '+' && rest[0] != '-' {
		rest = "+" + rest
	}
	east, ok := parseZoneOffset(rest)
	if !ok {
		return nil
	}
	return time.FixedZone(strings.ToUpper(abbreviation), east)
}

// parseZoneOffset reads ±HH[:MM[:SS]] or ±HHMM and gives seconds west of Greenwich.
func parseZoneOffset(s string) (west int, ok bool) {
	if len(s) < 2 || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	parts := strings.Split(s[1:], ":")
	if len(parts) == 1 && len(parts[0]) >= 3 {
		d := parts[0]
		if len(d) > 4 && len(d) != 6 {
			return 0, false
		}
		parts = []string{d[:len(d)-2], d[len(d)-2:]}
		if len(d) == 6 {
			parts = []string{d[:2], d[2:4], d[4:]}
		}
	}
	if len(parts) > 3 {
		return 0, false
	}
	limits := [3]int{15, 59, 59}
	seconds := 0
	for i := range 3 {
		n := 0
		if i < len(parts) {
			if n, ok = smallInt(parts[i]); !ok || n > limits[i] {
				return 0, false
			}
		}
		seconds = seconds*60 + n
	}
	if s[0] == '+' {
		seconds = -seconds
	}
	return seconds, true
}

// smallInt reads 1 to 9 decimal digits.
func smallInt(s string) (int, bool) {
	if len(s) == 0 || len(s) > 9 {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}
