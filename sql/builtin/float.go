package builtin

import (
	"math"

	"github.com/heliosdb/helios/types"
)

var (
	errOverflow  = types.Errorf("22003", "value out of range: overflow")
	errUnderflow = types.Errorf("22003", "value out of range: underflow")
	errInput     = types.Errorf("22003", "input is out of range")
)

// checkFloat makes a float8 of a result: an infinity that no operand had is 22003, and
// so is a zero that should not be one.
func checkFloat(f float64, operandInf, zeroOK bool) (types.Value, error) {
	if math.IsInf(f, 0) && !operandInf {
		return types.Null, errOverflow
	}
	if f == 0 && !zeroOK {
		return types.Null, errUnderflow
	}
	return types.Float(f), nil
}

func isInf(x float64) bool { return math.IsInf(x, 0) }

func floatFuncs() map[string]evalFunc {
	m := make(map[string]evalFunc)
	for _, prefix := range []string{"float4", "float8", "float48", "float84"} {
		narrow := prefix == "float4"
		m[prefix+"pl"] = onFloats(func(x, y float64) (types.Value, error) { return arith(x+y, x, y, true, narrow) })
		m[prefix+"mi"] = onFloats(func(x, y float64) (types.Value, error) { return arith(x-y, x, y, true, narrow) })
		m[prefix+"mul"] = onFloats(func(x, y float64) (types.Value, error) {
			return arith(x*y, x, y, x == 0 || y == 0, narrow)
		})
		m[prefix+"div"] = onFloats(func(x, y float64) (types.Value, error) {
			if y == 0 && !math.IsNaN(x) {
				return types.Null, errDivision
			}
			if isInf(y) {
				return types.Float(x / y), nil
			}
			return arith(x/y, x, 0, x == 0, narrow)
		})
	}
	for _, name := range []string{"float4", "float8"} {
		m[name+"um"] = onFloat(func(x float64) (types.Value, error) { return types.Float(-x), nil })
		m[name+"up"] = onFloat(func(x float64) (types.Value, error) { return types.Float(x), nil })
		m[name+"abs"] = onFloat(func(x float64) (types.Value, error) { return types.Float(math.Abs(x)), nil })
		m["abs("+name+")"] = m[name+"abs"]
	}
	return m
}

// arith checks the result of an operation; narrow rounds it to float4.
func arith(f, x, y float64, zeroOK, narrow bool) (types.Value, error) {
	if narrow {
		f = float64(float32(f))
	}
	return checkFloat(f, isInf(x) || isInf(y), zeroOK)
}

// mathFuncs are the functions on float8.
func mathFuncs() map[string]evalFunc {
	m := map[string]evalFunc{
		"ceil(float8)": float1(math.Ceil), "ceiling(float8)": float1(math.Ceil), "floor(float8)": float1(math.Floor),
		"round(float8)": float1(math.RoundToEven), "dround": float1(math.RoundToEven),
		"trunc(float8)": float1(math.Trunc), "dtrunc": float1(math.Trunc),
		"sign(float8)": float1(signOf), "cbrt": float1(math.Cbrt), "dcbrt": float1(math.Cbrt),
		"degrees": float1(func(x float64) float64 { return x / (math.Pi / 180) }),
		"radians": float1(func(x float64) float64 { return x * (math.Pi / 180) }),
		"pi":      constant(types.Float(math.Pi)),
		"atan":    float1(math.Atan), "sinh": float1(math.Sinh), "tanh": float1(math.Tanh), "asinh": float1(math.Asinh), "cosh": float1(math.Cosh),
		"sin": finite1(math.Sin), "cos": finite1(math.Cos), "tan": finite1(math.Tan),
		"cot":  finite1(func(x float64) float64 { return 1 / math.Tan(x) }),
		"asin": within1(math.Asin), "acos": within1(math.Acos), "atanh": within1(math.Atanh),
		"acosh": onFloat(func(x float64) (types.Value, error) {
			if x < 1 {
				return types.Null, errInput
			}
			return types.Float(math.Acosh(x)), nil
		}),
		"sind": finite1(sinDegrees), "cosd": finite1(func(x float64) float64 { return sinDegrees(x + 90) }),
		"tand":  finite1(func(x float64) float64 { return sinDegrees(x) / sinDegrees(x+90) }),
		"cotd":  finite1(func(x float64) float64 { return sinDegrees(x+90) / sinDegrees(x) }),
		"asind": within1(func(x float64) float64 { return math.Asin(x) * 180 / math.Pi }),
		"acosd": within1(func(x float64) float64 { return math.Acos(x) * 180 / math.Pi }),
		"atand": float1(func(x float64) float64 { return math.Atan(x) * 180 / math.Pi }),
		"atan2": onFloats(func(y, x float64) (types.Value, error) { return types.Float(math.Atan2(y, x)), nil }),
		"atan2d": onFloats(func(y, x float64) (types.Value, error) {
			return types.Float(math.Atan2(y, x) * 180 / math.Pi), nil
		}),
		"sqrt(float8)": onFloat(sqrtFloat), "dsqrt": onFloat(sqrtFloat),
		"exp(float8)": onFloat(expFloat), "dexp": onFloat(expFloat),
		"ln(float8)": logFloat(math.Log), "dlog1": logFloat(math.Log),
		"log(float8)": logFloat(math.Log10), "log10(float8)": logFloat(math.Log10), "dlog10": logFloat(math.Log10),
		"power(float8,float8)": onFloats(powFloat), "pow(float8,float8)": onFloats(powFloat), "dpow": onFloats(powFloat),
		"random": func(ctx *Context, _ []types.Value) (types.Value, error) { return types.Float(randomFloat(ctx)), nil },
		"width_bucket(float8,float8,float8,int4)": widthBucketFloat,
	}
	return m
}

func float1(f func(float64) float64) evalFunc {
	return onFloat(func(x float64) (types.Value, error) { return checkFloat(f(x), isInf(x), true) })
}

// finite1 refuses infinite input, as the trigonometric functions do.
func finite1(f func(float64) float64) evalFunc {
	return onFloat(func(x float64) (types.Value, error) {
		if isInf(x) {
			return types.Null, errInput
		}
		return types.Float(f(x)), nil
	})
}

// within1 refuses input outside [-1, 1].
func within1(f func(float64) float64) evalFunc {
	return onFloat(func(x float64) (types.Value, error) {
		if x < -1 || x > 1 {
			return types.Null, errInput
		}
		return types.Float(f(x)), nil
	})
}

func signOf(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x
}

// sinDegrees is exact at the multiples of 30 degrees.
func sinDegrees(x float64) float64 {
	x = math.Mod(x, 360)
	sign := 1.0
	if x < 0 {
		x, sign = -x, -1
	}
	if x > 180 {
		x, sign = 360-x, -sign
	}
	if x > 90 {
		x = 180 - x
	}
	switch x {
	case 0:
		return 0
	case 30:
		return sign * 0.5
	case 90:
		return sign
	}
	return sign * math.Sin(x*math.Pi/180)
}

func sqrtFloat(x float64) (types.Value, error) {
	if x < 0 {
		return types.Null, types.Errorf("2201F", "cannot take square root of a negative number")
	}
	return types.Float(math.Sqrt(x)), nil
}

func expFloat(x float64) (types.Value, error) {
	return checkFloat(math.Exp(x), isInf(x), isInf(x))
}

func logFloat(f func(float64) float64) evalFunc {
	return onFloat(func(x float64) (types.Value, error) {
		if x == 0 {
			return types.Null, errLogZero
		}
		if x < 0 {
			return types.Null, errLogNegative
		}
		return types.Float(f(x)), nil
	})
}

var (
	errLogZero      = types.Errorf("2201E", "cannot take logarithm of zero")
	errLogNegative  = types.Errorf("2201E", "cannot take logarithm of a negative number")
	errZeroToMinus  = types.Errorf("2201F", "zero raised to a negative power is undefined")
	errMinusToPoint = types.Errorf("2201F", "a negative number raised to a non-integer power yields a complex result")
)

func powFloat(x, y float64) (types.Value, error) {
	switch {
	case x == 0 && y < 0 && !math.IsNaN(y):
		return types.Null, errZeroToMinus
	case x < 0 && !isInf(x) && y != math.Floor(y):
		return types.Null, errMinusToPoint
	}
	return checkFloat(math.Pow(x, y), isInf(x) || isInf(y), x == 0 || isInf(x) || isInf(y))
}

func randomFloat(ctx *Context) float64 {
	if ctx.Rand != nil {
		return ctx.Rand.Float64()
	}
	return processRandom()
}

func widthBucketFloat(_ *Context, a []types.Value) (types.Value, error) {
	x, low, high, count := a[0].AsFloat(), a[1].AsFloat(), a[2].AsFloat(), a[3].AsInt()
	switch {
	case count <= 0:
		return types.Null, types.Errorf("2201G", "count must be greater than zero")
	case math.IsNaN(x) || math.IsNaN(low) || math.IsNaN(high):
		return types.Null, types.Errorf("2201G", "operand, lower bound, and upper bound cannot be NaN")
	case isInf(low) || isInf(high):
		return types.Null, types.Errorf("2201G", "lower and upper bounds must be finite")
	case low == high:
		return types.Null, types.Errorf("2201G", "lower bound cannot equal upper bound")
	}
	if low > high {
		x, low, high = -x, -low, -high
	}
	switch {
	case x < low:
		return types.Int(0), nil
	case x >= high:
		return checkInt(count+1, types.Int4OID)
	}
	return types.Int(min(count, int64(float64(count)*((x-low)/(high-low)))+1)), nil
}
