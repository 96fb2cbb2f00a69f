package exec

import (
	"context"
	"iter"

	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// setFunc is a compiled set-returning call; a plain call gives one row.
type setFunc struct {
	call   *plan.Call
	args   []evaluator
	scalar evaluator // instead of call
	width  int       // columns wanted; 1 takes several as one record
	typs   []types.Type
}

func (env *Env) setFunc(e plan.Expr, width int) (*setFunc, error) {
	call, ok := e.(*plan.Call)
	if !ok || !call.Fn.SRF {
		f, err := env.compile(e)
		return &setFunc{scalar: f, width: width}, err
	}
	if call.Fn.EvalSet == nil {
		return nil, types.Errorf("0A000", "function %s is not supported", call.Fn.Name).
			WithHint("It exists in PostgreSQL, but Helios does not have it yet.")
	}
	args, err := env.compileAll(call.Args)
	s := &setFunc{call: call, args: args, width: width}
	for _, c := range plan.OutColumns(call) {
		s.typs = append(s.typs, c.Type)
	}
	return s, err
}

// rows starts the function for an input row; the rows have width values.
func (s *setFunc) rows(env *Env, row types.Row) (iter.Seq2[types.Row, error], error) {
	if s.scalar != nil {
		v, err := s.scalar(env, row)
		if err != nil {
			return nil, err
		}
		return s.one(v), nil
	}
	args, err := evalRow(env, s.args, row)
	if err != nil {
		return nil, err
	}
	if s.call.Fn.Strict && hasNull(args) {
		return func(func(types.Row, error) bool) {}, nil
	}
	return s.call.Fn.EvalSet(env.Builtin, args)
}

// one gives the single row of a plain call; a record spreads over several columns.
func (s *setFunc) one(v types.Value) iter.Seq2[types.Row, error] {
	return func(yield func(types.Row, error) bool) {
		out := make(types.Row, s.width)
		if s.width == 1 {
			out[0] = v
		} else if !v.IsNull() {
			copy(out, v.AsRecord())
		}
		yield(out, nil)
	}
}

// fit brings a row of the function to the wanted width.
func (s *setFunc) fit(row types.Row) types.Row {
	if s.width == 1 && len(row) > 1 {
		return types.Row{types.RecordOf(row, s.typs)}
	}
	return row
}

// sideBySide runs several set-returning functions together: as many rows as the
// longest gives, the others filled with NULL.
type sideBySide struct {
	next  []func() (types.Row, error, bool)
	stop  []func()
	funcs []*setFunc
}

func (env *Env) sideBySide(funcs []*setFunc, row types.Row) (*sideBySide, error) {
	s := &sideBySide{funcs: funcs}
	for _, f := range funcs {
		rows, err := f.rows(env, row)
		if err != nil {
			s.close()
			return nil, err
		}
		next, stop := iter.Pull2(rows)
		s.next, s.stop = append(s.next, next), append(s.stop, stop)
	}
	return s, nil
}

// row gives the next row, appended to head; ok is false when all functions ended.
func (s *sideBySide) row(head types.Row) (out types.Row, ok bool, err error) {
	out = append(out, head...)
	for i, next := range s.next {
		row, err, more := next()
		if err != nil {
			return nil, false, err
		}
		if !more {
			out = append(out, make(types.Row, s.funcs[i].width)...)
			continue
		}
		ok = true
		out = append(out, s.funcs[i].fit(row)...)
	}
	return out, ok, nil
}

func (s *sideBySide) close() {
	for _, stop := range s.stop {
		stop()
	}
}

func (env *Env) openFuncScan(n *plan.FuncScan) (Rows, error) {
	funcs := make([]*setFunc, len(n.Funcs))
	for i, f := range n.Funcs {
		var err error
		if funcs[i], err = env.setFunc(f, n.Widths[i]); err != nil {
			return nil, err
		}
	}
	run, err := env.sideBySide(funcs, nil)
	if err != nil {
		return nil, err
	}
	ordinal := int64(0)
	f := &feed{step: func(_ context.Context, emit func(types.Row)) (bool, error) {
		row, ok, err := run.row(nil)
		if err != nil || !ok {
			return true, err
		}
		if n.Ordinality {
			ordinal++
			row = append(row, types.Int(ordinal))
		}
		emit(row)
		return false, nil
	}}
	return &stopping{Rows: f, stop: run.close}, nil
}

// stopping ends something beside a stream when it is closed.
type stopping struct {
	Rows
	stop func()
}

func (s *stopping) Close() error {
	s.stop()
	return s.Rows.Close()
}

func (env *Env) openProjectSet(n *plan.ProjectSet) (Rows, error) {
	funcs := make([]*setFunc, len(n.Funcs))
	for i, f := range n.Funcs {
		var err error
		if funcs[i], err = env.setFunc(f, 1); err != nil {
			return nil, err
		}
	}
	in, err := env.open(n.Input)
	if err != nil {
		return nil, err
	}
	c := cursor{rows: in}
	var run *sideBySide
	var head types.Row
	f := &feed{inputs: []Rows{in}, step: func(ctx context.Context, emit func(types.Row)) (bool, error) {
		if run == nil {
			row, ok, err := c.next(ctx)
			if err != nil || !ok {
				return true, err
			}
			head = row
			if run, err = env.sideBySide(funcs, row); err != nil {
				return false, err
			}
		}
		row, ok, err := run.row(head)
		if err != nil {
			return false, err
		}
		if !ok {
			run.close()
			run = nil
			return false, nil
		}
		emit(row)
		return false, nil
	}}
	return &stopping{Rows: f, stop: func() {
		if run != nil {
			run.close()
		}
	}}, nil
}
