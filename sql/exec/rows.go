package exec

import (
	"context"
	"errors"
	"io"
	"strconv"

	"github.com/heliosdb/helios/types"
)

// batchSize is how many rows an operator aims to give at once.
const batchSize = 512

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// SliceRows streams rows that are already in memory.
func SliceRows(rows []types.Row) Rows { return sliceRows(rows) }

func sliceRows(rows []types.Row) *memoryRows { return &memoryRows{rows: rows} }

type memoryRows struct{ rows []types.Row }

func (r *memoryRows) Next(ctx context.Context) ([]types.Row, error) {
	if err := interrupted(ctx); err != nil {
		return nil, err
	}
	if len(r.rows) == 0 {
		return nil, io.EOF
	}
	n := min(batchSize, len(r.rows))
	batch := r.rows[:n:n]
	r.rows = r.rows[n:]
	return batch, nil
}

func (r *memoryRows) Close() error {
	r.rows = nil
	return nil
}

// interrupted tells, as 57014, that the statement was cancelled.
func interrupted(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		message := "canceling statement due to user request"
		if errors.Is(err, context.DeadlineExceeded) {
			message = "canceling statement due to statement timeout"
		}
		if cause := types.AsError(context.Cause(ctx)); cause.Code != "XX000" {
			return cause
		}
		return &types.Error{Code: "57014", Message: message, Cause: err}
	}
	return nil
}

// pipe is an operator that makes each batch from one batch of its input. It skips
// batches that become empty.
type pipe struct {
	input Rows
	each  func(ctx context.Context, batch []types.Row) ([]types.Row, error)
}

func (p *pipe) Next(ctx context.Context) ([]types.Row, error) {
	for {
		if err := interrupted(ctx); err != nil {
			return nil, err
		}
		in, err := p.input.Next(ctx)
		if err != nil {
			return nil, err
		}
		out, err := p.each(ctx, in)
		if err != nil {
			return nil, err
		}
		if len(out) > 0 {
			return out, nil
		}
	}
}

func (p *pipe) Close() error { return p.input.Close() }

// deferred is an operator that reads all its input before the first row: made, on the
// first Next, by start.
type deferred struct {
	start  func(ctx context.Context) (Rows, error)
	inputs []Rows
	rows   Rows
}

func (d *deferred) Next(ctx context.Context) ([]types.Row, error) {
	if d.rows == nil {
		rows, err := d.start(ctx)
		if err != nil {
			return nil, err
		}
		d.rows = rows
	}
	return d.rows.Next(ctx)
}

func (d *deferred) Close() error {
	var errs []error
	if d.rows != nil {
		errs = append(errs, d.rows.Close())
	}
	for _, in := range d.inputs {
		errs = append(errs, in.Close())
	}
	return errors.Join(errs...)
}

// feed is an operator that is a small program: step gives rows through emit, a part of
// its work each time, until it says done.
type feed struct {
	step   func(ctx context.Context, emit func(types.Row)) (done bool, err error)
	inputs []Rows
	out    []types.Row
	done   bool
}

func (f *feed) Next(ctx context.Context) ([]types.Row, error) {
	f.out = f.out[:0]
	for !f.done && len(f.out) < batchSize {
		if err := interrupted(ctx); err != nil {
			return nil, err
		}
		done, err := f.step(ctx, func(r types.Row) { f.out = append(f.out, r) })
		if err != nil {
			return nil, err
		}
		f.done = done
	}
	if len(f.out) == 0 {
		return nil, io.EOF
	}
	return f.out, nil
}

func (f *feed) Close() error {
	f.done = true
	var errs []error
	for _, in := range f.inputs {
		errs = append(errs, in.Close())
	}
	return errors.Join(errs...)
}

// cursor reads a stream row by row.
type cursor struct {
	rows  Rows
	batch []types.Row
}

// next gives the next row; ok is false at the end.
func (c *cursor) next(ctx context.Context) (row types.Row, ok bool, err error) {
	for len(c.batch) == 0 {
		c.batch, err = c.rows.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
	}
	row, c.batch = c.batch[0], c.batch[1:]
	return row, true, nil
}

var eof = io.EOF

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

// closing closes a stream after an error (or none) and keeps both errors.
func closing(err error, rows Rows) error {
	if e := rows.Close(); e != nil {
		return errors.Join(err, e)
	}
	return err
}

// oneByOne gives a stream in batches of one row, read only when asked for.
type oneByOne struct{ cursor }

func (o *oneByOne) Next(ctx context.Context) ([]types.Row, error) {
	row, ok, err := o.next(ctx)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, io.EOF
	}
	return []types.Row{row}, nil
}

func (o *oneByOne) Close() error { return o.rows.Close() }
