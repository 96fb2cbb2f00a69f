package builtin

import (
	"github.com/heliosdb/helios/types"
)

// binding holds what the polymorphic pseudo-types of one call stand for.
type binding struct {
	elem, array types.OID // anyelement and anyarray; 0 while unsettled
	compatible  types.OID // anycompatible
}

func isPolymorphic(oid types.OID) bool {
	switch oid {
	case types.AnyElementOID, types.AnyArrayOID, types.AnyNonArrayOID, types.AnyEnumOID,
		types.AnyCompatibleOID, types.AnyCompatibleArrayOID, types.AnyCompatibleNonArrayOID:
		return true
	}
	return false
}

// bindPolymorphic settles the pseudo-types in params by the actual arguments
// (enforce_generic_type_consistency). Untyped literals settle nothing by themselves.
func bindPolymorphic(args, params []types.OID) (*binding, error) {
	b := &binding{}
	var compatible []types.OID
	usesElement, nonArray := false, false
	for i, p := range params {
		arg := args[i]
		switch p {
		case types.AnyElementOID, types.AnyNonArrayOID, types.AnyEnumOID:
			usesElement = true
			nonArray = nonArray || p == types.AnyNonArrayOID
			if arg == types.UnknownOID {
				continue
			}
			if p == types.AnyEnumOID { // there are no enum types
				return nil, types.Errorf("42804", "type matched to anyenum is not an enum type: %s", arg.Name())
			}
			if b.elem != 0 && b.elem != arg {
				return nil, types.Errorf("42804", "arguments declared \"%s\" are not all alike", p.Name()).
					WithDetail("%s versus %s", b.elem.Name(), arg.Name())
			}
			b.elem = arg
		case types.AnyArrayOID:
			usesElement = true
			if arg == types.UnknownOID {
				continue
			}
			if b.array != 0 && b.array != arg {
				return nil, types.Errorf("42804", "arguments declared \"anyarray\" are not all alike").
					WithDetail("%s versus %s", b.array.Name(), arg.Name())
			}
			b.array = arg
		case types.AnyCompatibleOID, types.AnyCompatibleNonArrayOID:
			compatible = append(compatible, arg)
		case types.AnyCompatibleArrayOID:
			if arg == types.UnknownOID {
				compatible = append(compatible, arg)
				continue
			}
			elem := types.ElemOf(arg)
			if elem == 0 {
				return nil, notArray("anycompatiblearray", arg)
			}
			compatible = append(compatible, elem)
		}
	}
	if usesElement {
		if err := b.settleElement(nonArray); err != nil {
			return nil, err
		}
	}
	if len(compatible) > 0 {
		common, err := CommonType(compatible, "")
		if err != nil {
			return nil, err
		}
		b.compatible = common
	}
	return b, nil
}

func notArray(declared string, arg types.OID) error {
	return types.Errorf("42804", "argument declared %s is not an array but type %s", declared, arg.Name())
}

// settleElement derives anyelement and anyarray from one another and checks them.
func (b *binding) settleElement(nonArray bool) error {
	if b.array == types.AnyArrayOID { // pg_statistic's columns only
		return nil
	}
	if b.array != 0 {
		elem := types.ElemOf(b.array)
		if elem == 0 {
			return notArray("anyarray", b.array)
		}
		if b.elem == 0 {
			b.elem = elem
		} else if b.elem != elem {
			return types.Errorf("42804", "argument declared anyarray is not consistent with argument declared anyelement").
				WithDetail("%s versus %s", b.array.Name(), b.elem.Name())
		}
	} else if b.elem != 0 {
		b.array = types.ArrayOf(b.elem)
	}
	if nonArray && b.elem != 0 && types.IsArray(b.elem) {
		return types.Errorf("42804", "type matched to anynonarray is an array type: %s", b.elem.Name())
	}
	return nil
}

// concrete gives the type to which an argument of type arg is cast for a parameter.
func (b *binding) concrete(param, arg types.OID) types.OID {
	switch param {
	case types.AnyElementOID, types.AnyNonArrayOID, types.AnyEnumOID:
		return orUnknown(b.elem, arg)
	case types.AnyArrayOID:
		return orUnknown(b.array, arg)
	case types.AnyCompatibleOID, types.AnyCompatibleNonArrayOID:
		return orUnknown(b.compatible, arg)
	case types.AnyCompatibleArrayOID:
		return orUnknown(types.ArrayOf(b.compatible), arg)
	case types.AnyOID:
		return arg
	}
	return param
}

func orUnknown(settled, arg types.OID) types.OID {
	if settled == 0 {
		return arg
	}
	return settled
}

// result gives the type of the call; 42804 if it hangs on an untyped literal.
func (b *binding) result(fn *Func) (types.OID, error) {
	undetermined := types.Errorf("42804", "could not determine polymorphic type because input has type unknown")
	out := fn.Ret
	switch fn.Ret {
	case types.AnyElementOID, types.AnyNonArrayOID, types.AnyEnumOID:
		out = b.elem
	case types.AnyArrayOID:
		out = b.array
		if out == 0 && b.elem != 0 {
			return 0, types.Errorf("42704", "could not find array type for data type %s", b.elem.Name())
		}
	case types.AnyCompatibleOID, types.AnyCompatibleNonArrayOID:
		out = b.compatible
	case types.AnyCompatibleArrayOID:
		out = types.ArrayOf(b.compatible)
	default:
		for _, p := range fn.Args {
			if isPolymorphic(p) && b.elem == 0 && b.array == 0 && b.compatible == 0 {
				return 0, undetermined
			}
		}
	}
	if out == 0 {
		return 0, undetermined
	}
	return out, nil
}

// CommonType chooses one type for several expressions, as UNION, CASE, VALUES, ARRAY,
// GREATEST and COALESCE do; untyped literals alone give text. what names the
// construct in the error, 42804 "CASE types … and … cannot be matched".
func CommonType(args []types.OID, what string) (types.OID, error) {
	best := types.UnknownOID
	for _, arg := range args {
		if arg == types.UnknownOID || arg == best {
			continue
		}
		if best == types.UnknownOID {
			best = arg
			continue
		}
		if category(arg) != category(best) {
			return 0, noCommonType(what, best, arg)
		}
		if !preferred(best) && canCoerce(best, arg, 'i') && !canCoerce(arg, best, 'i') {
			best = arg
		}
	}
	if best == types.UnknownOID {
		return types.TextOID, nil
	}
	for _, arg := range args {
		if !canCoerce(arg, best, 'i') {
			return 0, noCommonType(what, best, arg)
		}
	}
	return best, nil
}

func noCommonType(what string, a, b types.OID) error {
	if what == "" {
		return types.Errorf("42804", "arguments of anycompatible family cannot be cast to a common type")
	}
	return types.Errorf("42804", "%s types %s and %s cannot be matched", what, a.Name(), b.Name())
}
