package types

import (
	"bytes"
	"cmp"
	"math"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// Compare gives -1, 0 or 1: the b-tree order of two values of one type. Text and
// bytes order bytewise, NaN is the greatest float and numeric, vectors order by
// elements, then dimensions. Inside arrays and records NULL is the greatest; at the
// top NULL must be handled by the caller (here it sorts last). Values of different
// kinds order by kind, integers, floats and numerics by value.
func Compare(a, b Value) int {
	if a.kind != b.kind {
		return compareKinds(a, b)
	}
	switch a.kind {
	case KindBool, KindInt, KindDate, KindTime, KindTimestamp:
		return cmp.Compare(a.n, b.n)
	case KindFloat:
		return compareFloats(a.AsFloat(), b.AsFloat())
	case KindNumeric:
		return compareNumerics(a.AsNumeric(), b.AsNumeric())
	case KindText:
		return strings.Compare(a.AsText(), b.AsText())
	case KindBytes:
		return bytes.Compare(a.AsBytes(), b.AsBytes())
	case KindInterval:
		return compareIntervals(a.AsInterval(), b.AsInterval())
	case KindVector:
		return compareVectors(a.AsVector(), b.AsVector())
	case KindArray:
		return compareArrays(a.AsArray(), b.AsArray())
	case KindRecord:
		return compareLists(a.AsRecord(), b.AsRecord())
	case KindJSONB:
		if a.AsText() == b.AsText() {
			return 0
		}
		return CompareJSON(mustJSON(a.AsText()), mustJSON(b.AsText()))
	}
	return 0
}

// Equal tells whether two values of one type are equal, as Compare does.
func Equal(a, b Value) bool {
	if a.kind == b.kind {
		switch a.kind {
		case KindBool, KindInt, KindDate, KindTime, KindTimestamp:
			return a.n == b.n
		case KindText:
			return a.AsText() == b.AsText()
		}
	}
	return Compare(a, b) == 0
}

func compareKinds(a, b Value) int {
	switch {
	case a.IsNull():
		return 1
	case b.IsNull():
		return -1
	case isNumber(a) && isNumber(b):
		if a.kind == KindFloat || b.kind == KindFloat {
			return compareFloats(AsFloat64(a), AsFloat64(b))
		}
		return compareNumerics(asDecimal(a), asDecimal(b))
	}
	return cmp.Compare(a.kind, b.kind)
}

func isNumber(v Value) bool {
	return v.kind == KindInt || v.kind == KindFloat || v.kind == KindNumeric
}

func asDecimal(v Value) *apd.Decimal {
	if v.kind == KindInt {
		return apd.New(v.n, 0)
	}
	return v.AsNumeric()
}

// AsFloat64 gives any number as a float64, rounded; ±Inf when it is too big.
func AsFloat64(v Value) float64 {
	switch v.kind {
	case KindInt:
		return float64(v.n)
	case KindNumeric:
		return NumericFloat(v.AsNumeric())
	}
	return v.AsFloat()
}

// compareFloats orders -0 = 0 and NaN = NaN after everything.
func compareFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return 0
	}
	return compareBools(math.IsNaN(a), math.IsNaN(b))
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// numericRank orders -Infinity, numbers, Infinity, NaN.
func numericRank(d *apd.Decimal) int {
	switch {
	case d.Form == apd.Finite:
		return 0
	case d.Form != apd.Infinite:
		return 2
	case d.Negative:
		return -1
	}
	return 1
}

func compareNumerics(a, b *apd.Decimal) int {
	ra, rb := numericRank(a), numericRank(b)
	if ra != 0 || rb != 0 {
		return cmp.Compare(ra, rb)
	}
	return a.Cmp(b)
}

func compareVectors(a, b []float32) int {
	for i := range min(len(a), len(b)) {
		if a[i] < b[i] {
			return -1
		}
		if a[i] > b[i] {
			return 1
		}
	}
	return cmp.Compare(len(a), len(b))
}

func compareArrays(a, b *Array) int {
	if c := compareLists(a.Elems, b.Elems); c != 0 {
		return c
	}
	if c := cmp.Compare(len(a.Dims), len(b.Dims)); c != 0 {
		return c
	}
	for i := range a.Dims {
		if c := cmp.Compare(a.Dims[i], b.Dims[i]); c != 0 {
			return c
		}
	}
	for i := range a.Lower {
		if c := cmp.Compare(a.Lower[i], b.Lower[i]); c != 0 {
			return c
		}
	}
	return 0
}

// compareLists compares element by element, NULL last, then by length.
func compareLists(a, b []Value) int {
	for i := range min(len(a), len(b)) {
		if a[i].IsNull() && b[i].IsNull() {
			continue
		}
		if c := Compare(a[i], b[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}
