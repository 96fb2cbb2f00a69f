package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// copyBatchRows and copyBatchBytes bound what COPY FROM hands to the engine at once.
const (
	copyBatchRows  = 1000
	copyBatchBytes = 4 << 20
)

// copy is COPY between the client and a table or query.
func (s *Session) copy(ctx context.Context, x *sql.Copy, po *portal, w pgwire.ResultWriter) (string, error) {
	if x.File != "" || x.Program {
		return "", types.Errorf("0A000", "COPY with a file or program on the server is not supported").
			WithHint("Use COPY … FROM STDIN or TO STDOUT; psql's \\copy does this for files of the client.")
	}
	format, err := copyOptions(x.Options, x.From)
	if err != nil {
		return "", err
	}
	if x.From {
		return s.copyFrom(ctx, x, format, po, w)
	}
	return s.copyTo(ctx, x, format, po, w)
}

// copyTarget finds the table of COPY and the columns it names.
func (s *Session) copyTarget(x *sql.Copy, cat *catalog.Catalog) (*catalog.Relation, []*catalog.Column, error) {
	rel, err := cat.Resolve(s.info.SearchPath(), x.Table)
	if err != nil {
		return nil, nil, err
	}
	if x.Columns == nil {
		var out []*catalog.Column
		for _, c := range rel.Visible() {
			if c.Generated == 0 {
				out = append(out, c)
			}
		}
		return rel, out, nil
	}
	var out []*catalog.Column
	for _, name := range x.Columns {
		c, ok := rel.Column(name)
		switch {
		case !ok || c.Hidden:
			return nil, nil, types.Errorf("42703", "column \"%s\" of relation \"%s\" does not exist", name, rel.Name)
		case slices.Contains(out, c):
			return nil, nil, types.Errorf("42701", "column \"%s\" specified more than once", name)
		case c.Generated != 0:
			return nil, nil, types.Errorf("42P10", "column \"%s\" is a generated column", name).
				WithDetail("Generated columns cannot be used in COPY.")
		}
		out = append(out, c)
	}
	return rel, out, nil
}

// copyTo is COPY TO STDOUT: the table is read as a query of its columns.
func (s *Session) copyTo(ctx context.Context, x *sql.Copy, format *copyFormat, po *portal, w pgwire.ResultWriter) (string, error) {
	query := x.Query
	if query == nil {
		rel, columns, err := s.copyTarget(x, s.catalog())
		if err != nil {
			return "", err
		}
		if rel.Kind == catalog.KindView {
			return "", types.Errorf("42809", "cannot copy from view \"%s\"", rel.Name).
				WithHint("Try the COPY (SELECT ...) TO variant.")
		}
		if rel.Kind != catalog.KindTable {
			return "", types.Errorf("42809", "cannot copy from non-table relation \"%s\"", rel.Name)
		}
		query = selectColumns(rel, columns)
	}
	if !isQuery(query) {
		return "", types.Errorf("0A000", "COPY query must be a SELECT, INSERT, UPDATE or DELETE")
	}
	inner := &portal{internal: true, params: po.params, statement: &prepared{
		text: po.statement.text, fromSQL: true, declared: po.statement.declared,
		parsed: sql.Parsed{Statement: query, Text: po.statement.parsed.Text, Offset: po.statement.parsed.Offset},
	}}
	if err := s.open(ctx, inner); err != nil {
		return "", err
	}
	if inner.columns == nil {
		return "", s.finish(inner, types.Errorf("0A000", "COPY query must have a RETURNING clause"))
	}
	n, err := s.writeCopy(ctx, inner, format, w)
	return tagCount("COPY", n), s.finish(inner, err)
}

// selectColumns makes SELECT columns FROM ONLY table.
func selectColumns(rel *catalog.Relation, columns []*catalog.Column) *sql.Select {
	out := &sql.Select{From: []sql.TableExpr{&sql.Table{Name: sql.Name{rel.Schema, rel.Name}, At: -1}}, At: -1}
	for _, c := range columns {
		out.Targets = append(out.Targets, sql.Target{Expr: &sql.ColumnRef{Parts: sql.Name{c.Name}, At: -1}})
	}
	return out
}

func (s *Session) writeCopy(ctx context.Context, po *portal, format *copyFormat, w pgwire.ResultWriter) (n int64, err error) {
	names := make([]string, len(po.columns))
	enc := &copyWriter{format: format, functions: s.builtinContext(), columns: make([]types.Type, len(names))}
	for i, c := range po.columns {
		names[i], enc.columns[i] = c.Name, c.Type
	}
	if enc.forceQuote, err = forced(format.forceQuote, names, "FORCE_QUOTE", noSuchColumn); err != nil {
		return 0, err
	}
	out, err := w.CopyOut(len(names), format.binary)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err == nil {
			err = out.Close()
		}
	}()
	switch {
	case format.binary:
		_, err = io.WriteString(out, copyHeader)
	case format.header:
		_, err = out.Write(enc.header(names))
	}
	for err == nil {
		var row types.Row
		var ok bool
		if row, ok, err = po.rows.next(ctx); err != nil || !ok {
			break
		}
		if _, err = out.Write(enc.row(row)); err == nil {
			n++
		}
	}
	if err == nil && format.binary {
		_, err = io.WriteString(out, copyTrailer)
	}
	return n, err
}

// copyFrom is COPY FROM STDIN.
func (s *Session) copyFrom(ctx context.Context, x *sql.Copy, format *copyFormat, po *portal, w pgwire.ResultWriter) (string, error) {
	if err := s.mayWrite("COPY FROM"); err != nil {
		return "", err
	}
	if x.Where != nil {
		return "", types.Errorf("0A000", "COPY FROM … WHERE is not supported").
			WithHint("Copy into a temporary or staging table and insert the rows that are wanted from there.")
	}
	tx, err := s.begun(ctx)
	if err != nil {
		return "", err
	}
	s.tx.ran = true
	rel, columns, err := s.copyTarget(x, tx.Catalog())
	if err != nil {
		return "", err
	}
	if rel.Kind != catalog.KindTable || rel.Virtual {
		return "", types.Errorf("42809", "cannot copy to non-table relation \"%s\"", rel.Name)
	}
	load := &copyLoad{session: s, rel: rel, columns: columns, format: format, functions: s.builtinContext()}
	nums := make([]int16, len(columns))
	for i, c := range columns {
		nums[i] = c.Num
		load.names = append(load.names, c.Name)
	}
	if load.notNull, err = forced(format.forceNotNull, load.names, "FORCE_NOT_NULL", load.known); err != nil {
		return "", err
	}
	if load.nulled, err = forced(format.forceNull, load.names, "FORCE_NULL", load.known); err != nil {
		return "", err
	}
	if load.sink, err = tx.CopyIn(ctx, rel, nums, s.execEnv(nil)); err != nil {
		tx.EndStatement(err)
		return "", err
	}
	in, err := w.CopyIn(len(columns), format.binary)
	if err == nil {
		err = load.run(ctx, in)
	}
	var n int64
	if err == nil {
		n, err = load.sink.Close(ctx)
	}
	tx.EndStatement(err)
	return tagCount("COPY", n), err
}

// copyLoad reads rows and gives them to the engine in batches.
type copyLoad struct {
	session   *Session
	rel       *catalog.Relation
	columns   []*catalog.Column
	names     []string
	format    *copyFormat
	functions *builtin.Context
	sink      RowSink
	notNull   []bool
	nulled    []bool

	batch []types.Row
	bytes int
	first int // line of the batch's first row
	last  int // and of its last
}

// known gives 42703 for a column that the table does not have.
func (l *copyLoad) known(name string) error {
	if _, ok := l.rel.Column(name); ok {
		return nil
	}
	return types.Errorf("42703", "column \"%s\" of relation \"%s\" does not exist", name, l.rel.Name)
}

func noSuchColumn(name string) error {
	return types.Errorf("42703", "column \"%s\" does not exist", name)
}

func (l *copyLoad) run(ctx context.Context, in io.Reader) error {
	var err error
	if l.format.binary {
		err = l.readBinary(ctx, in)
	} else {
		err = l.readLines(ctx, in)
	}
	if err != nil {
		return err
	}
	return l.flush(ctx)
}

func (l *copyLoad) readLines(ctx context.Context, in io.Reader) error {
	r := newCopyReader(in, l.format, l.rel.Name)
	r.notNull, r.nulled = l.notNull, l.nulled
	if l.format.header {
		if err := r.next(); err != nil {
			return endOf(err)
		}
		if err := l.checkHeader(r); err != nil {
			return err
		}
	}
	for {
		if err := r.next(); err != nil {
			return endOf(err)
		}
		row, err := l.row(r)
		if err != nil {
			return err
		}
		if err := l.add(ctx, row, r.line); err != nil {
			return err
		}
	}
}

func endOf(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// checkHeader compares the first line with the column names, for HEADER MATCH.
func (l *copyLoad) checkHeader(r *copyReader) error {
	if !l.format.headerMatch {
		return nil
	}
	if len(r.fields) != len(l.names) {
		return r.fail(types.Errorf("22P04", "wrong number of fields in header line: got %d, expected %d",
			len(r.fields), len(l.names)), "")
	}
	for i, f := range r.fields {
		got := string(r.text[f.start:f.end])
		if got != l.names[i] {
			return r.fail(types.Errorf("22P04", "column name mismatch in header line field %d: got \"%s\", expected \"%s\"",
				i+1, got, l.names[i]), "")
		}
	}
	return nil
}

// row reads the values of a line.
func (l *copyLoad) row(r *copyReader) (types.Row, error) {
	if len(r.fields) > len(l.columns) {
		return nil, r.fail(types.Errorf("22P04", "extra data after last expected column"), "")
	}
	row := make(types.Row, len(l.columns))
	for i, c := range l.columns {
		if i >= len(r.fields) {
			return nil, r.fail(types.Errorf("22P04", "missing data for column \"%s\"", c.Name), "")
		}
		f := r.fields[i]
		if f.null {
			continue
		}
		v, err := l.functions.Input(c.Type, string(r.text[f.start:f.end]))
		if err == nil {
			v, err = types.Coerce(v, c.Type, false)
		}
		if err != nil {
			return nil, r.failField(err, c.Name, f)
		}
		row[i] = v
	}
	return row, nil
}

func (l *copyLoad) add(ctx context.Context, row types.Row, line int) error {
	if len(l.batch) == 0 {
		l.first = line
	}
	l.last = line
	l.batch = append(l.batch, row)
	l.bytes += rowBytes(row)
	if len(l.batch) < copyBatchRows && l.bytes < copyBatchBytes {
		return nil
	}
	return l.flush(ctx)
}

func (l *copyLoad) flush(ctx context.Context) error {
	if len(l.batch) == 0 {
		return ctx.Err()
	}
	err := l.sink.Write(ctx, l.batch)
	if err != nil {
		e := *types.AsError(err)
		if e.Where == "" {
			e.Where = fmt.Sprintf("COPY %s, line %d", l.rel.Name, l.first)
			if l.last > l.first {
				e.Where = fmt.Sprintf("COPY %s, lines %d to %d", l.rel.Name, l.first, l.last)
			}
		}
		err = &e
	}
	l.batch, l.bytes = l.batch[:0], 0
	return err
}

// readBinary reads the binary format.
func (l *copyLoad) readBinary(ctx context.Context, in io.Reader) error {
	r := &binaryCopy{in: in}
	if err := r.header(); err != nil {
		return err
	}
	for line := 1; ; line++ {
		row, err := l.binaryRow(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			e := *types.AsError(err)
			if e.Where == "" {
				e.Where = fmt.Sprintf("COPY %s, line %d", l.rel.Name, line)
			} else {
				e.Where = fmt.Sprintf("COPY %s, line %d, column %s", l.rel.Name, line, e.Where)
			}
			return &e
		}
		if err := l.add(ctx, row, line); err != nil {
			return err
		}
	}
}

// binaryRow reads a tuple; io.EOF at the trailer. An error's Where names the column.
func (l *copyLoad) binaryRow(r *binaryCopy) (types.Row, error) {
	count, err := r.int16()
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF // PostgreSQL too allows the trailer to be missing
	case err != nil:
		return nil, err
	case count == -1:
		return nil, r.ended()
	case int(count) != len(l.columns):
		return nil, types.Errorf("22P04", "row field count is %d, expected %d", count, len(l.columns))
	}
	row := make(types.Row, len(l.columns))
	for i, c := range l.columns {
		raw, null, err := r.field()
		if err == nil && !null {
			if row[i], err = types.ParseBinary(c.Type, raw); err == nil {
				row[i], err = types.Coerce(row[i], c.Type, false)
			}
		}
		if err != nil {
			e := *types.AsError(err)
			e.Where = c.Name
			return nil, &e
		}
	}
	return row, nil
}

// binaryCopy reads the pieces of the binary format.
type binaryCopy struct {
	in  io.Reader
	buf [8]byte
}

func (r *binaryCopy) full(b []byte) error {
	_, err := io.ReadFull(r.in, b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errCopyEnds()
	}
	return err
}

func errCopyEnds() error { return types.Errorf("22P04", "unexpected EOF in COPY data") }

func (r *binaryCopy) header() error {
	head := make([]byte, len(copySignature)+8)
	if err := r.full(head); err != nil || string(head[:len(copySignature)]) != copySignature {
		var e *types.Error
		if errors.As(err, &e) && e.Code != "22P04" {
			return err
		}
		return types.Errorf("22P04", "COPY file signature not recognized")
	}
	flags := binary.BigEndian.Uint32(head[len(copySignature):])
	switch {
	case flags&(1<<16) != 0:
		return types.Errorf("22P04", "invalid COPY file header (WITH OIDS)")
	case flags>>17 != 0:
		return types.Errorf("22P04", "unrecognized critical flags in COPY file header")
	}
	extension := int64(int32(binary.BigEndian.Uint32(head[len(copySignature)+4:])))
	if extension < 0 {
		return types.Errorf("22P04", "invalid COPY file header (missing length)")
	}
	if n, err := io.CopyN(io.Discard, r.in, extension); n < extension {
		if errors.Is(err, io.EOF) {
			return types.Errorf("22P04", "invalid COPY file header (wrong length)")
		}
		return err
	}
	return nil
}

func (r *binaryCopy) int16() (int16, error) {
	err := r.full(r.buf[:2])
	return int16(binary.BigEndian.Uint16(r.buf[:2])), err
}

// ended checks that nothing follows the trailer.
func (r *binaryCopy) ended() error {
	_, err := io.ReadFull(r.in, r.buf[:1])
	if err == nil {
		return types.Errorf("22P04", "received copy data after EOF marker")
	}
	return err
}

// copyFieldMax bounds a field of the binary format.
const copyFieldMax = 256 << 20

func (r *binaryCopy) field() (raw []byte, null bool, err error) {
	if err := r.full(r.buf[:4]); err != nil {
		return nil, false, eofIsError(err)
	}
	n := int32(binary.BigEndian.Uint32(r.buf[:4]))
	switch {
	case n == -1:
		return nil, true, nil
	case n < 0:
		return nil, false, types.Errorf("22P04", "invalid field size")
	case n > copyFieldMax:
		return nil, false, types.Errorf("54000", "field of %d bytes is too large", n)
	}
	raw, err = io.ReadAll(io.LimitReader(r.in, int64(n)))
	if err == nil && len(raw) < int(n) {
		err = errCopyEnds()
	}
	return raw, false, err
}

func eofIsError(err error) error {
	if errors.Is(err, io.EOF) {
		return errCopyEnds()
	}
	return err
}
