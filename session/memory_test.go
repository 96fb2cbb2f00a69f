package session_test

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/pgcatalog"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// memory is a database in memory: one writer's transaction at a time sees its own copy.
type memory struct {
	mu struct {
		sync.Mutex
		committed state
		prepared  map[string]state
		views     map[*catalog.Catalog]*pgcatalog.View
	}
	block chan struct{} // pg_sleep of tests: a scan of table "slow" waits for it
}

// state is a catalog and the rows of its tables; rows are never changed in place.
type state struct {
	cat  *catalog.Catalog
	rows map[types.OID][]types.Row
}

func (s state) clone() state { return state{s.cat, maps.Clone(s.rows)} }

func newMemory() *memory {
	cat, _, err := catalog.Bootstrap("db", "postgres", "")
	if err != nil {
		panic(err)
	}
	e := catalog.NewEdit(cat)
	e.PutRole(&catalog.Role{OID: 17900, Name: "ann", Login: true, Inherit: true, ConnLimit: -1})
	e.PutRole(&catalog.Role{OID: 17901, Name: "nologin", ConnLimit: -1})
	m := &memory{block: make(chan struct{})}
	m.mu.committed = state{e.Finish(1).WithVirtual(pgcatalog.Relations()), map[types.OID][]types.Row{}}
	m.mu.prepared = map[string]state{}
	m.mu.views = map[*catalog.Catalog]*pgcatalog.View{}
	return m
}

func (m *memory) Catalog() *catalog.Catalog {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.committed.cat
}

func (m *memory) view(cat *catalog.Catalog) *pgcatalog.View {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.mu.views[cat]
	if !ok {
		v = pgcatalog.New(cat, node{})
		m.mu.views[cat] = v
	}
	return v
}

type node struct{}

func (node) Functions() []*builtin.Func        { return nil }
func (node) LastValue(types.OID) (int64, bool) { return 0, false }

type sequences struct{}

func (sequences) Nextval(types.OID) (int64, error)                { return 7, nil }
func (sequences) Currval(types.OID) (int64, error)                { return 7, nil }
func (sequences) Lastval() (int64, error)                         { return 7, nil }
func (sequences) Setval(types.OID, int64, bool) error             { return nil }
func (sequences) Size(string, []types.Value) (int64, bool, error) { return 8192, true, nil }

func (m *memory) Lookup(cat *catalog.Catalog, info *session.Info) builtin.Catalog {
	return m.view(cat).Lookup(info, sequences{})
}

func (m *memory) Functions() []*builtin.Func { return nil }

func (m *memory) Forget(_ context.Context, info *session.Info, what session.Forget) {
	info.Notice(&types.Error{Code: "00000", Severity: "INFO", Message: "forget " + []string{"sequences", "temp", "all"}[what]})
}

func (m *memory) Setting(_ context.Context, info *session.Info, name, value string) (bool, error) {
	switch name {
	case "helios.ctx":
		info.ParameterStatus("helios.ts", value)
		return true, nil
	}
	return false, nil
}

func (m *memory) Call(_ context.Context, info *session.Info, name sql.Name, args []session.Arg) (*exec.Result, error) {
	if name.String() != "helios.reshard" {
		return nil, types.Errorf("42883", "procedure %s does not exist", name)
	}
	for _, a := range args {
		info.Notice(types.Errorf("00000", "argument %q = %s", a.Name, types.ToText(a.Type, a.Value)))
	}
	return nil, nil
}

func (m *memory) Begin(_ context.Context, o session.TxOptions) (session.Tx, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memoryTx{m: m, now: m.mu.committed.clone(), info: o.Info}, nil
}

func (m *memory) CommitPrepared(_ context.Context, _ *session.Info, gid string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.mu.prepared[gid]
	if !ok {
		return types.Errorf("42704", "prepared transaction with identifier %q does not exist", gid)
	}
	delete(m.mu.prepared, gid)
	m.mu.committed = s
	return nil
}

func (m *memory) RollbackPrepared(_ context.Context, _ *session.Info, gid string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.mu.prepared, gid)
	return nil
}

// memoryTx is a transaction: its state, and those at its savepoints.
type memoryTx struct {
	m     *memory
	now   state
	info  *session.Info
	names []string
	saved []state
}

func (t *memoryTx) Catalog() *catalog.Catalog { return t.now.cat }

func (t *memoryTx) Query(ctx context.Context, q *plan.Query, env *exec.Env) (*exec.Result, error) {
	env.Source = &memorySource{t}
	return exec.Run(ctx, q, env)
}

func (t *memoryTx) EndStatement(error) {}

func (t *memoryTx) DDL(_ context.Context, stmt sql.Statement, _ *exec.Env) (string, error) {
	e := catalog.NewEdit(t.now.cat)
	tag := ""
	switch x := stmt.(type) {
	case *sql.CreateTable:
		rel := &catalog.Relation{OID: e.NextOID(), Schema: "public", Name: x.Name[len(x.Name)-1], Kind: catalog.KindTable, Owner: 10}
		for i, c := range x.Columns {
			typ, err := plan.ResolveType(c.Type)
			if err != nil {
				return "", err
			}
			col := catalog.Column{Num: int16(i + 1), Name: c.Name, Type: typ}
			for _, con := range c.Constraints {
				switch con.Kind {
				case "primary key":
					col.NotNull = true
					rel.PrimaryKey = &catalog.Index{
						OID: e.NextOID(), Name: rel.Name + "_pkey", Method: "btree", Unique: true, Primary: true, Constraint: true,
						Keys: []catalog.IndexKey{{Column: col.Num}},
					}
				case "not null":
					col.NotNull = true
				}
			}
			rel.Columns = append(rel.Columns, col)
		}
		if err := e.AddRelation(rel); err != nil {
			return "", err
		}
		tag = "CREATE TABLE"
	case *sql.Drop:
		for _, n := range x.Names {
			rel, err := t.now.cat.Resolve([]string{"public"}, n)
			if err != nil {
				return "", err
			}
			e.DropRelation(rel.OID)
		}
		tag = "DROP TABLE"
	case *sql.Analyze:
		return "VACUUM", nil
	default:
		return "", types.Errorf("0A000", "%T is not supported", stmt)
	}
	t.now.cat = e.Finish(t.now.cat.Version() + 1)
	return tag, nil
}

func (t *memoryTx) CopyIn(_ context.Context, rel *catalog.Relation, cols []int16, _ *exec.Env) (session.RowSink, error) {
	return &memorySink{t: t, rel: rel, cols: cols}, nil
}

type memorySink struct {
	t    *memoryTx
	rel  *catalog.Relation
	cols []int16
	n    int64
}

func (s *memorySink) Write(_ context.Context, rows []types.Row) error {
	for _, r := range rows {
		full := make(types.Row, len(s.rel.Columns))
		for i, num := range s.cols {
			full[num-1] = r[i]
		}
		if err := s.t.insert(s.rel, full); err != nil {
			return err
		}
		s.n++
	}
	return nil
}

func (s *memorySink) Close(context.Context) (int64, error) { return s.n, nil }

func (t *memoryTx) insert(rel *catalog.Relation, row types.Row) error {
	for i, c := range rel.Columns {
		if c.NotNull && row[i].IsNull() {
			e := types.Errorf("23502", "null value in column \"%s\" of relation \"%s\" violates not-null constraint", c.Name, rel.Name)
			e.Table, e.Column = rel.Name, c.Name
			return e
		}
	}
	if rel.PrimaryKey != nil {
		key := rel.PrimaryKey.Keys[0].Column - 1
		for _, old := range t.now.rows[rel.OID] {
			if types.Equal(old[key], row[key]) {
				e := types.Errorf("23505", "duplicate key value violates unique constraint \"%s\"", rel.PrimaryKey.Name)
				e.Constraint = rel.PrimaryKey.Name
				return e
			}
		}
	}
	t.now.rows[rel.OID] = append(slices.Clip(t.now.rows[rel.OID]), row)
	return nil
}

func (t *memoryTx) Lock(context.Context, *catalog.Relation, string, bool) error { return nil }

func (t *memoryTx) Savepoint(_ context.Context, name string) error {
	t.names, t.saved = append(t.names, name), append(t.saved, t.now.clone())
	return nil
}

func (t *memoryTx) RollbackTo(_ context.Context, name string) error {
	i := lastIndex(t.names, name)
	t.now = t.saved[i].clone()
	t.names, t.saved = t.names[:i+1], t.saved[:i+1]
	return nil
}

func (t *memoryTx) Release(_ context.Context, name string) error {
	i := lastIndex(t.names, name)
	t.names, t.saved = t.names[:i], t.saved[:i]
	return nil
}

func lastIndex(names []string, name string) int {
	for i, n := range slices.Backward(names) {
		if n == name {
			return i
		}
	}
	panic("no savepoint " + name)
}

func (t *memoryTx) Commit(context.Context) error {
	for oid, rows := range t.now.rows {
		rel, ok := t.now.cat.ByOID(oid)
		if ok && rel.Name == "conflict" && len(rows) > 0 {
			return types.Errorf("40001", "could not serialize access due to concurrent update")
		}
	}
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	t.m.mu.committed = t.now
	return nil
}

func (t *memoryTx) Rollback(context.Context) error { return nil }

func (t *memoryTx) Prepare(_ context.Context, gid string) error {
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	t.m.mu.prepared[gid] = t.now
	return nil
}

func (t *memoryTx) Explain(_ context.Context, q *plan.Query, analyze bool, _ *exec.Env) ([]string, error) {
	lines := []string{q.Kind + " plan"}
	if analyze {
		lines = append(lines, "analyzed")
	}
	return lines, nil
}

// memorySource reads and writes the rows of a transaction.
type memorySource struct{ t *memoryTx }

func (s *memorySource) Scan(ctx context.Context, env *exec.Env, n *plan.Scan) (exec.Rows, error) {
	var all []types.Row
	if n.Rel.Virtual {
		rows, err := s.t.m.view(s.t.now.cat).Rows(n.Rel, s.t.info)
		if err != nil {
			return nil, err
		}
		all = rows
	} else {
		all = s.t.now.rows[n.Rel.OID]
	}
	if n.Rel.Name == "slow" {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.t.m.block:
		}
	}
	pass, err := exec.CompileFilter(ctx, n.Filter, env)
	if err != nil {
		return nil, err
	}
	var out []types.Row
	for _, row := range all {
		r := make(types.Row, len(n.Attrs))
		for i, at := range n.Attrs {
			switch at {
			case plan.AttrTableOID:
				r[i] = types.Int(int64(n.Rel.OID))
			case plan.AttrSlot:
				r[i] = types.Int(0)
			default:
				r[i] = row[at]
			}
		}
		ok, err := pass(r)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, r)
		}
	}
	return exec.SliceRows(out), nil
}

func (s *memorySource) Gather(context.Context, *exec.Env, *plan.Gather) (exec.Rows, error) {
	return nil, types.Errorf("XX000", "no shards here")
}

func (s *memorySource) Insert(_ context.Context, _ *exec.Env, n *plan.Insert, rows []types.Row, _ exec.Conflict) ([]types.Row, error) {
	for _, r := range rows {
		if err := s.t.insert(n.Rel, r); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func (s *memorySource) replace(rel *catalog.Relation, changes []exec.Change) []bool {
	done := make([]bool, len(changes))
	rows := slices.Clone(s.t.now.rows[rel.OID])
	for i, c := range changes {
		at := slices.IndexFunc(rows, func(r types.Row) bool {
			return slices.EqualFunc(r, c.Old, func(a, b types.Value) bool {
				return a.IsNull() && b.IsNull() || types.Equal(a, b)
			})
		})
		switch done[i] = at >= 0; {
		case at >= 0 && c.New == nil:
			rows = slices.Delete(rows, at, at+1)
		case at >= 0:
			rows[at] = c.New
		}
	}
	s.t.now.rows[rel.OID] = rows
	return done
}

func (s *memorySource) Update(_ context.Context, _ *exec.Env, n *plan.Update, changes []exec.Change) ([]bool, error) {
	return s.replace(n.Rel, changes), nil
}

func (s *memorySource) Delete(_ context.Context, _ *exec.Env, n *plan.Delete, changes []exec.Change) ([]bool, error) {
	return s.replace(n.Rel, changes), nil
}

func (s *memorySource) Lock(_ context.Context, _ *exec.Env, _ *plan.Lock, rows []types.Row) ([]types.Row, error) {
	return rows, nil
}
