package builtin

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"

	"github.com/heliosdb/helios/types"
)

//go:embed data/procs.tsv
var procData string

//go:embed data/operators.tsv
var operatorData string

//go:embed data/casts.tsv
var castData string

// table is everything this package offers, indexed.
type table struct {
	funcs      []*Func
	byOID      map[types.OID]*Func
	byName     map[string][]*Func
	aggregates map[types.OID]*Aggregate

	operators      []*Operator
	operatorByOID  map[types.OID]*Operator
	operatorByName map[string][]*Operator

	casts   map[[2]types.OID]*Cast
	castAll []*Cast
}

var loaded struct {
	once  sync.Once
	table *table
}

// builtins gives the table, built when first asked for.
func builtins() *table {
	loaded.once.Do(func() { loaded.table = loadTable() })
	return loaded.table
}

func loadTable() *table {
	t := &table{
		byOID: make(map[types.OID]*Func), byName: make(map[string][]*Func),
		aggregates:    make(map[types.OID]*Aggregate),
		operatorByOID: make(map[types.OID]*Operator), operatorByName: make(map[string][]*Operator),
		casts: make(map[[2]types.OID]*Cast),
	}
	for fields := range rowsOf(procData) {
		t.addFunc(fields)
	}
	t.bind()
	for fields := range rowsOf(operatorData) {
		t.addOperator(fields)
	}
	t.bindComparisons()
	for fields := range rowsOf(castData) {
		t.addCast(fields)
	}
	return t
}

// rowsOf splits tab-separated lines.
func rowsOf(data string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(data) {
			if !yield(strings.Split(strings.TrimRight(line, "\n"), "\t")) {
				return
			}
		}
	}
}

func oidOf(s string) types.OID {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		panic("builtin: the embedded tables hold no OID in " + strconv.Quote(s))
	}
	return types.OID(n)
}

func oidsOf(s string) []types.OID {
	var out []types.OID
	for word := range strings.FieldsSeq(s) {
		out = append(out, oidOf(word))
	}
	return out
}

// addFunc takes a row of procs.tsv: oid, name, kind, strict, volatility, set, variadic,
// result, arguments, names, all arguments, modes, defaults.
func (t *table) addFunc(f []string) {
	fn := &Func{
		OID: oidOf(f[0]), Name: f[1], Kind: f[2][0], Strict: f[3] == "t", Volatility: f[4][0], SRF: f[5] == "t",
		Variadic: f[6] != "0", Ret: oidOf(f[7]), Args: oidsOf(f[8]), ArgNames: strings.Fields(f[9]),
	}
	all, modes := oidsOf(f[10]), strings.Fields(f[11])
	for i, mode := range modes {
		if mode != "i" && mode != "v" && i < len(fn.ArgNames) {
			fn.Columns = append(fn.Columns, Column{fn.ArgNames[i], all[i]})
		}
	}
	if f[12] != "" {
		fn.Defaults = defaultsOf(f[12], fn.Args)
	}
	t.funcs = append(t.funcs, fn)
	t.byOID[fn.OID] = fn
	t.byName[fn.Name] = append(t.byName[fn.Name], fn)
}

// defaultsOf reads the constants that are the defaults of the last arguments.
func defaultsOf(text string, args []types.OID) []types.Value {
	parts := strings.Split(text, ", ")
	out := make([]types.Value, len(parts))
	for i, part := range parts {
		part, _, _ = strings.Cut(part, "::")
		v, err := types.ParseText(types.T(args[len(args)-len(parts)+i]), strings.Trim(part, "'"), nil)
		if err != nil {
			panic("builtin: default " + part + ": " + err.Error())
		}
		out[i] = v
	}
	return out
}

// addOperator takes a row of operators.tsv: oid, name, left, right, result, function,
// commutator, negator, merges, hashes.
func (t *table) addOperator(f []string) {
	op := &Operator{
		OID: oidOf(f[0]), Name: f[1], Left: oidOf(f[2]), Right: oidOf(f[3]), Ret: oidOf(f[4]), Fn: t.byOID[oidOf(f[5])],
		Commutator: f[6], Negator: f[7], CanMerge: f[8] == "t", CanHash: f[9] == "t",
	}
	t.operators = append(t.operators, op)
	t.operatorByOID[op.OID] = op
	t.operatorByName[op.Name] = append(t.operatorByName[op.Name], op)
}

// addCast takes a row of casts.tsv: source, target, function, context, method.
func (t *table) addCast(f []string) {
	c := &Cast{From: oidOf(f[0]), To: oidOf(f[1]), Context: f[3][0]}
	if f[4] != "b" || signChanges(c.From, c.To) {
		c.Eval = converter(c.From, c.To)
	}
	if fn := oidOf(f[2]); fn != 0 {
		c.Fn = t.byOID[fn]
	}
	t.casts[[2]types.OID{c.From, c.To}] = c
	t.castAll = append(t.castAll, c)
}

// signature writes a function as the maps of implementations name it: name(type,type).
func signature(fn *Func) string {
	var b strings.Builder
	b.WriteString(fn.Name)
	b.WriteByte('(')
	for i, arg := range fn.Args {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(types.Lookup(arg).Name)
	}
	b.WriteByte(')')
	return b.String()
}

// bind gives every function of the table what computes it: by its signature, else by its name.
func (t *table) bind() {
	evals, sets, aggs, rets := implementations()
	typed := typedFuncs()
	for _, fn := range t.funcs {
		sig := signature(fn)
		if fn.Kind == 'a' {
			if agg := pick(aggs, sig, fn.Name); agg != nil {
				t.aggregates[fn.OID] = agg(fn)
			}
			fn.RetType = rets[sig]
			continue
		}
		if fn.SRF {
			fn.EvalSet = pick(sets, sig, fn.Name)
		} else if fn.Kind == 'f' {
			fn.Eval = pick(evals, sig, fn.Name)
			fn.typed = pick(typed, sig, fn.Name)
			if fn.Eval == nil {
				fn.Eval = castFunc(fn)
			}
		}
		fn.RetType = pick(rets, sig, fn.Name)
	}
}

func pick[F any](m map[string]F, signature, name string) F {
	if f, ok := m[signature]; ok {
		return f
	}
	return m[name]
}

// Supported tells whether the function can be called.
func (f *Func) Supported() bool {
	switch f.Kind {
	case 'a':
		return builtins().aggregates[f.OID] != nil
	case 'w':
		return true
	}
	return f.Eval != nil || f.EvalSet != nil || f.typed != nil
}

// Funcs gives all functions, supported or not, in the order of their OIDs; read only.
func Funcs() []*Func { return builtins().funcs }

// FuncByOID finds a function; nil if there is none.
func FuncByOID(oid types.OID) *Func { return builtins().byOID[oid] }

// FuncsByName finds the overloads of a function; read only.
func FuncsByName(name string) []*Func { return builtins().byName[name] }

// Operators gives all operators in the order of their OIDs; read only.
func Operators() []*Operator { return builtins().operators }

// OperatorByOID finds an operator; nil if there is none.
func OperatorByOID(oid types.OID) *Operator { return builtins().operatorByOID[oid] }

// Casts gives the rows of pg_cast; read only.
func Casts() []*Cast { return builtins().castAll }

// AggregateOf finds what computes an aggregate function; nil if it is not supported.
func AggregateOf(oid types.OID) *Aggregate { return builtins().aggregates[oid] }
