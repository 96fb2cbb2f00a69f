package shard

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/storage"
	"github.com/heliosdb/helios/types"
	"github.com/heliosdb/helios/wal"
)

// SealDeadline is how long writes to moving units may wait: the source gives the units
// back to itself after it, unless its reads are off already; then the control store
// decides.
const SealDeadline = 500 * time.Millisecond

// Adopt makes the shard's ownership what the cluster map says. A primary logs what
// changed; a standby learns of it through the log.
func (s *Shard) Adopt(ctx context.Context, m *cluster.Map) error {
	s.mu.Lock()
	if !s.mu.leading {
		s.mu.adopted, s.mu.members = max(s.mu.adopted, m.Ownership), max(s.mu.members, m.Members)
		s.mu.Unlock()
		return nil
	}
	own, lost := s.mu.units.adopt(m, s.opts.ID)
	s.mu.Unlock()
	if len(own.Units) > 0 {
		s.clock.Observe(own.Floor)
	}
	for _, o := range []ownership{own, lost} {
		if len(o.Units) == 0 {
			continue
		}
		for chunk := range slices.Chunk(o.Units, 4096) {
			o.Units = chunk
			if _, err := s.logRecord(ctx, wal.TypeOwn, 0, func(hlc.Timestamp) ([]byte, error) { return o.encode(), nil }); err != nil {
				return fmt.Errorf("adopt map version %d: %w", m.Version, err)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.adopted, s.mu.members = max(s.mu.adopted, m.Ownership), max(s.mu.members, m.Members)
	s.announce()
	return nil
}

// OwnAll makes a shard that is a cluster of its own the owner of every slot; units of
// tables follow as tables are made.
func (s *Shard) OwnAll(ctx context.Context, tables []placement.Unit) error {
	o := ownership{Version: 1}
	s.mu.Lock()
	want := tables
	for slot := range s.opts.Slots {
		want = append(want, placement.Unit{N: uint32(slot)})
	}
	for _, u := range want {
		if s.mu.units.state[u].Epoch == 0 {
			o.Units = append(o.Units, ownedUnit{Unit: u, Epoch: 1, State: unitOwned})
		}
	}
	s.mu.Unlock()
	if len(o.Units) == 0 {
		return nil
	}
	_, err := s.logRecord(ctx, wal.TypeOwn, 0, func(hlc.Timestamp) ([]byte, error) { return o.encode(), nil })
	return err
}

// Seal stops new writes to units that are about to move; those in transactions that
// already wrote there may still commit before the record. It gives the seal's LSN. The
// units come back by themselves after SealDeadline.
//
// epochs are those of the units in the map that the flip will replace. A shard that has not
// heard of them waits a little: were it to hear after its reads are off, it would take the
// units for given back and write to them, and the flip would not notice.
func (s *Shard) Seal(ctx context.Context, units []placement.Unit, epochs []uint32) (wal.LSN, error) {
	if len(epochs) != len(units) {
		return 0, types.Errorf("22023", "%d epochs for %d units", len(epochs), len(units))
	}
	heard, cancel := context.WithTimeoutCause(ctx, SealDeadline, errUnitState)
	defer cancel()
	err := s.waitFor(heard, func() (bool, error) { return s.mu.units.since(units, epochs), nil })
	if err != nil {
		return 0, err
	}
	_, err = s.logRecord(ctx, wal.TypeSeal, 0, func(hlc.Timestamp) ([]byte, error) {
		for i, u := range units {
			if s.mu.units.state[u].Epoch != epochs[i] {
				return nil, errUnitState
			}
		}
		return s.turn(units, unitOwned, unitSealed)
	})
	if err != nil {
		return 0, err
	}
	end := s.Applied()
	term, _ := s.Leading()
	s.threads.Go(func() { s.unsealAfter(term, units) })
	return end, nil
}

// takeUnits makes the ownership in memory that of the log, at the start of a term: a record
// that this node had appended in an earlier one may be lost. Whoever sealed units or turned
// their reads off may be gone, so their deadlines begin anew. mu is held.
func (s *Shard) takeUnits(term uint32) error {
	own := newUnits()
	err := s.store().MetaRange([]byte(versionMeta), prefixEnd([]byte(ownedMeta)), func(key, value []byte) error {
		if string(key) == versionMeta {
			own.version = binary.BigEndian.Uint64(value)
			return nil
		}
		x, err := loadOwned(key, value)
		own.state[x.Unit] = x
		return err
	})
	if err != nil {
		return err
	}
	s.mu.units = own
	byState := map[unitState][]placement.Unit{}
	for u, x := range own.state {
		byState[x.State] = append(byState[x.State], u)
	}
	if units := byState[unitSealed]; len(units) > 0 {
		s.threads.Go(func() { s.unsealAfter(term, units) })
	}
	if units := byState[unitReadsOff]; len(units) > 0 && s.opts.Undo != nil {
		s.threads.Go(func() { s.undoAfter(term, units) })
	}
	return nil
}

// unsealAfter gives units back when the move's driver is not heard of before the deadline.
func (s *Shard) unsealAfter(term uint32, units []placement.Unit) {
	for s.deadline() {
		left := s.still(term, unitSealed, units) // after reads-off the control store decides
		if len(left) == 0 {
			return
		}
		err := s.setState(s.ctx, wal.TypeSeal, left, unitSealed, unitOwned)
		if err == nil {
			return
		}
		if !errors.Is(err, errUnitState) && s.ctx.Err() == nil {
			s.logger.Warn("unseal", "shard", s.opts.ID, "err", err)
		}
	}
}

// deadline waits for SealDeadline; false when the shard closes meanwhile.
func (s *Shard) deadline() bool {
	select {
	case <-time.After(SealDeadline):
		return true
	case <-s.ctx.Done():
		return false
	}
}

// still lists the units that are in a state, none unless this node leads in the term.
func (s *Shard) still(term uint32, state unitState, units []placement.Unit) []placement.Unit {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.mu.leading || s.mu.term != term {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(units), func(u placement.Unit) bool { return s.mu.units.state[u].State != state })
}

var errUnitState = types.Errorf("55000", "the units are not in the state that the move expects")

// setState logs a change of units that are all in state from.
func (s *Shard) setState(ctx context.Context, typ wal.Type, units []placement.Unit, from, to unitState) error {
	_, err := s.logRecord(ctx, typ, 0, func(hlc.Timestamp) ([]byte, error) { return s.turn(units, from, to) })
	return err
}

// turn changes the state of units in memory and gives the record's payload: from the record
// on nothing of them may commit that was free before. All change or none; mu is held.
func (s *Shard) turn(units []placement.Unit, from, to unitState) ([]byte, error) {
	var o ownership
	for _, u := range units {
		x, ok := s.mu.units.state[u]
		if !ok || x.State != from {
			return nil, errUnitState
		}
		x.State = to
		o.Units = append(o.Units, x)
	}
	payload := o.encode()
	if err := fits(payload); err != nil {
		return nil, err
	}
	for _, x := range o.Units {
		s.mu.units.state[x.Unit] = x
	}
	return payload, nil
}

// Drained tells whether nothing of sealed units is undecided or in flight: every commit
// below the seal is applied and no prepared transaction has written or locked rows there.
func (s *Shard) Drained(units []placement.Unit) (bool, error) {
	s.mu.Lock()
	for _, u := range units {
		if s.mu.units.state[u].State != unitSealed {
			s.mu.Unlock()
			return false, errUnitState
		}
	}
	busy := len(s.mu.inflight) > 0
	s.mu.Unlock()
	if busy {
		return false, nil
	}
	prepared, err := s.store().Prepared()
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(prepared, func(p storage.Prepared) bool {
		return slices.ContainsFunc(p.Keys, func(k []byte) bool { return s.inUnits(k, units) }) ||
			slices.ContainsFunc(p.Locks, func(l storage.Lock) bool { return s.inUnits(l.Key, units) })
	}), nil
}

func (s *Shard) inUnits(key []byte, units []placement.Unit) bool {
	if len(key) < 9 || key[0] != rowPrefix {
		return false
	}
	table, n := tableOfRowKey(key), unitOfRowKey(key)
	return slices.ContainsFunc(units, func(u placement.Unit) bool {
		return u.N == n && (u.Space == uint32(table) || u.Space == 0)
	})
}

// ReadsOff stops fresh reads of sealed units by a record, and gives its timestamp: the
// new owner starts its clock above it.
func (s *Shard) ReadsOff(ctx context.Context, units []placement.Unit) (hlc.Timestamp, error) {
	var at hlc.Timestamp
	_, err := s.logRecord(ctx, wal.TypeReadsOff, 0, func(ts hlc.Timestamp) ([]byte, error) {
		at = ts
		return s.turn(units, unitSealed, unitReadsOff)
	})
	if err == nil && s.opts.Undo != nil {
		term, _ := s.Leading()
		s.threads.Go(func() { s.undoAfter(term, units) })
	}
	return at, err
}

// undoAfter has the control store give the units back when the move's driver is not heard
// of: the flip or this, whichever is first, decides.
func (s *Shard) undoAfter(term uint32, units []placement.Unit) {
	for s.deadline() {
		left := s.still(term, unitReadsOff, units)
		if len(left) == 0 {
			return
		}
		if err := s.opts.Undo(s.ctx, left); err != nil && s.ctx.Err() == nil {
			s.logger.Warn("undo of a move", "shard", s.opts.ID, "err", err)
		}
	}
}

// Owns tells whether the shard may write all these units.
func (s *Shard) Owns(units []placement.Unit) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range units {
		if s.mu.units.may(u, true) != nil {
			return false
		}
	}
	return s.mu.leading
}

// tablesOf lists the tables whose rows lie in a unit's space.
func (s *Shard) tablesOf(u placement.Unit) []*catalog.Relation {
	var out []*catalog.Relation
	for rel := range s.Catalog().Relations() {
		if rel.Kind != catalog.KindTable || rel.Virtual {
			continue
		}
		own := rel.Placement.Strategy == catalog.Range || rel.Placement.Strategy == catalog.Geo || rel.Placement.Strategy == catalog.Vector
		switch {
		case rel.Placement.Strategy == catalog.Reference:
		case own && uint32(rel.OID) == u.Space, !own && u.Space == 0:
			out = append(out, rel)
		}
	}
	return out
}

// Ranges lists the key ranges that hold the rows of units, by table.
func (s *Shard) Ranges(units []placement.Unit) [][2][]byte {
	var out [][2][]byte
	for _, u := range units {
		for _, rel := range s.tablesOf(u) {
			lo, hi := unitRange(rel.OID, u)
			out = append(out, [2][]byte{lo, hi})
		}
	}
	return out
}

// Digest sums up the rows of units at a timestamp that nothing can commit at or below.
func (s *Shard) Digest(ctx context.Context, units []placement.Unit, at hlc.Timestamp) (storage.Digest, error) {
	var sum storage.Digest
	if _, leading := s.Leading(); leading {
		s.clock.Observe(at)
	}
	for _, r := range s.Ranges(units) {
		if err := ctx.Err(); err != nil {
			return sum, err
		}
		d, err := s.store().Digest(r[0], r[1], at)
		if err != nil {
			return sum, err
		}
		sum = sum.Add(d)
	}
	if sum.Intents > 0 {
		return sum, types.Errorf("55000", "%d rows of the units are not decided yet", sum.Intents)
	}
	return sum, nil
}

// DropUnits removes the rows of units that this shard does not own: what a move left
// behind, or copied in vain. Index entries go with them. It may be repeated.
func (s *Shard) DropUnits(ctx context.Context, units []placement.Unit) error {
	d := &dropping{s: s, units: units}
	for _, r := range s.Ranges(units) {
		if err := d.drop(ctx, r[0], r[1]); err != nil {
			return err
		}
	}
	if err := d.entries(ctx); err != nil {
		return err
	}
	return d.flush(ctx)
}

// dropping gathers what DropUnits removes, and logs it in parts.
type dropping struct {
	s     *Shard
	units []placement.Unit
	b     storage.Batch
}

// dropBytes is how much one record of a drop holds, and a little more.
const dropBytes = 1 << 20

func (d *dropping) drop(ctx context.Context, lo, hi []byte) error {
	if d.b.DeleteRange(lo, hi); d.b.Size() < dropBytes {
		return nil
	}
	return d.flush(ctx)
}

func (d *dropping) flush(ctx context.Context) error {
	s := d.s
	_, err := s.logRecord(ctx, wal.TypeDrop, 0, func(hlc.Timestamp) ([]byte, error) {
		for _, u := range d.units {
			if x, ok := s.mu.units.state[u]; ok && x.State != unitGone {
				return nil, types.Errorf("55000", "%s still belongs to this shard", u)
			}
		}
		return d.b.Encode(), nil
	})
	d.b = storage.Batch{}
	return err
}

// entries drops the index entries of the units, found by walking over their rows' indexes:
// an entry says which unit it belongs to.
func (d *dropping) entries(ctx context.Context) error {
	gone := map[placement.Unit]bool{}
	tables := map[types.OID]*catalog.Relation{}
	for _, u := range d.units {
		gone[u] = true
		for _, rel := range d.s.tablesOf(u) {
			tables[rel.OID] = rel
		}
	}
	for _, rel := range tables {
		t, err := d.s.table(ctx, d.s.Catalog(), rel)
		if err != nil {
			return err
		}
		for _, x := range t.indexes {
			if err := d.entriesOf(ctx, t, x, gone); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *dropping) entriesOf(ctx context.Context, t *table, x *index, gone map[placement.Unit]bool) error {
	lo := indexKeyPrefix(x.OID)
	sn := d.s.store().Snapshot(d.s.store().Visible(), skipIntents)
	defer sn.Close()
	it := sn.Scan(lo, prefixEnd(lo), false)
	defer it.Close()
	for it.Next() {
		key := it.Version().Key
		_, n, err := x.rowKeyOf(t.rel.OID, key)
		if err != nil {
			return err
		}
		if !gone[t.unit(n)] {
			continue
		}
		if err := d.drop(ctx, slices.Clone(key), prefixEnd(append(slices.Clone(key), 0))); err != nil {
			return err
		}
	}
	return it.Err()
}

// owns tells whether the shard may read a unit of a table.
func (s *Shard) owns(u placement.Unit, t *table) bool {
	if !t.placer.Spread() {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.units.may(u, false) == nil
}

// FormatEpochs spells the epochs of units, which are in the order of ParseUnits then.
func FormatEpochs(units []placement.Unit, epochs []uint32) string {
	order := make([]int, len(units))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return compareUnits(units[i], units[j]) })
	parts := make([]string, len(units))
	for i, at := range order {
		parts[i] = strconv.FormatUint(uint64(epochs[at]), 10)
	}
	return strings.Join(parts, ",")
}

// parseEpochs reads what FormatEpochs wrote.
func parseEpochs(text string) ([]uint32, error) {
	var out []uint32
	for one := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseUint(one, 10, 32)
		if err != nil {
			return nil, types.Errorf("22023", "cannot read epochs %q", text)
		}
		out = append(out, uint32(n))
	}
	return out, nil
}

func compareUnits(a, b placement.Unit) int {
	return cmp.Or(cmp.Compare(a.Space, b.Space), cmp.Compare(a.N, b.N))
}

// FormatUnits spells units as SQL functions take them: space:n,n;space:n.
func FormatUnits(units []placement.Unit) string {
	bySpace := map[uint32][]string{}
	var spaces []uint32
	for _, u := range units {
		if bySpace[u.Space] == nil {
			spaces = append(spaces, u.Space)
		}
		bySpace[u.Space] = append(bySpace[u.Space], strconv.FormatUint(uint64(u.N), 10))
	}
	parts := make([]string, len(spaces))
	for i, sp := range spaces {
		parts[i] = strconv.FormatUint(uint64(sp), 10) + ":" + strings.Join(bySpace[sp], ",")
	}
	return strings.Join(parts, ";")
}

// ParseUnits reads what FormatUnits wrote.
func ParseUnits(text string) ([]placement.Unit, error) {
	bySpace, err := parseCells(text)
	if err != nil {
		return nil, types.Errorf("22023", "cannot read units %q", text)
	}
	var out []placement.Unit
	for space, ns := range bySpace {
		for _, n := range ns {
			out = append(out, placement.Unit{Space: uint32(space), N: n})
		}
	}
	slices.SortFunc(out, compareUnits)
	return out, nil
}
