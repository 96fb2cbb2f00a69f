package sql

import (
	"slices"
	"strings"
)

// definition writes CREATE, ALTER, DROP and their like; false for anything else.
func (p *Printer) definition(s Statement) bool {
	switch s := s.(type) {
	case *CreateTable:
		p.createTable(s)
	case *CreateIndex:
		p.createIndex(s)
	case *CreateSchema:
		p.w("CREATE SCHEMA ", ifNotExists(s.IfNotExists), QuoteIdent(s.Name))
		p.wIf(s.Owner != "", " AUTHORIZATION "+printRole(s.Owner))
	case *CreateSequence:
		p.w("CREATE ", temp(s.Temp), "SEQUENCE ", ifNotExists(s.IfNotExists))
		p.name(s.Name)
		p.wIf(len(s.Options) > 0, " ")
		p.sequenceOptions(s.Options)
	case *CreateView:
		p.createView(s)
	case *CreateExtension:
		p.w("CREATE EXTENSION ", ifNotExists(s.IfNotExists), QuoteIdent(s.Name))
		p.extensionOptions(s.Options)
	case *CreateDatabase:
		p.w("CREATE DATABASE ", QuoteIdent(s.Name))
		for _, o := range s.Options {
			p.w(" ", quoteAlways(o.Name), " = ", optionValue(o, "DEFAULT"))
		}
	case *CreateRole:
		p.w("CREATE ", map[bool]string{true: "USER ", false: "ROLE "}[s.Login], QuoteIdent(s.Name))
		p.roleOptions(s.Options)
	case *AlterRole:
		p.w("ALTER ROLE ", printRole(s.Name))
		p.roleOptions(s.Options)
	case *Drop:
		p.drop(s)
	case *AlterTable:
		p.alterTable(s)
	case *Rename:
		p.rename(s)
	case *Truncate:
		p.w("TRUNCATE ")
		p.names(s.Tables)
		p.wIf(s.RestartIdentity, " RESTART IDENTITY")
		p.wIf(s.Cascade, " CASCADE")
	case *Comment:
		p.comment(s)
	case *Grant:
		p.grant(s)
	default:
		return false
	}
	return true
}

func ifNotExists(yes bool) string {
	if yes {
		return "IF NOT EXISTS "
	}
	return ""
}

func ifExists(yes bool) string {
	if yes {
		return "IF EXISTS "
	}
	return ""
}

func temp(yes bool) string {
	if yes {
		return "TEMPORARY "
	}
	return ""
}

// printRole writes a role's name; the words that stand for a role unquoted.
func printRole(name string) string {
	switch name {
	case "current_role", "current_user", "session_user", "public":
		return strings.ToUpper(name)
	}
	return QuoteIdent(name)
}

func printRoles(names []string) string {
	var out []string
	for _, n := range names {
		out = append(out, printRole(n))
	}
	return strings.Join(out, ", ")
}

func quoteAlways(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// optionValue writes an option's value as a string constant, or absent for none.
func optionValue(o Option, absent string) string {
	if o.Value == nil {
		return absent
	}
	return QuoteLiteral(*o.Value)
}

// storageOptions writes WITH (…), nothing for an empty list.
func (p *Printer) storageOptions(word string, options []Option) {
	if len(options) == 0 {
		return
	}
	p.w(word, "(")
	p.list(len(options), func(i int) {
		o := options[i]
		p.wIf(o.Namespace != "", QuoteIdent(o.Namespace)+".")
		p.ident(o.Name)
		if o.Value != nil {
			p.w(" = ", QuoteLiteral(*o.Value))
		}
	})
	p.w(")")
}

func (p *Printer) createTable(s *CreateTable) {
	p.w("CREATE ", temp(s.Temp))
	p.wIf(s.Unlogged, "UNLOGGED ")
	p.w("TABLE ", ifNotExists(s.IfNotExists))
	p.name(s.Name)
	if s.Query == nil {
		p.w(" (")
		p.tableElements(s)
		p.w(")")
	} else if len(s.Columns) > 0 {
		p.w(" (")
		p.list(len(s.Columns), func(i int) { p.ident(s.Columns[i].Name) })
		p.w(")")
	}
	p.storageOptions(" WITH ", s.Options)
	if s.OnCommit != "" {
		p.w(" ON COMMIT ", strings.ToUpper(s.OnCommit))
	}
	if s.Query != nil {
		p.w(" AS ")
		p.query(s.Query)
		p.wIf(s.NoData, " WITH NO DATA")
	}
}

func (p *Printer) tableElements(s *CreateTable) {
	sep := ""
	next := func() {
		p.w(sep)
		sep = ", "
	}
	for i := range len(s.Columns) + 1 {
		for k, like := range s.Like {
			if after := s.LikeAfter; k < len(after) && after[k] == i || len(after) == 0 && i == len(s.Columns) {
				next()
				p.w("LIKE ")
				p.name(like)
				if k < len(s.LikeOptions) {
					for _, o := range s.LikeOptions[k] {
						p.w(" INCLUDING ", strings.ToUpper(o))
					}
				}
			}
		}
		if i < len(s.Columns) {
			next()
			p.columnDef(s.Columns[i])
		}
	}
	for i := range s.Constraints {
		next()
		p.constraint(&s.Constraints[i], true)
	}
}

func (p *Printer) columnDef(d ColumnDef) {
	p.ident(d.Name)
	p.w(" ")
	p.typeName(d.Type)
	if len(d.Collation) > 0 {
		p.w(" COLLATE ")
		p.name(d.Collation)
	}
	for i := range d.Constraints {
		p.w(" ")
		p.constraint(&d.Constraints[i], false)
	}
}

// constraint writes a constraint; that of a table names its columns.
func (p *Printer) constraint(k *Constraint, ofTable bool) {
	p.wIf(k.Name != "", "CONSTRAINT "+QuoteIdent(k.Name)+" ")
	switch k.Kind {
	case "not null", "null":
		p.w(strings.ToUpper(k.Kind))
	case "default":
		p.w("DEFAULT ")
		p.expr(k.Expr, bindAtom)
	case "check":
		p.clause("CHECK (", k.Expr)
		p.w(")")
	case "identity":
		p.w("GENERATED ", map[bool]string{true: "ALWAYS", false: "BY DEFAULT"}[k.Always], " AS IDENTITY")
		if len(k.Sequence) > 0 {
			p.w(" (")
			p.sequenceOptions(k.Sequence)
			p.w(")")
		}
	case "generated":
		p.clause("GENERATED ALWAYS AS (", k.Expr)
		p.w(") STORED")
	case "primary key", "unique":
		p.key(k)
	case "foreign key":
		p.foreignKey(k, ofTable)
	}
	p.wIf(k.Deferrable, " DEFERRABLE")
	p.wIf(k.InitiallyDeferred, " INITIALLY DEFERRED")
	p.wIf(k.NotValid, " NOT VALID")
}

func (p *Printer) key(k *Constraint) {
	p.w(strings.ToUpper(k.Kind))
	if k.Index != "" {
		p.w(" USING INDEX ", QuoteIdent(k.Index))
		return
	}
	p.wIf(k.NullsNotDistinct, " NULLS NOT DISTINCT")
	p.columns(k.Columns)
	if len(k.Include) > 0 {
		p.w(" INCLUDE")
		p.columns(k.Include)
	}
	p.storageOptions(" WITH ", k.Options)
}

func (p *Printer) foreignKey(k *Constraint, ofTable bool) {
	if ofTable {
		p.w("FOREIGN KEY")
		p.columns(k.Columns)
		p.w(" ")
	}
	p.w("REFERENCES ")
	p.name(k.RefTable)
	p.columns(k.RefColumns)
	p.wIf(k.Match == "full", " MATCH FULL")
	p.wIf(k.OnDelete != "" && k.OnDelete != "no action", " ON DELETE "+strings.ToUpper(k.OnDelete))
	p.wIf(k.OnUpdate != "" && k.OnUpdate != "no action", " ON UPDATE "+strings.ToUpper(k.OnUpdate))
}

func (p *Printer) createIndex(s *CreateIndex) {
	p.w("CREATE ")
	p.wIf(s.Unique, "UNIQUE ")
	p.w("INDEX ")
	p.wIf(s.Concurrently, "CONCURRENTLY ")
	p.w(ifNotExists(s.IfNotExists))
	p.wIf(s.Name != "", QuoteIdent(s.Name)+" ")
	p.w("ON ")
	p.name(s.Table)
	p.wIf(s.Method != "" && s.Method != "btree", " USING "+QuoteIdent(s.Method))
	p.w(" (")
	p.list(len(s.Keys), func(i int) { p.indexKey(&s.Keys[i]) })
	p.w(")")
	if len(s.Include) > 0 {
		p.w(" INCLUDE")
		p.columns(s.Include)
	}
	p.wIf(s.NullsNotDistinct, " NULLS NOT DISTINCT")
	p.storageOptions(" WITH ", s.Options)
	p.clause(" WHERE ", s.Where)
}

func (p *Printer) indexKey(k *IndexKey) {
	if k.Expr != nil {
		p.keyExpr(k.Expr)
	} else {
		p.ident(k.Column)
	}
	if len(k.Collation) > 0 {
		p.w(" COLLATE ")
		p.name(k.Collation)
	}
	if len(k.OpClass) > 0 {
		p.w(" ")
		p.name(k.OpClass)
	}
	p.wIf(k.Desc, " DESC")
	p.wIf(k.NullsFirst, " NULLS FIRST")
	p.wIf(k.NullsLast, " NULLS LAST")
}

// keyExpr writes an index expression: a plain call, anything else in brackets.
func (p *Printer) keyExpr(e Expr) {
	if f, ok := e.(*FuncCall); ok && f.Filter == nil && f.Over == nil && !f.Within {
		p.call(f)
		return
	}
	p.wordCall("", []Expr{e})
}

func (p *Printer) createView(s *CreateView) {
	p.w("CREATE ")
	p.wIf(s.Replace, "OR REPLACE ")
	p.w(temp(s.Temp), "VIEW ")
	p.name(s.Name)
	p.columns(s.Columns)
	p.storageOptions(" WITH ", s.Options)
	p.w(" AS ")
	p.query(s.Query)
}

func (p *Printer) extensionOptions(options []Option) {
	for _, o := range options {
		switch o.Name {
		case "schema":
			p.w(" SCHEMA ", QuoteIdent(*o.Value))
		case "new_version":
			p.w(" VERSION ", QuoteLiteral(*o.Value))
		default:
			p.w(" ", strings.ToUpper(o.Name))
		}
	}
}

// sequenceOptions writes the options of a sequence in their own syntax.
func (p *Printer) sequenceOptions(options []Option) {
	for i, o := range options {
		value := ""
		if o.Value != nil {
			value = *o.Value
		}
		p.wIf(i > 0, " ")
		switch o.Name {
		case "as":
			p.w("AS ", QuoteIdent(value))
		case "increment", "start", "cache":
			p.w(strings.ToUpper(o.Name), " ", value)
		case "minvalue", "maxvalue":
			if o.Value == nil {
				p.w("NO ", strings.ToUpper(o.Name))
			} else {
				p.w(strings.ToUpper(o.Name), " ", value)
			}
		case "cycle":
			p.w(map[bool]string{true: "CYCLE", false: "NO CYCLE"}[value == "true"])
		case "restart":
			p.w("RESTART")
			p.wIf(o.Value != nil, " "+value)
		case "owned_by":
			p.w("OWNED BY ", Name(o.List).String())
		case "sequence_name":
			p.w("SEQUENCE NAME ", Name(o.List).String())
		default:
			p.w(strings.ToUpper(o.Name))
		}
	}
}

// roleFlags are the options of a role that are there or not.
var roleFlags = map[string]string{
	"superuser": "SUPERUSER", "inherit": "INHERIT", "createrole": "CREATEROLE", "createdb": "CREATEDB",
	"canlogin": "LOGIN", "isreplication": "REPLICATION", "bypassrls": "BYPASSRLS",
}

var roleLists = map[string]string{"addroleto": "IN ROLE", "rolemembers": "ROLE", "adminmembers": "ADMIN"}

func (p *Printer) roleOptions(options []Option) {
	for _, o := range options {
		switch word, flag := roleFlags[o.Name]; {
		case flag:
			p.w(" ", map[bool]string{true: "", false: "NO"}[o.Value != nil && *o.Value == "true"], word)
		case o.Name == "password":
			p.w(" PASSWORD ", optionValue(o, "NULL"))
		case o.Name == "connectionlimit":
			p.w(" CONNECTION LIMIT ", *o.Value)
		case o.Name == "validUntil":
			p.w(" VALID UNTIL ", QuoteLiteral(*o.Value))
		case o.Name == "sysid":
			p.w(" SYSID ", *o.Value)
		default:
			p.w(" ", roleLists[o.Name], " ", printRoles(o.List))
		}
	}
}

func (p *Printer) drop(s *Drop) {
	p.w("DROP ", strings.ToUpper(s.Kind), " ")
	p.wIf(s.Concurrently, "CONCURRENTLY ")
	p.w(ifExists(s.IfExists))
	p.list(len(s.Names), func(i int) {
		if s.Kind == "role" {
			p.w(printRole(s.Names[i][0]))
		} else {
			p.name(s.Names[i])
		}
	})
	p.wIf(s.Cascade, " CASCADE")
	p.wIf(slices.ContainsFunc(s.Options, func(o Option) bool { return o.Name == "force" }), " WITH (FORCE)")
}
