package exec

import (
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// subRows is the result of a sub-plan for one frame of outer values.
type subRows struct {
	rows []types.Row
	set  *subSet // made at first use by an equality
}

// subSet is the rows of an ANY/ALL sub-plan as a hash table.
type subSet struct {
	keys map[string]struct{}
	null bool // some row has a NULL
}

// maxRemembered is how many results of a correlated sub-plan are kept.
const maxRemembered = 1024

// compileSubPlan runs the plan for each row, or once when it needs nothing of the row;
// results are remembered by the values handed in.
func (env *Env) compileSubPlan(e *plan.SubPlan) (evaluator, error) {
	args, err := env.compileAll(e.Args)
	if err != nil {
		return nil, err
	}
	left, err := env.compileAll(e.Left)
	if err != nil {
		return nil, err
	}
	s := &subPlan{e: e, args: args, left: left, known: make(map[string]*subRows), pure: plan.Repeatable(e.Plan)}
	return s.eval, nil
}

// compileInitValue gives the value of a sub-plan that runs once, at its first use; all
// places that use it share it.
func (env *Env) compileInitValue(e *plan.InitValue) (evaluator, error) {
	if e.Index >= len(env.run.inits) { // EXPLAIN asks for it outside a run
		return nil, types.Errorf("55000", "the value of InitPlan %d is not known before the statement runs", e.Index+1)
	}
	top := *env
	top.frame, top.ctes, top.work = nil, nil, nil
	f, err := top.compile(env.run.inits[e.Index])
	if err != nil {
		return nil, err
	}
	return func(*Env, types.Row) (types.Value, error) { return f(&top, nil) }, nil
}

type subPlan struct {
	e          *plan.SubPlan
	args, left []evaluator
	known      map[string]*subRows
	pure       bool // equal arguments give an equal result
}

func (s *subPlan) eval(env *Env, row types.Row) (types.Value, error) {
	sub, err := s.run(env, row)
	if err != nil {
		return types.Null, err
	}
	switch s.e.Kind {
	case plan.ExistsPlan:
		return types.Bool(len(sub.rows) > 0), nil
	case plan.ScalarPlan:
		switch len(sub.rows) {
		case 0:
			return types.Null, nil
		case 1:
			return sub.rows[0][0], nil
		}
		return types.Null, types.Errorf("21000", "more than one row returned by a subquery used as an expression")
	case plan.ArrayPlan:
		values := make([]types.Value, len(sub.rows))
		for i, r := range sub.rows {
			values[i] = r[0]
		}
		if types.IsArray(s.e.Plan.Cols()[0].Type.OID) {
			return stack(types.ElemOf(s.e.Typ.OID), values)
		}
		return types.NewArray(types.ElemOf(s.e.Typ.OID), values), nil
	}
	l, err := evalRow(env, s.left, row)
	if err != nil {
		return types.Null, err
	}
	return s.quantify(env, l, sub)
}

// run gives the rows of the plan for this row.
func (s *subPlan) run(env *Env, row types.Row) (*subRows, error) {
	frame, err := evalRow(env, s.args, row)
	if err != nil {
		return nil, err
	}
	key := string(hashKey(nil, frame))
	if sub := s.known[key]; sub != nil {
		return sub, nil
	}
	if err := interrupted(env.run.ctx); err != nil {
		return nil, err
	}
	held := env.run.memory.Load()
	in := env.inFrame(frame)
	rows, err := in.open(s.e.Plan)
	if err != nil {
		return nil, err
	}
	limit := -1
	switch s.e.Kind {
	case plan.ExistsPlan:
		limit = 1
	case plan.ScalarPlan:
		limit = 2
	}
	sub := &subRows{}
	for limit < 0 || len(sub.rows) < limit {
		batch, err := rows.Next(env.run.ctx)
		if isEOF(err) {
			break
		}
		if err != nil {
			return nil, closing(err, rows)
		}
		sub.rows = append(sub.rows, batch...)
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	env.run.memory.Store(held) // what the plan held is gone
	if s.pure && len(s.known) < maxRemembered {
		s.known[key] = sub
		return sub, env.grow(rowsSize(sub.rows) + int64(len(key)))
	}
	return sub, nil
}

// quantify is left op ANY/ALL (rows) in three-valued logic.
func (s *subPlan) quantify(env *Env, l types.Row, sub *subRows) (types.Value, error) {
	all := s.e.Kind == plan.AllPlan
	if len(sub.rows) == 0 {
		return types.Bool(all), nil
	}
	if v, ok := s.hashed(l, sub); ok {
		return v, nil
	}
	result := types.Bool(all)
	for _, r := range sub.rows {
		v, err := compareRow(env.Builtin, s.e, l, r)
		if err != nil {
			return types.Null, err
		}
		if v.IsNull() {
			result = types.Null
		} else if v.AsBool() != all {
			return types.Bool(!all), nil
		}
	}
	return result, nil
}

// hashed decides = ANY and <> ALL over values of equal types by a hash table.
func (s *subPlan) hashed(l types.Row, sub *subRows) (types.Value, bool) {
	all := s.e.Kind == plan.AllPlan
	if !(s.e.Op == "=" && !all || s.e.Op == "<>" && all) {
		return types.Null, false
	}
	for i, x := range s.e.Left {
		if x.Type().OID != s.e.Plan.Cols()[i].Type.OID || l[i].IsNull() {
			return types.Null, false
		}
	}
	if sub.set == nil {
		sub.set = &subSet{keys: make(map[string]struct{}, len(sub.rows))}
		for _, r := range sub.rows {
			if hasNull(r) {
				sub.set.null = true
				continue
			}
			sub.set.keys[string(hashKey(nil, r))] = struct{}{}
		}
	}
	if _, found := sub.set.keys[string(hashKey(nil, l))]; found {
		return types.Bool(!all), true
	}
	if sub.set.null {
		return types.Null, len(l) == 1
	}
	return types.Bool(all), true
}

func hasNull(r types.Row) bool {
	for _, v := range r {
		if v.IsNull() {
			return true
		}
	}
	return false
}

// compareRow compares a row with one of the sub-plan: = when all fields are, <> when
// any is.
func compareRow(ctx *builtin.Context, e *plan.SubPlan, l, r types.Row) (types.Value, error) {
	decides := e.Op == "<>" && len(l) > 1 // one true decides, else one false
	result := types.Bool(!decides)
	for i, fn := range e.Fns {
		v := types.Null
		if !fn.Strict || !l[i].IsNull() && !r[i].IsNull() {
			var err error
			if v, err = fn.Eval(ctx, []types.Value{l[i], r[i]}); err != nil {
				return v, err
			}
		}
		if len(l) == 1 {
			return v, nil
		}
		if v.IsNull() {
			result = types.Null
		} else if v.AsBool() == decides {
			return v, nil
		}
	}
	return result, nil
}
