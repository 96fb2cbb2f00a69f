package sql

import (
	"reflect"
	"sync"
)

// Inspect calls f for node and, while f answers true, for every node below it, in the
// order of the fields: expressions, FROM items, statements, and the structs that hold
// them (*With, *CTE, *Target, *SortItem, *Window …), always as pointers. f must not
// replace nodes; Rewrite does.
func Inspect(node any, f func(node any) bool) {
	v := reflect.ValueOf(node)
	if v.IsValid() {
		inspect(v, f)
	}
}

func inspect(v reflect.Value, f func(any) bool) {
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			inspect(v.Elem(), f)
		}
	case reflect.Pointer:
		if v.IsNil() || v.Elem().Kind() != reflect.Struct || !f(v.Interface()) {
			return
		}
		for _, i := range nodeFields(v.Type().Elem()) {
			inspect(v.Elem().Field(i), f)
		}
	case reflect.Struct:
		if v.CanAddr() {
			inspect(v.Addr(), f)
			return
		}
		p := reflect.New(v.Type())
		p.Elem().Set(v)
		inspect(p, f)
	case reflect.Slice:
		for i := range v.Len() {
			inspect(v.Index(i), f)
		}
	}
}

// Rewrite gives a copy of e in which every expression, from the leaves up, those in
// subqueries included, is replaced by f of it. f may answer its argument.
func Rewrite(e Expr, f func(Expr) Expr) Expr {
	if e == nil {
		return nil
	}
	c := Clone(e)
	rewrite(reflect.ValueOf(&c).Elem(), f)
	return c
}

// RewriteStatement does the same to all expressions of a statement.
func RewriteStatement(s Statement, f func(Expr) Expr) Statement {
	if s == nil {
		return nil
	}
	c := Clone(s)
	rewrite(reflect.ValueOf(&c).Elem(), f)
	return c
}

var exprType = reflect.TypeFor[Expr]()

func rewrite(v reflect.Value, f func(Expr) Expr) {
	switch v.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		rewrite(v.Elem(), f)
		if v.Type() == exprType {
			v.Set(reflect.ValueOf(f(v.Interface().(Expr))))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			rewrite(v.Elem(), f)
		}
	case reflect.Struct:
		for _, i := range nodeFields(v.Type()) {
			rewrite(v.Field(i), f)
		}
	case reflect.Slice:
		for i := range v.Len() {
			rewrite(v.Index(i), f)
		}
	}
}

// Clone gives a deep copy of a node.
func Clone[T any](node T) T {
	var out T
	clone(reflect.ValueOf(&out).Elem(), reflect.ValueOf(&node).Elem())
	return out
}

func clone(dst, src reflect.Value) {
	switch src.Kind() {
	case reflect.Interface:
		if !src.IsNil() {
			c := reflect.New(src.Elem().Type()).Elem()
			clone(c, src.Elem())
			dst.Set(c)
		}
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(src.Type().Elem()))
			clone(dst.Elem(), src.Elem())
		}
	case reflect.Struct:
		dst.Set(src)
		for _, i := range heapFields(src.Type()) {
			dst.Field(i).SetZero()
			clone(dst.Field(i), src.Field(i))
		}
	case reflect.Slice:
		if !src.IsNil() {
			dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
			for i := range src.Len() {
				clone(dst.Index(i), src.Index(i))
			}
		}
	default:
		dst.Set(src)
	}
}

// Equal tells whether two nodes are the same tree; positions do not count, and an
// empty list equals an absent one.
func Equal(a, b any) bool {
	return equal(reflect.ValueOf(a), reflect.ValueOf(b))
}

var atType = reflect.TypeFor[At]()

func equal(a, b reflect.Value) bool {
	if !a.IsValid() || !b.IsValid() {
		return a.IsValid() == b.IsValid()
	}
	if a.Type() != b.Type() {
		return false
	}
	switch a.Kind() {
	case reflect.Interface, reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return equal(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if a.Type().Field(i).Type != atType && !equal(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !equal(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	}
	return a.Equal(b)
}

// shape says which fields of a struct type can hold nodes and which point to memory.
type shape struct{ nodes, heap []int }

var shapes sync.Map // reflect.Type to shape

func nodeFields(t reflect.Type) []int { return shapeOf(t).nodes }
func heapFields(t reflect.Type) []int { return shapeOf(t).heap }

func shapeOf(t reflect.Type) shape {
	if s, ok := shapes.Load(t); ok {
		return s.(shape)
	}
	var s shape
	for i := range t.NumField() {
		ft := t.Field(i).Type
		if holdsNode(ft) {
			s.nodes = append(s.nodes, i)
		}
		switch ft.Kind() {
		case reflect.Interface, reflect.Pointer, reflect.Slice, reflect.Struct:
			s.heap = append(s.heap, i)
		}
	}
	shapes.Store(t, s)
	return s
}

func holdsNode(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Interface, reflect.Struct:
		return true
	case reflect.Pointer, reflect.Slice:
		return holdsNode(t.Elem())
	}
	return false
}
