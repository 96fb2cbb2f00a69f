package session

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/heliosdb/helios/pgwire"
	"github.com/heliosdb/helios/types"
)

// Bind makes a portal of a prepared statement.
func (s *Session) Bind(ctx context.Context, name, statement string, paramFormats []int16, params [][]byte, resultFormats []int16) error {
	ctx, done := s.enter(ctx, "")
	defer done()
	return s.failing(ctx, s.bind(name, statement, paramFormats, params, resultFormats))
}

func (s *Session) bind(name, statement string, paramFormats []int16, params [][]byte, resultFormats []int16) error {
	st, err := s.statement(statement)
	if err != nil {
		return err
	}
	if s.tx.state == failed && !endsTransaction(st.parsed.Statement) && !s.outsideTransactions(st.parsed.Statement) {
		return errFailedBlock()
	}
	if name == "" {
		s.closePortal("")
	} else if _, ok := s.portals[name]; ok {
		return types.Errorf("42P03", "cursor \"%s\" already exists", name)
	}
	if s.tx.state == idle {
		s.startBlock(implicit)
	}
	if err := s.refresh(st); err != nil {
		return err
	}
	po := &portal{name: name, statement: st, made: time.Now(), level: len(s.tx.savepoints)}
	if po.params, err = s.readParams(name, st, paramFormats, params); err != nil {
		return err
	}
	if po.columns, err = formatted(st.columns, resultFormats); err != nil {
		return err
	}
	s.portals[name] = po
	return nil
}

// refresh makes sure that the statement's plan is of the present catalog.
func (s *Session) refresh(st *prepared) error {
	if _, ok := engineSetting(st.parsed.Statement); ok || !isQuery(st.parsed.Statement) {
		return nil
	}
	_, err := s.planned(st)
	return err
}

// readParams decodes the parameters of Bind.
func (s *Session) readParams(portalName string, st *prepared, formats []int16, params [][]byte) ([]types.Value, error) {
	if len(formats) > 1 && len(formats) != len(params) {
		return nil, types.Errorf("08P01", "bind message has %d parameter formats but %d parameters", len(formats), len(params))
	}
	if len(params) != len(st.params) {
		return nil, types.Errorf("08P01", "bind message supplies %d parameters, but prepared statement \"%s\" requires %d",
			len(params), st.name, len(st.params))
	}
	functions := s.builtinContext()
	out := make([]types.Value, len(params))
	for i, raw := range params {
		if raw == nil {
			continue
		}
		format := int16(0)
		if len(formats) == 1 {
			format = formats[0]
		} else if len(formats) > 1 {
			format = formats[i]
		}
		var err error
		switch format {
		case 0:
			if err = types.CheckUTF8(string(raw)); err == nil {
				out[i], err = functions.Input(types.T(st.params[i]), string(raw))
			}
		case 1:
			out[i], err = types.ParseBinary(types.T(st.params[i]), raw)
		default:
			return nil, types.Errorf("22023", "unsupported format code: %d", format)
		}
		if err != nil {
			return nil, paramError(err, portalName, i, format)
		}
	}
	return out, nil
}

// paramError adds which parameter was wrong, as PostgreSQL does: its value is not shown.
func paramError(err error, portalName string, i int, format int16) error {
	e := *types.AsError(err)
	where := "unnamed portal"
	if portalName != "" {
		where = fmt.Sprintf("portal \"%s\"", portalName)
	}
	e.Where = fmt.Sprintf("%s parameter $%d", where, i+1)
	if format == 0 {
		e.Where += " = '...'"
	}
	return &e
}

// formatted gives result columns the client's formats.
func formatted(columns []pgwire.Column, formats []int16) ([]pgwire.Column, error) {
	if len(formats) > 1 && len(formats) != len(columns) {
		return nil, types.Errorf("08P01", "bind message has %d result formats but query has %d columns", len(formats), len(columns))
	}
	out := slices.Clone(columns)
	for i := range out {
		if len(formats) == 1 {
			out[i].Format = formats[0]
		} else if len(formats) > 1 {
			out[i].Format = formats[i]
		}
		if f := out[i].Format; f != 0 && f != 1 {
			return nil, types.Errorf("22023", "unsupported format code: %d", f)
		}
	}
	return out, nil
}

// portal finds a portal: 34000 if there is none.
func (s *Session) portal(name string) (*portal, error) {
	if po, ok := s.portals[name]; ok {
		return po, nil
	}
	return nil, types.Errorf("34000", "portal \"%s\" does not exist", name)
}

// DescribePortal gives a portal's result columns.
func (s *Session) DescribePortal(ctx context.Context, name string) ([]pgwire.Column, error) {
	ctx, done := s.enter(ctx, "")
	defer done()
	po, err := s.portal(name)
	if err == nil && s.tx.state == failed && po.columns != nil {
		err = errFailedBlock()
	}
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return po.columns, nil
}

// Execute runs a portal for at most maxRows rows.
func (s *Session) Execute(ctx context.Context, name string, maxRows int, last bool, w pgwire.ResultWriter) error {
	po, err := s.portal(name)
	text := ""
	if err == nil {
		text = po.statement.text
	}
	ctx, done := s.enter(ctx, text)
	defer done()
	if err == nil {
		err = s.executePortal(ctx, po, maxRows, last, w)
	}
	return s.failing(ctx, err)
}

func (s *Session) executePortal(ctx context.Context, po *portal, maxRows int, last bool, w pgwire.ResultWriter) error {
	stmt := po.statement.parsed.Statement
	if stmt == nil {
		return w.EmptyQuery()
	}
	ctx, stop := s.statementTimer(ctx)
	defer stop()
	if err := s.startStatement(stmt, false); err != nil {
		return err
	}
	if s.tx.state == implicit && s.tx.tx == nil {
		s.tx.only = last
	}
	if po.cursor != nil {
		return s.executeCursor(ctx, po, maxRows, w)
	}
	if po.lost != nil {
		return po.lost
	}
	if po.done {
		if !isQuery(stmt) || len(po.columns) == 0 {
			return types.Errorf("55000", "portal \"%s\" cannot be run", po.name)
		}
		return w.CommandComplete(tagCount(po.statement.entry.query.Kind, 0))
	}
	tag, err := s.run(ctx, po, maxRows, w)
	if err != nil {
		return s.cause(ctx, err)
	}
	if tag == "" {
		return w.Suspended()
	}
	po.done = true
	return w.CommandComplete(tag)
}

// ClosePortal forgets a portal.
func (s *Session) ClosePortal(_ context.Context, name string) error {
	s.closePortal(name)
	return nil
}
