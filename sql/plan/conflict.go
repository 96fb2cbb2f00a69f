package plan

import (
	"maps"
	"slices"

	"github.com/heliosdb/helios/sql"
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// onConflict binds ON CONFLICT. DO UPDATE is over existing row ++ excluded row.
func (k *block) onConflict(o *sql.OnConflict, rel *catalog.Relation, alias string) (*OnConflict, error) {
	if o == nil {
		return nil, nil
	}
	out := &OnConflict{DoUpdate: o.DoUpdate}
	var err error
	if out.Arbiters, err = k.arbiters(o, rel); err != nil {
		return nil, err
	}
	if !o.DoUpdate {
		return out, nil
	}
	if len(out.Arbiters) == 0 {
		return nil, types.Errorf("42601", "ON CONFLICT DO UPDATE requires inference specification or constraint name").
			WithHint("For example, ON CONFLICT (column_name).")
	}
	existing := relationScope(rel, alias)
	existing.width = len(rel.Columns)
	excluded := relationScope(rel, "excluded")
	excluded.tables[0].system = nil
	if k.scope, err = existing.beside(excluded); err != nil {
		return nil, err
	}
	existing.tables[0].system = nil
	// A bare name means the existing row.
	k.scope.visible = existing.visible
	k.clause = clauseSet
	if out.Set, err = k.assignments(o.Set, rel); err != nil {
		return nil, err
	}
	if o.SetWhere != nil {
		k.clause = clauseWhere
		if out.Where, err = k.condition(o.SetWhere, "WHERE"); err != nil {
			return nil, err
		}
	}
	out.Checks, err = k.checks(rel)
	return out, err
}

// arbiters finds the unique indexes that an inference or a constraint name means.
func (k *block) arbiters(o *sql.OnConflict, rel *catalog.Relation) ([]*catalog.Index, error) {
	if o.Constraint != "" {
		for _, x := range rel.AllIndexes() {
			if x.Name == o.Constraint && x.Constraint && x.Unique && !x.Hidden {
				return []*catalog.Index{x}, nil
			}
		}
		return nil, types.Errorf("42704", "constraint %q for table %q does not exist", o.Constraint, rel.Name)
	}
	if len(o.Columns) == 0 {
		return nil, nil
	}
	in := k.b.topBlock()
	in.scope = relationScope(rel, rel.Name)
	wanted, expressions, err := in.inferred(o)
	if err != nil {
		return nil, err
	}
	given, err := in.predicate(o.Where)
	if err != nil {
		return nil, err
	}
	var out []*catalog.Index
	for _, x := range rel.AllIndexes() {
		if !x.Unique || x.Hidden {
			continue
		}
		if expressions && slices.ContainsFunc(x.Keys, func(key catalog.IndexKey) bool { return key.Column == 0 }) {
			return nil, types.Errorf("0A000", "ON CONFLICT cannot name an expression of a unique index").
				WithHint("ON CONFLICT DO NOTHING without a conflict target minds all unique indexes.")
		}
		needed, err := in.predicate(x.WhereExpr())
		if err != nil {
			return nil, err
		}
		if sameKeys(x, wanted) && !slices.ContainsFunc(needed, func(key string) bool { return !slices.Contains(given, key) }) {
			out = append(out, x)
		}
	}
	if len(out) == 0 {
		return nil, types.Errorf("42P10", "there is no unique or exclusion constraint matching the ON CONFLICT specification")
	}
	return out, nil
}

// inferred gives the columns of an inference clause, and whether it has expressions.
func (k *block) inferred(o *sql.OnConflict) (wanted map[int16]bool, expressions bool, err error) {
	wanted = make(map[int16]bool)
	for _, e := range o.Columns {
		x, err := k.expr(e)
		if err != nil {
			return nil, false, err
		}
		if c, ok := x.(*Column); ok {
			wanted[int16(c.Index+1)] = true
		} else {
			wanted[0], expressions = true, true
		}
	}
	return wanted, expressions, nil
}

// predicate gives the keys of a condition's parts. One implies another when it has all
// its parts: less than PostgreSQL sees, which knows that a > 1 implies a > 0.
func (k *block) predicate(e sql.Expr) ([]string, error) {
	if e == nil {
		return nil, nil
	}
	cond, err := k.condition(e, "WHERE")
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, c := range conjuncts(k.b.fold(cond)) {
		keys = append(keys, Key(c))
	}
	return keys, nil
}

// sameKeys tells whether an index is on these columns and nothing else.
func sameKeys(x *catalog.Index, wanted map[int16]bool) bool {
	keys := make(map[int16]bool)
	for _, key := range x.Keys {
		keys[key.Column] = true
	}
	return !wanted[0] && maps.Equal(keys, wanted)
}
