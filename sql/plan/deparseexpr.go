package plan

import (
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

func (d *deparser) exprs(list []Expr, cols []sql.Expr) []sql.Expr {
	out := make([]sql.Expr, len(list))
	for i, e := range list {
		out[i] = d.expr(e, cols)
	}
	return out
}

// expr writes an expression whose columns are cols.
func (d *deparser) expr(e Expr, cols []sql.Expr) sql.Expr {
	switch e := e.(type) {
	case *Const:
		return d.constant(e)
	case *Param, *Outer, *InitValue:
		return &sql.Cast{Arg: &sql.Param{N: d.number(e), At: -1}, Type: d.typeName(types.T(e.Type().OID)), At: -1}
	case *Column:
		return cols[e.Index]
	case *Call:
		return d.call(e, cols)
	case *And:
		return &sql.And{Args: d.exprs(e.Args, cols), At: -1}
	case *Or:
		return &sql.Or{Args: d.exprs(e.Args, cols), At: -1}
	case *Not:
		return &sql.Not{Arg: d.expr(e.Arg, cols), At: -1}
	case *IsNull:
		return &sql.IsNull{Arg: d.expr(e.Arg, cols), Not: e.Not, At: -1}
	case *BoolTest:
		return &sql.BoolTest{Arg: d.expr(e.Arg, cols), Test: e.Test, Not: e.Not, At: -1}
	case *IsDistinct:
		return &sql.IsDistinct{Left: d.expr(e.Left, cols), Right: d.expr(e.Right, cols), Not: e.Not, At: -1}
	case *AnyAll:
		return &sql.AnyAll{Op: e.Op, All: e.All, Left: d.expr(e.Left, cols), Array: d.expr(e.Array, cols), At: -1}
	case *Cast:
		return &sql.Cast{Arg: d.expr(e.Arg, cols), Type: d.typeName(e.Typ), At: -1}
	}
	return d.rareExpr(e, cols)
}

func (d *deparser) rareExpr(e Expr, cols []sql.Expr) sql.Expr {
	switch e := e.(type) {
	case *Case:
		c := &sql.Case{At: -1}
		for _, w := range e.Whens {
			c.Whens = append(c.Whens, sql.When{Cond: d.expr(w.Cond, cols), Result: d.expr(w.Result, cols)})
		}
		if e.Else != nil {
			c.Else = d.expr(e.Else, cols)
		}
		return c
	case *Coalesce:
		return &sql.Coalesce{Args: d.exprs(e.Args, cols), At: -1}
	case *MinMax:
		return &sql.MinMax{Least: e.Least, Args: d.exprs(e.Args, cols), At: -1}
	case *NullIf:
		return &sql.NullIf{Left: d.expr(e.Left, cols), Right: d.expr(e.Right, cols), At: -1}
	case *ArrayExpr:
		a := &sql.ArrayExpr{Elems: d.exprs(e.Elems, cols), At: -1}
		return &sql.Cast{Arg: a, Type: d.typeName(types.T(e.Typ.OID)), At: -1}
	case *Row:
		return &sql.RowExpr{Fields: d.exprs(e.Fields, cols), Explicit: true, At: -1}
	case *Subscript:
		x := d.expr(e.Arg, cols)
		for i, s := range e.Index {
			sub := &sql.Subscript{Arg: x, Slice: s.Slice, Chained: i > 0, At: -1}
			if s.Low != nil {
				sub.Low = d.expr(s.Low, cols)
			}
			if s.High != nil {
				sub.High = d.expr(s.High, cols)
			}
			x = sub
		}
		return x
	}
	d.fail("this expression")
	return &sql.Literal{Kind: 'n', At: -1}
}

// number gives the parameter number of a value that is sent along.
func (d *deparser) number(e Expr) int {
	key := Key(e)
	if n, ok := d.numbers[key]; ok {
		return n
	}
	d.args = append(d.args, e)
	d.numbers[key] = len(d.args)
	return len(d.args)
}

func (d *deparser) call(e *Call, cols []sql.Expr) sql.Expr {
	if e.Fn.Volatility == 's' && !readsColumn(e) && !hasSubPlan(e) {
		// now(), current_user: of the session, and the same on every shard.
		return &sql.Cast{Arg: &sql.Param{N: d.number(e), At: -1}, Type: d.typeName(types.T(e.Typ.OID)), At: -1}
	}
	args := d.exprs(e.Args, cols)
	switch {
	case e.Op != "" && len(args) == 1:
		return &sql.Op{Name: e.Op, Right: args[0], At: -1}
	case e.Op != "":
		return &sql.Op{Name: e.Op, Left: args[0], Right: args[1], At: -1}
	}
	f := &sql.FuncCall{Name: sql.Name(strings.Split(e.Fn.Name, ".")), Args: args, At: -1}
	if n := len(e.Fn.Args); e.Fn.Variadic && n == len(args) && e.Fn.Args[n-1] != types.AnyOID {
		f.Variadic = true
	}
	return f
}

// constant writes a value so that it has its type wherever it stands.
func (d *deparser) constant(c *Const) sql.Expr {
	v := c.Value
	switch {
	case v.IsNull():
		return &sql.Cast{Arg: &sql.Literal{Kind: 'n', At: -1}, Type: d.typeName(types.T(c.Typ.OID)), At: -1}
	case c.Typ.OID == types.BoolOID:
		return &sql.Literal{Kind: 'b', Text: strconv.FormatBool(v.AsBool()), At: -1}
	case c.Typ.OID == types.Int4OID && v.AsInt() >= 0 && v.AsInt() <= math.MaxInt32:
		return &sql.Literal{Kind: 'i', Text: strconv.FormatInt(v.AsInt(), 10), At: -1}
	case c.Typ.OID == types.RecordOID:
		row := &sql.RowExpr{Explicit: true, At: -1}
		for i, f := range v.AsRecord() {
			row.Fields = append(row.Fields, d.constant(&Const{f, v.RecordTypes()[i]}))
		}
		return row
	}
	text := types.ToText(types.T(c.Typ.OID), v)
	return &sql.Cast{Arg: &sql.Literal{Kind: 's', Text: text, At: -1}, Type: d.typeName(types.T(c.Typ.OID)), At: -1}
}

// typeNames remembers the trees of types: they are made by the parser.
var typeNames sync.Map // types.Type → sql.TypeName

func (d *deparser) typeName(t types.Type) sql.TypeName {
	if name, ok := typeNames.Load(t); ok {
		return name.(sql.TypeName)
	}
	e, err := sql.ParseExpr("NULL::" + types.FormatType(t))
	cast, ok := e.(*sql.Cast)
	if err != nil || !ok {
		d.fail("type " + types.FormatType(t))
		return sql.TypeName{}
	}
	typeNames.Store(t, cast.Type)
	return cast.Type
}

// InsertColumns are the positions in rel.Columns of the values that InsertSQL sends:
// all but dropped and generated columns.
func InsertColumns(rel *catalog.Relation) []int {
	var out []int
	for i, c := range rel.Columns {
		if !c.Dropped && c.Generated == 0 {
			out = append(out, i)
		}
	}
	return out
}

// InsertSQL writes an insert of some rows for a shard: $1… are the values of
// InsertColumns, row after row, then args. It returns the columns of the stored rows,
// in the order of the relation without dropped ones.
func InsertSQL(n *Insert, rows int) (text string, args []Expr, err error) {
	cols := InsertColumns(n.Rel)
	d := &deparser{numbers: make(map[string]int), args: make([]Expr, rows*len(cols))}
	ins := &sql.Insert{Table: d.table(n.Rel, "t"), Query: &sql.Select{At: -1}}
	for _, c := range n.Rel.Columns {
		if !c.Dropped {
			ins.Returning = append(ins.Returning, sql.Target{Expr: &sql.ColumnRef{Parts: sql.Name{"t", c.Name}, At: -1}})
		}
	}
	for _, attr := range cols {
		c := n.Rel.Columns[attr]
		ins.Columns = append(ins.Columns, c.Name)
		if c.Identity == 'a' {
			ins.Overriding = "system"
		}
	}
	for r := range rows {
		row := make([]sql.Expr, len(cols))
		for i, attr := range cols {
			param := &sql.Param{N: r*len(cols) + i + 1, At: -1}
			row[i] = &sql.Cast{Arg: param, Type: d.typeName(types.T(n.Rel.Columns[attr].Type.OID)), At: -1}
		}
		ins.Query.Values = append(ins.Query.Values, row)
	}
	ins.OnConflict = d.onConflict(n)
	if d.err != nil {
		return "", nil, d.err
	}
	return sql.Print(ins), d.args[rows*len(cols):], nil
}

func (d *deparser) onConflict(n *Insert) *sql.OnConflict {
	o := n.OnConflict
	if o == nil {
		return nil
	}
	out := &sql.OnConflict{DoUpdate: o.DoUpdate}
	switch {
	case len(o.Arbiters) > 1:
		d.fail("ON CONFLICT with several indexes")
	case len(o.Arbiters) == 1:
		for _, k := range o.Arbiters[0].Keys {
			name := n.Rel.Columns[k.Column-1].Name
			out.Columns = append(out.Columns, &sql.ColumnRef{Parts: sql.Name{name}, At: -1})
		}
	}
	var cols []sql.Expr
	for _, table := range []string{"t", "excluded"} {
		for _, c := range n.Rel.Columns {
			cols = append(cols, &sql.ColumnRef{Parts: sql.Name{table, c.Name}, At: -1})
		}
	}
	for _, a := range o.Set {
		c := n.Rel.Columns[a.Attr]
		if c.Generated != 0 {
			continue
		}
		if !pushable(a.Expr) {
			d.fail("a subquery or volatile function in ON CONFLICT DO UPDATE")
			return out
		}
		out.Set = append(out.Set, sql.Assign{Columns: []string{c.Name}, Value: d.expr(a.Expr, cols), At: -1})
	}
	if o.Where != nil {
		out.SetWhere = d.expr(o.Where, cols)
	}
	return out
}
