package router

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/vectorpart"
)

// target is a shard to ask and the cells to read there, nil for all it owns.
type target struct {
	shard cluster.ShardID
	cells cellChoice
}

// targets finds the shards that a Gather's fragment must run on.
func (s *statement) targets(ctx context.Context, env *exec.Env, g *plan.Gather) ([]target, error) {
	if s.known != nil {
		known := s.known
		s.known = nil
		return known, nil
	}
	switch {
	case g.Everywhere:
		return s.everywhere(), nil
	case g.One || len(g.Rels) == 0:
		return s.anywhere()
	case g.KNN != nil:
		near, _, err := s.nearTargets(ctx, env, g)
		return near, err
	}
	var found targetSet
	for _, route := range g.Rels {
		if err := s.routeTargets(ctx, env, g, route, &found); err != nil {
			return nil, err
		}
	}
	return found.list(), s.checkFanout(len(found.shards))
}

// everywhere is all shards: for writes to reference tables.
func (s *statement) everywhere() []target {
	var out []target
	for _, id := range serving(s.m) {
		out = append(out, target{shard: id})
	}
	return out
}

// anywhere picks a shard for rows that all have: one where the transaction has written,
// which may have changed them, else each in turn.
func (s *statement) anywhere() ([]target, error) {
	s.mu.Lock()
	own := slices.Clone(s.t.order)
	s.mu.Unlock()
	if len(own) > 0 {
		return []target{{shard: own[0]}}, nil
	}
	ids := serving(s.m)
	if len(ids) == 0 {
		return nil, types.Errorf("57P03", "the cluster has no active shard")
	}
	return []target{{shard: ids[int(s.r.turn.Add(1))%len(ids)]}}, nil
}

// checkFanout refuses a statement that asks more shards than the operator allows.
func (s *statement) checkFanout(n int) error {
	if most := s.r.o.Limits.FanoutMax; most > 0 && n > most {
		return types.Errorf("54000", "the statement needs %d shards, at most %d are allowed", n, most).
			WithHint("Give a value for the shard key, or raise the router's limit max_fanout.")
	}
	return nil
}

// targetSet collects shards and, where a statement names them, cells.
type targetSet struct {
	shards map[cluster.ShardID]cellChoice
}

func (t *targetSet) add(id cluster.ShardID) {
	if t.shards == nil {
		t.shards = map[cluster.ShardID]cellChoice{}
	}
	if _, ok := t.shards[id]; !ok {
		t.shards[id] = nil
	}
}

func (t *targetSet) addCell(id cluster.ShardID, table types.OID, cell uint32) {
	t.add(id)
	if t.shards[id] == nil {
		t.shards[id] = cellChoice{}
	}
	if !slices.Contains(t.shards[id][table], cell) {
		t.shards[id][table] = append(t.shards[id][table], cell)
	}
}

func (t *targetSet) list() []target {
	out := make([]target, 0, len(t.shards))
	for id, cells := range t.shards {
		out = append(out, target{id, cells})
	}
	slices.SortFunc(out, func(a, b target) int { return int(a.shard) - int(b.shard) })
	return out
}

// routeTargets adds the shards that one relation's route leads to.
func (s *statement) routeTargets(ctx context.Context, env *exec.Env, g *plan.Gather, route plan.Route, found *targetSet) error {
	p, err := s.r.placer(s.m, route.Rel)
	if err != nil {
		return err
	}
	if route.Rel.Placement.Strategy == catalog.Vector {
		done, err := s.cellTargets(ctx, env, g, route.Rel, found)
		if done || err != nil {
			return err
		}
	}
	if route.Rel.Placement.Strategy == catalog.Single {
		u, _ := p.Key(nil)
		id, err := s.owner(u)
		found.add(id)
		return err
	}
	if route.Rel.Placement.Strategy == catalog.Geo {
		return s.zoneTargets(ctx, env, p, route, found)
	}
	if route.Low != nil || route.High != nil {
		return s.rangeTargets(ctx, env, p, route, found)
	}
	keys, fixed, err := keyValues(ctx, env, route)
	if err != nil {
		return err
	}
	if !fixed {
		return s.allOwners(p, route.Rel, found)
	}
	var units []placement.Unit
	for _, key := range keys {
		u, ok := p.Key(key)
		if !ok {
			return s.allOwners(p, route.Rel, found)
		}
		units = append(units, u)
	}
	return s.addUnits(p, route.Rel, units, found)
}

// rangeTargets adds the shards of a range-placed relation's rows between two keys.
func (s *statement) rangeTargets(ctx context.Context, env *exec.Env, p *placement.Placer, route plan.Route, found *targetSet) error {
	var ends [2]*types.Value
	for i, b := range []*plan.Bound{route.Low, route.High} {
		if b == nil {
			continue
		}
		v, err := exec.EvalConst(ctx, b.Value, env)
		if err != nil {
			return err
		}
		if v.IsNull() { // no row is above or below NULL
			return s.allOwnersOne(p, route.Rel, found)
		}
		ends[i] = &v
	}
	return s.addUnits(p, route.Rel, p.Between(ends[0], ends[1]), found)
}

// zoneTargets adds the shards of a geo-placed relation's rows: of those with certain
// primary keys, of a zone, or of all.
func (s *statement) zoneTargets(ctx context.Context, env *exec.Env, p *placement.Placer, route plan.Route, found *targetSet) error {
	keys, fixed, err := keyValues(ctx, env, route)
	if err != nil {
		return err
	}
	var units []placement.Unit
	switch {
	case fixed:
		for _, key := range keys {
			if u, ok := p.ZoneKey(key); ok {
				units = append(units, u)
			}
		}
	case route.Zone != nil:
		values, err := condValues(ctx, env, *route.Zone)
		if err != nil {
			return err
		}
		for _, v := range values {
			units = append(units, p.ZoneUnits(v)...)
		}
	default:
		return s.allOwners(p, route.Rel, found)
	}
	return s.addUnits(p, route.Rel, units, found)
}

// addUnits adds the owners of units; one shard, which answers with no rows, when there
// are none because no value can match.
func (s *statement) addUnits(p *placement.Placer, rel *catalog.Relation, units []placement.Unit, found *targetSet) error {
	for _, u := range units {
		id, err := s.owner(u)
		if err != nil {
			return err
		}
		found.add(id)
	}
	if len(found.shards) == 0 {
		return s.allOwnersOne(p, rel, found)
	}
	return nil
}

// combinationsMax bounds the keys made of IN lists; with more, all shards are asked.
const combinationsMax = 4096

// keyValues gives the key values that a route leads to; fixed is false when it does not
// say. NULLs match nothing and are left out.
func keyValues(ctx context.Context, env *exec.Env, route plan.Route) (keys [][]types.Value, fixed bool, err error) {
	if len(route.Keys) == 0 {
		return nil, false, nil
	}
	keys = [][]types.Value{nil}
	for _, cond := range route.Keys {
		values, err := condValues(ctx, env, cond)
		if err != nil {
			return nil, false, err
		}
		if len(keys)*len(values) > combinationsMax {
			return nil, false, nil
		}
		var next [][]types.Value
		for _, k := range keys {
			for _, v := range values {
				next = append(next, append(slices.Clone(k), v))
			}
		}
		keys = next
	}
	return keys, true, nil
}

func condValues(ctx context.Context, env *exec.Env, cond plan.KeyCond) ([]types.Value, error) {
	var out []types.Value
	add := func(v types.Value) {
		if !v.IsNull() {
			out = append(out, v)
		}
	}
	for _, e := range cond.Values {
		v, err := exec.EvalConst(ctx, e, env)
		if err != nil {
			return nil, err
		}
		add(v)
	}
	if cond.Array == nil {
		return out, nil
	}
	v, err := exec.EvalConst(ctx, cond.Array, env)
	if err != nil || v.IsNull() {
		return out, err
	}
	for _, x := range v.AsArray().Elems {
		add(x)
	}
	return out, nil
}

// owner gives the shard that owns a unit in the statement's map.
func (s *statement) owner(u placement.Unit) (cluster.ShardID, error) { return ownerOf(s.m, u) }

func ownerOf(m *cluster.Map, u placement.Unit) (cluster.ShardID, error) {
	var o cluster.Owner
	if u.Space == 0 {
		if int(u.N) < len(m.Slots) {
			o = m.Slots[u.N]
		}
	} else {
		o, _ = m.Cell(u.Space, u.N)
	}
	if o.Shard == cluster.None {
		return cluster.None, staleUnit(m, u)
	}
	return o.Shard, nil
}

// staleUnit says that a unit has no owner in the router's map: a newer one may name it.
func staleUnit(m *cluster.Map, u placement.Unit) error {
	return types.Errorf("ZH001", "%s has no owner in version %d of the cluster map", u, m.Version)
}

// allOwners adds every shard that owns rows of a relation.
func (s *statement) allOwners(p *placement.Placer, rel *catalog.Relation, found *targetSet) error {
	if !p.Own() {
		for _, o := range s.m.Slots {
			if o.Shard != cluster.None {
				found.add(o.Shard)
			}
		}
		return nil
	}
	set := s.m.CellSets[uint32(rel.OID)]
	if len(set.Cells) == 0 {
		return staleUnit(s.m, placement.Unit{Space: uint32(rel.OID)})
	}
	for _, c := range set.Cells {
		if c.Shard != cluster.None {
			found.add(c.Shard)
		}
	}
	return nil
}

// allOwnersOne adds one of the shards that own rows of a relation.
func (s *statement) allOwnersOne(p *placement.Placer, rel *catalog.Relation, found *targetSet) error {
	var all targetSet
	if err := s.allOwners(p, rel, &all); err != nil {
		return err
	}
	if list := all.list(); len(list) > 0 {
		found.add(list[0].shard)
	}
	return nil
}

// nearTargets chooses the cells of a nearest-neighbour search: those that hold the wanted
// share of the neighbours, and every cell whose rows are not where their vectors belong.
// rest are the others, for a search that comes back short.
func (s *statement) nearTargets(ctx context.Context, env *exec.Env, g *plan.Gather) (near, rest []target, err error) {
	rel := g.Rels[0].Rel
	p, err := s.r.placer(s.m, rel)
	if err != nil {
		return nil, nil, err
	}
	var all targetSet
	if rel.Placement.Strategy != catalog.Vector || !p.Trained() {
		if err := s.routeTargets(ctx, env, g, g.Rels[0], &all); err != nil {
			return nil, nil, err
		}
		s.note(g, len(all.shards), 0, 0, "")
		return all.list(), nil, nil
	}
	route, err := s.nearCells(ctx, env, g, p)
	if err != nil {
		return nil, nil, err
	}
	var chosen, others targetSet
	set, total := s.m.CellSets[uint32(rel.OID)], 0
	for _, o := range set.Cells {
		cell, trained := o.Cell, o.Cell >= placement.UntrainedCells
		unsettled := rel.Placement.State != catalog.Trained && !slices.Contains(route.Rest, cell)
		if trained || rel.Placement.State != catalog.Trained { // the others are empty
			total++
		}
		switch {
		case slices.Contains(route.Cells, cell) || unsettled:
			chosen.addCell(o.Shard, rel.OID, cell)
		case trained && slices.Contains(route.Rest, cell) || !trained:
			others.addCell(o.Shard, rel.OID, cell)
		}
	}
	asked := 0
	for _, c := range chosen.shards {
		asked += len(c[rel.OID])
	}
	s.note(g, len(chosen.shards), asked, total, route.Reason)
	return chosen.list(), others.list(), nil
}

// nearCells asks the partitioner which cells hold the neighbours of the query.
func (s *statement) nearCells(ctx context.Context, env *exec.Env, g *plan.Gather, p *placement.Placer) (vectorpart.Route, error) {
	rel := g.Rels[0].Rel
	part, err := s.r.partitioner(s.m, rel, p)
	if err != nil {
		return vectorpart.Route{}, err
	}
	all := vectorpart.Route{Reason: "all cells: exact"}
	for _, c := range part.Set().Cells {
		all.Cells = append(all.Cells, c.ID)
	}
	recall := 0.95
	if text, ok := s.t.o.Info.Raw("helios.recall_target"); ok {
		if recall, err = strconv.ParseFloat(text, 64); err != nil {
			return all, types.Errorf("22023", "invalid value for parameter \"helios.recall_target\": %q", text)
		}
	}
	q, err := exec.EvalConst(ctx, g.KNN.Query, env)
	if err != nil {
		return all, err
	}
	if recall >= 1 || s.t.s.exact() || q.IsNull() || q.Kind() != types.KindVector {
		return all, nil
	}
	if op := metricOperators[rel.Placement.Metric]; op != "" && op != g.KNN.Op {
		all.Reason = fmt.Sprintf("all cells: they were made for %s, not for %s", op, g.KNN.Op)
		return all, nil
	}
	k, err := rowsWanted(ctx, env, g.KNN)
	if err != nil {
		return all, err
	}
	if k == math.MaxInt64 {
		all.Reason = "all cells: no limit"
		return all, nil
	}
	route, err := part.Route(q.AsVector(), int(min(max(k, 1), 1<<20)), recall)
	if err != nil {
		return all, types.Errorf("22000", "%s", err)
	}
	return route, nil
}

var metricOperators = map[string]string{"l2": "<->", "cosine": "<=>", "ip": "<#>"}

// partitionerKey names a compiled partitioner: it changes with the table's cells and with
// their owners.
type partitionerKey struct {
	rel       *catalog.Relation
	ownership uint64
}

// partitioner gives the trained cells with their owners in a map.
func (r *Router) partitioner(m *cluster.Map, rel *catalog.Relation, p *placement.Placer) (*vectorpart.Partitioner, error) {
	key := partitionerKey{rel, m.Ownership}
	if part, ok := r.catalogs.partitioners.Load(key); ok {
		return part.(*vectorpart.Partitioner), nil
	}
	owners := m.CellSets[uint32(rel.OID)]
	part, err := p.Partitioner(owners)
	if err != nil {
		return nil, types.Errorf("ZH001", "cells of table %q: %w", rel.Name, err)
	}
	// Cells that the set no longer has, or never had, are chosen by the table's state.
	trained := cluster.CellSet{Generation: owners.Generation}
	for _, o := range owners.Cells {
		if _, ok := part.Set().Cell(o.Cell); ok {
			trained.Cells = append(trained.Cells, o)
		}
	}
	if part, err = part.WithOwners(trained); err != nil {
		return nil, types.Errorf("XX000", "cells of table %q: %w", rel.Name, err)
	}
	r.catalogs.partitioners.Clear() // older maps are not asked for again
	r.catalogs.partitioners.Store(key, part)
	return part, nil
}
