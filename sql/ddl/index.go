package ddl

import (
	"slices"
	"strconv"
	"strings"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

func (a *applier) createIndex(s *sql.CreateIndex) error {
	table, err := a.cat().Resolve(a.env.SearchPath, s.Table)
	if err != nil {
		return err
	}
	if table.Kind != catalog.KindTable {
		return types.Errorf("42809", "cannot create index on relation %q", table.Name).
			WithDetail("This operation is not supported for %ss.", words[table.Kind])
	}
	if table.Virtual || table.Hidden {
		return types.Errorf("42501", "permission denied: %q is a system catalog", table.Name)
	}
	if err := a.owns(table.Owner, "table", table.Name); err != nil {
		return err
	}
	name := types.TruncateName(s.Name)
	if name == "" {
		name = chooseName(table.Name, indexWords(s.Keys), "idx", a.relationTaken(table.Schema))
	} else if _, ok := a.cat().Relation(table.Schema, name); ok {
		if s.IfNotExists {
			a.notice("42P07", "relation %q already exists, skipping", name)
			return nil
		}
		return types.Errorf("42P07", "relation %q already exists", name)
	}
	next := table.Clone()
	x, err := a.newIndex(next, name, s)
	if err != nil {
		return err
	}
	if err := a.checkCovers(next, x); err != nil {
		return err
	}
	next.Indexes = append(next.Indexes, x)
	if x.Method == "btree" {
		a.fill(Fill{Kind: FillIndex, Table: table.OID, Index: x.OID})
	}
	return a.edit.ReplaceRelation(next)
}

// indexWords makes the middle of an index's name from its keys.
func indexWords(keys []sql.IndexKey) string {
	var out []string
	for _, k := range keys {
		switch e := k.Expr.(type) {
		case nil:
			out = append(out, k.Column)
		case *sql.FuncCall:
			out = append(out, e.Name[len(e.Name)-1])
		default:
			out = append(out, "expr")
		}
	}
	return strings.Join(out, "_")
}

// methods are the index methods taken, and what is built for them.
var methods = map[string]string{"btree": "btree", "hash": "btree", "hnsw": "hnsw", "ivfflat": "ivfflat"}

func (a *applier) newIndex(table *catalog.Relation, name string, s *sql.CreateIndex) (*catalog.Index, error) {
	method, ok := methods[s.Method]
	switch {
	case slices.Contains([]string{"gin", "gist", "spgist", "brin"}, s.Method):
		return nil, notYet("access method \""+s.Method+"\"", "Use btree, hnsw or ivfflat.")
	case !ok:
		return nil, types.Errorf("42704", "access method %q does not exist", s.Method)
	case s.Method == "hash":
		a.notice("00000", "index %q is built as btree, which answers the same conditions", name)
	}
	if len(s.Keys)+len(s.Include) > indexKeysMax {
		return nil, types.Errorf("54011", "cannot use more than %d columns in an index", indexKeysMax)
	}
	x := &catalog.Index{
		OID: a.edit.NextOID(), Name: name, Unique: s.Unique, Method: method, NullsNotDistinct: s.NullsNotDistinct,
		Options: s.Options,
	}
	var err error
	if x.Include, err = includeColumns(table, s.Include); err != nil {
		return nil, err
	}
	for i := range s.Keys {
		k, t, err := a.indexKey(table, &s.Keys[i])
		if err != nil {
			return nil, err
		}
		if method == "btree" {
			err = checkBtreeKey(t, k)
		} else {
			err = checkVectorKey(method, t, &s.Keys[i])
		}
		if err != nil {
			return nil, err
		}
		x.Keys = append(x.Keys, k)
	}
	if s.Where != nil {
		if x.Where, err = a.predicate(s.Where, table); err != nil {
			return nil, err
		}
	}
	if method == "btree" {
		return x, checkIndexOptions(s.Options, btreeOptions)
	}
	return x, a.checkVectorIndex(s, table, name)
}

// predicate keeps the condition of a partial index, which must be immutable.
func (a *applier) predicate(e sql.Expr, table *catalog.Relation) (string, error) {
	text, err := a.condition(e, table, "index predicate", "WHERE")
	if err != nil {
		return "", err
	}
	_, bound, err := a.expression(e, table, types.T(types.BoolOID), "index predicate")
	if err == nil && volatile(bound) {
		err = types.Errorf("42P17", "functions in index predicate must be marked IMMUTABLE")
	}
	return text, err
}

// indexKey reads one key and gives the type of its values.
func (a *applier) indexKey(table *catalog.Relation, k *sql.IndexKey) (catalog.IndexKey, types.Type, error) {
	out := catalog.IndexKey{
		OpClass: strings.Join(k.OpClass, "."), Collation: strings.Join(k.Collation, "."), Desc: k.Desc,
		NullsFirst: k.NullsFirst || k.Desc && !k.NullsLast,
	}
	if k.Expr == nil {
		c, ok := table.Column(k.Column)
		if !ok || c.Hidden {
			return out, types.Type{}, types.Errorf("42703", "column %q does not exist", k.Column)
		}
		out.Column = c.Num
		return out, c.Type, nil
	}
	text, bound, err := a.expression(k.Expr, table, types.Type{}, "index expression")
	if err != nil {
		return out, types.Type{}, err
	}
	if volatile(bound) {
		return out, types.Type{}, types.Errorf("42P17", "functions in index expression must be marked IMMUTABLE")
	}
	out.Expr = text
	return out, bound.Type(), nil
}

// checkBtreeKey refuses types without order, operator classes that are not there, and
// collations but those by bytes.
func checkBtreeKey(t types.Type, k catalog.IndexKey) error {
	if err := checkOrdered(t); err != nil {
		return err
	}
	if last := k.OpClass[strings.LastIndexByte(k.OpClass, '.')+1:]; last != "" && !slices.Contains(btreeClasses, last) {
		return types.Errorf("42704", "operator class %q does not exist for access method \"btree\"", last)
	}
	return setCollation(&catalog.Column{Type: t}, sqlName(k.Collation))
}

func sqlName(dotted string) sql.Name {
	if dotted == "" {
		return nil
	}
	return strings.Split(dotted, ".")
}

// btreeClasses order as the type does; the pattern ones are the same where text is
// ordered by its bytes.
var btreeClasses = strings.Fields(`
	bool_ops bpchar_ops bpchar_pattern_ops bytea_ops char_ops date_ops float4_ops float8_ops int2_ops int4_ops
	int8_ops interval_ops jsonb_ops name_ops numeric_ops oid_ops text_ops text_pattern_ops time_ops timestamp_ops
	timestamptz_ops timetz_ops uuid_ops varchar_ops varchar_pattern_ops array_ops record_ops vector_ops`)

// vectorClasses are pgvector's operator classes for vector.
var vectorClasses = []string{"vector_l2_ops", "vector_ip_ops", "vector_cosine_ops", "vector_l1_ops"}

// checkVectorKey holds pgvector's rules for the key of an hnsw or ivfflat index.
func checkVectorKey(method string, t types.Type, k *sql.IndexKey) error {
	class := ""
	if len(k.OpClass) > 0 {
		class = k.OpClass[len(k.OpClass)-1]
	}
	switch {
	case class == "" && (method == "hnsw" || t.OID != types.VectorOID):
		return types.Errorf("42704", "data type %s has no default operator class for access method %q", types.FormatType(types.T(t.OID)), method).
			WithHint("You must specify an operator class for the index or define a default operator class for the data type.")
	case class != "" && (!slices.Contains(vectorClasses, class) || class == "vector_l1_ops" && method == "ivfflat"):
		return types.Errorf("42704", "operator class %q does not exist for access method %q", class, method)
	case t.OID != types.VectorOID:
		return types.Errorf("42804", "operator class %q does not accept data type %s", class, types.FormatType(types.T(t.OID)))
	case t.Mod < 1:
		return types.Errorf("22023", "column does not have dimensions")
	case t.Mod > 2000:
		return types.Errorf("54000", "column cannot have more than 2000 dimensions for %s index", method)
	case k.Desc, k.NullsFirst, k.NullsLast:
		return types.Errorf("0A000", "access method %q does not support ASC/DESC options", method)
	}
	return nil
}

// checkVectorIndex holds pgvector's rules for the whole, and says how it is served.
func (a *applier) checkVectorIndex(s *sql.CreateIndex, table *catalog.Relation, name string) error {
	switch {
	case s.Unique:
		return types.Errorf("0A000", "access method %q does not support unique indexes", s.Method)
	case len(s.Keys) > 1:
		return types.Errorf("0A000", "access method %q does not support multicolumn indexes", s.Method)
	case len(s.Include) > 0:
		return types.Errorf("0A000", "access method %q does not support included columns", s.Method)
	}
	if err := checkIndexOptions(s.Options, vectorOptions[s.Method]); err != nil {
		return err
	}
	where := "all cells of " + table.Name
	if table.Placement.Strategy == catalog.Vector {
		where = "the cells it touches"
	}
	a.notice("00000", "index %q is kept in the catalog; a query searches %s exactly", name, where)
	return nil
}

// bounds are the least and greatest value of a numeric option.
type bounds struct{ least, greatest int }

var btreeOptions = map[string]bounds{"fillfactor": {10, 100}, "deduplicate_items": {}}

var vectorOptions = map[string]map[string]bounds{
	"hnsw":    {"m": {2, 100}, "ef_construction": {4, 1000}},
	"ivfflat": {"lists": {1, 32768}},
}

func checkIndexOptions(options []sql.Option, known map[string]bounds) error {
	for _, o := range options {
		b, ok := known[o.Name]
		if !ok || o.Namespace != "" {
			return types.Errorf("22023", "unrecognized parameter %q", o.Name)
		}
		if b == (bounds{}) || o.Value == nil {
			continue
		}
		n, err := strconv.Atoi(*o.Value)
		if err != nil {
			return types.Errorf("22023", "invalid value for integer option %q: %s", o.Name, *o.Value)
		}
		if n < b.least || n > b.greatest {
			return types.Errorf("22023", "value %s out of bounds for option %q", *o.Value, o.Name).
				WithDetail("Valid values are between \"%d\" and \"%d\".", b.least, b.greatest)
		}
	}
	return nil
}
