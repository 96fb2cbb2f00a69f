package storage

import (
	"bytes"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heliosdb/helios/hlc"
)

// Spaces of the physical keys: see docs/format/storage.md.
const (
	spaceNode     byte = 1
	spaceMeta     byte = 2
	spacePrepared byte = 3
	spaceData     byte = 4
)

const suffixBytes = 9

// appendPrefix adds the prefix of key in a space: it sorts before all its versions.
func appendPrefix(dst []byte, space byte, key []byte) []byte {
	dst = append(dst, space)
	dst = append(dst, key...)
	return append(dst, 0)
}

func prefixOf(space byte, key []byte) []byte {
	return appendPrefix(make([]byte, 0, len(key)+2+suffixBytes), space, key)
}

// endOf returns the bound behind everything below hi in a space; no hi means all.
func endOf(space byte, hi []byte) []byte {
	if len(hi) == 0 {
		return prefixOf(space+1, nil)
	}
	return prefixOf(space, hi)
}

// appendTime makes a prefix the physical key of a version.
func appendTime(prefix []byte, ts hlc.Timestamp) []byte {
	return append(binary.BigEndian.AppendUint64(prefix, ^uint64(ts)), suffixBytes)
}

// appendIntent makes a prefix the physical key of an intent.
func appendIntent(prefix []byte) []byte {
	return append(binary.BigEndian.AppendUint64(prefix, 0), suffixBytes)
}

// suffixTime returns the commit time in a version's suffix; ok is false for an intent.
func suffixTime(suffix []byte) (ts hlc.Timestamp, ok bool) {
	inverted := binary.BigEndian.Uint64(suffix)
	return hlc.Timestamp(^inverted), inverted != 0
}

// userKey returns the key in a prefix, without copying.
func userKey(prefix []byte) []byte { return prefix[1 : len(prefix)-1] }

// split returns the length of a physical key's prefix.
func split(k []byte) int {
	if len(k) == 0 {
		return 0
	}
	return max(len(k)-int(k[len(k)-1]), 0)
}

func compare(a, b []byte) int {
	na, nb := split(a), split(b)
	if c := bytes.Compare(a[:na], b[:nb]); c != 0 {
		return c
	}
	return bytes.Compare(a[na:], b[nb:])
}

// bare returns a physical key's prefix without the byte that ends it.
func bare(k []byte) []byte {
	n := split(k)
	if n == 0 {
		return nil
	}
	return k[:n-1]
}

// comparer orders physical keys: key ascending, then intent, then newest version
// first. Modelled on Pebble's cockroachkvs.
var comparer = &pebble.Comparer{
	Name:                 "helios.mvcc.1",
	Compare:              compare,
	Equal:                bytes.Equal,
	Split:                split,
	ComparePointSuffixes: bytes.Compare,
	CompareRangeSuffixes: bytes.Compare,
	AbbreviatedKey:       func(k []byte) uint64 { return pebble.DefaultComparer.AbbreviatedKey(bare(k)) },
	FormatKey:            pebble.DefaultComparer.FormatKey,
	Separator: func(dst, a, b []byte) []byte {
		ka, kb := bare(a), bare(b)
		if len(ka) == 0 || len(kb) == 0 || bytes.Equal(ka, kb) {
			return append(dst, a...)
		}
		n := len(dst)
		dst = pebble.DefaultComparer.Separator(dst, ka, kb)
		if bytes.Equal(dst[n:], ka) {
			return append(dst[:n], a...)
		}
		return append(dst, 0)
	},
	Successor: func(dst, a []byte) []byte {
		if len(a) == 0 {
			return append(dst, 0)
		}
		ka := bare(a)
		n := len(dst)
		dst = pebble.DefaultComparer.Successor(dst, ka)
		if bytes.Equal(dst[n:], ka) {
			return append(dst[:n], a...)
		}
		return append(dst, 0)
	},
	ImmediateSuccessor: func(dst, a []byte) []byte { return append(append(dst, a...), 0) },
}
