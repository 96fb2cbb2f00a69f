package plan

import (
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
			if x.Name == o.Constraint && x.Unique && !x.Hidden {
				return []*catalog.Index{x}, nil
			}
		}
		return nil, types.Errorf("42704", "constraint %q for table %q does not exist", o.Constraint, rel.Name)
	}
	if len(o.Columns) == 0 {
		return nil, nil
	}
	wanted, err := k.inferred(o, rel)
	if err != nil {
		return nil, err
	}
	var out []*catalog.Index
	for _, x := range rel.AllIndexes() {
		if x.Unique && !x.Hidden && (x.Where == "" || o.Where != nil) && sameKeys(x, wanted) {
			out = append(out, x)
		}
	}
	if len(out) == 0 {
		return nil, types.Errorf("42P10", "there is no unique or exclusion constraint matching the ON CONFLICT specification")
	}
	return out, nil
}

// inferred gives the columns of an inference clause, and expressions as their text.
func (k *block) inferred(o *sql.OnConflict, rel *catalog.Relation) (map[string]bool, error) {
	wanted := make(map[string]bool)
	in := k.b.topBlock()
	in.scope = relationScope(rel, rel.Name)
	for _, e := range o.Columns {
		x, err := in.expr(e)
		if err != nil {
			return nil, err
		}
		if c, ok := x.(*Column); ok {
			wanted["#"+itoa(c.Index+1)] = true
		} else {
			wanted[Key(x)] = true
		}
	}
	return wanted, nil
}

func sameKeys(x *catalog.Index, wanted map[string]bool) bool {
	keys := make(map[string]bool)
	for _, key := range x.Keys {
		if key.Column == 0 {
			return false // an expression index is no arbiter by inference
		}
		keys["#"+itoa(int(key.Column))] = true
	}
	return len(keys) == len(wanted) && !slices.ContainsFunc(x.Keys, func(key catalog.IndexKey) bool {
		return !wanted["#"+itoa(int(key.Column))]
	})
}
