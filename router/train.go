package router

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/heliosdb/helios/centroids"
	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/distance"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/vectorpart"
)

// Training. A vector-placed table begins with untrained cells that are filled by the hash
// of the primary key and asked by every search. Train makes cells by k-means over a
// sample, learns where neighbours lie, and stores both in the catalog of every shard; from
// then on new rows go to the cells of their vectors. The rows that are there already
// follow in small transactions, each an UPDATE that changes nothing but the place, so
// that readers and writers go on meanwhile.

const (
	sampleMax    = 30_000 // vectors that cells are trained on
	rowsPerCell  = 4_000  // without a number of cells given
	cellsByShard = 16     // at least so many for each shard
	moveRows     = 500    // rows of one transaction of the mover
)

// Train gives a vector-placed table its cells; cells 0 lets it choose their number.
func (r *Router) Train(ctx context.Context, info *session.Info, name string, cells int) error {
	t := &training{r: r, info: info}
	if err := t.find(name); err != nil {
		return err
	}
	sample, rows, err := t.sample(ctx)
	if err != nil {
		return err
	}
	if len(sample) == 0 {
		return types.Errorf("55000", "table %q has no vectors to train on", t.rel.Name)
	}
	m, err := r.clusterMap()
	if err != nil {
		return err
	}
	switch {
	case cells > 0:
	case t.rel.Placement.NumCentroids > 0:
		cells = t.rel.Placement.NumCentroids
	default:
		cells = max(cellsByShard*len(serving(m)), int(rows/rowsPerCell))
	}
	t.notice("training %d cells on %d of %d vectors", cells, len(sample), rows)
	if err := t.train(sample, cells, rows); err != nil {
		return err
	}
	if err := t.assign(ctx, m); err != nil {
		return err
	}
	if err := t.place(ctx, catalog.Moving, t.blob); err != nil {
		return err
	}
	if err := t.moveRows(ctx); err != nil {
		return err
	}
	return t.place(ctx, catalog.Trained, nil)
}

// training is one run of Train.
type training struct {
	r    *Router
	info *session.Info
	rel  *catalog.Relation
	col  string // the vector column, quoted
	set  *centroids.Set
	blob []byte
}

func (t *training) notice(format string, args ...any) {
	t.info.Notice(&types.Error{Code: "00000", Severity: "NOTICE", Message: fmt.Sprintf(format, args...)})
}

// find resolves the table's name as written in CALL.
func (t *training) find(name string) error {
	parsed, err := sql.ParseOne("SELECT * FROM " + name)
	if err != nil {
		return types.Errorf("42602", "invalid table name %q", name)
	}
	from, ok := parsed.(*sql.Select)
	if !ok || len(from.From) != 1 {
		return types.Errorf("42602", "invalid table name %q", name)
	}
	table, ok := from.From[0].(*sql.Table)
	if !ok {
		return types.Errorf("42602", "invalid table name %q", name)
	}
	rel, err := t.r.Catalog().Resolve(t.info.SearchPath(), table.Name)
	if err != nil {
		return err
	}
	if rel.Placement.Strategy != catalog.Vector {
		return types.Errorf("42809", "table %q is not placed by vector", rel.Name).
			WithHint("CREATE TABLE … WITH (helios.strategy = 'vector').")
	}
	if rel.Placement.State != catalog.Untrained && rel.Placement.State != "" && rel.Placement.State != catalog.Moving {
		return types.Errorf("0A000", "table %q is trained already; training it again is not supported yet", rel.Name)
	}
	t.rel = rel
	t.col = sql.QuoteIdent(rel.Columns[rel.Placement.VectorColumn-1].Name)
	return nil
}

func (t *training) table() string { return sql.Name{t.rel.Schema, t.rel.Name}.String() }

// sample reads vectors from all shards, each row with the same chance.
func (t *training) sample(ctx context.Context) (sample [][]float32, rows int64, err error) {
	err = t.query(ctx, fmt.Sprintf("SELECT count(*) FROM %s WHERE %s IS NOT NULL", t.table(), t.col), func(row types.Row) error {
		rows = row[0].AsInt()
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	text := fmt.Sprintf("SELECT %s FROM %s WHERE %s IS NOT NULL", t.col, t.table(), t.col)
	if rows > sampleMax {
		text += fmt.Sprintf(" AND random() < %g", float64(sampleMax)/float64(rows))
	}
	err = t.query(ctx, text, func(row types.Row) error {
		sample = append(sample, row[0].AsVector())
		return nil
	})
	return sample, rows, err
}

// train computes cells and coverage; equal samples give equal cells.
func (t *training) train(sample [][]float32, cells int, rows int64) error {
	metric := distance.L2
	switch t.rel.Placement.Metric {
	case "cosine":
		metric = distance.Cosine
	case "ip":
		metric = distance.InnerProduct
	}
	const seed = 1
	var err error
	t.set, err = centroids.Train(sample, centroids.Options{
		K: cells, Metric: metric, Seed: seed, FirstID: placement.UntrainedCells, Generation: uint64(t.rel.Placement.Generation) + 1,
	})
	if err != nil {
		return types.Errorf("22000", "cannot train cells: %s", err)
	}
	coverage, err := vectorpart.Learn(t.set, sample, seed)
	if err != nil {
		return types.Errorf("22000", "cannot learn the cells' neighbourhoods: %s", err)
	}
	t.blob = vectorpart.Encode(t.set, coverage)
	return nil
}

// assign gives the new cells owners, cells that are near one another the same; the
// untrained ones keep theirs until they are empty, and then for rows without a vector.
func (t *training) assign(ctx context.Context, m *cluster.Map) error {
	var shards []vectorpart.Shard
	for _, s := range m.Shards {
		if s.State == cluster.Active && s.Weight > 0 {
			shards = append(shards, vectorpart.Shard{ID: s.ID, Weight: s.Weight})
		}
	}
	owners, err := vectorpart.Assign(t.set, shards)
	if err != nil {
		return types.Errorf("55000", "cannot assign cells to shards: %s", err)
	}
	next := cluster.CellSet{Generation: t.set.Generation}
	old := m.CellSets[uint32(t.rel.OID)]
	for _, c := range old.Cells {
		if _, again := owners[c.Cell]; !again {
			next.Cells = append(next.Cells, c)
		}
	}
	for cell, id := range owners {
		epoch := uint32(1)
		if was, ok := old.Owner(cell); ok {
			if epoch = was.Epoch; was.Shard != id {
				epoch++
			}
		}
		next.Cells = append(next.Cells, cluster.CellOwner{Cell: cell, Owner: cluster.Owner{Shard: id, Epoch: epoch}})
	}
	next.Generation = max(next.Generation, old.Generation)
	return t.r.o.AssignUnits(ctx, uint32(t.rel.OID), next)
}

// place changes the table's placement in the catalogs of all shards, in one distributed
// transaction.
func (t *training) place(ctx context.Context, state string, blob []byte) error {
	text := fmt.Sprintf(`SELECT helios.set_placement(%d, '%s', %d, '\x%s'::bytea)`,
		t.rel.OID, state, t.set.Generation, hex.EncodeToString(blob))
	limit := time.Now().Add(t.r.o.Limits.Hold)
	for {
		err := t.placeOnce(ctx, text)
		if !errors.Is(err, errStaleCatalog) && types.CodeOf(err) != "40001" && types.CodeOf(err) != "ZH001" || time.Now().After(limit) {
			return public(err)
		}
		if err := t.r.reload(ctx, 0); err != nil {
			return err
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

func (t *training) placeOnce(ctx context.Context, text string) error {
	tx := t.r.begin(session.TxOptions{Info: t.info})
	m, err := t.r.clusterMap()
	if err != nil {
		return err
	}
	d := &definition{s: &statement{t: tx, r: t.r, m: m, zone: tx.zone(), env: t.env(tx)}, t: tx, before: tx.Catalog()}
	tx.running = d.s
	if err := d.onShards(ctx, text); err != nil {
		return errors.Join(err, tx.Rollback(ctx))
	}
	tx.EndStatement(nil)
	tx.ddl = true
	return tx.Commit(ctx)
}

// moveRows takes the rows of untrained cells to where their vectors belong. What writers
// put there meanwhile under an older catalog is found by looking again until a look finds
// nothing.
func (t *training) moveRows(ctx context.Context) error {
	done := 0
	for cell := range placement.UntrainedCells {
		for {
			n, err := t.moveSome(ctx, cell)
			if types.CodeOf(err) == "40001" || types.CodeOf(err) == "40P01" {
				continue // a writer was faster; its row is looked at again
			}
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			done += n
		}
		t.notice("moved %d rows, %d of %d old cells are done", done, cell+1, placement.UntrainedCells)
	}
	return nil
}

// moveSome moves up to moveRows rows of a cell in one transaction.
func (t *training) moveSome(ctx context.Context, cell int) (int, error) {
	var keys string
	for i, k := range t.rel.PrimaryKey.Keys {
		if i > 0 {
			keys += ", "
		}
		keys += sql.QuoteIdent(t.rel.Columns[k.Column-1].Name)
	}
	from := fmt.Sprintf("%s WHERE helios_slot = %d AND %s IS NOT NULL", t.table(), cell, t.col)
	text := fmt.Sprintf("UPDATE %s SET %s = %s WHERE helios_slot = %d AND (%s) IN (SELECT %s FROM %s LIMIT %d)",
		t.table(), t.col, t.col, cell, keys, keys, from, moveRows)
	var n int64
	err := t.run(ctx, text, func(res *exec.Result) error {
		n = res.Count()
		return nil
	})
	return int(n), err
}

// query runs a reading statement as the session's user and gives each row.
func (t *training) query(ctx context.Context, text string, row func(types.Row) error) error {
	return t.run(ctx, text, func(res *exec.Result) error {
		for {
			batch, err := res.Rows.Next(ctx)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			for _, r := range batch {
				if err := row(r); err != nil {
					return err
				}
			}
		}
	})
}

// run runs a statement in a transaction of its own.
func (t *training) run(ctx context.Context, text string, use func(*exec.Result) error) error {
	tx := t.r.begin(session.TxOptions{Implicit: true, Info: t.info})
	err := t.runIn(ctx, tx, text, use)
	tx.EndStatement(err)
	if err != nil {
		return errors.Join(err, tx.Rollback(ctx))
	}
	return tx.Commit(ctx)
}

func (t *training) runIn(ctx context.Context, tx *Tx, text string, use func(*exec.Result) error) error {
	parsed, err := sql.ParseOne(text)
	if err != nil {
		return err
	}
	env := t.env(tx)
	q, err := plan.Bind(parsed, plan.Env{
		Catalog: tx.Catalog(), SearchPath: []string{"pg_catalog"}, Functions: t.r.Functions(), Builtin: env.Builtin,
	})
	if err != nil {
		return err
	}
	res, err := tx.Query(ctx, q, env)
	if err != nil {
		return err
	}
	return errors.Join(use(res), res.Rows.Close())
}

func (t *training) env(tx *Tx) *exec.Env {
	now := time.Now()
	return &exec.Env{Builtin: &builtin.Context{
		Now: now, TxnStart: now, User: t.info.User(), SessionUser: t.info.SessionUser(), Database: t.info.Database,
		SearchPath: []string{"pg_catalog"}, Catalog: t.r.Lookup(tx.Catalog(), t.info),
	}}
}
