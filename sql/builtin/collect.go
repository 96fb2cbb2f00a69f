package builtin

import (
	"github.com/heliosdb/helios/types"
)

// collectAggregates gather values in the order they come; the caller sorts them first
// for ORDER BY inside the call. They do not split over shards, since that would lose
// an order.
func collectAggregates() map[string]aggFunc {
	return map[string]aggFunc{
		"array_agg(anynonarray)": func(fn *Func) *Aggregate {
			return &Aggregate{Func: fn, New: func(args []types.Type) Accumulator {
				var elems []types.Value
				return &accumulate{
					add: func(_ *Context, a []types.Value) error {
						elems = append(elems, a[0])
						return nil
					},
					result: func(*Context) (types.Value, error) {
						if elems == nil {
							return types.Null, nil
						}
						return types.NewArray(args[0].OID, elems), nil
					},
				}
			}}
		},
		"array_agg(anyarray)":       arrayAggArrays,
		"string_agg(text,text)":     stringAgg,
		"string_agg(bytea,bytea)":   stringAgg,
		"json_agg":                  jsonAgg(false),
		"jsonb_agg":                 jsonAgg(true),
		"json_object_agg(any,any)":  jsonObjectAgg(false),
		"jsonb_object_agg(any,any)": jsonObjectAgg(true),
	}
}

// arrayAggArrays stacks arrays of one shape into one of a dimension more.
func arrayAggArrays(fn *Func) *Aggregate {
	return &Aggregate{Func: fn, New: func([]types.Type) Accumulator {
		var out *types.Array
		return &accumulate{
			add: func(_ *Context, a []types.Value) error {
				if a[0].IsNull() {
					return types.Errorf("22004", "cannot accumulate null arrays")
				}
				next := a[0].AsArray()
				if next.Size() == 0 {
					return types.Errorf("2202E", "cannot accumulate empty arrays")
				}
				if out == nil {
					out = &types.Array{Elem: next.Elem, Dims: append([]int{0}, next.Dims...), Lower: append([]int{1}, next.Lower...)}
				}
				if len(out.Dims) != len(next.Dims)+1 {
					return errAggShape
				}
				for i, d := range next.Dims {
					if out.Dims[i+1] != d {
						return errAggShape
					}
				}
				out.Dims[0]++
				out.Elems = append(out.Elems, next.Elems...)
				return nil
			},
			result: func(*Context) (types.Value, error) {
				if out == nil {
					return types.Null, nil
				}
				return types.ArrayValue(out), nil
			},
		}
	}}
}

var errAggShape = types.Errorf("2202E", "cannot accumulate arrays of different dimensionality")

// stringAgg joins values, each but the first after its own separator; NULLs are left out.
func stringAgg(fn *Func) *Aggregate {
	return &Aggregate{Func: fn, New: func([]types.Type) Accumulator {
		var out []byte
		seen := false
		return &accumulate{
			add: func(_ *Context, a []types.Value) error {
				if a[0].IsNull() {
					return nil
				}
				if seen && !a[1].IsNull() {
					out = append(out, a[1].AsBytes()...)
				}
				seen = true
				out = append(out, a[0].AsBytes()...)
				return checkSize(int64(len(out)))
			},
			result: func(*Context) (types.Value, error) {
				switch {
				case !seen:
					return types.Null, nil
				case fn.Ret == types.ByteaOID:
					return types.Bytes(out), nil
				}
				return types.Text(string(out)), nil
			},
		}
	}}
}

func jsonAgg(binary bool) aggFunc {
	return func(fn *Func) *Aggregate {
		return &Aggregate{Func: fn, New: func(args []types.Type) Accumulator {
			out := []byte{'['}
			seen := false
			return &accumulate{
				add: func(ctx *Context, a []types.Value) error {
					if seen {
						out = append(out, ", "...)
						if a[0].Kind() == types.KindArray || a[0].Kind() == types.KindRecord {
							out = append(out, "\n "...)
						}
					}
					seen = true
					out = ctx.jsonOf(out, args[0].OID, a[0])
					return checkSize(int64(len(out)))
				},
				result: func(*Context) (types.Value, error) {
					if !seen {
						return types.Null, nil
					}
					return jsonResult(append(out, ']'), binary)
				},
			}
		}}
	}
}

func jsonObjectAgg(binary bool) aggFunc {
	return func(fn *Func) *Aggregate {
		return &Aggregate{Func: fn, New: func(args []types.Type) Accumulator {
			out := []byte("{ ")
			seen := false
			return &accumulate{
				add: func(ctx *Context, a []types.Value) error {
					if a[0].IsNull() {
						return types.Errorf("22023", "field name must not be null")
					}
					if seen {
						out = append(out, ", "...)
					}
					seen = true
					next, err := ctx.jsonKey(out, args[0].OID, a[0], 0)
					if err != nil {
						return err
					}
					out = ctx.jsonOf(append(next, " : "...), args[1].OID, a[1])
					return checkSize(int64(len(out)))
				},
				result: func(*Context) (types.Value, error) {
					if !seen {
						return types.Null, nil
					}
					return jsonResult(append(out, " }"...), binary)
				},
			}
		}}
	}
}
