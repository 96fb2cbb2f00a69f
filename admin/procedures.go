package admin

import (
	"context"
	"strings"

	"github.com/heliosdb/helios/reshard"
	"github.com/heliosdb/helios/session"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// Procedures are what operators CALL and the functions beside them. A nil function answers
// 0A000: the cluster is one shard, there is nothing to move.
type Procedures struct {
	// Superuser tells whether a session may call procedures.
	Superuser func(info *session.Info) bool
	// Reshard starts a job that spreads the data over target shards.
	Reshard func(ctx context.Context, target, streams int) (job uint64, err error)
	// Abort asks the running job to undo what it has not finished.
	Abort func(ctx context.Context) error
	// Train makes cells for a vector-placed table, as named in the statement; cells 0 lets
	// it choose their number. It reports progress by notices.
	Train func(ctx context.Context, info *session.Info, table string, cells int) error
	// Plan gives the moves that Reshard would make.
	Plan func(ctx context.Context, target int) ([]reshard.Move, error)
}

// Table is what a procedure returns.
type Table struct {
	Columns []catalog.Column
	Rows    []types.Row
}

// Function is a set-returning function of schema helios.
type Function struct {
	Name    string           // with its schema
	Args    []catalog.Column // names and types; none may be NULL
	Columns []catalog.Column // of its rows
	Rows    func(ctx context.Context, args []types.Value) ([]types.Row, error)
}

// Limits of arguments.
const (
	shardsMax      = 1024
	streamsMax     = 64
	streamsDefault = 4
	cellsMax       = 1 << 20
)

// procedure is one signature.
type procedure struct {
	name   string
	params []param
	run    func(p *Procedures, ctx context.Context, info *session.Info, args []types.Value) (*Table, error)
}

// param is a parameter; one with a default may be left out or NULL.
type param struct {
	name      string
	typ       types.OID // bigint or text
	def       types.Value
	optional  bool
	low, high int64 // of a bigint
}

var procedures = []procedure{
	{"helios.reshard", []param{
		{name: "target_shards", typ: types.Int8OID, low: 1, high: shardsMax},
		{name: "parallel_streams", typ: types.Int8OID, optional: true, def: types.Int(streamsDefault), low: 1, high: streamsMax},
	}, (*Procedures).reshard},
	{"helios.reshard_abort", nil, (*Procedures).abort},
	{"helios.train", []param{
		{name: "table_name", typ: types.TextOID},
		{name: "cells", typ: types.Int8OID, optional: true, def: types.Int(0), low: 1, high: cellsMax},
	}, (*Procedures).train},
}

// Names lists the procedures, with their schema.
func (p *Procedures) Names() []string {
	var out []string
	for _, proc := range procedures {
		out = append(out, proc.name)
	}
	return out
}

// Call runs a procedure by its name with schema; the table is nil if it returns nothing.
// Errors: 42883 for no such procedure or arguments that do not fit, 42601, 22023, 22004
// and 22P02 for arguments that cannot be, 42501 unless the session is a superuser's, 0A000
// where the cluster is one shard.
func (p *Procedures) Call(ctx context.Context, info *session.Info, name string, args []session.Arg) (*Table, error) {
	for i := range procedures {
		proc := &procedures[i]
		if proc.name != name {
			continue
		}
		bound, err := proc.bind(args)
		if err != nil {
			return nil, err
		}
		if !p.Superuser(info) {
			_, bare, _ := strings.Cut(name, ".")
			return nil, types.Errorf("42501", "permission denied for procedure %s", bare)
		}
		return proc.run(p, ctx, info, bound)
	}
	return nil, noProcedure(name, args)
}

func (p *Procedures) reshard(ctx context.Context, _ *session.Info, args []types.Value) (*Table, error) {
	if p.Reshard == nil {
		return nil, oneShard("resharding")
	}
	job, err := p.Reshard(ctx, int(args[0].AsInt()), int(args[1].AsInt()))
	if err != nil {
		return nil, err
	}
	return &Table{Columns: columns("job bigint"), Rows: []types.Row{{lsn(job)}}}, nil
}

func (p *Procedures) abort(ctx context.Context, _ *session.Info, _ []types.Value) (*Table, error) {
	if p.Abort == nil {
		return nil, oneShard("resharding")
	}
	return nil, p.Abort(ctx)
}

func (p *Procedures) train(ctx context.Context, info *session.Info, args []types.Value) (*Table, error) {
	if p.Train == nil {
		return nil, oneShard("training cells")
	}
	return nil, p.Train(ctx, info, args[0].AsText(), int(args[1].AsInt()))
}

func oneShard(what string) error {
	return types.Errorf("0A000", "%s is not possible here", what).
		WithHint("This server is a cluster of one shard, or one shard of several: connect to a router of a cluster.")
}

// Functions are the functions of schema helios that show what would happen.
func (p *Procedures) Functions() []Function {
	return []Function{{
		Name: "helios.reshard_plan", Args: columns("target_shards integer"),
		Columns: columns("move integer, from_shard integer, to_shard integer, slots integer, cells integer"),
		Rows: func(ctx context.Context, args []types.Value) ([]types.Row, error) {
			target := args[0].AsInt()
			if err := inRange("target_shards", target, 1, shardsMax); err != nil {
				return nil, err
			}
			if p.Plan == nil {
				return nil, oneShard("resharding")
			}
			moves, err := p.Plan(ctx, int(target))
			if err != nil {
				return nil, err
			}
			return planRows(moves), nil
		},
	}}
}
