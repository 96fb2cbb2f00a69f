package shard

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/heliosdb/helios/types"
)

// TestSequences compares sequences with PostgreSQL's, at the ends of int64 above all.
func TestSequences(t *testing.T) {
	fs := syncedRoot(t)
	s := openSQL(t, fs)
	defer func() { closeShard(t, s.Shard) }()
	a := s.session()
	datadriven.RunTest(t, "testdata/sequences.txt", func(t *testing.T, d *datadriven.TestData) string {
		if d.Cmd == "crash" {
			next := crashed(fs)
			closeShard(t, s.Shard)
			fs, s = next, openSQL(t, next)
			a = s.session()
			return ""
		}
		var b strings.Builder
		for line := range strings.Lines(d.Input) {
			out, err := a.try(t.Context(), line)
			if err != nil {
				fmt.Fprintf(&b, "ERROR: %s\n", types.AsError(err).Message)
			} else if out != "" {
				fmt.Fprintln(&b, out)
			}
		}
		return b.String()
	})
}

// TestSequenceBlocks holds that a block ends with its sequence, and begins again with CYCLE.
func TestSequenceBlocks(t *testing.T) {
	s := openSQL(t, syncedRoot(t))
	defer closeShard(t, s.Shard)
	a := s.session()
	a.run("CREATE SEQUENCE s MINVALUE 0 MAXVALUE 9 CYCLE")
	rel, err := s.Catalog().Resolve([]string{"public"}, []string{"s"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range [][2]int64{{0, 4}, {4, 4}, {8, 2}, {0, 4}} {
		first, n, err := s.SequenceBlock(t.Context(), rel.OID, 4, 0)
		if err != nil || first != want[0] || n != want[1] {
			t.Errorf("a block of %d from %d on, %v; want %v", n, first, err, want)
		}
	}
}
