// Package bench measures whole clusters through pgwire: point reads and writes by sync
// mode, nearest neighbours with their recall and fan-out, ingest, the log's way to a
// standby, and a reshard under load.
//
//	go test -bench . -run '^$' ./bench
//
// Each benchmark is named by what it varies (shards=3/sync=semi-sync/clients=8), so that
// benchstat can split by key. HELIOS_BENCH_URL makes it measure a cluster that runs already,
// or PostgreSQL; benchmarks of another shape than that cluster has are skipped.
// HELIOS_BENCH_VECTORS names a directory with base.fvecs, query.fvecs and gt_l2.ivecs to
// use instead of made-up vectors.
package bench
