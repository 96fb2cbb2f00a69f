package types

import (
	"slices"
	"strconv"
	"strings"
)

// maxArrayDims is the most dimensions an array may have.
const maxArrayDims = 6

// maxArraySize is the most elements an array may have (PostgreSQL: MaxArraySize).
const maxArraySize = 134217727

// NewArray makes a one-dimensional array, empty if there are no elements.
func NewArray(elem OID, elems []Value) Value {
	a := &Array{Elem: elem, Elems: elems}
	if len(elems) > 0 {
		a.Dims, a.Lower = []int{len(elems)}, []int{1}
	}
	return ArrayValue(a)
}

// Size gives the number of elements.
func (a *Array) Size() int { return len(a.Elems) }

func appendArray(dst []byte, t Type, a *Array, s *Settings) []byte {
	if t.OID == Int2VectorOID || t.OID == OIDVectorOID {
		for i, e := range a.Elems {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = strconv.AppendInt(dst, e.n, 10)
		}
		return dst
	}
	if len(a.Elems) == 0 {
		return append(dst, "{}"...)
	}
	if slices.ContainsFunc(a.Lower, func(low int) bool { return low != 1 }) {
		for i, low := range a.Lower {
			dst = append(dst, '[')
			dst = strconv.AppendInt(dst, int64(low), 10)
			dst = append(dst, ':')
			dst = strconv.AppendInt(dst, int64(low+a.Dims[i]-1), 10)
			dst = append(dst, ']')
		}
		dst = append(dst, '=')
	}
	w := arrayWriter{dst: dst, elem: Type{a.Elem, t.Mod}, set: s, rest: a.Elems}
	w.level(a.Dims)
	return w.dst
}

type arrayWriter struct {
	dst, scratch []byte
	elem         Type
	set          *Settings
	rest         []Value
}

func (w *arrayWriter) level(dims []int) {
	w.dst = append(w.dst, '{')
	for i := range dims[0] {
		if i > 0 {
			w.dst = append(w.dst, ',')
		}
		if len(dims) > 1 {
			w.level(dims[1:])
			continue
		}
		w.element(w.rest[0])
		w.rest = w.rest[1:]
	}
	w.dst = append(w.dst, '}')
}

func (w *arrayWriter) element(v Value) {
	if v.IsNull() {
		w.dst = append(w.dst, "NULL"...)
		return
	}
	switch v.kind {
	case KindInt, KindBool, KindFloat, KindNumeric:
		if w.elem.OID != CharOID {
			w.dst = AppendText(w.dst, w.elem, v, w.set)
			return
		}
	}
	w.scratch = AppendText(w.scratch[:0], w.elem, v, w.set)
	if !arrayQuotes(w.scratch) {
		w.dst = append(w.dst, w.scratch...)
		return
	}
	w.dst = append(w.dst, '"')
	for _, c := range w.scratch {
		if c == '"' || c == '\\' {
			w.dst = append(w.dst, '\\')
		}
		w.dst = append(w.dst, c)
	}
	w.dst = append(w.dst, '"')
}

func arrayQuotes(text []byte) bool {
	if len(text) == 0 || len(text) == 4 && strings.EqualFold(string(text), "null") {
		return true
	}
	for _, c := range text {
		if isSpace(c) || strings.IndexByte(`"\{},`, c) >= 0 {
			return true
		}
	}
	return false
}

// arrayParser reads PostgreSQL's array text: {a,"b c",NULL}, nested for more
// dimensions, after optional bounds [low:high]… =.
type arrayParser struct {
	s     string
	i     int
	elem  Type
	set   *Settings
	array *Array
	dims  []int // -1 until the first sub-array of that depth is complete
}

func parseArray(t Type, s string, set *Settings) (Value, error) {
	elem := ElemOf(t.OID)
	p := &arrayParser{s: s, elem: Type{elem, t.Mod}, set: set, array: &Array{Elem: elem}}
	lower, dims, err := p.bounds()
	if err != nil {
		return Null, err
	}
	p.skip()
	if p.i == len(s) || s[p.i] != '{' {
		if len(dims) > 0 {
			return Null, p.bad("Array contents must start with \"{\".")
		}
		return Null, p.bad("Array value must start with \"{\" or dimension information.")
	}
	if _, err := p.level(0); err != nil {
		return Null, err
	}
	if p.skip(); p.i != len(s) {
		return Null, p.bad("Junk after closing right brace.")
	}
	if len(p.array.Elems) == 0 {
		return ArrayValue(p.array), nil
	}
	if dims != nil && !slices.Equal(dims, p.dims) {
		return Null, p.bad("Specified array dimensions do not match array contents.")
	}
	p.array.Dims, p.array.Lower = p.dims, lower
	if lower == nil {
		p.array.Lower = slices.Repeat([]int{1}, len(p.dims))
	}
	return ArrayValue(p.array), nil
}

func (p *arrayParser) skip() { p.i = spanOf(p.s, p.i, isSpace) }

func (p *arrayParser) bad(detail string) error {
	return Errorf("22P02", "malformed array literal: \"%s\"", p.s).WithDetail("%s", detail)
}

// bounds reads [low:high] or [high] for each dimension, then =.
func (p *arrayParser) bounds() (lower, dims []int, err error) {
	for p.skip(); p.i < len(p.s) && p.s[p.i] == '['; p.skip() {
		end := strings.IndexByte(p.s[p.i:], ']')
		if end < 0 {
			return nil, nil, p.bad("Missing \"]\" after array dimensions.")
		}
		first, second, both := strings.Cut(p.s[p.i+1:p.i+end], ":")
		p.i += end + 1
		if !both {
			first, second = "1", first
		}
		low, err1 := strconv.ParseInt(first, 10, 32)
		high, err2 := strconv.ParseInt(second, 10, 32)
		if err1 != nil || err2 != nil {
			return nil, nil, p.bad("\"[\" must introduce explicitly-specified array dimensions.")
		}
		if high < low {
			return nil, nil, Errorf("2202E", "upper bound cannot be less than lower bound")
		}
		if len(dims) == maxArrayDims {
			return nil, nil, errArrayDims(len(dims) + 1)
		}
		lower, dims = append(lower, int(low)), append(dims, int(high-low+1))
	}
	if dims == nil {
		return nil, nil, nil
	}
	if p.i == len(p.s) || p.s[p.i] != '=' {
		return nil, nil, p.bad("Missing \"=\" after array dimensions.")
	}
	p.i++
	return lower, dims, nil
}

func errArrayDims(n int) error {
	return Errorf("54000", "number of array dimensions (%d) exceeds the maximum allowed (%d)", n, maxArrayDims)
}

// level reads one brace pair at depth and gives its number of members.
func (p *arrayParser) level(depth int) (int, error) {
	if depth == maxArrayDims {
		return 0, errArrayDims(depth + 1)
	}
	if depth == len(p.dims) {
		p.dims = append(p.dims, -1)
	}
	p.i++
	for count := 0; ; count++ {
		p.skip()
		if p.i == len(p.s) {
			return 0, p.bad("Unexpected end of input.")
		}
		if p.s[p.i] == '}' && count == 0 && depth == 0 {
			p.i++
			return 0, p.close(depth, 0)
		}
		if err := p.member(depth); err != nil {
			return 0, err
		}
		p.skip()
		if p.i == len(p.s) {
			return 0, p.bad("Unexpected end of input.")
		}
		c := p.s[p.i]
		p.i++
		if c == '}' {
			return count + 1, p.close(depth, count+1)
		}
		if c != ',' {
			return 0, p.bad("Unexpected array element.")
		}
	}
}

// close checks that all sub-arrays of a depth have the same size.
func (p *arrayParser) close(depth, count int) error {
	if p.dims[depth] < 0 {
		p.dims[depth] = count
	}
	if p.dims[depth] != count {
		return p.bad("Multidimensional arrays must have sub-arrays with matching dimensions.")
	}
	return nil
}

func (p *arrayParser) member(depth int) error {
	last := depth == len(p.dims)-1
	switch p.s[p.i] {
	case '{':
		if last && p.dims[depth] >= 0 || last && len(p.array.Elems) > 0 {
			return p.bad("Unexpected \"{\" character.")
		}
		_, err := p.level(depth + 1)
		return err
	case '}', ',':
		return p.bad("Unexpected \"" + p.s[p.i:p.i+1] + "\" character.")
	}
	if !last {
		return p.bad("Unexpected array element.")
	}
	text, quoted, err := p.text()
	if err != nil {
		return err
	}
	if len(p.array.Elems) == maxArraySize {
		return Errorf("54000", "array size exceeds the maximum allowed (%d)", maxArraySize)
	}
	if !quoted && strings.EqualFold(text, "null") {
		p.array.Elems = append(p.array.Elems, Null)
		return nil
	}
	v, err := ParseText(p.elem, text, p.set)
	p.array.Elems = append(p.array.Elems, v)
	return err
}

// text reads one element, unescaped.
func (p *arrayParser) text() (text string, quoted bool, err error) {
	if p.s[p.i] == '"' {
		text, err = p.quotedText()
		return text, true, err
	}
	var out []byte
	keep := 0
	for p.i < len(p.s) {
		c := p.s[p.i]
		switch {
		case c == ',' || c == '}':
			return string(out[:keep]), quoted, nil
		case c == '{' || c == '"':
			return "", false, p.bad("Unexpected \"" + string(c) + "\" character.")
		case c == '\\':
			if p.i++; p.i == len(p.s) {
				return "", false, p.bad("Unexpected end of input.")
			}
			quoted = true
			out = append(out, p.s[p.i])
			keep = len(out)
		default:
			out = append(out, c)
			if !isSpace(c) {
				keep = len(out)
			}
		}
		p.i++
	}
	return "", false, p.bad("Unexpected end of input.")
}

func (p *arrayParser) quotedText() (string, error) {
	var out []byte
	for p.i++; p.i < len(p.s); p.i++ {
		switch p.s[p.i] {
		case '"':
			p.i++
			p.skip()
			if p.i < len(p.s) && p.s[p.i] != ',' && p.s[p.i] != '}' {
				return "", p.bad("Unexpected array element.")
			}
			return string(out), nil
		case '\\':
			if p.i++; p.i == len(p.s) {
				return "", p.bad("Unexpected end of input.")
			}
		}
		out = append(out, p.s[p.i])
	}
	return "", p.bad("Unexpected end of input.")
}
