package plan

import (
	"strconv"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// settle gives an expression of unknown type the type text.
func (k *block) settle(x Expr) Expr {
	if row, ok := x.(*Row); ok {
		fields, _ := mapList(row.Fields, k.settle)
		return &Row{fields, row.Names, row.Typ, row.Named, row.OrNull}
	}
	if x.Type().OID != types.UnknownOID {
		return x
	}
	out, err := k.coerce(x, types.T(types.TextOID), 'i')
	if err != nil {
		return x // text takes every unknown value
	}
	return out
}

// implicit coerces without being asked to.
func (k *block) implicit(x Expr, to types.Type) (Expr, error) { return k.coerce(x, to, 'i') }

// explicit is a cast as written.
func (k *block) explicit(x Expr, to types.Type) (Expr, error) { return k.coerce(x, to, 'e') }

// assign coerces a value to the type of the column it is stored in; column "" means
// that there is none to name.
func (k *block) assign(x Expr, to types.Type, column string) (Expr, error) {
	out, err := k.coerce(x, to, 'a')
	if err != nil && types.CodeOf(err) == "42846" && column != "" {
		return nil, types.Errorf("42804", "column %q is of type %s but expression is of type %s",
			column, types.FormatType(types.T(to.OID)), types.FormatType(x.Type())).
			WithHint("You will need to rewrite or cast the expression.")
	}
	return out, err
}

// coerce brings x to a type in a context: 'i' implicit, 'a' assignment, 'e' explicit.
// Untyped literals are read as the type, untyped parameters take it.
func (k *block) coerce(x Expr, to types.Type, context byte) (Expr, error) {
	from := x.Type()
	switch {
	case to.OID == types.AnyOID, to.OID == types.UnknownOID:
		return k.settle(x), nil
	case from.OID == types.UnknownOID:
		return k.coerceUnknown(x, to, context)
	case from.OID == to.OID && (to.Mod < 0 || from.Mod == to.Mod):
		return x, nil
	case from.OID == to.OID, canCast(from.OID, to.OID, context):
		return foldCast(k.b.env.Builtin, &Cast{x, to, context == 'e'}), nil
	}
	return nil, types.Errorf("42846", "cannot cast type %s to %s", types.FormatType(from), types.FormatType(types.T(to.OID)))
}

func (k *block) coerceUnknown(x Expr, to types.Type, context byte) (Expr, error) {
	switch x := x.(type) {
	case *Const:
		if x.Value.IsNull() {
			return &Const{types.Null, to}, nil
		}
		v, err := k.readLiteral(x.Value.AsText(), to)
		if err != nil {
			return nil, errorAt(err, k.literalAt(x))
		}
		if to.Mod >= 0 {
			return foldCast(k.b.env.Builtin, &Cast{&Const{v, types.T(to.OID)}, to, context == 'e'}), nil
		}
		return &Const{v, to}, nil
	case *Param:
		return k.typeParam(x, to, context)
	}
	return &Cast{x, to, context == 'e'}, nil
}

// literalAt is where an untyped literal stands in the statement, -1 for one that was
// made elsewhere.
func (k *block) literalAt(c *Const) sql.At {
	if at, ok := k.b.literals[c]; ok {
		return at
	}
	return -1
}

// typeParam gives an untyped parameter its type.
func (k *block) typeParam(p *Param, to types.Type, context byte) (Expr, error) {
	known := k.b.params[p.N-1]
	if known == 0 {
		k.b.params[p.N-1] = to.OID
		known = to.OID
	}
	x := &Param{p.N, types.T(known)}
	if known != to.OID && !canCast(known, to.OID, context) {
		return nil, types.Errorf("42P08", "inconsistent types deduced for parameter $%d", p.N).
			WithDetail("%s versus %s", types.FormatType(types.T(known)), types.FormatType(types.T(to.OID)))
	}
	return k.coerce(x, to, context)
}

// readLiteral reads an untyped literal as a value of a type; names of relations are
// looked up in the catalog that the statement is bound to.
func (k *block) readLiteral(text string, to types.Type) (types.Value, error) {
	env := &k.b.env
	if to.OID != types.RegclassOID || text == "-" || text != "" && text[0] >= '0' && text[0] <= '9' {
		return env.Builtin.Input(types.T(to.OID), text)
	}
	name, err := parseName(text)
	if err != nil {
		return types.Null, err
	}
	rel, err := env.Catalog.Resolve(env.SearchPath, name)
	if err != nil {
		return types.Null, err
	}
	return types.Int(int64(rel.OID)), nil
}

func isRegType(oid types.OID) bool {
	switch oid {
	case types.RegclassOID, types.RegtypeOID, types.RegprocOID, types.RegprocedureOID, types.RegoperOID,
		types.RegoperatorOID, types.RegroleOID, types.RegnamespaceOID, types.RegcollationOID:
		return true
	}
	return false
}

// typeName finds the type that a tree names.
func (b *binder) typeName(t sql.TypeName) (types.Type, error) {
	typ, err := ResolveType(t)
	return typ, errorAt(err, t.At)
}

// ResolveType finds the type that a syntax tree names, with its modifier: 42704 when
// there is none.
func ResolveType(t sql.TypeName) (types.Type, error) {
	if len(t.Name) == 0 {
		return types.Type{}, types.Errorf("42704", "a type is missing")
	}
	if t.SetOf {
		return types.Type{}, types.Errorf("42P13", "SETOF is not allowed here")
	}
	name := t.Name[len(t.Name)-1]
	info := types.LookupName(name)
	if info == nil || len(t.Name) > 1 && t.Name[0] != "pg_catalog" && t.Name[0] != "public" {
		return types.Type{}, types.Errorf("42704", "type %q does not exist", t.Name.String())
	}
	typ := types.T(info.OID)
	var err error
	if t.Fields != "" {
		if typ, err = types.ParseTypeName("interval " + t.Fields + precision(t.Mods)); err != nil {
			return typ, err
		}
	} else if len(t.Mods) > 0 {
		args := make([]int64, len(t.Mods))
		for i, m := range t.Mods {
			lit, ok := m.(*sql.Literal)
			if !ok {
				return typ, types.Errorf("42601", "type modifiers must be simple constants or identifiers")
			}
			if args[i], err = strconv.ParseInt(lit.Text, 10, 64); err != nil {
				return typ, types.Errorf("22P02", "invalid type modifier %q", lit.Text)
			}
		}
		if typ.Mod, err = types.ParseTypmod(typ.OID, args); err != nil {
			return typ, err
		}
	}
	if t.Dims > 0 {
		if typ.OID = types.ArrayOf(typ.OID); typ.OID == 0 {
			return typ, types.Errorf("42704", "type \"%s[]\" does not exist", name)
		}
	}
	return typ, nil
}

func precision(mods []sql.Expr) string {
	if len(mods) == 1 {
		if lit, ok := mods[0].(*sql.Literal); ok {
			return "(" + lit.Text + ")"
		}
	}
	return ""
}

// cast binds arg::type.
func (k *block) cast(e *sql.Cast) (Expr, error) {
	typ, err := k.b.typeName(e.Type)
	if err != nil {
		return nil, err
	}
	if a, ok := e.Arg.(*sql.ArrayExpr); ok && types.IsArray(typ.OID) {
		return k.arrayLiteral(a, typ)
	}
	arg, err := k.exprAllowingSet(e.Arg)
	if err != nil {
		return nil, err
	}
	out, err := k.explicit(arg, typ)
	return out, errorAt(err, sql.At(e.Arg.Pos()))
}

// commonType chooses the type of UNION, CASE, VALUES and the like (PostgreSQL:
// select_common_type).
func commonType(list []types.Type, context string) (types.Type, error) {
	best := types.Type{OID: types.UnknownOID, Mod: -1}
	sameMod := true
	for _, t := range list {
		if t.OID == types.UnknownOID {
			continue
		}
		if best.OID == types.UnknownOID {
			best = t
			continue
		}
		if t.OID == best.OID {
			sameMod = sameMod && t.Mod == best.Mod
			continue
		}
		sameMod = false
		a, b := types.Lookup(best.OID), types.Lookup(t.OID)
		if a == nil || b == nil || a.Category != b.Category {
			return best, types.Errorf("42804", "%s types %s and %s cannot be matched",
				context, types.FormatType(types.T(best.OID)), types.FormatType(types.T(t.OID)))
		}
		if !a.Preferred && canImplicit(best.OID, t.OID) && !canImplicit(t.OID, best.OID) {
			best = t
		}
	}
	if best.OID == types.UnknownOID {
		best.OID = types.TextOID
	}
	if !sameMod {
		best.Mod = -1
	}
	return best, nil
}

// sortable tells whether a type has an order, and so can be grouped as well.
func sortable(t types.Type) error {
	switch t.OID {
	case types.JSONOID:
		return types.Errorf("42883", "could not identify an ordering operator for type %s", types.FormatType(t)).
			WithHint("Use an explicit ordering operator or modify the query.")
	}
	return nil
}
