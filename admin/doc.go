// Package admin is what operators see and say: the status of every part as SQL views, the
// procedures of schema helios, Prometheus metrics and health over HTTP.
//
// A view is a function of plain status values that the parts give away; this package holds
// no state but the history of failovers, and starts no goroutine that outlives a call.
// Which rows a view has depends on who is asked. A node of a shard (NodeViews) answers for
// itself: one row in pg_replication_status, its standbys if it is primary, its primary if
// it is a standby. A router (ClusterViews) asks all nodes and answers with the rows of all.
package admin
