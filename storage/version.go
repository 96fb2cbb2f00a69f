package storage

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/heliosdb/helios/hlc"
)

// Version is a row's content from its commit time on until the next version's.
type Version struct {
	Key       []byte
	Value     []byte
	Time      hlc.Timestamp // commit time
	WriteTime hlc.Timestamp // when the content was written: Time, unless the row was moved
	Tombstone bool
}

// Intent is a prepared, undecided version. It stands ahead of all versions of its key,
// so that no scan passes without meeting it.
type Intent struct {
	Key       []byte
	Value     []byte
	GID       string
	Time      hlc.Timestamp // prepare time: the commit time will not be below it
	Tombstone bool
	written   hlc.Timestamp // write time of a moved row, else 0
}

// At returns the version that the intent becomes when it is committed at c.
func (in Intent) At(c hlc.Timestamp) Version {
	return Version{Key: in.Key, Value: in.Value, Time: c, WriteTime: writeTime(in.written, c), Tombstone: in.Tombstone}
}

func writeTime(written, commit hlc.Timestamp) hlc.Timestamp {
	if written != 0 {
		return written
	}
	return commit
}

const (
	flagTombstone = 1 << iota
	flagMoved
)

// ErrCorrupt says that stored or received bytes do not follow docs/format/storage.md.
var ErrCorrupt = errors.New("storage: malformed bytes")

func corrupt(what string) error { return fmt.Errorf("%w: %s", ErrCorrupt, what) }

func flagsOf(tombstone bool, written hlc.Timestamp) (flags byte) {
	if tombstone {
		flags |= flagTombstone
	}
	if written != 0 {
		flags |= flagMoved
	}
	return flags
}

// appendVersionHead encodes what stands before a version's value.
func appendVersionHead(dst []byte, tombstone bool, written hlc.Timestamp) []byte {
	dst = append(dst, flagsOf(tombstone, written))
	if written != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(written))
	}
	return dst
}

// decodeHead reads what appendVersionHead wrote and returns the rest.
func decodeHead(b []byte) (tombstone bool, written hlc.Timestamp, rest []byte, err error) {
	if len(b) == 0 || b[0]&^(flagTombstone|flagMoved) != 0 {
		return false, 0, nil, corrupt("version flags")
	}
	flags, rest := b[0], b[1:]
	if flags&flagMoved != 0 {
		if len(rest) < 8 {
			return false, 0, nil, corrupt("write time")
		}
		written = hlc.Timestamp(binary.LittleEndian.Uint64(rest))
		rest = rest[8:]
	}
	return flags&flagTombstone != 0, written, rest, nil
}

// decodeVersion reads a stored version; key and value alias the arguments.
func decodeVersion(key []byte, ts hlc.Timestamp, b []byte) (Version, error) {
	tombstone, written, value, err := decodeHead(b)
	return Version{Key: key, Value: value, Time: ts, WriteTime: writeTime(written, ts), Tombstone: tombstone}, err
}

func appendIntentHead(dst []byte, tombstone bool, written, prepared hlc.Timestamp, gid string) []byte {
	dst = appendVersionHead(dst, tombstone, written)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(prepared))
	dst = binary.AppendUvarint(dst, uint64(len(gid)))
	return append(dst, gid...)
}

// decodeIntent reads a stored intent; key and value alias the arguments.
func decodeIntent(key, b []byte) (Intent, error) {
	tombstone, written, rest, err := decodeHead(b)
	if err != nil {
		return Intent{}, err
	}
	if len(rest) < 8 {
		return Intent{}, corrupt("prepare time")
	}
	in := Intent{Key: key, Time: hlc.Timestamp(binary.LittleEndian.Uint64(rest)), Tombstone: tombstone, written: written}
	gid, value, err := takeBytes(rest[8:])
	in.GID, in.Value = string(gid), value
	return in, err
}

// takeBytes reads a uvarint length and as many bytes.
func takeBytes(b []byte) (taken, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, corrupt("length")
	}
	end := size + int(n)
	return b[size:end:end], b[end:], nil
}
