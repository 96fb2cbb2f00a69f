package builtin

import (
	"strings"

	"github.com/heliosdb/helios/types"
)

// comparisons turns the sign of a comparison into the operator's answer.
var comparisons = map[string]func(int) bool{
	"=":  func(c int) bool { return c == 0 },
	"<>": func(c int) bool { return c != 0 },
	"<":  func(c int) bool { return c < 0 },
	"<=": func(c int) bool { return c <= 0 },
	">":  func(c int) bool { return c > 0 },
	">=": func(c int) bool { return c >= 0 },
	// byte order of text, which is Helios' order anyway
	"~<~": func(c int) bool { return c < 0 }, "~<=~": func(c int) bool { return c <= 0 },
	"~>~": func(c int) bool { return c > 0 }, "~>=~": func(c int) bool { return c >= 0 },
}

// compareFuncOf gives the comparison of two types: their common order, dates and
// timestamps brought to one type before; nil if they have none here.
func compareFuncOf(left, right types.OID) func(ctx *Context, a, b types.Value) (int, error) {
	toCommon := func(from, to types.OID) convertFunc {
		if from == to {
			return nil
		}
		return converter(from, to)
	}
	if isDateLike(left) && isDateLike(right) && left != right {
		common := types.TimestampOID
		if left == types.TimestampTZOID || right == types.TimestampTZOID {
			common = types.TimestampTZOID
		}
		l, r := toCommon(left, common), toCommon(right, common)
		return func(ctx *Context, a, b types.Value) (int, error) {
			var err error
			if l != nil {
				if a, err = l(ctx, a); err != nil {
					return 0, err
				}
			}
			if r != nil {
				if b, err = r(ctx, b); err != nil {
					return 0, err
				}
			}
			return types.Compare(a, b), nil
		}
	}
	if left == types.PGLSNOID || left == types.XID8OID {
		return func(_ *Context, a, b types.Value) (int, error) {
			const flip = -1 << 63 // these count without a sign
			return types.Compare(types.Int(a.AsInt()^flip), types.Int(b.AsInt()^flip)), nil
		}
	}
	if left == types.RecordOID {
		return compareRecords
	}
	return func(_ *Context, a, b types.Value) (int, error) { return types.Compare(a, b), nil }
}

func compareRecords(_ *Context, a, b types.Value) (int, error) {
	if len(a.AsRecord()) != len(b.AsRecord()) {
		return 0, types.Errorf("42804", "cannot compare record types with different numbers of columns")
	}
	return types.Compare(a, b), nil
}

func isDateLike(oid types.OID) bool {
	return oid == types.DateOID || oid == types.TimestampOID || oid == types.TimestampTZOID
}

// bindComparisons builds the functions behind comparison operators and, for the same
// types, those that give the order (…cmp), the larger and the smaller value.
func (t *table) bindComparisons() {
	for _, op := range t.operators {
		test := comparisons[op.Name]
		if test == nil || op.Left == 0 || op.Fn.Eval != nil || op.Ret != types.BoolOID {
			continue
		}
		compare := compareFuncOf(op.Left, op.Right)
		op.Fn.Eval = func(ctx *Context, a []types.Value) (types.Value, error) {
			c, err := compare(ctx, a[0], a[1])
			return types.Bool(test(c)), err
		}
	}
	for _, fn := range t.funcs {
		if len(fn.Args) == 2 && fn.Eval == nil && fn.Kind == 'f' && !fn.SRF {
			fn.Eval = orderFunc(fn)
		}
	}
}

func orderFunc(fn *Func) evalFunc {
	compare := compareFuncOf(fn.Args[0], fn.Args[1])
	sameTypes := fn.Args[0] == fn.Args[1] && fn.Ret == fn.Args[0]
	switch {
	case strings.HasSuffix(fn.Name, "cmp") && fn.Ret == types.Int4OID:
		return func(ctx *Context, a []types.Value) (types.Value, error) {
			c, err := compare(ctx, a[0], a[1])
			return types.Int(int64(c)), err
		}
	case strings.HasSuffix(fn.Name, "larger") && sameTypes, strings.HasSuffix(fn.Name, "smaller") && sameTypes:
		sign := 1
		if strings.HasSuffix(fn.Name, "smaller") {
			sign = -1
		}
		return func(ctx *Context, a []types.Value) (types.Value, error) {
			if c, err := compare(ctx, a[0], a[1]); err != nil || c*sign > 0 {
				return a[0], err
			}
			return a[1], nil
		}
	}
	return nil
}
