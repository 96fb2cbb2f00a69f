package node

import (
	"context"
	"slices"
	"testing"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/remote"
)

// TestStandStill: a router that lets a shard join locks reference tables that it has not
// heard of, too.
func TestStandStill(t *testing.T) {
	p := newPair(t)
	a := p.start("s1a", first)
	conn := p.route()
	mustExec(t, conn, "CREATE TABLE known (id int PRIMARY KEY) WITH (helios.strategy = 'reference')")
	other, err := startFront(t.Context(), frontOptions{
		world: p.options.world, id: "other", listen: "127.0.0.1:0", store: p.store.Client("other"), database: "heliosdb",
		secret: p.options.secret, limits: cluster.DefaultLimits,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer other.stop()
	mustExec(t, p.connect(other.addr), "CREATE TABLE unheard (id int PRIMARY KEY) WITH (helios.strategy = 'reference')")

	link, err := p.front.peers.shards.Get(t.Context(), 1, remote.Primary)
	if err != nil {
		t.Fatal(err)
	}
	defer link.Discard()
	v := &mover{f: p.front}
	if err := v.standStill(t.Context(), link); err != nil {
		t.Fatal(err)
	}
	direct := p.connect(a.sqlAddr)
	var waits []string
	for _, table := range []string{"known", "unheard"} {
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := direct.Exec(ctx, "BEGIN; LOCK TABLE "+table+" IN ROW EXCLUSIVE MODE NOWAIT"); err != nil {
			waits = append(waits, table)
		}
		cancel()
		mustExec(t, direct, "ROLLBACK")
	}
	if want := []string{"known", "unheard"}; !slices.Equal(waits, want) {
		t.Errorf("locked are %v, want %v", waits, want)
	}
}
