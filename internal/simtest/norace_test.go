//go:build !race

package simtest

const seedCount = 500
