package ddl

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

func itoa(n int) string { return strconv.Itoa(n) }

// validUTF8 drops a character cut in half at the end.
func validUTF8(s string) string {
	for s != "" && !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}

// expression checks an expression that the catalog is to keep and gives its text: its
// names without their table's, relations it names by text qualified, so that it means
// the same under any search path. rel nil allows no columns. what names the place in
// messages, such as "DEFAULT expression".
func (a *applier) expression(e sql.Expr, rel *catalog.Relation, want types.Type, what string) (string, plan.Expr, error) {
	if err := refuse(e, rel, what); err != nil {
		return "", nil, err
	}
	var failed error
	text := sql.Rewrite(e, func(e sql.Expr) sql.Expr {
		switch e := e.(type) {
		case *sql.ColumnRef:
			if n := len(e.Parts); n > 1 && rel != nil && e.Parts[n-2] == rel.Name {
				return &sql.ColumnRef{Parts: e.Parts[n-1:], At: e.At}
			}
		case *sql.FuncCall:
			if isSequenceFunction(e.Name) && len(e.Args) > 0 {
				if lit, ok := e.Args[0].(*sql.Literal); ok && lit.Kind == 's' {
					e.Args[0] = &sql.Cast{Arg: a.qualifyText(lit, &failed), Type: regclass, At: lit.At}
				}
			}
		case *sql.Cast:
			if lit, ok := e.Arg.(*sql.Literal); ok && lit.Kind == 's' && isRegclass(e.Type) {
				return &sql.Cast{Arg: a.qualifyText(lit, &failed), Type: regclass, At: e.At}
			}
		}
		return e
	})
	if failed != nil {
		return "", nil, place(failed, sql.At(e.Pos()))
	}
	bound, err := plan.BindExpr(a.numbered(text), rel, want, a.bind())
	if err != nil {
		return "", nil, err
	}
	return sql.PrintExpr(text), bound, nil
}

// refuse tells what must not stand in a kept expression.
func refuse(e sql.Expr, rel *catalog.Relation, what string) (err error) {
	sql.Inspect(e, func(n any) bool {
		switch n := n.(type) {
		case *sql.Select:
			err = types.Errorf("0A000", "cannot use subquery in %s", what)
		case *sql.Param:
			err = place(types.Errorf("42P02", "there is no parameter $%d", n.N), n.At)
		case *sql.Default:
			err = place(types.Errorf("42601", "DEFAULT is not allowed in this context"), n.At)
		case *sql.FuncCall:
			if n.Over != nil {
				err = place(types.Errorf("42P20", "window functions are not allowed in %s", what), n.At)
			}
		case *sql.ColumnRef:
			if rel == nil {
				err = place(types.Errorf("0A000", "cannot use column reference in %s", what), n.At)
			}
		}
		return err == nil
	})
	return err
}

var regclass = sql.TypeName{Name: sql.Name{"regclass"}, At: -1}

func isRegclass(t sql.TypeName) bool {
	return t.Dims == 0 && len(t.Name) > 0 && t.Name[len(t.Name)-1] == "regclass"
}

func isSequenceFunction(n sql.Name) bool {
	switch n[len(n)-1] {
	case "nextval", "currval", "setval":
		return len(n) == 1 || n[0] == "pg_catalog"
	}
	return false
}

// qualifyText resolves a relation named in a string constant and writes its full name.
func (a *applier) qualifyText(lit *sql.Literal, failed *error) *sql.Literal {
	r, err := a.textRelation(lit.Text)
	if err != nil {
		*failed = err
		return lit
	}
	return &sql.Literal{Kind: 's', Text: sql.Name{r.Schema, r.Name}.String(), At: lit.At}
}

// textRelation resolves a relation named as in the input of regclass.
func (a *applier) textRelation(text string) (*catalog.Relation, error) {
	e, err := sql.ParseExpr(text)
	if ref, ok := e.(*sql.ColumnRef); ok && err == nil {
		return a.cat().Resolve(a.env.SearchPath, ref.Parts)
	}
	return nil, types.Errorf("42602", "invalid name syntax")
}

// numbered puts numbers in place of relations named by text, which binding then need
// not look up.
func (a *applier) numbered(e sql.Expr) sql.Expr {
	return sql.Rewrite(e, func(e sql.Expr) sql.Expr {
		if c, ok := e.(*sql.Cast); ok && isRegclass(c.Type) {
			if lit, ok := c.Arg.(*sql.Literal); ok && lit.Kind == 's' {
				if r, err := a.textRelation(lit.Text); err == nil {
					return &sql.Cast{Arg: &sql.Literal{Kind: 'i', Text: strconv.Itoa(int(r.OID)), At: lit.At}, Type: c.Type, At: c.At}
				}
			}
		}
		return e
	})
}

// namesRelation tells whether a kept text names a relation by a regclass constant.
func namesRelation(e sql.Expr, r *catalog.Relation) (found bool) {
	full := sql.Name{r.Schema, r.Name}.String()
	sql.Inspect(e, func(n any) bool {
		if c, ok := n.(*sql.Cast); ok && isRegclass(c.Type) {
			if lit, ok := c.Arg.(*sql.Literal); ok && lit.Text == full {
				found = true
			}
		}
		return !found
	})
	return found
}

// renameRelation replaces a relation's full name in the regclass constants of an expression.
func renameRelation(e sql.Expr, from, to sql.Name) sql.Expr {
	return sql.Rewrite(e, func(e sql.Expr) sql.Expr {
		if c, ok := e.(*sql.Cast); ok && isRegclass(c.Type) {
			if lit, ok := c.Arg.(*sql.Literal); ok && lit.Text == from.String() {
				lit.Text = to.String()
			}
		}
		return e
	})
}

// columnsOf gives the names of the columns that an expression reads.
func columnsOf(e sql.Expr) []string {
	var out []string
	sql.Inspect(e, func(n any) bool {
		if ref, ok := n.(*sql.ColumnRef); ok && len(ref.Parts) > 0 {
			out = append(out, ref.Parts[len(ref.Parts)-1])
		}
		return true
	})
	return out
}

// sqlNames writes names with commas between them.
func sqlNames(names []string) string { return strings.Join(names, ", ") }
