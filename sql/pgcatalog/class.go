package pgcatalog

import (
	"strings"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// relations calls f for every relation that users see, system relations included.
func (v *View) relations(f func(*catalog.Relation)) {
	for r := range v.cat.Relations() {
		if !r.Hidden {
			f(r)
		}
	}
}

// eachIndex calls f for every index of every visible table.
func (v *View) eachIndex(f func(*catalog.Relation, *catalog.Index)) {
	v.relations(func(r *catalog.Relation) {
		for _, x := range r.AllIndexes() {
			if !x.Hidden {
				f(r, x)
			}
		}
	})
}

// namespaceOID gives the number of a schema, 0 if there is none.
func (v *View) namespaceOID(schema string) types.OID {
	if s, ok := v.cat.Schema(schema); ok {
		return s.OID
	}
	return 0
}

func (v *View) classes(emit func(fields)) {
	v.relations(func(r *catalog.Relation) {
		if r.Kind != catalog.KindIndex {
			emit(v.class(r))
		}
	})
	v.eachIndex(func(r *catalog.Relation, x *catalog.Index) {
		emit(fields{
			"oid": x.OID, "relname": x.Name, "relnamespace": v.namespaceOID(r.Schema), "relowner": r.Owner,
			"relam": accessMethodOID(x.Method), "relfilenode": x.OID, "relkind": byte('i'),
			"relpersistence": persistence(r), "relnatts": len(x.Keys) + len(x.Include), "relispopulated": true,
			"relreplident": byte('n'), "reloptions": optionList(x.Options),
		})
	})
}

func (v *View) class(r *catalog.Relation) fields {
	f := fields{
		"oid": r.OID, "relname": r.Name, "relnamespace": v.namespaceOID(r.Schema), "reltype": r.RowType,
		"relowner": r.Owner, "relkind": kindOf(r), "relnatts": len(userColumns(r)), "relpersistence": persistence(r),
		"relispopulated": true, "relreplident": byte('n'), "reloptions": optionList(r.Options),
		"relacl": v.aclItems(r.ACL, r.Owner, "arwdDxt"),
	}
	switch kindOf(r) {
	case catalog.KindTable:
		f["relam"], f["relfilenode"], f["reltuples"] = types.OID(heapOID), r.OID, -1.0
		f["relhasindex"] = hasIndex(r)
		if !r.Virtual {
			f["relreplident"] = byte('d')
		}
	case catalog.KindSequence:
		f["relnatts"], f["relpages"], f["reltuples"], f["relfilenode"] = len(sequenceColumns), 1, 1.0, r.OID
		f["relacl"] = v.aclItems(r.ACL, r.Owner, "rwU")
	}
	checks := 0
	for _, c := range r.Constraints {
		if c.Kind == 'c' {
			checks++
		}
	}
	f["relchecks"], f["relhasrules"], f["relhastriggers"] = checks, kindOf(r) == catalog.KindView, v.hasTriggers(r)
	return f
}

// hasTriggers tells whether PostgreSQL would keep triggers for a table: those of foreign
// keys, on both sides. psql asks for foreign keys only where there are triggers.
func (v *View) hasTriggers(r *catalog.Relation) bool {
	for other := range v.cat.Relations() {
		for _, c := range other.Constraints {
			if c.Kind == 'f' && (c.RefTable == r.OID || other.OID == r.OID) {
				return true
			}
		}
	}
	return false
}

func hasIndex(r *catalog.Relation) bool {
	for _, x := range r.AllIndexes() {
		if !x.Hidden {
			return true
		}
	}
	return false
}

func persistence(r *catalog.Relation) byte {
	if r.Unlogged {
		return 'u'
	}
	return 'p'
}

// optionList gives reloptions, name=value; nil when there are none.
func optionList(options []sql.Option) any {
	if len(options) == 0 {
		return nil
	}
	var out []string
	for _, o := range options {
		name, value := o.Name, "true"
		if o.Namespace != "" {
			name = o.Namespace + "." + name
		}
		if o.Value != nil {
			value = *o.Value
		} else if len(o.List) > 0 {
			value = strings.Join(o.List, ",")
		}
		out = append(out, name+"="+value)
	}
	return out
}

// userColumns gives the columns that have a place in pg_attribute: dropped ones too, the
// hidden row id not.
func userColumns(r *catalog.Relation) []*catalog.Column {
	var out []*catalog.Column
	for i := range r.Columns {
		if !r.Columns[i].Hidden {
			out = append(out, &r.Columns[i])
		}
	}
	return out
}

// systemColumns are the columns that every table has in PostgreSQL; of them Helios can
// read tableoid alone.
var sequenceColumns = []catalog.Column{
	{Num: 1, Name: "last_value", Type: types.T(types.Int8OID), NotNull: true},
	{Num: 2, Name: "log_cnt", Type: types.T(types.Int8OID), NotNull: true},
	{Num: 3, Name: "is_called", Type: types.T(types.BoolOID), NotNull: true},
}

func (v *View) attributes(emit func(fields)) {
	v.relations(func(r *catalog.Relation) {
		switch kindOf(r) {
		case catalog.KindIndex:
			return
		case catalog.KindSequence:
			for i := range sequenceColumns {
				emit(v.attribute(r.OID, &sequenceColumns[i]))
			}
			return
		case catalog.KindTable:
			emit(v.attribute(r.OID, &catalog.Column{Num: -6, Name: "tableoid", Type: types.T(types.OIDOID), NotNull: true}))
		}
		for _, c := range userColumns(r) {
			emit(v.attribute(r.OID, c))
		}
	})
	v.eachIndex(func(r *catalog.Relation, x *catalog.Index) {
		for _, c := range v.indexColumns(r, x) {
			emit(v.attribute(x.OID, &c))
		}
	})
}

// indexColumns gives an index's columns as pg_attribute shows them.
func (v *View) indexColumns(r *catalog.Relation, x *catalog.Index) []catalog.Column {
	var out []catalog.Column
	add := func(num int16) {
		c := r.Columns[num-1]
		out = append(out, catalog.Column{Num: int16(len(out) + 1), Name: c.Name, Type: c.Type, Dims: c.Dims, Collation: c.Collation})
	}
	taken := make(map[string]bool)
	for i := range x.Keys {
		k := &x.Keys[i]
		if k.Column != 0 {
			add(k.Column)
			continue
		}
		name, t := v.expressionColumn(k.ParsedExpr())
		out = append(out, catalog.Column{Num: int16(len(out) + 1), Name: unusedName(taken, name), Type: t})
	}
	for _, num := range x.Include {
		add(num)
	}
	for _, c := range out {
		taken[c.Name] = true
	}
	return out
}

func unusedName(taken map[string]bool, name string) string {
	for n := 0; ; n++ {
		try := name
		if n > 0 {
			try += string(rune('0' + n%10))
		}
		if !taken[try] || n > 9 {
			taken[try] = true
			return try
		}
	}
}

func (v *View) attribute(rel types.OID, c *catalog.Column) fields {
	f := fields{
		"attrelid": rel, "attname": c.Name, "attnum": c.Num, "attstattarget": -1, "attndims": c.Dims,
		"attcacheoff": -1, "atttypmod": c.Type.Mod, "attnotnull": c.NotNull, "attisdropped": c.Dropped,
		"atthasdef": c.Default != "", "atthasmissing": c.Missing != "", "attislocal": true,
		"attidentity": c.Identity, "attgenerated": c.Generated,
	}
	if c.Num < 0 {
		f["attstattarget"] = 0
	}
	info := types.Lookup(c.Type.OID)
	if c.Dropped || info == nil {
		f["attname"], f["attlen"], f["attalign"], f["attstorage"] = c.Name, -1, byte('i'), byte('p')
		return f
	}
	f["atttypid"], f["attlen"], f["attbyval"] = c.Type.OID, info.Len, info.ByVal
	f["attalign"], f["attstorage"] = info.Align, info.Storage
	f["attcollation"] = columnCollation(c, info)
	return f
}

func columnCollation(c *catalog.Column, info *types.Info) types.OID {
	if c.Collation != "" && info.Collation != 0 {
		return collationOID(c.Collation)
	}
	return info.Collation
}

// defaultOID makes a number for a column's default: they live in a space of their own,
// above all other numbers.
func defaultOID(rel types.OID, column int16) types.OID {
	return 1<<31 | (rel-types.FirstUserOID)<<11 | types.OID(column)
}

func (v *View) defaults(emit func(fields)) {
	v.relations(func(r *catalog.Relation) {
		for _, c := range userColumns(r) {
			if c.Default != "" && !c.Dropped {
				emit(fields{"oid": defaultOID(r.OID, c.Num), "adrelid": r.OID, "adnum": c.Num, "adbin": c.Default})
			}
		}
	})
}

func (v *View) indexes(emit func(fields)) {
	v.eachIndex(func(r *catalog.Relation, x *catalog.Index) {
		f := fields{
			"indexrelid": x.OID, "indrelid": r.OID, "indnatts": len(x.Keys) + len(x.Include), "indnkeyatts": len(x.Keys),
			"indisunique": x.Unique, "indnullsnotdistinct": x.NullsNotDistinct, "indisprimary": x.Primary,
			"indimmediate": true, "indisvalid": !x.Filling, "indisready": true, "indislive": true,
		}
		var key, option []int16
		var class, coll []types.OID
		var exprs []string
		columns := v.indexColumns(r, x)
		for i, k := range x.Keys {
			key = append(key, k.Column)
			option = append(option, keyOption(k))
			class = append(class, opclassOID(x.Method, k.OpClass, columns[i].Type.OID))
			coll = append(coll, keyCollation(k, &columns[i]))
			if k.Column == 0 {
				exprs = append(exprs, k.Expr)
			}
		}
		f["indkey"], f["indoption"] = append(key, x.Include...), option
		f["indclass"], f["indcollation"] = class, coll
		if exprs != nil {
			f["indexprs"] = strings.Join(exprs, ", ")
		}
		if x.Where != "" {
			f["indpred"] = x.Where
		}
		emit(f)
	})
}

// keyOption gives the bits of indoption: 1 descending, 2 nulls first.
func keyOption(k catalog.IndexKey) int16 {
	var bits int16
	if k.Desc {
		bits |= 1
	}
	if k.NullsFirst {
		bits |= 2
	}
	return bits
}

func keyCollation(k catalog.IndexKey, c *catalog.Column) types.OID {
	if k.Collation != "" {
		return collationOID(k.Collation)
	}
	if info := types.Lookup(c.Type.OID); info != nil {
		return columnCollation(c, info)
	}
	return 0
}

func (v *View) sequences(emit func(fields)) {
	v.relations(func(r *catalog.Relation) {
		if s := r.Sequence; s != nil {
			emit(fields{
				"seqrelid": r.OID, "seqtypid": s.Type, "seqstart": s.Start, "seqincrement": s.Increment,
				"seqmax": s.Max, "seqmin": s.Min, "seqcache": s.Cache, "seqcycle": s.Cycle,
			})
		}
	})
}
