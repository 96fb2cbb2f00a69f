package session

import (
	_ "embed"
	"maps"
	"strconv"
	"strings"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// declarations lists the settings, one a line, in order of their names:
// name|vartype|default|unit|min|max|enum values|context|description, as in pg_settings.
//
//go:embed settings.txt
var declarations string

// setting is a declared setting. Values are kept as pg_settings.setting shows them:
// numbers in the setting's unit.
type setting struct {
	name    string
	kind    string // "bool", "integer", "real", "string", "enum"
	boot    string
	unit    string // "ms", "kB" or ""
	min     string
	max     string
	choices []string
	context string // "user", "superuser"; "internal" and "postmaster" cannot be set
	about   string
}

var (
	settingList   = parseDeclarations()
	settingByName = indexSettings()
)

// reported are the settings whose changes a client is told, by PostgreSQL's rule.
var reported = []string{
	"application_name", "client_encoding", "DateStyle", "default_transaction_read_only", "in_hot_standby",
	"integer_datetimes", "IntervalStyle", "is_superuser", "server_encoding", "server_version",
	"session_authorization", "standard_conforming_strings", "TimeZone",
}

// ServerVersion is the release of PostgreSQL whose behaviour Helios keeps to.
const ServerVersion = "15.0"

func parseDeclarations() []setting {
	var out []setting
	for line := range strings.Lines(declarations) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "|")
		s := setting{name: f[0], kind: f[1], boot: f[2], unit: f[3], min: f[4], max: f[5], context: f[7], about: f[8]}
		if f[6] != "" {
			s.choices = strings.Split(f[6], ",")
		}
		if s.boot == "@version" {
			s.boot = ServerVersion + " (helios)"
		}
		out = append(out, s)
	}
	return out
}

func indexSettings() map[string]*setting {
	m := make(map[string]*setting, len(settingList))
	for i := range settingList {
		m[strings.ToLower(settingList[i].name)] = &settingList[i]
	}
	return m
}

// findSetting finds a declared setting; names fold case.
func findSetting(name string) (*setting, bool) {
	s, ok := settingByName[strings.ToLower(name)]
	return s, ok
}

// values are a session's settings at a moment. A values is immutable: a change makes a
// new one, so a transaction keeps the old one to go back to.
type values struct {
	start   map[string]string // as the session began: what RESET goes back to
	session map[string]string
	local   map[string]string // SET LOCAL, gone at the transaction's end
}

func newValues() *values {
	return &values{start: map[string]string{}, session: map[string]string{}, local: map[string]string{}}
}

// get gives the value in the setting's unit; ok is false for a name that is not known.
func (v *values) get(name string) (string, bool) {
	key := strings.ToLower(name)
	for _, m := range []map[string]string{v.local, v.session, v.start} {
		if x, ok := m[key]; ok {
			return x, true
		}
	}
	if strings.HasPrefix(key, "transaction_") && settingByName["default_"+key] != nil {
		return v.get("default_" + key)
	}
	if s, ok := settingByName[key]; ok {
		return s.boot, true
	}
	return "", false
}

// show gives the value as SHOW prints it: 5000 of statement_timeout is "5s".
func (v *values) show(name string) (string, bool) {
	x, ok := v.get(name)
	if s, known := findSetting(name); known {
		return s.withUnit(x), ok
	}
	return x, ok
}

func (v *values) number(name string) int64 {
	x, _ := v.get(name)
	n, _ := strconv.ParseInt(x, 10, 64) // checked when it was set
	return n
}

func (v *values) on(name string) bool {
	x, _ := v.get(name)
	return x == "on"
}

// with gives the values after SET (or SET LOCAL) of a checked value. A plain SET also
// overrides an earlier SET LOCAL.
func (v *values) with(name, value string, local bool) *values {
	next, key := *v, strings.ToLower(name)
	if local {
		next.local = maps.Clone(v.local)
		next.local[key] = value
		return &next
	}
	next.session = maps.Clone(v.session)
	next.session[key] = value
	next.local = maps.Clone(v.local)
	delete(next.local, key)
	return &next
}

// without gives the values after RESET.
func (v *values) without(name string) *values {
	next, key := *v, strings.ToLower(name)
	next.session, next.local = maps.Clone(v.session), maps.Clone(v.local)
	delete(next.session, key)
	delete(next.local, key)
	return &next
}

// reset gives the values after RESET ALL: what names a user or role and the running
// transaction's properties stay, as in PostgreSQL.
func (v *values) reset() *values {
	next := &values{start: v.start, session: map[string]string{}, local: map[string]string{}}
	for _, key := range noResetAll {
		if x, ok := v.session[key]; ok {
			next.session[key] = x
		}
		if x, ok := v.local[key]; ok {
			next.local[key] = x
		}
	}
	return next
}

var noResetAll = []string{
	"is_superuser", "role", "session_authorization", "transaction_deferrable", "transaction_isolation", "transaction_read_only",
}

// committed gives the values after the transaction: SET LOCAL is gone.
func (v *values) committed() *values {
	if len(v.local) == 0 {
		return v
	}
	return &values{start: v.start, session: v.session, local: map[string]string{}}
}

// unknownSetting is PostgreSQL's error for a name that is not declared.
func unknownSetting(name string) error {
	return types.Errorf("42704", "unrecognized configuration parameter \"%s\"", name)
}

// checkCustom tells whether an undeclared name may be set: two-part names may, unless
// their prefix is reserved.
func checkCustom(name string) error {
	prefix, rest, ok := strings.Cut(name, ".")
	if !ok || prefix == "" || rest == "" {
		return unknownSetting(name)
	}
	switch strings.ToLower(prefix) {
	case "helios", "hnsw", "ivfflat", "plpgsql":
		return types.Errorf("42602", "invalid configuration parameter name \"%s\"", name).
			WithDetail("\"%s\" is a reserved prefix.", prefix)
	}
	return nil
}

// searchPath splits search_path into schema names, "$user" replaced.
func (v *values) searchPath(user string) []string {
	raw, _ := v.get("search_path")
	names, err := splitNames(raw)
	if err != nil {
		return nil // checked when it was set
	}
	var out []string
	for _, name := range names {
		if name != "$user" {
			out = append(out, name)
		} else if user != systemSchema { // the schema that has the superuser's name is not the superuser's
			out = append(out, user)
		}
	}
	return out
}

// systemSchema holds the cluster's own views and functions.
const systemSchema = "helios"

// splitNames splits a list of identifiers, folding those that are not quoted.
func splitNames(list string) ([]string, error) {
	var out []string
	rest := strings.TrimSpace(list)
	for rest != "" {
		var name string
		if strings.HasPrefix(rest, `"`) {
			end := 1
			for end < len(rest) && (rest[end] != '"' || end+1 < len(rest) && rest[end+1] == '"') {
				if rest[end] == '"' {
					end++
				}
				end++
			}
			if end >= len(rest) {
				return nil, types.Errorf("22023", "invalid list syntax")
			}
			name, rest = strings.ReplaceAll(rest[1:end], `""`, `"`), strings.TrimSpace(rest[end+1:])
		} else {
			end := strings.IndexByte(rest, ',')
			if end < 0 {
				end = len(rest)
			}
			name, rest = strings.ToLower(strings.TrimSpace(rest[:end])), rest[end:]
		}
		if name == "" && !strings.HasPrefix(list, `"`) {
			return nil, types.Errorf("22023", "invalid list syntax")
		}
		out = append(out, name)
		if rest == "" {
			break
		}
		if rest[0] != ',' || strings.TrimSpace(rest[1:]) == "" {
			return nil, types.Errorf("22023", "invalid list syntax")
		}
		rest = strings.TrimSpace(rest[1:])
	}
	return out, nil
}

// quoteNames is the inverse of splitNames.
func quoteNames(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = sql.QuoteIdent(n)
	}
	return strings.Join(quoted, ", ")
}
