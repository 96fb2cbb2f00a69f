package sql

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// alter converts the ALTER statements; nil for anything else.
func (c *converter) alter(n *pg.Node) Statement {
	switch x := n.Node.(type) {
	case *pg.Node_AlterTableStmt:
		return c.alterTable(x.AlterTableStmt)
	case *pg.Node_AlterSeqStmt:
		s := x.AlterSeqStmt
		return &AlterTable{
			Kind: "sequence", Name: rangeName(s.Sequence), IfExists: s.MissingOk,
			Cmds: []AlterCmd{{Kind: "set options", Options: c.options(s.Options)}},
		}
	case *pg.Node_AlterObjectSchemaStmt:
		s := x.AlterObjectSchemaStmt
		return &AlterTable{
			Kind: alterKind(s.ObjectType), Name: alterName(s.Relation, s.Object), IfExists: s.MissingOk,
			Cmds: []AlterCmd{{Kind: "set schema", Name: s.Newschema}},
		}
	case *pg.Node_AlterOwnerStmt:
		s := x.AlterOwnerStmt
		return &AlterTable{
			Kind: alterKind(s.ObjectType), Name: alterName(s.Relation, s.Object),
			Cmds: []AlterCmd{{Kind: "owner", Name: roleName(s.Newowner)}},
		}
	case *pg.Node_RenameStmt:
		return rename(x.RenameStmt)
	case *pg.Node_AlterRoleStmt:
		s := x.AlterRoleStmt
		for _, o := range s.Options {
			if o.GetDefElem().GetDefname() == "rolemembers" {
				unsupported("ALTER GROUP")
			}
		}
		return &AlterRole{Name: roleName(s.Role), Options: c.options(s.Options)}
	}
	return nil
}

// objectWords writes an object type as its SQL words.
func objectWords(o pg.ObjectType) string {
	return strings.ReplaceAll(strings.TrimPrefix(o.String(), "OBJECT_"), "_", " ")
}

func alterKind(o pg.ObjectType) string {
	switch kind := objectKinds[o]; kind {
	case "table", "index", "sequence", "view", "schema", "database":
		return kind
	}
	unsupported("ALTER " + objectWords(o))
	return ""
}

func alterName(r *pg.RangeVar, object *pg.Node) Name {
	if r != nil {
		return rangeName(r)
	}
	return objectName(object)
}

func (c *converter) alterTable(x *pg.AlterTableStmt) *AlterTable {
	a := &AlterTable{Kind: alterKind(x.Objtype), Name: rangeName(x.Relation), IfExists: x.MissingOk}
	for _, n := range x.Cmds {
		a.Cmds = append(a.Cmds, c.alterCmd(n.GetAlterTableCmd()))
	}
	return a
}

// alterKinds are the commands that carry no more than a name.
var alterKinds = map[pg.AlterTableType]string{
	pg.AlterTableType_AT_DropNotNull: "drop not null", pg.AlterTableType_AT_SetNotNull: "set not null",
	pg.AlterTableType_AT_DropColumn: "drop column", pg.AlterTableType_AT_DropConstraint: "drop constraint",
	pg.AlterTableType_AT_ValidateConstraint: "validate constraint", pg.AlterTableType_AT_DropIdentity: "drop identity",
}

func (c *converter) alterCmd(x *pg.AlterTableCmd) AlterCmd {
	cmd := AlterCmd{Name: x.Name, IfExists: x.MissingOk, Cascade: cascade(x.Behavior)}
	if kind, ok := alterKinds[x.Subtype]; ok {
		cmd.Kind = kind
		return cmd
	}
	switch x.Subtype {
	case pg.AlterTableType_AT_AddColumn:
		d := c.columnDef(x.Def.GetColumnDef())
		cmd.Kind, cmd.Name, cmd.Column = "add column", d.Name, &d
	case pg.AlterTableType_AT_ColumnDefault:
		cmd.Kind = "drop default"
		if x.Def != nil {
			cmd.Kind, cmd.Expr = "set default", c.expr(x.Def)
		}
	case pg.AlterTableType_AT_AlterColumnType:
		d := x.Def.GetColumnDef()
		t := c.typeName(d.TypeName)
		cmd.Kind, cmd.Type, cmd.Expr = "alter type", &t, c.expr(d.RawDefault)
		if d.CollClause != nil {
			unsupported("ALTER COLUMN TYPE with COLLATE")
		}
	case pg.AlterTableType_AT_AddConstraint:
		k := c.constraint(x.Def.GetConstraint())
		cmd.Kind, cmd.Name, cmd.Constraint = "add constraint", k.Name, &k
	case pg.AlterTableType_AT_AddIdentity:
		k := c.constraint(x.Def.GetConstraint())
		cmd.Kind, cmd.Constraint = "add identity", &k
	case pg.AlterTableType_AT_SetIdentity:
		cmd.Kind, cmd.Options = "set identity", c.identityOptions(x.Def.GetList().GetItems())
	case pg.AlterTableType_AT_SetRelOptions:
		cmd.Kind, cmd.Options = "set options", c.options(x.Def.GetList().GetItems())
	case pg.AlterTableType_AT_ResetRelOptions:
		cmd.Kind, cmd.Options = "reset options", c.options(x.Def.GetList().GetItems())
	case pg.AlterTableType_AT_ChangeOwner:
		cmd.Kind, cmd.Name = "owner", roleName(x.Newowner)
	default:
		cmd = AlterCmd{Kind: "unsupported", Name: alterWhat(x.Subtype)}
	}
	return cmd
}

// identityOptions reads the options of SET on an identity column; "generated", which
// arrives as a letter's code, becomes "always" or "by default".
func (c *converter) identityOptions(list []*pg.Node) []Option {
	out := c.options(list)
	for i, o := range out {
		if o.Name == "generated" && o.Value != nil {
			value := "by default"
			if *o.Value == strconv.Itoa('a') {
				value = "always"
			}
			out[i].Value = &value
		}
	}
	return out
}

// alterWhat writes a command that Helios does not have as words: SET STATISTICS.
func alterWhat(t pg.AlterTableType) string {
	name := strings.TrimPrefix(t.String(), "AT_")
	var b []byte
	for i := range len(name) {
		if i > 0 && name[i] >= 'A' && name[i] <= 'Z' {
			b = append(b, ' ')
		}
		b = append(b, name[i])
	}
	return strings.ToUpper(string(b))
}

func rename(x *pg.RenameStmt) *Rename {
	r := &Rename{NewName: x.Newname, IfExists: x.MissingOk}
	switch x.RenameType {
	case pg.ObjectType_OBJECT_COLUMN, pg.ObjectType_OBJECT_TABCONSTRAINT:
		r.Kind, r.Name = "table", rangeName(x.Relation)
		if x.RenameType == pg.ObjectType_OBJECT_TABCONSTRAINT {
			r.Constraint = x.Subname
			return r
		}
		r.Kind, r.Column = alterKind(x.RelationType), x.Subname
	case pg.ObjectType_OBJECT_SCHEMA, pg.ObjectType_OBJECT_DATABASE, pg.ObjectType_OBJECT_ROLE:
		r.Kind, r.Name = objectKinds[x.RenameType], Name{x.Subname}
	default:
		r.Kind, r.Name = alterKind(x.RenameType), alterName(x.Relation, x.Object)
	}
	return r
}
