package pgcatalog

import (
	"regexp"
	"strings"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// Sequences answers, for one session, what no catalog value can: sequences and sizes.
type Sequences interface {
	Nextval(sequence types.OID) (int64, error)
	Currval(sequence types.OID) (int64, error)
	Lastval() (int64, error)
	Setval(sequence types.OID, value int64, called bool) error

	// Size answers the size function of that name; ok is false for an unknown object.
	Size(function string, args []types.Value) (bytes int64, ok bool, err error)
}

// lookup answers the catalog questions of one session's functions.
type lookup struct {
	Sequences
	view    *View
	session Session
}

// Lookup gives what builtin's catalog functions ask for, over the view's catalog.
func (v *View) Lookup(s Session, q Sequences) builtin.Catalog {
	return &lookup{Sequences: q, view: v, session: s}
}

// Lookup finds an object by name.
func (l *lookup) Lookup(class, name string) (types.OID, bool) {
	if class == builtin.ClassType {
		return l.findType(name)
	}
	bare, _, _ := strings.Cut(name, "(")
	parts, ok := splitName(bare)
	if !ok {
		return 0, false
	}
	last := parts[len(parts)-1]
	switch class {
	case builtin.ClassRelation:
		r, err := l.view.cat.Resolve(l.session.SearchPath(), parts)
		if err != nil || r.Hidden {
			return 0, false
		}
		return r.OID, true
	case builtin.ClassNamespace:
		s, ok := l.view.cat.Schema(last)
		if !ok {
			return 0, false
		}
		return s.OID, true
	case builtin.ClassRole:
		r, ok := l.view.cat.Role(last)
		if !ok {
			return 0, false
		}
		return r.OID, true
	case builtin.ClassFunction:
		return l.findFunction(parts, name)
	case builtin.ClassOperator:
		return findOperator(name)
	case builtin.ClassCollation:
		oid := collationOID(last)
		return oid, collationName(oid) == last
	case builtin.ClassDatabase:
		d := l.view.cat.Database()
		return d.OID, d.Name == last
	}
	return 0, false
}

// splitName splits a qualified name, folding what is not quoted.
func splitName(text string) (sql.Name, bool) {
	var out sql.Name
	rest := strings.TrimSpace(text)
	for {
		var part string
		if strings.HasPrefix(rest, `"`) {
			end := 1
			for end < len(rest) && (rest[end] != '"' || strings.HasPrefix(rest[end:], `""`)) {
				if rest[end] == '"' {
					end++
				}
				end++
			}
			if end >= len(rest) {
				return nil, false
			}
			part, rest = strings.ReplaceAll(rest[1:end], `""`, `"`), rest[end+1:]
		} else {
			end := strings.IndexByte(rest, '.')
			if end < 0 {
				end = len(rest)
			}
			part, rest = strings.ToLower(strings.TrimSpace(rest[:end])), rest[end:]
		}
		out = append(out, part)
		if rest = strings.TrimSpace(rest); rest == "" {
			return out, part != ""
		}
		if rest[0] != '.' {
			return nil, false
		}
		rest = strings.TrimSpace(rest[1:])
	}
}

func (l *lookup) findType(name string) (types.OID, bool) {
	if t, err := types.ParseTypeName(name); err == nil {
		return t.OID, true
	}
	parts, ok := splitName(name)
	if !ok {
		return 0, false
	}
	if len(parts) == 2 {
		if info := types.LookupName(parts[1]); info != nil && info.OID >= catalog.HeliosSchemaOID {
			return info.OID, true // vector, qualified by its schema
		}
	}
	r, err := l.view.cat.Resolve(l.session.SearchPath(), parts)
	if err != nil || r.RowType == 0 {
		return 0, false
	}
	return r.RowType, true
}

// findFunction finds a function by its name, if there is one overload, or by its name and
// argument types.
func (l *lookup) findFunction(parts sql.Name, text string) (types.OID, bool) {
	name := parts[len(parts)-1]
	_, args, typed := strings.Cut(text, "(")
	var want []types.OID
	if typed {
		for arg := range strings.SplitSeq(strings.TrimSuffix(strings.TrimSpace(args), ")"), ",") {
			if arg = strings.TrimSpace(arg); arg == "" {
				continue
			}
			oid, ok := l.findType(arg)
			if !ok {
				return 0, false
			}
			want = append(want, oid)
		}
	}
	found := types.OID(0)
	for _, f := range l.view.functions() {
		schema, bare := l.view.funcSchema(f)
		if bare != name || len(parts) > 1 && parts[0] != schema {
			continue
		}
		if typed && !equalOIDs(f.Args, want) {
			continue
		}
		if found != 0 {
			return 0, false // more than one
		}
		found = f.OID
	}
	return found, found != 0
}

func equalOIDs(a, b []types.OID) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func findOperator(name string) (types.OID, bool) {
	name = strings.TrimPrefix(name, "pg_catalog.")
	found := types.OID(0)
	for _, o := range builtin.Operators() {
		if o.Name == name {
			if found != 0 {
				return 0, false
			}
			found = o.OID
		}
	}
	return found, found != 0
}

// Name prints the name of an object.
func (l *lookup) Name(class string, oid types.OID) (string, bool) {
	v, path := l.view, l.session.SearchPath()
	switch class {
	case builtin.ClassRelation:
		if r, ok := v.cat.ByOID(oid); ok {
			return v.relationName(r.Schema, r.Name, path), true
		}
	case builtin.ClassType:
		return l.typeName(oid)
	case builtin.ClassFunction:
		// builtin prints its own functions, which know their arguments
		if f, ok := v.functionByOID(oid); ok && builtin.FuncByOID(oid) == nil {
			schema, name := v.funcSchema(f)
			return sql.QuoteIdent(schema) + "." + sql.QuoteIdent(name), true
		}
	case builtin.ClassNamespace:
		for _, s := range v.cat.Schemas() {
			if s.OID == oid {
				return sql.QuoteIdent(s.Name), true
			}
		}
	case builtin.ClassRole:
		if r, ok := v.cat.RoleByOID(oid); ok {
			return sql.QuoteIdent(r.Name), true
		}
	case builtin.ClassCollation:
		name := collationName(oid)
		return sql.QuoteIdent(name), name != ""
	case builtin.ClassDatabase:
		d := v.cat.Database()
		return sql.QuoteIdent(d.Name), d.OID == oid
	}
	return "", false
}

func (l *lookup) typeName(oid types.OID) (string, bool) {
	if types.Lookup(oid) != nil {
		return types.FormatType(types.T(oid)), true
	}
	for r := range l.view.cat.Relations() {
		if r.RowType == oid && oid != 0 {
			return l.view.relationName(r.Schema, r.Name, l.session.SearchPath()), true
		}
	}
	return "", false
}

// Visible tells whether the search path finds an object.
func (l *lookup) Visible(class string, oid types.OID) (visible, ok bool) {
	switch class {
	case builtin.ClassRelation:
		r, ok := l.view.cat.ByOID(oid)
		return ok && l.view.visible(r.Schema, r.Name, l.session.SearchPath()), ok
	case builtin.ClassType:
		if types.Lookup(oid) != nil {
			return true, true
		}
		for r := range l.view.cat.Relations() {
			if r.RowType == oid && oid != 0 {
				return l.view.visible(r.Schema, r.Name, l.session.SearchPath()), true
			}
		}
		return false, false
	case builtin.ClassFunction:
		f, ok := l.view.functionByOID(oid)
		if !ok {
			return false, false
		}
		schema, _ := l.view.funcSchema(f)
		return schema == "pg_catalog" || l.inPath(schema), true
	case builtin.ClassOperator:
		return true, builtin.OperatorByOID(oid) != nil
	case builtin.ClassCollation:
		return true, collationName(oid) != ""
	}
	return true, true // conversions, text search objects …: there are none
}

func (l *lookup) inPath(schema string) bool {
	for _, s := range l.session.SearchPath() {
		if s == schema {
			return true
		}
	}
	return false
}

// Comment gives the comment on an object.
func (l *lookup) Comment(class string, oid types.OID, sub int) (string, bool) {
	text := ""
	switch class {
	case builtin.ClassRelation, "":
		text = l.relationComment(oid, sub)
	case builtin.ClassNamespace:
		for _, s := range l.view.cat.Schemas() {
			if s.OID == oid {
				text = s.Comment
			}
		}
	case builtin.ClassRole:
		if r, ok := l.view.cat.RoleByOID(oid); ok {
			text = r.Comment
		}
	case builtin.ClassDatabase:
		if d := l.view.cat.Database(); d.OID == oid {
			text = d.Comment
		}
	case "pg_constraint":
		if _, c, ok := l.constraint(oid); ok {
			text = c.Comment
		}
	case "pg_extension":
		for _, x := range l.view.cat.Extensions() {
			if x.OID == oid {
				text = extensionComment
			}
		}
	}
	return text, text != ""
}

func (l *lookup) relationComment(oid types.OID, sub int) string {
	r, ok := l.view.cat.ByOID(oid)
	switch {
	case !ok || sub < 0 || sub > len(r.Columns):
		return ""
	case sub > 0:
		return r.Columns[sub-1].Comment
	}
	return r.Comment
}

func (l *lookup) constraint(oid types.OID) (*catalog.Relation, *catalog.Constraint, bool) {
	for r := range l.view.cat.Relations() {
		for i := range r.Constraints {
			if r.Constraints[i].OID == oid {
				return r, &r.Constraints[i], true
			}
		}
	}
	return nil, nil, false
}

// Definition prints SQL about an object.
func (l *lookup) Definition(function string, args []types.Value) (string, bool, error) {
	if len(args) == 0 || args[0].IsNull() {
		return "", false, nil
	}
	switch function {
	case "pg_get_expr":
		return l.relationNames(args[0].AsText()), true, nil
	case "pg_tablespace_location":
		return "", true, nil // in the data directory
	case "pg_get_viewdef":
		r, ok := l.relationArg(args[0])
		if !ok || r.Kind != catalog.KindView {
			return "Not a view", ok, nil
		}
		return viewDef(r), true, nil
	case "pg_get_serial_sequence":
		return l.serialSequence(args)
	}
	if args[0].Kind() != types.KindInt {
		return "", false, nil
	}
	oid, pretty := types.OID(args[0].AsInt()), args[len(args)-1].IsTrue()
	switch function {
	case "pg_get_indexdef":
		return l.indexDef(oid, args, pretty)
	case "pg_get_constraintdef":
		r, c, ok := l.constraint(oid)
		if !ok {
			return "", false, nil
		}
		return l.view.constraintDef(r, c, l.session.SearchPath(), pretty), true, nil
	case "pg_get_function_arguments", "pg_get_function_identity_arguments", "pg_get_function_result":
		f, ok := l.view.functionByOID(oid)
		switch {
		case !ok:
			return "", false, nil
		case function == "pg_get_function_result":
			return resultText(f), true, nil
		}
		return argumentList(f, function == "pg_get_function_identity_arguments"), true, nil
	case "pg_get_functiondef":
		if f, ok := l.view.functionByOID(oid); ok {
			return functionDef(l.view, f), true, nil
		}
	}
	return "", false, nil // triggers, rules, statistics objects …: there are none
}

// relationLiteral is a relation in an expression, as nextval of a default has it.
var relationLiteral = regexp.MustCompile(`'(?:[^']|'')+'::regclass`)

// relationNames prints the relations in an expression as the session would name them:
// without a schema that is on the search path.
func (l *lookup) relationNames(expr string) string {
	return relationLiteral.ReplaceAllStringFunc(expr, func(literal string) string {
		quoted := strings.TrimSuffix(literal, "::regclass")
		oid, ok := l.Lookup(builtin.ClassRelation, strings.ReplaceAll(quoted[1:len(quoted)-1], "''", "'"))
		if !ok {
			return literal
		}
		name, ok := l.Name(builtin.ClassRelation, oid)
		if !ok {
			return literal
		}
		return sql.QuoteLiteral(name) + "::regclass"
	})
}

func functionDef(v *View, f *builtin.Func) string {
	schema, name := v.funcSchema(f)
	words := map[byte]string{'i': " IMMUTABLE", 's': " STABLE"}[f.Volatility]
	if f.Strict {
		words += " STRICT"
	}
	return "CREATE OR REPLACE FUNCTION " + sql.QuoteIdent(schema) + "." + sql.QuoteIdent(name) + "(" + argumentList(f, false) +
		")\n RETURNS " + resultText(f) + "\n LANGUAGE internal\n" + words + "\nAS $function$" + name + "$function$\n"
}

// relationArg reads a relation given by number or by name.
func (l *lookup) relationArg(v types.Value) (*catalog.Relation, bool) {
	if v.Kind() == types.KindInt {
		return l.view.cat.ByOID(types.OID(v.AsInt()))
	}
	oid, ok := l.Lookup(builtin.ClassRelation, v.AsText())
	if !ok {
		return nil, false
	}
	return l.view.cat.ByOID(oid)
}

func (l *lookup) indexDef(oid types.OID, args []types.Value, pretty bool) (string, bool, error) {
	r, ok := l.view.cat.ByOID(oid)
	if !ok || r.Kind != catalog.KindIndex {
		return "", false, nil
	}
	table, _ := l.view.cat.ByOID(r.Parent)
	x, _ := table.IndexByOID(oid)
	if len(args) == 3 && args[1].AsInt() > 0 {
		i := int(args[1].AsInt()) - 1
		if i >= len(x.Keys)+len(x.Include) {
			return "", false, nil
		}
		return l.view.indexColumn(table, x, i), true, nil
	}
	qualified := !pretty || !l.view.visible(table.Schema, table.Name, l.session.SearchPath())
	return l.view.indexDef(table, x, qualified, pretty), true, nil
}

func (l *lookup) serialSequence(args []types.Value) (string, bool, error) {
	r, ok := l.relationArg(args[0])
	if !ok {
		return "", false, types.Errorf("42P01", "relation \"%s\" does not exist", args[0].AsText())
	}
	if len(args) < 2 || args[1].IsNull() {
		return "", false, nil
	}
	c, ok := r.Column(args[1].AsText())
	if !ok {
		return "", false, types.Errorf("42703", "column \"%s\" of relation \"%s\" does not exist", args[1].AsText(), r.Name)
	}
	q := l.view.ownedSequence(r.OID, c.Num)
	if q == nil {
		return "", false, nil
	}
	return sql.QuoteIdent(q.Schema) + "." + sql.QuoteIdent(q.Name), true, nil
}
