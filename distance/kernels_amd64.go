package distance

// lanes is the number of float32 in a YMM register: what the kernels below take
// at once.
const lanes = 8

// squaredAVX2 is the sum of (a[i]-b[i])² over n floats, n a multiple of 8. vek
// has only the rooted distance, in float32, which loses half the digits.
//
//go:noescape
func squaredAVX2(a, b *float32, n int) float32

// dot4AVX2 writes the inner products of q with four rows, stride floats apart,
// over n floats, n a multiple of 8: the query is loaded once for four rows.
//
//go:noescape
func dot4AVX2(q, rows *float32, stride, n int, dst *[4]float32)

func squared(a, b []float32) float32 {
	head := len(a) &^ (lanes - 1)
	if !accelerated || head == 0 {
		return squaredPlain(a, b)
	}
	sum := squaredAVX2(&a[0], &b[0], head)
	if head == len(a) {
		return sum
	}
	return sum + squaredPlain(a[head:], b[head:])
}

func dots(dst, q, rows []float32, stride int) {
	head := len(q) &^ (lanes - 1)
	if !accelerated || head == 0 {
		dotsPlain(dst, q, rows, stride)
		return
	}
	var four [4]float32
	for len(dst) >= 4 {
		dot4AVX2(&q[0], &rows[0], stride, head, &four)
		for i := range four {
			if head < len(q) {
				four[i] += dotPlain(q[head:], rows[i*stride+head:i*stride+len(q)])
			}
			dst[i] = four[i]
		}
		dst = dst[4:]
		rows = rows[min(4*stride, len(rows)):]
	}
	for i := range dst {
		dst[i] = dot(q, rows[i*stride:i*stride+len(q)])
	}
}
