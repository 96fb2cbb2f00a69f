package builtin

import (
	"crypto/rand"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/apd/v3"

	"github.com/heliosdb/helios/types"
)

func systemFuncs() map[string]evalFunc {
	text := func(f func(ctx *Context) string) evalFunc {
		return func(ctx *Context, _ []types.Value) (types.Value, error) { return types.Text(f(ctx)), nil }
	}
	user := text(func(ctx *Context) string { return ctx.User })
	return map[string]evalFunc{
		"version":          text(func(ctx *Context) string { return ctx.Version }),
		"current_database": text(func(ctx *Context) string { return ctx.Database }),
		"current_user":     user, "getpgusername": user,
		"session_user": text(func(ctx *Context) string {
			if ctx.SessionUser != "" {
				return ctx.SessionUser
			}
			return ctx.User
		}),
		"current_schema":  currentSchema,
		"current_schemas": currentSchemas,
		"current_setting(text)": func(ctx *Context, a []types.Value) (types.Value, error) {
			return currentSetting(ctx, a[0].AsText(), false)
		},
		"current_setting(text,bool)": func(ctx *Context, a []types.Value) (types.Value, error) {
			return currentSetting(ctx, a[0].AsText(), a[1].AsBool())
		},
		"set_config":        setConfig,
		"pg_backend_pid":    func(ctx *Context, _ []types.Value) (types.Value, error) { return types.Int(int64(ctx.BackendPID)), nil },
		"pg_is_in_recovery": func(ctx *Context, _ []types.Value) (types.Value, error) { return types.Bool(ctx.InRecovery), nil },
		"pg_postmaster_start_time": func(ctx *Context, _ []types.Value) (types.Value, error) {
			return types.FromTime(ctx.Started), nil
		},
		"pg_conf_load_time":  func(ctx *Context, _ []types.Value) (types.Value, error) { return types.FromTime(ctx.Started), nil },
		"pg_client_encoding": constant(types.Text("UTF8")), "getdatabaseencoding": constant(types.Text("UTF8")),
		"pg_encoding_to_char": onInt(encodingName),
		"pg_char_to_encoding": onText(encodingNumber),
		"pg_encoding_max_length": onInt(func(n int64) (types.Value, error) {
			if n == utf8Encoding {
				return types.Int(4), nil
			}
			return types.Null, nil
		}),
		"pg_size_pretty(int8)": onInt(func(n int64) (types.Value, error) { return types.Text(sizePretty(n)), nil }),
		"pg_size_pretty(numeric)": func(_ *Context, a []types.Value) (types.Value, error) {
			n, err := types.TruncNumeric(a[0].AsNumeric(), 0).Int64()
			if err != nil {
				return types.Null, types.Errorf("22003", "bigint out of range")
			}
			return types.Text(sizePretty(n)), nil
		},
		"pg_size_bytes": onText(sizeBytes),
		"pg_sleep":      func(ctx *Context, a []types.Value) (types.Value, error) { return sleep(ctx, a[0].AsFloat()) },
		"pg_sleep_for": func(ctx *Context, a []types.Value) (types.Value, error) {
			return sleep(ctx, seconds(a[0].AsInterval()))
		},
		"pg_sleep_until": func(ctx *Context, a []types.Value) (types.Value, error) {
			return sleep(ctx, float64(a[0].AsInt()-types.FromTime(ctx.clock()).AsInt())/1e6)
		},
		"gen_random_uuid":   randomUUID,
		"pg_jit_available":  constant(types.Bool(false)),
		"pg_trigger_depth":  constant(types.Int(0)),
		"pg_my_temp_schema": constant(types.Int(0)), "pg_is_other_temp_schema": constant(types.Bool(false)),
		"inet_client_port": constant(types.Null), "inet_server_port": constant(types.Null),
	}
}

func currentSchema(ctx *Context, _ []types.Value) (types.Value, error) {
	for _, schema := range ctx.SearchPath {
		if exists(ctx, schema) {
			return types.Text(schema), nil
		}
	}
	return types.Null, nil
}

// exists tells whether a schema of the search path exists; without a catalog all do.
func exists(ctx *Context, schema string) bool {
	if ctx.Catalog == nil {
		return true
	}
	_, ok := ctx.Catalog.Lookup(ClassNamespace, QuoteIdent(schema))
	return ok
}

func currentSchemas(ctx *Context, a []types.Value) (types.Value, error) {
	var out []types.Value
	named := false
	for _, schema := range ctx.SearchPath {
		if exists(ctx, schema) {
			out = append(out, types.Text(schema))
			named = named || schema == "pg_catalog"
		}
	}
	if a[0].AsBool() && !named {
		out = append([]types.Value{types.Text("pg_catalog")}, out...)
	}
	return types.NewArray(types.NameOID, out), nil
}

func currentSetting(ctx *Context, name string, missingOK bool) (types.Value, error) {
	if ctx.Settings != nil {
		if value, ok := ctx.Settings(strings.ToLower(name)); ok {
			return types.Text(value), nil
		}
	}
	if missingOK {
		return types.Null, nil
	}
	return types.Null, types.Errorf("42704", "unrecognized configuration parameter \"%s\"", name)
}

func setConfig(ctx *Context, a []types.Value) (types.Value, error) {
	if a[0].IsNull() {
		return types.Null, types.Errorf("22004", "SET requires parameter name")
	}
	if ctx.SetSetting == nil {
		return types.Null, unsupported("set_config in this place")
	}
	value := ""
	if !a[1].IsNull() {
		value = a[1].AsText()
	}
	if err := ctx.SetSetting(strings.ToLower(a[0].AsText()), value, a[2].IsTrue()); err != nil {
		return types.Null, err
	}
	ctx.io = nil
	return currentSetting(ctx, a[0].AsText(), true)
}

// utf8Encoding is UTF8's number in PostgreSQL's pg_enc.
const utf8Encoding = 6

func encodingName(n int64) (types.Value, error) {
	switch n {
	case 0:
		return types.Text("SQL_ASCII"), nil
	case utf8Encoding:
		return types.Text("UTF8"), nil
	}
	return types.Text(""), nil
}

func encodingNumber(name string) (types.Value, error) {
	switch strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name)) {
	case "utf8", "unicode":
		return types.Int(utf8Encoding), nil
	case "sqlascii":
		return types.Int(0), nil
	}
	return types.Int(-1), nil
}

// sizePretty prints bytes with the greatest unit that keeps at least 10 (PostgreSQL's rule).
func sizePretty(n int64) string {
	const limit = 10 * 1024
	if n > -limit && n < limit {
		return strconv.FormatInt(n, 10) + " bytes"
	}
	// two steps of the unit are kept for rounding until the last
	half := func(n int64) int64 {
		if n < 0 {
			return (n - 1) / 2
		}
		return (n + 1) / 2
	}
	n >>= 9
	for i, unit := range []string{"kB", "MB", "GB", "TB", "PB"} {
		if n > -(2*limit-1) && n < 2*limit-1 || i == 4 {
			return strconv.FormatInt(half(n), 10) + " " + unit
		}
		n >>= 10
	}
	return ""
}

// sizeBytes reads "1.5 GB".
func sizeBytes(s string) (types.Value, error) {
	text := strings.TrimSpace(s)
	end := strings.LastIndexAny(text, "0123456789.") + 1
	number, unit := strings.TrimSpace(text[:end]), strings.ToLower(strings.TrimSpace(text[end:]))
	v, err := types.ParseNumeric(number)
	if err != nil {
		return types.Null, types.Errorf("22023", "invalid size: \"%s\"", s)
	}
	shift, ok := map[string]uint{"": 0, "b": 0, "bytes": 0, "kb": 10, "mb": 20, "gb": 30, "tb": 40, "pb": 50}[unit]
	if !ok {
		return types.Null, types.Errorf("22023", "invalid size: \"%s\"", s).
			WithDetail("Invalid size unit: \"%s\".", text[end:]).
			WithHint("Valid units are \"bytes\", \"B\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".")
	}
	product, err := mulNumeric(v.AsNumeric(), apd.New(1<<shift, 0))
	if err != nil {
		return types.Null, err
	}
	return numericToInt(product, types.Int8OID)
}

func seconds(iv types.Interval) float64 {
	return float64(iv.Micros)/1e6 + 86400*(float64(iv.Days)+30*float64(iv.Months))
}

// sleep waits, unless the statement is cancelled first (57014).
func sleep(ctx *Context, s float64) (types.Value, error) {
	if math.IsNaN(s) || s <= 0 {
		return types.Text(""), ctx.check()
	}
	timer := time.NewTimer(time.Duration(min(s, 1e9) * 1e9))
	defer timer.Stop()
	select {
	case <-timer.C:
		return types.Text(""), nil
	case <-ctx.context().Done():
		return types.Null, ctx.check()
	}
}

// randomUUID is version 4.
func randomUUID(*Context, []types.Value) (types.Value, error) {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return types.Null, err
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return types.Bytes(b), nil
}
