package storage

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heliosdb/helios/hlc"
)

// Effect is what one log record does to the store: one of Commit, Prepare, Resolve and
// Pass.
type Effect struct {
	kind  effectKind
	gid   string
	time  hlc.Timestamp
	batch *Batch
}

type effectKind uint8

const (
	effectPass effectKind = iota
	effectCommit
	effectPrepare
	effectResolve
)

// Commit writes a batch's rows at a commit timestamp, and its meta rows.
func Commit(ts hlc.Timestamp, b *Batch) Effect { return Effect{kind: effectCommit, time: ts, batch: b} }

// Prepare writes a batch's rows as intents of gid, prepared at ts, and remembers its
// keys, locks and meta rows until gid is resolved.
func Prepare(gid string, ts hlc.Timestamp, b *Batch) Effect {
	return Effect{kind: effectPrepare, gid: gid, time: ts, batch: b}
}

// Resolve turns the intents of gid into versions at the commit timestamp, and writes
// the meta rows it was prepared with; with timestamp 0 both vanish. Meta rows in b,
// which may be nil, are written either way. A gid that is not prepared was resolved
// before: nothing happens to it.
func Resolve(gid string, commit hlc.Timestamp, b *Batch) Effect {
	return Effect{kind: effectResolve, gid: gid, time: commit, batch: b}
}

// Pass changes no rows: a record that only moves the position and, with ts, visible.
func Pass(ts hlc.Timestamp) Effect { return Effect{time: ts} }

// Errors of Apply. They mean that the log holds what its writer must not have written:
// the record is not applied and neither must be any after it.
var (
	ErrPrepared = errors.New("storage: the transaction is prepared already")
	ErrIntent   = errors.New("storage: the key has another transaction's intent")
	ErrEffect   = errors.New("storage: the record cannot be applied")
)

// Apply makes one record's effect visible, atomically with its position. A record at
// or below Applied is there already and does nothing. Records come in log order; a
// record that raises visible to ts must have been written when no later record could
// get a commit or prepare timestamp at or below ts.
func (s *Store) Apply(pos Position, eff Effect) error {
	s.apply.Lock()
	defer s.apply.Unlock()
	if pos.LSN <= s.apply.applied.LSN {
		return nil
	}
	if pos.Term < s.apply.applied.Term {
		return fmt.Errorf("%w: term %d after %d", ErrEffect, pos.Term, s.apply.applied.Term)
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	b := s.db.NewBatch()
	defer b.Close()
	if err := s.write(b, eff); err != nil {
		return fmt.Errorf("apply the record before %v: %w", pos.LSN, err)
	}
	visible := max(s.Visible(), eff.time)
	if err := b.Set(keyApplied, encodeApplied(pos, visible), nil); err != nil {
		return err
	}
	size := b.Len()
	if err := b.Commit(pebble.NoSync); err != nil {
		return err
	}
	s.apply.applied = pos
	s.visible.Store(uint64(visible))
	return s.apply.ramp.wrote(s.db, size)
}

func (s *Store) write(b *pebble.Batch, eff Effect) error {
	if eff.time > hlc.Max {
		return fmt.Errorf("%w: timestamp %d", ErrEffect, uint64(eff.time))
	}
	switch eff.kind {
	case effectCommit:
		return writeCommit(b, eff.time, eff.batch)
	case effectPrepare:
		return s.writePrepare(b, eff)
	case effectResolve:
		return s.writeResolve(b, eff)
	}
	return nil
}

func writeCommit(b *pebble.Batch, ts hlc.Timestamp, batch *Batch) error {
	if batch == nil {
		return nil
	}
	for op := range batch.Ops() {
		if err := writeOp(b, ts, op); err != nil {
			return err
		}
	}
	return nil
}

// writeOp adds what op does at commit timestamp ts.
func writeOp(b *pebble.Batch, ts hlc.Timestamp, op Op) error {
	switch op.Kind {
	case OpPut, OpDelete, OpPutMoved, OpDeleteMoved:
		if ts == 0 {
			return fmt.Errorf("%w: a row without a commit timestamp", ErrEffect)
		}
		return setVersion(b, op.Key, ts, op.Tombstone, op.WriteTime, op.Value)
	case OpVersion:
		return setVersion(b, op.Key, op.Time, op.Tombstone, op.WriteTime, op.Value)
	case OpDeleteRange:
		return b.DeleteRange(prefixOf(spaceData, op.Key), endOf(spaceData, op.Value), nil)
	case OpPutMeta:
		return b.Set(prefixOf(spaceMeta, op.Key), op.Value, nil)
	case OpDeleteMeta:
		return b.Delete(prefixOf(spaceMeta, op.Key), nil)
	case OpLock:
		return nil
	}
	return fmt.Errorf("%w: op kind %d", ErrEffect, op.Kind)
}

// setVersion adds a version, encoding it in place.
func setVersion(b *pebble.Batch, key []byte, ts hlc.Timestamp, tombstone bool, written hlc.Timestamp, value []byte) error {
	head := 1
	if written != 0 {
		head += 8
	}
	op := b.SetDeferred(len(key)+2+suffixBytes, head+len(value))
	appendTime(appendPrefix(op.Key[:0], spaceData, key), ts)
	copy(op.Value[len(appendVersionHead(op.Value[:0], tombstone, written)):], value)
	return op.Finish()
}

// writePrepare adds the intents and the prepared transaction's own row.
func (s *Store) writePrepare(b *pebble.Batch, eff Effect) error {
	if eff.batch == nil || eff.time == 0 || eff.gid == "" {
		return fmt.Errorf("%w: a prepare without gid, timestamp or batch", ErrEffect)
	}
	row := prefixOf(spacePrepared, []byte(eff.gid))
	if _, found, err := s.read(row); err != nil {
		return err
	} else if found {
		return fmt.Errorf("%w: %s", ErrPrepared, eff.gid)
	}
	var keep Batch
	for op := range eff.batch.Ops() {
		switch op.Kind {
		case OpPut, OpDelete, OpPutMoved, OpDeleteMoved:
			if err := s.writeIntent(b, eff, op); err != nil {
				return err
			}
			keep.bytes(keep.op(opIntent), op.Key)
		case OpLock:
			keep.Lock(op.Key, op.Strength)
		case OpPutMeta:
			keep.PutMeta(op.Key, op.Value)
		case OpDeleteMeta:
			keep.DeleteMeta(op.Key)
		default:
			return fmt.Errorf("%w: op kind %d in a prepare", ErrEffect, op.Kind)
		}
	}
	value := binary.LittleEndian.AppendUint64(nil, uint64(eff.time))
	return b.Set(row, append(value, keep.Encode()...), nil)
}

func (s *Store) writeIntent(b *pebble.Batch, eff Effect, op Op) error {
	key := appendIntent(prefixOf(spaceData, op.Key))
	if _, found, err := s.read(key); err != nil {
		return err
	} else if found {
		return fmt.Errorf("%w: key %x", ErrIntent, op.Key)
	}
	value := appendIntentHead(nil, op.Tombstone, op.WriteTime, eff.time, eff.gid)
	return b.Set(key, append(value, op.Value...), nil)
}

// writeResolve adds what a decision makes of a prepared transaction.
func (s *Store) writeResolve(b *pebble.Batch, eff Effect) error {
	if eff.batch != nil {
		for op := range eff.batch.Ops() {
			if op.Kind != OpPutMeta && op.Kind != OpDeleteMeta {
				return fmt.Errorf("%w: op kind %d in a resolve", ErrEffect, op.Kind)
			}
		}
	}
	row := prefixOf(spacePrepared, []byte(eff.gid))
	value, found, err := s.read(row)
	if err != nil {
		return err
	}
	if found {
		_, kept, err := decodePrepared(value)
		if err != nil {
			return err
		}
		for op := range kept.Ops() {
			if err := s.resolveOp(b, eff, op); err != nil {
				return err
			}
		}
		if err := b.Delete(row, nil); err != nil {
			return err
		}
	}
	return writeCommit(b, eff.time, eff.batch)
}

func (s *Store) resolveOp(b *pebble.Batch, eff Effect, op Op) error {
	if op.Kind != opIntent {
		if eff.time == 0 {
			return nil
		}
		return writeOp(b, eff.time, op)
	}
	key := appendIntent(prefixOf(spaceData, op.Key))
	value, found, err := s.read(key)
	if err != nil || !found { // cleaned up with its range
		return err
	}
	in, err := decodeIntent(op.Key, value)
	if err != nil {
		return err
	}
	if in.GID != eff.gid {
		return fmt.Errorf("%w: key %x", ErrIntent, op.Key)
	}
	if err := b.Delete(key, nil); err != nil || eff.time == 0 {
		return err
	}
	return setVersion(b, op.Key, eff.time, in.Tombstone, in.written, in.Value)
}

// ramp watches the first writes after a start. Pebble begins with a tiny memtable,
// doubles it at each rotation and flushes none before a full one's worth is queued:
// every read would search all of them. So while they grow, more than two are flushed.
type ramp struct {
	written  int             // bytes since the start
	looked   int             // written when the memtables were last counted
	flushing <-chan struct{} // closed when the last flush is through, nil before the first
}

const (
	rampBytes     = memTableBytes * memTablesMax
	rampStepBytes = 128 << 10
	rampMemTables = 2
)

func (r *ramp) wrote(db *pebble.DB, bytes int) error {
	if r.written >= rampBytes {
		return nil
	}
	r.written += bytes
	if r.written-r.looked < rampStepBytes {
		return nil
	}
	r.looked = r.written
	if !r.idle() || db.Metrics().MemTable.Count <= rampMemTables {
		return nil
	}
	flushing, err := db.AsyncFlush()
	r.flushing = flushing
	return err
}

// idle reports whether no flush is under way: another one now would only cut off one
// more small memtable behind it.
func (r *ramp) idle() bool {
	if r.flushing == nil {
		return true
	}
	select {
	case <-r.flushing:
		return true
	default:
		return false
	}
}
