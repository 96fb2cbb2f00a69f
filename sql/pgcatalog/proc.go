package pgcatalog

import (
	"slices"
	"strings"

	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// functions gives the built-in functions that can be called, and the engine's.
func (v *View) functions() []*builtin.Func {
	var out []*builtin.Func
	for _, f := range builtin.Funcs() {
		if f.Supported() || internalFunc(f) {
			out = append(out, f)
		}
	}
	return append(out, v.node.Functions()...)
}

// internalFunc tells whether a function is one that only the system calls, such as a
// type's input function: pg_type and pg_operator refer to it.
func internalFunc(f *builtin.Func) bool {
	internal := []types.OID{types.CStringOID, types.InternalOID}
	return slices.Contains(internal, f.Ret) || slices.ContainsFunc(f.Args, func(a types.OID) bool { return slices.Contains(internal, a) })
}

// funcSchema tells the schema of a function: the name of an engine's may carry it.
func (v *View) funcSchema(f *builtin.Func) (schema, name string) {
	if schema, name, ok := strings.Cut(f.Name, "."); ok {
		return schema, name
	}
	return "pg_catalog", f.Name
}

func (v *View) procs(emit func(fields)) {
	for _, f := range v.functions() {
		schema, name := v.funcSchema(f)
		row := fields{
			"oid": f.OID, "proname": name, "pronamespace": v.namespaceOID(schema), "proowner": catalog.SuperuserOID,
			"prolang": internalLanguage, "procost": 1.0, "prorows": 0.0, "prokind": f.Kind, "proisstrict": f.Strict,
			"proretset": f.SRF, "provolatile": f.Volatility, "proparallel": byte('s'), "pronargs": len(f.Args),
			"pronargdefaults": len(f.Defaults), "prorettype": f.Ret, "proargtypes": f.Args, "prosrc": name,
		}
		if f.SRF {
			row["prorows"] = 1000.0
		}
		if f.Variadic && len(f.Args) > 0 {
			row["provariadic"] = types.ElemOf(f.Args[len(f.Args)-1])
		}
		if len(f.ArgNames) > 0 {
			row["proargnames"] = f.ArgNames
		}
		if len(f.Columns) > 0 {
			row["proallargtypes"], row["proargmodes"] = allArgs(f)
		}
		if len(f.Defaults) > 0 {
			row["proargdefaults"] = strings.Join(defaultTexts(f), ", ")
		}
		emit(row)
	}
}

// allArgs gives the types and modes of a function's arguments and output columns.
func allArgs(f *builtin.Func) (all []types.OID, modes types.Value) {
	var letters []byte
	for i, a := range f.Args {
		all = append(all, a)
		letters = append(letters, argMode(f, i))
	}
	for _, c := range f.Columns {
		all = append(all, c.Type)
		letters = append(letters, 'o')
	}
	return all, arrayOf(types.ArrayOf(types.CharOID), letters, func(b byte) types.Value { return types.Int(int64(b)) })
}

func argMode(f *builtin.Func, i int) byte {
	if f.Variadic && i == len(f.Args)-1 {
		return 'v'
	}
	return 'i'
}

// defaultTexts prints the defaults of the last arguments as constants.
func defaultTexts(f *builtin.Func) []string {
	out := make([]string, len(f.Defaults))
	for i, d := range f.Defaults {
		out[i] = constant(f.Args[len(f.Args)-len(f.Defaults)+i], d)
	}
	return out
}

func constant(t types.OID, v types.Value) string {
	text := types.ToText(types.T(t), v)
	switch {
	case v.IsNull():
		return "NULL::" + t.Name()
	case t == types.BoolOID && v.AsBool():
		return "true"
	case t == types.BoolOID:
		return "false"
	case v.Kind() == types.KindInt || v.Kind() == types.KindFloat:
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'::" + t.Name()
}

func (v *View) aggregates(emit func(fields)) {
	for _, f := range v.functions() {
		if f.Kind == 'a' {
			emit(fields{
				"aggfnoid": f.OID, "aggkind": byte('n'), "aggfinalmodify": byte('r'), "aggmfinalmodify": byte('r'),
				"aggtranstype": types.InternalOID,
			})
		}
	}
}

func (v *View) operators(emit func(fields)) {
	numbers := make(map[string]types.OID)
	key := func(name string, left, right types.OID) string {
		return name + " " + left.Name() + " " + right.Name()
	}
	for _, o := range builtin.Operators() {
		numbers[key(o.Name, o.Left, o.Right)] = o.OID
	}
	for _, o := range builtin.Operators() {
		f := fields{
			"oid": o.OID, "oprname": o.Name, "oprnamespace": catalog.PgCatalogOID, "oprowner": catalog.SuperuserOID,
			"oprkind": byte('b'), "oprcanmerge": o.CanMerge, "oprcanhash": o.CanHash, "oprleft": o.Left,
			"oprright": o.Right, "oprresult": o.Ret, "oprcom": numbers[key(o.Commutator, o.Right, o.Left)],
			"oprnegate": numbers[key(o.Negator, o.Left, o.Right)],
		}
		if o.Left == 0 {
			f["oprkind"] = byte('l')
		}
		if o.Fn != nil {
			f["oprcode"] = o.Fn.OID
		}
		emit(f)
	}
}

// castBase numbers the rows of pg_cast, which have no numbers of their own in builtin.
const castBase types.OID = 11000

func (v *View) casts(emit func(fields)) {
	for i, c := range builtin.Casts() {
		f := fields{
			"oid": castBase + types.OID(i), "castsource": c.From, "casttarget": c.To, "castcontext": c.Context,
			"castmethod": byte('f'),
		}
		switch {
		case c.Fn != nil:
			f["castfunc"] = c.Fn.OID
		case c.Eval == nil:
			f["castmethod"] = byte('b')
		default:
			f["castmethod"] = byte('i')
		}
		emit(f)
	}
}

// funcNamed finds the number of a function by its name alone.
func (v *View) funcNamed(name string) (types.OID, bool) {
	if all := builtin.FuncsByName(name); len(all) > 0 {
		return all[0].OID, true
	}
	return 0, false
}

// resultType gives the result type that all overloads of a function with so many
// arguments have; text if they differ.
func (v *View) resultType(name string, args int) types.OID {
	found := types.OID(0)
	for _, f := range builtin.FuncsByName(name) {
		if len(f.Args) != args || f.Ret == found {
			continue
		}
		if found != 0 {
			return types.TextOID
		}
		found = f.Ret
	}
	if found == 0 {
		return types.TextOID
	}
	return found
}

// functionByOID finds a function, built-in or the engine's.
func (v *View) functionByOID(oid types.OID) (*builtin.Func, bool) {
	if f := builtin.FuncByOID(oid); f != nil {
		return f, true
	}
	for _, f := range v.node.Functions() {
		if f.OID == oid {
			return f, true
		}
	}
	return nil, false
}

// argumentList prints a function's parameters as pg_get_function_arguments does, or,
// without defaults and output columns, as pg_get_function_identity_arguments.
func argumentList(f *builtin.Func, identity bool) string {
	texts := defaultTexts(f)
	var out []string
	for i, a := range f.Args {
		arg := ""
		if argMode(f, i) == 'v' {
			arg = "VARIADIC "
		}
		if i < len(f.ArgNames) && f.ArgNames[i] != "" {
			arg += f.ArgNames[i] + " "
		}
		arg += a.Name()
		if d := i - (len(f.Args) - len(texts)); d >= 0 && !identity {
			arg += " DEFAULT " + texts[d]
		}
		out = append(out, arg)
	}
	if !identity {
		for _, c := range f.Columns {
			out = append(out, "OUT "+c.Name+" "+c.Type.Name())
		}
	}
	return strings.Join(out, ", ")
}

// resultText prints a function's result as pg_get_function_result does.
func resultText(f *builtin.Func) string {
	text := f.Ret.Name()
	if f.SRF {
		return "SETOF " + text
	}
	return text
}
