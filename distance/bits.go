package distance

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Hamming counts the bits in which two packed codes differ, pgvector's <~>;
// NaN when their lengths differ. Bits that pad the last byte must be zero.
func Hamming(a, b []byte) float64 {
	if len(a) != len(b) {
		return math.NaN()
	}
	differ, _ := countBits(a, b, func(x, y uint64) (uint64, uint64) { return x ^ y, 0 })
	return float64(differ)
}

// Jaccard is 1 - |a and b| / |a or b| over packed codes, pgvector's <%>: 1 when
// they share no bit, NaN when their lengths differ.
func Jaccard(a, b []byte) float64 {
	if len(a) != len(b) {
		return math.NaN()
	}
	both, either := countBits(a, b, func(x, y uint64) (uint64, uint64) { return x & y, x | y })
	if both == 0 {
		return 1
	}
	return 1 - float64(both)/float64(either)
}

// countBits adds up the ones of two words made from each pair of words.
func countBits(a, b []byte, pair func(x, y uint64) (uint64, uint64)) (first, second int) {
	add := func(x, y uint64) {
		p, q := pair(x, y)
		first += bits.OnesCount64(p)
		second += bits.OnesCount64(q)
	}
	for ; len(a) >= 8; a, b = a[8:], b[8:] {
		add(binary.LittleEndian.Uint64(a), binary.LittleEndian.Uint64(b))
	}
	for i := range a {
		add(uint64(a[i]), uint64(b[i]))
	}
	return first, second
}
