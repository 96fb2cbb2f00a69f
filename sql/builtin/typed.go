package builtin

import (
	"maps"
	"strings"

	"github.com/heliosdb/helios/types"
)

// typedFuncs are the functions that take arguments of any type and need to know it.
func typedFuncs() map[string]typedFunc {
	m := map[string]typedFunc{
		"concat": concatOf, "concat_ws": concatWSOf, "format": formatOf,
		"textanycat": anyConcat, "anytextcat": anyConcat,
		"quote_literal(anyelement)": quoteAny(QuoteLiteral, true), "quote_nullable(anyelement)": quoteAny(QuoteLiteral, false),
		"pg_typeof": func(args []types.OID, _ bool) evalFunc {
			return constant(types.Int(int64(args[0])))
		},
		"pg_column_size": func(args []types.OID, _ bool) evalFunc {
			return plain(func(a []types.Value) types.Value {
				return types.Int(int64(len(types.AppendBinary(nil, types.T(args[0]), a[0]))))
			})
		},
		"to_json": toJSONOf(false), "to_jsonb": toJSONOf(true),
		"json_build_array": buildArrayOf(false), "jsonb_build_array": buildArrayOf(true),
		"json_build_object": buildObjectOf(false), "jsonb_build_object": buildObjectOf(true),
		"row_to_json": toJSONOf(false), "array_to_json": toJSONOf(false),
	}
	maps.Copy(m, typedArrayFuncs())
	return m
}

// withTexts prints all arguments, an explicit VARIADIC array element by element.
func withTexts(args []types.OID, variadic bool, f evalFunc) evalFunc {
	return func(ctx *Context, a []types.Value) (types.Value, error) {
		texts := make([]types.Value, 0, len(a))
		for i, v := range a {
			if variadic && i == len(a)-1 && !v.IsNull() {
				for _, e := range v.AsArray().Elems {
					texts = append(texts, ctx.textOf(v.AsArray().Elem, e))
				}
				continue
			}
			texts = append(texts, ctx.textOf(args[i], v))
		}
		return f(ctx, texts)
	}
}

// textOf prints a value; NULL stays NULL.
func (c *Context) textOf(oid types.OID, v types.Value) types.Value {
	if v.IsNull() {
		return types.Null
	}
	return types.Text(c.Output(types.T(oid), v))
}

func concatOf(args []types.OID, variadic bool) evalFunc {
	return withTexts(args, variadic, func(_ *Context, a []types.Value) (types.Value, error) {
		var b strings.Builder
		for _, v := range a {
			if !v.IsNull() {
				b.WriteString(v.AsText())
			}
		}
		return types.Text(b.String()), checkSize(int64(b.Len()))
	})
}

func concatWSOf(args []types.OID, variadic bool) evalFunc {
	return withTexts(args, variadic, func(_ *Context, a []types.Value) (types.Value, error) {
		if a[0].IsNull() {
			return types.Null, nil
		}
		var parts []string
		for _, v := range a[1:] {
			if !v.IsNull() {
				parts = append(parts, v.AsText())
			}
		}
		out := strings.Join(parts, a[0].AsText())
		return types.Text(out), checkSize(int64(len(out)))
	})
}

func anyConcat(args []types.OID, _ bool) evalFunc {
	return func(ctx *Context, a []types.Value) (types.Value, error) {
		out := ""
		for i, v := range a {
			text, err := ctx.Convert(v, types.T(args[i]), types.T(types.TextOID), true)
			if err != nil {
				return types.Null, err
			}
			out += text.AsText()
		}
		return types.Text(out), checkSize(int64(len(out)))
	}
}

func quoteAny(quote func(string) string, strict bool) typedFunc {
	return func(args []types.OID, _ bool) evalFunc {
		return withTexts(args, false, func(_ *Context, a []types.Value) (types.Value, error) {
			switch {
			case a[0].IsNull() && strict:
				return types.Null, nil
			case a[0].IsNull():
				return types.Text("NULL"), nil
			}
			return types.Text(quote(a[0].AsText())), nil
		})
	}
}
