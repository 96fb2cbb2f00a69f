package centroids

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/heliosdb/helios/distance"
)

// readVectors reads up to limit rows of a .fvecs file: each a little-endian
// int32 length and as many float32.
func readVectors(t testing.TB, path string, limit int) [][]float32 {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var vectors [][]float32
	for len(raw) >= 4 && len(vectors) < limit {
		dims := int(binary.LittleEndian.Uint32(raw))
		v := make([]float32, dims)
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4+4*i:]))
		}
		vectors, raw = append(vectors, v), raw[4+4*dims:]
	}
	return vectors
}

// TestGlove trains on real word vectors, which are hard to balance: most lie in
// one dense middle. It needs the folder of test data in HELIOS_DATA.
func TestGlove(t *testing.T) {
	folder := os.Getenv("HELIOS_DATA")
	if folder == "" {
		t.Skip("HELIOS_DATA is not set")
	}
	vectors := readVectors(t, filepath.Join(folder, "glove100", "base.fvecs"), 30_000)
	for _, m := range []distance.Metric{distance.L2, distance.Cosine} {
		start := time.Now()
		set, err := Train(vectors, Options{K: 64, Metric: m, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		largest, smallest := uint64(0), uint64(math.MaxUint64)
		for _, c := range set.Cells {
			largest, smallest = max(largest, c.Rows), min(smallest, c.Rows)
		}
		ratio := float64(largest) * 64 / 30_000
		t.Logf("metric=%v largest/mean=%.2f smallest=%d spread=%.3f in %v", m, ratio, smallest, set.Spread, time.Since(start))
		if ratio > 2.2 {
			t.Errorf("metric=%v: the largest cell has %.2f times the mean", m, ratio)
		}
	}
}
