package pgcatalog

import (
	"sync"
	"time"

	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// View is the system catalogs over one catalog value. It keeps the rows it has made, so
// an engine holds one View per catalog version. It is safe for concurrent use.
type View struct {
	cat  *catalog.Catalog
	node Node

	mu struct {
		sync.Mutex
		rows map[types.OID][]types.Row
	}
}

// Session is what some relations ask about the session that reads them.
type Session interface {
	User() string         // current_user
	SearchPath() []string // schemas as set, "$user" replaced

	// Rows gives the content of relations about what is going on, such as pg_settings and
	// pg_stat_activity; ok is false for a relation it has nothing to say about.
	Rows(relation string) (rows []types.Row, ok bool)
}

// Node is what the node knows that no catalog value holds, the same for all sessions.
type Node interface {
	// Functions are the engine's own functions, shown in pg_proc beside the built-in ones.
	// A name may carry its schema, "helios.reshard"; without one it is pg_catalog.
	Functions() []*builtin.Func

	// LastValue is the last value that any session drew; ok is false before the first.
	LastValue(sequence types.OID) (value int64, ok bool)
}

// New makes the view of a catalog.
func New(cat *catalog.Catalog, node Node) *View {
	v := &View{cat: cat, node: node}
	v.mu.rows = make(map[types.OID][]types.Row)
	return v
}

// Rows gives the rows of one of Relations(), each as wide as rel.Columns. The rows are
// shared and must not be changed.
func (v *View) Rows(rel *catalog.Relation, s Session) ([]types.Row, error) {
	name := rel.Schema + "." + rel.Name
	if rows, ok := s.Rows(rel.Name); ok && rel.Schema == "pg_catalog" {
		return rows, nil
	}
	if fill, ok := personal[name]; ok {
		return v.collect(rel, func(emit func(fields)) { fill(v, s, emit) })
	}
	fill, ok := contents[name]
	if !ok {
		return nil, nil
	}
	v.mu.Lock()
	rows, ok := v.mu.rows[rel.OID]
	v.mu.Unlock()
	if ok {
		return rows, nil
	}
	rows, err := v.collect(rel, func(emit func(fields)) { fill(v, emit) })
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	v.mu.rows[rel.OID] = rows
	v.mu.Unlock()
	return rows, nil
}

// fields is a row by column name. A column left out is NULL, or the zero of its type
// where it is NOT NULL. Values are bool, integers, byte (a "char"), float64, string,
// time.Time, slices of string, types.OID and int16, types.Value, or nil.
type fields map[string]any

func (v *View) collect(rel *catalog.Relation, fill func(emit func(fields))) ([]types.Row, error) {
	var rows []types.Row
	var wrong error
	fill(func(f fields) {
		row := make(types.Row, len(rel.Columns))
		used := 0
		for i := range rel.Columns {
			c := &rel.Columns[i]
			x, ok := f[c.Name]
			if ok {
				used++
			}
			if row[i], ok = valueOf(x, c); !ok && wrong == nil {
				wrong = types.Errorf("XX000", "%s.%s: no value from %T", rel.Name, c.Name, x)
			}
		}
		if used != len(f) && wrong == nil {
			wrong = types.Errorf("XX000", "a row of %s has a column that the relation lacks", rel.Name)
		}
		rows = append(rows, row)
	})
	return rows, wrong
}

// valueOf turns a field into a value of the column's type.
func valueOf(x any, c *catalog.Column) (types.Value, bool) {
	switch x := x.(type) {
	case nil:
		if c.NotNull {
			return zeroOf(c.Type.OID), true
		}
		return types.Null, true
	case types.Value:
		return x, true
	case bool:
		return types.Bool(x), true
	case byte:
		return types.Int(int64(x)), true
	case int:
		return types.Int(int64(x)), true
	case int16:
		return types.Int(int64(x)), true
	case int32:
		return types.Int(int64(x)), true
	case int64:
		return types.Int(x), true
	case types.OID:
		return types.Int(int64(x)), true
	case float64:
		return types.Float(x), true
	case string:
		return types.Text(x), true
	case time.Time:
		return types.Timestamp(x.Sub(postgresEpoch).Microseconds()), true
	case []string:
		return arrayOf(c.Type.OID, x, types.Text), true
	case []types.OID:
		return arrayOf(c.Type.OID, x, func(o types.OID) types.Value { return types.Int(int64(o)) }), true
	case []int16:
		return arrayOf(c.Type.OID, x, func(n int16) types.Value { return types.Int(int64(n)) }), true
	}
	return types.Null, false
}

var postgresEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func zeroOf(oid types.OID) types.Value {
	switch {
	case oid == types.BoolOID:
		return types.Bool(false)
	case oid == types.Float4OID || oid == types.Float8OID:
		return types.Float(0)
	case oid == types.NameOID || oid == types.TextOID || oid == types.PGNodeTreeOID:
		return types.Text("")
	case types.IsArray(oid):
		return arrayOf(oid, []int16(nil), func(int16) types.Value { return types.Null })
	}
	return types.Int(0)
}

// arrayOf makes a one-dimensional array; int2vector and oidvector count from 0.
func arrayOf[T any](array types.OID, list []T, value func(T) types.Value) types.Value {
	a := &types.Array{Elem: types.ElemOf(array)}
	for _, x := range list {
		a.Elems = append(a.Elems, value(x))
	}
	vector := array == types.Int2VectorOID || array == types.OIDVectorOID
	if len(list) > 0 || vector {
		a.Dims, a.Lower = []int{len(list)}, []int{1}
		if vector {
			a.Lower[0] = 0
		}
	}
	return types.ArrayValue(a)
}
