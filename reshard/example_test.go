package reshard_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/hashring"
	"github.com/heliosdb/helios/reshard"
)

// calls answers a Manager for a cluster where everything goes well.
type calls struct{ current *cluster.Map }

func (c *calls) Prepare(_ context.Context, job *reshard.Job) (err error) {
	var shards []hashring.Shard
	for _, id := range job.Shards {
		shards = append(shards, hashring.Shard{ID: id, Weight: 100})
	}
	job.Moves, err = reshard.Plan(c.current, shards, nil)
	return err
}

func (c *calls) Save(context.Context, *reshard.Job) (bool, error) { return false, nil }

func (c *calls) Do(_ context.Context, _ *reshard.Job, m *reshard.Move, e reshard.Effect) reshard.Event {
	answers := map[reshard.Kind]reshard.Kind{
		reshard.Copy: reshard.Copied, reshard.Compare: reshard.Equal, reshard.Seal: reshard.IsSealed,
		reshard.Drain: reshard.IsDrained, reshard.StopRead: reshard.ReadsOff, reshard.Flip: reshard.FlipDone,
		reshard.Await: reshard.Serving, reshard.Clean: reshard.Cleaned,
	}
	if e.Kind == reshard.Flip {
		fmt.Printf("%d slots go from shard %d to shard %d\n", len(m.Units), m.From, m.To)
	}
	return reshard.Event{Kind: answers[e.Kind], Time: 1}
}

// A Manager takes a job from three shards to four: a quarter of the slots moves, none
// between shards that stay.
func ExampleManager() {
	table := make([]cluster.ShardID, 16)
	for slot := range table {
		table[slot] = cluster.ShardID(slot%3 + 1)
	}
	var shards []cluster.Shard
	for id := cluster.ShardID(1); id <= 3; id++ {
		node := cluster.Node{ID: fmt.Sprintf("s%d", id), SQL: fmt.Sprintf("127.0.0.1:%d", 5432+id)}
		shards = append(shards, cluster.Shard{ID: id, Weight: 100, Nodes: []cluster.Node{node}})
	}
	m, err := cluster.New("example", shards, table)
	if err != nil {
		panic(err)
	}
	job := &reshard.Job{ID: 1, Target: 4, Streams: 4, Shards: []cluster.ShardID{1, 2, 3, 4}}
	manager := reshard.NewManager(&calls{current: m}, slog.New(slog.DiscardHandler))
	if err := manager.Run(context.Background(), job); err != nil {
		panic(err)
	}
	fmt.Println(job.State)
	// Output:
	// 2 slots go from shard 1 to shard 4
	// 1 slots go from shard 2 to shard 4
	// 1 slots go from shard 3 to shard 4
	// done
}
