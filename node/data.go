package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// dataFormat is the version of the layout of a data directory. Until 1.0 a directory of
// another version is refused.
const dataFormat = 1

// identity is what DATA/NODE says; it never changes after the first start.
type identity struct {
	Format  int    `json:"format"`
	Kind    string `json:"kind"` // node, observer or router
	Node    string `json:"node"`
	Cluster string `json:"cluster"`
	Shard   uint16 `json:"shard,omitempty"`
}

var nodeName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

// dataDir is an opened data directory.
type dataDir struct {
	fs   vfs.FS
	path string
	lock io.Closer
}

// openData takes a data directory for this process, or makes one.
func openData(f vfs.FS, path string, want identity) (*dataDir, error) {
	if !nodeName.MatchString(want.Node) {
		return nil, fmt.Errorf("node id %q: use lower-case letters, digits and hyphens", want.Node)
	}
	if err := makeDir(f, path); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err := f.Lock(f.PathJoin(path, "LOCK"))
	if err != nil {
		return nil, fmt.Errorf("data directory %s is in use by another process: %w", path, err)
	}
	d := &dataDir{fs: f, path: path, lock: lock}
	if err := d.identify(want); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return d, nil
}

// identify compares DATA/NODE with who this node says it is.
func (d *dataDir) identify(want identity) error {
	want.Format = dataFormat
	name := d.fs.PathJoin(d.path, "NODE")
	f, err := d.fs.Open(name)
	if errors.Is(err, fs.ErrNotExist) || os.IsNotExist(err) {
		return d.write(name, want)
	}
	if err != nil {
		return err
	}
	b, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	var have identity
	if err := json.Unmarshal(b, &have); err != nil {
		return fmt.Errorf("%s is damaged: %w", name, err)
	}
	if have.Format != dataFormat {
		return fmt.Errorf("data directory %s has format %d, this build of helios reads format %d: start it with the build that made it", d.path, have.Format, dataFormat)
	}
	if have != want {
		return fmt.Errorf("data directory %s belongs to %s %s of cluster %s, shard %d, not to %s %s of cluster %s, shard %d",
			d.path, have.Kind, have.Node, have.Cluster, have.Shard, want.Kind, want.Node, want.Cluster, want.Shard)
	}
	return nil
}

func (d *dataDir) write(name string, id identity) error {
	b, err := json.Marshal(id)
	if err != nil {
		return err
	}
	f, err := d.fs.Create(name+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := d.fs.Rename(name+".new", name); err != nil {
		return err
	}
	return syncDir(d.fs, d.path)
}

// makeDir makes a directory, and those above it, so that they stay through a power loss:
// what is synced inside a directory is lost with the directory's own entry.
func makeDir(f vfs.FS, path string) error {
	if _, err := f.Stat(path); err == nil {
		return nil
	}
	parent := f.PathDir(path)
	if parent != path {
		if err := makeDir(f, parent); err != nil {
			return err
		}
	}
	if err := f.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return syncDir(f, parent)
}

func syncDir(f vfs.FS, path string) error {
	dir, err := f.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// sub is a path inside the directory.
func (d *dataDir) sub(name string) string { return d.fs.PathJoin(d.path, name) }

func (d *dataDir) close() error { return d.lock.Close() }
