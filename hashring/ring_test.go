package hashring

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func ringOf(t testing.TB, weights map[string]int, order []string) *Ring {
	t.Helper()
	r := New()
	for _, addr := range order {
		if err := r.AddNode(addr, weights[addr]); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestEmptyRing(t *testing.T) {
	if got := New().Owner([]byte("key")); got != "" {
		t.Errorf("owner on an empty ring = %q", got)
	}
	if New().RemoveNode("nobody") {
		t.Error("removed a node that was not there")
	}
}

func TestAddNodeRefuses(t *testing.T) {
	for _, c := range []struct {
		addr   string
		weight int
	}{{"", 100}, {"a:1", 0}, {"a:1", -1}, {"a:1", MaxWeight + 1}} {
		if err := New().AddNode(c.addr, c.weight); !errors.Is(err, ErrBadNode) {
			t.Errorf("AddNode(%q, %d) = %v, want ErrBadNode", c.addr, c.weight, err)
		}
	}
}

// TestRingOrder: the order of arrival, and nodes that came and went, leave no
// trace.
func TestRingOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights, order := map[string]int{}, []string{}
		for i, w := range rapid.SliceOfN(rapid.IntRange(1, 60), 1, 6).Draw(t, "weights") {
			addr := fmt.Sprintf("shard%d.example.com:5432", i)
			weights[addr], order = w, append(order, addr)
		}
		a, b := New(), New()
		for _, addr := range order {
			if err := a.AddNode(addr, weights[addr]); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.AddNode("gone:1", 10); err != nil {
			t.Fatal(err)
		}
		for _, addr := range rapid.Permutation(order).Draw(t, "order") {
			if err := b.AddNode(addr, 1); err != nil {
				t.Fatal(err)
			}
			if err := b.AddNode(addr, weights[addr]); err != nil {
				t.Fatal(err)
			}
		}
		b.RemoveNode("gone:1")
		if !slices.Equal(a.points, b.points) || !slices.Equal(a.Nodes(), b.Nodes()) {
			t.Fatal("same nodes, different rings")
		}
	})
}

// TestRingMovement: removing a node moves its keys and no others; adding it
// back moves the same keys back.
func TestRingMovement(t *testing.T) {
	order := []string{"a:1", "b:1", "c:1", "d:1"}
	weights := map[string]int{"a:1": 100, "b:1": 100, "c:1": 200, "d:1": 100}
	r := ringOf(t, weights, order)
	before := make(map[string]string)
	share := make(map[string]int)
	const keys = 50_000
	for i := range keys {
		key := fmt.Sprint(i)
		before[key] = r.Owner([]byte(key))
		share[before[key]]++
	}
	for addr, w := range weights {
		ideal := float64(keys*w) / 500
		if got := float64(share[addr]) / ideal; got < 0.75 || got > 1.25 {
			t.Errorf("%s of weight %d holds %.2f of its share", addr, w, got)
		}
	}
	r.RemoveNode("c:1")
	for key, owner := range before {
		if now := r.Owner([]byte(key)); owner != "c:1" && now != owner {
			t.Fatalf("key %s moved from %s, which stayed, to %s", key, owner, now)
		} else if now == "c:1" {
			t.Fatalf("key %s is owned by a node that left", key)
		}
	}
	if err := r.AddNode("c:1", 200); err != nil {
		t.Fatal(err)
	}
	for key, owner := range before {
		if now := r.Owner([]byte(key)); now != owner {
			t.Fatalf("key %s went from %s to %s over a node that came back", key, owner, now)
		}
	}
}

func BenchmarkOwner(b *testing.B) {
	for _, nodes := range []int{3, 32} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			r := New()
			for i := range nodes {
				if err := r.AddNode(fmt.Sprintf("shard%d:5432", i), 100); err != nil {
					b.Fatal(err)
				}
			}
			key := []byte("tenant-42")
			for b.Loop() {
				r.Owner(key)
			}
		})
	}
}
