package builtin

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/heliosdb/helios/types"
)

// QuoteIdent quotes an identifier where SQL needs it: unless it is a plain lower-case
// word that is no reserved keyword.
func QuoteIdent(s string) string {
	safe := s != "" && (s[0] >= 'a' && s[0] <= 'z' || s[0] == '_')
	for i := range len(s) {
		c := s[i]
		safe = safe && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_')
	}
	if safe && !quotedKeywords[s] {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// QuoteLiteral quotes a string as a literal, with E when it holds a backslash.
func QuoteLiteral(s string) string {
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// formatOf is PostgreSQL's format: %s, %I, %L with position, width and a - flag.
func formatOf(args []types.OID, variadic bool) evalFunc {
	return withTexts(args, variadic, func(ctx *Context, a []types.Value) (types.Value, error) {
		if a[0].IsNull() {
			return types.Null, nil
		}
		f := &formatter{s: a[0].AsText(), args: a[1:]}
		if err := f.run(); err != nil {
			return types.Null, err
		}
		return types.Text(f.out.String()), checkSize(int64(f.out.Len()))
	})
}

// formatter works on arguments that are texts already.
type formatter struct {
	s    string
	args []types.Value
	next int
	out  strings.Builder
}

var (
	errFormatEnd  = types.Errorf("22023", "unterminated format() type specifier").WithHint("For a single \"%%\" use \"%%%%\".")
	errFormatArgs = types.Errorf("22023", "too few arguments for format()")
)

func (f *formatter) run() error {
	for {
		i := strings.IndexByte(f.s, '%')
		if i < 0 {
			f.out.WriteString(f.s)
			return nil
		}
		f.out.WriteString(f.s[:i])
		f.s = f.s[i+1:]
		if strings.HasPrefix(f.s, "%") {
			f.out.WriteByte('%')
			f.s = f.s[1:]
			continue
		}
		if err := f.spec(); err != nil {
			return err
		}
	}
}

// number takes digits off the format; ok is false if there are none.
func (f *formatter) number() (n int, ok bool, err error) {
	end := 0
	for end < len(f.s) && f.s[end] >= '0' && f.s[end] <= '9' {
		end++
	}
	if end == 0 {
		return 0, false, nil
	}
	n, convErr := strconv.Atoi(f.s[:end])
	if convErr != nil || n > maxText {
		return 0, false, types.Errorf("22003", "number is out of range")
	}
	f.s = f.s[end:]
	return n, true, nil
}

func (f *formatter) spec() error {
	n, numbered, err := f.number()
	if err != nil {
		return err
	}
	position, width, leftAlign := 0, 0, false
	if numbered && strings.HasPrefix(f.s, "$") {
		if position = n; position == 0 {
			return types.Errorf("22023", "format specifies argument 0, but arguments are numbered from 1")
		}
		f.s = f.s[1:]
		n, numbered = 0, false
	}
	if !numbered && strings.HasPrefix(f.s, "-") {
		leftAlign = true
		f.s = strings.TrimLeft(f.s, "-")
	}
	if numbered {
		width = n
	} else if width, err = f.width(); err != nil {
		return err
	}
	if width < 0 {
		width, leftAlign = -width, true
	}
	if f.s == "" {
		return errFormatEnd
	}
	kind, rest := f.s[0], f.s
	f.s = f.s[1:]
	if position > 0 {
		f.next = position - 1
	}
	if kind != 's' && kind != 'I' && kind != 'L' {
		_, size := utf8.DecodeRuneInString(rest)
		return types.Errorf("22023", "unrecognized format() type specifier \"%s\"", rest[:size]).
			WithHint("For a single \"%%\" use \"%%%%\".")
	}
	v, err := f.arg()
	if err != nil {
		return err
	}
	return f.write(v, kind, width, leftAlign)
}

func (f *formatter) arg() (types.Value, error) {
	if f.next >= len(f.args) {
		return types.Null, errFormatArgs
	}
	f.next++
	return f.args[f.next-1], nil
}

// width reads a width: digits, * for the next argument, or *n$.
func (f *formatter) width() (int, error) {
	if !strings.HasPrefix(f.s, "*") {
		n, _, err := f.number()
		return n, err
	}
	f.s = f.s[1:]
	if n, ok, err := f.number(); err != nil {
		return 0, err
	} else if ok {
		if !strings.HasPrefix(f.s, "$") || n == 0 {
			return 0, types.Errorf("22023", "width argument position must be ended by \"$\"")
		}
		f.s = f.s[1:]
		f.next = n - 1
	}
	v, err := f.arg()
	if err != nil || v.IsNull() {
		return 0, err
	}
	w, err := types.ParseText(types.T(types.Int4OID), v.AsText(), nil)
	return int(w.AsInt()), err
}

func (f *formatter) write(v types.Value, kind byte, width int, leftAlign bool) error {
	text := ""
	switch {
	case kind == 'L' && v.IsNull():
		text = "NULL"
	case kind == 'I' && v.IsNull():
		return types.Errorf("22004", "null values cannot be formatted as an SQL identifier")
	case v.IsNull():
	case kind == 'I':
		text = QuoteIdent(v.AsText())
	case kind == 'L':
		text = QuoteLiteral(v.AsText())
	default:
		text = v.AsText()
	}
	padding := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
	if leftAlign {
		text, padding = padding, text
	}
	f.out.WriteString(padding)
	f.out.WriteString(text)
	return checkSize(int64(f.out.Len()))
}
