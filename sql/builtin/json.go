package builtin

import (
	"strconv"
	"strings"

	"github.com/heliosdb/helios/types"
)

// jsonText gives a json or jsonb document.
func jsonText(v types.Value) string { return v.AsText() }

// parseJSON reads a json or jsonb value.
func parseJSON(v types.Value) (types.JSON, error) { return types.ParseJSON(jsonText(v)) }

// jsonOf gives the JSON text of a value of a type, as to_json does.
func (c *Context) jsonOf(dst []byte, oid types.OID, v types.Value) []byte {
	switch {
	case v.IsNull():
		return append(dst, "null"...)
	case oid == types.JSONOID || oid == types.JSONBOID:
		return append(dst, jsonText(v)...)
	}
	switch v.Kind() {
	case types.KindBool:
		if v.AsBool() {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case types.KindInt, types.KindFloat, types.KindNumeric:
		return c.jsonNumber(dst, oid, v)
	case types.KindArray:
		a := v.AsArray()
		if len(a.Elems) == 0 {
			return append(dst, "[]"...)
		}
		elems := a.Elems
		return c.jsonArray(dst, a.Elem, a.Dims, &elems)
	case types.KindRecord:
		return c.jsonRecord(dst, v)
	case types.KindTimestamp, types.KindDate:
		text := c.Output(types.T(oid), v)
		return types.AppendJSONString(dst, strings.Replace(text, " ", "T", 1))
	}
	return types.AppendJSONString(dst, c.Output(types.T(oid), v))
}

func (c *Context) jsonNumber(dst []byte, oid types.OID, v types.Value) []byte {
	text := c.Output(types.T(oid), v)
	if info := types.Lookup(oid); info == nil || info.Category != 'N' || text == "NaN" || strings.HasSuffix(text, "Infinity") {
		return types.AppendJSONString(dst, text)
	}
	if _, named := regClass(oid); named {
		return types.AppendJSONString(dst, text)
	}
	return append(dst, text...)
}

func (c *Context) jsonArray(dst []byte, elem types.OID, dims []int, rest *[]types.Value) []byte {
	dst = append(dst, '[')
	for i := range dims[0] {
		if i > 0 {
			dst = append(dst, ',')
		}
		if len(dims) > 1 {
			dst = c.jsonArray(dst, elem, dims[1:], rest)
			continue
		}
		dst = c.jsonOf(dst, elem, (*rest)[0])
		*rest = (*rest)[1:]
	}
	return append(dst, ']')
}

// jsonRecord gives the fields by name: f1, f2 … for an anonymous record.
func (c *Context) jsonRecord(dst []byte, v types.Value) []byte {
	fieldTypes, names := v.RecordTypes(), v.RecordNames()
	dst = append(dst, '{')
	for i, f := range v.AsRecord() {
		if i > 0 {
			dst = append(dst, ',')
		}
		name := "f" + strconv.Itoa(i+1)
		if i < len(names) {
			name = names[i]
		}
		dst = types.AppendJSONString(dst, name)
		dst = c.jsonOf(append(dst, ':'), fieldTypes[i].OID, f)
	}
	return append(dst, '}')
}

// result makes a json or, normalised, a jsonb value of JSON text.
func jsonResult(text []byte, binary bool) (types.Value, error) {
	if err := checkSize(int64(len(text))); err != nil {
		return types.Null, err
	}
	if !binary {
		return types.Text(string(text)), nil
	}
	return types.NormalizeJSON(string(text))
}

func toJSONOf(binary bool) typedFunc {
	return func(args []types.OID, _ bool) evalFunc {
		return func(ctx *Context, a []types.Value) (types.Value, error) {
			return jsonResult(ctx.jsonOf(nil, args[0], a[0]), binary)
		}
	}
}

// flatten lists the arguments and their types, an explicit VARIADIC array by its elements.
func flatten(args []types.OID, variadic bool, a []types.Value) ([]types.OID, []types.Value) {
	if !variadic || len(a) == 0 || a[len(a)-1].IsNull() {
		return args, a
	}
	array := a[len(a)-1].AsArray()
	oids := append([]types.OID{}, args[:len(a)-1]...)
	values := append([]types.Value{}, a[:len(a)-1]...)
	for _, e := range array.Elems {
		oids, values = append(oids, array.Elem), append(values, e)
	}
	return oids, values
}

func buildArrayOf(binary bool) typedFunc {
	return func(args []types.OID, variadic bool) evalFunc {
		return func(ctx *Context, a []types.Value) (types.Value, error) {
			oids, values := flatten(args, variadic, a)
			out := []byte{'['}
			for i, v := range values {
				if i > 0 {
					out = append(out, ", "...)
				}
				out = ctx.jsonOf(out, oids[i], v)
			}
			return jsonResult(append(out, ']'), binary)
		}
	}
}

func buildObjectOf(binary bool) typedFunc {
	return func(args []types.OID, variadic bool) evalFunc {
		return func(ctx *Context, a []types.Value) (types.Value, error) {
			oids, values := flatten(args, variadic, a)
			if len(values)%2 != 0 {
				name := "json_build_object()"
				if binary {
					name = "jsonb_build_object()"
				}
				return types.Null, types.Errorf("22023", "argument list must have even number of elements").
					WithHint("The arguments of %s must consist of alternating keys and values.", name)
			}
			out := []byte{'{'}
			for i := 0; i < len(values); i += 2 {
				if i > 0 {
					out = append(out, ", "...)
				}
				var err error
				if out, err = ctx.jsonKey(out, oids[i], values[i], i); err != nil {
					return types.Null, err
				}
				separator := " : "
				if binary {
					separator = ": "
				}
				out = ctx.jsonOf(append(out, separator...), oids[i+1], values[i+1])
			}
			return jsonResult(append(out, '}'), binary)
		}
	}
}

func (c *Context) jsonKey(dst []byte, oid types.OID, v types.Value, at int) ([]byte, error) {
	if v.IsNull() {
		return nil, types.Errorf("22023", "argument %d cannot be null", at+1).WithHint("Object keys should be text.")
	}
	switch v.Kind() {
	case types.KindArray, types.KindRecord, types.KindJSONB:
		return nil, types.Errorf("22023", "key value must be scalar, not array, composite, or json")
	}
	return types.AppendJSONString(dst, c.Output(types.T(oid), v)), nil
}
