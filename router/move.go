package router

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/types"
)

// moveBatch is how many rows one transaction moves.
const moveBatch = 256

// movePass moves the rows of all cells that hold rows of other cells, as far as nobody
// holds them locked; left is how many remain.
func (t *trainer) movePass(ctx context.Context) (moved int, left int64, err error) {
	m, err := t.r.clusterMap()
	if err != nil {
		return 0, 0, err
	}
	sources, err := t.foreignCells(m)
	if err != nil {
		return 0, 0, err
	}
	for id, cells := range sources {
		for {
			n, err := t.moveSome(ctx, id, cells)
			if moved += n; err != nil {
				if types.CodeOf(err) == "40001" || types.CodeOf(err) == "40P01" || passing(err) || judge(err) == staleMap {
					break // the next pass tries again, with the newest map
				}
				return moved, 0, err
			}
			if n == 0 {
				break
			}
		}
	}
	if err := t.r.refresh(ctx, m); err != nil {
		return moved, 0, err
	}
	left, err = t.countForeign(ctx)
	return moved, left, err
}

// foreignCells lists, by owner, the cells whose rows with a vector belong elsewhere: those
// from before the training and those of former trainings.
func (t *trainer) foreignCells(m *cluster.Map) (map[cluster.ShardID][]uint32, error) {
	p, err := t.r.placer(m, t.rel)
	if err != nil {
		return nil, err
	}
	home := map[uint32]bool{}
	for _, u := range p.Units() {
		home[u.N] = u.N >= placement.UntrainedCells
	}
	out := map[cluster.ShardID][]uint32{}
	for _, c := range m.CellSets[uint32(t.rel.OID)].Cells {
		if !home[c.Cell] {
			out[c.Shard] = append(out[c.Shard], c.Cell)
		}
	}
	return out, nil
}

// foreignQuery reads whole rows with their cells, locking them.
func (t *trainer) foreignQuery() (remote.Statement, []types.Type) {
	s := sqlOf(t.rel)
	text := "SELECT "
	var columns []types.Type
	for _, i := range visibleAttrs(t.rel) {
		text += column(t.rel.Columns[i].Name) + ", "
		columns = append(columns, t.rel.Columns[i].Type)
	}
	text += "t.helios_slot FROM " + s.name + " AS t WHERE " + t.vector() + " IS NOT NULL LIMIT " +
		strconv.Itoa(moveBatch) + " FOR UPDATE SKIP LOCKED"
	return remote.Statement{SQL: text, Result: remote.Binary}, append(columns, types.T(types.Int4OID))
}

func (t *trainer) vector() string {
	return column(t.rel.Columns[t.rel.Placement.VectorColumn-1].Name)
}

// moveSome moves some rows of a shard's cells in one transaction.
func (t *trainer) moveSome(ctx context.Context, id cluster.ShardID, cells []uint32) (int, error) {
	tx := t.r.internal()
	m, err := t.r.clusterMap()
	if err != nil {
		return 0, err
	}
	s := &statement{t: tx, r: t.r, m: m, settings: tx.settings(), schema: t.r.Catalog().Version()}
	changes, err := t.lockSome(ctx, s, id, cells)
	if err == nil && len(changes) > 0 {
		_, err = s.change(ctx, t.rel, changes, nil)
	}
	if err != nil || len(changes) == 0 {
		return 0, errors.Join(err, tx.Rollback(ctx))
	}
	if err := tx.Commit(ctx); err != nil {
		return 0, err
	}
	return len(changes), nil
}

// lockSome locks and reads rows to move.
func (t *trainer) lockSome(ctx context.Context, s *statement, id cluster.ShardID, cells []uint32) ([]exec.Change, error) {
	st, columns := t.foreignQuery()
	attrs := visibleAttrs(t.rel)
	var changes []exec.Change
	w := s.newWork()
	w.add(id, st, cellChoice{t.rel.OID: slices.Clone(cells)}, func(a answer) error {
		for _, raw := range a.rows {
			row := make(types.Row, len(t.rel.Columns))
			var slot int64
			for i, b := range raw {
				if b == nil {
					continue
				}
				v, err := types.ParseBinary(columns[i], b)
				if err != nil {
					return err
				}
				if i < len(attrs) {
					row[attrs[i]] = v
				} else {
					slot = v.AsInt()
				}
			}
			changes = append(changes, exec.Change{Old: row, New: row, Slot: int32(slot)})
		}
		return nil
	})
	return changes, w.run(ctx, false)
}

// countForeign counts the rows that are not where their vectors belong.
func (t *trainer) countForeign(ctx context.Context) (int64, error) {
	m, err := t.r.clusterMap()
	if err != nil {
		return 0, err
	}
	sources, err := t.foreignCells(m)
	if err != nil {
		return 0, err
	}
	tx := t.r.internal()
	s := &statement{t: tx, r: t.r, m: m, settings: tx.settings()}
	var left int64
	w := s.newWork()
	w.reads = true
	query := "SELECT count(*) FROM " + sqlOf(t.rel).name + " AS t WHERE " + t.vector() + " IS NOT NULL"
	for id, cells := range sources {
		w.add(id, remote.Statement{SQL: query}, cellChoice{t.rel.OID: cells}, func(a answer) error {
			n, err := strconv.ParseInt(string(a.rows[0][0]), 10, 64)
			left += n
			return err
		})
	}
	return left, w.run(ctx, false)
}
