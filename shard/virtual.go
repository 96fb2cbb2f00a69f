package shard

import (
	"context"

	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// catalogRowsOID numbers the one virtual relation of the shard itself.
const catalogRowsOID = 16400

// preparedXactsOID is pg_catalog.pg_prepared_xacts.
const preparedXactsOID = 12090

// ownRelations defines helios.catalog_rows, from which a router loads the catalog.
func ownRelations() []*catalog.Relation {
	return []*catalog.Relation{{
		OID: catalogRowsOID, Schema: "helios", Name: "catalog_rows", Kind: catalog.KindTable, Virtual: true,
		Owner: catalog.SuperuserOID,
		Columns: []catalog.Column{
			{Num: 1, Name: "key", Type: types.T(types.ByteaOID)},
			{Num: 2, Name: "value", Type: types.T(types.ByteaOID)},
		},
	}}
}

// virtual scans a relation that code provides.
func (e *Engine) virtual(ctx context.Context, t *Tx, n *plan.Scan, filter func(types.Row) (bool, error)) (exec.Rows, error) {
	rows, err := e.virtualRows(ctx, t, n.Rel)
	if err != nil {
		return nil, err
	}
	var out []types.Row
	for _, row := range rows {
		shown := make(types.Row, len(n.Attrs))
		for i, a := range n.Attrs {
			switch a {
			case plan.AttrTableOID:
				shown[i] = types.Int(int64(n.Rel.OID))
			case plan.AttrSlot:
				shown[i] = types.Int(0)
			default:
				shown[i] = row[a]
			}
		}
		pass, err := filter(shown)
		if err != nil {
			return nil, err
		}
		if pass {
			out = append(out, shown)
		}
	}
	return exec.SliceRows(out), nil
}

func (e *Engine) virtualRows(ctx context.Context, t *Tx, rel *catalog.Relation) ([]types.Row, error) {
	if rel.OID == catalogRowsOID {
		if !e.trusted(t.o.Info) {
			return nil, types.Errorf("42501", "permission denied for table catalog_rows")
		}
		return e.catalogRows()
	}
	if rel.OID == preparedXactsOID {
		return e.preparedRows(t)
	}
	if e.o.Views != nil {
		if rows, ok, err := e.o.Views(ctx, t.o.Info, rel); ok || err != nil {
			return rows, err
		}
	}
	return e.view(t.Catalog()).Rows(rel, t.o.Info)
}

// catalogRows are the stored rows of the newest catalog.
func (e *Engine) catalogRows() ([]types.Row, error) {
	sn := e.store().Snapshot(e.store().Visible(), skipIntents)
	defer sn.Close()
	it := sn.Scan([]byte{catalogPrefix}, []byte{catalogPrefix + 1}, false)
	defer it.Close()
	var out []types.Row
	for it.Next() {
		v := it.Version()
		out = append(out, types.Row{
			types.Bytes(append([]byte(nil), v.Key[1:]...)), types.Bytes(append([]byte(nil), v.Value...)),
		})
	}
	return out, it.Err()
}

// preparedRows are the transactions that this shard has prepared and whose outcome it does
// not know yet. They have no number and belong to the cluster, not to a role.
func (e *Engine) preparedRows(t *Tx) ([]types.Row, error) {
	list, err := e.Prepared()
	if err != nil {
		return nil, err
	}
	database := types.Text(t.Catalog().Database().Name)
	var out []types.Row
	for _, p := range list {
		out = append(out, types.Row{types.Int(0), types.Text(p.GID), types.FromTime(p.Time.Time()), types.Text(RouterRole), database})
	}
	return out, nil
}
