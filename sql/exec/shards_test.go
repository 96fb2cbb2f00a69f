package exec_test

import (
	"context"
	"hash/fnv"
	"slices"
	"testing"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// cluster is a router over shards that are databases in memory: what it sends is SQL
// text, which a shard parses and binds against its own catalog.
type cluster struct {
	t      testing.TB
	shards []*database
	sent   []string // statements sent, for the transcripts
}

func newCluster(t testing.TB, n int) *cluster {
	c := &cluster{t: t}
	for range n {
		c.shards = append(c.shards, newDatabase(t))
	}
	return c
}

func (c *cluster) create(stmt sql.Statement) error {
	for _, s := range c.shards {
		if err := s.create(sql.Clone(stmt)); err != nil {
			return err
		}
	}
	return nil
}

// owner is the shard of a key.
func (c *cluster) owner(key types.Row) int {
	h := fnv.New32a()
	for _, v := range key {
		h.Write(types.AppendKey(nil, v, false, false))
	}
	return int(h.Sum32()) % len(c.shards)
}

// home is where a row of a relation lives; all shards for a reference table.
func (c *cluster) home(rel *catalog.Relation, row types.Row) []int {
	if rel.Placement.Strategy == catalog.Reference {
		return c.all()
	}
	var key types.Row
	for _, num := range rel.Placement.KeyColumns {
		key = append(key, row[num-1])
	}
	return []int{c.owner(key)}
}

func (c *cluster) all() []int {
	out := make([]int, len(c.shards))
	for i := range out {
		out[i] = i
	}
	return out
}

// asked gives the shards to which a Gather's routes lead.
func (c *cluster) asked(ctx context.Context, env *exec.Env, g *plan.Gather) []int {
	if g.One {
		return []int{len(c.shards) - 1}
	}
	if len(g.Rels) == 0 {
		return c.all()
	}
	wanted := make(map[int]bool)
	for _, r := range g.Rels {
		if len(r.Keys) == 0 {
			return c.all()
		}
		keys := []types.Row{nil}
		for _, k := range r.Keys {
			var next []types.Row
			for _, v := range c.keyValues(ctx, env, k) {
				for _, head := range keys {
					next = append(next, append(slices.Clone(head), v))
				}
			}
			keys = next
		}
		for _, key := range keys {
			wanted[c.owner(key)] = true
		}
	}
	var out []int
	for i := range c.shards {
		if wanted[i] {
			out = append(out, i)
		}
	}
	if len(out) == 0 {
		return []int{0}
	}
	return out
}

func (c *cluster) keyValues(ctx context.Context, env *exec.Env, k plan.KeyCond) []types.Value {
	eval := func(e plan.Expr) types.Value {
		v, err := exec.EvalConst(ctx, e, env)
		if err != nil {
			c.t.Fatalf("key value: %v", err)
		}
		return v
	}
	if k.Array != nil {
		if a := eval(k.Array); !a.IsNull() {
			return a.AsArray().Elems
		}
		return nil
	}
	var out []types.Value
	for _, e := range k.Values {
		out = append(out, eval(e))
	}
	return out
}

func (c *cluster) Scan(_ context.Context, _ *exec.Env, s *plan.Scan) (exec.Rows, error) {
	return nil, types.Errorf("XX000", "the router has no rows of %s", s.Rel.Name)
}

func (c *cluster) Gather(ctx context.Context, env *exec.Env, g *plan.Gather) (exec.Rows, error) {
	text, args := g.SQL()
	c.sent = append(c.sent, text)
	params := make([]types.Value, len(args))
	typs := make([]types.OID, len(args))
	for i, a := range args {
		v, err := exec.EvalConst(ctx, a, env)
		if err != nil {
			return nil, err
		}
		params[i], typs[i] = v, a.Type().OID
	}
	var out []types.Row
	for _, i := range c.asked(ctx, env, g) {
		rows, err := c.send(ctx, env, i, text, params, typs)
		if err != nil {
			return nil, err
		}
		if g.Everywhere && i > 0 {
			continue
		}
		if len(g.MergeKeys) > 0 && !slices.IsSortedFunc(rows, func(a, b types.Row) int { return exec.CompareRows(g.MergeKeys, a, b) }) {
			c.t.Fatalf("shard %d gave rows out of order for %s", i, text)
		}
		out = append(out, rows...)
	}
	if len(g.MergeKeys) > 0 {
		slices.SortStableFunc(out, func(a, b types.Row) int { return exec.CompareRows(g.MergeKeys, a, b) })
	}
	return exec.SliceRows(out), nil
}

// send runs a statement on one shard, as text.
func (c *cluster) send(ctx context.Context, env *exec.Env, i int, text string, params []types.Value, typs []types.OID) ([]types.Row, error) {
	stmt, err := sql.ParseOne(text)
	if err != nil {
		c.t.Fatalf("sent what does not parse: %s: %v", text, err)
	}
	shardEnv := c.shards[i].env()
	shardEnv.ParamTypes = typs
	q, err := plan.Bind(stmt, shardEnv)
	if err != nil {
		c.t.Fatalf("sent what does not bind: %s: %v", text, err)
	}
	res, err := exec.Run(ctx, q, &exec.Env{Source: c.shards[i], Builtin: env.Builtin, Params: params})
	if err != nil {
		return nil, err
	}
	rows, err := readAll(ctx, res.Rows)
	if err == nil && q.Kind != "SELECT" && q.Columns == nil {
		rows = []types.Row{{types.Int(res.Count())}}
	}
	return rows, err
}

func (c *cluster) Insert(ctx context.Context, env *exec.Env, n *plan.Insert, rows []types.Row, _ exec.Conflict) ([]types.Row, error) {
	text, args, err := plan.InsertSQL(n, 1)
	if err != nil {
		return nil, err
	}
	out := make([]types.Row, len(rows))
	for r, row := range rows {
		if id, ok := n.Rel.RowID(); ok {
			row = slices.Clone(row)
			c.shards[0].next++
			row[id.Num-1] = types.Int(c.shards[0].next)
		}
		var params []types.Value
		var typs []types.OID
		for _, attr := range plan.InsertColumns(n.Rel) {
			params, typs = append(params, row[attr]), append(typs, n.Rel.Columns[attr].Type.OID)
		}
		for _, a := range args {
			v, err := exec.EvalConst(ctx, a, env)
			if err != nil {
				return nil, err
			}
			params, typs = append(params, v), append(typs, a.Type().OID)
		}
		for _, i := range c.home(n.Rel, row) {
			stored, err := c.send(ctx, env, i, text, params, typs)
			if err != nil {
				return nil, err
			}
			if len(stored) > 0 {
				out[r] = stored[0]
			}
		}
	}
	return out, nil
}

// change applies one change on the shards of a row.
func (c *cluster) Update(ctx context.Context, env *exec.Env, n *plan.Update, changes []exec.Change) ([]bool, error) {
	done := make([]bool, len(changes))
	for i, ch := range changes {
		from, to := c.home(n.Rel, ch.Old), c.home(n.Rel, ch.New)
		if slices.Equal(from, to) {
			for _, s := range from {
				ok, err := c.shards[s].Update(ctx, env, n, changes[i:i+1])
				if err != nil {
					return nil, err
				}
				done[i] = ok[0]
			}
			continue
		}
		// A row that moves is written at its new place first: that may fail.
		if _, err := c.shards[to[0]].Insert(ctx, env, &plan.Insert{Rel: n.Rel}, []types.Row{ch.New}, nil); err != nil {
			return nil, err
		}
		ok, err := c.shards[from[0]].Delete(ctx, env, &plan.Delete{Rel: n.Rel}, changes[i:i+1])
		if err != nil {
			return nil, err
		}
		done[i] = ok[0]
	}
	return done, nil
}

func (c *cluster) Delete(ctx context.Context, env *exec.Env, n *plan.Delete, changes []exec.Change) ([]bool, error) {
	done := make([]bool, len(changes))
	for i, ch := range changes {
		for _, s := range c.home(n.Rel, ch.Old) {
			ok, err := c.shards[s].Delete(ctx, env, n, changes[i:i+1])
			if err != nil {
				return nil, err
			}
			done[i] = ok[0]
		}
	}
	return done, nil
}

func (c *cluster) Lock(_ context.Context, _ *exec.Env, _ *plan.Lock, rows []types.Row) ([]types.Row, error) {
	return rows, nil
}
