package sql

import "strings"

func (p *Printer) alterTable(s *AlterTable) {
	p.w("ALTER ", strings.ToUpper(s.Kind), " ", ifExists(s.IfExists))
	p.name(s.Name)
	p.w(" ")
	p.list(len(s.Cmds), func(i int) { p.alterCmd(s.Kind, &s.Cmds[i]) })
}

func (p *Printer) alterCmd(kind string, c *AlterCmd) {
	switch c.Kind {
	case "add column":
		p.w("ADD COLUMN ", ifNotExists(c.IfExists))
		p.columnDef(*c.Column)
	case "drop column", "drop constraint":
		p.w(strings.ToUpper(c.Kind), " ", ifExists(c.IfExists), QuoteIdent(c.Name))
	case "add constraint":
		p.w("ADD ")
		p.constraint(c.Constraint, true)
	case "validate constraint":
		p.w("VALIDATE CONSTRAINT ", QuoteIdent(c.Name))
	case "set options":
		if kind == "sequence" {
			p.sequenceOptions(c.Options)
		} else {
			p.storageOptions("SET ", c.Options)
		}
	case "reset options":
		p.storageOptions("RESET ", c.Options)
	case "owner":
		p.w("OWNER TO ", printRole(c.Name))
	case "set schema":
		p.w("SET SCHEMA ", QuoteIdent(c.Name))
	case "unsupported":
		p.w(c.Name)
	default:
		p.w("ALTER COLUMN ", QuoteIdent(c.Name), " ")
		p.alterColumn(c)
	}
	p.wIf(c.Cascade, " CASCADE")
}

func (p *Printer) alterColumn(c *AlterCmd) {
	switch c.Kind {
	case "alter type":
		p.w("TYPE ")
		p.typeName(*c.Type)
		p.clause(" USING ", c.Expr)
	case "set default":
		p.clause("SET DEFAULT ", c.Expr)
	case "add identity":
		p.w("ADD ")
		p.constraint(c.Constraint, false)
	case "set identity":
		p.identityOptions(c.Options)
	case "drop identity":
		p.w("DROP IDENTITY ", ifExists(c.IfExists))
	default: // drop default, set not null, drop not null
		p.w(strings.ToUpper(c.Kind))
	}
}

// identityOptions writes SET GENERATED and SET with an option of the sequence.
func (p *Printer) identityOptions(options []Option) {
	for i, o := range options {
		p.wIf(i > 0, " ")
		switch o.Name {
		case "generated":
			p.w("SET GENERATED ", map[bool]string{true: "ALWAYS", false: "BY DEFAULT"}[o.Value != nil && *o.Value == "always"])
		case "restart":
			p.w("RESTART")
			p.wIf(o.Value != nil, " "+optionText(o))
		default:
			p.w("SET ")
			p.sequenceOptions([]Option{o})
		}
	}
}

func optionText(o Option) string {
	if o.Value == nil {
		return ""
	}
	return *o.Value
}

func (p *Printer) rename(s *Rename) {
	p.w("ALTER ", strings.ToUpper(s.Kind), " ", ifExists(s.IfExists))
	p.name(s.Name)
	p.w(" RENAME ")
	p.wIf(s.Column != "", "COLUMN "+QuoteIdent(s.Column)+" ")
	p.wIf(s.Constraint != "", "CONSTRAINT "+QuoteIdent(s.Constraint)+" ")
	p.w("TO ", QuoteIdent(s.NewName))
}

func (p *Printer) comment(s *Comment) {
	p.w("COMMENT ON ", strings.ToUpper(s.Kind), " ")
	if s.Kind == "constraint" {
		last := len(s.Name) - 1
		p.w(QuoteIdent(s.Name[last]), " ON ")
		p.name(s.Name[:last])
	} else {
		p.name(s.Name)
	}
	if s.Text == nil {
		p.w(" IS NULL")
	} else {
		p.w(" IS ", QuoteLiteral(*s.Text))
	}
}

func (p *Printer) grant(s *Grant) {
	verb, to := "GRANT ", " TO "
	if s.Revoke {
		verb, to = "REVOKE ", " FROM "
	}
	p.w(verb)
	if s.Revoke && s.GrantOption {
		p.w(map[bool]string{true: "ADMIN", false: "GRANT"}[s.Kind == "role"], " OPTION FOR ")
	}
	if s.Kind == "role" {
		p.idents(s.Privileges)
	} else {
		if len(s.Privileges) == 0 {
			p.w("ALL")
		}
		p.w(strings.ToUpper(strings.Join(s.Privileges, ", ")), " ON ", strings.ToUpper(s.Kind), " ")
		p.names(s.Objects)
	}
	p.w(to, printRoles(s.Grantees))
	if !s.Revoke && s.GrantOption {
		p.w(" WITH ", map[bool]string{true: "ADMIN", false: "GRANT"}[s.Kind == "role"], " OPTION")
	}
	p.wIf(s.Cascade, " CASCADE")
}
