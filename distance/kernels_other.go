//go:build !amd64

package distance

func squared(a, b []float32) float32 { return squaredPlain(a, b) }

func dots(dst, q, rows []float32, stride int) { dotsPlain(dst, q, rows, stride) }
