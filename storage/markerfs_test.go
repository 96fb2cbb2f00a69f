package storage

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// beforeMarker crashes the file system, in thought, whenever a marker is about to be made:
// the file that it will name must already be there for good.
type beforeMarker struct {
	vfs.FS
	t    *testing.T
	mem  *vfs.MemFS
	seen *int
}

func (f beforeMarker) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	parts := strings.SplitN(f.PathBase(name), ".", 4)
	if parts[0] == "marker" && parts[1] == "manifest" {
		*f.seen++
		named := f.PathJoin(f.PathDir(name), parts[3])
		if _, err := f.mem.CrashClone(vfs.CrashCloneCfg{}).Stat(named); err != nil {
			f.t.Errorf("%s would outlive a crash, %s would not: %v", name, named, err)
		}
	}
	return f.FS.Create(name, category)
}

func TestMarkerNamesWhatIsThere(t *testing.T) {
	mem := vfs.NewCrashableMem()
	if err := mem.MkdirAll("db", 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := mem.OpenDir("")
	if err != nil {
		t.Fatal(err)
	}
	if err := root.Sync(); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for range 3 {
		s, err := Open(Options{FS: beforeMarker{mem, t, mem, &seen}, Dir: "db"})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if seen < 3 {
		t.Errorf("%d markers were made, want one for each start", seen)
	}
}
