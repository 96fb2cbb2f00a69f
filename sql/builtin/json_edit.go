package builtin

import (
	"slices"
	"strconv"
	"strings"

	"github.com/heliosdb/helios/types"
)

func jsonEditFuncs() map[string]evalFunc {
	return map[string]evalFunc{
		"jsonb_concat": func(_ *Context, a []types.Value) (types.Value, error) {
			x, err := parseJSON(a[0])
			if err != nil {
				return types.Null, err
			}
			y, err := parseJSON(a[1])
			if err != nil {
				return types.Null, err
			}
			return concatJSON(x, y)
		},
		"jsonb_delete(jsonb,text)":  jsonDeleteKeys(func(a types.Value) []types.Value { return []types.Value{a} }),
		"jsonb_delete(jsonb,_text)": jsonDeleteKeys(func(a types.Value) []types.Value { return a.AsArray().Elems }),
		"jsonb_delete(jsonb,int4)":  jsonDeleteIndex,
		"jsonb_delete_path": func(_ *Context, a []types.Value) (types.Value, error) {
			return editJSON(a[0], a[1], jsonEdit{remove: true})
		},
		"jsonb_set": func(_ *Context, a []types.Value) (types.Value, error) {
			next, err := parseJSON(a[2])
			if err != nil {
				return types.Null, err
			}
			return editJSON(a[0], a[1], jsonEdit{next: next, replace: true, create: a[3].AsBool()})
		},
		"jsonb_insert": func(_ *Context, a []types.Value) (types.Value, error) {
			next, err := parseJSON(a[2])
			if err != nil {
				return types.Null, err
			}
			return editJSON(a[0], a[1], jsonEdit{next: next, create: true, after: a[3].AsBool()})
		},
		"json_object(_text)": jsonObjectOf(false), "jsonb_object(_text)": jsonObjectOf(true),
		"json_object(_text,_text)": jsonObjectPairs(false), "jsonb_object(_text,_text)": jsonObjectPairs(true),
	}
}

func jsonBuildFuncs() map[string]evalFunc {
	return map[string]evalFunc{
		"json_build_array()": constant(types.Text("[]")), "jsonb_build_array()": constant(types.JSONB("[]")),
		"json_build_object()": constant(types.Text("{}")), "jsonb_build_object()": constant(types.JSONB("{}")),
	}
}

func concatJSON(x, y types.JSON) (types.Value, error) {
	if x.Kind == types.JSONObject && y.Kind == types.JSONObject {
		return types.NewJSONObject(slices.Concat(x.Keys, y.Keys), slices.Concat(x.Elems, y.Elems)).Value(), nil
	}
	list := func(j types.JSON) []types.JSON {
		if j.Kind == types.JSONArray {
			return j.Elems
		}
		return []types.JSON{j}
	}
	return types.JSON{Kind: types.JSONArray, Elems: slices.Concat(list(x), list(y))}.Value(), nil
}

func jsonDeleteKeys(keys func(types.Value) []types.Value) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		j, err := parseJSON(a[0])
		if err != nil {
			return types.Null, err
		}
		if j.Kind != types.JSONObject && j.Kind != types.JSONArray {
			return types.Null, errDeleteScalar
		}
		out := types.JSON{Kind: j.Kind}
		for i, e := range j.Elems {
			name, named := e.Str, e.Kind == types.JSONString
			if j.Kind == types.JSONObject {
				name, named = j.Keys[i], true
			}
			if named && slices.ContainsFunc(keys(a[1]), func(k types.Value) bool { return !k.IsNull() && k.AsText() == name }) {
				continue
			}
			if j.Kind == types.JSONObject {
				out.Keys = append(out.Keys, name)
			}
			out.Elems = append(out.Elems, e)
		}
		return out.Value(), nil
	}
}

var errDeleteScalar = types.Errorf("22023", "cannot delete from scalar")

func jsonDeleteIndex(_ *Context, a []types.Value) (types.Value, error) {
	j, err := parseJSON(a[0])
	switch {
	case err != nil:
		return types.Null, err
	case j.Kind == types.JSONObject:
		return types.Null, types.Errorf("22023", "cannot delete from object using integer index")
	case j.Kind != types.JSONArray:
		return types.Null, errDeleteScalar
	}
	i := a[1].AsInt()
	if i < 0 {
		i += int64(len(j.Elems))
	}
	if i >= 0 && i < int64(len(j.Elems)) {
		j.Elems = slices.Delete(slices.Clone(j.Elems), int(i), int(i)+1)
	}
	return j.Value(), nil
}

// jsonEdit is what happens at the end of a path: the value there is removed, replaced,
// or next is put before or after it.
type jsonEdit struct {
	next                           types.JSON
	remove, replace, create, after bool
}

func editJSON(doc, path types.Value, e jsonEdit) (types.Value, error) {
	j, err := parseJSON(doc)
	if err != nil {
		return types.Null, err
	}
	steps := path.AsArray().Elems
	if len(path.AsArray().Dims) > 1 {
		return types.Null, types.Errorf("2202E", "wrong number of array subscripts")
	}
	if j.Kind != types.JSONObject && j.Kind != types.JSONArray {
		if e.remove {
			return types.Null, types.Errorf("22023", "cannot delete path in scalar")
		}
		return types.Null, types.Errorf("22023", "cannot set path in scalar")
	}
	if len(steps) == 0 {
		return doc, nil
	}
	out, err := e.apply(j, steps, 1)
	if err != nil {
		return types.Null, err
	}
	return out.Value(), nil
}

func (e jsonEdit) apply(j types.JSON, steps []types.Value, at int) (types.JSON, error) {
	if steps[0].IsNull() {
		return j, types.Errorf("22004", "path element at position %d is null", at)
	}
	switch j.Kind {
	case types.JSONObject:
		return e.inObject(j, steps, at)
	case types.JSONArray:
		return e.inArray(j, steps, at)
	}
	return j, nil
}

func (e jsonEdit) inObject(j types.JSON, steps []types.Value, at int) (types.JSON, error) {
	key, last := steps[0].AsText(), len(steps) == 1
	i := slices.Index(j.Keys, key)
	out := types.JSON{Kind: j.Kind, Keys: slices.Clone(j.Keys), Elems: slices.Clone(j.Elems)}
	switch {
	case i < 0 && last && e.create && !e.remove:
		return types.NewJSONObject(append(out.Keys, key), append(out.Elems, e.next)), nil
	case i < 0:
		return j, nil
	case !last:
		inner, err := e.apply(j.Elems[i], steps[1:], at+1)
		out.Elems[i] = inner
		return out, err
	case e.remove:
		out.Keys, out.Elems = slices.Delete(out.Keys, i, i+1), slices.Delete(out.Elems, i, i+1)
	case e.replace:
		out.Elems[i] = e.next
	default:
		return j, types.Errorf("22023", "cannot replace existing key").
			WithHint("Try using the function jsonb_set to replace key value.")
	}
	return out, nil
}

func (e jsonEdit) inArray(j types.JSON, steps []types.Value, at int) (types.JSON, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(steps[0].AsText()), 10, 32)
	if err != nil {
		return j, types.Errorf("22P02", "path element at position %d is not an integer: \"%s\"", at, steps[0].AsText())
	}
	size, last := int64(len(j.Elems)), len(steps) == 1
	below := false
	if n < 0 {
		n += size
		below = n < 0
	}
	out := types.JSON{Kind: j.Kind, Elems: slices.Clone(j.Elems)}
	if below || n >= size {
		if !last || e.remove || !e.create {
			return j, nil
		}
		end := len(out.Elems)
		if below {
			end = 0
		}
		out.Elems = slices.Insert(out.Elems, end, e.next)
		return out, nil
	}
	i := int(n)
	switch {
	case !last:
		out.Elems[i], err = e.apply(j.Elems[i], steps[1:], at+1)
		return out, err
	case e.remove:
		out.Elems = slices.Delete(out.Elems, i, i+1)
	case e.replace:
		out.Elems[i] = e.next
	case e.after:
		out.Elems = slices.Insert(out.Elems, i+1, e.next)
	default:
		out.Elems = slices.Insert(out.Elems, i, e.next)
	}
	return out, nil
}

// jsonPairs prints keys and values as an object of strings.
func jsonPairs(keys, values []types.Value, binary bool) (types.Value, error) {
	out := []byte{'{'}
	for i, k := range keys {
		if k.IsNull() {
			return types.Null, types.Errorf("22004", "null value not allowed for object key")
		}
		if i > 0 {
			out = append(out, ", "...)
		}
		out = append(types.AppendJSONString(out, k.AsText()), " : "...)
		if values[i].IsNull() {
			out = append(out, "null"...)
		} else {
			out = types.AppendJSONString(out, values[i].AsText())
		}
	}
	return jsonResult(append(out, '}'), binary)
}

func jsonObjectOf(binary bool) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		array := a[0].AsArray()
		switch {
		case len(array.Dims) == 2 && array.Dims[1] != 2:
			return types.Null, types.Errorf("2202E", "array must have two columns")
		case len(array.Dims) > 2:
			return types.Null, types.Errorf("2202E", "wrong number of array subscripts")
		case len(array.Elems)%2 != 0:
			return types.Null, types.Errorf("2202E", "array must have even number of elements")
		}
		var keys, values []types.Value
		for i := 0; i < len(array.Elems); i += 2 {
			keys, values = append(keys, array.Elems[i]), append(values, array.Elems[i+1])
		}
		return jsonPairs(keys, values, binary)
	}
}

func jsonObjectPairs(binary bool) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		keys, values := a[0].AsArray(), a[1].AsArray()
		if len(keys.Dims) > 1 || len(values.Dims) > 1 {
			return types.Null, types.Errorf("2202E", "wrong number of array subscripts")
		}
		if len(keys.Elems) != len(values.Elems) {
			return types.Null, types.Errorf("2202E", "mismatched array dimensions")
		}
		return jsonPairs(keys.Elems, values.Elems, binary)
	}
}
