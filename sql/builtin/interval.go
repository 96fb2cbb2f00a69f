package builtin

import (
	"math"

	"github.com/heliosdb/helios/types"
)

var errIntervalRange = types.Errorf("22008", "interval out of range")

func addIntervals(a, b types.Interval) (types.Interval, error) {
	months, days := int64(a.Months)+int64(b.Months), int64(a.Days)+int64(b.Days)
	micros, err := addInts(a.Micros, b.Micros, types.Int8OID)
	if err != nil || months != int64(int32(months)) || days != int64(int32(days)) {
		return types.Interval{}, errIntervalRange
	}
	return types.Interval{Months: int32(months), Days: int32(days), Micros: micros.AsInt()}, nil
}

func negInterval(a types.Interval) (types.Interval, error) {
	if a.Months == math.MinInt32 || a.Days == math.MinInt32 || a.Micros == math.MinInt64 {
		return types.Interval{}, errIntervalRange
	}
	return types.Interval{Months: -a.Months, Days: -a.Days, Micros: -a.Micros}, nil
}

// roundMicroDays is PostgreSQL's TSROUND: fractions of a day lose what is below a microsecond.
func roundMicro(f float64) float64 { return math.RoundToEven(f*1e6) / 1e6 }

// mulInterval multiplies by a factor; fractions of months become days of 30 to a
// month, fractions of days become time.
func mulInterval(a types.Interval, factor float64) (types.Value, error) {
	months := float64(a.Months) * factor
	days := float64(a.Days) * factor
	if math.IsNaN(months) || math.IsNaN(days) || math.Abs(months) > math.MaxInt32 || math.Abs(days) > math.MaxInt32 {
		return types.Null, errIntervalRange
	}
	out := types.Interval{Months: int32(months), Days: int32(days)}
	monthRest := roundMicro((months - float64(out.Months)) * 30)
	secRest := roundMicro((days - float64(out.Days) + monthRest - float64(int32(monthRest))) * 86400)
	if math.Abs(secRest) >= 86400 {
		out.Days += int32(secRest / 86400)
		secRest -= float64(int32(secRest/86400)) * 86400
	}
	out.Days += int32(monthRest)
	micros := math.RoundToEven(float64(a.Micros)*factor + secRest*1e6)
	if math.IsNaN(micros) || math.Abs(micros) >= 0x1p63 {
		return types.Null, errIntervalRange
	}
	out.Micros = int64(micros)
	return types.IntervalValue(out), nil
}

func divInterval(a types.Interval, by float64) (types.Value, error) {
	if by == 0 {
		return types.Null, errDivision
	}
	months, days := float64(a.Months)/by, float64(a.Days)/by
	out := types.Interval{Months: int32(months), Days: int32(days)}
	monthRest := roundMicro((months - float64(out.Months)) * 30)
	secRest := roundMicro((days - float64(out.Days) + monthRest - float64(int32(monthRest))) * 86400)
	if math.Abs(secRest) >= 86400 {
		out.Days += int32(secRest / 86400)
		secRest -= float64(int32(secRest/86400)) * 86400
	}
	out.Days += int32(monthRest)
	out.Micros = int64(math.RoundToEven(float64(a.Micros)/by + secRest*1e6))
	return types.IntervalValue(out), nil
}

func intervalFuncs() map[string]evalFunc {
	combine := func(sign int) evalFunc {
		return func(_ *Context, a []types.Value) (types.Value, error) {
			y := a[1].AsInterval()
			if sign < 0 {
				var err error
				if y, err = negInterval(y); err != nil {
					return types.Null, err
				}
			}
			sum, err := addIntervals(a[0].AsInterval(), y)
			return types.IntervalValue(sum), err
		}
	}
	return map[string]evalFunc{
		"interval_pl": combine(1), "interval_mi": combine(-1),
		"interval_um": func(_ *Context, a []types.Value) (types.Value, error) {
			out, err := negInterval(a[0].AsInterval())
			return types.IntervalValue(out), err
		},
		"interval_mul": func(_ *Context, a []types.Value) (types.Value, error) {
			return mulInterval(a[0].AsInterval(), a[1].AsFloat())
		},
		"mul_d_interval": func(_ *Context, a []types.Value) (types.Value, error) {
			return mulInterval(a[1].AsInterval(), a[0].AsFloat())
		},
		"interval_div": func(_ *Context, a []types.Value) (types.Value, error) {
			return divInterval(a[0].AsInterval(), a[1].AsFloat())
		},
		"justify_hours":    justify(justifyHours),
		"justify_days":     justify(justifyDays),
		"justify_interval": justify(justifyBoth),
		"make_interval":    makeInterval,
	}
}

func justify(f func(*types.Interval)) evalFunc {
	return func(_ *Context, a []types.Value) (types.Value, error) {
		iv := a[0].AsInterval()
		f(&iv)
		return types.IntervalValue(iv), nil
	}
}

func justifyHours(iv *types.Interval) {
	iv.Days += int32(iv.Micros / types.MicrosPerDay)
	iv.Micros %= types.MicrosPerDay
	if iv.Days > 0 && iv.Micros < 0 {
		iv.Micros += types.MicrosPerDay
		iv.Days--
	} else if iv.Days < 0 && iv.Micros > 0 {
		iv.Micros -= types.MicrosPerDay
		iv.Days++
	}
}

func justifyDays(iv *types.Interval) {
	iv.Months += iv.Days / 30
	iv.Days %= 30
	if iv.Months > 0 && iv.Days < 0 {
		iv.Days += 30
		iv.Months--
	} else if iv.Months < 0 && iv.Days > 0 {
		iv.Days -= 30
		iv.Months++
	}
}

func justifyBoth(iv *types.Interval) {
	iv.Days += int32(iv.Micros / types.MicrosPerDay)
	iv.Micros %= types.MicrosPerDay
	iv.Months += iv.Days / 30
	iv.Days %= 30
	if iv.Months > 0 && (iv.Days < 0 || iv.Days == 0 && iv.Micros < 0) {
		iv.Days += 30
		iv.Months--
	} else if iv.Months < 0 && (iv.Days > 0 || iv.Days == 0 && iv.Micros > 0) {
		iv.Days -= 30
		iv.Months++
	}
	if iv.Days > 0 && iv.Micros < 0 {
		iv.Micros += types.MicrosPerDay
		iv.Days--
	} else if iv.Days < 0 && iv.Micros > 0 {
		iv.Micros -= types.MicrosPerDay
		iv.Days++
	}
}

func makeInterval(_ *Context, a []types.Value) (types.Value, error) {
	months := a[0].AsInt()*12 + a[1].AsInt()
	days := a[2].AsInt()*7 + a[3].AsInt()
	seconds := math.RoundToEven(a[6].AsFloat() * 1e6)
	if math.IsNaN(seconds) || math.Abs(seconds) >= 0x1p62 || months != int64(int32(months)) || days != int64(int32(days)) {
		return types.Null, errIntervalRange
	}
	micros := a[4].AsInt()*types.MicrosPerHour + a[5].AsInt()*types.MicrosPerMinute
	total, err := addInts(micros, int64(seconds), types.Int8OID)
	if err != nil {
		return types.Null, errIntervalRange
	}
	return types.IntervalValue(types.Interval{Months: int32(months), Days: int32(days), Micros: total.AsInt()}), nil
}
