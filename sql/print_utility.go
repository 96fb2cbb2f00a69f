package sql

import (
	"strconv"
	"strings"
)

// utility writes the statements that are neither query nor definition; false for
// anything else.
func (p *Printer) utility(s Statement) bool {
	switch s := s.(type) {
	case *Transaction:
		p.transaction(s)
	case *Set:
		p.set(s)
	case *Show:
		p.w("SHOW ", settingName(s.Name))
	case *Explain:
		p.w("EXPLAIN ")
		if len(s.Options) > 0 {
			p.genericOptions(s.Options)
			p.w(" ")
		}
		p.statement(s.Statement)
	case *Copy:
		p.copy(s)
	case *Prepare:
		p.prepare(s)
	case *Execute:
		p.w("EXECUTE ", QuoteIdent(s.Name))
		if len(s.Args) > 0 {
			p.wordCall("", s.Args)
		}
	case *Deallocate:
		p.w("DEALLOCATE ", nameOrAll(s.Name))
	case *DeclareCursor:
		p.declareCursor(s)
	case *Fetch:
		p.fetch(s)
	case *CloseCursor:
		p.w("CLOSE ", nameOrAll(s.Name))
	case *Call:
		p.w("CALL ")
		p.call(s.Func)
	case *Discard:
		p.w("DISCARD ", strings.ToUpper(s.What))
	case *LockTable:
		p.w("LOCK TABLE ")
		p.names(s.Tables)
		p.w(" IN ", strings.ToUpper(s.Mode), " MODE")
		p.wIf(s.NoWait, " NOWAIT")
	case *Analyze:
		p.analyze(s)
	case *Checkpoint:
		p.w("CHECKPOINT")
	case *Unsupported:
		p.w(s.What)
	default:
		return false
	}
	return true
}

func nameOrAll(name string) string {
	if name == "" {
		return "ALL"
	}
	return QuoteIdent(name)
}

func (p *Printer) transaction(s *Transaction) {
	p.w(strings.ToUpper(s.Kind))
	switch s.Kind {
	case "begin":
		p.modes(s)
	case "savepoint", "release", "rollback to":
		p.w(" ", QuoteIdent(s.Name))
	case "prepare":
		p.w(" TRANSACTION ", QuoteLiteral(s.Name))
	case "commit prepared", "rollback prepared":
		p.w(" ", QuoteLiteral(s.Name))
	}
	p.wIf(s.Chain, " AND CHAIN")
}

func (p *Printer) modes(s *Transaction) {
	p.wIf(s.Isolation != "", " ISOLATION LEVEL "+strings.ToUpper(s.Isolation))
	if s.ReadOnly != nil {
		p.w(map[bool]string{true: " READ ONLY", false: " READ WRITE"}[*s.ReadOnly])
	}
	if s.Deferrable != nil {
		p.w(" ", not(!*s.Deferrable), "DEFERRABLE")
	}
}

// settingName writes the name of a setting, which may have a dot.
func settingName(name string) string {
	if name == "all" {
		return "ALL"
	}
	return Name(strings.Split(name, ".")).String()
}

func (p *Printer) set(s *Set) {
	switch {
	case s.Reset:
		p.w("RESET ", settingName(s.Name))
		return
	case s.Name == "constraints":
		p.setConstraints(s)
		return
	case s.Name == "transaction", s.Name == "session characteristics":
		p.w("SET ", strings.ToUpper(s.Name))
		p.wIf(s.Name != "transaction", " AS TRANSACTION")
		for _, v := range s.Values {
			p.w(" ", strings.ToUpper(v.(*Literal).Text))
		}
		return
	}
	p.w("SET ")
	p.wIf(s.Local, "LOCAL ")
	switch {
	case s.Name == "transaction snapshot":
		p.w("TRANSACTION SNAPSHOT ")
		p.exprs(s.Values)
	case len(s.Values) == 0:
		p.w(settingName(s.Name), " TO DEFAULT")
	default:
		if cast, ok := s.Values[0].(*Cast); ok { // only SET TIME ZONE INTERVAL '…' is so
			p.w("TIME ZONE ")
			p.w("INTERVAL")
			if cast.Type.Fields == "" {
				p.mods(cast.Type.Mods)
			}
			p.w(" ")
			p.expr(cast.Arg, bindAtom)
			if cast.Type.Fields != "" {
				p.w(" ", cast.Type.Fields)
				p.mods(cast.Type.Mods)
			}
			return
		}
		p.w(settingName(s.Name), " TO ")
		p.exprs(s.Values)
	}
}

func (p *Printer) setConstraints(s *Set) {
	p.w("SET CONSTRAINTS ")
	if len(s.Values) == 1 {
		p.w("ALL")
	}
	p.exprs(s.Values[1:])
	p.w(" ", strings.ToUpper(s.Values[0].(*Literal).Text))
}

// genericOptions writes the bracketed options of EXPLAIN, COPY and VACUUM.
func (p *Printer) genericOptions(options []Option) {
	p.w("(")
	p.list(len(options), func(i int) {
		o := options[i]
		p.ident(o.Name)
		switch {
		case len(o.List) == 1 && o.List[0] == "*":
			p.w(" *")
		case len(o.List) > 0:
			p.columns(o.List)
		case o.Value != nil:
			p.w(" ", QuoteLiteral(*o.Value))
		}
	})
	p.w(")")
}

func (p *Printer) copy(s *Copy) {
	p.w("COPY ")
	if s.Query != nil {
		p.w("(")
		p.statement(s.Query)
		p.w(")")
	} else {
		p.name(s.Table)
		p.columns(s.Columns)
	}
	p.w(map[bool]string{true: " FROM ", false: " TO "}[s.From])
	switch {
	case s.File != "":
		p.wIf(s.Program, "PROGRAM ")
		p.w(QuoteLiteral(s.File))
	case s.From:
		p.w("STDIN")
	default:
		p.w("STDOUT")
	}
	if len(s.Options) > 0 {
		p.w(" WITH ")
		p.genericOptions(s.Options)
	}
	p.clause(" WHERE ", s.Where)
}

func (p *Printer) prepare(s *Prepare) {
	p.w("PREPARE ", QuoteIdent(s.Name))
	if len(s.Types) > 0 {
		p.w(" (")
		p.list(len(s.Types), func(i int) { p.typeName(s.Types[i]) })
		p.w(")")
	}
	p.w(" AS ")
	p.statement(s.Statement)
}

func (p *Printer) declareCursor(s *DeclareCursor) {
	p.w("DECLARE ", QuoteIdent(s.Name))
	p.wIf(s.Binary, " BINARY")
	p.wIf(s.Scroll != "", " "+strings.ToUpper(s.Scroll))
	p.w(" CURSOR ")
	p.wIf(s.Hold, "WITH HOLD ")
	p.w("FOR ")
	p.query(s.Query)
}

func (p *Printer) fetch(s *Fetch) {
	p.w(map[bool]string{true: "MOVE ", false: "FETCH "}[s.Move], strings.ToUpper(s.Direction), " ")
	if s.All {
		p.w("ALL")
	} else {
		p.w(strconv.FormatInt(s.Count, 10))
	}
	p.w(" FROM ", QuoteIdent(s.Cursor))
}

func (p *Printer) analyze(s *Analyze) {
	p.w(map[bool]string{true: "VACUUM", false: "ANALYZE"}[s.Vacuum])
	if len(s.Options) > 0 {
		p.w(" ")
		p.genericOptions(s.Options)
	}
	if len(s.Tables) > 0 {
		p.w(" ")
		p.names(s.Tables)
	}
}
