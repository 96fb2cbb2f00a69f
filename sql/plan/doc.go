// Package plan turns a syntax tree and a catalog into a typed plan, and splits a plan
// into what each shard runs and what a router merges.
//
// Bind resolves names and types, rewrites and chooses access paths; Distribute puts
// Gather nodes where shards take over; Gather.SQL prints their part as SQL.
package plan
