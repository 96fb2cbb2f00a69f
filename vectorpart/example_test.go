package vectorpart_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/heliosdb/helios/centroids"
	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/distance"
	"github.com/heliosdb/helios/vectorpart"
)

// Vectors of 768 dimensions in 16 cells on 3 shards: a row goes to the shard
// with the nearest centroid, a query to the shards that hold its neighbours.
func ExamplePartitioner() {
	set, owners, err := embeddings()
	if err != nil {
		fmt.Println(err)
		return
	}
	partitioner, err := vectorpart.New(set, nil, owners)
	if err != nil {
		fmt.Println(err)
		return
	}
	vector := set.Cells[3].Centroid
	cell, err := partitioner.Place(vector)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the row goes to cell", cell)

	all, err := partitioner.Route(vector, 10, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(all.Cells), "cells on", len(all.Shards), "shards:", all.Reason)

	_, err = partitioner.Place([]float32{1, 2, 3})
	fmt.Println(err)
	// Output:
	// the row goes to cell 4
	// 16 cells on 3 shards: all cells: exact
	// expected 768 dimensions, not 3
}

// embeddings trains 16 cells and deals them to 3 shards.
func embeddings() (*centroids.Set, cluster.CellSet, error) {
	rng := rand.New(rand.NewPCG(1, 2))
	vectors := make([][]float32, 400)
	for i := range vectors {
		vectors[i] = make([]float32, 768)
		for j := range vectors[i] {
			vectors[i][j] = rng.Float32() + float32(i%16)
		}
	}
	owners := cluster.CellSet{Generation: 1}
	set, err := centroids.Train(vectors, centroids.Options{K: 16, Metric: distance.L2, Seed: 1})
	if err != nil {
		return nil, owners, err
	}
	shards, err := vectorpart.Assign(set, []vectorpart.Shard{{ID: 1, Weight: 100}, {ID: 2, Weight: 100}, {ID: 3, Weight: 100}})
	for _, c := range set.Cells {
		owners.Cells = append(owners.Cells, cluster.CellOwner{Cell: c.ID, Owner: cluster.Owner{Shard: shards[c.ID], Epoch: 1}})
	}
	return set, owners, err
}
