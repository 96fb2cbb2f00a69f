// Package pgcatalog is pg_catalog, information_schema and their functions as tables over
// a catalog value.
//
// The relations have PostgreSQL 15's numbers, columns and types (relations.txt), so the
// queries that psql, drivers and ORMs send run on the ordinary executor. A relation whose
// subject Helios does not have, such as pg_trigger, exists and is empty.
package pgcatalog
