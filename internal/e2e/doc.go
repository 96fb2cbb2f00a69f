// Package e2e runs whole clusters of separate processes under real psql and real load:
// one day of work, nearest neighbours, transfers over shards, killed primaries and
// routers, an online reshard, and what the command line says about mistakes.
//
// The tests carry the build tag e2e, because they take minutes: "make e2e" runs them. The
// environment variable HELIOS names the binary to test (else one is built), HELIOS_DATA a
// folder with glove100/{base,query}.fvecs and gt_l2.ivecs (else vectors are drawn).
package e2e
