// Package hashring turns a key's bytes into its slot, holds the weighted hash
// ring, and plans exact slot tables with the fewest moves.
//
// A slot is a contiguous range of the 64-bit hash space. Which shard owns a
// slot is not computed but read from a stored, versioned table (the cluster
// map); this package proposes that table. The ring gives the first proposal,
// [Plan] makes it exact and every later table from its predecessor.
package hashring

import (
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// ShardID names a shard. Ids are small and start at 1; [None] names no shard.
type ShardID = uint16

const (
	// None is the owner of a slot that no shard owns.
	None ShardID = 0
	// MaxSlots is the largest slot table.
	MaxSlots = 1 << 16
	// DefaultSlots is the size of a cluster's slot table unless its founder
	// chose another.
	DefaultSlots = 1 << 10
)

// Hash is XXH64 with seed 0. The golden vectors in testdata freeze it: a key
// hashes alike on every release and architecture. The caller keeps key.
func Hash(key []byte) uint64 { return xxhash.Sum64(key) }

// Slot is the top bits of hash in a table of slots entries; slots is a power of
// two as [ValidSlots] says. Doubling the table splits slot i into 2i and 2i+1.
func Slot(hash uint64, slots int) int {
	// The high half of the product is hash >> (64 - log2 slots), and stays
	// inside the table whatever slots is.
	top, _ := bits.Mul64(hash, uint64(max(slots, 1)))
	return int(top)
}

// SlotRange returns the first and the last hash of a slot, both inclusive.
func SlotRange(slot, slots int) (first, last uint64) {
	shift := 64 - bits.Len(uint(max(slots, 1)-1))
	first = uint64(slot) << shift
	return first, first + (1<<shift - 1)
}

// ValidSlots reports whether n is a table size: a power of two up to MaxSlots.
func ValidSlots(n int) bool { return n >= 1 && n <= MaxSlots && n&(n-1) == 0 }
