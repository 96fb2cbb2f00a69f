// Package session is one client's session, the same on router and shard: settings,
// prepared statements, portals, plan cache, transaction state; it calls an Engine.
//
// A Session is driven by one goroutine at a time (pgwire's, for its connection); Cancel
// alone may come from another one. Whatever differs between a router and a shard lies
// behind Engine and Tx.
package session
