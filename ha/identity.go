package ha

import (
	"bytes"
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
	line := text[:max(0, len(text)-len(checksumLine(nil)))]
	if !bytes.Equal(text[len(line):], checksumLine(line)) {
		err = errors.New("checksum does not match")
	} else {
		err = json.Unmarshal(line, &id)
	}
	if err != nil {
		return identity{}, fmt.Errorf("ha: %s: %w", fs.PathJoin(dir, identityFile), err)
	}
	return id, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksumLine is what follows the line of JSON in the file.
func checksumLine(line []byte) []byte {
	return fmt.Appendf(nil, "\n%08x\n", crc32.Checksum(line, castagnoli))
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
	_, err = f.Write(append(line, checksumLine(line)...))
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
