// Package sql turns SQL text into a syntax tree and back.
//
// The tree is Helios' own: PostgreSQL's grammar does the parsing (pg_query_go), the
// result is converted at once, and no other package sees its nodes. Print writes any
// tree back as SQL that parses to the same tree.
package sql
