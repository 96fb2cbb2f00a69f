package remote

import (
	"context"

	"github.com/heliosdb/helios/types"
	"github.com/jackc/pgx/v5/pgconn"
)

// Column describes a result column.
type Column struct {
	Name   string
	Type   types.Type
	Format int16
	Table  types.OID
	Attr   int16
}

// Rows are the results of one flight of statements, read in order:
//
//	for rows.NextResult() {
//		for rows.Next() { use(rows.Raw()) }
//		rows.Tag()
//	}
//	err := rows.Close()
type Rows struct {
	conn *Conn
	ctx  context.Context

	// One of the three is where the results come from.
	pipeline *pgconn.Pipeline
	simple   *pgconn.MultiResultReader
	single   *pgconn.ResultReader

	result    *pgconn.ResultReader // the result being read
	tag       string
	err       *types.Error // the first one
	closed    bool
	atEnd     bool
	preparing []*prepared // sent and not confirmed, in order
	used      []*prepared // prepared before and used by this flight
	dropping  []string    // closed and not confirmed, in order
}

// NextResult goes to the next statement's result, past rows not read. It gives false at
// the end and at an error.
func (r *Rows) NextResult() bool {
	r.finishResult()
	if r.err != nil || r.closed {
		return false
	}
	return r.advance()
}

// advance reads up to the next result or the end.
func (r *Rows) advance() bool {
	r.tag = ""
	if r.single != nil {
		if r.atEnd {
			return false
		}
		r.result, r.atEnd = r.single, true
		return true
	}
	if r.simple != nil {
		if r.simple.NextResult() {
			r.result = r.simple.ResultReader()
			return true
		}
		r.atEnd = true
		return false
	}
	for !r.atEnd {
		next, err := r.pipeline.GetResults()
		if err != nil {
			r.fail(err)
			return false
		}
		switch x := next.(type) {
		case *pgconn.ResultReader:
			r.result = x
			return true
		case *pgconn.StatementDescription:
			p := r.preparing[0]
			x.Name, x.SQL = p.name, p.key
			p.description, r.preparing = x, r.preparing[1:]
		case *pgconn.CloseComplete:
			r.dropping = r.dropping[1:]
		default: // PipelineSync, or nil after a FATAL error
			r.atEnd = true
		}
	}
	return false
}

// Columns describe the result; nil if the statement returns no rows.
func (r *Rows) Columns() []Column {
	if r.result == nil {
		return nil
	}
	fields := r.result.FieldDescriptions()
	if fields == nil {
		return nil
	}
	columns := make([]Column, len(fields))
	for i, f := range fields {
		columns[i] = Column{
			Name:   f.Name,
			Type:   types.Type{OID: types.OID(f.DataTypeOID), Mod: f.TypeModifier},
			Format: f.Format,
			Table:  types.OID(f.TableOID),
			Attr:   int16(f.TableAttributeNumber),
		}
	}
	return columns
}

// Next goes to the next row of the result. It gives false at its end and at an error.
func (r *Rows) Next() bool {
	if r.result == nil {
		return false
	}
	if r.result.NextRow() {
		return true
	}
	r.finishResult()
	return false
}

// Raw gives the row's values as the node encoded them; nil is NULL. They are valid until
// the next call of Next.
func (r *Rows) Raw() [][]byte { return r.result.Values() }

// Tag is the command tag of the result, once all its rows were read.
func (r *Rows) Tag() string { return r.tag }

// finishResult reads to the end of the result.
func (r *Rows) finishResult() {
	if r.result == nil {
		return
	}
	tag, err := r.result.Close()
	r.result, r.tag = nil, tag.String()
	if err != nil {
		r.fail(err)
	}
}

func (r *Rows) fail(err error) {
	if r.err == nil {
		r.err = asError(r.ctx, r.conn.Addr(), err)
	}
}

// Err is the first error so far.
func (r *Rows) Err() error {
	if r.err == nil {
		return nil
	}
	return r.err
}

// Close reads to the end, so that the connection is free again, and gives the first error.
// Closing again does nothing.
func (r *Rows) Close() error {
	if r.closed {
		return r.Err()
	}
	r.finishResult()
	for r.err == nil && r.advance() {
		r.finishResult()
	}
	r.closed = true
	var err error
	if r.simple != nil {
		err = r.simple.Close()
	} else if r.pipeline != nil {
		err = r.pipeline.Close()
	}
	r.settle()
	if err != nil {
		r.fail(err)
	}
	return r.Err()
}

// settle brings the statement cache in line with what the node has confirmed.
func (r *Rows) settle() {
	cache := r.conn.statements
	cache.forget(r.preparing)
	cache.putBack(r.dropping)
	if r.err != nil && outdated(r.err.Code, r.err.Message) {
		cache.forget(r.used)
	}
}
