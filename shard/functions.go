package shard

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/heliosdb/helios/hlc"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql/builtin"
	"github.com/heliosdb/helios/types"
)

// RouterFunction makes a function of schema helios that only routers and superusers may
// call; name comes without the schema.
func RouterFunction(name string, ret types.OID, args []types.OID, f func(ctx context.Context, args []types.Value) (types.Value, error)) *builtin.Func {
	return function(name, ret, args, func(ctx context.Context, _ *conn, args []types.Value) (types.Value, error) { return f(ctx, args) })
}

func function(name string, ret types.OID, args []types.OID, f func(ctx context.Context, c *conn, args []types.Value) (types.Value, error)) *builtin.Func {
	return &builtin.Func{
		Name: "helios." + name, Args: args, Ret: ret, Strict: true, Volatility: 'v', Kind: 'f',
		Eval: func(b *builtin.Context, args []types.Value) (types.Value, error) {
			l, ok := session.EngineCatalog(b.Catalog).(*lookup)
			if !ok || !l.e.trusted(l.c.info) {
				return types.Null, types.Errorf("42501", "permission denied for function helios.%s", name)
			}
			ctx := b.Ctx
			if ctx == nil {
				ctx = l.e.ctx
			}
			return f(ctx, l.c, args)
		},
	}
}

// ownFunctions are what routers and other shards call; every one is plain SQL, so that
// an operator can call it, too.
func (e *Engine) ownFunctions() []*builtin.Func {
	return slices.Concat(e.statementFunctions(), e.outcomeFunctions(), e.sequenceFunctions(), e.moveFunctions())
}

// statementFunctions go with a router's statements: what a shard is told and what it tells.
func (e *Engine) statementFunctions() []*builtin.Func {
	text, big := types.TextOID, types.Int8OID
	return []*builtin.Func{
		function("ctx", types.VoidOID, []types.OID{text}, func(_ context.Context, c *conn, a []types.Value) (types.Value, error) {
			return types.Text(""), c.tell(a[0].AsText())
		}),
		function("visible", big, nil, func(context.Context, *conn, []types.Value) (types.Value, error) {
			if err := e.serving(); err != nil {
				return types.Null, err
			}
			return types.Int(int64(e.Visible())), nil
		}),
		function("lock_waits", text, []types.OID{text}, func(_ context.Context, _ *conn, a []types.Value) (types.Value, error) {
			e.StillRunning(strings.Fields(a[0].AsText()))
			return types.Text(e.LockWaits()), e.serving()
		}),
		function("wait_writers", types.VoidOID, []types.OID{types.OIDOID}, func(ctx context.Context, _ *conn, a []types.Value) (types.Value, error) {
			return types.Text(""), e.WaitWriters(ctx, types.OID(a[0].AsInt()))
		}),
		function("hold_snapshot", types.VoidOID, []types.OID{text, big}, func(_ context.Context, _ *conn, a []types.Value) (types.Value, error) {
			e.HoldForRouter(a[0].AsText(), hlc.Timestamp(max(0, a[1].AsInt())))
			return types.Text(""), e.serving()
		}),
		function("catalog_version", big, nil, func(context.Context, *conn, []types.Value) (types.Value, error) {
			return types.Int(int64(e.Catalog().Version())), nil
		}),
		function("map_version", big, nil, func(context.Context, *conn, []types.Value) (types.Value, error) {
			e.mu.Lock()
			defer e.mu.Unlock()
			return types.Int(int64(e.mu.adopted)), nil
		}),
		function("log_end", big, nil, func(context.Context, *conn, []types.Value) (types.Value, error) {
			return types.Int(int64(e.log.End())), e.serving()
		}),
		function("lock_catalog", types.VoidOID, nil, func(ctx context.Context, c *conn, _ []types.Value) (types.Value, error) {
			t := c.tx()
			if t == nil {
				return types.Null, types.Errorf("25P01", "helios.lock_catalog needs a transaction")
			}
			return types.Text(""), t.lockCatalog(ctx)
		}),
	}
}

// outcomeFunctions are for distributed transactions that somebody lost sight of.
func (e *Engine) outcomeFunctions() []*builtin.Func {
	text, big := types.TextOID, types.Int8OID
	return []*builtin.Func{
		function("outcome", text, []types.OID{text, big}, func(ctx context.Context, _ *conn, a []types.Value) (types.Value, error) {
			o, err := e.Outcome(ctx, a[0].AsText(), hlc.Timestamp(max(0, a[1].AsInt())))
			return types.Text(o.String()), err
		}),
		function("resolve", text, []types.OID{text}, func(ctx context.Context, _ *conn, a []types.Value) (types.Value, error) {
			o, err := e.Decide(ctx, a[0].AsText())
			return types.Text(o.String()), err
		}),
		function("abandon", text, []types.OID{text}, func(ctx context.Context, _ *conn, a []types.Value) (types.Value, error) {
			o, err := e.Abandon(ctx, a[0].AsText())
			return types.Text(o.String()), err
		}),
		function("session_outcome", text, []types.OID{big, big}, func(ctx context.Context, _ *conn, a []types.Value) (types.Value, error) {
			o, err := e.SessionOutcome(ctx, uint64(a[0].AsInt()), hlc.Timestamp(max(0, a[1].AsInt())))
			return types.Text(o.String()), err
		}),
		function("finish_prepared", text, []types.OID{text, text, types.BoolOID, text}, func(ctx context.Context, _ *conn, a []types.Value) (types.Value, error) {
			participants, err := parseShards(a[3].AsText())
			if err != nil {
				return types.Null, err
			}
			gid, o, err := e.FinishOwn(ctx, a[0].AsText(), a[1].AsText(), a[2].AsBool(), participants)
			return types.Text(gid.String() + " " + o.String()), err
		}),
		function("forget", types.VoidOID, []types.OID{text}, func(_ context.Context, _ *conn, a []types.Value) (types.Value, error) {
			e.Heard(strings.Split(a[0].AsText(), ","))
			return types.Text(""), e.serving()
		}),
	}
}

// sequenceFunctions hand out values and move a sequence with its slot.
func (e *Engine) sequenceFunctions() []*builtin.Func {
	text, big, oid := types.TextOID, types.Int8OID, types.OIDOID
	return []*builtin.Func{
		function("sequence_block", text, []types.OID{oid, big, types.Int4OID}, func(ctx context.Context, c *conn, a []types.Value) (types.Value, error) {
			if !e.whole(c.info) {
				return types.Null, notHere("nextval")
			}
			first, n, err := e.SequenceBlock(ctx, types.OID(a[0].AsInt()), a[1].AsInt(), int(a[2].AsInt()))
			return types.Text(fmt.Sprintf("%d,%d", first, n)), err
		}),
		function("sequence_set", types.VoidOID, []types.OID{oid, text, types.Int4OID}, func(ctx context.Context, _ *conn, a []types.Value) (types.Value, error) {
			m, err := parseMark(a[1].AsText())
			if err != nil {
				return types.Null, err
			}
			return types.Text(""), e.SetSequence(ctx, types.OID(a[0].AsInt()), m.value, m.called, int(a[2].AsInt()))
		}),
		function("sequence_marks", text, []types.OID{text, types.Int4OID}, func(_ context.Context, _ *conn, a []types.Value) (types.Value, error) {
			units, err := ParseUnits(a[0].AsText())
			if err != nil {
				return types.Null, err
			}
			return types.Text(e.SequenceMarks(units, int(a[1].AsInt()))), nil
		}),
		function("sequence_adopt", types.VoidOID, []types.OID{text}, func(ctx context.Context, _ *conn, a []types.Value) (types.Value, error) {
			return types.Text(""), e.AdoptSequences(ctx, a[0].AsText())
		}),
	}
}

// moveFunctions are the steps of a move at its source and target.
func (e *Engine) moveFunctions() []*builtin.Func {
	text, big, oid := types.TextOID, types.Int8OID, types.OIDOID
	return []*builtin.Func{
		function("set_placement", types.VoidOID, []types.OID{oid, text, types.Int4OID, types.ByteaOID}, e.setPlacement),
		function("seal", big, []types.OID{text, text}, func(ctx context.Context, _ *conn, a []types.Value) (types.Value, error) {
			units, err := ParseUnits(a[0].AsText())
			if err != nil {
				return types.Null, err
			}
			epochs, err := parseEpochs(a[1].AsText())
			if err != nil {
				return types.Null, err
			}
			lsn, err := e.Seal(ctx, units, epochs)
			return types.Int(int64(lsn)), err
		}),
		function("drained", types.BoolOID, []types.OID{text}, func(_ context.Context, _ *conn, a []types.Value) (types.Value, error) {
			units, err := ParseUnits(a[0].AsText())
			if err != nil {
				return types.Null, err
			}
			ok, err := e.Drained(units)
			return types.Bool(ok), err
		}),
		function("reads_off", big, []types.OID{text}, func(ctx context.Context, _ *conn, a []types.Value) (types.Value, error) {
			units, err := ParseUnits(a[0].AsText())
			if err != nil {
				return types.Null, err
			}
			ts, err := e.ReadsOff(ctx, units)
			return types.Int(int64(ts)), err
		}),
		function("digest", text, []types.OID{text, big}, func(ctx context.Context, _ *conn, a []types.Value) (types.Value, error) {
			units, err := ParseUnits(a[0].AsText())
			if err != nil {
				return types.Null, err
			}
			d, err := e.Digest(ctx, units, hlc.Timestamp(a[1].AsInt()))
			return types.Text(d.String()), err
		}),
		function("owns", types.BoolOID, []types.OID{text}, func(_ context.Context, _ *conn, a []types.Value) (types.Value, error) {
			units, err := ParseUnits(a[0].AsText())
			return types.Bool(err == nil && e.Owns(units)), err
		}),
		function("drop_units", types.VoidOID, []types.OID{text}, func(ctx context.Context, _ *conn, a []types.Value) (types.Value, error) {
			units, err := ParseUnits(a[0].AsText())
			if err != nil {
				return types.Null, err
			}
			return types.Text(""), e.DropUnits(ctx, units)
		}),
	}
}

// sequences are the sequences of one session on a shard that is a cluster of its own.
type sequences struct {
	e *Engine
	c *conn
}

// Nextval draws the next value.
func (q *sequences) Nextval(seq types.OID) (int64, error) {
	if !q.e.whole(q.c.info) {
		return 0, notHere("nextval")
	}
	first, _, err := q.e.SequenceBlock(q.e.ctx, seq, 1, 0)
	if err != nil {
		return 0, err
	}
	q.c.mu.Lock()
	defer q.c.mu.Unlock()
	q.c.mu.current[seq], q.c.mu.last = first, seq
	return first, nil
}

// Currval is the value drawn last in this session.
func (q *sequences) Currval(seq types.OID) (int64, error) {
	q.c.mu.Lock()
	defer q.c.mu.Unlock()
	v, ok := q.c.mu.current[seq]
	if !ok {
		rel, _ := q.e.Catalog().ByOID(seq)
		name := strconv.Itoa(int(seq))
		if rel != nil {
			name = rel.Name
		}
		return 0, types.Errorf("55000", "currval of sequence %q is not yet defined in this session", name)
	}
	return v, nil
}

// Lastval is the value drawn last of any sequence.
func (q *sequences) Lastval() (int64, error) {
	q.c.mu.Lock()
	defer q.c.mu.Unlock()
	if q.c.mu.last == 0 {
		return 0, types.Errorf("55000", "lastval is not yet defined in this session")
	}
	return q.c.mu.current[q.c.mu.last], nil
}

// Setval makes the sequence go on after value, or with it when it was not called.
func (q *sequences) Setval(seq types.OID, value int64, called bool) error {
	rel, ok := q.e.Catalog().ByOID(seq)
	if !ok || rel.Sequence == nil {
		return types.Errorf("42P01", "there is no sequence with number %d", seq)
	}
	if value < rel.Sequence.Min || value > rel.Sequence.Max {
		return types.Errorf("22003", "setval: value %d is out of bounds for sequence %q (%d..%d)", value, rel.Name, rel.Sequence.Min, rel.Sequence.Max)
	}
	if err := q.e.SetSequence(q.e.ctx, seq, value, called, 0); err != nil || !called {
		return err
	}
	q.c.mu.Lock()
	defer q.c.mu.Unlock()
	q.c.mu.current[seq] = value
	return nil
}

// Size answers the size functions: what the whole store takes on disk for the database,
// nothing known of single relations.
func (q *sequences) Size(function string, _ []types.Value) (int64, bool, error) {
	if function == "pg_database_size" {
		return int64(q.e.store().Stats().DiskBytes), true, nil
	}
	return 0, true, nil
}

// notHere refuses what only a router can do in a cluster of several shards.
func notHere(what string) *types.Error {
	return types.Errorf("0A000", "%s is not possible on one shard of several", what).
		WithHint("Connect to a router.")
}
