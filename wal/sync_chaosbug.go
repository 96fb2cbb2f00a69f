//go:build chaosbug

package wal

const confirmEarly = true
