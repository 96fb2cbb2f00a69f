// Package distance computes pgvector's metrics over float32 slices and packed
// bits, with vek and Go assembly where they pay and a plain-Go twin that tests
// hold equal.
//
// Sums run in float32 and the result is a float64, as in pgvector: a sum that
// leaves the range of float32 is Infinity, and the square root and the division
// are those of float64. Slices of unequal length have no distance: the answer
// is NaN, which [Less] sorts last. No function keeps or changes its arguments.
package distance

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Metric says how far apart two vectors are; smaller is nearer. The zero
// Metric is none.
type Metric uint8

const (
	// L2 is the Euclidean distance, pgvector's <->.
	L2 Metric = iota + 1
	// InnerProduct is the negative inner product, pgvector's <#>.
	InnerProduct
	// Cosine is 1 - cos of the angle, pgvector's <=>; NaN beside a zero vector.
	Cosine
	// L1 is the taxicab distance, pgvector's <+>.
	L1
	// L2Squared is the Euclidean distance squared: the order of L2 without
	// its root.
	L2Squared
)

// metricNames has the name of each metric first, then what users also call it:
// the operator and pgvector's operator classes.
var metricNames = [...][]string{
	L2:           {"l2", "euclidean", "<->", "vector_l2_ops", "halfvec_l2_ops", "sparsevec_l2_ops"},
	InnerProduct: {"inner_product", "ip", "dot", "<#>", "vector_ip_ops", "halfvec_ip_ops", "sparsevec_ip_ops"},
	Cosine:       {"cosine", "<=>", "vector_cosine_ops", "halfvec_cosine_ops", "sparsevec_cosine_ops"},
	L1:           {"l1", "taxicab", "manhattan", "<+>", "vector_l1_ops", "halfvec_l1_ops", "sparsevec_l1_ops"},
	L2Squared:    {"l2_squared"},
}

// Parse returns the metric of a name, an operator or a pgvector operator class,
// in any case of letters.
func Parse(name string) (Metric, error) {
	folded := strings.ToLower(name)
	for m, names := range metricNames {
		if slices.Contains(names, folded) {
			return Metric(m), nil
		}
	}
	return 0, fmt.Errorf("unknown distance metric %q (known: l2, inner_product, cosine, l1)", name)
}

// Valid reports whether m is one of the metrics above.
func (m Metric) Valid() bool { return m >= L2 && m <= L2Squared }

// String returns the metric's name; Parse reads it back.
func (m Metric) String() string {
	if !m.Valid() {
		return fmt.Sprintf("metric(%d)", uint8(m))
	}
	return metricNames[m][0]
}

// Distance returns the distance of a and b, NaN when their lengths differ or
// the metric is none.
func (m Metric) Distance(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.NaN()
	}
	switch m {
	case L2:
		return math.Sqrt(float64(squared(a, b)))
	case InnerProduct:
		return -float64(dot(a, b))
	case Cosine:
		return cosine(dot(a, b), dot(a, a), dot(b, b))
	case L1:
		return float64(manhattan(a, b))
	case L2Squared:
		return float64(squared(a, b))
	}
	return math.NaN()
}

// Less orders distances, NaN after every number; equal distances and two NaN
// are not less.
func Less(a, b float64) bool { return a < b || (a == a && b != b) }

// Compare is -1, 0 or 1 in the order of Less.
func Compare(a, b float64) int {
	switch {
	case Less(a, b):
		return -1
	case Less(b, a):
		return 1
	}
	return 0
}

// Dot returns the inner product, NaN when the lengths differ.
func Dot(a, b []float32) float32 {
	if len(a) != len(b) {
		return float32(math.NaN())
	}
	return dot(a, b)
}

// Norm returns the Euclidean length of a.
func Norm(a []float32) float64 { return math.Sqrt(float64(dot(a, a))) }

// Normalize scales a to length 1 in place and reports whether it could: a zero
// vector and one whose length is no finite number stay as they are.
func Normalize(a []float32) bool {
	norm := 0.0
	for _, x := range a {
		norm += float64(float64(x) * float64(x)) // rounded: no fused add, on no architecture
	}
	norm = math.Sqrt(norm)
	if norm == 0 || math.IsNaN(norm) || math.IsInf(norm, 0) {
		return false
	}
	for i, x := range a {
		a[i] = float32(float64(x) / norm)
	}
	return true
}

// Finite reports whether no element is NaN or infinite.
func Finite(a []float32) bool {
	for _, x := range a {
		if x-x != 0 {
			return false
		}
	}
	return true
}

// Dots writes the inner products of q with len(dst) rows, which lie behind each
// other in rows, stride floats apart (stride ≥ len(q)). It reports false, and
// writes nothing, when rows is too short for that.
func Dots(dst, q, rows []float32, stride int) bool {
	if stride < len(q) || len(rows) < stride*(len(dst)-1)+len(q) {
		return len(dst) == 0
	}
	dots(dst, q, rows, stride)
	return true
}

// Padded is dims rounded up to the stride at which kernels are fastest, a
// multiple of 32 floats. Zeros in the padding change no distance.
func Padded(dims int) int { return (dims + 31) &^ 31 }

// cosine is pgvector's: the norms multiplied in float64, the similarity kept in
// [-1, 1], 0/0 = NaN for a zero vector.
func cosine(ab, aa, bb float32) float64 {
	similarity := float64(ab) / math.Sqrt(float64(aa)*float64(bb))
	switch {
	case similarity > 1:
		similarity = 1
	case similarity < -1:
		similarity = -1
	}
	return 1 - similarity
}
