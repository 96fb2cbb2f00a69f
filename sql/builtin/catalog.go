package builtin

import (
	"iter"
	"strings"

	"github.com/heliosdb/helios/types"
)

// noCatalog is the answer where the statement brought no catalog.
func noCatalog(function string) error {
	return unsupported("function " + function + " without a catalog")
}

// typeName prints a type as format_type does, the catalog's own types included.
func (c *Context) typeName(t types.Type) string {
	if name := types.FormatType(t); name != "???" {
		return name
	}
	if c.Catalog != nil {
		if name, ok := c.Catalog.Name(ClassType, t.OID); ok {
			return name
		}
	}
	return "???"
}

// catalogFuncs ask the statement's catalog.
func catalogFuncs() map[string]evalFunc {
	m := namingFuncs()
	for name, class := range map[string]string{
		"pg_table_is_visible": ClassRelation, "pg_type_is_visible": ClassType, "pg_function_is_visible": ClassFunction,
		"pg_operator_is_visible": ClassOperator, "pg_collation_is_visible": ClassCollation,
		"pg_conversion_is_visible": "pg_conversion", "pg_opclass_is_visible": "pg_opclass", "pg_opfamily_is_visible": "pg_opfamily",
		"pg_statistics_obj_is_visible": "pg_statistic_ext", "pg_ts_config_is_visible": "pg_ts_config",
		"pg_ts_dict_is_visible": "pg_ts_dict", "pg_ts_parser_is_visible": "pg_ts_parser", "pg_ts_template_is_visible": "pg_ts_template",
	} {
		m[name] = visible(class)
	}
	for name, oid := range map[string]types.OID{
		"to_regclass": types.RegclassOID, "to_regtype": types.RegtypeOID, "to_regproc": types.RegprocOID,
		"to_regprocedure": types.RegprocedureOID, "to_regoper": types.RegoperOID, "to_regoperator": types.RegoperatorOID,
		"to_regnamespace": types.RegnamespaceOID, "to_regrole": types.RegroleOID, "to_regcollation": types.RegcollationOID,
	} {
		m[name] = toReg(oid)
	}
	for _, name := range []string{
		"pg_get_expr", "pg_get_indexdef", "pg_get_constraintdef", "pg_get_viewdef", "pg_get_functiondef", "pg_get_function_arguments",
		"pg_get_function_identity_arguments", "pg_get_function_result", "pg_get_function_sqlbody", "pg_get_function_arg_default",
		"pg_get_triggerdef", "pg_get_ruledef", "pg_get_partkeydef", "pg_get_partition_constraintdef", "pg_get_serial_sequence",
		"pg_get_statisticsobjdef", "pg_get_statisticsobjdef_columns", "pg_describe_object", "pg_tablespace_location", "pg_relation_filepath",
	} {
		m[name] = definition(name)
	}
	for _, name := range []string{
		"pg_relation_size", "pg_table_size", "pg_indexes_size", "pg_total_relation_size", "pg_database_size", "pg_tablespace_size",
	} {
		m[name] = sizeOf(name)
	}
	for name, class := range map[string]string{
		"has_table_privilege": ClassRelation, "has_sequence_privilege": "pg_sequence", "has_schema_privilege": ClassNamespace,
		"has_database_privilege": ClassDatabase, "has_function_privilege": ClassFunction, "has_type_privilege": ClassType,
		"has_language_privilege": "pg_language", "has_tablespace_privilege": "pg_tablespace", "has_any_column_privilege": "pg_attribute",
		"has_column_privilege": "pg_attribute", "pg_has_role": ClassRole, "has_server_privilege": "pg_foreign_server",
		"has_foreign_data_wrapper_privilege": "pg_foreign_data_wrapper", "has_parameter_privilege": "pg_parameter_acl",
	} {
		bindPrivilege(m, name, class)
	}
	for _, name := range catalogCalls {
		m[name] = catalogCall(name)
	}
	return m
}

// namingFuncs name and describe objects.
func namingFuncs() map[string]evalFunc {
	return map[string]evalFunc{
		"format_type": func(ctx *Context, a []types.Value) (types.Value, error) {
			if a[0].IsNull() {
				return types.Null, nil
			}
			t := types.T(types.OID(a[0].AsInt()))
			if !a[1].IsNull() {
				t.Mod = int32(a[1].AsInt())
			} else if t.OID == types.BPCharOID {
				return types.Text("character"), nil
			}
			return types.Text(ctx.typeName(t)), nil
		},
		"pg_get_userbyid": func(ctx *Context, a []types.Value) (types.Value, error) {
			if ctx.Catalog != nil {
				if name, ok := ctx.Catalog.Name(ClassRole, types.OID(a[0].AsInt())); ok {
					return types.Text(strings.Trim(name, `"`)), nil
				}
			}
			return types.Text("unknown (OID=" + intText(a[0].AsInt()) + ")"), nil
		},
		"obj_description(oid,name)": func(ctx *Context, a []types.Value) (types.Value, error) {
			return comment(ctx, a[1].AsText(), a[0], 0)
		},
		"obj_description(oid)": func(ctx *Context, a []types.Value) (types.Value, error) { return comment(ctx, "", a[0], 0) },
		"shobj_description": func(ctx *Context, a []types.Value) (types.Value, error) {
			return comment(ctx, a[1].AsText(), a[0], 0)
		},
		"col_description": func(ctx *Context, a []types.Value) (types.Value, error) {
			return comment(ctx, ClassRelation, a[0], int(a[1].AsInt()))
		},
	}
}

// catalogCalls are answered by Catalog.Call.
var catalogCalls = []string{
	"acldefault", "pg_relation_is_publishable", "pg_relation_is_updatable", "pg_column_is_updatable", "pg_relation_filenode",
	"pg_filenode_relation", "pg_sequence_last_value", "pg_index_column_has_property", "pg_index_has_property",
	"pg_indexam_has_property", "pg_cancel_backend", "pg_terminate_backend", "pg_reload_conf", "pg_collation_actual_version",
	"pg_database_collation_actual_version", "pg_partition_root", "pg_get_replica_identity_index", "row_security_active",
	"pg_advisory_lock", "pg_advisory_lock_shared", "pg_advisory_unlock", "pg_advisory_unlock_shared", "pg_advisory_unlock_all",
	"pg_advisory_xact_lock", "pg_advisory_xact_lock_shared", "pg_try_advisory_lock", "pg_try_advisory_lock_shared",
	"pg_try_advisory_xact_lock", "pg_try_advisory_xact_lock_shared", "pg_notify", "pg_current_wal_lsn", "pg_current_wal_flush_lsn",
	"pg_current_wal_insert_lsn", "pg_last_wal_receive_lsn", "pg_last_wal_replay_lsn", "pg_last_xact_replay_timestamp",
	"pg_is_wal_replay_paused", "txid_current", "txid_current_if_assigned", "pg_current_xact_id", "pg_current_xact_id_if_assigned",
	"pg_export_snapshot", "current_query", "pg_blocking_pids", "pg_column_compression", "pg_promote",
}

func comment(ctx *Context, class string, object types.Value, sub int) (types.Value, error) {
	if ctx.Catalog == nil {
		return types.Null, nil
	}
	text, ok := ctx.Catalog.Comment(class, types.OID(object.AsInt()), sub)
	if !ok {
		return types.Null, nil
	}
	return types.Text(text), nil
}

func visible(class string) evalFunc {
	return func(ctx *Context, a []types.Value) (types.Value, error) {
		oid := types.OID(a[0].AsInt())
		switch {
		case class == ClassType && types.Lookup(oid) != nil,
			class == ClassFunction && FuncByOID(oid) != nil,
			class == ClassOperator && OperatorByOID(oid) != nil:
			return types.Bool(true), nil
		case ctx.Catalog == nil:
			return types.Null, nil
		}
		is, ok := ctx.Catalog.Visible(class, oid)
		if !ok {
			return types.Null, nil
		}
		return types.Bool(is), nil
	}
}

// toReg is to_regclass and its kin: NULL instead of an error.
func toReg(oid types.OID) evalFunc {
	return func(ctx *Context, a []types.Value) (types.Value, error) {
		v, err := ctx.Input(types.T(oid), a[0].AsText())
		if err != nil {
			switch types.CodeOf(err) {
			case "42P01", "42704", "42883", "3F000", "42725":
				return types.Null, nil
			}
		}
		return v, err
	}
}

func definition(name string) evalFunc {
	return func(ctx *Context, a []types.Value) (types.Value, error) {
		if ctx.Catalog == nil {
			return types.Null, noCatalog(name)
		}
		text, ok, err := ctx.Catalog.Definition(name, a)
		if err != nil || !ok {
			return types.Null, err
		}
		return types.Text(text), nil
	}
}

func sizeOf(name string) evalFunc {
	return func(ctx *Context, a []types.Value) (types.Value, error) {
		if ctx.Catalog == nil {
			return types.Null, noCatalog(name)
		}
		bytes, ok, err := ctx.Catalog.Size(name, a)
		if err != nil || !ok {
			return types.Null, err
		}
		return types.Int(bytes), nil
	}
}

// bindPrivilege binds the overloads of a has_…_privilege function: role (name or OID)
// or none, object, for columns the column, and the privilege.
func bindPrivilege(m map[string]evalFunc, name, class string) {
	column := name == "has_column_privilege"
	m[name] = func(ctx *Context, a []types.Value) (types.Value, error) {
		if ctx.Catalog == nil {
			return types.Null, noCatalog(name)
		}
		want := 2
		if column {
			want = 3
		}
		role := ""
		if len(a) > want {
			role, a = roleText(a[0]), a[1:]
		}
		privilege, sub, object := a[len(a)-1].AsText(), 0, types.Null
		switch {
		case len(a) > 1:
			object = a[0]
		case class == ClassRole: // pg_has_role always names the role it asks about
			object = types.Null
		}
		if column {
			if a[1].Kind() == types.KindInt {
				sub = int(a[1].AsInt())
			} else {
				object = types.RecordOf([]types.Value{a[0], a[1]}, []types.Type{types.T(types.TextOID), types.T(types.TextOID)})
			}
		}
		has, ok, err := ctx.Catalog.HasPrivilege(class, role, object, sub, privilege)
		if err != nil || !ok {
			return types.Null, err
		}
		return types.Bool(has), nil
	}
}

// roleText names a role given by name or by OID (as its number).
func roleText(v types.Value) string {
	if v.Kind() == types.KindInt {
		return intText(v.AsInt())
	}
	return v.AsText()
}

func catalogCall(name string) evalFunc {
	return func(ctx *Context, a []types.Value) (types.Value, error) {
		rows, err := callCatalog(ctx, name, a)
		if err != nil || len(rows) == 0 || len(rows[0]) == 0 {
			return types.Null, err
		}
		return rows[0][0], nil
	}
}

func callCatalog(ctx *Context, name string, a []types.Value) ([]types.Row, error) {
	if ctx.Catalog == nil {
		return nil, noCatalog(name)
	}
	rows, ok, err := ctx.Catalog.Call(name, a)
	if err == nil && !ok {
		err = unsupported("function " + name)
	}
	return rows, err
}

// catalogSetFuncs are the set-returning ones.
func catalogSetFuncs() map[string]evalSetFunc {
	m := map[string]evalSetFunc{"pg_options_to_table": optionsToTable}
	for _, name := range []string{
		"pg_partition_ancestors", "pg_partition_tree", "pg_available_extensions", "pg_available_extension_versions",
		"pg_timezone_names", "pg_timezone_abbrevs", "pg_show_all_settings", "pg_lock_status", "pg_cursor", "pg_prepared_statement",
		"pg_prepared_xact", "pg_get_keywords", "pg_listening_channels", "aclexplode", "pg_sequence_parameters", "pg_get_publication_tables",
		"pg_tablespace_databases", "pg_hba_file_rules", "pg_ident_file_mappings", "pg_show_all_file_settings", "pg_config",
		"pg_extension_update_paths", "pg_get_catalog_foreign_keys", "pg_get_replication_slots",
	} {
		m[name] = func(ctx *Context, a []types.Value) (iter.Seq2[types.Row, error], error) {
			rows, err := callCatalog(ctx, name, a)
			return eachRow(rows), err
		}
	}
	return m
}

func eachRow(rows []types.Row) iter.Seq2[types.Row, error] {
	return func(yield func(types.Row, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// optionsToTable splits name=value texts.
func optionsToTable(_ *Context, a []types.Value) (iter.Seq2[types.Row, error], error) {
	var rows []types.Row
	for _, e := range a[0].AsArray().Elems {
		name, value, found := strings.Cut(e.AsText(), "=")
		row := types.Row{types.Text(name), types.Null}
		if found {
			row[1] = types.Text(value)
		}
		rows = append(rows, row)
	}
	return eachRow(rows), nil
}

// sequenceFuncs work on sequences, which the catalog keeps.
func sequenceFuncs() map[string]evalFunc {
	on := func(name string, f func(c Catalog, a []types.Value) (int64, error)) evalFunc {
		return func(ctx *Context, a []types.Value) (types.Value, error) {
			if ctx.Catalog == nil {
				return types.Null, noCatalog(name)
			}
			n, err := f(ctx.Catalog, a)
			return types.Int(n), err
		}
	}
	return map[string]evalFunc{
		"nextval": on("nextval", func(c Catalog, a []types.Value) (int64, error) { return c.Nextval(types.OID(a[0].AsInt())) }),
		"currval": on("currval", func(c Catalog, a []types.Value) (int64, error) { return c.Currval(types.OID(a[0].AsInt())) }),
		"lastval": on("lastval", func(c Catalog, _ []types.Value) (int64, error) { return c.Lastval() }),
		"setval": on("setval", func(c Catalog, a []types.Value) (int64, error) {
			return a[1].AsInt(), c.Setval(types.OID(a[0].AsInt()), a[1].AsInt(), len(a) < 3 || a[2].AsBool())
		}),
	}
}

// miscFuncs are the few that belong nowhere else.
func miscFuncs() map[string]evalFunc {
	nulls := func(want bool) evalFunc {
		return plain(func(a []types.Value) types.Value {
			n := int64(0)
			for _, v := range a {
				if v.IsNull() == want {
					n++
				}
			}
			return types.Int(n)
		})
	}
	return map[string]evalFunc{
		"num_nulls": nulls(true), "num_nonnulls": nulls(false),
		"parse_ident": parseIdent,
		"width_bucket(anycompatible,anycompatiblearray)": widthBucketArray,
		"pg_lsn_mi": func(_ *Context, a []types.Value) (types.Value, error) {
			d, err := subNumeric(unsigned(a[0]), unsigned(a[1]))
			return types.Numeric(d), err
		},
		"pg_collation_for": constant(types.Text(`"default"`)),
		"setseed":          func(*Context, []types.Value) (types.Value, error) { return types.Null, unsupported("function setseed") },
	}
}

// widthBucketArray gives how many of the sorted thresholds a value reaches.
func widthBucketArray(_ *Context, a []types.Value) (types.Value, error) {
	thresholds := a[1].AsArray()
	if len(thresholds.Dims) > 1 {
		return types.Null, types.Errorf("2202E", "thresholds must be one-dimensional array")
	}
	n := int64(0)
	for _, e := range thresholds.Elems {
		if e.IsNull() {
			return types.Null, types.Errorf("22004", "thresholds array must not contain NULLs")
		}
		if types.Compare(e, a[0]) <= 0 {
			n++
		}
	}
	return types.Int(n), nil
}
