//go:build !chaosbug

package wal

// confirmEarly lets the writer confirm a group that is written but not synced. It is
// true only in a build that is broken on purpose, which the simulation must find out.
const confirmEarly = false
