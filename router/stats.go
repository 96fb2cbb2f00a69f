package router

import "sync/atomic"

// counters only grow.
type counters struct {
	flights      atomic.Int64
	statements   atomic.Int64
	oneShard     atomic.Int64
	restarts     atomic.Int64
	staleMaps    atomic.Int64
	staleSchemas atomic.Int64
	gathered     atomic.Int64
	distributed  atomic.Int64
	refreshes    atomic.Int64
	reloads      atomic.Int64
}

// Stats are a router's counters since it started.
type Stats struct {
	Statements   int64 // run for clients
	OneShard     int64 // of these, sent whole to one shard
	RoundTrips   int64 // flights to shards that a client's statement or COMMIT waited for; parallel ones count once
	Restarts     int64 // statements run again above a newer version
	StaleMaps    int64 // answers that the router's map was old
	StaleSchemas int64 // answers that the router's catalog was old
	Gathers      int64 // snapshots gathered from all primaries
	Distributed  int64 // transactions committed over several shards
	Reloads      int64 // of the catalog
}

// Stats reads the counters.
func (r *Router) Stats() Stats {
	return Stats{
		Statements: r.stats.statements.Load(), OneShard: r.stats.oneShard.Load(), RoundTrips: r.stats.flights.Load(),
		Restarts: r.stats.restarts.Load(), StaleMaps: r.stats.staleMaps.Load(), StaleSchemas: r.stats.staleSchemas.Load(),
		Gathers: r.stats.gathered.Load(), Distributed: r.stats.distributed.Load(), Reloads: r.stats.reloads.Load(),
	}
}
