package pgcatalog

import (
	"github.com/heliosdb/helios/sql/catalog"
	"github.com/heliosdb/helios/types"
)

// Call answers the catalog functions without a method of their own.
func (l *lookup) Call(function string, args []types.Value) ([]types.Row, bool, error) {
	one := func(v types.Value) ([]types.Row, bool, error) { return []types.Row{{v}}, true, nil }
	switch function {
	case "pg_partition_ancestors", "pg_partition_tree":
		return nil, true, nil // no table is partitioned in PostgreSQL's sense
	case "pg_relation_is_publishable":
		r, ok := l.relationArg(args[0])
		return one(types.Bool(ok && r.Kind == catalog.KindTable && !r.Virtual))
	case "pg_sequence_last_value":
		if n, ok := l.view.node.LastValue(types.OID(args[0].AsInt())); ok {
			return one(types.Int(n))
		}
		return one(types.Null)
	case "pg_sequence_parameters":
		r, ok := l.relationArg(args[0])
		if !ok || r.Sequence == nil {
			return nil, true, types.Errorf("42P01", "sequence %s does not exist", types.ToText(types.T(types.OIDOID), args[0]))
		}
		s := r.Sequence
		return []types.Row{{
			types.Int(s.Start), types.Int(s.Min), types.Int(s.Max), types.Int(s.Increment), types.Bool(s.Cycle),
			types.Int(s.Cache), types.Int(int64(s.Type)),
		}}, true, nil
	}
	return l.relationCall(function, args)
}

// relationCall answers the functions about one relation.
func (l *lookup) relationCall(function string, args []types.Value) ([]types.Row, bool, error) {
	one := func(v types.Value) ([]types.Row, bool, error) { return []types.Row{{v}}, true, nil }
	switch function {
	case "acldefault":
		return one(l.view.defaultACL(byte(args[0].AsInt()), types.OID(args[1].AsInt())))
	case "pg_collation_actual_version", "pg_database_collation_actual_version", "pg_column_compression":
		return one(types.Null)
	case "pg_relation_filenode", "pg_relation_is_updatable", "pg_column_is_updatable", "pg_partition_root",
		"pg_get_replica_identity_index", "row_security_active":
	default:
		return nil, false, nil
	}
	r, ok := l.relationArg(args[0])
	if !ok {
		return one(types.Null)
	}
	updatable := r.Kind == catalog.KindTable && !r.Virtual
	switch function {
	case "pg_relation_filenode":
		return one(types.Int(int64(r.OID)))
	case "pg_relation_is_updatable":
		if updatable {
			return one(types.Int(4 | 8 | 16)) // UPDATE, INSERT, DELETE
		}
		return one(types.Int(0))
	case "pg_column_is_updatable":
		return one(types.Bool(updatable))
	case "row_security_active":
		return one(types.Bool(false))
	case "pg_get_replica_identity_index":
		if key := r.PrimaryKey; key != nil && !key.Hidden {
			return one(types.Int(int64(key.OID)))
		}
	}
	return one(types.Null)
}

// defaultACL is acldefault(): the privileges on an object whose list is empty. Kinds are
// PostgreSQL's letters.
func (v *View) defaultACL(kind byte, owner types.OID) types.Value {
	own := map[byte]string{'r': "arwdDxt", 's': "rwU", 'd': "CTc", 'f': "X", 'l': "U", 'n': "UC", 't': "C", 'T': "U", 'F': "U", 'S': "U", 'L': "rw"}
	public := map[byte]string{'d': "Tc", 'f': "X", 'l': "U", 'T': "U"}
	var items []string
	if p := public[kind]; p != "" {
		items = append(items, v.aclItem(catalog.Grant{Grantor: owner, Privileges: p}))
	}
	if p := own[kind]; p != "" {
		items = append(items, v.aclItem(catalog.Grant{Grantee: owner, Grantor: owner, Privileges: p}))
	}
	return arrayOf(types.ArrayOf(types.ACLItemOID), items, types.Text)
}
