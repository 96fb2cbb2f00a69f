package plan

import (
	"strings"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/types"
)

// canCast tells whether a cast exists in a context: 'i', 'a' or 'e'.
func canCast(from, to types.OID, context byte) bool {
	_, ok := builtin.FindCast(from, to, context)
	return ok
}

func canImplicit(from, to types.OID) bool { return canCast(from, to, 'i') }

// Converter gives what a Cast does to a value that is not NULL.
func Converter(c *Cast) (func(*builtin.Context, types.Value) (types.Value, error), error) {
	context := byte('a')
	if c.Explicit {
		context = 'e'
	}
	from, to, explicit := c.Arg.Type(), c.Typ, c.Explicit
	if from.OID == types.UnknownOID {
		return func(ctx *builtin.Context, v types.Value) (types.Value, error) {
			v, err := ctx.Input(types.T(to.OID), v.AsText())
			if err != nil || to.Mod < 0 {
				return v, err
			}
			return types.Coerce(v, to, explicit)
		}, nil
	}
	cast, ok := builtin.FindCast(from.OID, to.OID, context)
	if !ok {
		return nil, types.Errorf("42846", "cannot cast type %s to %s", types.FormatType(from), types.FormatType(types.T(to.OID)))
	}
	return func(ctx *builtin.Context, v types.Value) (types.Value, error) {
		if cast.Eval != nil {
			var err error
			if v, err = cast.Eval(ctx, v); err != nil {
				return types.Null, err
			}
		}
		if to.Mod < 0 {
			return v, nil
		}
		return types.Coerce(v, to, explicit)
	}, nil
}

// foldCast applies a cast to a constant at once where it depends on nothing else. One
// that fails stays, to fail when it runs: as in PostgreSQL, a value that does not fit a
// type is no error at a place of the statement.
func foldCast(ctx *builtin.Context, c *Cast) Expr {
	lit, ok := c.Arg.(*Const)
	if !ok || !stableCast(lit.Typ.OID, c.Typ.OID) {
		return c
	}
	if lit.Value.IsNull() {
		return &Const{types.Null, c.Typ}
	}
	convert, err := Converter(c)
	if err != nil {
		return c
	}
	v, err := convert(ctx, lit.Value)
	if err != nil {
		return c
	}
	return &Const{v, c.Typ}
}

// stableCast tells whether a cast gives the same in every session: not between local
// and absolute times, nor to and from names of the catalog.
func stableCast(from, to types.OID) bool {
	zoned := func(oid types.OID) bool { return oid == types.TimestampTZOID || oid == types.TimeTZOID }
	if from == to {
		return true
	}
	return !zoned(from) && !zoned(to) && !isRegType(from) && !isRegType(to)
}

// parseName reads a possibly qualified and quoted name, as the input of regclass does.
func parseName(text string) (sql.Name, error) {
	bad := types.Errorf("42602", "invalid name syntax")
	var name sql.Name
	rest := strings.TrimSpace(text)
	for {
		var part string
		if strings.HasPrefix(rest, `"`) {
			end := 1
			for ; end < len(rest); end++ {
				if rest[end] == '"' {
					if end+1 < len(rest) && rest[end+1] == '"' {
						end++
						continue
					}
					break
				}
			}
			if end >= len(rest) {
				return nil, bad
			}
			part, rest = strings.ReplaceAll(rest[1:end], `""`, `"`), rest[end+1:]
		} else {
			end := strings.IndexByte(rest, '.')
			if end < 0 {
				end = len(rest)
			}
			part, rest = strings.ToLower(strings.TrimSpace(rest[:end])), rest[end:]
		}
		if part == "" {
			return nil, bad
		}
		name = append(name, part)
		if rest == "" {
			return name, nil
		}
		if rest[0] != '.' {
			return nil, bad
		}
		rest = rest[1:]
	}
}
