package sql

// Statements other than queries.
type (
	// CreateTable is CREATE TABLE, or CREATE TABLE AS when Query is set.
	CreateTable struct {
		Name        Name
		IfNotExists bool
		Temp        bool
		Unlogged    bool
		Columns     []ColumnDef
		Constraints []Constraint
		Options     []Option // WITH (…)
		Query       *Select
		NoData      bool
		OnCommit    string // "", "preserve rows", "delete rows", "drop"
		Like        []Name
		LikeOptions [][]string // for each of Like what it includes: "defaults", "indexes", "all" …
		LikeAfter   []int      // for each of Like the number of Columns written before it
	}
	// CreateIndex is CREATE INDEX.
	CreateIndex struct {
		Name             string
		Table            Name
		Unique           bool
		Concurrently     bool
		IfNotExists      bool
		Method           string // "btree" when not said
		Keys             []IndexKey
		Include          []string
		Where            Expr
		Options          []Option
		NullsNotDistinct bool
	}
	// CreateSchema, CreateSequence, CreateView, CreateExtension, CreateDatabase.
	CreateSchema struct {
		Name        string
		IfNotExists bool
		Owner       string
	}
	CreateSequence struct {
		Name        Name
		IfNotExists bool
		Temp        bool
		Options     []Option
	}
	CreateView struct {
		Name    Name
		Replace bool
		Columns []string
		Query   *Select
		Temp    bool
		Options []Option
	}
	CreateExtension struct {
		Name        string
		IfNotExists bool
		Options     []Option
	}
	CreateDatabase struct {
		Name    string
		Options []Option
	}
	// CreateRole is CREATE ROLE/USER; AlterRole is ALTER ROLE.
	CreateRole struct {
		Name    string
		Login   bool // CREATE USER
		Options []Option
	}
	AlterRole struct {
		Name    string
		Options []Option
	}
	// Drop is DROP of any object; Kind is "table", "index", "schema", "sequence",
	// "view", "database", "role", "extension", "type".
	Drop struct {
		Kind         string
		Names        []Name
		IfExists     bool
		Cascade      bool
		Concurrently bool
		Options      []Option // of DROP DATABASE: force
	}
	// AlterTable is ALTER TABLE/INDEX/SEQUENCE/VIEW with its commands.
	AlterTable struct {
		Kind     string // "table", "index", "sequence", "view"
		Name     Name
		IfExists bool
		Cmds     []AlterCmd
	}
	// Rename is ALTER … RENAME; Column or Constraint is set when one of those is renamed.
	Rename struct {
		Kind       string
		Name       Name
		Column     string
		Constraint string
		NewName    string
		IfExists   bool
	}
	// Truncate is TRUNCATE.
	Truncate struct {
		Tables          []Name
		RestartIdentity bool
		Cascade         bool
	}
	// Comment is COMMENT ON; Text nil removes it.
	Comment struct {
		Kind string // "table", "column", "index", "schema", "database", …
		Name Name   // for a column its last part is the column
		Text *string
	}
	// Grant is GRANT or REVOKE of privileges on objects, or of roles when Kind is "role":
	// then Privileges are the roles. Kind "all tables in schema" (sequences, functions …)
	// has the schemas as Objects. Grantees are role names, "public", "current_user" ….
	Grant struct {
		Revoke      bool
		Kind        string
		Privileges  []string // empty means ALL
		Objects     []Name
		Grantees    []string
		GrantOption bool
		Cascade     bool
	}

	// Transaction is BEGIN, COMMIT, ROLLBACK, SAVEPOINT, RELEASE, ROLLBACK TO and the
	// prepared ones; Kind is "begin", "commit", "rollback", "savepoint", "release",
	// "rollback to", "prepare", "commit prepared", "rollback prepared".
	Transaction struct {
		Kind       string
		Name       string // savepoint or gid
		Isolation  string // "", "read committed", "repeatable read", "serializable", "read uncommitted"
		ReadOnly   *bool
		Deferrable *bool
		Chain      bool
	}
	// Set is SET, SET LOCAL, RESET (Reset) and RESET ALL (Reset with Name "all"). Values
	// nil without Reset means TO DEFAULT. SET TRANSACTION and SET SESSION CHARACTERISTICS
	// have the Names "transaction" and "session characteristics" and their modes, such as
	// "isolation level read committed" or "read only", as Values; SET TRANSACTION SNAPSHOT
	// is "transaction snapshot"; SET CONSTRAINTS is "constraints", its first value
	// "deferred" or "immediate", the others the constraints' names (none means ALL).
	Set struct {
		Name   string
		Local  bool
		Reset  bool
		Values []Expr
	}
	// Show is SHOW name; "all" for SHOW ALL.
	Show struct{ Name string }
	// Explain is EXPLAIN.
	Explain struct {
		Options   []Option // analyze, verbose, format, …
		Statement Statement
	}
	// Copy is COPY table or query FROM/TO STDIN/STDOUT or a file.
	Copy struct {
		Table   Name
		Columns []string
		Query   Statement
		From    bool
		Program bool
		File    string // "" means STDIN or STDOUT
		Options []Option
		Where   Expr
	}
	// Prepare, Execute, Deallocate are the SQL-level prepared statements.
	Prepare struct {
		Name      string
		Types     []TypeName
		Statement Statement
	}
	Execute struct {
		Name string
		Args []Expr
	}
	Deallocate struct {
		Name string // "" means ALL
	}
	// DeclareCursor, Fetch (and MOVE), CloseCursor.
	DeclareCursor struct {
		Name   string
		Query  *Select
		Hold   bool
		Scroll string // "", "scroll", "no scroll"
		Binary bool
	}
	Fetch struct {
		Cursor    string
		Move      bool
		Direction string // "forward", "backward", "absolute", "relative"
		Count     int64
		All       bool
	}
	CloseCursor struct{ Name string } // "" means ALL
	// Call is CALL procedure(…).
	Call struct{ Func *FuncCall }
	// Discard is DISCARD ALL/PLANS/SEQUENCES/TEMP.
	Discard struct{ What string }
	// LockTable is LOCK TABLE.
	LockTable struct {
		Tables []Name
		Mode   string
		NoWait bool
	}
	// Analyze is ANALYZE or VACUUM.
	Analyze struct {
		Vacuum  bool
		Tables  []Name
		Options []Option
	}
	// Checkpoint is CHECKPOINT.
	Checkpoint struct{}
	// Unsupported is a statement of PostgreSQL's grammar that Helios does not have; What
	// is its name for the 0A000 message, such as "CREATE TRIGGER".
	Unsupported struct{ What string }
)

// Option is name = value in WITH (…), EXPLAIN (…), COPY … WITH (…) and the like.
// Namespace is the part before the dot of helios.shard_key. Value is nil when only the
// name was given; a bare word, a quoted string and a number all arrive as their text.
type Option struct {
	Namespace string   `json:"namespace,omitempty"`
	Name      string   `json:"name"`
	Value     *string  `json:"value,omitempty"`
	List      []string `json:"list,omitempty"` // for options that take a list: FORCE_QUOTE (a, b); "*" alone for a star
}

// ColumnDef is a column of CREATE TABLE, ADD COLUMN or a function's column list.
type ColumnDef struct {
	Name        string
	Type        TypeName
	Collation   Name
	Constraints []Constraint
	At          At
}

// Constraint is a column or table constraint. Kind is "not null", "null", "default",
// "check", "primary key", "unique", "foreign key", "identity", "generated".
type Constraint struct {
	Kind              string
	Name              string
	Columns           []string
	Expr              Expr // default, check, generated
	Always            bool // identity: ALWAYS, not BY DEFAULT
	Sequence          []Option
	Include           []string
	NullsNotDistinct  bool
	RefTable          Name
	RefColumns        []string
	OnDelete          string // "no action", "restrict", "cascade", "set null", "set default"
	OnUpdate          string
	Match             string // "simple", "full"
	Deferrable        bool
	InitiallyDeferred bool
	NotValid          bool
	Index             string // USING INDEX
	Options           []Option
}

// IndexKey is a column or expression of an index.
type IndexKey struct {
	Column     string
	Expr       Expr
	OpClass    Name
	Desc       bool
	NullsFirst bool
	NullsLast  bool
	Collation  Name
}

// AlterCmd is one command of ALTER TABLE. Kind is "add column", "drop column",
// "alter type", "set default", "drop default", "set not null", "drop not null",
// "add constraint", "drop constraint", "set options", "reset options", "owner",
// "set schema", "validate constraint", "add identity" (Constraint), "set identity"
// (Options), "drop identity", "unsupported" (Name tells what). Of ALTER SEQUENCE the
// sequence's own options are "set options".
type AlterCmd struct {
	Kind       string
	Name       string // column, constraint, owner or schema
	Column     *ColumnDef
	Constraint *Constraint
	Expr       Expr // default, or USING of alter type
	Type       *TypeName
	Options    []Option
	IfExists   bool // or IF NOT EXISTS for add column
	Cascade    bool
}

func (*CreateTable) statement()     {}
func (*CreateIndex) statement()     {}
func (*CreateSchema) statement()    {}
func (*CreateSequence) statement()  {}
func (*CreateView) statement()      {}
func (*CreateExtension) statement() {}
func (*CreateDatabase) statement()  {}
func (*CreateRole) statement()      {}
func (*AlterRole) statement()       {}
func (*Drop) statement()            {}
func (*AlterTable) statement()      {}
func (*Rename) statement()          {}
func (*Truncate) statement()        {}
func (*Comment) statement()         {}
func (*Grant) statement()           {}
func (*Transaction) statement()     {}
func (*Set) statement()             {}
func (*Show) statement()            {}
func (*Explain) statement()         {}
func (*Copy) statement()            {}
func (*Prepare) statement()         {}
func (*Execute) statement()         {}
func (*Deallocate) statement()      {}
func (*DeclareCursor) statement()   {}
func (*Fetch) statement()           {}
func (*CloseCursor) statement()     {}
func (*Call) statement()            {}
func (*Discard) statement()         {}
func (*LockTable) statement()       {}
func (*Analyze) statement()         {}
func (*Checkpoint) statement()      {}
func (*Unsupported) statement()     {}
