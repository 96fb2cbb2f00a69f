package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/heliosdb/helios/centroids"
	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/distance"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/vectorpart"
)

// trainer makes the cells of a vector-placed table and moves its rows there.
//
// Outline:
//
//	sample the vectors, train centroids, learn where neighbours lie
//	cluster map: who owns the new cells, near ones together
//	catalog: the new cells, state moving; statements that begin from here on write rows
//	    where their vectors belong, and searches ask the old cells as well
//	wait on each shard for the transactions that had written to the table before
//	rows in other cells: locked, deleted, inserted and relocated, a few in a transaction
//	catalog: state trained
type trainer struct {
	r      *Router
	rel    *catalog.Relation
	cells  int
	notice func(string)
}

// Train makes cells for a vector-placed table: cells of them or, for 0, as many as its
// option says or its rows ask for. It returns when every row is in its cell; a training
// that was cut short is finished by the next one. The session is told of progress.
func (r *Router) Train(ctx context.Context, info *session.Info, table string, cells int) error {
	rel, err := r.findTable(table, info.SearchPath())
	if err != nil {
		return err
	}
	notice := func(text string) {
		info.Notice(&types.Error{Code: "00000", Severity: "NOTICE", Message: text})
	}
	t := &trainer{r: r, rel: rel, cells: cells, notice: notice}
	if rel.Placement.Strategy != catalog.Vector {
		return types.Errorf("42809", "table %q is not placed by vector", rel.Name).
			WithHint("CREATE TABLE … WITH (helios.shard_key = 'column') with a vector column places rows by it.")
	}
	if r.o.AssignUnits == nil {
		return types.Errorf("0A000", "this router cannot write the cluster map")
	}
	if err := t.makeCells(ctx); err != nil {
		return public(err)
	}
	if err := t.waitWriters(ctx); err != nil {
		return public(err)
	}
	if err := t.moveRows(ctx); err != nil {
		return public(err)
	}
	if err := t.setPlacement(ctx, catalog.Trained, t.rel.Placement.Generation, nil); err != nil {
		return public(err)
	}
	return public(t.dropRetired(ctx))
}

// findTable finds a table by its written name.
func (r *Router) findTable(table string, path []string) (*catalog.Relation, error) {
	e, err := sql.ParseExpr(table)
	ref, ok := e.(*sql.ColumnRef)
	if err != nil || !ok || ref.Star {
		return nil, types.Errorf("42602", "invalid name of a table: %q", table)
	}
	return r.Catalog().Resolve(path, ref.Parts)
}

// makeCells trains, and puts the new cells in force.
func (t *trainer) makeCells(ctx context.Context) error {
	sample, rows, err := t.sample(ctx)
	if err != nil {
		return err
	}
	m, err := t.r.clusterMap()
	if err != nil {
		return err
	}
	old := m.CellSets[uint32(t.rel.OID)]
	first := uint32(placement.UntrainedCells)
	for _, c := range old.Cells {
		first = max(first, c.Cell+1)
	}
	generation := uint64(t.rel.Placement.Generation) + 1
	set, err := centroids.Train(sample, centroids.Options{
		K: t.cellCount(m, rows), Metric: metrics[t.rel.Placement.Metric], FirstID: first, Generation: generation, Seed: generation,
	})
	if err != nil {
		return types.Errorf("22000", "cannot train table %q: %w", t.rel.Name, err)
	}
	var coverage *vectorpart.Coverage
	if len(sample) >= learnMin {
		if coverage, err = vectorpart.Learn(set, sample, generation); err != nil {
			return types.Errorf("22000", "cannot learn the neighbourhoods of table %q: %w", t.rel.Name, err)
		}
	}
	t.notice(fmt.Sprintf("%d cells trained on %d of %d vectors", len(set.Cells), len(sample), rows))
	if err := t.assign(ctx, m, old, set); err != nil {
		return err
	}
	return t.setPlacement(ctx, catalog.Moving, uint32(generation), vectorpart.Encode(set, coverage))
}

// waitWriters waits for the transactions that may have written rows to the old cells. It
// locks nothing, so it can stand in nobody's way.
func (t *trainer) waitWriters(ctx context.Context) error {
	m, err := t.r.clusterMap()
	if err != nil {
		return err
	}
	for _, id := range serving(m) {
		err := t.r.until(ctx, func() error {
			_, err := t.r.ask(ctx, id, "SELECT helios.wait_writers($1)", param(types.T(types.OIDOID), types.Int(int64(t.rel.OID))))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// learnMin is the least sample that vectorpart learns from.
const learnMin = 100

var metrics = map[string]distance.Metric{"": distance.L2, "l2": distance.L2, "cosine": distance.Cosine, "ip": distance.InnerProduct}

// rowsPerCell is how many rows a cell has when nobody says how many cells there are.
const rowsPerCell = 4000

func (t *trainer) cellCount(m *cluster.Map, rows int64) int {
	switch {
	case t.cells > 0:
		return t.cells
	case t.rel.Placement.NumCentroids > 0:
		return t.rel.Placement.NumCentroids
	}
	return int(max(int64(16*len(serving(m))), rows/rowsPerCell))
}

const (
	sampleMin     = 10000
	samplePerCell = 256
)

// sample reads a random part of the vectors from all shards, and counts them all.
func (t *trainer) sample(ctx context.Context) (sample [][]float32, rows int64, err error) {
	m, err := t.r.clusterMap()
	if err != nil {
		return nil, 0, err
	}
	name := sql.Name{t.rel.Schema, t.rel.Name}.String()
	vector := column(t.rel.Columns[t.rel.Placement.VectorColumn-1].Name)
	for _, id := range serving(m) {
		text, err := t.r.ask(ctx, id, "SELECT count("+vector+") FROM "+name+" AS t")
		if err != nil {
			return nil, 0, err
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, 0, types.Errorf("XX000", "shard %d gave %q as a count", id, text)
		}
		rows += n
	}
	if rows == 0 {
		return nil, 0, types.Errorf("55000", "table %q has no vectors to train on", t.rel.Name)
	}
	want := max(sampleMin, samplePerCell*t.cellCount(m, rows))
	share := min(1, float64(want)/float64(rows))
	st := remote.Statement{
		SQL:    "SELECT " + vector + " FROM " + name + " AS t WHERE " + vector + " IS NOT NULL AND random() < $1::float8",
		Params: []remote.Param{textParam(strconv.FormatFloat(share, 'f', -1, 64))}, Result: remote.Binary,
	}
	if share == 1 {
		st = remote.Statement{SQL: "SELECT " + vector + " FROM " + name + " AS t WHERE " + vector + " IS NOT NULL", Result: remote.Binary}
	}
	for _, id := range serving(m) {
		part, err := t.vectors(ctx, id, st)
		for judge(err) == newer && sleep(ctx, 10*time.Millisecond) == nil { // a commit is on its way there
			part, err = t.vectors(ctx, id, st)
		}
		if err != nil {
			return nil, 0, err
		}
		sample = append(sample, part...)
	}
	return sample, rows, nil
}

func (t *trainer) vectors(ctx context.Context, id cluster.ShardID, st remote.Statement) (out [][]float32, err error) {
	err = t.r.o.Shards.Do(ctx, id, remote.Primary, func(c *remote.Conn) error {
		rows, err := askOn(ctx, c, st)
		if err != nil {
			return err
		}
		out = nil
		for _, raw := range rows {
			if len(raw[0]) == 0 { // helios.ctx has answered
				continue
			}
			v, err := types.ParseBinary(types.T(types.VectorOID), raw[0])
			if err != nil {
				return err
			}
			out = append(out, v.AsVector())
		}
		return nil
	})
	return out, err
}

// assign deals the new cells to the active shards; the old ones stay where they are.
func (t *trainer) assign(ctx context.Context, m *cluster.Map, old cluster.CellSet, set *centroids.Set) error {
	var shards []vectorpart.Shard
	for _, s := range m.Shards {
		if s.State == cluster.Active {
			shards = append(shards, vectorpart.Shard{ID: s.ID, Weight: s.Weight})
		}
	}
	owners, err := vectorpart.Assign(set, shards)
	if err != nil {
		return types.Errorf("XX000", "cannot deal the cells of table %q: %w", t.rel.Name, err)
	}
	next := cluster.CellSet{Generation: set.Generation, Cells: slices.Clone(old.Cells)}
	for _, c := range set.Cells {
		next.Cells = append(next.Cells, cluster.CellOwner{Cell: c.ID, Owner: cluster.Owner{Shard: owners[c.ID], Epoch: 1}})
	}
	return t.r.o.AssignUnits(ctx, uint32(t.rel.OID), next)
}

// internal begins a transaction of the router's own.
func (r *Router) internal() *Tx {
	s := &sessionState{}
	s.mu.current = map[types.OID]int64{}
	return &Tx{r: r, s: s, links: map[cluster.ShardID]*link{}}
}

// setPlacement changes the table's placement in the catalog on all shards. The table's
// lock keeps writers out meanwhile: whoever writes afterwards has planned with the new one.
func (t *trainer) setPlacement(ctx context.Context, state string, generation uint32, blob []byte) error {
	err := t.r.until(ctx, func() error {
		tx := t.r.internal()
		err := t.changePlacement(ctx, tx, state, generation, blob)
		if err == nil {
			tx.ddl = true
			return tx.Commit(ctx)
		}
		return errors.Join(err, tx.Rollback(ctx))
	})
	if err != nil {
		return err
	}
	rel, ok := t.r.Catalog().ByOID(t.rel.OID)
	if !ok {
		return types.Errorf("42P01", "table %q was dropped while it was trained", t.rel.Name)
	}
	t.rel = rel
	return nil
}

func (t *trainer) changePlacement(ctx context.Context, tx *Tx, state string, generation uint32, blob []byte) error {
	if err := tx.onAll(ctx, "SELECT helios.lock_catalog()", true); err != nil {
		return err
	}
	m, err := t.r.clusterMap()
	if err != nil {
		return err
	}
	w := (&statement{t: tx, r: t.r, m: m, settings: tx.settings()}).newWork()
	st := remote.Statement{SQL: "SELECT helios.set_placement($1, $2, $3, $4)", Params: []remote.Param{
		param(types.T(types.OIDOID), types.Int(int64(t.rel.OID))), textParam(state),
		param(types.T(types.Int4OID), types.Int(int64(generation))), param(types.T(types.ByteaOID), types.Bytes(append([]byte{}, blob...))),
	}}
	for _, id := range serving(m) {
		w.add(id, st, nil, nil)
	}
	return w.run(ctx, false)
}

// dropRetired takes the cells of former trainings off the map: they are empty.
func (t *trainer) dropRetired(ctx context.Context) error {
	m, err := t.r.clusterMap()
	if err != nil {
		return err
	}
	p, err := t.r.placer(m, t.rel)
	if err != nil {
		return err
	}
	live := map[uint32]bool{}
	for _, u := range p.Units() {
		live[u.N] = true
	}
	set := m.CellSets[uint32(t.rel.OID)]
	next := cluster.CellSet{Generation: set.Generation}
	for _, c := range set.Cells {
		if live[c.Cell] {
			next.Cells = append(next.Cells, c)
		}
	}
	if len(next.Cells) == len(set.Cells) {
		return nil
	}
	return t.r.o.AssignUnits(ctx, uint32(t.rel.OID), next)
}

// moveTries bounds how often rows that others hold locked are tried again.
const moveTries = 600

// again tells whether the mover met a change that another look will be beyond: a row that
// a writer has changed, a unit that has moved, a shard without primary.
func (t *trainer) again(ctx context.Context, err error) bool {
	switch judge(err) {
	case newer:
		t.r.hear(restartAt(err))
	case staleMap, noPrimary, neverSent, lostAnswer:
		if m := t.r.o.Map(); m != nil && t.r.refresh(ctx, m) != nil {
			return false
		}
	default:
		if code := types.CodeOf(err); code != "40001" && code != "40P01" && code != "55P03" {
			return false
		}
	}
	return sleep(ctx, 10*time.Millisecond) == nil
}

// moveRows moves rows until none lies in a cell that the table's cells do not contain.
func (t *trainer) moveRows(ctx context.Context) error {
	total := 0
	for range moveTries {
		moved, left, err := t.movePass(ctx)
		if err != nil && !t.again(ctx, err) {
			return err
		}
		if err != nil {
			continue
		}
		if total += moved; moved > 0 {
			t.notice(fmt.Sprintf("%d rows moved", total))
		}
		if left == 0 {
			return nil
		}
		if moved == 0 { // others hold their locks
			if err := sleep(ctx, 100*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return types.Errorf("55P03", "rows of table %q stay locked: the training is not finished", t.rel.Name).
		WithHint("End the transactions that hold them and CALL helios.train again.")
}
