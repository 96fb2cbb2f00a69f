package router_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
)

// randomSQL writes random statements over a fixed set of tables. Whatever it writes has one
// right answer: LIMIT only over an order by all columns, and nothing that fails for some
// rows only.
type randomSQL struct {
	*rand.Rand
	aliases int
	ctes    []randomCTE // that the query can read
}

// randomCTE is a common table expression.
type randomCTE struct {
	name  string
	types []byte
}

// randomTable is a table of the schema; its first key columns are the primary key.
type randomTable struct {
	name, definition, options string
	columns                   []randomColumn
	key                       int
}

// randomColumn is a column in scope: typ is 'i' or 's'.
type randomColumn struct {
	name string
	typ  byte
}

func intsAndTexts(names string) (out []randomColumn) {
	for _, name := range strings.Fields(names) {
		typ := byte('i')
		if name == "s" || name == "w" {
			typ = 's'
		}
		out = append(out, randomColumn{name, typ})
	}
	return out
}

var randomTables = []randomTable{
	{"h", "id int PRIMARY KEY, g int, x int, s text", "", intsAndTexts("id g x s"), 1},
	{"k", "id int, n int, y int, w text, PRIMARY KEY (id, n)", "helios.shard_key='id'", intsAndTexts("id n y w"), 2},
	{"b", "id bigint PRIMARY KEY, x int, s text", "", intsAndTexts("id x s"), 1},
	{"r", "id int PRIMARY KEY, g int, s text", "helios.strategy='reference'", intsAndTexts("id g s"), 1},
	{"o", "id int PRIMARY KEY, x int, s text", "helios.strategy='single'", intsAndTexts("id x s"), 1},
	{"q", "id int PRIMARY KEY, y int", "helios.strategy='single'", intsAndTexts("id y"), 1},
	{"p", "id int PRIMARY KEY, x int, w text", "helios.strategy='range', helios.split_at='4,9'", intsAndTexts("id x w"), 1},
	{"n", "x int, s text", "", intsAndTexts("x s"), 0},
	{"v", "id int PRIMARY KEY, x int, e vector(2), s text", "helios.shard_key='e', helios.num_centroids=4", intsAndTexts("id x s"), 1},
}

// list is the table's columns under an alias.
func (t *randomTable) list(alias string) string {
	var out []string
	for _, c := range t.columns {
		out = append(out, alias+c.name)
	}
	return strings.Join(out, ", ")
}

type twoTexts struct{ helios, postgres string }

func (g *randomSQL) schema() (out []twoTexts) {
	for _, t := range randomTables {
		x := twoTexts{fmt.Sprintf("CREATE TABLE %s (%s)", t.name, t.definition), ""}
		x.postgres = strings.ReplaceAll(x.helios, "vector(2)", "text")
		if t.options != "" {
			x.helios += " WITH (" + t.options + ")"
		}
		out = append(out, x)
	}
	vectors := "INSERT INTO v SELECT i, i %% 5, %s, 's' || i %% 3 FROM generate_series(101, 140) i"
	return append(out, twoTexts{fmt.Sprintf(vectors, "ARRAY[i % 7, i % 11]::vector"), fmt.Sprintf(vectors, "''")})
}

func (g *randomSQL) pick(list ...string) string { return list[g.IntN(len(list))] }

func (g *randomSQL) some(of int, f func() string) string {
	if g.IntN(of) > 0 {
		return ""
	}
	return f()
}

func (g *randomSQL) value(typ byte) string {
	switch {
	case g.IntN(6) == 0:
		return "NULL"
	case typ == 's':
		return g.pick("'a'", "'b'", "'ab'", "''", "'c'")
	}
	return fmt.Sprint(g.IntN(9) - 1)
}

func (g *randomSQL) rows() (out []string) {
	for _, t := range randomTables {
		for i := range 5 + g.IntN(12) {
			var values []string
			for j, c := range t.columns {
				switch {
				case j < t.key && j == t.key-1:
					values = append(values, fmt.Sprint(i))
				case j < t.key:
					values = append(values, fmt.Sprint(g.IntN(8)))
				default:
					values = append(values, g.value(c.typ))
				}
			}
			out = append(out, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", t.name, t.list(""), strings.Join(values, ", ")))
		}
	}
	return out
}

func (g *randomSQL) alias() string {
	g.aliases++
	return fmt.Sprintf("a%d", g.aliases)
}

func (g *randomSQL) table() *randomTable { return &randomTables[g.IntN(len(randomTables))] }

// of gives an expression of a type over the columns in scope.
func (g *randomSQL) of(typ byte, scope []randomColumn, depth int) string {
	var fit []string
	for _, c := range scope {
		if c.typ == typ {
			fit = append(fit, c.name)
		}
	}
	column := func() string {
		if len(fit) == 0 {
			return g.value(typ) + map[byte]string{'i': "::int", 's': "::text"}[typ]
		}
		return fit[g.IntN(len(fit))]
	}
	if depth <= 0 || g.IntN(3) > 0 {
		return column()
	}
	in := func(t byte) string { return g.of(t, scope, depth-1) }
	if typ == 's' {
		switch g.IntN(5) {
		case 0:
			return "(" + in('s') + " || " + in('s') + ")"
		case 1:
			return "upper(" + in('s') + ")"
		case 2:
			return "coalesce(" + in('s') + ", " + in('s') + ", 'z')"
		case 3:
			return "CASE WHEN " + g.cond(scope, depth-1) + " THEN " + in('s') + " ELSE 'e' END"
		}
		return g.value('s') + "::text"
	}
	switch g.IntN(8) {
	case 0:
		return "(" + in('i') + g.pick(" + ", " - ") + in('i') + ")"
	case 1:
		return "coalesce(" + in('i') + ", " + fmt.Sprint(g.IntN(4)) + ")"
	case 2:
		return "CASE WHEN " + g.cond(scope, depth-1) + " THEN " + in('i') + " END"
	case 3:
		return "length(" + in('s') + ")"
	case 4:
		return g.value('i') + "::int"
	case 5:
		return "nullif(" + in('i') + ", " + in('i') + ")"
	case 6:
		return "(" + in('i') + " % 3)"
	}
	return g.scalar(scope, depth-1)
}

// scalar is a subquery that gives one row.
func (g *randomSQL) scalar(outer []randomColumn, depth int) string {
	from, scope := g.from(depth)
	agg := g.pick("count(*)", "count(%s)", "max(%s)", "min(%s)", "sum(%s)::int", "count(DISTINCT %s)")
	if strings.Contains(agg, "%s") {
		agg = fmt.Sprintf(agg, g.of('i', scope, 0))
	}
	where := g.some(2, func() string { return " WHERE " + g.cond(slices.Concat(scope, outer), depth) })
	return "(SELECT " + agg + "::int FROM " + from + where + ")"
}

// cond gives a condition.
func (g *randomSQL) cond(scope []randomColumn, depth int) string {
	x := func() string { return g.of('i', scope, depth-1) }
	switch g.IntN(17) {
	case 6, 7:
		return g.fixedKey(scope)
	case 8:
		return "(" + x() + ", " + x() + ")" + g.pick(" = ", " < ", " >= ") + "(" + x() + ", " + x() + ")"
	case 0:
		return g.of('s', scope, depth-1) + g.pick(" = ", " <> ", " < ", " >= ") + g.of('s', scope, depth-1)
	case 1:
		return x() + g.pick(" IS NULL", " IS NOT NULL")
	case 2:
		return x() + g.pick("", " NOT") + " IN (" + x() + ", " + g.value('i') + ", 3)"
	case 3:
		return x() + " BETWEEN " + x() + " AND " + x()
	case 4:
		return g.of('s', scope, 0) + g.pick("", " NOT") + " LIKE " + g.pick("'a%'", "'%b'", "'_'")
	case 5:
		return x() + g.pick(" IS DISTINCT FROM ", " IS NOT DISTINCT FROM ") + x()
	}
	if depth > 0 {
		switch g.IntN(8) {
		case 0, 1:
			return "(" + g.cond(scope, depth-1) + g.pick(" AND ", " OR ") + g.cond(scope, depth-1) + ")"
		case 2:
			return "NOT (" + g.cond(scope, depth-1) + ")"
		case 3, 4:
			from, in := g.from(depth - 1)
			return g.pick("", "NOT ") + "EXISTS (SELECT FROM " + from + " WHERE " + g.cond(slices.Concat(in, scope), depth-1) + g.correlate(in, scope) + ")"
		case 5, 6:
			from, in := g.from(depth - 1)
			where := g.some(2, func() string { return " WHERE " + g.cond(slices.Concat(in, scope), depth-1) })
			return x() + g.pick(" IN ", " NOT IN ", " = ANY ", " > ALL ") + "(SELECT " + g.of('i', in, 1) + " FROM " + from + where + ")"
		}
	}
	return x() + g.pick(" = ", " = ", " < ", " >= ", " <> ") + x()
}

// fixedKey compares a key, which may leave one shard to ask, with values.
func (g *randomSQL) fixedKey(scope []randomColumn) string {
	for range 4 {
		if c := scope[g.IntN(len(scope))]; strings.HasSuffix(c.name, ".id") {
			return c.name + g.pick(" = 3", " = 5", " IN (1, 4, 6)", " = ANY (ARRAY[2, 7])", " = 1 + 1", " = NULL", " IN (8)")
		}
	}
	return g.of('i', scope, 0) + " = 2"
}

func (g *randomSQL) correlate(in, outer []randomColumn) string {
	return g.some(2, func() string { return " AND " + g.of('i', in, 0) + " = " + g.of('i', outer, 0) })
}

// from gives FROM items and the columns that they bring.
func (g *randomSQL) from(depth int) (string, []randomColumn) {
	text, scope := g.item(depth)
	for range g.IntN(2) + g.IntN(2) {
		if depth <= 0 {
			break
		}
		if g.IntN(10) == 0 {
			right, more := g.lateral(scope, depth-1)
			text += g.pick(" CROSS JOIN LATERAL "+right, " LEFT JOIN LATERAL "+right+" ON true")
			scope = slices.Concat(scope, more)
			continue
		}
		right, more := g.item(depth - 1)
		kind := g.pick("JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN")
		on := ""
		if kind != "CROSS JOIN" {
			left, other := scope[0].name, more[0].name
			if g.IntN(3) == 0 {
				left, other = g.of('i', scope, 0), g.of('i', more, 0)
			}
			on = " ON " + left + " = " + other
		}
		scope = slices.Concat(scope, more)
		if kind != "FULL JOIN" && on != "" {
			on += g.some(3, func() string { return " AND " + g.cond(scope, 0) })
		}
		text += " " + kind + " " + right + on
	}
	return text, scope
}

// lateral is a subquery that reads the columns to its left.
func (g *randomSQL) lateral(outer []randomColumn, depth int) (string, []randomColumn) {
	alias := g.alias()
	from, scope := g.from(depth)
	both := slices.Concat(scope, outer)
	text := "SELECT " + g.of('i', both, 1) + ", " + g.of('i', scope, 0) + " FROM " + from + " WHERE " + g.cond(both, depth) + g.correlate(scope, outer)
	if g.IntN(3) == 0 {
		text += g.order(2, true)
	}
	return "(" + text + ") AS " + alias + " (c0, c1)", []randomColumn{{alias + ".c0", 'i'}, {alias + ".c1", 'i'}}
}

// item is a table, a subquery or a common table expression.
func (g *randomSQL) item(depth int) (string, []randomColumn) {
	alias := g.alias()
	if len(g.ctes) > 0 && g.IntN(2) == 0 {
		cte := g.ctes[g.IntN(len(g.ctes))]
		var scope []randomColumn
		for i, typ := range cte.types {
			scope = append(scope, randomColumn{fmt.Sprintf("%s.c%d", alias, i), typ})
		}
		return cte.name + " AS " + alias, scope
	}
	if depth > 0 && g.IntN(4) == 0 {
		text, types := g.selection(depth - 1)
		var names []string
		var scope []randomColumn
		for i, typ := range types {
			names = append(names, fmt.Sprintf("c%d", i))
			scope = append(scope, randomColumn{alias + "." + names[i], typ})
		}
		return "(" + text + ") AS " + alias + " (" + strings.Join(names, ", ") + ")", scope
	}
	t := g.table()
	var scope []randomColumn
	for _, c := range t.columns {
		scope = append(scope, randomColumn{alias + "." + c.name, c.typ})
	}
	return t.name + " AS " + alias, scope
}

// selection is a query without a top-level order, and the types of its columns: the first
// is an integer.
func (g *randomSQL) selection(depth int) (string, []byte) {
	if depth > 0 && g.IntN(6) == 0 {
		types := []byte("is")[:1+g.IntN(2)]
		op := g.pick(" UNION ", " UNION ALL ", " EXCEPT ", " INTERSECT ", " EXCEPT ALL ", " INTERSECT ALL ")
		return g.selectOf(types, depth-1) + op + g.selectOf(types, depth-1), types
	}
	types := []byte{'i'}
	for range g.IntN(3) {
		types = append(types, "is"[g.IntN(2)])
	}
	text := g.selectOf(types, depth)
	if g.IntN(5) == 0 {
		text += g.order(len(types), true)
	}
	return text, types
}

// order orders by all columns, so that LIMIT has one answer.
func (g *randomSQL) order(columns int, limit bool) string {
	var keys []string
	for _, i := range g.Perm(columns) {
		keys = append(keys, fmt.Sprint(i+1)+g.pick("", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"))
	}
	text := " ORDER BY " + strings.Join(keys, ", ")
	if limit {
		text += g.pick(" LIMIT 3", " LIMIT 1", " LIMIT 5 OFFSET 2", " OFFSET 4", " LIMIT 0", " LIMIT NULL", " LIMIT 1000 OFFSET 1")
	}
	return text
}

func (g *randomSQL) selectOf(types []byte, depth int) string {
	from, scope := g.from(depth)
	where := g.some(2, func() string { return " WHERE " + g.cond(scope, depth) })
	if g.IntN(3) == 0 {
		return g.grouped(types, from+where, scope, depth)
	}
	var list []string
	for _, typ := range types {
		if typ == 'i' && g.IntN(12) == 0 {
			list = append(list, g.window(scope))
		} else {
			list = append(list, g.of(typ, scope, depth))
		}
	}
	return "SELECT " + g.some(5, func() string { return "DISTINCT " }) + strings.Join(list, ", ") + " FROM " + from + where
}

// window is a window function that gives rows with equal keys equal values.
func (g *randomSQL) window(scope []randomColumn) string {
	x := g.of('i', scope, 1)
	call := g.pick("sum("+x+")", "count(*)", "rank()", "dense_rank()", "max("+x+")")
	over := g.some(2, func() string { return "PARTITION BY " + g.of('i', scope, 1) })
	if g.IntN(2) == 0 || strings.Contains(call, "rank") {
		over += " ORDER BY " + g.of('i', scope, 1) + g.pick("", " DESC")
	}
	return call + " OVER (" + over + ")::int"
}

// grouped selects groups and aggregates.
func (g *randomSQL) grouped(types []byte, from string, scope []randomColumn, depth int) string {
	var groups, list []string
	for range g.IntN(3) {
		groups = append(groups, g.of("is"[g.IntN(2)], scope, g.IntN(2)))
	}
	for _, typ := range types {
		list = append(list, g.aggregate(typ, scope))
	}
	text := "SELECT " + strings.Join(list, ", ") + " FROM " + from
	if len(groups) > 0 {
		text += " GROUP BY " + strings.Join(groups, ", ")
	}
	return text + g.some(3, func() string { return " HAVING " + g.aggregate('i', scope) + g.pick(" > 1", " < 4", " IS NOT NULL") })
}

func (g *randomSQL) aggregate(typ byte, scope []randomColumn) string {
	filter := g.some(5, func() string { return " FILTER (WHERE " + g.cond(scope, 0) + ")" })
	if typ == 's' {
		s := g.of('s', scope, 1)
		return g.pick("max("+s+")", "min("+s+")", "string_agg("+s+", ',' ORDER BY "+s+")", "string_agg(DISTINCT "+s+", ',')") + filter
	}
	x := g.of('i', scope, 1)
	if g.IntN(9) == 0 {
		return "array_length(array_agg(" + x + ")" + filter + ", 1)"
	}
	call := g.pick("count(*)", "count("+x+")", "count(DISTINCT "+x+")", "sum("+x+")", "max("+x+")", "min("+x+")", "sum(DISTINCT "+x+")", "avg("+x+")")
	return "(" + call + filter + ")::int"
}

// query is a whole query, and whether its order is fixed.
func (g *randomSQL) query() (text string, ordered bool) {
	g.aliases, g.ctes = 0, nil
	with := ""
	for i := range g.IntN(8) / 6 * (1 + g.IntN(2)) {
		body, types := g.selection(1)
		var names []string
		for i := range types {
			names = append(names, fmt.Sprintf("c%d", i))
		}
		cte := randomCTE{fmt.Sprintf("with%d", i), types}
		with += []string{"WITH ", ", "}[min(i, 1)] + cte.name + " (" + strings.Join(names, ", ") + ") AS " + g.pick("", "MATERIALIZED ", "NOT MATERIALIZED ") + "(" + body + ") "
		g.ctes = append(g.ctes, cte)
	}
	text, types := g.selection(2)
	g.ctes = nil
	switch {
	case strings.Contains(text, " ORDER BY "):
		return with + "SELECT * FROM (" + text + ") AS whole", false
	case g.IntN(2) == 0:
		return with + text + g.order(len(types), g.IntN(2) == 0), true
	}
	return with + text, false
}

// prepared makes a query's small numbers parameters.
func (g *randomSQL) prepared(text string) (prepare, execute string) {
	var values []string
	text = smallNumber.ReplaceAllStringFunc(text, func(n string) string {
		values = append(values, n[3:])
		return n[:3] + fmt.Sprintf("$%d", len(values))
	})
	if len(values) == 0 {
		return "PREPARE p AS " + text, "EXECUTE p"
	}
	ints := strings.TrimSuffix(strings.Repeat("int, ", len(values)), ", ")
	return "PREPARE p (" + ints + ") AS " + text, "EXECUTE p (" + strings.Join(values, ", ") + ")"
}

// smallNumber is a number that something is compared with.
var smallNumber = regexp.MustCompile(` [=<>] \d\b`)

// nearest is a search for neighbours, which PostgreSQL does not know.
func (g *randomSQL) nearest() string {
	where := g.some(2, func() string { return " WHERE " + g.cond([]randomColumn{{"v.id", 'i'}, {"v.x", 'i'}, {"v.s", 's'}}, 1) })
	return fmt.Sprintf("SELECT id, s, e FROM v%s ORDER BY e %s '[%d,%d]', id LIMIT %d OFFSET %d", where,
		g.pick("<->", "<=>", "<#>", "<+>"), g.IntN(8), g.IntN(8), g.IntN(9), g.IntN(3))
}

// change is an INSERT, UPDATE or DELETE. One that is not undone moves no keys: a second one
// could meet what the first has moved.
func (g *randomSQL) change(undone bool) string {
	g.aliases = 0
	t := g.table()
	alias := g.alias()
	var scope []randomColumn
	for _, c := range t.columns {
		scope = append(scope, randomColumn{alias + "." + c.name, c.typ})
	}
	where := g.some(1, func() string { return " WHERE " + g.cond(scope, 2) })
	returning := g.some(2, func() string { return " RETURNING " + t.list(alias+".") })
	switch g.IntN(4) {
	case 0:
		return "DELETE FROM " + t.name + " AS " + alias + where + returning
	case 1:
		if t.key != 1 {
			return "DELETE FROM " + t.name + " AS " + alias + where + returning
		}
		from, in := g.item(1)
		values := []string{g.of('i', in, 1)}
		for _, c := range t.columns[1:] {
			values = append(values, g.of(c.typ, in, 1))
		}
		conflict := g.pick("DO NOTHING", "(id) DO UPDATE SET "+t.columns[1].name+" = "+t.name+"."+t.columns[1].name+" + 1")
		order := "ORDER BY 1"
		for i := range t.columns[1:] {
			order += fmt.Sprintf(", %d", i+2)
		}
		return fmt.Sprintf("INSERT INTO %s (%s) SELECT DISTINCT ON (1) %s FROM %s WHERE %s IS NOT NULL %s ON CONFLICT %s",
			t.name, t.list(""), strings.Join(values, ", "), from, values[0], order, conflict)
	case 2:
		other := g.table()
		if other.key != 1 {
			break
		}
		from := g.alias()
		both := slices.Clone(scope)
		for _, c := range other.columns {
			both = append(both, randomColumn{from + "." + c.name, c.typ})
		}
		set := t.columns[len(t.columns)-1]
		return fmt.Sprintf("UPDATE %s AS %s SET %s = %s FROM %s AS %s WHERE %s.id = %s AND %s%s", t.name, alias, set.name,
			g.of(set.typ, both, 1), other.name, from, from, g.of('i', scope, 0), g.cond(both, 1), returning)
	}
	var sets []string
	for i, c := range t.columns[t.key:] {
		if i == 0 || g.IntN(2) == 0 {
			sets = append(sets, c.name+" = "+g.of(c.typ, scope, 2))
		}
	}
	if undone && t.key == 1 && g.IntN(4) == 0 {
		sets = append(sets, "id = "+alias+".id + 1000")
	}
	return "UPDATE " + t.name + " AS " + alias + " SET " + strings.Join(sets, ", ") + where + returning
}
