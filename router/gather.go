package router

import (
	"context"
	"errors"
	"io"
	"math"
	"sync"

	"github.com/heliosdb/helios/remote"
	"github.com/heliosdb/helios/sql/exec"
	"github.com/heliosdb/helios/sql/plan"
	"github.com/heliosdb/helios/types"
)

// Gather runs a fragment on the shards that it concerns. Nothing is computed or sent before
// the first row is asked for: what nobody reads cannot fail, and a statement that reads
// several Gathers over one connection reads them one after the other.
func (s *statement) Gather(_ context.Context, env *exec.Env, g *plan.Gather) (exec.Rows, error) {
	gr := &gatherRows{s: s, env: env, g: g, columns: g.Columns}
	gr.write, gr.count = writes(g.Fragment)
	if gr.count {
		gr.columns = []plan.Col{{Type: types.T(types.Int8OID)}}
	}
	return gr, nil
}

// rowsWanted is how many rows a nearest-neighbour search gives; NULL is all.
func rowsWanted(ctx context.Context, env *exec.Env, n *plan.KNN) (int64, error) {
	k, err := exec.EvalConst(ctx, n.K, env)
	if err != nil || k.IsNull() {
		return math.MaxInt64, err
	}
	return k.AsInt(), nil
}

// fragment is the statement that a Gather sends.
func (s *statement) fragment(ctx context.Context, env *exec.Env, g *plan.Gather) (remote.Statement, error) {
	text, args := g.SQL()
	st := remote.Statement{SQL: text, Result: remote.Binary}
	for _, arg := range args {
		v, err := exec.EvalConst(ctx, arg, env)
		if err != nil {
			return st, err
		}
		st.Params = append(st.Params, param(arg.Type(), v))
	}
	return st, nil
}

// param encodes a value for a shard.
func param(t types.Type, v types.Value) remote.Param {
	if t.OID == types.UnknownOID {
		t = types.T(types.TextOID)
	}
	p := remote.Param{Type: t.OID, Format: remote.Binary}
	if !v.IsNull() {
		p.Value = types.AppendBinary([]byte{}, t, v)
	}
	return p
}

// writes tells whether a fragment writes or locks rows, and whether its result is the
// number of them.
func writes(n plan.Node) (write, count bool) {
	plan.EachNode(n, func(n plan.Node) bool {
		switch n := n.(type) {
		case *plan.Update:
			write, count = true, len(n.Returning) == 0
		case *plan.Delete:
			write, count = true, len(n.Returning) == 0
		case *plan.Lock:
			write = true
		}
		return true
	})
	return write, count
}

// gatherRows is a Gather under way.
type gatherRows struct {
	s            *statement
	env          *exec.Env
	g            *plan.Gather
	order        remote.Statement
	columns      []plan.Col
	write, count bool
	near, rest   []target
	k            int64 // rows wanted of a nearest-neighbour search

	streams []*stream
	source  interface {
		next(ctx context.Context) ([]types.Row, error)
	}
}

// Next gives the next rows.
func (gr *gatherRows) Next(ctx context.Context) ([]types.Row, error) {
	if gr.source == nil {
		if err := gr.start(ctx); err != nil {
			return nil, err
		}
	}
	return gr.source.next(ctx)
}

// Close ends what is still being read.
func (gr *gatherRows) Close() error {
	for _, s := range gr.streams {
		s.close()
	}
	gr.streams = nil
	return nil
}

// prepare finds what to send and where to.
func (gr *gatherRows) prepare(ctx context.Context) (err error) {
	s, g := gr.s, gr.g
	if gr.order, err = s.fragment(ctx, gr.env, g); err != nil {
		return err
	}
	if g.KNN != nil {
		if gr.near, gr.rest, err = s.nearTargets(ctx, gr.env, g); err != nil {
			return err
		}
		gr.k, err = rowsWanted(ctx, gr.env, g.KNN)
		return err
	}
	if gr.near, err = s.targets(ctx, gr.env, g); err != nil {
		return err
	}
	s.note(g, len(gr.near), 0, 0, "")
	return nil
}

func (gr *gatherRows) start(ctx context.Context) error {
	if err := gr.prepare(ctx); err != nil {
		return err
	}
	if err := gr.ask(ctx, gr.near); err != nil {
		return err
	}
	switch {
	case gr.g.Everywhere:
		return gr.startEverywhere(ctx)
	case gr.g.KNN != nil:
		return gr.startNearest(ctx)
	case len(gr.g.MergeKeys) > 0 && len(gr.streams) > 1:
		gr.source = newMerge(gr.g.MergeKeys, gr.streams)
	default:
		gr.source = &concat{streams: gr.streams}
	}
	return nil
}

// ask sends the fragment to shards, all at the same time.
func (gr *gatherRows) ask(ctx context.Context, targets []target) error {
	s := gr.s
	s.r.stats.flights.Add(1)
	if gr.write && s.alone && len(targets) > 1 && !s.t.apart && wholeStatement(s.q.Root, gr.g) {
		s.together = true
		for _, t := range targets { // in order: the first is the owner
			if _, err := s.link(ctx, t.shard, writesPart); err != nil {
				return err
			}
		}
	}
	first := len(gr.streams)
	gr.streams = append(gr.streams, make([]*stream, len(targets))...)
	errs := make([]error, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		one := func() { gr.streams[first+i], errs[i] = gr.askOne(ctx, t, len(targets)) }
		if i == len(targets)-1 {
			one()
		} else {
			wg.Go(one)
		}
	}
	wg.Wait()
	started := gr.streams[:first]
	for _, x := range gr.streams[first:] {
		if x != nil {
			started = append(started, x)
		}
	}
	gr.streams = started
	s.mu.Lock()
	s.mu.streams = append(s.mu.streams, gr.streams[first:]...)
	s.mu.Unlock()
	return errors.Join(errs...)
}

// askOne sends the fragment to one shard.
func (gr *gatherRows) askOne(ctx context.Context, t target, shards int) (*stream, error) {
	s := gr.s
	what := readsOnly
	if gr.write {
		what = s.writing(shards == 1 && wholeStatement(s.q.Root, gr.g))
	}
	byItself := what == writesByItself
	l, err := s.link(ctx, t.shard, what)
	if err != nil {
		return nil, err
	}
	if byItself {
		s.committed = l
	}
	ctx, cancel := context.WithCancel(ctx)
	orders := []order{{message: s.message(l, t.cells), Statement: gr.order}}
	if s.together && t.shard != s.t.order[0] {
		orders = append(orders, order{message: message{ownership: s.m.Ownership}, Statement: s.t.prepareOrder(), bare: true})
	}
	rows, lead, err := l.send(ctx, s.settings, s.t.savepoints, orders)
	if err != nil {
		cancel()
		if !l.bound {
			l.release()
		}
		return nil, err
	}
	x := &stream{
		link: l, rows: rows, lead: lead[0], columns: gr.columns, count: gr.count,
		limit: s.r.o.Limits.DetachBytes, wait: byItself, cancel: cancel,
	}
	if !l.bound {
		x.release = func(l *link) {
			if s.committed != nil {
				s.t.s.committed(l.hear())
			}
			l.release()
		}
	}
	return newStream(x), nil
}

// wholeStatement tells whether a Gather is all that a statement does on shards, so that
// nothing in the router can fail after the shard has committed it.
func wholeStatement(root plan.Node, g *plan.Gather) bool { return root == plan.Node(g) }

// startEverywhere waits for all shards and lets the rows of one through: all have done
// the same.
func (gr *gatherRows) startEverywhere(ctx context.Context) error {
	var first []types.Row
	for i, x := range gr.streams {
		rows, err := readAll(ctx, x)
		if err != nil {
			return err
		}
		if i == 0 {
			first = rows
		}
	}
	gr.source = &sliceSource{rows: first}
	return nil
}

// startNearest reads the nearest rows of the cells that were asked. A search that comes
// back short, because its filter left few rows there, goes on with all other cells.
func (gr *gatherRows) startNearest(ctx context.Context) error {
	rows, err := gr.readNearest(ctx)
	if err != nil {
		return err
	}
	if int64(len(rows)) < gr.k && len(gr.rest) > 0 {
		for _, x := range gr.streams {
			x.close()
		}
		gr.streams = nil
		if err := gr.ask(ctx, gr.rest); err != nil {
			return err
		}
		gr.s.noteMore(gr.g, len(gr.rest))
		more, err := gr.readNearest(ctx)
		if err != nil {
			return err
		}
		rows = mergeSorted(gr.g.MergeKeys, rows, more)
	}
	gr.source = &sliceSource{rows: rows}
	return nil
}

func (gr *gatherRows) readNearest(ctx context.Context) ([]types.Row, error) {
	m := newMerge(gr.g.MergeKeys, gr.streams)
	var rows []types.Row
	for int64(len(rows)) < gr.k {
		batch, err := m.next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, batch...)
	}
	// All shards must have answered: one may yet ask for a restart.
	for _, x := range gr.streams {
		if _, err := readAll(ctx, x); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func readAll(ctx context.Context, x *stream) (rows []types.Row, err error) {
	for {
		batch, err := x.next(ctx)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, batch...)
	}
}

// note keeps what a Gather asked, for EXPLAIN.
func (s *statement) note(g *plan.Gather, shards, cells, cellsAll int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.touched.gathers == nil {
		s.mu.touched.gathers = map[*plan.Gather]*gatherStats{}
	}
	s.mu.touched.gathers[g] = &gatherStats{
		shards: shards, shardsAll: len(serving(s.m)), cells: cells, cellsAll: cellsAll, reason: reason,
	}
}

// noteMore keeps that all other cells were asked as well.
func (s *statement) noteMore(g *plan.Gather, shards int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.mu.touched.gathers[g]
	st.shards = max(st.shards, shards)
	st.cells, st.reason = st.cellsAll, st.reason+", then all others: too few rows"
}
