package router_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/router"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/shard"
)

// exampleTB lets an example use what tests use.
type exampleTB struct {
	testing.TB
	cleanups []func()
}

func (*exampleTB) Helper()            {}
func (*exampleTB) Error(args ...any)  { fmt.Println(args...) }
func (*exampleTB) Fatal(args ...any)  { panic(fmt.Sprint(args...)) }
func (t *exampleTB) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

func (t *exampleTB) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}

// A router is an engine for sessions: here one over three shards in memory. In a real
// cluster Map and Refresh come from the control store and remote.Options need no Dial.
func Example() {
	t := &exampleTB{}
	defer t.end()
	w := newWorld(t, 3)
	client, err := remote.NewClient(remote.Options{User: shard.RouterRole, Dial: w.dial})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	r, err := router.New(context.Background(), router.Options{
		Map:         w.mapNow,
		Shards:      remote.NewShards(client, "heliosdb", w.mapNow, time.Second),
		Incarnation: 1,
		AssignUnits: func(_ context.Context, table uint32, set cluster.CellSet) error {
			return w.change(func(m *cluster.Map) (*cluster.Map, error) { return m.WithCells(table, set) })
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	var _ session.Engine = r

	c := w.connect(r)
	c.run("CREATE TABLE docs (id int PRIMARY KEY, v vector(2)) WITH (helios.shard_key='v')")
	c.run("INSERT INTO docs VALUES (1, '[1,0]'), (2, '[0,1]'), (3, '[5,5]')")
	fmt.Print(c.run("SELECT id FROM docs ORDER BY v <-> '[4,4]' LIMIT 1"))
	// Output:
	// 3
	// SELECT 1
}
