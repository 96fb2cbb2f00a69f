package shard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/storage"
	"github.com/heliosdb/helios/twophase"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/wal"
)

// Meta rows of the shard, beside those of units: decisions under "dec/" gid, marks of
// sequences under "seq/" OID.
const (
	decisionMeta = "dec/"
	sequenceMeta = "seq/"
)

// load rebuilds in memory what the store knows.
func (s *Shard) load() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loadLocked()
}

// loadLocked is load with mu held.
func (s *Shard) loadLocked() error {
	s.mu.applied = s.store().Applied().LSN
	s.clock.SetCeiling(hlc.At(s.store().Visible().Millis()+ceilingAhead, 0))
	s.clock.Observe(s.store().Visible())
	s.mu.recent.reset(s.store().Visible())
	err := s.store().MetaRange(nil, nil, func(key, value []byte) error {
		switch k := string(key); {
		case strings.HasPrefix(k, ownedMeta):
			x, err := loadOwned(key, value)
			s.mu.units.state[x.Unit] = x
			return err
		case strings.HasPrefix(k, decisionMeta):
			return s.loadDecision(k[len(decisionMeta):], value)
		case strings.HasPrefix(k, sequenceMeta):
			return s.loadMark(key, value)
		case k == lossyMeta:
			if len(value) != 8 {
				return errPayload
			}
			s.mu.lossy = hlc.Timestamp(binary.LittleEndian.Uint64(value))
			return nil
		case k == versionMeta:
			s.mu.units.version = binary.BigEndian.Uint64(value)
			return nil
		}
		return fmt.Errorf("the store has a meta row %q that this version does not know", key)
	})
	if err != nil {
		return err
	}
	prepared, err := s.store().Prepared()
	if err != nil {
		return err
	}
	for _, p := range prepared {
		s.mu.prepared[p.GID] = &preparedTx{time: p.Time, since: time.Now()}
	}
	return s.loadCatalog(s.store().Visible())
}

const versionMeta = "own"

// lossyMeta holds where the clock of the last term began that answered writes may have been
// lost before (T16).
const lossyMeta = "lossy"

// catalogMark is a row that every DDL writes: its version is the catalog's version, and
// its lock keeps two DDLs apart.
var catalogMark = []byte{'C'}

// loadCatalog reads the catalog as of ts; an empty store has none yet. mu is held.
func (s *Shard) loadCatalog(ts hlc.Timestamp) error {
	sn := s.store().Snapshot(ts, skipIntents)
	defer sn.Close()
	mark, ok, err := sn.Get(catalogMark)
	if err != nil || !ok {
		return err
	}
	var rows [][2][]byte
	it := sn.Scan([]byte{catalogPrefix}, []byte{catalogPrefix + 1}, false)
	for it.Next() {
		v := it.Version()
		rows = append(rows, [2][]byte{slices.Clone(v.Key[1:]), slices.Clone(v.Value)})
	}
	if err := it.Close(); err != nil {
		return err
	}
	c, err := catalog.Load(uint64(mark.Time), pairs(rows))
	if err != nil {
		return err
	}
	s.mu.catalogs = append(s.mu.catalogs, s.withVirtual(c))
	if n := len(s.mu.catalogs); n > catalogsKept {
		s.mu.catalogs = slices.Clone(s.mu.catalogs[n-catalogsKept:])
	}
	return nil
}

// skipIntents passes over what is not decided.
func skipIntents(storage.Intent) (hlc.Timestamp, error) { return 0, nil }

func pairs(rows [][2][]byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		for _, r := range rows {
			if !yield(r[0], r[1]) {
				return
			}
		}
	}
}

// Advance says that every record below lsn is committed under the rule in force.
func (s *Shard) Advance(lsn wal.LSN) {
	for {
		old := s.committed.Load()
		if uint64(lsn) <= old {
			return
		}
		if s.committed.CompareAndSwap(old, uint64(lsn)) {
			break
		}
	}
	select {
	case s.advanced <- struct{}{}:
	default:
	}
}

// apply is the applier: it applies committed records in log order.
func (s *Shard) apply() {
	for {
		if err := s.applyCommitted(); err != nil {
			if s.ctx.Err() == nil {
				s.logger.Error("apply failed", "shard", s.opts.ID, "err", err)
				s.fail(err)
			}
			return
		}
		select {
		case <-s.advanced:
		case <-s.ctx.Done():
			return
		}
	}
}

// applyCommitted applies what is committed. What it read of the log is void when a base copy
// took the store's place meanwhile.
func (s *Shard) applyCommitted() error {
	for {
		copies := s.copies.Load()
		err := s.applyLog(copies)
		if s.copies.Load() == copies {
			return err
		}
	}
}

func (s *Shard) applyLog(copies int64) error {
	limit := wal.LSN(s.committed.Load())
	if s.Applied() >= limit {
		return nil
	}
	r, err := s.log.ReadFrom(s.Applied())
	if err != nil {
		return err
	}
	defer r.Close()
	for s.Applied() < limit {
		rec, err := r.Next(s.ctx)
		if err != nil {
			return err
		}
		if err := s.applyRecord(rec, copies); err != nil {
			return fmt.Errorf("%v at %v: %w", rec.Type, rec.LSN, err)
		}
		limit = wal.LSN(s.committed.Load())
	}
	return nil
}

// applyRecord makes one record visible, then lets go who waited for it.
func (s *Shard) applyRecord(rec wal.Record, copies int64) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	if s.copies.Load() != copies {
		return errCopied
	}
	change, err := s.changeOf(rec)
	if err != nil {
		return err
	}
	pos := storage.Position{Term: rec.Term, LSN: rec.End()}
	if err := s.store().Apply(pos, change.effect); err != nil {
		return err
	}
	ts := hlc.Timestamp(rec.Time)
	s.clock.Observe(ts)
	s.clock.SetCeiling(hlc.At(ts.Millis()+ceilingAhead, 0))

	s.mu.Lock()
	defer s.mu.Unlock()
	if change.after != nil {
		if err := change.after(); err != nil {
			return err
		}
	}
	s.mu.applied = rec.End()
	for len(s.mu.inflight) > 0 && s.mu.inflight[0].end <= rec.End() {
		s.mu.inflight = s.mu.inflight[1:]
	}
	if done := s.mu.pending[rec.End()]; done != nil {
		delete(s.mu.pending, rec.End())
		done(nil)
	}
	s.announce()
	if s.opts.OnApply != nil {
		s.opts.OnApply()
	}
	return nil
}

var errCopied = errors.New("a base copy has taken the place of what the record belongs to")

// change is what a record does to the store and, with mu held, to memory.
type change struct {
	effect storage.Effect
	after  func() error
}

var errUnknownRecord = errors.New("the log has a record that this version does not apply")

// changeOf reads a record.
func (s *Shard) changeOf(rec wal.Record) (change, error) {
	ts := hlc.Timestamp(rec.Time)
	switch rec.Type {
	case wal.TypeTxn, wal.TypeIngest, wal.TypeDrop:
		b, err := storage.DecodeBatch(rec.Payload)
		if err != nil {
			return change{}, err
		}
		return change{storage.Commit(ts, b), s.commitAfter(rec, b)}, nil
	case wal.TypePrepare:
		return s.prepareChange(rec, ts)
	case wal.TypeDecision:
		return s.decisionChange(rec, ts)
	case wal.TypeResolve:
		return s.resolveChange(rec, ts)
	case wal.TypeOwn, wal.TypeSeal, wal.TypeReadsOff:
		return s.ownershipChange(rec, ts)
	case wal.TypeSeqMark:
		return s.markChange(rec, ts)
	case wal.TypeHeartbeat:
		h, err := decodeHeartbeat(rec.Payload)
		return change{storage.Pass(ts), func() error { s.mu.closed = max(s.mu.closed, h.Closed); return nil }}, err
	case wal.TypeTermStart:
		if rec.Flags&wal.FlagLossy == 0 {
			return change{effect: storage.Pass(ts)}, nil
		}
		var b storage.Batch
		b.PutMeta([]byte(lossyMeta), binary.LittleEndian.AppendUint64(nil, rec.Time))
		return change{storage.Commit(ts, &b), func() error { s.mu.lossy = ts; return nil }}, nil
	case wal.TypeSyncSet, wal.TypeCheckpoint, wal.TypeHandover:
		return change{effect: storage.Pass(ts)}, nil
	}
	return change{}, fmt.Errorf("%w: %v", errUnknownRecord, rec.Type)
}

// commitAfter notes whose commit a record was, and reloads the catalog when it changes it.
func (s *Shard) commitAfter(rec wal.Record, b *storage.Batch) func() error {
	ts := hlc.Timestamp(rec.Time)
	catalogChanged := s.catalogAfter(ts, b)
	return func() error {
		if rec.Type == wal.TypeDrop {
			s.dropDecisions(b)
		}
		if rec.TxID != 0 {
			s.mu.recent.note(rec.TxID, ts)
		}
		if catalogChanged != nil {
			return catalogChanged()
		}
		return nil
	}
}

// catalogAfter reloads the catalog when a batch changes it.
func (s *Shard) catalogAfter(ts hlc.Timestamp, b *storage.Batch) func() error {
	for op := range b.Ops() {
		if touchesCatalog(op) {
			return func() error { return s.loadCatalog(ts) }
		}
	}
	return nil
}

func touchesCatalog(op storage.Op) bool {
	switch op.Kind {
	case storage.OpPut, storage.OpDelete, storage.OpVersion:
		return len(op.Key) > 0 && (op.Key[0] == catalogPrefix || op.Key[0] == catalogMark[0])
	}
	return false
}

func (s *Shard) prepareChange(rec wal.Record, ts hlc.Timestamp) (change, error) {
	p, err := decodePrepared(rec.Payload)
	if err != nil {
		return change{}, err
	}
	b, err := storage.DecodeBatch(p.Batch)
	if err != nil {
		return change{}, err
	}
	return change{storage.Prepare(p.GID, ts, b), func() error {
		x := s.mu.prepared[p.GID]
		if x == nil {
			x = &preparedTx{}
			s.mu.prepared[p.GID] = x
		}
		x.time, x.since = ts, time.Now()
		return nil
	}}, nil
}

func (s *Shard) decisionChange(rec wal.Record, ts hlc.Timestamp) (change, error) {
	d, err := decodeDecision(rec.Payload)
	if err != nil {
		return change{}, err
	}
	b, err := storage.DecodeBatch(d.Batch)
	if err != nil {
		return change{}, err
	}
	var catalogChanged func() error
	if d.State == twophase.Committed {
		catalogChanged = s.catalogAfter(ts, b)
	}
	return change{storage.Commit(ts, b), func() error {
		delete(s.mu.deciding, d.GID)
		o := twophase.Outcome{State: d.State}
		if d.State == twophase.Committed {
			o.Time = ts
		}
		s.mu.decided[d.GID] = decided{outcome: o, participants: d.Participants, since: time.Now()}
		if catalogChanged != nil {
			return catalogChanged()
		}
		return nil
	}}, nil
}

func (s *Shard) resolveChange(rec wal.Record, ts hlc.Timestamp) (change, error) {
	r, err := decodeResolution(rec.Payload)
	if err != nil {
		return change{}, err
	}
	catalogTouched, err := s.preparedCatalog(r.GID)
	if err != nil {
		return change{}, err
	}
	return change{storage.Resolve(r.GID, ts, nil), func() error {
		if p := s.mu.prepared[r.GID]; p != nil {
			if p.locks != 0 {
				s.locks.Release(p.locks)
			}
			delete(s.mu.prepared, r.GID)
		}
		o := twophase.Outcome{State: twophase.Aborted}
		if ts != 0 {
			o = twophase.Outcome{State: twophase.Committed, Time: ts}
		}
		s.mu.resolutions.note(r.GID, o, time.Now(), s.OldestSnapshot())
		if catalogTouched && ts != 0 {
			return s.loadCatalog(s.store().Visible())
		}
		return nil
	}}, nil
}

// preparedCatalog tells whether a prepared transaction changes the catalog.
func (s *Shard) preparedCatalog(gid string) (bool, error) {
	all, err := s.store().Prepared()
	if err != nil {
		return false, err
	}
	for _, p := range all {
		if p.GID == gid {
			return slices.ContainsFunc(p.Keys, func(k []byte) bool { return len(k) > 0 && (k[0] == catalogPrefix || k[0] == catalogMark[0]) }), nil
		}
	}
	return false, nil
}

func (s *Shard) ownershipChange(rec wal.Record, ts hlc.Timestamp) (change, error) {
	o, err := decodeOwnership(rec.Payload)
	if err != nil {
		return change{}, err
	}
	var b storage.Batch
	for _, x := range o.Units {
		b.PutMeta(ownedKey(x.Unit), x.value())
	}
	if o.Version != 0 {
		b.PutMeta([]byte(versionMeta), binary.BigEndian.AppendUint64(nil, o.Version))
	}
	return change{storage.Commit(ts, &b), func() error {
		s.mu.units.apply(o)
		return nil
	}}, nil
}

func (s *Shard) markChange(rec wal.Record, ts hlc.Timestamp) (change, error) {
	if len(rec.Payload) < 4 {
		return change{}, errPayload
	}
	m, err := readMark(rec.Payload[4:])
	if err != nil {
		return change{}, err
	}
	var b storage.Batch
	b.PutMeta(append([]byte(sequenceMeta), rec.Payload[:4]...), rec.Payload[4:])
	oid := types.OID(binary.BigEndian.Uint32(rec.Payload))
	return change{storage.Commit(ts, &b), func() error {
		if !s.mu.leading { // a primary is ahead of what is applied
			s.mu.marks[oid] = m
		}
		return nil
	}}, nil
}

// catalogAt is the catalog that a snapshot at ts sees; nil before the first one.
func (s *Shard) catalogAt(ts hlc.Timestamp) *catalog.Catalog {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.mu.catalogs) - 1; i >= 0; i-- {
		if hlc.Timestamp(s.mu.catalogs[i].Version()) <= ts {
			return s.mu.catalogs[i]
		}
	}
	return nil
}

// Catalog is the newest applied catalog, nil before the shard is set up.
func (s *Shard) Catalog() *catalog.Catalog {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.mu.catalogs); n > 0 {
		return s.mu.catalogs[n-1]
	}
	return nil
}

// WaitCatalog returns the catalog once there is one.
func (s *Shard) WaitCatalog(ctx context.Context) (*catalog.Catalog, error) {
	err := s.waitFor(ctx, func() (bool, error) { return len(s.mu.catalogs) > 0, nil })
	return s.Catalog(), err
}
