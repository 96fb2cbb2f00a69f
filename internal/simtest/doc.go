// Package simtest runs a shard pair with a router in a simulated world: real SQL, log,
// replication and storage over a network and disks in memory, in fake time, with faults
// drawn from a seed; then it looks for lost, invented and doubled writes.
//
// One run is one testing/synctest bubble. The seed fixes the faults and the network's
// delays, not the order in which goroutines run, so a run that failed is likely, not
// certain, to fail again:
//
//	HELIOS_SEED=17 go test -v -run TestSeeds ./internal/simtest    one seed, with its log
//	HELIOS_SEEDS=5000 go test -run TestSeeds ./internal/simtest    more of them
//	go test -tags chaosbug -run TestFindsBrokenBuild ./internal/simtest
//
// The last one builds a log that confirms a write before it is on disk, and expects the
// simulation to notice.
package simtest
