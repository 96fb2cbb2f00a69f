package pgcatalog

import (
	"slices"
	"strconv"
	"strings"

	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// yesNo is information_schema's boolean.
func yesNo(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}

func (v *View) infoCatalogName(emit func(fields)) {
	emit(fields{"catalog_name": v.cat.Database().Name})
}

func (v *View) infoSchemata(emit func(fields)) {
	for _, s := range v.cat.Schemas() {
		emit(fields{
			"catalog_name": v.cat.Database().Name, "schema_name": s.Name, "schema_owner": v.roleName(s.Owner),
		})
	}
}

// readable calls f for the relations of the kinds that the session's user has some
// privilege on.
func (v *View) readable(s Session, kinds string, f func(*catalog.Relation)) {
	user := v.roleOID(s.User())
	v.relations(func(r *catalog.Relation) {
		if strings.IndexByte(kinds, kindOf(r)) < 0 {
			return
		}
		for _, letter := range "arwdDxt" {
			if v.mayRelation(user, r, string(letter), false) {
				f(r)
				return
			}
		}
	})
}

func (v *View) infoTables(s Session, emit func(fields)) {
	v.readable(s, "rv", func(r *catalog.Relation) {
		kind := "BASE TABLE"
		if kindOf(r) == catalog.KindView {
			kind = "VIEW"
		}
		emit(fields{
			"table_catalog": v.cat.Database().Name, "table_schema": r.Schema, "table_name": r.Name,
			"table_type": kind, "is_insertable_into": yesNo(kindOf(r) == catalog.KindTable), "is_typed": "NO",
		})
	})
}

func (v *View) infoColumns(s Session, emit func(fields)) {
	v.readable(s, "rv", func(r *catalog.Relation) {
		for _, c := range r.Visible() {
			emit(v.infoColumn(r, c))
		}
	})
}

func (v *View) infoColumn(r *catalog.Relation, c *catalog.Column) fields {
	db := v.cat.Database().Name
	f := fields{
		"table_catalog": db, "table_schema": r.Schema, "table_name": r.Name, "column_name": c.Name,
		"ordinal_position": c.Num, "is_nullable": yesNo(!c.NotNull), "udt_catalog": db,
		"dtd_identifier": strconv.Itoa(int(c.Num)), "is_self_referencing": "NO", "is_identity": yesNo(c.Identity != 0),
		"identity_cycle": "NO", "is_generated": "NEVER", "is_updatable": yesNo(kindOf(r) == catalog.KindTable),
	}
	switch {
	case c.Generated != 0:
		f["is_generated"], f["generation_expression"] = "ALWAYS", c.Default
	case c.Default != "" && c.Identity == 0:
		f["column_default"] = c.Default
	}
	describeType(f, c.Type)
	if c.Collation != "" && c.Type.OID != types.NameOID {
		f["collation_catalog"], f["collation_schema"], f["collation_name"] = db, "pg_catalog", c.Collation
	}
	if c.Identity != 0 {
		v.describeIdentity(f, r, c)
	}
	return f
}

// describeType fills in the columns of information_schema that tell a type: precision and
// scale as information_schema._pg_numeric_precision and its like compute them.
func describeType(f fields, t types.Type) {
	info := types.Lookup(t.OID)
	if info == nil {
		return
	}
	f["udt_schema"], f["udt_name"] = "pg_catalog", info.Name
	if t.OID >= catalog.HeliosSchemaOID {
		f["udt_schema"] = "public"
	}
	switch {
	case types.IsArray(t.OID) && info.Len == -1 && strings.HasPrefix(info.Name, "_"):
		f["data_type"] = "ARRAY"
		return
	case t.OID >= catalog.HeliosSchemaOID:
		f["data_type"] = "USER-DEFINED"
		return
	}
	f["data_type"] = info.SQL
	switch t.OID {
	case types.Int2OID:
		f["numeric_precision"], f["numeric_precision_radix"], f["numeric_scale"] = 16, 2, 0
	case types.Int4OID:
		f["numeric_precision"], f["numeric_precision_radix"], f["numeric_scale"] = 32, 2, 0
	case types.Int8OID:
		f["numeric_precision"], f["numeric_precision_radix"], f["numeric_scale"] = 64, 2, 0
	case types.Float4OID:
		f["numeric_precision"], f["numeric_precision_radix"] = 24, 2
	case types.Float8OID:
		f["numeric_precision"], f["numeric_precision_radix"] = 53, 2
	case types.NumericOID:
		f["numeric_precision_radix"] = 10
		if t.Mod >= 4 {
			f["numeric_precision"], f["numeric_scale"] = numericMod(t.Mod)
		}
	case types.VarcharOID, types.BPCharOID:
		f["character_octet_length"] = 1 << 30
		if t.Mod >= 4 {
			f["character_maximum_length"], f["character_octet_length"] = t.Mod-4, 4*(t.Mod-4)
		}
	case types.TextOID:
		f["character_octet_length"] = 1 << 30
	case types.DateOID:
		f["datetime_precision"] = 0
	case types.TimeOID, types.TimeTZOID, types.TimestampOID, types.TimestampTZOID, types.IntervalOID:
		f["datetime_precision"] = 6
		if t.Mod >= 0 && t.OID != types.IntervalOID {
			f["datetime_precision"] = t.Mod
		}
	}
}

func numericMod(mod int32) (precision, scale any) {
	p, s := types.NumericMod(mod)
	return p, s
}

func (v *View) describeIdentity(f fields, r *catalog.Relation, c *catalog.Column) {
	f["identity_generation"] = "BY DEFAULT"
	if c.Identity == 'a' {
		f["identity_generation"] = "ALWAYS"
	}
	if q := v.ownedSequence(r.OID, c.Num); q != nil {
		s := q.Sequence
		f["identity_start"], f["identity_increment"] = text(s.Start), text(s.Increment)
		f["identity_maximum"], f["identity_minimum"] = text(s.Max), text(s.Min)
		f["identity_cycle"] = yesNo(s.Cycle)
	}
}

func text(n int64) string { return strconv.FormatInt(n, 10) }

// ownedSequence finds the sequence that belongs to a column, nil if there is none.
func (v *View) ownedSequence(rel types.OID, column int16) *catalog.Relation {
	for r := range v.cat.Relations() {
		if s := r.Sequence; s != nil && s.OwnerTable == rel && s.OwnerColumn == column {
			return r
		}
	}
	return nil
}

func (v *View) infoSequences(emit func(fields)) {
	v.relations(func(r *catalog.Relation) {
		s := r.Sequence
		if s == nil || s.Identity {
			return
		}
		f := fields{
			"sequence_catalog": v.cat.Database().Name, "sequence_schema": r.Schema, "sequence_name": r.Name,
			"start_value": text(s.Start), "minimum_value": text(s.Min), "maximum_value": text(s.Max),
			"increment": text(s.Increment), "cycle_option": yesNo(s.Cycle), "data_type": s.Type.Name(),
			"numeric_precision": 64, "numeric_precision_radix": 2, "numeric_scale": 0,
		}
		switch s.Type {
		case types.Int2OID:
			f["numeric_precision"] = 16
		case types.Int4OID:
			f["numeric_precision"] = 32
		}
		emit(f)
	})
}

func (v *View) infoViews(emit func(fields)) {
	v.relations(func(r *catalog.Relation) {
		if r.Kind != catalog.KindView || r.Virtual {
			return
		}
		emit(fields{
			"table_catalog": v.cat.Database().Name, "table_schema": r.Schema, "table_name": r.Name,
			"view_definition": viewDef(r), "check_option": "NONE", "is_updatable": "NO", "is_insertable_into": "NO",
			"is_trigger_updatable": "NO", "is_trigger_deletable": "NO", "is_trigger_insertable_into": "NO",
		})
	})
}

var constraintWords = map[byte]string{'c': "CHECK", 'f': "FOREIGN KEY", 'p': "PRIMARY KEY", 'u': "UNIQUE"}

// eachConstraint calls f for every constraint of the user's tables.
func (v *View) eachConstraint(kinds string, f func(*catalog.Relation, *catalog.Constraint)) {
	v.relations(func(r *catalog.Relation) {
		for i := range r.Constraints {
			if c := &r.Constraints[i]; strings.IndexByte(kinds, c.Kind) >= 0 {
				f(r, c)
			}
		}
	})
}

// notNullName is the name that information_schema gives to a NOT NULL.
func (v *View) notNullName(r *catalog.Relation, c *catalog.Column) string {
	return text(int64(v.namespaceOID(r.Schema))) + "_" + text(int64(r.OID)) + "_" + text(int64(c.Num)) + "_not_null"
}

func (v *View) eachNotNull(f func(*catalog.Relation, *catalog.Column)) {
	v.relations(func(r *catalog.Relation) {
		if kindOf(r) != catalog.KindTable {
			return
		}
		for _, c := range r.Visible() {
			if c.NotNull {
				f(r, c)
			}
		}
	})
}

func (v *View) infoTableConstraints(emit func(fields)) {
	db := v.cat.Database().Name
	v.eachConstraint("cfpu", func(r *catalog.Relation, c *catalog.Constraint) {
		f := fields{
			"constraint_catalog": db, "constraint_schema": r.Schema, "constraint_name": c.Name, "table_catalog": db,
			"table_schema": r.Schema, "table_name": r.Name, "constraint_type": constraintWords[c.Kind],
			"is_deferrable": yesNo(c.Deferrable), "initially_deferred": yesNo(c.InitiallyDeferred), "enforced": "YES",
		}
		if x, ok := r.IndexByOID(c.Index); ok && c.Kind == 'u' {
			f["nulls_distinct"] = yesNo(!x.NullsNotDistinct)
		}
		emit(f)
	})
	v.eachNotNull(func(r *catalog.Relation, c *catalog.Column) {
		emit(fields{
			"constraint_catalog": db, "constraint_schema": r.Schema, "constraint_name": v.notNullName(r, c),
			"table_catalog": db, "table_schema": r.Schema, "table_name": r.Name, "constraint_type": "CHECK",
			"is_deferrable": "NO", "initially_deferred": "NO", "enforced": "YES",
		})
	})
}

func (v *View) infoCheckConstraints(emit func(fields)) {
	db := v.cat.Database().Name
	v.eachConstraint("c", func(r *catalog.Relation, c *catalog.Constraint) {
		emit(fields{
			"constraint_catalog": db, "constraint_schema": r.Schema, "constraint_name": c.Name,
			"check_clause": "(" + inParens(c.Expr) + ")",
		})
	})
	v.eachNotNull(func(r *catalog.Relation, c *catalog.Column) {
		emit(fields{
			"constraint_catalog": db, "constraint_schema": r.Schema, "constraint_name": v.notNullName(r, c),
			"check_clause": c.Name + " IS NOT NULL",
		})
	})
}

func (v *View) infoKeyColumns(emit func(fields)) {
	db := v.cat.Database().Name
	v.eachConstraint("fpu", func(r *catalog.Relation, c *catalog.Constraint) {
		for i, num := range c.Columns {
			f := fields{
				"constraint_catalog": db, "constraint_schema": r.Schema, "constraint_name": c.Name,
				"table_catalog": db, "table_schema": r.Schema, "table_name": r.Name,
				"column_name": r.Columns[num-1].Name, "ordinal_position": i + 1,
			}
			if parent, key := v.referenced(c); key != nil && i < len(c.RefColumns) {
				f["position_in_unique_constraint"] = 1 + slices.Index(indexKeyNums(parent, key), c.RefColumns[i])
			}
			emit(f)
		}
	})
}

// referenced finds the table and key that a foreign key points to.
func (v *View) referenced(c *catalog.Constraint) (*catalog.Relation, *catalog.Constraint) {
	parent, ok := v.cat.ByOID(c.RefTable)
	if c.Kind != 'f' || !ok {
		return nil, nil
	}
	for i := range parent.Constraints {
		if key := &parent.Constraints[i]; key.Index == c.Index && key.Kind != 'f' {
			return parent, key
		}
	}
	return parent, nil
}

func indexKeyNums(r *catalog.Relation, c *catalog.Constraint) []int16 {
	if x, ok := r.IndexByOID(c.Index); ok {
		if nums, ok := x.Columns(); ok {
			return nums
		}
	}
	return c.Columns
}

func (v *View) infoReferential(emit func(fields)) {
	db := v.cat.Database().Name
	v.eachConstraint("f", func(r *catalog.Relation, c *catalog.Constraint) {
		f := fields{
			"constraint_catalog": db, "constraint_schema": r.Schema, "constraint_name": c.Name, "match_option": "NONE",
			"update_rule": actionWords(c.OnUpdate), "delete_rule": actionWords(c.OnDelete),
		}
		if c.Match == "full" {
			f["match_option"] = "FULL"
		}
		if parent, key := v.referenced(c); key != nil {
			f["unique_constraint_catalog"], f["unique_constraint_schema"] = db, parent.Schema
			f["unique_constraint_name"] = key.Name
		}
		emit(f)
	})
}

func actionWords(action string) string {
	if action == "" {
		return "NO ACTION"
	}
	return strings.ToUpper(action)
}

// infoConstraintColumns lists the columns a constraint uses; for a foreign key those it
// points to.
func (v *View) infoConstraintColumns(emit func(fields)) {
	v.constraintUse(func(used, r *catalog.Relation, c *catalog.Constraint, nums []int16) {
		for _, num := range nums {
			emit(v.usage(used, r, c, fields{"column_name": used.Columns[num-1].Name}))
		}
	})
}

func (v *View) infoConstraintTables(emit func(fields)) {
	v.constraintUse(func(used, r *catalog.Relation, c *catalog.Constraint, _ []int16) {
		if c.Kind != 'c' {
			emit(v.usage(used, r, c, fields{}))
		}
	})
}

func (v *View) constraintUse(f func(used, r *catalog.Relation, c *catalog.Constraint, nums []int16)) {
	v.eachConstraint("cfpu", func(r *catalog.Relation, c *catalog.Constraint) {
		if c.Kind != 'f' {
			f(r, r, c, c.Columns)
		} else if parent, ok := v.cat.ByOID(c.RefTable); ok {
			f(parent, r, c, c.RefColumns)
		}
	})
}

func (v *View) usage(used, r *catalog.Relation, c *catalog.Constraint, f fields) fields {
	db := v.cat.Database().Name
	f["table_catalog"], f["table_schema"], f["table_name"] = db, used.Schema, used.Name
	f["constraint_catalog"], f["constraint_schema"], f["constraint_name"] = db, r.Schema, c.Name
	return f
}

var privilegeWords = []struct {
	letter byte
	word   string
}{
	{'a', "INSERT"},
	{'r', "SELECT"},
	{'w', "UPDATE"},
	{'d', "DELETE"},
	{'D', "TRUNCATE"},
	{'x', "REFERENCES"},
	{'t', "TRIGGER"},
}

func (v *View) infoTablePrivileges(s Session, emit func(fields)) {
	user := v.roleOID(s.User())
	v.readable(s, "rv", func(r *catalog.Relation) {
		grants := r.ACL
		if len(grants) == 0 {
			grants = []catalog.Grant{{Grantee: r.Owner, Grantor: r.Owner, Privileges: "arwdDxt", WithGrant: "arwdDxt"}}
		}
		for _, g := range grants {
			if g.Grantee == 0 || v.belongs(user, g.Grantee) || v.belongs(user, g.Grantor) {
				v.grantRows(r, g, emit)
			}
		}
	})
}

func (v *View) grantRows(r *catalog.Relation, g catalog.Grant, emit func(fields)) {
	grantee := "PUBLIC"
	if g.Grantee != 0 {
		grantee = v.roleName(g.Grantee)
	}
	for _, p := range privilegeWords {
		if strings.IndexByte(g.Privileges, p.letter) >= 0 {
			emit(fields{
				"grantor": v.roleName(g.Grantor), "grantee": grantee, "table_catalog": v.cat.Database().Name,
				"table_schema": r.Schema, "table_name": r.Name, "privilege_type": p.word,
				"is_grantable":   yesNo(strings.IndexByte(g.WithGrant, p.letter) >= 0),
				"with_hierarchy": yesNo(p.letter == 'r'),
			})
		}
	}
}

func (v *View) infoEnabledRoles(s Session, emit func(fields)) {
	user := v.roleOID(s.User())
	for _, r := range v.cat.Roles() {
		if v.belongs(user, r.OID) {
			emit(fields{"role_name": r.Name})
		}
	}
}

func (v *View) infoApplicableRoles(s Session, emit func(fields)) {
	user := v.roleOID(s.User())
	for _, m := range v.cat.Roles() {
		for _, group := range m.MemberOf {
			if v.belongs(user, m.OID) {
				emit(fields{"grantee": m.Name, "role_name": v.roleName(group), "is_grantable": "NO"})
			}
		}
	}
}
