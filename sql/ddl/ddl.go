// Package ddl turns a definition statement and a catalog into the next catalog, and
// tells which tables and indexes have to be filled, checked or emptied for it.
//
// It is a pure function: the same statement on the same catalog gives the same edit,
// numbers of new objects included, wherever it runs.
package ddl

import (
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// Env is what a statement runs in.
type Env struct {
	User       string   // the current role: it must exist, and owns what is created
	SearchPath []string // "$user" replaced
	// Bind is what else the binding of expressions and views needs; Apply sets its
	// catalog and search path.
	Bind plan.Env
	// Alone tells that the cluster is one shard for good, which can enforce keys that do
	// not hold the shard key.
	Alone bool
	// Password makes the stored verifier of a password given in clear. Its salt is
	// random, so where several places apply one statement it is called in one and its
	// rows are sent to the others. nil refuses such passwords.
	Password func(clear string) (verifier string, err error)
}

// Change is the outcome of a statement.
type Change struct {
	Edit  *catalog.Edit // the next catalog; without rows to write when nothing changes
	Fills []Fill        // what to do with rows, in this order, in the same transaction
	// Then is a statement to run afterwards in the same transaction, nil for none: the
	// INSERT of CREATE TABLE AS, the UPDATE that gives existing rows a volatile default.
	Then    sql.Statement
	Notices []*types.Error // with Severity NOTICE or WARNING
	Tag     string         // command tag; of CREATE TABLE AS "SELECT", the count to follow
}

// FillKind says what a Fill asks for.
type FillKind string

// Kinds of Fill.
const (
	FillIndex    FillKind = "fill index"     // build Index from the table's rows; 23505 if unique and they are not
	FillNotNull  FillKind = "check not null" // 23502 if a row has NULL in Column
	FillCheck    FillKind = "check rows"     // 23514 if a row violates Constraint
	FillReplace  FillKind = "replace rows"   // every row moves to its place under the new primary key and placement; a location table is filled with it
	FillEmpty    FillKind = "empty table"    // remove all rows and index entries: TRUNCATE
	DropTable    FillKind = "drop table"     // the same, the table is gone
	DropIndex    FillKind = "drop index"     // remove the entries of Index
	DropSequence FillKind = "drop sequence"  // forget the sequence's mark
	SetSequence  FillKind = "set sequence"   // its next value is Value
)

// Fill is work on rows that a catalog change brings with it.
type Fill struct {
	Kind       FillKind
	Table      types.OID // or the sequence
	Index      types.OID
	Column     int16
	Constraint string
	Value      int64
}

// Is tells whether a statement is one that Apply takes.
func Is(stmt sql.Statement) bool {
	switch stmt.(type) {
	case *sql.CreateTable, *sql.CreateIndex, *sql.CreateSchema, *sql.CreateSequence, *sql.CreateView,
		*sql.CreateExtension, *sql.CreateDatabase, *sql.CreateRole, *sql.AlterRole, *sql.Drop, *sql.AlterTable,
		*sql.Rename, *sql.Truncate, *sql.Comment, *sql.Grant:
		return true
	}
	return false
}

// Apply makes the next catalog. It changes nothing else. Errors are PostgreSQL's, with
// Position the byte offset in the statement plus one; what Helios does not have is 0A000.
func Apply(cat *catalog.Catalog, stmt sql.Statement, env Env) (Change, error) {
	a, err := newApplier(cat, env)
	if err != nil {
		return Change{}, err
	}
	if err := a.apply(stmt); err != nil {
		return Change{}, err
	}
	a.tellCascades()
	a.change.Edit = a.edit
	return a.change, nil
}

// applier applies one statement.
type applier struct {
	env    Env
	user   *catalog.Role
	edit   *catalog.Edit
	change Change
	// cascades is what CASCADE drops, as in "view v".
	cascades []string
}

func newApplier(cat *catalog.Catalog, env Env) (*applier, error) {
	user, ok := cat.Role(env.User)
	if !ok {
		return nil, types.Errorf("28000", "role %q does not exist", env.User)
	}
	return &applier{env: env, user: user, edit: catalog.NewEdit(cat)}, nil
}

func (a *applier) apply(stmt sql.Statement) error {
	switch s := stmt.(type) {
	case *sql.CreateTable:
		a.change.Tag = "CREATE TABLE"
		return a.createTable(s)
	case *sql.CreateIndex:
		a.change.Tag = "CREATE INDEX"
		return a.createIndex(s)
	case *sql.CreateSchema:
		a.change.Tag = "CREATE SCHEMA"
		return a.createSchema(s)
	case *sql.CreateSequence:
		a.change.Tag = "CREATE SEQUENCE"
		return a.createSequence(s)
	case *sql.CreateView:
		a.change.Tag = "CREATE VIEW"
		return a.createView(s)
	case *sql.CreateExtension:
		a.change.Tag = "CREATE EXTENSION"
		return a.createExtension(s)
	case *sql.CreateDatabase:
		return notYet("CREATE DATABASE", "A cluster has one database; use schemas in it.")
	case *sql.CreateRole:
		a.change.Tag = "CREATE ROLE"
		return a.createRole(s)
	case *sql.AlterRole:
		a.change.Tag = "ALTER ROLE"
		return a.alterRole(s)
	case *sql.Drop:
		return a.drop(s)
	case *sql.AlterTable:
		return a.alter(s)
	case *sql.Rename:
		return a.rename(s)
	case *sql.Truncate:
		a.change.Tag = "TRUNCATE TABLE"
		return a.truncate(s)
	case *sql.Comment:
		a.change.Tag = "COMMENT"
		return a.comment(s)
	case *sql.Grant:
		return a.grant(s)
	}
	if u, ok := stmt.(*sql.Unsupported); ok {
		return types.Errorf("0A000", "%s is not supported", u.What)
	}
	return types.Errorf("0A000", "this statement defines nothing")
}

// notYet is the error for what PostgreSQL has and Helios has not.
func notYet(what, hint string) error {
	return types.Errorf("0A000", "%s is not supported", what).WithHint("%s", hint)
}

func (a *applier) cat() *catalog.Catalog { return a.edit.Catalog() }

func (a *applier) fill(f Fill) { a.change.Fills = append(a.change.Fills, f) }

func (a *applier) notice(code, format string, args ...any) *types.Error {
	n := types.Errorf(code, format, args...)
	n.Severity = "NOTICE"
	a.change.Notices = append(a.change.Notices, n)
	return n
}

// bind is the environment in which expressions are bound.
func (a *applier) bind() plan.Env {
	env := a.env.Bind
	env.Catalog, env.SearchPath = a.cat(), a.env.SearchPath
	return env
}

// place sets an error's position to that of a node.
func place(err error, at sql.At) error {
	if err == nil || at < 0 {
		return err
	}
	return types.AsError(err).At(int(at) + 1)
}

// owns refuses those who neither own an object nor are superuser.
func (a *applier) owns(owner types.OID, kind, name string) error {
	if a.cat().MemberOf(a.user.OID, owner) {
		return nil
	}
	return types.Errorf("42501", "must be owner of %s %s", kind, name)
}

// mayCreateIn refuses system schemas and those without the CREATE privilege.
func (a *applier) mayCreateIn(schema, name string) error {
	s, ok := a.cat().Schema(schema)
	if !ok {
		return types.Errorf("3F000", "schema %q does not exist", schema)
	}
	if s.System {
		return types.Errorf("42501", "permission denied to create %q", schema+"."+name).
			WithDetail("System catalog modifications are currently disallowed.")
	}
	if !a.cat().May(a.user.OID, s.Owner, s.ACL, 'C') {
		return types.Errorf("42501", "permission denied for schema %s", schema)
	}
	return nil
}

// newName finds the schema of a new relation and whether it is there already, which
// with ifNotExists is only a notice.
func (a *applier) newName(name sql.Name, ifNotExists bool) (schema, bare string, exists bool, err error) {
	schema, bare, err = a.cat().ResolveNew(a.env.SearchPath, name)
	if err != nil {
		return "", "", false, err
	}
	bare = types.TruncateName(bare)
	if _, ok := a.cat().Relation(schema, bare); ok {
		if ifNotExists {
			a.notice("42P07", "relation %q already exists, skipping", bare)
			return schema, bare, true, nil
		}
		return "", "", false, types.Errorf("42P07", "relation %q already exists", bare)
	}
	return schema, bare, false, a.mayCreateIn(schema, bare)
}

// words are the kinds of relations in messages.
var words = map[byte]string{
	catalog.KindTable: "table", catalog.KindIndex: "index", catalog.KindSequence: "sequence", catalog.KindView: "view",
}

// article puts "a" or "an" before a word.
func article(word string) string {
	if word == "index" {
		return "an " + word
	}
	return "a " + word
}

// relation finds a relation of one of the kinds and holds that the user owns it. nil
// without error means that it does not exist and ifExists made that a notice.
func (a *applier) relation(name sql.Name, ifExists bool, kinds ...byte) (*catalog.Relation, error) {
	r, err := a.cat().Resolve(a.env.SearchPath, name)
	if err != nil {
		if ifExists && types.CodeOf(err) == "42P01" {
			a.notice("00000", "relation %q does not exist, skipping", name[len(name)-1])
			return nil, nil
		}
		return nil, err
	}
	if !slices.Contains(kinds, r.Kind) {
		return nil, types.Errorf("42809", "%q is not %s", r.Name, article(words[kinds[0]]))
	}
	if r.Virtual || r.Hidden {
		return nil, types.Errorf("42501", "permission denied: %q is a system catalog", r.Name)
	}
	return r, a.owns(r.Owner, words[r.Kind], r.Name)
}

// chooseName makes a name for an index, constraint or sequence as PostgreSQL does,
// table_column_label, cut to 63 bytes and numbered until it is free.
func chooseName(table, column, label string, taken func(string) bool) string {
	for n := 0; ; n++ {
		suffix := "_" + label
		if n > 0 {
			suffix += itoa(n)
		}
		t, c := table, column
		room := 63 - len(suffix)
		if c != "" {
			room--
		}
		for len(t)+len(c) > room {
			if len(t) > len(c) {
				t = t[:len(t)-1]
			} else {
				c = c[:len(c)-1]
			}
		}
		name := validUTF8(t)
		if c != "" {
			name += "_" + validUTF8(c)
		}
		if name += suffix; !taken(name) {
			return name
		}
	}
}

// relationTaken tells whether a name is used in a schema.
func (a *applier) relationTaken(schema string, also ...string) func(string) bool {
	return func(name string) bool {
		_, ok := a.cat().Relation(schema, name)
		return ok || slices.Contains(also, name)
	}
}
