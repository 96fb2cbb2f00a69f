package builtin

import (
	"strings"
	"unicode/utf8"

	"github.com/heliosdb/helios/types"
)

func padFuncs() map[string]evalFunc {
	both := func(s, set string) string { return strings.Trim(s, set) }
	return map[string]evalFunc{
		"btrim(text)": trim(both), "btrim(text,text)": trim(both),
		"ltrim(text)": trim(strings.TrimLeft), "ltrim(text,text)": trim(strings.TrimLeft),
		"rtrim(text)": trim(strings.TrimRight), "rtrim(text,text)": trim(strings.TrimRight),
		"lpad(text,int4)": pad(true), "lpad(text,int4,text)": pad(true),
		"rpad(text,int4)": pad(false), "rpad(text,int4,text)": pad(false),
	}
}

// trim cuts characters of a set, blanks by default.
func trim(f func(s, set string) string) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		set := " "
		if len(a) > 1 {
			set = a[1].AsText()
		}
		return types.Text(f(a[0].AsText(), set)), nil
	}
}

func pad(atLeft bool) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		s, n, fill := a[0].AsText(), max(0, a[1].AsInt()), " "
		if len(a) > 2 {
			fill = a[2].AsText()
		}
		if err := checkSize(n); err != nil {
			return types.Null, err
		}
		missing := n - int64(utf8.RuneCountInString(s))
		if missing <= 0 || fill == "" {
			return types.Text(runesFrom(s, 0, n)), nil
		}
		width := int64(utf8.RuneCountInString(fill))
		padding := runesFrom(strings.Repeat(fill, int(missing/width)+1), 0, missing)
		if atLeft {
			return types.Text(padding + s), nil
		}
		return types.Text(s + padding), nil
	}
}
