package builtin

import (
	"math"

	"github.com/cockroachdb/apd/v3"

	"github.com/heliosdb/helios/types"
)

// decimalContext computes with enough digits for a result of the given precision.
func decimalContext(precision int) *apd.Context {
	return &apd.Context{
		Precision: uint32(max(precision, 20)), MaxExponent: apd.MaxExponent, MinExponent: apd.MinExponent,
		Rounding: apd.RoundHalfUp,
	}
}

// compute runs one of apd's functions and rounds its result to scale.
func compute(precision, scale int, f func(c *apd.Context, d *apd.Decimal) (apd.Condition, error)) (*apd.Decimal, error) {
	d := new(apd.Decimal)
	if _, err := f(decimalContext(precision), d); err != nil {
		return nil, types.Errorf("22003", "value overflows numeric format")
	}
	if d.Form == apd.Finite && d.NumDigits()+int64(d.Exponent) > 131072 {
		return nil, types.Errorf("22003", "value overflows numeric format")
	}
	return types.RoundNumeric(d, scale), nil
}

// clampScale keeps a result's scale at least d's and within the limits.
func clampScale(scale int, operands ...*apd.Decimal) int {
	for _, d := range operands {
		scale = max(scale, types.NumericScale(d))
	}
	return min(max(scale, 0), maxDisplayScale)
}

// decimalWeight estimates the decimal exponent of d: d ≈ 10^weight.
func decimalWeight(d *apd.Decimal) int { return int(d.NumDigits()) + int(d.Exponent) - 1 }

func sqrtNumeric(d *apd.Decimal) (*apd.Decimal, error) {
	switch {
	case isNaN(d):
		return d, nil
	case d.Negative:
		return nil, types.Errorf("2201F", "cannot take square root of a negative number")
	case isInfinite(d):
		return d, nil
	}
	weight, _ := leadingDigit(d)
	scale := clampScale(minSignificantDigits-(weight*decDigits/2+1), d)
	return compute(scale+max(decimalWeight(d), 0)+10, scale, func(c *apd.Context, out *apd.Decimal) (apd.Condition, error) {
		return c.Sqrt(out, d)
	})
}

func expNumeric(d *apd.Decimal) (*apd.Decimal, error) {
	switch {
	case isNaN(d):
		return d, nil
	case isInfinite(d) && d.Negative:
		return apd.New(0, 0), nil
	case isInfinite(d):
		return d, nil
	}
	exponent := types.NumericFloat(d) * 0.434294481903252
	if exponent > 131072 {
		return nil, types.Errorf("22003", "value overflows numeric format")
	}
	if exponent < -2*maxResultScale {
		return &apd.Decimal{Exponent: -maxDisplayScale}, nil
	}
	scale := clampScale(minSignificantDigits-int(exponent), d)
	return compute(scale+max(int(exponent), 0)+12, scale, func(c *apd.Context, out *apd.Decimal) (apd.Condition, error) {
		return c.Exp(out, d)
	})
}

// lnWeight estimates the decimal exponent of ln(d) (PostgreSQL's estimate_ln_dweight).
func lnWeight(d *apd.Decimal) int {
	f := types.NumericFloat(d)
	if f >= 0.9 && f <= 1.1 {
		diff := new(apd.Decimal)
		if c, err := subNumeric(d, apd.New(1, 0)); err == nil {
			diff = c
		}
		if diff.IsZero() {
			return 0
		}
		return decimalWeight(diff)
	}
	ln := math.Abs((float64(decimalWeight(d)) + math.Log10(leadingFraction(d))) * 2.302585092994046)
	return int(math.Log10(ln))
}

// leadingFraction gives d's digits as a number in [1, 10).
func leadingFraction(d *apd.Decimal) float64 {
	digits := d.Coeff.Append(nil, 10)
	f, unit := 0.0, 1.0
	for _, c := range digits[:min(len(digits), 17)] {
		f += float64(c-'0') * unit
		unit /= 10
	}
	return f
}

func checkLog(d *apd.Decimal) error {
	switch {
	case d.Form == apd.Finite && d.IsZero():
		return errLogZero
	case d.Negative:
		return errLogNegative
	}
	return nil
}

func lnNumeric(d *apd.Decimal) (*apd.Decimal, error) {
	if isNaN(d) {
		return d, nil
	}
	if err := checkLog(d); err != nil || isInfinite(d) {
		return d, err
	}
	scale := clampScale(minSignificantDigits-lnWeight(d), d)
	return compute(scale+12, scale, func(c *apd.Context, out *apd.Decimal) (apd.Condition, error) {
		return c.Ln(out, d)
	})
}

// logNumeric is the logarithm of d to a base.
func logNumeric(base, d *apd.Decimal) (*apd.Decimal, error) {
	if isNaN(base) || isNaN(d) {
		return numericNaN, nil
	}
	for _, x := range []*apd.Decimal{base, d} {
		if err := checkLog(x); err != nil {
			return nil, err
		}
	}
	switch {
	case isInfinite(base) && isInfinite(d):
		return numericNaN, nil
	case isInfinite(base):
		return apd.New(0, 0), nil
	case isInfinite(d):
		return d, nil
	}
	scale := clampScale(minSignificantDigits-(lnWeight(d)-lnWeight(base)), base, d)
	c := decimalContext(scale + 20)
	lnBase, lnValue := new(apd.Decimal), new(apd.Decimal)
	if _, err := c.Ln(lnBase, base); err != nil {
		return nil, err
	}
	if lnBase.IsZero() {
		return nil, errDivision
	}
	if _, err := c.Ln(lnValue, d); err != nil {
		return nil, err
	}
	return compute(scale+20, scale, func(c *apd.Context, out *apd.Decimal) (apd.Condition, error) {
		return c.Quo(out, lnValue, lnBase)
	})
}

func powNumeric(x, y *apd.Decimal) (*apd.Decimal, error) {
	one := apd.New(1, 0)
	if x.Form != apd.Finite || y.Form != apd.Finite {
		return powSpecial(x, y, one)
	}
	integer := types.TruncNumeric(y, 0).Cmp(y) == 0
	switch {
	case x.IsZero() && y.Negative:
		return nil, errZeroToMinus
	case x.Negative && !integer:
		return nil, errMinusToPoint
	case x.IsZero() && !y.IsZero():
		return types.RoundNumeric(apd.New(0, 0), clampScale(minSignificantDigits, x, y)), nil
	case y.IsZero():
		return types.RoundNumeric(one, clampScale(minSignificantDigits, x)), nil
	}
	base := new(apd.Decimal).Abs(x)
	weight := types.NumericFloat(y) * (float64(decimalWeight(base)) + math.Log10(leadingFraction(base)))
	if weight > 131072 {
		return nil, types.Errorf("22003", "value overflows numeric format")
	}
	scale := clampScale(minSignificantDigits, x)
	if !integer {
		scale = clampScale(minSignificantDigits-int(weight), x, y)
	}
	if weight < -float64(maxResultScale) {
		return &apd.Decimal{Exponent: int32(-scale)}, nil
	}
	out, err := compute(scale+max(int(weight), 0)+16, scale, func(c *apd.Context, out *apd.Decimal) (apd.Condition, error) {
		return c.Pow(out, base, y)
	})
	if err == nil && x.Negative && isOdd(y) {
		out.Negative = !out.IsZero()
	}
	return out, err
}

func isOdd(y *apd.Decimal) bool {
	return types.TruncNumeric(y, 0).Coeff.Bit(0) == 1
}

// powSpecial follows POSIX pow for NaN and infinities.
func powSpecial(x, y, one *apd.Decimal) (*apd.Decimal, error) {
	isOne := x.Form == apd.Finite && x.Cmp(one) == 0
	yZero := y.Form == apd.Finite && y.IsZero()
	switch {
	case isOne || yZero:
		return one, nil
	case isNaN(x) || isNaN(y):
		return numericNaN, nil
	case isInfinite(y) && x.Form == apd.Finite && x.IsZero() && y.Negative:
		return nil, errZeroToMinus
	}
	f := math.Pow(types.NumericFloat(x), types.NumericFloat(y))
	switch {
	case math.IsNaN(f):
		return numericNaN, nil
	case math.IsInf(f, 0):
		return infinity(f < 0), nil
	}
	v := new(apd.Decimal)
	_, err := v.SetFloat64(f)
	return v, err
}
