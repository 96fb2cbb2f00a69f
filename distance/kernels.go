package distance

import "github.com/viterin/vek/vek32"

// accelerated is vek's own finding: AVX2 and FMA, and a system on which Go may
// use them.
var accelerated = vek32.Info().Acceleration

// vekBlock is the length vek's loops take at once. Its loop for the rest is
// scalar and waits for each sum (127 floats cost three times as much as 128),
// so the rest goes to plain Go. vek panics on empty slices: they never get there.
const vekBlock = 32

func dot(a, b []float32) float32 {
	head := len(a) &^ (vekBlock - 1)
	if !accelerated || head == 0 {
		return dotPlain(a, b)
	}
	sum := vek32.Dot(a[:head], b[:head])
	if head == len(a) {
		return sum
	}
	return sum + dotPlain(a[head:], b[head:])
}

func manhattan(a, b []float32) float32 {
	head := len(a) &^ (vekBlock - 1)
	if !accelerated || head == 0 {
		return manhattanPlain(a, b)
	}
	sum := vek32.ManhattanDistance(a[:head], b[:head])
	if head == len(a) {
		return sum
	}
	return sum + manhattanPlain(a[head:], b[head:])
}
