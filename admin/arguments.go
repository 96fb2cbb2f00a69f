package admin

import (
	"strings"

	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/types"
)

// bind gives each parameter its value: positional arguments first, named ones wherever
// they belong, defaults for the rest.
func (p *procedure) bind(args []session.Arg) ([]types.Value, error) {
	if err := checkNotation(args); err != nil {
		return nil, err
	}
	values := make([]types.Value, len(p.params))
	given := make([]bool, len(p.params))
	for i, arg := range args {
		at := i
		if arg.Name != "" {
			at = p.param(arg.Name)
		}
		if at < 0 || at >= len(p.params) || given[at] || !p.params[at].accepts(arg.Type.OID) {
			return nil, noProcedure(p.name, args)
		}
		given[at] = true
		v, err := p.params[at].value(arg)
		if err != nil {
			return nil, err
		}
		values[at] = v
	}
	for i, param := range p.params {
		if given[i] {
			continue
		}
		if !param.optional {
			return nil, noProcedure(p.name, args)
		}
		values[i] = param.def
	}
	return values, nil
}

// checkNotation refuses what PostgreSQL's parser refuses before it looks for a procedure.
func checkNotation(args []session.Arg) error {
	seen := map[string]bool{}
	for _, arg := range args {
		switch {
		case arg.Name == "" && len(seen) > 0:
			return types.Errorf("42601", "positional argument cannot follow named argument")
		case seen[arg.Name]:
			return types.Errorf("42601", "argument name %q used more than once", arg.Name)
		case arg.Name != "":
			seen[arg.Name] = true
		}
	}
	return nil
}

func (p *procedure) param(name string) int {
	for i, param := range p.params {
		if param.name == name {
			return i
		}
	}
	return -1
}

// accepts tells whether a type converts to the parameter's without being asked to.
func (p param) accepts(oid types.OID) bool {
	switch oid {
	case types.UnknownOID:
		return true
	case types.Int2OID, types.Int4OID, types.Int8OID:
		return p.typ == types.Int8OID
	case types.TextOID, types.VarcharOID, types.BPCharOID, types.NameOID:
		return p.typ == types.TextOID
	}
	return false
}

func (p param) value(arg session.Arg) (types.Value, error) {
	v := arg.Value
	if v.IsNull() {
		if p.optional {
			return p.def, nil
		}
		return types.Null, types.Errorf("22004", "%s must not be null", p.name)
	}
	if p.typ != types.Int8OID {
		return v, nil
	}
	if arg.Type.OID == types.UnknownOID {
		parsed, err := types.ParseText(types.T(types.Int8OID), v.AsText(), nil)
		if err != nil {
			return types.Null, err
		}
		v = parsed
	}
	return v, inRange(p.name, v.AsInt(), p.low, p.high)
}

func inRange(name string, n, low, high int64) error {
	if n < low || n > high {
		return types.Errorf("22023", "%s must be between %d and %d, not %d", name, low, high, n)
	}
	return nil
}

// noProcedure is PostgreSQL's answer when no procedure has the name and arguments.
func noProcedure(name string, args []session.Arg) error {
	var b strings.Builder
	for i, arg := range args {
		if i > 0 {
			b.WriteString(", ")
		}
		if arg.Name != "" {
			b.WriteString(arg.Name + " => ")
		}
		b.WriteString(arg.Type.String())
	}
	return types.Errorf("42883", "procedure %s(%s) does not exist", name, b.String()).
		WithHint("No procedure matches the given name and argument types. You might need to add explicit type casts.")
}
