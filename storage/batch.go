package storage

import (
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/heliosdb/helios/hlc"
)

// Batch is a list of changes: what one log record does to the store. Its encoding is
// the record's payload. The zero Batch is empty and ready for use. Keys and values are
// copied into it.
type Batch struct {
	buf   []byte // as encoded, with the count still to be set
	count uint32
}

const (
	batchVersion   = 1
	batchHeadBytes = 5
)

// OpKind says what an Op does.
type OpKind uint8

// The kinds of ops: see docs/format/storage.md.
const (
	OpPut OpKind = iota + 1
	OpDelete
	OpPutMoved
	OpDeleteMoved
	OpDeleteRange
	OpVersion
	OpPutMeta
	OpDeleteMeta
	OpLock
	opIntent
)

// Op is one change. Key and Value alias the batch.
type Op struct {
	Kind      OpKind
	Key       []byte        // lo of OpDeleteRange
	Value     []byte        // hi of OpDeleteRange
	Time      hlc.Timestamp // commit time of OpVersion
	WriteTime hlc.Timestamp // of OpPutMoved, OpDeleteMoved, OpVersion
	Tombstone bool          // OpDelete, OpDeleteMoved, some OpVersion
	Strength  uint8         // of OpLock
}

// Put writes a row.
func (b *Batch) Put(key, value []byte) { b.bytes(b.op(OpPut), key, value) }

// Delete removes a row: its next version is a tombstone.
func (b *Batch) Delete(key []byte) { b.bytes(b.op(OpDelete), key) }

// PutMoved writes a row that only changes its place and was written at written: writers
// compare themselves with that time, so a move conflicts with nobody.
func (b *Batch) PutMoved(key, value []byte, written hlc.Timestamp) {
	if written == 0 {
		b.Put(key, value)
		return
	}
	b.bytes(binary.LittleEndian.AppendUint64(b.op(OpPutMoved), uint64(written)), key, value)
}

// DeleteMoved removes a row from the place it leaves.
func (b *Batch) DeleteMoved(key []byte, written hlc.Timestamp) {
	if written == 0 {
		b.Delete(key)
		return
	}
	b.bytes(binary.LittleEndian.AppendUint64(b.op(OpDeleteMoved), uint64(written)), key)
}

// DeleteRange removes all versions and intents of the keys from lo to before hi, at
// once and at every timestamp: a clean-up of what this shard no longer owns. An empty
// hi means no end.
func (b *Batch) DeleteRange(lo, hi []byte) { b.bytes(b.op(OpDeleteRange), lo, hi) }

// PutVersion writes a version as another shard holds it, commit time included.
func (b *Batch) PutVersion(v Version) {
	var written hlc.Timestamp
	if v.WriteTime != v.Time {
		written = v.WriteTime
	}
	buf := binary.LittleEndian.AppendUint64(b.op(OpVersion), uint64(v.Time))
	buf = append(buf, flagsOf(v.Tombstone, written))
	buf = binary.LittleEndian.AppendUint64(buf, uint64(written))
	b.bytes(buf, v.Key, v.Value)
}

// PutMeta writes a meta row: unversioned, seen by Meta from the record's application on.
func (b *Batch) PutMeta(key, value []byte) { b.bytes(b.op(OpPutMeta), key, value) }

// DeleteMeta removes a meta row.
func (b *Batch) DeleteMeta(key []byte) { b.bytes(b.op(OpDeleteMeta), key) }

// Lock notes a row lock that a prepared transaction holds without writing the row. A
// commit ignores it.
func (b *Batch) Lock(key []byte, strength uint8) { b.bytes(append(b.op(OpLock), strength), key) }

// Count returns the number of ops.
func (b *Batch) Count() int { return int(b.count) }

// Size returns the length of the encoding.
func (b *Batch) Size() int { return max(len(b.buf), batchHeadBytes) }

// Encode returns the encoding. It aliases the batch until the next change.
func (b *Batch) Encode() []byte {
	b.begin()
	binary.LittleEndian.PutUint32(b.buf[1:], b.count)
	return b.buf
}

func (b *Batch) begin() {
	if len(b.buf) == 0 {
		b.buf = append(b.buf, batchVersion, 0, 0, 0, 0)
	}
}

// op starts an op and returns the buffer to which its fields are added.
func (b *Batch) op(kind OpKind) []byte {
	b.begin()
	b.count++
	return append(b.buf, byte(kind))
}

// bytes ends an op with its keys and values.
func (b *Batch) bytes(buf []byte, fields ...[]byte) {
	for _, f := range fields {
		buf = binary.AppendUvarint(buf, uint64(len(f)))
		buf = append(buf, f...)
	}
	b.buf = buf
}

// DecodeBatch reads an encoding, which the batch then aliases. It checks every op, so
// nothing that is done with the batch later can fail for its form.
func DecodeBatch(data []byte) (*Batch, error) {
	b, err := decodeBatch(data)
	if err != nil {
		return nil, err
	}
	for op := range b.Ops() {
		if op.Kind == opIntent {
			return nil, corrupt("an intent's key outside of a prepared transaction")
		}
	}
	return b, nil
}

func decodeBatch(data []byte) (*Batch, error) {
	if len(data) < batchHeadBytes {
		return nil, corrupt("a batch cut short")
	}
	if data[0] != batchVersion {
		return nil, corrupt(fmt.Sprintf("batch version %d", data[0]))
	}
	b := &Batch{buf: data, count: binary.LittleEndian.Uint32(data[1:])}
	rest := data[batchHeadBytes:]
	for range b.count {
		var err error
		if _, rest, err = decodeOp(rest); err != nil {
			return nil, err
		}
	}
	if len(rest) > 0 {
		return nil, corrupt("bytes behind the last op")
	}
	return b, nil
}

// Ops yields the changes in order.
func (b *Batch) Ops() iter.Seq[Op] {
	return func(yield func(Op) bool) {
		if len(b.buf) == 0 {
			return
		}
		for rest := b.buf[batchHeadBytes:]; len(rest) > 0; {
			op, tail, err := decodeOp(rest)
			if err != nil {
				panic("storage: a checked batch is malformed: " + err.Error())
			}
			if !yield(op) {
				return
			}
			rest = tail
		}
	}
}

// decodeOp reads the op at the beginning of b.
func decodeOp(b []byte) (op Op, rest []byte, err error) {
	if len(b) == 0 {
		return op, nil, corrupt("a batch with too few ops")
	}
	op.Kind, rest = OpKind(b[0]), b[1:]
	if rest, err = op.decodeFixed(rest); err != nil {
		return op, nil, err
	}
	if op.Key, rest, err = takeBytes(rest); err != nil {
		return op, nil, err
	}
	switch op.Kind {
	case OpPut, OpPutMoved, OpDeleteRange, OpVersion, OpPutMeta:
		op.Value, rest, err = takeBytes(rest)
	}
	if err == nil && op.Tombstone && len(op.Value) > 0 {
		err = corrupt("a tombstone with a value")
	}
	return op, rest, err
}

// decodeFixed reads the fields of fixed size that stand before the key.
func (op *Op) decodeFixed(b []byte) (rest []byte, err error) {
	switch op.Kind {
	case OpPut, OpDelete, OpDeleteRange, OpPutMeta, OpDeleteMeta, opIntent:
		op.Tombstone = op.Kind == OpDelete
		return b, nil
	case OpPutMoved, OpDeleteMoved:
		op.Tombstone = op.Kind == OpDeleteMoved
		op.WriteTime, b, err = takeTime(b)
		return b, err
	case OpLock:
		if len(b) == 0 {
			return nil, corrupt("lock")
		}
		op.Strength = b[0]
		return b[1:], nil
	case OpVersion:
		return op.decodeVersion(b)
	}
	return nil, corrupt(fmt.Sprintf("op kind %d", op.Kind))
}

func (op *Op) decodeVersion(b []byte) (rest []byte, err error) {
	if op.Time, b, err = takeTime(b); err != nil {
		return nil, err
	}
	if len(b) == 0 || b[0]&^(flagTombstone|flagMoved) != 0 {
		return nil, corrupt("version flags")
	}
	op.Tombstone = b[0]&flagTombstone != 0
	moved := b[0]&flagMoved != 0
	if len(b) < 9 {
		return nil, corrupt("write time")
	}
	written, err := hlc.Check(binary.LittleEndian.Uint64(b[1:]))
	if err != nil || moved != (written != 0) {
		return nil, corrupt("write time")
	}
	op.WriteTime = written
	return b[9:], nil
}

// takeTime reads a timestamp other than 0.
func takeTime(b []byte) (hlc.Timestamp, []byte, error) {
	if len(b) < 8 {
		return 0, nil, corrupt("timestamp")
	}
	ts, err := hlc.Check(binary.LittleEndian.Uint64(b))
	if err != nil || ts == 0 {
		return 0, nil, corrupt("timestamp")
	}
	return ts, b[8:], nil
}
