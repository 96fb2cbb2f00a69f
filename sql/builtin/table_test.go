package builtin

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/heliosdb/helios/types"
)

// firstOwn is the first OID that is not PostgreSQL's.
const firstOwn = 10000

// TestTablesAgainstPostgres compares data/ with a real PostgreSQL 15, if one is named.
func TestTablesAgainstPostgres(t *testing.T) {
	dsn := os.Getenv("HELIOS_POSTGRES")
	if dsn == "" {
		t.Skip("HELIOS_POSTGRES names no server")
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	known := make(map[string]bool)
	for _, query := range []string{
		"SELECT format('%s %s(%s) %s %s %s', oid, proname, array_to_string(proargtypes, ' '), prorettype::oid, prokind, provolatile) FROM pg_proc",
		"SELECT format('%s %s %s %s %s', oid, oprname, oprleft::oid, oprright::oid, oprcode::oid) FROM pg_operator",
		"SELECT format('%s %s %s', castsource::oid, casttarget::oid, castcontext) FROM pg_cast",
	} {
		rows, err := conn.Query(ctx, query)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			known[line] = true
		}
	}
	for _, line := range ownLines() {
		if !known[line] {
			t.Errorf("PostgreSQL has no %q", line)
		}
	}
}

func ownLines() []string {
	var out []string
	for _, f := range Funcs() {
		if f.OID < firstOwn {
			args := strings.Trim(fmt.Sprint(f.Args), "[]")
			out = append(out, fmt.Sprintf("%d %s(%s) %d %c %c", f.OID, f.Name, args, f.Ret, f.Kind, f.Volatility))
		}
	}
	for _, op := range Operators() {
		if op.OID < firstOwn {
			out = append(out, fmt.Sprintf("%d %s %d %d %d", op.OID, op.Name, op.Left, op.Right, op.Fn.OID))
		}
	}
	for _, c := range Casts() {
		if c.From != types.VectorOID && c.To != types.VectorOID {
			out = append(out, fmt.Sprintf("%d %d %c", c.From, c.To, c.Context))
		}
	}
	return out
}

// TestTablesAgree holds the tables together: operators have functions, their
// commutators and negators exist, and every function that is bound fits its row.
func TestTablesAgree(t *testing.T) {
	for _, op := range Operators() {
		if op.Fn == nil {
			t.Errorf("operator %d %s has no function", op.OID, op.Name)
			continue
		}
		for _, other := range []string{op.Commutator, op.Negator} {
			if other != "" && builtins().operatorByName[other] == nil {
				t.Errorf("operator %s names %s, which does not exist", operatorName(op), other)
			}
		}
	}
	evals, sets, aggs, _ := implementations()
	known := make(map[string]bool)
	for _, f := range Funcs() {
		known[f.Name], known[signature(f)] = true, true
	}
	for _, names := range [][]string{keys(evals), keys(sets), keys(aggs), keys(typedFuncs())} {
		for _, name := range names {
			if !known[name] {
				t.Errorf("%s is built, but no function has that name or signature", name)
			}
		}
	}
}

func keys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}

// TestSleepEndsWithItsStatement wants pg_sleep to end at once when the statement is cancelled.
func TestSleepEndsWithItsStatement(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := sleep(&Context{Ctx: ctx}, 3600)
	if got, want := types.CodeOf(err), "57014"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzFormats feeds patterns and texts to the functions that interpret them: no input may panic.
func FuzzFormats(f *testing.F) {
	f.Add("YYYY-MM-DD HH24:MI:SS", "2024-01-02 03:04:05")
	f.Add("FM9,999.99PR", "<12>")
	f.Add("%-10s|%2$I", "a.*(b")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		ctx := &Context{}
		call := func(name string, args ...types.Value) {
			oids := make([]types.OID, len(args))
			for i, a := range args {
				oids[i] = types.Record([]types.Value{a}).RecordTypes()[0].OID
			}
			c, err := Resolve(name, oids)
			if err == nil {
				_, _ = c.Func.Eval(ctx, args)
			}
		}
		p, s := types.Text(pattern), types.Text(text)
		call("to_char", types.Timestamp(int64(len(text))*1e15), p)
		call("to_char", types.IntervalValue(types.Interval{Months: -5, Days: 7, Micros: -1}), p)
		call("to_char", types.Float(1234.5), p)
		call("to_char", types.Int(-7), p)
		for _, name := range []string{"to_date", "to_timestamp", "to_number", "regexp_match", "regexp_split_to_array", "split_part", "like_escape", "decode", "position"} {
			call(name, s, p)
		}
		call("format", p, s)
		call("regexp_replace", s, p, s)
		call("parse_ident", s, types.Bool(true))
		call("unistr", s)
		call("extract", p, types.Timestamp(0))
		_, _ = likeMatch(text, pattern)
	})
}
