package router

import (
	"context"

	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// Scan reads a relation that code provides; all others come through Gather.
func (s *statement) Scan(ctx context.Context, env *exec.Env, n *plan.Scan) (exec.Rows, error) {
	if !n.Rel.Virtual {
		return nil, types.Errorf("XX000", "a router was asked to scan %q", n.Rel.Name)
	}
	filter, err := exec.CompileFilter(ctx, n.Filter, env)
	if err != nil {
		return nil, err
	}
	rows, err := s.virtualRows(ctx, n.Rel)
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
				shown[i] = types.Null
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

func (s *statement) virtualRows(ctx context.Context, rel *catalog.Relation) ([]types.Row, error) {
	info := s.t.o.Info
	if s.r.o.Virtual != nil {
		if rows, ok, err := s.r.o.Virtual(ctx, info, rel); ok || err != nil {
			return rows, err
		}
	}
	if rel.Schema == "pg_catalog" && rel.Name == "pg_prepared_xacts" {
		return s.r.preparedRows(ctx, s.m, s.t.Catalog().Database().Name)
	}
	return s.r.viewOf(s.t.Catalog()).Rows(rel, info)
}
