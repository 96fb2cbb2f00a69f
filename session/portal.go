package session

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// portal is a statement with its parameters, run once, perhaps in pieces. A cursor of
// DECLARE is one too.
type portal struct {
	name      string
	statement *prepared
	params    []types.Value
	columns   []pgwire.Column // with the client's formats; nil before the first run of a simple query
	internal  bool            // of a query string: in no table

	rows   *rowReader // of a query that has begun
	result *exec.Result
	done   bool // ran to its end
	level  int  // savepoints open when it was made

	cursor *cursor // set for DECLARE CURSOR
	made   time.Time
	lost   error // why it cannot be read any more
}

// rowReader reads a result row by row, with a context that outlives the calls which read.
type rowReader struct {
	rows   exec.Rows
	ctx    context.Context
	cancel context.CancelCauseFunc
	batch  []types.Row
}

func newRowReader(ctx context.Context, rows exec.Rows) *rowReader {
	r := &rowReader{rows: rows}
	r.ctx, r.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	return r
}

// next gives the next row; ok is false at the end. ctx bounds this call alone.
func (r *rowReader) next(ctx context.Context) (row types.Row, ok bool, err error) {
	for len(r.batch) == 0 {
		stop := r.link(ctx)
		r.batch, err = r.rows.Next(r.ctx)
		stop()
		if errors.Is(err, io.EOF) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
	}
	row, r.batch = r.batch[0], r.batch[1:]
	return row, true, nil
}

// link cancels the result when the call is cancelled.
func (r *rowReader) link(ctx context.Context) func() bool {
	return context.AfterFunc(ctx, func() { r.cancel(context.Cause(ctx)) })
}

func (r *rowReader) close() error {
	err := r.rows.Close()
	r.cancel(nil)
	return err
}

// open starts a portal's query and ends at its first row. A plan that the engine finds
// out of date is made anew.
func (s *Session) open(ctx context.Context, po *portal) error {
	for try := 0; ; try++ {
		err := s.openOnce(ctx, po)
		var old *replan
		if !errors.As(err, &old) {
			return err
		}
		if try == replans {
			e := types.Errorf("40001", "could not serialize access: the schema changes too often")
			e.Cause = old.cause
			return e
		}
	}
}

func (s *Session) openOnce(ctx context.Context, po *portal) error {
	q, err := s.planned(po.statement)
	if err != nil {
		return err
	}
	if po.internal && len(po.params) < len(q.ParamTypes) { // a query string has no parameters
		return types.Errorf("42P02", "there is no parameter $%d", len(po.params)+1)
	}
	if !q.ReadOnly {
		if err := s.mayWrite(commandOf(po.statement.parsed.Statement)); err != nil {
			return err
		}
	}
	tx, err := s.begun(ctx)
	if err != nil {
		return err
	}
	s.tx.ran = true
	reader := newRowReader(ctx, nil)
	stop := reader.link(ctx)
	defer stop()
	po.result, err = tx.Query(reader.ctx, q, s.execEnv(po.params))
	if err != nil {
		tx.EndStatement(err)
		reader.cancel(nil)
		return err
	}
	if s.tooLate(q) {
		reader.ctx = context.WithoutCancel(reader.ctx)
	}
	reader.rows = po.result.Rows
	po.rows, po.level = reader, len(s.tx.savepoints)
	if po.columns == nil {
		po.columns = queryColumns(q)
	}
	return nil
}

// finish closes a portal's query; err is how it ended.
func (s *Session) finish(po *portal, err error) error {
	if po.rows == nil {
		return err
	}
	err = errors.Join(err, po.rows.close())
	po.rows = nil
	if s.tx.tx != nil {
		s.tx.tx.EndStatement(err)
	}
	return err
}

// discard ends a portal's query, if it still runs.
func (s *Session) discard(po *portal) {
	_ = s.finish(po, nil) // closing early: nobody is left to hear of an error
	po.done = true
}

// runQuery runs a query, or goes on with it, and gives up to limit rows (0: all) to the
// client. The tag is "" when rows are left.
func (s *Session) runQuery(ctx context.Context, po *portal, limit int, w pgwire.ResultWriter) (string, error) {
	if po.rows == nil {
		if err := s.open(ctx, po); err != nil {
			return "", err
		}
		if limit > 0 && !po.statement.entry.query.ReadOnly {
			if err := s.complete(ctx, po); err != nil {
				return "", s.finish(po, err)
			}
		}
	}
	if s.tooLate(po.statement.entry.query) {
		ctx = context.WithoutCancel(ctx)
	}
	if po.columns != nil {
		if err := w.RowDescription(po.columns); err != nil {
			return "", s.finish(po, err)
		}
	}
	sent, more, err := s.sendRows(ctx, po, limit, w)
	if err != nil {
		return "", s.finish(po, err)
	}
	if more {
		return "", nil
	}
	po.done = true
	if err := s.finish(po, nil); err != nil {
		return "", err
	}
	if query := po.statement.entry.query; query.Kind == "SELECT" {
		return tagCount("SELECT", sent), nil
	}
	return po.result.Tag(), nil
}

// tooLate tells that a statement which has run can no longer be cancelled: it has done all
// its work, and may have committed by itself.
func (s *Session) tooLate(q *plan.Query) bool { return s.tx.only && !q.ReadOnly && q.Kind != "SELECT" }

// complete reads all rows of a query that writes before the first is sent, so that a
// client which stops reading leaves no half-done work.
func (s *Session) complete(ctx context.Context, po *portal) error {
	var all []types.Row
	size := 0
	for {
		row, ok, err := po.rows.next(ctx)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if size += rowBytes(row); size > s.host.options.CursorBytes {
			return errResultTooBig(s.host.options.CursorBytes)
		}
		all = append(all, row)
	}
	err := po.rows.rows.Close()
	po.rows.rows = exec.SliceRows(all)
	return err
}

func errResultTooBig(limit int) error {
	return types.Errorf("53200", "result is too large to be kept").
		WithDetail("It needs more than %d bytes.", limit).
		WithHint("Fetch it without a row limit, or without WITH HOLD or SCROLL.")
}

// rowBytes estimates what a row takes in memory.
func rowBytes(row types.Row) int {
	n := 24 + 24*len(row)
	for _, v := range row {
		switch v.Kind() {
		case types.KindText, types.KindJSONB, types.KindBytes:
			n += len(v.AsBytes())
		case types.KindVector:
			n += 4 * len(v.AsVector())
		case types.KindArray:
			n += rowBytes(v.AsArray().Elems)
		case types.KindRecord:
			n += rowBytes(v.AsRecord())
		case types.KindNumeric, types.KindInterval:
			n += 48
		}
	}
	return n
}

// sendRows gives rows to the client; more is true if the limit came first.
func (s *Session) sendRows(ctx context.Context, po *portal, limit int, w pgwire.ResultWriter) (sent int64, more bool, err error) {
	send := s.rowSender(po.columns, w)
	for limit <= 0 || sent < int64(limit) {
		row, ok, err := po.rows.next(ctx)
		if err != nil || !ok {
			return sent, false, err
		}
		if po.columns != nil {
			if err := send(row); err != nil {
				return sent, false, err
			}
		}
		sent++
	}
	return sent, true, nil
}

// rowSender gives the function that sends a row: the server's own encoding, unless a column
// prints by names that only the catalog knows.
func (s *Session) rowSender(columns []pgwire.Column, w pgwire.ResultWriter) func(types.Row) error {
	if !slices.ContainsFunc(columns, func(c pgwire.Column) bool { return c.Format == 0 && printsName(c.Type.OID) }) {
		return w.DataRow
	}
	functions := s.builtinContext()
	cells := make([][]byte, len(columns))
	return func(row types.Row) error {
		for i, v := range row {
			switch {
			case v.IsNull():
				cells[i] = nil
			case columns[i].Format == 1:
				cells[i] = types.AppendBinary([]byte{}, columns[i].Type, v)
			default:
				cells[i] = functions.AppendText([]byte{}, columns[i].Type, v)
			}
		}
		return w.RawDataRow(cells)
	}
}

// printsName tells whether values of a type are numbers that print as names: regclass and
// its kin, and arrays of them.
func printsName(oid types.OID) bool {
	if elem := types.ElemOf(oid); elem != 0 {
		oid = elem
	}
	switch oid {
	case types.RegprocOID, types.RegprocedureOID, types.RegoperOID, types.RegoperatorOID, types.RegclassOID,
		types.RegtypeOID, types.RegroleOID, types.RegnamespaceOID, types.RegcollationOID:
		return true
	}
	return false
}

// closePortal forgets a portal.
func (s *Session) closePortal(name string) {
	if po, ok := s.portals[name]; ok {
		s.discard(po)
		delete(s.portals, name)
	}
}

// closeResults ends all running queries: the transaction's snapshots are about to go.
func (s *Session) closeResults() {
	for _, po := range s.portals {
		if po.rows != nil {
			s.discard(po)
		}
	}
}

// closeTransactionPortals forgets the portals that end with the transaction: all but the
// cursors WITH HOLD.
func (s *Session) closeTransactionPortals() {
	for name, po := range s.portals {
		if po.cursor == nil || !po.cursor.hold {
			s.closePortal(name)
		}
	}
}

// closePortalsSince forgets the portals made after savepoint number i. The others go on, as
// in PostgreSQL; what they have not read yet is read now, because the engine goes back.
func (s *Session) closePortalsSince(ctx context.Context, i int) {
	for name, po := range s.portals {
		if po.level > i {
			s.closePortal(name)
			continue
		}
		if po.rows == nil {
			continue
		}
		if err := s.complete(ctx, po); err != nil {
			s.discard(po)
			po.lost = types.Errorf("55000", "portal \"%s\" has lost its rows at ROLLBACK TO SAVEPOINT", name).
				WithDetail("%s", types.AsError(err).Message)
		}
	}
}
