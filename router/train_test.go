package router_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestTrainUnderLoad makes cells while transactions over several shards write to the table:
// none fails, nobody waits for ever, and no row is lost or there twice.
func TestTrainUnderLoad(t *testing.T) {
	w := newWorld(t, 3)
	r := w.newRouter(1)
	setup := w.connect(r)
	setup.must("CREATE TABLE t (id bigint PRIMARY KEY, e vector(3), v int) WITH (helios.strategy = 'vector', helios.shard_key = 'e')")
	setup.must("INSERT INTO t SELECT g, ARRAY[g % 7, g % 11, g % 13]::real[]::vector, 0 FROM generate_series(1, 600) g")
	var stop atomic.Bool
	var inserted atomic.Int64
	var wg sync.WaitGroup
	for k := range 3 {
		c := w.connect(r)
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(k), 1))
			for i := 0; !stop.Load(); i++ {
				id := k*200 + 1 + rng.IntN(200) // its own rows: no deadlocks among the clients
				out := c.run(fmt.Sprintf("BEGIN; UPDATE t SET v = v + 1 WHERE id = %d; INSERT INTO t VALUES (%d, '[%d,%d,1]', 1); "+
					"UPDATE t SET e = '[%d,2,%d]' WHERE id = %d; COMMIT", id, 1000*(k+1)+1_000_000*i, i%9, k, i%5, k, id))
				if !strings.HasSuffix(out, "COMMIT\n") {
					t.Error(out)
					c.run("ROLLBACK")
					return
				}
				inserted.Add(1)
			}
		})
	}
	for range 2 {
		if err := r.Train(t.Context(), setup.s.Info(), "public.t", 8); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	wg.Wait()
	want := fmt.Sprintf("%d | %[1]d\n", 600+inserted.Load())
	if got := setup.must("SELECT count(*), count(DISTINCT id) FROM t"); got != want {
		t.Errorf("rows %swant %s", got, want)
	}
	want = fmt.Sprintf("%d\n", 600+inserted.Load())
	if got := setup.must("SELECT count(*) FROM (SELECT id FROM t ORDER BY e <-> '[1,1,1]' LIMIT 1000000) s"); got != want {
		t.Errorf("a search finds %swant %s", got, want)
	}
	t.Logf("transactions=%d", inserted.Load())
}
