package storage

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/heliosdb/helios/hlc"
)

// record is one log record as a test writes it: what a primary and a standby both apply.
type record struct {
	kind    string
	gid     string
	ts      hlc.Timestamp
	payload []byte
}

func (r record) effect(t interface{ Fatal(...any) }) Effect {
	b, err := DecodeBatch(r.payload)
	if err != nil {
		t.Fatal(err)
	}
	switch r.kind {
	case "commit":
		return Commit(r.ts, b)
	case "prepare":
		return Prepare(r.gid, r.ts, b)
	case "resolve":
		return Resolve(r.gid, r.ts, b)
	}
	return Pass(r.ts)
}

// model is the store as a map: what the properties below compare it with.
type model struct {
	rows     map[string][]Version // newest first
	intents  map[string]Intent
	prepared map[string]*Batch
	meta     map[string]string
	visible  hlc.Timestamp
}

func newModel() *model {
	return &model{
		rows: map[string][]Version{}, intents: map[string]Intent{},
		prepared: map[string]*Batch{}, meta: map[string]string{},
	}
}

func (m *model) put(key string, v Version) {
	v.Key = []byte(key)
	if v.WriteTime == 0 {
		v.WriteTime = v.Time
	}
	rows := slices.DeleteFunc(m.rows[key], func(o Version) bool { return o.Time == v.Time })
	rows = append(rows, v)
	slices.SortFunc(rows, func(a, b Version) int { return cmp.Compare(b.Time, a.Time) })
	m.rows[key] = rows
}

func (m *model) apply(t interface{ Fatal(...any) }, r record) {
	b, err := DecodeBatch(r.payload)
	if err != nil {
		t.Fatal(err)
	}
	m.visible = max(m.visible, r.ts)
	switch r.kind {
	case "commit":
		m.commit(r.ts, b)
	case "prepare":
		m.prepared[r.gid] = b
		for op := range b.Ops() {
			switch op.Kind {
			case OpPut, OpDelete, OpPutMoved, OpDeleteMoved:
				m.intents[string(op.Key)] = Intent{Value: op.Value, GID: r.gid, Time: r.ts, Tombstone: op.Tombstone, written: op.WriteTime}
			}
		}
	case "resolve":
		if kept, ok := m.prepared[r.gid]; ok {
			delete(m.prepared, r.gid)
			m.resolve(r, kept)
		}
		m.commit(r.ts, b)
	}
}

func (m *model) resolve(r record, kept *Batch) {
	for op := range kept.Ops() {
		key := string(op.Key)
		switch op.Kind {
		case OpPut, OpDelete, OpPutMoved, OpDeleteMoved:
			in, ok := m.intents[key]
			if !ok {
				continue // cleaned up
			}
			delete(m.intents, key)
			if r.ts != 0 {
				m.put(key, in.At(r.ts))
			}
		case OpPutMeta:
			if r.ts != 0 {
				m.meta[key] = string(op.Value)
			}
		}
	}
}

func (m *model) commit(ts hlc.Timestamp, b *Batch) {
	for op := range b.Ops() {
		key := string(op.Key)
		switch op.Kind {
		case OpPut, OpDelete, OpPutMoved, OpDeleteMoved:
			m.put(key, Version{Value: op.Value, Time: ts, WriteTime: op.WriteTime, Tombstone: op.Tombstone})
		case OpVersion:
			m.put(key, Version{Value: op.Value, Time: op.Time, WriteTime: op.WriteTime, Tombstone: op.Tombstone})
		case OpDeleteRange:
			in := func(k string) bool { return k >= key && (len(op.Value) == 0 || k < string(op.Value)) }
			maps.DeleteFunc(m.rows, func(k string, _ []Version) bool { return in(k) })
			maps.DeleteFunc(m.intents, func(k string, _ Intent) bool { return in(k) })
		case OpPutMeta:
			m.meta[key] = string(op.Value)
		case OpDeleteMeta:
			delete(m.meta, key)
		}
	}
}

// at returns the rows that a snapshot at ts sees, by key, and the greatest newer time
// met; decide says what became of an intent's transaction.
func (m *model) at(ts hlc.Timestamp, decide func(gid string) hlc.Timestamp) (rows []Version, newer hlc.Timestamp) {
	keys := slices.Sorted(maps.Keys(m.rows))
	for k := range m.intents {
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		all := slices.Clone(m.rows[k])
		if in, ok := m.intents[k]; ok {
			if c := decide(in.GID); c != 0 {
				v := in.At(c)
				v.Key = []byte(k)
				all = append([]Version{v}, all...)
			}
		}
		for _, v := range all {
			if v.Time > ts {
				newer = max(newer, v.Time)
				continue
			}
			if !v.Tombstone {
				rows = append(rows, v)
			}
			break
		}
	}
	return rows, newer
}

func show(rows []Version) string {
	var b bytes.Buffer
	for _, v := range rows {
		fmt.Fprintf(&b, "%x=%x@%d/%d/%v ", v.Key, v.Value, v.Time, v.WriteTime, v.Tombstone)
	}
	return b.String()
}

// history draws log records one after another, as a shard's primary writes them.
type history struct {
	clock    hlc.Timestamp
	gids     int
	locked   map[string]string // key to gid
	prepared []string
}

func (h *history) key(rt *rapid.T) []byte {
	return []byte(rapid.SampledFrom([]string{"", "a", "a\x00", "a\x00b", "a\x09", "b", "b\xff", "c", "\xff"}).Draw(rt, "key"))
}

func (h *history) next(rt *rapid.T) record {
	h.clock += hlc.Timestamp(rapid.IntRange(1, 3).Draw(rt, "tick"))
	kind := rapid.SampledFrom([]string{"commit", "commit", "commit", "prepare", "resolve", "pass", "wipe", "copy"}).Draw(rt, "kind")
	r := record{kind: kind, ts: h.clock}
	b := new(Batch)
	switch kind {
	case "commit":
		h.write(rt, b, "")
	case "prepare":
		h.gids++
		r.gid = fmt.Sprintf("g%d", h.gids)
		h.write(rt, b, r.gid)
		b.Lock([]byte("locked"), 3)
		h.prepared = append(h.prepared, r.gid)
	case "resolve":
		h.resolve(rt, &r)
	case "wipe":
		r.kind = "commit"
		b.DeleteRange(h.key(rt), h.key(rt))
	case "copy":
		r.kind = "commit"
		if key := h.key(rt); h.locked[string(key)] == "" {
			b.PutVersion(Version{Key: key, Value: []byte("copied"), Time: h.clock, WriteTime: rapid.SampledFrom([]hlc.Timestamp{h.clock, 1}).Draw(rt, "written")})
		}
	}
	r.payload = bytes.Clone(b.Encode())
	return r
}

func (h *history) write(rt *rapid.T, b *Batch, gid string) {
	for range rapid.IntRange(0, 3).Draw(rt, "ops") {
		key, value := h.key(rt), []byte(fmt.Sprintf("v%d", h.clock))
		if h.locked[string(key)] != "" {
			continue
		}
		if gid != "" {
			h.locked[string(key)] = gid
		}
		switch rapid.IntRange(0, 5).Draw(rt, "op") {
		case 0:
			b.Delete(key)
		case 1:
			b.PutMoved(key, value, 1)
		case 2:
			b.DeleteMoved(key, 1)
		case 3:
			b.PutMeta(key, value)
			b.Put(key, value)
		default:
			b.Put(key, value)
		}
	}
}

func (h *history) resolve(rt *rapid.T, r *record) {
	if len(h.prepared) == 0 {
		r.gid = "never prepared"
		return
	}
	i := rapid.IntRange(0, len(h.prepared)-1).Draw(rt, "gid")
	r.gid = h.prepared[i]
	h.prepared = slices.Delete(h.prepared, i, i+1)
	maps.DeleteFunc(h.locked, func(_, gid string) bool { return gid == r.gid })
	if rapid.Bool().Draw(rt, "abort") {
		r.ts = 0
	}
}

func newHistory() *history { return &history{clock: 10, locked: map[string]string{}} }
