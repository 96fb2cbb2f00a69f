package builtin

import (
	"strings"

	"github.com/heliosdb/helios/types"
)

// lookup finds an object by its written name: built-in types, functions and operators
// here, all else in the catalog. Errors: 42725 for a function name with overloads.
func (c *Context) lookup(class string, regType types.OID, name string) (types.OID, bool, error) {
	name = strings.TrimSpace(name)
	switch class {
	case ClassType:
		if t, err := types.ParseTypeName(name); err == nil {
			return t.OID, true, nil
		}
	case ClassFunction:
		oid, ok, err := lookupFunc(regType, strings.TrimPrefix(name, "pg_catalog."))
		if ok || err != nil {
			return oid, ok, err
		}
	case ClassOperator:
		oid, ok, err := lookupOperator(regType, strings.TrimPrefix(name, "pg_catalog."))
		if ok || err != nil {
			return oid, ok, err
		}
	}
	if c.Catalog == nil {
		return 0, false, nil
	}
	oid, ok := c.Catalog.Lookup(class, name)
	return oid, ok, nil
}

// lookupFunc finds a function by its bare name (regproc) or name(types) (regprocedure).
func lookupFunc(regType types.OID, name string) (types.OID, bool, error) {
	if regType == types.RegprocOID {
		found := FuncsByName(name)
		if len(found) > 1 {
			return 0, false, types.Errorf("42725", "more than one function named \"%s\"", name)
		}
		if len(found) == 1 {
			return found[0].OID, true, nil
		}
		return 0, false, nil
	}
	base, args, ok := cutArgs(name)
	if !ok {
		return 0, false, types.Errorf("22P02", "expected a left parenthesis")
	}
	for _, fn := range FuncsByName(base) {
		if matchTypes(args, fn.Args) {
			return fn.OID, true, nil
		}
	}
	return 0, false, nil
}

func lookupOperator(regType types.OID, name string) (types.OID, bool, error) {
	if regType == types.RegoperOID {
		found := builtins().operatorByName[name]
		if len(found) > 1 {
			return 0, false, types.Errorf("42725", "more than one operator named %s", name)
		}
		if len(found) == 1 {
			return found[0].OID, true, nil
		}
		return 0, false, nil
	}
	base, args, ok := cutArgs(name)
	if !ok || len(args) != 2 {
		return 0, false, types.Errorf("42P02", "missing argument").
			WithHint("Use NONE to denote the missing argument of a unary operator.")
	}
	for _, op := range builtins().operatorByName[base] {
		if matchTypes(args, []types.OID{op.Left, op.Right}) {
			return op.OID, true, nil
		}
	}
	return 0, false, nil
}

// cutArgs splits name(type, type).
func cutArgs(s string) (name string, args []string, ok bool) {
	name, rest, ok := strings.Cut(s, "(")
	if !ok || !strings.HasSuffix(rest, ")") {
		return "", nil, false
	}
	if rest = strings.TrimSuffix(rest, ")"); strings.TrimSpace(rest) != "" {
		args = strings.Split(rest, ",")
	}
	return strings.TrimSpace(name), args, true
}

func matchTypes(written []string, want []types.OID) bool {
	if len(written) != len(want) {
		return false
	}
	for i, w := range written {
		if w = strings.TrimSpace(w); want[i] == 0 && strings.EqualFold(w, "none") {
			continue
		}
		t, err := types.ParseTypeName(w)
		if err != nil || t.OID != want[i] {
			return false
		}
	}
	return true
}
