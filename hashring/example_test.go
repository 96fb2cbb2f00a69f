package hashring_test

import (
	"fmt"

	"github.com/heliosdb/helios/hashring"
)

// A ring of three shards; a tenant's rows live where its key falls.
func ExampleRing() {
	ring := hashring.New()
	for _, addr := range []string{"shard1.example.com:5432", "shard2.example.com:5432", "shard3.example.com:5432"} {
		if err := ring.AddNode(addr, 100); err != nil {
			fmt.Println(err)
			return
		}
	}
	for _, tenant := range []string{"tenant-1", "tenant-2", "tenant-42"} {
		fmt.Println(tenant, "lives on", ring.Owner([]byte(tenant)))
	}
	// Output:
	// tenant-1 lives on shard1.example.com:5432
	// tenant-2 lives on shard3.example.com:5432
	// tenant-42 lives on shard3.example.com:5432
}

// Three shards become four: a quarter of the slots moves, all of it to the new
// shard.
func ExamplePlan() {
	three := []hashring.Shard{{ID: 1, Weight: 100}, {ID: 2, Weight: 100}, {ID: 3, Weight: 100}}
	table, _, err := hashring.Plan(make([]hashring.ShardID, hashring.DefaultSlots), three)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, moves, err := hashring.Plan(table, append(three, hashring.Shard{ID: 4, Weight: 100}))
	if err != nil {
		fmt.Println(err)
		return
	}
	to := map[hashring.ShardID]int{}
	for _, m := range moves {
		to[m.To]++
	}
	fmt.Println(len(moves), "of", len(table), "slots move; by target:", to)
	// Output: 256 of 1024 slots move; by target: map[4:256]
}
