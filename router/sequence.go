package router

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/heliosdb/helios/cluster"
	"github.com/heliosdb/helios/placement"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// A sequence lives on one shard: the owner of the slot that its number hashes to, as a
// key would. Routers take blocks of values there; a block is logged before it is used, so
// no value is given twice, also after a failover. As with CACHE in PostgreSQL, values
// come in order within a block only, and what is left of one when the router ends is
// never used.

// sequenceBlocks are the values that the router has taken and not given out.
type sequenceBlocks struct {
	mu     sync.Mutex
	blocks map[types.OID]*sequenceBlock
}

type sequenceBlock struct {
	mu     sync.Mutex // one refill at a time
	next   int64
	left   int64
	called bool // nothing is left, and next is the last value given
	fresh  bool // of a sequence that was not committed when the block was taken
}

// blockDefault is how many values a router takes at once unless the sequence says more.
const blockDefault = 32

func (b *sequenceBlocks) init() { b.blocks = map[types.OID]*sequenceBlock{} }

func (b *sequenceBlocks) of(seq types.OID) *sequenceBlock {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.blocks[seq]
	if x == nil {
		x = &sequenceBlock{}
		b.blocks[seq] = x
	}
	return x
}

// goOn forgets what is left of a block: the sequence goes on behind a value, or with it when
// it was not called. A shard is asked for it, except for a sequence that no shard knows yet.
func (b *sequenceBlocks) goOn(seq types.OID, value int64, called, fresh bool) {
	x := b.of(seq)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.next, x.left, x.called, x.fresh = value, 0, called, fresh
}

// dropFresh forgets a block of a sequence that was not committed, and tells whether there
// was one.
func (b *sequenceBlocks) dropFresh(seq types.OID) bool {
	x := b.of(seq)
	x.mu.Lock()
	defer x.mu.Unlock()
	fresh := x.fresh
	if fresh {
		x.left, x.fresh = 0, false
	}
	return fresh
}

// sequenceShard finds the shard of a sequence.
func sequenceShard(m *cluster.Map, seq types.OID) (cluster.ShardID, error) {
	slot := placement.SequenceUnit(seq, m.SlotCount()).N
	if id := m.Slots[slot].Shard; id != cluster.None {
		return id, nil
	}
	return cluster.None, types.Errorf("57P03", "no shard owns slot %d, where sequence %d is kept", slot, seq)
}

// nextval draws a value.
func (r *Router) nextval(ctx context.Context, rel *catalog.Relation) (int64, error) {
	b := r.sequences.of(rel.OID)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left == 0 {
		if err := r.refill(ctx, rel, b); err != nil {
			return 0, err
		}
	}
	v := b.next
	if b.left--; b.left == 0 {
		b.called = true // the next one may not exist
	} else {
		b.next += rel.Sequence.Increment
	}
	return v, nil
}

// refill takes a block; b.mu is held.
func (r *Router) refill(ctx context.Context, rel *catalog.Relation, b *sequenceBlock) error {
	want := max(blockDefault, rel.Sequence.Cache)
	if _, committed := r.Catalog().ByOID(rel.OID); !committed {
		return r.startNew(ctx, rel, b, want)
	}
	answer, err := r.askSequence(ctx, rel.OID, "SELECT helios.sequence_block($1::oid, $2::bigint, $3::int)", strconv.FormatInt(want, 10))
	if err != nil {
		return err
	}
	first, count, ok := strings.Cut(answer, ",")
	start, err1 := strconv.ParseInt(first, 10, 64)
	n, err2 := strconv.ParseInt(count, 10, 64)
	if !ok || err1 != nil || err2 != nil || n < 1 {
		return types.Errorf("XX000", "a shard gave %q as a block of values of sequence %q", answer, rel.Name)
	}
	b.next, b.left, b.called = start, n, false
	return nil
}

// startNew takes the first block of a sequence that the running transaction has made: no
// shard knows it yet, but the mark may be set.
func (r *Router) startNew(ctx context.Context, rel *catalog.Relation, b *sequenceBlock, want int64) error {
	q := rel.Sequence
	start, ok := q.Start, true
	if b.fresh {
		if start = b.next; b.called {
			start, ok = q.After(start)
		}
	}
	if !ok && q.Cycle {
		start, ok = q.Again(), true
	}
	want = q.Values(start, want)
	if !ok || want == 0 {
		return types.Errorf("2200H", "nextval: reached the end of sequence \"%s\"", rel.Name)
	}
	if err := r.setSequence(ctx, rel.OID, start+(want-1)*q.Increment, true); err != nil {
		return err
	}
	b.next, b.left, b.called, b.fresh = start, want, false, true
	return nil
}

// setSequence has a sequence go on behind a value, or with it when it was not called.
func (r *Router) setSequence(ctx context.Context, seq types.OID, value int64, called bool) error {
	mark := strconv.FormatInt(value, 10)
	if called {
		mark += "+"
	}
	_, err := r.askSequence(ctx, seq, "SELECT helios.sequence_set($1::oid, $2::text, $3::int)", mark)
	return err
}

// forgetNew sets back the sequences that a rolled back transaction, or the part behind a
// savepoint, had made and used: the next one to be made may get the same number. kept is the
// transaction's catalog at the savepoint, nil for the committed one.
func (t *Tx) forgetNew(ctx context.Context, kept *catalog.Catalog) {
	if t.draft == nil {
		return
	}
	if kept == nil {
		kept = t.r.Catalog()
	}
	for rel := range t.draft.Relations() {
		if _, ok := kept.ByOID(rel.OID); ok || rel.Sequence == nil || !t.r.sequences.dropFresh(rel.OID) {
			continue
		}
		if err := t.r.setSequence(ctx, rel.OID, rel.Sequence.Start, false); err != nil {
			t.r.log.Warn("a sequence of a rolled back transaction keeps its mark", "oid", rel.OID, "err", err)
		}
	}
}

// askSequence calls a function at the sequence's shard, wherever it has moved to.
func (r *Router) askSequence(ctx context.Context, seq types.OID, query, arg string) (answer string, err error) {
	r.stats.flights.Add(1)
	limit := time.Now().Add(r.o.Limits.Hold)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		m, err := r.clusterMap()
		if err != nil {
			return "", err
		}
		id, err := sequenceShard(m, seq)
		if err == nil {
			answer, err = r.ask(ctx, id, query, textParam(strconv.FormatUint(uint64(seq), 10)), textParam(arg), textParam(strconv.Itoa(m.SlotCount())))
		}
		if v := judge(err); err == nil || v == final || v == lostAnswer && !strings.Contains(query, "block") {
			return answer, public(err)
		}
		if time.Now().After(limit) {
			return "", public(err)
		}
		if err := r.refresh(ctx, m); err != nil {
			return "", err
		}
		if err := sleep(ctx, pause); err != nil {
			return "", err
		}
	}
}

// sequences are the sequences as one session sees them.
type sequences struct {
	r   *Router
	cat *catalog.Catalog
	s   *sessionState
}

// callTimeout bounds a call of a function that has no context of its own.
const callTimeout = 30 * time.Second

func (q *sequences) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(q.r.ctx, callTimeout)
}

func (q *sequences) relation(seq types.OID) (*catalog.Relation, error) {
	rel, ok := q.cat.ByOID(seq)
	if !ok {
		return nil, types.Errorf("42P01", "relation with OID %d does not exist", seq)
	}
	if rel.Sequence == nil {
		return nil, types.Errorf("42809", "%q is not a sequence", rel.Name)
	}
	return rel, nil
}

// Nextval draws the next value.
func (q *sequences) Nextval(seq types.OID) (int64, error) {
	rel, err := q.relation(seq)
	if err != nil {
		return 0, err
	}
	ctx, cancel := q.context()
	defer cancel()
	v, err := q.r.nextval(ctx, rel)
	if err != nil {
		return 0, err
	}
	q.s.mu.Lock()
	defer q.s.mu.Unlock()
	q.s.mu.current[seq], q.s.mu.last = v, seq
	return v, nil
}

// Currval is the value drawn last in this session.
func (q *sequences) Currval(seq types.OID) (int64, error) {
	rel, err := q.relation(seq)
	if err != nil {
		return 0, err
	}
	q.s.mu.Lock()
	defer q.s.mu.Unlock()
	v, ok := q.s.mu.current[seq]
	if !ok {
		return 0, types.Errorf("55000", "currval of sequence %q is not yet defined in this session", rel.Name)
	}
	return v, nil
}

// Lastval is the value drawn last in this session of any sequence.
func (q *sequences) Lastval() (int64, error) {
	q.s.mu.Lock()
	defer q.s.mu.Unlock()
	v, ok := q.s.mu.current[q.s.mu.last]
	if !ok {
		return 0, types.Errorf("55000", "lastval is not yet defined in this session")
	}
	return v, nil
}

// Setval makes the sequence go on after a value, or with it when it was not called. Other
// routers first use up the blocks they have.
func (q *sequences) Setval(seq types.OID, value int64, called bool) error {
	rel, err := q.relation(seq)
	if err != nil {
		return err
	}
	d := rel.Sequence
	if value < d.Min || value > d.Max {
		return types.Errorf("22003", "setval: value %d is out of bounds for sequence \"%s\" (%d..%d)", value, rel.Name, d.Min, d.Max)
	}
	ctx, cancel := q.context()
	defer cancel()
	if err := q.r.setSequence(ctx, seq, value, called); err != nil {
		return err
	}
	_, committed := q.r.Catalog().ByOID(seq)
	q.r.sequences.goOn(seq, value, called, !committed)
	if called {
		q.s.mu.Lock()
		defer q.s.mu.Unlock()
		q.s.mu.current[seq] = value
	}
	return nil
}

// Size answers the size functions: the sum over the shards for the database, nothing
// known of single relations.
func (q *sequences) Size(function string, _ []types.Value) (int64, bool, error) {
	if function != "pg_database_size" {
		return 0, true, nil
	}
	m, err := q.r.clusterMap()
	if err != nil {
		return 0, false, err
	}
	ctx, cancel := q.context()
	defer cancel()
	var sum int64
	for _, id := range serving(m) {
		text, err := q.r.ask(ctx, id, "SELECT pg_database_size(current_database())")
		if err != nil {
			return 0, false, public(err)
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, false, types.Errorf("XX000", "shard %d gave %q as a size", id, text)
		}
		sum += n
	}
	return sum, true, nil
}
