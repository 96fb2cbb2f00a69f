// Package node is one process of a cluster: it builds the parts of its role, starts them
// in order and stops them in reverse. It is the only place that joins the seams between
// packages: shard and ha, session and pgwire, router and remote.
package node
