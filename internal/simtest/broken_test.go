//go:build chaosbug

package simtest

import (
	"strings"
	"testing"
)

// TestFindsBrokenBuild holds that the simulation is worth something: in a build whose log
// confirms writes before they are on disk, it finds a lost write soon.
func TestFindsBrokenBuild(t *testing.T) {
	const most = 100
	for seed := uint64(1); seed <= most; seed++ {
		failures, _ := runSeed(t, seed)
		for _, f := range failures {
			if strings.HasPrefix(f, "lost: ") {
				t.Logf("seed %d: %s", seed, f)
				return
			}
		}
	}
	t.Errorf("%d seeds, and no lost write was found", most)
}
