package plan

import (
	"github.com/heliosdb/helios/types"
)

// fold computes what is constant: immutable calls, casts and logic over constants.
// What fails stays as it is and fails when it runs, if it ever does.
func (b *binder) fold(e Expr) Expr {
	if e == nil {
		return nil
	}
	e = mapArgs(e, b.fold)
	switch e := e.(type) {
	case *Call:
		return b.foldCall(e)
	case *Cast:
		return foldCast(b.env.Builtin, e)
	case *And:
		return foldLogic(e.Args, false, func(args []Expr) Expr { return &And{args} })
	case *Or:
		return foldLogic(e.Args, true, func(args []Expr) Expr { return &Or{args} })
	case *Not:
		if c, ok := e.Arg.(*Const); ok {
			if c.Value.IsNull() {
				return c
			}
			return &Const{types.Bool(!c.Value.AsBool()), boolType}
		}
	case *ArrayExpr:
		return foldArray(e)
	case *IsNull:
		if c, ok := e.Arg.(*Const); ok && c.Value.Kind() != types.KindRecord {
			return &Const{types.Bool(c.Value.IsNull() != e.Not), boolType}
		}
	}
	return e
}

func (b *binder) foldCall(e *Call) Expr {
	if e.Fn.Volatility != 'i' || e.Fn.SRF || e.Fn.Eval == nil {
		return e
	}
	values := make([]types.Value, len(e.Args))
	for i, a := range e.Args {
		c, ok := a.(*Const)
		if !ok {
			return e
		}
		if c.Value.IsNull() && e.Fn.Strict {
			return &Const{types.Null, e.Typ}
		}
		values[i] = c.Value
	}
	v, err := e.Fn.Eval(b.env.Builtin, values)
	if err != nil {
		return e
	}
	return &Const{v, e.Typ}
}

// foldLogic simplifies AND (decided by false) and OR (decided by true).
func foldLogic(args []Expr, decides bool, make func([]Expr) Expr) Expr {
	var left []Expr
	for _, a := range args {
		c, ok := a.(*Const)
		switch {
		case !ok || c.Value.IsNull():
			left = append(left, a)
		case c.Value.AsBool() == decides:
			return c
		}
	}
	switch len(left) {
	case 0:
		return &Const{types.Bool(!decides), boolType}
	case 1:
		return left[0]
	}
	return make(left)
}

func foldArray(e *ArrayExpr) Expr {
	if e.Nested {
		return e
	}
	values := make([]types.Value, len(e.Elems))
	for i, x := range e.Elems {
		c, ok := x.(*Const)
		if !ok {
			return e
		}
		values[i] = c.Value
	}
	return &Const{types.NewArray(types.ElemOf(e.Typ.OID), values), e.Typ}
}

// OneValue tells whether an expression has the same value throughout a run: it reads no
// row and no outer value, runs no plan and calls nothing volatile.
func OneValue(e Expr) bool {
	return !anyExpr(e, func(x Expr) bool {
		switch x := x.(type) {
		case *Column, *Outer, *SubPlan:
			return true
		case *Call:
			return x.Fn.SRF || x.Fn.Volatility != 'i' && x.Fn.Volatility != 's'
		}
		return false
	})
}
