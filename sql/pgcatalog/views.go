package pgcatalog

import "github.com/heliosdb/helios/sql/catalog"

func (v *View) tablesView(emit func(fields)) {
	v.relations(func(r *catalog.Relation) {
		if kindOf(r) == catalog.KindTable {
			emit(fields{
				"schemaname": r.Schema, "tablename": r.Name, "tableowner": v.roleName(r.Owner),
				"hasindexes": hasIndex(r), "hasrules": false, "hastriggers": v.hasTriggers(r), "rowsecurity": false,
			})
		}
	})
}

func (v *View) indexesView(emit func(fields)) {
	v.eachIndex(func(r *catalog.Relation, x *catalog.Index) {
		emit(fields{
			"schemaname": r.Schema, "tablename": r.Name, "indexname": x.Name,
			"indexdef": v.indexDef(r, x, true, false),
		})
	})
}

func (v *View) viewsView(emit func(fields)) {
	v.relations(func(r *catalog.Relation) {
		if r.Kind == catalog.KindView && !r.Virtual {
			emit(fields{
				"schemaname": r.Schema, "viewname": r.Name, "viewowner": v.roleName(r.Owner), "definition": viewDef(r),
			})
		}
	})
}

// viewDef prints a view's query as pg_get_viewdef does: a blank before, a semicolon after.
func viewDef(r *catalog.Relation) string { return " " + r.View + ";" }

func (v *View) sequencesView(emit func(fields)) {
	v.relations(func(r *catalog.Relation) {
		if q := r.Sequence; q != nil {
			f := fields{
				"schemaname": r.Schema, "sequencename": r.Name, "sequenceowner": v.roleName(r.Owner),
				"data_type": q.Type, "start_value": q.Start, "min_value": q.Min, "max_value": q.Max,
				"increment_by": q.Increment, "cycle": q.Cycle, "cache_size": q.Cache,
			}
			if n, ok := v.node.LastValue(r.OID); ok {
				f["last_value"] = n
			}
			emit(f)
		}
	})
}
