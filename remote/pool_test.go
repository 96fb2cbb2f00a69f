package remote

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/types"
)

func get(t *testing.T, p *Pool) *Conn {
	t.Helper()
	conn, err := p.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		shard := n.start(t, "a:1")
		client := newTestClient(t, n, func(o *Options) { o.ConnsMax = 2 })
		pool := client.Pool("a:1", "db")
		status := func(open, idle int) {
			t.Helper()
			synctest.Wait()
			if got, want := pool.Status(), (PoolStatus{"a:1", "db", open, idle}); got != want {
				t.Errorf("status %+v, want %+v", got, want)
			}
		}
		a, b := get(t, pool), get(t, pool)
		a.State = "noted"
		status(2, 0)

		// With all in use the next one waits, until its context ends or one comes back.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := pool.Get(ctx); types.CodeOf(err) != "57014" || !NotSent(err) {
			t.Errorf("got %v", err)
		}
		got := make(chan *Conn)
		go func() { got <- get(t, pool) }()
		synctest.Wait()
		a.Release()
		if c := <-got; c != a || c.State != "noted" {
			t.Error("the waiter did not get the connection released")
		}

		// One inside a transaction, or amid a result, is not for others.
		if _, err := a.Run(t.Context(), stmt("begin")); err != nil {
			t.Fatal(err)
		}
		a.Release()
		status(1, 0)
		rows, err := b.Exec(t.Context(), stmt("rows 3"))
		if err != nil || !rows.NextResult() {
			t.Fatal(err)
		}
		b.Release()
		status(0, 0)

		// Idle for long: it must answer first. Idle for too long: it goes.
		a, b = get(t, pool), get(t, pool)
		a.Release()
		b.Release()
		time.Sleep(2 * pingAfter)
		shard.asked()
		c := get(t, pool)
		check(t, "ping", shard.asked(), " (1 writes)")
		time.Sleep(client.opts.IdleMax)
		c.Release()
		status(1, 1)

		get(t, pool).Discard()
		status(0, 0)
	})
}

// TestPoolRestart finds out that a node was restarted.
func TestPoolRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		shard := n.start(t, "a:1")
		client := newTestClient(t, n, nil)
		pool := client.Pool("a:1", "db")
		a, b := get(t, pool), get(t, pool)
		a.Release()
		b.Release()
		shard.stop()
		time.Sleep(2 * pingAfter)
		if _, err := pool.Get(t.Context()); types.CodeOf(err) != "08001" || !NotSent(err) {
			t.Errorf("got %v", err)
		}
		n.start(t, "a:1")
		conn := get(t, pool)
		check(t, "after", read(conn.Exec(t.Context(), stmt("where"))), `["a:1"] SELECT 1`)
		conn.Release()
		if got, want := pool.Status(), (PoolStatus{"a:1", "db", 1, 1}); got != want {
			t.Errorf("status %+v, want %+v", got, want)
		}
	})
}

func TestPoolRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.start(t, "a:1")
		wrong := newTestClient(t, n, func(o *Options) { o.Password = "guess" })
		if _, err := wrong.Pool("a:1", "db").Get(t.Context()); types.CodeOf(err) != "28P01" {
			t.Errorf("got %v", err)
		}
		client := newTestClient(t, n, nil)
		for _, addr := range []string{"nobody:1", "no-port", "a:port"} {
			if _, err := client.Pool(addr, "db").Get(t.Context()); types.CodeOf(err) != "08001" || !NotSent(err) {
				t.Errorf("%s: got %v", addr, err)
			}
		}
		conn := get(t, client.Pool("a:1", "db"))
		client.Forget("a:1")
		conn.Release() // of the forgotten pool: closed
		conn = get(t, client.Pool("a:1", "db"))
		closed := make(chan struct{})
		go func() { defer close(closed); client.Close() }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close did not wait for the connection in use")
		default:
		}
		if _, err := client.Pool("a:1", "db").Get(t.Context()); types.CodeOf(err) != "57P03" {
			t.Errorf("got %v", err)
		}
		conn.Release()
		<-closed
	})
	if _, err := NewClient(Options{}); err == nil {
		t.Error("a client without a user was made")
	}
}

// atlas is a cluster map that a test changes.
type atlas struct{ atomic.Pointer[cluster.Map] }

func newAtlas(t *testing.T) *atlas {
	t.Helper()
	shard := cluster.Shard{ID: 1, Weight: 100, Term: 1, Primary: "a"}
	for _, id := range []string{"a", "b", "c"} {
		role := cluster.Standby
		if id == "a" {
			role = cluster.Primary
		}
		shard.Nodes = append(shard.Nodes, cluster.Node{ID: id, Role: role, SQL: id + ":1"})
	}
	m, err := cluster.New("test", []cluster.Shard{shard}, []cluster.ShardID{1, 1})
	if err != nil {
		t.Fatal(err)
	}
	a := &atlas{}
	a.Store(m)
	return a
}

func (a *atlas) promote(t *testing.T, node string) {
	t.Helper()
	s, _ := a.Load().Shard(1)
	m, err := a.Load().WithPrimary(1, node, s.Term+1, nil)
	if err != nil {
		t.Error(err)
		return
	}
	a.Store(m)
}

func TestShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, _ := n.start(t, "a:1"), n.start(t, "b:1")
		maps := newAtlas(t)
		shards := NewShards(newTestClient(t, n, nil), "db", maps.Load, 30*time.Second)
		ask := func(from ReadFrom) string {
			var where string
			err := shards.Do(t.Context(), 1, from, func(c *Conn) error {
				rows, err := c.Exec(t.Context(), stmt("where"))
				if err != nil {
					return err
				}
				where = read(rows, nil)
				return rows.Close()
			})
			return fmt.Sprint(where, types.CodeOf(err))
		}
		const fromA, fromB = `["a:1"] SELECT 1`, `["b:1"] SELECT 1`
		check(t, "primary", ask(Primary), fromA)
		check(t, "standby", ask(Standby), fromB) // c is down
		seen := map[string]bool{}
		for range 6 {
			seen[ask(Any)] = true
		}
		if !seen[fromA] || !seen[fromB] || len(seen) != 2 {
			t.Errorf("any: %v", seen)
		}

		// The primary dies; two seconds later b is promoted. Who asks waits.
		a.stop()
		go func() {
			time.Sleep(2 * time.Second)
			maps.promote(t, "b")
		}()
		start := time.Now()
		check(t, "failover", ask(Primary), fromB)
		if took := time.Since(start); took < 2*time.Second || took > 3*time.Second {
			t.Errorf("failover took %v", took)
		}
	})
}

func TestShardsHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		maps := newAtlas(t)
		shards := NewShards(newTestClient(t, n, nil), "db", maps.Load, 5*time.Second)
		start := time.Now()
		_, err := shards.Get(t.Context(), 1, Primary)
		if took := time.Since(start); types.CodeOf(err) != "57P03" || !NotSent(err) || took < 4*time.Second || took > 5*time.Second {
			t.Errorf("after %v got %v", took, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := shards.Get(ctx, 1, Any); types.CodeOf(err) != "57014" || !NotSent(err) {
			t.Errorf("got %v", err)
		}
		if _, err := shards.Get(t.Context(), 9, Primary); types.CodeOf(err) != "57P03" {
			t.Errorf("got %v", err)
		}
		known := maps.Swap(nil) // no map was heard of yet
		go func() {
			time.Sleep(time.Second)
			n.start(t, "a:1")
			maps.Store(known)
		}()
		conn, err := shards.Get(t.Context(), 1, Primary)
		if err != nil {
			t.Fatal(err)
		}
		conn.Release()
	})
}
