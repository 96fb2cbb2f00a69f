package builtin

import (
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/heliosdb/helios/types"
)

// document is a parsed json (text kept) or jsonb (normalised) value.
type document struct {
	types.JSON
	binary bool
}

func openJSON(v types.Value) (document, error) {
	if v.Kind() == types.KindJSONB {
		j, err := types.ParseJSON(v.AsText())
		return document{j, true}, err
	}
	j, err := types.ParseJSONText(v.AsText())
	return document{j, false}, err
}

func (d document) with(j types.JSON) document { return document{j, d.binary} }

// value gives the document as json or jsonb, as it was opened.
func (d document) value() types.Value {
	if d.binary {
		return d.Value()
	}
	return types.Text(d.Raw)
}

// text gives a string's own text, NULL for null, JSON text for all else.
func (d document) text() types.Value {
	switch {
	case d.Kind == types.JSONNull:
		return types.Null
	case d.Kind == types.JSONString:
		return types.Text(d.Str)
	}
	return types.Text(d.value().AsText())
}

func (d document) field(key string) (document, bool) {
	if d.binary {
		j, ok := d.Field(key)
		return d.with(j), ok
	}
	if d.Kind == types.JSONObject {
		for i := len(d.Keys) - 1; i >= 0; i-- {
			if d.Keys[i] == key {
				return d.with(d.Elems[i]), true
			}
		}
	}
	return document{}, false
}

// element gives the member of an array at i, counted from the end when negative.
func (d document) element(i int64) (document, bool) {
	if d.Kind != types.JSONArray {
		return document{}, false
	}
	if i < 0 {
		i += int64(len(d.Elems))
	}
	if i < 0 || i >= int64(len(d.Elems)) {
		return document{}, false
	}
	return d.with(d.Elems[i]), true
}

// path follows keys and indexes.
func (d document) path(steps []types.Value) (document, bool) {
	ok := true
	for _, step := range steps {
		if step.IsNull() {
			return document{}, false
		}
		if d.Kind == types.JSONArray {
			i, err := strconv.ParseInt(strings.TrimSpace(step.AsText()), 10, 32)
			if err != nil {
				return document{}, false
			}
			d, ok = d.element(i)
		} else {
			d, ok = d.field(step.AsText())
		}
		if !ok {
			return document{}, false
		}
	}
	return d, true
}

func jsonFuncs() map[string]evalFunc {
	m := make(map[string]evalFunc)
	get := func(pick func(d document, a types.Value) (document, bool), text bool) evalFunc {
		return func(_ *Context, a []types.Value) (types.Value, error) {
			d, err := openJSON(a[0])
			if err != nil {
				return types.Null, err
			}
			found, ok := pick(d, a[1])
			switch {
			case !ok:
				return types.Null, nil
			case text:
				return found.text(), nil
			}
			return found.value(), nil
		}
	}
	field := func(d document, a types.Value) (document, bool) { return d.field(a.AsText()) }
	element := func(d document, a types.Value) (document, bool) { return d.element(a.AsInt()) }
	path := func(d document, a types.Value) (document, bool) { return d.path(a.AsArray().Elems) }
	for _, kind := range []string{"json", "jsonb"} {
		m[kind+"_object_field"], m[kind+"_object_field_text"] = get(field, false), get(field, true)
		m[kind+"_array_element"], m[kind+"_array_element_text"] = get(element, false), get(element, true)
		m[kind+"_extract_path"], m[kind+"_extract_path_text"] = get(path, false), get(path, true)
		m[kind+"_typeof"] = func(_ *Context, a []types.Value) (types.Value, error) {
			d, err := openJSON(a[0])
			return types.Text(d.Kind.String()), err
		}
		m[kind+"_array_length"] = jsonArrayLength
		m[kind+"_strip_nulls"] = jsonStripNulls
	}
	m["jsonb_exists"] = jsonHas(func(has func(types.Value) bool, keys types.Value) bool { return has(keys) })
	m["jsonb_exists_any"] = jsonHas(func(has func(types.Value) bool, keys types.Value) bool {
		return slices.ContainsFunc(keys.AsArray().Elems, has)
	})
	m["jsonb_exists_all"] = jsonHas(func(has func(types.Value) bool, keys types.Value) bool {
		return !slices.ContainsFunc(keys.AsArray().Elems, func(v types.Value) bool { return !v.IsNull() && !has(v) })
	})
	m["jsonb_contains"] = jsonContains(false)
	m["jsonb_contained"] = jsonContains(true)
	m["jsonb_pretty"] = func(_ *Context, a []types.Value) (types.Value, error) {
		j, err := parseJSON(a[0])
		return types.Text(string(prettyJSON(nil, j, 0))), err
	}
	return m
}

func jsonArrayLength(_ *Context, a []types.Value) (types.Value, error) {
	d, err := openJSON(a[0])
	switch {
	case err != nil:
		return types.Null, err
	case d.Kind == types.JSONObject:
		return types.Null, types.Errorf("22023", "cannot get array length of a non-array")
	case d.Kind != types.JSONArray:
		return types.Null, types.Errorf("22023", "cannot get array length of a scalar")
	}
	return types.Int(int64(len(d.Elems))), nil
}

// jsonStripNulls drops object fields that are null, at every depth.
func jsonStripNulls(_ *Context, a []types.Value) (types.Value, error) {
	d, err := openJSON(a[0])
	if err != nil {
		return types.Null, err
	}
	if d.binary {
		return stripNulls(d.JSON).Value(), nil
	}
	return types.Text(string(stripNullsText(nil, d.JSON))), nil
}

func stripNulls(j types.JSON) types.JSON {
	out := j
	out.Keys, out.Elems = nil, nil
	for i, e := range j.Elems {
		if j.Kind == types.JSONObject {
			if e.Kind == types.JSONNull {
				continue
			}
			out.Keys = append(out.Keys, j.Keys[i])
		}
		out.Elems = append(out.Elems, stripNulls(e))
	}
	return out
}

func stripNullsText(dst []byte, j types.JSON) []byte {
	if j.Kind != types.JSONArray && j.Kind != types.JSONObject {
		return append(dst, j.Raw...)
	}
	brackets := "[]"
	if j.Kind == types.JSONObject {
		brackets = "{}"
	}
	dst = append(dst, brackets[0])
	start := len(dst)
	for i, e := range j.Elems {
		if j.Kind == types.JSONObject && e.Kind == types.JSONNull {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		if j.Kind == types.JSONObject {
			dst = append(types.AppendJSONString(dst, j.Keys[i]), ':')
		}
		dst = stripNullsText(dst, e)
	}
	return append(dst, brackets[1])
}

// jsonHas tests for keys of an object, strings in an array, or a string itself.
func jsonHas(test func(has func(types.Value) bool, keys types.Value) bool) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		j, err := parseJSON(a[0])
		if err != nil {
			return types.Null, err
		}
		has := func(key types.Value) bool {
			if key.IsNull() {
				return false
			}
			switch j.Kind {
			case types.JSONObject:
				_, ok := j.Field(key.AsText())
				return ok
			case types.JSONArray:
				return slices.ContainsFunc(j.Elems, func(e types.JSON) bool {
					return e.Kind == types.JSONString && e.Str == key.AsText()
				})
			}
			return j.Kind == types.JSONString && j.Str == key.AsText()
		}
		return types.Bool(test(has, a[1])), nil
	}
}

func jsonContains(swap bool) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		x, err := parseJSON(a[0])
		if err != nil {
			return types.Null, err
		}
		y, err := parseJSON(a[1])
		if err != nil {
			return types.Null, err
		}
		if swap {
			x, y = y, x
		}
		scalar := y.Kind != types.JSONArray && y.Kind != types.JSONObject
		if x.Kind == types.JSONArray && scalar { // an array contains a bare scalar, at the top only
			y = types.JSON{Kind: types.JSONArray, Elems: []types.JSON{y}}
		}
		return types.Bool(containsJSON(x, y)), nil
	}
}

func containsJSON(x, y types.JSON) bool {
	if x.Kind != y.Kind {
		return false
	}
	switch x.Kind {
	case types.JSONObject:
		for i, key := range y.Keys {
			if e, ok := x.Field(key); !ok || !containsJSON(e, y.Elems[i]) {
				return false
			}
		}
		return true
	case types.JSONArray:
		for _, want := range y.Elems {
			if !slices.ContainsFunc(x.Elems, func(e types.JSON) bool { return containsJSON(e, want) }) {
				return false
			}
		}
		return true
	}
	return types.CompareJSON(x, y) == 0
}

func prettyJSON(dst []byte, j types.JSON, depth int) []byte {
	if j.Kind != types.JSONArray && j.Kind != types.JSONObject {
		return j.Append(dst)
	}
	indent := func(n int) { dst = append(append(dst, '\n'), strings.Repeat("    ", n)...) }
	brackets := "[]"
	if j.Kind == types.JSONObject {
		brackets = "{}"
	}
	dst = append(dst, brackets[0])
	for i, e := range j.Elems {
		if i > 0 {
			dst = append(dst, ',')
		}
		indent(depth + 1)
		if j.Kind == types.JSONObject {
			dst = append(types.AppendJSONString(dst, j.Keys[i]), ": "...)
		}
		dst = prettyJSON(dst, e, depth+1)
	}
	indent(depth)
	return append(dst, brackets[1])
}

// jsonSetFuncs are the functions that open documents into rows.
func jsonSetFuncs() map[string]evalSetFunc {
	m := make(map[string]evalSetFunc)
	for _, kind := range []string{"json", "jsonb"} {
		m[kind+"_array_elements"] = jsonElements(document.value)
		m[kind+"_array_elements_text"] = jsonElements(document.text)
		m[kind+"_each"] = jsonEach(kind+"_each", document.value)
		m[kind+"_each_text"] = jsonEach(kind+"_each_text", document.text)
		m[kind+"_object_keys"] = jsonObjectKeys(kind + "_object_keys")
	}
	return m
}

func jsonElements(show func(document) types.Value) evalSetFunc {
	return func(_ *Context, a []types.Value) (iter.Seq2[types.Row, error], error) {
		d, err := openJSON(a[0])
		switch {
		case err != nil:
			return nil, err
		case d.Kind == types.JSONObject:
			return nil, types.Errorf("22023", "cannot extract elements from an object")
		case d.Kind != types.JSONArray:
			return nil, types.Errorf("22023", "cannot extract elements from a scalar")
		}
		return func(yield func(types.Row, error) bool) {
			for _, e := range d.Elems {
				if !yield(types.Row{show(d.with(e))}, nil) {
					return
				}
			}
		}, nil
	}
}

func notObject(function string, kind types.JSONKind) error {
	if kind == types.JSONArray {
		return types.Errorf("22023", "cannot call %s on an array", function)
	}
	return types.Errorf("22023", "cannot call %s on a non-object", function)
}

func jsonEach(function string, show func(document) types.Value) evalSetFunc {
	return func(_ *Context, a []types.Value) (iter.Seq2[types.Row, error], error) {
		d, err := openJSON(a[0])
		if err != nil {
			return nil, err
		}
		if d.Kind != types.JSONObject {
			return nil, types.Errorf("22023", "cannot call %s on a non-object", function)
		}
		return func(yield func(types.Row, error) bool) {
			for i, key := range d.Keys {
				if !yield(types.Row{types.Text(key), show(d.with(d.Elems[i]))}, nil) {
					return
				}
			}
		}, nil
	}
}

func jsonObjectKeys(function string) evalSetFunc {
	return func(_ *Context, a []types.Value) (iter.Seq2[types.Row, error], error) {
		d, err := openJSON(a[0])
		if err != nil {
			return nil, err
		}
		if d.Kind != types.JSONObject {
			if d.Kind != types.JSONArray {
				return nil, types.Errorf("22023", "cannot call %s on a scalar", function)
			}
			return nil, notObject(function, d.Kind)
		}
		return func(yield func(types.Row, error) bool) {
			for _, key := range d.Keys {
				if !yield(types.Row{types.Text(key)}, nil) {
					return
				}
			}
		}, nil
	}
}
