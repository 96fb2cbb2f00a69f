package ha

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heliosdb/helios/wal"
)

// identityFile lies beside the log's segments: one line of JSON (identity),
// a line with its CRC32C in hex. It is replaced as a whole.
const identityFile = "ha"

// identity is what a node keeps on disk apart from log and state.
type identity struct {
	Incarnation uint64    `json:"incarnation"`
	Promise     Promise   `json:"promise"`
	Copy        *wal.Base `json:"copy,omitempty"` // a base copy whose state may be in place while the log is not
}

// openIdentity reads the identity, or draws a new one in an empty directory.
func openIdentity(fs vfs.FS, dir string, emptyLog bool) (identity, error) {
	id, err := readIdentity(fs, dir)
	if errors.Is(err, os.ErrNotExist) {
		if !emptyLog {
			return identity{}, fmt.Errorf("ha: %s is missing beside a log: the node's promises are lost", fs.PathJoin(dir, identityFile))
		}
		id = identity{Incarnation: 1 + rand.Uint64N(1<<63)}
		return id, id.write(fs, dir)
	}
	return id, err
}

func readIdentity(fs vfs.FS, dir string) (identity, error) {
	f, err := fs.Open(fs.PathJoin(dir, identityFile))
	if err != nil {
		return identity{}, err
	}
	text, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return identity{}, err
	}
	var id identity
	line, sum, err := splitChecked(text)
	if err == nil && crc32.Checksum(line, castagnoli) != sum {
		err = errors.New("checksum does not match")
	}
	if err == nil {
		err = json.Unmarshal(line, &id)
	}
	if err != nil {
		return identity{}, fmt.Errorf("ha: %s: %w", fs.PathJoin(dir, identityFile), err)
	}
	return id, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func splitChecked(text []byte) (line []byte, sum uint32, err error) {
	const tail = len("\n01234567\n")
	if len(text) < tail {
		return nil, 0, errors.New("too short")
	}
	line = text[:len(text)-tail]
	if _, err := fmt.Sscanf(string(text[len(line):]), "\n%08x\n", &sum); err != nil {
		return nil, 0, errors.New("no checksum line")
	}
	return line, sum, nil
}

// write replaces the file and returns when it is on disk.
func (id identity) write(fs vfs.FS, dir string) error {
	line, err := json.Marshal(id)
	if err != nil {
		return err
	}
	path := fs.PathJoin(dir, identityFile)
	f, err := fs.Create(path+".tmp", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s\n%08x\n", line, crc32.Checksum(line, castagnoli))
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(path+".tmp", path); err != nil {
		return err
	}
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
