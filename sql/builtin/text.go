package builtin

import (
	"crypto/md5"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/heliosdb/helios/types"
)

// maxText bounds what one call may build: 54000 beyond.
const maxText = 1 << 26

func checkSize(n int64) error {
	if n > maxText {
		return types.Errorf("54000", "requested length too large")
	}
	return nil
}

func textFuncs() map[string]evalFunc {
	length := onText(func(s string) (types.Value, error) { return types.Int(int64(utf8.RuneCountInString(s))), nil })
	concat := onTexts(func(s, t string) (types.Value, error) { return types.Text(s + t), checkSize(int64(len(s) + len(t))) })
	return map[string]evalFunc{
		"length(text)": length, "length(bpchar)": length, "char_length": length, "character_length": length, "textlen": length,
		"octet_length(text)":   onText(func(s string) (types.Value, error) { return types.Int(int64(len(s))), nil }),
		"octet_length(bpchar)": onText(func(s string) (types.Value, error) { return types.Int(int64(len(s))), nil }),
		"bit_length(text)":     onText(func(s string) (types.Value, error) { return types.Int(int64(8 * len(s))), nil }),
		"lower(text)":          onText(func(s string) (types.Value, error) { return types.Text(strings.ToLower(s)), nil }),
		"upper(text)":          onText(func(s string) (types.Value, error) { return types.Text(strings.ToUpper(s)), nil }),
		"initcap":              onText(func(s string) (types.Value, error) { return types.Text(initcap(s)), nil }),
		"textcat":              concat,
		"nameconcatoid": func(_ *Context, a []types.Value) (types.Value, error) {
			return types.Text(types.TruncateName(a[0].AsText() + "_" + types.ToText(types.T(types.OIDOID), a[1]))), nil
		},
		"substr(text,int4)": substring, "substr(text,int4,int4)": substring,
		"substring(text,int4)": substring, "substring(text,int4,int4)": substring,
		"overlay(text,text,int4,int4)": overlay, "overlay(text,text,int4)": overlay,
		"position(text,text)": onTexts(positionOf), "strpos": onTexts(positionOf),
		"left": left, "right": right, "repeat": repeat, "reverse": onText(reverse),
		"replace(text,text,text)": replaceAll, "split_part": splitPart,
		"starts_with": onTexts(func(s, t string) (types.Value, error) { return types.Bool(strings.HasPrefix(s, t)), nil }),
		"translate":   translate,
		"ascii":       onText(asciiOf), "chr": onInt(chr),
		"md5(text)":           onText(func(s string) (types.Value, error) { return md5Of([]byte(s)), nil }),
		"md5(bytea)":          plain(func(a []types.Value) types.Value { return md5Of(a[0].AsBytes()) }),
		"quote_ident":         onText(func(s string) (types.Value, error) { return types.Text(QuoteIdent(s)), nil }),
		"quote_literal(text)": onText(func(s string) (types.Value, error) { return types.Text(QuoteLiteral(s)), nil }),
		"quote_nullable(text)": func(_ *Context, a []types.Value) (types.Value, error) {
			if a[0].IsNull() {
				return types.Text("NULL"), nil
			}
			return types.Text(QuoteLiteral(a[0].AsText())), nil
		},
		"to_ascii(text)": onText(func(string) (types.Value, error) {
			return types.Null, types.Errorf("0A000", "encoding conversion from UTF8 to ASCII not supported")
		}),
		"unistr": onText(unistr),
		"normalize": func(*Context, []types.Value) (types.Value, error) {
			return types.Null, unsupported("function normalize")
		},
	}
}

func md5Of(b []byte) types.Value {
	sum := md5.Sum(b)
	return types.Text(hex.EncodeToString(sum[:]))
}

// initcap writes each word (run of letters and digits) with a capital first letter.
func initcap(s string) string {
	inside := false
	return strings.Map(func(r rune) rune {
		was := inside
		if inside = unicode.IsLetter(r) || unicode.IsDigit(r); !inside {
			return r
		}
		if was {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}

// runesFrom cuts s to the characters start … end-1, counted from 0; both may lie outside.
func runesFrom(s string, start, end int64) string {
	if end <= start || end <= 0 {
		return ""
	}
	from, at := len(s), int64(0)
	if start <= 0 {
		from = 0
	}
	for i := range s {
		if at == start {
			from = i
		}
		if at == end {
			return s[from:i]
		}
		at++
	}
	return s[from:]
}

func substring(_ *Context, a []types.Value) (types.Value, error) {
	start := a[1].AsInt() - 1
	end := int64(1) << 40
	if len(a) > 2 {
		if a[2].AsInt() < 0 {
			return types.Null, errSubstring
		}
		end = start + a[2].AsInt()
	}
	return types.Text(runesFrom(a[0].AsText(), start, end)), nil
}

var errSubstring = types.Errorf("22011", "negative substring length not allowed")

func overlay(_ *Context, a []types.Value) (types.Value, error) {
	s, by, start := a[0].AsText(), a[1].AsText(), a[2].AsInt()
	count := int64(utf8.RuneCountInString(by))
	if len(a) > 3 {
		count = a[3].AsInt()
	}
	if start <= 0 {
		return types.Null, errSubstring
	}
	return types.Text(runesFrom(s, 0, start-1) + by + runesFrom(s, start-1+count, 1<<40)), nil
}

// positionOf gives the 1-based character position of t in s, 0 if it is not there.
func positionOf(s, t string) (types.Value, error) {
	i := strings.Index(s, t)
	if i < 0 {
		return types.Int(0), nil
	}
	return types.Int(int64(utf8.RuneCountInString(s[:i])) + 1), nil
}

func left(_ *Context, a []types.Value) (types.Value, error) {
	s, n := a[0].AsText(), a[1].AsInt()
	if n < 0 {
		n += int64(utf8.RuneCountInString(s))
	}
	return types.Text(runesFrom(s, 0, n)), nil
}

func right(_ *Context, a []types.Value) (types.Value, error) {
	s, n := a[0].AsText(), a[1].AsInt()
	count := int64(utf8.RuneCountInString(s))
	if n < 0 {
		return types.Text(runesFrom(s, -n, count)), nil
	}
	return types.Text(runesFrom(s, max(0, count-n), count)), nil
}

func repeat(_ *Context, a []types.Value) (types.Value, error) {
	s, n := a[0].AsText(), max(0, a[1].AsInt())
	if err := checkSize(int64(len(s)) * min(n, maxText+1)); err != nil {
		return types.Null, err
	}
	return types.Text(strings.Repeat(s, int(n))), nil
}

func reverse(s string) (types.Value, error) {
	out := make([]byte, len(s))
	at := len(s)
	for i, size := 0, 0; i < len(s); i += size {
		_, size = utf8.DecodeRuneInString(s[i:])
		at -= size
		copy(out[at:], s[i:i+size])
	}
	return types.Text(string(out)), nil
}

func replaceAll(_ *Context, a []types.Value) (types.Value, error) {
	s, from, to := a[0].AsText(), a[1].AsText(), a[2].AsText()
	if from == "" {
		return a[0], nil
	}
	if err := checkSize(int64(len(s)) + int64(strings.Count(s, from))*int64(len(to)-len(from))); err != nil {
		return types.Null, err
	}
	return types.Text(strings.ReplaceAll(s, from, to)), nil
}

func splitPart(_ *Context, a []types.Value) (types.Value, error) {
	s, by, n := a[0].AsText(), a[1].AsText(), a[2].AsInt()
	if n == 0 {
		return types.Null, types.Errorf("22023", "field position must not be zero")
	}
	parts := []string{s}
	if s == "" {
		return types.Text(""), nil
	}
	if by != "" {
		parts = strings.Split(s, by)
	}
	if n < 0 {
		n += int64(len(parts)) + 1
	}
	if n < 1 || n > int64(len(parts)) {
		return types.Text(""), nil
	}
	return types.Text(parts[n-1]), nil
}

func translate(_ *Context, a []types.Value) (types.Value, error) {
	to := []rune(a[2].AsText())
	mapped := make(map[rune]rune)
	i := 0
	for _, r := range a[1].AsText() {
		if _, seen := mapped[r]; !seen {
			mapped[r] = -1
			if i < len(to) {
				mapped[r] = to[i]
			}
		}
		i++
	}
	return types.Text(strings.Map(func(r rune) rune {
		if m, ok := mapped[r]; ok {
			return m
		}
		return r
	}, a[0].AsText())), nil
}

func asciiOf(s string) (types.Value, error) {
	if s == "" {
		return types.Int(0), nil
	}
	r, _ := utf8.DecodeRuneInString(s)
	return types.Int(int64(r)), nil
}

func chr(n int64) (types.Value, error) {
	switch {
	case n == 0:
		return types.Null, types.Errorf("54000", "null character not permitted")
	case n < 0:
		return types.Null, types.Errorf("22023", "character number must be positive")
	case n > unicode.MaxRune:
		return types.Null, types.Errorf("54000", "requested character too large for encoding: %d", n)
	case !utf8.ValidRune(rune(n)):
		return types.Null, types.Errorf("54000", "requested character not valid for encoding: %d", n)
	}
	return types.Text(string(rune(n))), nil
}

// unistr resolves \XXXX, \+XXXXXX, \uXXXX and \UXXXXXXXX.
func unistr(s string) (types.Value, error) {
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			i++
			continue
		}
		rest := s[i+1:]
		prefix, width := 0, 4
		switch {
		case strings.HasPrefix(rest, `\`):
			b.WriteByte('\\')
			i += 2
			continue
		case strings.HasPrefix(rest, "+"):
			prefix, width = 1, 6
		case strings.HasPrefix(rest, "u"):
			prefix = 1
		case strings.HasPrefix(rest, "U"):
			prefix, width = 1, 8
		}
		n, ok := hexNumber(rest, prefix, width)
		if !ok || !utf8.ValidRune(n) || n == 0 {
			return types.Null, types.Errorf("42601", "invalid Unicode escape").
				WithHint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
		}
		b.WriteRune(n)
		i += 1 + prefix + width
	}
	return types.Text(b.String()), nil
}

func hexNumber(s string, from, width int) (rune, bool) {
	if len(s) < from+width {
		return 0, false
	}
	n := uint64(0)
	for _, c := range []byte(s[from : from+width]) {
		d := strings.IndexByte("0123456789abcdef", c|0x20)
		if d < 0 || c < '0' {
			return 0, false
		}
		n = n<<4 | uint64(d)
	}
	return rune(n), n <= unicode.MaxRune
}
