package session

import (
	"context"
	"slices"
	"strings"

	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// run runs a portal's statement, or goes on with it, and gives the command tag; "" when
// limit rows came before the end.
func (s *Session) run(ctx context.Context, po *portal, limit int, w pgwire.ResultWriter) (string, error) {
	stmt := po.statement.parsed.Statement
	if isQuery(stmt) {
		if value, ok := engineSetting(stmt); ok {
			return s.setEngine(ctx, po, value, w)
		}
		return s.runQuery(ctx, po, limit, w)
	}
	if tag, done, err := s.runSession(ctx, po, w); done || err != nil {
		return tag, err
	}
	switch x := stmt.(type) {
	case *sql.Copy:
		return s.copy(ctx, x, po, w)
	case *sql.Explain:
		return s.explain(ctx, x, po, w)
	case *sql.Execute:
		return s.execute(ctx, x, po, limit, w)
	case *sql.Call:
		return s.call(ctx, x, po, w)
	case *sql.LockTable:
		return "LOCK TABLE", s.lock(ctx, x)
	case *sql.CreateTable:
		if x.Query != nil {
			return s.createTableAs(ctx, x, po)
		}
	case *sql.Unsupported:
		return "", types.Errorf("0A000", "%s is not supported", x.What).
			WithHint("It exists in PostgreSQL, but Helios does not have it.")
	}
	return s.ddl(ctx, stmt, po)
}

// runSession runs the statements that concern the session alone; done is false for others.
func (s *Session) runSession(ctx context.Context, po *portal, w pgwire.ResultWriter) (tag string, done bool, err error) {
	switch x := po.statement.parsed.Statement.(type) {
	case *sql.Transaction:
		tag, err = s.control(ctx, x)
	case *sql.Set:
		tag, err = s.set(ctx, x)
	case *sql.Show:
		tag, err = s.show(x, po, w)
	case *sql.Prepare:
		tag, err = "PREPARE", s.prepare(x, po.statement.text, po.statement.parsed.Offset)
	case *sql.Deallocate:
		tag, err = "DEALLOCATE", s.deallocate(x.Name)
		if x.Name == "" {
			tag = "DEALLOCATE ALL"
		}
	case *sql.DeclareCursor:
		tag, err = "DECLARE CURSOR", s.declare(ctx, x, po)
	case *sql.Fetch:
		tag, err = s.fetch(ctx, x, po, w)
	case *sql.CloseCursor:
		tag, err = s.closeCursor(x.Name)
	case *sql.Discard:
		tag, err = "DISCARD "+strings.ToUpper(x.What), s.discardState(ctx, x.What)
	default:
		return "", false, nil
	}
	return tag, true, err
}

// ddl runs a statement that changes the catalog.
func (s *Session) ddl(ctx context.Context, stmt sql.Statement, po *portal) (string, error) {
	command := commandOf(stmt)
	if alone(stmt) {
		if err := s.outsideBlock(command); err != nil {
			return "", err
		}
	}
	if err := s.mayWrite(command); err != nil {
		return "", err
	}
	tx, err := s.begun(ctx)
	if err != nil {
		return "", err
	}
	s.tx.ran, s.tx.ddl = true, true
	tag, err := tx.DDL(ctx, stmt, s.execEnv(nil))
	tx.EndStatement(err)
	if err != nil {
		return "", positioned(err, po.statement.parsed, po.statement.text)
	}
	return tag, nil
}

// alone tells whether a statement refuses to be part of a larger transaction.
func alone(stmt sql.Statement) bool {
	switch x := stmt.(type) {
	case *sql.CreateDatabase:
		return true
	case *sql.Drop:
		return x.Kind == "database" || x.Concurrently
	case *sql.CreateIndex:
		return x.Concurrently
	case *sql.Analyze:
		return x.Vacuum
	}
	return false
}

// mayWrite refuses a writing statement in a read-only transaction.
func (s *Session) mayWrite(command string) error {
	if s.values.on("transaction_read_only") {
		return types.Errorf("25006", "cannot execute %s in a read-only transaction", command)
	}
	return nil
}

// commandOf names a statement as PostgreSQL's command tags do.
func commandOf(stmt sql.Statement) string {
	switch x := stmt.(type) {
	case *sql.Select:
		if len(x.Locking) > 0 {
			return "SELECT FOR " + strings.ToUpper(x.Locking[0].Strength)
		}
		return "SELECT"
	case *sql.Insert:
		return "INSERT"
	case *sql.Update:
		return "UPDATE"
	case *sql.Delete:
		return "DELETE"
	case *sql.CreateTable:
		if x.Query != nil {
			return "CREATE TABLE AS"
		}
		return "CREATE TABLE"
	case *sql.CreateIndex:
		if x.Concurrently {
			return "CREATE INDEX CONCURRENTLY"
		}
		return "CREATE INDEX"
	case *sql.Drop:
		if x.Concurrently {
			return "DROP INDEX CONCURRENTLY"
		}
		return "DROP " + strings.ToUpper(x.Kind)
	case *sql.AlterTable:
		return "ALTER " + strings.ToUpper(x.Kind)
	case *sql.Rename:
		return "ALTER " + strings.ToUpper(x.Kind)
	case *sql.Grant:
		if x.Revoke {
			return "REVOKE"
		}
		return "GRANT"
	case *sql.Analyze:
		if x.Vacuum {
			return "VACUUM"
		}
		return "ANALYZE"
	case *sql.Copy:
		return "COPY FROM"
	}
	return otherCommand(stmt)
}

func otherCommand(stmt sql.Statement) string {
	switch stmt.(type) {
	case *sql.CreateSchema:
		return "CREATE SCHEMA"
	case *sql.CreateSequence:
		return "CREATE SEQUENCE"
	case *sql.CreateView:
		return "CREATE VIEW"
	case *sql.CreateExtension:
		return "CREATE EXTENSION"
	case *sql.CreateDatabase:
		return "CREATE DATABASE"
	case *sql.CreateRole:
		return "CREATE ROLE"
	case *sql.AlterRole:
		return "ALTER ROLE"
	case *sql.Truncate:
		return "TRUNCATE TABLE"
	case *sql.Comment:
		return "COMMENT"
	case *sql.LockTable:
		return "LOCK TABLE"
	case *sql.Checkpoint:
		return "CHECKPOINT"
	}
	return "this statement"
}

// sendText reports a result of text columns.
func (s *Session) sendText(po *portal, w pgwire.ResultWriter, names []string, rows [][]string) error {
	columns := po.columns
	if columns == nil {
		columns = textColumns(names...)
	}
	if err := w.RowDescription(columns); err != nil {
		return err
	}
	for _, r := range rows {
		row := make(types.Row, len(r))
		for i, text := range r {
			row[i] = types.Text(text)
		}
		if err := w.DataRow(row); err != nil {
			return err
		}
	}
	return nil
}

// execute is EXECUTE: the prepared statement's portal takes the place of this one.
func (s *Session) execute(ctx context.Context, x *sql.Execute, po *portal, limit int, w pgwire.ResultWriter) (string, error) {
	st, err := s.statement(x.Name)
	if err != nil {
		return "", err
	}
	if !isQuery(st.parsed.Statement) {
		if len(x.Args) > 0 {
			return "", types.Errorf("42601", "wrong number of parameters for prepared statement \"%s\"", x.Name)
		}
		return s.run(ctx, &portal{statement: st, internal: true}, limit, w)
	}
	params, err := s.executeArgs(ctx, x, st)
	if err != nil {
		return "", positioned(err, po.statement.parsed, po.statement.text)
	}
	po.statement, po.params = st, params
	return s.runQuery(ctx, po, limit, w)
}

// call is CALL. The procedure runs outside a transaction block.
func (s *Session) call(ctx context.Context, x *sql.Call, po *portal, w pgwire.ResultWriter) (string, error) {
	if err := s.outsideBlock("CALL"); err != nil {
		return "", err
	}
	args := make([]Arg, len(x.Func.Args))
	for i, a := range x.Func.Args {
		e, err := plan.BindExpr(a, nil, types.Type{}, s.bindEnv(nil))
		if err != nil {
			return "", positioned(err, po.statement.parsed, po.statement.text)
		}
		args[i].Type = e.Type()
		if x.Func.ArgNames != nil {
			args[i].Name = x.Func.ArgNames[i]
		}
		if args[i].Value, err = exec.EvalConst(ctx, e, s.execEnv(po.params)); err != nil {
			return "", err
		}
	}
	result, err := s.engine.Call(ctx, s.info, x.Func.Name, args)
	if err != nil || result == nil {
		return "CALL", err
	}
	out := &portal{statement: po.statement, result: result, columns: po.columns}
	if out.columns == nil {
		out.columns = queryColumns(&plan.Query{Columns: result.Columns})
	}
	out.rows = newRowReader(ctx, result.Rows)
	if err := w.RowDescription(out.columns); err != nil {
		return "", err
	}
	_, _, err = s.sendRows(ctx, out, 0, w)
	if closed := out.rows.close(); err == nil {
		err = closed
	}
	return "CALL", err
}

// lock is LOCK TABLE.
func (s *Session) lock(ctx context.Context, x *sql.LockTable) error {
	if s.tx.state != inBlock {
		return errNeedsBlock("LOCK TABLE")
	}
	if x.Mode != "access share" && x.Mode != "row share" && x.Mode != "row exclusive" {
		if err := s.mayWrite("LOCK TABLE"); err != nil {
			return err
		}
	}
	tx, err := s.begun(ctx)
	if err != nil {
		return err
	}
	for _, name := range x.Tables {
		rel, err := tx.Catalog().Resolve(s.info.SearchPath(), name)
		if err != nil {
			return err
		}
		if rel.Kind != 'r' && rel.Kind != 'v' {
			return types.Errorf("42809", "cannot lock relation \"%s\"", rel.Name).
				WithDetail("This operation is not supported for this kind of relation.")
		}
		if err := tx.Lock(ctx, rel, x.Mode, x.NoWait); err != nil {
			return err
		}
	}
	return nil
}

// explain is EXPLAIN.
func (s *Session) explain(ctx context.Context, x *sql.Explain, po *portal, w pgwire.ResultWriter) (string, error) {
	analyze, err := explainOptions(x.Options)
	if err != nil {
		return "", err
	}
	inner := &prepared{text: po.statement.text, parsed: sql.Parsed{
		Statement: x.Statement, Text: po.statement.parsed.Text, Offset: po.statement.parsed.Offset,
	}, fromSQL: true, declared: po.statement.declared}
	params := po.params
	switch y := x.Statement.(type) {
	case *sql.Execute:
		if inner, err = s.statement(y.Name); err != nil {
			return "", err
		}
		if params, err = s.executeArgs(ctx, y, inner); err != nil {
			return "", err
		}
	case *sql.CreateTable:
		if y.Query != nil && !analyze {
			inner.parsed.Statement = y.Query
		}
	case *sql.DeclareCursor:
		inner.parsed.Statement = y.Query
	}
	if !isQuery(inner.parsed.Statement) {
		return "", types.Errorf("0A000", "EXPLAIN of %s is not supported", commandOf(inner.parsed.Statement))
	}
	q, err := s.planned(inner)
	if err != nil {
		return "", err
	}
	if analyze && !q.ReadOnly {
		if err := s.mayWrite(commandOf(inner.parsed.Statement)); err != nil {
			return "", err
		}
	}
	tx, err := s.begun(ctx)
	if err != nil {
		return "", err
	}
	s.tx.ran = true
	lines, err := tx.Explain(ctx, q, analyze, s.execEnv(params))
	tx.EndStatement(err)
	if err != nil {
		return "", err
	}
	rows := make([][]string, len(lines))
	for i, line := range lines {
		rows[i] = []string{line}
	}
	return "EXPLAIN", s.sendText(po, w, []string{"QUERY PLAN"}, rows)
}

// explainOptions checks the options; of the formats there is text alone.
func explainOptions(options []sql.Option) (analyze bool, err error) {
	for _, o := range options {
		value := "true"
		if o.Value != nil {
			value = *o.Value
		}
		switch {
		case o.Name == "format":
			if !strings.EqualFold(value, "text") {
				return false, types.Errorf("0A000", "EXPLAIN format \"%s\" is not supported", value).WithHint("Use FORMAT TEXT.")
			}
			continue
		case !slices.Contains([]string{"analyze", "verbose", "costs", "settings", "generic_plan", "buffers", "wal", "timing", "summary"}, o.Name):
			return false, types.Errorf("42601", "unrecognized EXPLAIN option \"%s\"", o.Name)
		}
		on, err := optionBool(o.Name, value)
		if err != nil {
			return false, err
		}
		if o.Name == "analyze" {
			analyze = on
		}
	}
	return analyze, nil
}

// createTableAs is CREATE TABLE AS: the table, then its rows, in one transaction.
func (s *Session) createTableAs(ctx context.Context, x *sql.CreateTable, po *portal) (string, error) {
	if err := s.mayWrite("CREATE TABLE AS"); err != nil {
		return "", err
	}
	if x.IfNotExists {
		if _, err := s.catalog().Resolve(s.info.SearchPath(), x.Name); err == nil {
			e := types.Errorf("42P07", "relation \"%s\" already exists, skipping", x.Name[len(x.Name)-1])
			e.Severity = "NOTICE"
			s.info.Notice(e)
			return "CREATE TABLE AS", nil
		}
	}
	q, err := plan.Bind(x.Query, s.bindEnv(po.statement.declared))
	if err != nil {
		return "", positioned(err, po.statement.parsed, po.statement.text)
	}
	table := *x
	table.Query, table.NoData = nil, false
	if table.Columns, err = columnsFor(x.Columns, q); err != nil {
		return "", err
	}
	if _, err := s.ddl(ctx, &table, po); err != nil {
		return "", err
	}
	if x.NoData {
		return "CREATE TABLE AS", nil
	}
	fill := &prepared{text: po.statement.text, fromSQL: true, declared: po.statement.declared, parsed: sql.Parsed{
		Statement: &sql.Insert{Table: &sql.Table{Name: x.Name, At: -1}, Query: x.Query},
		Text:      po.statement.parsed.Text, Offset: po.statement.parsed.Offset,
	}}
	inner := &portal{statement: fill, params: po.params, internal: true}
	if err := s.open(ctx, inner); err != nil {
		return "", err
	}
	err = s.drain(ctx, inner)
	return tagCount("SELECT", inner.result.Count()), s.finish(inner, err)
}

// drain reads a portal's rows and forgets them.
func (s *Session) drain(ctx context.Context, po *portal) error {
	for {
		_, ok, err := po.rows.next(ctx)
		if err != nil || !ok {
			return err
		}
	}
}

// columnsFor makes the columns of CREATE TABLE AS: the query's types under its names or
// those that were given.
func columnsFor(names []sql.ColumnDef, q *plan.Query) ([]sql.ColumnDef, error) {
	if len(names) > len(q.Columns) {
		return nil, types.Errorf("42601", "too many column names were specified")
	}
	out := make([]sql.ColumnDef, len(q.Columns))
	for i, c := range q.Columns {
		name := c.Name
		if i < len(names) {
			name = names[i].Name
		}
		t, err := typeNameOf(c.Type)
		if err != nil {
			return nil, err
		}
		out[i] = sql.ColumnDef{Name: name, Type: t, At: -1}
	}
	return out, nil
}

// typeNameOf writes a type as the parser would have read it.
func typeNameOf(t types.Type) (sql.TypeName, error) {
	if t.OID == types.UnknownOID {
		t = types.T(types.TextOID)
	}
	e, err := sql.ParseExpr("NULL::" + types.FormatType(t))
	if cast, ok := e.(*sql.Cast); ok && err == nil {
		return cast.Type, nil
	}
	return sql.TypeName{}, types.Errorf("42P16", "column of type %s cannot be created", types.FormatType(t))
}
