package storage

import (
	"encoding/binary"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/wal"
)

const benchRows = 20_000

// benchStore holds rows of 200 bytes, half of them with a second version.
func benchStore(b *testing.B) *Store {
	b.Helper()
	s, err := Open(Options{FS: vfs.NewMem(), Dir: "db"})
	if err != nil {
		b.Fatal(err)
	}
	value := make([]byte, 200)
	for i := range benchRows * 3 / 2 {
		mustApply(b, s, wal.LSN(i+1), Commit(hlc.Timestamp(i+1), batchOf(func(batch *Batch) { batch.Put(benchKey(i%benchRows), value) })))
	}
	return s
}

func benchKey(i int) []byte {
	return binary.BigEndian.AppendUint64([]byte("table/"), uint64(i)*2654435761%benchRows)
}

// BenchmarkGet reads single rows of a flushed store.
func BenchmarkGet(b *testing.B) {
	s := benchStore(b)
	defer closeTest(b, s)
	if err := s.Flush(); err != nil {
		b.Fatal(err)
	}
	sn := s.Snapshot(s.Visible(), nil)
	defer sn.Close()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, ok, err := sn.Get(benchKey(i % benchRows)); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

// BenchmarkScan reads all rows; its unit is one row.
func BenchmarkScan(b *testing.B) {
	for _, reverse := range []bool{false, true} {
		b.Run(map[bool]string{false: "dir=forward", true: "dir=backward"}[reverse], func(b *testing.B) {
			s := benchStore(b)
			defer closeTest(b, s)
			sn := s.Snapshot(s.Visible(), nil)
			defer sn.Close()
			it := sn.Scan(nil, nil, reverse)
			for b.Loop() {
				if it.Next() {
					continue
				}
				if err := it.Close(); err != nil {
					b.Fatal(err)
				}
				it = sn.Scan(nil, nil, reverse)
			}
			if err := it.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkApply applies one-row commits.
func BenchmarkApply(b *testing.B) {
	s := openTest(b, vfs.NewMem())
	defer closeTest(b, s)
	value := make([]byte, 200)
	b.ReportAllocs()
	for i := 1; b.Loop(); i++ {
		var batch Batch
		batch.Put(benchKey(i%benchRows), value)
		mustApply(b, s, wal.LSN(i), Commit(hlc.Timestamp(i), &batch))
	}
}
