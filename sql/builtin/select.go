package builtin

import (
	"slices"

	"github.com/heliosdb/helios/types"
)

// category is a type's class in resolution; 'X' for unknown and unlisted types.
func category(oid types.OID) byte {
	if info := types.Lookup(oid); info != nil {
		return info.Category
	}
	return 'X'
}

func preferred(oid types.OID) bool {
	info := types.Lookup(oid)
	return info != nil && info.Preferred
}

// selectBest is PostgreSQL's func_select_candidate: of parameter lists that all accept
// the arguments it gives the index of the best, -1 if there is none. It keeps those
// with the most exact matches, then with the most exact or preferred types, then those
// whose categories suit the untyped literals, then those that take the literals as the
// one known type.
func selectBest(args []types.OID, params [][]types.OID) int {
	left := make([]int, len(params))
	for i := range left {
		left[i] = i
	}
	left = keepMost(left, func(c int) int {
		n := 0
		for i, arg := range args {
			if arg != types.UnknownOID && params[c][i] == arg {
				n++
			}
		}
		return n
	})
	if len(left) == 1 {
		return left[0]
	}
	left = keepMost(left, func(c int) int {
		n := 0
		for i, arg := range args {
			p := params[c][i]
			if arg != types.UnknownOID && (p == arg || preferred(p) && category(p) == category(arg)) {
				n++
			}
		}
		return n
	})
	if len(left) == 1 {
		return left[0]
	}
	if !slices.Contains(args, types.UnknownOID) {
		return -1
	}
	if left = keepSuitingUnknown(args, params, left); len(left) == 1 {
		return left[0]
	}
	return lastGasp(args, params, left)
}

// keepMost keeps the candidates of the highest score.
func keepMost(left []int, score func(int) int) []int {
	best, out := -1, []int(nil)
	for _, c := range left {
		switch s := score(c); {
		case s > best:
			best, out = s, []int{c}
		case s == best:
			out = append(out, c)
		}
	}
	return out
}

// keepSuitingUnknown chooses a category for each untyped literal, string if any
// candidate takes one, and keeps the candidates that have it (and its preferred type,
// if one of them does). Without a common category for every literal it keeps all.
func keepSuitingUnknown(args []types.OID, params [][]types.OID, left []int) []int {
	want := make([]byte, len(args))
	wantPreferred := make([]bool, len(args))
	for i, arg := range args {
		if arg != types.UnknownOID {
			continue
		}
		same := true
		for n, c := range left {
			p := params[c][i]
			switch cat := category(p); {
			case n == 0 || cat == 'S' && want[i] != 'S':
				same = n == 0 || cat == 'S'
				want[i], wantPreferred[i] = cat, preferred(p)
			case cat == want[i]:
				wantPreferred[i] = wantPreferred[i] || preferred(p)
			case want[i] != 'S':
				same = false
			}
		}
		if !same {
			return left
		}
	}
	var out []int
	for _, c := range left {
		keep := true
		for i, arg := range args {
			if p := params[c][i]; arg == types.UnknownOID && (category(p) != want[i] || wantPreferred[i] && !preferred(p)) {
				keep = false
			}
		}
		if keep {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return left
	}
	return out
}

// lastGasp takes all literals to be of the one known type, if that singles one out.
func lastGasp(args []types.OID, params [][]types.OID, left []int) int {
	known := types.UnknownOID
	for _, arg := range args {
		if arg == types.UnknownOID || arg == known {
			continue
		}
		if known != types.UnknownOID {
			return -1
		}
		known = arg
	}
	if known == types.UnknownOID {
		return -1
	}
	best := -1
	assumed := slices.Repeat([]types.OID{known}, len(args))
	for _, c := range left {
		if canCoerceAll(assumed, params[c]) {
			if best >= 0 {
				return -1
			}
			best = c
		}
	}
	return best
}

// ResolveOperator chooses an operator; left is 0 for a prefix operator. The returned
// call's Args are the types to which the operands must be cast. Errors: 42883, 42725,
// 42804, 0A000.
func ResolveOperator(name string, left, right types.OID) (*Operator, *Call, error) {
	args := []types.OID{left, right}
	if left == 0 {
		args = args[1:]
	}
	var found []*Operator
	var params [][]types.OID
	for _, op := range builtins().operatorByName[name] {
		if (op.Left == 0) != (left == 0) {
			continue
		}
		found = append(found, op)
		params = append(params, op.params())
	}
	best := exactOperator(args, params)
	if best < 0 {
		var err error
		if best, err = fittingOperator(name, args, params); err != nil {
			return nil, nil, err
		}
	}
	op := found[best]
	c := &candidate{fn: op.Fn, params: op.params()}
	if !op.Fn.Supported() {
		return nil, nil, unsupported("operator " + operatorSQL(name, c.params))
	}
	call, err := c.call(args)
	return op, call, err
}

func (op *Operator) params() []types.OID {
	if op.Left == 0 {
		return []types.OID{op.Right}
	}
	return []types.OID{op.Left, op.Right}
}

// exactOperator finds the operator of exactly these types, an untyped literal taken
// to be of the other side's type.
func exactOperator(args []types.OID, params [][]types.OID) int {
	want := slices.Clone(args)
	if len(want) == 2 {
		if want[0] == types.UnknownOID {
			want[0] = want[1]
		} else if want[1] == types.UnknownOID {
			want[1] = want[0]
		}
	}
	if slices.Contains(want, types.UnknownOID) {
		return -1
	}
	return slices.IndexFunc(params, func(p []types.OID) bool { return slices.Equal(p, want) })
}

func fittingOperator(name string, args []types.OID, params [][]types.OID) (int, error) {
	var fit []int
	var fitParams [][]types.OID
	for i, p := range params {
		if canCoerceAll(args, p) {
			fit, fitParams = append(fit, i), append(fitParams, p)
		}
	}
	switch len(fit) {
	case 1:
		return fit[0], nil
	case 0:
		e := types.Errorf("42883", "operator does not exist: %s", operatorSQL(name, args))
		if len(args) == 1 {
			return 0, e.WithHint("No operator matches the given name and argument type. You might need to add an explicit type cast.")
		}
		return 0, e.WithHint("No operator matches the given name and argument types. You might need to add explicit type casts.")
	}
	if best := selectBest(args, fitParams); best >= 0 {
		return fit[best], nil
	}
	return 0, types.Errorf("42725", "operator is not unique: %s", operatorSQL(name, args)).
		WithHint("Could not choose a best candidate operator. You might need to add explicit type casts.")
}

func operatorSQL(name string, args []types.OID) string {
	if len(args) == 1 {
		return name + " " + args[0].Name()
	}
	return args[0].Name() + " " + name + " " + args[1].Name()
}
