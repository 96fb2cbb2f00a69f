package distance

// The plain-Go twins: what runs without AVX2, on the ends of slices that the
// kernels leave over, and in tests beside the kernels.

func dotPlain(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+16 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}

func squaredPlain(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+16 <= len(a); i += 4 {
		d0, d1, d2, d3 := a[i]-b[i], a[i+1]-b[i+1], a[i+2]-b[i+2], a[i+3]-b[i+3]
		s0 += d0 * d0
		s1 += d1 * d1
		s2 += d2 * d2
		s3 += d3 * d3
	}
	for ; i < len(a); i++ {
		d := a[i] - b[i]
		s0 += d * d
	}
	return s0 + s1 + s2 + s3
}

func manhattanPlain(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1 float32
	i := 0
	for ; i+16 <= len(a); i += 2 {
		s0 += abs(a[i] - b[i])
		s1 += abs(a[i+1] - b[i+1])
	}
	for ; i < len(a); i++ {
		s0 += abs(a[i] - b[i])
	}
	return s0 + s1
}

func dotsPlain(dst, q, rows []float32, stride int) {
	for i := range dst {
		dst[i] = dotPlain(q, rows[i*stride:i*stride+len(q)])
	}
}

func abs(x float32) float32 {
	if x < 0 {
		return -x
	}
	return x
}
