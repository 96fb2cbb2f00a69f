package shard

import (
	"context"
	"slices"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/storage"
	"github.com/heliosdb/helios/wal"
)

// Tail follows the log for what it does to moving units: a copy that holds everything
// up to the LSN where the Tail begins, and takes what it gives, holds what this shard
// holds. It is used by one goroutine.
type Tail struct {
	s        *Shard
	moving   map[placement.Unit]bool
	prepared map[string][]storage.Version // by gid, commit time still to come
}

// NewTail begins to follow units.
func NewTail(s *Shard, units []placement.Unit) *Tail {
	t := &Tail{s: s, moving: map[placement.Unit]bool{}, prepared: map[string][]storage.Version{}}
	for _, u := range units {
		t.moving[u] = true
	}
	return t
}

// Run calls emit after every applied record with its end and the versions it made in the
// moving units, none of them perhaps, from an LSN on until ctx ends or emit fails.
func (t *Tail) Run(ctx context.Context, from uint64, emit func(end uint64, versions []storage.Version) error) error {
	if err := t.intents(); err != nil {
		return err
	}
	r, err := t.s.log.ReadFrom(wal.LSN(from))
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		rec, err := r.Next(ctx)
		if err != nil {
			return err
		}
		if err := t.s.waitApplied(ctx, rec.End()); err != nil {
			return err
		}
		versions, err := t.read(rec)
		if err != nil {
			return err
		}
		if err := emit(uint64(rec.End()), versions); err != nil {
			return err
		}
	}
}

// intents looks up what is prepared already: its PREPARE record may lie before the start.
func (t *Tail) intents() error {
	all, err := t.s.store().Prepared()
	if err != nil {
		return err
	}
	for _, p := range all {
		for _, k := range p.Keys {
			in, ok, err := t.s.store().IntentAt(k)
			if err != nil {
				return err
			}
			if ok && t.inside(k) {
				v := in.At(0)
				v.Key, v.Value = slices.Clone(k), slices.Clone(v.Value)
				t.prepared[p.GID] = append(t.prepared[p.GID], v)
			}
		}
	}
	return nil
}

func (t *Tail) inside(key []byte) bool {
	if len(key) < 9 || key[0] != rowPrefix {
		return false
	}
	n := unitOfRowKey(key)
	return t.moving[placement.Unit{N: n}] && !t.s.ownSpace(key) || t.moving[placement.Unit{Space: uint32(tableOfRowKey(key)), N: n}]
}

// ownSpace tells whether a row's unit is one of its table's own, not a slot.
func (s *Shard) ownSpace(key []byte) bool {
	rel, ok := s.Catalog().ByOID(tableOfRowKey(key))
	return ok && (rel.Placement.Strategy == "range" || rel.Placement.Strategy == "geo" || rel.Placement.Strategy == "vector" || rel.Placement.Strategy == "reference")
}

func (t *Tail) read(rec wal.Record) ([]storage.Version, error) {
	ts := hlc.Timestamp(rec.Time)
	switch rec.Type {
	case wal.TypeTxn, wal.TypeIngest:
		return t.changed(rec.Payload, ts)
	case wal.TypeDecision:
		d, err := decodeDecision(rec.Payload)
		if err != nil {
			return nil, err
		}
		return t.changed(d.Batch, ts)
	case wal.TypePrepare:
		p, err := decodePrepared(rec.Payload)
		if err != nil {
			return nil, err
		}
		t.prepared[p.GID], err = t.changed(p.Batch, 0)
		return nil, err
	case wal.TypeResolve:
		v, err := decodeResolution(rec.Payload)
		if err != nil {
			return nil, err
		}
		return t.resolved(v.GID, ts), nil
	}
	return nil, nil
}

// resolved gives the versions of a prepared transaction; none when it was aborted.
func (t *Tail) resolved(gid string, ts hlc.Timestamp) []storage.Version {
	versions := t.prepared[gid]
	delete(t.prepared, gid)
	if ts == 0 {
		return nil
	}
	for i := range versions {
		versions[i].Time = ts
		if versions[i].WriteTime == 0 {
			versions[i].WriteTime = ts
		}
	}
	return versions
}

func (t *Tail) changed(payload []byte, ts hlc.Timestamp) ([]storage.Version, error) {
	b, err := storage.DecodeBatch(payload)
	if err != nil {
		return nil, err
	}
	var out []storage.Version
	for op := range b.Ops() {
		v := storage.Version{Key: op.Key, Value: op.Value, Time: ts, WriteTime: ts, Tombstone: op.Tombstone}
		switch op.Kind {
		case storage.OpPut, storage.OpDelete:
		case storage.OpPutMoved, storage.OpDeleteMoved:
			v.WriteTime = op.WriteTime
		case storage.OpVersion:
			v.Time, v.WriteTime = op.Time, max(op.WriteTime, 0)
			if v.WriteTime == 0 {
				v.WriteTime = v.Time
			}
		default:
			continue
		}
		if t.inside(op.Key) {
			out = append(out, v)
		}
	}
	return out, nil
}
