package storage

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heliosdb/helios/hlc"
)

// ErrTooOld says that a read's timestamp is below the garbage horizon (T21).
var ErrTooOld = errors.New("storage: the snapshot is too old")

// Resolver decides what a read does with an intent it meets: commit is the timestamp
// at which the intent's transaction committed, or 0 to pass over it, because it was
// aborted or will commit above the snapshot. It may ask another shard and take its time;
// an error ends the read. It must not keep the intent's bytes.
type Resolver func(in Intent) (commit hlc.Timestamp, err error)

// Snapshot reads the store as of a timestamp. It may be used by many goroutines at once.
//
// It pins nothing: what is at or below its timestamp changes no more, except that
// intents resolve, which its Resolver foresees, and that clean-up passes the timestamp,
// which every read checks. An Iterator, once made, sees one state to its end.
type Snapshot struct {
	store   *Store
	at      hlc.Timestamp
	resolve Resolver
	newer   atomic.Uint64
	closed  atomic.Bool
	err     error // the store was closed
}

// Snapshot returns a view of the store as of ts, which the caller must have made sure
// no later commit can be at or below. It must be closed: until then it counts in
// OldestSnapshot and as a user of the store; ErrClosed comes with the first read. Without a resolver, an intent prepared at or below ts ends a read with
// an *IntentError, and younger ones are passed over.
func (s *Store) Snapshot(ts hlc.Timestamp, resolve Resolver) *Snapshot {
	if resolve == nil {
		resolve = func(in Intent) (hlc.Timestamp, error) {
			if in.Time > ts {
				return 0, nil
			}
			return 0, &IntentError{GID: in.GID, Time: in.Time}
		}
	}
	sn := &Snapshot{store: s, at: ts, resolve: resolve}
	if sn.err = s.enter(); sn.err != nil {
		sn.closed.Store(true)
		return sn
	}
	s.open.Lock()
	defer s.open.Unlock()
	s.open.snapshots[ts]++
	return sn
}

// IntentError says that a read without a Resolver met an undecided version.
type IntentError struct {
	GID  string
	Time hlc.Timestamp
}

func (e *IntentError) Error() string {
	return fmt.Sprintf("storage: met an intent of %s, prepared at %v", e.GID, e.Time)
}

// Time returns the snapshot's timestamp.
func (sn *Snapshot) Time() hlc.Timestamp { return sn.at }

// Newer returns the greatest commit timestamp above the snapshot's that its reads have
// met so far, 0 for none: a statement that must see all that was committed before it
// began has to restart above it if it was there when it began (T6).
func (sn *Snapshot) Newer() hlc.Timestamp { return hlc.Timestamp(sn.newer.Load()) }

// Close ends the snapshot; its iterators are closed on their own.
func (sn *Snapshot) Close() {
	if sn.closed.Swap(true) {
		return
	}
	defer sn.store.leave()
	o := &sn.store.open
	o.Lock()
	defer o.Unlock()
	if o.snapshots[sn.at]--; o.snapshots[sn.at] == 0 {
		delete(o.snapshots, sn.at)
	}
}

// OldestSnapshot returns the least timestamp of an open snapshot: the garbage horizon
// stays at or below it.
func (s *Store) OldestSnapshot() (ts hlc.Timestamp, ok bool) {
	s.open.Lock()
	defer s.open.Unlock()
	for t := range s.open.snapshots {
		if !ok || t < ts {
			ts, ok = t, true
		}
	}
	return ts, ok
}

// iterator opens a Pebble iterator and then looks at the horizon: whatever clean-up it
// may have seen had raised the horizon before.
func (sn *Snapshot) iterator(o *pebble.IterOptions) (*pebble.Iterator, error) {
	if sn.err != nil {
		return nil, sn.err
	}
	it, err := sn.store.newIter(o)
	if err != nil {
		return nil, err
	}
	if h := sn.store.Horizon(); sn.at < h {
		return nil, errors.Join(fmt.Errorf("%w: %v is below the horizon %v", ErrTooOld, sn.at, h), sn.store.closeIter(it))
	}
	return it, nil
}

// Get returns the newest version of key at or below the snapshot's timestamp; ok is
// false if there is none or it is a tombstone. The value is the caller's; the version's
// key is the argument.
func (sn *Snapshot) Get(key []byte) (v Version, ok bool, err error) {
	it, err := sn.iterator(nil)
	if err != nil {
		return Version{}, false, err
	}
	defer func() { err = errors.Join(err, sn.store.closeIter(it)) }()
	seek := appendIntent(prefixOf(spaceData, key))
	if !it.SeekPrefixGE(seek) {
		return Version{}, false, it.Error()
	}
	v, ok, err = sn.settle(it, seek[:len(seek)-suffixBytes])
	if err != nil || !ok || v.Tombstone {
		return Version{}, false, err
	}
	v.Key, v.Value = key, append([]byte{}, v.Value...)
	return v, true, nil
}

// nextsBeforeSeek is how many newer versions are stepped over before seeking.
const nextsBeforeSeek = 4

// settle finds the snapshot's version of the key whose prefix the iterator has reached.
// It leaves the iterator at that version or intent, or behind the key. The version
// aliases the iterator; tombstones are returned.
func (sn *Snapshot) settle(it *pebble.Iterator, prefix []byte) (v Version, ok bool, err error) {
	steps := 0
	for valid := true; valid && samePrefix(it.Key(), prefix); steps++ {
		k := it.Key()
		ts, isVersion := suffixTime(k[len(prefix):])
		switch {
		case !isVersion:
			if v, ok, err = sn.meet(it, k[:len(prefix)]); ok || err != nil {
				return v, ok, err
			}
		case ts <= sn.at:
			value, err := it.ValueAndErr()
			if err != nil {
				return Version{}, false, err
			}
			v, err = decodeVersion(userKey(k[:len(prefix)]), ts, value)
			return v, true, err
		default:
			sn.met(ts)
		}
		if steps == nextsBeforeSeek {
			valid = it.SeekGE(appendTime(append([]byte{}, prefix...), sn.at))
		} else {
			valid = it.Next()
		}
	}
	return Version{}, false, it.Error()
}

func samePrefix(k, prefix []byte) bool {
	return len(k) == len(prefix)+suffixBytes && string(k[:len(prefix)]) == string(prefix)
}

// meet asks the resolver about the intent under the iterator; ok says that the snapshot
// sees it.
func (sn *Snapshot) meet(it *pebble.Iterator, prefix []byte) (v Version, ok bool, err error) {
	value, err := it.ValueAndErr()
	if err != nil {
		return Version{}, false, err
	}
	in, err := decodeIntent(userKey(prefix), value)
	if err != nil {
		return Version{}, false, err
	}
	c, err := sn.resolve(in)
	if err != nil || c == 0 {
		return Version{}, false, err
	}
	if c > sn.at {
		sn.met(c)
		return Version{}, false, nil
	}
	return in.At(c), true, nil
}

// met notes a commit timestamp above the snapshot's.
func (sn *Snapshot) met(ts hlc.Timestamp) {
	for {
		old := sn.newer.Load()
		if old >= uint64(ts) || sn.newer.CompareAndSwap(old, uint64(ts)) {
			return
		}
	}
}

// Newest returns the newest version of key, tombstone or not, whatever its time: what a
// writer compares its snapshot with, by WriteTime (T12). The value is the caller's.
func (s *Store) Newest(key []byte) (v Version, ok bool, err error) {
	err = s.seek(appendTime(prefixOf(spaceData, key), hlc.Max), key, func(ts hlc.Timestamp, value []byte) error {
		ok = true
		v, err = decodeVersion(key, ts, value)
		v.Value = append([]byte{}, v.Value...)
		return err
	})
	return v, ok && err == nil, err
}

// IntentAt returns the intent at key. Its value is the caller's.
func (s *Store) IntentAt(key []byte) (in Intent, ok bool, err error) {
	value, found, err := s.read(appendIntent(prefixOf(spaceData, key)))
	if err != nil || !found {
		return Intent{}, false, err
	}
	in, err = decodeIntent(key, value)
	return in, err == nil, err
}

// seek calls f with the first version of key at or behind a physical key, if any.
func (s *Store) seek(to, key []byte, f func(ts hlc.Timestamp, value []byte) error) (err error) {
	it, err := s.newIter(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.closeIter(it)) }()
	if !it.SeekPrefixGE(to) {
		return it.Error()
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	ts, _ := suffixTime(it.Key()[len(key)+2:])
	return f(ts, value)
}
