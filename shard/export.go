package shard

import (
	"context"
	"encoding/binary"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/sql/catalog"
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

// EncodeVersion is the form in which a version travels beside its key: time u64, write
// time u64, tombstone u8, value.
func EncodeVersion(v storage.Version) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(v.Time))
	b = binary.LittleEndian.AppendUint64(b, uint64(v.WriteTime))
	if v.Tombstone {
		return append(b, 1)
	}
	return append(append(b, 0), v.Value...)
}

// DecodeVersion reads what EncodeVersion wrote. The version points into b.
func DecodeVersion(key, b []byte) (storage.Version, error) {
	r := reader{b: b}
	v := storage.Version{Key: key, Time: hlc.Timestamp(r.uint64()), WriteTime: hlc.Timestamp(r.uint64())}
	v.Tombstone = r.byte() == 1
	v.Value = r.b
	if r.err != nil || v.Time == 0 || v.Time > hlc.Max || v.Tombstone && len(v.Value) > 0 {
		return storage.Version{}, types.Errorf("XX001", "a copied version is damaged")
	}
	return v, nil
}

// CatalogRanges are the keys of the catalog.
func CatalogRanges() [][2][]byte {
	return [][2][]byte{{[]byte{catalogPrefix}, []byte{catalogPrefix + 1}}, {catalogMark, []byte{catalogMark[0] + 1}}}
}

// ReferenceRanges are the keys of the rows of all reference tables.
func (s *Shard) ReferenceRanges() [][2][]byte {
	var out [][2][]byte
	for rel := range s.Catalog().Relations() {
		if rel.Kind == catalog.KindTable && !rel.Virtual && rel.Placement.Strategy == catalog.Reference {
			lo := tablePrefix(rel.OID)
			out = append(out, [2][]byte{lo, prefixEnd(lo)})
		}
	}
	return out
}
