package exec

import (
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// evaluator is a compiled expression. The row belongs to the caller; what it gives may
// be kept.
type evaluator func(env *Env, row types.Row) (types.Value, error)

func (env *Env) compileAll(list []plan.Expr) ([]evaluator, error) {
	out := make([]evaluator, len(list))
	for i, e := range list {
		f, err := env.compile(e)
		if err != nil {
			return nil, err
		}
		out[i] = f
	}
	return out, nil
}

// compiledKey is what a compiled expression depends on besides itself: it may remember
// results of sub-plans that read common table expressions.
type compiledKey struct {
	e    plan.Expr
	ctes *cteFrame
	work *workFrame
}

// compile makes the closure of an expression, once in a run.
func (env *Env) compile(e plan.Expr) (evaluator, error) {
	key := compiledKey{e, env.ctes, env.work}
	if f, ok := env.run.compiled[key]; ok {
		return f, nil
	}
	f, err := env.compileParts(e)
	if err == nil {
		env.run.compiled[key] = f
	}
	return f, err
}

func (env *Env) compileNew(e plan.Expr) (evaluator, error) {
	switch e := e.(type) {
	case *plan.Const:
		v := e.Value
		return func(*Env, types.Row) (types.Value, error) { return v, nil }, nil
	case *plan.Param:
		n := e.N - 1
		return func(env *Env, _ types.Row) (types.Value, error) {
			if n >= len(env.Params) {
				return types.Null, types.Errorf("42P02", "there is no parameter $%d", n+1)
			}
			return env.Params[n], nil
		}, nil
	case *plan.Column:
		i := e.Index
		return func(_ *Env, row types.Row) (types.Value, error) { return row[i], nil }, nil
	case *plan.Outer:
		i := e.Index
		return func(env *Env, _ types.Row) (types.Value, error) { return env.frame[i], nil }, nil
	case *plan.Call:
		return env.compileCall(e)
	case *plan.And:
		return env.compileLogic(e.Args, false)
	case *plan.Or:
		return env.compileLogic(e.Args, true)
	case *plan.Not:
		return env.compileNot(e)
	case *plan.IsNull:
		return env.compileIsNull(e)
	case *plan.BoolTest:
		return env.compileBoolTest(e)
	case *plan.AnyAll:
		return env.compileAnyAll(e)
	case *plan.Cast:
		return env.compileCast(e)
	case *plan.SubPlan:
		return env.compileSubPlan(e)
	case *plan.InitValue:
		return env.compileInitValue(e)
	}
	return env.compileMore(e)
}

func (env *Env) compileMore(e plan.Expr) (evaluator, error) {
	switch e := e.(type) {
	case *plan.IsDistinct:
		return env.compileIsDistinct(e)
	case *plan.Case:
		return env.compileCase(e)
	case *plan.Coalesce:
		return env.compileCoalesce(e)
	case *plan.MinMax:
		return env.compileMinMax(e)
	case *plan.NullIf:
		return env.compileNullIf(e)
	case *plan.ArrayExpr:
		return env.compileArray(e)
	case *plan.Row:
		return env.compileRow(e)
	case *plan.Subscript:
		return env.compileSubscript(e)
	case *plan.Field:
		return env.compileField(e)
	}
	return nil, types.Errorf("XX000", "no evaluation for expression %T", e)
}

// compileCall calls a function, without arguments on NULL when it is strict.
func (env *Env) compileCall(e *plan.Call) (evaluator, error) {
	if e.Fn.SRF {
		return nil, types.Errorf("0A000", "set-valued function %s called in context that cannot accept a set", e.Fn.Name)
	}
	if e.Fn.Eval == nil {
		return nil, types.Errorf("0A000", "function %s is not supported", e.Fn.Name).
			WithHint("It exists in PostgreSQL, but Helios does not have it yet.")
	}
	args, err := env.compileAll(e.Args)
	if err != nil {
		return nil, err
	}
	switch len(args) {
	case 1:
		return call1(e.Fn, args[0]), nil
	case 2:
		return call2(e.Fn, args[0], args[1]), nil
	}
	fn := e.Fn
	return func(env *Env, row types.Row) (types.Value, error) {
		values := make([]types.Value, len(args))
		for i, f := range args {
			v, err := f(env, row)
			if err != nil || v.IsNull() && fn.Strict {
				return types.Null, err
			}
			values[i] = v
		}
		return fn.Eval(env.Builtin, values)
	}, nil
}

func call1(fn *builtin.Func, arg evaluator) evaluator {
	return func(env *Env, row types.Row) (types.Value, error) {
		v, err := arg(env, row)
		if err != nil || v.IsNull() && fn.Strict {
			return types.Null, err
		}
		return fn.Eval(env.Builtin, []types.Value{v})
	}
}

func call2(fn *builtin.Func, left, right evaluator) evaluator {
	return func(env *Env, row types.Row) (types.Value, error) {
		l, err := left(env, row)
		if err != nil || l.IsNull() && fn.Strict {
			return types.Null, err
		}
		r, err := right(env, row)
		if err != nil || r.IsNull() && fn.Strict {
			return types.Null, err
		}
		return fn.Eval(env.Builtin, []types.Value{l, r})
	}
}

// compileLogic is AND (decided by false) or OR (decided by true) in three-valued logic.
func (env *Env) compileLogic(list []plan.Expr, decides bool) (evaluator, error) {
	args, err := env.compileAll(list)
	if err != nil {
		return nil, err
	}
	return func(env *Env, row types.Row) (types.Value, error) {
		result := types.Bool(!decides)
		for _, f := range args {
			v, err := f(env, row)
			if err != nil {
				return types.Null, err
			}
			if v.IsNull() {
				result = types.Null
			} else if v.AsBool() == decides {
				return types.Bool(decides), nil
			}
		}
		return result, nil
	}, nil
}

func (env *Env) compileNot(e *plan.Not) (evaluator, error) {
	arg, err := env.compile(e.Arg)
	if err != nil {
		return nil, err
	}
	return func(env *Env, row types.Row) (types.Value, error) {
		v, err := arg(env, row)
		if err != nil || v.IsNull() {
			return types.Null, err
		}
		return types.Bool(!v.AsBool()), nil
	}, nil
}

// compileIsNull tests for NULL; a row value is null when all its fields are, and not
// null when none is.
func (env *Env) compileIsNull(e *plan.IsNull) (evaluator, error) {
	arg, err := env.compile(e.Arg)
	if err != nil {
		return nil, err
	}
	not := e.Not
	return func(env *Env, row types.Row) (types.Value, error) {
		v, err := arg(env, row)
		if err != nil {
			return types.Null, err
		}
		if v.Kind() != types.KindRecord {
			return types.Bool(v.IsNull() != not), nil
		}
		for _, f := range v.AsRecord() {
			if f.IsNull() == not {
				return types.Bool(false), nil
			}
		}
		return types.Bool(true), nil
	}, nil
}

func (env *Env) compileBoolTest(e *plan.BoolTest) (evaluator, error) {
	arg, err := env.compile(e.Arg)
	if err != nil {
		return nil, err
	}
	test, not := e.Test, e.Not
	return func(env *Env, row types.Row) (types.Value, error) {
		v, err := arg(env, row)
		if err != nil {
			return types.Null, err
		}
		var is bool
		switch test {
		case "unknown":
			is = v.IsNull()
		case "true":
			is = v.IsTrue()
		default:
			is = !v.IsNull() && !v.AsBool()
		}
		return types.Bool(is != not), nil
	}, nil
}

func (env *Env) compileIsDistinct(e *plan.IsDistinct) (evaluator, error) {
	list, err := env.compileAll([]plan.Expr{e.Left, e.Right})
	if err != nil {
		return nil, err
	}
	eq, not := e.Eq, e.Not
	return func(env *Env, row types.Row) (types.Value, error) {
		l, err := list[0](env, row)
		if err != nil {
			return types.Null, err
		}
		r, err := list[1](env, row)
		if err != nil {
			return types.Null, err
		}
		if l.IsNull() || r.IsNull() {
			return types.Bool((l.IsNull() != r.IsNull()) != not), nil
		}
		v, err := eq.Eval(env.Builtin, []types.Value{l, r})
		if err != nil {
			return types.Null, err
		}
		return types.Bool(v.AsBool() == not), nil
	}, nil
}

func (env *Env) compileCase(e *plan.Case) (evaluator, error) {
	var conds, results []evaluator
	for _, w := range e.Whens {
		both, err := env.compileAll([]plan.Expr{w.Cond, w.Result})
		if err != nil {
			return nil, err
		}
		conds, results = append(conds, both[0]), append(results, both[1])
	}
	var other evaluator
	if e.Else != nil {
		var err error
		if other, err = env.compile(e.Else); err != nil {
			return nil, err
		}
	}
	return func(env *Env, row types.Row) (types.Value, error) {
		for i, f := range conds {
			v, err := f(env, row)
			if err != nil {
				return types.Null, err
			}
			if v.IsTrue() {
				return results[i](env, row)
			}
		}
		if other == nil {
			return types.Null, nil
		}
		return other(env, row)
	}, nil
}

func (env *Env) compileCoalesce(e *plan.Coalesce) (evaluator, error) {
	args, err := env.compileAll(e.Args)
	if err != nil {
		return nil, err
	}
	return func(env *Env, row types.Row) (types.Value, error) {
		for _, f := range args {
			if v, err := f(env, row); err != nil || !v.IsNull() {
				return v, err
			}
		}
		return types.Null, nil
	}, nil
}

func (env *Env) compileMinMax(e *plan.MinMax) (evaluator, error) {
	args, err := env.compileAll(e.Args)
	if err != nil {
		return nil, err
	}
	sign := 1
	if e.Least {
		sign = -1
	}
	return func(env *Env, row types.Row) (types.Value, error) {
		best := types.Null
		for _, f := range args {
			v, err := f(env, row)
			if err != nil {
				return types.Null, err
			}
			if best.IsNull() || !v.IsNull() && sign*types.Compare(v, best) > 0 {
				best = v
			}
		}
		return best, nil
	}, nil
}

func (env *Env) compileNullIf(e *plan.NullIf) (evaluator, error) {
	list, err := env.compileAll([]plan.Expr{e.Left, e.Right})
	if err != nil {
		return nil, err
	}
	eq := e.Eq
	return func(env *Env, row types.Row) (types.Value, error) {
		l, err := list[0](env, row)
		if err != nil || l.IsNull() {
			return types.Null, err
		}
		r, err := list[1](env, row)
		if err != nil || r.IsNull() {
			return l, err
		}
		same, err := eq.Eval(env.Builtin, []types.Value{l, r})
		if err != nil || same.IsTrue() {
			return types.Null, err
		}
		return l, nil
	}, nil
}

// compileCast converts to the type, then applies its modifier.
func (env *Env) compileCast(e *plan.Cast) (evaluator, error) {
	arg, err := env.compile(e.Arg)
	if err != nil {
		return nil, err
	}
	convert, err := plan.Converter(e)
	if err != nil {
		return nil, err
	}
	return func(env *Env, row types.Row) (types.Value, error) {
		v, err := arg(env, row)
		if err != nil || v.IsNull() {
			return types.Null, err
		}
		return convert(env.Builtin, v)
	}, nil
}
