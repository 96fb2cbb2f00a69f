package session

import (
	"slices"
	"strings"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// copyFormat is how COPY writes rows: the options of one statement, checked.
type copyFormat struct {
	csv, binary  bool
	delimiter    byte
	null         string
	header       bool
	headerMatch  bool
	quote        byte
	escape       byte
	forceQuote   []string // "*" alone means all
	forceNotNull []string
	forceNull    []string
}

// copyOptions checks the options of COPY with PostgreSQL's messages.
func copyOptions(options []sql.Option, from bool) (*copyFormat, error) {
	f := &copyFormat{}
	given := make(map[string]string)
	for _, o := range options {
		if _, twice := given[o.Name]; twice {
			return nil, types.Errorf("42601", "conflicting or redundant options")
		}
		value := "true"
		if o.Value != nil {
			value = *o.Value
		}
		given[o.Name] = value
		if err := f.option(o, value); err != nil {
			return nil, err
		}
	}
	if err := f.defaults(given); err != nil {
		return nil, err
	}
	return f, f.check(given, from)
}

func (f *copyFormat) option(o sql.Option, value string) error {
	switch o.Name {
	case "format":
		switch value {
		case "text":
		case "csv":
			f.csv = true
		case "binary":
			f.binary = true
		default:
			return types.Errorf("22023", "COPY format \"%s\" not recognized", value)
		}
	case "delimiter", "null", "quote", "escape":
	case "header":
		return f.setHeader(value)
	case "force_quote":
		f.forceQuote = o.List
	case "force_not_null":
		f.forceNotNull = o.List
	case "force_null":
		f.forceNull = o.List
	case "freeze":
		_, err := optionBool(o.Name, value)
		return err
	case "encoding":
		if enc, err := checkEncoding(&setting{name: "client_encoding"}, value); err != nil || enc != "UTF8" {
			return types.Errorf("22023", "argument to option \"%s\" must be a valid encoding name", o.Name)
		}
	default:
		return types.Errorf("42601", "option \"%s\" not recognized", o.Name)
	}
	return nil
}

func (f *copyFormat) setHeader(value string) error {
	if strings.EqualFold(value, "match") {
		f.header, f.headerMatch = true, true
		return nil
	}
	on, err := optionBool("header", value)
	if err != nil {
		return types.Errorf("42601", "header requires a Boolean value or \"match\"")
	}
	f.header = on
	return nil
}

func optionBool(name, value string) (bool, error) {
	switch strings.ToLower(value) {
	case "true", "on", "1":
		return true, nil
	case "false", "off", "0":
		return false, nil
	}
	return false, types.Errorf("42601", "%s requires a Boolean value", name)
}

// defaults fills in what depends on the format, and takes the one-byte options.
func (f *copyFormat) defaults(given map[string]string) error {
	f.delimiter, f.null, f.quote = '\t', `\N`, '"'
	if f.csv {
		f.delimiter, f.null = ',', ""
	}
	if f.binary {
		for _, name := range []string{"delimiter", "null"} {
			if _, ok := given[name]; ok {
				return types.Errorf("42601", "cannot specify %s in BINARY mode", strings.ToUpper(name))
			}
		}
		if f.header {
			return types.Errorf("0A000", "cannot specify HEADER in BINARY mode")
		}
	}
	if null, ok := given["null"]; ok {
		f.null = null
	}
	var err error
	one := func(name string, into *byte) {
		if value, ok := given[name]; ok {
			if len(value) != 1 && err == nil {
				err = types.Errorf("0A000", "COPY %s must be a single one-byte character", name)
				return
			}
			*into = value[0]
		}
	}
	one("delimiter", &f.delimiter)
	one("quote", &f.quote)
	f.escape = f.quote
	one("escape", &f.escape)
	return err
}

func (f *copyFormat) check(given map[string]string, from bool) error {
	switch {
	case f.delimiter == '\n' || f.delimiter == '\r':
		return types.Errorf("22023", "COPY delimiter cannot be newline or carriage return")
	case strings.ContainsAny(f.null, "\r\n"):
		return types.Errorf("22023", "COPY null representation cannot use newline or carriage return")
	case !f.csv && strings.IndexByte("\\.abcdefghijklmnopqrstuvwxyz0123456789", f.delimiter) >= 0:
		return types.Errorf("22023", "COPY delimiter cannot be \"%c\"", f.delimiter)
	}
	if !f.csv {
		for _, name := range []string{"quote", "escape", "force_quote", "force_not_null", "force_null"} {
			if _, ok := given[name]; ok {
				return types.Errorf("0A000", "COPY %s available only in CSV mode", strings.ReplaceAll(name, "_", " "))
			}
		}
	}
	switch {
	case f.csv && f.delimiter == f.quote:
		return types.Errorf("22023", "COPY delimiter and quote must be different")
	case f.forceQuote != nil && from:
		return types.Errorf("0A000", "COPY force quote only available using COPY TO")
	case f.forceNotNull != nil && !from:
		return types.Errorf("0A000", "COPY force not null only available using COPY FROM")
	case f.forceNull != nil && !from:
		return types.Errorf("0A000", "COPY force null only available using COPY FROM")
	case strings.IndexByte(f.null, f.delimiter) >= 0 && !f.binary:
		return types.Errorf("22023", "COPY delimiter must not appear in the NULL specification")
	case f.csv && strings.IndexByte(f.null, f.quote) >= 0:
		return types.Errorf("22023", "CSV quote character must not appear in the NULL specification")
	case f.headerMatch && !from:
		return types.Errorf("0A000", "cannot use \"match\" with HEADER in COPY TO")
	}
	return nil
}

// forced tells for each column whether a FORCE option names it; known tells which names the
// table has.
func forced(names []string, columns []string, option string, known func(string) error) ([]bool, error) {
	out := make([]bool, len(columns))
	if slices.Equal(names, []string{"*"}) {
		for i := range out {
			out[i] = true
		}
		return out, nil
	}
	for _, n := range names {
		i := slices.Index(columns, n)
		if i < 0 {
			if err := known(n); err != nil {
				return nil, err
			}
			return nil, types.Errorf("42P10", "%s column \"%s\" not referenced by COPY", option, n)
		}
		out[i] = true
	}
	return out, nil
}
