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
// for catalog.WithVirtual. The values are shared and must not be changed.
func Relations() []*catalog.Relation { return parseOnce() }

var parseOnce = sync.OnceValue(func() []*catalog.Relation {
	var out []*catalog.Relation
	for line := range strings.Lines(definitions) {
		words := strings.Fields(line)
		if !strings.HasPrefix(line, "\t") {
			out = append(out, parseRelation(words))
			continue
		}
		rel := out[len(out)-1]
		rel.Columns = append(rel.Columns, parseColumn(words, int16(len(rel.Columns)+1)))
	}
	return out
})

func parseRelation(words []string) *catalog.Relation {
	schema, name, _ := strings.Cut(words[0], ".")
	oid, err := strconv.ParseUint(words[1], 10, 32)
	if err != nil {
		panic(fmt.Sprintf("relations.txt: %s: %v", words[0], err))
	}
	return &catalog.Relation{
		OID: types.OID(oid), Schema: schema, Name: name, Kind: words[2][0],
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
