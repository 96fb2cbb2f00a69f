package builtin

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/heliosdb/helios/types"
)

// TestResolve prints what a call resolves to. Lines are name(type, type) or
// type operator type.
func TestResolve(t *testing.T) {
	datadriven.RunTest(t, "testdata/resolve", func(t *testing.T, d *datadriven.TestData) string {
		var out strings.Builder
		for _, line := range strings.Split(d.Input, "\n") {
			out.WriteString(resolveLine(t, d.Cmd, line) + "\n")
		}
		return out.String()
	})
}

func resolveLine(t *testing.T, cmd, line string) string {
	show := func(err error) string {
		e := types.AsError(err)
		return "ERROR " + e.Code + ": " + e.Message
	}
	typeOf := func(name string) types.OID {
		typ, err := types.ParseTypeName(strings.TrimSpace(name))
		if err != nil {
			t.Fatal(err)
		}
		return typ.OID
	}
	var args []types.OID
	switch cmd {
	case "function":
		name, list, _ := cutArgs(line)
		for _, arg := range list {
			args = append(args, typeOf(arg))
		}
		call, err := Resolve(name, args)
		if err != nil {
			return show(err)
		}
		if call.CastTo != 0 {
			return "cast to " + call.CastTo.Name()
		}
		return signatureSQL(call.Func.Name, call.Args) + " → " + call.Ret.Name()
	case "operator":
		parts := strings.Split(line, ";")
		left := types.OID(0)
		if parts[0] != "" {
			left = typeOf(parts[0])
		}
		op, call, err := ResolveOperator(parts[1], left, typeOf(parts[2]))
		if err != nil {
			return show(err)
		}
		return operatorSQL(op.Name, call.Args) + " → " + call.Ret.Name()
	case "common":
		for _, arg := range strings.Split(line, ",") {
			args = append(args, typeOf(arg))
		}
		common, err := CommonType(args, "CASE")
		if err != nil {
			return show(err)
		}
		return common.Name()
	}
	return "unknown command " + cmd
}
