package shard

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/storage"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/wal"
)

// ExportUnits walks over all versions of one key range above the garbage horizon, the
// newest at or below it included, for a copy to another shard. It can be resumed from
// the last key that arrived.
func (s *Shard) ExportUnits(lo, hi []byte) *storage.Versions {
	return s.store().Versions(storage.Export{Lo: lo, Hi: hi, Above: s.store().Horizon(), Base: true})
}

// Ingest logs versions that another shard sent, as they are: commit times included.
// Index entries of the rows are made here, with the same times.
func (s *Shard) Ingest(ctx context.Context, versions []storage.Version) error {
	var b storage.Batch
	for _, v := range versions {
		b.PutVersion(v)
		if err := s.ingestEntries(ctx, v, &b); err != nil {
			return err
		}
	}
	if b.Count() == 0 {
		return nil
	}
	_, err := s.logRecord(ctx, wal.TypeIngest, 0, func(hlc.Timestamp) ([]byte, error) { return b.Encode(), nil })
	return err
}

// ingestEntries adds the index entries of a copied row version. Entries of versions that
// a later one replaced lead to rows that no longer have the value: readers check.
func (s *Shard) ingestEntries(ctx context.Context, v storage.Version, b *storage.Batch) error {
	if v.Tombstone || len(v.Key) < 9 || v.Key[0] != rowPrefix {
		return nil
	}
	rel, ok := s.Catalog().ByOID(tableOfRowKey(v.Key))
	if !ok {
		return nil // dropped meanwhile
	}
	t, err := s.table(ctx, s.Catalog(), rel)
	if err != nil || len(t.indexes) == 0 {
		return err
	}
	row, err := t.decode(v.Value, nil)
	if err != nil {
		return err
	}
	entries, err := t.entries(unitOfRowKey(v.Key), row)
	if err != nil {
		return err
	}
	for _, e := range entries {
		b.PutVersion(storage.Version{Key: e.key, Time: v.Time, WriteTime: v.WriteTime})
	}
	return nil
}

// Tail gives what a log record changes in units, for a copy that follows the log; nil
// when it changes nothing there. Prepared transactions count when they are resolved.
func (s *Shard) Tail(rec wal.Record, units map[placement.Unit]bool) ([]storage.Version, error) {
	ts := hlc.Timestamp(rec.Time)
	switch rec.Type {
	case wal.TypeTxn, wal.TypeIngest:
		return s.changed(rec.Payload, ts, units)
	case wal.TypeDecision:
		d, err := decodeDecision(rec.Payload)
		if err != nil {
			return nil, err
		}
		return s.changed(d.Batch, ts, units)
	}
	return nil, nil
}

func (s *Shard) changed(payload []byte, ts hlc.Timestamp, units map[placement.Unit]bool) ([]storage.Version, error) {
	b, err := storage.DecodeBatch(payload)
	if err != nil {
		return nil, err
	}
	var out []storage.Version
	for op := range b.Ops() {
		if len(op.Key) < 9 || op.Key[0] != rowPrefix {
			continue
		}
		n, table := unitOfRowKey(op.Key), uint32(tableOfRowKey(op.Key))
		if !units[placement.Unit{N: n}] && !units[placement.Unit{Space: table, N: n}] {
			continue
		}
		v := storage.Version{Key: op.Key, Value: op.Value, Time: ts, WriteTime: ts, Tombstone: op.Tombstone}
		switch op.Kind {
		case storage.OpPut, storage.OpDelete:
		case storage.OpPutMoved, storage.OpDeleteMoved:
			v.WriteTime = op.WriteTime
		case storage.OpVersion:
			v.Time, v.WriteTime = op.Time, op.WriteTime
		default:
			continue
		}
		out = append(out, v)
	}
	return out, nil
}

// VersionsSince gives the versions of key ranges above a timestamp: what a copy that
// knows everything up to there still lacks. Intents are left out.
func (s *Shard) VersionsSince(lo, hi []byte, above hlc.Timestamp) *storage.Versions {
	return s.store().Versions(storage.Export{Lo: lo, Hi: hi, Above: above})
}

// AppendVersion adds the form in which a version travels: key length u32, key, time u64, write time u64, tombstone u8, value length u32, value.
func AppendVersion(dst []byte, v storage.Version) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(v.Key)))
	dst = append(dst, v.Key...)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(v.Time))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(v.WriteTime))
	if v.Tombstone {
		return binary.LittleEndian.AppendUint32(append(dst, 1), 0)
	}
	dst = binary.LittleEndian.AppendUint32(append(dst, 0), uint32(len(v.Value)))
	return append(dst, v.Value...)
}

// DecodeVersions reads what AppendVersion wrote, one after the other.
func DecodeVersions(b []byte) ([]storage.Version, error) {
	var out []storage.Version
	r := reader{b: bytes.Clone(b)}
	for len(r.b) > 0 && r.err == nil {
		v := storage.Version{Key: r.take(int(min(r.uint32(), 1<<30)))}
		v.Time, v.WriteTime = hlc.Timestamp(r.uint64()), hlc.Timestamp(r.uint64())
		v.Tombstone = r.byte() == 1
		v.Value = r.take(int(min(r.uint32(), 1<<30)))
		out = append(out, v)
	}
	if r.err != nil {
		return nil, types.Errorf("XX001", "a copied version is damaged")
	}
	return out, nil
}
