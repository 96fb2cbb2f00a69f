package sql

import "strings"

// typeWords are the types that SQL writes as keywords.
var typeWords = map[string]string{
	"bool": "boolean", "int2": "smallint", "int4": "integer", "int8": "bigint", "float4": "real",
	"float8": "double precision", "numeric": "numeric", "varchar": "character varying", "varbit": "bit varying",
	"timestamp": "timestamp", "timestamptz": "timestamp with time zone", "time": "time",
	"timetz": "time with time zone", "interval": "interval", "json": "json",
}

func (p *Printer) typeName(t TypeName) {
	p.wIf(t.SetOf, "SETOF ")
	word := ""
	if len(t.Name) == 2 && t.Name[0] == "pg_catalog" {
		word = typeWords[t.Name[1]]
	}
	switch {
	case word == "interval":
		p.w("interval")
		p.wIf(t.Fields != "", " "+t.Fields)
		p.mods(t.Mods)
	case word == "":
		p.name(t.Name)
		p.mods(t.Mods)
	case strings.HasSuffix(word, " with time zone"): // timestamp(3) with time zone
		first, rest, _ := strings.Cut(word, " ")
		p.w(first)
		p.mods(t.Mods)
		p.w(" ", rest)
	default:
		p.w(word)
		p.mods(t.Mods)
	}
	p.w(strings.Repeat("[]", t.Dims))
}

func (p *Printer) mods(mods []Expr) {
	if len(mods) > 0 {
		p.wordCall("", mods)
	}
}
