package shard

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"slices"

	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/txn"
	"github.com/heliosdb/helios/types"
)

// source gives and takes the rows of one statement.
type source struct {
	e *Engine
	t *Tx
	r *reading
	m message // of the router, empty for other clients
}

func (s *source) view() txn.View { return txn.View{Snapshot: s.r.snap, Tx: s.t.tx} }

// Gather is a router's; a shard's plans have none.
func (s *source) Gather(context.Context, *exec.Env, *plan.Gather) (exec.Rows, error) {
	return nil, types.Errorf("XX000", "a shard was asked to gather")
}

// Scan reads a table or a virtual one.
func (s *source) Scan(ctx context.Context, env *exec.Env, n *plan.Scan) (exec.Rows, error) {
	filter, err := exec.CompileFilter(ctx, n.Filter, env)
	if err != nil {
		return nil, err
	}
	if n.Rel.Virtual {
		return s.e.virtual(ctx, s.t, n, filter)
	}
	t, err := s.e.table(ctx, s.t.Catalog(), n.Rel)
	if err != nil {
		return nil, err
	}
	units, err := s.units(ctx, t, false)
	if err != nil {
		return nil, err
	}
	sc := &scan{s: s, t: t, n: n, filter: filter, units: units, need: make([]bool, len(n.Rel.Columns))}
	for _, a := range n.Attrs {
		if a >= 0 {
			sc.need[a] = true
		}
	}
	return sc, sc.open(ctx, env)
}

// units lists the units of a table that the statement reads here: those the shard owns,
// after a move that is about to end has ended.
func (s *source) units(ctx context.Context, t *table, write bool) (unitSet, error) {
	set := unitSet{}
	if !t.placer.Spread() {
		set[placement.Unit{}] = struct{}{}
		return set, nil
	}
	space := uint32(0)
	if t.placer.Own() {
		space = uint32(t.rel.OID)
	}
	only, restricted := s.m.cells[t.rel.OID]
	err := s.e.waitFor(ctx, func() (bool, error) {
		clear(set)
		if s.e.mu.leading { // a move may have ended since the statement began, while this waited above all
			if err := s.e.notBefore(s.m.version); err != nil {
				return false, err
			}
		}
		for _, u := range s.e.mu.units.of(space) {
			if restricted && !slices.Contains(only, u.N) {
				continue
			}
			if s.e.mu.units.moving(u, write) && s.e.mu.leading {
				return false, nil
			}
			set[u] = struct{}{}
		}
		if restricted && len(set) < len(only) {
			return false, staleMap(placement.Unit{Space: space}, 0, "this shard does not own all cells that were asked for")
		}
		return true, nil
	})
	return set, err
}

type unitSet map[placement.Unit]struct{}

func (u unitSet) sorted() []placement.Unit {
	out := make([]placement.Unit, 0, len(u))
	for x := range u {
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b placement.Unit) int { return int(int64(a.N) - int64(b.N)) })
	return out
}

// scan is a Scan under way: a list of key ranges, each walked in turn.
type scan struct {
	s      *source
	t      *table
	n      *plan.Scan
	filter func(types.Row) (bool, error)
	units  unitSet
	need   []bool

	version uint64 // of the ownership that kept has compared last
	ranges  []keyRange
	walk    *txn.Iterator // over ranges[0], nil before
	byIndex *index
}

type keyRange struct {
	lo, hi []byte
	skip   bool // rows of units not owned lie between: check each
}

const batchRows = 256

func (c *scan) open(ctx context.Context, env *exec.Env) error {
	var err error
	if a := c.n.Access; a != nil {
		if c.ranges, c.byIndex, err = c.t.accessRanges(ctx, env, a, c.units); err != nil {
			return err
		}
	} else {
		c.ranges = c.unitRanges()
	}
	return nil
}

// unitRanges covers the owned units, neighbours together.
func (c *scan) unitRanges() []keyRange {
	lo := tablePrefix(c.t.rel.OID)
	all := c.units.sorted()
	if len(all) == 0 {
		return nil
	}
	if len(all) > 64 {
		return []keyRange{{lo: lo, hi: prefixEnd(lo), skip: true}}
	}
	var out []keyRange
	for i := 0; i < len(all); {
		j := i
		for j+1 < len(all) && all[j+1].N == all[j].N+1 {
			j++
		}
		first, _ := unitRange(c.t.rel.OID, all[i])
		_, last := unitRange(c.t.rel.OID, all[j])
		out = append(out, keyRange{lo: first, hi: last})
		i = j + 1
	}
	return out
}

// Next gives the next rows that pass the filter.
func (c *scan) Next(ctx context.Context) ([]types.Row, error) {
	var out []types.Row
	for len(out) < batchRows {
		row, ok, err := c.nextStored(ctx)
		if err != nil {
			return nil, sqlError(err)
		}
		if !ok {
			break
		}
		full, unit, err := c.fetch(row)
		if err != nil {
			return nil, sqlError(err)
		}
		if full == nil {
			continue
		}
		shown := c.project(full, unit)
		pass, err := c.filter(shown)
		if err != nil {
			return nil, err
		}
		if pass {
			out = append(out, shown)
		}
	}
	if err := cmp.Or(c.s.r.check(), c.kept()); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, io.EOF
	}
	return out, nil
}

// kept holds that every unit of the scan is still here: one that left while the scan was
// on its way may have lost its rows before they were read.
func (c *scan) kept() error {
	c.s.e.mu.Lock()
	defer c.s.e.mu.Unlock()
	own := c.s.e.mu.units
	if own.version == c.version {
		return nil
	}
	for u := range c.units {
		if x, ok := own.state[u]; ok && x.State == unitGone {
			return staleMap(u, x.Epoch, "it moved to another shard while it was read")
		}
	}
	c.version = own.version
	return nil
}

// nextStored moves to the next key of the ranges.
func (c *scan) nextStored(ctx context.Context) (txn.Row, bool, error) {
	for {
		if err := ctx.Err(); err != nil {
			return txn.Row{}, false, context.Cause(ctx)
		}
		if len(c.ranges) == 0 {
			return txn.Row{}, false, nil
		}
		if c.walk == nil {
			c.walk = c.s.view().Scan(c.ranges[0].lo, c.ranges[0].hi, false)
		}
		for c.walk.Next() {
			row := c.walk.Row()
			if c.byIndex == nil && c.ranges[0].skip && !c.owned(unitOfRowKey(row.Key)) {
				continue
			}
			return row, true, nil
		}
		err := c.walk.Close()
		c.walk, c.ranges = nil, c.ranges[1:]
		if err != nil {
			return txn.Row{}, false, err
		}
	}
}

func (c *scan) owned(unit uint32) bool {
	u := placement.Unit{N: unit}
	if c.t.placer.Own() {
		u.Space = uint32(c.t.rel.OID)
	}
	_, ok := c.units[u]
	return ok
}

// fetch gives the row of a stored key or, for an index entry, the row it stands for; nil
// for an entry of a unit that the shard does not own.
func (c *scan) fetch(row txn.Row) (types.Row, uint32, error) {
	if c.byIndex == nil {
		full, err := c.t.decode(row.Value, c.need)
		return full, unitOfRowKey(row.Key), err
	}
	key, unit, err := c.byIndex.rowKeyOf(c.t.rel.OID, row.Key)
	if err != nil || !c.owned(unit) {
		return nil, 0, err
	}
	found, ok, err := c.s.view().Get(key)
	if err != nil || !ok {
		return nil, 0, err
	}
	full, err := c.t.decode(found.Value, nil)
	if err != nil {
		return nil, 0, err
	}
	if same, err := c.t.hasEntry(c.byIndex, unit, full, row.Key); err != nil || !same {
		return nil, 0, err
	}
	return full, unit, nil
}

func (c *scan) project(full types.Row, unit uint32) types.Row {
	out := make(types.Row, len(c.n.Attrs))
	for i, a := range c.n.Attrs {
		switch a {
		case plan.AttrTableOID:
			out[i] = types.Int(int64(c.t.rel.OID))
		case plan.AttrSlot:
			out[i] = types.Int(int64(unit))
		default:
			out[i] = full[a]
		}
	}
	return out
}

// Close frees the iterator.
func (c *scan) Close() error {
	c.ranges = nil
	if c.walk == nil {
		return nil
	}
	w := c.walk
	c.walk = nil
	return w.Close()
}

// accessRanges turns an access path into key ranges. Values of an IN list give a range
// each; NULLs match nothing.
func (t *table) accessRanges(ctx context.Context, env *exec.Env, a *plan.Access, units unitSet) ([]keyRange, *index, error) {
	prefixes, err := t.keyPrefixes(ctx, env, a)
	if err != nil {
		return nil, nil, err
	}
	if a.Index.OID != t.rel.PrimaryKey.OID {
		i := slices.IndexFunc(t.indexes, func(x *index) bool { return x.OID == a.Index.OID })
		if i < 0 {
			return nil, nil, types.Errorf("XX000", "the plan uses an index that table %q does not have", t.rel.Name)
		}
		var out []keyRange
		for _, p := range prefixes {
			r, err := t.bounded(ctx, env, a, append(indexKeyPrefix(a.Index.OID), p.key...))
			if err != nil {
				return nil, nil, err
			}
			out = append(out, r...)
		}
		return out, t.indexes[i], nil
	}
	var out []keyRange
	for _, p := range prefixes {
		for _, u := range t.unitsOf(p.values, units) {
			r, err := t.bounded(ctx, env, a, append(unitPrefix(t.rel.OID, u.N), p.key...))
			if err != nil {
				return nil, nil, err
			}
			out = append(out, r...)
		}
	}
	return out, nil, nil
}

// unitsOf narrows the units of a primary-key prefix when it fixes the shard key.
func (t *table) unitsOf(values []types.Value, units unitSet) []placement.Unit {
	all := units.sorted()
	if t.placer.Own() && t.rel.Placement.Strategy != catalog.Range || !t.placer.Spread() || len(t.rel.Placement.KeyColumns) == 0 {
		return all
	}
	key := make([]types.Value, len(t.rel.Placement.KeyColumns))
	for i, num := range t.rel.Placement.KeyColumns {
		at := slices.IndexFunc(t.rel.PrimaryKey.Keys, func(k catalog.IndexKey) bool { return k.Column == num })
		if at < 0 || at >= len(values) {
			return all
		}
		key[i] = values[at]
	}
	u, ok := t.placer.Key(key)
	if !ok {
		return all
	}
	if _, owned := units[u]; !owned {
		return nil
	}
	return []placement.Unit{u}
}

type keyPrefix struct {
	values []types.Value
	key    []byte
}

// keyPrefixes enumerates the combinations of an access path's equalities.
func (t *table) keyPrefixes(ctx context.Context, env *exec.Env, a *plan.Access) ([]keyPrefix, error) {
	prefixes := []keyPrefix{{}}
	for i, cond := range a.Prefix {
		values, err := condValues(ctx, env, cond)
		if err != nil {
			return nil, err
		}
		k := a.Index.Keys[i]
		var next []keyPrefix
		for _, p := range prefixes {
			for _, v := range values {
				next = append(next, keyPrefix{
					values: append(slices.Clone(p.values), v),
					key:    types.AppendKey(slices.Clone(p.key), v, k.Desc, k.NullsFirst),
				})
			}
		}
		prefixes = next
	}
	slices.SortFunc(prefixes, func(a, b keyPrefix) int { return bytes.Compare(a.key, b.key) })
	return slices.CompactFunc(prefixes, func(a, b keyPrefix) bool { return bytes.Equal(a.key, b.key) }), nil
}

// condValues evaluates the values that a key column may have; NULLs are left out.
func condValues(ctx context.Context, env *exec.Env, cond plan.KeyCond) ([]types.Value, error) {
	var out []types.Value
	for _, e := range cond.Values {
		v, err := exec.EvalConst(ctx, e, env)
		if err != nil {
			return nil, err
		}
		if !v.IsNull() {
			out = append(out, v)
		}
	}
	if cond.Array == nil {
		return out, nil
	}
	v, err := exec.EvalConst(ctx, cond.Array, env)
	if err != nil || v.IsNull() {
		return out, err
	}
	for _, x := range v.AsArray().Elems {
		if !x.IsNull() {
			out = append(out, x)
		}
	}
	return out, nil
}

// bounded applies the range on the column after the prefix; no range at all when a bound
// is NULL. The order of a descending key column turns the ends around.
func (t *table) bounded(ctx context.Context, env *exec.Env, a *plan.Access, prefix []byte) ([]keyRange, error) {
	r := keyRange{lo: prefix, hi: prefixEnd(prefix)}
	if a.Low == nil && a.High == nil {
		return []keyRange{r}, nil
	}
	k := a.Index.Keys[len(a.Prefix)]
	end := func(b *plan.Bound) ([]byte, bool, error) {
		v, err := exec.EvalConst(ctx, b.Value, env)
		if err != nil || v.IsNull() {
			return nil, false, err
		}
		return types.AppendKey(slices.Clone(prefix), v, k.Desc, k.NullsFirst), true, nil
	}
	for _, b := range []*plan.Bound{a.Low, a.High} {
		if b == nil {
			continue
		}
		key, ok, err := end(b)
		if err != nil || !ok {
			return nil, err
		}
		if (b == a.Low) != k.Desc { // the lower end of the keys
			if r.lo = key; !b.Inclusive {
				r.lo = prefixEnd(key)
			}
		} else if r.hi = key; b.Inclusive {
			r.hi = prefixEnd(key)
		}
	}
	// NULLs are outside of every range: they lie at the end that the bounds leave open.
	return t.withoutNulls(r, k, prefix), nil
}

// withoutNulls cuts the NULLs off a range that is open at their end.
func (t *table) withoutNulls(r keyRange, k catalog.IndexKey, prefix []byte) []keyRange {
	null := types.AppendKey(slices.Clone(prefix), types.Null, k.Desc, k.NullsFirst)
	if k.NullsFirst {
		if bytes.Compare(r.lo, null) <= 0 {
			r.lo = prefixEnd(null)
		}
	} else if r.hi == nil || bytes.Compare(r.hi, null) > 0 {
		r.hi = null
	}
	if r.hi != nil && bytes.Compare(r.lo, r.hi) >= 0 {
		return nil
	}
	return []keyRange{r}
}
