package plan

import (
	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/types"
)

// fromFunction binds functions in FROM.
func (k *block) fromFunction(t *sql.FuncTable) (Node, *scope, error) {
	scan := &FuncScan{Ordinality: t.Ordinality}
	if t.Alias != nil {
		scan.Alias = t.Alias.Name
	}
	saved, savedClause := k.scope, k.clause
	k.scope, k.clause = &scope{}, clauseFrom
	defer func() { k.scope, k.clause = saved, savedClause }()
	for _, f := range spreadUnnest(t.Funcs) {
		x, name, err := k.tableFunction(f)
		if err != nil {
			return nil, nil, err
		}
		cols, err := k.functionCols(x, name, t)
		if err != nil {
			return nil, nil, errorAt(err, sql.At(f.Pos()))
		}
		if scan.Alias == "" {
			scan.Alias = name
		}
		scan.Funcs = append(scan.Funcs, x)
		scan.Widths = append(scan.Widths, len(cols))
		scan.Columns = append(scan.Columns, cols...)
	}
	scalar := len(scan.Columns) == 1 && len(scan.Funcs) == 1 && !namesColumns(scan.Funcs[0])
	if t.Ordinality {
		scan.Columns = append(scan.Columns, Col{Name: "ordinality", Type: types.T(types.Int8OID)})
	}
	sc := tableScope(scan.Alias, nil, scan.Columns)
	sc.tables[0].scalar = scalar && !t.Ordinality
	alias := t.Alias
	if alias != nil && scalar && len(alias.Columns) == 0 && len(t.Columns) == 0 {
		// A scalar function's column is called like its alias.
		alias = &sql.Alias{Name: alias.Name, Columns: []string{alias.Name}}
	}
	return k.aliased(scan, sc, nil, alias)
}

// spreadUnnest makes unnest(a, b) in FROM what it means: unnest(a) beside unnest(b).
func spreadUnnest(funcs []sql.Expr) []sql.Expr {
	var out []sql.Expr
	for _, f := range funcs {
		call, ok := f.(*sql.FuncCall)
		if name, system := "", false; ok {
			name, system = bareName(call.Name)
			ok = system && name == "unnest" && len(call.Args) > 1
		}
		if !ok {
			out = append(out, f)
			continue
		}
		for _, arg := range call.Args {
			out = append(out, &sql.FuncCall{Name: call.Name, Args: []sql.Expr{arg}, At: call.At})
		}
	}
	return out
}

// tableFunction binds one function of FROM and names it.
func (k *block) tableFunction(f sql.Expr) (Expr, string, error) {
	k.setOK = true
	x, err := k.exprAllowingSet(f)
	k.setOK = false
	if err != nil {
		return nil, "", err
	}
	return x, targetName(f), nil
}

// functionCols are the columns that a function in FROM gives.
func (k *block) functionCols(x Expr, name string, t *sql.FuncTable) ([]Col, error) {
	if call, ok := x.(*Call); ok {
		if cols := OutColumns(call); len(cols) > 0 {
			return cols, nil
		}
	}
	if len(t.Columns) > 0 {
		var cols []Col
		for _, d := range t.Columns {
			typ, err := k.b.typeName(d.Type)
			if err != nil {
				return nil, err
			}
			cols = append(cols, Col{Name: d.Name, Type: typ})
		}
		return cols, nil
	}
	if x.Type().OID == types.RecordOID {
		return nil, types.Errorf("42601", "a column definition list is required for functions returning \"record\"")
	}
	if call, ok := x.(*Call); ok && len(call.Fn.Columns) == 1 {
		name = call.Fn.Columns[0].Name
	}
	return []Col{{Name: name, Type: x.Type()}}, nil
}

// namesColumns tells a function that declares the names of its output columns.
func namesColumns(x Expr) bool {
	call, ok := x.(*Call)
	return ok && len(call.Fn.Columns) > 0
}
