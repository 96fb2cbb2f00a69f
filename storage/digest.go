package storage

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heliosdb/helios/hlc"
)

// Digest is what two holders of a range compare: equal digests mean equal rows. Sums of
// neighbouring ranges add up to that of the whole.
type Digest struct {
	Hi, Lo uint64 // sum of the rows' hashes, modulo 2^128
	Rows   uint64
	Bytes  uint64 // keys and values
	// Intents counts undecided versions prepared at or below the timestamp: unless it is
	// 0 the digest is of a state that may still change.
	Intents uint64
}

// String shows the sum in hex and the number of rows.
func (d Digest) String() string { return fmt.Sprintf("%016x%016x/%d", d.Hi, d.Lo, d.Rows) }

// Add returns the digest of two ranges that do not overlap.
func (d Digest) Add(e Digest) Digest {
	d.add(e.Hi, e.Lo)
	d.Rows += e.Rows
	d.Bytes += e.Bytes
	d.Intents += e.Intents
	return d
}

func (d *Digest) add(hi, lo uint64) {
	var carry uint64
	d.Lo, carry = bits.Add64(d.Lo, lo, 0)
	d.Hi, _ = bits.Add64(d.Hi, hi, carry)
}

// Digest returns the digest of the rows from lo to before hi that a snapshot at ts sees:
// the sum of a hash of each row's key, commit time and value, whatever their order and
// whatever else either holder keeps.
func (s *Store) Digest(lo, hi []byte, ts hlc.Timestamp) (d Digest, err error) {
	sn := s.Snapshot(ts, func(in Intent) (hlc.Timestamp, error) {
		if in.Time <= ts {
			d.Intents++
		}
		return 0, nil
	})
	defer sn.Close()
	it := sn.Scan(lo, hi, false)
	defer func() { err = errors.Join(err, it.Close()) }()
	var buf []byte
	for it.Next() {
		v := it.Version()
		buf = appendHashed(buf[:0], v)
		sum := sha256.Sum256(buf)
		d.add(binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:]))
		d.Rows++
		d.Bytes += uint64(len(v.Key) + len(v.Value))
	}
	return d, nil
}

const digestDomain = "helios row digest 1\x00"

// appendHashed encodes a row so that no two rows have one encoding.
func appendHashed(dst []byte, v Version) []byte {
	dst = append(dst, digestDomain...)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(len(v.Key)))
	dst = append(dst, v.Key...)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(v.Time))
	return append(dst, v.Value...)
}

// Versions walks over versions, tombstones included, by key and within a key from the
// newest to the oldest: for copies. It sees one state of the store. It is used by one
// goroutine.
type Versions struct {
	store  *Store
	it     *pebble.Iterator
	above  hlc.Timestamp
	base   bool
	prefix []byte
	based  bool // the base version of the key at hand was given
	begun  bool
	row    Version
	err    error
}

// Export says which versions a copy takes.
type Export struct {
	Lo, Hi []byte        // keys from Lo to before Hi; an empty Hi means no end
	Above  hlc.Timestamp // versions with a greater commit time
	// Base adds each key's newest version at or below Above: with it, the copy answers
	// every read at or above Above.
	Base bool
}

// Versions returns an iterator over what e asks for. Intents are not among it. A copy
// that broke off goes on with Lo set to the last key it has, whose versions it gets
// again. The iterator must be closed.
func (s *Store) Versions(e Export) *Versions {
	v := &Versions{store: s, above: e.Above, base: e.Base}
	v.it, v.err = s.newIter(&pebble.IterOptions{LowerBound: prefixOf(spaceData, e.Lo), UpperBound: endOf(spaceData, e.Hi)})
	if v.err == nil && e.Above < s.Horizon() {
		v.err = fmt.Errorf("%w: a copy of what is above %v, the horizon is %v", ErrTooOld, e.Above, s.Horizon())
	}
	return v
}

// Next moves to the next version, and reports whether there is one.
func (v *Versions) Next() bool {
	if v.err != nil {
		return false
	}
	valid := v.step()
	for valid {
		k := v.it.Key()
		n := split(k)
		if string(k[:n]) != string(v.prefix) {
			v.prefix, v.based = append(v.prefix[:0], k[:n]...), false
		}
		ts, isVersion := suffixTime(k[n:])
		switch {
		case !isVersion:
			valid = v.it.Next()
		case ts > v.above || (v.base && !v.based):
			v.based = v.based || ts <= v.above
			return v.take(ts)
		default:
			valid = v.it.NextPrefix()
		}
	}
	v.err = v.it.Error()
	return false
}

func (v *Versions) step() bool {
	if !v.begun {
		v.begun = true
		return v.it.First()
	}
	return v.it.Next()
}

func (v *Versions) take(ts hlc.Timestamp) bool {
	value, err := v.it.ValueAndErr()
	if err == nil {
		v.row, err = decodeVersion(userKey(v.prefix), ts, value)
	}
	v.err = err
	return err == nil
}

// Version returns the version at hand. Its bytes are valid until the next call of Next
// or Close.
func (v *Versions) Version() Version { return v.row }

// Err returns what ended the walk early.
func (v *Versions) Err() error { return v.err }

// Close ends the iterator and returns Err or what failed on the way.
func (v *Versions) Close() error {
	if v.it == nil {
		return v.err
	}
	err := v.store.closeIter(v.it)
	v.it = nil
	if v.err == nil {
		v.err = err
	}
	return v.err
}
