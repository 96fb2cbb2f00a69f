package admin

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/heliosdb/helios/reshard"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/types"
)

func integer(name string, n int64) session.Arg {
	return session.Arg{Name: name, Type: types.T(types.Int4OID), Value: types.Int(n)}
}

func literal(name, s string) session.Arg {
	return session.Arg{Name: name, Type: types.T(types.UnknownOID), Value: types.Text(s)}
}

func null(name string) session.Arg {
	return session.Arg{Name: name, Type: types.T(types.UnknownOID), Value: types.Null}
}

// recorded is what the functions behind the procedures were called with.
type recorded struct {
	target, streams, cells int
	table                  string
	aborted                bool
}

func newProcedures() (*Procedures, *recorded) {
	r := &recorded{}
	return &Procedures{
		Superuser: func(*session.Info) bool { return true },
		Reshard: func(_ context.Context, target, streams int) (uint64, error) {
			r.target, r.streams = target, streams
			return 42, nil
		},
		Abort: func(context.Context) error { r.aborted = true; return nil },
		Train: func(_ context.Context, _ *session.Info, table string, cells int) error {
			r.table, r.cells = table, cells
			return nil
		},
		Plan: func(_ context.Context, target int) ([]reshard.Move, error) {
			return []reshard.Move{{ID: 1, From: 1, To: 2, Units: []reshard.Unit{{N: 5}, {N: 6}, {Space: 17001, N: 0}}}}, nil
		},
	}, r
}

func TestProceduresCall(t *testing.T) {
	for _, c := range []struct {
		name string
		args []session.Arg
		want recorded
	}{
		{"helios.reshard", []session.Arg{integer("", 6)}, recorded{target: 6, streams: 4}},
		{"helios.reshard", []session.Arg{integer("", 6), integer("", 8)}, recorded{target: 6, streams: 8}},
		{"helios.reshard", []session.Arg{integer("target_shards", 6)}, recorded{target: 6, streams: 4}},
		{"helios.reshard", []session.Arg{integer("parallel_streams", 2), literal("target_shards", " 6 ")}, recorded{target: 6, streams: 2}},
		{"helios.reshard", []session.Arg{integer("", 6), null("parallel_streams")}, recorded{target: 6, streams: 4}},
		{"helios.reshard_abort", nil, recorded{aborted: true}},
		{"helios.train", []session.Arg{literal("", "public.items")}, recorded{table: "public.items"}},
		{"helios.train", []session.Arg{literal("", "items"), integer("cells", 64)}, recorded{table: "items", cells: 64}},
	} {
		p, got := newProcedures()
		table, err := p.Call(t.Context(), nil, c.name, c.args)
		if err != nil || *got != c.want {
			t.Errorf("CALL %s(%v): %+v, error %v, want %+v", c.name, c.args, *got, err, c.want)
		}
		if c.name == "helios.reshard" && (table == nil || len(table.Rows) != 1 || table.Rows[0][0].AsInt() != 42) {
			t.Errorf("CALL %s returned %+v, want job 42", c.name, table)
		}
	}
}

func TestProceduresRefuse(t *testing.T) {
	numeric := session.Arg{Type: types.T(types.NumericOID), Value: types.Null}
	for _, c := range []struct {
		name          string
		args          []session.Arg
		code, message string
	}{
		{"helios.nothing", []session.Arg{integer("", 1), literal("x", "y")}, "42883", "procedure helios.nothing(integer, x => unknown) does not exist"},
		{"helios.reshard", nil, "42883", "procedure helios.reshard() does not exist"},
		{"helios.reshard", []session.Arg{integer("shards", 3)}, "42883", "procedure helios.reshard(shards => integer) does not exist"},
		{"helios.reshard", []session.Arg{integer("", 3), integer("target_shards", 4)}, "42883", "procedure helios.reshard(integer, target_shards => integer) does not exist"},
		{"helios.reshard", []session.Arg{integer("", 1), integer("", 2), integer("", 3)}, "42883", "procedure helios.reshard(integer, integer, integer) does not exist"},
		{"helios.reshard", []session.Arg{numeric}, "42883", "procedure helios.reshard(numeric) does not exist"},
		{"helios.reshard", []session.Arg{integer("target_shards", 3), integer("", 4)}, "42601", "positional argument cannot follow named argument"},
		{"helios.reshard", []session.Arg{integer("target_shards", 3), integer("target_shards", 4)}, "42601", `argument name "target_shards" used more than once`},
		{"helios.reshard", []session.Arg{literal("", "six")}, "22P02", `invalid input syntax for type bigint: "six"`},
		{"helios.reshard", []session.Arg{null("")}, "22004", "target_shards must not be null"},
		{"helios.reshard", []session.Arg{integer("", 0)}, "22023", "target_shards must be between 1 and 1024, not 0"},
		{"helios.reshard", []session.Arg{integer("", 3), integer("", 65)}, "22023", "parallel_streams must be between 1 and 64, not 65"},
		{"helios.reshard_abort", []session.Arg{integer("", 1)}, "42883", "procedure helios.reshard_abort(integer) does not exist"},
		{"helios.train", []session.Arg{integer("", 1)}, "42883", "procedure helios.train(integer) does not exist"},
	} {
		p, got := newProcedures()
		_, err := p.Call(t.Context(), nil, c.name, c.args)
		if types.CodeOf(err) != c.code || types.AsError(err).Message != c.message {
			t.Errorf("CALL %s(%v): %v, want %s %s", c.name, c.args, err, c.code, c.message)
		}
		if *got != (recorded{}) {
			t.Errorf("CALL %s(%v) was refused and ran all the same: %+v", c.name, c.args, *got)
		}
	}
}

func TestProceduresAreForSuperusers(t *testing.T) {
	for _, name := range new(Procedures).Names() {
		p, got := newProcedures()
		p.Superuser = func(*session.Info) bool { return false }
		args := map[string][]session.Arg{"helios.reshard": {integer("", 3)}, "helios.train": {literal("", "t")}}[name]
		if _, err := p.Call(t.Context(), nil, name, args); types.CodeOf(err) != "42501" || *got != (recorded{}) {
			t.Errorf("CALL %s: %v (ran: %+v), want 42501", name, err, *got)
		}
	}
}

func TestProceduresOfOneShard(t *testing.T) {
	p := &Procedures{Superuser: func(*session.Info) bool { return true }}
	for name, args := range map[string][]session.Arg{
		"helios.reshard": {integer("", 3)}, "helios.reshard_abort": nil, "helios.train": {literal("", "t")},
	} {
		if _, err := p.Call(t.Context(), nil, name, args); types.CodeOf(err) != "0A000" || types.AsError(err).Hint == "" {
			t.Errorf("CALL %s: %v, want 0A000 with a hint", name, err)
		}
	}
	if _, err := p.Functions()[0].Rows(t.Context(), []types.Value{types.Int(3)}); types.CodeOf(err) != "0A000" {
		t.Errorf("reshard_plan: %v, want 0A000", err)
	}
}

func TestProcedureErrorsPass(t *testing.T) {
	p, _ := newProcedures()
	refusal := types.Errorf("55000", "a reshard is running")
	p.Reshard = func(context.Context, int, int) (uint64, error) { return 0, refusal }
	if _, err := p.Call(t.Context(), nil, "helios.reshard", []session.Arg{integer("", 3)}); !errors.Is(err, refusal) {
		t.Errorf("error %v, want %v", err, refusal)
	}
}

func TestReshardPlan(t *testing.T) {
	p, _ := newProcedures()
	f := p.Functions()[0]
	rows, err := f.Rows(t.Context(), []types.Value{types.Int(2)})
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d rows, error %v", len(rows), err)
	}
	var got []int64
	for i := range f.Columns {
		got = append(got, rows[0][i].AsInt())
	}
	if want := []int64{1, 1, 2, 2, 1}; !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", f.Name, got, want)
	}
	if _, err := f.Rows(t.Context(), []types.Value{types.Int(-1)}); types.CodeOf(err) != "22023" {
		t.Errorf("%s(-1): %v, want 22023", f.Name, err)
	}
}
