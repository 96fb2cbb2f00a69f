package ha_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heliosdb/helios/consensus"
	"github.com/heliosdb/helios/ha"
	"github.com/heliosdb/helios/wal"
)

// startExample starts a shard of one node in memory, and waits until it serves.
func startExample() (m *member, end func()) {
	m = &member{name: "n1", fs: vfs.NewMem(), disk: saved{rows: map[string]string{}}}
	bell := ha.NewBell()
	check(m.fs.MkdirAll("wal", 0o755))
	var err error
	m.log, err = wal.Open(wal.Options{FS: m.fs, Dir: "wal", SegmentBytes: 64 << 10, OnFlush: bell.Flushed})
	check(err)
	m.shard = newTestShard(m.log, bell, &m.disk)
	m.node, err = ha.NewNode(ha.Options{
		Cluster: "example", Shard: 1, Address: "n1:5433", Peers: []ha.Peer{{Node: "n1", Address: "n1:5433", Class: ha.SemiSync}},
		Rules: ha.Rules{Node: "n1", Mode: ha.SemiSync, Class: ha.SemiSync, Auto: true, Bootstrap: true, Profile: ha.FastProfile},
		Log:   m.log, FS: m.fs, Dir: "wal", Bell: bell, Applier: m.shard,
		Authority: consensus.Lease[ha.Lease](consensus.NewFake().Client("n1"), 1),
		Logger:    slog.New(slog.DiscardHandler),
	})
	check(err)
	ctx, stop := context.WithCancel(context.Background())
	var threads sync.WaitGroup
	threads.Go(func() { check(m.node.Run(ctx)) })
	threads.Go(func() { check(m.shard.Run(ctx)) })
	for !m.shard.open() {
		time.Sleep(time.Millisecond)
	}
	return m, func() {
		stop()
		threads.Wait()
		check(m.log.Close())
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// Every record reaches a reader in order, and a commit waits at the gate.
func ExampleReplicator() {
	m, end := startExample()
	defer end()
	for _, row := range []string{"a=1", "b=2"} {
		lsn, term, err := m.shard.append(wal.TypeTxn, row)
		check(err)
		check(m.node.Replicator().Wait(context.Background(), term, lsn))
	}
	found := 0
	for record, err := range m.node.Replicator().Records(context.Background(), 0) {
		check(err)
		if record.Type == wal.TypeTxn {
			fmt.Printf("%s\n", record.Payload)
			found++
		}
		if found == 2 {
			break
		}
	}
	// Output:
	// a=1
	// b=2
}

// An applicator feeds the committed part of a log to a function.
func ExampleApplicator() {
	fs, bell := vfs.NewMem(), ha.NewBell()
	check(fs.MkdirAll("wal", 0o755))
	records, err := wal.Open(wal.Options{FS: fs, Dir: "wal", SegmentBytes: 64 << 10})
	check(err)
	defer records.Close()
	var ends []wal.LSN
	for i, typ := range []wal.Type{wal.TypeTermStart, wal.TypeTxn, wal.TypeTxn} {
		end, err := records.Append(1, typ, 0, 0, func(wal.LSN) (uint64, []byte, error) { return 0, fmt.Appendf(nil, "record %d", i), nil })
		check(err)
		ends = append(ends, end)
	}
	a := ha.NewApplicator(records, bell, 0, func(r wal.Record) error {
		fmt.Printf("%s\n", r.Payload)
		return nil
	})
	ctx, stop := context.WithCancel(context.Background())
	var threads sync.WaitGroup
	threads.Go(func() { check(a.Run(ctx)) })
	a.Advance(ends[1], 1) // the third record is not committed
	for a.Applied() < ends[1] {
		<-bell
	}
	stop()
	threads.Wait()
	// Output:
	// record 0
	// record 1
}

// A watcher calls its hook once for every change of primary.
func ExampleFailoverWatcher() {
	m, end := startExample()
	defer end()
	m.node.FailoverWatcher().OnFailover(func(f ha.Failover) {
		fmt.Printf("%s took over from %s in term %d\n", f.New, f.Old, f.Term)
	})
	fmt.Println("watching", m.node.Lease().Holder)
	// Output: watching n1
}

// Positions of a log: nothing is committed that is not on disk.
func ExampleLSNManager() {
	m, end := startExample()
	defer end()
	check(m.put(context.Background(), "k", "v"))
	lsns := m.node.LSNManager()
	fmt.Println(lsns.Committed() > 0, lsns.Committed() <= lsns.Flushed(), lsns.Flushed() <= lsns.Current())
	// Output: true true true
}

// The fencing token is the term; a primary checks its lease where it matters.
func ExampleSplitBrainProtector() {
	m, end := startExample()
	protector := m.node.SplitBrainProtector()
	fmt.Println("token", protector.Token(), protector.Check())
	end()
	time.Sleep(ha.FastProfile.TTL)
	fmt.Println(protector.Check())
	// Output:
	// token 1 <nil>
	// ha: this node is not the primary, or its lease has run out
}
