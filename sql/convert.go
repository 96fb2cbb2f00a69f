package sql

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// depthMax is how deep a tree may be: everything that walks one recurses.
const depthMax = 1000

// converter turns nodes of the parser's tree into ours. It leaves by panic(failure),
// which convert catches.
type converter struct {
	base  int // offset of the statement in the text
	depth int
}

// failure ends a conversion: with an error, or with what Helios does not have.
type failure struct {
	err  error
	what string
}

func convert(n *pg.Node, base int) (s Statement, err error) {
	defer func() {
		switch f := recover().(type) {
		case nil:
		case failure:
			s, err = &Unsupported{What: f.what}, f.err
			if err != nil {
				s = nil
			}
		default:
			panic(f)
		}
	}()
	c := &converter{base: base}
	return c.statement(n), nil
}

func unsupported(what string) {
	panic(failure{what: what})
}

func (c *converter) enter() {
	if c.depth++; c.depth > depthMax {
		panic(failure{err: tooComplex()})
	}
}

func (c *converter) leave() { c.depth-- }

func (c *converter) at(location int32) At {
	if int(location) < c.base {
		return -1
	}
	return At(int(location) - c.base)
}

func (c *converter) statement(n *pg.Node) Statement {
	c.enter()
	defer c.leave()
	if s := c.query(n); s != nil {
		return s
	}
	if s := c.definition(n); s != nil {
		return s
	}
	if s := c.utility(n); s != nil {
		return s
	}
	unsupported(nodeWhat(n))
	return nil
}

// query converts SELECT, INSERT, UPDATE and DELETE; nil for anything else.
func (c *converter) query(n *pg.Node) Statement {
	switch {
	case n.GetSelectStmt() != nil:
		return c.selectStatement(n.GetSelectStmt())
	case n.GetInsertStmt() != nil:
		return c.insert(n.GetInsertStmt())
	case n.GetUpdateStmt() != nil:
		return c.update(n.GetUpdateStmt())
	case n.GetDeleteStmt() != nil:
		return c.delete(n.GetDeleteStmt())
	}
	return nil
}

// nodeWhat names a statement that has no tree here.
func nodeWhat(n *pg.Node) string {
	if n == nil || n.Node == nil {
		return "this statement"
	}
	name := strings.TrimPrefix(typeName(n.Node), "*pg_query.Node_")
	if what, ok := statementNames[name]; ok {
		return what
	}
	name = strings.TrimSuffix(name, "Stmt")
	var words []byte
	for i := range len(name) {
		if name[i] >= 'A' && name[i] <= 'Z' && i > 0 {
			words = append(words, ' ')
		}
		words = append(words, name[i])
	}
	return strings.ToUpper(string(words))
}

// statementNames are the names that do not follow from the node's.
var statementNames = map[string]string{
	"AlterCollationStmt":         "ALTER COLLATION",
	"AlterDatabaseSetStmt":       "ALTER DATABASE SET",
	"AlterDefaultPrivilegesStmt": "ALTER DEFAULT PRIVILEGES",
	"AlterEventTrigStmt":         "ALTER EVENT TRIGGER",
	"AlterFdwStmt":               "ALTER FOREIGN DATA WRAPPER",
	"AlterObjectDependsStmt":     "ALTER DEPENDS ON EXTENSION",
	"AlterRoleSetStmt":           "ALTER ROLE SET",
	"AlterTsconfigurationStmt":   "ALTER TEXT SEARCH CONFIGURATION",
	"AlterTsdictionaryStmt":      "ALTER TEXT SEARCH DICTIONARY",
	"CompositeTypeStmt":          "CREATE TYPE",
	"CreateAmStmt":               "CREATE ACCESS METHOD",
	"CreateEnumStmt":             "CREATE TYPE",
	"CreateEventTrigStmt":        "CREATE EVENT TRIGGER",
	"CreateFdwStmt":              "CREATE FOREIGN DATA WRAPPER",
	"CreateForeignServerStmt":    "CREATE SERVER",
	"CreateOpClassStmt":          "CREATE OPERATOR CLASS",
	"CreateOpFamilyStmt":         "CREATE OPERATOR FAMILY",
	"CreatePlangStmt":            "CREATE LANGUAGE",
	"CreateRangeStmt":            "CREATE TYPE",
	"CreateStatsStmt":            "CREATE STATISTICS",
	"CreateTableSpaceStmt":       "CREATE TABLESPACE",
	"CreateTrigStmt":             "CREATE TRIGGER",
	"DefineStmt":                 "CREATE AGGREGATE, OPERATOR, TYPE or COLLATION",
	"DropOwnedStmt":              "DROP OWNED",
	"DropTableSpaceStmt":         "DROP TABLESPACE",
	"ReassignOwnedStmt":          "REASSIGN OWNED",
	"RefreshMatViewStmt":         "REFRESH MATERIALIZED VIEW",
	"RuleStmt":                   "CREATE RULE",
	"SecLabelStmt":               "SECURITY LABEL",
}

// Helpers shared by all conversions.

// strs gives the strings of a list of String nodes.
func strs(list []*pg.Node) []string {
	var out []string
	for _, n := range list {
		out = append(out, n.GetString_().GetSval())
	}
	return out
}

func rangeName(r *pg.RangeVar) Name {
	var n Name
	if r.GetCatalogname() != "" {
		n = append(n, r.Catalogname)
	}
	if r.GetSchemaname() != "" {
		n = append(n, r.Schemaname)
	}
	return append(n, r.GetRelname())
}

func rangeNames(list []*pg.Node) []Name {
	var out []Name
	for _, n := range list {
		out = append(out, rangeName(n.GetRangeVar()))
	}
	return out
}

// roleName gives a role's name; the words for the current one as such.
func roleName(r *pg.RoleSpec) string {
	switch r.GetRoletype() {
	case pg.RoleSpecType_ROLESPEC_CURRENT_ROLE:
		return "current_role"
	case pg.RoleSpecType_ROLESPEC_CURRENT_USER:
		return "current_user"
	case pg.RoleSpecType_ROLESPEC_SESSION_USER:
		return "session_user"
	case pg.RoleSpecType_ROLESPEC_PUBLIC:
		return "public"
	}
	return r.GetRolename()
}

func roleNames(list []*pg.Node) []string {
	var out []string
	for _, n := range list {
		out = append(out, roleName(n.GetRoleSpec()))
	}
	return out
}

func cascade(b pg.DropBehavior) bool { return b == pg.DropBehavior_DROP_CASCADE }
