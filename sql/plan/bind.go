package plan

import (
	"sync"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// Env is what a statement is bound in.
type Env struct {
	Catalog    *catalog.Catalog
	SearchPath []string
	// ParamTypes are the types of parameters that the client declared; 0 (or a parameter
	// beyond the end) is inferred.
	ParamTypes []types.OID
	// Functions are further functions given by the engine, such as those of schema helios.
	Functions []*builtin.Func
	// Builtin serves the folding of constants and input of literals (time zone and the
	// like); nil means defaults.
	Builtin *builtin.Context
}

// Bind resolves a statement against a catalog and plans it for one place: names,
// types and implicit casts, defaults, views, then the rewrites. Errors carry
// PostgreSQL's SQLSTATE and, as Position, the byte offset in the statement plus one.
func Bind(stmt sql.Statement, env Env) (*Query, error) {
	b := newBinder(env)
	root, err := b.statement(stmt)
	if err != nil {
		return nil, err
	}
	q := &Query{
		Root: root, Kind: kindOf(stmt),
		Volatile:       b.volatile,
		Relations:      b.relations,
		CatalogVersion: env.Catalog.Version(),
	}
	if q.ParamTypes, err = b.paramTypes(); err != nil {
		return nil, err
	}
	if q.Kind == "SELECT" {
		q.Columns = []ResultColumn{} // rows without columns are rows
	}
	for _, c := range root.Cols() {
		q.Columns = append(q.Columns, ResultColumn{c.Name, c.Type, c.Table, c.Num})
	}
	q.ReadOnly = readOnly(root)
	q.Root = b.optimize(b.fillParams(root))
	q.spread = spreadWrites(env.Catalog, q.Root)
	q.routes, q.single = findRoutes(q)
	q.distributed = sync.OnceValues(func() (*Query, error) { return Distribute(q) })
	return q, nil
}

// BindExpr binds an expression over one relation's columns in order (position i of
// Rel.Columns is Column i), as CHECK, generated columns and index expressions need.
// With rel nil no columns are known: a DEFAULT. The result has the wanted type by
// assignment cast, unless want is 0.
func BindExpr(e sql.Expr, rel *catalog.Relation, want types.Type, env Env) (Expr, error) {
	b := newBinder(env)
	k := b.topBlock()
	if rel != nil {
		k.scope = relationScope(rel, rel.Name)
	}
	k.clause = clauseExpression
	x, err := k.expr(e)
	if err != nil {
		return nil, err
	}
	if want.OID == 0 {
		x = k.settle(x)
	} else if x, err = k.assign(x, want, ""); err != nil {
		return nil, err
	}
	if _, err := b.paramTypes(); err != nil {
		return nil, err
	}
	return b.fold(b.fillParam(x)), nil
}

// binder binds one statement.
type binder struct {
	env       Env
	params    []types.OID // inferred so far; 0 unknown
	relations []*catalog.Relation
	volatile  bool
	depth     int
	literals  map[*Const]sql.At // where untyped literals stand, for those that do not fit their type
}

// maxDepth bounds the nesting of expressions and queries.
const maxDepth = 2000

func newBinder(env Env) *binder {
	if env.Builtin == nil {
		env.Builtin = &builtin.Context{}
	}
	b := &binder{env: env, literals: make(map[*Const]sql.At)}
	b.params = append(b.params, env.ParamTypes...)
	for i, p := range b.params {
		if p == types.UnknownOID {
			b.params[i] = 0
		}
	}
	return b
}

// block is one query block: a SELECT without its set operations, or a writing statement.
type block struct {
	b      *binder
	frame  *frame
	scope  *scope
	hidden *scope // FROM items that exist but cannot be named here
	ctes   *cteScope
	clause clause

	aggs    []AggCall
	aggKeys map[string]int
	inAgg   bool
	windows []windowUse
	named   []sql.Window // WINDOW clause
	sets    []Expr       // set-returning calls of the select list
	setOK   bool
}

// clause is the part of a statement being bound; its text serves error messages.
type clause string

const (
	clauseSelect     clause = "SELECT"
	clauseWhere      clause = "WHERE"
	clauseOn         clause = "JOIN conditions"
	clauseGroupBy    clause = "GROUP BY"
	clauseHaving     clause = "HAVING"
	clauseOrderBy    clause = "ORDER BY"
	clauseDistinctOn clause = "DISTINCT ON"
	clauseLimit      clause = "LIMIT"
	clauseOffset     clause = "OFFSET"
	clauseFrom       clause = "functions in FROM"
	clauseValues     clause = "VALUES"
	clauseReturning  clause = "RETURNING"
	clauseSet        clause = "UPDATE"
	clauseExpression clause = "this expression"
	clauseFilter     clause = "FILTER"
	clauseWindow     clause = "window definitions"
)

func (c clause) aggregates() bool {
	return c == clauseSelect || c == clauseHaving || c == clauseOrderBy || c == clauseDistinctOn || c == clauseWindow
}

func (c clause) windows() bool {
	return c == clauseSelect || c == clauseOrderBy || c == clauseDistinctOn
}

func (b *binder) topBlock() *block {
	return &block{b: b, frame: &frame{}, clause: clauseExpression}
}

// inner is a block in the same frame: a subquery in FROM, an arm of a set operation.
func (k *block) inner() *block {
	return &block{b: k.b, frame: k.frame, ctes: k.ctes, clause: clauseSelect}
}

// framed is a block with a frame of its own, whose outer names are found by up.
func (k *block) framed(up func(sql.Name) (*scopeCol, error)) *block {
	return &block{b: k.b, frame: &frame{up: up}, ctes: k.ctes, clause: clauseSelect}
}

func (b *binder) statement(stmt sql.Statement) (Node, error) {
	k := b.topBlock()
	return k.statement(stmt, true)
}

// statement binds a query or a writing statement; settle gives unknown columns type text.
func (k *block) statement(stmt sql.Statement, settle bool) (Node, error) {
	switch s := stmt.(type) {
	case *sql.Select:
		return k.query(s, settle)
	case *sql.Insert:
		return k.with(s.With, func() (Node, error) { return k.insert(s) })
	case *sql.Update:
		return k.with(s.With, func() (Node, error) { return k.update(s) })
	case *sql.Delete:
		return k.with(s.With, func() (Node, error) { return k.delete(s) })
	}
	if s, ok := stmt.(*sql.Unsupported); ok {
		return nil, types.Errorf("0A000", "%s is not supported", s.What)
	}
	return nil, types.Errorf("0A000", "statement cannot be planned").
		WithHint("Only SELECT, VALUES, INSERT, UPDATE and DELETE have a plan.")
}

func kindOf(stmt sql.Statement) string {
	switch stmt.(type) {
	case *sql.Insert:
		return "INSERT"
	case *sql.Update:
		return "UPDATE"
	case *sql.Delete:
		return "DELETE"
	}
	return "SELECT"
}

func readOnly(root Node) bool {
	reads := true
	EachNode(root, func(n Node) bool {
		switch n.(type) {
		case *Insert, *Update, *Delete, *Lock:
			reads = false
		}
		return reads
	})
	return reads
}

// paramTypes gives the type of each parameter; 42P18 for one that nothing determined.
func (b *binder) paramTypes() ([]types.OID, error) {
	for i, p := range b.params {
		if p == 0 {
			return nil, types.Errorf("42P18", "could not determine data type of parameter $%d", i+1)
		}
	}
	return b.params, nil
}

// fillParams gives every Param its final type.
func (b *binder) fillParams(n Node) Node {
	n = withInputs(n, b.fillParams)
	n = mapSubPlans(n, b.fillParams)
	return withExprs(n, b.fillParam)
}

func (b *binder) fillParam(e Expr) Expr {
	return Map(e, func(x Expr) (Expr, bool) {
		if p, ok := x.(*Param); ok && p.Typ.OID == types.UnknownOID {
			return &Param{p.N, types.T(b.params[p.N-1])}, true
		}
		return nil, false
	})
}

func (b *binder) deeper() error {
	b.depth++
	if b.depth > maxDepth {
		return types.Errorf("54001", "stack depth limit exceeded").WithHint("The statement nests too deeply.")
	}
	return nil
}

// relation finds a table or view for reading or writing.
func (b *binder) relation(name sql.Name, at sql.At) (*catalog.Relation, error) {
	rel, err := b.env.Catalog.Resolve(b.env.SearchPath, name)
	if err != nil {
		return nil, errorAt(err, at)
	}
	switch rel.Kind {
	case catalog.KindTable, catalog.KindView:
	case catalog.KindIndex:
		return nil, errorAt(types.Errorf("42809", "%q is an index", rel.Name), at)
	case catalog.KindSequence:
		return nil, errorAt(types.Errorf("0A000", "reading a sequence as a table is not supported").
			WithHint("Use pg_sequences or currval()."), at)
	}
	b.uses(rel)
	return rel, nil
}

func (b *binder) uses(rel *catalog.Relation) {
	for _, r := range b.relations {
		if r == rel {
			return
		}
	}
	b.relations = append(b.relations, rel)
}

// errorAt adds the position of a tree node to an SQL error that has none.
func errorAt(err error, at sql.At) error {
	if err == nil || at < 0 {
		return err
	}
	return types.AsError(err).At(int(at) + 1)
}
