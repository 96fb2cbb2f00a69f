package storage

import (
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// markerFS syncs the directory before one of Pebble's markers is made in it. A marker names
// the current MANIFEST; Pebble syncs the directory once for both names, and a crash before
// it may keep the marker's name alone: POSIX promises no order. The store could then never
// be opened again.
type markerFS struct{ vfs.FS }

func (f markerFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(f.PathBase(name), "marker.") {
		if err := f.syncDir(f.PathDir(name)); err != nil {
			return nil, err
		}
	}
	return f.FS.Create(name, category)
}

func (f markerFS) syncDir(dir string) error {
	d, err := f.OpenDir(dir)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		d.Close() //nolint:errcheck // the sync's error says more
		return err
	}
	return d.Close()
}
