package sql

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// definition converts CREATE, DROP, TRUNCATE, COMMENT and GRANT; ALTER is in
// convert_alter.go. It gives nil for anything else.
func (c *converter) definition(n *pg.Node) Statement {
	switch x := n.Node.(type) {
	case *pg.Node_CreateStmt:
		return c.createTable(x.CreateStmt)
	case *pg.Node_CreateTableAsStmt:
		return c.createTableAsStatement(x.CreateTableAsStmt)
	case *pg.Node_IndexStmt:
		return c.createIndex(x.IndexStmt)
	case *pg.Node_CreateSchemaStmt:
		return createSchema(x.CreateSchemaStmt)
	case *pg.Node_CreateSeqStmt:
		s := x.CreateSeqStmt
		return &CreateSequence{
			Name: rangeName(s.Sequence), IfNotExists: s.IfNotExists, Temp: isTemp(s.Sequence), Options: c.options(s.Options),
		}
	case *pg.Node_ViewStmt:
		return c.createView(x.ViewStmt)
	case *pg.Node_CreateExtensionStmt:
		s := x.CreateExtensionStmt
		return &CreateExtension{Name: s.Extname, IfNotExists: s.IfNotExists, Options: c.options(s.Options)}
	case *pg.Node_CreatedbStmt:
		return &CreateDatabase{Name: x.CreatedbStmt.Dbname, Options: c.options(x.CreatedbStmt.Options)}
	case *pg.Node_CreateRoleStmt:
		s := x.CreateRoleStmt
		return &CreateRole{
			Name: s.Role, Options: c.options(s.Options), Login: s.StmtType == pg.RoleStmtType_ROLESTMT_USER,
		}
	case *pg.Node_DropStmt:
		return c.drop(x.DropStmt)
	case *pg.Node_DropRoleStmt:
		d := &Drop{Kind: "role", IfExists: x.DropRoleStmt.MissingOk}
		for _, r := range roleNames(x.DropRoleStmt.Roles) {
			d.Names = append(d.Names, Name{r})
		}
		return d
	case *pg.Node_DropdbStmt:
		d := x.DropdbStmt
		return &Drop{Kind: "database", Names: []Name{{d.Dbname}}, IfExists: d.MissingOk, Options: c.options(d.Options)}
	case *pg.Node_TruncateStmt:
		t := x.TruncateStmt
		return &Truncate{Tables: rangeNames(t.Relations), RestartIdentity: t.RestartSeqs, Cascade: cascade(t.Behavior)}
	case *pg.Node_CommentStmt:
		return comment(x.CommentStmt)
	case *pg.Node_GrantStmt:
		return c.grant(x.GrantStmt)
	case *pg.Node_GrantRoleStmt:
		return grantRole(x.GrantRoleStmt)
	}
	return c.alter(n)
}

func isTemp(r *pg.RangeVar) bool { return r.GetRelpersistence() == "t" }

func (c *converter) createTable(x *pg.CreateStmt) *CreateTable {
	switch {
	case x.Partspec != nil:
		unsupported("PARTITION BY")
	case x.Partbound != nil:
		unsupported("PARTITION OF")
	case len(x.InhRelations) > 0:
		unsupported("INHERITS")
	case x.OfTypename != nil:
		unsupported("CREATE TABLE OF a type")
	}
	checkStorage(x.Tablespacename, x.AccessMethod)
	t := &CreateTable{
		Name: rangeName(x.Relation), IfNotExists: x.IfNotExists, Temp: isTemp(x.Relation),
		Unlogged: x.Relation.Relpersistence == "u", Options: c.options(x.Options), OnCommit: onCommits[x.Oncommit],
	}
	for _, n := range x.TableElts {
		switch e := n.Node.(type) {
		case *pg.Node_ColumnDef:
			t.Columns = append(t.Columns, c.columnDef(e.ColumnDef))
		case *pg.Node_Constraint:
			t.Constraints = append(t.Constraints, c.constraint(e.Constraint))
		case *pg.Node_TableLikeClause:
			t.Like = append(t.Like, rangeName(e.TableLikeClause.Relation))
			t.LikeOptions = append(t.LikeOptions, likeOptions(e.TableLikeClause.Options))
			t.LikeAfter = append(t.LikeAfter, len(t.Columns))
		}
	}
	for _, n := range x.Constraints {
		t.Constraints = append(t.Constraints, c.constraint(n.GetConstraint()))
	}
	return t
}

var onCommits = map[pg.OnCommitAction]string{
	pg.OnCommitAction_ONCOMMIT_PRESERVE_ROWS: "preserve rows",
	pg.OnCommitAction_ONCOMMIT_DELETE_ROWS:   "delete rows",
	pg.OnCommitAction_ONCOMMIT_DROP:          "drop",
}

// checkStorage refuses a tablespace and any table access method but heap.
func checkStorage(tablespace, method string) {
	if tablespace != "" {
		unsupported("TABLESPACE")
	}
	if method != "" && method != "heap" {
		unsupported("table access method " + QuoteIdent(method))
	}
}

// likeNames are the options of LIKE by their bit, PostgreSQL's TableLikeOption.
var likeNames = []string{
	"comments", "compression", "constraints", "defaults", "generated", "identity", "indexes", "statistics", "storage",
}

func likeOptions(bits uint32) []string {
	if bits == 0x7FFFFFFF {
		return []string{"all"}
	}
	var out []string
	for i, name := range likeNames {
		if bits&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}

func (c *converter) createTableAsStatement(x *pg.CreateTableAsStmt) Statement {
	if x.Objtype == pg.ObjectType_OBJECT_MATVIEW {
		unsupported("CREATE MATERIALIZED VIEW")
	}
	if x.Query.GetSelectStmt() == nil {
		unsupported("CREATE TABLE AS EXECUTE")
	}
	return c.createTableAs(x.Into, c.subquery(x.Query), x.IfNotExists)
}

func (c *converter) createTableAs(into *pg.IntoClause, q *Select, ifNotExists bool) *CreateTable {
	checkStorage(into.TableSpaceName, into.AccessMethod)
	t := &CreateTable{
		Name: rangeName(into.Rel), IfNotExists: ifNotExists, Temp: isTemp(into.Rel),
		Unlogged: into.Rel.Relpersistence == "u", Options: c.options(into.Options),
		Query: q, NoData: into.SkipData, OnCommit: onCommits[into.OnCommit],
	}
	for _, name := range strs(into.ColNames) {
		t.Columns = append(t.Columns, ColumnDef{Name: name, Type: TypeName{At: -1}, At: -1})
	}
	return t
}

func (c *converter) columnDef(x *pg.ColumnDef) ColumnDef {
	if x.StorageName != "" || x.Compression != "" {
		unsupported("STORAGE and COMPRESSION of a column")
	}
	d := ColumnDef{
		Name: x.Colname, Type: c.typeName(x.TypeName), Collation: strs(x.CollClause.GetCollname()),
		At: c.at(x.Location),
	}
	for _, n := range x.Constraints {
		k := n.GetConstraint()
		var last *Constraint
		if len(d.Constraints) > 0 {
			last = &d.Constraints[len(d.Constraints)-1]
		}
		switch k.Contype {
		case pg.ConstrType_CONSTR_ATTR_DEFERRABLE, pg.ConstrType_CONSTR_ATTR_DEFERRED:
			if last != nil {
				last.Deferrable = true
				last.InitiallyDeferred = k.Contype == pg.ConstrType_CONSTR_ATTR_DEFERRED
			}
		case pg.ConstrType_CONSTR_ATTR_NOT_DEFERRABLE, pg.ConstrType_CONSTR_ATTR_IMMEDIATE:
		default:
			d.Constraints = append(d.Constraints, c.constraint(k))
		}
	}
	return d
}

var constraintKinds = map[pg.ConstrType]string{
	pg.ConstrType_CONSTR_NULL: "null", pg.ConstrType_CONSTR_NOTNULL: "not null",
	pg.ConstrType_CONSTR_DEFAULT: "default", pg.ConstrType_CONSTR_IDENTITY: "identity",
	pg.ConstrType_CONSTR_GENERATED: "generated", pg.ConstrType_CONSTR_CHECK: "check",
	pg.ConstrType_CONSTR_PRIMARY: "primary key", pg.ConstrType_CONSTR_UNIQUE: "unique",
	pg.ConstrType_CONSTR_FOREIGN: "foreign key",
}

func (c *converter) constraint(x *pg.Constraint) Constraint {
	kind, ok := constraintKinds[x.Contype]
	switch {
	case !ok:
		unsupported("EXCLUDE constraints")
	case x.IsNoInherit:
		unsupported("NO INHERIT")
	case x.Indexspace != "":
		unsupported("TABLESPACE")
	case len(x.FkDelSetCols) > 0:
		unsupported("a column list of ON DELETE SET")
	}
	k := Constraint{
		Kind: kind, Name: x.Conname, Columns: strs(x.Keys), Expr: c.expr(x.RawExpr), Include: strs(x.Including),
		NullsNotDistinct: x.NullsNotDistinct, Deferrable: x.Deferrable, InitiallyDeferred: x.Initdeferred,
		NotValid: x.SkipValidation, Index: x.Indexname,
	}
	switch kind {
	case "identity":
		k.Always = x.GeneratedWhen == "a"
		k.Sequence = c.options(x.Options)
	case "generated":
		k.Always = true
	case "foreign key":
		k.Columns = strs(x.FkAttrs)
		k.RefTable, k.RefColumns = rangeName(x.Pktable), strs(x.PkAttrs)
		k.OnDelete, k.OnUpdate = fkActions[x.FkDelAction], fkActions[x.FkUpdAction]
		k.Match = map[string]string{"f": "full", "s": "simple"}[x.FkMatchtype]
		if k.Match == "" {
			unsupported("MATCH PARTIAL")
		}
	default:
		k.Options = c.options(x.Options)
	}
	return k
}

var fkActions = map[string]string{
	"a": "no action", "r": "restrict", "c": "cascade", "n": "set null", "d": "set default",
}

func (c *converter) createIndex(x *pg.IndexStmt) *CreateIndex {
	checkStorage(x.TableSpace, "")
	i := &CreateIndex{
		Name: x.Idxname, Table: rangeName(x.Relation), Unique: x.Unique, Concurrently: x.Concurrent,
		IfNotExists: x.IfNotExists, Method: x.AccessMethod, Where: c.expr(x.WhereClause),
		Options: c.options(x.Options), NullsNotDistinct: x.NullsNotDistinct,
	}
	if i.Method == "" {
		i.Method = "btree"
	}
	for _, n := range x.IndexParams {
		i.Keys = append(i.Keys, c.indexKey(n.GetIndexElem()))
	}
	for _, n := range x.IndexIncludingParams {
		i.Include = append(i.Include, n.GetIndexElem().GetName())
	}
	return i
}

func (c *converter) indexKey(e *pg.IndexElem) IndexKey {
	if len(e.Opclassopts) > 0 {
		unsupported("options of an operator class")
	}
	return IndexKey{
		Column: e.Name, Expr: c.expr(e.Expr), OpClass: strs(e.Opclass), Collation: strs(e.Collation),
		Desc:       e.Ordering == pg.SortByDir_SORTBY_DESC,
		NullsFirst: e.NullsOrdering == pg.SortByNulls_SORTBY_NULLS_FIRST,
		NullsLast:  e.NullsOrdering == pg.SortByNulls_SORTBY_NULLS_LAST,
	}
}

func createSchema(x *pg.CreateSchemaStmt) *CreateSchema {
	if len(x.SchemaElts) > 0 {
		unsupported("CREATE SCHEMA with definitions inside")
	}
	s := &CreateSchema{Name: x.Schemaname, IfNotExists: x.IfNotExists}
	if x.Authrole != nil {
		s.Owner = roleName(x.Authrole)
	}
	if s.Name == "" {
		s.Name = s.Owner
	}
	return s
}

func (c *converter) createView(x *pg.ViewStmt) *CreateView {
	if x.WithCheckOption == pg.ViewCheckOption_LOCAL_CHECK_OPTION || x.WithCheckOption == pg.ViewCheckOption_CASCADED_CHECK_OPTION {
		unsupported("WITH CHECK OPTION")
	}
	return &CreateView{
		Name: rangeName(x.View), Replace: x.Replace, Columns: strs(x.Aliases), Query: c.subquery(x.Query),
		Temp: isTemp(x.View), Options: c.options(x.Options),
	}
}

// objectKinds are the objects that DROP, COMMENT, GRANT and ALTER … RENAME may name.
var objectKinds = map[pg.ObjectType]string{
	pg.ObjectType_OBJECT_TABLE: "table", pg.ObjectType_OBJECT_INDEX: "index", pg.ObjectType_OBJECT_SCHEMA: "schema",
	pg.ObjectType_OBJECT_SEQUENCE: "sequence", pg.ObjectType_OBJECT_VIEW: "view",
	pg.ObjectType_OBJECT_DATABASE: "database", pg.ObjectType_OBJECT_ROLE: "role",
	pg.ObjectType_OBJECT_EXTENSION: "extension", pg.ObjectType_OBJECT_TYPE: "type",
	pg.ObjectType_OBJECT_COLUMN: "column", pg.ObjectType_OBJECT_TABCONSTRAINT: "constraint",
}

func objectKind(o pg.ObjectType, verb string) string {
	kind, ok := objectKinds[o]
	if !ok {
		unsupported(verb + " " + objectWords(o))
	}
	return kind
}

func (c *converter) drop(x *pg.DropStmt) *Drop {
	d := &Drop{
		Kind: objectKind(x.RemoveType, "DROP"), IfExists: x.MissingOk, Cascade: cascade(x.Behavior),
		Concurrently: x.Concurrent,
	}
	for _, n := range x.Objects {
		d.Names = append(d.Names, objectName(n))
	}
	return d
}

// objectName reads the several forms in which the grammar names an object.
func objectName(n *pg.Node) Name {
	switch x := n.Node.(type) {
	case *pg.Node_List:
		return strs(x.List.Items)
	case *pg.Node_String_:
		return Name{x.String_.Sval}
	case *pg.Node_TypeName:
		return strs(x.TypeName.Names)
	case *pg.Node_RangeVar:
		return rangeName(x.RangeVar)
	}
	unsupported("this form of object name")
	return nil
}

func comment(x *pg.CommentStmt) *Comment {
	c := &Comment{Kind: objectKind(x.Objtype, "COMMENT ON"), Name: objectName(x.Object)}
	if x.Comment != "" {
		c.Text = &x.Comment
	}
	return c
}

func (c *converter) grant(x *pg.GrantStmt) *Grant {
	if x.Grantor != nil {
		unsupported("GRANTED BY")
	}
	g := &Grant{
		Revoke: !x.IsGrant, Kind: objectKind(x.Objtype, "GRANT ON"), Grantees: roleNames(x.Grantees),
		GrantOption: x.GrantOption, Cascade: cascade(x.Behavior),
	}
	if x.Targtype == pg.GrantTargetType_ACL_TARGET_ALL_IN_SCHEMA {
		g.Kind = "all " + g.Kind + "s in schema"
	}
	for _, n := range x.Privileges {
		p := n.GetAccessPriv()
		if len(p.Cols) > 0 {
			unsupported("privileges on columns")
		}
		g.Privileges = append(g.Privileges, p.PrivName)
	}
	for _, n := range x.Objects {
		g.Objects = append(g.Objects, objectName(n))
	}
	return g
}

func grantRole(x *pg.GrantRoleStmt) *Grant {
	if x.Grantor != nil {
		unsupported("GRANTED BY")
	}
	g := &Grant{Revoke: !x.IsGrant, Kind: "role", Grantees: roleNames(x.GranteeRoles), Cascade: cascade(x.Behavior)}
	for _, n := range x.GrantedRoles {
		p := n.GetAccessPriv()
		g.Privileges = append(g.Privileges, p.PrivName)
	}
	for _, n := range x.Opt {
		o := n.GetDefElem()
		if o.Defname != "admin" {
			unsupported("WITH INHERIT and WITH SET of role membership")
		}
		g.GrantOption = true
	}
	return g
}
