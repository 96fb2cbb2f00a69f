//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// pauseLimit is how long writes may stand still after a primary was killed.
const pauseLimit = 15 * time.Second

// probe writes to one row and measures the longest time between two acknowledgements.
type probe struct {
	id     int64
	acked  atomic.Int64
	last   atomic.Int64 // nanoseconds
	widest atomic.Int64
}

func (p *probe) write(ctx context.Context, conn *pgx.Conn) error {
	tag, err := conn.Exec(ctx, "UPDATE probes SET n = n + 1 WHERE id = $1", p.id)
	if err != nil {
		return err
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("%w: the probe's row was not there", errWrong)
	}
	p.acked.Add(1)
	now := time.Now().UnixNano()
	if last := p.last.Swap(now); last != 0 {
		p.widest.Store(max(p.widest.Load(), now-last))
	}
	return nil
}

// TestPrimaryKilled kills a shard's primary under writes: nothing that was acknowledged is
// lost, its standby takes over, and it comes back as a standby through which clients write.
func TestPrimaryKilled(t *testing.T) {
	c := start(t)
	conn := connect(t, c.url)
	mustExec(t, conn, "CREATE TABLE events (id bigint PRIMARY KEY, note text)")
	mustExec(t, conn, "CREATE TABLE probes (id bigint PRIMARY KEY, n bigint NOT NULL)")
	mustExec(t, conn, "INSERT INTO probes SELECT i, 0 FROM generate_series(1, 50) i")
	b := newBank(t, conn, 60)
	p := &probe{id: value[int64](t, connect(t, c.nodeURL(1, "a")), "SELECT id FROM probes ORDER BY id LIMIT 1")}

	var events ids
	l := newLoad(t)
	for range 4 {
		l.client(c.url, func(ctx context.Context, conn *pgx.Conn) error {
			id := events.next.Add(1)
			_, err := conn.Exec(ctx, "INSERT INTO events VALUES ($1, $2)", id, fmt.Sprint("event ", id))
			if err == nil {
				events.ack(id)
			}
			return err
		})
		l.client(c.url, b.transfer)
	}
	l.client(c.url, p.write)
	eventually(t, 30*time.Second, "writes", func() (bool, string) {
		return events.count() > 500 && p.acked.Load() > 100, fmt.Sprint(events.count(), " events, ", p.acked.Load(), " probes")
	})

	before := p.acked.Load()
	c.do("kill", "s1a")
	killed := time.Now()
	eventually(t, 2*pauseLimit, "writes after the kill", func() (bool, string) {
		return p.acked.Load() > before+20 && time.Since(killed) > time.Second, "none"
	})
	time.Sleep(time.Second)
	l.stop()
	gap := time.Duration(p.widest.Load())
	if gap > pauseLimit {
		t.Errorf("writes stood still for %v, more than %v", gap, pauseLimit)
	}
	l.check("57P01", "57P03", "08006", "08003", "40003", "40001", "25006", "53300", "connection")

	if lost := events.missing(t, conn, "events"); len(lost) > 0 {
		t.Errorf("%d of %d acknowledged rows are lost, such as %d", len(lost), events.count(), lost[0])
	}
	if n := value[int64](t, conn, "SELECT n FROM probes WHERE id = $1", p.id); n < p.acked.Load() {
		t.Errorf("the probe's row counts %d, acknowledged were %d", n, p.acked.Load())
	}
	b.audit(t, conn)

	c.do("start", "s1a")
	back := eventually(t, 60*time.Second, "the old primary as standby", func() (bool, string) { return streams(c, "s1a") })
	t.Logf("pause_ms=%d rejoin_ms=%d acknowledged=%d transfers=%d %s", gap.Milliseconds(), back.Milliseconds(), events.count(), b.moved.count(), l.failures())
	if got, want := value[string](t, conn, "SELECT primary_node FROM helios.shards WHERE shard = 1"), "s1b"; got != want {
		t.Errorf("the primary is %s, want %s", got, want)
	}
	sameOnStandby(t, c)
	throughStandby(t, c, p.id)
}

// streams tells whether a node of shard 1 is a standby that has caught up, by the view of
// the primary and by the router's.
func streams(c *cluster, node string) (bool, string) {
	ctx := c.t.Context()
	conn, err := pgx.Connect(ctx, c.nodeURL(1, "b"))
	if err != nil {
		return false, err.Error()
	}
	defer conn.Close(ctx)
	var state string
	var lag int64
	err = conn.QueryRow(ctx, "SELECT state, lag_bytes FROM pg_replication_standbys WHERE node_id = $1", node).Scan(&state, &lag)
	if err != nil {
		return false, err.Error()
	}
	router, err := pgx.Connect(ctx, c.url)
	if err != nil {
		return false, err.Error()
	}
	defer router.Close(ctx)
	var role, seen string
	err = router.QueryRow(ctx, "SELECT coalesce(role, ''), coalesce(state, '') FROM helios.cluster_nodes WHERE node_id = $1", node).Scan(&role, &seen)
	if err != nil {
		return false, err.Error()
	}
	said := fmt.Sprintf("primary: %s, %d bytes behind; router: %s %s", state, lag, role, seen)
	return state == "streaming" && lag == 0 && role == "standby" && seen == "streaming", said
}

// sameOnStandby compares the rows of the two nodes of shard 1.
func sameOnStandby(t *testing.T, c *cluster) {
	t.Helper()
	var content [2]string
	eventually(t, 10*time.Second, "equal rows on both nodes", func() (bool, string) {
		for i, letter := range []string{"a", "b"} {
			content[i] = checksum(t, connect(t, c.nodeURL(1, letter)), "SELECT * FROM events ORDER BY id")
		}
		return content[0] == content[1], strings.Join(content[:], " and ")
	})
}

// throughStandby writes with psql through the standby's own port: the write goes to the
// primary, its tag comes back, and the session reads it.
func throughStandby(t *testing.T, c *cluster, id int64) {
	t.Helper()
	conn := connect(t, c.url)
	before := value[int64](t, conn, "SELECT n FROM probes WHERE id = $1", id)
	out := psql(t, c.nodeURL(1, "a"), fmt.Sprintf("UPDATE probes SET n = n + 1000 WHERE id = %d;\nSELECT n FROM probes WHERE id = %[1]d;\nSHOW transaction_read_only;\n", id), "-At")
	if want := fmt.Sprintf("UPDATE 1\n%d\n", before+1000); !strings.HasPrefix(out, want) {
		t.Errorf("through the standby:\n%swant\n%s", out, want)
	}
	if got := value[int64](t, conn, "SELECT n FROM probes WHERE id = $1", id); got != before+1000 {
		t.Errorf("the router reads %d, want %d", got, before+1000)
	}
}
