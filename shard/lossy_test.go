package shard

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/wal"
)

// TestLossyFloor begins a term that may lack answered writes: what was read before it is
// not read again, neither now nor after a restart.
func TestLossyFloor(t *testing.T) {
	fs := vfs.NewMem()
	s := openSQL(t, fs)
	c := s.session()
	c.run("CREATE TABLE t (id int PRIMARY KEY)")
	c.run("INSERT INTO t VALUES (1)")
	before := s.Visible()
	c.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
	c.expect("SELECT count(*) FROM t", "1")

	s.StepDown()
	term := s.log.LastTerm() + 1
	floor := s.Floor(0)
	end, err := s.log.Append(term, wal.TypeTermStart, wal.FlagLossy, 0, func(wal.LSN) (uint64, []byte, error) { return uint64(floor), nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.log.WaitFlushed(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	s.Permit(term)
	if err := s.Lead(t.Context(), term); err != nil {
		t.Fatal(err)
	}
	c.refused("SELECT count(*) FROM t", "40001")
	c.try(t.Context(), "ROLLBACK")
	c.expect("SELECT count(*) FROM t", "1")
	closeShard(t, s.Shard)

	again := openShard(t, fs)
	defer closeShard(t, again)
	for _, x := range []struct {
		at    hlc.Timestamp
		lossy bool
	}{{before, true}, {again.Visible(), false}} {
		r, err := again.read(t.Context(), x.at, &start{}, true)
		if _, lossy := err.(*lossyError); lossy != x.lossy {
			t.Errorf("a read at %v: %v, want lossy=%v", x.at, err, x.lossy)
		}
		if err == nil {
			r.close()
		}
	}
}
