package sql

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

func typeName(v any) string { return fmt.Sprintf("%T", v) }

// utility converts everything that is neither query nor definition; nil for what is unknown.
func (c *converter) utility(n *pg.Node) Statement {
	switch x := n.Node.(type) {
	case *pg.Node_TransactionStmt:
		return c.transaction(x.TransactionStmt)
	case *pg.Node_VariableSetStmt:
		return c.set(x.VariableSetStmt)
	case *pg.Node_ConstraintsSetStmt:
		return setConstraints(x.ConstraintsSetStmt)
	case *pg.Node_VariableShowStmt:
		return &Show{Name: x.VariableShowStmt.Name}
	case *pg.Node_ExplainStmt:
		return &Explain{Options: c.options(x.ExplainStmt.Options), Statement: c.statement(x.ExplainStmt.Query)}
	case *pg.Node_CopyStmt:
		return c.copy(x.CopyStmt)
	case *pg.Node_PrepareStmt:
		p := &Prepare{Name: x.PrepareStmt.Name, Statement: c.statement(x.PrepareStmt.Query)}
		for _, t := range x.PrepareStmt.Argtypes {
			p.Types = append(p.Types, c.typeName(t.GetTypeName()))
		}
		return p
	case *pg.Node_ExecuteStmt:
		return &Execute{Name: x.ExecuteStmt.Name, Args: c.exprs(x.ExecuteStmt.Params)}
	case *pg.Node_DeallocateStmt:
		return &Deallocate{Name: x.DeallocateStmt.Name}
	case *pg.Node_DeclareCursorStmt:
		return c.declareCursor(x.DeclareCursorStmt)
	case *pg.Node_FetchStmt:
		return fetch(x.FetchStmt)
	case *pg.Node_ClosePortalStmt:
		return &CloseCursor{Name: x.ClosePortalStmt.Portalname}
	case *pg.Node_CallStmt:
		return &Call{Func: c.call(x.CallStmt.Funccall)}
	case *pg.Node_DiscardStmt:
		return &Discard{What: strings.ToLower(strings.TrimPrefix(x.DiscardStmt.Target.String(), "DISCARD_"))}
	case *pg.Node_LockStmt:
		l := x.LockStmt
		return &LockTable{Tables: rangeNames(l.Relations), Mode: lockModes[l.Mode], NoWait: l.Nowait}
	case *pg.Node_VacuumStmt:
		a := &Analyze{Vacuum: x.VacuumStmt.IsVacuumcmd, Options: c.options(x.VacuumStmt.Options)}
		for _, r := range x.VacuumStmt.Rels {
			a.Tables = append(a.Tables, rangeName(r.GetVacuumRelation().GetRelation()))
		}
		return a
	case *pg.Node_CheckPointStmt:
		return &Checkpoint{}
	}
	return nil
}

// lockModes are PostgreSQL's lock modes by number.
var lockModes = []string{
	"", "access share", "row share", "row exclusive", "share update exclusive", "share", "share row exclusive",
	"exclusive", "access exclusive",
}

func (c *converter) transaction(x *pg.TransactionStmt) *Transaction {
	kind := strings.TrimPrefix(x.Kind.String(), "TRANS_STMT_")
	t := &Transaction{
		Kind: strings.ToLower(strings.ReplaceAll(kind, "_", " ")), Name: x.SavepointName + x.Gid, Chain: x.Chain,
	}
	if t.Kind == "start" {
		t.Kind = "begin"
	}
	for _, n := range x.Options {
		o := n.GetDefElem()
		on := o.Arg.GetAConst().GetIval().GetIval() != 0
		switch o.Defname {
		case "transaction_isolation":
			t.Isolation = o.Arg.GetAConst().GetSval().GetSval()
		case "transaction_read_only":
			t.ReadOnly = &on
		case "transaction_deferrable":
			t.Deferrable = &on
		}
	}
	return t
}

func (c *converter) set(x *pg.VariableSetStmt) *Set {
	s := &Set{Name: x.Name, Local: x.IsLocal}
	switch x.Kind {
	case pg.VariableSetKind_VAR_SET_VALUE:
		s.Values = c.exprs(x.Args)
	case pg.VariableSetKind_VAR_SET_CURRENT:
		unsupported("SET … FROM CURRENT")
	case pg.VariableSetKind_VAR_RESET:
		s.Reset = true
	case pg.VariableSetKind_VAR_RESET_ALL:
		s.Reset, s.Name = true, "all"
	case pg.VariableSetKind_VAR_SET_MULTI:
		s.Name = strings.ToLower(x.Name)
		s.Local = false // SET TRANSACTION arrives as local, which it always is
		for _, n := range x.Args {
			if d := n.GetDefElem(); d != nil {
				s.Values = append(s.Values, &Literal{Kind: 's', Text: transactionMode(d), At: -1})
			} else {
				s.Values = append(s.Values, c.expr(n))
			}
		}
	}
	return s
}

func transactionMode(d *pg.DefElem) string {
	k := d.Arg.GetAConst()
	on := k.GetIval().GetIval() != 0
	switch {
	case d.Defname == "transaction_isolation":
		return "isolation level " + k.GetSval().GetSval()
	case d.Defname == "transaction_read_only" && on:
		return "read only"
	case d.Defname == "transaction_read_only":
		return "read write"
	case on:
		return "deferrable"
	}
	return "not deferrable"
}

func setConstraints(x *pg.ConstraintsSetStmt) *Set {
	mode := "immediate"
	if x.Deferred {
		mode = "deferred"
	}
	s := &Set{Name: "constraints", Values: []Expr{&Literal{Kind: 's', Text: mode, At: -1}}}
	for _, n := range x.Constraints {
		s.Values = append(s.Values, &ColumnRef{Parts: rangeName(n.GetRangeVar()), At: -1})
	}
	return s
}

func (c *converter) copy(x *pg.CopyStmt) *Copy {
	s := &Copy{
		Columns: strs(x.Attlist), From: x.IsFrom, Program: x.IsProgram, File: x.Filename,
		Options: c.options(x.Options), Where: c.expr(x.WhereClause),
	}
	if x.Relation != nil {
		s.Table = rangeName(x.Relation)
	}
	if x.Query != nil {
		s.Query = c.statement(x.Query)
	}
	return s
}

// Cursor option bits of PostgreSQL's parsenodes.h.
const (
	cursorBinary   = 0x1
	cursorScroll   = 0x2
	cursorNoScroll = 0x4
	cursorHold     = 0x20
)

func (c *converter) declareCursor(x *pg.DeclareCursorStmt) *DeclareCursor {
	d := &DeclareCursor{
		Name: x.Portalname, Query: c.subquery(x.Query),
		Hold: x.Options&cursorHold != 0, Binary: x.Options&cursorBinary != 0,
	}
	switch {
	case x.Options&cursorScroll != 0:
		d.Scroll = "scroll"
	case x.Options&cursorNoScroll != 0:
		d.Scroll = "no scroll"
	}
	return d
}

func fetch(x *pg.FetchStmt) *Fetch {
	f := &Fetch{
		Cursor: x.Portalname, Move: x.Ismove, Count: x.HowMany,
		Direction: strings.ToLower(strings.TrimPrefix(x.Direction.String(), "FETCH_")),
	}
	if f.Count == math.MaxInt64 {
		f.All, f.Count = true, 0
	}
	return f
}

func (c *converter) options(list []*pg.Node) []Option {
	var out []Option
	for _, n := range list {
		out = append(out, c.option(n.GetDefElem()))
	}
	return out
}

// option converts name = value. "helios.x" quoted as one name, which is how pg_dump
// writes it, is the same as helios.x.
func (c *converter) option(d *pg.DefElem) Option {
	o := Option{Namespace: d.Defnamespace, Name: d.Defname}
	if rest, ok := strings.CutPrefix(o.Name, "helios."); ok && o.Namespace == "" {
		o.Namespace, o.Name = "helios", rest
	}
	if d.Arg == nil || d.Arg.Node == nil {
		return o
	}
	if list := d.Arg.GetList(); list != nil {
		for _, n := range list.Items {
			o.List = append(o.List, c.optionText(n))
		}
		return o
	}
	if d.Arg.GetAStar() != nil {
		o.List = []string{"*"}
		return o
	}
	text := c.optionText(d.Arg)
	o.Value = &text
	return o
}

func (c *converter) optionText(n *pg.Node) string {
	switch x := n.Node.(type) {
	case *pg.Node_String_:
		return x.String_.Sval
	case *pg.Node_Integer:
		return strconv.Itoa(int(x.Integer.Ival))
	case *pg.Node_Float:
		return x.Float.Fval
	case *pg.Node_Boolean:
		return strconv.FormatBool(x.Boolean.Boolval)
	case *pg.Node_TypeName:
		return c.optionWord(x.TypeName)
	case *pg.Node_RoleSpec:
		return roleName(x.RoleSpec)
	case *pg.Node_AConst:
		return c.literal(x.AConst).Text
	}
	unsupported("this form of option value")
	return ""
}

// optionWord reads a bare word, which the grammar takes for a type.
func (c *converter) optionWord(t *pg.TypeName) string {
	names := strs(t.Names)
	if len(names) == 2 && names[0] == "pg_catalog" {
		names = names[1:]
	}
	return strings.Join(names, ".")
}
