package wal

import (
	"context"
	"fmt"
	"sync"
	"testing"
)

// BenchmarkAppend measures durable appends of 300-byte records by concurrent writers.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 8, 32} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			l, err := Open(Options{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			body := make([]byte, 300-HeaderBytes)
			work := make(chan struct{})
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					for range work {
						end, err := l.Append(0, TypeTxn, 0, 0, payload(body))
						if err == nil {
							err = l.WaitFlushed(context.Background(), end)
						}
						if err != nil {
							b.Error(err)
						}
					}
				})
			}
			before := l.Stats()
			for b.Loop() {
				work <- struct{}{}
			}
			close(work)
			wg.Wait()
			after := l.Stats()
			b.ReportMetric(float64(after.Records-before.Records)/float64(max(after.Groups-before.Groups, 1)), "records/group")
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
