//go:build !chaosbug

package simtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestSeeds runs many seeds: nothing confirmed is lost, nothing that failed is there,
// nothing is doubled, no read misses what was confirmed before, the pair recovers from
// everything and ends up equal.
func TestSeeds(t *testing.T) {
	first, count := seeds(t)
	for seed := first; seed < first+count; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			failures, log := runSeed(t, seed)
			if len(failures) > 0 || testing.Verbose() && count == 1 {
				t.Logf("seed %d\n%s", seed, log)
			}
			for _, f := range failures {
				t.Errorf("seed %d: %s", seed, f)
			}
		})
	}
}

// seeds says which seeds to run.
func seeds(t *testing.T) (first, count uint64) {
	number := func(name string) (uint64, bool) {
		text := strings.TrimSpace(os.Getenv(name))
		if text == "" {
			return 0, false
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return n, true
	}
	if seed, ok := number("HELIOS_SEED"); ok {
		return seed, 1
	}
	if n, ok := number("HELIOS_SEEDS"); ok {
		return 1, n
	}
	if testing.Short() {
		return 1, 20
	}
	return 1, seedCount
}
