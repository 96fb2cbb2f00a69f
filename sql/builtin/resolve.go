package builtin

import (
	"slices"
	"strings"

	"github.com/heliosdb/helios/types"
)

// Call is a resolved call: which function, and what each argument becomes.
type Call struct {
	// Func is the function, made for these argument types: call its Eval, not that of
	// FuncByOID or Operator.Fn.
	Func *Func
	// Args are the types to which the actual arguments must be cast, one for each
	// argument written, then Defaults for those left out. The arguments that a
	// variadic function takes singly come one by one; Pack says from which on the
	// caller puts them into an array (-1: not at all).
	Args     []types.OID
	Defaults []types.Value
	Pack     int
	PackElem types.OID // element type of the packed array
	// Order maps parameter positions to the arguments written, for calls by name; nil
	// when they are in order.
	Order []int
	Ret   types.OID
	// CastTo is set instead of Func when a type's name was called like a function,
	// as in float8(x): the call is that cast.
	CastTo types.OID
}

// Notation is how a call was written beyond its name and argument types.
type Notation struct {
	Names    []string // name of each argument, "" for positional ones; nil if none is named
	Variadic bool     // the last argument was written VARIADIC
	Star     bool     // count(*)
}

// Resolve chooses a function by name and argument types as PostgreSQL does (chapter
// "Type Conversion", functions); unknown stands for untyped literals and parameters.
// Errors: 42883 none fits, 42725 several fit, 42804 polymorphic arguments disagree,
// 0A000 the chosen one is not supported.
func Resolve(name string, args []types.OID) (*Call, error) {
	return ResolveCall(name, args, Notation{})
}

// ResolveCall is Resolve for calls with named or VARIADIC arguments or a star.
func ResolveCall(name string, args []types.OID, how Notation) (*Call, error) {
	name = strings.TrimPrefix(name, "pg_catalog.")
	found := candidatesOf(name, args, how)
	best, err := chooseFunc(name, args, how, found)
	if err != nil || best == nil {
		if err == nil {
			if oid, ok := castCall(name, args); ok {
				return &Call{CastTo: oid, Args: args, Ret: oid, Pack: -1}, nil
			}
			err = noFunction(name, args, how)
		}
		return nil, err
	}
	if !best.fn.Supported() {
		return nil, unsupported("function " + signatureSQL(name, best.fn.Args))
	}
	return best.call(args)
}

// candidate is a function with its parameters laid out for one call.
type candidate struct {
	fn       *Func
	params   []types.OID // one per argument written
	expanded bool        // variadic arguments are taken singly
	explicit bool        // the last argument was written VARIADIC
	order    []int       // parameter → argument, for calls by name
	defaults []types.Value
}

func candidatesOf(name string, args []types.OID, how Notation) []*candidate {
	var out []*candidate
	for _, fn := range builtins().byName[name] {
		if c := layOut(fn, len(args), how); c != nil {
			out = append(out, c)
		}
	}
	return dropShadowed(out)
}

// layOut fits a function's parameters to a call of n arguments; nil if they do not fit.
func layOut(fn *Func, n int, how Notation) *candidate {
	if how.Star {
		if fn.Kind == 'f' || len(fn.Args) != 0 {
			return nil
		}
		return &candidate{fn: fn}
	}
	if how.Names != nil {
		return layOutNamed(fn, n, how.Names)
	}
	required := len(fn.Args) - len(fn.Defaults)
	switch {
	case n == len(fn.Args) && (!fn.Variadic || how.Variadic || isAny(fn.Args[n-1])):
		if how.Variadic && !fn.Variadic {
			return nil
		}
		return &candidate{fn: fn, params: fn.Args, explicit: how.Variadic}
	case how.Variadic:
		return nil
	case fn.Variadic && n >= len(fn.Args):
		return expand(fn, n)
	case !fn.Variadic && n >= required && n < len(fn.Args):
		return &candidate{fn: fn, params: fn.Args[:n], defaults: fn.Defaults[n-required:]}
	}
	return nil
}

func isAny(oid types.OID) bool { return oid == types.AnyOID }

// expand lays out a variadic function for arguments taken singly.
func expand(fn *Func, n int) *candidate {
	last := len(fn.Args) - 1
	elem := fn.Args[last]
	switch elem {
	case types.AnyOID:
	case types.AnyArrayOID:
		elem = types.AnyElementOID
	case types.AnyCompatibleArrayOID:
		elem = types.AnyCompatibleOID
	default:
		elem = types.ElemOf(elem)
	}
	params := slices.Clone(fn.Args[:last])
	for len(params) < n {
		params = append(params, elem)
	}
	return &candidate{fn: fn, params: params, expanded: true}
}

func layOutNamed(fn *Func, n int, names []string) *candidate {
	if n > len(fn.Args) || fn.Variadic || len(fn.ArgNames) < len(fn.Args) {
		return nil
	}
	order := slices.Repeat([]int{-1}, len(fn.Args))
	params := make([]types.OID, n)
	for i := range n {
		at := i
		if names[i] != "" {
			at = slices.Index(fn.ArgNames[:len(fn.Args)], names[i])
		}
		if at < 0 || order[at] >= 0 {
			return nil
		}
		order[at], params[i] = i, fn.Args[at]
	}
	required := len(fn.Args) - len(fn.Defaults)
	if slices.Contains(order[:required], -1) {
		return nil
	}
	return &candidate{fn: fn, params: params, order: order, defaults: fn.Defaults}
}

// dropShadowed removes candidates whose parameters equal those of a better one: one
// that is not variadic, or needs no defaults.
func dropShadowed(all []*candidate) []*candidate {
	worse := func(a, b *candidate) bool {
		if a.expanded != b.expanded {
			return a.expanded
		}
		return len(a.defaults) > len(b.defaults)
	}
	return slices.DeleteFunc(slices.Clone(all), func(a *candidate) bool {
		return slices.ContainsFunc(all, func(b *candidate) bool {
			return a != b && slices.Equal(a.params, b.params) && worse(a, b)
		})
	})
}

// chooseFunc applies func_get_detail's order: exact match, a type's name used as a
// cast, then the candidates the arguments can be coerced to.
func chooseFunc(name string, args []types.OID, how Notation, found []*candidate) (*candidate, error) {
	for _, c := range found {
		if slices.Equal(c.params, args) {
			return c, nil
		}
	}
	if how.Names == nil && !how.Variadic {
		if _, ok := castCall(name, args); ok && args[0] == types.UnknownOID {
			return nil, nil
		}
	}
	found = fitting(args, found)
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return found[0], nil
	}
	best := selectBest(args, paramsOf(found))
	if best < 0 {
		return nil, types.Errorf("42725", "function %s is not unique", callSQL(name, args, how)).
			WithHint("Could not choose a best candidate function. You might need to add explicit type casts.")
	}
	return found[best], nil
}

func paramsOf(found []*candidate) [][]types.OID {
	out := make([][]types.OID, len(found))
	for i, c := range found {
		out[i] = c.params
	}
	return out
}

// fitting keeps the candidates to which all arguments coerce implicitly.
func fitting(args []types.OID, found []*candidate) []*candidate {
	var out []*candidate
	for _, c := range found {
		if canCoerceAll(args, c.params) {
			out = append(out, c)
		}
	}
	return out
}

func canCoerceAll(args, params []types.OID) bool {
	for i, arg := range args {
		if !canCoerce(arg, params[i], 'i') {
			return false
		}
	}
	_, err := bindPolymorphic(args, params)
	return err == nil
}

// castCall tells whether a call is a cast in function notation: a type's name, and one
// argument that is an untyped literal, shares the type's values, or converts through text.
func castCall(name string, args []types.OID) (types.OID, bool) {
	info := types.LookupName(name)
	if info == nil || len(args) != 1 || info.Kind == 'p' || info.Category == 'A' && info.Len == -1 && name[0] == '_' {
		return 0, false
	}
	from := args[0]
	switch {
	case from == types.UnknownOID, from == info.OID:
		return info.OID, true
	case from == types.RecordOID:
		return 0, false
	}
	c := castRow(from, info.OID)
	if c != nil {
		return info.OID, c.Eval == nil || c.Fn == nil
	}
	return info.OID, category(from) == 'S' || info.Category == 'S'
}

// call settles polymorphic types and packs what resolution found.
func (c *candidate) call(args []types.OID) (*Call, error) {
	b, err := bindPolymorphic(args, c.params)
	if err != nil {
		return nil, err
	}
	out := &Call{Func: c.fn, Args: make([]types.OID, len(args)), Pack: -1, Order: c.order, Defaults: c.defaults}
	for i, p := range c.params {
		out.Args[i] = b.concrete(p, args[i])
	}
	if c.expanded && !isAny(c.params[len(c.params)-1]) {
		out.Pack = len(c.fn.Args) - 1
		out.PackElem = out.Args[out.Pack]
	}
	if c.fn.typed != nil {
		bound := *c.fn
		bound.Eval = c.fn.typed(out.Args, c.explicit)
		out.Func = &bound
	}
	out.Ret, err = b.result(c.fn)
	return out, err
}

func noFunction(name string, args []types.OID, how Notation) error {
	what := "function " + callSQL(name, args, how)
	if slices.ContainsFunc(FuncsByName(name), func(f *Func) bool { return f.Kind == 'p' }) {
		what = "procedure " + callSQL(name, args, how)
	}
	return types.Errorf("42883", "%s does not exist", what).
		WithHint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

// callSQL prints a call as error messages do: name(type, argname => type).
func callSQL(name string, args []types.OID, how Notation) string {
	var b strings.Builder
	b.WriteString(name + "(")
	for i, arg := range args {
		if i > 0 {
			b.WriteString(", ")
		}
		if how.Names != nil && how.Names[i] != "" {
			b.WriteString(how.Names[i] + " => ")
		}
		b.WriteString(arg.Name())
	}
	if how.Star {
		b.WriteString("*")
	}
	return b.String() + ")"
}

func signatureSQL(name string, args []types.OID) string { return callSQL(name, args, Notation{}) }
