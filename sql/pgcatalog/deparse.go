package pgcatalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// indexDef prints CREATE INDEX as pg_get_indexdef does: the table's name with its schema
// if qualified, expressions without needless parentheses if pretty.
func (v *View) indexDef(r *catalog.Relation, x *catalog.Index, qualified, pretty bool) string {
	var b strings.Builder
	b.WriteString("CREATE ")
	if x.Unique {
		b.WriteString("UNIQUE ")
	}
	table := sql.QuoteIdent(r.Name)
	if qualified {
		table = sql.QuoteIdent(r.Schema) + "." + table
	}
	fmt.Fprintf(&b, "INDEX %s ON %s USING %s (", sql.QuoteIdent(x.Name), table, x.Method)
	for i := range x.Keys {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(v.indexKey(r, x, i))
	}
	b.WriteByte(')')
	if len(x.Include) > 0 {
		fmt.Fprintf(&b, " INCLUDE (%s)", columnList(r, x.Include))
	}
	if x.NullsNotDistinct {
		b.WriteString(" NULLS NOT DISTINCT")
	}
	if options, ok := optionList(x.Options).([]string); ok {
		fmt.Fprintf(&b, " WITH (%s)", quoteOptions(options))
	}
	if x.Where != "" {
		where := x.Where
		if !pretty {
			where = inParens(where)
		}
		b.WriteString(" WHERE " + where)
	}
	return b.String()
}

// quoteOptions prints name='value' pairs as pg_get_indexdef does.
func quoteOptions(options []string) string {
	out := make([]string, len(options))
	for i, o := range options {
		name, value, _ := strings.Cut(o, "=")
		if sql.QuoteIdent(value) != value {
			value = sql.QuoteLiteral(value)
		}
		out[i] = sql.QuoteIdent(name) + "=" + value
	}
	return strings.Join(out, ", ")
}

// indexKey prints key number i with what differs from the default: collation, operator
// class, direction, place of NULLs.
func (v *View) indexKey(r *catalog.Relation, x *catalog.Index, i int) string {
	k := x.Keys[i]
	out := v.indexColumn(r, x, i)
	if own := v.keyColumnCollation(r, k); k.Collation != "" && collationOID(k.Collation) != own {
		out += " COLLATE " + sql.QuoteIdent(k.Collation)
	}
	t := v.indexColumns(r, x)[i].Type.OID
	if class := opclassOID(x.Method, k.OpClass, t); k.OpClass != "" && !isDefaultClass(class, accessMethodOID(x.Method), t) {
		out += " " + k.OpClass
	}
	switch {
	case k.Desc && !k.NullsFirst:
		out += " DESC NULLS LAST"
	case k.Desc:
		out += " DESC"
	case k.NullsFirst:
		out += " NULLS FIRST"
	}
	return out
}

func isDefaultClass(class, am, t types.OID) bool {
	if t == types.VarcharOID {
		t = types.TextOID
	}
	for i := range opclassList {
		if c := &opclassList[i]; c.oid == class {
			return c.standard && c.method == am && class == defaultOpclass(am, t)
		}
	}
	return false
}

func (v *View) keyColumnCollation(r *catalog.Relation, k catalog.IndexKey) types.OID {
	if k.Column != 0 {
		c := &r.Columns[k.Column-1]
		if info := types.Lookup(c.Type.OID); info != nil {
			return columnCollation(c, info)
		}
	}
	return 100
}

// indexColumn prints key i alone: a column, a function call, or another expression in
// parentheses.
func (v *View) indexColumn(r *catalog.Relation, x *catalog.Index, i int) string {
	if i >= len(x.Keys) {
		return sql.QuoteIdent(r.Columns[x.Include[i-len(x.Keys)]-1].Name)
	}
	k := &x.Keys[i]
	if k.Column != 0 {
		return sql.QuoteIdent(r.Columns[k.Column-1].Name)
	}
	if _, call := k.ParsedExpr().(*sql.FuncCall); call {
		return k.Expr
	}
	return inParens(k.Expr)
}

// inParens puts an expression in parentheses unless it is in a pair already.
func inParens(expr string) string {
	if strings.HasPrefix(expr, "(") && closes(expr) == len(expr)-1 {
		return expr
	}
	return "(" + expr + ")"
}

// closes gives the position of the bracket that closes the first one, quoted text skipped.
func closes(expr string) int {
	depth, quote := 0, byte(0)
	for i := range len(expr) {
		switch c := expr[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func columnList(r *catalog.Relation, nums []int16) string {
	names := make([]string, len(nums))
	for i, num := range nums {
		names[i] = sql.QuoteIdent(r.Columns[num-1].Name)
	}
	return strings.Join(names, ", ")
}

// constraintDef prints a constraint as pg_get_constraintdef does; path says which
// referenced tables need no schema.
func (v *View) constraintDef(r *catalog.Relation, c *catalog.Constraint, path []string, pretty bool) string {
	var b strings.Builder
	switch c.Kind {
	case 'c':
		expr := c.Expr
		if !pretty {
			expr = inParens(expr)
		}
		fmt.Fprintf(&b, "CHECK (%s)", expr)
	case 'p', 'u':
		v.keyDef(&b, r, c)
	case 'f':
		v.foreignDef(&b, r, c, path)
	}
	if c.Deferrable {
		b.WriteString(" DEFERRABLE")
	}
	if c.InitiallyDeferred {
		b.WriteString(" INITIALLY DEFERRED")
	}
	if !c.Valid && (c.Kind == 'c' || c.Kind == 'f') {
		b.WriteString(" NOT VALID")
	}
	return b.String()
}

func (v *View) keyDef(b *strings.Builder, r *catalog.Relation, c *catalog.Constraint) {
	x, _ := r.IndexByOID(c.Index)
	b.WriteString("PRIMARY KEY")
	if c.Kind == 'u' {
		b.Reset()
		b.WriteString("UNIQUE")
		if x != nil && x.NullsNotDistinct {
			b.WriteString(" NULLS NOT DISTINCT")
		}
	}
	fmt.Fprintf(b, " (%s)", columnList(r, c.Columns))
	if x != nil && len(x.Include) > 0 {
		fmt.Fprintf(b, " INCLUDE (%s)", columnList(r, x.Include))
	}
	if x != nil {
		if options, ok := optionList(x.Options).([]string); ok {
			fmt.Fprintf(b, " WITH (%s)", quoteOptions(options))
		}
	}
}

func (v *View) foreignDef(b *strings.Builder, r *catalog.Relation, c *catalog.Constraint, path []string) {
	fmt.Fprintf(b, "FOREIGN KEY (%s) REFERENCES ", columnList(r, c.Columns))
	if parent, ok := v.cat.ByOID(c.RefTable); ok {
		fmt.Fprintf(b, "%s(%s)", v.relationName(parent.Schema, parent.Name, path), columnList(parent, c.RefColumns))
	}
	if c.Match == "full" {
		b.WriteString(" MATCH FULL")
	}
	if c.OnUpdate != "" && c.OnUpdate != "no action" {
		b.WriteString(" ON UPDATE " + strings.ToUpper(c.OnUpdate))
	}
	if c.OnDelete != "" && c.OnDelete != "no action" {
		b.WriteString(" ON DELETE " + strings.ToUpper(c.OnDelete))
	}
}

// relationName prints a relation's name, with its schema if the path does not find it.
func (v *View) relationName(schema, name string, path []string) string {
	if v.visible(schema, name, path) {
		return sql.QuoteIdent(name)
	}
	return sql.QuoteIdent(schema) + "." + sql.QuoteIdent(name)
}

// visible tells whether the bare name means this relation under the path.
func (v *View) visible(schema, name string, path []string) bool {
	if !slices.Contains(path, "pg_catalog") {
		path = append([]string{"pg_catalog"}, path...)
	}
	for _, s := range path {
		if r, ok := v.cat.Relation(s, name); ok && !r.Hidden {
			return s == schema
		}
	}
	return false
}

// expressionColumn names and types an index column that is an expression, as PostgreSQL
// names it: after the function, or "expr".
func (v *View) expressionColumn(e sql.Expr) (string, types.Type) {
	switch e := e.(type) {
	case *sql.FuncCall:
		name := e.Name[len(e.Name)-1]
		return name, types.T(v.resultType(name, len(e.Args)))
	case *sql.Cast:
		t, err := types.ParseTypeName(strings.Join(e.Type.Name, "."))
		if err != nil {
			t = types.T(types.TextOID)
		}
		if name, _ := v.expressionColumn(e.Arg); name != "expr" {
			return name, t
		}
		return e.Type.Name[len(e.Type.Name)-1], t
	case *sql.Collate:
		return v.expressionColumn(e.Arg)
	case *sql.Coalesce:
		return "coalesce", types.T(types.TextOID)
	}
	return "expr", types.T(types.TextOID)
}
