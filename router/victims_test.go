package router

import (
	"fmt"
	"strings"
	"testing"
)

// TestVictims finds the youngest member of each cycle.
func TestVictims(t *testing.T) {
	for _, x := range []struct{ waits, want string }{
		{"", "[]"},
		{"hx:1:1>hx:1:2", "[]"},
		{"hx:1:1>hx:1:2 hx:1:2>hx:1:1", "[hx:1:2]"},
		{"hx:1:9>hx:2:10 hx:2:10>hx:1:9", "[hx:2:10]"},
		{"hx:1:1>hx:1:2 hx:1:2>hx:1:3 hx:1:3>hx:1:1 hx:1:4>hx:1:1", "[hx:1:3]"},
		{"hx:1:1>local:1:7 local:1:7>hx:1:1", "[hx:1:1]"},
		{"hx:1:5>hx:1:6 hx:1:6>hx:1:5 hx:1:6>hx:1:7", "[hx:1:6]"},
	} {
		waits := map[wait]bool{}
		for _, edge := range strings.Fields(x.waits) {
			a, b, _ := strings.Cut(edge, ">")
			waits[wait{1, a, b, "1"}] = true
		}
		if got := fmt.Sprint(victims(waits)); got != x.want {
			t.Errorf("%s: %s, want %s", x.waits, got, x.want)
		}
	}
}
