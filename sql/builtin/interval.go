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
