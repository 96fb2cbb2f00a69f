package builtin

import (
	"github.com/heliosdb/helios/types"
)

// rank orders cast contexts: implicit casts work everywhere.
func rank(context byte) int {
	switch context {
	case 'i':
		return 0
	case 'a':
		return 1
	}
	return 2
}

func castRow(from, to types.OID) *Cast {
	return builtins().casts[[2]types.OID{from, to}]
}

// canCoerce tells whether a value of type from may become one of type to in a context;
// pseudo-types accept what bindPolymorphic then checks.
func canCoerce(from, to types.OID, context byte) bool {
	switch {
	case from == to, to == types.AnyOID, from == types.UnknownOID, isPolymorphic(to):
		return true
	}
	_, ok := FindCast(from, to, context)
	return ok
}

// FindCast finds how to convert between two types in a context: 'i' implicitly (operands
// and arguments), 'a' in assignment (INSERT, UPDATE), 'e' by an explicit cast. Besides
// the rows of pg_cast there are casts of arrays by their elements, and conversion
// through text: to strings in assignment, from strings when explicit. An untyped
// literal is read by Context.Input instead.
func FindCast(from, to types.OID, context byte) (*Cast, bool) {
	if from == to {
		return &Cast{From: from, To: to, Context: 'i'}, true
	}
	if c := castRow(from, to); c != nil {
		return c, rank(context) >= rank(c.Context) && (c.Eval != nil || !isFunctionCast(c))
	}
	if c, ok := arrayCast(from, to, context); ok {
		return c, true
	}
	switch {
	case from == types.UnknownOID:
		return throughText(from, to, 'i'), true
	case isPseudo(to) || isPseudo(from) && from != types.RecordOID && from != types.VoidOID:
		return nil, false
	case category(to) == 'S' && rank(context) >= rank('a'):
		return throughText(from, to, 'a'), true
	case category(from) == 'S' && context == 'e':
		return throughText(from, to, 'e'), true
	}
	return nil, false
}

// isFunctionCast tells of a row of pg_cast that needs a conversion; without one it is not supported.
func isFunctionCast(c *Cast) bool { return c.Fn != nil }

func isPseudo(oid types.OID) bool {
	info := types.Lookup(oid)
	return info != nil && info.Kind == 'p'
}

// arrayCast converts element by element.
func arrayCast(from, to types.OID, context byte) (*Cast, bool) {
	fromElem, toElem := types.ElemOf(from), types.ElemOf(to)
	if fromElem == 0 || toElem == 0 || to == types.Int2VectorOID || to == types.OIDVectorOID {
		return nil, false
	}
	elem, ok := FindCast(fromElem, toElem, context)
	if !ok {
		return nil, false
	}
	return &Cast{From: from, To: to, Context: elem.Context, Eval: func(ctx *Context, v types.Value) (types.Value, error) {
		a := *v.AsArray()
		a.Elem = toElem
		a.Elems = make([]types.Value, len(a.Elems))
		for i, e := range v.AsArray().Elems {
			if a.Elems[i] = e; e.IsNull() || elem.Eval == nil {
				continue
			}
			var err error
			if a.Elems[i], err = elem.Eval(ctx, e); err != nil {
				return types.Null, err
			}
		}
		return types.ArrayValue(&a), nil
	}}, true
}

// throughText converts by the one type's output and the other's input.
func throughText(from, to types.OID, context byte) *Cast {
	return &Cast{From: from, To: to, Context: context, Eval: func(ctx *Context, v types.Value) (types.Value, error) {
		return ctx.Input(types.T(to), ctx.Output(types.T(from), v))
	}}
}

// Convert casts v, which may be NULL, to a type and fits it to the type's modifier;
// explicit as for types.Coerce. Errors: 42846 if there is no cast, and the cast's own.
func (c *Context) Convert(v types.Value, from, to types.Type, explicit bool) (types.Value, error) {
	if v.IsNull() {
		return v, nil
	}
	context := byte('a')
	if explicit {
		context = 'e'
	}
	cast, ok := FindCast(from.OID, to.OID, context)
	if !ok {
		return types.Null, types.Errorf("42846", "cannot cast type %s to %s", from.OID.Name(), to.OID.Name())
	}
	if cast.Eval != nil {
		var err error
		if v, err = cast.Eval(c, v); err != nil {
			return types.Null, err
		}
	}
	return types.Coerce(v, to, explicit)
}

// regClass tells of the reg types, whose values are OIDs and whose text is a name.
func regClass(oid types.OID) (class string, ok bool) {
	switch oid {
	case types.RegclassOID:
		return ClassRelation, true
	case types.RegtypeOID:
		return ClassType, true
	case types.RegprocOID, types.RegprocedureOID:
		return ClassFunction, true
	case types.RegoperOID, types.RegoperatorOID:
		return ClassOperator, true
	case types.RegnamespaceOID:
		return ClassNamespace, true
	case types.RegroleOID:
		return ClassRole, true
	case types.RegcollationOID:
		return ClassCollation, true
	}
	return "", false
}

// Output gives the text of a value: names for the reg types, else types.AppendText.
func (c *Context) Output(t types.Type, v types.Value) string {
	return string(c.AppendText(nil, t, v))
}

// AppendText is Output onto dst.
func (c *Context) AppendText(dst []byte, t types.Type, v types.Value) []byte {
	if v.Kind() == types.KindText && t.OID != types.BPCharOID {
		return append(dst, v.AsText()...)
	}
	if class, ok := regClass(t.OID); ok && v.Kind() == types.KindInt {
		if v.AsInt() == 0 {
			return append(dst, '-')
		}
		if name, ok := c.nameOf(class, t.OID, types.OID(v.AsInt())); ok {
			return append(dst, name...)
		}
	}
	if v.Kind() == types.KindArray {
		if _, ok := regClass(v.AsArray().Elem); ok {
			v = c.namedArray(v.AsArray())
		}
	}
	return types.AppendText(dst, t, v, c.IO())
}

func (c *Context) namedArray(a *types.Array) types.Value {
	named := *a
	named.Elem, named.Elems = types.TextOID, make([]types.Value, len(a.Elems))
	for i, e := range a.Elems {
		if !e.IsNull() {
			named.Elems[i] = types.Text(c.Output(types.T(a.Elem), e))
		}
	}
	return types.ArrayValue(&named)
}

// nameOf names an object: the catalog's own, else a built-in one.
func (c *Context) nameOf(class string, regType, oid types.OID) (string, bool) {
	if c.Catalog != nil {
		if name, ok := c.Catalog.Name(class, oid); ok {
			return name, true
		}
	}
	switch class {
	case ClassType:
		if types.Lookup(oid) != nil {
			return types.FormatType(types.T(oid)), true
		}
	case ClassFunction:
		if fn := FuncByOID(oid); fn != nil {
			if regType == types.RegprocedureOID {
				return procedureName(fn), true
			}
			return fn.Name, true
		}
	case ClassOperator:
		if op := OperatorByOID(oid); op != nil {
			if regType == types.RegoperatorOID {
				return operatorName(op), true
			}
			return op.Name, true
		}
	}
	return "", false
}

func procedureName(fn *Func) string {
	out := fn.Name + "("
	for i, arg := range fn.Args {
		if i > 0 {
			out += ","
		}
		out += arg.Name()
	}
	return out + ")"
}

func operatorName(op *Operator) string {
	left := "NONE"
	if op.Left != 0 {
		left = op.Left.Name()
	}
	return op.Name + "(" + left + "," + op.Right.Name() + ")"
}

// Input reads the text of a value: names for the reg types, else types.ParseText.
func (c *Context) Input(t types.Type, s string) (types.Value, error) {
	class, ok := regClass(t.OID)
	if !ok {
		return types.ParseText(t, s, c.IO())
	}
	if s == "-" || s != "" && s[0] >= '0' && s[0] <= '9' {
		return types.ParseText(t, s, nil)
	}
	oid, found, err := c.lookup(class, t.OID, s)
	if err != nil {
		return types.Null, err
	}
	if !found {
		return types.Null, notFound(class, s)
	}
	return types.Int(int64(oid)), nil
}

func notFound(class, name string) error {
	switch class {
	case ClassRelation:
		return types.Errorf("42P01", "relation \"%s\" does not exist", name)
	case ClassType:
		return types.Errorf("42704", "type \"%s\" does not exist", name)
	case ClassFunction:
		return types.Errorf("42883", "function \"%s\" does not exist", name)
	case ClassOperator:
		return types.Errorf("42883", "operator does not exist: %s", name)
	case ClassNamespace:
		return types.Errorf("3F000", "schema \"%s\" does not exist", name)
	case ClassRole:
		return types.Errorf("42704", "role \"%s\" does not exist", name)
	}
	return types.Errorf("42704", "collation \"%s\" for encoding \"UTF8\" does not exist", name)
}
