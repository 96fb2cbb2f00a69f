package builtin

import (
	"math"

	"github.com/cockroachdb/apd/v3"

	"github.com/heliosdb/helios/types"
)

// Limits of the scale that numeric functions choose for their results.
const (
	minSignificantDigits = 16
	maxDisplayScale      = 1000
	maxResultScale       = 2000
	decDigits            = 4 // decimal digits in one of PostgreSQL's base-10000 digits
)

func numericFuncs() map[string]evalFunc {
	return map[string]evalFunc{
		"numeric_add": numeric2(addNumeric), "numeric_sub": numeric2(subNumeric), "numeric_mul": numeric2(mulNumeric),
		"numeric_div": numeric2(divNumeric), "numeric_mod": numeric2(modNumeric), "mod(numeric,numeric)": numeric2(modNumeric),
		"numeric_div_trunc": numeric2(divTruncNumeric), "div(numeric,numeric)": numeric2(divTruncNumeric),
		"numeric_uminus": numeric1(negNumeric), "numeric_uplus": numeric1(func(d *apd.Decimal) (*apd.Decimal, error) { return d, nil }),
		"numeric_abs": numeric1(absNumeric), "abs(numeric)": numeric1(absNumeric),
		"sign(numeric)": numeric1(signNumeric), "numeric_inc": numeric1(func(d *apd.Decimal) (*apd.Decimal, error) {
			return addNumeric(d, apd.New(1, 0))
		}),
		"ceil(numeric)": numeric1(ceilNumeric), "ceiling(numeric)": numeric1(ceilNumeric), "floor(numeric)": numeric1(floorNumeric),
		"round(numeric)":      numeric1(func(d *apd.Decimal) (*apd.Decimal, error) { return types.RoundNumeric(d, 0), nil }),
		"trunc(numeric)":      numeric1(func(d *apd.Decimal) (*apd.Decimal, error) { return types.TruncNumeric(d, 0), nil }),
		"round(numeric,int4)": numericScaled(types.RoundNumeric), "trunc(numeric,int4)": numericScaled(types.TruncNumeric),
		"scale": plain(func(a []types.Value) types.Value {
			if a[0].AsNumeric().Form != apd.Finite {
				return types.Null
			}
			return types.Int(int64(types.NumericScale(a[0].AsNumeric())))
		}),
		"min_scale": plain(func(a []types.Value) types.Value {
			if a[0].AsNumeric().Form != apd.Finite {
				return types.Null
			}
			return types.Int(int64(minScale(a[0].AsNumeric())))
		}),
		"trim_scale": numeric1(func(d *apd.Decimal) (*apd.Decimal, error) {
			if d.Form != apd.Finite {
				return d, nil
			}
			return types.TruncNumeric(d, minScale(d)), nil
		}),
		"gcd(numeric,numeric)": numeric2(gcdNumeric), "lcm(numeric,numeric)": numeric2(lcmNumeric),
		"sqrt(numeric)": numeric1(sqrtNumeric), "numeric_sqrt": numeric1(sqrtNumeric),
		"exp(numeric)": numeric1(expNumeric), "numeric_exp": numeric1(expNumeric),
		"ln(numeric)": numeric1(lnNumeric), "numeric_ln": numeric1(lnNumeric),
		"log(numeric)":         numeric1(func(d *apd.Decimal) (*apd.Decimal, error) { return logNumeric(apd.New(10, 0), d) }),
		"log10(numeric)":       numeric1(func(d *apd.Decimal) (*apd.Decimal, error) { return logNumeric(apd.New(10, 0), d) }),
		"log(numeric,numeric)": numeric2(logNumeric), "numeric_log": numeric2(logNumeric),
		"power(numeric,numeric)": numeric2(powNumeric), "pow(numeric,numeric)": numeric2(powNumeric), "numeric_power": numeric2(powNumeric),
		"factorial": factorial,
		"width_bucket(numeric,numeric,numeric,int4)": func(ctx *Context, a []types.Value) (types.Value, error) {
			b := []types.Value{types.Float(types.AsFloat64(a[0])), types.Float(types.AsFloat64(a[1])), types.Float(types.AsFloat64(a[2])), a[3]}
			return widthBucketFloat(ctx, b)
		},
	}
}

func numeric1(f func(*apd.Decimal) (*apd.Decimal, error)) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		d, err := f(a[0].AsNumeric())
		if err != nil {
			return types.Null, err
		}
		return types.CheckNumeric(d)
	}
}

func numeric2(f func(x, y *apd.Decimal) (*apd.Decimal, error)) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		d, err := f(a[0].AsNumeric(), a[1].AsNumeric())
		if err != nil {
			return types.Null, err
		}
		return types.CheckNumeric(d)
	}
}

func numericScaled(f func(*apd.Decimal, int) *apd.Decimal) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		scale := min(max(a[1].AsInt(), -maxResultScale), maxResultScale)
		return types.CheckNumeric(f(a[0].AsNumeric(), int(scale)))
	}
}

func isNaN(d *apd.Decimal) bool { return d.Form == apd.NaN || d.Form == apd.NaNSignaling }

func isInfinite(d *apd.Decimal) bool { return d.Form == apd.Infinite }

var numericNaN = &apd.Decimal{Form: apd.NaN}

func infinity(negative bool) *apd.Decimal {
	return &apd.Decimal{Form: apd.Infinite, Negative: negative}
}

// aligned gives both coefficients, signed, at the greater of the two scales.
func aligned(x, y *apd.Decimal) (a, b *apd.BigInt, exponent int32) {
	signed := func(d *apd.Decimal, to int32) *apd.BigInt {
		out := new(apd.BigInt).Set(&d.Coeff)
		if d.Exponent > to {
			out.Mul(out, types.PowerOfTen(int(d.Exponent-to)))
		}
		if d.Negative {
			out.Neg(out)
		}
		return out
	}
	exponent = min(x.Exponent, y.Exponent)
	return signed(x, exponent), signed(y, exponent), exponent
}

// fromSigned makes a decimal of a signed coefficient.
func fromSigned(n *apd.BigInt, exponent int32) *apd.Decimal {
	d := &apd.Decimal{Negative: n.Sign() < 0, Exponent: exponent}
	d.Coeff.Abs(n)
	return d
}

func addNumeric(x, y *apd.Decimal) (*apd.Decimal, error) {
	switch {
	case isNaN(x) || isNaN(y), isInfinite(x) && isInfinite(y) && x.Negative != y.Negative:
		return numericNaN, nil
	case isInfinite(x):
		return x, nil
	case isInfinite(y):
		return y, nil
	}
	a, b, exponent := aligned(x, y)
	return fromSigned(a.Add(a, b), exponent), nil
}

func negNumeric(d *apd.Decimal) (*apd.Decimal, error) {
	return new(apd.Decimal).Neg(d), nil
}

func subNumeric(x, y *apd.Decimal) (*apd.Decimal, error) {
	minus, err := negNumeric(y)
	if err != nil {
		return nil, err
	}
	return addNumeric(x, minus)
}

func mulNumeric(x, y *apd.Decimal) (*apd.Decimal, error) {
	if isNaN(x) || isNaN(y) {
		return numericNaN, nil
	}
	if isInfinite(x) || isInfinite(y) {
		if x.Form == apd.Finite && x.IsZero() || y.Form == apd.Finite && y.IsZero() {
			return numericNaN, nil
		}
		return infinity(x.Negative != y.Negative), nil
	}
	out := &apd.Decimal{Negative: x.Negative != y.Negative, Exponent: x.Exponent + y.Exponent}
	out.Coeff.Mul(&x.Coeff, &y.Coeff)
	return out, nil
}

// divScale is PostgreSQL's select_div_scale: at least 16 significant digits in the
// quotient, and no fewer decimals than either operand shows.
func divScale(x, y *apd.Decimal) int {
	wx, fx := leadingDigit(x)
	wy, fy := leadingDigit(y)
	quotientWeight := wx - wy
	if fx <= fy {
		quotientWeight--
	}
	scale := minSignificantDigits - quotientWeight*decDigits
	scale = max(scale, types.NumericScale(x), types.NumericScale(y))
	return min(max(scale, 0), maxDisplayScale)
}

// leadingDigit gives the weight (a power of 10000) and value of a number's first base-10000 digit.
func leadingDigit(d *apd.Decimal) (weight, first int) {
	if d.IsZero() {
		return 0, 0
	}
	digits := d.Coeff.Append(nil, 10)
	point := len(digits) + int(d.Exponent) // decimal digits before the point, maybe ≤ 0
	weight = int(math.Floor(float64(point-1) / decDigits))
	for i := range point - weight*decDigits {
		first *= 10
		if i < len(digits) {
			first += int(digits[i] - '0')
		}
	}
	return weight, first
}

// quotient divides finite numbers to a scale, rounding half away from zero or cutting.
func quotient(x, y *apd.Decimal, scale int, round bool) *apd.Decimal {
	// x.Coeff × 10^x.Exponent / (y.Coeff × 10^y.Exponent), times 10^scale
	shift := int(x.Exponent) - int(y.Exponent) + scale
	num, den := new(apd.BigInt).Set(&x.Coeff), new(apd.BigInt).Set(&y.Coeff)
	if shift >= 0 {
		num.Mul(num, types.PowerOfTen(shift))
	} else {
		den.Mul(den, types.PowerOfTen(-shift))
	}
	rest := new(apd.BigInt)
	out := &apd.Decimal{Negative: x.Negative != y.Negative, Exponent: int32(-scale)}
	out.Coeff.QuoRem(num, den, rest)
	if round && rest.Add(rest, rest).Cmp(den) >= 0 {
		out.Coeff.Add(&out.Coeff, apd.NewBigInt(1))
	}
	return out
}

// divSpecial handles NaN, infinities and zero; nil means both are finite and y is not zero.
func divSpecial(x, y *apd.Decimal) (*apd.Decimal, error) {
	switch {
	case isNaN(x) || isNaN(y):
		return numericNaN, nil
	case isInfinite(x) && isInfinite(y):
		return numericNaN, nil
	case y.Form == apd.Finite && y.IsZero():
		return nil, errDivision
	case isInfinite(x):
		return infinity(x.Negative != y.Negative), nil
	case isInfinite(y):
		return apd.New(0, 0), nil
	}
	return nil, nil
}

func divNumeric(x, y *apd.Decimal) (*apd.Decimal, error) {
	if d, err := divSpecial(x, y); d != nil || err != nil {
		return d, err
	}
	return quotient(x, y, divScale(x, y), true), nil
}

func divTruncNumeric(x, y *apd.Decimal) (*apd.Decimal, error) {
	if d, err := divSpecial(x, y); d != nil || err != nil {
		return d, err
	}
	return quotient(x, y, 0, false), nil
}

func modNumeric(x, y *apd.Decimal) (*apd.Decimal, error) {
	switch {
	case isNaN(x) || isNaN(y):
		return numericNaN, nil
	case y.Form == apd.Finite && y.IsZero():
		return nil, errDivision
	case isInfinite(x):
		return numericNaN, nil
	case isInfinite(y):
		return x, nil
	}
	a, b, exponent := aligned(x, y)
	return fromSigned(a.Rem(a, b), exponent), nil
}

func absNumeric(d *apd.Decimal) (*apd.Decimal, error) { return new(apd.Decimal).Abs(d), nil }

func signNumeric(d *apd.Decimal) (*apd.Decimal, error) {
	switch {
	case isNaN(d):
		return d, nil
	case d.Form == apd.Finite && d.IsZero():
		return apd.New(0, 0), nil
	case d.Negative:
		return apd.New(-1, 0), nil
	}
	return apd.New(1, 0), nil
}

func floorNumeric(d *apd.Decimal) (*apd.Decimal, error) {
	cut := types.TruncNumeric(d, 0)
	if d.Form == apd.Finite && d.Negative && cut.Cmp(d) != 0 {
		return addNumeric(cut, apd.New(-1, 0))
	}
	return cut, nil
}

func ceilNumeric(d *apd.Decimal) (*apd.Decimal, error) {
	cut := types.TruncNumeric(d, 0)
	if d.Form == apd.Finite && !d.Negative && cut.Cmp(d) != 0 {
		return addNumeric(cut, apd.New(1, 0))
	}
	return cut, nil
}

// minScale is the least scale that shows d exactly.
func minScale(d *apd.Decimal) int {
	scale := types.NumericScale(d)
	if d.IsZero() {
		return 0
	}
	digits := d.Coeff.Append(nil, 10)
	for i := len(digits) - 1; scale > 0 && digits[i] == '0'; i-- {
		scale--
	}
	return scale
}

func gcdNumeric(x, y *apd.Decimal) (*apd.Decimal, error) {
	if x.Form != apd.Finite || y.Form != apd.Finite {
		return numericNaN, nil
	}
	a, b, exponent := aligned(x, y)
	return fromSigned(new(apd.BigInt).GCD(nil, nil, a.Abs(a), b.Abs(b)), exponent), nil
}

func lcmNumeric(x, y *apd.Decimal) (*apd.Decimal, error) {
	if x.Form != apd.Finite || y.Form != apd.Finite {
		return numericNaN, nil
	}
	a, b, exponent := aligned(x, y)
	if a.Sign() == 0 || b.Sign() == 0 {
		return &apd.Decimal{Exponent: exponent}, nil
	}
	g := new(apd.BigInt).GCD(nil, nil, a.Abs(a), b.Abs(b))
	return fromSigned(a.Mul(a.Quo(a, g), b), exponent), nil
}

func factorial(ctx *Context, a []types.Value) (types.Value, error) {
	n := a[0].AsInt()
	if n < 0 {
		return types.Null, types.Errorf("22003", "factorial of a negative number is undefined")
	}
	if n > 32177 {
		return types.Null, types.Errorf("22003", "value overflows numeric format")
	}
	out := apd.NewBigInt(1)
	for i := int64(2); i <= n; i++ {
		if i%256 == 0 {
			if err := ctx.check(); err != nil {
				return types.Null, err
			}
		}
		out.Mul(out, apd.NewBigInt(i))
	}
	return types.CheckNumeric(fromSigned(out, 0))
}

// unsigned makes a numeric of a value that counts without a sign (pg_lsn, xid8).
func unsigned(v types.Value) *apd.Decimal {
	d := new(apd.Decimal)
	d.Coeff.SetUint64(uint64(v.AsInt()))
	return d
}
