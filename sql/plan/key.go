package plan

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/heliosdb/helios/types"
)

// Key writes an expression so that two expressions with equal keys are the same: what
// GROUP BY and ORDER BY look for in a select list.
func Key(e Expr) string {
	var b strings.Builder
	writeKey(&b, e)
	return b.String()
}

func writeKey(b *strings.Builder, e Expr) {
	typ := e.Type()
	switch e := e.(type) {
	case *Const:
		b.WriteByte('c')
		if e.Value.IsNull() {
			b.WriteString("null")
		} else {
			b.WriteString(strconv.Quote(types.ToText(types.T(typ.OID), e.Value)))
		}
	case *Param:
		fmt.Fprintf(b, "$%d", e.N)
	case *Column:
		fmt.Fprintf(b, "v%d", e.Index)
	case *Outer:
		fmt.Fprintf(b, "o%d", e.Index)
	case *InitValue:
		fmt.Fprintf(b, "i%d", e.Index)
	case *aggRef:
		fmt.Fprintf(b, "a%d", e.Index)
	case *windowRef:
		fmt.Fprintf(b, "w%d", e.Index)
	case *setRef:
		fmt.Fprintf(b, "s%d", e.Index)
	case *SubPlan:
		fmt.Fprintf(b, "p%p", e.Plan)
	case *Call:
		b.WriteByte('f')
		if e.Fn != nil {
			fmt.Fprintf(b, "%d%s", e.Fn.OID, e.Fn.Name)
		}
		b.WriteString(e.Op)
	case *IsNull:
		fmt.Fprintf(b, "null%t", e.Not)
	case *BoolTest:
		fmt.Fprintf(b, "is%s%t", e.Test, e.Not)
	case *IsDistinct:
		fmt.Fprintf(b, "distinct%t", e.Not)
	case *MinMax:
		fmt.Fprintf(b, "minmax%t", e.Least)
	case *AnyAll:
		fmt.Fprintf(b, "any%d%s%t", e.Fn.OID, e.Op, e.All)
	case *Cast:
		fmt.Fprintf(b, "cast%t", e.Explicit)
	case *Field:
		fmt.Fprintf(b, "field%d", e.Index)
	case *Subscript:
		for _, x := range e.Index {
			fmt.Fprintf(b, "[%t%t%t]", x.Slice, x.Low == nil, x.High == nil)
		}
	case *Case:
		fmt.Fprintf(b, "case%d%t", len(e.Whens), e.Else == nil)
	default:
		fmt.Fprintf(b, "%T", e)
	}
	fmt.Fprintf(b, ":%d/%d", typ.OID, typ.Mod)
	b.WriteByte('(')
	mapArgs(e, func(x Expr) Expr {
		writeKey(b, x)
		b.WriteByte(',')
		return x
	})
	b.WriteByte(')')
}

func itoa(i int) string { return strconv.Itoa(i) }
