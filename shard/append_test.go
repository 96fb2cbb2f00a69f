package shard

import (
	"testing"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/wal"
)

// TestTooLargeForTheLog holds that a record which the log cannot hold leaves nothing behind
// that readers or other commits would wait for.
func TestTooLargeForTheLog(t *testing.T) {
	s := openSQL(t, syncedRoot(t))
	defer closeShard(t, s.Shard)
	_, err := s.logRecord(t.Context(), wal.TypeDrop, 0, func(hlc.Timestamp) ([]byte, error) { return make([]byte, wal.MaxRecordBytes), nil })
	if types.CodeOf(err) != "54000" {
		t.Errorf("too large a record: %v", err)
	}
	s.mu.Lock()
	if n, p := len(s.mu.inflight), len(s.mu.pending); n+p > 0 {
		t.Errorf("%d records are in flight, %d waited for", n, p)
	}
	s.mu.Unlock()
	a := s.session()
	a.run("CREATE TABLE t (id int PRIMARY KEY)")
	a.run("INSERT INTO t VALUES (1)")
	at := s.Clock().Last()
	r, err := s.readStandby(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	r.close()
	if closed := s.Closed(); closed < at {
		t.Errorf("closed %v stays below %v", closed, at)
	}
}
