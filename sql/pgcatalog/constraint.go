package pgcatalog

import (
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// Numbers of the catalogs that pg_depend and pg_description point into.
const (
	pgType       types.OID = 1247
	pgProc       types.OID = 1255
	pgClass      types.OID = 1259
	pgAuthID     types.OID = 1260
	pgDatabase   types.OID = 1262
	pgAttrdef    types.OID = 2604
	pgConstraint types.OID = 2606
	pgNamespace  types.OID = 2615
	pgExtension  types.OID = 3079
)

func (v *View) constraints(emit func(fields)) {
	v.relations(func(r *catalog.Relation) {
		for i := range r.Constraints {
			emit(v.constraint(r, &r.Constraints[i]))
		}
	})
}

func (v *View) constraint(r *catalog.Relation, c *catalog.Constraint) fields {
	f := fields{
		"oid": c.OID, "conname": c.Name, "connamespace": v.namespaceOID(r.Schema), "contype": c.Kind,
		"condeferrable": c.Deferrable, "condeferred": c.InitiallyDeferred, "convalidated": c.Valid,
		"conrelid": r.OID, "conindid": c.Index, "conislocal": true, "connoinherit": c.Kind != 'c',
		"confupdtype": byte(' '), "confdeltype": byte(' '), "confmatchtype": byte(' '),
	}
	if c.Kind == 'p' || c.Kind == 'u' || c.Kind == 'f' {
		f["convalidated"] = c.Valid || c.Kind != 'f'
	}
	if len(c.Columns) > 0 {
		f["conkey"] = c.Columns
	}
	switch c.Kind {
	case 'c':
		f["conbin"] = c.Expr
	case 'f':
		f["confrelid"], f["confkey"] = c.RefTable, c.RefColumns
		f["confupdtype"], f["confdeltype"] = actionLetter(c.OnUpdate), actionLetter(c.OnDelete)
		f["confmatchtype"] = byte('s')
		if c.Match == "full" {
			f["confmatchtype"] = byte('f')
		}
	}
	return f
}

// actionLetter spells a referential action as pg_constraint does.
func actionLetter(action string) byte {
	switch action {
	case "restrict":
		return 'r'
	case "cascade":
		return 'c'
	case "set null":
		return 'n'
	case "set default":
		return 'd'
	}
	return 'a'
}

// dependencies are those that clients ask for: indexes on constraints and columns,
// sequences on the columns that own them, constraints and defaults on their columns,
// relations on their schemas.
func (v *View) dependencies(emit func(fields)) {
	depend := func(class, obj, refClass, ref types.OID, refSub int16, kind byte) {
		emit(fields{
			"classid": class, "objid": obj, "objsubid": 0, "refclassid": refClass, "refobjid": ref,
			"refobjsubid": refSub, "deptype": kind,
		})
	}
	v.relations(func(r *catalog.Relation) {
		if r.Virtual || r.Kind == catalog.KindIndex {
			return
		}
		depend(pgClass, r.OID, pgNamespace, v.namespaceOID(r.Schema), 0, 'n')
		if s := r.Sequence; s != nil && s.OwnerTable != 0 {
			kind := byte('a')
			if s.Identity {
				kind = 'i'
			}
			depend(pgClass, r.OID, pgClass, s.OwnerTable, s.OwnerColumn, kind)
		}
		for _, c := range userColumns(r) {
			if c.Default != "" && !c.Dropped {
				depend(pgAttrdef, defaultOID(r.OID, c.Num), pgClass, r.OID, c.Num, 'a')
			}
		}
		v.constraintDependencies(r, depend)
	})
	v.eachIndex(func(r *catalog.Relation, x *catalog.Index) {
		if c := constraintOf(r, x); c != nil {
			depend(pgClass, x.OID, pgConstraint, c.OID, 0, 'i')
			return
		}
		for _, k := range x.Keys {
			depend(pgClass, x.OID, pgClass, r.OID, k.Column, 'a')
		}
	})
}

func (v *View) constraintDependencies(r *catalog.Relation, depend func(class, obj, refClass, ref types.OID, refSub int16, kind byte)) {
	for _, c := range r.Constraints {
		for _, num := range c.Columns {
			depend(pgConstraint, c.OID, pgClass, r.OID, num, 'a')
		}
		for _, num := range c.RefColumns {
			depend(pgConstraint, c.OID, pgClass, c.RefTable, num, 'n')
		}
		if c.Kind == 'f' && c.Index != 0 {
			depend(pgConstraint, c.OID, pgClass, c.Index, 0, 'n')
		}
	}
}

// constraintOf finds the primary key or unique constraint that an index holds up.
func constraintOf(r *catalog.Relation, x *catalog.Index) *catalog.Constraint {
	for i := range r.Constraints {
		if c := &r.Constraints[i]; c.Index == x.OID && (c.Kind == 'p' || c.Kind == 'u') {
			return c
		}
	}
	return nil
}

func (v *View) descriptions(emit func(fields)) {
	describe := func(class, obj types.OID, sub int16, text string) {
		if text != "" {
			emit(fields{"objoid": obj, "classoid": class, "objsubid": sub, "description": text})
		}
	}
	for _, s := range v.cat.Schemas() {
		describe(pgNamespace, s.OID, 0, s.Comment)
	}
	v.relations(func(r *catalog.Relation) {
		describe(pgClass, r.OID, 0, r.Comment)
		for _, c := range userColumns(r) {
			if !c.Dropped {
				describe(pgClass, r.OID, c.Num, c.Comment)
			}
		}
		for _, c := range r.Constraints {
			describe(pgConstraint, c.OID, 0, c.Comment)
		}
	})
	v.eachIndex(func(_ *catalog.Relation, x *catalog.Index) { describe(pgClass, x.OID, 0, x.Comment) })
	for _, x := range v.cat.Extensions() {
		describe(pgExtension, x.OID, 0, extensionComment)
	}
}

func (v *View) sharedDescriptions(emit func(fields)) {
	if d := v.cat.Database(); d.Comment != "" {
		emit(fields{"objoid": d.OID, "classoid": pgDatabase, "description": d.Comment})
	}
	for _, r := range v.cat.Roles() {
		if r.Comment != "" {
			emit(fields{"objoid": r.OID, "classoid": pgAuthID, "description": r.Comment})
		}
	}
}
