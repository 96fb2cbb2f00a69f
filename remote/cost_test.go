package remote

import (
	"context"
	"testing"
)

// TestExecCost holds a prepared point select, client, server and toy session together, at
// 12 allocations and one write.
func TestExecCost(t *testing.T) {
	n := newNetwork()
	shard := n.start(t, "a:1")
	conn, err := newTestClient(t, n, nil).Pool("a:1", "db").Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	ctx, s := context.Background(), stmt("select $1", "x")
	read(conn.Exec(ctx, s))
	shard.asked()
	const runs = 200
	allocs := testing.AllocsPerRun(runs, func() {
		rows, err := conn.Exec(ctx, s)
		if err != nil || !rows.NextResult() || !rows.Next() {
			t.Fatal(err, rows.Err())
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 12 {
		t.Errorf("%.0f allocations", allocs)
	}
	if got, want := shard.writes, runs+1; got != want {
		t.Errorf("%d writes, want %d", got, want)
	}
}
