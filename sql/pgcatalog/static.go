package pgcatalog

import (
	"strings"

	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// Numbers of access methods: PostgreSQL's, and Helios' own for those of pgvector.
const (
	heapOID    types.OID = 2
	btreeOID   types.OID = 403
	hnswOID    types.OID = 16400
	ivfflatOID types.OID = 16401
)

var methods = []struct {
	oid     types.OID
	name    string
	kind    byte
	handler types.OID
}{
	{heapOID, "heap", 't', 3},
	{btreeOID, "btree", 'i', 330},
	{hnswOID, "hnsw", 'i', 0},
	{ivfflatOID, "ivfflat", 'i', 0},
}

// accessMethods shows hnsw and ivfflat only beside the extension that brings them.
func (v *View) accessMethods(emit func(fields)) {
	_, vector := v.cat.Extension("vector")
	for _, m := range methods {
		if m.handler != 0 || vector {
			emit(fields{"oid": m.oid, "amname": m.name, "amhandler": m.handler, "amtype": m.kind})
		}
	}
}

func accessMethodOID(name string) types.OID {
	for _, m := range methods {
		if m.name == name {
			return m.oid
		}
	}
	return btreeOID
}

// opclass is an operator class; family is the operator family's number and name.
type opclass struct {
	oid        types.OID
	method     types.OID
	name       string
	family     types.OID
	familyName string
	input      types.OID
	standard   bool
}

// opclassList holds PostgreSQL's B-tree classes for the types Helios has, and pgvector's.
var opclassList = []opclass{
	{10000, btreeOID, "array_ops", 397, "array_ops", types.AnyArrayOID, true},
	{10002, btreeOID, "bit_ops", 423, "bit_ops", 1560, true},
	{10003, btreeOID, "bool_ops", 424, "bool_ops", types.BoolOID, true},
	{10004, btreeOID, "bpchar_ops", 426, "bpchar_ops", types.BPCharOID, true},
	{4219, btreeOID, "bpchar_pattern_ops", 2097, "bpchar_pattern_ops", types.BPCharOID, false},
	{10006, btreeOID, "bytea_ops", 428, "bytea_ops", types.ByteaOID, true},
	{10007, btreeOID, "char_ops", 429, "char_ops", types.CharOID, true},
	{3122, btreeOID, "date_ops", 434, "datetime_ops", types.DateOID, true},
	{10012, btreeOID, "float4_ops", 1970, "float_ops", types.Float4OID, true},
	{3123, btreeOID, "float8_ops", 1970, "float_ops", types.Float8OID, true},
	{1979, btreeOID, "int2_ops", 1976, "integer_ops", types.Int2OID, true},
	{1978, btreeOID, "int4_ops", 1976, "integer_ops", types.Int4OID, true},
	{3124, btreeOID, "int8_ops", 1976, "integer_ops", types.Int8OID, true},
	{10022, btreeOID, "interval_ops", 1982, "interval_ops", types.IntervalOID, true},
	{10088, btreeOID, "jsonb_ops", 4033, "jsonb_ops", types.JSONBOID, true},
	{10028, btreeOID, "name_ops", 1994, "text_ops", types.NameOID, true},
	{3125, btreeOID, "numeric_ops", 1988, "numeric_ops", types.NumericOID, true},
	{1981, btreeOID, "oid_ops", 1989, "oid_ops", types.OIDOID, true},
	{10032, btreeOID, "oidvector_ops", 1991, "oidvector_ops", types.OIDVectorOID, true},
	{10067, btreeOID, "pg_lsn_ops", 3253, "pg_lsn_ops", types.PGLSNOID, true},
	{10034, btreeOID, "record_ops", 2994, "record_ops", types.RecordOID, true},
	{3126, btreeOID, "text_ops", 1994, "text_ops", types.TextOID, true},
	{4217, btreeOID, "text_pattern_ops", 2095, "text_pattern_ops", types.TextOID, false},
	{10038, btreeOID, "time_ops", 1996, "time_ops", types.TimeOID, true},
	{3128, btreeOID, "timestamp_ops", 434, "datetime_ops", types.TimestampOID, true},
	{3127, btreeOID, "timestamptz_ops", 434, "datetime_ops", types.TimestampTZOID, true},
	{10041, btreeOID, "timetz_ops", 2000, "timetz_ops", types.TimeTZOID, true},
	{10065, btreeOID, "uuid_ops", 2968, "uuid_ops", types.UUIDOID, true},
	{10043, btreeOID, "varbit_ops", 2002, "varbit_ops", 1562, true},
	{10044, btreeOID, "varchar_ops", 1994, "text_ops", types.TextOID, false},
	{4218, btreeOID, "varchar_pattern_ops", 2095, "text_pattern_ops", types.TextOID, false},
	{16410, btreeOID, "vector_ops", 16420, "vector_ops", types.VectorOID, true},
	{16411, hnswOID, "vector_l2_ops", 16421, "vector_l2_ops", types.VectorOID, false},
	{16412, hnswOID, "vector_ip_ops", 16422, "vector_ip_ops", types.VectorOID, false},
	{16413, hnswOID, "vector_cosine_ops", 16423, "vector_cosine_ops", types.VectorOID, false},
	{16414, hnswOID, "vector_l1_ops", 16424, "vector_l1_ops", types.VectorOID, false},
	{16415, ivfflatOID, "vector_l2_ops", 16425, "vector_l2_ops", types.VectorOID, true},
	{16416, ivfflatOID, "vector_ip_ops", 16426, "vector_ip_ops", types.VectorOID, false},
	{16417, ivfflatOID, "vector_cosine_ops", 16427, "vector_cosine_ops", types.VectorOID, false},
}

func (c *opclass) schema() types.OID {
	if c.oid >= catalog.HeliosSchemaOID {
		return catalog.PublicOID
	}
	return catalog.PgCatalogOID
}

func (v *View) opclasses(emit func(fields)) {
	for i := range opclassList {
		c := &opclassList[i]
		emit(fields{
			"oid": c.oid, "opcmethod": c.method, "opcname": c.name, "opcnamespace": c.schema(),
			"opcowner": catalog.SuperuserOID, "opcfamily": c.family, "opcintype": c.input, "opcdefault": c.standard,
		})
	}
}

func (v *View) opfamilies(emit func(fields)) {
	seen := make(map[types.OID]bool)
	for i := range opclassList {
		c := &opclassList[i]
		if !seen[c.family] {
			seen[c.family] = true
			emit(fields{
				"oid": c.family, "opfmethod": c.method, "opfname": c.familyName, "opfnamespace": c.schema(),
				"opfowner": catalog.SuperuserOID,
			})
		}
	}
}

// opclassOID finds the class of an index key: the named one, or the standard one of the type.
func opclassOID(method, name string, t types.OID) types.OID {
	am := accessMethodOID(method)
	name = name[strings.LastIndexByte(name, '.')+1:]
	if name == "" {
		return defaultOpclass(am, t)
	}
	for i := range opclassList {
		if c := &opclassList[i]; c.name == name && c.method == am {
			return c.oid
		}
	}
	return 0
}

func defaultOpclass(am, t types.OID) types.OID {
	switch {
	case t == types.VarcharOID:
		t = types.TextOID
	case t >= types.RegprocedureOID && t <= types.RegtypeOID, t == types.RegprocOID, t == types.RegroleOID, t == types.RegnamespaceOID:
		t = types.OIDOID
	case types.IsArray(t) && t != types.OIDVectorOID:
		t = types.AnyArrayOID
	}
	for i := range opclassList {
		if c := &opclassList[i]; c.method == am && c.input == t && (c.standard || am == hnswOID) {
			return c.oid
		}
	}
	return 0
}

// collation numbers; the database's own is C.
var collationList = []struct {
	oid      types.OID
	name     string
	provider byte
	locale   any
	encoding int
}{
	{100, "default", 'd', nil, -1},
	{950, "C", 'c', "C", -1},
	{951, "POSIX", 'c', "POSIX", -1},
	{12340, "ucs_basic", 'c', "C", 6},
}

func (v *View) collations(emit func(fields)) {
	for _, c := range collationList {
		emit(fields{
			"oid": c.oid, "collname": c.name, "collnamespace": catalog.PgCatalogOID, "collowner": catalog.SuperuserOID,
			"collprovider": c.provider, "collisdeterministic": true, "collencoding": c.encoding,
			"collcollate": c.locale, "collctype": c.locale,
		})
	}
}

// collationOID finds a collation by name, with or without its schema; 100 if it is unknown.
func collationOID(name string) types.OID {
	name = strings.Trim(name[strings.LastIndexByte(name, '.')+1:], `"`)
	for _, c := range collationList {
		if c.name == name {
			return c.oid
		}
	}
	return 100
}

func collationName(oid types.OID) string {
	for _, c := range collationList {
		if c.oid == oid {
			return c.name
		}
	}
	return ""
}

func (v *View) languages(emit func(fields)) {
	for i, name := range []string{"internal", "c", "sql"} {
		emit(fields{
			"oid": internalLanguage + types.OID(i), "lanname": name, "lanowner": catalog.SuperuserOID,
			"lanpltrusted": name == "sql",
		})
	}
}

const internalLanguage types.OID = 12

func (v *View) tablespaces(emit func(fields)) {
	for oid, name := range map[types.OID]string{1663: "pg_default", 1664: "pg_global"} {
		emit(fields{"oid": oid, "spcname": name, "spcowner": catalog.SuperuserOID})
	}
}

const (
	vectorVersion    = "0.8.0" // of pgvector, whose interface Helios keeps to
	extensionComment = "vector data type and ivfflat and hnsw access methods"
)

func (v *View) extensions(emit func(fields)) {
	for _, x := range v.cat.Extensions() {
		emit(fields{
			"oid": x.OID, "extname": x.Name, "extowner": catalog.SuperuserOID,
			"extnamespace": v.namespaceOID(x.Schema), "extrelocatable": true, "extversion": x.Version,
		})
	}
}

func (v *View) availableExtensions(emit func(fields)) {
	f := fields{"name": "vector", "default_version": vectorVersion, "comment": extensionComment}
	if x, ok := v.cat.Extension("vector"); ok {
		f["installed_version"] = x.Version
	}
	emit(f)
}

func (v *View) availableVersions(emit func(fields)) {
	x, ok := v.cat.Extension("vector")
	emit(fields{
		"name": "vector", "version": vectorVersion, "installed": ok && x.Version == vectorVersion, "superuser": true,
		"trusted": true, "relocatable": true, "comment": extensionComment,
	})
}

// types shows the built-in types; those of vector only beside its extension.
func (v *View) types(emit func(fields)) {
	_, vector := v.cat.Extension("vector")
	for _, t := range types.Builtins() {
		if own := t.OID >= catalog.HeliosSchemaOID; !own || vector {
			emit(v.builtinType(&t, own))
		}
	}
	v.relations(func(r *catalog.Relation) {
		if r.RowType != 0 {
			emit(v.rowType(r))
		}
	})
}

func (v *View) builtinType(t *types.Info, extension bool) fields {
	io := t.Name
	f := fields{
		"oid": t.OID, "typname": t.Name, "typnamespace": catalog.PgCatalogOID, "typowner": catalog.SuperuserOID,
		"typlen": t.Len, "typbyval": t.ByVal, "typtype": t.Kind, "typcategory": t.Category,
		"typispreferred": t.Preferred, "typisdefined": true, "typdelim": byte(','), "typelem": t.Elem,
		"typarray": t.Array, "typalign": t.Align, "typstorage": t.Storage, "typtypmod": -1, "typcollation": t.Collation,
	}
	if extension {
		f["typnamespace"] = catalog.PublicOID
		if x, ok := v.cat.Extension("vector"); ok {
			f["typnamespace"] = v.namespaceOID(x.Schema)
		}
	}
	if t.Category == 'A' && t.Len == -1 && strings.HasPrefix(t.Name, "_") {
		io = "array"
	}
	for column, suffixes := range ioFunctions {
		for _, suffix := range suffixes {
			if oid, ok := v.funcNamed(io + suffix); ok {
				f[column] = oid
				break
			}
		}
	}
	return f
}

// ioFunctions are the endings of the names of a type's input and output functions.
var ioFunctions = map[string][]string{
	"typinput":   {"in", "_in"},
	"typoutput":  {"out", "_out"},
	"typreceive": {"recv", "_recv"},
	"typsend":    {"send", "_send"},
}

func (v *View) rowType(r *catalog.Relation) fields {
	return fields{
		"oid": r.RowType, "typname": r.Name, "typnamespace": v.namespaceOID(r.Schema), "typowner": r.Owner,
		"typlen": -1, "typtype": byte('c'), "typcategory": byte('C'), "typisdefined": true, "typdelim": byte(','),
		"typrelid": r.OID, "typalign": byte('d'), "typstorage": byte('x'), "typtypmod": -1,
	}
}
