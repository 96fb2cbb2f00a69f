package builtin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/heliosdb/helios/types"
)

// The answers in testdata/postgres come from PostgreSQL 15. To ask it again:
//
//	HELIOS_POSTGRES='host=… dbname=postgres' go test ./sql/builtin -run TestEval -rewrite
//
// testdata/helios holds what PostgreSQL cannot answer: vectors, and what is Helios' own.
func TestEval(t *testing.T) {
	var conn *pgconn.PgConn
	if dsn := os.Getenv("HELIOS_POSTGRES"); dsn != "" {
		c, err := pgx.Connect(context.Background(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		conn = c.PgConn()
	}
	for _, dir := range []string{"testdata/postgres", "testdata/helios"} {
		datadriven.Walk(t, dir, func(t *testing.T, path string) {
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
				var out strings.Builder
				for _, line := range strings.Split(d.Input, "\n") {
					if conn != nil && dir == "testdata/postgres" {
						out.WriteString(askPostgres(conn, d, line) + "\n")
					} else {
						out.WriteString(answer(t, d, line) + "\n")
					}
				}
				return out.String()
			})
		})
	}
}

func zoneOf(d *datadriven.TestData) string {
	for _, arg := range d.CmdArgs {
		if arg.Key == "zone" {
			return arg.Vals[0]
		}
	}
	return "UTC"
}

func askPostgres(conn *pgconn.PgConn, d *datadriven.TestData, line string) string {
	ctx := context.Background()
	conn.Exec(ctx, "SET timezone = '"+zoneOf(d)+"'").ReadAll()
	query := "SELECT " + line
	switch d.Cmd {
	case "rows":
		query = "SELECT * FROM " + line
	case "aggregate":
		call, values, _ := strings.Cut(line, ": ")
		name, args, _ := cutArgs(call)
		var rows []string
		for _, v := range strings.Fields(values) {
			rows = append(rows, "("+aggregateLiterals(v, args, ", ")+")")
		}
		columns := []string{"a", "b"}[:len(args)]
		query = "SELECT " + name + "(" + strings.Join(columns, ", ") + ") FROM (VALUES " + strings.Join(rows, ", ") +
			") t(" + strings.Join(columns, ", ") + ")"
	}
	res := conn.ExecParams(ctx, query, nil, nil, nil, nil).Read()
	if res.Err != nil {
		var e *pgconn.PgError
		if errors.As(res.Err, &e) {
			return "ERROR " + e.Code + ": " + e.Message
		}
		return res.Err.Error()
	}
	var rows []string
	for _, row := range res.Rows {
		var cells []string
		for _, cell := range row {
			if cell == nil {
				cells = append(cells, "NULL")
			} else {
				cells = append(cells, strings.ReplaceAll(string(cell), "\n", "⏎"))
			}
		}
		rows = append(rows, strings.Join(cells, "|"))
	}
	return strings.Join(rows, "; ")
}

// aggregateLiterals writes the values of one row: v, or v/w for two arguments.
func aggregateLiterals(v string, args []string, separator string) string {
	var out []string
	for i, part := range strings.SplitN(v, "/", len(args)) {
		if part == "NULL" {
			out = append(out, "NULL::"+args[i])
		} else {
			out = append(out, "'"+part+"'::"+args[i])
		}
	}
	return strings.Join(out, separator)
}

func testContext(t *testing.T, zone string) *Context {
	loc, err := types.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2024, 2, 29, 12, 30, 0, 0, time.UTC)
	return &Context{
		Now: now, TxnStart: now, Clock: func() time.Time { return now }, User: "alice", Database: "shop",
		SearchPath: []string{"public"}, Location: loc, BackendPID: 42, Version: "PostgreSQL 15.0 (Helios)",
	}
}

func answer(t *testing.T, d *datadriven.TestData, line string) (out string) {
	ctx := testContext(t, zoneOf(d))
	var err error
	switch d.Cmd {
	case "eval":
		var v typed
		if v, err = evaluate(ctx, line); err == nil {
			out = v.show(ctx)
		}
	case "rows":
		out, err = answerRows(ctx, line)
	case "aggregate":
		out, err = answerAggregate(t, ctx, line)
	default:
		t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
	}
	if err != nil {
		e := types.AsError(err)
		return "ERROR " + e.Code + ": " + e.Message
	}
	return strings.ReplaceAll(out, "\n", "⏎")
}

// typed is an evaluated expression.
type typed struct {
	v types.Value
	t types.Type
}

func (x typed) show(ctx *Context) string {
	if x.v.IsNull() {
		return "NULL"
	}
	return ctx.Output(x.t, x.v)
}

func answerRows(ctx *Context, line string) (string, error) {
	p := &exprParser{ctx: ctx, s: line}
	call, args, err := p.setCall()
	if err != nil {
		return "", err
	}
	columns := []types.Type{types.T(call.Ret)}
	if call.Func.Columns != nil {
		columns = nil
		for _, c := range call.Func.Columns {
			columns = append(columns, types.T(c.Type))
		}
	}
	seq, err := call.Func.EvalSet(ctx, args)
	if err != nil {
		return "", err
	}
	var rows []string
	for row, err := range seq {
		if err != nil {
			return "", err
		}
		var cells []string
		for i, v := range row {
			cells = append(cells, typed{v, columns[i]}.show(ctx))
		}
		rows = append(rows, strings.Join(cells, "|"))
	}
	return strings.Join(rows, "; "), nil
}

// answerAggregate computes an aggregate at once and, where it splits, over two shards
// as well; both must agree.
func answerAggregate(t *testing.T, ctx *Context, line string) (string, error) {
	call, values, _ := strings.Cut(line, ": ")
	name, argNames, _ := cutArgs(call)
	var args []types.OID
	for _, arg := range argNames {
		typ, err := types.ParseTypeName(strings.TrimSpace(arg))
		if err != nil {
			return "", err
		}
		args = append(args, typ.OID)
	}
	rows, err := aggregateRows(ctx, strings.Fields(values), args)
	if err != nil {
		return "", err
	}
	whole, err := runAggregate(ctx, name, args, rows)
	if err != nil {
		return "", err
	}
	c, _ := Resolve(name, args)
	if split := AggregateOf(c.Func.OID).Split; split != nil {
		merged, err := runSplit(ctx, split, c, args, rows)
		if err != nil {
			return "", err
		}
		if got, want := merged.show(ctx), whole.show(ctx); got != want {
			t.Errorf("%s: over two shards %s, at once %s", line, got, want)
		}
	}
	return whole.show(ctx), nil
}

func aggregateRows(ctx *Context, words []string, args []types.OID) ([][]types.Value, error) {
	var rows [][]types.Value
	for _, word := range words {
		var row []types.Value
		for i, part := range strings.SplitN(word, "/", len(args)) {
			v := types.Null
			if part != "NULL" {
				var err error
				if v, err = ctx.Input(types.T(args[i]), part); err != nil {
					return nil, err
				}
			}
			row = append(row, v)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func runAggregate(ctx *Context, name string, args []types.OID, rows [][]types.Value) (typed, error) {
	c, err := Resolve(name, args)
	if err != nil {
		return typed{}, err
	}
	var argTypes []types.Type
	for _, oid := range c.Args {
		argTypes = append(argTypes, types.T(oid))
	}
	acc := AggregateOf(c.Func.OID).New(argTypes)
	for _, row := range rows {
		cast := make([]types.Value, len(row))
		null := false
		for i, v := range row {
			if cast[i], err = ctx.Convert(v, types.T(args[i]), argTypes[i], false); err != nil {
				return typed{}, err
			}
			null = null || v.IsNull()
		}
		if null && AggregateOf(c.Func.OID).SkipsNull {
			continue
		}
		if err := acc.Add(ctx, cast); err != nil {
			return typed{}, err
		}
	}
	v, err := acc.Result(ctx)
	return typed{v, types.T(c.Ret)}, err
}

func runSplit(ctx *Context, split *Split, c *Call, args []types.OID, rows [][]types.Value) (typed, error) {
	var argTypes []types.Type
	for _, oid := range c.Args {
		argTypes = append(argTypes, types.T(oid))
	}
	merge := split.Merge(argTypes)
	for _, part := range [][][]types.Value{rows[:len(rows)/2], rows[len(rows)/2:], nil} {
		var partials []types.Value
		for _, name := range split.Partials {
			p, err := runAggregate(ctx, name, args, part)
			if err != nil {
				return typed{}, err
			}
			partials = append(partials, p.v)
		}
		if err := merge.Add(ctx, partials); err != nil {
			return typed{}, err
		}
	}
	v, err := merge.Result(ctx)
	return typed{v, types.T(c.Ret)}, err
}

// evaluate computes a small expression: literals, casts, calls and operators, which
// bind from left to right.
func evaluate(ctx *Context, s string) (typed, error) {
	p := &exprParser{ctx: ctx, s: s}
	x, err := p.expr()
	if err == nil && strings.TrimSpace(p.s) != "" {
		err = fmt.Errorf("cannot read %q", p.s)
	}
	if err == nil && x.t.OID == types.UnknownOID {
		x.t.OID = types.TextOID
	}
	return x, err
}

type exprParser struct {
	ctx *Context
	s   string
}

func (p *exprParser) skip() { p.s = strings.TrimLeft(p.s, " ") }

func (p *exprParser) take(token string) bool {
	p.skip()
	rest, ok := strings.CutPrefix(p.s, token)
	if ok {
		p.s = rest
	}
	return ok
}

const operatorBytes = "+-*/<>=~!@#%^&|?"

func (p *exprParser) expr() (typed, error) {
	p.skip()
	x, err := p.operand()
	for err == nil {
		p.skip()
		n := 0
		for n < len(p.s) && strings.IndexByte(operatorBytes, p.s[n]) >= 0 {
			n++
		}
		if n == 0 {
			break
		}
		name := p.s[:n]
		p.s = p.s[n:]
		var y typed
		if y, err = p.operand(); err == nil {
			x, err = p.apply(name, x, y)
		}
	}
	return x, err
}

func (p *exprParser) apply(name string, x, y typed) (typed, error) {
	_, call, err := ResolveOperator(name, x.t.OID, y.t.OID)
	if err != nil {
		return typed{}, err
	}
	return p.invoke(call, []typed{x, y})
}

func (p *exprParser) operand() (typed, error) {
	x, err := p.primary()
	for err == nil && p.take("::") {
		var to types.Type
		if to, err = p.typeName(); err == nil {
			x, err = p.cast(x, to, true)
		}
	}
	return x, err
}

// typeName takes words, (…) and [] off the input.
func (p *exprParser) typeName() (types.Type, error) {
	end, depth := 0, 0
	for end < len(p.s) {
		c := p.s[end]
		word := c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '"'
		if c == '(' {
			depth++
		}
		if c == ')' {
			if depth == 0 {
				break
			}
			depth--
		}
		if !word && c != '(' && c != ')' && c != '[' && c != ']' && depth == 0 {
			break
		}
		end++
	}
	t, err := types.ParseTypeName(p.s[:end])
	p.s = p.s[end:]
	return t, err
}

func (p *exprParser) cast(x typed, to types.Type, explicit bool) (typed, error) {
	if x.t.OID == types.UnknownOID && !x.v.IsNull() {
		v, err := p.ctx.Input(types.T(to.OID), x.v.AsText())
		if err == nil {
			v, err = types.Coerce(v, to, explicit)
		}
		return typed{v, to}, err
	}
	v, err := p.ctx.Convert(x.v, x.t, to, explicit)
	return typed{v, to}, err
}

func (p *exprParser) primary() (typed, error) {
	p.skip()
	switch {
	case p.take("("):
		x, err := p.expr()
		if err == nil && !p.take(")") {
			err = fmt.Errorf("no ) in %q", p.s)
		}
		return x, err
	case strings.HasPrefix(p.s, "'"):
		return p.literal(), nil
	case p.s != "" && (p.s[0] >= '0' && p.s[0] <= '9' || p.s[0] == '.'):
		return p.number()
	case p.s != "" && strings.IndexByte("-+@~|", p.s[0]) >= 0:
		name := p.s[:1]
		if strings.HasPrefix(p.s, "|/") || strings.HasPrefix(p.s, "||/") {
			name = p.s[:strings.IndexByte(p.s, '/')+1]
		}
		p.s = p.s[len(name):]
		x, err := p.operand()
		if err != nil {
			return typed{}, err
		}
		_, call, err := ResolveOperator(name, 0, x.t.OID)
		if err != nil {
			return typed{}, err
		}
		return p.invoke(call, []typed{x})
	}
	name := p.word()
	switch name {
	case "NULL":
		return typed{types.Null, types.T(types.UnknownOID)}, nil
	case "true", "false":
		return typed{types.Bool(name == "true"), types.T(types.BoolOID)}, nil
	}
	args, err := p.arguments()
	if err != nil {
		return typed{}, err
	}
	call, err := Resolve(name, oidsOfTyped(args))
	if err != nil {
		return typed{}, err
	}
	if call.CastTo != 0 {
		return p.cast(args[0], types.T(call.CastTo), true)
	}
	return p.invoke(call, args)
}

func oidsOfTyped(args []typed) []types.OID {
	var out []types.OID
	for _, a := range args {
		out = append(out, a.t.OID)
	}
	return out
}

func (p *exprParser) word() string {
	if rest, quoted := strings.CutPrefix(p.s, `"`); quoted {
		word, after, _ := strings.Cut(rest, `"`)
		p.s = after
		return word
	}
	n := 0
	for n < len(p.s) && (p.s[n] == '_' || p.s[n]|0x20 >= 'a' && p.s[n]|0x20 <= 'z' || p.s[n] >= '0' && p.s[n] <= '9') {
		n++
	}
	word := p.s[:n]
	p.s = p.s[n:]
	return word
}

func (p *exprParser) literal() typed {
	var b strings.Builder
	i := 1
	for ; i < len(p.s); i++ {
		if p.s[i] == '\'' {
			if i+1 < len(p.s) && p.s[i+1] == '\'' {
				i++
			} else {
				break
			}
		}
		b.WriteByte(p.s[i])
	}
	p.s = p.s[min(i+1, len(p.s)):]
	return typed{types.Text(b.String()), types.T(types.UnknownOID)}
}

func (p *exprParser) number() (typed, error) {
	n := 0
	for n < len(p.s) && (p.s[n] >= '0' && p.s[n] <= '9' || p.s[n] == '.' || p.s[n] == 'e' || p.s[n] == '-' && p.s[n-1] == 'e') {
		n++
	}
	text := p.s[:n]
	p.s = p.s[n:]
	for _, oid := range []types.OID{types.Int4OID, types.Int8OID, types.NumericOID} {
		if v, err := types.ParseText(types.T(oid), text, nil); err == nil {
			return typed{v, types.T(oid)}, nil
		}
	}
	return typed{}, fmt.Errorf("no number: %q", text)
}

func (p *exprParser) arguments() ([]typed, error) {
	if !p.take("(") {
		return nil, fmt.Errorf("no ( in %q", p.s)
	}
	var args []typed
	for !p.take(")") {
		if len(args) > 0 && !p.take(",") {
			return nil, fmt.Errorf("no , in %q", p.s)
		}
		x, err := p.expr()
		if err != nil {
			return nil, err
		}
		args = append(args, x)
	}
	return args, nil
}

// bind casts the arguments to what the call wants, packs variadic ones, adds defaults.
func (p *exprParser) bind(call *Call, args []typed) ([]types.Value, bool, error) {
	out := make([]types.Value, len(args))
	null := false
	for i, a := range args {
		x, err := p.cast(a, types.T(call.Args[i]), false)
		if err != nil {
			return nil, false, err
		}
		out[i] = x.v
		null = null || x.v.IsNull()
	}
	if call.Pack >= 0 {
		packed := types.NewArray(call.PackElem, out[call.Pack:])
		null = false
		out = append(out[:call.Pack:call.Pack], packed)
		for _, v := range out {
			null = null || v.IsNull()
		}
	}
	return append(out, call.Defaults...), null, nil
}

func (p *exprParser) invoke(call *Call, args []typed) (typed, error) {
	values, null, err := p.bind(call, args)
	if err != nil {
		return typed{}, err
	}
	if null && call.Func.Strict {
		return typed{types.Null, types.T(call.Ret)}, nil
	}
	if call.Func.Eval == nil {
		return typed{}, fmt.Errorf("%s has no Eval", call.Func.Name)
	}
	v, err := call.Func.Eval(p.ctx, values)
	return typed{v, types.T(call.Ret)}, err
}

func (p *exprParser) setCall() (*Call, []types.Value, error) {
	name := p.word()
	args, err := p.arguments()
	if err != nil {
		return nil, nil, err
	}
	call, err := Resolve(name, oidsOfTyped(args))
	if err != nil {
		return nil, nil, err
	}
	values, _, err := p.bind(call, args)
	return call, values, err
}
