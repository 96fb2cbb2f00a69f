package builtin

import (
	"math"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/heliosdb/helios/types"
)

// fieldNames are the spellings of the fields of date_part, extract and date_trunc.
var fieldNames = map[string]string{}

func init() {
	for field, names := range map[string]string{
		"microseconds": "us usec usecond useconds usecs microsecond microseconds", "milliseconds": "ms msec msecs msecond mseconds millisecond milliseconds",
		"second": "s sec secs second seconds", "minute": "m min mins minute minutes", "hour": "h hr hrs hour hours",
		"day": "d day days", "week": "w week weeks", "month": "mon mons month months", "quarter": "qtr quarter",
		"year": "y yr yrs year years", "decade": "dec decs decade decades", "century": "c cent century centuries",
		"millennium": "mil mils millennia millennium", "dow": "dow", "isodow": "isodow", "doy": "doy", "isoyear": "isoyear",
		"epoch": "epoch", "julian": "julian j jd", "timezone": "timezone", "timezone_hour": "timezone_h timezone_hour", "timezone_minute": "timezone_m timezone_minute",
	} {
		for name := range strings.FieldsSeq(names) {
			fieldNames[name] = field
		}
	}
}

func timeFieldFuncs() map[string]evalFunc {
	m := make(map[string]evalFunc)
	for _, t := range []string{"date", "time", "timetz", "timestamp", "timestamptz", "interval"} {
		get := func(ctx *Context, a []types.Value) (types.Value, error) { return extract(ctx, t, a[0].AsText(), a[1]) }
		m["extract(text,"+t+")"] = get
		m["date_part(text,"+t+")"] = func(ctx *Context, a []types.Value) (types.Value, error) {
			v, err := get(ctx, a)
			if err != nil || v.IsNull() {
				return v, err
			}
			return types.Float(types.NumericFloat(v.AsNumeric())), nil
		}
	}
	m["date_trunc(text,timestamp)"] = func(_ *Context, a []types.Value) (types.Value, error) {
		return truncTimestamp(a[0].AsText(), a[1], "timestamp without time zone")
	}
	m["date_trunc(text,timestamptz)"] = func(ctx *Context, a []types.Value) (types.Value, error) {
		local, err := truncTimestamp(a[0].AsText(), localOf(ctx, a[1]), "timestamp with time zone")
		if err != nil {
			return types.Null, err
		}
		return utcOf(ctx, local)
	}
	m["date_trunc(text,timestamptz,text)"] = func(_ *Context, a []types.Value) (types.Value, error) {
		local, err := atZone(a[2].AsText(), a[1])
		if err == nil {
			local, err = truncTimestamp(a[0].AsText(), local, "timestamp with time zone")
		}
		if err != nil {
			return types.Null, err
		}
		return fromZone(a[2].AsText(), local)
	}
	m["date_trunc(text,interval)"] = func(_ *Context, a []types.Value) (types.Value, error) {
		return truncInterval(a[0].AsText(), a[1].AsInterval())
	}
	bin := func(_ *Context, a []types.Value) (types.Value, error) { return dateBin(a[0].AsInterval(), a[1], a[2]) }
	m["date_bin(interval,timestamp,timestamp)"], m["date_bin(interval,timestamptz,timestamptz)"] = bin, bin
	return m
}

// sqlNameOf spells a pg_type name as SQL does.
func sqlNameOf(typname string) string { return types.LookupName(typname).SQL }

func extract(ctx *Context, typname, name string, v types.Value) (types.Value, error) {
	name = strings.ToLower(name)
	field, ok := fieldNames[name]
	if !ok {
		return types.Null, types.Errorf("22023", "unit \"%s\" not recognized for type %s", name, sqlNameOf(typname))
	}
	unsupportedField := types.Errorf("0A000", "unit \"%s\" not supported for type %s", name, sqlNameOf(typname))
	if types.IsInfinite(v) {
		return extractInfinite(field, v, unsupportedField)
	}
	var out *apd.Decimal
	switch typname {
	case "interval":
		out = intervalField(field, v.AsInterval())
	case "time":
		out = clockField(field, v.AsInt())
		if field == "epoch" {
			out = apd.New(v.AsInt(), -6)
		}
	case "timetz":
		out = timeTZField(field, v)
	case "date":
		out = dateField(field, v.AsInt()*types.MicrosPerDay)
		if field == "epoch" {
			out = apd.New(v.AsInt()*86400+946684800, 0)
		}
	case "timestamp":
		out = timestampField(field, v.AsInt(), v.AsInt())
	default:
		out = timestampTZField(ctx, field, v.AsInt())
	}
	if out == nil {
		return types.Null, unsupportedField
	}
	return types.CheckNumeric(out)
}

// extractInfinite gives ±Infinity for the fields that grow with time, NULL for others.
func extractInfinite(field string, v types.Value, unsupportedField error) (types.Value, error) {
	switch field {
	case "year", "decade", "century", "millennium", "isoyear", "epoch", "julian":
		return types.Numeric(infinity(v.AsInt() < 0)), nil
	case "timezone", "timezone_hour", "timezone_minute":
		if v.Kind() == types.KindDate {
			return types.Null, unsupportedField
		}
	}
	if v.Kind() == types.KindDate && clockField(field, 0) != nil {
		return types.Null, unsupportedField
	}
	return types.Null, nil
}

func whole[N int | int64 | int32](n N) *apd.Decimal { return apd.New(int64(n), 0) }

// clockField gives a field of a time of day; nil for others.
func clockField(field string, micros int64) *apd.Decimal {
	switch field {
	case "microseconds":
		return whole(micros % types.MicrosPerMinute)
	case "milliseconds":
		return apd.New(micros%types.MicrosPerMinute, -3)
	case "second":
		return apd.New(micros%types.MicrosPerMinute, -6)
	case "minute":
		return whole(micros / types.MicrosPerMinute % 60)
	case "hour":
		return whole(micros / types.MicrosPerHour)
	}
	return nil
}

func timeTZField(field string, v types.Value) *apd.Decimal {
	micros, west := v.AsTimeTZ()
	if field == "epoch" {
		return apd.New(micros+int64(west)*types.MicrosPerSecond, -6)
	}
	if d := zoneField(field, -int64(west)); d != nil {
		return d
	}
	return clockField(field, micros)
}

// zoneField gives the fields of an offset east of Greenwich in seconds.
func zoneField(field string, east int64) *apd.Decimal {
	switch field {
	case "timezone":
		return whole(east)
	case "timezone_hour":
		return whole(east / 3600)
	case "timezone_minute":
		return whole(east / 60 % 60)
	}
	return nil
}

// dateField gives a field of the date of a wall clock; nil for others.
func dateField(field string, micros int64) *apd.Decimal {
	days, _ := types.SplitMicros(micros)
	year, month, day := types.CivilOf(days)
	shown := year
	if year <= 0 {
		shown = year - 1 // there is no year 0
	}
	switch field {
	case "day":
		return whole(day)
	case "month":
		return whole(month)
	case "quarter":
		return whole((month-1)/3 + 1)
	case "week":
		_, week := isoWeek(days)
		return whole(week)
	case "isoyear":
		isoYear, _ := isoWeek(days)
		if isoYear <= 0 {
			isoYear--
		}
		return whole(isoYear)
	case "year":
		return whole(shown)
	case "decade":
		return whole(floorDiv(int64(year), 10))
	case "century":
		return whole(ages(shown, 100))
	case "millennium":
		return whole(ages(shown, 1000))
	case "dow":
		return whole(types.Weekday(days))
	case "isodow":
		return whole((types.Weekday(days)+6)%7 + 1)
	case "doy":
		return whole(days - types.DaysOf(year, 1, 1) + 1)
	case "julian":
		return whole(days + 2451545)
	}
	return nil
}

// ages counts centuries or millennia: the first begins in year 1, there is none numbered 0.
func ages(year, span int) int {
	if year > 0 {
		return (year + span - 1) / span
	}
	return -((span - 1 - year) / span)
}

// isoWeek gives ISO 8601's year and week of a date.
func isoWeek(days int64) (year, week int) {
	thursday := days - int64((types.Weekday(days)+6)%7) + 3
	year, _, _ = types.CivilOf(thursday)
	return year, int(thursday-types.DaysOf(year, 1, 1))/7 + 1
}

// timestampField gives a field of a wall clock; epoch counts from utc.
func timestampField(field string, local, utc int64) *apd.Decimal {
	_, ofDay := types.SplitMicros(local)
	switch field {
	case "epoch":
		return apd.New(utc+946684800*types.MicrosPerSecond, -6)
	case "julian":
		days, _ := types.SplitMicros(local)
		fraction, err := divNumeric(apd.New(ofDay, 0), apd.New(types.MicrosPerDay, 0))
		if err != nil {
			return nil
		}
		sum, _ := addNumeric(whole(days+2451545), fraction)
		return sum
	}
	if d := clockField(field, ofDay); d != nil {
		return d
	}
	return dateField(field, local)
}

func timestampTZField(ctx *Context, field string, utc int64) *apd.Decimal {
	east, _ := types.ZoneOffset(utc, ctx.location())
	if d := zoneField(field, east); d != nil {
		return d
	}
	return timestampField(field, utc+east*types.MicrosPerSecond, utc)
}

func intervalField(field string, iv types.Interval) *apd.Decimal {
	years := int64(iv.Months / 12)
	switch field {
	case "day":
		return whole(iv.Days)
	case "month":
		return whole(iv.Months % 12)
	case "quarter":
		return whole(iv.Months%12/3 + 1)
	case "year":
		return whole(years)
	case "decade":
		return whole(years / 10)
	case "century":
		return whole(years / 100)
	case "millennium":
		return whole(years / 1000)
	case "epoch":
		// a year is 365.25 days, a month 30
		days := (years*36525+int64(iv.Months%12)*3000)/100*86400 + (years*36525+int64(iv.Months%12)*3000)%100*864
		seconds, _ := addNumeric(whole(days+int64(iv.Days)*86400), apd.New(iv.Micros, -6))
		return seconds
	}
	return clockField(field, iv.Micros)
}

// truncTimestamp cuts a wall clock to a field.
func truncTimestamp(name string, v types.Value, typeName string) (types.Value, error) {
	field, ok := fieldNames[strings.ToLower(name)]
	if !ok {
		return types.Null, types.Errorf("22023", "unit \"%s\" not recognized for type %s", strings.ToLower(name), typeName)
	}
	if types.IsInfinite(v) {
		return v, nil
	}
	days, ofDay := types.SplitMicros(v.AsInt())
	year, month, _ := types.CivilOf(days)
	unit := map[string]int64{
		"microseconds": 1, "milliseconds": 1000, "second": types.MicrosPerSecond, "minute": types.MicrosPerMinute, "hour": types.MicrosPerHour,
	}[field]
	if unit > 0 {
		return types.TimestampOf(days, ofDay-ofDay%unit)
	}
	switch field {
	case "day":
		return types.TimestampOf(days, 0)
	case "week":
		return types.TimestampOf(days-int64((types.Weekday(days)+6)%7), 0)
	case "month":
		return types.TimestampOf(types.DaysOf(year, month, 1), 0)
	case "quarter":
		return types.TimestampOf(types.DaysOf(year, (month-1)/3*3+1, 1), 0)
	case "year":
	case "decade":
		year = int(floorDiv(int64(year), 10) * 10)
	case "century":
		year = int(floorDiv(int64(year-1), 100)*100) + 1
	case "millennium":
		year = int(floorDiv(int64(year-1), 1000)*1000) + 1
	default:
		return types.Null, types.Errorf("0A000", "unit \"%s\" not supported for type %s", strings.ToLower(name), typeName)
	}
	return types.TimestampOf(types.DaysOf(year, 1, 1), 0)
}

func truncInterval(name string, iv types.Interval) (types.Value, error) {
	field, ok := fieldNames[strings.ToLower(name)]
	if !ok {
		return types.Null, types.Errorf("22023", "unit \"%s\" not recognized for type interval", strings.ToLower(name))
	}
	switch field {
	case "millennium":
		iv = types.Interval{Months: iv.Months / 12000 * 12000}
	case "century":
		iv = types.Interval{Months: iv.Months / 1200 * 1200}
	case "decade":
		iv = types.Interval{Months: iv.Months / 120 * 120}
	case "year":
		iv = types.Interval{Months: iv.Months / 12 * 12}
	case "quarter":
		iv = types.Interval{Months: iv.Months / 3 * 3}
	case "month":
		iv = types.Interval{Months: iv.Months}
	case "day":
		iv.Micros = 0
	case "hour":
		iv.Micros -= iv.Micros % types.MicrosPerHour
	case "minute":
		iv.Micros -= iv.Micros % types.MicrosPerMinute
	case "second":
		iv.Micros -= iv.Micros % types.MicrosPerSecond
	case "milliseconds":
		iv.Micros -= iv.Micros % 1000
	case "microseconds":
	default:
		e := types.Errorf("0A000", "unit \"%s\" not supported for type interval", strings.ToLower(name))
		if field == "week" {
			e = e.WithDetail("Months usually have fractional weeks.")
		}
		return types.Null, e
	}
	return types.IntervalValue(iv), nil
}

// dateBin cuts a timestamp to a multiple of a stride from an origin.
func dateBin(stride types.Interval, v, origin types.Value) (types.Value, error) {
	switch {
	case types.IsInfinite(v):
		return v, nil
	case types.IsInfinite(origin):
		return types.Null, types.Errorf("22008", "origin out of range")
	case stride.Months != 0:
		return types.Null, types.Errorf("0A000", "timestamps cannot be binned into intervals containing months or years")
	}
	hi, lo := stride.Span()
	if hi != 0 || lo == 0 || lo > math.MaxInt64 {
		return types.Null, types.Errorf("22008", "stride must be greater than zero")
	}
	diff, err := subInts(v.AsInt(), origin.AsInt(), types.Int8OID)
	if err != nil {
		return types.Null, errIntervalRange
	}
	return addMicros(origin.AsInt(), floorDiv(diff.AsInt(), int64(lo))*int64(lo))
}
