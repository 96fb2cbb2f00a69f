package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestFile runs the transcripts in testdata/file: a cluster file in, what was
// read or every fault out.
func TestFile(t *testing.T) {
	datadriven.Walk(t, "testdata/file", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			text := strings.ReplaceAll(d.Input, "→", "\t")
			f, err := ParseFile("cluster.yaml", []byte(text))
			if err != nil {
				return err.Error() + "\n"
			}
			return describe(t, f)
		})
	})
}

func describe(t *testing.T, f *File) string {
	var out strings.Builder
	fmt.Fprintf(&out, "cluster %s, %d slots, listen %q, http %q\n", f.Cluster, f.Slots, f.Listen, f.HTTP)
	fmt.Fprintf(&out, "observers %q\n", f.Observers)
	for _, s := range f.Shards {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "shard %s\n", text)
	}
	fmt.Fprintf(&out, "limits %+v\n", f.Limits)
	return out.String()
}

func TestFileErrorIsTyped(t *testing.T) {
	_, err := ParseFile("x.yaml", []byte("cluster: c\nlisten: nowhere\nobservers: [a:1]\n"))
	var fault *FileError
	if !errors.As(err, &fault) || fault.File != "x.yaml" || fault.Line != 2 || fault.Key != "listen" {
		t.Errorf("got %v, want a FileError at line 2, key listen", err)
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add("cluster: a\nshards:\n- {id: 1, nodes: [{id: n1, sql: 'h:1', native: 'h:2'}]}\n")
	f.Add("a: &a [*a]\n")
	f.Add("? [x]\n: y\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := ParseFile("f", []byte(text))
		if (file == nil) == (err == nil) {
			t.Fatalf("file %v, error %v", file, err)
		}
		if err != nil || len(file.Shards) == 0 {
			return
		}
		table := make([]ShardID, file.Slots)
		for i := range table {
			table[i] = file.Shards[i%len(file.Shards)].ID
		}
		if _, err := New(file.Cluster, file.Shards, table); err != nil {
			t.Fatalf("a file without fault seeds no map: %v", err)
		}
	})
}
