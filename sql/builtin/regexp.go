package builtin

import (
	"regexp"
	"strings"
	"sync"

	"github.com/heliosdb/helios/types"
)

// maxRegexp bounds a pattern's length, since repetition multiplies its program.
const maxRegexp = 16 << 10

// regexpCache keeps compiled patterns; it is emptied when it has grown too big.
var regexpCache struct {
	sync.Mutex
	compiled map[string]*regexp.Regexp
}

// compileRegexp compiles PostgreSQL's advanced regular expressions to RE2: the same
// classes, quantifiers, anchors and escapes. Back-references and look-around have no
// equal there (0A000); other faults are 2201B.
func compileRegexp(pattern, flags string) (*regexp.Regexp, error) {
	key := flags + "\x00" + pattern
	regexpCache.Lock()
	re := regexpCache.compiled[key]
	regexpCache.Unlock()
	if re != nil {
		return re, nil
	}
	goFlags, literal, err := regexpFlags(flags)
	if err != nil {
		return nil, err
	}
	if len(pattern) > maxRegexp {
		return nil, types.Errorf("2201B", "invalid regular expression: regular expression is too complex")
	}
	translated := regexp.QuoteMeta(pattern)
	if !literal {
		if translated, err = translateRegexp(pattern, strings.Contains(flags, "x")); err != nil {
			return nil, err
		}
	}
	re, compileErr := regexp.Compile("(?" + goFlags + ")" + translated)
	if compileErr != nil {
		return nil, types.Errorf("2201B", "invalid regular expression: %s", regexpFault(compileErr))
	}
	regexpCache.Lock()
	defer regexpCache.Unlock()
	if len(regexpCache.compiled) >= 256 || regexpCache.compiled == nil {
		regexpCache.compiled = make(map[string]*regexp.Regexp)
	}
	regexpCache.compiled[key] = re
	return re, nil
}

// regexpFlags turns PostgreSQL's option letters into RE2's; g is the caller's.
func regexpFlags(flags string) (goFlags string, literal bool, err error) {
	goFlags = "s"
	for _, f := range flags {
		switch f {
		case 'i':
			goFlags += "i"
		case 'n', 'm':
			goFlags = strings.ReplaceAll(goFlags, "s", "") + "m"
		case 'w':
			goFlags += "m"
		case 'p':
			goFlags = strings.ReplaceAll(goFlags, "s", "")
		case 'q':
			literal = true
		case 'g', 'c', 's', 't', 'x', 'e':
		default:
			return "", false, types.Errorf("22023", "invalid regular expression option: \"%c\"", f)
		}
	}
	if goFlags == "" {
		goFlags = "U-U"
	}
	return goFlags, literal, nil
}

// regexpFault words RE2's complaints as PostgreSQL does.
func regexpFault(err error) string {
	text := err.Error()
	for _, w := range [][2]string{
		{"missing closing )", "parentheses () not balanced"},
		{"unexpected )", "parentheses () not balanced"},
		{"missing closing ]", "brackets [] not balanced"},
		{"missing argument to repetition", "quantifier operand invalid"},
		{"invalid nested repetition", "quantifier operand invalid"},
		{"invalid repeat count", "invalid repetition count(s)"},
		{"invalid character class range", "invalid character range"},
		{"invalid escape", "invalid escape \\ sequence"},
		{"trailing backslash", "invalid escape \\ sequence"},
		{"expression too large", "regular expression is too complex"},
	} {
		if strings.Contains(text, w[0]) {
			return w[1]
		}
	}
	return text
}

// translateRegexp rewrites what the two dialects spell differently.
func translateRegexp(p string, expanded bool) (string, error) {
	if rest, ok := strings.CutPrefix(p, "***="); ok {
		return regexp.QuoteMeta(rest), nil
	}
	p = strings.TrimPrefix(p, "***:")
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch {
		case c == '\\' && i+1 < len(p):
			i++
			out, err := translateEscape(p[i])
			if err != nil {
				return "", err
			}
			b.WriteString(out)
		case c == '[':
			end, class := translateClass(p, i)
			b.WriteString(class)
			i = end
		case c == '(' && (strings.HasPrefix(p[i:], "(?=") || strings.HasPrefix(p[i:], "(?!") || strings.HasPrefix(p[i:], "(?<")):
			return "", types.Errorf("0A000", "look-around in regular expressions is not supported").
				WithHint("Match without it, and filter by a second condition.")
		case expanded && (c == ' ' || c == '\t' || c == '\n'):
		case expanded && c == '#':
			for i < len(p) && p[i] != '\n' {
				i++
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

func translateEscape(c byte) (string, error) {
	switch {
	case c >= '1' && c <= '9':
		return "", types.Errorf("0A000", "back-references in regular expressions are not supported").
			WithHint("Regular expressions are matched in linear time, which back-references exclude.")
	case c == 'm' || c == 'M' || c == 'y':
		return `\b`, nil
	case c == 'Y':
		return `\B`, nil
	case c == 'A':
		return `\A`, nil
	case c == 'Z':
		return `\z`, nil
	case c == 'e':
		return `\x1b`, nil
	case c == 'b':
		return `\x08`, nil
	case c == 'w':
		return `[\pL\pN_]`, nil
	case c == 'W':
		return `[^\pL\pN_]`, nil
	}
	return `\` + string(c), nil
}

// translateClass copies a bracket expression that begins at i and gives its last index.
func translateClass(p string, i int) (end int, class string) {
	var b strings.Builder
	b.WriteByte('[')
	j := i + 1
	if j < len(p) && p[j] == '^' {
		b.WriteByte('^')
		j++
	}
	for first := true; j < len(p); first = false {
		switch {
		case p[j] == ']' && !first:
			return j, b.String() + "]"
		case p[j] == ']':
			b.WriteString(`\]`)
		case p[j] == '[' && j+1 < len(p) && p[j+1] == ':':
			if close := strings.Index(p[j:], ":]"); close > 0 {
				b.WriteString(p[j : j+close+2])
				j += close + 2
				continue
			}
			b.WriteString(`\[`)
		case p[j] == '[':
			b.WriteString(`\[`)
		case p[j] == '\\' && j+1 < len(p):
			b.WriteString(p[j : j+2])
			j++
		default:
			b.WriteByte(p[j])
		}
		j++
	}
	return len(p), p[i:]
}

func regexpFuncs() map[string]evalFunc {
	m := make(map[string]evalFunc)
	for _, kind := range []string{"text", "name", "bpchar"} {
		m[kind+"regexeq"], m[kind+"regexne"] = regexMatch("", false), regexMatch("", true)
		m[kind+"icregexeq"], m[kind+"icregexne"] = regexMatch("i", false), regexMatch("i", true)
	}
	m["regexp_like(text,text)"], m["regexp_like(text,text,text)"] = regexpLike, regexpLike
	m["regexp_replace(text,text,text)"], m["regexp_replace(text,text,text,text)"] = regexpReplace, regexpReplace
	m["regexp_match(text,text)"], m["regexp_match(text,text,text)"] = regexpMatch, regexpMatch
	m["regexp_split_to_array(text,text)"], m["regexp_split_to_array(text,text,text)"] = regexpSplitArray, regexpSplitArray
	m["substring(text,text)"] = onTexts(regexpSubstring)
	m["regexp_substr(text,text)"] = onTexts(regexpSubstr)
	m["regexp_count(text,text)"] = onTexts(func(s, p string) (types.Value, error) {
		re, err := compileRegexp(p, "")
		if err != nil {
			return types.Null, err
		}
		return types.Int(int64(len(re.FindAllStringIndex(s, -1)))), nil
	})
	return m
}

func regexMatch(flags string, negate bool) evalFunc {
	return onTexts(func(s, pattern string) (types.Value, error) {
		re, err := compileRegexp(pattern, flags)
		if err != nil {
			return types.Null, err
		}
		return types.Bool(re.MatchString(s) != negate), nil
	})
}

// flagsOf gives the flags in argument i, "" if it was left out.
func flagsOf(a []types.Value, i int) string {
	if i < len(a) {
		return a[i].AsText()
	}
	return ""
}

func noGlobal(function, flags string) error {
	if strings.Contains(flags, "g") {
		return types.Errorf("22023", "%s does not support the \"global\" option", function)
	}
	return nil
}

func regexpLike(_ *Context, a []types.Value) (types.Value, error) {
	flags := flagsOf(a, 2)
	if err := noGlobal("regexp_like()", flags); err != nil {
		return types.Null, err
	}
	re, err := compileRegexp(a[1].AsText(), flags)
	if err != nil {
		return types.Null, err
	}
	return types.Bool(re.MatchString(a[0].AsText())), nil
}

func regexpReplace(_ *Context, a []types.Value) (types.Value, error) {
	flags := flagsOf(a, 3)
	re, err := compileRegexp(a[1].AsText(), flags)
	if err != nil {
		return types.Null, err
	}
	s, limit := a[0].AsText(), 1
	if strings.Contains(flags, "g") {
		limit = -1
	}
	var b strings.Builder
	last := 0
	for _, at := range re.FindAllStringSubmatchIndex(s, limit) {
		b.WriteString(s[last:at[0]])
		expandReplacement(&b, a[2].AsText(), s, at)
		last = at[1]
		if err := checkSize(int64(b.Len())); err != nil {
			return types.Null, err
		}
	}
	b.WriteString(s[last:])
	return types.Text(b.String()), nil
}

// expandReplacement writes a replacement with \1 … \9, \& and \\.
func expandReplacement(b *strings.Builder, replacement, s string, at []int) {
	for i := 0; i < len(replacement); i++ {
		c := replacement[i]
		if c != '\\' || i+1 == len(replacement) {
			b.WriteByte(c)
			continue
		}
		i++
		group := -1
		switch d := replacement[i]; {
		case d >= '1' && d <= '9':
			group = int(d - '0')
		case d == '&':
			group = 0
		case d == '\\':
			b.WriteByte('\\')
			continue
		default:
			b.WriteByte('\\')
			b.WriteByte(d)
			continue
		}
		if 2*group+1 < len(at) && at[2*group] >= 0 {
			b.WriteString(s[at[2*group]:at[2*group+1]])
		}
	}
}

// groups gives a match as text[]: its groups, or the whole if there are none.
func groups(s string, at []int) types.Value {
	if len(at) == 2 {
		return types.NewArray(types.TextOID, []types.Value{types.Text(s[at[0]:at[1]])})
	}
	var out []types.Value
	for i := 2; i < len(at); i += 2 {
		v := types.Null
		if at[i] >= 0 {
			v = types.Text(s[at[i]:at[i+1]])
		}
		out = append(out, v)
	}
	return types.NewArray(types.TextOID, out)
}

func regexpMatch(_ *Context, a []types.Value) (types.Value, error) {
	flags := flagsOf(a, 2)
	if strings.Contains(flags, "g") {
		return types.Null, types.Errorf("22023", "regexp_match() does not support the \"global\" option").
			WithHint("Use the regexp_matches function instead.")
	}
	re, err := compileRegexp(a[1].AsText(), flags)
	if err != nil {
		return types.Null, err
	}
	at := re.FindStringSubmatchIndex(a[0].AsText())
	if at == nil {
		return types.Null, nil
	}
	return groups(a[0].AsText(), at), nil
}

// regexpPieces splits s at the matches; an empty match at either end of s splits nothing.
func regexpPieces(a []types.Value, function string) ([]string, error) {
	flags := flagsOf(a, 2)
	if err := noGlobal(function, flags); err != nil {
		return nil, err
	}
	re, err := compileRegexp(a[1].AsText(), flags)
	if err != nil {
		return nil, err
	}
	s, last := a[0].AsText(), 0
	var out []string
	for _, at := range re.FindAllStringIndex(s, -1) {
		if at[0] == at[1] && (at[0] == last || at[0] == len(s)) {
			continue
		}
		out = append(out, s[last:at[0]])
		last = at[1]
	}
	return append(out, s[last:]), nil
}

func textArray(parts []string) types.Value {
	out := make([]types.Value, len(parts))
	for i, p := range parts {
		out[i] = types.Text(p)
	}
	return types.NewArray(types.TextOID, out)
}

func regexpSplitArray(_ *Context, a []types.Value) (types.Value, error) {
	parts, err := regexpPieces(a, "regexp_split_to_array()")
	if err != nil {
		return types.Null, err
	}
	return textArray(parts), nil
}

// regexpSubstring gives the first group of the first match, or the match; NULL without one.
func regexpSubstring(s, pattern string) (types.Value, error) {
	re, err := compileRegexp(pattern, "")
	if err != nil {
		return types.Null, err
	}
	at := re.FindStringSubmatchIndex(s)
	switch {
	case at == nil, len(at) > 2 && at[2] < 0:
		return types.Null, nil
	case len(at) > 2:
		return types.Text(s[at[2]:at[3]]), nil
	}
	return types.Text(s[at[0]:at[1]]), nil
}

func regexpSubstr(s, pattern string) (types.Value, error) {
	re, err := compileRegexp(pattern, "")
	if err != nil {
		return types.Null, err
	}
	at := re.FindStringIndex(s)
	if at == nil {
		return types.Null, nil
	}
	return types.Text(s[at[0]:at[1]]), nil
}
