package sql

import "strings"

// QuoteIdent writes an identifier, quoted if it would not survive folding to lower
// case or is a keyword that is not free to be a name (as quote_ident does).
func QuoteIdent(s string) string {
	if isPlainIdent(s) && !keywords[s] {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// QuoteLiteral writes a string constant, with the E prefix if it holds a backslash.
func QuoteLiteral(s string) string {
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

func isPlainIdent(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c == '_'
		digit := c >= '0' && c <= '9' || c == '$'
		if !letter && (!digit || i == 0) {
			return false
		}
	}
	return true
}

// keywords are PostgreSQL's keywords other than the unreserved ones (kwlist.h).
var keywords = makeSet(`
	all analyse analyze and any array as asc asymmetric authorization between bigint binary
	bit boolean both case cast char character check coalesce collate collation column
	concurrently constraint create cross current_catalog current_date current_role
	current_schema current_time current_timestamp current_user dec decimal default deferrable
	desc distinct do else end except exists extract false fetch float for foreign freeze from
	full grant greatest group grouping having ilike in initially inner inout int integer
	intersect interval into is isnull join json json_array json_arrayagg json_exists
	json_object json_objectagg json_query json_scalar json_serialize json_table json_value
	lateral leading least left like limit localtime localtimestamp merge_action national
	natural nchar none normalize not notnull null nullif numeric offset on only or order out
	outer overlaps overlay placing position precision primary real references returning right
	row select session_user setof similar smallint some substring symmetric system_user table
	tablesample then time timestamp to trailing treat trim true union unique user using values
	varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement
	xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable`)

func makeSet(words string) map[string]bool {
	set := make(map[string]bool)
	for _, w := range strings.Fields(words) {
		set[w] = true
	}
	return set
}
