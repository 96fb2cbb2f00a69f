package exec

import (
	"sync/atomic"

	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// compileParts compiles an expression of several parts. One that has the same value for
// every row is computed when it is first asked for and remembered: not before, since a
// branch that no row takes must not fail, and not twice. Its own parts need no such care.
func (env *Env) compileParts(e plan.Expr) (evaluator, error) {
	switch e.(type) {
	case *plan.Const, *plan.Param:
		return env.compileNew(e)
	}
	if env.run.once || !plan.OneValue(e) {
		return env.compileNew(e)
	}
	env.run.once = true
	f, err := env.compileNew(e)
	env.run.once = false
	if err != nil {
		return nil, err
	}
	return remember(f), nil
}

// remember gives an evaluation that happens once. Some expressions, those of indexes,
// are compiled for good and used by many goroutines.
func remember(f evaluator) evaluator {
	var known atomic.Pointer[types.Value]
	return func(env *Env, row types.Row) (types.Value, error) {
		if v := known.Load(); v != nil {
			return *v, nil
		}
		v, err := f(env, row)
		if err == nil {
			known.Store(&v)
		}
		return v, err
	}
}

// compileOnce compiles expressions that are evaluated a single time: nothing is worth
// remembering.
func (env *Env) compileOnce(list []plan.Expr) ([]evaluator, error) {
	before := env.run.once
	env.run.once = true
	defer func() { env.run.once = before }()
	return env.compileAll(list)
}
