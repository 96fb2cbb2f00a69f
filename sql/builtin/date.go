package builtin

import (
	"math"

	"github.com/heliosdb/helios/types"
)

func dateFuncs() map[string]evalFunc {
	m := map[string]evalFunc{
		"timestamp(date,time)": dateAtTime(0, 1), "timestamptz(date,timetz)": dateAtTimeTZ(0, 1),
		"date_pli":        func(_ *Context, a []types.Value) (types.Value, error) { return addDays(a[0], a[1].AsInt()) },
		"date_mii":        func(_ *Context, a []types.Value) (types.Value, error) { return addDays(a[0], -a[1].AsInt()) },
		"integer_pl_date": func(_ *Context, a []types.Value) (types.Value, error) { return addDays(a[1], a[0].AsInt()) },
		"date_mi":         dateMinusDate,
		"datetime_pl":     dateAtTime(0, 1), "timedate_pl": dateAtTime(1, 0),
		"datetimetz_pl": dateAtTimeTZ(0, 1), "timetzdate_pl": dateAtTimeTZ(1, 0),
		"date_pl_interval": dateInterval(1), "date_mi_interval": dateInterval(-1),
		"interval_pl_date":      swapped(dateInterval(1)),
		"timestamp_pl_interval": timestampInterval(1, false), "timestamp_mi_interval": timestampInterval(-1, false),
		"timestamptz_pl_interval": timestampInterval(1, true), "timestamptz_mi_interval": timestampInterval(-1, true),
		"interval_pl_timestamp": swapped(timestampInterval(1, false)), "interval_pl_timestamptz": swapped(timestampInterval(1, true)),
		"timestamp_mi": timestampMinus, "timestamptz_mi": timestampMinus,
		"time_pl_interval": timeInterval(1), "time_mi_interval": timeInterval(-1), "interval_pl_time": swapped(timeInterval(1)),
		"timetz_pl_interval": timeTZInterval(1), "timetz_mi_interval": timeTZInterval(-1), "interval_pl_timetz": swapped(timeTZInterval(1)),
		"time_mi_time": onInts(func(x, y int64) (types.Value, error) {
			return types.IntervalValue(types.Interval{Micros: x - y}), nil
		}),
		"isfinite(date)": isFinite, "isfinite(timestamp)": isFinite, "isfinite(timestamptz)": isFinite,
		"isfinite(interval)":       constant(types.Bool(true)),
		"age(timestamp,timestamp)": func(_ *Context, a []types.Value) (types.Value, error) { return age(a[0], a[1]) },
		"age(timestamptz,timestamptz)": func(ctx *Context, a []types.Value) (types.Value, error) {
			return age(localOf(ctx, a[0]), localOf(ctx, a[1]))
		},
		"age(timestamp)":   func(ctx *Context, a []types.Value) (types.Value, error) { return age(today(ctx), a[0]) },
		"age(timestamptz)": func(ctx *Context, a []types.Value) (types.Value, error) { return age(today(ctx), localOf(ctx, a[0])) },
		"make_date":        makeDate, "make_time": makeTime, "make_timestamp": makeTimestamp,
		"make_timestamptz(int4,int4,int4,int4,int4,float8)":         makeTimestampTZ,
		"make_timestamptz(int4,int4,int4,int4,int4,float8,text)":    makeTimestampTZ,
		"to_timestamp(float8)":                                      epochToTimestamp,
		"timezone(text,timestamptz)":                                func(_ *Context, a []types.Value) (types.Value, error) { return atZone(a[0].AsText(), a[1]) },
		"timezone(text,timestamp)":                                  func(_ *Context, a []types.Value) (types.Value, error) { return fromZone(a[0].AsText(), a[1]) },
		"timezone(interval,timestamptz)":                            func(_ *Context, a []types.Value) (types.Value, error) { return shiftZone(a[0], a[1], 1) },
		"timezone(interval,timestamp)":                              func(_ *Context, a []types.Value) (types.Value, error) { return shiftZone(a[0], a[1], -1) },
		"timezone(text,timetz)":                                     timeTZAtZone,
		"overlaps(timestamp,timestamp,timestamp,timestamp)":         overlaps,
		"overlaps(timestamptz,timestamptz,timestamptz,timestamptz)": overlaps,
		"overlaps(time,time,time,time)":                             overlaps,
	}
	now := func(ctx *Context, _ []types.Value) (types.Value, error) { return types.FromTime(ctx.TxnStart), nil }
	m["now"], m["transaction_timestamp"] = now, now
	m["statement_timestamp"] = func(ctx *Context, _ []types.Value) (types.Value, error) { return types.FromTime(ctx.Now), nil }
	m["clock_timestamp"] = func(ctx *Context, _ []types.Value) (types.Value, error) { return types.FromTime(ctx.clock()), nil }
	m["timeofday"] = func(ctx *Context, _ []types.Value) (types.Value, error) {
		return types.Text(ctx.clock().In(ctx.location()).Format("Mon Jan 02 15:04:05.000000 2006 MST")), nil
	}
	return m
}

func swapped(f evalFunc) evalFunc {
	return func(ctx *Context, a []types.Value) (types.Value, error) { return f(ctx, []types.Value{a[1], a[0]}) }
}

func isFinite(_ *Context, a []types.Value) (types.Value, error) {
	return types.Bool(!types.IsInfinite(a[0])), nil
}

func addDays(date types.Value, days int64) (types.Value, error) {
	if types.IsInfinite(date) {
		return date, nil
	}
	return types.CheckDate(date.AsInt() + days)
}

func dateMinusDate(_ *Context, a []types.Value) (types.Value, error) {
	if types.IsInfinite(a[0]) || types.IsInfinite(a[1]) {
		return types.Null, types.Errorf("22008", "cannot subtract infinite dates")
	}
	return types.Int(a[0].AsInt() - a[1].AsInt()), nil
}

func dateAtTime(date, time int) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		ts, err := dateToTimestamp(a[date])
		if err != nil || types.IsInfinite(ts) {
			return ts, err
		}
		return types.CheckTimestamp(ts.AsInt() + a[time].AsInt())
	}
}

func dateAtTimeTZ(date, time int) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		ts, err := dateToTimestamp(a[date])
		if err != nil || types.IsInfinite(ts) {
			return ts, err
		}
		micros, west := a[time].AsTimeTZ()
		return types.CheckTimestamp(ts.AsInt() + micros + int64(west)*types.MicrosPerSecond)
	}
}

func dateInterval(sign int) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		ts, err := dateToTimestamp(a[0])
		if err != nil {
			return types.Null, err
		}
		return addInterval(ts, a[1], sign)
	}
}

func timestampInterval(sign int, zoned bool) evalFunc {
	return func(ctx *Context, a []types.Value) (types.Value, error) {
		if !zoned {
			return addInterval(a[0], a[1], sign)
		}
		return addIntervalTZ(ctx, a[0], a[1], sign)
	}
}

// addInterval adds months (the day kept within the month), then days, then time.
func addInterval(ts, interval types.Value, sign int) (types.Value, error) {
	if types.IsInfinite(ts) {
		return ts, nil
	}
	iv := interval.AsInterval()
	if sign < 0 {
		var err error
		if iv, err = negInterval(iv); err != nil {
			return types.Null, err
		}
	}
	moved, err := moveDate(ts.AsInt(), iv)
	if err != nil {
		return types.Null, err
	}
	return addMicros(moved, iv.Micros)
}

// moveDate applies the months and days of an interval to a wall clock.
func moveDate(micros int64, iv types.Interval) (int64, error) {
	days, ofDay := types.SplitMicros(micros)
	if iv.Months != 0 {
		year, month, day := types.CivilOf(days)
		total := int64(year)*12 + int64(month-1) + int64(iv.Months)
		y, m := floorDiv(total, 12), floorMod(total, 12)
		if y < -4714 || y > 294277 {
			return 0, errTimestamp
		}
		days = types.DaysOf(int(y), int(m)+1, min(day, types.DaysInMonth(int(y), int(m)+1)))
	}
	v, err := types.TimestampOf(days+int64(iv.Days), ofDay)
	return v.AsInt(), err
}

var errTimestamp = types.Errorf("22008", "timestamp out of range")

func floorDiv(n, m int64) int64 { return (n - floorMod(n, m)) / m }

func addMicros(micros, more int64) (types.Value, error) {
	sum, err := addInts(micros, more, types.Int8OID)
	if err != nil {
		return types.Null, errTimestamp
	}
	return types.CheckTimestamp(sum.AsInt())
}

// addIntervalTZ moves months and days on the session's wall clock, time on UTC.
func addIntervalTZ(ctx *Context, ts, interval types.Value, sign int) (types.Value, error) {
	if types.IsInfinite(ts) {
		return ts, nil
	}
	iv := interval.AsInterval()
	if sign < 0 {
		var err error
		if iv, err = negInterval(iv); err != nil {
			return types.Null, err
		}
	}
	micros := ts.AsInt()
	if iv.Months != 0 || iv.Days != 0 {
		local, err := moveDate(types.ToLocal(micros, ctx.location()), iv)
		if err != nil {
			return types.Null, err
		}
		micros = types.FromLocal(local, ctx.location())
	}
	return addMicros(micros, iv.Micros)
}

// timestampMinus gives the difference in days and time.
func timestampMinus(_ *Context, a []types.Value) (types.Value, error) {
	if types.IsInfinite(a[0]) || types.IsInfinite(a[1]) {
		return types.Null, types.Errorf("22008", "cannot subtract infinite timestamps")
	}
	diff, err := subInts(a[0].AsInt(), a[1].AsInt(), types.Int8OID)
	if err != nil {
		return types.Null, errIntervalRange
	}
	n := diff.AsInt()
	return types.IntervalValue(types.Interval{Days: int32(n / types.MicrosPerDay), Micros: n % types.MicrosPerDay}), nil
}

func timeInterval(sign int64) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		return types.Time(floorMod(a[0].AsInt()+sign*(a[1].AsInterval().Micros%types.MicrosPerDay), types.MicrosPerDay)), nil
	}
}

func timeTZInterval(sign int64) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		micros, west := a[0].AsTimeTZ()
		micros = floorMod(micros+sign*(a[1].AsInterval().Micros%types.MicrosPerDay), types.MicrosPerDay)
		return types.TimeTZ(micros, west), nil
	}
}

// today is midnight of the transaction's day on the session's wall clock.
func today(ctx *Context) types.Value {
	days, _ := types.SplitMicros(types.ToLocal(types.FromTime(ctx.TxnStart).AsInt(), ctx.location()))
	return types.Timestamp(days * types.MicrosPerDay)
}

// age is the difference of two wall clocks in years, months, days and time.
func age(x, y types.Value) (types.Value, error) {
	if types.IsInfinite(x) || types.IsInfinite(y) {
		return types.Null, types.Errorf("22008", "cannot subtract infinite timestamps")
	}
	a, b := x.AsInt(), y.AsInt()
	negative := a < b
	if negative {
		a, b = b, a
	}
	aDays, aTime := types.SplitMicros(a)
	bDays, bTime := types.SplitMicros(b)
	ay, am, ad := types.CivilOf(aDays)
	by, bm, bd := types.CivilOf(bDays)
	micros, days, months := aTime-bTime, ad-bd, (ay-by)*12+am-bm
	if micros < 0 {
		micros += types.MicrosPerDay
		days--
	}
	if days < 0 {
		// the month that is borrowed is the earlier date's, the later one's when negated
		if negative {
			days += types.DaysInMonth(ay, am)
		} else {
			days += types.DaysInMonth(by, bm)
		}
		months--
	}
	iv := types.Interval{Months: int32(months), Days: int32(days), Micros: micros}
	if negative {
		iv = types.Interval{Months: -iv.Months, Days: -iv.Days, Micros: -iv.Micros}
	}
	return types.IntervalValue(iv), nil
}

func makeDate(_ *Context, a []types.Value) (types.Value, error) {
	return dateOf(a[0].AsInt(), a[1].AsInt(), a[2].AsInt())
}

// dateOf checks and makes a date; a negative year is BC.
func dateOf(year, month, day int64) (types.Value, error) {
	bad := types.Errorf("22008", "date field value out of range: %d-%02d-%02d", year, month, day)
	if year == 0 || month < 1 || month > 12 || day < 1 || year > 5874897 || year < -4714 {
		return types.Null, bad
	}
	if year < 0 {
		year++
	}
	if day > int64(types.DaysInMonth(int(year), int(month))) {
		return types.Null, bad
	}
	return types.CheckDate(types.DaysOf(int(year), int(month), int(day)))
}

// timeOf checks and makes a time of day in microseconds.
func timeOf(hour, minute int64, seconds float64) (int64, error) {
	micros := math.RoundToEven(seconds * 1e6)
	if hour < 0 || hour > 24 || minute < 0 || minute > 59 || math.IsNaN(seconds) || seconds < 0 || micros > 60e6 ||
		hour == 24 && (minute > 0 || seconds > 0) {
		return 0, types.Errorf("22008", "time field value out of range: %d:%02d:%02g", hour, minute, seconds)
	}
	return hour*types.MicrosPerHour + minute*types.MicrosPerMinute + int64(micros), nil
}

func makeTime(_ *Context, a []types.Value) (types.Value, error) {
	micros, err := timeOf(a[0].AsInt(), a[1].AsInt(), a[2].AsFloat())
	return types.Time(micros), err
}

func makeTimestamp(_ *Context, a []types.Value) (types.Value, error) {
	date, err := dateOf(a[0].AsInt(), a[1].AsInt(), a[2].AsInt())
	if err != nil {
		return types.Null, err
	}
	micros, err := timeOf(a[3].AsInt(), a[4].AsInt(), a[5].AsFloat())
	if err != nil {
		return types.Null, err
	}
	return types.TimestampOf(date.AsInt(), micros)
}

func makeTimestampTZ(ctx *Context, a []types.Value) (types.Value, error) {
	local, err := makeTimestamp(ctx, a)
	if err != nil {
		return types.Null, err
	}
	if len(a) > 6 {
		return fromZone(a[6].AsText(), local)
	}
	return utcOf(ctx, local)
}

func epochToTimestamp(_ *Context, a []types.Value) (types.Value, error) {
	seconds := a[0].AsFloat()
	switch {
	case math.IsNaN(seconds):
		return types.Null, types.Errorf("22008", "timestamp cannot be NaN")
	case math.IsInf(seconds, 1):
		return types.Timestamp(types.TimestampInfinity), nil
	case math.IsInf(seconds, -1):
		return types.Timestamp(types.TimestampNegInfinity), nil
	}
	micros := math.RoundToEven((seconds - 946684800) * 1e6)
	if math.Abs(micros) >= 0x1p63 {
		return types.Null, types.Errorf("22008", "timestamp out of range: \"%g\"", seconds)
	}
	return types.CheckTimestamp(int64(micros))
}

// atZone gives the wall clock of an instant in a zone.
func atZone(zone string, v types.Value) (types.Value, error) {
	loc, err := types.LoadLocation(zone)
	if err != nil || types.IsInfinite(v) {
		return v, err
	}
	return types.CheckTimestamp(types.ToLocal(v.AsInt(), loc))
}

// fromZone gives the instant of a wall clock in a zone.
func fromZone(zone string, v types.Value) (types.Value, error) {
	loc, err := types.LoadLocation(zone)
	if err != nil || types.IsInfinite(v) {
		return v, err
	}
	return types.CheckTimestamp(types.FromLocal(v.AsInt(), loc))
}

// shiftZone applies a zone given as an interval east of Greenwich.
func shiftZone(zone, v types.Value, sign int64) (types.Value, error) {
	iv := zone.AsInterval()
	if iv.Months != 0 || iv.Days != 0 {
		return types.Null, types.Errorf("22023", "interval time zone \"%s\" must not include months or days", types.ToText(types.T(types.IntervalOID), zone))
	}
	if types.IsInfinite(v) {
		return v, nil
	}
	return addMicros(v.AsInt(), sign*iv.Micros)
}

func timeTZAtZone(ctx *Context, a []types.Value) (types.Value, error) {
	loc, err := types.LoadLocation(a[0].AsText())
	if err != nil {
		return types.Null, err
	}
	micros, west := a[1].AsTimeTZ()
	east, _ := types.ZoneOffset(types.FromTime(ctx.TxnStart).AsInt(), loc)
	micros = floorMod(micros+(int64(west)+east)*types.MicrosPerSecond, types.MicrosPerDay)
	return types.TimeTZ(micros, int32(-east)), nil
}

// overlaps is SQL's rule for two pairs of ends, NULLs allowed.
func overlaps(_ *Context, a []types.Value) (types.Value, error) {
	ts, te, us, ue := a[0], a[1], a[2], a[3]
	order := func(start, end *types.Value) bool {
		if start.IsNull() {
			if end.IsNull() {
				return false
			}
			*start, *end = *end, types.Null
		} else if !end.IsNull() && types.Compare(*start, *end) > 0 {
			*start, *end = *end, *start
		}
		return true
	}
	if !order(&ts, &te) || !order(&us, &ue) {
		return types.Null, nil
	}
	c := types.Compare(ts, us)
	if c == 0 {
		if te.IsNull() || ue.IsNull() {
			return types.Null, nil
		}
		return types.Bool(true), nil
	}
	if c < 0 {
		return overlapEnd(us, te), nil
	}
	return overlapEnd(ts, ue), nil
}

// overlapEnd tells whether a later start comes before an earlier period's end.
func overlapEnd(start, end types.Value) types.Value {
	switch {
	case end.IsNull():
		return types.Null
	case types.Compare(start, end) < 0:
		return types.Bool(true)
	}
	return types.Bool(false)
}
