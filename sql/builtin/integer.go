package builtin

import (
	"math"
	"math/bits"

	"github.com/heliosdb/helios/types"
)

func boolFuncs() map[string]evalFunc {
	return map[string]evalFunc{
		"booland_statefunc": plain(func(a []types.Value) types.Value { return types.Bool(a[0].AsBool() && a[1].AsBool()) }),
		"boolor_statefunc":  plain(func(a []types.Value) types.Value { return types.Bool(a[0].AsBool() || a[1].AsBool()) }),
	}
}

// intNames are the prefixes of the integer functions and the type of their results.
var intNames = map[string]types.OID{
	"int2": types.Int2OID, "int4": types.Int4OID, "int8": types.Int8OID,
	"int24": types.Int4OID, "int42": types.Int4OID, "int28": types.Int8OID,
	"int82": types.Int8OID, "int48": types.Int8OID, "int84": types.Int8OID,
}

var errDivision = types.Errorf("22012", "division by zero")

func intFuncs() map[string]evalFunc {
	m := make(map[string]evalFunc)
	for prefix, oid := range intNames {
		m[prefix+"pl"] = onInts(func(x, y int64) (types.Value, error) { return addInts(x, y, oid) })
		m[prefix+"mi"] = onInts(func(x, y int64) (types.Value, error) { return subInts(x, y, oid) })
		m[prefix+"mul"] = onInts(func(x, y int64) (types.Value, error) { return mulInts(x, y, oid) })
		m[prefix+"div"] = onInts(func(x, y int64) (types.Value, error) { return divInts(x, y, oid) })
	}
	for _, oid := range []types.OID{types.Int2OID, types.Int4OID, types.Int8OID} {
		name := types.Lookup(oid).Name
		m[name+"mod"] = onInts(modInts)
		m["mod("+name+","+name+")"] = m[name+"mod"]
		m[name+"um"] = onInt(func(x int64) (types.Value, error) { return subInts(0, x, oid) })
		m[name+"up"] = onInt(func(x int64) (types.Value, error) { return types.Int(x), nil })
		m[name+"abs"] = onInt(func(x int64) (types.Value, error) { return absInt(x, oid) })
		m["abs("+name+")"] = m[name+"abs"]
		m[name+"and"] = onInts(func(x, y int64) (types.Value, error) { return types.Int(x & y), nil })
		m[name+"or"] = onInts(func(x, y int64) (types.Value, error) { return types.Int(x | y), nil })
		m[name+"xor"] = onInts(func(x, y int64) (types.Value, error) { return types.Int(x ^ y), nil })
		m[name+"not"] = onInt(func(x int64) (types.Value, error) { return types.Int(^x), nil })
		m[name+"shl"] = onInts(func(x, y int64) (types.Value, error) { return shift(x, y, oid, true), nil })
		m[name+"shr"] = onInts(func(x, y int64) (types.Value, error) { return shift(x, y, oid, false), nil })
		if oid != types.Int2OID {
			m["gcd("+name+","+name+")"] = onInts(func(x, y int64) (types.Value, error) { return gcdInts(x, y, oid) })
			m["lcm("+name+","+name+")"] = onInts(func(x, y int64) (types.Value, error) { return lcmInts(x, y, oid) })
		}
	}
	m["int8inc"] = onInt(func(x int64) (types.Value, error) { return addInts(x, 1, types.Int8OID) })
	m["int8dec"] = onInt(func(x int64) (types.Value, error) { return subInts(x, 1, types.Int8OID) })
	m["to_hex(int4)"] = onInt(func(x int64) (types.Value, error) { return hexText(uint64(uint32(x))), nil })
	m["to_hex(int8)"] = onInt(func(x int64) (types.Value, error) { return hexText(uint64(x)), nil })
	return m
}

func addInts(x, y int64, oid types.OID) (types.Value, error) {
	sum := x + y
	if (sum > x) != (y > 0) && y != 0 {
		return types.Null, outOfRange(oid)
	}
	return checkInt(sum, oid)
}

func subInts(x, y int64, oid types.OID) (types.Value, error) {
	diff := x - y
	if (diff < x) != (y > 0) && y != 0 {
		return types.Null, outOfRange(oid)
	}
	return checkInt(diff, oid)
}

func mulInts(x, y int64, oid types.OID) (types.Value, error) {
	product, ok := mulInt64(x, y)
	if !ok {
		return types.Null, outOfRange(oid)
	}
	return checkInt(product, oid)
}

// mulInt64 multiplies; ok is false on overflow.
func mulInt64(x, y int64) (product int64, ok bool) {
	if x == 0 || y == 0 {
		return 0, true
	}
	product = x * y
	if product/y != x || x == -1 && y == math.MinInt64 || y == -1 && x == math.MinInt64 {
		return 0, false
	}
	return product, true
}

func divInts(x, y int64, oid types.OID) (types.Value, error) {
	switch y {
	case 0:
		return types.Null, errDivision
	case -1:
		return subInts(0, x, oid)
	}
	return checkInt(x/y, oid)
}

func modInts(x, y int64) (types.Value, error) {
	switch y {
	case 0:
		return types.Null, errDivision
	case -1:
		return types.Int(0), nil
	}
	return types.Int(x % y), nil
}

func absInt(x int64, oid types.OID) (types.Value, error) {
	if x < 0 {
		return subInts(0, x, oid)
	}
	return types.Int(x), nil
}

// shift shifts as C does on the type's own width: the distance counts modulo it.
func shift(x, by int64, oid types.OID, left bool) types.Value {
	width := int64(32)
	if oid == types.Int8OID {
		width = 64
	}
	n := uint(by & (width - 1))
	if !left {
		return types.Int(x >> n)
	}
	switch oid {
	case types.Int2OID:
		return types.Int(int64(int16(int32(x) << n)))
	case types.Int4OID:
		return types.Int(int64(int32(x) << n))
	}
	return types.Int(x << n)
}

func gcdInts(x, y int64, oid types.OID) (types.Value, error) {
	a, b := magnitude(x), magnitude(y)
	for b != 0 {
		a, b = b, a%b
	}
	if a > math.MaxInt64 {
		return types.Null, outOfRange(oid)
	}
	return checkInt(int64(a), oid)
}

func magnitude(x int64) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}

func lcmInts(x, y int64, oid types.OID) (types.Value, error) {
	if x == 0 || y == 0 {
		return types.Int(0), nil
	}
	a, b := magnitude(x), magnitude(y)
	g, h := a, b
	for h != 0 {
		g, h = h, g%h
	}
	hi, lo := bits.Mul64(a/g, b)
	if hi != 0 || lo > math.MaxInt64 {
		return types.Null, outOfRange(oid)
	}
	return checkInt(int64(lo), oid)
}

func hexText(n uint64) types.Value {
	const digits = "0123456789abcdef"
	var out [16]byte
	at := len(out)
	for {
		at--
		out[at] = digits[n&15]
		if n >>= 4; n == 0 {
			return types.Text(string(out[at:]))
		}
	}
}
