package builtin

import (
	"github.com/heliosdb/helios/types"
)

// toDateTime converts between the date and time types.
func toDateTime(from, to types.OID) convertFunc {
	type pair [2]types.OID
	switch (pair{from, to}) {
	case pair{types.DateOID, types.TimestampOID}:
		return func(_ *Context, v types.Value) (types.Value, error) { return dateToTimestamp(v) }
	case pair{types.DateOID, types.TimestampTZOID}:
		return dateToTimestampTZ
	case pair{types.TimestampOID, types.DateOID}:
		return func(_ *Context, v types.Value) (types.Value, error) { return timestampToDate(v), nil }
	case pair{types.TimestampTZOID, types.DateOID}:
		return func(ctx *Context, v types.Value) (types.Value, error) { return timestampToDate(localOf(ctx, v)), nil }
	case pair{types.TimestampOID, types.TimestampTZOID}:
		return func(ctx *Context, v types.Value) (types.Value, error) { return utcOf(ctx, v) }
	case pair{types.TimestampTZOID, types.TimestampOID}:
		return func(ctx *Context, v types.Value) (types.Value, error) { return localOf(ctx, v), nil }
	case pair{types.TimestampOID, types.TimeOID}:
		return func(_ *Context, v types.Value) (types.Value, error) { return timeOfDay(v), nil }
	case pair{types.TimestampTZOID, types.TimeOID}:
		return func(ctx *Context, v types.Value) (types.Value, error) { return timeOfDay(localOf(ctx, v)), nil }
	case pair{types.TimestampTZOID, types.TimeTZOID}:
		return timestampTZToTimeTZ
	case pair{types.TimeOID, types.IntervalOID}:
		return func(_ *Context, v types.Value) (types.Value, error) {
			return types.IntervalValue(types.Interval{Micros: v.AsInt()}), nil
		}
	case pair{types.IntervalOID, types.TimeOID}:
		return func(_ *Context, v types.Value) (types.Value, error) {
			return types.Time(floorMod(v.AsInterval().Micros, types.MicrosPerDay)), nil
		}
	case pair{types.TimeOID, types.TimeTZOID}:
		return timeToTimeTZ
	case pair{types.TimeTZOID, types.TimeOID}:
		return func(_ *Context, v types.Value) (types.Value, error) {
			micros, _ := v.AsTimeTZ()
			return types.Time(micros), nil
		}
	}
	return nil
}

func floorMod(n, m int64) int64 {
	if n %= m; n < 0 {
		n += m
	}
	return n
}

// infiniteTimestamp carries ±infinity from a date; ok is false for a finite one.
func infiniteTimestamp(v types.Value) (types.Value, bool) {
	switch v.AsInt() {
	case types.DateInfinity:
		return types.Timestamp(types.TimestampInfinity), true
	case types.DateNegInfinity:
		return types.Timestamp(types.TimestampNegInfinity), true
	}
	return types.Null, false
}

func dateToTimestamp(v types.Value) (types.Value, error) {
	if inf, ok := infiniteTimestamp(v); ok {
		return inf, nil
	}
	out, err := types.TimestampOf(v.AsInt(), 0)
	if err != nil {
		return types.Null, types.Errorf("22008", "date out of range for timestamp")
	}
	return out, nil
}

func dateToTimestampTZ(ctx *Context, v types.Value) (types.Value, error) {
	local, err := dateToTimestamp(v)
	if err != nil || types.IsInfinite(local) {
		return local, err
	}
	return utcOf(ctx, local)
}

func timestampToDate(v types.Value) types.Value {
	switch v.AsInt() {
	case types.TimestampInfinity:
		return types.Date(types.DateInfinity)
	case types.TimestampNegInfinity:
		return types.Date(types.DateNegInfinity)
	}
	days, _ := types.SplitMicros(v.AsInt())
	return types.Date(days)
}

// localOf gives the session's wall clock of a timestamptz.
func localOf(ctx *Context, v types.Value) types.Value {
	if types.IsInfinite(v) {
		return v
	}
	return types.Timestamp(types.ToLocal(v.AsInt(), ctx.location()))
}

// utcOf reads a timestamp as the session's wall clock.
func utcOf(ctx *Context, v types.Value) (types.Value, error) {
	if types.IsInfinite(v) {
		return v, nil
	}
	return types.CheckTimestamp(types.FromLocal(v.AsInt(), ctx.location()))
}

// timeOfDay is NULL for an infinite timestamp, as in PostgreSQL.
func timeOfDay(v types.Value) types.Value {
	if types.IsInfinite(v) {
		return types.Null
	}
	_, ofDay := types.SplitMicros(v.AsInt())
	return types.Time(ofDay)
}

func timestampTZToTimeTZ(ctx *Context, v types.Value) (types.Value, error) {
	if types.IsInfinite(v) {
		return types.Null, nil
	}
	east, _ := types.ZoneOffset(v.AsInt(), ctx.location())
	_, ofDay := types.SplitMicros(v.AsInt() + east*types.MicrosPerSecond)
	return types.TimeTZ(ofDay, int32(-east)), nil
}

func timeToTimeTZ(ctx *Context, v types.Value) (types.Value, error) {
	now := types.FromTime(ctx.TxnStart).AsInt()
	days, _ := types.SplitMicros(types.ToLocal(now, ctx.location()))
	local := days*types.MicrosPerDay + v.AsInt()
	west := (types.FromLocal(local, ctx.location()) - local) / types.MicrosPerSecond
	return types.TimeTZ(v.AsInt(), int32(west)), nil
}
