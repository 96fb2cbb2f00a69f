package session

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/heliosdb/helios/types"
)

// check gives the canonical form of a value for the setting: 22023 when it is none of its
// values, 0A000 when it is one of PostgreSQL's that Helios does not have.
func (s *setting) check(value string) (string, error) {
	if f, ok := specialChecks[s.name]; ok {
		return f(s, value)
	}
	switch s.kind {
	case "bool":
		return s.checkBool(value)
	case "integer":
		return s.checkNumber(value, true)
	case "real":
		return s.checkNumber(value, false)
	case "enum":
		return s.checkEnum(value)
	}
	return value, nil
}

func (s *setting) invalid(value string) *types.Error {
	return types.Errorf("22023", "invalid value for parameter \"%s\": \"%s\"", s.name, value)
}

func (s *setting) checkBool(value string) (string, error) {
	v := strings.ToLower(strings.TrimSpace(value))
	switch {
	case v == "":
	case v == "1" || v == "on" || strings.HasPrefix("true", v) || strings.HasPrefix("yes", v):
		return "on", nil
	case v == "0" || len(v) > 1 && strings.HasPrefix("off", v) || strings.HasPrefix("false", v) || strings.HasPrefix("no", v):
		return "off", nil
	}
	return "", types.Errorf("22023", "parameter \"%s\" requires a Boolean value", s.name)
}

func (s *setting) checkEnum(value string) (string, error) {
	v := strings.ToLower(value)
	if slices.Contains(s.choices, v) {
		return v, nil
	}
	if b, err := s.checkBool(value); err == nil && slices.Contains(s.choices, b) {
		return b, nil
	}
	return "", s.invalid(value).WithHint("Available values: %s.", strings.Join(s.choices, ", "))
}

// factors give each unit in milliseconds or bytes.
var factors = map[string]map[string]float64{
	"ms": {"us": 0.001, "ms": 1, "s": 1000, "min": 60e3, "h": 3600e3, "d": 86400e3},
	"kB": {"B": 1.0 / 1024, "kB": 1, "MB": 1024, "GB": 1 << 20, "TB": 1 << 30},
}

const (
	timeHint   = "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\"."
	memoryHint = "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\"."
)

func (s *setting) checkNumber(value string, whole bool) (string, error) {
	text := strings.TrimSpace(value)
	digits := len(text) - len(strings.TrimLeft(text, "+-0123456789.eE"))
	for digits > 0 && (text[digits-1] == 'e' || text[digits-1] == 'E') {
		digits--
	}
	n, err := strconv.ParseFloat(text[:digits], 64)
	if err != nil {
		return "", s.invalid(value)
	}
	if unit := strings.TrimSpace(text[digits:]); unit != "" {
		factor, ok := factors[s.unit][unit]
		switch {
		case ok:
			n *= factor
		case s.unit == "ms":
			return "", s.invalid(value).WithHint(timeHint)
		case s.unit == "kB":
			return "", s.invalid(value).WithHint(memoryHint)
		default:
			return "", s.invalid(value)
		}
	}
	if whole {
		n = math.RoundToEven(n)
	}
	lowest, _ := strconv.ParseFloat(s.min, 64)
	highest, _ := strconv.ParseFloat(s.max, 64)
	if n < lowest || n > highest || math.IsNaN(n) {
		return "", s.outOfRange(n)
	}
	if whole {
		return strconv.FormatInt(int64(n), 10), nil
	}
	return strconv.FormatFloat(n, 'g', -1, 64), nil
}

func (s *setting) outOfRange(n float64) error {
	unit := ""
	if s.unit != "" {
		unit = " " + s.unit
	}
	return types.Errorf("22023", "%s%s is outside the valid range for parameter \"%s\" (%s .. %s)",
		strconv.FormatFloat(n, 'g', -1, 64), unit, s.name, s.min, s.max)
}

// unitSteps are the units that SHOW prints, largest first, in the setting's own.
var unitSteps = map[string][]struct {
	unit string
	n    int64
}{
	"ms": {{"d", 86400e3}, {"h", 3600e3}, {"min", 60e3}, {"s", 1000}, {"ms", 1}},
	"kB": {{"TB", 1 << 30}, {"GB", 1 << 20}, {"MB", 1024}, {"kB", 1}},
}

// withUnit prints a number with the largest unit that divides it, as SHOW does.
func (s *setting) withUnit(value string) string {
	n, err := strconv.ParseInt(value, 10, 64)
	if s.unit == "" || err != nil || n <= 0 {
		return value
	}
	for _, step := range unitSteps[s.unit] {
		if n%step.n == 0 {
			return strconv.FormatInt(n/step.n, 10) + step.unit
		}
	}
	return value
}

// specialChecks are the settings whose values need more than their type.
var specialChecks = map[string]func(*setting, string) (string, error){
	"client_encoding":               checkEncoding,
	"DateStyle":                     checkDateStyle,
	"IntervalStyle":                 onlyNow,
	"TimeZone":                      checkTimeZone,
	"search_path":                   checkSearchPath,
	"standard_conforming_strings":   onlyNow,
	"transform_null_equals":         onlyNow,
	"array_nulls":                   onlyNow,
	"session_replication_role":      onlyNow,
	"quote_all_identifiers":         onlyNow,
	"lc_messages":                   onlyC,
	"lc_monetary":                   onlyC,
	"lc_numeric":                    onlyC,
	"lc_time":                       onlyC,
	"default_transaction_isolation": checkIsolation,
	"transaction_isolation":         checkIsolation,
	"default_tablespace":            checkTablespace,
	"default_table_access_method":   checkAccessMethod,
	"application_name":              checkPrintable,
}

// onlyNow allows the default alone: PostgreSQL's other values would change what statements
// mean in a way that Helios does not have.
func onlyNow(s *setting, value string) (string, error) {
	checked, err := s.checkEnum(value)
	if s.kind == "bool" {
		checked, err = s.checkBool(value)
	}
	if err == nil && checked != s.boot {
		return "", types.Errorf("0A000", "parameter \"%s\" can only be \"%s\"", s.name, s.boot)
	}
	return checked, err
}

func onlyC(s *setting, value string) (string, error) {
	switch value {
	case "", "C", "POSIX", "C.UTF-8", "en_US.UTF-8":
		return "C", nil
	}
	return "", s.invalid(value)
}

func checkEncoding(s *setting, value string) (string, error) {
	plain := strings.ToLower(strings.NewReplacer("-", "", "_", "", " ", "").Replace(value))
	switch plain {
	case "utf8", "unicode":
		return "UTF8", nil
	case "sqlascii":
		return "SQL_ASCII", nil // no conversion: the bytes pass as they are
	}
	if slices.Contains(otherEncodings, plain) {
		return "", types.Errorf("0A000", "client encoding %s is not supported", value).WithHint("Use UTF8.")
	}
	return "", s.invalid(value)
}

var otherEncodings = strings.Fields(`euccn eucjp euckr euctw eucjis2004 latin1 iso88591 latin2 latin3 latin4 latin5 latin6
	latin7 latin8 latin9 latin10 win1250 win1251 win1252 win1253 win1254 win1255 win1256 win1257 win1258 win866 win874
	koi8r koi8u sjis big5 gbk uhc gb18030 johab shiftjis2004 iso88595 iso88596 iso88597 iso88598 muleinternal`)

// checkDateStyle knows the ISO style with the MDY order alone.
func checkDateStyle(s *setting, value string) (string, error) {
	for word := range strings.SplitSeq(value, ",") {
		word = strings.ToLower(strings.TrimSpace(word))
		switch {
		case word == "iso" || word == "mdy" || word == "us" || word == "noneuropean" || word == "default":
		case word == "sql" || word == "postgres" || word == "german" || word == "dmy" || word == "ymd" || strings.HasPrefix(word, "euro"):
			return "", types.Errorf("0A000", "DateStyle \"%s\" is not supported", value).WithHint("Use \"ISO, MDY\".")
		default:
			return "", s.invalid(value).WithDetail("Unrecognized key word: \"%s\".", word)
		}
	}
	return s.boot, nil
}

func checkTimeZone(s *setting, value string) (string, error) {
	loc, err := types.LoadLocation(value)
	if err != nil {
		return "", s.invalid(value)
	}
	if name := loc.String(); strings.EqualFold(name, value) {
		return name, nil
	}
	return value, nil
}

func checkSearchPath(s *setting, value string) (string, error) {
	if _, err := splitNames(value); err != nil {
		return "", s.invalid(value).WithDetail("List syntax is invalid.")
	}
	return value, nil
}

func checkIsolation(s *setting, value string) (string, error) {
	v, err := s.checkEnum(value)
	switch v {
	case "serializable":
		return "", errSerializable()
	case "read uncommitted":
		return "read committed", nil
	}
	return v, err
}

func errSerializable() error {
	return types.Errorf("0A000", "isolation level SERIALIZABLE is not supported").
		WithHint("Use REPEATABLE READ, which is snapshot isolation, and SELECT … FOR UPDATE where rows must not change.")
}

func checkTablespace(s *setting, value string) (string, error) {
	if value == "" || value == "pg_default" {
		return value, nil
	}
	return "", s.invalid(value).WithDetail("Tablespace \"%s\" does not exist.", value)
}

func checkAccessMethod(s *setting, value string) (string, error) {
	if value == "heap" {
		return value, nil
	}
	return "", s.invalid(value).WithDetail("Table access method \"%s\" does not exist.", value)
}

// checkPrintable replaces what is not printable ASCII, as application_name does.
func checkPrintable(_ *setting, value string) (string, error) {
	clean := []byte(value)
	for i, c := range clean {
		if c < 32 || c > 126 {
			clean[i] = '?'
		}
	}
	return types.TruncateName(string(clean)), nil
}
