package plan

import "slices"

// mapArgs gives e with f applied to each direct argument; e itself when none changed.
// The plan inside a SubPlan is left alone: only its Args belong to the level of e.
func mapArgs(e Expr, f func(Expr) Expr) Expr {
	switch e := e.(type) {
	case *Call:
		if args, ok := mapList(e.Args, f); ok {
			return &Call{e.Fn, e.Op, args, e.Typ}
		}
	case *And:
		if args, ok := mapList(e.Args, f); ok {
			return &And{args}
		}
	case *Or:
		if args, ok := mapList(e.Args, f); ok {
			return &Or{args}
		}
	case *Not:
		if arg := f(e.Arg); arg != e.Arg {
			return &Not{arg}
		}
	case *IsNull:
		if arg := f(e.Arg); arg != e.Arg {
			return &IsNull{arg, e.Not}
		}
	case *BoolTest:
		if arg := f(e.Arg); arg != e.Arg {
			return &BoolTest{arg, e.Test, e.Not}
		}
	case *IsDistinct:
		if l, r := f(e.Left), f(e.Right); l != e.Left || r != e.Right {
			return &IsDistinct{l, r, e.Eq, e.Not}
		}
	case *Coalesce:
		if args, ok := mapList(e.Args, f); ok {
			return &Coalesce{args, e.Typ}
		}
	case *MinMax:
		if args, ok := mapList(e.Args, f); ok {
			return &MinMax{e.Least, args, e.Typ}
		}
	case *NullIf:
		if l, r := f(e.Left), f(e.Right); l != e.Left || r != e.Right {
			return &NullIf{l, r, e.Eq}
		}
	case *AnyAll:
		if l, a := f(e.Left), f(e.Array); l != e.Left || a != e.Array {
			return &AnyAll{e.Op, e.Fn, e.All, l, a}
		}
	case *Cast:
		if arg := f(e.Arg); arg != e.Arg {
			return &Cast{arg, e.Typ, e.Explicit}
		}
	case *ArrayExpr:
		if elems, ok := mapList(e.Elems, f); ok {
			return &ArrayExpr{elems, e.Nested, e.Typ}
		}
	case *Row:
		if fields, ok := mapList(e.Fields, f); ok {
			return &Row{fields, e.Names, e.Typ, e.Named, e.OrNull}
		}
	case *Field:
		if arg := f(e.Arg); arg != e.Arg {
			return &Field{arg, e.Index, e.Name, e.Typ}
		}
	case *Case, *Subscript, *SubPlan:
		return mapWide(e, f)
	}
	return e
}

// mapWide is mapArgs for the expressions with arguments of several sorts.
func mapWide(e Expr, f func(Expr) Expr) Expr {
	optional := func(x Expr) Expr {
		if x == nil {
			return nil
		}
		return f(x)
	}
	switch e := e.(type) {
	case *Case:
		c := &Case{Whens: slices.Clone(e.Whens), Else: optional(e.Else), Typ: e.Typ}
		for i, w := range c.Whens {
			c.Whens[i] = When{f(w.Cond), f(w.Result)}
		}
		return c
	case *Subscript:
		c := &Subscript{Arg: f(e.Arg), Index: slices.Clone(e.Index), Typ: e.Typ}
		for i, x := range c.Index {
			c.Index[i] = SubscriptIndex{x.Slice, optional(x.Low), optional(x.High)}
		}
		return c
	case *SubPlan:
		c := *e
		c.Args, _ = mapList(e.Args, f)
		c.Left, _ = mapList(e.Left, f)
		return &c
	}
	return e
}

// mapList applies f to each element; changed tells whether any differs.
func mapList(list []Expr, f func(Expr) Expr) (out []Expr, changed bool) {
	out = list
	for i, x := range list {
		y := f(x)
		if y == x {
			continue
		}
		if !changed {
			out, changed = slices.Clone(list), true
		}
		out[i] = y
	}
	return out, changed
}

// Map rewrites an expression top down: where f gives a replacement and true, that
// stands, elsewhere Map goes on with the arguments.
func Map(e Expr, f func(Expr) (Expr, bool)) Expr {
	if e == nil {
		return nil
	}
	if r, ok := f(e); ok {
		return r
	}
	return mapArgs(e, func(x Expr) Expr { return Map(x, f) })
}

// Walk visits e and its arguments top down while f gives true. A SubPlan's Args and
// Left are visited, its plan is not.
func Walk(e Expr, f func(Expr) bool) {
	if e == nil || !f(e) {
		return
	}
	mapArgs(e, func(x Expr) Expr {
		Walk(x, f)
		return x
	})
}

// anyExpr tells whether f holds for e or an argument of it, at any depth.
func anyExpr(e Expr, f func(Expr) bool) bool {
	found := false
	Walk(e, func(x Expr) bool {
		found = found || f(x)
		return !found
	})
	return found
}

// shift moves the columns of an expression by n.
func shift(e Expr, n int) Expr {
	return remap(e, func(i int) int { return i + n })
}

// remap gives each column its new index.
func remap(e Expr, index func(int) int) Expr {
	return Map(e, func(x Expr) (Expr, bool) {
		if c, ok := x.(*Column); ok {
			return &Column{index(c.Index), c.Typ, c.Name}, true
		}
		return nil, false
	})
}

func remapAll(list []Expr, index func(int) int) []Expr {
	out, _ := mapList(list, func(e Expr) Expr { return remap(e, index) })
	return out
}

func remapKeys(keys []SortKey, index func(int) int) []SortKey {
	out := slices.Clone(keys)
	for i := range out {
		out[i].Expr = remap(out[i].Expr, index)
	}
	return out
}

// substitute puts expressions in the place of columns.
func substitute(e Expr, with []Expr) Expr {
	return Map(e, func(x Expr) (Expr, bool) {
		if c, ok := x.(*Column); ok {
			return with[c.Index], true
		}
		return nil, false
	})
}

// conjuncts splits a condition at AND; nil gives none.
func conjuncts(e Expr) []Expr {
	switch e := e.(type) {
	case nil:
		return nil
	case *And:
		var out []Expr
		for _, a := range e.Args {
			out = append(out, conjuncts(a)...)
		}
		return out
	}
	return []Expr{e}
}

// conjoin is the inverse of conjuncts.
func conjoin(list []Expr) Expr {
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return &And{list}
}

// columnsOf gives the set of input columns an expression reads.
func columnsOf(e Expr) map[int]bool {
	set := make(map[int]bool)
	Walk(e, func(x Expr) bool {
		if c, ok := x.(*Column); ok {
			set[c.Index] = true
		}
		return true
	})
	return set
}

// readsBetween tells whether every column that e reads lies in [low, high).
func readsBetween(e Expr, low, high int) bool {
	return !anyExpr(e, func(x Expr) bool {
		c, ok := x.(*Column)
		return ok && (c.Index < low || c.Index >= high)
	})
}

func readsColumn(e Expr) bool { return len(columnsOf(e)) > 0 }

func hasSubPlan(e Expr) bool {
	return anyExpr(e, func(x Expr) bool { _, ok := x.(*SubPlan); return ok })
}

func hasOuter(e Expr) bool {
	return anyExpr(e, func(x Expr) bool { _, ok := x.(*Outer); return ok })
}
