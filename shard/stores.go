package shard

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"

	"github.com/heliosdb/helios/storage"
)

// storeMarker names, as a file of the shard's directory, the directory of its store: a base
// copy is made beside the store in use and takes its place by one rename-like step, while
// readers may still be inside the old one. Without a marker the store is in db.
const (
	storeMarker = "store"
	firstStore  = "db"
)

// stores is the choice of the store's directory. It is used by one goroutine at a time:
// Open's, then whoever imports a base copy.
type stores struct {
	marker *atomicfs.Marker
	name   string
}

func (s *Shard) storeDir(name string) string { return s.opts.FS.PathJoin(s.opts.Dir, name) }

// openStores finds the store's directory and removes what base copies that were never
// finished, or stores that they replaced, have left beside it.
func (s *Shard) openStores() error {
	fs := s.opts.FS
	marker, name, err := atomicfs.LocateMarker(fs, s.opts.Dir, storeMarker)
	if err != nil {
		return err
	}
	if name == "" {
		name = firstStore
	}
	s.stores = stores{marker: marker, name: name}
	all, err := fs.List(s.opts.Dir)
	if err != nil {
		return errors.Join(err, marker.Close())
	}
	for _, other := range all {
		if other == name || other != firstStore && !strings.HasPrefix(other, firstStore+".") {
			continue
		}
		if err := fs.RemoveAll(s.storeDir(other)); err != nil {
			return errors.Join(err, marker.Close())
		}
	}
	if err := marker.RemoveObsolete(); err != nil {
		return errors.Join(err, marker.Close())
	}
	return nil
}

func (s *Shard) openStore(name string) (*storage.Store, error) {
	return storage.Open(storage.Options{FS: s.opts.FS, Dir: s.storeDir(name), CacheBytes: s.opts.CacheBytes, Logger: s.logger})
}

// nextStore names the directory of the next base copy.
func (s *Shard) nextStore() string {
	return fmt.Sprintf("%s.%d", firstStore, s.stores.marker.NextIter())
}

// moveMarker makes a directory that of the store, durably: its name first, because one sync
// for both could keep the marker's alone.
func (s *Shard) moveMarker(name string) error {
	dir, err := s.opts.FS.OpenDir(s.opts.Dir)
	if err != nil {
		return err
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return err
	}
	return s.stores.marker.Move(name)
}
