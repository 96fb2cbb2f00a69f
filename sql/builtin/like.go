package builtin

import (
	"strings"
	"unicode/utf8"

	"github.com/heliosdb/helios/types"
)

func likeFuncs() map[string]evalFunc {
	m := make(map[string]evalFunc)
	for _, kind := range []string{"text", "name", "bpchar"} {
		m[kind+"like"], m[kind+"nlike"] = like(false, false), like(false, true)
		m[kind+"iclike"], m[kind+"icnlike"] = like(true, false), like(true, true)
	}
	for _, arg := range []string{"text,text", "name,text"} {
		m["like("+arg+")"], m["notlike("+arg+")"] = like(false, false), like(false, true)
	}
	bytes := func(negate bool) evalFunc {
		return func(_ *Context, a []types.Value) (types.Value, error) {
			ok, err := likeMatch(string(a[0].AsBytes()), string(a[1].AsBytes()))
			return types.Bool(ok != negate), err
		}
	}
	m["bytealike"], m["byteanlike"] = bytes(false), bytes(true)
	m["like(bytea,bytea)"], m["notlike(bytea,bytea)"] = bytes(false), bytes(true)
	m["like_escape(text,text)"] = onTexts(likeEscape)
	m["similar_to_escape(text)"] = onText(func(s string) (types.Value, error) { return similarPattern(s, `\`) })
	m["similar_to_escape(text,text)"] = onTexts(similarPattern)
	m["similar_escape"] = func(_ *Context, a []types.Value) (types.Value, error) {
		if a[0].IsNull() {
			return types.Null, nil
		}
		escape := `\`
		if !a[1].IsNull() {
			escape = a[1].AsText()
		}
		return similarPattern(a[0].AsText(), escape)
	}
	return m
}

func like(fold, negate bool) evalFunc {
	return onTexts(func(s, pattern string) (types.Value, error) {
		if fold {
			s, pattern = strings.ToLower(s), strings.ToLower(pattern)
		}
		ok, err := likeMatch(s, pattern)
		return types.Bool(ok != negate), err
	})
}

var errLikeEscape = types.Errorf("22025", "LIKE pattern must not end with escape character")

// likeMatch matches s against a LIKE pattern: % any run, _ one character, \ escapes.
// It backtracks only to the last %, so it takes O(len(s) × len(pattern)) at worst.
func likeMatch(s, p string) (bool, error) {
	restart, retry := -1, 0 // pattern after the last %, and where in s to try it next
	i, j := 0, 0
	for {
		switch {
		case j < len(p) && p[j] == '%':
			restart, retry = j+1, i
			j++
			continue
		case j < len(p) && i < len(s) && p[j] == '_':
			_, size := utf8.DecodeRuneInString(s[i:])
			i += size
			j++
			continue
		case j < len(p) && p[j] == '\\':
			if j+1 == len(p) && i < len(s) {
				return false, errLikeEscape
			}
			if j+1 == len(p) {
				return false, nil
			}
			if i < len(s) && s[i] == p[j+1] {
				i++
				j += 2
				continue
			}
		case j < len(p) && i < len(s) && p[j] == s[i] && p[j] != '_':
			i++
			j++
			continue
		case j == len(p) && i == len(s):
			return true, nil
		}
		if restart < 0 || retry >= len(s) {
			return false, nil
		}
		_, size := utf8.DecodeRuneInString(s[retry:])
		retry += size
		i, j = retry, restart
	}
}

// likeEscape rewrites a pattern with another escape character to one with \.
func likeEscape(pattern, escape string) (types.Value, error) {
	if utf8.RuneCountInString(escape) > 1 {
		return types.Null, errEscapeLength
	}
	var b strings.Builder
	for i := 0; i < len(pattern); {
		switch {
		case escape != "" && escape != `\` && strings.HasPrefix(pattern[i:], escape):
			b.WriteByte('\\')
			if i += len(escape); i < len(pattern) {
				_, size := utf8.DecodeRuneInString(pattern[i:])
				b.WriteString(pattern[i : i+size])
				i += size
			}
			continue
		case pattern[i] == '\\' && escape != `\`:
			b.WriteString(`\\`)
		case pattern[i] == '\\' && i+1 < len(pattern):
			b.WriteByte('\\')
			i++
			b.WriteByte(pattern[i])
		default:
			b.WriteByte(pattern[i])
		}
		i++
	}
	return types.Text(b.String()), nil
}

var errEscapeLength = types.Errorf("22019", "invalid escape string").WithHint("Escape string must be empty or one character.")

// similarPattern turns SIMILAR TO's pattern into a regular expression.
func similarPattern(pattern, escape string) (types.Value, error) {
	if utf8.RuneCountInString(escape) > 1 {
		return types.Null, errEscapeLength
	}
	var b strings.Builder
	b.WriteString("^(?:")
	inClass := false
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		switch {
		case escape != "" && strings.HasPrefix(pattern[i:], escape):
			if i += len(escape); i < len(pattern) {
				b.WriteByte('\\')
				b.WriteByte(pattern[i])
			}
		case inClass:
			if c == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
			inClass = c != ']'
		case c == '[':
			b.WriteByte(c)
			inClass = true
		case c == '%':
			b.WriteString(".*")
		case c == '_':
			b.WriteByte('.')
		case c == '(':
			b.WriteString("(?:")
		case strings.IndexByte(`\.^$`, c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteString(")$")
	return types.Text(b.String()), nil
}
