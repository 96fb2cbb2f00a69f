package builtin

import (
	"math"
	"strconv"

	"github.com/cockroachdb/apd/v3"

	"github.com/heliosdb/helios/types"
)

type convertFunc = func(ctx *Context, v types.Value) (types.Value, error)

// converter gives the conversion behind a row of pg_cast; nil if there is none here.
func converter(from, to types.OID) convertFunc {
	if from == to {
		return func(_ *Context, v types.Value) (types.Value, error) { return v, nil }
	}
	if from == types.JSONBOID {
		return fromJSONB(to)
	}
	if _, ok := regClass(to); ok && category(from) == 'S' {
		return func(ctx *Context, v types.Value) (types.Value, error) {
			return ctx.Input(types.T(to), v.AsText())
		}
	}
	switch to {
	case types.Int2OID, types.Int4OID, types.Int8OID:
		return toInt(from, to)
	case types.OIDOID, types.RegclassOID, types.RegprocOID, types.RegtypeOID, types.RegoperOID, types.RegoperatorOID,
		types.RegprocedureOID, types.RegroleOID, types.RegnamespaceOID, types.RegcollationOID:
		return func(_ *Context, v types.Value) (types.Value, error) {
			if n := v.AsInt(); n < math.MinInt32 || n > math.MaxUint32 {
				return types.Null, types.Errorf("22003", "OID out of range")
			}
			return types.Int(int64(uint32(v.AsInt()))), nil
		}
	case types.Float4OID, types.Float8OID:
		return toFloat(from, to)
	case types.NumericOID:
		return toNumeric(from)
	case types.BoolOID:
		return func(_ *Context, v types.Value) (types.Value, error) { return types.Bool(v.AsInt() != 0), nil }
	case types.TextOID, types.VarcharOID, types.BPCharOID, types.NameOID, types.CharOID:
		return toText(from, to)
	case types.DateOID, types.TimeOID, types.TimeTZOID, types.TimestampOID, types.TimestampTZOID, types.IntervalOID:
		return toDateTime(from, to)
	case types.VectorOID:
		return arrayToVector
	case types.ArrayOf(types.Float4OID):
		return vectorToArray
	case types.BitOID:
		return intToBit(from)
	}
	return nil
}

// signChanges tells of casts between int4 and the OID types: PostgreSQL takes the same
// 32 bits, but a Value holds the number, which has a sign in the one and none in the other.
func signChanges(from, to types.OID) bool {
	return from == types.Int4OID && isOID(to) || to == types.Int4OID && isOID(from)
}

func isOID(oid types.OID) bool {
	_, named := regClass(oid)
	return named || oid == types.OIDOID
}

// castFunc makes the functions of casts: type(value), and type(value, modifier[, explicit]).
func castFunc(fn *Func) func(*Context, []types.Value) (types.Value, error) {
	info := types.Lookup(fn.Ret)
	if fn.SRF || info == nil || len(fn.Args) == 0 || fn.Name != info.Name && fn.Name != "array_to_vector" && fn.Name != "vector_to_float4" {
		return nil
	}
	convert := converter(fn.Args[0], fn.Ret)
	switch {
	case convert == nil:
		return nil
	case len(fn.Args) == 1:
		return func(ctx *Context, a []types.Value) (types.Value, error) { return convert(ctx, a[0]) }
	case fn.Args[1] == types.Int4OID:
		return func(ctx *Context, a []types.Value) (types.Value, error) {
			v, err := convert(ctx, a[0])
			if err != nil {
				return types.Null, err
			}
			return types.Coerce(v, types.Type{OID: fn.Ret, Mod: int32(a[1].AsInt())}, len(a) > 2 && a[2].AsBool())
		}
	}
	return nil
}

func outOfRange(oid types.OID) error {
	return types.Errorf("22003", "%s out of range", oid.Name())
}

// checkInt makes an integer of a type, 22003 if it does not fit.
func checkInt(n int64, oid types.OID) (types.Value, error) {
	if least, greatest := types.IntRange(oid); n < least || n > greatest {
		return types.Null, outOfRange(oid)
	}
	return types.Int(n), nil
}

func toInt(from, to types.OID) convertFunc {
	if to == types.Int4OID && isOID(from) {
		return func(_ *Context, v types.Value) (types.Value, error) { return types.Int(int64(int32(v.AsInt()))), nil }
	}
	switch from {
	case types.Float4OID, types.Float8OID:
		return func(_ *Context, v types.Value) (types.Value, error) { return floatToInt(v.AsFloat(), to) }
	case types.NumericOID:
		return func(_ *Context, v types.Value) (types.Value, error) { return numericToInt(v.AsNumeric(), to) }
	case types.BoolOID:
		return func(_ *Context, v types.Value) (types.Value, error) {
			if v.AsBool() {
				return types.Int(1), nil
			}
			return types.Int(0), nil
		}
	case types.CharOID:
		return func(_ *Context, v types.Value) (types.Value, error) { return types.Int(int64(int8(v.AsInt()))), nil }
	case types.BitOID:
		return func(_ *Context, v types.Value) (types.Value, error) { return bitToInt(v.AsText(), to) }
	}
	return func(_ *Context, v types.Value) (types.Value, error) { return checkInt(v.AsInt(), to) }
}

func floatToInt(f float64, to types.OID) (types.Value, error) {
	r := math.RoundToEven(f)
	least, greatest := types.IntRange(to)
	if !(r >= float64(least) && r < float64(greatest)+1) || r == 0x1p63 {
		return types.Null, outOfRange(to)
	}
	return types.Int(int64(r)), nil
}

func numericToInt(d *apd.Decimal, to types.OID) (types.Value, error) {
	switch d.Form {
	case apd.Infinite:
		return types.Null, types.Errorf("0A000", "cannot convert infinity to %s", to.Name())
	case apd.NaN, apd.NaNSignaling:
		return types.Null, types.Errorf("0A000", "cannot convert NaN to %s", to.Name())
	}
	n, err := types.RoundNumeric(d, 0).Int64()
	if err != nil {
		return types.Null, outOfRange(to)
	}
	return checkInt(n, to)
}

func toFloat(from, to types.OID) convertFunc {
	return func(_ *Context, v types.Value) (types.Value, error) {
		f := types.AsFloat64(v)
		if v.Kind() == types.KindNumeric && math.IsInf(f, 0) && v.AsNumeric().Form == apd.Finite {
			return types.Null, types.Errorf("22003", "\"%s\" is out of range for type %s", types.ToText(types.T(types.NumericOID), v), to.Name())
		}
		if to == types.Float8OID {
			return types.Float(f), nil
		}
		return toFloat4(f)
	}
}

// toFloat4 rounds to single precision; 22003 when that overflows or underflows.
func toFloat4(f float64) (types.Value, error) {
	r := float64(float32(f))
	if math.IsInf(r, 0) && !math.IsInf(f, 0) {
		return types.Null, errOverflow
	}
	if r == 0 && f != 0 {
		return types.Null, errUnderflow
	}
	return types.Float(r), nil
}

func toNumeric(from types.OID) convertFunc {
	digits := 15
	if from == types.Float4OID {
		digits = 6
	}
	return func(_ *Context, v types.Value) (types.Value, error) {
		if v.Kind() == types.KindInt {
			return types.NumericInt(v.AsInt()), nil
		}
		if f := v.AsFloat(); math.IsNaN(f) || math.IsInf(f, 0) {
			return types.ParseNumeric(types.ToText(types.T(types.Float8OID), v))
		}
		// %.{digits}g: the trailing zeros that strconv keeps are not in the scale.
		return types.ParseNumeric(trimFloat(strconv.FormatFloat(v.AsFloat(), 'e', digits-1, 64)))
	}
}

// trimFloat drops the zeros at the end of a mantissa with an exponent after it.
func trimFloat(s string) string {
	end := len(s)
	for end > 0 && s[end-1] != 'e' {
		end--
	}
	digits := end - 1
	for digits > 0 && s[digits-1] == '0' {
		digits--
	}
	if digits > 0 && s[digits-1] == '.' {
		digits--
	}
	return s[:digits] + s[end-1:]
}

func toText(from, to types.OID) convertFunc {
	return func(ctx *Context, v types.Value) (types.Value, error) {
		switch {
		case from == types.BoolOID && v.AsBool():
			return types.Text("true"), nil
		case from == types.Int4OID && to == types.CharOID:
			if n := v.AsInt(); n < -128 || n > 127 {
				return types.Null, types.Errorf("22003", "\"char\" out of range")
			}
			return types.Int(int64(uint8(v.AsInt()))), nil
		case from == types.BoolOID:
			return types.Text("false"), nil
		}
		return ctx.Input(types.T(to), ctx.Output(types.T(from), v))
	}
}

// fromJSONB casts a scalar document to a number or a boolean.
func fromJSONB(to types.OID) convertFunc {
	want := types.JSONNumber
	if to == types.BoolOID {
		want = types.JSONBool
	}
	return func(ctx *Context, v types.Value) (types.Value, error) {
		j, err := types.ParseJSON(v.AsText())
		if err != nil {
			return types.Null, err
		}
		if j.Kind != want {
			kind := map[types.JSONKind]string{
				types.JSONNull: "null", types.JSONString: "string", types.JSONNumber: "numeric",
				types.JSONBool: "boolean", types.JSONArray: "array", types.JSONObject: "object",
			}[j.Kind]
			return types.Null, types.Errorf("22023", "cannot cast jsonb %s to type %s", kind, to.Name())
		}
		if to == types.BoolOID {
			return types.Bool(j.Bool), nil
		}
		if to == types.NumericOID {
			return types.Numeric(j.Num), nil
		}
		return converter(types.NumericOID, to)(ctx, types.Numeric(j.Num))
	}
}

// arrayToVector reads pgvector's vector of a one-dimensional array of numbers.
func arrayToVector(_ *Context, v types.Value) (types.Value, error) {
	a := v.AsArray()
	if len(a.Dims) > 1 {
		return types.Null, types.Errorf("22000", "array must be 1-D")
	}
	out := make([]float32, len(a.Elems))
	for i, e := range a.Elems {
		if e.IsNull() {
			return types.Null, types.Errorf("22004", "array must not contain nulls")
		}
		out[i] = float32(types.AsFloat64(e))
	}
	return types.Vector(out), types.CheckVector(out)
}

func vectorToArray(_ *Context, v types.Value) (types.Value, error) {
	out := make([]types.Value, len(v.AsVector()))
	for i, x := range v.AsVector() {
		out[i] = types.Float(float64(x))
	}
	return types.NewArray(types.Float4OID, out), nil
}

func bitToInt(bits string, to types.OID) (types.Value, error) {
	width := 32
	if to == types.Int8OID {
		width = 64
	}
	if len(bits) > width {
		return types.Null, outOfRange(to)
	}
	n, err := strconv.ParseUint("0"+bits, 2, 64)
	if err != nil {
		return types.Null, outOfRange(to)
	}
	if width == 32 {
		return types.Int(int64(int32(n))), nil
	}
	return types.Int(int64(n)), nil
}

func intToBit(from types.OID) convertFunc {
	width := 32
	if from == types.Int8OID {
		width = 64
	}
	return func(_ *Context, v types.Value) (types.Value, error) {
		text := strconv.FormatUint(uint64(v.AsInt())<<(64-width)>>(64-width), 2)
		out := make([]byte, 0, width)
		for len(out)+len(text) < width {
			out = append(out, '0')
		}
		return types.Text(string(append(out, text...))), nil
	}
}
