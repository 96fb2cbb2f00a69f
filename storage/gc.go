package storage

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heliosdb/helios/hlc"
)

// gcBatchBytes is how much a clean-up deletes at once.
const gcBatchBytes = 256 << 10

// GC removes, of the keys from lo to before hi, the versions that no snapshot at or
// above horizon sees: all but the newest at or below it and those above, and that one
// too if it is a tombstone. From its first moment on, reads below horizon are refused
// with ErrTooOld, on the whole store. It returns how many versions it removed. It needs
// no log record: what it removes cannot be read any more on any node with that horizon.
func (s *Store) GC(ctx context.Context, lo, hi []byte, horizon hlc.Timestamp) (removed int, err error) {
	if err := s.raiseHorizon(horizon); err != nil {
		return 0, err
	}
	it, err := s.newIter(&pebble.IterOptions{LowerBound: prefixOf(spaceData, lo), UpperBound: endOf(spaceData, hi)})
	if err != nil {
		return 0, err
	}
	b := s.db.NewBatch()
	defer func() { err = errors.Join(err, b.Close(), s.closeIter(it)) }()
	var sweep sweep
	for ok := it.First(); ok; ok = it.Next() {
		doomed, err := sweep.next(it, horizon)
		if err != nil {
			return removed, err
		}
		for _, key := range doomed {
			if err := b.Delete(key, nil); err != nil {
				return removed, err
			}
			removed++
		}
		if b.Len() < gcBatchBytes {
			continue
		}
		if err := s.commitGC(ctx, b); err != nil {
			return removed, err
		}
		b.Reset()
	}
	if err := it.Error(); err != nil {
		return removed, err
	}
	if key := sweep.finish(); key != nil {
		if err := b.Delete(key, nil); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, s.commitGC(ctx, b)
}

func (s *Store) commitGC(ctx context.Context, b *pebble.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.Commit(pebble.NoSync)
}

// raiseHorizon stores the horizon ahead of the first delete: Pebble keeps that order
// over a crash. The lock keeps a lower value from landing on a higher one.
func (s *Store) raiseHorizon(ts hlc.Timestamp) error {
	s.apply.Lock()
	defer s.apply.Unlock()
	if ts <= s.Horizon() {
		return nil
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if err := s.db.Set(keyHorizon, binary.LittleEndian.AppendUint64(nil, uint64(ts)), pebble.NoSync); err != nil {
		return err
	}
	s.horizon.Store(uint64(ts))
	return nil
}

// sweep walks over physical keys in order and finds the versions to remove. A tombstone
// that everyone sees goes last, in the same batch as or after all that it hides, so
// that at no moment an older version comes to light.
type sweep struct {
	prefix []byte
	kept   bool   // the newest version at or below the horizon was passed
	grave  []byte // its physical key, if it is a tombstone
}

// next returns the physical keys to remove now that it stands where it does.
func (w *sweep) next(it *pebble.Iterator, horizon hlc.Timestamp) (doomed [][]byte, err error) {
	k := it.Key()
	n := split(k)
	if string(k[:n]) != string(w.prefix) {
		if grave := w.finish(); grave != nil {
			doomed = append(doomed, grave)
		}
		w.prefix, w.kept = append(w.prefix[:0], k[:n]...), false
	}
	ts, isVersion := suffixTime(k[n:])
	switch {
	case !isVersion || ts > horizon:
	case w.kept:
		doomed = append(doomed, k)
	default:
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		v, err := decodeVersion(nil, ts, value)
		if err != nil {
			return nil, err
		}
		w.kept = true
		if v.Tombstone {
			w.grave = append([]byte{}, k...)
		}
	}
	return doomed, nil
}

// finish returns the tombstone left over from the key at hand.
func (w *sweep) finish() []byte {
	grave := w.grave
	w.grave = nil
	return grave
}
