package storage

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"pgregory.net/rapid"

	"github.com/heliosdb/helios/hlc"
)

// physical is a key in its parts; time 0 is an intent.
type physical struct {
	key  []byte
	time hlc.Timestamp
}

func (p physical) encode() []byte {
	if p.time == 0 {
		return appendIntent(prefixOf(spaceData, p.key))
	}
	return appendTime(prefixOf(spaceData, p.key), p.time)
}

func drawPhysical(t *rapid.T, label string) physical {
	return physical{
		key:  rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 9, 'a', 0xff}), 0, 6).Draw(t, label),
		time: hlc.Timestamp(rapid.SampledFrom([]uint64{0, 1, 2, 1 << 40, uint64(hlc.Max)}).Draw(t, label+" time")),
	}
}

// TestKeyOrder holds that physical keys sort by key, then intent, then newest first,
// and that the comparer's other functions agree with that order.
func TestKeyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawPhysical(t, "a"), drawPhysical(t, "b")
		want := cmp.Or(bytes.Compare(a.key, b.key), cmp.Compare(b.time-1, a.time-1)) // 0-1 is above every time
		ka, kb := a.encode(), b.encode()
		if got := comparer.Compare(ka, kb); got != want {
			t.Fatalf("compare(%x, %x) = %d, want %d", ka, kb, got, want)
		}
		if got := comparer.Equal(ka, kb); got != (want == 0) {
			t.Fatalf("equal(%x, %x) = %v", ka, kb, got)
		}
		prefix := ka[:comparer.Split(ka)]
		if !bytes.Equal(userKey(prefix), a.key) || comparer.Split(prefix) != len(prefix) || comparer.Compare(prefix, ka) >= 0 {
			t.Fatalf("prefix %x of %x", prefix, ka)
		}
		if comparer.AbbreviatedKey(ka) < comparer.AbbreviatedKey(kb) && want >= 0 {
			t.Fatalf("abbreviated keys of %x and %x are in the wrong order", ka, kb)
		}
		if want < 0 {
			sep := comparer.Separator(nil, ka, kb)
			if comparer.Compare(ka, sep) > 0 || comparer.Compare(sep, kb) >= 0 {
				t.Fatalf("separator(%x, %x) = %x", ka, kb, sep)
			}
		}
		if next := comparer.Successor(nil, ka); comparer.Compare(ka, next) > 0 {
			t.Fatalf("successor(%x) = %x", ka, next)
		}
		next := comparer.ImmediateSuccessor(nil, prefix)
		if comparer.Compare(ka, next) >= 0 || (bytes.Compare(a.key, b.key) < 0 && comparer.Compare(next, kb) > 0) {
			t.Fatalf("immediate successor of %x is %x", prefix, next)
		}
		if ts, ok := suffixTime(ka[len(prefix):]); ok != (a.time != 0) || (ok && ts != a.time) {
			t.Fatalf("time of %x is %v, %v", ka, ts, ok)
		}
	})
}

func TestComparerIsComplete(t *testing.T) {
	if err := pebble.CheckComparer(comparer, [][]byte{prefixOf(spaceData, []byte("a")), prefixOf(spaceData, []byte("a\x00")), prefixOf(spaceData, []byte("b"))},
		[][]byte{nil, appendIntent(nil), appendTime(nil, hlc.Max), appendTime(nil, 5), appendTime(nil, 1)}); err != nil {
		t.Error(err)
	}
}

// FuzzDecodeBatch holds that no payload makes a node panic, and that what is accepted
// is what encoding its ops gives.
func FuzzDecodeBatch(f *testing.F) {
	f.Add(new(Batch).Encode())
	f.Add(everyOp().Encode())
	f.Add([]byte{1, 255, 255, 255, 255})
	f.Add([]byte{1, 1, 0, 0, 0, byte(opIntent), 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := DecodeBatch(data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%v is no ErrCorrupt", err)
			}
			return
		}
		n := 0
		again := new(Batch)
		for op := range b.Ops() {
			n++
			add(again, op)
		}
		if n != b.Count() {
			t.Errorf("%d ops, the count is %d", n, b.Count())
		}
		if c, err := DecodeBatch(again.Encode()); err != nil || !slices.EqualFunc(ops(b), ops(c), sameOp) {
			t.Errorf("%x does not survive a round trip: %v", data, err)
		}
	})
}

func everyOp() *Batch {
	return batchOf(func(b *Batch) {
		b.Put([]byte("put"), []byte("value"))
		b.Delete([]byte("delete"))
		b.PutMoved([]byte("moved"), []byte("value"), 7)
		b.DeleteMoved([]byte("unmoved"), 8)
		b.DeleteRange([]byte("lo"), []byte("hi"))
		b.PutVersion(Version{Key: []byte("version"), Value: []byte("value"), Time: 9, WriteTime: 9})
		b.PutVersion(Version{Key: []byte("version"), Time: 10, WriteTime: 3, Tombstone: true})
		b.PutMeta([]byte("meta"), []byte("value"))
		b.DeleteMeta([]byte("meta"))
		b.Lock([]byte("lock"), 2)
	})
}

func ops(b *Batch) []Op { return slices.Collect(b.Ops()) }

func sameOp(a, b Op) bool {
	return a.Kind == b.Kind && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) && a.Time == b.Time &&
		a.WriteTime%hlc.Max == b.WriteTime%hlc.Max && a.Tombstone == b.Tombstone && a.Strength == b.Strength
}

// add puts an op that was read into a batch.
func add(b *Batch, op Op) {
	switch op.Kind {
	case OpPut:
		b.Put(op.Key, op.Value)
	case OpDelete:
		b.Delete(op.Key)
	case OpPutMoved:
		b.PutMoved(op.Key, op.Value, op.WriteTime)
	case OpDeleteMoved:
		b.DeleteMoved(op.Key, op.WriteTime)
	case OpDeleteRange:
		b.DeleteRange(op.Key, op.Value)
	case OpVersion:
		b.PutVersion(Version{Key: op.Key, Value: op.Value, Time: op.Time, WriteTime: op.WriteTime, Tombstone: op.Tombstone})
	case OpPutMeta:
		b.PutMeta(op.Key, op.Value)
	case OpDeleteMeta:
		b.DeleteMeta(op.Key)
	case OpLock:
		b.Lock(op.Key, op.Strength)
	}
}

func TestBatchRoundTrip(t *testing.T) {
	b := everyOp()
	c, err := DecodeBatch(bytes.Clone(b.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(ops(b), ops(c), sameOp) {
		t.Errorf("%v reads back as %v", ops(b), ops(c))
	}
	enc := b.Encode()
	for i := range enc {
		if _, err := DecodeBatch(enc[:i]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut at %d: %v, want ErrCorrupt", i, err)
		}
	}
	if _, err := DecodeBatch(append(enc, 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a byte too many: %v, want ErrCorrupt", err)
	}
}
