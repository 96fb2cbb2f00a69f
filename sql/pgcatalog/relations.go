package pgcatalog

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// definitions lists every relation: a line "schema.name oid relkind", then a tab-indented
// line "column type" for each column, with "!" after the type where it is NOT NULL.
//
//go:embed relations.txt
var definitions string

// Relations gives the definitions of all relations of pg_catalog and information_schema,
// for catalog.WithVirtual. All are of kind table, because their rows are given and not
// computed by a query; pg_class shows PostgreSQL's views among them as views. The values are
// shared and must not be changed.
func Relations() []*catalog.Relation { return parseOnce().relations }

// system is the parsed list of definitions.
type system struct {
	relations []*catalog.Relation
	views     map[types.OID]bool
}

var parseOnce = sync.OnceValue(func() *system {
	out := &system{views: make(map[types.OID]bool)}
	for line := range strings.Lines(definitions) {
		words := strings.Fields(line)
		if !strings.HasPrefix(line, "\t") {
			rel := parseRelation(words)
			out.relations = append(out.relations, rel)
			out.views[rel.OID] = words[2] == "v"
			continue
		}
		rel := out.relations[len(out.relations)-1]
		rel.Columns = append(rel.Columns, parseColumn(words, int16(len(rel.Columns)+1)))
	}
	return out
})

// kindOf is the kind that pg_class shows.
func kindOf(r *catalog.Relation) byte {
	if r.Virtual && parseOnce().views[r.OID] {
		return catalog.KindView
	}
	return r.Kind
}

func parseRelation(words []string) *catalog.Relation {
	schema, name, _ := strings.Cut(words[0], ".")
	oid, err := strconv.ParseUint(words[1], 10, 32)
	if err != nil {
		panic(fmt.Sprintf("relations.txt: %s: %v", words[0], err))
	}
	return &catalog.Relation{
		OID: types.OID(oid), Schema: schema, Name: name, Kind: catalog.KindTable,
		Owner: catalog.SuperuserOID, Virtual: true,
	}
}

func parseColumn(words []string, num int16) catalog.Column {
	typeName, notNull := strings.CutSuffix(words[1], "!")
	t, err := types.ParseTypeName(typeName)
	if err != nil {
		panic(fmt.Sprintf("relations.txt: column %s: %v", words[0], err))
	}
	c := catalog.Column{Num: num, Name: words[0], Type: t, NotNull: notNull}
	if t.OID == types.NameOID {
		c.Collation = "C"
	}
	return c
}
