package types

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/cockroachdb/apd/v3"
)

// maxJSONDepth bounds the nesting of JSON, so that no input exhausts the stack.
const maxJSONDepth = 4000

// JSONKind is the kind of a JSON value, in the order in which jsonb sorts them.
type JSONKind byte

// Kinds of JSON values.
const (
	JSONNull JSONKind = iota
	JSONString
	JSONNumber
	JSONBool
	JSONArray
	JSONObject
)

// JSON is a parsed JSON value. Objects have unique keys, sorted by length, then bytes.
type JSON struct {
	Kind  JSONKind
	Bool  bool
	Str   string
	Num   *apd.Decimal
	Elems []JSON   // of an array, or the values of an object
	Keys  []string // of an object, beside Elems
	Raw   string   // the text it was read from, if ParseJSONText read it
}

// String names the kind as jsonb_typeof does.
func (k JSONKind) String() string {
	return [...]string{"null", "string", "number", "boolean", "array", "object"}[k]
}

// ParseJSON reads JSON text; 22P02 if it is not JSON, 54001 if it nests too deep,
// 22P05 for a zero character, which jsonb cannot hold.
func ParseJSON(s string) (JSON, error) {
	p := jsonParser{s: s, build: true}
	return p.document()
}

// ParseJSONText is ParseJSON for type json, which keeps its text: objects keep the
// order of their keys and duplicates, and every value its own text in Raw.
func ParseJSONText(s string) (JSON, error) {
	p := jsonParser{s: s, build: true, verbatim: true}
	return p.document()
}

// ValidateJSON checks JSON text, which type json keeps as it is written.
func ValidateJSON(s string) error {
	if err := CheckUTF8(s); err != nil {
		return err
	}
	p := jsonParser{s: s}
	_, err := p.document()
	return err
}

// NormalizeJSON makes a jsonb value of JSON text: white space, key order and
// duplicate keys (the last wins) are not kept.
func NormalizeJSON(s string) (Value, error) {
	if err := CheckUTF8(s); err != nil {
		return Null, err
	}
	j, err := ParseJSON(s)
	if err != nil {
		return Null, err
	}
	return j.Value(), nil
}

// Value makes the jsonb value of j.
func (j JSON) Value() Value { return JSONB(string(j.Append(nil))) }

// Append prints j as jsonb's output function does.
func (j JSON) Append(dst []byte) []byte {
	switch j.Kind {
	case JSONNull:
		return append(dst, "null"...)
	case JSONString:
		return AppendJSONString(dst, j.Str)
	case JSONNumber:
		return AppendNumeric(dst, j.Num)
	case JSONBool:
		return strconv.AppendBool(dst, j.Bool)
	}
	open, end := byte('['), byte(']')
	if j.Kind == JSONObject {
		open, end = '{', '}'
	}
	dst = append(dst, open)
	for i, e := range j.Elems {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		if j.Kind == JSONObject {
			dst = append(AppendJSONString(dst, j.Keys[i]), ": "...)
		}
		dst = e.Append(dst)
	}
	return append(dst, end)
}

// AppendJSONString prints s as a JSON string.
func AppendJSONString(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			if c < 0x20 {
				dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
			} else {
				dst = append(dst, c)
			}
		}
	}
	return append(dst, '"')
}

// NewJSONObject makes an object; of equal keys the last wins. It reorders its arguments.
func NewJSONObject(keys []string, elems []JSON) JSON {
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return compareJSONKeys(keys[a], keys[b]) })
	out := JSON{Kind: JSONObject, Keys: make([]string, 0, len(keys)), Elems: make([]JSON, 0, len(keys))}
	for _, i := range order {
		if n := len(out.Keys); n > 0 && out.Keys[n-1] == keys[i] {
			out.Elems[n-1] = elems[i]
			continue
		}
		out.Keys, out.Elems = append(out.Keys, keys[i]), append(out.Elems, elems[i])
	}
	return out
}

// compareJSONKeys orders keys as jsonb stores them: by length, then bytes.
func compareJSONKeys(a, b string) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return cmp.Compare(a, b)
}

// Field finds a key of an object.
func (j JSON) Field(key string) (JSON, bool) {
	if i, ok := slices.BinarySearchFunc(j.Keys, key, compareJSONKeys); ok && j.Kind == JSONObject {
		return j.Elems[i], true
	}
	return JSON{}, false
}

// CompareJSON is the b-tree order of jsonb: object > array > bool > number > string >
// null, more members after fewer; an empty array at the top comes first of all.
func CompareJSON(a, b JSON) int {
	aEmpty, bEmpty := a.Kind == JSONArray && len(a.Elems) == 0, b.Kind == JSONArray && len(b.Elems) == 0
	if aEmpty != bEmpty && a.Kind != JSONObject && b.Kind != JSONObject {
		if aEmpty {
			return -1
		}
		return 1
	}
	return compareJSONNested(a, b)
}

func compareJSONNested(a, b JSON) int {
	if c := cmp.Compare(a.Kind, b.Kind); c != 0 {
		return c
	}
	switch a.Kind {
	case JSONString:
		return cmp.Compare(a.Str, b.Str)
	case JSONNumber:
		return compareNumerics(a.Num, b.Num)
	case JSONBool:
		return compareBools(a.Bool, b.Bool)
	case JSONArray, JSONObject:
		if c := cmp.Compare(len(a.Elems), len(b.Elems)); c != 0 {
			return c
		}
		for i := range a.Elems {
			if a.Kind == JSONObject {
				if c := cmp.Compare(a.Keys[i], b.Keys[i]); c != 0 {
					return c
				}
			}
			if c := compareJSONNested(a.Elems[i], b.Elems[i]); c != 0 {
				return c
			}
		}
	}
	return 0
}

// mustJSON parses the text of a jsonb value, which is JSON by construction; a
// damaged one sorts as a string.
func mustJSON(s string) JSON {
	j, err := ParseJSON(s)
	if err != nil {
		return JSON{Kind: JSONString, Str: s}
	}
	return j
}

// jsonParser is a recursive-descent parser. build makes the tree (and applies
// jsonb's limits); without it the text is only checked.
type jsonParser struct {
	s     string
	i     int
	depth int
	build bool
	// verbatim keeps key order, duplicates and each value's text
	verbatim bool
}

func (p *jsonParser) document() (JSON, error) {
	j, err := p.value()
	if err != nil {
		return JSON{}, err
	}
	if p.skip(); p.i < len(p.s) {
		return JSON{}, p.unexpected("end of input")
	}
	return j, nil
}

func (p *jsonParser) skip() {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\t' || p.s[p.i] == '\n' || p.s[p.i] == '\r') {
		p.i++
	}
}

func (p *jsonParser) bad(detail string) error {
	line := 1 + strings.Count(p.s[:p.i], "\n")
	start := strings.LastIndexByte(p.s[:p.i], '\n') + 1
	e := Errorf("22P02", "invalid input syntax for type json").WithDetail("%s", detail)
	e.Where = "JSON data, line " + strconv.Itoa(line) + ": " + p.s[start:p.i]
	return e
}

// unexpected reports the token at the current place; wanted is "" where a value should stand.
func (p *jsonParser) unexpected(wanted string) error {
	if p.i >= len(p.s) {
		return p.bad("The input string ended unexpectedly.")
	}
	end := p.i + 1
	if c := p.s[p.i]; isAlpha(c) || isDigit(c) || c == '_' || c == '-' {
		end = spanOf(p.s, p.i, func(c byte) bool { return isAlpha(c) || isDigit(c) || strings.IndexByte("_-.+$", c) >= 0 })
	} else if c == '"' {
		if close := strings.IndexByte(p.s[end:], '"'); close >= 0 {
			end += close + 1
		}
	}
	token := p.s[p.i:end]
	p.i = end
	known := token == "true" || token == "false" || token == "null" || strings.IndexByte(`{}[]:,"-0123456789`, token[0]) >= 0
	switch {
	case !known:
		return p.bad("Token \"" + token + "\" is invalid.")
	case wanted == "":
		return p.bad("Expected JSON value, but found \"" + token + "\".")
	}
	return p.bad("Expected " + wanted + ", but found \"" + token + "\".")
}

func (p *jsonParser) value() (JSON, error) {
	p.skip()
	start := p.i
	j, err := p.anyValue()
	if p.verbatim && err == nil {
		j.Raw = p.s[start:p.i]
	}
	return j, err
}

func (p *jsonParser) anyValue() (JSON, error) {
	if p.i == len(p.s) {
		return JSON{}, p.unexpected("")
	}
	switch c := p.s[p.i]; {
	case c == '{':
		return p.nested(p.object)
	case c == '[':
		return p.nested(p.array)
	case c == '"':
		s, err := p.str()
		return JSON{Kind: JSONString, Str: s}, err
	case c == '-' || isDigit(c):
		return p.number()
	}
	for word, j := range jsonWords {
		if strings.HasPrefix(p.s[p.i:], word) {
			end := p.i + len(word)
			if end < len(p.s) && (isAlpha(p.s[end]) || isDigit(p.s[end]) || p.s[end] == '_') {
				break
			}
			p.i = end
			return j, nil
		}
	}
	return JSON{}, p.unexpected("")
}

var jsonWords = map[string]JSON{"true": {Kind: JSONBool, Bool: true}, "false": {Kind: JSONBool}, "null": {Kind: JSONNull}}

func (p *jsonParser) nested(inner func() (JSON, error)) (JSON, error) {
	if p.depth++; p.depth > maxJSONDepth {
		return JSON{}, Errorf("54001", "stack depth limit exceeded").
			WithHint("JSON may nest %d levels deep.", maxJSONDepth)
	}
	p.i++
	j, err := inner()
	p.depth--
	return j, err
}

func (p *jsonParser) array() (JSON, error) {
	j := JSON{Kind: JSONArray}
	if p.skip(); p.i < len(p.s) && p.s[p.i] == ']' {
		p.i++
		return j, nil
	}
	for {
		e, err := p.value()
		if err != nil {
			return JSON{}, err
		}
		if p.build {
			j.Elems = append(j.Elems, e)
		}
		p.skip()
		if p.i == len(p.s) || p.s[p.i] != ',' && p.s[p.i] != ']' {
			return JSON{}, p.unexpected("\",\" or \"]\"")
		}
		p.i++
		if p.s[p.i-1] == ']' {
			return j, nil
		}
	}
}

func (p *jsonParser) object() (JSON, error) {
	var keys []string
	var elems []JSON
	if p.skip(); p.i < len(p.s) && p.s[p.i] == '}' {
		p.i++
		return JSON{Kind: JSONObject}, nil
	}
	for {
		p.skip()
		if p.i == len(p.s) || p.s[p.i] != '"' {
			if len(keys) == 0 {
				return JSON{}, p.unexpected("string or \"}\"")
			}
			return JSON{}, p.unexpected("string")
		}
		key, err := p.str()
		if err != nil {
			return JSON{}, err
		}
		if p.skip(); p.i == len(p.s) || p.s[p.i] != ':' {
			return JSON{}, p.unexpected("\":\"")
		}
		p.i++
		e, err := p.value()
		if err != nil {
			return JSON{}, err
		}
		if p.build {
			elems = append(elems, e)
		}
		keys = append(keys, key)
		p.skip()
		if p.i == len(p.s) || p.s[p.i] != ',' && p.s[p.i] != '}' {
			return JSON{}, p.unexpected("\",\" or \"}\"")
		}
		p.i++
		if p.s[p.i-1] == '}' {
			break
		}
	}
	if !p.build {
		return JSON{Kind: JSONObject}, nil
	}
	if p.verbatim {
		return JSON{Kind: JSONObject, Keys: keys, Elems: elems}, nil
	}
	return NewJSONObject(keys, elems), nil
}

func (p *jsonParser) number() (JSON, error) {
	start := p.i
	if p.s[p.i] == '-' {
		p.i++
	}
	whole := p.i
	p.i = digitsEnd(p.s, p.i)
	ok := p.i == whole+1 || p.i > whole && p.s[whole] != '0'
	if p.i < len(p.s) && p.s[p.i] == '.' {
		from := p.i + 1
		p.i = digitsEnd(p.s, from)
		ok = ok && p.i > from
	}
	if p.i < len(p.s) && (p.s[p.i] == 'e' || p.s[p.i] == 'E') {
		from := p.i + 1
		if from < len(p.s) && (p.s[from] == '+' || p.s[from] == '-') {
			from++
		}
		p.i = digitsEnd(p.s, from)
		ok = ok && p.i > from
	}
	if end := spanOf(p.s, p.i, func(c byte) bool { return isAlpha(c) || isDigit(c) || c == '_' }); end > p.i || !ok {
		p.i = end
		return JSON{}, p.bad("Token \"" + p.s[start:p.i] + "\" is invalid.")
	}
	if !p.build {
		return JSON{Kind: JSONNumber}, nil
	}
	if p.verbatim {
		return JSON{Kind: JSONNumber}, nil
	}
	v, err := ParseNumeric(p.s[start:p.i])
	if err != nil {
		return JSON{}, err
	}
	return JSON{Kind: JSONNumber, Num: v.AsNumeric()}, nil
}

// str reads a string; its value is only made when building.
func (p *jsonParser) str() (string, error) {
	p.i++
	start, plain := p.i, true
	for ; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '"':
			text := p.s[start:p.i]
			p.i++
			if plain || !p.build {
				return text, nil
			}
			return p.unescape(text)
		case c == '\\':
			plain = false
			if err := p.escape(); err != nil {
				return "", err
			}
		case c < 0x20:
			return "", p.bad("Character with value 0x" + strconv.FormatInt(int64(c)+0x100, 16)[1:] + " must be escaped.")
		}
	}
	return "", p.bad("Token \"" + p.s[start-1:] + "\" is invalid.")
}

// escape checks the escape sequence at p.i and steps onto its last byte.
func (p *jsonParser) escape() error {
	if p.i++; p.i == len(p.s) {
		return p.bad("The input string ended unexpectedly.")
	}
	c := p.s[p.i]
	if strings.IndexByte(`"\/bfnrt`, c) >= 0 {
		return nil
	}
	if c != 'u' {
		_, size := utf8.DecodeRuneInString(p.s[p.i:])
		return p.bad("Escape sequence \"\\" + p.s[p.i:p.i+size] + "\" is invalid.")
	}
	for range 4 {
		if p.i++; p.i == len(p.s) {
			return p.bad("The input string ended unexpectedly.")
		}
		if _, ok := hexDigit(p.s[p.i]); !ok {
			return p.bad("\"\\u\" must be followed by four hexadecimal digits.")
		}
	}
	return nil
}

var jsonEscapes = map[byte]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unescape resolves the (already checked) escapes of a string.
func (p *jsonParser) unescape(text string) (string, error) {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			out = append(out, text[i])
			continue
		}
		i++
		if text[i] != 'u' {
			c := text[i]
			if e, ok := jsonEscapes[c]; ok {
				c = e
			}
			out = append(out, c)
			continue
		}
		r := hexRune(text[i+1 : i+5])
		i += 4
		if utf16.IsSurrogate(r) {
			low := rune(0)
			if strings.HasPrefix(text[i+1:], `\u`) && len(text) >= i+7 {
				low = hexRune(text[i+3 : i+7])
			}
			pair := utf16.DecodeRune(r, low)
			if pair == utf8.RuneError {
				return "", p.bad("Unicode low surrogate must follow a high surrogate.")
			}
			r = pair
			i += 6
		}
		if r == 0 {
			return "", Errorf("22P05", "unsupported Unicode escape sequence").WithDetail("\\u0000 cannot be converted to text.")
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out), nil
}

func hexRune(digits string) rune {
	n, _ := strconv.ParseUint(digits, 16, 32)
	return rune(n)
}
