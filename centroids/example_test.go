package centroids_test

import (
	"fmt"

	"github.com/heliosdb/helios/centroids"
	"github.com/heliosdb/helios/distance"
)

// Two crowds of points become two cells; a third crowd appears, and the cell it
// fell into is split.
func ExampleManager() {
	manager, err := centroids.NewManager(2, centroids.Options{K: 2, Metric: distance.L2, Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	set, err := manager.Train([][]float32{{0, 0}, {0, 1}, {1, 0}, {10, 10}, {10, 11}, {11, 10}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("generation", set.Generation, "has", len(set.Cells), "cells")

	crowded, err := manager.Place([]float32{20, 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	set, children, err := manager.Split(crowded, [][]float32{{10, 10}, {10, 11}, {11, 10}, {20, 20}, {21, 20}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("generation", set.Generation, "has", len(set.Cells), "cells, two of them new:", children)
	// Output:
	// generation 1 has 2 cells
	// generation 2 has 3 cells, two of them new: [3 4]
}
