package admin

import (
	"maps"
	"slices"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/reshard"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// shardRows are the rows of helios.shards: what each owns is counted in the map.
func shardRows(m *cluster.Map) []types.Row {
	if m == nil {
		return nil
	}
	slotCount, cellCount := map[cluster.ShardID]int64{}, map[cluster.ShardID]int64{}
	for _, o := range m.Slots {
		slotCount[o.Shard]++
	}
	for _, set := range m.CellSets {
		for _, c := range set.Cells {
			cellCount[c.Shard]++
		}
	}
	var rows []types.Row
	for _, s := range m.Shards {
		rows = append(rows, types.Row{
			types.Int(int64(s.ID)), types.Text(s.State.String()), types.Int(int64(s.Weight)), text(s.Zone), text(s.Primary),
			types.Int(int64(s.Term)), types.Int(slotCount[s.ID]), types.Int(cellCount[s.ID]), types.Int(int64(len(s.Nodes))),
		})
	}
	return rows
}

// slotRows are the rows of helios.slots.
func slotRows(m *cluster.Map) []types.Row {
	if m == nil {
		return nil
	}
	rows := make([]types.Row, len(m.Slots))
	for i, o := range m.Slots {
		rows[i] = types.Row{types.Int(int64(i)), positive(o.Shard), types.Int(int64(o.Epoch)), types.Text(o.State.String()), positive(o.To)}
	}
	return rows
}

// cellRows are the rows of helios.cells: the units of tables that are not placed by hash,
// of the kind that the table's placement says.
func cellRows(m *cluster.Map, cat *catalog.Catalog) []types.Row {
	if m == nil {
		return nil
	}
	var rows []types.Row
	for _, table := range slices.Sorted(maps.Keys(m.CellSets)) {
		name, kind := tableName(cat, types.OID(table))
		set := m.CellSets[table]
		for _, c := range set.Cells {
			rows = append(rows, types.Row{
				name, types.Int(int64(c.Cell)), positive(c.Shard), types.Int(int64(c.Epoch)), kind, lsn(set.Generation),
				types.Text(c.State.String()), positive(c.To),
			})
		}
	}
	return rows
}

// tableName names a table, its schema too unless that is public, and its kind of unit. A
// table that the catalog at hand does not know yet, or any more, goes by its number.
func tableName(cat *catalog.Catalog, oid types.OID) (name, kind types.Value) {
	if cat == nil {
		return types.Text(types.ToText(types.T(types.OIDOID), types.Int(int64(oid)))), types.Null
	}
	rel, ok := cat.ByOID(oid)
	if !ok {
		return tableName(nil, oid)
	}
	full := rel.Name
	if rel.Schema != "public" {
		full = rel.Schema + "." + rel.Name
	}
	return types.Text(full), text(string(rel.Placement.Strategy))
}

// jobRows are the rows of helios.reshard_jobs.
func jobRows(jobs []reshard.Job) []types.Row {
	var rows []types.Row
	for i := range jobs {
		j := &jobs[i]
		done, total, copied, bytes := j.Progress()
		pause, retries, failure := types.Null, 0, j.Error
		for _, m := range j.Moves {
			if m.PauseMS > 0 {
				pause = types.Int(m.PauseMS)
			}
			retries += m.Retries
			if failure == "" {
				failure = m.Error
			}
		}
		rows = append(rows, types.Row{
			lsn(j.ID), types.Text(string(j.State)), types.Int(int64(j.Target)), types.Int(int64(j.Streams)),
			types.Int(int64(done)), types.Int(int64(total)), types.Int(copied), types.Int(bytes), moment(j.Started), moment(j.Finished),
			pause, types.Int(int64(retries)), text(failure),
		})
	}
	return rows
}

// moveRows are the rows of helios.reshard_moves.
func moveRows(jobs []reshard.Job) []types.Row {
	var rows []types.Row
	for _, j := range jobs {
		for _, m := range j.Moves {
			rows = append(rows, types.Row{
				lsn(j.ID), types.Int(int64(m.ID)), positive(m.From), positive(m.To), types.Int(int64(len(m.Units))),
				types.Text(string(m.State)), types.Int(m.Rows), types.Int(m.Bytes), types.Int(m.PauseMS), types.Int(int64(m.Retries)), text(m.Error),
			})
		}
	}
	return rows
}

// planRows are the rows of helios.reshard_plan.
func planRows(moves []reshard.Move) []types.Row {
	var rows []types.Row
	for _, m := range moves {
		slots := 0
		for _, u := range m.Units {
			if u.Space == 0 {
				slots++
			}
		}
		rows = append(rows, types.Row{
			types.Int(int64(m.ID)), positive(m.From), positive(m.To), types.Int(int64(slots)), types.Int(int64(len(m.Units) - slots)),
		})
	}
	return rows
}
